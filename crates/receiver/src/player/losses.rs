//! [`LossWatch`]: concludes from when packets come that some are missing.
//!
//! Packets have no numbers. But a sender sends a packet whenever it has played one, so after a loss all later packets come
//! later, by the duration of what is missing, than their predecessors let one expect. Each packet is therefore asked how much
//! better "so much is missing" explains its lateness than "nothing is"; the answers, logarithms of likelihood ratios, are
//! summed (Page's CUSUM test), and at a threshold a loss is certain enough.
//!
//! What latenesses are usual is learned. Packets do not overtake each other: one that waits behind its predecessor tells only
//! that it would have come by then. So the distribution is that of Kaplan and Meier, for such censored observations.
//!
//! A delay that wanders looks like a loss until it comes back. Whoever sees that says so ([`LossWatch::verdict`]), and if it
//! happens often, more evidence is asked for.

/// Most units that can be found missing at once.
const MOST_UNITS: usize = 16;
/// Nanoseconds of a bin of the distribution.
const BIN: i64 = 1_000_000;
/// Bins of the distribution: latenesses from 0 to a little over a tenth of a second.
const BINS: usize = 128;
/// A packet's worth of the evidence that a bin has before anything was seen in it.
const FLOOR: f64 = 0.05;
/// When so many packets have been learned, they begin to count less.
const MEMORY: f64 = 10_000.0;
/// How many packets have to have been seen before anything is concluded.
const LEAST: f64 = 40.0;
/// The distribution is computed anew after so many packets.
const EACH: u32 = 32;
/// The most that one packet can say, for or against: a single one that was held up proves nothing.
const MOST_EVIDENCE: f64 = 5.0;
/// How certain one has to be: a loss is e to this power times likelier.
const THRESHOLD: f64 = 7.0;
/// The part of packets that hardly any is beyond.
const HARDLY_ANY: f64 = 0.999;
/// Evidence that differs by less than this is as good.
const AS_GOOD: f64 = 2.0;
/// How much more certain, if all losses turn out to have been none.
const MORE: f64 = 60.0;
/// The part of losses that may be none without that.
const TOLERATED: f64 = 0.25;

/// What is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    /// How many units.
    pub units: u32,
    /// The number of the first packet after them.
    pub before: u64,
}

/// How late a packet came, in nanoseconds after the fastest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lateness {
    /// By itself.
    Alone(i64),
    /// Behind its predecessor: it would have come by then.
    Queued(i64),
}

/// A hypothesis: so many units are missing since a packet.
#[derive(Clone, Copy, Debug, Default)]
struct Hypothesis {
    evidence: f64,
    since: u64,
}

/// Watches the latenesses of one stream.
#[derive(Clone, Debug)]
pub struct LossWatch {
    /// Nanoseconds of audio of a unit: a packet, or several if they are short.
    unit: i64,
    alone: [f64; BINS],
    queued: [f64; BINS],
    total: f64,
    /// How likely each bin is, and this bin or an earlier one.
    density: [f64; BINS],
    distribution: [f64; BINS],
    fresh: u32,
    hypotheses: [Hypothesis; MOST_UNITS],
    /// The part of the last losses that were none.
    wrong: f64,
}

impl LossWatch {
    /// For units of so many nanoseconds.
    pub fn new(unit: i64) -> Self {
        Self {
            unit,
            alone: [0.0; BINS],
            queued: [0.0; BINS],
            total: 0.0,
            density: [0.0; BINS],
            distribution: [0.0; BINS],
            fresh: 0,
            hypotheses: [Hypothesis::default(); MOST_UNITS],
            wrong: 0.0,
        }
    }

    /// Nanoseconds of audio of a unit.
    pub fn unit(&self) -> i64 {
        self.unit
    }

    /// The lateness that hardly any packet exceeds, in nanoseconds.
    pub fn most(&self) -> i64 {
        let bins = self.distribution.iter().position(|part| *part > HARDLY_ANY).unwrap_or(BINS - 1);
        (bins as i64 + 1) * BIN
    }

    /// Learns that a lateness is usual.
    pub fn learn(&mut self, lateness: Lateness) {
        match lateness {
            Lateness::Alone(nanos) => {
                let bin = bin(nanos);
                // Its neighbours are almost as likely.
                let shares = [(bin.saturating_sub(1), 0.25), (bin, 0.5), ((bin + 1).min(BINS - 1), 0.25)];
                shares.iter().for_each(|(bin, share)| self.alone[*bin] += share);
            }
            Lateness::Queued(nanos) => self.queued[bin(nanos)] += 1.0,
        }
        self.total += 1.0;
        if self.total > MEMORY {
            self.alone.iter_mut().chain(&mut self.queued).for_each(|count| *count *= 0.75);
            self.total *= 0.75;
        }
        self.fresh += 1;
        if self.fresh >= EACH {
            self.fresh = 0;
            self.estimate();
        }
    }

    /// The distribution according to Kaplan and Meier, from the latest packets to the earliest.
    fn estimate(&mut self) {
        let mut known: f64 = self.alone.iter().chain(&self.queued).sum();
        let mut rest = 1.0;
        for bin in (0..BINS).rev() {
            self.distribution[bin] = rest;
            let share = if known > 0.0 { (self.alone[bin] / known).min(1.0) } else { 0.0 };
            self.density[bin] = rest * share;
            rest *= 1.0 - share;
            known -= self.alone[bin] + self.queued[bin];
        }
    }

    /// Takes the lateness of packet number `number` into account.
    pub fn observe(&mut self, number: u64, lateness: Lateness) -> Option<Loss> {
        if self.total < LEAST {
            return None;
        }
        let usual = self.likelihood(lateness, 0);
        for units in 1..=MOST_UNITS {
            let evidence = (self.likelihood(lateness, self.unit * units as i64) / usual).ln();
            let hypothesis = &mut self.hypotheses[units - 1];
            if hypothesis.evidence <= 0.0 {
                *hypothesis = Hypothesis { evidence: 0.0, since: number };
            }
            hypothesis.evidence += evidence.clamp(-MOST_EVIDENCE, MOST_EVIDENCE);
        }
        let most = self.hypotheses.iter().map(|hypothesis| hypothesis.evidence).fold(0.0, f64::max);
        // Fewer losses are likelier than more that explain as much.
        let best = self.hypotheses.iter().position(|hypothesis| hypothesis.evidence >= most - AS_GOOD)?;
        let Hypothesis { evidence, since } = self.hypotheses[best];
        if evidence < THRESHOLD + MORE * (self.wrong - TOLERATED).max(0.0) {
            return None;
        }
        self.forget_evidence();
        Some(Loss { units: best as u32 + 1, before: since })
    }

    /// Begins anew with the evidence, but not with what is usual.
    pub fn forget_evidence(&mut self) {
        self.hypotheses = [Hypothesis::default(); MOST_UNITS];
    }

    /// Whether what was found was a loss, or the delay had only grown for a while.
    pub fn verdict(&mut self, was_loss: bool) {
        let wrong = if was_loss { 0.0 } else { 1.0 };
        self.wrong += (wrong - self.wrong) / 16.0;
    }

    /// How likely a lateness is, if so many nanoseconds are missing.
    fn likelihood(&self, lateness: Lateness, missing: i64) -> f64 {
        let floor = FLOOR / self.total;
        match lateness {
            // Nothing comes before the fastest packets, but they may get a little faster.
            Lateness::Alone(nanos) if nanos - missing < -BIN => floor / 10.0,
            Lateness::Queued(nanos) if nanos - missing < -BIN => floor,
            Lateness::Alone(nanos) => self.density[bin(nanos - missing)] + floor,
            Lateness::Queued(nanos) => self.distribution[bin(nanos - missing)] + floor,
        }
    }
}

fn bin(lateness: i64) -> usize {
    usize::try_from(lateness / BIN).unwrap_or(0).min(BINS - 1)
}

#[cfg(test)]
mod tests {
    use super::Lateness::{Alone, Queued};
    use super::*;

    const MS: i64 = 1_000_000;

    /// One that has seen 512 packets, each up to `jitter` milliseconds late.
    fn used_to(jitter: i64) -> LossWatch {
        let mut watch = LossWatch::new(6 * MS);
        for n in 0..512 {
            watch.learn(Alone(n % (jitter + 1) * MS));
        }
        watch
    }

    #[test]
    fn on_a_steady_network_two_packets_are_evidence_enough() {
        let mut watch = used_to(0);
        assert_eq!(watch.observe(7, Alone(0)), None);
        assert_eq!(watch.observe(8, Alone(6 * MS)), None);
        assert_eq!(watch.observe(9, Alone(6 * MS)), Some(Loss { units: 1, before: 8 }));
        assert_eq!(watch.observe(10, Alone(0)), None);
    }

    #[test]
    fn one_packet_that_is_held_up_is_none() {
        let mut watch = used_to(0);
        assert_eq!(watch.observe(0, Alone(60 * MS)), None);
        for n in 1..20 {
            assert_eq!(watch.observe(n, Queued((60 - n as i64 * 6).max(0) * MS)), None);
        }
    }

    #[test]
    fn several_lost_packets_are_counted() {
        let mut watch = used_to(3);
        let late = |n: u64| Alone((18 + i64::try_from(n).expect("few") % 4) * MS);
        let found = (0..).find_map(|n| watch.observe(n, late(n)));
        assert_eq!(found, Some(Loss { units: 3, before: 0 }));
    }

    #[test]
    fn usual_jitter_is_no_loss() {
        let mut watch = used_to(20);
        for n in 0..10_000 {
            let lateness = Alone((n * 7919 % 21) as i64 * MS);
            assert_eq!(watch.observe(n, lateness), None);
            watch.learn(lateness);
        }
    }

    #[test]
    fn packets_that_wait_for_each_other_are_no_loss() {
        let mut watch = used_to(2);
        assert_eq!(watch.observe(0, Queued(40 * MS)), None);
        for n in 1..100 {
            assert_eq!(watch.observe(n, Queued((40 - n as i64 * 6).max(0) * MS)), None);
        }
    }

    #[test]
    fn nothing_is_concluded_before_enough_was_seen() {
        let mut watch = LossWatch::new(6 * MS);
        (0..39).for_each(|_| watch.learn(Alone(0)));
        assert!((0..50).all(|n| watch.observe(n, Alone(6 * MS)).is_none()));
    }

    #[test]
    fn who_was_wrong_often_asks_for_more_evidence() {
        let packets = |watch: &mut LossWatch| (0..).find(|n| watch.observe(*n, Alone(6 * MS)).is_some());
        let mut watch = used_to(0);
        assert_eq!(packets(&mut watch), Some(1));
        (0..16).for_each(|_| watch.verdict(false));
        assert_eq!(packets(&mut watch), Some(6));
        (0..32).for_each(|_| watch.verdict(true));
        assert_eq!(packets(&mut watch), Some(1));
    }

    #[test]
    fn censored_packets_do_not_make_late_ones_seem_usual() {
        let mut watch = LossWatch::new(6 * MS);
        for n in 0..512 {
            watch.learn(Alone(n % 3 * MS));
            watch.learn(Queued(30 * MS));
        }
        // Those that waited say nothing: 8 ms is as unusual as before.
        assert_eq!(watch.observe(0, Alone(8 * MS)), None);
        assert_eq!(watch.observe(1, Alone(8 * MS)), Some(Loss { units: 1, before: 0 }));
    }
}
