//! An IVSHMEM device, used as a driver uses it: its requests, its mappings, and what goes wrong with them.

use std::cell::Cell;
use std::ptr::null_mut;

use testbed::ivshmem::request::{RELEASE_MMAP, REQUEST_KMAP, REQUEST_MMAP, REQUEST_SIZE};
use testbed::ivshmem::{Device, Fault, Generation, Request};
use testbed::kernel::device_control::ZwDeviceIoControlFile;
use testbed::kernel::driver;
use testbed::kernel::file::ZwOpenFile;
use testbed::kernel::object::ZwClose;
use testbed::nt::{Handle, IoStatusBlock, NtStatus, OBJ_KERNEL_HANDLE, ObjectAttributes, UnicodeString};
use testbed::process::{self, Process};
use testbed::schedule::DISPATCH_LEVEL;
use testbed::{Rule, crossing, schedule};

use crate::{breaks, clean};

pub(crate) const SYNCHRONIZE: u32 = 0x0010_0000;
pub(crate) const READ_AND_WRITE: u32 = 3;
pub(crate) const NON_ALERT: u32 = 0x20;
pub(crate) const MIB: u64 = 1 << 20;

/// Runs something as a system thread of a driver does.
pub(crate) fn in_system<T>(body: impl FnOnce() -> T) -> T {
    process::within(Process::System, body)
}

/// ZwOpenFile, for synchronous requests.
pub(crate) fn open(link: &str) -> Result<Handle, NtStatus> {
    open_with(link, SYNCHRONIZE | READ_AND_WRITE, NON_ALERT)
}

pub(crate) fn open_with(link: &str, access: u32, options: u32) -> Result<Handle, NtStatus> {
    let mut units: Vec<u16> = link.encode_utf16().collect();
    let bytes = (units.len() * 2) as u16;
    let name = UnicodeString { length: bytes, maximum_length: bytes, buffer: units.as_mut_ptr() };
    let attributes = ObjectAttributes {
        length: size_of::<ObjectAttributes>() as u32,
        root_directory: 0,
        object_name: &raw const name,
        attributes: OBJ_KERNEL_HANDLE,
        security_descriptor: null_mut(),
        security_quality_of_service: null_mut(),
    };
    let mut handle = 0;
    let mut block = IoStatusBlock { status: NtStatus::PENDING, information: 99 };
    // SAFETY: everything is a local.
    let status =
        unsafe { ZwOpenFile(&raw mut handle, access, &raw const attributes, &raw mut block, 3, options) };
    status.ok()?;
    assert_eq!((block.status, block.information), (NtStatus::SUCCESS, 1));
    Ok(handle)
}

pub(crate) fn close(handle: Handle) {
    // SAFETY: the function takes any number.
    assert_eq!(unsafe { ZwClose(handle) }, NtStatus::SUCCESS);
}

/// ZwDeviceIoControlFile: the output and how much of it is valid.
fn control(handle: Handle, code: u32, input: &[u8], room: usize) -> Result<Vec<u8>, NtStatus> {
    let mut output = vec![0xEE; room];
    let mut block = IoStatusBlock { status: NtStatus::PENDING, information: 99 };
    let (input_bytes, output_bytes) = (input.len() as u32, room as u32);
    // SAFETY: everything is a local.
    let status = unsafe {
        ZwDeviceIoControlFile(
            handle,
            0,
            null_mut(),
            null_mut(),
            &raw mut block,
            code,
            input.as_ptr().cast_mut(),
            input_bytes,
            output.as_mut_ptr(),
            output_bytes,
        )
    };
    if !status.is_success() {
        // As Windows does, an error that comes at once is only returned.
        assert_eq!((block.status, block.information), (NtStatus::PENDING, 99));
        return Err(status);
    }
    assert_eq!(block.status, status);
    output.truncate(block.information);
    Ok(output)
}

fn word(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// The address of a mapping.
pub(crate) fn map(handle: Handle, code: u32) -> Result<*mut u8, NtStatus> {
    let output = control(handle, code, &[1], 32)?;
    assert_eq!(output.len(), 32);
    Ok(std::ptr::with_exposed_provenance_mut(word(&output, 16) as usize))
}

/// Runs driver-like code with a device of 1 MiB; it must break no rule and leave nothing.
#[track_caller]
pub(crate) fn with_device<T: 'static>(
    generation: Generation,
    body: impl FnOnce(&Device) -> T + 'static,
) -> T {
    clean(move || {
        let device = Device::plug(MIB, generation);
        let value = body(&device);
        driver::report_leftovers();
        value
    })
}

/// As [`with_device`], for code that breaks one rule.
#[track_caller]
pub(crate) fn breaks_with_device(rule: Rule, body: impl FnOnce(&Device) + 'static) -> String {
    breaks(rule, move || {
        let device = Device::plug(MIB, Generation::WithKernelMap);
        body(&device);
        driver::report_leftovers();
    })
}

#[test]
fn the_size_is_told_to_a_buffer_of_exactly_eight_bytes() {
    with_device(Generation::WithoutConfiguration, |device| {
        let handle = open(&device.link()).expect("the device opens");
        assert_eq!(control(handle, REQUEST_SIZE, &[], 8), Ok(MIB.to_le_bytes().to_vec()));
        for room in [0, 7, 9, 32] {
            assert_eq!(
                control(handle, REQUEST_SIZE, &[], room),
                Err(NtStatus::INVALID_BUFFER_SIZE),
                "{room}"
            );
        }
        assert_eq!(control(handle, 0x0022_2010, &[], 0), Err(NtStatus::INVALID_DEVICE_REQUEST));
        close(handle);
    });
}

#[test]
fn what_is_written_through_a_mapping_is_in_the_shared_file() {
    with_device(Generation::WithoutConfiguration, |device| {
        in_system(|| {
            let handle = open(&device.link()).expect("the device opens");
            let output = control(handle, REQUEST_MMAP, &[], 32).expect("a mapping");
            assert_eq!((word(&output, 0), word(&output, 8), word(&output, 24)), (0, MIB, 0));
            let address = std::ptr::with_exposed_provenance_mut::<u8>(word(&output, 16) as usize);
            assert_eq!((address.addr() % 4096, device.is_mapped()), (0, true));
            device.region().write(5, b"reader");
            // SAFETY: inside of the mapping.
            unsafe {
                assert_eq!(std::slice::from_raw_parts(address.add(5), 6), b"reader");
                address.add(MIB as usize - 1).write_volatile(0x42);
            }
            let file = std::fs::read(device.region().path()).expect("the file of the region");
            assert_eq!((file.len() as u64, file[MIB as usize - 1]), (MIB, 0x42));
            assert_eq!(control(handle, RELEASE_MMAP, &[], 0), Ok(Vec::new()));
            assert_eq!(control(handle, RELEASE_MMAP, &[], 0), Err(NtStatus::INVALID_DEVICE_REQUEST));
            close(handle);
        });
    });
}

#[test]
fn each_generation_takes_the_inputs_that_it_takes() {
    for (generation, without_input, unknown_mode, kernel) in [
        (
            Generation::WithoutConfiguration,
            NtStatus::SUCCESS,
            NtStatus::SUCCESS,
            NtStatus::INVALID_DEVICE_REQUEST,
        ),
        (
            Generation::WithConfiguration,
            NtStatus::INVALID_BUFFER_SIZE,
            NtStatus::INVALID_PARAMETER,
            NtStatus::INVALID_DEVICE_REQUEST,
        ),
        (
            Generation::WithKernelMap,
            NtStatus::INVALID_BUFFER_SIZE,
            NtStatus::INVALID_PARAMETER,
            NtStatus::SUCCESS,
        ),
    ] {
        with_device(generation, move |device| {
            in_system(|| {
                let handle = open(&device.link()).expect("the device opens");
                let attempt = |code, input: &[u8], room| {
                    let status = control(handle, code, input, room)
                        .map_or_else(|status| status, |_| NtStatus::SUCCESS);
                    if status.is_success() {
                        assert_eq!(control(handle, RELEASE_MMAP, &[], 0), Ok(Vec::new()));
                    }
                    status
                };
                assert_eq!(attempt(REQUEST_MMAP, &[2], 32), NtStatus::SUCCESS);
                assert_eq!(attempt(REQUEST_MMAP, &[], 32), without_input);
                assert_eq!(attempt(REQUEST_MMAP, &[1, 0], 32), without_input);
                assert_eq!(attempt(REQUEST_MMAP, &[3], 32), unknown_mode);
                assert_eq!(attempt(REQUEST_MMAP, &[1], 40), NtStatus::INVALID_BUFFER_SIZE);
                assert_eq!(attempt(REQUEST_KMAP, &[1], 32), kernel);
                close(handle);
            });
        });
    }
}

#[test]
fn one_file_has_the_region_mapped_until_it_releases_it_or_is_closed() {
    with_device(Generation::WithKernelMap, |device| {
        let [first, second] = [(); 2].map(|()| open(&device.link()).expect("the device opens"));
        map(first, REQUEST_KMAP).expect("a mapping");
        assert_eq!(map(second, REQUEST_KMAP), Err(NtStatus::DEVICE_ALREADY_ATTACHED));
        assert_eq!(control(second, RELEASE_MMAP, &[], 0), Err(NtStatus::INVALID_HANDLE));
        close(first);
        assert!(!device.is_mapped());
        assert!(device.map_elsewhere());
        assert_eq!(map(second, REQUEST_KMAP), Err(NtStatus::DEVICE_ALREADY_ATTACHED));
        assert_eq!(control(second, RELEASE_MMAP, &[], 0), Err(NtStatus::INVALID_HANDLE));
        device.unmap_elsewhere();
        map(second, REQUEST_KMAP).expect("a mapping");
        assert!(!device.map_elsewhere());
        close(second);
    });
}

#[test]
fn every_fault_comes_when_it_was_asked_for() {
    with_device(Generation::WithKernelMap, |device| {
        device.inject(Request::Open, 2, Fault::Status(NtStatus::ACCESS_DENIED));
        let handle = open(&device.link()).expect("the device opens");
        assert_eq!(open(&device.link()), Err(NtStatus::ACCESS_DENIED));
        device.set_provisioned(false);
        assert_eq!(control(handle, REQUEST_SIZE, &[], 8), Err(NtStatus::DEVICE_NOT_READY));
        device.set_provisioned(true);
        device.inject(Request::Size, 1, Fault::Size(12));
        device.inject(Request::Size, 2, Fault::Information(3));
        device.inject(Request::Size, 3, Fault::Status(NtStatus::IO_TIMEOUT));
        assert_eq!(control(handle, REQUEST_SIZE, &[], 8), Ok(12u64.to_le_bytes().to_vec()));
        assert_eq!(control(handle, REQUEST_SIZE, &[], 8), Ok(MIB.to_le_bytes()[..3].to_vec()));
        assert_eq!(control(handle, REQUEST_SIZE, &[], 8), Err(NtStatus::IO_TIMEOUT));
        device.fail(Request::KernelMap, Fault::NullPointer);
        assert_eq!(map(handle, REQUEST_KMAP), Ok(null_mut()));
        assert_eq!(control(handle, RELEASE_MMAP, &[], 0), Ok(Vec::new()));
        assert_eq!((map(handle, REQUEST_KMAP), device.heal()), (Ok(null_mut()), 1));
        assert_eq!(control(handle, RELEASE_MMAP, &[], 0), Ok(Vec::new()));
        device.inject(Request::KernelMap, 1, Fault::Unaligned);
        assert_eq!(map(handle, REQUEST_KMAP).map(|address| address.addr() % 4096), Ok(2048));
        device.inject(Request::Release, 1, Fault::Late(5_000_000));
        let before = schedule::now();
        assert_eq!(control(handle, RELEASE_MMAP, &[], 0), Ok(Vec::new()));
        assert_eq!(schedule::now() - before, 5_000_000);
        close(handle);
    });
}

#[test]
fn a_call_of_the_kernel_can_fail_too() {
    with_device(Generation::WithKernelMap, |device| {
        crossing::inject("ZwOpenFile", 1, NtStatus::INSUFFICIENT_RESOURCES);
        assert_eq!(open(&device.link()), Err(NtStatus::INSUFFICIENT_RESOURCES));
        testbed::kernel::pool::fail_after(0);
        assert_eq!(open(&device.link()), Err(NtStatus::INSUFFICIENT_RESOURCES));
        assert_eq!(device.open_files(), 0);
    });
}

#[test]
fn noise_of_a_seed_is_the_same_noise_and_covers_an_odd_region() {
    clean(|| {
        let devices = [7, 7, 8].map(|seed| {
            let device = Device::plug(200_003, Generation::WithKernelMap);
            device.region().write_noise(seed);
            device.region().read(0, 200_003)
        });
        assert_eq!(devices[0], devices[1]);
        assert!(devices[0] != devices[2] && devices[0][200_000..] != [0; 3]);
    });
}

fn poke(address: *mut u8) {
    // SAFETY: whether it is there is what the tests are about.
    unsafe { address.write_volatile(1) };
}

#[test]
fn a_user_mapping_cannot_be_touched_in_another_process() {
    let text = breaks_with_device(Rule::Access, |device| {
        let handle = open(&device.link()).expect("the device opens");
        let address = in_system(|| {
            let address = map(handle, REQUEST_MMAP).expect("a mapping");
            poke(address);
            address
        });
        poke(address);
    });
    assert!(text.contains("a user-mode address of System, in a thread of audiodg.exe"), "{text}");
}

#[test]
fn a_user_mapping_follows_the_threads_of_its_process() {
    with_device(Generation::WithKernelMap, |device| {
        let handle = open(&device.link()).expect("the device opens");
        let address = in_system(|| map(handle, REQUEST_MMAP).expect("a mapping"));
        thread_local! { static SUM: Cell<u64> = const { Cell::new(0) }; }
        let thread = schedule::spawn_in(Process::System, "writer", 0, move || {
            for _ in 0..10 {
                crossing::call_driver("writer", || poke(address));
                schedule::sleep_until(schedule::now() + 1_000_000);
                SUM.set(SUM.get() + 1);
            }
        });
        while !thread.is_finished() {
            schedule::sleep_until(schedule::now() + 300_000);
        }
        assert_eq!((SUM.take(), device.region().read(0, 1)), (10, vec![1]));
        in_system(|| close(handle));
    });
}

#[test]
fn a_user_mapping_cannot_be_touched_at_dispatch_level() {
    let text = breaks_with_device(Rule::Access, |device| {
        let handle = open(&device.link()).expect("the device opens");
        in_system(|| {
            let address = map(handle, REQUEST_MMAP).expect("a mapping");
            schedule::current().irql.set(DISPATCH_LEVEL);
            crossing::call_driver("at DISPATCH_LEVEL", || poke(address));
        });
    });
    assert!(text.contains("a user-mode address, at DISPATCH_LEVEL"), "{text}");
}

#[test]
fn a_kernel_mapping_can_be_touched_everywhere() {
    with_device(Generation::WithKernelMap, |device| {
        let handle = open(&device.link()).expect("the device opens");
        let address = in_system(|| map(handle, REQUEST_KMAP).expect("a mapping"));
        poke(address);
        schedule::current().irql.set(DISPATCH_LEVEL);
        crossing::call_driver("at DISPATCH_LEVEL", || poke(address));
        schedule::current().irql.set(0);
        close(handle);
    });
}

#[test]
fn releasing_a_user_mapping_in_another_process_is_reported() {
    let text = breaks_with_device(Rule::Mdl, |device| {
        let handle = open(&device.link()).expect("the device opens");
        in_system(|| map(handle, REQUEST_MMAP).expect("a mapping"));
        close(handle);
    });
    assert!(text.contains("unmaps in audiodg.exe what was mapped into the user space of System"), "{text}");
}

/// Where a mapping is touched, and how the violation tells of it.
#[track_caller]
fn touch(offset: isize, expected: &str) {
    let text = breaks_with_device(Rule::Access, move |device| {
        let handle = open(&device.link()).expect("the device opens");
        let address = map(handle, REQUEST_KMAP).expect("a mapping");
        poke(address.wrapping_offset(offset));
    });
    assert!(text.contains(expected) && text.contains("outside of the IVSHMEM region"), "{text}");
}

#[test]
fn the_bytes_before_and_behind_a_mapping_are_not_there() {
    touch(-1, "1 bytes before IVSHMEM region, mapped into the kernel");
    touch(MIB as isize, "0 bytes after the end of IVSHMEM region, mapped into the kernel");
}

#[test]
fn a_write_behind_the_end_of_an_odd_region_is_reported() {
    let text = breaks(Rule::Access, || {
        let device = Device::plug(5000, Generation::WithKernelMap);
        let handle = open(&device.link()).expect("the device opens");
        let address = map(handle, REQUEST_KMAP).expect("a mapping");
        poke(address.wrapping_add(4999));
        poke(address.wrapping_add(5003));
        close(handle);
    });
    assert!(
        text.contains("behind the end of a mapping of 5000 bytes were written, first 3 behind it"),
        "{text}"
    );
}

#[test]
fn a_use_after_the_release_is_reported_as_one() {
    let text = breaks_with_device(Rule::Access, |device| {
        let handle = open(&device.link()).expect("the device opens");
        let address = map(handle, REQUEST_KMAP).expect("a mapping");
        assert_eq!(control(handle, RELEASE_MMAP, &[], 0), Ok(Vec::new()));
        poke(address);
    });
    assert!(text.contains("which IOCTL_IVSHMEM_RELEASE_MMAP has unmapped"), "{text}");
}

#[test]
fn a_use_after_a_surprise_removal_is_reported_as_one() {
    let text = breaks_with_device(Rule::Access, |device| {
        let handle = open(&device.link()).expect("the device opens");
        let address = map(handle, REQUEST_KMAP).expect("a mapping");
        device.surprise_remove();
        assert_eq!(control(handle, REQUEST_SIZE, &[], 8), Err(NtStatus::INVALID_DEVICE_STATE));
        assert_eq!(open(&device.link()), Err(NtStatus::OBJECT_NAME_NOT_FOUND));
        poke(address);
    });
    assert!(text.contains("which the removal of the device has unmapped"), "{text}");
}
