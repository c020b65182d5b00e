//! The client of a soak: like the audio engine it writes ahead of the position; unlike it, it changes its mind at any
//! time. It knows to the frame what has been played, from the clock alone.

use super::choice::Choice;
use crate::client::{Buffer, Format, Stream};
use crate::machine::machine;
use crate::nt::{KEvent, NtStatus};
use crate::portcls::abi::KsState;
use crate::schedule;

/// A stream and everything its client knows of it.
pub(super) struct Client {
    pub(super) stream: Stream,
    pub(super) format: Format,
    choice: Choice,
    /// What is in the buffer, as the client wrote it.
    ring: Vec<u8>,
    /// Bytes since the stream was last in STOP: passed by the position, and written ahead of it.
    position: u64,
    written: u64,
    /// The counter when it last began to run, and the frames before that.
    running: Option<(u64, u64)>,
    /// Everything that the position has passed, in order.
    pub(super) played: Vec<u8>,
    pub(super) events: Vec<*mut KEvent>,
    /// The client knows when the stream ran; else it only knows what it was told.
    pub(super) exact: bool,
    /// Events that were unregistered; nobody may set them.
    pub(super) retired: Vec<*mut KEvent>,
}

impl Client {
    pub(super) fn new(stream: Stream, format: Format, choice: Choice) -> Self {
        Self {
            stream,
            format,
            choice,
            ring: Vec::new(),
            position: 0,
            written: 0,
            running: None,
            played: Vec::new(),
            events: Vec::new(),
            exact: true,
            retired: Vec::new(),
        }
    }

    fn frame(&self) -> u64 {
        self.format.frame_bytes() as u64
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub(super) fn has_buffer(&self) -> bool {
        !self.ring.is_empty()
    }

    /// Duration of the buffer in nanoseconds.
    pub(super) fn ring_time(&self) -> u64 {
        self.ring.len() as u64 / self.frame() * 1_000_000_000 / u64::from(self.format.rate)
    }

    /// Takes note of what has been played by now. No time passes in a call, so before and after it are the same moment.
    pub(super) fn catch_up(&mut self) {
        let Some((base, frames)) = self.running else { return };
        let ticks = u128::from(schedule::counter() - base);
        let played = ticks * u128::from(self.format.rate) / u128::from(machine().config.counter_frequency);
        let now = (frames + played as u64) * self.frame();
        let size = self.ring.len();
        while self.position < now {
            let at = (self.position % size as u64) as usize;
            let count = (size - at).min((now - self.position) as usize);
            self.played.extend_from_slice(&self.ring[at..at + count]);
            self.position += count as u64;
        }
        self.written = self.written.max(self.position);
    }

    /// Takes note of the state that the stream was brought to.
    pub(super) fn note_state(&mut self) {
        self.catch_up();
        match self.stream.state() {
            KsState::Run if self.running.is_none() => {
                self.running = Some((schedule::counter(), self.position / self.frame()));
            }
            KsState::Run => {}
            KsState::Stop => (self.running, self.position, self.written) = (None, 0, 0),
            _ => self.running = None,
        }
    }

    /// Allocates a buffer, and an event if it has notifications.
    pub(super) fn allocate(&mut self, buffer: Buffer) -> Result<(), NtStatus> {
        self.stream.allocate(buffer)?;
        self.ring = vec![0; self.stream.buffer_bytes() as usize];
        self.written = self.position;
        Ok(())
    }

    pub(super) fn free(&mut self) {
        self.catch_up();
        self.stream.free_buffer();
        self.ring.clear();
    }

    /// Writes new audio behind what is written: as much as there is room for, or less.
    ///
    /// The position is asked for first: what it has passed may be overwritten then.
    pub(super) fn write(&mut self) -> Result<(), String> {
        if !self.has_buffer() {
            return Ok(());
        }
        self.check_position(false)?;
        let room = self.position + self.ring.len() as u64 - self.written;
        let room = room / self.frame() * self.frame();
        let bytes = if self.choice.once_in(3) {
            self.choice.below(room + 1) / self.frame() * self.frame()
        } else {
            room
        };
        let audio = self.audio(bytes as usize);
        let (size, start) = (self.ring.len() as u64, self.written);
        for (offset, byte) in audio.iter().enumerate() {
            self.ring[((start + offset as u64) % size) as usize] = *byte;
        }
        self.stream.write((start % size) as usize, &audio);
        self.written += bytes;
        Ok(())
    }

    /// Noise: no two pieces of it are alike.
    fn audio(&self, bytes: usize) -> Vec<u8> {
        let mut audio = Vec::with_capacity(bytes + 8);
        while audio.len() < bytes {
            audio.extend_from_slice(&self.choice.number().to_le_bytes());
        }
        audio.truncate(bytes);
        audio
    }

    /// Asks for the position and compares: at PASSIVE_LEVEL it is exact, at DISPATCH_LEVEL it may be behind.
    pub(super) fn check_position(&mut self, at_dispatch_level: bool) -> Result<(), String> {
        self.catch_up();
        let told =
            if at_dispatch_level { self.stream.position_at_dispatch_level() } else { self.stream.position() };
        let told = told.map_err(|status| format!("GetPosition returned {status}"))?;
        let size = self.ring.len() as u64;
        let expected = if size == 0 { 0 } else { self.position % size };
        if told.play_offset != told.write_offset || !told.play_offset.is_multiple_of(self.frame()) {
            return Err(format!("a position inside of a frame, or two of them: {told:?}"));
        }
        if self.exact && !at_dispatch_level && told.play_offset != expected {
            return Err(format!(
                "the position is {expected} of {size}, and GetPosition says {}",
                told.play_offset
            ));
        }
        Ok(())
    }
}
