//! The client of a soak: like the audio engine it writes ahead of the position; unlike it, it changes its mind at any
//! time. It knows to the frame what has been played, from the clock alone.

use super::choice::Choice;
use super::packets::{END_OF_STREAM, Packets, Sound};
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
    /// What was announced of it; none without notifications.
    packets: Option<Packets>,
    /// The state, as far as the client knows.
    state: KsState,
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
}

impl Client {
    pub(super) fn new(stream: Stream, format: Format, choice: Choice) -> Self {
        Self {
            stream,
            format,
            choice,
            ring: Vec::new(),
            packets: None,
            state: KsState::Stop,
            position: 0,
            written: 0,
            running: None,
            played: Vec::new(),
            events: Vec::new(),
            exact: true,
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
            let (sound, until) = self
                .packets
                .as_ref()
                .map_or((Sound::Buffer, u64::MAX), |packets| packets.sound(self.position));
            let at = (self.position % size as u64) as usize;
            let count = (size - at).min((now.min(until) - self.position) as usize);
            match sound {
                Sound::Buffer => self.played.extend_from_slice(&self.ring[at..at + count]),
                Sound::Silence => self.played.resize(self.played.len() + count, 0),
                Sound::Nothing => {}
            }
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
            KsState::Stop => {
                (self.running, self.position, self.written) = (None, 0, 0);
                if self.state != KsState::Stop {
                    self.forget_packets();
                }
            }
            _ => self.running = None,
        }
        self.state = self.stream.state();
    }

    /// SetState was called with STOP.
    pub(super) fn forget_packets(&mut self) {
        self.packets.iter_mut().for_each(Packets::reset);
    }

    /// Allocates a buffer, and an event if it has notifications.
    pub(super) fn allocate(&mut self, buffer: Buffer) -> Result<(), NtStatus> {
        self.stream.allocate(buffer)?;
        self.ring = vec![0; self.stream.buffer_bytes() as usize];
        self.packets = Packets::new(self.ring.len() as u64, self.stream.notifications().into());
        self.written = self.position;
        Ok(())
    }

    pub(super) fn free(&mut self) {
        self.catch_up();
        self.stream.free_buffer();
        self.ring.clear();
        self.packets = None;
    }

    /// Announces a packet: mostly one that may be.
    pub(super) fn announce(&mut self) -> Result<(), String> {
        self.catch_up();
        let choice = self.choice.clone();
        let size = self.packets.as_ref().map_or(1, |packets| packets.size);
        let playing = (self.position / size) as u32;
        let number = match choice.below(8) {
            0 => choice.number() as u32,
            1 => playing.wrapping_add(choice.below(4) as u32).wrapping_sub(1),
            _ => playing.wrapping_add(u32::from(self.is_running() || choice.once_in(2))),
        };
        // Of frames, as the audio engine has them.
        let length = (choice.below(size + 1) / self.frame() * self.frame()) as u32;
        let (flags, length) = match choice.below(24) {
            0 => (END_OF_STREAM, length),
            1 => (END_OF_STREAM, length.saturating_add(choice.number() as u32)),
            2 => (choice.number() as u32, length),
            _ => (0, choice.number() as u32),
        };
        let (position, running) = (self.position, self.is_running());
        let expected = match &mut self.packets {
            Some(packets) => packets.announce(number, flags, length, position, running),
            None if flags & !END_OF_STREAM != 0 => Err(NtStatus::INVALID_PARAMETER),
            None => Err(NtStatus::NOT_SUPPORTED),
        };
        let result = self.stream.set_write_packet(number, flags, length);
        if self.exact && result != expected {
            return Err(format!(
                "packet {number} with flags {flags:#x} and length {length} at byte {position}: {result:?}, not {expected:?}"
            ));
        }
        Ok(())
    }

    /// Asks for the packet count and the presentation position, and compares.
    pub(super) fn check_packets(&mut self) -> Result<(), String> {
        self.catch_up();
        let count = self.stream.packet_count();
        let position = self.stream.presentation_position();
        let Some(packets) = &self.packets else {
            let refused = Err(NtStatus::NOT_SUPPORTED);
            return if count == refused && position.map(drop) == refused.map(drop) {
                Ok(())
            } else {
                Err(format!("without notifications: {count:?}, {position:?}"))
            };
        };
        let position =
            position.map_err(|status| format!("GetOutputStreamPresentationPosition returned {status}"))?;
        let expected = (self.position / packets.size) as u32;
        let frames = self.position / self.frame();
        if self.exact && (count != Ok(expected) || position.blocks != frames) {
            return Err(format!(
                "packet {expected}, frame {frames}: the driver says {count:?}, {}",
                position.blocks
            ));
        }
        if self.exact && position.counter != schedule::counter() {
            return Err(format!("a position of another time than now: {}", position.counter));
        }
        Ok(())
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
