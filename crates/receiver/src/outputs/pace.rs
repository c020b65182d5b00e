//! [`Pace`]: how much an output keeps in its device, and how often it asks for more; [`PATIENCE`]: how long it waits.

use std::time::Duration;

use crate::delivery::duration_of;

/// How long an output waits for a server or a device that should answer. The program ends within this time, whatever the
/// server does.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// What fades and filters take of the delay.
const OTHERS: Duration = Duration::from_millis(4);
/// No device has to hold more.
const LONGEST: Duration = Duration::from_millis(500);

/// How much an output keeps in its device, and how often it asks for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// What the device holds.
    pub buffer: Duration,
    /// What it asks for at once.
    pub period: Duration,
}

impl Pace {
    /// The pace for a delay from arrival to loudspeaker.
    ///
    /// Three periods are the least that a device holds; one more is being made, a packet is on its way, and audio fades: this is
    /// what the delay has to have room for. Of a longer delay half is for the device, the other half for the jitter of the
    /// network. Periods are whole milliseconds, which are whole frames at most rates: servers round, and where a frame is
    /// missing they ask a period later.
    pub fn of(target: Duration) -> Self {
        let period = target.saturating_sub(OTHERS) / 5;
        let period = Duration::from_millis((period.as_millis() as u64).clamp(2, 10));
        let periods = target.min(LONGEST * 2).as_millis() / 2 / period.as_millis();
        Self { buffer: period * (periods as u32).max(3), period }
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
    fn check(target: u64, buffer: u64, period: u64) {
        let milliseconds = Duration::from_millis;
        let expected = Pace { buffer: milliseconds(buffer), period: milliseconds(period) };
        assert_eq!(Pace::of(milliseconds(target)), expected);
    }

    #[test]
    fn a_device_holds_three_periods_or_half_of_the_delay_and_asks_in_small_parts() {
        check(30, 15, 5);
        check(50, 27, 9);
        check(60, 30, 10);
        check(200, 100, 10);
    }

    #[test]
    fn no_target_is_so_small_or_so_large_that_a_device_could_not_do_it() {
        check(0, 6, 2);
        check(60_000, 500, 10);
    }

    #[test]
    fn times_and_frames_are_the_same_thing() {
        assert_eq!(frames(Duration::from_millis(10), 44_100), 441);
        assert_eq!(frames(Duration::ZERO, 44_100), 1);
        assert_eq!(time(441, 44_100), Duration::from_millis(10));
        assert_eq!(time(-441, 44_100), Duration::ZERO);
    }
}
