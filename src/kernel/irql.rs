//! The interrupt request level.

use wdk_sys::DISPATCH_LEVEL;
use wdk_sys::ntddk::KeGetCurrentIrql;

/// Whether the caller runs below DISPATCH_LEVEL, so that mutexes may be taken.
pub fn may_wait() -> bool {
    // SAFETY: no preconditions.
    let irql = unsafe { KeGetCurrentIrql() };
    u32::from(irql) < DISPATCH_LEVEL
}
