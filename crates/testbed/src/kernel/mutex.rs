//! Mutexes, fast mutexes and semaphores.

use crate::kernel::dispatcher;
use crate::kernel::imports::Export;
use crate::machine::machine;
use crate::nt::{DispatcherHeader, FastMutex, KMutant, KSemaphore, dispatcher as kinds};
use crate::schedule::{self, APC_LEVEL, DISPATCH_LEVEL, Irql};
use crate::verifier::{self, Rule};
use crate::{exports, import};

/// IRQL limit of what may be called at any level.
const HIGH_LEVEL: Irql = 15;

/// The fast mutexes that are owned: address, thread.
#[derive(Default)]
struct FastMutexes(std::cell::RefCell<std::collections::BTreeMap<usize, u64>>);

/// How many mutexes of any kind a thread owns.
pub(crate) fn owned_by(thread: u64) -> usize {
    let fast = machine().part::<FastMutexes>();
    let fast = fast.0.borrow();
    dispatcher::mutexes_of(thread) + fast.values().filter(|owner| **owner == thread).count()
}

fn acquire_fast(mutex: *mut FastMutex) {
    let thread = schedule::current();
    let mutexes = machine().part::<FastMutexes>();
    // ExInitializeFastMutex is inline; of what it does, the event's initialisation is a call.
    let event = mutex.wrapping_byte_add(std::mem::offset_of!(FastMutex, event));
    dispatcher::demand(event.cast(), &[kinds::SYNCHRONIZATION_EVENT]);
    if mutexes.0.borrow().get(&mutex.addr()) == Some(&thread.id) {
        verifier::fatal(
            Rule::Object,
            "a fast mutex is acquired by the thread that owns it: it would wait for ever",
        );
    }
    schedule::wait("a fast mutex", None, || {
        let mut owned = mutexes.0.borrow_mut();
        let free = !owned.contains_key(&mutex.addr());
        free.then(|| owned.insert(mutex.addr(), thread.id))
    });
    // SAFETY: the driver passes its mutex, which `demand` found initialised.
    unsafe { (*mutex).count = 0 };
    // SAFETY: as above.
    unsafe { (*mutex).owner = std::ptr::without_provenance_mut(thread.id as usize) };
}

fn release_fast(mutex: *mut FastMutex) {
    let thread = schedule::current();
    let owner = machine().part::<FastMutexes>().0.borrow_mut().remove(&mutex.addr());
    if owner != Some(thread.id) {
        verifier::record(Rule::Object, "a fast mutex is released by a thread that does not own it");
    }
    // SAFETY: the driver passes its mutex; a wrong pointer faults and is reported.
    unsafe { (*mutex).count = 1 };
    // SAFETY: as above.
    unsafe { (*mutex).owner = std::ptr::null_mut() };
}

import! {
    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keinitializemutex>
    pub fn KeInitializeMutex(mutex: *mut KMutant, level: u32), irql <= HIGH_LEVEL; {
        let _ = level;
        // SAFETY: the driver passes memory for a mutex; a wrong pointer faults and is reported.
        unsafe { mutex.write_bytes(0, 1) };
        dispatcher::initialize(mutex.cast(), kinds::MUTANT, size_of::<KMutant>(), 1);
    }

    /// Returns the old state; zero means that the mutex is free now.
    pub fn KeReleaseMutex(mutex: *mut KMutant, wait: u8) -> i32, irql <= DISPATCH_LEVEL; {
        let header: *mut DispatcherHeader = mutex.cast();
        dispatcher::demand(header, &[kinds::MUTANT]);
        if wait != 0 {
            dispatcher::demand_may_wait("KeReleaseMutex with Wait");
        }
        if dispatcher::mutex_owner(header) != Some(schedule::current().id) {
            verifier::fatal(Rule::Object, "a mutex is released by a thread that does not own it");
        }
        dispatcher::release_mutex(header)
    }

    /// Not zero when free.
    pub fn KeReadStateMutex(mutex: *mut KMutant) -> i32, irql <= DISPATCH_LEVEL; {
        dispatcher::demand(mutex.cast(), &[kinds::MUTANT]);
        dispatcher::signal_state(mutex.cast())
    }

    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keinitializesemaphore>
    pub fn KeInitializeSemaphore(semaphore: *mut KSemaphore, count: i32, limit: i32), irql <= DISPATCH_LEVEL; {
        if limit <= 0 || !(0..=limit).contains(&count) {
            verifier::fatal(Rule::Argument, format!("a semaphore with count {count} and limit {limit}"));
        }
        dispatcher::initialize(semaphore.cast(), kinds::SEMAPHORE, size_of::<KSemaphore>(), count);
        // SAFETY: the driver passes memory for a semaphore; a wrong pointer faults and is reported.
        unsafe { (*semaphore).limit = limit };
    }

    /// Adds to the count; returns the old one.
    pub fn KeReleaseSemaphore(semaphore: *mut KSemaphore, increment: i32, adjustment: i32, wait: u8) -> i32,
        irql <= DISPATCH_LEVEL; {
        let _ = increment;
        dispatcher::demand(semaphore.cast(), &[kinds::SEMAPHORE]);
        if wait != 0 {
            dispatcher::demand_may_wait("KeReleaseSemaphore with Wait");
        }
        let old = dispatcher::signal_state(semaphore.cast());
        // SAFETY: `demand` found an initialised semaphore.
        let limit = unsafe { (*semaphore).limit };
        match old.checked_add(adjustment).filter(|new| *new <= limit && adjustment > 0) {
            Some(new) => dispatcher::set_signal_state(semaphore.cast(), new),
            None => {
                let text = format!("a semaphore at {old} of {limit} is released {adjustment} times");
                verifier::fatal(Rule::Object, text);
            }
        }
    }

    /// The count.
    pub fn KeReadStateSemaphore(semaphore: *mut KSemaphore) -> i32, irql <= DISPATCH_LEVEL; {
        dispatcher::demand(semaphore.cast(), &[kinds::SEMAPHORE]);
        dispatcher::signal_state(semaphore.cast())
    }

    /// Raises to APC_LEVEL and takes the mutex.
    pub fn ExAcquireFastMutex(mutex: *mut FastMutex), irql <= APC_LEVEL; {
        let thread = schedule::current();
        let old = thread.irql.replace(APC_LEVEL);
        acquire_fast(mutex);
        // SAFETY: the mutex is initialised, and now this thread's.
        unsafe { (*mutex).old_irql = u32::from(old) };
    }

    /// Gives the mutex back, and goes back to the IRQL before.
    pub fn ExReleaseFastMutex(mutex: *mut FastMutex), irql <= APC_LEVEL; {
        // SAFETY: the driver passes its mutex; a wrong pointer faults and is reported.
        let old = unsafe { (*mutex).old_irql } as Irql;
        release_fast(mutex);
        schedule::current().irql.set(old);
    }

    /// For a caller that holds APCs off.
    pub fn ExAcquireFastMutexUnsafe(mutex: *mut FastMutex), irql <= APC_LEVEL; {
        acquire_fast(mutex);
    }

    /// For a caller that holds APCs off.
    pub fn ExReleaseFastMutexUnsafe(mutex: *mut FastMutex), irql <= APC_LEVEL; {
        release_fast(mutex);
    }

    /// Takes the mutex if it is free.
    pub fn ExTryToAcquireFastMutex(mutex: *mut FastMutex) -> u8, irql <= APC_LEVEL; {
        let thread = schedule::current();
        let mutexes = machine().part::<FastMutexes>();
        if mutexes.0.borrow().contains_key(&mutex.addr()) {
            return 0;
        }
        let old = thread.irql.replace(APC_LEVEL);
        acquire_fast(mutex);
        // SAFETY: the mutex is initialised, and now this thread's.
        unsafe { (*mutex).old_irql = u32::from(old) };
        1
    }

    /// Holds off normal kernel APCs, which no simulated thread gets.
    pub fn KeEnterCriticalRegion(), irql <= APC_LEVEL; {}

    /// The end of a critical region.
    pub fn KeLeaveCriticalRegion(), irql <= APC_LEVEL; {}
}

/// What this file provides to drivers.
pub(crate) const EXPORTS: &[Export] = exports!["ntoskrnl.exe":
    KeInitializeMutex, KeReleaseMutex, KeReadStateMutex, KeInitializeSemaphore, KeReleaseSemaphore,
    KeReadStateSemaphore, ExAcquireFastMutex, ExReleaseFastMutex, ExAcquireFastMutexUnsafe, ExReleaseFastMutexUnsafe,
    ExTryToAcquireFastMutex, KeEnterCriticalRegion, KeLeaveCriticalRegion];
