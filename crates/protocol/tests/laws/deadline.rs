//! Laws of the wake-ups: a simulated thread that is late by chance.

use crate::generators::formats;
use proptest::prelude::*;
use protocol::{
    CounterFrequency, CyclicBuffer, PacketsPerBuffer, PositionClock, Schedule, StreamFormat, StreamPosition,
    packet_frames,
};

/// One wake-up of the simulated thread.
struct WakeUp {
    deadline: u64,
    now: u64,
    before: u64,
    position: u64,
    boundary: bool,
}

struct Stream {
    clock: PositionClock,
    base: u64,
    schedule: Schedule,
    buffer: CyclicBuffer,
}

impl Stream {
    fn new(
        format: StreamFormat,
        frequency: u64,
        buffer_ms: u64,
        notifications: Option<PacketsPerBuffer>,
    ) -> Self {
        let frame = format.bytes_per_frame();
        // Even, so that it divides into two packets.
        let frames = u64::from(format.rate().get()) * buffer_ms / 1_000 / 2 * 2;
        let buffer = CyclicBuffer::new(frames as usize * usize::from(frame.get()), frame).unwrap();
        Self {
            clock: PositionClock::new(format.rate(), CounterFrequency::new(frequency).unwrap()),
            base: 123_456_789,
            schedule: Schedule::new(packet_frames(format), buffer, notifications).unwrap(),
            buffer,
        }
    }

    /// Runs the thread; `lateness` is that of each wake-up in millionths of a second.
    fn simulate(&mut self, lateness: &[u64]) -> Vec<WakeUp> {
        let mut position = StreamPosition::new(self.clock);
        let frequency = self.clock.frequency();
        position.run(self.base);
        self.schedule.restart(0);
        let (mut now, mut consumed) = (self.base, 0);
        let mut wake_ups = Vec::new();
        for late in lateness {
            let deadline = self.schedule.next_wake(&position, consumed).unwrap();
            // A kernel timer counts units of 100 ns.
            let units = frequency.hundred_ns(deadline.saturating_sub(now));
            let waited = (u128::from(units) * u128::from(frequency.get())).div_ceil(10_000_000);
            now += waited as u64 + frequency.get() * late / 1_000_000;
            let reached = position.frames_at(now);
            wake_ups.push(WakeUp {
                deadline,
                now,
                before: consumed,
                position: reached,
                boundary: self.schedule.crossed_boundary(consumed, reached),
            });
            consumed = reached;
        }
        wake_ups
    }

    fn millisecond(&self) -> u64 {
        self.clock.frequency().ticks_per_ms()
    }

    fn tick_of(&self, frames: u64) -> u64 {
        self.base + self.clock.ticks_for(frames)
    }
}

fn notifications() -> impl Strategy<Value = Option<PacketsPerBuffer>> {
    prop::sample::select(vec![None, Some(PacketsPerBuffer::One), Some(PacketsPerBuffer::Two)])
}

fn lateness(most_us: u64) -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(0..=most_us, 1..300)
}

/// Counters that can tell a tenth of a millisecond.
fn frequencies() -> impl Strategy<Value = u64> {
    prop_oneof![Just(10_000_000_u64), Just(3_579_545), 10_000_u64..=CounterFrequency::MAX,]
}

proptest! {
    #[test]
    fn the_thread_never_wakes_early_nor_more_than_a_thousand_times_a_second(
        format in formats(),
        frequency in frequencies(),
        buffer_ms in 10_u64..500,
        notifications in notifications(),
        lateness in lateness(3_000),
    ) {
        let mut stream = Stream::new(format, frequency, buffer_ms, notifications);
        let wake_ups = stream.simulate(&lateness);
        for wake_up in &wake_ups {
            prop_assert!(wake_up.now >= wake_up.deadline);
            prop_assert!(wake_up.position > wake_up.before, "woke for nothing");
        }
        for count in 2..wake_ups.len().min(20) {
            for run in wake_ups.windows(count) {
                let between = (count as u64 - 2) * stream.millisecond();
                prop_assert!(run[count - 1].deadline >= run[0].deadline + between);
            }
        }
        // RUN is the first, and a notification may come between two.
        for (number, wake_up) in (0..).zip(&wake_ups) {
            prop_assert!(wake_up.deadline >= stream.base + number * stream.millisecond());
        }
    }

    #[test]
    fn every_boundary_is_served_within_a_millisecond_of_its_time_and_the_lateness_and_every_packet_within_two(
        format in formats(),
        frequency in frequencies(),
        buffer_ms in 10_u64..500,
        notifications in notifications(),
        lateness in lateness(3_000),
    ) {
        let mut stream = Stream::new(format, frequency, buffer_ms, notifications);
        let wake_ups = stream.simulate(&lateness);
        // One unit of 100 ns and one tick for the timer's rounding.
        let slack = stream.millisecond() + frequency * 3_000 / 1_000_000 + frequency / 10_000_000 + 2;
        let packet = u64::from(packet_frames(format).get());
        let period = notifications.map(|n| stream.buffer.frames().get() / u64::from(n.count()));
        let mut events = 0;
        for wake_up in &wake_ups {
            let first_packet = (wake_up.before / packet + 1) * packet;
            prop_assert!(wake_up.now <= stream.tick_of(first_packet) + stream.millisecond() + slack);
            if let Some(period) = period {
                let boundary = (wake_up.before / period + 1) * period;
                prop_assert!(wake_up.now <= stream.tick_of(boundary) + slack);
                prop_assert_eq!(wake_up.boundary, wake_up.position >= boundary);
                events += u64::from(wake_up.boundary);
            } else {
                prop_assert!(!wake_up.boundary);
            }
        }
        if let (Some(period), Some(last)) = (period, wake_ups.last()) {
            // Half of the shortest buffer is 5 ms: at most one boundary in a wake-up.
            prop_assert_eq!(events, last.position / period);
        }
    }

    #[test]
    fn no_notification_is_held_back_in_buffers_of_3_ms_and_more_and_the_rest_makes_room_for_them(
        format in formats(),
        frequency in frequencies(),
        buffer_ms in 3_u64..30,
        notifications in notifications(),
    ) {
        let mut stream = Stream::new(format, frequency, buffer_ms, notifications);
        let wake_ups = stream.simulate(&[0; 1_500]);
        let period = notifications.map(|n| stream.buffer.frames().get() / u64::from(n.count()));
        for wake_up in wake_ups.iter().filter(|wake_up| wake_up.boundary) {
            let boundary = period.map_or(0, |period| (wake_up.before / period + 1) * period);
            // A little earlier, the thread wakes for something else, and then the timer's rounding takes it there.
            prop_assert!(wake_up.deadline <= stream.tick_of(boundary));
        }
        for run in wake_ups.windows(1_002) {
            // What comes before a notification does not know of it: it is what follows that waits longer.
            let owed = if run[1_001].boundary { 1 } else { 0 };
            prop_assert!(run[1_001].deadline >= run[0].deadline + (1_000 - owed) * stream.millisecond());
        }
    }

    #[test]
    fn a_thread_in_time_wakes_exactly_when_a_packet_is_full_or_a_boundary_is_reached(
        frequency in frequencies(),
        wake_ups in 1_usize..300,
    ) {
        // 6 ms packets, 10 ms periods: 6, 10, 12, 18, 20, 24, 30 ms ...
        let format = StreamFormat::new(48_000, 16, 2, 3).unwrap();
        let mut stream = Stream::new(format, frequency, 20, Some(PacketsPerBuffer::Two));
        let expected = (1..).filter(|ms| ms % 6 == 0 || ms % 10 == 0).map(|ms| ms * 48);
        for (wake_up, frames) in stream.simulate(&vec![0; wake_ups]).iter().zip(expected) {
            prop_assert_eq!(wake_up.deadline, stream.tick_of(frames));
        }
    }

    #[test]
    fn a_buffer_is_never_lost_to_a_thread_at_most_a_quarter_of_it_late(
        format in formats(),
        buffer_ms in 10_u64..500,
        notifications in notifications(),
        quarters in prop::collection::vec(0.0_f64..=1.0, 1..200),
    ) {
        let mut stream = Stream::new(format, 10_000_000, buffer_ms, notifications);
        let quarter_us = buffer_ms as f64 * 1_000.0 / 4.0;
        let lateness: Vec<u64> = quarters.iter().map(|q| (q * quarter_us) as u64).collect();
        for wake_up in stream.simulate(&lateness) {
            let backlog = stream.buffer.backlog(wake_up.before, wake_up.position);
            prop_assert!(!backlog.is_glitch());
        }
    }

    #[test]
    fn the_last_of_many_deadlines_has_not_drifted(
        format in formats(),
        frequency in frequencies(),
        hours in 1_u64..100_000,
    ) {
        // Twelve years into the stream, the deadline is still that of the frame.
        let frequency = frequency.min(1 << 34);
        let mut stream = Stream::new(format, frequency, 100, None);
        let mut position = StreamPosition::new(stream.clock);
        position.run(stream.base);
        stream.schedule.restart(0);
        let consumed = u64::from(format.rate().get()) * 3_600 * hours + 1;
        let next = stream.schedule.next_frame(consumed);
        let exact = (u128::from(next) * u128::from(frequency))
            .div_ceil(u128::from(format.rate().get()));
        prop_assert_eq!(
            stream.schedule.next_wake(&position, consumed),
            Some(stream.base + exact as u64)
        );
        prop_assert!(next > consumed && next - consumed <= u64::from(packet_frames(format).get()));
    }
}
