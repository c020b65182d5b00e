//! Non-paged memory whose allocation may fail, and a shared owner of it.

use alloc::alloc::{Layout, alloc, alloc_zeroed};
use alloc::boxed::Box;
use core::ops::Deref;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering, fence};

use super::status::{Result, Status};

/// Puts a value into non-paged pool.
///
/// IRQL <= DISPATCH_LEVEL.
///
/// # Errors
/// `STATUS_INSUFFICIENT_RESOURCES`; the value is dropped.
pub fn try_box<T>(value: T) -> Result<Box<T>> {
    const {
        assert!(size_of::<T>() != 0, "the pool has no blocks of size zero");
        assert!(align_of::<T>() <= 16, "the pool aligns to 16 bytes and no more");
    }
    // SAFETY: the layout's size is not zero (asserted above).
    let block = unsafe { alloc(Layout::new::<T>()) }.cast::<T>();
    let block = NonNull::new(block).ok_or(Status::INSUFFICIENT_RESOURCES)?;
    // SAFETY: the block is fresh, large enough and aligned for `T` (asserted above).
    unsafe { block.write(value) };
    // SAFETY: the block came from the global allocator with the layout of `T` and holds a valid value.
    Ok(unsafe { Box::from_raw(block.as_ptr()) })
}

/// Zeroed bytes in non-paged pool.
///
/// IRQL <= DISPATCH_LEVEL.
///
/// # Errors
/// `STATUS_INSUFFICIENT_RESOURCES`, also for a length of zero, of which the pool has no blocks.
pub fn try_bytes(length: usize) -> Result<Box<[u8]>> {
    let layout = Layout::array::<u8>(length).map_err(|_| Status::INSUFFICIENT_RESOURCES)?;
    if length == 0 {
        return Err(Status::INSUFFICIENT_RESOURCES);
    }
    // SAFETY: the layout's size is not zero.
    let block = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(Status::INSUFFICIENT_RESOURCES)?;
    let bytes = core::ptr::slice_from_raw_parts_mut(block.as_ptr(), length);
    // SAFETY: the block came from the global allocator with the layout of these bytes, which are initialised.
    Ok(unsafe { Box::from_raw(bytes) })
}

struct Counted<T> {
    owners: AtomicU32,
    value: T,
}

/// A value in non-paged pool with several owners; the last one drops it.
pub struct Shared<T> {
    counted: NonNull<Counted<T>>,
}

// SAFETY: like `Arc`: a `Shared` gives out `&T` in any thread and may drop `T` in any.
unsafe impl<T: Send + Sync> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// Puts a value into non-paged pool, with one owner.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn try_new(value: T) -> Result<Self> {
        let counted = try_box(Counted { owners: AtomicU32::new(1), value })?;
        Ok(Self { counted: NonNull::from(Box::leak(counted)) })
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the block lives as long as it has an owner, and `self` is one.
        unsafe { &self.counted.as_ref().value }
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        // SAFETY: as in `deref`.
        unsafe { self.counted.as_ref() }.owners.fetch_add(1, Ordering::Relaxed);
        Self { counted: self.counted }
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: as in `deref`.
        if unsafe { self.counted.as_ref() }.owners.fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            // SAFETY: the block came from a box, and the last owner just gave it up.
            drop(unsafe { Box::from_raw(self.counted.as_ptr()) });
        }
    }
}
