//! Pins of the WaveCyclic port: PortCls copies what clients write into the miniport's cyclic buffer.
//!
//! A client hands audio over ([`CyclicPin::write`]), as streaming requests do. When the service group calls, at
//! DISPATCH_LEVEL, the port asks the stream for its position and copies into the room that has become free, with the
//! miniport's IDmaChannel. Then it wakes the client.
//!
//! Order: NewStream (stream, DMA channel and service group come back), the pin joins the group, SetNotificationFreq,
//! Silence over the whole buffer; states go STOP, ACQUIRE, PAUSE, RUN and back, one step at a time.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ptr;
use std::rc::{Rc, Weak};

use super::abi::{KsState, guid};
use super::adapter::{Adapter, PnpState};
use super::interfaces::{DmaChannel, ServiceGroup, ServiceSink, Unknown, WaveCyclicStream};
use super::pin::{OpenPin, next_state};
use super::pin_buffer::AlignedFormat;
use super::port::{FilterObject, MiniportReference, Port};
use super::reference::Reference;
use super::served::{self, Held, Served, UNKNOWN};
use crate::import;
use crate::kernel::event;
use crate::memory;
use crate::nt::{Guid, KEvent, NtStatus, Pvoid, dispatcher};
use crate::schedule::{self, DISPATCH_LEVEL, Time};
use crate::verifier::{Rule, record};

/// How often the port wants to be called, in milliseconds.
const INTERVAL: u32 = 10;
/// NonPagedPoolNx.
const POOL: u32 = 512;
/// What an output that was not written still says.
const GARBAGE: usize = 0xBAD0_BAD0;

/// An open pin of a wave filter of the older kind.
pub(crate) struct CyclicPin {
    adapter: Rc<Adapter>,
    filter: Rc<FilterObject>,
    pin: u32,
    state: Cell<KsState>,
    state_before_sleep: Cell<Option<KsState>>,
    busy: Cell<bool>,
    closed: Cell<bool>,
    /// What the client has written and the buffer had no room for, and where it lies while it is copied.
    waiting: RefCell<VecDeque<u8>>,
    source: *mut u8,
    /// The miniport's buffer, and its size.
    buffer: Pvoid,
    size: u32,
    /// Bytes copied into the buffer, and played out of it, since the pin was opened.
    copied: Cell<u64>,
    played: Cell<u64>,
    offset: Cell<u32>,
    /// How often the position had passed what was copied.
    gaps: Cell<u64>,
    served: *mut KEvent,
    stream: RefCell<Option<Reference<WaveCyclicStream>>>,
    channel: RefCell<Option<Reference<DmaChannel>>>,
    group: RefCell<Option<Reference<ServiceGroup>>>,
    sink: RefCell<Option<Held>>,
    _port: Held,
}

/// The content of the pin's service sink.
pub(super) struct Sink(RefCell<Weak<CyclicPin>>);

static SINK: ServiceSink = ServiceSink { unknown: UNKNOWN, request_service: IServiceSink_RequestService };

impl Sink {
    /// The service group's call.
    pub(super) fn serve(&self) {
        let pin = self.0.borrow().upgrade();
        if let Some(pin) = pin {
            pin.serve();
        }
    }
}

import! {
    /// IServiceSink::RequestService of a pin.
    fn IServiceSink_RequestService(this: Pvoid), irql <= DISPATCH_LEVEL; {
        if let Some(sink) = served::content::<Sink>(this, "RequestService") {
            sink.serve();
        }
    }
}

/// What NewStream gives.
struct Made {
    stream: Reference<WaveCyclicStream>,
    channel: Reference<DmaChannel>,
    group: Reference<ServiceGroup>,
}

fn new_stream(filter: &FilterObject, pin: u32, format: &[u8]) -> Result<Made, NtStatus> {
    let MiniportReference::WaveCyclic(miniport) = &filter.miniport else {
        return Err(NtStatus::INVALID_DEVICE_REQUEST);
    };
    let format = AlignedFormat::new(format);
    let garbage: Pvoid = ptr::without_provenance_mut(GARBAGE);
    let (mut stream, mut channel, mut group) = (garbage, garbage, garbage);
    // SAFETY: the arguments live as long as the call.
    let status = miniport.call("IMiniportWaveCyclic::NewStream", |this, table| unsafe {
        (table.new_stream)(
            this,
            &raw mut stream,
            ptr::null_mut(),
            POOL,
            pin,
            0,
            format.pointer(),
            &raw mut channel,
            &raw mut group,
        )
    });
    status.ok()?;
    let stream = Reference::adopt(stream, "the stream")?;
    let channel = Reference::adopt(channel, "the DMA channel")?;
    Ok(Made { stream, channel, group: Reference::adopt(group, "the service group")? })
}

impl CyclicPin {
    /// Opens a pin.
    pub(crate) fn open(
        adapter: &Rc<Adapter>,
        port: &Rc<Port>,
        pin: u32,
        format: &[u8],
    ) -> Result<Rc<Self>, NtStatus> {
        if adapter.state.get() == PnpState::SurpriseRemoved {
            return Err(NtStatus::DEVICE_REMOVED);
        }
        let filter = port.filter().ok_or(NtStatus::DEVICE_NOT_READY)?;
        let known = filter.description.pins.get(pin as usize).ok_or(NtStatus::INVALID_PARAMETER)?;
        if known.is_bridge() {
            return Err(NtStatus::INVALID_DEVICE_REQUEST);
        }
        if filter.open_pins.borrow()[pin as usize] >= known.descriptor.max_filter_instances {
            return Err(NtStatus::INSUFFICIENT_RESOURCES);
        }
        let port = port.hold().ok_or(NtStatus::DEVICE_NOT_READY)?;
        let made = new_stream(&filter, pin, format)?;
        let (buffer, size) = buffer_of(&made.channel)?;
        filter.open_pins.borrow_mut()[pin as usize] += 1;
        let served =
            memory::allocate(size_of::<KEvent>(), "the event of a streaming request").cast::<KEvent>();
        event::initialize(served, dispatcher::SYNCHRONIZATION_EVENT, false);
        let instance = Rc::new(Self {
            adapter: Rc::clone(adapter),
            filter,
            pin,
            state: Cell::new(KsState::Stop),
            state_before_sleep: Cell::default(),
            busy: Cell::new(false),
            closed: Cell::new(false),
            waiting: RefCell::default(),
            source: memory::allocate(size as usize, "the data of a streaming request"),
            buffer,
            size,
            copied: Cell::new(0),
            played: Cell::new(0),
            offset: Cell::new(0),
            gaps: Cell::new(0),
            served,
            stream: RefCell::new(Some(made.stream)),
            channel: RefCell::new(Some(made.channel)),
            group: RefCell::new(Some(made.group)),
            sink: RefCell::default(),
            _port: port,
        });
        instance.join_group()?;
        instance.prepare()?;
        let open: Rc<dyn OpenPin> = Rc::<Self>::clone(&instance);
        adapter.pins.borrow_mut().retain(|pin| pin.strong_count() > 0);
        adapter.pins.borrow_mut().push(Rc::downgrade(&open));
        Ok(instance)
    }

    fn join_group(self: &Rc<Self>) -> Result<(), NtStatus> {
        let faces: [(&[Guid], *const Unknown); 1] = [(&[guid::IID_ISERVICE_SINK], (&raw const SINK).cast())];
        let content = Rc::new(Sink(RefCell::new(Rc::downgrade(self))));
        let sink = Held::adopt(Served::create("IServiceSink", &faces, content));
        let face = sink.served().primary();
        *self.sink.borrow_mut() = Some(sink);
        let group = self.group.borrow();
        let group = group.as_ref().ok_or(NtStatus::DEVICE_REMOVED)?;
        // SAFETY: the sink lives until it is removed from the group again.
        group.call("IServiceGroup::AddMember", |this, table| unsafe { (table.add_member)(this, face) }).ok()
    }

    /// What the port tells a stream before its first state.
    fn prepare(&self) -> Result<(), NtStatus> {
        let mut frame_size = u32::MAX;
        // SAFETY: the output lives as long as the call.
        let interval = self
            .with_stream("IMiniportWaveCyclicStream::SetNotificationFreq", |this, table| unsafe {
                (table.set_notification_freq)(this, INTERVAL, &raw mut frame_size)
            })?;
        if frame_size == u32::MAX || interval == 0 {
            record(
                Rule::Argument,
                format!("SetNotificationFreq: an interval of {interval} ms and {frame_size} bytes"),
            );
        }
        // SAFETY: the whole of the miniport's own buffer.
        self.with_stream("IMiniportWaveCyclicStream::Silence", |this, table| unsafe {
            (table.silence)(this, self.buffer, self.size)
        })
    }

    fn with_stream<R: 'static>(
        &self,
        name: &'static str,
        method: impl FnOnce(Pvoid, &WaveCyclicStream) -> R,
    ) -> Result<R, NtStatus> {
        let stream = self.stream.borrow();
        let stream = stream.as_ref().ok_or(NtStatus::DEVICE_REMOVED)?;
        Ok(stream.call(name, method))
    }

    /// Bytes of the cyclic buffer.
    pub(crate) fn buffer_bytes(&self) -> u64 {
        u64::from(self.size)
    }

    /// Bytes that were played, as of the last service.
    pub(crate) fn played(&self) -> u64 {
        self.played.get()
    }

    /// How often the position had passed what the client had written.
    pub(crate) fn gaps(&self) -> u64 {
        self.gaps.get()
    }

    /// Hands audio over; it is copied at the next service.
    pub(crate) fn write(&self, bytes: &[u8]) {
        self.waiting.borrow_mut().extend(bytes);
    }

    /// Waits until the port has copied, or the time has come.
    pub(crate) fn wait(&self, deadline: Time) -> bool {
        event::wait(self.served, Some(deadline))
    }

    /// The service group's call.
    fn serve(&self) {
        if self.closed.get() || self.state.get() != KsState::Run || self.update().is_err() {
            return;
        }
        self.copy();
        event::set(self.served);
    }

    /// Asks where the stream is.
    fn update(&self) -> Result<(), NtStatus> {
        let mut offset = u32::MAX;
        // SAFETY: the output lives as long as the call.
        let status = self.with_stream("IMiniportWaveCyclicStream::GetPosition", |this, table| unsafe {
            (table.get_position)(this, &raw mut offset)
        })?;
        status.ok()?;
        if offset >= self.size {
            record(Rule::Argument, format!("GetPosition gives {offset} in a buffer of {} bytes", self.size));
            return Err(NtStatus::UNSUCCESSFUL);
        }
        let passed = (offset + self.size - self.offset.replace(offset)) % self.size;
        self.played.set(self.played.get() + u64::from(passed));
        if self.played.get() > self.copied.get() {
            self.gaps.set(self.gaps.get() + 1);
            self.copied.set(self.played.get());
        }
        Ok(())
    }

    /// Copies what is waiting into the room there is.
    fn copy(&self) {
        let size = u64::from(self.size);
        loop {
            let at = self.copied.get() % size;
            let room = (self.played.get() + size - self.copied.get()).min(size - at);
            let count = (self.waiting.borrow().len() as u64).min(room) as u32;
            if count == 0 {
                return;
            }
            for (index, byte) in self.waiting.borrow_mut().drain(..count as usize).enumerate() {
                // SAFETY: the block has as many bytes as the buffer, and `count` is not more.
                unsafe { self.source.add(index).write(byte) };
            }
            let target = self.buffer.wrapping_byte_add(at as usize);
            let channel = self.channel.borrow();
            let Some(channel) = channel.as_ref() else { return };
            // SAFETY: `count` bytes of the request's data, and as much room in the miniport's buffer.
            channel.call("IDmaChannel::CopyTo", |this, table| unsafe {
                (table.copy_to)(this, target, self.source.cast(), count);
            });
            self.copied.set(self.copied.get() + u64::from(count));
        }
    }

    /// Copies as at a service, before the stream runs.
    pub(crate) fn preroll(&self) {
        let thread = schedule::current();
        let irql = thread.irql.replace(DISPATCH_LEVEL);
        self.copy();
        thread.irql.set(irql);
    }

    fn locked<R>(&self, body: impl FnOnce() -> R) -> R {
        schedule::wait("the lock of a pin", None, || (!self.busy.replace(true)).then_some(()));
        let result = body();
        self.busy.set(false);
        result
    }

    /// Goes to a state, one step at a time.
    pub(crate) fn set_state(&self, target: KsState) -> Result<(), NtStatus> {
        if self.adapter.state.get() == PnpState::SurpriseRemoved && target > self.state.get() {
            return Err(NtStatus::DEVICE_REMOVED);
        }
        self.locked(|| self.step_to(target))
    }

    fn step_to(&self, target: KsState) -> Result<(), NtStatus> {
        while self.state.get() != target {
            let next = next_state(self.state.get(), target);
            // SAFETY: a method without pointers.
            let status = self.with_stream("IMiniportWaveCyclicStream::SetState", |this, table| unsafe {
                (table.set_state)(this, next as u32)
            })?;
            status.ok()?;
            self.state.set(next);
        }
        Ok(())
    }

    /// Closes the pin; idempotent.
    pub(crate) fn close(&self) {
        if self.closed.get() {
            return;
        }
        if let Err(status) = self.locked(|| self.step_to(KsState::Stop)) {
            record(Rule::Argument, format!("a stream refused to stop: {status}"));
        }
        self.closed.set(true);
        let (sink, group) = (self.sink.take(), self.group.take());
        if let (Some(sink), Some(group)) = (&sink, &group) {
            let face = sink.served().primary();
            // SAFETY: the sink that was added.
            group.call("IServiceGroup::RemoveMember", |this, table| unsafe {
                (table.remove_member)(this, face);
            });
        }
        let (stream, channel) = (self.stream.take(), self.channel.take());
        drop(stream);
        drop(channel);
        drop(group);
        drop(sink);
        if let Some(open) = self.filter.open_pins.borrow_mut().get_mut(self.pin as usize) {
            *open -= 1;
        }
        event::forget(self.served);
        memory::free(self.served.cast());
        memory::free(self.source);
    }
}

/// The miniport's buffer: its address and size.
fn buffer_of(channel: &Reference<DmaChannel>) -> Result<(Pvoid, u32), NtStatus> {
    // SAFETY: a method without pointers.
    let size = channel.call("IDmaChannel::BufferSize", |this, table| unsafe { (table.buffer_size)(this) });
    // SAFETY: as above.
    let buffer =
        channel.call("IDmaChannel::SystemAddress", |this, table| unsafe { (table.system_address)(this) });
    let fits = memory::block_at(buffer.addr())
        .is_some_and(|(start, bytes)| buffer.addr() + size as usize <= start + bytes);
    if size == 0 || !fits {
        let place = memory::describe(buffer.addr());
        record(Rule::Argument, format!("the DMA channel's buffer of {size} bytes is {place}"));
        return Err(NtStatus::UNSUCCESSFUL);
    }
    Ok((buffer, size))
}

impl OpenPin for CyclicPin {
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
