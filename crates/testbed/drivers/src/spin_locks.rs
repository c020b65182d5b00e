//! Spin locks.

use core::ptr::null_mut;

use crate::Case;
use crate::nt::*;

/// The cases of this file.
pub const CASES: &[Case] = &[
    ("spin_recursion", recursion),
    ("spin_uninitialised", uninitialised),
    ("spin_below_dispatch", below_dispatch),
    ("spin_not_held", not_held),
    ("spin_other_thread", other_thread),
    ("spin_across_wait", across_wait),
    ("spin_across_return", across_return),
    ("spin_lowered", lowered),
    ("spin_initialised_while_held", initialised_while_held),
    ("spin_released_low", released_low),
];

// SAFETY of every case: what its name says is done on purpose, and only when `well` is false; the machine reports it.

fn lock() -> *mut usize {
    let lock = slot(0);
    // SAFETY: memory for a lock.
    unsafe { KeInitializeSpinLock(lock) };
    lock
}

unsafe fn recursion(well: bool) -> NtStatus {
    let lock = lock();
    let old = KeAcquireSpinLockRaiseToDpc(lock);
    if !well {
        KeAcquireSpinLockAtDpcLevel(lock);
    }
    KeReleaseSpinLock(lock, old);
    SUCCESS
}

unsafe fn uninitialised(well: bool) -> NtStatus {
    let lock = slot::<usize>(0);
    lock.write_volatile(0x1111);
    if well {
        KeInitializeSpinLock(lock);
    }
    let old = KeAcquireSpinLockRaiseToDpc(lock);
    KeReleaseSpinLock(lock, old);
    SUCCESS
}

unsafe fn below_dispatch(well: bool) -> NtStatus {
    let lock = lock();
    if well {
        KeRaiseIrqlToDpcLevel();
    }
    KeAcquireSpinLockAtDpcLevel(lock);
    if !well {
        KeRaiseIrqlToDpcLevel();
    }
    KeReleaseSpinLockFromDpcLevel(lock);
    KeLowerIrql(PASSIVE);
    SUCCESS
}

unsafe fn not_held(well: bool) -> NtStatus {
    let lock = lock();
    KeRaiseIrqlToDpcLevel();
    if well {
        KeAcquireSpinLockAtDpcLevel(lock);
    }
    KeReleaseSpinLockFromDpcLevel(lock);
    KeLowerIrql(PASSIVE);
    SUCCESS
}

unsafe extern "system" fn releasing_dpc(_dpc: Pvoid, _context: Pvoid, _first: Pvoid, _second: Pvoid) {
    // SAFETY: the lock of `other_thread`, which this thread does not hold.
    KeReleaseSpinLockFromDpcLevel(slot(0));
}

unsafe extern "system" fn idle_dpc(_dpc: Pvoid, _context: Pvoid, _first: Pvoid, _second: Pvoid) {}

unsafe fn other_thread(well: bool) -> NtStatus {
    let (lock, dpc) = (lock(), slot(1));
    KeInitializeDpc(dpc, if well { idle_dpc } else { releasing_dpc }, null_mut());
    let old = KeAcquireSpinLockRaiseToDpc(lock);
    KeInsertQueueDpc(dpc, null_mut(), null_mut());
    KeStallExecutionProcessor(50);
    if well {
        KeReleaseSpinLock(lock, old);
    } else {
        KeLowerIrql(old);
    }
    SUCCESS
}

unsafe fn across_wait(well: bool) -> NtStatus {
    let lock = lock();
    let event = slot(1);
    KeInitializeEvent(event, 0, 1);
    let old = KeAcquireSpinLockRaiseToDpc(lock);
    let timeout: *const i64 = if well { &0 } else { &MILLISECOND };
    KeWaitForSingleObject(event, 0, 0, 0, timeout);
    KeReleaseSpinLock(lock, old);
    SUCCESS
}

unsafe extern "system" fn keeping_dpc(_dpc: Pvoid, _context: Pvoid, well: Pvoid, _second: Pvoid) {
    // SAFETY: the lock of `across_return`, which is kept unless `well` is set.
    KeAcquireSpinLockAtDpcLevel(slot(0));
    if !well.is_null() {
        // SAFETY: as above.
        KeReleaseSpinLockFromDpcLevel(slot(0));
    }
}

unsafe fn across_return(well: bool) -> NtStatus {
    lock();
    let dpc = slot(1);
    KeInitializeDpc(dpc, keeping_dpc, null_mut());
    KeInsertQueueDpc(dpc, core::ptr::without_provenance_mut(usize::from(well)), null_mut());
    sleep(1);
    SUCCESS
}

unsafe fn lowered(well: bool) -> NtStatus {
    let lock = lock();
    let old = KeAcquireSpinLockRaiseToDpc(lock);
    if !well {
        KeLowerIrql(PASSIVE);
        KeRaiseIrqlToDpcLevel();
    }
    KeReleaseSpinLock(lock, old);
    SUCCESS
}

unsafe fn initialised_while_held(well: bool) -> NtStatus {
    let lock = lock();
    let old = KeAcquireSpinLockRaiseToDpc(lock);
    if !well {
        KeInitializeSpinLock(lock);
    }
    KeReleaseSpinLock(lock, old);
    SUCCESS
}

unsafe fn released_low(well: bool) -> NtStatus {
    let lock = lock();
    let old = KeAcquireSpinLockRaiseToDpc(lock);
    if well {
        KeReleaseSpinLockFromDpcLevel(lock);
        KeLowerIrql(old);
    } else {
        KeLowerIrql(old);
        KeReleaseSpinLockFromDpcLevel(lock);
    }
    SUCCESS
}
