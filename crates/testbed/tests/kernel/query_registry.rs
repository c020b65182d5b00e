//! RtlQueryRegistryValues.

use std::ffi::c_void;
use std::ptr;

use testbed::kernel::pool::{self, ExFreePool};
use testbed::kernel::query_registry::RtlQueryRegistryValues;
use testbed::kernel::registry::{self, Value};
use testbed::nt::{NtStatus, UnicodeString};

use crate::clean;

const REQUIRED: u32 = 4;
const DIRECT: u32 = 0x20;
const TYPECHECK: u32 = 0x100;
const KEY: &str = r"\Registry\Machine\System\CurrentControlSet\Services\Test\Options";

type Routine =
    unsafe extern "efiapi" fn(*const u16, u32, *mut c_void, u32, *mut c_void, *mut c_void) -> NtStatus;

/// RTL_QUERY_REGISTRY_TABLE.
#[repr(C)]
#[derive(Clone, Copy)]
struct Entry {
    routine: Option<Routine>,
    flags: u32,
    name: *const u16,
    context: *mut c_void,
    default_type: u32,
    default_data: *const c_void,
    default_length: u32,
}

const END: Entry = Entry {
    routine: None,
    flags: 0,
    name: ptr::null(),
    context: ptr::null_mut(),
    default_type: 0,
    default_data: ptr::null(),
    default_length: 0,
};

fn wide(text: &str) -> *const u16 {
    text.encode_utf16().chain([0]).collect::<Vec<_>>().leak().as_ptr()
}

fn direct<T>(name: &str, target: *mut T, flags: u32) -> Entry {
    Entry { flags: DIRECT | flags, name: wide(name), context: target.cast(), ..END }
}

fn query(entries: &[Entry]) -> NtStatus {
    let table = [entries, &[END]].concat();
    // SAFETY: a table of this test, with its end.
    unsafe {
        RtlQueryRegistryValues(
            0,
            wide(KEY),
            table.as_ptr().cast_mut().cast(),
            ptr::null_mut(),
            ptr::null_mut(),
        )
    }
}

#[test]
fn values_are_stored_directly_or_their_defaults_are() {
    clean(|| {
        registry::set(KEY, "UnicastPort", Value::Dword(4010));
        registry::set(KEY, "UnicastIPv4", Value::Sz("127.0.0.1".to_owned()));
        let (mut port, mut other) = (0_u32, 7_u32);
        let mut text = UnicodeString { length: 0, maximum_length: 0, buffer: ptr::null_mut() };
        let ttl = 64_u32;
        let default = Entry {
            default_type: 4,
            default_data: (&raw const ttl).cast(),
            default_length: 4,
            ..direct("TTL", &raw mut other, 0)
        };
        let entries =
            [direct("UnicastPort", &raw mut port, 0), direct("UnicastIPv4", &raw mut text, 0), default];
        assert_eq!(query(&entries), NtStatus::SUCCESS);
        assert_eq!((port, other), (4010, 64));
        // SAFETY: the call has allocated the string.
        assert_eq!(unsafe { text.to_text() }, "127.0.0.1");
        // SAFETY: as above.
        unsafe { ExFreePool(text.buffer.cast()) };
        assert_eq!(pool::bytes(), 0);
    });
}

#[test]
fn what_is_required_and_missing_fails_and_so_does_a_wrong_type() {
    clean(|| {
        registry::set(KEY, "UnicastPort", Value::Sz("4010".to_owned()));
        let mut port = 7_u32;
        let required = direct("Missing", &raw mut port, REQUIRED);
        assert_eq!(query(&[required]), NtStatus::OBJECT_NAME_NOT_FOUND);
        let checked = Entry { default_type: 4 << 24, ..direct("UnicastPort", &raw mut port, TYPECHECK) };
        assert_eq!((query(&[checked]), port), (NtStatus::OBJECT_TYPE_MISMATCH, 7));
        registry::delete_key(KEY);
        assert_eq!(query(&[direct("Missing", &raw mut port, 0)]), NtStatus::OBJECT_NAME_NOT_FOUND);
    });
}

unsafe extern "efiapi" fn note(
    _name: *const u16,
    kind: u32,
    data: *mut c_void,
    bytes: u32,
    _context: *mut c_void,
    target: *mut c_void,
) -> NtStatus {
    // SAFETY: the data that the call passes, and the vector of the test.
    unsafe {
        let first = data.cast::<u16>().read_unaligned();
        (*target.cast::<Vec<(u32, u16, u32)>>()).push((kind, first, bytes));
    }
    NtStatus::SUCCESS
}

#[test]
fn a_routine_gets_the_strings_of_a_list_one_by_one() {
    clean(|| {
        registry::set(KEY, "List", Value::MultiSz(vec!["ab".to_owned(), "c".to_owned()]));
        let mut seen: Vec<(u32, u16, u32)> = Vec::new();
        let entry = Entry { routine: Some(note), name: wide("List"), context: (&raw mut seen).cast(), ..END };
        assert_eq!(query(&[entry]), NtStatus::SUCCESS);
        assert_eq!(seen, [(1, u16::from(b'a'), 6), (1, u16::from(b'c'), 4)]);
    });
}
