//! [`Timeline`]: which frames a packet has, and when they were played on the sender's side.
//!
//! Frames are numbered by slots. A packet's frames take the slots after those of the packet before it; what seems to be
//! missing takes slots, too. The packets that came fastest tell the time of each slot: jitter only ever makes a packet later.

use std::collections::VecDeque;

use super::envelope::{Envelope, Point};
use super::losses::{Lateness, Loss, LossWatch};
use crate::delivery::duration_of;
use crate::{Delivery, Moment};

/// Packets whose slots may still change.
const RECENT: usize = 64;
/// Who sends nothing for so many nanoseconds, and is so late then, has paused.
const PAUSE: u64 = 100_000_000;
/// Losses are counted in units of at least so many nanoseconds.
const LEAST_UNIT: i64 = 4_000_000;
/// Packets are evidence only after so much audio, in nanoseconds.
const LEAST_APART: i64 = 2_000_000;
/// Packets may get faster than the fastest before them by so many nanoseconds.
const FASTER: i64 = 1_000_000;
/// A packet that comes within this part of its duration after another has waited behind it.
const QUEUED: u64 = 12;

/// Where a packet belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The slot of its first frame.
    pub slot: i64,
    /// What the packet tells of earlier ones.
    pub shifts: Shifts,
}

/// Up to two shifts, each of what is there after the one before it.
pub type Shifts = [Option<Shift>; 2];

/// Frames turn out to be missing: all from a slot on belong later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shift {
    /// The first slot that is shifted, before it is.
    pub from: i64,
    /// By how many slots; backwards, if what seemed to be missing is not.
    pub by: i64,
    /// True if packets were lost, or were not; false if the sender had paused.
    pub is_loss: bool,
}

/// A packet that came.
#[derive(Clone, Copy, Debug)]
struct Seen {
    number: u64,
    arrived: u64,
    first: i64,
    end: i64,
    /// It did not come in one go with its predecessor, so its lateness says something.
    alone: bool,
    /// Its audio goes on from that of its predecessor.
    smooth: bool,
}

/// A loss that has been found, and may turn out to be none.
#[derive(Clone, Copy, Debug)]
struct Suspicion {
    /// When slot 0 was until then.
    origin: i64,
    /// The packet that told.
    number: u64,
    /// The slot of the first packet after what is missing.
    from: i64,
    /// How many slots are missing.
    by: i64,
}

impl Seen {
    /// It came so many nanoseconds after the fastest.
    fn lateness(&self, nanos: i64) -> Lateness {
        if self.alone { Lateness::Alone(nanos) } else { Lateness::Queued(nanos) }
    }
}

/// The timeline of one stream.
#[derive(Clone, Debug)]
pub struct Timeline {
    rate: u32,
    /// The slot after the last.
    end: i64,
    count: u64,
    recent: VecDeque<Seen>,
    /// What the packets say that are not recent any more.
    envelope: Envelope,
    /// When slot 0 was, as all packets say that have come.
    origin: i64,
    losses: LossWatch,
    /// The slot after the last packet that was evidence.
    counted: i64,
    suspicion: Option<Suspicion>,
    detects_losses: bool,
}

impl Timeline {
    /// For a stream whose first packet this is; it will begin at slot 0.
    pub fn new(first: &Delivery, detects_losses: bool) -> Self {
        let packet = nanos(first.frames().into(), first.format().rate().get());
        Self {
            rate: first.format().rate().get(),
            end: 0,
            count: 0,
            recent: VecDeque::with_capacity(RECENT + 1),
            envelope: Envelope::new(first.arrived().0),
            origin: i64::MAX,
            losses: LossWatch::new(packet.max(LEAST_UNIT)),
            counted: 0,
            suspicion: None,
            detects_losses,
        }
    }

    /// When slot 0 was played by the sender, in nanoseconds as [`Moment`] has them, if packets took no time; as seen at a time,
    /// from the packets that are remembered.
    fn origin_seen_at(&self, now: u64) -> i64 {
        self.envelope.origin(now, self.recent.iter().map(|seen| self.point(seen)))
    }

    /// Takes the next packet. What has a slot before `begun` has been played, or is about to be. `smooth`: its audio goes on from
    /// that of the packet before it, so nothing seems to be missing between them.
    pub fn place(&mut self, packet: &Delivery, begun: i64, smooth: bool) -> Placement {
        let frames = i64::from(packet.frames());
        let before = self.recent.back().map_or(0, |seen| seen.arrived);
        let seen = Seen {
            number: self.count,
            arrived: packet.arrived().0,
            first: self.end,
            end: self.end + frames,
            alone: packet.arrived().0.saturating_sub(before) * QUEUED >= packet.duration().as_nanos() as u64,
            // Before the first one nothing is missing.
            smooth: smooth || self.recent.is_empty(),
        };
        self.count += 1;
        self.end = seen.end;
        let shifts = match self.pause(&seen, before) {
            Some(pause) => [Some(pause), None],
            None => self.judge(seen, begun),
        };
        if shifts.iter().any(Option::is_some) {
            self.origin = self.origin_seen_at(seen.arrived);
        }
        Placement { slot: self.end - frames, shifts }
    }

    /// Whether the sender has paused before a packet. If so, nothing is known of how fast packets are, but for this one.
    fn pause(&mut self, seen: &Seen, before: u64) -> Option<Shift> {
        if self.recent.is_empty() || seen.arrived.saturating_sub(before) <= PAUSE {
            return None;
        }
        let lateness = self.origin_of(seen) - self.origin;
        if lateness <= PAUSE as i64 {
            return None;
        }
        let pause = Shift { from: seen.first, by: self.slots(lateness), is_loss: false };
        self.recent.clear();
        self.recent.push_back(Seen { smooth: true, ..*seen });
        self.shift(pause.from, pause.by);
        self.envelope.clear();
        self.losses.forget_evidence();
        self.suspicion = None;
        Some(pause)
    }

    /// What the packet tells of what is missing.
    fn judge(&mut self, seen: Seen, begun: i64) -> Shifts {
        let (own, others) = (self.origin_of(&seen), self.origin_seen_at(seen.arrived));
        self.origin = own.min(others);
        // Of the first one nothing can be said.
        let lateness = (!self.recent.is_empty()).then(|| own - others);
        self.remember(seen);
        match lateness.and_then(|lateness| self.observe(&seen, lateness)) {
            Some(loss) if self.may_be_torn(&loss) => self.locate(loss, &seen),
            _ => [self.reconsider(begun), None],
        }
    }

    /// Whether something may be missing, as far as the audio tells. If it goes on everywhere, only the delay has grown, and
    /// nothing is put in the place of what is not missing: that would be heard.
    fn may_be_torn(&self, loss: &Loss) -> bool {
        let is_older = self.recent.front().is_none_or(|first| first.number > loss.before);
        is_older || self.recent.iter().any(|seen| !seen.smooth)
    }

    /// The packet nearest to this one whose audio does not go on from that of its predecessor; this one, if there is none.
    fn torn_near(&self, near: &Seen) -> Seen {
        let torn = self.recent.iter().filter(|seen| !seen.smooth);
        *torn.min_by_key(|seen| seen.number.abs_diff(near.number)).unwrap_or(near)
    }

    fn observe(&mut self, seen: &Seen, lateness: i64) -> Option<Loss> {
        if !self.detects_losses || !self.is_evidence(seen) {
            return None;
        }
        self.losses.observe(seen.number, seen.lateness(lateness))
    }

    /// Where what is missing is missing: where the audio does not go on, about after the last packet that would have been faster
    /// than any otherwise. Of several units some may be missing only later, before the first packet that is too late without;
    /// half of them are then taken for missing there, so that no packet is far from its place.
    fn locate(&mut self, loss: Loss, last: &Seen) -> Shifts {
        let origin = self.origin;
        let (unit, units) = (self.losses.unit(), i64::from(loss.units));
        let fastest = origin + units * unit - FASTER;
        // Of a single unit it is certain enough.
        let before = if units > 1 { 0 } else { loss.before };
        let recent = self.recent.iter().rev().take_while(|seen| seen.number >= before);
        let late = recent.take_while(|seen| self.origin_of(seen) >= fastest);
        let first = self.torn_near(late.last().unwrap_or(last));
        let latest = origin + (units - 1) * unit + self.losses.most();
        let mut after = self.recent.iter().filter(|seen| seen.first >= first.first);
        let then = self.torn_near(after.find(|seen| self.origin_of(seen) > latest).unwrap_or(last));
        let (first, then) = (first.first, then.first);

        let by = self.slots(units * unit);
        self.suspicion = Some(Suspicion { origin, number: last.number, from: then + by, by });
        let (later, sooner) = if then > first { (units / 2, units - units / 2) } else { (0, units) };
        let shift = |from, units: i64| {
            (units > 0).then(|| Shift { from, by: self.slots(units * unit), is_loss: true })
        };
        let shifts = match later {
            0 => [shift(first, sooner), None],
            _ => [shift(then, later), shift(first, sooner)],
        };
        shifts.iter().flatten().for_each(|shift| self.shift(shift.from, shift.by));
        shifts
    }

    /// Whether a packet is evidence. Those that are closer than a packet of usual length are so many that each counts less.
    fn is_evidence(&mut self, seen: &Seen) -> bool {
        let played = self.nanos_of(seen.end - self.counted) >= LEAST_APART;
        if played {
            self.counted = seen.end;
        }
        played
    }

    /// Was the last loss none, or less than it seemed? Then packets come as fast as before it, and seem to be from before their
    /// time. If the silence instead of what seemed to be missing has not been played, it does not have to be.
    fn reconsider(&mut self, begun: i64) -> Option<Shift> {
        let Suspicion { origin, number, from, by } = self.suspicion?;
        let unit = self.losses.unit();
        let excess = (origin - self.origin + unit / 2) / unit;
        if excess <= 0 {
            if self.count > number + 5 * RECENT as u64 {
                self.losses.verdict(true);
                self.suspicion = None;
            }
            return None;
        }
        self.suspicion = None;
        self.losses.verdict(false);
        if from < begun {
            return None;
        }
        let back = self.slots(excess * unit).min(by);
        self.shift(from, -back);
        Some(Shift { from, by: -back, is_loss: true })
    }

    fn shift(&mut self, from: i64, by: i64) {
        for seen in self.recent.iter_mut().filter(|seen| seen.first >= from) {
            seen.first += by;
            seen.end += by;
        }
        self.end += by;
    }

    fn remember(&mut self, seen: Seen) {
        self.recent.push_back(seen);
        if self.recent.len() > RECENT
            && let Some(old) = self.recent.pop_front()
        {
            self.settle(old);
        }
    }

    /// A packet whose slots are certain now.
    fn settle(&mut self, old: Seen) {
        self.envelope.add(self.point(&old));
        let lateness = (self.origin_of(&old) - self.origin).max(0);
        self.losses.learn(old.lateness(lateness));
    }

    fn point(&self, seen: &Seen) -> Point {
        Point { arrived: seen.arrived, origin: self.origin_of(seen) }
    }

    /// When slot 0 was, if the packet took no time.
    fn origin_of(&self, seen: &Seen) -> i64 {
        seen.arrived as i64 - self.nanos_of(seen.end)
    }

    fn nanos_of(&self, slot: i64) -> i64 {
        nanos(slot.unsigned_abs(), self.rate) * slot.signum()
    }

    fn slots(&self, nanos: i64) -> i64 {
        (i128::from(nanos) * i128::from(self.rate) / 1_000_000_000) as i64
    }

    /// The slot that is to be heard at a moment with a delay, in nanoseconds.
    pub fn due(&self, heard: Moment, delay: i64) -> f64 {
        (heard.0 as i64 - delay - self.origin) as f64 * f64::from(self.rate) / 1e9
    }
}

fn nanos(frames: u64, rate: u32) -> i64 {
    i64::try_from(duration_of(frames, rate).as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use protocol::StreamFormat;

    use super::*;

    const MS: u64 = 1_000_000;
    const FRAMES: i64 = 288;
    const NO_SHIFTS: Shifts = [None; 2];
    /// All that comes is played at once.
    const BEGUN: i64 = i64::MAX;

    fn packet(arrived: u64) -> Delivery {
        let format = StreamFormat::new(48_000, 16, 2, 3).expect("a format");
        Delivery::new(0, Moment(arrived), format, &[0; 1152]).expect("a packet")
    }

    /// A timeline to which packets came each 6 ms from `start` on, and when the next comes.
    fn steady(start: u64, count: u64) -> (Timeline, u64) {
        let mut timeline = Timeline::new(&packet(start), true);
        for n in 0..count {
            let placement = timeline.place(&packet(start + 6 * MS * n), BEGUN, false);
            assert_eq!(placement, Placement { slot: n as i64 * FRAMES, shifts: NO_SHIFTS });
        }
        (timeline, start + 6 * MS * count)
    }

    #[test]
    fn slots_are_counted_and_their_time_is_that_of_the_fastest_packets() {
        let mut timeline = Timeline::new(&packet(100 * MS), true);
        // 288 frames have been played when the first packet comes.
        timeline.place(&packet(100 * MS), BEGUN, false);
        assert_eq!((timeline.end, timeline.origin), (FRAMES, 94 * MS as i64));
        timeline.place(&packet(104 * MS), BEGUN, false);
        assert_eq!(timeline.origin, 92 * MS as i64);
        timeline.place(&packet(125 * MS), BEGUN, false);
        assert_eq!(timeline.origin, 92 * MS as i64);
        assert_eq!(timeline.due(Moment(152 * MS), 50 * MS as i64), 480.0);
    }

    #[test]
    fn a_lost_packet_takes_slots_as_soon_as_it_is_noticed() {
        let (mut timeline, next) = steady(100 * MS, 200);
        let end = timeline.end;
        let first = timeline.place(&packet(next + 6 * MS), BEGUN, false);
        assert_eq!(first, Placement { slot: end, shifts: NO_SHIFTS });
        let second = timeline.place(&packet(next + 12 * MS), BEGUN, false);
        let shifts = [Some(Shift { from: end, by: FRAMES, is_loss: true }), None];
        assert_eq!(second, Placement { slot: end + 2 * FRAMES, shifts });
        assert_eq!((timeline.end, timeline.origin), (end + 3 * FRAMES, 94 * MS as i64));
    }

    #[test]
    fn packets_that_are_late_but_go_on_from_each_other_are_no_loss() {
        let mut timeline = Timeline::new(&packet(0), true);
        for n in 0..300 {
            let late = if n < 200 { 0 } else { 6 * MS };
            let placement = timeline.place(&packet(6 * MS * n + late), BEGUN, true);
            assert_eq!(placement, Placement { slot: n as i64 * FRAMES, shifts: NO_SHIFTS });
        }
        // One that does not is the first after a loss, even if that is noticed later.
        let torn = timeline.end;
        let shifts = (300..340).map(|n| timeline.place(&packet(6 * MS * (n + 3)), BEGUN, n != 300).shifts);
        let first = shifts.flat_map(|shifts| shifts.into_iter().flatten()).next();
        assert!(first.is_some_and(|shift| shift.from == torn && shift.is_loss), "{first:?}");
    }

    #[test]
    fn who_pauses_takes_up_the_timeline_where_it_is_then() {
        let (mut timeline, next) = steady(100 * MS, 200);
        let end = timeline.end;
        let placement = timeline.place(&packet(next + 300 * MS), BEGUN, false);
        let shifts = [Some(Shift { from: end, by: 14_400, is_loss: false }), None];
        assert_eq!(placement, Placement { slot: end + 14_400, shifts });
        assert_eq!(timeline.origin, 94 * MS as i64);
    }

    #[test]
    fn a_sender_whose_clock_is_slow_is_followed() {
        let mut timeline = Timeline::new(&packet(0), true);
        // 1667 ppm: a second in ten minutes, and no packet was lost.
        let mut lost = [0, 0];
        for n in 0..100_000 {
            let shifts = timeline.place(&packet(n * 6_010_000), BEGUN, false).shifts;
            lost[usize::from(n > 10_000)] +=
                shifts.iter().flatten().map(|shift| shift.by / FRAMES).sum::<i64>();
        }
        assert!(lost[0] == 0 && lost[1] == 0, "{lost:?}");
        let behind = timeline.origin + 6 * MS as i64 * (1 + lost[0]);
        assert!((behind - 999_990_000).abs() < 2_000_000, "{behind}");
    }

    #[test]
    fn a_delay_that_goes_back_was_no_loss() {
        let (mut timeline, next) = steady(0, 200);
        let held_up: Vec<_> =
            (0..10).map(|n| timeline.place(&packet(next + 6 * MS * n + 7 * MS), BEGUN, false)).collect();
        assert_eq!(held_up.iter().filter(|placement| placement.shifts != NO_SHIFTS).count(), 1);
        // Now they are as fast as before, so 6 ms too many are there.
        timeline.place(&packet(next + 60 * MS), BEGUN, false);
        assert_eq!(timeline.origin, -12 * MS as i64);
        assert!(timeline.place(&packet(next + 66 * MS), BEGUN, false).shifts == NO_SHIFTS);
    }
}
