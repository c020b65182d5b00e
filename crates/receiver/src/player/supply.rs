//! [`Supply`]: what an output plays.

use std::time::Duration;

use protocol::StreamFormat;

use crate::Moment;
use crate::speakers::Speaker;

/// How an output's device takes samples; all are little endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleType {
    /// Signed integers of 16 bits.
    I16,
    /// Signed integers of 24 bits in 3 bytes.
    I24,
    /// Signed integers of 24 bits in the low bytes of 4.
    I24In32,
    /// Signed integers of 32 bits.
    I32,
    /// Floating point of 32 bits, 1.0 is full scale.
    F32,
}

impl SampleType {
    /// Bytes of a sample.
    pub const fn bytes(self) -> usize {
        match self {
            Self::I16 => 2,
            Self::I24 => 3,
            Self::I24In32 | Self::I32 | Self::F32 => 4,
        }
    }

    /// The widest integers that it holds without loss, in bits.
    pub const fn exact_bits(self) -> u16 {
        match self {
            Self::I16 => 16,
            Self::I24 | Self::I24In32 | Self::F32 => 24,
            Self::I32 => 32,
        }
    }
}

/// How an output's device has been opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Frames per second.
    pub rate: u32,
    /// How it takes samples.
    pub samples: SampleType,
    /// What its channels are, in the order of its frames. They need not be those of the stream: the supply puts each channel
    /// where it belongs.
    pub speakers: Vec<Speaker>,
    /// The most frames that it asks for at once.
    pub most_frames: usize,
}

impl Device {
    /// Bytes of a frame.
    pub fn frame_bytes(&self) -> usize {
        self.samples.bytes() * self.speakers.len()
    }
}

/// Whether an output goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// There will be more for the device as it is.
    More,
    /// This is all: another format follows, or nothing for a long time, or the program ends. What has been rendered, silence
    /// at its end, is played, and then the device closed.
    Over,
}

/// What an output plays: frames whenever it asks for them.
pub trait Supply: Send {
    /// The format of the stream that plays next.
    fn format(&self) -> StreamFormat;

    /// True if every sample has to reach the device as it was sent: the device has to run at the stream's rate, with samples
    /// of at least its width ([`SampleType::exact_bits`]) and with its speakers, in any order.
    fn is_bit_exact(&self) -> bool;

    /// Tells how the device has been opened. Takes memory.
    ///
    /// # Errors
    /// One line: the device cannot play the stream bit-exactly.
    fn attach(&mut self, device: &Device) -> Result<(), String>;

    /// Fills `frames`, whole frames of the device, always all of them: silence where there is nothing.
    ///
    /// `now` is the present, and `delay` the time from then until the first of these frames is heard, as well as the output
    /// knows. Real-time safe: neither waits nor takes memory.
    fn render(&mut self, frames: &mut [u8], now: Moment, delay: Duration) -> Next;
}
