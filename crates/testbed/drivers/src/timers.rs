//! Timers of both kinds, and deferred procedure calls.

use core::ptr::null_mut;

use crate::Case;
use crate::nt::*;

/// The cases of this file.
pub const CASES: &[Case] = &[
    ("timer_freed_while_set", freed_while_set),
    ("timer_initialised_while_set", initialised_while_set),
    ("timer_at_unload", at_unload),
    ("timer_expires_gone", expires_gone),
    ("timer_type", kind),
    ("timer_period", period),
    ("dpc_freed_while_queued", dpc_freed_while_queued),
    ("dpc_uninitialised", dpc_uninitialised),
    ("ex_timer_leaked", ex_leaked),
    ("ex_timer_not_one", ex_not_one),
    ("ex_timer_attributes", ex_attributes),
    ("ex_timer_absolute", ex_absolute),
    ("ex_timer_period", ex_period),
    ("ex_timer_set_parameters", ex_set_parameters),
    ("ex_timer_tolerance", ex_tolerance),
    ("ex_timer_cancel_parameters", ex_cancel_parameters),
    ("ex_timer_wait_without_cancel", ex_wait_without_cancel),
    ("ex_timer_delete_parameters", ex_delete_parameters),
    ("ex_timer_waits_for_itself", ex_waits_for_itself),
];

// SAFETY of every case: what its name says is done on purpose, and only when `well` is false; the machine reports it.

/// EX_TIMER_HIGH_RESOLUTION.
const HIGH_RESOLUTION: u32 = 4;

unsafe fn freed_while_set(well: bool) -> NtStatus {
    let timer = block(0x40);
    KeInitializeTimer(timer);
    KeSetTimer(timer, MILLISECOND, null_mut());
    if well {
        KeCancelTimer(timer);
    }
    ExFreePool(timer);
    SUCCESS
}

unsafe fn initialised_while_set(well: bool) -> NtStatus {
    let timer = slot(0);
    KeInitializeTimer(timer);
    KeSetTimer(timer, MILLISECOND, null_mut());
    if well {
        sleep(2);
    }
    KeInitializeTimer(timer);
    SUCCESS
}

unsafe fn at_unload(well: bool) -> NtStatus {
    let timer = slot(0);
    KeInitializeTimer(timer);
    KeSetTimer(timer, MILLISECOND * 1000, null_mut());
    if well {
        KeCancelTimer(timer);
    }
    SUCCESS
}

unsafe fn expires_gone(well: bool) -> NtStatus {
    let timer = slot::<u8>(0);
    KeInitializeTimer(timer.cast());
    KeSetTimer(timer.cast(), MILLISECOND, null_mut());
    if !well {
        timer.write_bytes(0x55, 0x40);
    }
    sleep(2);
    SUCCESS
}

unsafe fn kind(well: bool) -> NtStatus {
    KeInitializeTimerEx(slot(0), if well { 1 } else { 2 });
    SUCCESS
}

unsafe fn period(well: bool) -> NtStatus {
    let timer = slot(0);
    KeInitializeTimer(timer);
    KeSetTimerEx(timer, MILLISECOND, if well { 1 } else { -1 }, null_mut());
    KeCancelTimer(timer);
    SUCCESS
}

unsafe extern "system" fn idle(_dpc: Pvoid, _context: Pvoid, _first: Pvoid, _second: Pvoid) {}

unsafe fn dpc_freed_while_queued(well: bool) -> NtStatus {
    let dpc = block(0x40);
    KeInitializeDpc(dpc, idle, null_mut());
    KeInsertQueueDpc(dpc, null_mut(), null_mut());
    if well {
        sleep(1);
    }
    ExFreePool(dpc);
    SUCCESS
}

unsafe fn dpc_uninitialised(well: bool) -> NtStatus {
    let dpc = slot(0);
    if well {
        KeInitializeDpc(dpc, idle, null_mut());
    }
    KeInsertQueueDpc(dpc, null_mut(), null_mut());
    sleep(1);
    SUCCESS
}

unsafe extern "system" fn tick(_timer: Pvoid, _context: Pvoid) {}

unsafe fn ex_timer(attributes: u32) -> Pvoid {
    ExAllocateTimer(Some(tick), null_mut(), attributes)
}

unsafe fn delete(timer: Pvoid) -> NtStatus {
    ExDeleteTimer(timer, 1, 1, null_mut());
    SUCCESS
}

unsafe fn ex_leaked(well: bool) -> NtStatus {
    let timer = ex_timer(HIGH_RESOLUTION);
    if well { delete(timer) } else { SUCCESS }
}

unsafe fn ex_not_one(well: bool) -> NtStatus {
    delete(if well { ex_timer(0) } else { slot(0) })
}

unsafe fn ex_attributes(well: bool) -> NtStatus {
    delete(ex_timer(if well { HIGH_RESOLUTION } else { 0x40 }))
}

unsafe fn ex_absolute(well: bool) -> NtStatus {
    let timer = ex_timer(HIGH_RESOLUTION);
    ExSetTimer(timer, if well { MILLISECOND } else { -MILLISECOND }, 0, null_mut());
    delete(timer)
}

unsafe fn ex_period(well: bool) -> NtStatus {
    let timer = ex_timer(HIGH_RESOLUTION);
    ExSetTimer(timer, MILLISECOND, if well { 10_000 } else { -1 }, null_mut());
    delete(timer)
}

/// EXT_SET_PARAMETERS.
#[repr(C)]
struct SetParameters {
    version: u32,
    reserved: u32,
    tolerance: i64,
}

unsafe fn set_with(mut parameters: SetParameters) -> NtStatus {
    let timer = ex_timer(HIGH_RESOLUTION);
    ExSetTimer(timer, MILLISECOND, 0, (&raw mut parameters).cast());
    delete(timer)
}

unsafe fn ex_set_parameters(well: bool) -> NtStatus {
    set_with(SetParameters { version: u32::from(!well), reserved: 0, tolerance: 0 })
}

unsafe fn ex_tolerance(well: bool) -> NtStatus {
    set_with(SetParameters { version: 0, reserved: 0, tolerance: i64::from(!well) })
}

unsafe fn ex_cancel_parameters(well: bool) -> NtStatus {
    let timer = ex_timer(0);
    ExCancelTimer(timer, if well { null_mut() } else { slot(0) });
    delete(timer)
}

unsafe fn ex_wait_without_cancel(well: bool) -> NtStatus {
    let timer = ex_timer(0);
    ExDeleteTimer(timer, u8::from(well), 1, null_mut());
    SUCCESS
}

unsafe fn ex_delete_parameters(well: bool) -> NtStatus {
    // EXT_DELETE_PARAMETERS: version, reserved, callback, context.
    let mut parameters = [0usize; 3];
    parameters[0] = usize::from(!well);
    ExDeleteTimer(ex_timer(0), 1, 1, parameters.as_mut_ptr().cast());
    SUCCESS
}

unsafe extern "system" fn deleting(timer: Pvoid, well: Pvoid) {
    // At DISPATCH_LEVEL it could not wait; the level is lowered so that only waiting for itself is left.
    KeLowerIrql(PASSIVE);
    ExDeleteTimer(timer, 1, u8::from(well.is_null()), null_mut());
    KeRaiseIrqlToDpcLevel();
}

unsafe fn ex_waits_for_itself(well: bool) -> NtStatus {
    let timer = ExAllocateTimer(Some(deleting), core::ptr::without_provenance_mut(usize::from(well)), 0);
    ExSetTimer(timer, MILLISECOND, 0, null_mut());
    sleep(3);
    SUCCESS
}
