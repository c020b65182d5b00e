//! [`Signal`]: what the tests play. Each speaker has a tone of its own, or each sample is random.

use std::f64::consts::TAU;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use protocol::StreamFormat;
use receiver::Moment;
use receiver::player::supply::{Device, Next, SampleType, Supply};
use receiver::speakers::{self, OF_BITS, Speaker};
use serde::{Deserialize, Serialize};

/// Full scale is 1.
pub const AMPLITUDE: f64 = 0.25;

/// What is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// On each speaker its [`tone`].
    Tones,
    /// Integers of the stream's width that look random, bit-exactly; see [`random`].
    Random,
}

/// The tone of a speaker, in Hz. All are multiples of 100 Hz: none is heard in another within 10 ms.
pub fn tone(speaker: Speaker) -> f64 {
    let number = match speaker {
        Speaker::Unplaced(channel) => OF_BITS.len() + usize::from(channel),
        placed => OF_BITS.iter().position(|of_bit| *of_bit == placed).unwrap_or(OF_BITS.len()),
    };
    300.0 + 200.0 * number as f64
}

/// A sample of random content: the most significant bits of 32 are the stream's.
pub fn random(frame: u64, speaker: Speaker, bits: u16) -> i32 {
    let mut state = (frame + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (tone(speaker) as u64) << 32;
    state = (state ^ state >> 31).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let word = (state ^ state >> 29) as u32 as i32;
    word & (-1 << (32 - bits))
}

/// When a frame was rendered, and when it will be heard as the output tells.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// The number of the first frame.
    pub frame: u64,
    /// When it was asked for.
    pub now: Moment,
    /// What the output says until it is heard.
    pub delay: Duration,
}

/// What the output has asked for, as far as the signal got.
#[derive(Debug, Default)]
pub struct Log {
    /// How the device has been opened.
    pub device: Option<Device>,
    /// Each time it was rendered.
    pub told: Vec<Told>,
}

/// Plays content for a time.
pub struct Signal {
    format: StreamFormat,
    content: Content,
    time: Duration,
    device: Option<Device>,
    at: u64,
    log: Arc<Mutex<Log>>,
}

impl Signal {
    /// So much of it.
    pub fn new(format: StreamFormat, content: Content, time: Duration) -> Self {
        Self { format, content, time, device: None, at: 0, log: Arc::default() }
    }

    /// What is asked for is written here.
    pub fn log(&self) -> Arc<Mutex<Log>> {
        Arc::clone(&self.log)
    }

    /// A sample as an integer of 32 bits and as a float.
    fn sample(&self, device: &Device, speaker: Speaker, is_in_stream: bool, last: u64) -> (i32, f64) {
        if !is_in_stream || self.at >= last {
            return (0, 0.0);
        }
        match self.content {
            Content::Tones => {
                let angle = self.at as f64 * tone(speaker) / f64::from(device.rate);
                let value = AMPLITUDE * (angle.fract() * TAU).sin();
                ((value * f64::from(i32::MAX)) as i32, value)
            }
            Content::Random => {
                let value = random(self.at, speaker, self.format.bits());
                (value, f64::from(value) / 2_f64.powi(31))
            }
        }
    }
}

impl Supply for Signal {
    fn format(&self) -> StreamFormat {
        self.format
    }

    fn is_bit_exact(&self) -> bool {
        self.content == Content::Random
    }

    fn attach(&mut self, device: &Device) -> Result<(), String> {
        self.at = 0;
        self.device = Some(device.clone());
        let mut log = self.log.lock().expect("nobody panics with it");
        // Room for the blocks of a minute: it is not to grow while it plays.
        *log = Log { device: Some(device.clone()), told: Vec::with_capacity(100_000) };
        let (rate, bits) = (self.format.rate().get(), self.format.bits());
        if self.is_bit_exact() && (device.rate != rate || device.samples.exact_bits() < bits) {
            return Err(format!(
                "the device plays {} Hz, {:?}, not {rate} Hz, {bits} bits",
                device.rate, device.samples
            ));
        }
        Ok(())
    }

    fn render(&mut self, frames: &mut [u8], now: Moment, delay: Duration) -> Next {
        let Some(device) = self.device.take() else { return Next::Over };
        let wanted = speakers::of(self.format);
        if let Ok(mut log) = self.log.try_lock() {
            log.told.push(Told { frame: self.at, now, delay });
        }
        let last = (self.time.as_secs_f64() * f64::from(device.rate)) as u64;
        for frame in frames.chunks_exact_mut(device.frame_bytes()) {
            for (bytes, speaker) in frame.chunks_exact_mut(device.samples.bytes()).zip(&device.speakers) {
                let (integer, float) = self.sample(&device, *speaker, wanted.contains(speaker), last);
                put(bytes, device.samples, integer, float);
            }
            self.at += 1;
        }
        let next = if self.at >= last { Next::Over } else { Next::More };
        self.device = Some(device);
        next
    }
}

fn put(bytes: &mut [u8], samples: SampleType, integer: i32, float: f64) {
    match samples {
        SampleType::I16 => bytes.copy_from_slice(&integer.to_le_bytes()[2..]),
        SampleType::I24 => bytes.copy_from_slice(&integer.to_le_bytes()[1..]),
        SampleType::I24In32 => bytes.copy_from_slice(&(integer >> 8).to_le_bytes()),
        SampleType::I32 => bytes.copy_from_slice(&integer.to_le_bytes()),
        SampleType::F32 => bytes.copy_from_slice(&(float as f32).to_le_bytes()),
    }
}
