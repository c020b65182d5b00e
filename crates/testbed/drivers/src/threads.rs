//! System threads.

use core::ptr::null_mut;

use crate::Case;
use crate::nt::*;

/// The cases of this file.
pub const CASES: &[Case] = &[
    ("thread_at_unload", at_unload),
    ("thread_handle_leaked", handle_leaked),
    ("thread_user_handle", user_handle),
    ("thread_priority", priority),
    ("thread_information_class", information_class),
    ("thread_terminates_foreign", terminates_foreign),
    ("thread_ends_high", ends_high),
    ("thread_ends_with_mutex", ends_with_mutex),
    ("thread_ends_with_spin_lock", ends_with_spin_lock),
    ("thread_terminates_high", terminates_high),
];

// SAFETY of every case: what its name says is done on purpose, and only when `well` is false; the machine reports it.

unsafe fn create(attributes: u32, routine: Start, context: Pvoid) -> Pvoid {
    let attributes = ObjectAttributes::new(core::ptr::null(), attributes);
    let mut handle = null_mut();
    PsCreateSystemThread(&mut handle, 0, &attributes, null_mut(), null_mut(), routine, context);
    handle
}

/// Starts a thread; its handle.
///
/// # Safety
/// The routine may have the context.
pub unsafe fn start(routine: Start, context: Pvoid) -> Pvoid {
    create(KERNEL_HANDLE, routine, context)
}

/// The object behind a thread's handle, with a reference.
///
/// # Safety
/// The handle is one of [`start`].
pub unsafe fn object_of(handle: Pvoid) -> Pvoid {
    let mut object = null_mut();
    ObReferenceObjectByHandle(handle, 0, null_mut(), 0, &mut object, null_mut());
    object
}

/// Waits until a thread has ended, and closes its handle.
///
/// # Safety
/// The handle is one of [`start`].
pub unsafe fn join(handle: Pvoid) {
    let object = object_of(handle);
    KeWaitForSingleObject(object, 0, 0, 0, core::ptr::null());
    ObfDereferenceObject(object);
    ZwClose(handle);
}

unsafe extern "system" fn idle(_context: Pvoid) {}

unsafe extern "system" fn long(_context: Pvoid) {
    sleep(1000);
}

unsafe fn at_unload(well: bool) -> NtStatus {
    let thread = start(if well { idle } else { long }, null_mut());
    sleep(1);
    ZwClose(thread)
}

unsafe fn handle_leaked(well: bool) -> NtStatus {
    let thread = start(idle, null_mut());
    sleep(1);
    if well { ZwClose(thread) } else { SUCCESS }
}

unsafe fn user_handle(well: bool) -> NtStatus {
    join(create(if well { KERNEL_HANDLE } else { 0 }, idle, null_mut()));
    SUCCESS
}

unsafe fn priority(well: bool) -> NtStatus {
    let thread = start(idle, null_mut());
    let object = object_of(thread);
    KeSetPriorityThread(object, if well { 16 } else { 32 });
    ObfDereferenceObject(object);
    join(thread);
    SUCCESS
}

unsafe fn information_class(well: bool) -> NtStatus {
    let thread = start(idle, null_mut());
    ZwSetInformationThread(thread, if well { 2 } else { 3 }, &16, 4);
    join(thread);
    SUCCESS
}

unsafe extern "system" fn terminating(_context: Pvoid) {
    PsTerminateSystemThread(SUCCESS);
}

unsafe fn terminates_foreign(well: bool) -> NtStatus {
    if !well {
        PsTerminateSystemThread(SUCCESS);
    }
    join(start(terminating, null_mut()));
    SUCCESS
}

unsafe extern "system" fn raised(_context: Pvoid) {
    KeRaiseIrqlToDpcLevel();
}

unsafe fn ends_high(well: bool) -> NtStatus {
    join(start(if well { idle } else { raised }, null_mut()));
    SUCCESS
}

unsafe extern "system" fn owning(well: Pvoid) {
    let mutex = slot(0);
    KeInitializeMutex(mutex, 0);
    KeWaitForSingleObject(mutex, 0, 0, 0, &MILLISECOND);
    if !well.is_null() {
        KeReleaseMutex(mutex, 0);
    }
}

unsafe fn ends_with_mutex(well: bool) -> NtStatus {
    join(start(owning, core::ptr::without_provenance_mut(usize::from(well))));
    SUCCESS
}

unsafe extern "system" fn end_with_spin_lock(well: Pvoid) {
    let lock = slot(2);
    KeInitializeSpinLock(lock);
    let old = KeAcquireSpinLockRaiseToDpc(lock);
    if !well.is_null() {
        KeReleaseSpinLock(lock, old);
    }
}

unsafe fn ends_with_spin_lock(well: bool) -> NtStatus {
    join(start(end_with_spin_lock, if well { slot(0) } else { null_mut() }));
    SUCCESS
}

unsafe extern "system" fn terminate_high(well: Pvoid) {
    if well.is_null() {
        KeRaiseIrqlToDpcLevel();
    }
    PsTerminateSystemThread(SUCCESS);
}

unsafe fn terminates_high(well: bool) -> NtStatus {
    join(start(terminate_high, if well { slot(0) } else { null_mut() }));
    SUCCESS
}
