//! Events, mutexes, semaphores and the waits for them.

use std::cell::{Cell, RefCell};
use std::ptr::null;
use std::rc::Rc;

use testbed::kernel::dispatcher::{KeDelayExecutionThread, KeWaitForMultipleObjects, KeWaitForSingleObject};
use testbed::kernel::event::{self, KeInitializeEvent, KeReadStateEvent, KeResetEvent, KeSetEvent};
use testbed::kernel::mutex::{
    ExAcquireFastMutex, ExReleaseFastMutex, KeInitializeMutex, KeInitializeSemaphore, KeReleaseMutex,
    KeReleaseSemaphore,
};
use testbed::kernel::pool;
use testbed::nt::{DispatcherHeader, FastMutex, KEvent, KMutant, KSemaphore, NtStatus, dispatcher};
use testbed::schedule::{self, APC_LEVEL, DISPATCH_LEVEL, PASSIVE_LEVEL};
use testbed::{Rule, crossing};

use crate::{breaks, clean, object};

const MILLISECOND: u64 = 1_000_000;

fn new_event(kind: u32, signaled: bool) -> *mut KEvent {
    let event = object();
    // SAFETY: memory for an event.
    unsafe { KeInitializeEvent(event, kind, u8::from(signaled)) };
    event
}

/// Waits with a time-out in milliseconds, relative; zero polls.
fn wait(object: *mut DispatcherHeader, milliseconds: i64) -> NtStatus {
    let timeout = -milliseconds * 10_000;
    // SAFETY: an object, and a time-out on this stack.
    unsafe { KeWaitForSingleObject(object, 0, 0, 0, &raw const timeout) }
}

fn wait_for_many(objects: &[*mut KEvent], kind: u32, milliseconds: i64) -> NtStatus {
    let timeout = -milliseconds * 10_000;
    let objects: Vec<*mut DispatcherHeader> = objects.iter().map(|event| event.cast()).collect();
    let count = objects.len() as u32;
    // SAFETY: `count` objects, and a time-out on this stack.
    unsafe {
        KeWaitForMultipleObjects(
            count,
            objects.as_ptr(),
            kind,
            0,
            0,
            0,
            &raw const timeout,
            std::ptr::null_mut(),
        )
    }
}

fn later(milliseconds: u64, action: impl FnOnce() + 'static) {
    let time = schedule::now() + milliseconds * MILLISECOND;
    testbed::kernel::dispatch_at(time, DISPATCH_LEVEL, "later", || crossing::call_driver("later", action));
}

#[test]
fn a_synchronization_event_lets_one_wait_pass_and_a_notification_event_all() {
    clean(|| {
        let once = new_event(1, true);
        assert_eq!(wait(once.cast(), 0), NtStatus::SUCCESS);
        assert_eq!(wait(once.cast(), 0), NtStatus::TIMEOUT);
        let all = new_event(0, true);
        assert_eq!(wait(all.cast(), 0), NtStatus::SUCCESS);
        assert_eq!(wait(all.cast(), 0), NtStatus::SUCCESS);
    });
}

#[test]
fn setting_and_resetting_return_the_state_before() {
    clean(|| {
        let event = new_event(0, false);
        // SAFETY: an initialised event.
        unsafe {
            assert_eq!(KeSetEvent(event, 0, 0), 0);
            assert_eq!(KeSetEvent(event, 0, 0), 1);
            assert_eq!(KeReadStateEvent(event), 1);
            assert_eq!(KeResetEvent(event), 1);
            assert_eq!(KeResetEvent(event), 0);
        }
    });
}

#[test]
fn a_wait_ends_at_the_nanosecond_of_the_signal_or_of_the_time_out() {
    clean(|| {
        let start = schedule::now();
        let event = new_event(1, false);
        later(7, move || {
            event::set(event);
        });
        assert_eq!(wait(event.cast(), 50), NtStatus::SUCCESS);
        assert_eq!(schedule::now() - start, 7 * MILLISECOND);
        assert_eq!(wait(event.cast(), 50), NtStatus::TIMEOUT);
        assert_eq!(schedule::now() - start, 57 * MILLISECOND);
    });
}

#[test]
fn a_wait_that_was_satisfied_stays_so_when_the_event_is_reset_at_once() {
    clean(|| {
        let event = new_event(0, false);
        later(1, move || {
            event::set(event);
            event::reset(event);
        });
        assert_eq!(wait(event.cast(), 5), NtStatus::SUCCESS);
    });
}

#[test]
fn waiting_for_any_takes_the_first_signaled_object_only() {
    clean(|| {
        let events = [new_event(1, false), new_event(1, true), new_event(1, true)];
        assert_eq!(wait_for_many(&events, 1, 0), NtStatus(1));
        assert_eq!(wait_for_many(&events, 1, 0), NtStatus(2));
        assert_eq!(wait_for_many(&events, 1, 0), NtStatus::TIMEOUT);
    });
}

#[test]
fn waiting_for_all_takes_nothing_until_it_can_take_all() {
    clean(|| {
        let events = [new_event(1, true), new_event(1, false)];
        assert_eq!(wait_for_many(&events, 0, 3), NtStatus::TIMEOUT);
        assert!(event::is_signaled(events[0]));
        later(2, move || {
            event::set(events[1]);
        });
        assert_eq!(wait_for_many(&events, 0, 3), NtStatus::SUCCESS);
        assert!(!event::is_signaled(events[0]) && !event::is_signaled(events[1]));
    });
}

#[test]
fn an_absolute_time_out_is_a_system_time() {
    clean(|| {
        let event = new_event(1, false);
        let start = schedule::now();
        let timeout = testbed::kernel::time::system_time() as i64 + 25_000;
        // SAFETY: an initialised event, and a time-out on this stack.
        let status = unsafe { KeWaitForSingleObject(event.cast(), 0, 0, 0, &raw const timeout) };
        assert_eq!((status, schedule::now() - start), (NtStatus::TIMEOUT, 2_500_000));
    });
}

#[test]
fn a_delay_takes_as_long_as_it_says() {
    clean(|| {
        let start = schedule::now();
        let interval = -12_345_i64;
        // SAFETY: an interval on this stack.
        unsafe { KeDelayExecutionThread(0, 0, &raw const interval) };
        assert_eq!(schedule::now() - start, 1_234_500);
    });
}

#[test]
fn a_mutex_is_its_owners_until_released_as_often_as_acquired() {
    clean(|| {
        let mutex: *mut KMutant = object();
        // SAFETY: memory for a mutex.
        unsafe { KeInitializeMutex(mutex, 0) };
        assert_eq!(wait(mutex.cast(), 0), NtStatus::SUCCESS);
        assert_eq!(wait(mutex.cast(), 0), NtStatus::SUCCESS);
        let other = Rc::new(RefCell::new(Vec::new()));
        let seen = Rc::clone(&other);
        schedule::spawn("other", PASSIVE_LEVEL, move || {
            seen.borrow_mut().push(wait(mutex.cast(), 1));
            seen.borrow_mut().push(wait(mutex.cast(), 10));
            // SAFETY: this thread owns the mutex.
            unsafe { KeReleaseMutex(mutex, 0) };
        });
        schedule::sleep_until(schedule::now() + 2 * MILLISECOND);
        // SAFETY: this thread owns the mutex, twice.
        unsafe {
            KeReleaseMutex(mutex, 0);
            assert_eq!(KeReleaseMutex(mutex, 0), 0);
        }
        schedule::sleep_until(schedule::now() + 2 * MILLISECOND);
        assert_eq!(*other.borrow(), [NtStatus::TIMEOUT, NtStatus::SUCCESS]);
    });
}

#[test]
fn a_semaphore_lets_as_many_pass_as_its_count() {
    clean(|| {
        let semaphore: *mut KSemaphore = object();
        // SAFETY: memory for a semaphore.
        unsafe { KeInitializeSemaphore(semaphore, 1, 3) };
        assert_eq!(wait(semaphore.cast(), 0), NtStatus::SUCCESS);
        assert_eq!(wait(semaphore.cast(), 0), NtStatus::TIMEOUT);
        // SAFETY: an initialised semaphore.
        assert_eq!(unsafe { KeReleaseSemaphore(semaphore, 0, 2, 0) }, 0);
        assert_eq!(wait(semaphore.cast(), 0), NtStatus::SUCCESS);
        assert_eq!(wait(semaphore.cast(), 0), NtStatus::SUCCESS);
        assert_eq!(wait(semaphore.cast(), 0), NtStatus::TIMEOUT);
    });
}

fn new_fast_mutex() -> *mut FastMutex {
    let mutex: *mut FastMutex = object();
    // SAFETY: memory for a fast mutex; what ExInitializeFastMutex does inline.
    unsafe {
        (*mutex).count = 1;
        KeInitializeEvent(&raw mut (*mutex).event, 1, 0);
    }
    mutex
}

#[test]
fn a_fast_mutex_raises_to_apc_level_while_it_is_held() {
    clean(|| {
        let mutex = new_fast_mutex();
        let irql = || schedule::current().irql.get();
        // SAFETY: an initialised fast mutex.
        unsafe { ExAcquireFastMutex(mutex) };
        assert_eq!(irql(), APC_LEVEL);
        // SAFETY: this thread owns it.
        unsafe { ExReleaseFastMutex(mutex) };
        assert_eq!(irql(), PASSIVE_LEVEL);
    });
}

#[test]
fn a_fast_mutex_keeps_another_thread_out() {
    clean(|| {
        let mutex = new_fast_mutex();
        let inside = Rc::new(Cell::new(0));
        for _ in 0..3 {
            let inside = Rc::clone(&inside);
            schedule::spawn("worker", PASSIVE_LEVEL, move || {
                // SAFETY: an initialised fast mutex.
                unsafe { ExAcquireFastMutex(mutex) };
                assert_eq!(inside.replace(1), 0);
                schedule::sleep_until(schedule::now() + MILLISECOND);
                inside.set(0);
                // SAFETY: this thread owns it.
                unsafe { ExReleaseFastMutex(mutex) };
            });
        }
        schedule::sleep_until(schedule::now() + 5 * MILLISECOND);
    });
}

#[test]
fn a_wait_for_memory_that_was_never_an_object_is_reported() {
    breaks(Rule::Object, || {
        wait(object::<KEvent>().cast(), 0);
    });
}

#[test]
fn setting_an_event_that_was_overwritten_is_reported() {
    breaks(Rule::Object, || {
        let event = new_event(0, false);
        // SAFETY: the memory of an event.
        unsafe { event.cast::<u8>().write_bytes(0x55, size_of::<KEvent>()) };
        event::set(event);
    });
}

#[test]
fn setting_a_semaphore_as_if_it_were_an_event_is_reported() {
    breaks(Rule::Object, || {
        let semaphore: *mut KSemaphore = object();
        // SAFETY: memory for a semaphore, which is wrong for KeSetEvent.
        unsafe {
            KeInitializeSemaphore(semaphore, 0, 1);
            KeSetEvent(semaphore.cast(), 0, 0);
        }
    });
}

#[test]
fn freeing_an_event_that_a_thread_waits_for_is_reported() {
    breaks(Rule::Object, || {
        let event: *mut KEvent = pool::allocate(size_of::<KEvent>(), 1, false).cast();
        // SAFETY: memory for an event.
        unsafe { KeInitializeEvent(event, 0, 0) };
        schedule::spawn("waiter", PASSIVE_LEVEL, move || {
            wait(event.cast(), 10);
        });
        schedule::sleep_until(schedule::now() + MILLISECOND);
        pool::free(event.cast(), 1);
        schedule::sleep_until(schedule::now() + 20 * MILLISECOND);
    });
}

#[test]
fn releasing_a_mutex_of_another_thread_is_reported() {
    breaks(Rule::Object, || {
        let mutex: *mut KMutant = object();
        // SAFETY: memory for a mutex, which nobody owns.
        unsafe {
            KeInitializeMutex(mutex, 0);
            KeReleaseMutex(mutex, 0);
        }
    });
}

#[test]
fn four_objects_need_wait_blocks() {
    breaks(Rule::Argument, || {
        let events = [(); 4].map(|()| new_event(0, true));
        wait_for_many(&events, 1, 0);
    });
}

#[test]
fn polling_is_allowed_at_dispatch_level_and_waiting_is_not() {
    clean(|| {
        later(1, || assert_eq!(wait(new_event(0, false).cast(), 0), NtStatus::TIMEOUT));
        schedule::sleep_until(schedule::now() + 2 * MILLISECOND);
    });
    breaks(Rule::Irql, || {
        later(1, || assert_eq!(wait(new_event(0, true).cast(), 1), NtStatus::SUCCESS));
        schedule::sleep_until(schedule::now() + 2 * MILLISECOND);
    });
}

#[test]
fn a_wait_for_ever_that_nothing_ends_is_a_deadlock() {
    breaks(Rule::Deadlock, || {
        // SAFETY: an initialised event, and no time-out.
        unsafe { KeWaitForSingleObject(new_event(0, false).cast(), 0, 0, 0, null()) };
    });
    const { assert!(dispatcher::NOTIFICATION_EVENT == 0) };
}
