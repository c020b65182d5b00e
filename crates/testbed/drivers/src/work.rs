//! Work items.

use core::ptr::null_mut;

use crate::Case;
use crate::devices::{create, delete};
use crate::nt::*;

/// The cases of this file.
pub const CASES: &[Case] = &[
    ("work_leaked", leaked),
    ("work_freed_while_queued", freed_while_queued),
    ("work_queued_twice", queued_twice),
    ("work_not_one", not_one),
    ("work_without_routine", without_routine),
    ("work_ex_without_routine", ex_without_routine),
    ("work_runs_at_unload", runs_at_unload),
    ("work_plain_freed_while_queued", plain_freed_while_queued),
    ("work_plain_queued_twice", plain_queued_twice),
    ("work_plain_without_routine", plain_without_routine),
];

// SAFETY of every case: what its name says is done on purpose, and only when `well` is false; the machine reports it.

unsafe extern "system" fn idle(_device: *mut DeviceObject, _context: Pvoid) {}

/// Allocates a work item, lets the case use it, and frees it when that is asked for.
unsafe fn with_item(body: impl FnOnce(Pvoid) -> bool) -> NtStatus {
    let device = create();
    let item = IoAllocateWorkItem(device);
    if body(item) {
        IoFreeWorkItem(item);
    }
    sleep(1);
    delete(device)
}

unsafe fn leaked(well: bool) -> NtStatus {
    with_item(|_| well)
}

unsafe fn freed_while_queued(well: bool) -> NtStatus {
    with_item(|item| {
        // SAFETY: as above.
        unsafe { IoQueueWorkItem(item, Some(idle), 1, null_mut()) };
        if well {
            sleep(1);
        }
        true
    })
}

unsafe fn queued_twice(well: bool) -> NtStatus {
    with_item(|item| {
        for _ in 0..2 {
            // SAFETY: as above.
            unsafe { IoQueueWorkItem(item, Some(idle), 1, null_mut()) };
            if well {
                sleep(1);
            }
        }
        true
    })
}

unsafe fn not_one(well: bool) -> NtStatus {
    if !well {
        IoFreeWorkItem(slot(0));
    }
    with_item(|_| true)
}

unsafe fn without_routine(well: bool) -> NtStatus {
    with_item(|item| {
        // SAFETY: as above.
        unsafe { IoQueueWorkItem(item, if well { Some(idle) } else { None }, 1, null_mut()) };
        sleep(1);
        true
    })
}

unsafe fn ex_without_routine(well: bool) -> NtStatus {
    with_item(|item| {
        // SAFETY: as above.
        unsafe { IoQueueWorkItemEx(item, if well { Some(idle) } else { None }, 1, null_mut()) };
        sleep(1);
        true
    })
}

unsafe extern "system" fn short(item: *mut DeviceObject, _context: Pvoid) {
    ExFreePool(item.cast());
}

unsafe extern "system" fn long(item: *mut DeviceObject, _context: Pvoid) {
    ExFreePool(item.cast());
    sleep(1000);
}

/// WORK_QUEUE_ITEM, in pool: its routine gets the item.
unsafe fn plain(routine: Option<Work>) -> *mut usize {
    let item = block::<usize>(0x20);
    item.add(2).write(routine.map_or(0, |routine| routine as usize));
    item.add(3).write(item.addr());
    item
}

unsafe fn runs_at_unload(well: bool) -> NtStatus {
    ExQueueWorkItem(plain(Some(if well { short } else { long })).cast(), 1);
    sleep(1);
    SUCCESS
}

unsafe fn plain_freed_while_queued(well: bool) -> NtStatus {
    let item = plain(Some(idle));
    ExQueueWorkItem(item.cast(), 1);
    if well {
        sleep(1);
    }
    ExFreePool(item.cast());
    sleep(1);
    SUCCESS
}

unsafe fn plain_queued_twice(well: bool) -> NtStatus {
    let item = plain(Some(idle));
    for _ in 0..2 {
        ExQueueWorkItem(item.cast(), 1);
        if well {
            sleep(1);
        }
    }
    ExFreePool(item.cast());
    SUCCESS
}

unsafe fn plain_without_routine(well: bool) -> NtStatus {
    let item = plain(if well { Some(idle) } else { None });
    ExQueueWorkItem(item.cast(), 1);
    sleep(1);
    ExFreePool(item.cast());
    SUCCESS
}
