//! [`Delivery`]: what the intake hands to the player.

use std::time::Duration;

use protocol::StreamFormat;
use protocol::packet::MAX_PAYLOAD;

use crate::Moment;

/// Most senders that are heard at once; the voice of a delivery is less than this.
pub const MAX_VOICES: u8 = 8;

/// Audio of one packet on its way from the intake to the player.
///
/// # Invariants
/// The audio is a whole number of frames of the format, at least one.
#[derive(Clone, Debug)]
pub struct Delivery {
    voice: u8,
    arrived: Moment,
    format: StreamFormat,
    length: u16,
    pcm: [u8; MAX_PAYLOAD],
}

impl Delivery {
    /// `None` if `pcm` is not a whole number of frames, is empty, or is longer than [`MAX_PAYLOAD`], or if there is no such
    /// voice.
    pub fn new(voice: u8, arrived: Moment, format: StreamFormat, audio: &[u8]) -> Option<Self> {
        let frame = usize::from(format.bytes_per_frame().get());
        let mut pcm = [0; MAX_PAYLOAD];
        if voice >= MAX_VOICES || audio.is_empty() || !audio.len().is_multiple_of(frame) {
            return None;
        }
        pcm.get_mut(..audio.len())?.copy_from_slice(audio);
        Some(Self { voice, arrived, format, length: audio.len() as u16, pcm })
    }

    /// Whose it is: senders that are heard at once have different voices.
    pub fn voice(&self) -> u8 {
        self.voice
    }

    /// When it came.
    pub fn arrived(&self) -> Moment {
        self.arrived
    }

    /// Its format.
    pub fn format(&self) -> StreamFormat {
        self.format
    }

    /// The samples: little endian, interleaved.
    pub fn pcm(&self) -> &[u8] {
        &self.pcm[..usize::from(self.length)]
    }

    /// How many frames it has.
    pub fn frames(&self) -> u32 {
        u32::from(self.length) / u32::from(self.format.bytes_per_frame().get())
    }

    /// How long it plays.
    pub fn duration(&self) -> Duration {
        duration_of(self.frames().into(), self.format.rate().get())
    }
}

/// How long so many frames play.
pub fn duration_of(frames: u64, rate: u32) -> Duration {
    let rate = u64::from(rate.max(1));
    let rest = (frames % rate) * 1_000_000_000 / rate;
    Duration::from_secs(frames / rate) + Duration::from_nanos(rest)
}
