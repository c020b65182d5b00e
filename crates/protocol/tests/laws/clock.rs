//! Laws of the clock, against 128-bit arithmetic.

use crate::generators::all_rates;
use proptest::prelude::*;
use protocol::{CounterFrequency, PositionClock, StreamPosition};
use std::num::NonZeroU32;

const MAX: u64 = CounterFrequency::MAX;

/// Frequencies of real counters, and the borders of what is accepted.
const FREQUENCIES: [u64; 14] = [
    1,
    2,
    7,
    999,
    1_000,
    32_768,
    44_100,
    1_193_182,
    3_579_545,
    10_000_000,
    24_000_000,
    2_994_374_911,
    MAX - 1,
    MAX,
];

/// Ten years in seconds.
const YEARS: u64 = 10 * 366 * 86_400;

fn clock(rate: u32, frequency: u64) -> PositionClock {
    PositionClock::new(NonZeroU32::new(rate).unwrap(), CounterFrequency::new(frequency).unwrap())
}

fn saturated(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

fn check_frames_in(clock: PositionClock, ticks: u64) {
    let (rate, frequency) = (clock.rate().get(), clock.frequency().get());
    let expected = u128::from(ticks) * u128::from(rate) / u128::from(frequency);
    assert_eq!(clock.frames_in(ticks), saturated(expected), "{ticks} ticks, {rate} Hz, {frequency}/s");
}

fn check_ticks_for(clock: PositionClock, frames: u64) {
    let (rate, frequency) = (clock.rate().get(), clock.frequency().get());
    let expected = (u128::from(frames) * u128::from(frequency)).div_ceil(u128::from(rate));
    let ticks = clock.ticks_for(frames);
    assert_eq!(ticks, saturated(expected), "{frames} frames, {rate} Hz, {frequency}/s");
    if expected < u128::from(u64::MAX) && frames > 0 {
        assert!(clock.frames_in(ticks) >= frames);
        assert!(clock.frames_in(ticks - 1) < frames);
    }
}

fn check_wait(frequency: u64, ticks: u64) {
    let exact = (u128::from(ticks) * 10_000_000).div_ceil(u128::from(frequency));
    let units = CounterFrequency::new(frequency).unwrap().hundred_ns(ticks);
    assert_eq!(units, saturated(exact), "{ticks} ticks, {frequency}/s");
    if exact <= u128::from(u64::MAX) {
        // Never early: ticks that surely have passed after so many units.
        assert!(u128::from(units) * u128::from(frequency) / 10_000_000 >= u128::from(ticks));
    }
}

#[test]
fn conversions_are_exact_for_every_rate_and_counter_over_years() {
    for rate in all_rates() {
        for frequency in FREQUENCIES {
            let clock = clock(rate, frequency);
            for seconds in [0, 1, 59, 86_399, 86_400 * 365, YEARS] {
                let ticks = frequency.saturating_mul(seconds);
                let frames = u64::from(rate) * seconds;
                for near in 0..3 {
                    check_frames_in(clock, ticks.saturating_add(near));
                    check_frames_in(clock, ticks.saturating_sub(near));
                    check_ticks_for(clock, frames + near);
                    check_ticks_for(clock, frames.saturating_sub(near));
                    check_wait(frequency, ticks.saturating_add(near));
                }
            }
            check_frames_in(clock, u64::MAX);
            check_ticks_for(clock, u64::MAX);
        }
    }
}

fn rates() -> impl Strategy<Value = u32> {
    prop::sample::select(all_rates().collect::<Vec<_>>())
}

/// Frequencies of all magnitudes.
fn frequencies() -> impl Strategy<Value = u64> {
    prop_oneof![
        prop::sample::select(FREQUENCIES.to_vec()),
        (0..=44_u32, any::<u64>()).prop_map(|(bits, random)| (random % (1 << bits)) + 1),
    ]
}

/// Numbers of all magnitudes.
fn amounts() -> impl Strategy<Value = u64> {
    (0..64_u32, any::<u64>()).prop_map(|(shift, random)| random >> shift)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn conversions_are_those_of_128_bit_arithmetic(
        rate in rates(),
        frequency in frequencies(),
        amount in amounts(),
    ) {
        check_frames_in(clock(rate, frequency), amount);
        check_ticks_for(clock(rate, frequency), amount);
        check_wait(frequency, amount);
    }

    #[test]
    fn any_rate_a_u32_can_hold_is_converted_exactly(
        rate in 1..=u32::MAX,
        frequency in frequencies(),
        amount in amounts(),
    ) {
        check_frames_in(clock(rate, frequency), amount);
        check_ticks_for(clock(rate, frequency), amount);
    }

    #[test]
    fn a_position_read_at_random_for_years_does_not_drift(
        rate in rates(),
        // Ten years of a 2^44 counter do not fit in 64 bits.
        frequency in 1_u64..=1 << 34,
        start in 0_u64..1 << 62,
        steps in prop::collection::vec(0.0_f64..1.0, 1..200),
    ) {
        let mut position = StreamPosition::new(clock(rate, frequency));
        position.run(start);
        let span = frequency * (YEARS / 200);
        let mut now = start;
        let mut last = 0;
        for step in steps {
            now += (span as f64 * step) as u64;
            let elapsed = u128::from(now - start);
            let exact = (elapsed * u128::from(rate) / u128::from(frequency)) as u64;
            let frames = position.frames_at(now);
            prop_assert_eq!(frames, exact);
            prop_assert!(frames >= last);
            last = frames;
        }
    }

    #[test]
    fn a_position_never_decreases_between_stops_whatever_the_counter_does(
        rate in rates(),
        frequency in frequencies(),
        actions in prop::collection::vec((0..10_u8, amounts()), 1..100),
    ) {
        let mut position = StreamPosition::new(clock(rate, frequency));
        let mut last = 0;
        for (action, now) in actions {
            match action {
                0 => {
                    position.stop();
                    last = 0;
                }
                1..=2 => {
                    let frozen = position.pause(now);
                    prop_assert!(frozen >= last);
                    prop_assert_eq!(position.frames_at(u64::MAX), frozen);
                    // The reading above is now the newest: begin again.
                    position.stop();
                    last = 0;
                }
                3..=5 => position.run(now),
                _ => {
                    let frames = position.frames_at(now);
                    prop_assert!(frames >= last);
                    last = frames;
                }
            }
        }
    }

    #[test]
    fn pauses_lose_less_than_one_frame_each(
        rate in rates(),
        frequency in 1_000_u64..=MAX,
        runs in prop::collection::vec((0_u64..1 << 50, 0_u64..1 << 50), 1..50),
    ) {
        let mut position = StreamPosition::new(clock(rate, frequency));
        let (mut now, mut played) = (0, 0_u128);
        let count = runs.len() as u128;
        for (running, paused) in runs {
            position.run(now);
            now += running;
            played += u128::from(running);
            let frozen = position.pause(now);
            now += paused;
            prop_assert_eq!(position.frames_at(now), frozen);
        }
        let exact = played * u128::from(rate) / u128::from(frequency);
        let frames = u128::from(position.frames_at(now));
        prop_assert!(frames <= exact && exact - frames <= count);
    }

    #[test]
    fn the_tick_of_a_frame_is_the_first_at_which_it_is_reached(
        rate in rates(),
        frequency in frequencies(),
        start in 0_u64..1 << 60,
        before in 0_u64..1 << 20,
        ahead in 1_u64..1 << 20,
    ) {
        let mut position = StreamPosition::new(clock(rate, frequency));
        // Play some frames first, so that the base is not 0.
        position.run(start);
        let base = position.pause(start + before);
        position.run(start + before);
        let tick = position.tick_of(base + ahead).unwrap();
        prop_assert!(tick > start + before);
        prop_assert!(position.frames_at(tick - 1) < base + ahead);
        prop_assert!(position.frames_at(tick) >= base + ahead);
        prop_assert_eq!(position.tick_of(base), Some(start + before));
    }
}
