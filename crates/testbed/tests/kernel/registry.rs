//! The registry as drivers read it.

use std::ptr::null_mut;

use testbed::Rule;
use testbed::kernel::driver;
use testbed::kernel::object::ZwClose;
use testbed::kernel::registry::{self, Value, ZwOpenKey, ZwQueryValueKey};
use testbed::nt::{
    Handle, NtStatus, OBJ_CASE_INSENSITIVE, OBJ_KERNEL_HANDLE, ObjectAttributes, UnicodeString,
};

use crate::{breaks, clean};

const KEY: &str = r"\Registry\Machine\System\CurrentControlSet\Services\Scream\Options";
const PARTIAL: u32 = 2;

/// A counted string; what follows it in memory is not part of it.
fn counted(text: &str) -> (UnicodeString, Vec<u16>) {
    let mut units: Vec<u16> = text.encode_utf16().collect();
    let bytes = units.len() as u16 * 2;
    units.push(0x5858);
    (UnicodeString { length: bytes, maximum_length: bytes, buffer: units.as_mut_ptr() }, units)
}

fn open(path: &str, root: Handle, attributes: u32) -> Result<Handle, NtStatus> {
    let (name, _units) = counted(path);
    let attributes = ObjectAttributes {
        length: size_of::<ObjectAttributes>() as u32,
        root_directory: root,
        object_name: &raw const name,
        attributes,
        security_descriptor: null_mut(),
        security_quality_of_service: null_mut(),
    };
    let mut handle = 0;
    // SAFETY: variables on this stack.
    unsafe { ZwOpenKey(&raw mut handle, 0x20019, &raw const attributes) }.ok().map(|()| handle)
}

fn open_options() -> Handle {
    open(KEY, 0, OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE).expect("the key")
}

/// Status, needed length, and the buffer, which was all 0xEE.
fn query(key: Handle, name: &str, length: usize) -> (NtStatus, u32, Vec<u8>) {
    let (name, _units) = counted(name);
    let mut buffer = vec![0xEE; length];
    let mut needed = 0;
    // SAFETY: variables on this stack, and a buffer of that length.
    let status = unsafe {
        ZwQueryValueKey(key, &raw const name, PARTIAL, buffer.as_mut_ptr(), length as u32, &raw mut needed)
    };
    (status, needed, buffer)
}

fn close(key: Handle) {
    // SAFETY: an open handle.
    assert_eq!(unsafe { ZwClose(key) }, NtStatus::SUCCESS);
}

#[test]
fn a_value_is_found_whatever_the_case_of_its_name() {
    clean(|| {
        registry::set(KEY, "UnicastPort", Value::Dword(4011));
        let key = open_options();
        let (status, needed, bytes) = query(key, "UNICASTPORT", 16);
        assert_eq!((status, needed), (NtStatus::SUCCESS, 16));
        assert_eq!(bytes, [0, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 0xAB, 0x0F, 0, 0]);
        close(key);
        driver::report_leftovers();
    });
}

#[test]
fn short_buffers_say_how_much_is_needed() {
    clean(|| {
        registry::set(KEY, "UnicastIPv4", Value::Sz("1.2".to_owned()));
        let key = open_options();
        let (status, needed, bytes) = query(key, "UnicastIPv4", 11);
        assert_eq!((status, needed), (NtStatus::BUFFER_TOO_SMALL, 20));
        assert_eq!(bytes, [0xEE; 11]);
        let (status, needed, bytes) = query(key, "UnicastIPv4", 14);
        assert_eq!((status, needed), (NtStatus::BUFFER_OVERFLOW, 20));
        assert_eq!(bytes, [0, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0, b'1', 0]);
        close(key);
    });
}

#[test]
fn missing_keys_and_values_have_their_statuses() {
    clean(|| {
        registry::create_key(KEY);
        let key = open_options();
        assert_eq!(query(key, "TTL", 64).0, NtStatus::OBJECT_NAME_NOT_FOUND);
        close(key);
        let attributes = OBJ_KERNEL_HANDLE;
        assert_eq!(open(&format!("{KEY}2"), 0, attributes), Err(NtStatus::OBJECT_NAME_NOT_FOUND));
        assert_eq!(open("Options", 0, attributes), Err(NtStatus::OBJECT_PATH_SYNTAX_BAD));
    });
}

#[test]
fn a_key_opens_relative_to_another_one() {
    clean(|| {
        registry::set(KEY, "TTL", Value::Dword(3));
        let service = open(&driver::service_key("Scream"), 0, OBJ_KERNEL_HANDLE).expect("the service's key");
        let key = open("Options", service, OBJ_KERNEL_HANDLE).expect("the key");
        assert_eq!(query(key, "TTL", 16).0, NtStatus::SUCCESS);
        close(key);
        close(service);
    });
}

#[test]
fn values_of_any_type_keep_their_bytes() {
    clean(|| {
        let parts = |value: Value| value.to_parts();
        assert_eq!(parts(Value::Sz("a".to_owned())), (1, vec![b'a', 0, 0, 0]));
        assert_eq!(parts(Value::MultiSz(vec!["a".to_owned()])), (7, vec![b'a', 0, 0, 0, 0, 0]));
        assert_eq!(parts(Value::Qword(1)), (11, vec![1, 0, 0, 0, 0, 0, 0, 0]));
        assert_eq!(parts(Value::Raw(4, vec![9])), (4, vec![9]));
    });
}

#[test]
fn an_injected_status_comes_once() {
    clean(|| {
        registry::set(KEY, "TTL", Value::Dword(3));
        registry::inject("ZwQueryValueKey", 1, NtStatus::INSUFFICIENT_RESOURCES);
        let key = open_options();
        let statuses = [(); 3].map(|()| query(key, "TTL", 16).0);
        assert_eq!(statuses, [NtStatus::SUCCESS, NtStatus::INSUFFICIENT_RESOURCES, NtStatus::SUCCESS]);
        close(key);
    });
}

#[test]
fn a_key_that_is_never_closed_is_reported_at_unload() {
    let text = breaks(Rule::Unload, || {
        registry::create_key(KEY);
        open_options();
        driver::report_leftovers();
    });
    assert!(text.contains("options"), "{text}");
}

#[test]
fn a_key_without_a_kernel_handle_is_reported() {
    breaks(Rule::Argument, || {
        registry::create_key(KEY);
        close(open(KEY, 0, OBJ_CASE_INSENSITIVE).expect("the key"));
    });
}
