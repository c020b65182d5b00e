//! Memory of a device, mapped into the kernel's address space for every process.

use core::ffi::c_void;
use core::ptr::NonNull;

use wdk_sys::ntddk::{MmGetPhysicalAddress, MmUnmapIoSpace};
use wdk_sys::{PAGE_NOCACHE, PAGE_READWRITE, PAGE_SIZE, PAGE_WRITECOMBINE, PHYSICAL_ADDRESS};

use super::status::{Result, Status};

#[allow(
    clashing_extern_declarations,
    reason = "the headers' own declaration, in the proof of src/abi, has types of C"
)]
unsafe extern "system" {
    /// Since Windows 10; missing in the headers for drivers of which `wdk-sys` is made where there is no WDK.
    pub(crate) fn MmMapIoSpaceEx(address: PHYSICAL_ADDRESS, bytes: u64, protect: u32) -> *mut c_void;
}

/// A mapping of a device's memory: not executable, and write-combined if that can be. Unmapped when dropped. IRQL <= DISPATCH_LEVEL.
pub struct IoSpace {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the kernel's address space is the same in every thread.
unsafe impl Send for IoSpace {}
// SAFETY: as above; a shared reference gives the address only.
unsafe impl Sync for IoSpace {}

impl IoSpace {
    /// Maps a device's memory of so many bytes once more, which `address` is another mapping of. That one may go while this
    /// one is used.
    ///
    /// # Safety
    /// At `address` so many bytes of a device's memory are mapped for the calling thread.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` when the memory is not in one piece, `STATUS_INSUFFICIENT_RESOURCES`.
    pub unsafe fn again(address: NonNull<u8>, bytes: usize) -> Result<Self> {
        let last = bytes.checked_sub(1).ok_or(Status::INVALID_PARAMETER)?;
        let last_page = last.saturating_sub(last % PAGE_SIZE as usize);
        let physical = |offset: usize| {
            // SAFETY: a valid address, by contract. One that went a moment ago has the physical address zero.
            let found = unsafe { MmGetPhysicalAddress(address.as_ptr().wrapping_add(offset).cast()) };
            // SAFETY: every view of the union is the number.
            (found, unsafe { found.QuadPart })
        };
        let ((first, start), (_, end)) = (physical(0), physical(last_page));
        if start == 0 || i64::try_from(last_page).ok() != end.checked_sub(start) {
            return Err(Status::INVALID_PARAMETER);
        }
        // Windows may insist on the way in which the memory is cached by whoever has mapped it before.
        for cache in [PAGE_WRITECOMBINE, PAGE_NOCACHE, 0] {
            // SAFETY: device memory from there on, as the addresses of its first and last page say.
            let base = unsafe { MmMapIoSpaceEx(first, bytes as u64, PAGE_READWRITE | cache) };
            if let Some(base) = NonNull::new(base.cast()) {
                return Ok(Self { base, bytes });
            }
        }
        Err(Status::INSUFFICIENT_RESOURCES)
    }

    /// Where the memory is: the address of a page.
    pub const fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// How long it is.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for IoSpace {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, of this length, and not used again.
        unsafe { MmUnmapIoSpace(self.base.as_ptr().cast(), self.bytes as u64) };
    }
}
