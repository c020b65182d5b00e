//! The high-resolution timer that the DMA-timer thread waits on.

use core::ffi::c_void;
use core::ptr::NonNull;

use wdk_sys::ntddk::{ExAllocateTimer, ExCancelTimer, ExDeleteTimer, ExSetTimer};
use wdk_sys::{_EX_TIMER, EX_TIMER_HIGH_RESOLUTION};

use super::status::{Result, Status};

/// A one-shot synchronization timer of high resolution.
pub struct Timer {
    raw: NonNull<_EX_TIMER>,
}

// SAFETY: the kernel guards a timer's state.
unsafe impl Send for Timer {}
// SAFETY: as above.
unsafe impl Sync for Timer {}

impl Timer {
    /// A new timer, not set.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn try_new() -> Result<Self> {
        // SAFETY: no callback and no context; the attribute is a documented one.
        let raw = unsafe { ExAllocateTimer(None, core::ptr::null_mut(), EX_TIMER_HIGH_RESOLUTION) };
        Ok(Self { raw: NonNull::new(raw).ok_or(Status::INSUFFICIENT_RESOURCES)? })
    }

    /// Signals the timer in `delay` units of 100 ns (at least one); replaces an earlier setting.
    /// IRQL <= DISPATCH_LEVEL.
    pub fn set(&self, delay: u64) {
        // A negative due time is relative, and zero would be absolute: the year 1601.
        let due = i64::try_from(delay).unwrap_or(i64::MAX).max(1).wrapping_neg();
        // SAFETY: the timer is live; period 0 makes it one-shot; no parameters are needed.
        unsafe { ExSetTimer(self.raw.as_ptr(), due, 0, core::ptr::null_mut()) };
    }

    /// Takes back an earlier setting. IRQL <= DISPATCH_LEVEL.
    pub fn cancel(&self) {
        // SAFETY: the timer is live; the parameter is reserved.
        unsafe { ExCancelTimer(self.raw.as_ptr(), core::ptr::null_mut()) };
    }

    pub(super) fn object(&self) -> *mut c_void {
        self.raw.as_ptr().cast()
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: the timer is live and not used afterwards; it is cancelled and, as it has no callback, the call
        // need not wait for one.
        unsafe { ExDeleteTimer(self.raw.as_ptr(), 1, 0, core::ptr::null_mut()) };
    }
}
