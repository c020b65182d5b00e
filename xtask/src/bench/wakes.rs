//! When the driver's thread wakes, under the virtual clock.

use std::collections::BTreeSet;

use anyhow::Result;
use protocol::{CounterFrequency, PositionClock, StreamFormat};
use testbed::image::Image;
use testbed::playback::{COUNTER_FREQUENCY, Watch};

use super::life::{Life, To, live};

/// How long it plays, in milliseconds.
const LENGTH_MS: u64 = 3000;

/// What was seen of the wake-ups from RUN to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wakes {
    /// The most in any second.
    pub busiest_second: usize,
    /// Those at which no packet left and no notification was due.
    pub needless: usize,
}

/// Plays, and looks at every wake-up.
///
/// # Errors
/// The driver does not play, or breaks a rule.
pub fn measure(image: &Image, format: StreamFormat) -> Result<Wakes> {
    let life = live(image, format, LENGTH_MS, Watch::Wakes, To::Targets(1))?;
    let frequency = CounterFrequency::new(COUNTER_FREQUENCY)?;
    let clock = PositionClock::new(format.rate(), frequency);
    let end = clock.ticks_for(u64::from(format.rate().get()) * LENGTH_MS / 1000);
    let notifications = (1..).map(|number| clock.ticks_for(u64::from(format.rate().get()) / 100 * number));
    let due: BTreeSet<u64> = notifications.take_while(|tick| *tick <= end).chain(packets(&life)).collect();
    // Those at RUN and after the last frame are due to calls of SetState.
    let wakes: Vec<u64> = life.wakes.iter().copied().filter(|tick| (1..end).contains(tick)).collect();
    Ok(Wakes { busiest_second: busiest_second(&wakes), needless: needless(&wakes, &due) })
}

/// When packets left, in ticks since RUN.
fn packets(life: &Life) -> impl Iterator<Item = u64> {
    life.departures.iter().map(|packet| packet.counter.saturating_sub(life.stream.started))
}

/// How many wakes are at a tick at which nothing is due, or not the first there.
fn needless(wakes: &[u64], due: &BTreeSet<u64>) -> usize {
    let needed: BTreeSet<u64> = wakes.iter().copied().filter(|tick| due.contains(tick)).collect();
    wakes.len() - needed.len()
}

/// The most ticks, which are in order, in any second.
fn busiest_second(wakes: &[u64]) -> usize {
    let after =
        |first: usize| wakes[first..].partition_point(|tick| *tick < wakes[first] + COUNTER_FREQUENCY);
    (0..wakes.len()).map(after).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_second_is_found_anywhere() {
        let second = COUNTER_FREQUENCY;
        assert_eq!(busiest_second(&[]), 0);
        assert_eq!(busiest_second(&[5, second + 5]), 1);
        assert_eq!(busiest_second(&[5, second + 4]), 2);
        assert_eq!(busiest_second(&[1, 2 * second, 2 * second + 1, 3 * second - 1, 3 * second]), 3);
    }

    #[test]
    fn a_second_wake_up_at_a_tick_and_one_without_a_reason_are_needless() {
        assert_eq!(needless(&[10, 20, 20, 25, 30], &[10, 20, 30, 40].into()), 2);
    }
}
