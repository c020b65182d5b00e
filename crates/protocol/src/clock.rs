//! Performance counter ticks to frames and back.
//!
//! The position of a stream is a function of the counter, `base_frames + (now - base_ticks) * rate / frequency`,
//! never an accumulator, so it cannot drift. [`PositionClock`] is the exact conversion, [`StreamPosition`]
//! adds the base that RUN, PAUSE and STOP move.

use core::fmt;
use core::num::{NonZeroU32, NonZeroU64};

const HUNDRED_NS_PER_SECOND: u64 = 10_000_000;
const MS_PER_SECOND: u64 = 1_000;

/// Ticks per second of the performance counter, 1..=2^44.
///
/// Windows counts at 10 MHz and hardware counters at a few GHz; the limit of 17 THz keeps the arithmetic in 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CounterFrequency(NonZeroU64);

impl CounterFrequency {
    /// The highest frequency accepted, in ticks per second.
    pub const MAX: u64 = 1 << 44;

    /// Checks a frequency in ticks per second.
    ///
    /// # Errors
    ///
    /// [`FrequencyError`] if it is 0 or above [`CounterFrequency::MAX`].
    pub const fn new(ticks_per_second: u64) -> Result<Self, FrequencyError> {
        match NonZeroU64::new(ticks_per_second) {
            Some(frequency) if ticks_per_second <= Self::MAX => Ok(Self(frequency)),
            _ => Err(FrequencyError(ticks_per_second)),
        }
    }

    /// Ticks per second.
    pub const fn get(self) -> u64 {
        self.0.get()
    }

    /// Ticks of one millisecond, rounded up.
    pub const fn ticks_per_ms(self) -> u64 {
        self.0.get().div_ceil(MS_PER_SECOND)
    }

    /// The shortest time in units of 100 ns that is not shorter than `ticks`: a timer set to it never
    /// fires before the tick. Saturates.
    pub fn hundred_ns(self, ticks: u64) -> u64 {
        scale(ticks, HUNDRED_NS_PER_SECOND, self.0).ceil()
    }
}

/// The counter's frequency is 0 or too high.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrequencyError(
    /// The frequency, in ticks per second.
    pub u64,
);

impl fmt::Display for FrequencyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "counter frequency of {} ticks per second; accepted are 1 to {}",
            self.0,
            CounterFrequency::MAX
        )
    }
}

impl core::error::Error for FrequencyError {}

/// Exact conversion between counter ticks and frames at one sampling rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PositionClock {
    rate: NonZeroU32,
    frequency: CounterFrequency,
}

impl PositionClock {
    /// A clock for a sampling rate in Hz.
    pub const fn new(rate: NonZeroU32, frequency: CounterFrequency) -> Self {
        Self { rate, frequency }
    }

    /// Sampling rate in Hz.
    pub const fn rate(self) -> NonZeroU32 {
        self.rate
    }

    /// Frequency of the counter.
    pub const fn frequency(self) -> CounterFrequency {
        self.frequency
    }

    /// Whole frames played in `ticks`: `floor(ticks * rate / frequency)`. Saturates.
    pub fn frames_in(self, ticks: u64) -> u64 {
        scale(ticks, u64::from(self.rate.get()), self.frequency.0).floor()
    }

    /// The fewest ticks in which `frames` have been played: `ceil(frames * frequency / rate)`. Saturates.
    pub fn ticks_for(self, frames: u64) -> u64 {
        scale(frames, self.frequency.get(), NonZeroU64::from(self.rate)).ceil()
    }
}

/// Where a stream is, and whether it moves.
///
/// # Invariants
///
/// Between two stops the position never decreases, not even when counter readings arrive out of order (two
/// processors, a reading taken before a lock): a reading older than the newest one seen counts as that one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamPosition {
    clock: PositionClock,
    base_frames: u64,
    base_ticks: Option<u64>,
    newest_ticks: u64,
}

/// A position and the counter reading it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PositionSnapshot {
    /// Frames played since the stream started.
    pub frames: u64,
    /// Counter reading, in ticks.
    pub ticks: u64,
}

impl StreamPosition {
    /// A stopped stream, at frame 0.
    pub const fn new(clock: PositionClock) -> Self {
        Self { clock, base_frames: 0, base_ticks: None, newest_ticks: 0 }
    }

    /// The conversion in use.
    pub const fn clock(&self) -> PositionClock {
        self.clock
    }

    /// Whether the position moves.
    pub const fn is_running(&self) -> bool {
        self.base_ticks.is_some()
    }

    /// RUN: the position moves from where it is, starting at `now` ticks. Repeating it changes nothing.
    pub fn run(&mut self, now: u64) {
        if self.base_ticks.is_none() {
            self.base_ticks = Some(self.newest(now));
        }
    }

    /// PAUSE: freezes the position reached at `now` ticks and returns it, in frames. Repeating it changes nothing.
    pub fn pause(&mut self, now: u64) -> u64 {
        self.base_frames = self.frames_at(now);
        self.base_ticks = None;
        self.base_frames
    }

    /// STOP: the position is 0 and frozen.
    pub fn stop(&mut self) {
        *self = Self::new(self.clock);
    }

    /// Frames played at `now` ticks.
    pub fn frames_at(&mut self, now: u64) -> u64 {
        self.snapshot(now).frames
    }

    /// Frames played at `now` ticks, and the reading they belong to: `now`, or the newest reading seen if
    /// that is later.
    pub fn snapshot(&mut self, now: u64) -> PositionSnapshot {
        let ticks = self.newest(now);
        let elapsed = self.base_ticks.map_or(0, |base| ticks.saturating_sub(base));
        PositionSnapshot { frames: self.base_frames.saturating_add(self.clock.frames_in(elapsed)), ticks }
    }

    /// The first counter reading at which the position is `frames` or more; not later than RUN's if it was
    /// already there. None when the stream is not running.
    pub fn tick_of(&self, frames: u64) -> Option<u64> {
        let ahead = frames.saturating_sub(self.base_frames);
        let base = self.base_ticks?;
        Some(base.saturating_add(self.clock.ticks_for(ahead)))
    }

    fn newest(&mut self, now: u64) -> u64 {
        self.newest_ticks = self.newest_ticks.max(now);
        self.newest_ticks
    }
}

/// A quotient and whether the division left a remainder.
struct Quotient {
    whole: u64,
    inexact: bool,
}

impl Quotient {
    fn floor(&self) -> u64 {
        self.whole
    }

    fn ceil(&self) -> u64 {
        self.whole.saturating_add(u64::from(self.inexact))
    }
}

/// `value * numerator / denominator`, exact, for a numerator and a denominator of at most 2^44.
///
/// Whole multiples of the denominator are scaled first. The rest is a long multiplication by the three
/// 16-bit digits of the numerator, highest first, each step divided at once: `rest` and `remainder` stay
/// below 2^44, so `remainder * 2^16 + rest * digit` stays below 2^61.
fn scale(value: u64, numerator: u64, denominator: NonZeroU64) -> Quotient {
    let rest = value % denominator;
    let mut part = 0_u64;
    let mut remainder = 0_u64;
    for shift in [32_u32, 16, 0] {
        let digit = (numerator >> shift) & 0xFFFF;
        let step = (remainder << 16).saturating_add(rest.saturating_mul(digit));
        // The result is below the numerator, so no bit is shifted out.
        part = (part << 16).saturating_add(step / denominator);
        remainder = step % denominator;
    }
    Quotient {
        whole: (value / denominator).saturating_mul(numerator).saturating_add(part),
        inexact: remainder != 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The frequency of nearly every Windows machine.
    const TEN_MHZ: u64 = 10_000_000;

    fn clock(rate: u32, frequency: u64) -> PositionClock {
        PositionClock::new(NonZeroU32::new(rate).unwrap(), CounterFrequency::new(frequency).unwrap())
    }

    #[test]
    fn a_packet_of_288_frames_at_48_khz_takes_6_ms() {
        assert_eq!(clock(48_000, TEN_MHZ).ticks_for(288), 60_000);
        assert_eq!(clock(48_000, TEN_MHZ).frames_in(60_000), 288);
        assert_eq!(clock(48_000, TEN_MHZ).frames_in(59_999), 287);
    }

    #[test]
    fn one_frame_at_44100_hz_takes_the_next_whole_tick() {
        // 226.75... ticks
        assert_eq!(clock(44_100, TEN_MHZ).ticks_for(1), 227);
        assert_eq!(clock(44_100, TEN_MHZ).frames_in(226), 0);
        assert_eq!(clock(44_100, TEN_MHZ).frames_in(227), 1);
    }

    #[test]
    fn the_largest_values_saturate() {
        assert_eq!(clock(48_000, 1).frames_in(u64::MAX), u64::MAX);
        assert_eq!(clock(48_000, 1 << 44).ticks_for(u64::MAX), u64::MAX);
        assert_eq!(CounterFrequency::new(1).unwrap().hundred_ns(u64::MAX), u64::MAX);
    }

    #[test]
    fn frequencies_from_1_to_2_to_the_44_are_accepted() {
        assert_eq!(CounterFrequency::new(0), Err(FrequencyError(0)));
        assert_eq!(CounterFrequency::new((1 << 44) + 1), Err(FrequencyError((1 << 44) + 1)));
        assert_eq!(CounterFrequency::new(1 << 44).unwrap().get(), 1 << 44);
        assert_eq!(CounterFrequency::new(1).unwrap().get(), 1);
    }

    #[test]
    fn timer_units_are_rounded_up() {
        let acpi = CounterFrequency::new(3_579_545).unwrap();
        assert_eq!(acpi.hundred_ns(0), 0);
        assert_eq!(acpi.hundred_ns(1), 3);
        assert_eq!(acpi.hundred_ns(3_579_545), 10_000_000);
        assert_eq!(acpi.ticks_per_ms(), 3_580);
    }

    #[test]
    fn a_stopped_stream_stays_at_zero() {
        let mut position = StreamPosition::new(clock(48_000, TEN_MHZ));
        assert_eq!(position.frames_at(123_456_789), 0);
        assert_eq!(position.tick_of(1), None);
        assert!(!position.is_running());
    }

    #[test]
    fn a_running_stream_moves_from_its_base() {
        let mut position = StreamPosition::new(clock(48_000, TEN_MHZ));
        position.run(1_000);
        assert_eq!(position.frames_at(1_000 + TEN_MHZ), 48_000);
        assert_eq!(position.tick_of(288), Some(61_000));
        assert_eq!(position.tick_of(0), Some(1_000));
    }

    #[test]
    fn running_again_does_not_move_the_base() {
        let mut position = StreamPosition::new(clock(48_000, TEN_MHZ));
        position.run(0);
        position.run(TEN_MHZ / 2);
        assert_eq!(position.frames_at(TEN_MHZ), 48_000);
    }

    #[test]
    fn a_pause_freezes_and_the_next_run_continues() {
        let mut position = StreamPosition::new(clock(48_000, TEN_MHZ));
        position.run(0);
        assert_eq!(position.pause(TEN_MHZ), 48_000);
        assert_eq!(position.pause(2 * TEN_MHZ), 48_000);
        assert_eq!(position.frames_at(3 * TEN_MHZ), 48_000);
        assert_eq!(position.tick_of(48_001), None);
        position.run(5 * TEN_MHZ);
        assert_eq!(position.frames_at(6 * TEN_MHZ), 96_000);
        assert_eq!(position.tick_of(96_000), Some(6 * TEN_MHZ));
        assert_eq!(position.tick_of(5), Some(5 * TEN_MHZ));
    }

    #[test]
    fn a_stop_returns_to_zero_and_forgets_the_counter() {
        let mut position = StreamPosition::new(clock(48_000, TEN_MHZ));
        position.run(7 * TEN_MHZ);
        assert_eq!(position.frames_at(8 * TEN_MHZ), 48_000);
        position.stop();
        assert_eq!(position.frames_at(9 * TEN_MHZ), 0);
        position.stop();
        position.run(TEN_MHZ);
        assert_eq!(position.frames_at(2 * TEN_MHZ), 48_000);
    }

    #[test]
    fn an_older_reading_gives_the_newest_position() {
        let mut position = StreamPosition::new(clock(48_000, TEN_MHZ));
        position.run(TEN_MHZ);
        assert_eq!(position.frames_at(0), 0);
        assert_eq!(position.frames_at(2 * TEN_MHZ), 48_000);
        let snapshot = position.snapshot(TEN_MHZ + 1);
        assert_eq!(snapshot.frames, 48_000);
        assert_eq!(snapshot.ticks, 2 * TEN_MHZ);
        assert_eq!(position.pause(TEN_MHZ), 48_000);
    }
}
