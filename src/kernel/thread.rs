//! System threads that are joined when their owner goes.

use alloc::boxed::Box;
use core::ffi::c_void;
use core::marker::PhantomData;
use core::ptr::null_mut;

use wdk_sys::ntddk::{
    PsCreateSystemThread, PsTerminateSystemThread, ZwSetInformationThread, ZwWaitForSingleObject,
};
use wdk_sys::{
    _THREADINFOCLASS, HANDLE, KPRIORITY, OBJ_KERNEL_HANDLE, OBJECT_ATTRIBUTES, STATUS_SUCCESS,
    THREAD_ALL_ACCESS,
};

use super::handle::{Handle, Object};
use super::memory::try_box;
use super::status::{Result, check};

/// A system thread. Dropping it waits for its end at PASSIVE_LEVEL, so whoever drops it has told the body to end.
///
/// Only the handle is kept: with an object reference too there would be a step between the thread's start and the
/// moment it can be joined, and that step could fail.
pub struct Thread {
    handle: Handle,
}

/// What a [`Thread`] runs.
pub trait Body: Send + 'static {
    /// Runs in the new thread at PASSIVE_LEVEL; the thread ends when it returns.
    fn run(self);
}

/// The start routine for each kind of body.
struct Start<B>(PhantomData<B>);

impl<B: Body> Start<B> {
    /// # Safety
    /// `context` is a boxed `B` that nobody else owns.
    unsafe extern "C" fn routine(context: *mut c_void) {
        // The body leaves its box here, not at the end of this function, which is never reached.
        // SAFETY: by contract.
        let body = *unsafe { Box::from_raw(context.cast::<B>()) };
        body.run();
        // SAFETY: this is a system thread, and it owns nothing any more: everything was moved into `run`.
        let _ = unsafe { PsTerminateSystemThread(STATUS_SUCCESS) };
    }
}

impl Thread {
    /// In the real-time range (16 to 31), where the system's own audio threads run.
    const PRIORITY: KPRIORITY = 24;

    /// Starts a thread at real-time priority. PASSIVE_LEVEL.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`, or what the kernel says; the body is dropped then.
    pub fn spawn<B: Body>(body: B) -> Result<Self> {
        let context = Box::into_raw(try_box(body)?);
        let mut attributes = OBJECT_ATTRIBUTES {
            Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
            Attributes: OBJ_KERNEL_HANDLE,
            ..OBJECT_ATTRIBUTES::default()
        };
        let mut handle: HANDLE = null_mut();
        // SAFETY: all pointers are to live locals; the context is a box of the type that the routine expects.
        let status = unsafe {
            PsCreateSystemThread(
                &raw mut handle,
                THREAD_ALL_ACCESS,
                &raw mut attributes,
                null_mut(),
                null_mut(),
                Some(Start::<B>::routine),
                context.cast(),
            )
        };
        if let Err(error) = check(status) {
            // SAFETY: no thread was started, so the box is still ours.
            drop(unsafe { Box::from_raw(context) });
            return Err(error);
        }
        // SAFETY: just opened, as a kernel handle.
        let thread = Self { handle: unsafe { Handle::new(handle) } };
        thread.raise_priority();
        Ok(thread)
    }

    /// The thread's object, with a reference. PASSIVE_LEVEL.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn object(&self) -> Result<Object> {
        self.handle.object()
    }

    /// A thread that stays at normal priority is late now and then, but plays: so a failure is not one of `spawn`.
    fn raise_priority(&self) {
        let mut priority = Self::PRIORITY;
        // SAFETY: the handle is live and has every right; the value has the type of the information class.
        let _ = unsafe {
            ZwSetInformationThread(
                self.handle.as_raw(),
                _THREADINFOCLASS::ThreadPriority,
                (&raw mut priority).cast(),
                size_of::<KPRIORITY>() as u32,
            )
        };
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // SAFETY: the handle is live; a null time-out waits until the thread has ended.
        let _ = unsafe { ZwWaitForSingleObject(self.handle.as_raw(), 0, null_mut()) };
    }
}
