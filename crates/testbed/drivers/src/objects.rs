//! Events, mutexes, semaphores, and objects behind handles.

use core::ptr::null_mut;

use crate::Case;
use crate::nt::*;
use crate::threads::{join, start};

/// The cases of this file.
pub const CASES: &[Case] = &[
    ("event_uninitialised", uninitialised),
    ("event_wrong_kind", wrong_kind),
    ("event_overwritten", overwritten),
    ("event_freed_while_waited", freed_while_waited),
    ("event_initialised_while_waited", initialised_while_waited),
    ("fast_mutex_twice", fast_mutex_twice),
    ("fast_mutex_not_owned", fast_mutex_not_owned),
    ("fast_mutex_uninitialised", fast_mutex_uninitialised),
    ("mutex_not_owned", mutex_not_owned),
    ("semaphore_limits", semaphore_limits),
    ("semaphore_overflow", semaphore_overflow),
    ("handle_closed_twice", handle_closed_twice),
    ("object_not_one", object_not_one),
    ("object_released_high", object_released_high),
    ("object_reference_leaked", object_reference_leaked),
];

// SAFETY of every case: what its name says is done on purpose, and only when `well` is false; the machine reports it.

unsafe fn uninitialised(well: bool) -> NtStatus {
    let object = slot(0);
    if well {
        KeInitializeEvent(object, 0, 1);
    }
    KeWaitForSingleObject(object, 0, 0, 0, &MILLISECOND)
}

unsafe fn wrong_kind(well: bool) -> NtStatus {
    let object = slot(0);
    if well {
        KeInitializeEvent(object, 0, 0);
    } else {
        KeInitializeSemaphore(object, 0, 1);
    }
    KeSetEvent(object, 0, 0);
    SUCCESS
}

unsafe fn overwritten(well: bool) -> NtStatus {
    let event = event();
    if !well {
        event.cast::<u8>().write_bytes(0x55, 8);
    }
    KeSetEvent(event, 0, 0);
    SUCCESS
}

unsafe extern "system" fn waiting(event: Pvoid) {
    KeWaitForSingleObject(event, 0, 0, 0, &(MILLISECOND * 10));
}

unsafe fn freed_while_waited(well: bool) -> NtStatus {
    let event = block(0x18);
    KeInitializeEvent(event, 0, 0);
    let thread = start(waiting, event);
    sleep(1);
    if well {
        KeSetEvent(event, 0, 0);
        join(thread);
        ExFreePool(event);
    } else {
        ExFreePool(event);
        join(thread);
    }
    SUCCESS
}

unsafe fn initialised_while_waited(well: bool) -> NtStatus {
    let event = event();
    let thread = start(waiting, event);
    sleep(1);
    if !well {
        KeInitializeEvent(event, 0, 0);
    }
    join(thread);
    SUCCESS
}

/// ExInitializeFastMutex.
unsafe fn fast_mutex(initialised: bool) -> Pvoid {
    let mutex = slot::<i32>(0);
    mutex.write(1);
    if initialised {
        KeInitializeEvent(mutex.byte_add(0x18).cast(), 1, 0);
    }
    mutex.cast()
}

unsafe fn fast_mutex_twice(well: bool) -> NtStatus {
    let mutex = fast_mutex(true);
    ExAcquireFastMutex(mutex);
    if !well {
        ExAcquireFastMutex(mutex);
    }
    ExReleaseFastMutex(mutex);
    SUCCESS
}

unsafe fn fast_mutex_not_owned(well: bool) -> NtStatus {
    let mutex = fast_mutex(true);
    if well {
        ExAcquireFastMutex(mutex);
    }
    ExReleaseFastMutex(mutex);
    SUCCESS
}

unsafe fn fast_mutex_uninitialised(well: bool) -> NtStatus {
    let mutex = fast_mutex(well);
    ExAcquireFastMutex(mutex);
    ExReleaseFastMutex(mutex);
    SUCCESS
}

unsafe fn mutex_not_owned(well: bool) -> NtStatus {
    let mutex = slot(0);
    KeInitializeMutex(mutex, 0);
    if well {
        KeWaitForSingleObject(mutex, 0, 0, 0, &MILLISECOND);
    }
    KeReleaseMutex(mutex, 0);
    SUCCESS
}

unsafe fn semaphore_limits(well: bool) -> NtStatus {
    KeInitializeSemaphore(slot(0), 2, if well { 2 } else { 1 });
    SUCCESS
}

unsafe fn semaphore_overflow(well: bool) -> NtStatus {
    let semaphore = slot(0);
    KeInitializeSemaphore(semaphore, 1, 2);
    KeReleaseSemaphore(semaphore, 0, if well { 1 } else { 2 }, 0);
    SUCCESS
}

unsafe extern "system" fn idle(_context: Pvoid) {}

unsafe fn handle_closed_twice(well: bool) -> NtStatus {
    let thread = start(idle, null_mut());
    join(thread);
    if !well {
        ZwClose(thread);
    }
    SUCCESS
}

unsafe fn object_not_one(well: bool) -> NtStatus {
    if !well {
        ObfReferenceObject(slot(0));
    }
    SUCCESS
}

/// A reference to a thread that has ended.
unsafe fn ended_thread() -> Pvoid {
    let thread = start(idle, null_mut());
    let mut object = null_mut();
    ObReferenceObjectByHandle(thread, 0, null_mut(), 0, &mut object, null_mut());
    join(thread);
    object
}

unsafe fn object_released_high(well: bool) -> NtStatus {
    let object = ended_thread();
    if !well {
        KeRaiseIrqlToDpcLevel();
    }
    ObfDereferenceObject(object);
    KeLowerIrql(PASSIVE);
    SUCCESS
}

unsafe fn object_reference_leaked(well: bool) -> NtStatus {
    let object = ended_thread();
    if well {
        ObfDereferenceObject(object);
    }
    SUCCESS
}
