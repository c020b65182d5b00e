//! Device objects, and what unloading demands of them.

use core::ptr::{null, null_mut};

use crate::Case;
use crate::nt::*;

/// The cases of this file.
pub const CASES: &[Case] = &[
    ("device_detached_from_none", detached_from_none),
    ("device_deleted_below", deleted_below),
    ("device_deleted_above", deleted_above),
    ("device_not_one", not_one),
    ("device_not_listed", not_listed),
    ("device_at_unload", at_unload),
    ("device_after_failure", after_failure),
    ("unload_routine_missing", routine_missing),
];

// SAFETY of every case: what its name says is done on purpose, and only when `well` is false; the machine reports it.

/// A device of the driver.
pub fn create() -> *mut DeviceObject {
    let mut device = null_mut();
    // SAFETY: the driver's own object.
    unsafe { IoCreateDevice(crate::driver(), 0, null(), 0x22, 0, 0, &mut device) };
    device
}

/// Deletes a device.
///
/// # Safety
/// It is one of [`create`].
pub unsafe fn delete(device: *mut DeviceObject) -> NtStatus {
    IoDeleteDevice(device);
    SUCCESS
}

unsafe fn detached_from_none(well: bool) -> NtStatus {
    let (lower, upper) = (create(), create());
    if well {
        IoAttachDeviceToDeviceStack(upper, lower);
    }
    IoDetachDevice(lower);
    delete(upper);
    delete(lower)
}

unsafe fn deleted_below(well: bool) -> NtStatus {
    let (lower, upper) = (create(), create());
    IoAttachDeviceToDeviceStack(upper, lower);
    if well {
        IoDetachDevice(lower);
    }
    delete(lower);
    delete(upper)
}

unsafe fn deleted_above(well: bool) -> NtStatus {
    let (lower, upper) = (create(), create());
    IoAttachDeviceToDeviceStack(upper, lower);
    if well {
        IoDetachDevice(lower);
    }
    delete(upper);
    delete(lower)
}

unsafe fn not_one(well: bool) -> NtStatus {
    delete(if well { create() } else { slot(0) })
}

unsafe fn not_listed(well: bool) -> NtStatus {
    let device = create();
    if !well {
        (*crate::driver()).device = null_mut();
    }
    delete(device)
}

unsafe fn at_unload(well: bool) -> NtStatus {
    let device = create();
    if well { delete(device) } else { SUCCESS }
}

unsafe fn after_failure(well: bool) -> NtStatus {
    let device = create();
    if well {
        delete(device);
    }
    UNSUCCESSFUL
}

unsafe fn routine_missing(well: bool) -> NtStatus {
    if !well {
        (*crate::driver()).unload = None;
    }
    SUCCESS
}
