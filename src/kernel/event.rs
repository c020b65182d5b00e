//! Kernel events, and waiting for several objects at once.

use alloc::boxed::Box;
use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::mem::zeroed;

use wdk_sys::ntddk::{KeInitializeEvent, KeSetEvent, KeWaitForMultipleObjects, KeWaitForSingleObject};
use wdk_sys::{_EVENT_TYPE, _KWAIT_REASON, _MODE, _WAIT_TYPE, KEVENT};

use super::memory::try_box;
use super::status::Result;
use super::timer::Timer;

/// A synchronization event: one waiting thread goes on for each [`Event::set`].
///
/// The kernel links waiting threads to its address, so it has a block of its own and never moves.
pub struct Event {
    raw: Box<UnsafeCell<KEVENT>>,
}

// SAFETY: events exist to be used by several threads; the kernel guards their state.
unsafe impl Send for Event {}
// SAFETY: as above.
unsafe impl Sync for Event {}

impl Event {
    /// A new event, not signalled.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn try_new() -> Result<Self> {
        // SAFETY: all-zero bytes are a valid `KEVENT`; it is initialised before use below.
        let raw = try_box(UnsafeCell::new(unsafe { zeroed::<KEVENT>() }))?;
        // SAFETY: the event lies in non-paged memory of its own, where it stays until dropped.
        unsafe { KeInitializeEvent(raw.get(), _EVENT_TYPE::SynchronizationEvent, 0) };
        Ok(Self { raw })
    }

    /// Lets one waiting thread go on, or the next one that waits. IRQL <= DISPATCH_LEVEL.
    pub fn set(&self) {
        // SAFETY: the event is initialised; `Wait` is false, so any IRQL up to DISPATCH_LEVEL is allowed.
        unsafe { KeSetEvent(self.raw.get(), 0, 0) };
    }

    /// Waits for the event without limit. PASSIVE_LEVEL.
    pub fn wait(&self) {
        let mode = _MODE::KernelMode as i8;
        // SAFETY: the event is live, and a null time-out waits without limit.
        let _ = unsafe {
            KeWaitForSingleObject(self.object(), _KWAIT_REASON::Executive, mode, 0, core::ptr::null_mut())
        };
    }

    pub(super) fn object(&self) -> *mut c_void {
        self.raw.get().cast()
    }
}

/// Waits until an event or a timer is signalled, and takes that one's signal. PASSIVE_LEVEL.
pub fn wait_for_either(event: &Event, timer: &Timer) {
    let mut objects = [event.object(), timer.object()];
    let mode = _MODE::KernelMode as i8;
    // Nobody concludes anything from which of the two it was, so a wait that ends in no way it can does no harm.
    // SAFETY: the objects are live (borrowed), the array has as many entries as is said, and for so few the kernel needs
    // no wait blocks of the caller's; no time-out.
    let _ = unsafe {
        KeWaitForMultipleObjects(
            objects.len() as u32,
            objects.as_mut_ptr(),
            _WAIT_TYPE::WaitAny,
            _KWAIT_REASON::Executive,
            mode,
            0,
            core::ptr::null_mut(),
            core::ptr::null_mut(),
        )
    };
}

/// An event that somebody else owns: PortCls turned a handle of the audio engine into it.
///
/// It is signalled under the lock of the list it is kept in, and never touched after it was taken off that list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ForeignEvent(*mut KEVENT);

// SAFETY: as for `Event`.
unsafe impl Send for ForeignEvent {}

impl ForeignEvent {
    /// `None` for a null pointer.
    ///
    /// # Safety
    /// `event` is null, or stays a valid event until the caller of the driver unregisters it.
    pub const unsafe fn new(event: *mut KEVENT) -> Option<Self> {
        if event.is_null() { None } else { Some(Self(event)) }
    }

    /// Signals it. IRQL <= DISPATCH_LEVEL.
    pub fn set(self) {
        // SAFETY: valid by the contract of `new`.
        unsafe { KeSetEvent(self.0, 0, 0) };
    }
}
