//! KTIMER objects and deferred procedure calls.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::crossing;
use crate::kernel::imports::Export;
use crate::kernel::{dispatcher, time};
use crate::machine::machine;
use crate::nt::{DeferredRoutine, DispatcherHeader, KDpc, KTimer, Pvoid, dispatcher as kinds};
use crate::schedule::{self, Appointment, DISPATCH_LEVEL, Irql, PASSIVE_LEVEL, Time};
use crate::verifier::{self, Rule};
use crate::{exports, import};

/// IRQL limit of what may be called at any level.
const HIGH_LEVEL: Irql = 15;
const TIMERS: &[u8] = &[kinds::NOTIFICATION_TIMER, kinds::SYNCHRONIZATION_TIMER];
/// The value of [`KDpc::kind`].
const DPC_OBJECT: u8 = 19;

/// The timers that are set, and the DPCs that are queued or run.
#[derive(Default)]
struct Timers {
    set: RefCell<BTreeMap<usize, Appointment>>,
    queued: RefCell<BTreeMap<usize, u64>>,
    running: RefCell<BTreeMap<usize, u64>>,
    sequence: std::cell::Cell<u64>,
}

fn timers() -> std::rc::Rc<Timers> {
    machine().part::<Timers>()
}

/// Reports timers and DPCs in memory that goes away.
pub(crate) fn forget_range(start: usize, bytes: usize) {
    let timers = timers();
    let range = start..start + bytes.max(1);
    let set: Vec<usize> = timers.set.borrow().range(range.clone()).map(|(address, _)| *address).collect();
    for address in set {
        stop(address);
        verifier::record(Rule::Object, "a timer is freed while it is set");
    }
    let queued: Vec<usize> = timers.queued.borrow().range(range).map(|(address, _)| *address).collect();
    for address in queued {
        timers.queued.borrow_mut().remove(&address);
        verifier::record(Rule::Object, "a DPC is freed while it is queued");
    }
}

/// Reports what is still set or queued when the last driver goes.
pub(crate) fn report_leaks() {
    let timers = timers();
    for (_, appointment) in timers.set.take() {
        schedule::cancel(appointment);
        verifier::record(Rule::Unload, "a timer is still set");
    }
    for _ in timers.queued.take() {
        verifier::record(Rule::Unload, "a DPC is still queued");
    }
}

fn stop(timer: usize) -> bool {
    let appointment = timers().set.borrow_mut().remove(&timer);
    appointment.is_some_and(schedule::cancel)
}

fn start(timer: *mut KTimer, at: Time, period: u32, dpc: *mut KDpc) {
    let appointment = schedule::at(time::at_clock_tick(at), move || expire(timer, at, period, dpc));
    timers().set.borrow_mut().insert(timer.addr(), appointment);
}

fn expire(timer: *mut KTimer, at: Time, period: u32, dpc: *mut KDpc) {
    timers().set.borrow_mut().remove(&timer.addr());
    if let Err(text) = dispatcher::check(timer.cast()) {
        return verifier::record(Rule::Object, format!("a timer expires that is gone: {text}"));
    }
    if period > 0 {
        // From the due time, not from now: periods do not drift.
        start(timer, at + u64::from(period) * 1_000_000, period, dpc);
    }
    dispatcher::set_signal_state(timer.cast(), 1);
    if !dpc.is_null() {
        queue(dpc, None);
    }
}

/// Queues a DPC; false when it is queued already.
fn queue(dpc: *mut KDpc, arguments: Option<(Pvoid, Pvoid)>) -> bool {
    let timers = timers();
    if timers.queued.borrow().contains_key(&dpc.addr()) {
        return false;
    }
    // SAFETY: the driver passes its DPC; a wrong pointer faults and is reported.
    let (kind, routine, context) = unsafe { ((*dpc).kind, (*dpc).deferred_routine, (*dpc).deferred_context) };
    let Some(routine) = routine.filter(|_| kind == DPC_OBJECT) else {
        verifier::fatal(Rule::Object, "a DPC is queued that was never initialised");
    };
    let (argument1, argument2) = arguments.unwrap_or((std::ptr::null_mut(), std::ptr::null_mut()));
    let number = timers.sequence.get() + 1;
    timers.sequence.set(number);
    timers.queued.borrow_mut().insert(dpc.addr(), number);
    schedule::spawn("DPC", DISPATCH_LEVEL, move || {
        run_dpc(dpc, number, routine, [context, argument1, argument2])
    });
    true
}

fn run_dpc(
    dpc: *mut KDpc,
    number: u64,
    routine: DeferredRoutine,
    [context, argument1, argument2]: [Pvoid; 3],
) {
    let timers = timers();
    // Removed, or queued again after that: then this call is not the one.
    if timers.queued.borrow().get(&dpc.addr()) != Some(&number) {
        return;
    }
    timers.queued.borrow_mut().remove(&dpc.addr());
    timers.running.borrow_mut().insert(dpc.addr(), number);
    crossing::call_driver("deferred procedure", || {
        // SAFETY: the driver registered this routine for its DPC.
        unsafe { routine(dpc, context, argument1, argument2) }
    });
    timers.running.borrow_mut().remove(&dpc.addr());
}

fn set_timer(timer: *mut KTimer, due: i64, period: u32, dpc: *mut KDpc) -> bool {
    dispatcher::demand(timer.cast(), TIMERS);
    let was_set = stop(timer.addr());
    dispatcher::set_signal_state(timer.cast(), 0);
    // A time that has passed counts as now: periods follow from there, not from long ago.
    start(timer, time::due(due).max(schedule::now()), period, dpc);
    was_set
}

fn initialize(timer: *mut KTimer, kind: u8) {
    if stop(timer.addr()) {
        verifier::record(Rule::Object, "a timer is initialised while it is set");
    }
    // SAFETY: the driver passes memory for a timer; a wrong pointer faults and is reported.
    unsafe { timer.write_bytes(0, 1) };
    dispatcher::initialize(timer.cast::<DispatcherHeader>(), kind, size_of::<KTimer>(), 0);
}

import! {
    /// A timer that stays signaled.
    pub fn KeInitializeTimer(timer: *mut KTimer), irql <= DISPATCH_LEVEL; {
        initialize(timer, kinds::NOTIFICATION_TIMER);
    }

    /// A timer of type 0 (notification) or 1 (synchronization).
    pub fn KeInitializeTimerEx(timer: *mut KTimer, kind: u32), irql <= DISPATCH_LEVEL; {
        if kind > 1 {
            verifier::fatal(Rule::Argument, format!("timer type {kind}"));
        }
        initialize(timer, kinds::NOTIFICATION_TIMER + kind as u8);
    }

    /// Due in units of 100 ns, negative from now; returns whether the timer was set before.
    pub fn KeSetTimer(timer: *mut KTimer, due: i64, dpc: *mut KDpc) -> u8, irql <= DISPATCH_LEVEL; {
        u8::from(set_timer(timer, due, 0, dpc))
    }

    /// With a period in milliseconds.
    pub fn KeSetTimerEx(timer: *mut KTimer, due: i64, period: i32, dpc: *mut KDpc) -> u8, irql <= DISPATCH_LEVEL; {
        if period < 0 {
            verifier::fatal(Rule::Argument, format!("a timer period of {period}"));
        }
        u8::from(set_timer(timer, due, period as u32, dpc))
    }

    /// Returns whether the timer was set.
    pub fn KeCancelTimer(timer: *mut KTimer) -> u8, irql <= DISPATCH_LEVEL; {
        dispatcher::demand(timer.cast(), TIMERS);
        u8::from(stop(timer.addr()))
    }

    /// Whether the timer is signaled.
    pub fn KeReadStateTimer(timer: *mut KTimer) -> u8, irql <= DISPATCH_LEVEL; {
        dispatcher::demand(timer.cast(), TIMERS);
        u8::from(dispatcher::signal_state(timer.cast()) > 0)
    }

    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keinitializedpc>
    pub fn KeInitializeDpc(dpc: *mut KDpc, routine: Option<DeferredRoutine>, context: Pvoid), irql <= HIGH_LEVEL; {
        // SAFETY: the driver passes memory for a DPC; a wrong pointer faults and is reported.
        unsafe { dpc.write_bytes(0, 1) };
        // SAFETY: as above.
        let dpc = unsafe { &mut *dpc };
        dpc.kind = DPC_OBJECT;
        dpc.importance = 1;
        dpc.deferred_routine = routine;
        dpc.deferred_context = context;
    }

    /// Returns whether it was not queued yet.
    pub fn KeInsertQueueDpc(dpc: *mut KDpc, argument1: Pvoid, argument2: Pvoid) -> u8, irql <= HIGH_LEVEL; {
        u8::from(queue(dpc, Some((argument1, argument2))))
    }

    /// Returns whether it was queued.
    pub fn KeRemoveQueueDpc(dpc: *mut KDpc) -> u8, irql <= HIGH_LEVEL; {
        u8::from(timers().queued.borrow_mut().remove(&dpc.addr()).is_some())
    }

    /// Waits until every DPC that is queued now has run.
    pub fn KeFlushQueuedDpcs(), irql <= PASSIVE_LEVEL; {
        dispatcher::demand_may_wait("KeFlushQueuedDpcs");
        let timers = timers();
        let last = timers.sequence.get();
        schedule::wait("queued DPCs", None, || {
            let busy = timers.queued.borrow().values().chain(timers.running.borrow().values()).any(|number| *number <= last);
            (!busy).then_some(())
        });
    }
}

/// What this file provides to drivers.
pub(crate) const EXPORTS: &[Export] = exports!["ntoskrnl.exe":
    KeInitializeTimer, KeInitializeTimerEx, KeSetTimer, KeSetTimerEx, KeCancelTimer, KeReadStateTimer, KeInitializeDpc,
    KeInsertQueueDpc, KeRemoveQueueDpc, KeFlushQueuedDpcs];
