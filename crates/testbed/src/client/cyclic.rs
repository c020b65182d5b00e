//! A client of the WaveCyclic port: hands audio over in time, and lets the port copy it.

use std::rc::Rc;

use super::Format;
use crate::device::Device;
use crate::machine::machine;
use crate::nt::NtStatus;
use crate::portcls::CyclicPin;
use crate::portcls::abi::KsState;
use crate::schedule::{self, Time};

/// How far ahead of the position the client writes, in milliseconds: two packets of the audio engine.
const AHEAD: u64 = 20;
/// How long the client waits at most before it looks again, in nanoseconds.
const POLL: Time = 10_000_000;
/// How long the client waits for a position that stands still, in nanoseconds.
const PATIENCE: Time = 5_000_000_000;

type Source = Box<dyn FnMut(&mut [u8]) -> usize>;

/// An open pin of a wave filter of the older kind.
pub struct CyclicStream {
    pin: Rc<CyclicPin>,
    format: Format,
    source: Option<Source>,
    /// Bytes handed over, and the bytes of the source when its end is known.
    written: u64,
    end: Option<u64>,
    started: u64,
}

impl CyclicStream {
    /// Opens the wave filter's pin for clients.
    ///
    /// # Errors
    /// What NewStream returned.
    pub fn open(device: &Device, format: &Format) -> Result<Self, NtStatus> {
        let pin = device.open_cyclic(format)?;
        Ok(Self { pin, format: format.clone(), source: None, written: 0, end: None, started: 0 })
    }

    /// Bytes of the miniport's cyclic buffer.
    pub fn buffer_bytes(&self) -> u64 {
        self.pin.buffer_bytes()
    }

    /// Hands the beginning of a source over and lets the stream run; the performance counter at that time. `source`
    /// fills what it is given with whole frames, and is at its end when it fills less.
    ///
    /// # Errors
    /// What SetState returned.
    pub fn start(&mut self, source: impl FnMut(&mut [u8]) -> usize + 'static) -> Result<u64, NtStatus> {
        self.source = Some(Box::new(source));
        self.pin.set_state(KsState::Pause)?;
        self.refill();
        self.pin.preroll();
        self.started = schedule::counter();
        self.pin.set_state(KsState::Run)?;
        Ok(self.started)
    }

    /// Plays to the end of the source, pauses when the last frame was played, and stops. How often the client was too
    /// late.
    ///
    /// # Errors
    /// What SetState returned. STATUS_IO_TIMEOUT: nothing was played for five seconds, with more of the source to come:
    /// the pin is paused, or its position stands still.
    pub fn finish(&mut self) -> Result<u64, NtStatus> {
        let mut progress = (self.pin.played(), schedule::now());
        loop {
            if self.pin.played() != progress.0 {
                progress = (self.pin.played(), schedule::now());
            } else if self.end.is_none() && schedule::now() >= progress.1 + PATIENCE {
                return Err(NtStatus::IO_TIMEOUT);
            }
            let deadline = self.end.map_or(Time::MAX, |end| self.time_of(end / self.frame()));
            if schedule::now() >= deadline {
                break;
            }
            self.pin.wait(deadline.min(schedule::now() + POLL));
            self.refill();
        }
        self.pin.set_state(KsState::Pause)?;
        self.pin.set_state(KsState::Stop)?;
        Ok(self.pin.gaps())
    }

    fn frame(&self) -> u64 {
        self.format.frame_bytes() as u64
    }

    /// The first moment at which so many frames have been played.
    fn time_of(&self, frames: u64) -> Time {
        super::time_of(self.started, frames, self.format.rate, machine().config.counter_frequency)
    }

    /// Hands over what is missing: the source, and silence after its end.
    fn refill(&mut self) {
        let ahead = u64::from(self.format.rate) * AHEAD / 1000 * self.frame();
        let limit = (self.pin.played() + ahead) / self.frame() * self.frame();
        let Some(missing) = limit.checked_sub(self.written).filter(|missing| *missing > 0) else { return };
        let mut bytes = vec![0; missing as usize];
        if let (None, Some(source)) = (self.end, &mut self.source) {
            let count = source(&mut bytes);
            if count < bytes.len() {
                self.end = Some(self.written + count as u64);
                bytes[count..].fill(0);
            }
        }
        self.pin.write(&bytes);
        self.written = limit;
    }

    /// Closes the stream.
    pub fn close(self) {
        drop(self);
    }
}

impl Drop for CyclicStream {
    fn drop(&mut self) {
        if crate::portcls::drivers_may_run() {
            self.pin.close();
        }
    }
}
