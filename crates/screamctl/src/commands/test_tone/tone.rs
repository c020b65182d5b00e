//! [`Tone`]: what is played, as a function of the frame's number.

use std::f64::consts::TAU;
use std::num::NonZeroU16;

/// Hz.
const PITCH: u64 = 440;
/// -20 dB of the full scale.
const AMPLITUDE: f64 = 0.1;
/// A fade takes this part of a second: 10 ms.
const FADES_A_SECOND: u32 = 100;

/// A sine on each channel in turn, with the others silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tone {
    rate: u32,
    channels: NonZeroU16,
    /// Frames on each channel.
    length: u64,
}

impl Tone {
    /// So many seconds on each channel, at a rate in frames a second.
    pub const fn new(rate: u32, channels: NonZeroU16, seconds: u32) -> Self {
        Self { rate, channels, length: rate as u64 * seconds as u64 }
    }

    /// Frames of the whole.
    pub fn frames(self) -> u64 {
        self.length * u64::from(self.channels.get())
    }

    /// The channel that is heard in a frame; none after the end.
    pub fn channel(self, frame: u64) -> Option<u16> {
        let channel = u16::try_from(frame.checked_div(self.length)?).ok()?;
        (channel < self.channels.get()).then_some(channel)
    }

    /// A sample of a channel, from -1 to 1.
    pub fn sample(self, frame: u64, channel: u16) -> f64 {
        if self.channel(frame) != Some(channel) {
            return 0.0;
        }
        let frame = frame % self.length;
        // The phase is exact however long it plays: whole turns are taken off first.
        let turn = (frame * PITCH % u64::from(self.rate)) as f64 / f64::from(self.rate);
        AMPLITUDE * self.gain(frame) * (turn * TAU).sin()
    }

    /// The frames from one on, interleaved.
    pub fn samples(self, from: u64) -> impl Iterator<Item = f64> {
        (from..)
            .flat_map(move |frame| (0..self.channels.get()).map(move |channel| self.sample(frame, channel)))
    }

    /// From 0 to 1: it fades in and out, as a sudden begin or end is heard as a click.
    fn gain(self, frame: u64) -> f64 {
        let fade = u64::from(self.rate / FADES_A_SECOND).max(1);
        let to_the_edge = frame.min(self.length - 1 - frame);
        (to_the_edge as f64 / fade as f64).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEREO: NonZeroU16 = NonZeroU16::new(2).unwrap();

    fn sixteen_bits(sample: f64) -> i16 {
        (sample * 32_767.0).round() as i16
    }

    #[test]
    fn a_quarter_of_a_wave_is_its_peak_at_a_tenth_of_the_scale() {
        let tone = Tone::new(48_000, STEREO, 1);
        // 300 frames are 2 3/4 waves, 900 are 8 1/4, and 1200 are 11.
        let peaks = [900, 1_500, 2_100, 2_700].map(|frame| sixteen_bits(tone.sample(frame, 0)));
        assert_eq!(peaks, [3_277, -3_277, 3_277, -3_277]);
        assert_eq!([1_200, 2_400, 3_600].map(|frame| tone.sample(frame, 0)), [0.0; 3]);
    }

    #[test]
    fn it_fades_in_and_out_within_10_ms() {
        let tone = Tone::new(48_000, STEREO, 1);
        // The second peak would be -3277 without the fade: at 300 of 480 frames it is five eighths of that.
        assert_eq!(sixteen_bits(tone.sample(300, 0)), -2_048);
        assert_eq!([0, 47_999].map(|frame| tone.gain(frame)), [0.0; 2]);
        assert_eq!([120, 47_879].map(|frame| tone.gain(frame)), [0.25; 2]);
        assert_eq!([480, 24_000, 47_519].map(|frame| tone.gain(frame)), [1.0; 3]);
    }

    #[test]
    fn each_channel_is_heard_alone_and_begins_alike() {
        let tone = Tone::new(44_100, NonZeroU16::new(3).unwrap(), 2);
        assert_eq!(tone.frames(), 264_600);
        let edges = [0, 88_199, 88_200, 176_399, 176_400, 264_599, 264_600, u64::MAX];
        let heard = [Some(0), Some(0), Some(1), Some(1), Some(2), Some(2), None, None];
        assert_eq!(edges.map(|frame| tone.channel(frame)), heard);
        for frame in [1, 777, 88_000] {
            let first = tone.sample(frame, 0);
            assert_ne!(first, 0.0);
            assert_eq!(tone.sample(frame + 88_200, 1), first);
            assert_eq!(tone.sample(frame, 1), 0.0);
            assert_eq!(tone.sample(frame + 88_200, 0), 0.0);
        }
    }

    #[test]
    fn samples_are_interleaved_and_go_on_as_silence() {
        let tone = Tone::new(48_000, STEREO, 1);
        let around: Vec<i16> = tone.samples(899).take(6).map(sixteen_bits).collect();
        assert_eq!(around, [3_271, 0, 3_277, 0, 3_271, 0]);
        assert!(tone.samples(96_000).take(100).all(|sample| sample == 0.0));
    }

    #[test]
    fn the_last_second_is_as_exact_as_the_first() {
        let tone = Tone::new(48_000, STEREO, 60);
        assert_eq!(tone.sample(48_000 * 59 + 1_499, 0), tone.sample(1_499, 0));
    }
}
