//! Silence for receivers that want an unbroken stream, while the stream does not run.

use core::num::{NonZeroU32, NonZeroU64};

use protocol::{PositionClock, StreamPosition};

/// Frames of silence that are due, at the rate of the stream.
pub(super) struct Silence {
    position: StreamPosition,
    /// Frames since it began that were taken.
    taken: u64,
    /// Frames that may be due at once: after a longer time in which nobody asked, the computer slept.
    most: u64,
    total: u64,
}

impl Silence {
    /// No silence yet.
    pub(super) fn new(clock: PositionClock) -> Self {
        // A quarter of a second.
        let most = clock.frames_in(clock.frequency().get() / 4);
        Self { position: StreamPosition::new(clock), taken: 0, most, total: 0 }
    }

    /// Silence begins at `now`, a reading of the performance counter, if it has not yet.
    pub(super) fn begin(&mut self, now: u64) {
        self.position.run(now);
    }

    /// Whether it has begun.
    pub(super) fn goes_on(&self) -> bool {
        self.position.is_running()
    }

    /// Frames that are due at `now` and were not taken.
    pub(super) fn take(&mut self, now: u64) -> u64 {
        let due = self.position.frames_at(now);
        let frames = due.saturating_sub(self.taken);
        self.taken = due;
        let frames = if frames > self.most { 0 } else { frames };
        self.total = self.total.saturating_add(frames);
        frames
    }

    /// Silence ends at `now`: the frames that are due until then.
    pub(super) fn end(&mut self, now: u64) -> u64 {
        let frames = if self.goes_on() { self.take(now) } else { 0 };
        self.position.stop();
        self.taken = 0;
        frames
    }

    /// When the next unit of so many frames is full, and a millisecond after `now` at the earliest if units are shorter
    /// than that: a reading of the performance counter. None while there is no silence.
    pub(super) fn next_tick(&self, unit: NonZeroU32, now: u64) -> Option<u64> {
        let unit = NonZeroU64::from(unit);
        let units = (self.taken / unit).saturating_add(1);
        let tick = self.position.tick_of(units.saturating_mul(unit.get()))?;
        let clock = self.position.clock();
        let gap = clock.frequency().ticks_per_ms();
        let earliest = if clock.ticks_for(unit.get()) < gap { now.saturating_add(gap) } else { 0 };
        Some(tick.max(earliest))
    }

    /// Frames that were taken so far.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }
}
