//! File objects of devices, and the calls that open them.
//!
//! A file is opened with IRP_MJ_CREATE at the top of the device's stack. When its last handle is closed the device gets
//! IRP_MJ_CLEANUP, and IRP_MJ_CLOSE when its last reference is gone, each in the thread that did it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ptr;
use std::rc::Rc;

use crate::kernel::imports::Export;
use crate::kernel::object::{self, ObjectType};
use crate::kernel::{device, device_interface, irp, pool, time};
use crate::machine::machine;
use crate::memory;
use crate::nt::{
    DeviceObject, FILE_OPENED, FileObject, Handle, IO_TYPE_FILE, IoStackLocation, IoStatusBlock, NtStatus,
    ObjectAttributes, Pvoid, SYNCHRONIZE, UnicodeString, file_flags, file_options, irp_flags, major,
};
use crate::schedule::PASSIVE_LEVEL;
use crate::{exports, import};

/// FILE_OVERWRITE_IF, the greatest of the dispositions.
const LAST_DISPOSITION: u32 = 5;

/// What the machine knows of a file.
struct Open {
    device: *mut DeviceObject,
    /// Its name, in memory of its own.
    name: *mut u8,
}

/// The files of a machine, by the address of the object.
#[derive(Default)]
struct Files(RefCell<BTreeMap<usize, Open>>);

fn files() -> Rc<Files> {
    machine().part::<Files>()
}

/// The physical device of a file. `None`: it is no file that is open.
pub fn device_of(file: *const FileObject) -> Option<*mut DeviceObject> {
    files().0.borrow().get(&file.addr()).map(|open| open.device)
}

/// How many files of a device are open: with a handle, or a reference.
pub fn open_on(pdo: *const DeviceObject) -> usize {
    files().0.borrow().values().filter(|open| ptr::eq(open.device, pdo)).count()
}

/// Sends a request about a file to the top of its device's stack and waits for it.
fn send(device: *mut DeviceObject, file: *mut FileObject, function: u8, flags: u32) -> NtStatus {
    let top = device::top_of(device);
    // SAFETY: `top_of` gives a live device.
    let packet = irp::allocate(unsafe { (*top).stack_size });
    // SAFETY: just made, with at least one stack location.
    let location: &mut IoStackLocation = unsafe { &mut *irp::next_location(packet) };
    location.major_function = function;
    location.file_object = file;
    // SAFETY: as above.
    unsafe { (*packet).flags = flags };
    let status = irp::call_and_wait(top, packet).status;
    irp::free(packet);
    status
}

fn new_object(pdo: *mut DeviceObject, name: &str, flags: u32) -> *mut FileObject {
    let units: Vec<u16> = name.encode_utf16().collect();
    let buffer = memory::allocate(units.len() * 2, "the name of a file");
    // SAFETY: just allocated, for these units.
    unsafe { ptr::copy_nonoverlapping(units.as_ptr(), buffer.cast(), units.len()) };
    let file = memory::allocate(size_of::<FileObject>(), "file object").cast::<FileObject>();
    // SAFETY: just allocated, and zeros are a valid file object.
    let header = unsafe { &mut *file };
    header.kind = IO_TYPE_FILE;
    header.size = size_of::<FileObject>() as i16;
    header.device_object = pdo;
    header.flags = flags;
    let bytes = (units.len() * 2) as u16;
    header.file_name = UnicodeString { length: bytes, maximum_length: bytes, buffer: buffer.cast() };
    files().0.borrow_mut().insert(file.addr(), Open { device: pdo, name: buffer });
    object::adopt(file.cast(), ObjectType::File, move || last_reference_gone(file));
    file
}

/// Opens a file of a device: one reference, which is the caller's, and no handle.
///
/// # Errors
/// STATUS_OBJECT_NAME_NOT_FOUND, STATUS_OBJECT_PATH_SYNTAX_BAD, STATUS_INSUFFICIENT_RESOURCES, or what the device answered.
fn open(name: &str, flags: u32) -> Result<*mut FileObject, NtStatus> {
    let (pdo, rest) = device_interface::find(name)?;
    if !pool::may_allocate() {
        return Err(NtStatus::INSUFFICIENT_RESOURCES);
    }
    let file = new_object(pdo, &rest, flags);
    let status = send(pdo, file, major::CREATE, irp_flags::CREATE_OPERATION | irp_flags::SYNCHRONOUS_API);
    if status.is_success() {
        return Ok(file);
    }
    forget(file);
    object::dereference(file.cast());
    Err(status)
}

/// Called before the last handle of a file is gone for good.
pub(super) fn last_handle_closed(file: *mut FileObject) {
    let Some(device) = device_of(file) else { return };
    // SAFETY: the handle that is being closed still has its reference.
    unsafe { (*file).flags |= file_flags::CLEANUP_COMPLETE };
    send(device, file, major::CLEANUP, irp_flags::CLOSE_OPERATION | irp_flags::SYNCHRONOUS_API);
}

fn last_reference_gone(file: *mut FileObject) {
    if let Some(device) = device_of(file) {
        send(device, file, major::CLOSE, irp_flags::CLOSE_OPERATION | irp_flags::SYNCHRONOUS_API);
        forget(file);
    }
}

fn forget(file: *mut FileObject) {
    if let Some(open) = files().0.borrow_mut().remove(&file.addr()) {
        memory::free(open.name);
    }
}

/// The name in object attributes.
///
/// # Safety
/// `attributes` is null or points to object attributes.
unsafe fn name_from(attributes: *const ObjectAttributes, function: &str) -> Result<String, NtStatus> {
    // SAFETY: the caller vouches for the pointer.
    let attributes = unsafe { object::attributes(attributes, function) }?;
    if attributes.root_directory != 0 {
        // The machine has no directories that a driver could open.
        return Err(NtStatus::INVALID_HANDLE);
    }
    // SAFETY: as above.
    let name = unsafe { attributes.object_name.as_ref() }.ok_or(NtStatus::OBJECT_NAME_INVALID)?;
    // SAFETY: as above.
    Ok(unsafe { name.to_text() })
}

/// The flags of a file that is opened with these options.
fn flags_of(access: u32, options: u32) -> Result<u32, NtStatus> {
    let alert = options & file_options::SYNCHRONOUS_IO_ALERT != 0;
    let no_alert = options & file_options::SYNCHRONOUS_IO_NONALERT != 0;
    if alert && no_alert || (alert || no_alert) && access & SYNCHRONIZE == 0 {
        return Err(NtStatus::INVALID_PARAMETER);
    }
    let synchronous = if alert || no_alert { file_flags::SYNCHRONOUS_IO } else { 0 };
    let alertable = if alert { file_flags::ALERTABLE_IO } else { 0 };
    Ok(file_flags::HANDLE_CREATED | synchronous | alertable)
}

/// Opens a file and a handle to it.
fn open_handle(name: &str, access: u32, options: u32) -> Result<Handle, NtStatus> {
    let file = open(name, flags_of(access, options)?)?;
    let handle = object::open(file.cast(), format!("the file {name}"));
    object::dereference(file.cast());
    Ok(handle)
}

/// Tells the caller what came of it.
///
/// # Safety
/// Both pointers are the driver's variables.
unsafe fn answer(
    opened: Result<Handle, NtStatus>,
    handle: *mut Handle,
    block: *mut IoStatusBlock,
) -> NtStatus {
    let opened = match opened {
        Ok(opened) => opened,
        Err(status) => return status,
    };
    // SAFETY: the caller vouches for the pointer; a wrong one faults and is reported.
    unsafe { block.write(IoStatusBlock { status: NtStatus::SUCCESS, information: FILE_OPENED }) };
    // SAFETY: as above.
    unsafe { handle.write(opened) };
    NtStatus::SUCCESS
}

import! {
    /// Opens a device by a name of an interface of it.
    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-zwopenfile>
    pub fn ZwOpenFile(handle: *mut Handle, access: u32, attributes: *const ObjectAttributes, block: *mut IoStatusBlock,
        share: u32, options: u32) -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = share;
        // SAFETY: the driver passes object attributes.
        let name = unsafe { name_from(attributes, "ZwOpenFile") };
        let opened = name.and_then(|name| open_handle(&name, access, options));
        // SAFETY: the driver passes its variables.
        unsafe { answer(opened, handle, block) }
    }

    /// As ZwOpenFile; a device is there or is not, whatever the disposition.
    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-zwcreatefile>
    pub fn ZwCreateFile(handle: *mut Handle, access: u32, attributes: *const ObjectAttributes, block: *mut IoStatusBlock,
        size: *const i64, file_attributes: u32, share: u32, disposition: u32, options: u32, extended: Pvoid,
        extended_length: u32) -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = (size, file_attributes, share, extended, extended_length);
        if disposition > LAST_DISPOSITION {
            return NtStatus::INVALID_PARAMETER;
        }
        // SAFETY: the driver passes object attributes.
        let name = unsafe { name_from(attributes, "ZwCreateFile") };
        let opened = name.and_then(|name| open_handle(&name, access, options));
        // SAFETY: the driver passes its variables.
        unsafe { answer(opened, handle, block) }
    }

    /// The topmost device of the stack behind a name, and a reference to a new file of it, of which the only handle is
    /// closed again: the device has got its IRP_MJ_CLEANUP when the call returns.
    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iogetdeviceobjectpointer>
    pub fn IoGetDeviceObjectPointer(name: *const UnicodeString, access: u32, file: *mut *mut FileObject,
        device: *mut *mut DeviceObject) -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = access;
        // SAFETY: the driver passes a counted string; a wrong pointer faults and is reported.
        let name = unsafe { (*name).to_text() };
        let opened = match open(&name, file_flags::HANDLE_CREATED) {
            Ok(opened) => opened,
            Err(status) => return status,
        };
        let handle = object::open(opened.cast(), "a file");
        // The reference of `open` is the caller's now.
        let closed = object::close(handle);
        debug_assert!(closed.is_ok());
        // SAFETY: the driver's variables, which the call fills.
        unsafe { time::put(file, opened) };
        // SAFETY: as above; the file is open, so it has its device.
        unsafe { time::put(device, device::top_of((*opened).device_object)) };
        NtStatus::SUCCESS
    }
}

/// What this file provides to drivers.
pub(crate) const EXPORTS: &[Export] =
    exports!["ntoskrnl.exe": ZwOpenFile, ZwCreateFile, IoGetDeviceObjectPointer];
