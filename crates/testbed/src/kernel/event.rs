//! Events.

use crate::kernel::dispatcher;
use crate::kernel::imports::Export;
use crate::nt::{KEvent, dispatcher as kinds};
use crate::schedule::{DISPATCH_LEVEL, Irql, Time};
use crate::verifier::{self, Rule};
use crate::{exports, import};

/// IRQL limit of what may be called at any level.
const HIGH_LEVEL: Irql = 15;
const EVENTS: &[u8] = &[kinds::NOTIFICATION_EVENT, kinds::SYNCHRONIZATION_EVENT];

/// Makes an event: `kind` is `nt::dispatcher::NOTIFICATION_EVENT` or `SYNCHRONIZATION_EVENT`.
pub fn initialize(event: *mut KEvent, kind: u8, signaled: bool) {
    dispatcher::initialize(event.cast(), kind, size_of::<KEvent>(), i32::from(signaled));
}

/// Forgets an event whose memory goes away.
pub fn forget(event: *mut KEvent) {
    dispatcher::forget(event.cast());
}

/// Signals an event; returns whether it was signaled before.
pub fn set(event: *mut KEvent) -> bool {
    dispatcher::demand(event.cast(), EVENTS);
    dispatcher::set_signal_state(event.cast(), 1) > 0
}

/// Takes the signal back; returns whether it was signaled.
pub fn reset(event: *mut KEvent) -> bool {
    dispatcher::demand(event.cast(), EVENTS);
    dispatcher::set_signal_state(event.cast(), 0) > 0
}

/// Whether an event is signaled.
pub fn is_signaled(event: *const KEvent) -> bool {
    dispatcher::demand(event.cast(), EVENTS);
    dispatcher::signal_state(event.cast()) > 0
}

/// Waits for an event; false when the deadline came first.
pub fn wait(event: *mut KEvent, deadline: Option<Time>) -> bool {
    dispatcher::wait(&[event.cast()], false, deadline).is_some()
}

import! {
    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keinitializeevent>
    pub fn KeInitializeEvent(event: *mut KEvent, kind: u32, state: u8), irql <= HIGH_LEVEL; {
        if kind > 1 {
            verifier::fatal(Rule::Argument, format!("event type {kind}"));
        }
        initialize(event, kind as u8, state != 0);
    }

    /// Signals the event; returns its old state. With `wait` the caller waits next, so it must be able to.
    pub fn KeSetEvent(event: *mut KEvent, increment: i32, wait: u8) -> i32, irql <= DISPATCH_LEVEL; {
        let _ = increment;
        if wait != 0 {
            dispatcher::demand_may_wait("KeSetEvent with Wait");
        }
        i32::from(set(event))
    }

    /// Returns the old state.
    pub fn KeResetEvent(event: *mut KEvent) -> i32, irql <= DISPATCH_LEVEL; {
        i32::from(reset(event))
    }

    /// As KeResetEvent, without the old state.
    pub fn KeClearEvent(event: *mut KEvent), irql <= DISPATCH_LEVEL; {
        reset(event);
    }

    /// Not zero when signaled.
    pub fn KeReadStateEvent(event: *mut KEvent) -> i32, irql <= DISPATCH_LEVEL; {
        i32::from(is_signaled(event))
    }
}

/// What this file provides to drivers.
pub(crate) const EXPORTS: &[Export] =
    exports!["ntoskrnl.exe": KeInitializeEvent, KeSetEvent, KeResetEvent, KeClearEvent, KeReadStateEvent];
