//! Spin locks and raising the IRQL.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::kernel::imports::Export;
use crate::machine::machine;
use crate::nt::KSpinLock;
use crate::schedule::{self, DISPATCH_LEVEL, Irql};
use crate::verifier::{self, Rule};
use crate::{exports, import};

/// IRQL limit of what may be called at any level.
const HIGH_LEVEL: Irql = 15;

/// The spin locks that are held: their address, and the thread.
#[derive(Default)]
pub(crate) struct SpinLocks(RefCell<BTreeMap<usize, u64>>);

/// How many spin locks a thread holds.
pub(crate) fn held_by(thread: u64) -> usize {
    machine().part::<SpinLocks>().0.borrow().values().filter(|owner| **owner == thread).count()
}

/// Forgets the spin locks in memory that goes away; whether one of them was held.
pub(crate) fn forget_range(start: usize, bytes: usize) -> bool {
    let locks = machine().part::<SpinLocks>();
    let mut locks = locks.0.borrow_mut();
    let before = locks.len();
    locks.retain(|address, _| !(start..start + bytes).contains(address));
    locks.len() < before
}

fn acquire(lock: *mut KSpinLock) {
    let thread = schedule::current();
    if thread.irql.get() < DISPATCH_LEVEL {
        verifier::record(Rule::SpinLock, "a spin lock is acquired below DISPATCH_LEVEL");
    }
    let locks = machine().part::<SpinLocks>();
    // SAFETY: the driver passes its lock; a wrong pointer faults and is reported.
    let value = unsafe { lock.read_volatile() };
    let owner = locks.0.borrow().get(&lock.addr()).copied();
    if owner == Some(thread.id) {
        verifier::fatal(
            Rule::SpinLock,
            "a spin lock is acquired by the thread that holds it: it would spin for ever",
        );
    }
    if owner.is_none() && value != 0 {
        let text =
            format!("a spin lock that was never initialised or was overwritten (its value is {value:#x})");
        verifier::fatal(Rule::SpinLock, text);
    }
    schedule::wait("a spin lock", None, || {
        let mut held = locks.0.borrow_mut();
        let free = !held.contains_key(&lock.addr());
        free.then(|| held.insert(lock.addr(), thread.id))
    });
    // SAFETY: as above.
    unsafe { lock.write_volatile(1) };
}

fn release(lock: *mut KSpinLock) {
    let thread = schedule::current();
    if thread.irql.get() < DISPATCH_LEVEL {
        verifier::record(Rule::SpinLock, "a spin lock is released below DISPATCH_LEVEL");
    }
    let locks = machine().part::<SpinLocks>();
    let owner = locks.0.borrow_mut().remove(&lock.addr());
    match owner {
        None => verifier::record(Rule::SpinLock, "a spin lock is released that nobody holds"),
        Some(owner) if owner != thread.id => {
            verifier::record(Rule::SpinLock, "a spin lock is released by a thread that does not hold it");
        }
        Some(_) => {}
    }
    // SAFETY: the driver passes its lock; a wrong pointer faults and is reported.
    unsafe { lock.write_volatile(0) };
}

/// Sets the running thread's IRQL to a level that is not below the present one; returns the old one.
fn raise(new: Irql) -> Irql {
    let thread = schedule::current();
    let old = thread.irql.get();
    if new < old {
        verifier::record(Rule::Irql, format!("raising the IRQL from {old} to {new} lowers it"));
    }
    thread.irql.set(new);
    old
}

/// Sets the running thread's IRQL as a driver does that writes the processor's register itself.
#[cfg(target_arch = "x86_64")]
pub(crate) fn set_irql(value: u64) {
    let thread = schedule::current();
    if value > u64::from(HIGH_LEVEL) {
        return verifier::record(Rule::Irql, format!("{value} is written to CR8; there is no such IRQL"));
    }
    if value < u64::from(DISPATCH_LEVEL) && held_by(thread.id) > 0 {
        let text = format!("the IRQL is lowered to {value} while a spin lock is held");
        verifier::record(Rule::SpinLock, text);
    }
    thread.irql.set(value as Irql);
    crate::memory::page_for(value as Irql);
}

/// Sets the running thread's IRQL to a level that is not above the present one.
fn lower(new: Irql) {
    let thread = schedule::current();
    let old = thread.irql.get();
    if new > old {
        verifier::record(Rule::Irql, format!("lowering the IRQL from {old} to {new} raises it"));
    }
    if new < DISPATCH_LEVEL && held_by(thread.id) > 0 {
        verifier::record(Rule::SpinLock, format!("the IRQL is lowered to {new} while a spin lock is held"));
    }
    thread.irql.set(new);
}

import! {
    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keinitializespinlock>
    pub fn KeInitializeSpinLock(lock: *mut KSpinLock), irql <= HIGH_LEVEL; {
        if machine().part::<SpinLocks>().0.borrow().contains_key(&lock.addr()) {
            verifier::record(Rule::SpinLock, "a spin lock is initialised while it is held");
        }
        // SAFETY: the driver passes memory for a lock; a wrong pointer faults and is reported.
        unsafe { lock.write_volatile(0) };
    }

    /// Raises to DISPATCH_LEVEL and takes the lock; returns the old IRQL.
    pub fn KeAcquireSpinLockRaiseToDpc(lock: *mut KSpinLock) -> Irql, irql <= DISPATCH_LEVEL; {
        let old = raise(DISPATCH_LEVEL);
        acquire(lock);
        old
    }

    /// Gives the lock back and goes back to the IRQL that acquiring it returned.
    pub fn KeReleaseSpinLock(lock: *mut KSpinLock, old: Irql), irql <= DISPATCH_LEVEL; {
        release(lock);
        lower(old);
    }

    /// For a caller that is at DISPATCH_LEVEL.
    pub fn KeAcquireSpinLockAtDpcLevel(lock: *mut KSpinLock), irql <= HIGH_LEVEL; {
        acquire(lock);
    }

    /// For a caller that stays at DISPATCH_LEVEL.
    pub fn KeReleaseSpinLockFromDpcLevel(lock: *mut KSpinLock), irql <= HIGH_LEVEL; {
        release(lock);
    }

    /// The present IRQL.
    pub fn KeGetCurrentIrql() -> Irql, irql <= HIGH_LEVEL; {
        schedule::current().irql.get()
    }

    /// What `KeRaiseIrql` calls.
    pub fn KfRaiseIrql(new: Irql) -> Irql, irql <= HIGH_LEVEL; {
        raise(new)
    }

    /// Raises to DISPATCH_LEVEL.
    pub fn KeRaiseIrqlToDpcLevel() -> Irql, irql <= DISPATCH_LEVEL; {
        raise(DISPATCH_LEVEL)
    }

    /// Goes back to a lower IRQL.
    pub fn KeLowerIrql(new: Irql), irql <= HIGH_LEVEL; {
        lower(new);
    }
}

/// What this file provides to drivers.
pub(crate) const EXPORTS: &[Export] = exports!["ntoskrnl.exe":
    KeInitializeSpinLock, KeAcquireSpinLockRaiseToDpc, KeReleaseSpinLock, KeAcquireSpinLockAtDpcLevel,
    KeReleaseSpinLockFromDpcLevel, KeGetCurrentIrql, KfRaiseIrql, KeRaiseIrqlToDpcLevel, KeLowerIrql];

/// What it provides in addition on this processor: the function that `KeLowerIrql` is a macro for on arm64.
pub(crate) const MACRO_EXPORTS: &[Export] = if cfg!(target_arch = "aarch64") {
    &[Export { module: "ntoskrnl.exe", name: "KfLowerIrql", address: KeLowerIrql as *const () }]
} else {
    &[]
};
