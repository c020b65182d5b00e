//! [`Status`]: what the player is doing, for those who watch.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::voice::{Counts, Voice};

/// Figures of the player, written by the thread that plays and read by others at any time.
#[derive(Debug, Default)]
pub struct Status {
    /// In microseconds.
    delay: AtomicU64,
    /// In microseconds.
    target: AtomicU64,
    /// In billionths.
    drift: AtomicI64,
    /// Of voices that are forgotten, and of those that are not.
    lost: [AtomicU64; 2],
    doubled: [AtomicU64; 2],
    /// Also packets that came while there was no output.
    pub(super) late: AtomicU64,
    late_of_voices: [AtomicU64; 2],
    underruns: [AtomicU64; 2],
    cuts: [AtomicU64; 2],
}

/// The figures at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// From when the sender played a frame, if packets took no time, to the loudspeaker; zero while nothing plays.
    pub delay: Duration,
    /// What the delay should be.
    pub target: Duration,
    /// How much faster the sender's clock is than the device's, in millionths.
    pub drift_ppm: f64,
    /// Packets that seem to have been lost: packets have no numbers, so this is concluded from when others came.
    pub lost: u64,
    /// Packets that came twice.
    pub doubled: u64,
    /// Packets that came too late to be played.
    pub late: u64,
    /// Times that there was nothing to play in the middle of a stream.
    pub underruns: u64,
    /// Times that audio was left out to keep the delay.
    pub cuts: u64,
}

impl Status {
    /// The figures now.
    pub fn figures(&self) -> Figures {
        let micros = |value: &AtomicU64| Duration::from_micros(value.load(Ordering::Relaxed));
        let count =
            |values: &[AtomicU64; 2]| values.iter().map(|value| value.load(Ordering::Relaxed)).sum::<u64>();
        Figures {
            delay: micros(&self.delay),
            target: micros(&self.target),
            drift_ppm: self.drift.load(Ordering::Relaxed) as f64 / 1e3,
            lost: count(&self.lost),
            doubled: count(&self.doubled),
            late: count(&self.late_of_voices) + self.late.load(Ordering::Relaxed),
            underruns: count(&self.underruns),
            cuts: count(&self.cuts),
        }
    }

    fn counters(&self) -> [&[AtomicU64; 2]; 5] {
        [&self.lost, &self.doubled, &self.late_of_voices, &self.underruns, &self.cuts]
    }

    /// What the voices are doing; delay and drift are those of the first.
    pub(super) fn report<'a>(&self, voices: impl Iterator<Item = &'a Voice>) {
        let mut sums = [0; 5];
        let mut first = None;
        for voice in voices {
            first.get_or_insert((voice.delay(), voice.target(), voice.drift()));
            let Counts { lost, doubled, late, underruns, cuts } = voice.counts();
            sums.iter_mut()
                .zip([lost, doubled, late, underruns, cuts])
                .for_each(|(sum, count)| *sum += count);
        }
        let (delay, target, drift) = first.unwrap_or_default();
        self.delay.store(delay.as_micros() as u64, Ordering::Relaxed);
        self.target.store(target.as_micros() as u64, Ordering::Relaxed);
        self.drift.store((drift * 1e9) as i64, Ordering::Relaxed);
        for ([_, present], sum) in self.counters().into_iter().zip(sums) {
            present.store(sum, Ordering::Relaxed);
        }
    }

    /// The voices are gone: what they counted stays.
    pub(super) fn forget_voices(&self) {
        for [past, present] in self.counters() {
            past.fetch_add(present.swap(0, Ordering::Relaxed), Ordering::Relaxed);
        }
        self.delay.store(0, Ordering::Relaxed);
    }
}
