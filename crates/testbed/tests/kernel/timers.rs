//! KTIMER, EX_TIMER and deferred procedure calls: exact times under the virtual clock.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ptr::{null, null_mut};

use testbed::kernel::dispatcher::KeWaitForSingleObject;
use testbed::kernel::ex_timer::{ExAllocateTimer, ExCancelTimer, ExDeleteTimer, ExSetTimer};
use testbed::kernel::pool;
use testbed::kernel::time::system_time;
use testbed::kernel::timer::{
    KeCancelTimer, KeFlushQueuedDpcs, KeInitializeDpc, KeInitializeTimer, KeInitializeTimerEx,
    KeInsertQueueDpc, KeSetTimer, KeSetTimerEx,
};
use testbed::kernel::{driver, time};
use testbed::nt::{DispatcherHeader, ExtSetParameters, KDpc, KTimer, NtStatus, Pvoid};
use testbed::schedule::{self, DISPATCH_LEVEL};
use testbed::{Config, Machine, Rule, crossing};

use crate::{breaks, clean, object};

const HIGH_RESOLUTION: u32 = 4;
const MILLISECOND: u64 = 1_000_000;

thread_local! {
    static CALLS: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    static LEVEL: Cell<u8> = const { Cell::new(0) };
}

fn note_call() {
    CALLS.with_borrow_mut(|calls| calls.push(schedule::now()));
    LEVEL.set(schedule::current().irql.get());
}

unsafe extern "efiapi" fn on_dpc(_dpc: *mut KDpc, _context: Pvoid, _first: Pvoid, _second: Pvoid) {
    note_call();
}

unsafe extern "efiapi" fn on_timer(_timer: *mut c_void, _context: Pvoid) {
    note_call();
}

unsafe extern "efiapi" fn on_slow_timer(_timer: *mut c_void, _context: Pvoid) {
    note_call();
    schedule::sleep_until(schedule::now() + 3 * MILLISECOND);
    note_call();
}

/// Waits without a time-out and returns how long it took.
fn elapsed(timer: *mut DispatcherHeader) -> u64 {
    let start = schedule::now();
    // SAFETY: an initialised object.
    let status = unsafe { KeWaitForSingleObject(timer, 0, 0, 0, null()) };
    assert_eq!(status, NtStatus::SUCCESS);
    schedule::now() - start
}

fn high_resolution_timer() -> *mut DispatcherHeader {
    // SAFETY: no callback.
    unsafe { ExAllocateTimer(None, null_mut(), HIGH_RESOLUTION) }
}

fn delete(timer: *mut DispatcherHeader) -> u8 {
    // SAFETY: a timer that is used no more.
    unsafe { ExDeleteTimer(timer, 1, 1, null()) }
}

#[test]
fn a_high_resolution_timer_expires_exactly_and_once() {
    clean(|| {
        let timer = high_resolution_timer();
        // SAFETY: a live timer.
        assert_eq!(unsafe { ExSetTimer(timer, -60_001, 0, null()) }, 0);
        assert_eq!(elapsed(timer), 6_000_100);
        let poll = 0_i64;
        // SAFETY: a live timer, and a time-out on this stack.
        assert_eq!(unsafe { KeWaitForSingleObject(timer, 0, 0, 0, &raw const poll) }, NtStatus::TIMEOUT);
        assert_eq!(delete(timer), 0);
    });
}

#[test]
fn setting_a_timer_again_says_that_it_was_set_and_replaces_the_time() {
    clean(|| {
        let timer = high_resolution_timer();
        // SAFETY: a live timer.
        unsafe {
            assert_eq!(ExSetTimer(timer, -10_000, 0, null()), 0);
            assert_eq!(ExSetTimer(timer, -30_000, 0, null()), 1);
        }
        assert_eq!(elapsed(timer), 3 * MILLISECOND);
        // SAFETY: a live timer, which is not set.
        assert_eq!(unsafe { ExCancelTimer(timer, null_mut()) }, 0);
        // SAFETY: a live timer.
        unsafe { ExSetTimer(timer, -10_000, 0, null()) };
        assert_eq!(delete(timer), 1);
    });
}

#[test]
fn a_periodic_timer_does_not_drift() {
    clean(|| {
        let timer = high_resolution_timer();
        // SAFETY: a live timer.
        unsafe { ExSetTimer(timer, -5_000, 10_000, null()) };
        let times = [(); 3].map(|()| elapsed(timer));
        assert_eq!(times, [500_000, MILLISECOND, MILLISECOND]);
        delete(timer);
    });
}

#[test]
fn an_ordinary_timer_takes_absolute_times_too() {
    clean(|| {
        // SAFETY: no callback.
        let timer = unsafe { ExAllocateTimer(None, null_mut(), 0) };
        // SAFETY: a live timer.
        unsafe { ExSetTimer(timer, system_time() as i64 + 70_000, 0, null()) };
        assert_eq!(elapsed(timer), 7 * MILLISECOND);
        delete(timer);
    });
}

#[test]
fn only_high_resolution_escapes_the_clock_tick() {
    let config = Config { clock_tick: Some(15_625_000), ..Config::default() };
    let body = || {
        let to_tick = time::at_clock_tick(schedule::now() + MILLISECOND) - schedule::now();
        // SAFETY: no callback.
        let timer = unsafe { ExAllocateTimer(None, null_mut(), 0) };
        // SAFETY: a live timer.
        unsafe { ExSetTimer(timer, -10_000, 0, null()) };
        assert_eq!(elapsed(timer), to_tick);
        delete(timer);
        let timer = high_resolution_timer();
        // SAFETY: a live timer.
        unsafe { ExSetTimer(timer, -10_000, 0, null()) };
        assert_eq!(elapsed(timer), MILLISECOND);
        delete(timer);
    };
    Machine::run(config, move || crossing::call_driver("test", body)).expect_clean();
}

#[test]
fn a_timer_callback_runs_at_dispatch_level_and_deleting_waits_for_it() {
    clean(|| {
        // SAFETY: the callback takes any context.
        let timer = unsafe { ExAllocateTimer(Some(on_slow_timer), null_mut(), HIGH_RESOLUTION) };
        let start = schedule::now();
        // SAFETY: a live timer.
        unsafe { ExSetTimer(timer, -10_000, 0, null()) };
        schedule::sleep_until(start + 2 * MILLISECOND);
        assert_eq!(delete(timer), 0);
        assert_eq!(schedule::now() - start, 4 * MILLISECOND);
        assert_eq!(CALLS.take(), [start + MILLISECOND, start + 4 * MILLISECOND]);
        assert_eq!(LEVEL.get(), DISPATCH_LEVEL);
    });
}

#[test]
fn a_kernel_timer_signals_and_queues_its_dpc_periodically() {
    clean(|| {
        let (timer, dpc): (*mut KTimer, *mut KDpc) = (object(), object());
        let start = schedule::now();
        // SAFETY: memory for a timer and a DPC.
        unsafe {
            KeInitializeTimerEx(timer, 1);
            KeInitializeDpc(dpc, Some(on_dpc), null_mut());
            assert_eq!(KeSetTimerEx(timer, -20_000, 5, dpc), 0);
        }
        assert_eq!(elapsed(timer.cast()), 2 * MILLISECOND);
        assert_eq!(elapsed(timer.cast()), 5 * MILLISECOND);
        // SAFETY: an initialised timer.
        unsafe {
            assert_eq!(KeCancelTimer(timer), 1);
            assert_eq!(KeCancelTimer(timer), 0);
            KeFlushQueuedDpcs();
        }
        assert_eq!(CALLS.take(), [start + 2 * MILLISECOND, start + 7 * MILLISECOND]);
    });
}

#[test]
fn a_dpc_is_queued_once_at_a_time() {
    clean(|| {
        let dpc: *mut KDpc = object();
        // SAFETY: memory for a DPC.
        unsafe {
            KeInitializeDpc(dpc, Some(on_dpc), null_mut());
            assert_eq!(KeInsertQueueDpc(dpc, null_mut(), null_mut()), 1);
            assert_eq!(KeInsertQueueDpc(dpc, null_mut(), null_mut()), 0);
            KeFlushQueuedDpcs();
        }
        assert_eq!(CALLS.take().len(), 1);
    });
}

#[test]
fn an_absolute_due_time_of_a_high_resolution_timer_is_reported() {
    breaks(Rule::Argument, || {
        // SAFETY: a live timer, with a due time that it may not have.
        unsafe { ExSetTimer(high_resolution_timer(), 10_000, 0, null()) };
    });
}

#[test]
fn timer_parameters_that_were_not_initialised_are_reported() {
    breaks(Rule::Argument, || {
        let parameters = ExtSetParameters { version: 0xCCCC_CCCC, reserved: 0, no_wake_tolerance: 0 };
        // SAFETY: a live timer, with parameters that it may not have.
        unsafe { ExSetTimer(high_resolution_timer(), -1, 0, &raw const parameters) };
    });
}

#[test]
fn waiting_for_deletion_without_cancelling_is_reported() {
    breaks(Rule::Argument, || {
        // SAFETY: a live timer, with arguments that do not go together.
        unsafe { ExDeleteTimer(high_resolution_timer(), 0, 1, null()) };
    });
}

#[test]
fn a_deleted_timer_is_no_timer() {
    breaks(Rule::Object, || {
        let timer = high_resolution_timer();
        delete(timer);
        // SAFETY: not what it seems.
        unsafe { ExSetTimer(timer, -1, 0, null()) };
    });
}

#[test]
fn a_timer_that_is_never_deleted_is_reported_at_unload() {
    breaks(Rule::Unload, || {
        high_resolution_timer();
        driver::report_leftovers();
    });
    clean(|| {
        delete(high_resolution_timer());
        driver::report_leftovers();
    });
}

#[test]
fn freeing_a_kernel_timer_that_is_set_is_reported() {
    breaks(Rule::Object, || {
        let timer: *mut KTimer = pool::allocate(size_of::<KTimer>(), 1, false).cast();
        // SAFETY: memory for a timer.
        unsafe {
            KeInitializeTimer(timer);
            KeSetTimer(timer, -10_000, null_mut());
        }
        pool::free(timer.cast(), 1);
        schedule::sleep_until(schedule::now() + 2 * MILLISECOND);
    });
}

#[test]
fn a_callback_of_its_own_does_not_run_after_cancelling() {
    clean(|| {
        // SAFETY: the callback takes any context.
        let timer = unsafe { ExAllocateTimer(Some(on_timer), null_mut(), HIGH_RESOLUTION) };
        // SAFETY: a live timer.
        unsafe {
            ExSetTimer(timer, -10_000, 0, null());
            assert_eq!(ExCancelTimer(timer, null_mut()), 1);
        }
        schedule::sleep_until(schedule::now() + 2 * MILLISECOND);
        assert_eq!(CALLS.take().len(), 0);
        delete(timer);
    });
}

#[test]
fn a_timer_that_was_overwritten_is_reported_when_it_expires() {
    breaks(Rule::Object, || {
        let timer: *mut KTimer = object();
        // SAFETY: memory for a timer.
        unsafe {
            KeInitializeTimer(timer);
            KeSetTimer(timer, -10_000, null_mut());
            timer.write_bytes(0xFF, 1);
        }
        schedule::sleep_until(schedule::now() + 2 * MILLISECOND);
    });
}

#[test]
fn a_dpc_that_was_never_initialised_is_reported_when_its_timer_expires() {
    breaks(Rule::Object, || {
        let timer: *mut KTimer = object();
        // SAFETY: memory for a timer, and zeros instead of a DPC.
        unsafe {
            KeInitializeTimer(timer);
            KeSetTimer(timer, -10_000, object());
        }
        schedule::sleep_until(schedule::now() + 2 * MILLISECOND);
    });
}

#[test]
fn a_period_that_is_due_at_once_begins_now_and_not_when_the_machine_was_switched_on() {
    thread_local! {
        static CALLS: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    }
    unsafe extern "efiapi" fn count(
        _dpc: *mut testbed::nt::KDpc,
        _context: testbed::nt::Pvoid,
        _first: testbed::nt::Pvoid,
        _second: testbed::nt::Pvoid,
    ) {
        CALLS.set(CALLS.get() + 1);
    }
    crate::clean(|| {
        let (timer, dpc) = (crate::object(), crate::object());
        // SAFETY: a timer and a DPC of this test, which outlive the machine.
        unsafe {
            testbed::kernel::timer::KeInitializeTimerEx(timer, 1);
            testbed::kernel::timer::KeInitializeDpc(dpc, Some(count), std::ptr::null_mut());
            testbed::kernel::timer::KeSetTimerEx(timer, 0, 10, dpc);
        }
        testbed::schedule::sleep_until(testbed::schedule::now() + 25_000_000);
        // SAFETY: as above.
        unsafe { testbed::kernel::timer::KeCancelTimer(timer) };
        assert_eq!(CALLS.get(), 3);
    });
}
