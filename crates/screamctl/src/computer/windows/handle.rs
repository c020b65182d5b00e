//! [`Handle`]: a kernel object that is closed when dropped.

use windows::Win32::Foundation::{CloseHandle, HANDLE};

/// A kernel object of this process.
///
/// # Invariants
/// The handle is open and this value's own.
#[derive(Debug)]
pub struct Handle(HANDLE);

impl Handle {
    /// Takes over a handle.
    ///
    /// # Safety
    /// The handle is open, and nobody else closes it.
    pub unsafe fn owned(handle: HANDLE) -> Self {
        Self(handle)
    }

    /// The handle, for a call.
    pub fn get(&self) -> HANDLE {
        self.0
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: by the invariant the handle is open, and it is not used after this.
        let _ = unsafe { CloseHandle(self.0) };
    }
}
