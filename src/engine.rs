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
//! # Locks
//! `state` (a mutex: everything that the thread and the state changes do) before `playhead` (a spin lock: the position
//! may be asked for at DISPATCH_LEVEL).
//!
//! # What has been played
//! A client may write over everything that the position has passed. So a position is told only when everything before
//! it has been copied out of the buffer: asking for it at PASSIVE_LEVEL copies what has been played by now.

use core::net::Ipv4Addr;
use core::sync::atomic::{AtomicBool, Ordering};

use protocol::{
    CounterFrequency, CyclicBuffer, PacketsPerBuffer, PositionClock, Schedule, StreamFormat, StreamPosition,
    packet_frames,
};

use crate::com::port::MappedPages;
use crate::kernel::event::{ForeignEvent, Woken, wait_for_any};
use crate::kernel::thread::{Body, Thread};
use crate::kernel::{Event, FastMutex, Result, Shared, SpinLock, Status, Timer, clock, irql, log};
use crate::transport::Transport;
use crate::transport::wsk::{Client, Sender, Socket};

/// Notification events that can be registered at once; the audio engine uses one.
const MAX_EVENTS: usize = 4;

/// The engine of one stream.
pub struct Engine {
    core: Shared<Core>,
    /// `None` only while dropping.
    thread: Option<Thread>,
}

/// What the thread and the stream share.
struct Core {
    frequency: CounterFrequency,
    /// Wakes the thread: something has changed.
    changed: Event,
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

/// Everything else about the stream.
struct State {
    format: StreamFormat,
    buffer: Option<Buffer>,
    sender: Sender,
    events: [Option<ForeignEvent>; MAX_EVENTS],
    /// Frames since the stream started that were copied or skipped.
    consumed: u64,
    /// Frames that were overwritten before they could be copied.
    skipped: u64,
    /// When the thread has to wake, as a counter reading.
    deadline: Option<u64>,
}

/// The cyclic buffer and when it has to be looked at.
struct Buffer {
    pages: MappedPages,
    cyclic: CyclicBuffer,
    schedule: Schedule,
}

impl Engine {
    /// An engine that sends to `address` and `port`. PASSIVE_LEVEL.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`, or what the kernel says when it starts no thread.
    pub fn try_new(
        client: &'static Client,
        format: StreamFormat,
        address: Ipv4Addr,
        port: u16,
    ) -> Result<Self> {
        let frequency = CounterFrequency::new(clock::frequency()).map_err(|_| Status::UNSUCCESSFUL)?;
        let position = StreamPosition::new(PositionClock::new(format.rate(), frequency));
        let state = State {
            format,
            buffer: None,
            sender: Sender::try_new(format, address, port)?,
            events: [None; MAX_EVENTS],
            consumed: 0,
            skipped: 0,
            deadline: None,
        };
        let core = Shared::try_new(Core {
            frequency,
            changed: Event::try_new()?,
            ending: AtomicBool::new(false),
            playhead: SpinLock::new(Playhead { position, buffer: None, copied: 0 }),
            state: FastMutex::try_new(state)?,
        })?;
        let body = DmaTimer {
            core: core.clone(),
            timer: Timer::try_new()?,
            socket: Socket::try_new(client, frequency.get())?,
        };
        let thread = Some(Thread::spawn(body)?);
        Ok(Self { core, thread })
    }

    /// The position moves from where it is. PASSIVE_LEVEL.
    ///
    /// # Errors
    /// `STATUS_INVALID_DEVICE_STATE` without a buffer.
    pub fn run(&self) -> Result {
        let core = &*self.core;
        let mut state = core.state.lock();
        let consumed = state.consumed;
        let buffer = state.buffer.as_mut().ok_or(Status::INVALID_DEVICE_STATE)?;
        let mut playhead = core.playhead.lock();
        if playhead.position.is_running() {
            return Ok(());
        }
        buffer.schedule.restart(consumed);
        playhead.position.run(clock::now());
        drop(playhead);
        state.deadline = None;
        drop(state);
        core.changed.set();
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
        state.consumed = 0;
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
        let schedule = Schedule::new(packet_frames(state.format), cyclic, packets);
        let (Ok(schedule), None) = (schedule, &state.buffer) else {
            let taken = state.buffer.is_some();
            // The pages are freed at PASSIVE_LEVEL, so not under the lock.
            drop(state);
            drop(pages);
            return Err(if taken { Status::INVALID_DEVICE_STATE } else { Status::INVALID_PARAMETER });
        };
        state.buffer = Some(Buffer { pages, cyclic, schedule });
        // Events that were registered for an earlier buffer and never taken off may have gone with it.
        state.events = [None; MAX_EVENTS];
        self.core.playhead.lock().buffer = Some(cyclic);
        Ok(())
    }

    /// Frees the cyclic buffer; what was played up to now is sent before. PASSIVE_LEVEL.
    pub fn detach_buffer(&self) {
        let mut state = self.core.state.lock();
        self.core.pause(&mut state);
        let buffer = state.buffer.take();
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
        self.core.ending.store(true, Ordering::Release);
        self.core.changed.set();
        // Waits for the end of the thread.
        drop(self.thread.take());
        let state = self.core.state.lock();
        if state.skipped != 0 {
            log::number(c"frames skipped because the thread was late", clamp(state.skipped));
        }
        if state.sender.lost() != 0 {
            log::number(c"packets lost", clamp(state.sender.lost()));
        }
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
            state.sender.send();
        }
        (position, now)
    }

    /// Freezes the position and sends what was played before.
    fn pause(&self, state: &mut State) {
        let mut playhead = self.playhead.lock();
        let was_running = playhead.position.is_running();
        let frames = playhead.position.pause(clock::now());
        drop(playhead);
        if was_running {
            state.consume(frames);
            self.playhead.lock().copied = state.consumed;
            state.sender.flush();
            state.sender.send();
        }
        state.deadline = None;
    }

    /// What the thread does when it wakes: catches up with the position, and finds the next deadline.
    ///
    /// Returns the time to it in units of 100 ns; `None` when nothing runs.
    fn service(&self) -> Option<u64> {
        let mut state = self.state.lock();
        let (position, now) = self.catch_up(&mut state);
        let deadline = state.next_deadline(&position, now)?;
        Some(self.frequency.hundred_ns(deadline.saturating_sub(now)))
    }
}

impl State {
    /// Copies what was played up to frame `target` into packets and sets the events if a packet of the buffer ended.
    fn consume(&mut self, target: u64) {
        let Some(buffer) = &mut self.buffer else { return };
        let before = self.consumed;
        let backlog = buffer.cyclic.backlog(before, target);
        if backlog.is_glitch() {
            self.skipped = self.skipped.saturating_add(backlog.skipped);
            self.sender.flush();
            buffer.schedule.flushed(backlog.start);
        }
        for span in backlog.spans() {
            let mut done = 0;
            while done < span.len {
                let offset = span.offset.saturating_add(done);
                let taken = self.sender.append(span.len.saturating_sub(done), |bytes| {
                    buffer.pages.copy_to(offset, bytes);
                });
                if taken == 0 {
                    break;
                }
                done = done.saturating_add(taken);
            }
        }
        self.consumed = before.max(target);
        if buffer.schedule.crossed_boundary(before, self.consumed) {
            for event in self.events.iter().flatten() {
                event.set();
            }
        }
    }

    /// The deadline that is still ahead, or the next one.
    fn next_deadline(&mut self, position: &StreamPosition, now: u64) -> Option<u64> {
        if self.deadline.is_none_or(|deadline| deadline <= now) {
            let schedule = &mut self.buffer.as_mut()?.schedule;
            self.deadline = schedule.next_wake(position, self.consumed);
        }
        self.deadline
    }
}

/// The thread's body.
struct DmaTimer {
    core: Shared<Core>,
    timer: Timer,
    socket: Socket,
}

impl Body for DmaTimer {
    fn run(mut self) {
        let mut running = false;
        while !self.core.ending.load(Ordering::Acquire) {
            let delay = self.core.service();
            match delay {
                Some(delay) => self.timer.set(delay),
                None => self.timer.cancel(),
            }
            self.look_after_socket(delay.is_some() && !running);
            running = delay.is_some();
            if wait_for_any(&self.core.changed, &self.timer, self.socket.step_event()) == Woken::Second {
                self.socket_step_done();
            }
        }
        self.core.state.lock().sender.use_socket(None);
        self.socket.close();
    }
}

impl DmaTimer {
    /// Opens the socket if it is closed and it is time to try, or playing has just begun; closes it if it is broken.
    fn look_after_socket(&mut self, playing_begins: bool) {
        let mut state = self.core.state.lock();
        let broken = state.sender.socket_is_broken();
        if broken {
            state.sender.use_socket(None);
        }
        // Sockets are opened and closed at PASSIVE_LEVEL, so not under the lock.
        drop(state);
        if broken {
            self.socket.reopen();
        }
        self.socket.advance(clock::now(), playing_begins);
    }

    fn socket_step_done(&mut self) {
        if let Some(socket) = self.socket.step_done(clock::now()) {
            self.core.state.lock().sender.use_socket(Some(socket));
        }
    }
}

fn clamp(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
