//! Pins of the WaveCyclic port: PortCls copies what clients write into the miniport's cyclic buffer.
//!
//! A client hands audio over ([`CyclicPin::write`]), as streaming requests do. When the service group calls, at
//! DISPATCH_LEVEL, the port asks the stream for its position and copies into the room that has become free, with the
//! miniport's IDmaChannel. Then it wakes the client.
//!
//! Order: NewStream (stream, DMA channel and service group come back), the pin joins the group, SetNotificationFreq,
//! Silence over the whole buffer.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ops::Deref;
use std::ptr;
use std::rc::{Rc, Weak};

use super::abi::{KsState, guid};
use super::adapter::Adapter;
use super::interfaces::{DmaChannel, ServiceGroup, ServiceSink, Unknown, WaveCyclicStream};
use super::pin::{self, Limits, PinInstance, StreamTable};
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
    pin: Rc<PinInstance<WaveCyclicStream>>,
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
    channel: RefCell<Option<Reference<DmaChannel>>>,
    group: RefCell<Option<Reference<ServiceGroup>>>,
    sink: RefCell<Option<Held>>,
}

impl StreamTable for WaveCyclicStream {
    const SET_STATE: &'static str = "IMiniportWaveCyclicStream::SetState";

    fn set_state(&self) -> unsafe extern "efiapi" fn(Pvoid, u32) -> NtStatus {
        self.set_state
    }
}

impl Deref for CyclicPin {
    type Target = PinInstance<WaveCyclicStream>;

    fn deref(&self) -> &Self::Target {
        &self.pin
    }
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
    if let Err(status) = status.ok() {
        if [stream, channel, group].iter().any(|output| !output.is_null()) {
            record(Rule::Com, format!("NewStream failed with {status} and did not clear its outputs"));
        }
        return Err(status);
    }
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
        let filter = pin::openable(adapter, port, pin, format, Limits::PortCls)?;
        let port = port.hold().ok_or(NtStatus::DEVICE_NOT_READY)?;
        let made = new_stream(&filter, pin, format)?;
        let (buffer, size) = buffer_of(&made.channel)?;
        let served =
            memory::allocate(size_of::<KEvent>(), "the event of a streaming request").cast::<KEvent>();
        event::initialize(served, dispatcher::SYNCHRONIZATION_EVENT, false);
        let pin = PinInstance::new(adapter, port, filter, pin, made.stream);
        pin.set_playable(true);
        let instance = Rc::new(Self {
            pin,
            waiting: RefCell::default(),
            source: memory::allocate(size as usize, "the data of a streaming request"),
            buffer,
            size,
            copied: Cell::new(0),
            played: Cell::new(0),
            offset: Cell::new(0),
            gaps: Cell::new(0),
            served,
            channel: RefCell::new(Some(made.channel)),
            group: RefCell::new(Some(made.group)),
            sink: RefCell::default(),
        });
        match instance.join_group().and_then(|()| instance.prepare()) {
            Ok(()) => Ok(instance),
            Err(status) => {
                instance.close();
                Err(status)
            }
        }
    }

    fn join_group(self: &Rc<Self>) -> Result<(), NtStatus> {
        let faces: [(&[Guid], *const Unknown); 1] = [(&[guid::IID_ISERVICE_SINK], (&raw const SINK).cast())];
        let content = Rc::new(Sink(RefCell::new(Rc::downgrade(self))));
        let sink = Held::adopt(Served::create("IServiceSink", &faces, content));
        let face = sink.served().primary();
        let group = self.group.borrow();
        let group = group.as_ref().ok_or(NtStatus::DEVICE_REMOVED)?;
        let add = "IServiceGroup::AddMember";
        // SAFETY: the sink lives until it is removed from the group again.
        group.call(add, |this, table| unsafe { (table.add_member)(this, face) }).ok()?;
        *self.sink.borrow_mut() = Some(sink);
        Ok(())
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
        if self.state() != KsState::Run || self.update().is_err() {
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

    /// Closes the pin; idempotent.
    pub(crate) fn close(&self) {
        self.pin.close(|| {
            let (sink, group) = (self.sink.take(), self.group.take());
            if let (Some(sink), Some(group)) = (&sink, &group) {
                let face = sink.served().primary();
                // SAFETY: the sink that was added.
                group.call("IServiceGroup::RemoveMember", |this, table| unsafe {
                    (table.remove_member)(this, face);
                });
            }
            let (stream, channel) = (self.take_stream(), self.channel.take());
            drop(stream);
            drop(channel);
            drop(group);
            drop(sink);
            event::forget(self.served);
            memory::free(self.served.cast());
            memory::free(self.source);
        });
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
