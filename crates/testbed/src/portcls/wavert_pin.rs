//! Pins of the WaveRT port: clients write into the miniport's buffer themselves.
//!
//! The buffer is allocated once and freed before the last reference goes. All methods are called at PASSIVE_LEVEL and one
//! at a time, except GetPosition, which may be called at DISPATCH_LEVEL too.

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::ptr;
use std::rc::Rc;

use super::abi::{AudioPosition, HardwareLatency, HardwareRegister, PresentationPosition};
use super::adapter::Adapter;
use super::connect;
use super::interfaces::{Table, WaveRtOutputStream, WaveRtStream, WaveRtStreamNotification};
use super::pin::{self, Limits, PinInstance, StreamTable};
use super::pin_buffer::{AlignedFormat, PinBuffer};
use super::port::{MiniportReference, Port};
use super::port_stream::PortStream;
use super::progress::Progress;
use super::reference::Reference;
use super::served::Held;
use crate::kernel::event;
use crate::memory;
use crate::nt::{KEvent, NtStatus, Pvoid, dispatcher};
use crate::schedule::{self, DISPATCH_LEVEL};
use crate::verifier::{Rule, record};

/// An open pin of a WaveRT filter.
pub(crate) struct WaveRtPin {
    pin: Rc<PinInstance<WaveRtStream>>,
    pub(super) buffer: RefCell<Option<PinBuffer>>,
    /// The notification events that are registered.
    events: RefCell<Vec<*mut KEvent>>,
    /// Bytes of a frame, if the format says so.
    frame: Cell<Option<u64>>,
    progress: Progress,
    /// The stops of the pin when `progress` began.
    stops: Cell<u64>,
    pub(super) notification: RefCell<Option<Reference<WaveRtStreamNotification>>>,
    output: RefCell<Option<Reference<WaveRtOutputStream>>>,
    // It outlives the stream.
    pub(super) port_stream: Held,
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

impl StreamTable for WaveRtStream {
    const SET_STATE: &'static str = "IMiniportWaveRTStream::SetState";

    fn set_state(&self) -> unsafe extern "efiapi" fn(Pvoid, u32) -> NtStatus {
        self.set_state
    }
}

impl Deref for WaveRtPin {
    type Target = PinInstance<WaveRtStream>;

    fn deref(&self) -> &Self::Target {
        &self.pin
    }
}

impl WaveRtPin {
    /// Opens a pin.
    pub(crate) fn open(
        adapter: &Rc<Adapter>,
        port: &Rc<Port>,
        pin: u32,
        capture: bool,
        format: &[u8],
        limits: Limits,
    ) -> Result<Rc<Self>, NtStatus> {
        let filter = pin::openable(adapter, port, pin, format, limits)?;
        let MiniportReference::WaveRt(miniport) = &filter.miniport else {
            return Err(NtStatus::INVALID_DEVICE_REQUEST);
        };
        let port = port.hold().ok_or(NtStatus::DEVICE_NOT_READY)?;
        let port_stream = Held::adopt(PortStream::create());
        let bytes = format;
        let format = AlignedFormat::new(bytes);
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
        if filter.description.pins.get(pin as usize).is_none() {
            record(Rule::Argument, format!("NewStream made a stream of pin {pin}, which is not described"));
        }
        let (notification, output) = (stream.query().ok(), stream.query().ok());
        Ok(Rc::new(Self {
            pin: PinInstance::new(adapter, port, filter, pin, stream),
            buffer: RefCell::default(),
            events: RefCell::default(),
            frame: Cell::new(connect::block_align(bytes)),
            progress: Progress::default(),
            stops: Cell::default(),
            notification: RefCell::new(notification),
            output: RefCell::new(output),
            port_stream,
        }))
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

    /// Makes a notification event and registers it. It lives until it is unregistered: a driver that touches it after
    /// that breaks a rule.
    pub(crate) fn register_event(&self) -> Result<*mut KEvent, NtStatus> {
        let event = memory::allocate(size_of::<KEvent>(), "a notification event").cast::<KEvent>();
        event::initialize(event, dispatcher::SYNCHRONIZATION_EVENT, false);
        self.events.borrow_mut().push(event);
        let status = self.register_again(event);
        if status.is_err() {
            self.forget_event(event);
        }
        status.map(|()| event)
    }

    /// Registers an event that is registered, perhaps with a buffer that the stream has no more.
    pub(crate) fn register_again(&self, event: *mut KEvent) -> Result<(), NtStatus> {
        // SAFETY: the event lives until it is unregistered.
        let status = self.with_optional(
            &self.notification,
            "IMiniportWaveRTStreamNotification::RegisterNotificationEvent",
            |this, table| unsafe { (table.register_notification_event)(this, event) },
        )?;
        status.ok()
    }

    /// Unregisters a notification event; whatever the driver says, it is gone then.
    pub(crate) fn unregister_event(&self, event: *mut KEvent) -> Result<(), NtStatus> {
        const METHOD: &str = "IMiniportWaveRTStreamNotification::UnregisterNotificationEvent";
        // SAFETY: the event is alive, or not registered any more, so that a driver only compares its address.
        let status = self.with_optional(&self.notification, METHOD, |this, table| unsafe {
            (table.unregister_notification_event)(this, event)
        })?;
        self.forget_event(event);
        status.ok()
    }

    fn forget_event(&self, event: *mut KEvent) {
        let mut events = self.events.borrow_mut();
        if let Some(index) = events.iter().position(|known| *known == event) {
            events.remove(index);
            event::forget(event);
            memory::free(event.cast());
        }
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

    /// Calls a method of an interface that a stream need not have.
    fn with_optional<I: Table, R: 'static>(
        &self,
        interface: &RefCell<Option<Reference<I>>>,
        name: &'static str,
        method: impl FnOnce(Pvoid, &I) -> R,
    ) -> Result<R, NtStatus> {
        let interface = interface.borrow();
        let interface = interface.as_ref().ok_or(NtStatus::INVALID_DEVICE_REQUEST)?;
        Ok(self.locked(|| interface.call(name, method)))
    }

    /// KSPROPERTY_RTAUDIO_PACKETCOUNT.
    pub(crate) fn packet_count(&self) -> Result<u32, NtStatus> {
        let mut count = 0;
        // SAFETY: the variable lives as long as the call.
        let status = self.with_optional(
            &self.output,
            "IMiniportWaveRTOutputStream::GetPacketCount",
            |this, table| unsafe { (table.get_packet_count)(this, &raw mut count) },
        )?;
        status.ok()?;
        self.progress().counted(count, self.packet_frames());
        Ok(count)
    }

    /// What the stream has told since it was last stopped.
    fn progress(&self) -> &Progress {
        if self.stops.replace(self.pin.stops()) != self.pin.stops() {
            self.progress.restart();
        }
        &self.progress
    }

    /// Frames of a packet.
    fn packet_frames(&self) -> Option<u64> {
        let packet = self.with_buffer(|buffer| buffer.bytes.checked_div(buffer.notifications))??;
        u64::from(packet).checked_div(self.frame.get()?).filter(|frames| *frames > 0)
    }

    /// The stream has another buffer, or another format.
    pub(super) fn restart_progress(&self) {
        self.progress.restart();
    }

    /// SetFormat was successful.
    pub(super) fn note_format(&self, format: &[u8]) {
        self.frame.set(connect::block_align(format));
        self.progress.restart();
    }

    /// KSPROPERTY_RTAUDIO_PRESENTATION_POSITION.
    pub(crate) fn presentation_position(&self) -> Result<PresentationPosition, NtStatus> {
        let mut position = PresentationPosition::default();
        // SAFETY: the structure lives as long as the call.
        let status = self.with_optional(
            &self.output,
            "IMiniportWaveRTOutputStream::GetOutputStreamPresentationPosition",
            |this, table| unsafe { (table.get_presentation_position)(this, &raw mut position) },
        )?;
        status.ok()?;
        self.progress().presented(position, self.packet_frames());
        Ok(position)
    }

    /// KSPROPERTY_RTAUDIO_SETWRITEPACKET.
    pub(crate) fn set_write_packet(
        &self,
        number: u32,
        flags: u32,
        end_of_stream: u32,
    ) -> Result<(), NtStatus> {
        // SAFETY: a method without pointers.
        let status = self.with_optional(
            &self.output,
            "IMiniportWaveRTOutputStream::SetWritePacket",
            |this, table| unsafe { (table.set_write_packet)(this, number, flags, end_of_stream) },
        )?;
        status.ok()
    }

    /// Closes the pin; idempotent.
    pub(crate) fn close(&self, order: CloseOrder) {
        self.pin.close(|| {
            if order == CloseOrder::BufferFirst {
                self.free_buffer();
            }
            let events = self.events.borrow().clone();
            for event in events {
                let _ = self.unregister_event(event);
            }
            self.free_buffer();
            let (output, notification, stream) =
                (self.output.take(), self.notification.take(), self.take_stream());
            drop(output);
            drop(notification);
            drop(stream);
            if let Some(port_stream) = self.port_stream.served().content::<PortStream>() {
                port_stream.check_empty();
            }
        });
    }
}
