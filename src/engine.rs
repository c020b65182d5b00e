//! The engine of a stream: takes the audio out of the cyclic buffer at the rate at which it plays, and sends it.
//!
//! There is no hardware, so the position is a function of the performance counter ([`Playhead`]). A thread, the
//! "DMA timer", wakes when the next packet is full or the next notification is due, and does what a DMA controller and
//! its interrupt would: it copies what has been played since the last time, sets the events, and sends.
//!
//! # Life cycle
//! [`Engine::try_new`] starts the thread, which opens the socket and then sleeps until the first RUN. Dropping the
//! engine ends the thread, which closes the socket; then the rest goes.
//!
//! * [`State`]: what was copied, and what is next. [`DmaTimer`]: the thread's body. [`Silence`]: what is sent while the
//!   stream does not run, for receivers that want an unbroken one.
//!
//! # Locks
//! `state` (a mutex: everything that the thread and the state changes do) before `playhead` (a spin lock: the position
//! may be asked for at DISPATCH_LEVEL).
//!
//! # What has been played
//! A client may write over everything that the position has passed. So a position is told only when everything before
//! it has been copied out of the buffer: asking for it at PASSIVE_LEVEL copies what has been played by now.

mod dma_timer;
mod silence;
mod state;

use core::num::NonZeroU32;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use protocol::{
    CounterFrequency, CyclicBuffer, Options, PacketsPerBuffer, PositionClock, PositionSnapshot, RingError,
    RingLayout, Schedule, StreamFormat, StreamPosition, WritePacketError, WrittenPackets, packet_count,
};

use self::dma_timer::DmaTimer;
use self::silence::Silence;
use self::state::{Buffer, MAX_EVENTS, State};
use crate::com::port::MappedPages;
use crate::com::stream_resource::{PhysicalDevice, StreamResource};
use crate::events::{self, Pace, StreamTotals};
use crate::kernel::event::ForeignEvent;
use crate::kernel::thread::Thread;
use crate::kernel::{Event, FastMutex, Result, Shared, SpinLock, Status, Timer, clock, irql};
use crate::transport::Output;
use crate::transport::ivshmem::{Holder, Mapping, Refused, Search};
use crate::transport::wsk::{Broken, Client, Sockets};

/// How many streams there have been since the driver was loaded: the number by which events tell them apart.
static STREAMS: AtomicU32 = AtomicU32::new(0);

/// The engine of one stream.
pub struct Engine {
    /// PortCls knows of the thread; none if it did not want to. Dropped before the thread ends.
    resource: Option<StreamResource>,
    core: Shared<Core>,
    /// `None` only while dropping.
    thread: Option<Thread>,
}

/// What the thread and the stream share.
struct Core {
    frequency: CounterFrequency,
    /// Wakes the thread: something has changed.
    changed: Shared<Event>,
    /// Tells the thread to end.
    ending: AtomicBool,
    playhead: SpinLock<Playhead>,
    state: FastMutex<State>,
}

/// The position, and what may be told of it.
struct Playhead {
    position: StreamPosition,
    buffer: Option<CyclicBuffer>,
    /// Frames since the stream started that are out of the buffer: all before this one, at most the position.
    copied: u64,
}

impl Engine {
    /// An engine that sends as the options say. PASSIVE_LEVEL.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`, or what the kernel says when it starts no thread.
    pub fn try_new(
        device: PhysicalDevice,
        client: &'static Client,
        format: StreamFormat,
        options: &Options,
    ) -> Result<Self> {
        let frequency = CounterFrequency::new(clock::frequency()).map_err(|_| Status::UNSUCCESSFUL)?;
        let clock = PositionClock::new(format.rate(), frequency);
        let stream = STREAMS.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        let second = frequency.get();
        let state = State {
            stream,
            format,
            buffer: None,
            output: Output::try_new(stream, format, options, second)?,
            silence: options.continuous.then(|| Silence::new(clock)),
            events: [None; MAX_EVENTS],
            consumed: 0,
            resume: 0,
            totals: StreamTotals::default(),
            told: StreamTotals::default(),
            pace: Pace::new(second),
            deadline: None,
        };
        let playhead = Playhead { position: StreamPosition::new(clock), buffer: None, copied: 0 };
        let changed = Shared::try_new(Event::try_new()?)?;
        let core = Shared::try_new(Core {
            frequency,
            changed: changed.clone(),
            ending: AtomicBool::new(false),
            playhead: SpinLock::new(playhead),
            state: FastMutex::try_new(state)?,
        })?;
        let search = |mebibytes| Search::try_new(stream, mebibytes, second, core.clone());
        let body = DmaTimer {
            core: core.clone(),
            timer: Timer::try_new()?,
            sockets: if options.uses_network() {
                Some(Sockets::try_new(stream, options, client, second, &changed)?)
            } else {
                None
            },
            search: options.ivshmem.map(search).transpose()?,
        };
        let thread = Thread::spawn(body)?;
        let resource = thread.object().and_then(|object| StreamResource::add(device, object)).ok();
        events::stream_opened(stream, format, options);
        let engine = Self { resource, core, thread: Some(thread) };
        engine.core.begin_silence();
        Ok(engine)
    }

    /// The position moves from where it is. PASSIVE_LEVEL.
    ///
    /// # Errors
    /// `STATUS_INVALID_DEVICE_STATE` without a buffer.
    pub fn run(&self) -> Result {
        let core = &*self.core;
        let mut state = core.state.lock();
        let (stream, consumed) = (state.stream, state.consumed);
        let buffer = state.buffer.as_mut().ok_or(Status::INVALID_DEVICE_STATE)?;
        let mut playhead = core.playhead.lock();
        if playhead.position.is_running() {
            return Ok(());
        }
        let now = clock::now();
        buffer.schedule.restart(consumed);
        playhead.position.run(now);
        drop(playhead);
        state.end_silence(now);
        state.output.begin(now);
        state.deadline = None;
        drop(state);
        core.changed.set();
        events::stream_started(stream, consumed);
        Ok(())
    }

    /// The position stays where it is; what was played up to now is sent. PASSIVE_LEVEL.
    pub fn pause(&self) {
        let core = &*self.core;
        let mut state = core.state.lock();
        core.pause(&mut state);
        drop(state);
        core.changed.set();
    }

    /// As [`Engine::pause`], and the position is zero again. PASSIVE_LEVEL.
    pub fn stop(&self) {
        let core = &*self.core;
        let mut state = core.state.lock();
        core.pause(&mut state);
        let mut playhead = core.playhead.lock();
        playhead.position.stop();
        playhead.copied = 0;
        drop(playhead);
        (state.consumed, state.resume) = (0, 0);
        if let Some(buffer) = &mut state.buffer {
            buffer.schedule.ends_at(None);
            buffer.written.iter_mut().for_each(WrittenPackets::reset);
        }
        drop(state);
        core.changed.set();
    }

    /// The byte of the cyclic buffer before which everything has been copied; 0 without a buffer.
    ///
    /// At PASSIVE_LEVEL and APC_LEVEL that is the byte that is played now; at DISPATCH_LEVEL, where nothing can be
    /// copied, it is the byte up to which the thread has come.
    pub fn play_offset(&self) -> u64 {
        if irql::may_wait() {
            let mut state = self.core.state.lock();
            self.core.catch_up(&mut state);
        }
        let playhead = self.core.playhead.lock();
        playhead.buffer.map_or(0, |buffer| buffer.offset_of(playhead.copied) as u64)
    }

    /// The low 32 bits of the number of packets of the buffer that were played. PASSIVE_LEVEL.
    ///
    /// # Errors
    /// `STATUS_NOT_SUPPORTED` without a buffer with notifications.
    pub fn packet_count(&self) -> Result<u32> {
        let mut state = self.core.state.lock();
        let written = *state.written_packets()?;
        self.core.catch_up(&mut state);
        Ok(packet_count(state.consumed, written.frames_per_packet()))
    }

    /// The frame that is played now, counted from the start of the stream, and the counter at that moment.
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// As [`Engine::packet_count`].
    pub fn presentation_position(&self) -> Result<PositionSnapshot> {
        let mut state = self.core.state.lock();
        state.written_packets()?;
        let (mut position, now) = self.core.catch_up(&mut state);
        Ok(position.snapshot(now))
    }

    /// The audio engine has written packet `number`. `last` is its length in bytes when it ends the stream.
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// `STATUS_DATA_LATE_ERROR`, `STATUS_DATA_OVERRUN`, `STATUS_INVALID_DEVICE_STATE` after the last packet,
    /// `STATUS_INVALID_PARAMETER` when the last is longer than a packet, otherwise as [`Engine::packet_count`].
    pub fn write_packet(&self, number: u32, last: Option<u32>) -> Result {
        let mut state = self.core.state.lock();
        let frame = u64::from(state.format.bytes_per_frame().get());
        let packet = state.written_packets()?.frames_per_packet().get();
        if last.is_some_and(|bytes| u64::from(bytes) > packet.saturating_mul(frame)) {
            return Err(Status::INVALID_PARAMETER);
        }
        let last = last.and_then(|bytes| u64::from(bytes).checked_div(frame));
        // What is late is judged by what is played now.
        let (position, _) = self.core.catch_up(&mut state);
        let consumed = state.consumed;
        let Some(Buffer { written: Some(written), schedule, .. }) = &mut state.buffer else {
            return Err(Status::NOT_SUPPORTED);
        };
        let result = written.write(number, consumed, position.is_running(), last);
        if last.is_some() {
            schedule.ends_at(written.end());
            state.deadline = None;
            drop(state);
            self.core.changed.set();
        }
        result.map_err(|error| match error {
            WritePacketError::Late { .. } => Status::DATA_LATE,
            WritePacketError::Overrun { .. } => Status::DATA_OVERRUN,
            WritePacketError::Ended => Status::INVALID_DEVICE_STATE,
        })
    }

    /// Frames of a full packet or chunk, whichever is the longer one if the stream may be sent as either. PASSIVE_LEVEL.
    pub fn longest_unit(&self) -> NonZeroU32 {
        self.core.state.lock().output.longest_unit()
    }

    /// Whether a cyclic buffer can be attached: there is none. PASSIVE_LEVEL.
    pub fn takes_buffer(&self) -> bool {
        self.core.state.lock().buffer.is_none()
    }

    /// The cyclic buffer from now on. PASSIVE_LEVEL.
    ///
    /// # Errors
    /// `STATUS_INVALID_DEVICE_STATE` when there is one already, and `STATUS_INVALID_PARAMETER` when it does not divide
    /// into whole packets; the pages are freed then.
    pub fn attach_buffer(
        &self,
        pages: MappedPages,
        cyclic: CyclicBuffer,
        packets: Option<PacketsPerBuffer>,
    ) -> Result {
        let mut state = self.core.state.lock();
        let schedule = Schedule::new(state.output.unit(), cyclic, packets);
        let (Ok(schedule), None) = (schedule, &state.buffer) else {
            let taken = state.buffer.is_some();
            // The pages are freed at PASSIVE_LEVEL, so not under the lock.
            drop(state);
            drop(pages);
            return Err(if taken { Status::INVALID_DEVICE_STATE } else { Status::INVALID_PARAMETER });
        };
        let written = packets.and_then(|packets| WrittenPackets::new(cyclic, packets));
        state.buffer = Some(Buffer { pages, cyclic, schedule, written });
        // Events that were registered for an earlier buffer and never taken off may have gone with it.
        state.events = [None; MAX_EVENTS];
        self.core.playhead.lock().buffer = Some(cyclic);
        let notifications = packets.map_or(0, PacketsPerBuffer::count);
        events::buffer_attached(state.stream, cyclic.frames().get(), notifications);
        Ok(())
    }

    /// Frees the cyclic buffer; what was played up to now is sent before. PASSIVE_LEVEL.
    pub fn detach_buffer(&self) {
        let mut state = self.core.state.lock();
        self.core.pause(&mut state);
        let buffer = state.buffer.take();
        state.resume = 0;
        self.core.playhead.lock().buffer = None;
        drop(state);
        // The pages are freed at PASSIVE_LEVEL, so not under the lock.
        drop(buffer);
    }

    /// Adds a notification event. PASSIVE_LEVEL.
    ///
    /// # Errors
    /// `STATUS_UNSUCCESSFUL` when it is there already, `STATUS_INSUFFICIENT_RESOURCES` when there are too many.
    pub fn register_event(&self, event: ForeignEvent) -> Result {
        let mut state = self.core.state.lock();
        if state.events.contains(&Some(event)) {
            return Err(Status::UNSUCCESSFUL);
        }
        let free = state.events.iter_mut().find(|place| place.is_none());
        *free.ok_or(Status::INSUFFICIENT_RESOURCES)? = Some(event);
        Ok(())
    }

    /// Takes a notification event off: it is not touched afterwards. PASSIVE_LEVEL.
    ///
    /// # Errors
    /// `STATUS_NOT_FOUND`.
    pub fn unregister_event(&self, event: ForeignEvent) -> Result {
        let mut state = self.core.state.lock();
        let place = state.events.iter_mut().find(|place| **place == Some(event));
        *place.ok_or(Status::NOT_FOUND)? = None;
        Ok(())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.detach_buffer();
        self.core.state.lock().end_silence(clock::now());
        self.resource = None;
        self.core.ending.store(true, Ordering::Release);
        self.core.changed.set();
        // Waits for the end of the thread.
        drop(self.thread.take());
        let state = self.core.state.lock();
        events::stream_closed(state.stream, state.totals());
    }
}

impl Core {
    /// Copies and sends what has been played by now. Returns the position and the counter at that moment.
    fn catch_up(&self, state: &mut State) -> (StreamPosition, u64) {
        let mut playhead = self.playhead.lock();
        let now = clock::now();
        let frames = playhead.position.frames_at(now);
        let position = playhead.position;
        drop(playhead);
        if position.is_running() {
            state.consume(frames);
            self.playhead.lock().copied = state.consumed;
            state.output.send();
            state.tell_losses(now);
        }
        (position, now)
    }

    /// Freezes the position and sends what was played before.
    fn pause(&self, state: &mut State) {
        let mut playhead = self.playhead.lock();
        let was_running = playhead.position.is_running();
        let now = clock::now();
        let frames = playhead.position.pause(now);
        drop(playhead);
        if was_running {
            state.consume(frames);
            self.playhead.lock().copied = state.consumed;
            state.output.flush();
            state.output.send();
            state.tell_losses(now);
            events::stream_stopped(state.stream, state.consumed);
            state.begin_silence(now);
        }
        state.deadline = None;
    }

    /// The stream has been opened: silence is heard until it runs, if the options want that.
    fn begin_silence(&self) {
        let mut state = self.state.lock();
        state.begin_silence(clock::now());
        let wake = state.silence.is_some();
        drop(state);
        if wake {
            self.changed.set();
        }
    }

    /// What the thread does when it wakes: catches up with the position, and finds out what is next.
    fn service(&self) -> Next {
        let mut state = self.state.lock();
        state.totals.wakes = state.totals.wakes.saturating_add(1);
        let (position, now) = self.catch_up(&mut state);
        let deadline = match position.is_running() {
            true => state.next_deadline(&position, now),
            false => state.service_silence(now),
        };
        let broken = state.output.network().map_or(0, |network| network.take_broken(now));
        let delay = deadline.map(|deadline| self.frequency.hundred_ns(deadline.saturating_sub(now)));
        Next { now, delay, broken }
    }
}

/// What is next for the thread.
struct Next {
    /// The reading of the performance counter at which this was found out.
    now: u64,
    /// The time to the next deadline, in units of 100 ns; none when nothing is to be sent.
    delay: Option<u64>,
    /// Targets whose sockets are of no use.
    broken: Broken,
}

impl Holder for Core {
    fn attach(&self, mapping: Mapping) -> core::result::Result<RingLayout, Refused> {
        let mut state = self.state.lock();
        // What was begun on the way so far ends there.
        state.output.flush();
        state.output.send();
        let Some(ring) = state.output.ring_mut() else {
            return Err(Refused { mapping, reason: RingError::Changed });
        };
        let layout = ring.attach(mapping)?;
        state.output_changed();
        Ok(layout)
    }

    fn detach(&self) -> Option<Mapping> {
        let mut state = self.state.lock();
        let mapping = state.output.ring_mut()?.detach();
        state.output_changed();
        mapping
    }

    fn wake(&self) {
        self.changed.set();
    }
}
