//! The mutex whose holder stays at PASSIVE_LEVEL, and so may open files and send requests.

use alloc::boxed::Box;
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::mem::zeroed;
use core::ops::{Deref, DerefMut};
use core::ptr::null_mut;

use wdk_sys::ntddk::{KeInitializeMutex, KeReleaseMutex, KeWaitForSingleObject};
use wdk_sys::{_KWAIT_REASON, _MODE, KMUTEX};

use super::memory::try_box;
use super::status::Result;

/// A mutex for work that takes the kernel's services. It cannot be taken under a [`FastMutex`](super::FastMutex).
pub struct Mutex<T> {
    /// The kernel links waiting threads to its address, so it has a block of its own.
    raw: Box<UnsafeCell<KMUTEX>>,
    value: UnsafeCell<T>,
}

// SAFETY: the mutex lets one thread at a time reach the value.
unsafe impl<T: Send> Sync for Mutex<T> {}
// SAFETY: a mutex that nobody holds is plain data in a block of its own.
unsafe impl<T: Send> Send for Mutex<T> {}

impl<T> Mutex<T> {
    /// A free mutex around `value`.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`; the value is dropped.
    pub fn try_new(value: T) -> Result<Self> {
        // SAFETY: all-zero bytes are a valid `KMUTEX` in memory; it is initialised below.
        let raw = try_box(UnsafeCell::new(unsafe { zeroed::<KMUTEX>() }))?;
        // SAFETY: the mutex lies in non-paged memory of its own, where it stays until dropped.
        unsafe { KeInitializeMutex(raw.get(), 0) };
        Ok(Self { raw, value: UnsafeCell::new(value) })
    }

    /// Takes the mutex; waits for it if need be. PASSIVE_LEVEL; not by a thread that has it.
    pub fn lock(&self) -> Guard<'_, T> {
        let (reason, mode) = (_KWAIT_REASON::Executive, _MODE::KernelMode as i8);
        // SAFETY: the mutex is initialised; a null time-out waits without limit, and such a wait ends in no other way.
        let _ = unsafe { KeWaitForSingleObject(self.raw.get().cast(), reason, mode, 0, null_mut()) };
        Guard { mutex: self, not_send: PhantomData }
    }
}

/// The right to the value of a [`Mutex`]; it ends when dropped.
#[must_use]
pub struct Guard<'a, T> {
    mutex: &'a Mutex<T>,
    not_send: PhantomData<*const ()>,
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard has the mutex.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard has the mutex.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T> Drop for Guard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: this guard took the mutex, in this thread; no wait follows.
        let _ = unsafe { KeReleaseMutex(self.mutex.raw.get(), 0) };
    }
}
