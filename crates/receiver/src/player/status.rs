//! [`Status`]: what the player is doing, for those who watch.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Figures of the player, written by the thread that plays and read by others at any time.
#[derive(Debug, Default)]
pub struct Status {
    /// From the arrival of the fastest packets to the loudspeaker, in microseconds; 0 while nothing plays.
    pub(super) delay_us: AtomicU64,
    /// What the delay should be, in microseconds.
    pub(super) target_us: AtomicU64,
    /// How much faster the sender's clock is than the device's, in billionths.
    pub(super) drift_ppb: AtomicI64,
    /// Packets that seem to have been lost.
    pub(super) lost: AtomicU64,
    /// Packets that came twice.
    pub(super) doubled: AtomicU64,
    /// Packets that came too late to be played.
    pub(super) late: AtomicU64,
    /// Times that there was nothing to play in the middle of a stream.
    pub(super) underruns: AtomicU64,
    /// Times that audio was left out to keep the delay.
    pub(super) cuts: AtomicU64,
}

/// The figures at one time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Figures {
    /// From the arrival of the fastest packets to the loudspeaker; zero while nothing plays.
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
        let count = |value: &AtomicU64| value.load(Ordering::Relaxed);
        Figures {
            delay: Duration::from_micros(count(&self.delay_us)),
            target: Duration::from_micros(count(&self.target_us)),
            drift_ppm: self.drift_ppb.load(Ordering::Relaxed) as f64 / 1e3,
            lost: count(&self.lost),
            doubled: count(&self.doubled),
            late: count(&self.late),
            underruns: count(&self.underruns),
            cuts: count(&self.cuts),
        }
    }
}
