//! What a recording has in it: the right tone on the right channel, without a gap, or the same samples.

use std::f64::consts::{PI, TAU};

use protocol::StreamFormat;
use receiver::speakers::{self, Speaker};

use crate::signal::{AMPLITUDE, random, tone};

/// What a server has played.
pub struct Recorded {
    /// Frames per second.
    pub rate: u32,
    /// The samples of each channel; full scale is 1.
    pub channels: Vec<(Speaker, Vec<f64>)>,
}

/// The tones are fitted in windows as long as this, in seconds. The tones have whole numbers of periods in it.
const WINDOW: f64 = 0.01;

/// What is more silent than this does not count as a beginning or an end.
const AUDIBLE: f64 = AMPLITUDE / 20.0;

/// Other tones and noise have to be 60 dB below the tone.
const FAINT: f64 = AMPLITUDE / 1000.0;

impl Recorded {
    /// Reads interleaved frames.
    pub fn new(rate: u32, speakers: &[Speaker], samples: impl Iterator<Item = f64>) -> Self {
        let mut channels: Vec<_> = speakers.iter().map(|speaker| (*speaker, Vec::new())).collect();
        for (index, sample) in samples.enumerate() {
            channels[index % speakers.len()].1.push(sample);
        }
        Self { rate, channels }
    }

    /// The samples of a speaker.
    pub fn of(&self, speaker: Speaker) -> Result<&[f64], String> {
        let found = self.channels.iter().find(|(of, _)| *of == speaker);
        found
            .map(|(_, samples)| samples.as_slice())
            .ok_or_else(|| format!("the recording has no {speaker:?}"))
    }

    /// Whether each speaker of the format has its tone, and nothing else, for so many seconds without a gap, and all other
    /// speakers are silent.
    pub fn has_tones(&self, format: StreamFormat, seconds: f64) -> Result<(), String> {
        let wanted = speakers::of(format);
        for speaker in &wanted {
            self.has_tone(*speaker, self.of(*speaker)?, seconds)?;
        }
        for (speaker, samples) in self.channels.iter().filter(|(speaker, _)| !wanted.contains(speaker)) {
            let loudest = samples.iter().fold(0.0_f64, |most, sample| most.max(sample.abs()));
            check(loudest < FAINT, || format!("{speaker:?} should be silent, but has {loudest}"))?;
        }
        Ok(())
    }

    fn has_tone(&self, speaker: Speaker, samples: &[f64], seconds: f64) -> Result<(), String> {
        let begin = samples.iter().position(|sample| sample.abs() > AUDIBLE);
        let end = samples.iter().rposition(|sample| sample.abs() > AUDIBLE);
        let (Some(begin), Some(end)) = (begin, end) else { return Err(format!("{speaker:?} is silent")) };
        let heard = (end - begin) as f64 / f64::from(self.rate);
        let window = (WINDOW * f64::from(self.rate)).round() as usize;
        // The edges are left out: a server may fade there, and a resampler rings.
        let steady = samples.get(begin + window..end.saturating_sub(window)).unwrap_or(&[]);
        let mut before = None;
        for (number, part) in steady.chunks_exact(window).enumerate() {
            let at = |text: String| {
                format!("{speaker:?}, {text} at {:.2} s of {heard:.3} s", number as f64 * WINDOW)
            };
            let first = begin + window + number * window;
            let (amplitude, phase) = self.fit(part, first, tone(speaker));
            check((amplitude / AMPLITUDE - 1.0).abs() < 0.02, || at(format!("amplitude {amplitude}")))?;
            let turned = before.map_or(0.0, |before: f64| (phase - before + PI).rem_euclid(TAU) - PI);
            check(turned.abs() < 0.02, || at(format!("the phase jumps by {turned}")))?;
            let rest = self.rest(part, first, tone(speaker), amplitude, phase);
            check(rest < FAINT * 2.0, || at(format!("noise of {rest}")))?;
            before = Some(phase);
        }
        for (other, _) in self.channels.iter().filter(|(other, _)| *other != speaker) {
            let (amplitude, _) = self.fit(&steady[..steady.len() / window * window], 0, tone(*other));
            check(amplitude < FAINT, || format!("{speaker:?} has {amplitude} of {other:?}"))?;
        }
        check((heard - seconds).abs() < 0.02, || {
            format!("{speaker:?} is heard for {heard} s, not {seconds} s")
        })
    }

    /// Amplitude and phase of a tone in samples of which the first has this number.
    fn fit(&self, samples: &[f64], first: usize, tone: f64) -> (f64, f64) {
        let (mut real, mut imaginary) = (0.0, 0.0);
        for (index, sample) in samples.iter().enumerate() {
            let (sin, cos) = self.angle(first + index, tone).sin_cos();
            real += sample * sin;
            imaginary += sample * cos;
        }
        let scale = 2.0 / samples.len() as f64;
        ((real * scale).hypot(imaginary * scale), imaginary.atan2(real))
    }

    /// The effective value of what is not the tone.
    fn rest(&self, samples: &[f64], first: usize, tone: f64, amplitude: f64, phase: f64) -> f64 {
        let noise = |(index, sample): (usize, &f64)| {
            sample - amplitude * (self.angle(first + index, tone) + phase).sin()
        };
        let power: f64 = samples.iter().enumerate().map(|sample| noise(sample).powi(2)).sum();
        (power / samples.len() as f64).sqrt()
    }

    fn angle(&self, frame: usize, tone: f64) -> f64 {
        (frame as f64 * tone / f64::from(self.rate)).fract() * TAU
    }

    /// Whether the random content of so many frames is there, whole, sample for sample.
    pub fn has_random(&self, format: StreamFormat, frames: u64) -> Result<(), String> {
        let scale = 2_f64.powi(i32::from(format.bits()) - 1);
        let mut begin = None;
        for speaker in speakers::of(format) {
            let sent = |frame| i64::from(random(frame, speaker, format.bits())) >> (32 - format.bits());
            // In units of the stream's width; a recorder may have rounded below that.
            let recorded: Vec<_> =
                self.of(speaker)?.iter().map(|sample| (sample * scale).round() as i64).collect();
            let opening: Vec<_> = (0..16).map(sent).collect();
            let found = recorded.windows(opening.len()).position(|window| window == opening);
            let found = found.ok_or_else(|| {
                let loudest = recorded.iter().map(|sample| sample.abs()).max();
                format!(
                    "{speaker:?} does not begin as sent in {} frames, loudest {loudest:?}",
                    recorded.len()
                )
            })?;
            check(*begin.get_or_insert(found) == found, || {
                format!("{speaker:?} is not in step with the others")
            })?;
            for frame in 0..frames {
                let heard = recorded.get(found + frame as usize).copied();
                check(heard == Some(sent(frame)), || {
                    format!("{speaker:?}, frame {frame}: {heard:?} instead of {}", sent(frame))
                })?;
            }
        }
        Ok(())
    }
}

fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

mod tests {
    use super::*;

    fn stereo() -> StreamFormat {
        StreamFormat::new(48_000, 16, 2, 0x3).expect("a format")
    }

    /// A second of both tones, with silence around it, and something done to it.
    fn told(change: impl Fn(&mut Vec<f64>)) -> Result<(), String> {
        let speakers = speakers::of(stereo());
        let mut channels: Vec<_> = speakers
            .iter()
            .map(|speaker| {
                let tone = |frame: usize| AMPLITUDE * (frame as f64 * tone(*speaker) / 48_000.0 * TAU).sin();
                let silence = std::iter::repeat_n(0.0, 1000);
                (*speaker, silence.clone().chain((0..48_000).map(tone)).chain(silence).collect())
            })
            .collect();
        change(&mut channels[1].1);
        let recorded = Recorded { rate: 48_000, channels };
        recorded.has_tones(stereo(), 1.0)
    }

    #[test]
    fn the_analysis_hears_tones_and_what_is_wrong_with_them() {
        assert_eq!(told(|_| {}), Ok(()));
        let wrong = |change: &dyn Fn(&mut Vec<f64>)| told(change).expect_err("it is wrong");
        assert!(wrong(&|samples| samples.iter_mut().for_each(|sample| *sample = 0.0)).contains("is silent"));
        assert!(wrong(&|samples| samples.iter_mut().for_each(|sample| *sample *= 0.9)).contains("amplitude"));
        assert!(wrong(&|samples| drop(samples.drain(20_000..20_050))).contains("FrontRight"));
        assert!(wrong(&|samples| samples[20_000..20_040].fill(0.0)).contains("FrontRight"));
        let hum = |samples: &mut Vec<f64>| {
            for (frame, sample) in samples.iter_mut().enumerate() {
                *sample += 0.002 * (frame as f64 * 300.0 / 48_000.0 * TAU).sin();
            }
        };
        assert!(wrong(&hum).contains("FrontRight"));
    }
}
