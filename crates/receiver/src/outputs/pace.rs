//! [`Pace`]: how much an output keeps in its device, and how often it asks for more; [`PATIENCE`]: how long it waits.

use std::time::Duration;

use crate::delivery::duration_of;

/// How long an output waits for a server or a device that should answer. The program ends within this time, whatever the
/// server does.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// How much an output keeps in its device, and how often it asks for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// What the device holds.
    pub buffer: Duration,
    /// What it asks for at once.
    pub period: Duration,
}

impl Pace {
    /// The pace for a delay from arrival to loudspeaker: half of it is for the device, the other half is for the jitter of
    /// the network.
    pub fn of(target: Duration) -> Self {
        let buffer = (target / 2).clamp(Duration::from_millis(4), Duration::from_millis(500));
        let period = (buffer * 2 / 5).clamp(Duration::from_millis(1), Duration::from_millis(10));
        Self { buffer, period }
    }
}

/// How many frames a time is; at least one.
pub fn frames(time: Duration, rate: u32) -> usize {
    let frames = time.as_nanos() * u128::from(rate) / 1_000_000_000;
    usize::try_from(frames).unwrap_or(usize::MAX).max(1)
}

/// How long so many frames are that a device counts: some count backwards after an underrun.
pub fn time(frames: i64, rate: u32) -> Duration {
    duration_of(u64::try_from(frames).unwrap_or(0), rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(target: u64, buffer_us: u64, period_us: u64) {
        let expected =
            Pace { buffer: Duration::from_micros(buffer_us), period: Duration::from_micros(period_us) };
        assert_eq!(Pace::of(Duration::from_millis(target)), expected);
    }

    #[test]
    fn a_device_holds_half_of_the_delay_and_asks_in_small_parts() {
        check(50, 25_000, 10_000);
        check(200, 100_000, 10_000);
    }

    #[test]
    fn no_target_is_so_small_or_so_large_that_a_device_could_not_do_it() {
        check(0, 4_000, 1_600);
        check(60_000, 500_000, 10_000);
    }

    #[test]
    fn times_and_frames_are_the_same_thing() {
        assert_eq!(frames(Duration::from_millis(10), 44_100), 441);
        assert_eq!(frames(Duration::ZERO, 44_100), 1);
        assert_eq!(time(441, 44_100), Duration::from_millis(10));
        assert_eq!(time(-441, 44_100), Duration::ZERO);
    }
}
