//! Playing a source through a stream, the way the audio engine does.
//!
//! With notifications the engine fills a packet of the buffer when the driver has said that it was played; without, it
//! looks at the position every 10 ms (or every quarter of a shorter buffer) and keeps half of the buffer filled.
//!
//! After the source's end it writes silence. **Virtual clock:** the stream is paused at the exact tick at which the last
//! frame of the source was played, so exactly the source's frames leave the driver. **Real clock:** the pause comes a
//! little later, so frames of silence may follow the last one: compare the head, and that the rest is zero.

use crate::client::Stream;
use crate::machine::machine;
use crate::nt::NtStatus;
use crate::portcls::abi::KsState;
use crate::schedule::{self, Time};

/// How often a client without notifications looks at the position, in nanoseconds.
const POLL: Time = 10_000_000;

/// What came of playing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Played {
    /// Frames of the source.
    pub frames: u64,
    /// The performance counter at each notification that the client saw.
    pub notifications: Vec<u64>,
    /// How often the play position had passed what was written. Never under the virtual clock.
    pub glitches: u64,
}

/// A source that is being played.
pub struct Player<'a, S> {
    stream: &'a mut Stream,
    source: S,
    frame: u64,
    ring: u64,
    /// Bytes written into the buffer since the stream began.
    written: u64,
    /// Bytes that the position has passed since the stream began.
    played: u64,
    /// Bytes of the source, when its end is known.
    end: Option<u64>,
    /// The counter when the stream last began to run, and the frames played before.
    base: (u64, u64),
    log: Played,
}

impl<'a, S: FnMut(&mut [u8]) -> usize> Player<'a, S> {
    pub(super) fn new(stream: &'a mut Stream, source: S) -> Self {
        let ring = u64::from(stream.buffer_bytes());
        let frame = stream.format().frame_bytes() as u64;
        assert!(ring >= frame && frame > 0, "a stream plays through a buffer");
        let log = Played::default();
        Self { stream, source, frame, ring, written: 0, played: 0, end: None, base: (0, 0), log }
    }

    /// Fills the buffer for the first time and lets the stream run.
    ///
    /// # Errors
    /// What SetState returned.
    pub fn start(&mut self) -> Result<(), NtStatus> {
        self.fill(self.ring);
        self.stream.set_state(KsState::Pause)?;
        self.resume()
    }

    /// Lets the stream run on from where it was paused.
    ///
    /// # Errors
    /// What SetState returned.
    pub fn resume(&mut self) -> Result<(), NtStatus> {
        self.base = (schedule::counter(), self.played / self.frame);
        self.stream.set_state(KsState::Run)
    }

    /// Pauses the stream.
    ///
    /// # Errors
    /// What SetState or GetPosition returned.
    pub fn pause(&mut self) -> Result<(), NtStatus> {
        self.stream.set_state(KsState::Pause)?;
        self.update()
    }

    /// The performance counter when the stream last began to run.
    pub fn started(&self) -> u64 {
        self.base.0
    }

    /// Tells the player that the stream was paused and runs again since now, without its doing: after a sleep.
    ///
    /// # Errors
    /// What GetPosition returned.
    pub fn resynchronize(&mut self) -> Result<(), NtStatus> {
        let position = self.stream.position()?.play_offset;
        self.passed((position + self.ring - self.played % self.ring) % self.ring);
        self.base = (schedule::counter(), self.played / self.frame);
        Ok(())
    }

    /// The performance counter when the stream last began to run.
    pub fn base(&self) -> u64 {
        self.base.0
    }

    /// The stream that is played through.
    pub fn stream(&mut self) -> &mut Stream {
        self.stream
    }

    /// Frames that have been played.
    pub fn played_frames(&self) -> u64 {
        self.played / self.frame
    }

    /// Plays on for a time, in nanoseconds.
    ///
    /// # Errors
    /// What GetPosition returned.
    pub fn run_for(&mut self, duration: Time) -> Result<(), NtStatus> {
        self.run_until(schedule::now() + duration)
    }

    /// Plays on until the machine's clock shows this time.
    ///
    /// # Errors
    /// What GetPosition returned.
    pub fn run_until(&mut self, time: Time) -> Result<(), NtStatus> {
        while schedule::now() < time {
            self.step(time)?;
        }
        Ok(())
    }

    /// Waits for the next occasion to write, or for the time, and writes.
    fn step(&mut self, time: Time) -> Result<(), NtStatus> {
        let notified = self.stream.notifications() > 0;
        let deadline = if notified { time } else { time.min(schedule::now() + self.poll_interval()) };
        let signaled = self.stream.wait(Some(deadline));
        if signaled {
            self.log.notifications.push(schedule::counter());
        }
        // The position alone does not say that a packet was copied; only the notification does.
        if signaled || !notified { self.service() } else { Ok(()) }
    }

    /// Plays to the end of the source, pauses when the last frame was played, and stops.
    ///
    /// # Errors
    /// What SetState or GetPosition returned.
    pub fn finish(mut self) -> Result<Played, NtStatus> {
        let end = loop {
            match self.end {
                Some(end) => break end,
                None => self.step(schedule::now() + POLL)?,
            }
        };
        self.run_until(self.time_of(end / self.frame))?;
        self.stream.set_state(KsState::Pause)?;
        self.stream.set_state(KsState::Stop)?;
        self.log.frames = end / self.frame;
        Ok(self.log)
    }

    /// The first moment at which so many frames have been played.
    pub fn time_of(&self, frames: u64) -> Time {
        let left = frames.saturating_sub(self.base.1);
        super::time_of(self.base.0, left, self.stream.format().rate, machine().config.counter_frequency)
    }

    fn poll_interval(&self) -> Time {
        let quarter = self.ring / 4 / self.frame * 1_000_000_000 / u64::from(self.stream.format().rate);
        quarter.clamp(1, POLL)
    }

    /// Looks at the position and writes what there is room for.
    fn service(&mut self) -> Result<(), NtStatus> {
        self.update()?;
        let limit = match u64::from(self.stream.notifications()) {
            0 => self.played + self.ring / 2,
            count => {
                let packet = self.ring / count;
                self.played / packet * packet + self.ring
            }
        };
        self.fill(limit);
        Ok(())
    }

    /// Asks for the position in the buffer; how often it went around, the clock says.
    fn update(&mut self) -> Result<(), NtStatus> {
        let position = self.stream.position()?.play_offset;
        let ticks = u128::from(schedule::counter() - self.base.0);
        let frames =
            ticks * u128::from(self.stream.format().rate) / u128::from(machine().config.counter_frequency);
        let expected = (self.base.1 + frames as u64) * self.frame;
        let ahead = (position + self.ring - expected % self.ring) % self.ring;
        let played = if ahead <= self.ring / 2 {
            expected + ahead
        } else {
            (expected + ahead).saturating_sub(self.ring)
        };
        self.passed(played.saturating_sub(self.played));
        Ok(())
    }

    /// So many more bytes have been played.
    fn passed(&mut self, bytes: u64) {
        self.played += bytes;
        if self.played > self.written {
            self.log.glitches += 1;
            self.written = self.played;
        }
    }

    /// Writes up to a position: the source, and silence after its end.
    fn fill(&mut self, limit: u64) {
        let limit = limit / self.frame * self.frame;
        if limit <= self.written {
            return;
        }
        let mut bytes = vec![0; (limit - self.written) as usize];
        if self.end.is_none() {
            let count = (self.source)(&mut bytes);
            assert!((count as u64).is_multiple_of(self.frame), "a source gives whole frames");
            if count < bytes.len() {
                self.end = Some(self.written + count as u64);
                bytes[count..].fill(0);
            }
        }
        self.stream.write((self.written % self.ring) as usize, &bytes);
        self.written = limit;
    }
}
