//! What a recording has in it, if the player steers its speed: the right tone on the right channel, without a gap.
//!
//! The speed differs from 1 by [`SPEED`] at most. So the phase of a tone may turn, but from one hundredth of a second to the
//! next by no more than that allows: a gap, or a doubled piece, of a few frames is more.

use std::f64::consts::{PI, TAU};

use protocol::StreamFormat;
use receiver::speakers::{self, Speaker};

use crate::analysis::Recorded;
use crate::signal::{AMPLITUDE, tone};

/// The most that the player changes the speed by, and what the analysis itself is off by.
const SPEED: f64 = 0.0055;
/// The tones are fitted in windows as long as this, in seconds. The tones have whole numbers of periods in it.
const WINDOW: f64 = 0.01;
/// What is more silent than this does not count as a beginning or an end.
const AUDIBLE: f64 = AMPLITUDE / 20.0;
/// 60 dB below the tones.
const FAINT: f64 = AMPLITUDE / 1000.0;
/// Seconds of a fade, which is steeper in its middle by half than a straight one.
const FADE: f64 = 0.003;
/// Seconds in which one tone is told from another.
const SPECTRUM: f64 = 0.05;

/// The channel of a speaker.
pub fn channel(recorded: &Recorded, speaker: Speaker) -> Channel<'_> {
    let samples = recorded.of(speaker).unwrap_or_else(|why| panic!("{why}"));
    Channel { rate: f64::from(recorded.rate), samples }
}

/// Whether each speaker of a format has its tone, and nothing else, for so many seconds without a gap, and all other speakers
/// are silent.
pub fn has_steady_tones(recorded: &Recorded, format: StreamFormat, seconds: f64) -> Result<(), String> {
    let wanted = speakers::of(format);
    for (speaker, samples) in &recorded.channels {
        if !wanted.contains(speaker) {
            let loudest = samples.iter().fold(0.0_f64, |most, sample| most.max(sample.abs()));
            check(loudest < FAINT, || format!("{speaker:?} should be silent, but has {loudest}"))?;
        }
    }
    for speaker in wanted {
        let told = |text: String| format!("{speaker:?}: {text}");
        let channel = channel(recorded, speaker);
        let heard = channel.has_steady_tone(tone(speaker)).map_err(told)?;
        for (other, _) in recorded.channels.iter().filter(|(other, _)| *other != speaker) {
            let level = channel.level(tone(*other));
            check(level < FAINT, || told(format!("{level} of {other:?}")))?;
        }
        let most = 0.03 + seconds * SPEED;
        check((heard - seconds).abs() < most, || told(format!("heard for {heard} s, not {seconds} s")))?;
    }
    Ok(())
}

/// The samples of a speaker, or a part of them.
#[derive(Clone, Copy)]
pub struct Channel<'a> {
    /// Frames per second.
    pub rate: f64,
    /// Full scale is 1.
    pub samples: &'a [f64],
}

/// A tone in a window.
#[derive(Clone, Copy)]
struct Fit {
    amplitude: f64,
    phase: f64,
    /// The effective value of what is not the tone.
    rest: f64,
}

impl Channel<'_> {
    /// From the first to the last frame that is audible.
    fn audible(&self) -> Result<(usize, usize), String> {
        let begin = self.samples.iter().position(|sample| sample.abs() > AUDIBLE);
        let end = self.samples.iter().rposition(|sample| sample.abs() > AUDIBLE);
        begin.zip(end).ok_or_else(|| "silent".to_owned())
    }

    /// From when to when something is audible, in seconds, with a twentieth of a second or more of silence between.
    pub fn audible_spans(&self) -> Vec<(f64, f64)> {
        let mut spans: Vec<(f64, f64)> = Vec::new();
        for (index, _) in self.samples.iter().enumerate().filter(|(_, sample)| sample.abs() > AUDIBLE) {
            let now = index as f64 / self.rate;
            match spans.last_mut().filter(|(_, end)| now - *end < SPECTRUM) {
                Some((_, end)) => *end = now,
                None => spans.push((now, now)),
            }
        }
        spans
    }

    /// Whether a tone is there from the first to the last audible frame without a gap, and nothing else; for how many seconds.
    pub fn has_steady_tone(&self, tone: f64) -> Result<f64, String> {
        let (begin, end) = self.audible()?;
        let window = (WINDOW * self.rate).round() as usize;
        // The edges are left out: the player fades there.
        let firsts: Vec<_> = (begin + window..end.saturating_sub(2 * window)).step_by(window).collect();
        let part = |first: usize| Channel { samples: &self.samples[first..first + window], ..*self };
        let phases: Vec<_> = firsts.iter().map(|first| part(*first).fit(tone, *first).phase).collect();
        let turns = phases.windows(2).map(|pair| (pair[1] - pair[0] + PI).rem_euclid(TAU) - PI);
        let faster: Vec<_> = turns.map(|turn| turn / (TAU * tone * WINDOW)).collect();
        for (first, faster) in firsts[1..].iter().zip(faster.windows(2)) {
            let at = |text: String| {
                let seconds = |frames: usize| frames as f64 / self.rate;
                format!("{text} at {:.3} s of {:.3} s", seconds(first - begin), seconds(end - begin))
            };
            let [before, after] = [faster[0], faster[1]];
            check(before.abs() < SPEED, || at(format!("the tone jumps by {:.1} µs", before * WINDOW * 1e6)))?;
            let fit = part(*first).fit(tone * (1.0 + f64::midpoint(before, after)), *first);
            let amplitude = fit.amplitude;
            check((amplitude / AMPLITUDE - 1.0).abs() < 0.02, || at(format!("amplitude {amplitude}")))?;
            // Where the speed changes the tone is not that of either speed.
            let allowed = FAINT * 4.0 + AMPLITUDE * TAU * tone * WINDOW * (after - before).abs();
            check(fit.rest < allowed, || at(format!("noise of {}", fit.rest)))?;
        }
        check(faster.len() > 1, || format!("heard for {} frames only", end - begin))?;
        Ok((end - begin) as f64 / self.rate)
    }

    /// Fits a tone; the first sample has this number.
    fn fit(&self, tone: f64, first: usize) -> Fit {
        let angle = |index: usize| ((first + index) as f64 * tone / self.rate).fract() * TAU;
        // By least squares: where the speed is not 1 the periods are not whole.
        let [mut ss, mut sc, mut cc, mut s, mut c] = [0.0; 5];
        for (index, sample) in self.samples.iter().enumerate() {
            let (sin, cos) = angle(index).sin_cos();
            (ss, sc, cc) = (ss + sin * sin, sc + sin * cos, cc + cos * cos);
            (s, c) = (s + sample * sin, c + sample * cos);
        }
        let determinant = ss * cc - sc * sc;
        let (real, imaginary) = ((s * cc - c * sc) / determinant, (c * ss - s * sc) / determinant);
        let rest = |(index, sample): (usize, &f64)| {
            let (sin, cos) = angle(index).sin_cos();
            (sample - real * sin - imaginary * cos).powi(2)
        };
        let power: f64 = self.samples.iter().enumerate().map(rest).sum();
        Fit {
            amplitude: real.hypot(imaginary),
            phase: imaginary.atan2(real),
            rest: (power / self.samples.len() as f64).sqrt(),
        }
    }

    /// The greatest amplitude that a tone has for a twentieth of a second, wherever something steady is to be heard, whatever other
    /// tones there are.
    pub fn level(&self, tone: f64) -> f64 {
        let Ok((begin, end)) = self.audible() else { return 0.0 };
        let margin = (0.02 * self.rate) as usize;
        let samples = self.samples.get(begin + margin..end.saturating_sub(margin)).unwrap_or(&[]);
        Channel { samples, ..*self }.levels(tone).fold(0.0, f64::max)
    }

    /// For how many seconds a tone has the amplitude with which it was sent, whatever other tones there are.
    pub fn seconds_of(&self, tone: f64) -> f64 {
        self.levels(tone).filter(|level| (level / AMPLITUDE - 1.0).abs() < 0.1).count() as f64 * SPECTRUM
    }

    /// The amplitude of a tone in each twentieth of a second. It may be off by some percent if the speed is not 1.
    fn levels(&self, tone: f64) -> impl Iterator<Item = f64> {
        let length = (SPECTRUM * self.rate) as usize;
        self.samples.chunks_exact(length).map(move |part| amplitude(part, tone / self.rate))
    }

    /// Whether no two neighbours differ by more than those of tones up to this one do, and of fades: a click would.
    pub fn has_no_click(&self, highest: f64) -> Result<(), String> {
        let allowed = AMPLITUDE * (TAU * highest / self.rate * 1.05 + 1.5 / (FADE * self.rate));
        let step = |at: usize| (self.samples[at + 1] - self.samples[at]).abs();
        let last = self.samples.len().saturating_sub(1);
        match (0..last).find(|at| step(*at) > allowed) {
            None => Ok(()),
            Some(at) => {
                Err(format!("a step of {} at {:.3} s, {allowed} is allowed", step(at), at as f64 / self.rate))
            }
        }
    }
}

/// The amplitude of a tone, in turns per sample, through the window of Blackman and Harris, by which tones 200 Hz away do not
/// leak into it.
fn amplitude(part: &[f64], tone: f64) -> f64 {
    let (mut real, mut imaginary, mut total) = (0.0, 0.0, 0.0);
    for (index, sample) in part.iter().enumerate() {
        let turn = TAU * (index as f64 + 0.5) / part.len() as f64;
        let weight =
            0.35875 - 0.48829 * turn.cos() + 0.14128 * (2.0 * turn).cos() - 0.01168 * (3.0 * turn).cos();
        let (sin, cos) = ((index as f64 * tone).fract() * TAU).sin_cos();
        (real, imaginary, total) =
            (real + weight * sample * sin, imaginary + weight * sample * cos, total + weight);
    }
    2.0 * real.hypot(imaginary) / total
}

fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// A second of a tone of 300 Hz, played faster by a part, with silence around it.
fn example(faster: f64) -> Vec<f64> {
    let tone = |frame: usize| AMPLITUDE * (frame as f64 * 300.0 * (1.0 + faster) / 48_000.0 * TAU).sin();
    let silence = || std::iter::repeat_n(0.0, 1000);
    silence().chain((0..48_000).map(tone)).chain(silence()).collect()
}

#[test]
fn a_tone_that_is_steered_is_steady() {
    for faster in [0.0, 0.005, -0.005] {
        let samples = example(faster);
        let channel = Channel { rate: 48_000.0, samples: &samples };
        let heard = channel.has_steady_tone(300.0).expect("it is steady");
        assert!((heard - 1.0).abs() < 0.001, "{heard}");
        assert!((channel.level(300.0) / AMPLITUDE - 1.0).abs() < 0.1 && channel.level(500.0) < FAINT / 10.0);
    }
}

#[test]
fn whatever_is_wrong_with_a_tone_is_found() {
    let wrong = |change: &dyn Fn(&mut Vec<f64>)| {
        let mut samples = example(0.001);
        change(&mut samples);
        Channel { rate: 48_000.0, samples: &samples }.has_steady_tone(300.0).expect_err("it is wrong")
    };
    // Three frames too few, or too many.
    wrong(&|samples| drop(samples.drain(20_000..20_003)));
    wrong(&|samples| samples.splice(20_010..20_010, [0.0; 3]).for_each(drop));
    assert!(wrong(&|samples| samples[20_000..20_005].fill(0.0)).contains("noise"));
    assert!(wrong(&|samples| samples[20_000] += 0.05).contains("noise"));
    assert!(
        wrong(&|samples| samples[20_000..21_000].iter_mut().for_each(|sample| *sample *= 0.9))
            .contains("at 0.")
    );
    assert!(wrong(&|samples| samples.fill(0.0)).contains("silent"));
}
