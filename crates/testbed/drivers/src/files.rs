//! Files of a device that another driver has, and requests to it. The machine has an IVSHMEM device for these cases.

use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::Case;
use crate::nt::*;

/// The cases of this file.
pub const CASES: &[Case] = &[
    ("interface_flags", interface_flags),
    ("interface_list_leaked", list_leaked),
    ("file_user_handle", user_handle),
    ("file_handle_leaked", handle_leaked),
    ("file_reference_leaked", reference_leaked),
    ("control_apc", apc),
    ("control_no_event", no_event),
    ("control_no_device", no_device),
    ("control_leaked", built_leaked),
    ("control_freed", built_freed),
];

// SAFETY of every case: what its name says is done on purpose, and only when `well` is false; the machine reports it.

/// The class of IVSHMEM devices.
const CLASS: Guid = Guid(0xdf57_6976, 0x569d, 0x4672, [0x95, 0xa0, 0xf5, 0x7e, 0x4e, 0xa0, 0xb2, 0x10]);
/// IOCTL_IVSHMEM_REQUEST_SIZE.
const REQUEST_SIZE: u32 = 0x0022_2004;
/// SYNCHRONIZE, FILE_READ_DATA and FILE_WRITE_DATA.
const ACCESS: u32 = 0x0010_0003;
/// FILE_SYNCHRONOUS_IO_NONALERT.
const SYNCHRONOUS: u32 = 0x20;

/// The list that the link of [`link`] is in.
static LIST: AtomicPtr<u16> = AtomicPtr::new(null_mut());

/// The link of the first device; [`free_list`] frees it.
unsafe fn link(flags: u32) -> UnicodeString {
    let mut list = null_mut();
    IoGetDeviceInterfaces(&CLASS, null_mut(), flags, &mut list);
    LIST.store(list, Ordering::Relaxed);
    let mut length = 0;
    while list.add(length).read() != 0 {
        length += 1;
    }
    let bytes = (length * 2) as u16;
    UnicodeString { length: bytes, maximum: bytes, buffer: list }
}

unsafe fn free_list() {
    ExFreePool(LIST.load(Ordering::Relaxed).cast());
}

unsafe fn open_with(attributes: u32, options: u32) -> Pvoid {
    let name = link(0);
    let attributes = ObjectAttributes::new(&name, attributes);
    let mut handle = null_mut();
    let mut block = IoStatusBlock { status: 0, information: 0 };
    ZwOpenFile(&mut handle, ACCESS, &attributes, &mut block, 3, options);
    free_list();
    handle
}

/// A handle to the first device, for synchronous requests.
///
/// # Safety
/// At PASSIVE_LEVEL.
pub unsafe fn open() -> Pvoid {
    open_with(KERNEL_HANDLE, SYNCHRONOUS)
}

/// A reference to a file of the first device, and the device.
///
/// # Safety
/// At PASSIVE_LEVEL.
pub unsafe fn pointer() -> (Pvoid, *mut DeviceObject) {
    let name = link(0);
    let (mut file, mut device) = (null_mut(), null_mut());
    IoGetDeviceObjectPointer(&name, 1, &mut file, &mut device);
    free_list();
    (file, device)
}

/// A device control request.
///
/// # Safety
/// The output has as many bytes.
pub unsafe fn control(handle: Pvoid, apc: Pvoid, code: u32, output: *mut u64, bytes: u32) -> NtStatus {
    let mut block = IoStatusBlock { status: 0, information: 0 };
    let cached = 1u8;
    ZwDeviceIoControlFile(handle, null_mut(), apc, null_mut(), &mut block, code, &cached, 1, output, bytes)
}

unsafe fn interface_flags(well: bool) -> NtStatus {
    link(if well { 1 } else { 2 });
    free_list();
    SUCCESS
}

unsafe fn list_leaked(well: bool) -> NtStatus {
    link(0);
    if well {
        free_list();
    }
    SUCCESS
}

unsafe fn user_handle(well: bool) -> NtStatus {
    ZwClose(open_with(if well { KERNEL_HANDLE } else { 0 }, SYNCHRONOUS))
}

unsafe fn handle_leaked(well: bool) -> NtStatus {
    let handle = open();
    if well {
        ZwClose(handle);
    }
    SUCCESS
}

unsafe fn reference_leaked(well: bool) -> NtStatus {
    let (file, _) = pointer();
    if well {
        ObfDereferenceObject(file);
    }
    SUCCESS
}

unsafe fn size(handle: Pvoid, apc: Pvoid) {
    let mut size = 0;
    control(handle, apc, REQUEST_SIZE, &mut size, 8);
}

unsafe fn apc(well: bool) -> NtStatus {
    let handle = open();
    size(handle, if well { null_mut() } else { slot(0) });
    ZwClose(handle)
}

unsafe fn no_event(well: bool) -> NtStatus {
    let handle = open_with(KERNEL_HANDLE, if well { SYNCHRONOUS } else { 0 });
    size(handle, null_mut());
    ZwClose(handle)
}

/// A request for the size that is built, and perhaps sent.
unsafe fn build(device: *mut DeviceObject) -> *mut Irp {
    let (output, block) = (slot::<u64>(1), slot::<IoStatusBlock>(2));
    IoBuildDeviceIoControlRequest(REQUEST_SIZE, device, null_mut(), 0, output.cast(), 8, 0, event(), block)
}

unsafe fn send(irp: *mut Irp, file: Pvoid, device: *mut DeviceObject) {
    (*(*irp).location.sub(1)).file = file;
    if IofCallDriver(device, irp) == PENDING {
        KeWaitForSingleObject(slot(0), 0, 0, 0, null());
    }
}

unsafe fn no_device(well: bool) -> NtStatus {
    let (file, device) = pointer();
    send(build(if well { device } else { slot(3) }), file, device);
    ObfDereferenceObject(file);
    SUCCESS
}

unsafe fn built_leaked(well: bool) -> NtStatus {
    let (file, device) = pointer();
    let irp = build(device);
    if well {
        send(irp, file, device);
    }
    ObfDereferenceObject(file);
    SUCCESS
}

unsafe fn built_freed(well: bool) -> NtStatus {
    let (file, device) = pointer();
    let irp = build(device);
    if !well {
        IoFreeIrp(irp);
    }
    send(irp, file, device);
    ObfDereferenceObject(file);
    SUCCESS
}
