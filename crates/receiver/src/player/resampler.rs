//! [`Resampler`]: rubato's, with as many frames out as are asked for.

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
/// A chunk of output is so long, in parts of a second.
const CHUNKS_PER_SECOND: u32 = 750;

/// Converts one stream to the rate of a device, at a speed that can be steered.
pub struct Resampler {
    inner: Async<f32>,
    channels: usize,
    ratio: f64,
    speed: f64,
    input: Vec<f32>,
    output: Vec<f32>,
    /// Frames of the output that have been taken.
    taken: usize,
    /// Frames of the output that are there.
    there: usize,
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
        let chunk = (to / CHUNKS_PER_SECOND).clamp(16, 4096) as usize;
        let inner = Async::new_sinc(ratio, MOST_SPEED, &parameters, chunk, channels, FixedAsync::Output)
            .map_err(|error| format!("{from} Hz cannot become {to} Hz: {error}"))?;
        let (most_in, most_out) = (inner.input_frames_max(), inner.output_frames_max());
        Ok(Self {
            inner,
            channels,
            ratio,
            speed: 1.0,
            input: vec![0.0; most_in * channels],
            output: vec![0.0; most_out * channels],
            taken: 0,
            there: 0,
        })
    }

    /// From now on so many frames are taken where one would be.
    pub fn steer(&mut self, speed: f64) {
        let speed = speed.clamp(1.0 / MOST_SPEED, MOST_SPEED);
        if let Some(adjustable) = self.inner.as_adjustable()
            && adjustable.set_resample_ratio_relative(1.0 / speed, true).is_ok()
        {
            self.speed = speed;
        }
    }

    /// Frames of input that have been taken and not been heard yet: in the filter, and in what is ready.
    pub fn held(&self) -> f64 {
        self.filter_delay() + (self.there - self.taken) as f64 / self.ratio * self.speed
    }

    /// Frames of input in the filter.
    pub fn filter_delay(&self) -> f64 {
        // rubato steps before it computes a frame, and its filter is a little off the middle.
        (POINTS / 2) as f64 - 1.0 / self.ratio - 1.0 / OVERSAMPLING as f64
    }

    /// Frames of output that are ready.
    pub fn ready(&self) -> usize {
        self.there - self.taken
    }

    /// How long a chunk of output is, in frames.
    pub fn chunk(&self) -> usize {
        self.inner.output_frames_next()
    }

    /// Forgets all input.
    pub fn reset(&mut self) {
        self.inner.reset();
        (self.taken, self.there) = (0, 0);
    }

    /// Makes a chunk of output; `fill` gives the input, all of what it is given.
    pub fn make(&mut self, fill: impl FnOnce(&mut [f32])) {
        let frames = self.inner.input_frames_next();
        let input = &mut self.input[..frames * self.channels];
        fill(input);
        (self.taken, self.there) = (0, 0);
        let most_out = self.output.len() / self.channels;
        let from = InterleavedSlice::new(input, self.channels, frames);
        let to = InterleavedSlice::new_mut(&mut self.output, self.channels, most_out);
        if let (Ok(from), Ok(mut to)) = (from, to)
            && let Ok((_, made)) = self.inner.process_into_buffer(&from, &mut to, None)
        {
            self.there = made;
        }
    }

    /// Takes frames that are ready, as many as fit, and returns how many.
    pub fn take(&mut self, into: &mut [f32]) -> usize {
        let frames = self.ready().min(into.len() / self.channels);
        let from = self.taken * self.channels;
        into[..frames * self.channels].copy_from_slice(&self.output[from..from + frames * self.channels]);
        self.taken += frames;
        frames
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
            if resampler.ready() == 0 {
                resampler.make(|input| {
                    for sample in input {
                        *sample = (TAU * 1000.0 * f64::from(phase) / f64::from(from)).sin() as f32;
                        phase = (phase + 1) % from;
                    }
                });
            }
            at += resampler.take(&mut heard[at..]);
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
        let distance = distance(&heard, 48_000, resampler.filter_delay());
        assert!(distance < 1e-5, "{distance}");
    }

    #[test]
    fn another_rate_is_the_same_tone() {
        let mut resampler = Resampler::new(1, 44_100, 48_000).expect("a resampler");
        let heard = through(&mut resampler, 44_100, 4800);
        let delay = resampler.filter_delay() * 48.0 / 44.1;
        let distance = distance(&heard, 48_000, delay);
        assert!(distance < 1e-5, "{distance}");
    }

    #[test]
    fn what_is_held_is_what_was_taken_and_not_heard() {
        let mut resampler = Resampler::new(2, 48_000, 48_000).expect("a resampler");
        let (mut fed, mut heard) = (0, 0);
        for speed in [1.0, 1.004, 0.996] {
            resampler.steer(speed);
            for _ in 0..1000 {
                resampler.make(|input| fed += input.len() / 2);
                let mut frames = [0.0; 20];
                heard += resampler.take(&mut frames);
                while resampler.ready() > 0 {
                    heard += resampler.take(&mut frames);
                }
            }
        }
        let expected = 64_000.0 * (1.0 + 1.004 + 0.996);
        assert_eq!(heard, 192_000);
        assert!((f64::from(u32::try_from(fed).unwrap()) - expected).abs() < 80.0, "{fed}");
    }
}
