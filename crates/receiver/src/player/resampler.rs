//! [`Resampler`]: rubato's, which makes as many frames as are asked for.

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{
    Async, FixedAsync, Resampler as _, SincInterpolationParameters, SincInterpolationType, WindowFunction,
};

/// Points of the filter: at 48 kHz it is flat to 20 kHz, and what it adds is 100 dB below the sound.
const POINTS: usize = 96;
/// Filters between two frames.
const OVERSAMPLING: usize = 128;
/// The speed may differ from 1 by so much.
const MOST_SPEED: f64 = 1.01;
/// The most frames of output that are made at once.
pub const MOST_FRAMES: usize = 1024;

/// Converts one stream to the rate of a device, at a speed that can be steered.
pub struct Resampler {
    inner: Async<f32>,
    channels: usize,
    ratio: f64,
    input: Vec<f32>,
}

impl Resampler {
    /// From frames at one rate to frames at another. Takes memory.
    ///
    /// # Errors
    /// One line: the rates are too far apart.
    pub fn new(channels: usize, from: u32, to: u32) -> Result<Self, String> {
        let ratio = f64::from(to) / f64::from(from);
        let parameters = SincInterpolationParameters::new(POINTS, WindowFunction::Blackman2)
            .oversampling_factor(OVERSAMPLING)
            .interpolation(SincInterpolationType::Linear);
        let inner =
            Async::new_sinc(ratio, MOST_SPEED, &parameters, MOST_FRAMES, channels, FixedAsync::Output)
                .map_err(|error| format!("{from} Hz cannot become {to} Hz: {error}"))?;
        let input = vec![0.0; inner.input_frames_max() * channels];
        Ok(Self { inner, channels, ratio, input })
    }

    /// From now on so many frames are taken where one would be.
    pub fn steer(&mut self, speed: f64) {
        if let Some(adjustable) = self.inner.as_adjustable() {
            // A speed within these limits is not refused.
            let speed = speed.clamp(1.0 / MOST_SPEED, MOST_SPEED);
            let _ = adjustable.set_resample_ratio_relative(1.0 / speed, true);
        }
    }

    /// Frames of input that have been taken and not been heard yet: those in the filter.
    pub fn held(&self) -> f64 {
        // rubato steps before it computes a frame, and its filter is a little off the middle.
        (POINTS / 2) as f64 - 1.0 / self.ratio - 1.0 / OVERSAMPLING as f64
    }

    /// As many frames of input as so many frames of output may take.
    pub fn most_taken(&self, frames: usize) -> i64 {
        (frames as f64 / self.ratio * MOST_SPEED) as i64 + POINTS as i64
    }

    /// Forgets all input.
    pub fn reset(&mut self) {
        self.inner.reset();
    }

    /// Makes `out`, whole frames and at most [`MOST_FRAMES`] of them; `fill` gives the input, all of what it is given.
    pub fn make(&mut self, out: &mut [f32], fill: impl FnOnce(&mut [f32])) {
        let made = out.len() / self.channels;
        if self.inner.as_resizable().is_none_or(|inner| inner.set_chunk_size(made).is_err()) {
            return out.fill(0.0);
        }
        let taken = self.inner.input_frames_next();
        let input = &mut self.input[..taken * self.channels];
        fill(input);
        let from = InterleavedSlice::new(input, self.channels, taken);
        let to = InterleavedSlice::new_mut(out, self.channels, made);
        let done = match (from, to) {
            (Ok(from), Ok(mut to)) => self.inner.process_into_buffer(&from, &mut to, None).is_ok(),
            _ => false,
        };
        if !done {
            out.fill(0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    /// Frames of a tone of 1 kHz through the resampler.
    fn through(resampler: &mut Resampler, from: u32, frames: usize) -> Vec<f32> {
        let mut phase = 0_u32;
        let mut heard = vec![0.0; frames];
        let mut at = 0;
        while at < frames {
            // Never as many as the last time.
            let count = (at % 479 + 1).min(frames - at);
            resampler.make(&mut heard[at..at + count], |input| {
                for sample in input {
                    *sample = (TAU * 1000.0 * f64::from(phase) / f64::from(from)).sin() as f32;
                    phase = (phase + 1) % from;
                }
            });
            at += count;
        }
        heard
    }

    /// How far what is heard is from a tone of 1 kHz that began `delay` frames ago, at worst.
    fn distance(heard: &[f32], rate: u32, delay: f64) -> f64 {
        let expected = |n: usize| (TAU * 1000.0 * (n as f64 - delay) / f64::from(rate)).sin();
        heard
            .iter()
            .enumerate()
            .skip(1000)
            .map(|(n, heard)| (f64::from(*heard) - expected(n)).abs())
            .fold(0.0, f64::max)
    }

    #[test]
    fn at_the_same_rate_a_tone_stays_what_it_was_but_for_the_filters_delay() {
        let mut resampler = Resampler::new(1, 48_000, 48_000).expect("a resampler");
        let heard = through(&mut resampler, 48_000, 4800);
        let distance = distance(&heard, 48_000, resampler.held());
        assert!(distance < 1e-5, "{distance}");
    }

    #[test]
    fn another_rate_is_the_same_tone() {
        let mut resampler = Resampler::new(1, 44_100, 48_000).expect("a resampler");
        let heard = through(&mut resampler, 44_100, 4800);
        let delay = resampler.held() * 48.0 / 44.1;
        let distance = distance(&heard, 48_000, delay);
        assert!(distance < 1e-5, "{distance}");
    }

    #[test]
    fn the_speed_says_how_much_is_taken_and_no_more_is_than_was_said() {
        let mut resampler = Resampler::new(2, 48_000, 48_000).expect("a resampler");
        let mut taken = 0;
        let mut out = [0.0; 128];
        for speed in [1.0, 1.004, 0.996] {
            resampler.steer(speed);
            for _ in 0..1000 {
                let most = resampler.most_taken(64);
                resampler.make(&mut out, |input| {
                    assert!(input.len() as i64 / 2 <= most);
                    taken += input.len() / 2;
                });
            }
        }
        let expected = 64_000.0 * (1.0 + 1.004 + 0.996);
        assert!((taken as f64 - expected).abs() < 80.0, "{taken}");
    }

    #[test]
    fn more_than_can_be_made_at_once_is_silence_and_takes_nothing() {
        let mut resampler = Resampler::new(1, 48_000, 48_000).expect("a resampler");
        let mut out = vec![1.0; MOST_FRAMES + 1];
        resampler.make(&mut out, |_| panic!("nothing is taken"));
        assert!(out.iter().all(|sample| *sample == 0.0));
    }
}
