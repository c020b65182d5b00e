//! The clocks of the kernel: performance counter, interrupt time, system time; and what a time-out means.

use crate::kernel::imports::Export;
use crate::machine::machine;
use crate::nt::HUNDRED_NS;
use crate::schedule::{self, Irql, Time};
use crate::{exports, import};

/// IRQL limit of what may be called at any level.
const HIGH_LEVEL: Irql = 15;
/// The system time, in units of 100 ns since 1601, at which the machine's own time was zero: a day in 2024.
const SYSTEM_TIME_AT_ZERO: u64 = 133_500_000_000_000_000;

/// Interrupt time: units of 100 ns since the machine was switched on.
pub fn interrupt_time() -> u64 {
    schedule::now() / HUNDRED_NS
}

/// System time: units of 100 ns since 1601.
pub fn system_time() -> u64 {
    SYSTEM_TIME_AT_ZERO + interrupt_time()
}

/// When a due time comes: negative ones count from now, others are system times.
pub fn due(time: i64) -> Time {
    if time < 0 {
        return schedule::now() + time.unsigned_abs() * HUNDRED_NS;
    }
    (time as u64).saturating_sub(SYSTEM_TIME_AT_ZERO) * HUNDRED_NS
}

/// When an ordinary timer that is due at `time` expires: at the next clock interrupt, if the machine has any.
pub fn at_clock_tick(time: Time) -> Time {
    machine().config.clock_tick.map_or(time, |tick| time.next_multiple_of(tick.max(1)))
}

/// The deadline of a wait with this time-out.
///
/// # Safety
/// `timeout` is null (none) or points to a time-out.
pub(crate) unsafe fn deadline(timeout: *const i64) -> Option<Time> {
    // SAFETY: the caller vouches for the pointer; a wrong one faults and is reported.
    let timeout = unsafe { timeout.as_ref() }?;
    // Zero means: do not wait.
    Some(if *timeout == 0 { 0 } else { at_clock_tick(due(*timeout)) })
}

/// Writes through an optional pointer.
///
/// # Safety
/// `target` is null or points to a value that may be written.
pub(crate) unsafe fn put<T>(target: *mut T, value: T) {
    if !target.is_null() {
        // SAFETY: the caller vouches for the pointer; a wrong one faults and is reported.
        unsafe { target.write_unaligned(value) };
    }
}

import! {
    /// Ticks since boot, and their frequency.
    pub fn KeQueryPerformanceCounter(frequency: *mut i64) -> i64, irql <= HIGH_LEVEL; {
        // SAFETY: the driver passes null or its variable.
        unsafe { put(frequency, machine().config.counter_frequency as i64) };
        schedule::counter() as i64
    }

    /// Interrupt time as of the last clock interrupt.
    pub fn KeQueryInterruptTime() -> u64, irql <= HIGH_LEVEL; {
        let tick = machine().config.clock_tick.unwrap_or(1).max(1);
        schedule::now() / tick * tick / HUNDRED_NS
    }

    /// Interrupt time of now, and the performance counter of the same moment.
    pub fn KeQueryInterruptTimePrecise(counter: *mut u64) -> u64, irql <= HIGH_LEVEL; {
        // SAFETY: the driver passes null or its variable.
        unsafe { put(counter, schedule::counter()) };
        interrupt_time()
    }

    /// Interrupt time without the time the machine slept (here it never does).
    pub fn KeQueryUnbiasedInterruptTime() -> u64, irql <= HIGH_LEVEL; {
        interrupt_time()
    }

    /// System time of now.
    pub fn KeQuerySystemTimePrecise(time: *mut i64), irql <= HIGH_LEVEL; {
        // SAFETY: the driver passes its variable.
        unsafe { put(time, system_time() as i64) };
    }

    /// Units of 100 ns between two clock interrupts.
    pub fn KeQueryTimeIncrement() -> u32, irql <= HIGH_LEVEL; {
        (machine().config.clock_tick.unwrap_or(15_625_000) / HUNDRED_NS) as u32
    }

    /// Waits of microseconds that keep the processor.
    pub fn KeStallExecutionProcessor(microseconds: u32), irql <= HIGH_LEVEL; {
        schedule::sleep_until(schedule::now() + u64::from(microseconds) * 1000);
    }
}

/// What this file provides to drivers.
pub(crate) const EXPORTS: &[Export] = exports!["ntoskrnl.exe":
    KeQueryPerformanceCounter, KeQueryInterruptTime, KeQueryInterruptTimePrecise, KeQueryUnbiasedInterruptTime,
    KeQuerySystemTimePrecise, KeQueryTimeIncrement, KeStallExecutionProcessor];
/// The same functions where older import libraries look for them.
pub(crate) const HAL_EXPORTS: &[Export] =
    exports!["hal.dll": KeQueryPerformanceCounter, KeStallExecutionProcessor];
