//! Pins: what PortCls keeps for an open stream, and the calls it makes on the miniport's stream.
//!
//! Rules: NewStream with the pin in STOP; states go STOP, ACQUIRE, PAUSE, RUN and back, one step at a time; the buffer
//! is allocated once and freed before the last reference goes; closing drives the pin to STOP. All methods are called
//! at PASSIVE_LEVEL and one at a time, except GetPosition, which may be called at DISPATCH_LEVEL too.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::rc::Rc;

use super::abi::{AudioPosition, HardwareLatency, HardwareRegister, KsState, PresentationPosition};
use super::adapter::{Adapter, PnpState};
use super::interfaces::{WaveRtOutputStream, WaveRtStream, WaveRtStreamNotification};
use super::pin_buffer::{AlignedFormat, PinBuffer};
use super::port::{FilterObject, MiniportReference, Port};
use super::port_stream::PortStream;
use super::property::{self, Property, Target};
use super::reference::Reference;
use super::served::Held;
use crate::memory;
use crate::nt::{KEvent, NtStatus, Pvoid};
use crate::schedule::{self, DISPATCH_LEVEL};
use crate::verifier::{Rule, record};

/// An open pin of a wave filter.
pub(crate) struct PinInstance {
    adapter: Rc<Adapter>,
    filter: Rc<FilterObject>,
    pin: u32,
    state: Cell<KsState>,
    /// The state to go back to when the device wakes.
    state_before_sleep: Cell<Option<KsState>>,
    pub(super) buffer: RefCell<Option<PinBuffer>>,
    events: RefCell<Vec<*mut KEvent>>,
    busy: Cell<bool>,
    closed: Cell<bool>,
    pub(super) notification: RefCell<Option<Reference<WaveRtStreamNotification>>>,
    output: RefCell<Option<Reference<WaveRtOutputStream>>>,
    stream: RefCell<Option<Reference<WaveRtStream>>>,
    // These two outlive the stream.
    pub(super) port_stream: Held,
    _port: Held,
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

/// The state that comes next on the way from one to another.
pub(super) fn next_state(from: KsState, to: KsState) -> KsState {
    const LADDER: [KsState; 4] = [KsState::Stop, KsState::Acquire, KsState::Pause, KsState::Run];
    let now = from as usize;
    if to > from { LADDER[now + 1] } else { LADDER[now.saturating_sub(1)] }
}

/// In which order a closing pin frees what it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CloseOrder {
    /// Events are unregistered, then the buffer is freed.
    #[default]
    EventsFirst,
    /// The buffer is freed, then events are unregistered.
    BufferFirst,
}

/// Whose limits an open request meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limits {
    /// The instance counts of the pin descriptor, as PortCls does.
    PortCls,
    /// Only the miniport's own.
    Miniport,
}

impl PinInstance {
    /// Opens a pin.
    pub(crate) fn open(
        adapter: &Rc<Adapter>,
        port: &Rc<Port>,
        pin: u32,
        capture: bool,
        format: &[u8],
        limits: Limits,
    ) -> Result<Rc<Self>, NtStatus> {
        if adapter.state.get() == PnpState::SurpriseRemoved {
            return Err(NtStatus::DEVICE_REMOVED);
        }
        let filter = port.filter().ok_or(NtStatus::DEVICE_NOT_READY)?;
        let MiniportReference::WaveRt(miniport) = &filter.miniport else {
            return Err(NtStatus::INVALID_DEVICE_REQUEST);
        };
        if limits == Limits::PortCls {
            let known = filter.description.pins.get(pin as usize).ok_or(NtStatus::INVALID_PARAMETER)?;
            if known.is_bridge() {
                return Err(NtStatus::INVALID_DEVICE_REQUEST);
            }
            if filter.open_pins.borrow()[pin as usize] >= known.descriptor.max_filter_instances {
                return Err(NtStatus::INSUFFICIENT_RESOURCES);
            }
        }
        let port_stream = Held::adopt(PortStream::create());
        let format = AlignedFormat::new(format);
        let mut raw = ptr::without_provenance_mut(0xBAD0_BAD0);
        // SAFETY: the arguments live as long as the call, the port stream as long as the pin.
        let status = miniport.call("IMiniportWaveRT::NewStream", |this, table| unsafe {
            (table.new_stream)(
                this,
                &raw mut raw,
                port_stream.served().primary(),
                pin,
                u8::from(capture),
                format.pointer(),
            )
        });
        if let Err(status) = status.ok() {
            if !raw.is_null() {
                record(Rule::Com, format!("NewStream failed with {status} and did not clear its output"));
            }
            return Err(status);
        }
        let stream = Reference::<WaveRtStream>::adopt(raw, "the stream")?;
        if let Some(open) = filter.open_pins.borrow_mut().get_mut(pin as usize) {
            *open += 1;
        }
        let instance = Rc::new(Self {
            adapter: Rc::clone(adapter),
            pin,
            state: Cell::new(KsState::Stop),
            state_before_sleep: Cell::new(None),
            buffer: RefCell::default(),
            events: RefCell::default(),
            busy: Cell::new(false),
            closed: Cell::new(false),
            notification: RefCell::new(stream.query().ok()),
            output: RefCell::new(stream.query().ok()),
            stream: RefCell::new(Some(stream)),
            port_stream,
            _port: port.hold().ok_or(NtStatus::DEVICE_NOT_READY)?,
            filter,
        });
        adapter.pins.borrow_mut().retain(|pin| pin.strong_count() > 0);
        let open: Rc<dyn OpenPin> = Rc::<Self>::clone(&instance);
        adapter.pins.borrow_mut().push(Rc::downgrade(&open));
        Ok(instance)
    }

    /// One control request at a time, as PortCls's mutex has it.
    pub(super) fn locked<R>(&self, body: impl FnOnce() -> R) -> R {
        schedule::wait("the lock of a pin", None, || (!self.busy.replace(true)).then_some(()));
        let result = body();
        self.busy.set(false);
        result
    }

    pub(super) fn with_stream<R: 'static>(
        &self,
        name: &'static str,
        method: impl FnOnce(Pvoid, &WaveRtStream) -> R,
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
            self.state_before_sleep.set(Some(target));
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

    /// One call of SetState, whatever the state is.
    pub(crate) fn call_set_state(&self, state: KsState) -> Result<(), NtStatus> {
        // SAFETY: a method without pointers.
        let status = self.with_stream("IMiniportWaveRTStream::SetState", |this, table| unsafe {
            (table.set_state)(this, state as u32)
        })?;
        status.ok()?;
        self.state.set(state);
        Ok(())
    }

    /// The position, asked for at PASSIVE_LEVEL or at DISPATCH_LEVEL.
    pub(crate) fn position(&self, at_dispatch: bool) -> Result<AudioPosition, NtStatus> {
        let mut position = AudioPosition { play_offset: u64::MAX, write_offset: u64::MAX };
        let thread = schedule::current();
        let irql = thread.irql.get();
        if at_dispatch {
            thread.irql.set(DISPATCH_LEVEL);
        }
        // SAFETY: the structure lives as long as the call.
        let status = self.with_stream("IMiniportWaveRTStream::GetPosition", |this, table| unsafe {
            (table.get_position)(this, &raw mut position)
        });
        thread.irql.set(irql);
        status?.ok()?;
        let bytes = self.buffer.borrow().as_ref().map_or(0, |buffer| u64::from(buffer.bytes));
        if position.play_offset >= bytes.max(1) || position.write_offset >= bytes.max(1) {
            record(Rule::Argument, format!("GetPosition gives {position:?} in a buffer of {bytes} bytes"));
        }
        Ok(position)
    }

    /// Registers a notification event.
    pub(crate) fn register_event(&self, event: *mut KEvent) -> Result<(), NtStatus> {
        // SAFETY: the event lives until it is unregistered.
        let status = self.notification(
            "IMiniportWaveRTStreamNotification::RegisterNotificationEvent",
            |this, table| unsafe { (table.register_notification_event)(this, event) },
        )?;
        status.ok()?;
        self.events.borrow_mut().push(event);
        Ok(())
    }

    /// Unregisters a notification event.
    pub(crate) fn unregister_event(&self, event: *mut KEvent) -> Result<(), NtStatus> {
        const METHOD: &str = "IMiniportWaveRTStreamNotification::UnregisterNotificationEvent";
        // SAFETY: the event is alive.
        let status = self.notification(METHOD, |this, table| unsafe {
            (table.unregister_notification_event)(this, event)
        })?;
        let mut events = self.events.borrow_mut();
        if let Some(index) = events.iter().position(|known| *known == event) {
            events.remove(index);
        }
        status.ok()
    }

    fn notification<R: 'static>(
        &self,
        name: &'static str,
        method: impl FnOnce(Pvoid, &WaveRtStreamNotification) -> R,
    ) -> Result<R, NtStatus> {
        let notification = self.notification.borrow();
        let notification = notification.as_ref().ok_or(NtStatus::INVALID_DEVICE_REQUEST)?;
        Ok(self.locked(|| notification.call(name, method)))
    }

    /// The latency of the hardware.
    pub(crate) fn latency(&self) -> Result<HardwareLatency, NtStatus> {
        let mut latency =
            HardwareLatency { fifo_size: u32::MAX, chipset_delay: u32::MAX, codec_delay: u32::MAX };
        // SAFETY: the structure lives as long as the call.
        self.with_stream("IMiniportWaveRTStream::GetHWLatency", |this, table| unsafe {
            (table.get_hw_latency)(this, &raw mut latency);
        })?;
        if latency.fifo_size == u32::MAX
            || latency.chipset_delay == u32::MAX
            || latency.codec_delay == u32::MAX
        {
            record(Rule::Argument, format!("GetHWLatency did not fill {latency:?}"));
        }
        Ok(latency)
    }

    /// The status of GetPositionRegister and GetClockRegister.
    pub(crate) fn registers(&self) -> Result<(NtStatus, NtStatus), NtStatus> {
        let mut register = HardwareRegister {
            register: ptr::null_mut(),
            width: 0,
            numerator: 0,
            denominator: 0,
            accuracy: 0,
        };
        // SAFETY: the structure lives as long as the call.
        let position = self
            .with_stream("IMiniportWaveRTStream::GetPositionRegister", |this, table| unsafe {
                (table.get_position_register)(this, &raw mut register)
            })?;
        // SAFETY: as above.
        let clock = self.with_stream("IMiniportWaveRTStream::GetClockRegister", |this, table| unsafe {
            (table.get_clock_register)(this, &raw mut register)
        })?;
        if (position.is_success() || clock.is_success())
            && memory::block_at(register.register.addr()).is_none()
        {
            record(
                Rule::Argument,
                format!("a hardware register is {}", memory::describe(register.register.addr())),
            );
        }
        Ok((position, clock))
    }

    fn output<R: 'static>(
        &self,
        name: &'static str,
        method: impl FnOnce(Pvoid, &WaveRtOutputStream) -> R,
    ) -> Result<R, NtStatus> {
        let output = self.output.borrow();
        let output = output.as_ref().ok_or(NtStatus::INVALID_DEVICE_REQUEST)?;
        Ok(self.locked(|| output.call(name, method)))
    }

    /// KSPROPERTY_RTAUDIO_PACKETCOUNT.
    pub(crate) fn packet_count(&self) -> Result<u32, NtStatus> {
        let mut count = 0;
        // SAFETY: the variable lives as long as the call.
        let status = self.output("IMiniportWaveRTOutputStream::GetPacketCount", |this, table| unsafe {
            (table.get_packet_count)(this, &raw mut count)
        })?;
        status.ok().map(|()| count)
    }

    /// KSPROPERTY_RTAUDIO_PRESENTATION_POSITION.
    pub(crate) fn presentation_position(&self) -> Result<PresentationPosition, NtStatus> {
        let mut position = PresentationPosition::default();
        // SAFETY: the structure lives as long as the call.
        let status = self.output(
            "IMiniportWaveRTOutputStream::GetOutputStreamPresentationPosition",
            |this, table| unsafe { (table.get_presentation_position)(this, &raw mut position) },
        )?;
        status.ok().map(|()| position)
    }

    /// KSPROPERTY_RTAUDIO_SETWRITEPACKET.
    pub(crate) fn set_write_packet(
        &self,
        number: u32,
        flags: u32,
        end_of_stream: u32,
    ) -> Result<(), NtStatus> {
        // SAFETY: a method without pointers.
        let status = self.output("IMiniportWaveRTOutputStream::SetWritePacket", |this, table| unsafe {
            (table.set_write_packet)(this, number, flags, end_of_stream)
        })?;
        status.ok()
    }

    /// A property of the pin: the miniport is the major target, the stream the minor one.
    pub(crate) fn property(&self, property: Property, instance: &[u8], value: &mut [u8]) -> (NtStatus, u32) {
        let stream = self.stream.borrow();
        let Some(stream) = stream.as_ref() else { return (NtStatus::DEVICE_REMOVED, 0) };
        let automation = self.filter.description.pins[self.pin as usize].descriptor.automation;
        let target = Target { filter: &self.filter, minor: stream.raw(), node: None, automation };
        property::request(&target, property, instance, value)
    }

    /// Closes the pin; idempotent.
    pub(crate) fn close(&self, order: CloseOrder) {
        if self.closed.replace(true) {
            return;
        }
        if let Err(status) = self.locked(|| self.step_to(KsState::Stop)) {
            record(Rule::Argument, format!("a stream refused to stop: {status}"));
        }
        if order == CloseOrder::BufferFirst {
            self.free_buffer();
        }
        let events = self.events.borrow().clone();
        for event in events {
            let _ = self.unregister_event(event);
        }
        self.free_buffer();
        let (output, notification, stream) =
            (self.output.take(), self.notification.take(), self.stream.take());
        drop(output);
        drop(notification);
        drop(stream);
        if let Some(port_stream) = self.port_stream.served().content::<PortStream>() {
            port_stream.check_empty();
        }
        if let Some(open) = self.filter.open_pins.borrow_mut().get_mut(self.pin as usize) {
            *open -= 1;
        }
        self.filter.description.check_unchanged();
    }
}

impl OpenPin for PinInstance {
    fn sleep(&self) {
        if self.state_before_sleep.get().is_none() {
            self.state_before_sleep.set(Some(self.state.get()));
        }
        if self.state.get() == KsState::Run
            && let Err(status) = self.locked(|| self.step_to(KsState::Pause))
        {
            record(Rule::Argument, format!("a stream refused to pause before the device sleeps: {status}"));
        }
    }

    fn wake(&self) {
        if let Some(state) = self.state_before_sleep.take()
            && let Err(status) = self.locked(|| self.step_to(state))
        {
            record(Rule::Argument, format!("a stream did not come back after sleep: {status}"));
        }
    }

    fn is_closed(&self) -> bool {
        self.closed.get()
    }
}
