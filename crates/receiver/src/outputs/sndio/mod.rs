//! [`Sndio`]: plays through a server of sndio, or on a device by itself.
//!
//! What waits for the server's answers, opening and closing, is done in a thread that can be left behind; playing is a
//! poll with a time limit.

mod ffi;
mod handle;
mod playback;

use std::ffi::CString;

use ffi::{SIO_IGNORE, sio_par};
use handle::Handle;
use playback::Playback;

use super::bounded::Bounded;
use super::pace::{Pace, frames};
use super::{Output, OutputChoice, OutputError};
use crate::player::supply::{Device, SampleType, Supply};
use crate::speakers::{self, Speaker};

/// The server keeps this many bits, whatever it takes.
const SERVER_BITS: u16 = 24;

/// Plays through sndio.
pub struct Sndio {
    choice: OutputChoice,
    bounded: Bounded,
}

impl Sndio {
    /// The device is sndio's `default` unless one is chosen: what the environment says, or the first server.
    pub fn new(choice: &OutputChoice) -> Self {
        Self { choice: choice.clone(), bounded: Bounded::new("sndio") }
    }

    fn name(&self) -> &str {
        self.choice.device.as_deref().unwrap_or("default")
    }

    fn handle(&self) -> Result<Handle, OutputError> {
        let name =
            CString::new(self.name()).map_err(|_| OutputError::Impossible("a name has no NUL".into()))?;
        let name_of = self.name();
        self.bounded.run(move || Handle::open(&name))?.ok_or_else(|| {
            OutputError::Gone(format!(
                "sndio has no device `{name_of}`: start sndiod, see that nobody else uses it, or choose a device with -d"
            ))
        })
    }

    fn open(&self, supply: &mut dyn Supply) -> Result<Playback, OutputError> {
        let format = supply.format();
        let bits = if supply.is_bit_exact() { format.bits() } else { SERVER_BITS };
        if bits > SERVER_BITS && !self.name().starts_with("rsnd/") {
            let line = format!(
                "sndio's server keeps {SERVER_BITS} bits, not {bits}: choose a device rsnd/N with -d"
            );
            return Err(OutputError::Impossible(line));
        }
        let pace = Pace::of(self.choice.target);
        let (rate, channels) = (format.rate().get(), u32::from(format.channels()));
        let buffer = frames(pace.buffer, rate) as u32;
        let mut handle = self.handle()?;
        let (handle, got) = self.bounded.run(move || {
            let got = handle.configure(|ask| {
                ask.bits = bits.into();
                ask.bps = if bits == 16 { 2 } else { 4 };
                (ask.sig, ask.le, ask.msb) = (1, 1, 0);
                (ask.pchan, ask.rate, ask.appbufsz, ask.xrun) = (channels, rate, buffer, SIO_IGNORE);
            });
            (handle, got)
        })?;
        let got = got.ok_or_else(|| OutputError::Gone("sndio's server has ended".into()))?;
        let device = Device {
            rate: got.rate,
            samples: samples(&got)?,
            speakers: order(got.pchan as usize, speakers::of(format)),
            most_frames: frames(pace.period, got.rate),
        };
        supply.attach(&device).map_err(OutputError::Impossible)?;
        let (mut handle, started) = self.bounded.run(move || {
            let mut handle = handle;
            let started = handle.start();
            (handle, started)
        })?;
        if !started || handle.has_gone() {
            return Err(OutputError::Gone("sndio's server has ended".into()));
        }
        Ok(Playback::new(handle, device))
    }
}

impl Output for Sndio {
    fn probe(&mut self) -> Result<String, OutputError> {
        let handle = self.handle()?;
        self.bounded.run(move || drop(handle))?;
        Ok(format!("sndio, device \"{}\"", self.name()))
    }

    fn play(&mut self, mut supply: Box<dyn Supply>) -> (Box<dyn Supply>, Result<(), OutputError>) {
        let result = self.open(&mut *supply).and_then(|mut playback| {
            let result = playback.run(&mut *supply);
            // By now it plays silence, or has gone.
            self.bounded.close(playback, result)
        });
        (supply, result)
    }
}

/// The sample type of parameters.
fn samples(got: &sio_par) -> Result<SampleType, OutputError> {
    match (got.bits, got.bps, got.msb, got.sig, got.le) {
        (16, 2, _, 1, 1) => Ok(SampleType::I16),
        (24, 3, _, 1, 1) => Ok(SampleType::I24),
        (24, 4, 0, 1, 1) => Ok(SampleType::I24In32),
        (32, 4, _, 1, 1) => Ok(SampleType::I32),
        _ => Err(OutputError::Impossible(format!(
            "sndio's device takes {} bits in {} bytes, which cannot be made: choose another with -d",
            got.bits, got.bps
        ))),
    }
}

/// sndio knows channels by number only: they are the stream's, in its order. A device by itself may have another number
/// of them; then they are taken to be the first of Windows' order.
fn order(channels: usize, stream: Vec<Speaker>) -> Vec<Speaker> {
    if channels == stream.len() {
        return stream;
    }
    const FIRST: [Speaker; 8] = [
        Speaker::FrontLeft,
        Speaker::FrontRight,
        Speaker::FrontCenter,
        Speaker::Subwoofer,
        Speaker::BackLeft,
        Speaker::BackRight,
        Speaker::SideLeft,
        Speaker::SideRight,
    ];
    let unplaced = |channel: usize| Speaker::Unplaced(u8::try_from(channel).unwrap_or(u8::MAX));
    match channels {
        1 => vec![Speaker::FrontCenter],
        _ => (0..channels).map(|channel| FIRST.get(channel).copied().unwrap_or(unplaced(channel))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_those_of_the_stream_if_the_device_has_as_many() {
        assert_eq!(
            order(2, vec![Speaker::SideLeft, Speaker::SideRight]),
            [Speaker::SideLeft, Speaker::SideRight]
        );
        assert_eq!(order(2, vec![Speaker::FrontCenter]), [Speaker::FrontLeft, Speaker::FrontRight]);
        assert_eq!(order(1, vec![Speaker::FrontLeft, Speaker::FrontRight]), [Speaker::FrontCenter]);
    }
}
