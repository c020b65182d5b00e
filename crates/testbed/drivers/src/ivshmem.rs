//! The shared memory of an IVSHMEM device of 5000 bytes, mapped and touched where it must not be.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use crate::Case;
use crate::devices::create;
use crate::files::{control, open, pointer};
use crate::nt::*;

/// The cases of this file. The machine sends those of a client a request in the audio engine's process.
pub const CASES: &[Case] = &[
    ("shm_client_touches", client_touches),
    ("shm_client_unmaps", client_unmaps),
    ("shm_touched_high", touched_high),
    ("shm_touched_before", touched_before),
    ("shm_touched_behind", touched_behind),
    ("shm_touched_after_release", touched_after_release),
    ("shm_written_behind_end", written_behind_end),
    ("shm_never_released", never_released),
    ("shm_io_protection", io_protection),
    ("shm_io_foreign", io_foreign),
    ("shm_io_middle", io_middle),
    ("shm_io_length", io_length),
    ("shm_io_twice", io_twice),
    ("shm_io_leaked", io_leaked),
];

// SAFETY of every case: what its name says is done on purpose, and only when `well` is false; the machine reports it.

const REQUEST_MMAP: u32 = 0x0022_2008;
const RELEASE_MMAP: u32 = 0x0022_200C;
const REQUEST_KMAP: u32 = 0x0022_2018;

/// The handle of the case.
static HANDLE: AtomicPtr<core::ffi::c_void> = AtomicPtr::new(null_mut());
/// The mapping of the case.
static MAPPING: AtomicPtr<u8> = AtomicPtr::new(null_mut());
/// Whether the client's request does harm.
static WELL: AtomicBool = AtomicBool::new(true);

/// Opens the device and maps its memory.
unsafe fn map(code: u32) -> *mut u8 {
    let handle = open();
    HANDLE.store(handle, Ordering::Relaxed);
    let mut output = [0; 4];
    control(handle, null_mut(), code, output.as_mut_ptr(), 32);
    let mapping = core::ptr::with_exposed_provenance_mut(output[2] as usize);
    MAPPING.store(mapping, Ordering::Relaxed);
    mapping
}

unsafe fn close() {
    ZwClose(HANDLE.load(Ordering::Relaxed));
}

/// Makes a device for the client's request.
unsafe fn serve(dispatch: Dispatch, well: bool) -> NtStatus {
    WELL.store(well, Ordering::Relaxed);
    (*crate::driver()).major[usize::from(DEVICE_CONTROL)] = Some(dispatch);
    create();
    SUCCESS
}

unsafe fn done(device: *mut DeviceObject, irp: *mut Irp) -> NtStatus {
    (*irp).status = SUCCESS;
    IofCompleteRequest(irp, 0);
    IoDeleteDevice(device);
    SUCCESS
}

unsafe extern "system" fn touch(device: *mut DeviceObject, irp: *mut Irp) -> NtStatus {
    if !WELL.load(Ordering::Relaxed) {
        MAPPING.load(Ordering::Relaxed).write_volatile(1);
    }
    done(device, irp)
}

unsafe extern "system" fn unmap(device: *mut DeviceObject, irp: *mut Irp) -> NtStatus {
    if !WELL.load(Ordering::Relaxed) {
        close();
    }
    done(device, irp)
}

unsafe fn client_touches(well: bool) -> NtStatus {
    map(REQUEST_MMAP).write_volatile(1);
    crate::at_unload(close);
    serve(touch, well)
}

unsafe fn client_unmaps(well: bool) -> NtStatus {
    map(REQUEST_MMAP);
    if well {
        crate::at_unload(close);
    }
    serve(unmap, well)
}

unsafe fn touched_high(well: bool) -> NtStatus {
    let mapping = map(REQUEST_MMAP);
    if !well {
        KeRaiseIrqlToDpcLevel();
    }
    mapping.write_volatile(1);
    KeLowerIrql(PASSIVE);
    close();
    SUCCESS
}

unsafe fn touched_at(offset: isize) -> NtStatus {
    map(REQUEST_KMAP).offset(offset).write_volatile(0);
    close();
    SUCCESS
}

unsafe fn touched_before(well: bool) -> NtStatus {
    touched_at(if well { 0 } else { -1 })
}

unsafe fn touched_behind(well: bool) -> NtStatus {
    touched_at(if well { 4999 } else { 8192 })
}

unsafe fn touched_after_release(well: bool) -> NtStatus {
    let mapping = map(REQUEST_KMAP);
    if !well {
        control(HANDLE.load(Ordering::Relaxed), null_mut(), RELEASE_MMAP, null_mut(), 0);
    }
    mapping.write_volatile(1);
    close();
    SUCCESS
}

unsafe fn written_behind_end(well: bool) -> NtStatus {
    touched_at(if well { 4999 } else { 5000 })
}

/// A mapping through a file whose IRP_MJ_CLEANUP has come already.
unsafe fn never_released(well: bool) -> NtStatus {
    let (file, device) = pointer();
    let (output, block) = (slot::<u64>(1), slot::<IoStatusBlock>(2));
    let (input, codes) = (slot::<u8>(3), [REQUEST_KMAP, RELEASE_MMAP]);
    input.write(1);
    for (code, room) in codes.into_iter().zip([32, 0]).take(if well { 2 } else { 1 }) {
        let irp = IoBuildDeviceIoControlRequest(
            code,
            device,
            input.cast(),
            1,
            output.cast(),
            room,
            0,
            event(),
            block,
        );
        (*(*irp).location.sub(1)).file = file;
        IofCallDriver(device, irp);
    }
    ObfDereferenceObject(file);
    SUCCESS
}

const READ_WRITE: u32 = 0x4;
const NO_CACHE: u32 = 0x200;
const WRITE_COMBINE: u32 = 0x400;

/// Maps the device's memory once more, by its physical address and so much, with a protection, and unmaps it.
unsafe fn map_again(beyond: u64, protection: u32, unmap: impl Fn(*mut u8)) -> NtStatus {
    let physical = MmGetPhysicalAddress(map(REQUEST_KMAP).cast());
    let again = MmMapIoSpaceEx(physical.wrapping_add(beyond), 4000, protection).cast::<u8>();
    if !again.is_null() {
        again.write_volatile(1);
        unmap(again);
    }
    close();
    SUCCESS
}

unsafe fn unmap_again(address: *mut u8) {
    MmUnmapIoSpace(address.cast(), 4000);
}

unsafe fn io_protection(well: bool) -> NtStatus {
    let both = if well { 0 } else { NO_CACHE };
    map_again(0, READ_WRITE | WRITE_COMBINE | both, |address| unsafe { unmap_again(address) })
}

unsafe fn io_foreign(well: bool) -> NtStatus {
    let beyond = if well { 0 } else { 1 << 20 };
    map_again(beyond, READ_WRITE, |address| unsafe { unmap_again(address) })
}

unsafe fn io_middle(well: bool) -> NtStatus {
    let beyond = if well { 0 } else { 4096 };
    map_again(beyond, READ_WRITE, |address| unsafe { unmap_again(address) })
}

unsafe fn io_length(well: bool) -> NtStatus {
    let length = if well { 4000 } else { 4096 };
    map_again(0, READ_WRITE, |address| unsafe { MmUnmapIoSpace(address.cast(), length) })
}

unsafe fn io_twice(well: bool) -> NtStatus {
    let times = if well { 1 } else { 2 };
    map_again(0, READ_WRITE, |address| (0..times).for_each(|_| unsafe { unmap_again(address) }))
}

unsafe fn io_leaked(well: bool) -> NtStatus {
    map_again(0, READ_WRITE, |address| {
        if well {
            unsafe { unmap_again(address) }
        }
    })
}
