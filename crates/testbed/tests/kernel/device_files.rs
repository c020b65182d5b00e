//! Device interfaces, files of devices, and device control requests, on an IVSHMEM device.

use std::cell::Cell;
use std::ptr::null_mut;

use testbed::Rule;
use testbed::ivshmem::request::{RELEASE_MMAP, REQUEST_KMAP, REQUEST_SIZE};
use testbed::ivshmem::{CLASS, Device, Fault, Generation, Request};
use testbed::kernel::device_control::{IoBuildDeviceIoControlRequest, ZwDeviceIoControlFile};
use testbed::kernel::device_interface::IoGetDeviceInterfaces;
use testbed::kernel::event::KeInitializeEvent;
use testbed::kernel::file::IoGetDeviceObjectPointer;
use testbed::kernel::irp::{self, IofCallDriver};
use testbed::kernel::object::{self, ObfDereferenceObject, ObjectType};
use testbed::kernel::pool::ExFreePool;
use testbed::kernel::{device, driver, event};
use testbed::nt::{
    DeviceIoControlParameters, DeviceObject, DriverObject, FileObject, IoStatusBlock, Irp, KEvent, NtStatus,
    UnicodeString, control_code, major,
};
use testbed::schedule;

use crate::ivshmem::{
    MIB, NON_ALERT, READ_AND_WRITE, SYNCHRONIZE, breaks_with_device, close, open, open_with, with_device,
};
use crate::{breaks, clean};

/// IoGetDeviceInterfaces.
fn links(flags: u32) -> Vec<String> {
    let mut list = null_mut();
    // SAFETY: everything is a local.
    let status = unsafe { IoGetDeviceInterfaces(&CLASS, null_mut(), flags, &raw mut list) };
    assert_eq!(status, NtStatus::SUCCESS);
    let mut links = Vec::new();
    let mut next = list;
    loop {
        // SAFETY: the list ends with an empty string.
        let units: Vec<u16> =
            (0..).map(|at| unsafe { next.add(at).read() }).take_while(|unit| *unit != 0).collect();
        if units.is_empty() {
            break;
        }
        // SAFETY: the NUL of this string is inside.
        next = unsafe { next.add(units.len() + 1) };
        links.push(String::from_utf16(&units).expect("a name"));
    }
    // SAFETY: the list of the call.
    unsafe { ExFreePool(list.cast()) };
    links
}

#[test]
fn the_interfaces_of_several_devices_are_listed_in_order() {
    clean(|| {
        assert_eq!(links(0), Vec::<String>::new());
        let devices = [1, 2, 3].map(|size| Device::plug(size * MIB, Generation::WithKernelMap));
        let names: Vec<String> = devices.iter().map(Device::link).collect();
        assert_eq!(links(0), names);
        assert_eq!(
            names[1],
            r"\??\PCI#VEN_1AF4&DEV_1110&SUBSYS_11001AF4&REV_01#3&11583659&0&10#{df576976-569d-4672-95a0-f57e4ea0b210}"
        );
        assert_eq!(devices[1].remove(), Ok(()));
        assert_eq!(links(0), [names[0].clone(), names[2].clone()]);
        assert_eq!(links(1), names);
        driver::report_leftovers();
    });
}

#[test]
fn a_file_opens_by_its_link_in_any_case_and_by_nothing_else() {
    with_device(Generation::WithKernelMap, |device| {
        for name in
            [device.link(), device.link().to_uppercase(), device.link().replace(r"\??\", r"\DosDevices\")]
        {
            let handle = open(&name).expect("the device opens");
            assert_eq!(device.open_files(), 1);
            close(handle);
            assert_eq!(device.open_files(), 0);
        }
        let other = device.link().replace("DEV_1110", "DEV_1111");
        assert_eq!(open(&other), Err(NtStatus::OBJECT_NAME_NOT_FOUND));
        assert_eq!(open(&device.link()[4..]), Err(NtStatus::OBJECT_PATH_SYNTAX_BAD));
        // Synchronous files need the right to wait for them.
        assert_eq!(open_with(&device.link(), READ_AND_WRITE, NON_ALERT), Err(NtStatus::INVALID_PARAMETER));
        assert_eq!(open_with(&device.link(), SYNCHRONIZE, 0x30), Err(NtStatus::INVALID_PARAMETER));
    });
}

/// IoGetDeviceObjectPointer.
fn device_pointer(link: &str) -> (*mut FileObject, *mut DeviceObject) {
    let mut units: Vec<u16> = link.encode_utf16().collect();
    let bytes = (units.len() * 2) as u16;
    let name = UnicodeString { length: bytes, maximum_length: bytes, buffer: units.as_mut_ptr() };
    let (mut file, mut device) = (null_mut(), null_mut());
    // SAFETY: everything is a local.
    let status = unsafe { IoGetDeviceObjectPointer(&raw const name, 1, &raw mut file, &raw mut device) };
    assert_eq!(status, NtStatus::SUCCESS);
    (file, device)
}

/// A request that is built, sent with the file object or without, and waited for: what was returned, and the block.
fn send_built(
    device: *mut DeviceObject,
    file: *mut FileObject,
    code: u32,
    input: &[u8],
    output: &mut [u8],
) -> (NtStatus, IoStatusBlock) {
    let done = crate::object::<KEvent>();
    let mut block = IoStatusBlock { status: NtStatus::PENDING, information: 99 };
    let (input_bytes, output_bytes) = (input.len() as u32, output.len() as u32);
    // SAFETY: everything lives until the request is complete.
    unsafe {
        KeInitializeEvent(done, 0, 0);
        let packet = IoBuildDeviceIoControlRequest(
            code,
            device,
            input.as_ptr().cast_mut(),
            input_bytes,
            output.as_mut_ptr(),
            output_bytes,
            0,
            done,
            &raw mut block,
        );
        (*irp::next_location(packet)).file_object = file;
        let returned = IofCallDriver(device, packet);
        if returned == NtStatus::PENDING {
            assert!(event::wait(done, None));
        }
        (returned, block)
    }
}

#[test]
fn a_built_request_works_with_its_file_and_is_gone_afterwards() {
    with_device(Generation::WithKernelMap, |device| {
        let (file, target) = device_pointer(&device.link());
        let live = irp::live();
        let mut output = [0xEE; 8];
        let (returned, block) = send_built(target, file, REQUEST_SIZE, &[], &mut output);
        assert_eq!((returned, block.status, block.information), (NtStatus::SUCCESS, NtStatus::SUCCESS, 8));
        assert_eq!(u64::from_le_bytes(output), MIB);
        let (returned, block) = send_built(target, null_mut(), REQUEST_SIZE, &[], &mut output);
        assert_eq!((returned, block.status), (NtStatus::INVALID_DEVICE_REQUEST, NtStatus::PENDING));
        device.inject(Request::Size, 1, Fault::Late(1_000_000));
        let (returned, block) = send_built(target, file, REQUEST_SIZE, &[], &mut output);
        assert_eq!((returned, block.status, block.information), (NtStatus::PENDING, NtStatus::SUCCESS, 8));
        assert_eq!(irp::live(), live);
        assert_eq!(device.open_files(), 1);
        // SAFETY: the reference of the call.
        unsafe { ObfDereferenceObject(file.cast()) };
        assert_eq!(device.open_files(), 0);
    });
}

#[test]
fn a_mapping_through_a_device_pointer_outlives_the_file() {
    let text = breaks(Rule::Unload, || {
        let device = Device::plug(MIB, Generation::WithKernelMap);
        let (file, target) = device_pointer(&device.link());
        let mut output = [0; 32];
        let (returned, _) = send_built(target, file, REQUEST_KMAP, &[1], &mut output);
        assert_eq!(returned, NtStatus::SUCCESS);
        // SAFETY: the reference of the call.
        unsafe { ObfDereferenceObject(file.cast()) };
        assert!(device.is_mapped());
        driver::report_leftovers();
    });
    assert!(text.contains("a mapping of an IVSHMEM region was never released"), "{text}");
}

#[test]
fn a_handle_that_is_never_closed_is_reported() {
    let text = breaks_with_device(Rule::Unload, |device| {
        open(&device.link()).expect("the device opens");
    });
    assert!(text.contains("the handle of the file") && text.contains("was never closed"), "{text}");
}

#[test]
fn a_reference_that_is_never_given_back_is_reported() {
    let text = breaks_with_device(Rule::Unload, |device| {
        device_pointer(&device.link());
    });
    assert!(text.contains("1 references to a file were never given back"), "{text}");
}

#[test]
fn a_request_that_is_built_and_never_sent_is_reported() {
    breaks_with_device(Rule::Irp, |device| {
        let (file, target) = device_pointer(&device.link());
        // SAFETY: a request without buffers.
        let packet = unsafe {
            IoBuildDeviceIoControlRequest(
                RELEASE_MMAP,
                target,
                null_mut(),
                0,
                null_mut(),
                0,
                0,
                null_mut(),
                null_mut(),
            )
        };
        assert!(!packet.is_null());
        // SAFETY: the reference of the call.
        unsafe { ObfDereferenceObject(file.cast()) };
    });
}

/// What the device of the next tests got: system buffer, the list's address and length, type-3 buffer, user buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
struct Seen {
    system: [u8; 4],
    list: (usize, u32),
    type3: usize,
    user: usize,
}

thread_local! {
    static SEEN: Cell<Option<Seen>> = const { Cell::new(None) };
}

unsafe extern "efiapi" fn see(_device: *mut DeviceObject, packet: *mut Irp) -> NtStatus {
    // SAFETY: a live request of the test, with its buffers.
    let seen = unsafe {
        let location = &*irp::current_location(packet);
        let parameters: DeviceIoControlParameters = std::mem::transmute(location.parameters);
        let system = (*packet).associated.cast::<[u8; 4]>();
        let list = (*packet).mdl_address.as_ref();
        Seen {
            system: if system.is_null() { [0; 4] } else { system.read() },
            list: list.map_or((0, 0), |list| (list.mapped_system_va.addr(), list.byte_count)),
            type3: parameters.type3_input_buffer.addr(),
            user: (*packet).user_buffer.addr(),
        }
    };
    SEEN.set(Some(seen));
    irp::complete_with(packet, NtStatus::SUCCESS, 0);
    NtStatus::SUCCESS
}

unsafe extern "efiapi" fn seeing_entry(driver: *mut DriverObject, _path: *mut UnicodeString) -> NtStatus {
    // SAFETY: a live driver object.
    unsafe { (*driver).major_function[usize::from(major::DEVICE_CONTROL)] = Some(see) };
    NtStatus::SUCCESS
}

#[test]
fn the_method_of_a_control_code_says_how_the_buffers_travel() {
    clean(|| {
        let driver = driver::Driver::builtin("seeing", seeing_entry);
        let target = device::create(driver.object(), 0);
        let (input, mut output) = (*b"word", [0u8; 16]);
        let (from, to) = (input.as_ptr().addr(), output.as_mut_ptr().addr());
        let buffered = Seen { system: input, user: to, ..Seen::default() };
        let direct = Seen { system: input, list: (to, 16), ..Seen::default() };
        let neither = Seen { type3: from, user: to, ..Seen::default() };
        for (method, expected) in [buffered, direct, direct, neither].into_iter().enumerate() {
            let code = control_code(0x22, 0x900, method as u32, 0);
            let (returned, block) = send_built(target, null_mut(), code, &input, &mut output);
            assert_eq!(
                (returned, block.status, block.information),
                (NtStatus::SUCCESS, NtStatus::SUCCESS, 0)
            );
            assert_eq!(SEEN.take(), Some(expected), "method {method}");
        }
        device::delete(target);
        driver::report_leftovers();
    });
}

#[test]
fn a_request_of_an_asynchronous_file_signals_its_event_when_it_is_done() {
    with_device(Generation::WithKernelMap, |device| {
        let handle = open_with(&device.link(), SYNCHRONIZE | READ_AND_WRITE, 0).expect("the device opens");
        let done = object::create(ObjectType::Event, size_of::<KEvent>(), || {}).cast::<KEvent>();
        event::initialize(done, 0, true);
        let event = object::open(done.cast(), "an event");
        device.inject(Request::Size, 1, Fault::Late(3_000_000));
        let (mut size, mut block) = (0u64, IoStatusBlock { status: NtStatus::TIMEOUT, information: 99 });
        let start = schedule::now();
        // SAFETY: everything lives until the event is signaled.
        let status = unsafe {
            let (block, size) = (&raw mut block, (&raw mut size).cast());
            ZwDeviceIoControlFile(
                handle,
                event,
                null_mut(),
                null_mut(),
                block,
                REQUEST_SIZE,
                null_mut(),
                0,
                size,
                8,
            )
        };
        assert_eq!((status, event::is_signaled(done), schedule::now()), (NtStatus::PENDING, false, start));
        // The handle may go; the request has its file.
        close(handle);
        assert!(event::wait(done, None));
        assert_eq!((schedule::now() - start, size), (3_000_000, MIB));
        assert_eq!((block.status, block.information), (NtStatus::SUCCESS, 8));
        close(event);
        object::dereference(done.cast());
        assert_eq!(device.open_files(), 0);
    });
}
