//! [`Target`]: what the delay should be.
//!
//! It is what the user wants, unless that cannot be: the output takes frames some time before they are heard, packets have to
//! be complete, and a network may hold them up. Then it is as much more as it takes.

use std::time::Duration;

/// What is left for the network at least, in seconds.
const LEAST_FOR_THE_NETWORK: f64 = 0.002;
/// What a late packet adds beside its lateness, and what it adds at most, in seconds.
const MORE: f64 = 0.001;
const MOST_AT_ONCE: f64 = 0.020;
/// Packets that were there, but were not looked for because nothing played, do not lag.
const MOST_LAG: f64 = 0.025;
/// For so many seconds after a late packet nothing is taken back.
const REMEMBERED: f64 = 120.0;
/// How much is taken back in a second, in seconds.
const TAKEN_BACK: f64 = 0.001;

/// What the delay of a stream should be, from when the sender played a frame, if packets took no time, to when it is heard.
#[derive(Clone, Debug)]
pub struct Target {
    wanted: f64,
    most: f64,
    packet: f64,
    /// What the output needs: the greatest of the last seconds.
    output: f64,
    /// How long packets take from when they came to the player: those of shared memory are the pieces of a chunk.
    lag: f64,
    /// What packets that came too late have added.
    added: f64,
    /// Seconds since the last of them.
    since: f64,
}

impl Target {
    /// The user wants this, and never more than `most`; packets play for `packet`.
    pub fn new(wanted: Duration, most: Duration, packet: Duration) -> Self {
        let (wanted, most) = (wanted.as_secs_f64(), most.as_secs_f64());
        Self { wanted, most, packet: packet.as_secs_f64(), output: 0.0, lag: 0.0, added: 0.0, since: 0.0 }
    }

    /// The output takes frames so many seconds before the last of them is heard.
    pub fn needs(&mut self, seconds: f64) {
        self.output = self.output.max(seconds);
    }

    /// The player has had to wait for a packet for so many seconds more than until it is looked for anyway.
    pub fn lags(&mut self, seconds: f64) {
        self.lag = self.lag.max(seconds.min(MOST_LAG));
    }

    /// A packet came so many seconds too late.
    pub fn missed(&mut self, seconds: f64) {
        let more = (seconds.max(0.0) + MORE).min(MOST_AT_ONCE);
        self.added = (self.added + more).min((self.most - self.least()).max(0.0));
        self.since = 0.0;
    }

    /// So many seconds have passed.
    pub fn pass(&mut self, seconds: f64) {
        self.since += seconds;
        if self.since > REMEMBERED {
            self.added = (self.added - TAKEN_BACK * seconds).max(0.0);
        }
        // What a device needs is much the same all the time, but at its start it may be more.
        let forgotten = 1.0 - (seconds / 60.0).min(1.0);
        (self.output, self.lag) = (self.output * forgotten, self.lag * forgotten);
    }

    fn least(&self) -> f64 {
        self.wanted.max(self.output + self.packet + self.lag + LEAST_FOR_THE_NETWORK)
    }

    /// The delay, in nanoseconds.
    pub fn nanos(&self) -> i64 {
        ((self.least() + self.added) * 1e9) as i64
    }

    /// How much greater the delay may be at times, in nanoseconds.
    pub fn slack_nanos(&self) -> i64 {
        ((self.most * 1e9) as i64 - self.nanos()).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(wanted: u64) -> Target {
        let ms = Duration::from_millis;
        Target::new(ms(wanted), ms(200), ms(6))
    }

    #[test]
    fn it_is_what_the_user_wants_if_that_can_be() {
        let mut target = target(50);
        target.needs(0.030);
        assert_eq!((target.nanos(), target.slack_nanos()), (50_000_000, 150_000_000));
    }

    #[test]
    fn it_is_never_less_than_the_output_needs() {
        let mut target = target(20);
        target.needs(0.030);
        assert_eq!(target.nanos(), 38_000_000);
        target.needs(0.4);
        assert_eq!((target.nanos(), target.slack_nanos()), (408_000_000, 0));
    }

    #[test]
    fn packets_that_come_in_lumps_raise_it() {
        let mut target = target(50);
        target.needs(0.030);
        target.lags(0.014);
        assert_eq!(target.nanos(), 52_000_000);
        target.lags(1.0);
        assert_eq!(target.nanos(), 63_000_000);
    }

    #[test]
    fn late_packets_raise_it_for_a_while_and_never_above_the_most() {
        let mut target = target(50);
        target.missed(0.004);
        assert_eq!(target.nanos(), 55_000_000);
        target.pass(120.0);
        assert_eq!(target.nanos(), 55_000_000);
        target.pass(3.0);
        assert_eq!(target.nanos(), 52_000_000);
        target.pass(3.0);
        assert_eq!(target.nanos(), 50_000_000);
        (0..100).for_each(|_| target.missed(1.0));
        assert_eq!(target.nanos(), 200_000_000);
    }
}
