//! EX_TIMER objects, which the system allocates; those of high resolution are what a sound driver keeps time with.
//!
//! Rules: [ExAllocateTimer], [ExSetTimer], [ExDeleteTimer]. A high-resolution timer must have a relative due time.
//!
//! [ExAllocateTimer]: https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exallocatetimer
//! [ExSetTimer]: https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exsettimer
//! [ExDeleteTimer]: https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-exdeletetimer

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::crossing;
use crate::kernel::imports::Export;
use crate::kernel::{dispatcher, pool, time};
use crate::machine::machine;
use crate::memory;
use crate::nt::dispatcher as kinds;
use crate::nt::{DispatcherHeader, ExtCallback, ExtDeleteParameters, ExtSetParameters, HUNDRED_NS, Pvoid};
use crate::schedule::{self, Appointment, DISPATCH_LEVEL, Time};
use crate::verifier::{self, Rule};
use crate::{exports, import};

const HIGH_RESOLUTION: u32 = 0x4;
const NO_WAKE: u32 = 0x8;
const NOTIFICATION: u32 = 1 << 31;
/// Bytes of the object behind an EX_TIMER pointer here; what Windows has is not public.
const TIMER_BYTES: usize = 0x40;

/// A timer.
struct ExTimer {
    callback: Option<ExtCallback>,
    context: Pvoid,
    high_resolution: bool,
    set: Cell<Option<Appointment>>,
    /// Its callback was started and has not returned.
    calling: Cell<bool>,
    /// The thread that the callback runs in.
    caller: Cell<u64>,
}

/// The timers of a machine, by address.
#[derive(Default)]
struct ExTimers(RefCell<BTreeMap<usize, Rc<ExTimer>>>);

fn find(timer: *mut DispatcherHeader) -> Rc<ExTimer> {
    let found = machine().part::<ExTimers>().0.borrow().get(&timer.addr()).cloned();
    found.unwrap_or_else(|| {
        let place = memory::describe(timer.addr());
        verifier::fatal(Rule::Object, format!("{:#x} is no timer of ExAllocateTimer: {place}", timer.addr()))
    })
}

/// Reports every timer that was never deleted.
pub(crate) fn report_leaks() {
    for timer in machine().part::<ExTimers>().0.take().into_values() {
        if let Some(appointment) = timer.set.take() {
            schedule::cancel(appointment);
        }
        verifier::record(Rule::Unload, "a timer of ExAllocateTimer was never deleted");
    }
}

fn stop(timer: &ExTimer) -> bool {
    timer.set.take().is_some_and(schedule::cancel)
}

fn start(object: *mut DispatcherHeader, timer: &Rc<ExTimer>, at: Time, period: u64) {
    let this = Rc::clone(timer);
    let tick = if timer.high_resolution { at } else { time::at_clock_tick(at) };
    let appointment = schedule::at(tick, move || {
        this.set.set(None);
        if period > 0 {
            start(object, &this, at + period, period);
        }
        dispatcher::set_signal_state(object, 1);
        if let Some(callback) = this.callback {
            call_back(object, &this, callback);
        }
    });
    timer.set.set(Some(appointment));
}

fn call_back(object: *mut DispatcherHeader, timer: &Rc<ExTimer>, callback: ExtCallback) {
    // A callback that is still running is not started a second time.
    if timer.calling.replace(true) {
        return;
    }
    let timer = Rc::clone(timer);
    schedule::spawn("timer callback", DISPATCH_LEVEL, move || {
        timer.caller.set(schedule::current().id);
        crossing::call_driver("ExTimerCallback", || {
            // SAFETY: the driver registered this function for its timer.
            unsafe { callback(object.cast(), timer.context) }
        });
        timer.calling.set(false);
    });
}

import! {
    /// Null when there is no memory.
    pub fn ExAllocateTimer(callback: Option<ExtCallback>, context: Pvoid, attributes: u32) -> *mut DispatcherHeader,
        irql <= DISPATCH_LEVEL; {
        if attributes & !(HIGH_RESOLUTION | NO_WAKE | NOTIFICATION) != 0
            || attributes & (HIGH_RESOLUTION | NO_WAKE) == HIGH_RESOLUTION | NO_WAKE {
            verifier::fatal(Rule::Argument, format!("timer attributes {attributes:#x}"));
        }
        if !pool::may_allocate() {
            return std::ptr::null_mut();
        }
        let object = memory::allocate(TIMER_BYTES, "timer of ExAllocateTimer").cast::<DispatcherHeader>();
        let notifies = attributes & NOTIFICATION != 0;
        let kind = if notifies { kinds::NOTIFICATION_TIMER } else { kinds::SYNCHRONIZATION_TIMER };
        dispatcher::initialize(object, kind, TIMER_BYTES, 0);
        let timer = ExTimer {
            callback,
            context,
            high_resolution: attributes & HIGH_RESOLUTION != 0,
            set: Cell::new(None),
            calling: Cell::new(false),
            caller: Cell::new(0),
        };
        machine().part::<ExTimers>().0.borrow_mut().insert(object.addr(), Rc::new(timer));
        object
    }

    /// Returns whether the timer was set before.
    pub fn ExSetTimer(timer: *mut DispatcherHeader, due: i64, period: i64, parameters: *const ExtSetParameters) -> u8,
        irql <= DISPATCH_LEVEL; {
        let object = timer;
        let timer = find(object);
        if timer.high_resolution && due >= 0 {
            verifier::fatal(Rule::Argument, "the due time of a high-resolution timer must be relative (negative)");
        }
        if !(0..=i64::from(i32::MAX)).contains(&period) {
            verifier::fatal(Rule::Argument, format!("a timer period of {period}"));
        }
        // SAFETY: the driver passes null or its parameters.
        if let Some(parameters) = unsafe { parameters.as_ref() } {
            if (parameters.version, parameters.reserved) != (0, 0) {
                verifier::fatal(Rule::Argument, "timer parameters of an unknown version, or never initialised");
            }
            if timer.high_resolution && parameters.no_wake_tolerance != 0 {
                verifier::fatal(Rule::Argument, "a high-resolution timer has no tolerance for not waking");
            }
        }
        let was_set = stop(&timer);
        dispatcher::set_signal_state(object, 0);
        start(object, &timer, time::due(due), period as u64 * HUNDRED_NS);
        u8::from(was_set)
    }

    /// Returns whether the timer was set.
    pub fn ExCancelTimer(timer: *mut DispatcherHeader, parameters: Pvoid) -> u8, irql <= DISPATCH_LEVEL; {
        if !parameters.is_null() {
            verifier::record(Rule::Argument, "the parameters of ExCancelTimer are reserved and must be null");
        }
        u8::from(stop(&find(timer)))
    }

    /// Returns whether it was cancelled; without `wait` a callback may still run afterwards.
    pub fn ExDeleteTimer(timer: *mut DispatcherHeader, cancel: u8, wait: u8, parameters: *const ExtDeleteParameters) -> u8,
        irql <= DISPATCH_LEVEL; {
        let object = timer;
        let timer = find(object);
        if wait != 0 {
            if cancel == 0 {
                verifier::fatal(Rule::Argument, "ExDeleteTimer with Wait but without Cancel");
            }
            dispatcher::demand_may_wait("ExDeleteTimer with Wait");
            if timer.calling.get() && timer.caller.get() == schedule::current().id {
                verifier::fatal(Rule::Object, "a timer's own callback waits for the timer: it would wait for ever");
            }
        }
        // SAFETY: the driver passes null or its parameters.
        let parameters = unsafe { parameters.as_ref() }.copied();
        if parameters.is_some_and(|parameters| (parameters.version, parameters.reserved) != (0, 0)) {
            verifier::fatal(Rule::Argument, "timer parameters of an unknown version, or never initialised");
        }
        let cancelled = cancel != 0 && stop(&timer);
        machine().part::<ExTimers>().0.borrow_mut().remove(&object.addr());
        let finish = {
            let timer = Rc::clone(&timer);
            move || {
                schedule::wait("a timer to finish", None, || (timer.set_at().is_none() && !timer.calling.get()).then_some(()));
                dispatcher::forget_range(object.addr(), TIMER_BYTES);
                memory::free(object.cast());
                let Some((callback, context)) = parameters.and_then(|it| Some((it.delete_callback?, it.delete_context))) else {
                    return;
                };
                crossing::call_driver("ExTimerDeleteCallback", || {
                    // SAFETY: the driver passed this function for the deletion.
                    unsafe { callback(context) }
                });
            }
        };
        let is_idle = timer.set_at().is_none() && !timer.calling.get();
        if wait != 0 || is_idle {
            finish();
        } else {
            schedule::spawn("timer deletion", DISPATCH_LEVEL, finish);
        }
        u8::from(cancelled)
    }
}

impl ExTimer {
    fn set_at(&self) -> Option<Appointment> {
        self.set.get()
    }
}

/// What this file provides to drivers.
pub(crate) const EXPORTS: &[Export] =
    exports!["ntoskrnl.exe": ExAllocateTimer, ExSetTimer, ExCancelTimer, ExDeleteTimer];
