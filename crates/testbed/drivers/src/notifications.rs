//! Notifications of plug and play. The machine removes the IVSHMEM device after DriverEntry.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use crate::Case;
use crate::files::{open, pointer};
use crate::nt::*;

/// The cases of this file.
pub const CASES: &[Case] = &[
    ("notification_leaked", leaked),
    ("notification_not_one", not_one),
    ("notification_flags", flags),
    ("notification_no_file", no_file),
    ("notification_blocks", blocks),
    ("notification_refused", refused),
    ("removal_refused", removal_refused),
    ("removal_file_open", removal_file_open),
];

// SAFETY of every case: what its name says is done on purpose, and only when `well` is false; the machine reports it.

/// The last words of GUID_TARGET_DEVICE_QUERY_REMOVE's first field.
const QUERY_REMOVE: u32 = 0xcb3a_4006;
/// EventCategoryTargetDeviceChange.
const TARGET: u32 = 3;

/// The registration.
static ENTRY: AtomicPtr<core::ffi::c_void> = AtomicPtr::new(null_mut());
/// What the callback closes when it is asked.
static HANDLE: AtomicPtr<core::ffi::c_void> = AtomicPtr::new(null_mut());
/// What the callback does wrong.
static MISTAKE: AtomicUsize = AtomicUsize::new(0);

const BLOCK: usize = 1;
const REFUSE_QUERY: usize = 2;
const REFUSE_THE_REST: usize = 3;
const KEEP_OPEN: usize = 4;

unsafe extern "system" fn callback(notification: *const RemovalNotification, _context: Pvoid) -> NtStatus {
    let mistake = MISTAKE.load(Ordering::Relaxed);
    let asked = (*notification).event.0 == QUERY_REMOVE;
    if asked && mistake == BLOCK {
        sleep(1);
    }
    if asked && mistake != KEEP_OPEN {
        close();
    }
    match (asked, mistake) {
        (true, REFUSE_QUERY) | (false, REFUSE_THE_REST) => UNSUCCESSFUL,
        _ => SUCCESS,
    }
}

unsafe fn close() {
    let handle = HANDLE.swap(null_mut(), Ordering::Relaxed);
    if !handle.is_null() {
        ZwClose(handle);
    }
}

unsafe fn unregister() {
    IoUnregisterPlugPlayNotificationEx(ENTRY.load(Ordering::Relaxed));
    close();
}

/// Registers for the removal of the device, with these flags.
unsafe fn register(flags: u32) {
    let handle = open();
    HANDLE.store(handle, Ordering::Relaxed);
    let mut file = null_mut();
    ObReferenceObjectByHandle(handle, 0, null_mut(), 0, &mut file, null_mut());
    let mut entry = null_mut();
    IoRegisterPlugPlayNotification(TARGET, flags, file, crate::driver(), callback, null_mut(), &mut entry);
    ObfDereferenceObject(file);
    ENTRY.store(entry, Ordering::Relaxed);
}

/// Registers a callback that makes a mistake.
unsafe fn with_mistake(mistake: usize, well: bool) -> NtStatus {
    MISTAKE.store(if well { 0 } else { mistake }, Ordering::Relaxed);
    register(0);
    crate::at_unload(unregister);
    SUCCESS
}

unsafe fn leaked(well: bool) -> NtStatus {
    register(0);
    if well {
        crate::at_unload(unregister);
    }
    SUCCESS
}

unsafe fn not_one(well: bool) -> NtStatus {
    register(0);
    if !well {
        IoUnregisterPlugPlayNotificationEx(slot(0));
    }
    unregister();
    SUCCESS
}

unsafe fn flags(well: bool) -> NtStatus {
    register(if well { 0 } else { 1 });
    if well {
        unregister();
    } else {
        close();
    }
    SUCCESS
}

unsafe fn no_file(well: bool) -> NtStatus {
    let (file, _) = pointer();
    let target = if well { file } else { slot(0) };
    let mut entry = null_mut();
    IoRegisterPlugPlayNotification(TARGET, 0, target, crate::driver(), callback, null_mut(), &mut entry);
    ObfDereferenceObject(file);
    IoUnregisterPlugPlayNotificationEx(entry)
}

unsafe fn blocks(well: bool) -> NtStatus {
    with_mistake(BLOCK, well)
}

unsafe fn refused(well: bool) -> NtStatus {
    with_mistake(REFUSE_THE_REST, well)
}

unsafe fn removal_refused(well: bool) -> NtStatus {
    with_mistake(REFUSE_QUERY, well)
}

unsafe fn removal_file_open(well: bool) -> NtStatus {
    with_mistake(KEEP_OPEN, well)
}
