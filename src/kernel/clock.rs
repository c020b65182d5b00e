//! The performance counter.

use wdk_sys::LARGE_INTEGER;
use wdk_sys::ntddk::KeQueryPerformanceCounter;

/// Ticks of the performance counter now. Any IRQL.
pub fn now() -> u64 {
    // SAFETY: the frequency is optional.
    let counter = unsafe { KeQueryPerformanceCounter(core::ptr::null_mut()) };
    // SAFETY: every view of the union is a plain integer.
    u64::try_from(unsafe { counter.QuadPart }).unwrap_or(0)
}

/// Ticks per second of the performance counter; fixed at boot. Any IRQL.
pub fn frequency() -> u64 {
    let mut frequency = LARGE_INTEGER { QuadPart: 0 };
    // SAFETY: the pointer is to a live local.
    unsafe { KeQueryPerformanceCounter(&raw mut frequency) };
    // SAFETY: every view of the union is a plain integer.
    u64::try_from(unsafe { frequency.QuadPart }).unwrap_or(0)
}
