//! Pins: what PortCls keeps for an open pin of any wave port, and the calls on the miniport's stream that all have.
//!
//! Rules: NewStream with the pin in STOP; states go STOP, ACQUIRE, PAUSE, RUN and back, one step at a time; a pin that
//! runs is paused while the device sleeps; closing drives the pin to STOP. Methods of the stream are called one at a time.
//!
//! [`WaveRtPin`](super::wavert_pin::WaveRtPin) and [`CyclicPin`](super::cyclic_pin::CyclicPin) add how audio gets into
//! the stream.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::rc::Rc;

use super::abi::KsState;
use super::adapter::{Adapter, PnpState};
use super::connect;
use super::interfaces::Table;
use super::port::{FilterObject, Port};
use super::property::{self, Property, Target};
use super::reference::Reference;
use super::served::Held;
use crate::nt::{NtStatus, Pvoid};
use crate::schedule;
use crate::verifier::{Rule, record};

/// The interface of a miniport's stream, as far as it is the same in every port.
pub(crate) trait StreamTable: Table {
    /// The name of SetState in violations.
    const SET_STATE: &'static str;

    /// SetState.
    fn set_state(&self) -> unsafe extern "efiapi" fn(Pvoid, u32) -> NtStatus;
}

/// An open pin whose stream has the interface `S`.
pub(crate) struct PinInstance<S: StreamTable> {
    adapter: Rc<Adapter>,
    filter: Rc<FilterObject>,
    number: u32,
    state: Cell<KsState>,
    /// The state to go to when the device wakes.
    state_after_sleep: Cell<Option<Pending>>,
    /// There is a buffer to play from.
    playable: Cell<bool>,
    /// How often SetState was called with STOP.
    stops: Cell<u64>,
    busy: Cell<bool>,
    closed: Cell<bool>,
    stream: RefCell<Option<Reference<S>>>,
    // It outlives the stream.
    _port: Held,
}

/// A state that waits for the device to wake.
#[derive(Clone, Copy)]
struct Pending {
    state: KsState,
    /// The client has asked for it while the device slept; otherwise the pin was in it before.
    asked: bool,
}

/// A pin of any port, as PortCls treats it when the device's power changes.
pub(crate) trait OpenPin {
    /// The device goes to sleep: a pin that runs is paused.
    fn sleep(&self);
    /// The device is back: the pin goes where it was.
    fn wake(&self);
    /// Whether it has been closed.
    fn is_closed(&self) -> bool;
}

/// Whose limits an open request meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limits {
    /// The instance counts of the pin descriptor, as PortCls has them.
    PortCls,
    /// Only the miniport's own.
    Miniport,
}

/// What kernel streaming and PortCls find out before the miniport is asked for a stream: the filter, if the pin may be
/// opened.
pub(super) fn openable(
    adapter: &Adapter,
    port: &Port,
    number: u32,
    format: &[u8],
    limits: Limits,
) -> Result<Rc<FilterObject>, NtStatus> {
    connect::check(format)?;
    if adapter.state.get() == PnpState::SurpriseRemoved {
        return Err(NtStatus::DEVICE_REMOVED);
    }
    let filter = port.filter().ok_or(NtStatus::DEVICE_NOT_READY)?;
    if limits == Limits::PortCls {
        let known = filter.description.pins.get(number as usize).ok_or(NtStatus::INVALID_PARAMETER)?;
        if known.is_bridge() {
            return Err(NtStatus::INVALID_DEVICE_REQUEST);
        }
        if filter.open_pins.borrow()[number as usize] >= known.descriptor.max_filter_instances {
            return Err(NtStatus::INSUFFICIENT_RESOURCES);
        }
    }
    Ok(filter)
}

/// The state that comes next on the way from one to another.
fn next_state(from: KsState, to: KsState) -> KsState {
    const LADDER: [KsState; 4] = [KsState::Stop, KsState::Acquire, KsState::Pause, KsState::Run];
    let now = from as usize;
    if to > from { LADDER[now + 1] } else { LADDER[now.saturating_sub(1)] }
}

impl<S: StreamTable> PinInstance<S> {
    /// A pin with the stream that the miniport has made, in STOP. It counts as an instance of the filter's pin, and the
    /// adapter knows it, until it is closed.
    pub(super) fn new(
        adapter: &Rc<Adapter>,
        port: Held,
        filter: Rc<FilterObject>,
        number: u32,
        stream: Reference<S>,
    ) -> Rc<Self> {
        if let Some(open) = filter.open_pins.borrow_mut().get_mut(number as usize) {
            *open += 1;
        }
        let instance = Rc::new(Self {
            adapter: Rc::clone(adapter),
            filter,
            number,
            state: Cell::new(KsState::Stop),
            state_after_sleep: Cell::default(),
            playable: Cell::default(),
            stops: Cell::default(),
            busy: Cell::default(),
            closed: Cell::default(),
            stream: RefCell::new(Some(stream)),
            _port: port,
        });
        let open: Rc<dyn OpenPin> = Rc::<Self>::clone(&instance);
        let mut pins = adapter.pins.borrow_mut();
        pins.retain(|pin| pin.strong_count() > 0);
        pins.push(Rc::downgrade(&open));
        instance
    }

    /// One control request at a time, as PortCls's mutex has it.
    pub(super) fn locked<R>(&self, body: impl FnOnce() -> R) -> R {
        schedule::wait("the lock of a pin", None, || (!self.busy.replace(true)).then_some(()));
        let result = body();
        self.busy.set(false);
        result
    }

    /// Calls a method of the stream.
    pub(super) fn with_stream<R: 'static>(
        &self,
        name: &'static str,
        method: impl FnOnce(Pvoid, &S) -> R,
    ) -> Result<R, NtStatus> {
        let stream = self.stream.borrow();
        let stream = stream.as_ref().ok_or(NtStatus::DEVICE_REMOVED)?;
        Ok(stream.call(name, method))
    }

    /// The state of the pin.
    pub(crate) fn state(&self) -> KsState {
        self.state.get()
    }

    /// Goes to a state, one step at a time.
    ///
    /// # Errors
    /// What SetState returned; the pin stays in the state that was reached.
    pub(crate) fn set_state(&self, target: KsState) -> Result<(), NtStatus> {
        if self.adapter.state.get() == PnpState::SurpriseRemoved && target > self.state.get() {
            return Err(NtStatus::DEVICE_REMOVED);
        }
        if self.adapter.power_state.get() != 1 {
            // The device sleeps: PortCls brings the pin there when it wakes.
            self.state_after_sleep.set(Some(Pending { state: target, asked: true }));
            if target > self.state.get() {
                return Ok(());
            }
        }
        self.locked(|| self.step_to(target))
    }

    fn step_to(&self, target: KsState) -> Result<(), NtStatus> {
        while self.state.get() != target {
            self.call_set_state(next_state(self.state.get(), target))?;
        }
        Ok(())
    }

    /// Takes note of whether there is a buffer to play from.
    pub(super) fn set_playable(&self, playable: bool) {
        self.playable.set(playable);
    }

    /// How often SetState was called with STOP.
    pub(super) fn stops(&self) -> u64 {
        self.stops.get()
    }

    /// One call of SetState, whatever the state is.
    pub(crate) fn call_set_state(&self, state: KsState) -> Result<(), NtStatus> {
        self.stops.set(self.stops.get() + u64::from(state == KsState::Stop));
        // SAFETY: a method without pointers.
        let status =
            self.with_stream(S::SET_STATE, |this, table| unsafe { (table.set_state())(this, state as u32) })?;
        status.ok()?;
        self.state.set(state);
        Ok(())
    }

    /// A property of the pin: the miniport is the major target, the stream the minor one.
    pub(crate) fn property(&self, property: Property, instance: &[u8], value: &mut [u8]) -> (NtStatus, u32) {
        let stream = self.stream.borrow();
        let Some(stream) = stream.as_ref() else { return (NtStatus::DEVICE_REMOVED, 0) };
        let described = self.filter.description.pins.get(self.number as usize);
        let automation = described.map_or(ptr::null(), |pin| pin.descriptor.automation);
        let target = Target { filter: &self.filter, minor: stream.raw(), node: None, automation };
        property::request(&target, property, instance, value)
    }

    /// Closes the pin; idempotent. When the stream is in STOP, `release` gives back what the port has of it, and
    /// [takes](Self::take_stream) the stream itself.
    pub(super) fn close(&self, release: impl FnOnce()) {
        if self.closed.replace(true) {
            return;
        }
        if let Err(status) = self.locked(|| self.step_to(KsState::Stop)) {
            record(Rule::Argument, format!("a stream refused to stop: {status}"));
        }
        release();
        if let Some(open) = self.filter.open_pins.borrow_mut().get_mut(self.number as usize) {
            *open -= 1;
        }
        self.filter.description.check_unchanged();
    }

    /// The stream, which the pin has no more.
    pub(super) fn take_stream(&self) -> Option<Reference<S>> {
        self.stream.take()
    }
}

impl<S: StreamTable> OpenPin for PinInstance<S> {
    fn sleep(&self) {
        if self.state_after_sleep.get().is_none() {
            self.state_after_sleep.set(Some(Pending { state: self.state.get(), asked: false }));
        }
        if self.state.get() == KsState::Run
            && let Err(status) = self.locked(|| self.step_to(KsState::Pause))
        {
            record(Rule::Argument, format!("a stream refused to pause before the device sleeps: {status}"));
        }
    }

    fn wake(&self) {
        if let Some(Pending { state, asked }) = self.state_after_sleep.take()
            && let Err(status) = self.locked(|| self.step_to(state))
            // Without a buffer there was nothing to run: a mistake of the client, which the driver may refuse.
            && !(asked && state == KsState::Run && !self.playable.get())
        {
            record(Rule::Argument, format!("a stream did not come back after sleep: {status}"));
        }
    }

    fn is_closed(&self) -> bool {
        self.closed.get()
    }
}
