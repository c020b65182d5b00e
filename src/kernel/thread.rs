//! System threads that are joined when their owner goes.

use alloc::boxed::Box;
use core::ffi::c_void;
use core::marker::PhantomData;
use core::ptr::{NonNull, null_mut};

use wdk_sys::ntddk::{
    ObReferenceObjectByHandle, ObfDereferenceObject, PsCreateSystemThread, PsTerminateSystemThread, ZwClose,
    ZwSetInformationThread, ZwWaitForSingleObject,
};
use wdk_sys::{
    _MODE, _THREADINFOCLASS, HANDLE, KPRIORITY, KPROCESSOR_MODE, OBJ_KERNEL_HANDLE, OBJECT_ATTRIBUTES,
    PETHREAD, STATUS_SUCCESS, THREAD_ALL_ACCESS,
};

use super::memory::try_box;
use super::status::{Result, Status, check};

/// A system thread. Dropping it waits for its end at PASSIVE_LEVEL, so whoever drops it has told the body to end.
///
/// Only the handle is kept: with an object reference too there would be a step between the thread's start and the
/// moment it can be joined, and that step could fail.
pub struct Thread {
    handle: HANDLE,
}

// SAFETY: the handle is a kernel handle, which is valid in every process and thread.
unsafe impl Send for Thread {}
// SAFETY: as above.
unsafe impl Sync for Thread {}

/// A reference to the object of a thread, which may have ended. IRQL <= DISPATCH_LEVEL.
pub struct ThreadObject {
    raw: NonNull<c_void>,
}

// SAFETY: objects belong to no thread.
unsafe impl Send for ThreadObject {}
// SAFETY: as above.
unsafe impl Sync for ThreadObject {}

impl ThreadObject {
    /// The object, borrowed.
    pub fn as_ptr(&self) -> PETHREAD {
        self.raw.as_ptr().cast()
    }
}

impl Drop for ThreadObject {
    fn drop(&mut self) {
        // SAFETY: the reference is ours and not used again.
        unsafe { ObfDereferenceObject(self.raw.as_ptr()) };
    }
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
        let thread = Self { handle };
        thread.raise_priority();
        Ok(thread)
    }

    /// The thread's object, with a reference. PASSIVE_LEVEL.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn object(&self) -> Result<ThreadObject> {
        let mut raw = null_mut();
        // SAFETY: the handle is live, and that of a thread; the object goes to a local. In kernel mode neither an access
        // nor a type has to be named.
        check(unsafe {
            ObReferenceObjectByHandle(
                self.handle,
                0,
                null_mut(),
                _MODE::KernelMode as KPROCESSOR_MODE,
                &raw mut raw,
                null_mut(),
            )
        })?;
        Ok(ThreadObject { raw: NonNull::new(raw).ok_or(Status::UNSUCCESSFUL)? })
    }

    /// A thread that stays at normal priority is late now and then, but plays: so a failure is not one of `spawn`.
    fn raise_priority(&self) {
        let mut priority = Self::PRIORITY;
        // SAFETY: the handle is live and has every right; the value has the type of the information class.
        let _ = unsafe {
            ZwSetInformationThread(
                self.handle,
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
        let _ = unsafe { ZwWaitForSingleObject(self.handle, 0, null_mut()) };
        // SAFETY: the handle is live and not used again.
        let _ = unsafe { ZwClose(self.handle) };
    }
}
