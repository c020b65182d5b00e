//! When the DMA-timer thread wakes.
//!
//! [`Schedule`] finds the next frame at which there is something to do and asks [`StreamPosition`] for its
//! tick. All deadlines come from the base of the position, so a late wake-up delays no later one.

use core::fmt;
use core::num::{NonZeroU32, NonZeroU64};

use crate::clock::StreamPosition;
use crate::cyclic::CyclicBuffer;
use crate::packet_mode::PacketsPerBuffer;

/// The wake-ups of one running stream: when the next unit to send is full, at the next notification
/// boundary, and often enough that the buffer is never lost; never more than 1,000 a second.
///
/// RUN itself counts as one, so the first is a millisecond after it at the earliest. Where units last a millisecond or
/// more, two may be closer (a packet and a notification often are), but then a third waits: among any that follow each
/// other, the last is at least as many milliseconds after the first as there are between them. A notification does not
/// wait for the sake of packets, so one may be the last up to a millisecond earlier: the packets after it wait up to two
/// milliseconds then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// Frames of a full network packet or ring chunk.
    unit: NonZeroU64,
    /// Frames between notifications.
    period: Option<NonZeroU64>,
    /// Most frames between two wake-ups.
    stride: NonZeroU64,
    /// The frame that the unit being filled starts with, or any whole number of units before.
    origin: u64,
    /// The frame at which the stream ends.
    end: Option<u64>,
    /// Where the next deadline would be, in ticks, if all were 1 ms apart and none before its time, and 1 ms more if two
    /// may be closer. None: there was none since RUN.
    allowance: Option<u64>,
}

impl Schedule {
    /// A schedule for sending units of `unit_frames` frames: [`packet_frames`](crate::packet_frames) for the
    /// network, [`RingLayout::chunk_frames`](crate::RingLayout::chunk_frames) for the ring.
    ///
    /// `notifications` is none for a plain buffer, which is consumed every quarter of its length. A buffer
    /// with notifications is consumed every half of it, even if it is notified only at the end: at the
    /// end a late thread would already be more than one whole buffer behind.
    ///
    /// # Errors
    ///
    /// [`ScheduleError`] if the buffer does not divide into as many packets as it has notifications.
    pub fn new(
        unit_frames: NonZeroU32,
        buffer: CyclicBuffer,
        notifications: Option<PacketsPerBuffer>,
    ) -> Result<Self, ScheduleError> {
        let frames = buffer.frames().get();
        let (period, stride) = match notifications {
            None => (None, frames / 4),
            Some(packets) => {
                let period = packets.frames_per_packet(buffer);
                (Some(period.ok_or(ScheduleError { frames })?), frames.div_ceil(2))
            }
        };
        Ok(Self {
            unit: NonZeroU64::from(unit_frames),
            period,
            stride: NonZeroU64::new(stride).unwrap_or(NonZeroU64::MIN),
            origin: 0,
            end: None,
            allowance: None,
        })
    }

    /// RUN at a position in frames: nothing is pending, and earlier deadlines hold the next one back no more.
    pub fn restart(&mut self, position: u64) {
        self.origin = position;
        self.allowance = None;
    }

    /// A unit was sent short, or sending begins again after silence: the next unit starts with frame `position`.
    pub fn flushed(&mut self, position: u64) {
        self.origin = position;
    }

    /// Units have `unit_frames` frames from now on, and the next one starts with frame `position`: the stream is sent in
    /// another way.
    pub fn sends_units_of(&mut self, unit_frames: NonZeroU32, position: u64) {
        self.unit = NonZeroU64::from(unit_frames);
        self.origin = position;
    }

    /// The stream ends at frame `end`, where a last unit is sent short; none: it goes on.
    pub fn ends_at(&mut self, end: Option<u64>) {
        self.end = end;
    }

    /// The first frame position after `consumed` at which there is something to do.
    pub fn next_frame(&self, consumed: u64) -> u64 {
        let unit = next_multiple(self.origin, self.unit, consumed);
        // Halves are counted from the last boundary: those of an odd buffer would drift away from it.
        let half = self.period.map_or(0, |period| consumed / period * period.get());
        let stride = next_multiple(half, self.stride, consumed);
        let boundary = self.period.map_or(u64::MAX, |period| next_multiple(0, period, consumed));
        let end = self.end.filter(|end| *end > consumed).unwrap_or(u64::MAX);
        unit.min(stride).min(boundary).min(end)
    }

    /// The counter reading, in ticks, to wake at next, when everything before frame `consumed` was copied.
    /// None when the position is not running. Call it once per wake-up.
    pub fn next_wake(&mut self, position: &StreamPosition, consumed: u64) -> Option<u64> {
        let wanted = position.tick_of(self.next_frame(consumed))?;
        let clock = position.clock();
        let gap = clock.frequency().ticks_per_ms();
        let credit = if clock.ticks_for(self.unit.get()) < gap { 0 } else { gap };
        let allowance = match self.allowance {
            Some(allowance) => allowance,
            None => position.tick_of(self.origin)?.saturating_add(gap).saturating_add(credit),
        };
        let held_back = wanted.max(allowance.saturating_sub(credit));
        // A notification waits for nothing, unless there are more than one in a millisecond: it is what comes after it that
        // waits longer.
        let notified =
            self.period.filter(|period| held_back > wanted && clock.ticks_for(period.get()) >= gap);
        let wake = match notified {
            Some(period) => held_back.min(position.tick_of(next_multiple(0, period, consumed))?),
            None => held_back,
        };
        self.allowance = Some(allowance.max(wake).saturating_add(gap));
        Some(wake)
    }

    /// Whether a notification boundary lies after `before` and not after `now` (positions in frames): then
    /// every registered event is set, once.
    pub fn crossed_boundary(&self, before: u64, now: u64) -> bool {
        self.period.is_some_and(|period| now / period > before / period)
    }
}

/// A buffer with two notifications has an odd number of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScheduleError {
    /// Frames of the buffer.
    pub frames: u64,
}

impl fmt::Display for ScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "buffer of {} frames does not divide into two packets; an even number is needed",
            self.frames
        )
    }
}

impl core::error::Error for ScheduleError {}

/// The first of `origin + step`, `origin + 2 * step`, ... after `position`. Saturates.
fn next_multiple(origin: u64, step: NonZeroU64, position: u64) -> u64 {
    let whole = position.saturating_sub(origin) / step;
    origin.saturating_add(whole.saturating_add(1).saturating_mul(step.get()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{CounterFrequency, PositionClock};
    use core::num::NonZeroU16;

    /// At 48 kHz and this frequency a frame is 1000 ticks and a millisecond 48 000.
    const FREQUENCY: u64 = 48_000_000;

    fn schedule(unit: u32, frames: usize, notifications: Option<PacketsPerBuffer>) -> Schedule {
        let buffer = CyclicBuffer::new(frames * 4, NonZeroU16::new(4).unwrap()).unwrap();
        Schedule::new(NonZeroU32::new(unit).unwrap(), buffer, notifications).unwrap()
    }

    fn running() -> StreamPosition {
        let mut position = StreamPosition::new(PositionClock::new(
            NonZeroU32::new(48_000).unwrap(),
            CounterFrequency::new(FREQUENCY).unwrap(),
        ));
        position.run(0);
        position
    }

    #[test]
    fn two_notifications_are_in_the_middle_and_at_the_end() {
        let schedule = schedule(10_000, 960, Some(PacketsPerBuffer::Two));
        assert_eq!(schedule.next_frame(0), 480);
        assert_eq!(schedule.next_frame(480), 960);
        assert!(!schedule.crossed_boundary(0, 479));
        assert!(schedule.crossed_boundary(0, 480));
        assert!(!schedule.crossed_boundary(480, 959));
        assert!(schedule.crossed_boundary(480, 960));
    }

    #[test]
    fn units_of_another_length_begin_where_the_last_one_ended() {
        let mut schedule = schedule(288, 96_000, None);
        assert_eq!(schedule.next_frame(1000), 1152);
        schedule.sends_units_of(NonZeroU32::new(960).unwrap(), 1000);
        assert_eq!(schedule.next_frame(1000), 1960);
    }

    #[test]
    fn one_notification_is_at_the_end_but_the_middle_is_consumed() {
        let schedule = schedule(10_000, 960, Some(PacketsPerBuffer::One));
        assert_eq!(schedule.next_frame(0), 480);
        assert!(!schedule.crossed_boundary(0, 480));
        assert!(schedule.crossed_boundary(480, 960));
    }

    #[test]
    fn the_middle_of_an_odd_buffer_is_the_same_in_every_cycle() {
        let schedule = schedule(10_000, 961, Some(PacketsPerBuffer::One));
        assert_eq!(schedule.next_frame(0), 481);
        assert_eq!(schedule.next_frame(481), 961);
        assert_eq!(schedule.next_frame(961), 961 + 481);
        assert_eq!(schedule.next_frame(961 + 481), 2 * 961);
        assert!(schedule.crossed_boundary(960, 961));
    }

    #[test]
    fn a_plain_buffer_is_consumed_every_quarter_and_has_no_boundary() {
        let schedule = schedule(10_000, 960, None);
        assert_eq!(schedule.next_frame(0), 240);
        assert_eq!(schedule.next_frame(239), 240);
        assert_eq!(schedule.next_frame(240), 480);
        assert!(!schedule.crossed_boundary(0, 10_000));
    }

    #[test]
    fn packets_count_from_the_last_flush() {
        let mut schedule = schedule(288, 96_000, None);
        assert_eq!(schedule.next_frame(0), 288);
        assert_eq!(schedule.next_frame(300), 576);
        schedule.flushed(300);
        assert_eq!(schedule.next_frame(300), 588);
        assert_eq!(schedule.next_frame(588), 876);
    }

    #[test]
    fn the_end_of_the_stream_is_waited_for() {
        let mut schedule = schedule(288, 96_000, None);
        schedule.ends_at(Some(300));
        assert_eq!(schedule.next_frame(0), 288);
        assert_eq!(schedule.next_frame(288), 300);
        assert_eq!(schedule.next_frame(300), 576);
        schedule.ends_at(None);
        assert_eq!(schedule.next_frame(288), 576);
    }

    #[test]
    fn a_late_wake_up_delays_no_later_one() {
        let mut schedule = schedule(288, 96_000, None);
        let position = running();
        assert_eq!(schedule.next_wake(&position, 0), Some(288_000));
        // Two milliseconds late: 384 frames are consumed.
        assert_eq!(schedule.next_wake(&position, 384), Some(576_000));
    }

    #[test]
    fn small_packets_wake_once_in_a_millisecond() {
        // A packet is 0.75 ms, and a millisecond is 48 000 ticks.
        let mut schedule = schedule(36, 96_000, None);
        let position = running();
        let mut consumed = 0;
        for millisecond in 1..5_000 {
            let wake = schedule.next_wake(&position, consumed).unwrap();
            assert_eq!(wake, millisecond * 48_000);
            consumed = wake / 1_000;
        }
    }

    #[test]
    fn small_packets_have_no_credit_after_a_late_wake_up() {
        let mut schedule = schedule(36, 96_000, None);
        let position = running();
        assert_eq!(schedule.next_wake(&position, 0), Some(48_000));
        // Ten milliseconds late, the next packet is full after 504 frames, but the deadline after it has to wait.
        assert_eq!(schedule.next_wake(&position, 480), Some(504_000));
        assert_eq!(schedule.next_wake(&position, 504), Some(552_000));
    }

    #[test]
    fn a_packet_and_a_notification_that_are_close_both_have_their_time() {
        // Packets of 6 ms and periods of 20.5 ms: at 18, 20.5, 24, 30, 36, 41, 42 ms.
        let mut schedule = schedule(288, 1_968, Some(PacketsPerBuffer::Two));
        let position = running();
        let mut consumed = 0;
        for frame in [288, 576, 864, 984, 1152, 1440, 1728, 1968, 2016] {
            assert_eq!(schedule.next_wake(&position, consumed), Some(frame * 1_000));
            consumed = frame;
        }
    }

    #[test]
    fn a_restart_is_held_back_by_itself_and_not_by_the_deadline_before() {
        let mut schedule = schedule(36, 96_000, None);
        let position = running();
        assert_eq!(schedule.next_wake(&position, 0), Some(48_000));
        schedule.restart(1);
        assert_eq!(schedule.next_wake(&position, 1), Some(49_000));
    }

    #[test]
    fn a_stream_that_does_not_run_has_no_deadline() {
        let mut schedule = schedule(288, 96_000, None);
        let mut position = running();
        position.pause(5);
        assert_eq!(schedule.next_wake(&position, 0), None);
    }

    #[test]
    fn an_odd_buffer_has_no_middle() {
        let buffer = CyclicBuffer::new(7 * 4, NonZeroU16::new(4).unwrap()).unwrap();
        let unit = NonZeroU32::new(288).unwrap();
        assert_eq!(
            Schedule::new(unit, buffer, Some(PacketsPerBuffer::Two)),
            Err(ScheduleError { frames: 7 })
        );
        assert!(Schedule::new(unit, buffer, Some(PacketsPerBuffer::One)).is_ok());
    }

    #[test]
    fn positions_at_the_end_of_time_saturate() {
        let schedule = schedule(288, 3, None);
        assert_eq!(schedule.next_frame(u64::MAX), u64::MAX);
    }
}
