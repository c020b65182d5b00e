//! IRQL, spin locks and the stack.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use testbed::kernel::debug::KeBugCheckEx;
use testbed::kernel::event::KeInitializeEvent;
use testbed::kernel::registry::ZwOpenKey;
use testbed::kernel::spin_lock::{
    KeAcquireSpinLockAtDpcLevel, KeAcquireSpinLockRaiseToDpc, KeGetCurrentIrql, KeInitializeSpinLock,
    KeLowerIrql, KeRaiseIrqlToDpcLevel, KeReleaseSpinLock,
};
use testbed::kernel::time::KeQueryPerformanceCounter;
use testbed::nt::{KEvent, KSpinLock};
use testbed::schedule::{self, DISPATCH_LEVEL, PASSIVE_LEVEL};
use testbed::{Config, Machine, Rule, crossing};

use crate::{breaks, clean, object};

fn new_lock() -> *mut KSpinLock {
    let lock = object();
    // SAFETY: memory for a lock.
    unsafe { KeInitializeSpinLock(lock) };
    lock
}

fn raise() -> u8 {
    // SAFETY: the function takes no arguments.
    unsafe { KeRaiseIrqlToDpcLevel() }
}

#[test]
fn a_spin_lock_raises_to_dispatch_level_and_back() {
    clean(|| {
        let lock = new_lock();
        // SAFETY: an initialised lock.
        let old = unsafe { KeAcquireSpinLockRaiseToDpc(lock) };
        // SAFETY: the function takes no arguments.
        assert_eq!((old, unsafe { KeGetCurrentIrql() }), (PASSIVE_LEVEL, DISPATCH_LEVEL));
        // SAFETY: this thread holds the lock.
        unsafe { KeReleaseSpinLock(lock, old) };
        assert_eq!(schedule::current().irql.get(), PASSIVE_LEVEL);
    });
}

#[test]
fn acquiring_a_spin_lock_twice_is_reported() {
    breaks(Rule::SpinLock, || {
        let lock = new_lock();
        // SAFETY: an initialised lock.
        unsafe {
            KeAcquireSpinLockRaiseToDpc(lock);
            KeAcquireSpinLockAtDpcLevel(lock);
        }
    });
}

#[test]
fn a_spin_lock_that_was_never_initialised_is_reported() {
    breaks(Rule::SpinLock, || {
        let lock: *mut KSpinLock = object();
        // SAFETY: memory for a lock, with something else in it.
        unsafe {
            lock.write(0xDEAD);
            KeAcquireSpinLockRaiseToDpc(lock);
        }
    });
}

#[test]
fn a_spin_lock_that_nobody_holds_cannot_be_released() {
    breaks(Rule::SpinLock, || {
        raise();
        // SAFETY: an initialised lock.
        unsafe { KeReleaseSpinLock(new_lock(), PASSIVE_LEVEL) };
    });
}

#[test]
fn a_wait_with_a_spin_lock_held_is_reported() {
    breaks(Rule::SpinLock, || {
        let (lock, event): (_, *mut KEvent) = (new_lock(), object());
        // SAFETY: an initialised lock, and memory for an event.
        unsafe {
            KeInitializeEvent(event, 0, 1);
            let old = KeAcquireSpinLockRaiseToDpc(lock);
            let second = -10_000_000_i64;
            testbed::kernel::dispatcher::KeWaitForSingleObject(event.cast(), 0, 0, 0, &raw const second);
            KeReleaseSpinLock(lock, old);
        }
    });
}

#[test]
fn a_return_with_a_spin_lock_held_is_reported() {
    let outcome = Machine::run(Config::default(), || {
        let lock = new_lock_outside();
        schedule::current().irql.set(DISPATCH_LEVEL);
        crossing::call_driver("callback", || {
            // SAFETY: an initialised lock.
            unsafe { KeAcquireSpinLockAtDpcLevel(lock) };
        });
    });
    let rules: Vec<Rule> = outcome.violations.iter().map(|violation| violation.rule).collect();
    assert_eq!(rules, [Rule::SpinLock]);
}

/// A zeroed lock is a free one.
fn new_lock_outside() -> *mut KSpinLock {
    object()
}

#[test]
fn a_return_at_another_level_is_reported() {
    breaks(Rule::IrqlUnbalanced, || {
        raise();
    });
    clean(|| {
        let old = raise();
        // SAFETY: the level before.
        unsafe { KeLowerIrql(old) };
    });
}

#[test]
fn a_function_above_its_level_is_reported() {
    breaks(Rule::Irql, || {
        let old = raise();
        // SAFETY: wrong at this level; the arguments are not looked at before their check.
        unsafe { ZwOpenKey(std::ptr::null_mut(), 0, std::ptr::null()) };
        // SAFETY: the level before.
        unsafe { KeLowerIrql(old) };
    });
    clean(|| {
        let old = raise();
        // SAFETY: allowed at any level.
        unsafe { KeQueryPerformanceCounter(std::ptr::null_mut()) };
        // SAFETY: the level before.
        unsafe { KeLowerIrql(old) };
    });
}

#[test]
fn a_bug_check_stops_the_machine() {
    let text = breaks(Rule::BugCheck, || {
        // SAFETY: the function takes any numbers.
        unsafe { KeBugCheckEx(0xDEAD, 1, 2, 3, 4) };
        unreachable!("the machine has stopped");
    });
    assert!(text.contains("0xdead"), "{text}");
}

#[test]
fn a_spin_lock_excludes_other_threads_whatever_the_interleaving() {
    for seed in 0..40 {
        let config = Config { seed: Some(seed), ..Config::default() };
        let outcome = Machine::run(config, || {
            let (lock, inside) = (object::<KSpinLock>(), Rc::new(Cell::new(0)));
            let left = Rc::new(Cell::new(3));
            for _ in 0..3 {
                let (inside, left) = (Rc::clone(&inside), Rc::clone(&left));
                schedule::spawn("processor", PASSIVE_LEVEL, move || {
                    crossing::call_driver("test", || {
                        // SAFETY: a zeroed lock is a free one.
                        let old = unsafe { KeAcquireSpinLockRaiseToDpc(lock) };
                        assert_eq!(inside.replace(1), 0);
                        // SAFETY: allowed at any level; another thread may run here.
                        unsafe { KeQueryPerformanceCounter(std::ptr::null_mut()) };
                        inside.set(0);
                        // SAFETY: this thread holds the lock.
                        unsafe { KeReleaseSpinLock(lock, old) };
                    });
                    left.set(left.get() - 1);
                });
            }
            schedule::wait("the threads", None, || (left.get() == 0).then_some(()));
        });
        outcome.expect_clean();
    }
}

#[inline(never)]
fn use_stack<const BYTES: usize>() {
    let mut space = [0u8; BYTES];
    std::hint::black_box(&mut space);
    // SAFETY: allowed at any level.
    unsafe { KeQueryPerformanceCounter(std::ptr::null_mut()) };
    // SAFETY: as above.
    unsafe { KeQueryPerformanceCounter(std::ptr::null_mut()) };
    std::hint::black_box(&mut space);
}

#[test]
fn deep_stacks_are_reported_once_and_measured() {
    breaks(Rule::Stack, use_stack::<14000>);
    let outcome = Machine::run(Config::default(), || crossing::call_driver("test", use_stack::<8000>));
    assert!((8000..12000).contains(&outcome.driver.peak_stack), "{}", outcome.driver.peak_stack);
    outcome.expect_clean();
}

/// What this thread has had of the processor, which is its own however busy the computer is.
fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: fills the local.
    let status = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(status, 0, "there is such a clock");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
fn the_processor_time_of_driver_code_is_measured_when_asked_for() {
    let config = Config { measure: true, ..Config::default() };
    let begun = Instant::now();
    let outcome = Machine::run(config, || {
        crossing::call_driver("callback", || {
            let end = processor_time() + Duration::from_millis(20);
            while processor_time() < end {
                // SAFETY: allowed at any level.
                unsafe { KeQueryPerformanceCounter(std::ptr::null_mut()) };
            }
        });
    });
    // What else the computer does in between is not taken off.
    let used = outcome.driver.cpu;
    assert!(used >= Duration::from_millis(1) && used <= begun.elapsed(), "{used:?}");
    assert_eq!(outcome.driver.crossings.first().map(|(name, _)| *name), Some("KeQueryPerformanceCounter"));
    assert!(outcome.driver.crossings.contains(&("callback", 1)));
}
