//! Kernel handles, and references to the objects behind them.

use core::ffi::c_void;
use core::ptr::{NonNull, null_mut};

use wdk_sys::ntddk::{ObReferenceObjectByHandle, ObfDereferenceObject, ZwClose};
use wdk_sys::{_MODE, HANDLE, KPROCESSOR_MODE};

use super::status::{Result, Status, check};

/// An open kernel handle, which is valid in every process and thread; closed when dropped. PASSIVE_LEVEL.
pub struct Handle {
    raw: HANDLE,
}

// SAFETY: a kernel handle belongs to no thread and no process.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

/// A reference to an object, which may have been closed. IRQL <= DISPATCH_LEVEL.
pub struct Object {
    raw: NonNull<c_void>,
}

// SAFETY: objects belong to no thread.
unsafe impl Send for Object {}
// SAFETY: as above.
unsafe impl Sync for Object {}

impl Handle {
    /// # Safety
    /// `raw` is an open handle that was made with `OBJ_KERNEL_HANDLE`, and nobody else closes it.
    pub const unsafe fn new(raw: HANDLE) -> Self {
        Self { raw }
    }

    /// The handle, borrowed.
    pub const fn as_raw(&self) -> HANDLE {
        self.raw
    }

    /// The object, with a reference. PASSIVE_LEVEL.
    ///
    /// # Errors
    /// What the object manager says.
    pub fn object(&self) -> Result<Object> {
        let mut raw = null_mut();
        // SAFETY: the handle is open; the object goes to a local. In kernel mode neither an access nor a type has to be
        // named.
        check(unsafe {
            ObReferenceObjectByHandle(
                self.raw,
                0,
                null_mut(),
                _MODE::KernelMode as KPROCESSOR_MODE,
                &raw mut raw,
                null_mut(),
            )
        })?;
        Ok(Object { raw: NonNull::new(raw).ok_or(Status::UNSUCCESSFUL)? })
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle is open and not used again.
        let _ = unsafe { ZwClose(self.raw) };
    }
}

impl Object {
    /// The object, borrowed.
    pub const fn as_ptr(&self) -> *mut c_void {
        self.raw.as_ptr()
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        // SAFETY: the reference is ours and not used again.
        unsafe { ObfDereferenceObject(self.raw.as_ptr()) };
    }
}
