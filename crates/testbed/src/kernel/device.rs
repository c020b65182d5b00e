//! Device objects and the stacks they form.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ptr;

use crate::crossing;
use crate::kernel::imports::Export;
use crate::kernel::object::{self, ObjectType};
use crate::kernel::{dispatcher, pool};
use crate::machine::machine;
use crate::memory;
use crate::nt::dispatcher as kinds;
use crate::nt::{
    DeviceObject, DispatcherHeader, DriverObject, IO_TYPE_DEVICE, Irp, NtStatus, UnicodeString, device_flags,
    major,
};
use crate::schedule::{APC_LEVEL, DISPATCH_LEVEL, PASSIVE_LEVEL};
use crate::verifier::{self, Rule};
use crate::{exports, import};

/// The devices of a machine: by address, the one below.
#[derive(Default)]
struct Devices(RefCell<BTreeMap<usize, usize>>);

/// Makes a device of a driver, with an extension of this many zeroed bytes.
pub fn create(driver: *mut DriverObject, extension_bytes: usize) -> *mut DeviceObject {
    let bytes = size_of::<DeviceObject>() + extension_bytes;
    let device = memory::allocate(bytes, "device object").cast::<DeviceObject>();
    object::adopt(device.cast(), ObjectType::Device, || {});
    // SAFETY: the block is large enough, and zeros are a valid device object.
    let header = unsafe { &mut *device };
    header.kind = IO_TYPE_DEVICE;
    header.size = bytes as u16;
    header.driver_object = driver;
    header.flags = device_flags::INITIALIZING;
    header.stack_size = 1;
    if extension_bytes > 0 {
        header.device_extension = device.wrapping_add(1).cast();
    }
    let lock = (&raw mut header.device_lock).cast::<DispatcherHeader>();
    dispatcher::initialize(lock, kinds::SYNCHRONIZATION_EVENT, 0x18, 1);
    if !driver.is_null() {
        // SAFETY: the caller passes a live driver object.
        header.next_device = unsafe { (*driver).device_object };
        // SAFETY: as above.
        unsafe { (*driver).device_object = device };
    }
    machine().part::<Devices>().0.borrow_mut().insert(device.addr(), 0);
    device
}

/// Puts a device on top of the stack that `target` is part of; returns the device that was on top.
pub fn attach(device: *mut DeviceObject, target: *mut DeviceObject) -> *mut DeviceObject {
    let top = top_of(target);
    // SAFETY: `demand` in `top_of` found live devices; the caller passes one.
    unsafe { (*top).attached_device = device };
    // SAFETY: as above.
    unsafe { (*device).stack_size = (*top).stack_size + 1 };
    machine().part::<Devices>().0.borrow_mut().insert(device.addr(), top.addr());
    top
}

/// Takes what is on top of `lower` off it.
pub fn detach(lower: *mut DeviceObject) {
    demand(lower);
    // SAFETY: `demand` found a live device.
    let upper = unsafe { std::mem::replace(&mut (*lower).attached_device, ptr::null_mut()) };
    if upper.is_null() {
        return verifier::record(Rule::Object, "a device is detached from one that has none attached");
    }
    machine().part::<Devices>().0.borrow_mut().insert(upper.addr(), 0);
}

/// The device under another; null when there is none.
pub fn below(device: *mut DeviceObject) -> *mut DeviceObject {
    let below = machine().part::<Devices>().0.borrow().get(&device.addr()).copied().unwrap_or(0);
    ptr::with_exposed_provenance_mut(below)
}

/// The topmost device of a stack.
pub fn top_of(device: *mut DeviceObject) -> *mut DeviceObject {
    let mut top = device;
    loop {
        demand(top);
        // SAFETY: `demand` found a live device.
        let above = unsafe { (*top).attached_device };
        if above.is_null() {
            return top;
        }
        top = above;
    }
}

/// Whether an address is that of a live device.
pub fn is_live(device: *const DeviceObject) -> bool {
    machine().part::<Devices>().0.borrow().contains_key(&device.addr())
}

fn demand(device: *const DeviceObject) {
    if !is_live(device) {
        let place = memory::describe(device.addr());
        verifier::fatal(Rule::Object, format!("{:#x} is no device: {place}", device.addr()));
    }
}

/// Deletes a device. It must not be attached to another, nor have another attached.
pub fn delete(device: *mut DeviceObject) {
    demand(device);
    // SAFETY: `demand` found a live device.
    let header = unsafe { &mut *device };
    if !header.attached_device.is_null() {
        verifier::record(Rule::Object, "a device is deleted while another is attached to it");
        machine().part::<Devices>().0.borrow_mut().insert(header.attached_device.addr(), 0);
    }
    let lower = below(device);
    if !lower.is_null() {
        verifier::record(Rule::Object, "a device is deleted while it is attached to another");
        // SAFETY: a device below another is live, or was reported and forgotten when it was deleted.
        unsafe { (*lower).attached_device = ptr::null_mut() };
    }
    unlink(device, header);
    machine().part::<Devices>().0.borrow_mut().remove(&device.addr());
    pool::release_contents(device.addr(), usize::from(header.size).max(1));
    object::dereference(device.cast());
}

fn unlink(device: *mut DeviceObject, header: &DeviceObject) {
    if header.driver_object.is_null() {
        return;
    }
    // SAFETY: a device's driver object outlives it.
    let mut link = unsafe { &raw mut (*header.driver_object).device_object };
    loop {
        // SAFETY: `link` is the driver's first link, or that of a live device of it.
        let next = unsafe { *link };
        if next == device {
            // SAFETY: as above.
            unsafe { *link = header.next_device };
            return;
        }
        if next.is_null() {
            return verifier::record(Rule::Object, "a device is not in its driver's list");
        }
        // SAFETY: as above.
        link = unsafe { &raw mut (*next).next_device };
    }
}

/// The name of a major function, for messages.
fn major_name(function: u8) -> &'static str {
    match function {
        major::CREATE => "IRP_MJ_CREATE",
        major::CLOSE => "IRP_MJ_CLOSE",
        major::READ => "IRP_MJ_READ",
        major::WRITE => "IRP_MJ_WRITE",
        major::DEVICE_CONTROL => "IRP_MJ_DEVICE_CONTROL",
        major::INTERNAL_DEVICE_CONTROL => "IRP_MJ_INTERNAL_DEVICE_CONTROL",
        major::SHUTDOWN => "IRP_MJ_SHUTDOWN",
        major::CLEANUP => "IRP_MJ_CLEANUP",
        major::POWER => "IRP_MJ_POWER",
        major::SYSTEM_CONTROL => "IRP_MJ_SYSTEM_CONTROL",
        major::PNP => "IRP_MJ_PNP",
        _ => "another major function",
    }
}

/// Sends a request to a device, and advances its stack location: IoCallDriver.
pub fn call(device: *mut DeviceObject, irp: *mut Irp) -> NtStatus {
    super::irp::call(device, irp)
}

/// Calls the driver's routine for the request's present stack location.
pub(crate) fn dispatch(device: *mut DeviceObject, irp: *mut Irp) -> NtStatus {
    demand(device);
    // SAFETY: `irp::call` moved the request to a location.
    let function = unsafe { (*super::irp::current_location(irp)).major_function };
    // SAFETY: a live device has a live driver object.
    let routine = unsafe {
        let driver = (*device).driver_object;
        (*driver).major_function.get(usize::from(function)).copied().flatten()
    };
    let Some(routine) = routine else {
        verifier::fatal(
            Rule::Irp,
            format!("{} is sent to a driver without a routine for it", major_name(function)),
        );
    };
    crossing::call_driver(major_name(function), || {
        // SAFETY: the driver set this routine in its driver object.
        unsafe { routine(device, irp) }
    })
}

/// How many devices a driver has.
pub fn count(driver: *mut DriverObject) -> usize {
    let mut count = 0;
    // SAFETY: the caller passes a live driver object, and the list has live devices of it only.
    let mut device = unsafe { (*driver).device_object };
    while !device.is_null() {
        count += 1;
        // SAFETY: as above.
        device = unsafe { (*device).next_device };
    }
    count
}

import! {
    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iocreatedevice>
    pub fn IoCreateDevice(driver: *mut DriverObject, extension: u32, name: *const UnicodeString, kind: u32,
        characteristics: u32, exclusive: u8, device: *mut *mut DeviceObject) -> NtStatus, irql <= APC_LEVEL; {
        let _ = (name, exclusive);
        if !pool::may_allocate() {
            return NtStatus::INSUFFICIENT_RESOURCES;
        }
        let made = create(driver, extension as usize);
        // SAFETY: just made.
        let header = unsafe { &mut *made };
        header.device_type = kind;
        header.characteristics = characteristics;
        // SAFETY: the driver passes its variable.
        unsafe { device.write(made) };
        NtStatus::SUCCESS
    }

    /// Deletes a device.
    pub fn IoDeleteDevice(device: *mut DeviceObject), irql <= APC_LEVEL; {
        delete(device);
    }

    /// Returns the device that was on top.
    pub fn IoAttachDeviceToDeviceStack(device: *mut DeviceObject, target: *mut DeviceObject) -> *mut DeviceObject,
        irql <= DISPATCH_LEVEL; {
        attach(device, target)
    }

    /// Takes what is attached to a device off it.
    pub fn IoDetachDevice(lower: *mut DeviceObject), irql <= PASSIVE_LEVEL; {
        detach(lower);
    }

    /// The topmost device of a stack, with a reference.
    pub fn IoGetAttachedDeviceReference(device: *mut DeviceObject) -> *mut DeviceObject, irql <= DISPATCH_LEVEL; {
        let top = top_of(device);
        object::reference(top.cast());
        top
    }
}

/// What this file provides to drivers.
pub(crate) const EXPORTS: &[Export] = exports!["ntoskrnl.exe":
    IoCreateDevice, IoDeleteDevice, IoAttachDeviceToDeviceStack, IoDetachDevice, IoGetAttachedDeviceReference];
