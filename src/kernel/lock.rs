//! Locks that own what they guard.

use alloc::boxed::Box;
use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::mem::zeroed;
use core::ops::{Deref, DerefMut};

use wdk_sys::ntddk::{
    ExAcquireFastMutex, ExReleaseFastMutex, KeAcquireSpinLockRaiseToDpc, KeInitializeEvent, KeReleaseSpinLock,
};
use wdk_sys::{_EVENT_TYPE, FAST_MUTEX, KIRQL, KSPIN_LOCK};

use super::memory::try_box;
use super::status::Result;

/// A spin lock: for a few instructions, at any IRQL up to DISPATCH_LEVEL, at which the holder runs.
pub struct SpinLock<T> {
    raw: UnsafeCell<KSPIN_LOCK>,
    value: UnsafeCell<T>,
}

// SAFETY: the lock lets one thread at a time reach the value.
unsafe impl<T: Send> Sync for SpinLock<T> {}
// SAFETY: a lock that nobody holds is plain data.
unsafe impl<T: Send> Send for SpinLock<T> {}

impl<T> SpinLock<T> {
    /// A free lock around `value`: a spin lock that is zero is initialised and free.
    pub const fn new(value: T) -> Self {
        Self { raw: UnsafeCell::new(0), value: UnsafeCell::new(value) }
    }

    /// Takes the lock. IRQL <= DISPATCH_LEVEL; not by a thread that has it.
    pub fn lock(&self) -> SpinGuard<'_, T> {
        // SAFETY: the lock is initialised, and stays where it is while it is borrowed.
        let irql = unsafe { KeAcquireSpinLockRaiseToDpc(self.raw.get()) };
        SpinGuard { lock: self, irql, not_send: PhantomData }
    }
}

/// The right to the value of a [`SpinLock`]; it ends when dropped.
#[must_use]
pub struct SpinGuard<'a, T> {
    lock: &'a SpinLock<T>,
    irql: KIRQL,
    not_send: PhantomData<*const ()>,
}

impl<T> Deref for SpinGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard has the lock.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T> DerefMut for SpinGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard has the lock.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T> Drop for SpinGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: this guard took the lock, at the IRQL that is given back.
        unsafe { KeReleaseSpinLock(self.lock.raw.get(), self.irql) };
    }
}

/// A mutex for work at PASSIVE_LEVEL; the holder runs at APC_LEVEL, so that it cannot be suspended.
pub struct FastMutex<T> {
    /// The kernel links waiting threads to its address, so it has a block of its own.
    raw: Box<UnsafeCell<FAST_MUTEX>>,
    value: UnsafeCell<T>,
}

// SAFETY: the mutex lets one thread at a time reach the value.
unsafe impl<T: Send> Sync for FastMutex<T> {}
// SAFETY: a mutex that nobody holds is plain data in a block of its own.
unsafe impl<T: Send> Send for FastMutex<T> {}

impl<T> FastMutex<T> {
    /// A free mutex around `value`.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`; the value is dropped.
    pub fn try_new(value: T) -> Result<Self> {
        // SAFETY: all-zero bytes are a valid `FAST_MUTEX` in memory; it is initialised below.
        let mut raw = try_box(UnsafeCell::new(unsafe { zeroed::<FAST_MUTEX>() }))?;
        // What the inline function ExInitializeFastMutex of wdm.h does: free, no owner, an event to wait on.
        let fast_mutex = raw.get_mut();
        fast_mutex.Count = 1;
        // SAFETY: the event is part of the block that was just allocated, and stays in it.
        unsafe { KeInitializeEvent(&raw mut fast_mutex.Event, _EVENT_TYPE::SynchronizationEvent, 0) };
        Ok(Self { raw, value: UnsafeCell::new(value) })
    }

    /// Takes the mutex; waits for it if need be. IRQL <= APC_LEVEL; not by a thread that has it.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        // SAFETY: the mutex is initialised and has a fixed address.
        unsafe { ExAcquireFastMutex(self.raw.get()) };
        MutexGuard { mutex: self, not_send: PhantomData }
    }
}

/// The right to the value of a [`FastMutex`]; it ends when dropped.
#[must_use]
pub struct MutexGuard<'a, T> {
    mutex: &'a FastMutex<T>,
    not_send: PhantomData<*const ()>,
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the guard has the mutex.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the guard has the mutex.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: this guard took the mutex.
        unsafe { ExReleaseFastMutex(self.mutex.raw.get()) };
    }
}
