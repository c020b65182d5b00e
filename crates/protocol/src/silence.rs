//! Suppression of silence: after a number of silent frames nothing is sent until sound returns.
//!
//! A sample is silent when its magnitude is below 5 at 16 bits, scaled to its width; a frame is silent when
//! all its samples are. [`SilenceGate::scan`] splits PCM into runs to send and runs to suppress.

use core::num::NonZeroUsize;

use crate::format::{SampleWidth, StreamFormat};

/// Magnitudes below this are silent, at 16 bits.
const QUIET_16: u32 = 5;

/// Decides frame by frame what is sent.
///
/// The first `threshold` frames of a silence are sent, so that receivers play out what they hold; the rest is
/// suppressed. The first frame that is not silent is sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SilenceGate {
    threshold: u32,
    silent: u32,
    width: SampleWidth,
    bytes_per_frame: NonZeroUsize,
}

/// Consecutive frames with one decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateRun {
    /// Send this many frames.
    Send(usize),
    /// Send the partly filled packet, if there is one, and then not these frames.
    Suppress(usize),
}

impl GateRun {
    /// Length of the run in frames.
    pub const fn frames(self) -> usize {
        match self {
            Self::Send(frames) | Self::Suppress(frames) => frames,
        }
    }
}

impl SilenceGate {
    /// A gate for a new stream. `threshold` is in silent samples per channel, that is in frames; 0 sends everything.
    pub fn new(format: StreamFormat, threshold: u32) -> Self {
        Self {
            threshold,
            silent: 0,
            width: format.width(),
            bytes_per_frame: NonZeroUsize::from(format.bytes_per_frame()),
        }
    }

    /// Whether the gate may ever suppress something; if not, scanning is a waste.
    pub const fn is_on(&self) -> bool {
        self.threshold > 0
    }

    /// Forgets the silence seen so far: the stream begins again.
    pub const fn reset(&mut self) {
        self.silent = 0;
    }

    /// The longest run of frames at the start of `pcm` that share one decision; none if `pcm` holds no whole
    /// frame. The gate advances past this run only: scan the rest next. A part of a frame at the end is not
    /// looked at.
    ///
    /// `pcm` must be memory that nobody else writes to, or the decision may not fit what is sent.
    pub fn scan(&mut self, pcm: &[u8]) -> Option<GateRun> {
        if !self.is_on() {
            let frames = pcm.len() / self.bytes_per_frame;
            return (frames > 0).then_some(GateRun::Send(frames));
        }
        match self.width {
            SampleWidth::Bits16 => self.scan_with(pcm, is_silent_16),
            SampleWidth::Bits24 => self.scan_with(pcm, is_silent_24),
            SampleWidth::Bits32 => self.scan_with(pcm, is_silent_32),
        }
    }

    fn scan_with(&mut self, mut pcm: &[u8], is_silent: impl Fn(&[u8]) -> bool) -> Option<GateRun> {
        let mut run = None;
        while let Some((frame, rest)) = pcm.split_at_checked(self.bytes_per_frame.get()) {
            let silent = is_silent(frame);
            let suppress = silent && self.silent >= self.threshold;
            run = match (run, suppress) {
                (None, true) => Some(GateRun::Suppress(1)),
                (None, false) => Some(GateRun::Send(1)),
                (Some(GateRun::Suppress(frames)), true) => Some(GateRun::Suppress(frames.saturating_add(1))),
                (Some(GateRun::Send(frames)), false) => Some(GateRun::Send(frames.saturating_add(1))),
                (Some(_), _) => return run,
            };
            self.silent = match silent {
                true => self.silent.saturating_add(1),
                false => 0,
            };
            pcm = rest;
        }
        run
    }
}

fn is_silent_16(frame: &[u8]) -> bool {
    let (samples, _) = frame.as_chunks::<2>();
    samples.iter().all(|&sample| u32::from(i16::from_le_bytes(sample).unsigned_abs()) < QUIET_16)
}

fn is_silent_24(frame: &[u8]) -> bool {
    let (samples, _) = frame.as_chunks::<3>();
    // Placed in the upper bytes of 32 bits, a 24-bit sample compares like a 32-bit one.
    samples.iter().all(|&[low, middle, high]| is_quiet(i32::from_le_bytes([0, low, middle, high])))
}

fn is_silent_32(frame: &[u8]) -> bool {
    let (samples, _) = frame.as_chunks::<4>();
    samples.iter().all(|&sample| is_quiet(i32::from_le_bytes(sample)))
}

/// `unsigned_abs`, because the magnitude of `i32::MIN` is no `i32`.
fn is_quiet(sample: i32) -> bool {
    sample.unsigned_abs() < QUIET_16 << 16
}

#[cfg(test)]
mod tests {
    use super::*;
    use GateRun::{Send, Suppress};
    use std::vec::Vec;

    fn gate(bits: u16, channels: u16, threshold: u32) -> SilenceGate {
        let format = StreamFormat::new(48_000, bits, channels, 3).unwrap();
        SilenceGate::new(format, threshold)
    }

    /// Whether one mono frame is silent: after it, a gate with threshold 1 suppresses a zero frame.
    fn is_silent(bits: u16, sample: &[u8]) -> bool {
        let mut gate = gate(bits, 1, 1);
        assert_eq!(gate.scan(sample), Some(Send(1)));
        let zero = [0; 4];
        gate.scan(&zero[..sample.len()]) == Some(Suppress(1))
    }

    #[test]
    fn at_16_bits_4_is_silent_and_5_is_not() {
        for (sample, silent) in [(0, true), (4, true), (-4, true), (5, false), (-5, false)] {
            assert_eq!(is_silent(16, &i16::to_le_bytes(sample)), silent, "{sample}");
        }
        assert!(!is_silent(16, &i16::MIN.to_le_bytes()));
        assert!(!is_silent(16, &i16::MAX.to_le_bytes()));
    }

    #[test]
    fn at_24_bits_the_limit_is_5_times_256() {
        for (sample, silent) in [(1279, true), (-1279, true), (1280, false), (-1280, false)] {
            let [low, middle, high, _] = i32::to_le_bytes(sample);
            assert_eq!(is_silent(24, &[low, middle, high]), silent, "{sample}");
        }
        assert!(!is_silent(24, &[0, 0, 0x80]));
    }

    #[test]
    fn at_32_bits_the_limit_is_5_times_65536() {
        let limit = 5 << 16;
        for (sample, silent) in [
            (limit - 1, true),
            (1 - limit, true),
            (limit, false),
            (-limit, false),
            (i32::MIN, false),
            (i32::MAX, false),
        ] {
            assert_eq!(is_silent(32, &i32::to_le_bytes(sample)), silent, "{sample}");
        }
    }

    #[test]
    fn one_loud_channel_makes_the_frame_loud() {
        let mut gate = gate(16, 2, 1);
        assert_eq!(gate.scan(&[0, 0, 9, 0, 0, 0, 9, 0]), Some(Send(2)));
        assert_eq!(gate.scan(&[0, 0, 0, 0]), Some(Send(1)));
        assert_eq!(gate.scan(&[0, 0, 0, 0]), Some(Suppress(1)));
    }

    #[test]
    fn the_threshold_is_sent_then_silence_is_not_then_sound_is() {
        let mut gate = gate(16, 1, 3);
        let pcm: Vec<u8> = [9_u8, 0, 0, 0, 0, 0, 9, 0].iter().flat_map(|&sample| [sample, 0]).collect();
        assert_eq!(gate.scan(&pcm), Some(Send(4)));
        assert_eq!(gate.scan(&pcm[8..]), Some(Suppress(2)));
        assert_eq!(gate.scan(&pcm[12..]), Some(Send(2)));
    }

    #[test]
    fn the_threshold_counts_across_scans() {
        let mut gate = gate(16, 1, 3);
        assert_eq!(gate.scan(&[0, 0, 0, 0]), Some(Send(2)));
        assert_eq!(gate.scan(&[0, 0, 0, 0]), Some(Send(1)));
        assert_eq!(gate.scan(&[0, 0]), Some(Suppress(1)));
        gate.reset();
        assert_eq!(gate.scan(&[0, 0]), Some(Send(1)));
    }

    #[test]
    fn threshold_zero_sends_everything() {
        let mut gate = gate(24, 2, 0);
        assert!(!gate.is_on());
        assert_eq!(gate.scan(&[0; 600]), Some(Send(100)));
    }

    #[test]
    fn less_than_a_frame_is_no_run() {
        assert_eq!(gate(16, 2, 0).scan(&[0; 3]), None);
        assert_eq!(gate(16, 2, 5).scan(&[0; 3]), None);
        assert_eq!(gate(16, 2, 5).scan(&[0; 7]), Some(Send(1)));
    }
}
