//! The mapped memory of an IVSHMEM device, as the ring's writer wants it.
#![expect(unsafe_code, reason = "memory that another machine writes to is touched through raw pointers only")]

use core::ptr::NonNull;
use core::sync::atomic::{Ordering, fence};

use protocol::{RingError, SharedRegion};

use super::device::{Device, Failure};
use crate::kernel::Status;
use crate::kernel::io_space::IoSpace;

/// The right to the memory of a device: dropping it unmaps the memory and closes the device. PASSIVE_LEVEL, in System.
///
/// What the device's driver maps goes with the device, and after a surprise removal it has gone before anybody is told:
/// an access in between would be fatal. So its mapping is kept, as the right, and the memory is touched through another
/// one, which is the driver's own.
pub struct Mapping {
    /// No copy of its region is used after the mapping has gone.
    memory: IoSpace,
    device: Device,
}

impl Mapping {
    /// Has the memory of a device mapped, which is `size` bytes long. PASSIVE_LEVEL, in System, no lock that raises the
    /// IRQL.
    ///
    /// # Errors
    /// As [`Device::map`]; the device is closed.
    pub fn try_new(device: Device, size: u64) -> Result<Self, Failure> {
        let bytes = usize::try_from(size).map_err(|_| Failure::Nonsense(size))?;
        let address = device.map(size)?;
        // SAFETY: the device's driver says that so many bytes of its memory are there.
        match unsafe { IoSpace::again(address, bytes) } {
            Ok(memory) => Ok(Self { memory, device }),
            Err(status) => {
                device.release();
                Err(match status {
                    Status::INSUFFICIENT_RESOURCES => Failure::Refused(status),
                    _ => Failure::Nonsense(size),
                })
            }
        }
    }

    /// The memory. Nothing but the ring's writer, which goes before the mapping does, keeps it.
    pub(super) const fn region(&self) -> Region {
        Region { base: self.memory.base(), len: self.memory.bytes() }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        self.device.release();
    }
}

/// Memory that is shared with another machine, which may change it at any time.
///
/// # Invariants
/// While the mapping is there, `len` bytes at `base`, the address of a page, can be read and written. When the device has
/// gone, what is written is lost.
#[derive(Clone, Copy)]
pub(super) struct Region {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the region is touched through volatile accesses only.
unsafe impl Send for Region {}

impl Region {
    /// The address of `len` bytes at `offset`, which is a multiple of `align`.
    fn place(&self, offset: usize, len: usize, align: usize) -> Result<*mut u8, RingError> {
        let end = offset.saturating_add(len);
        let aligned = offset.checked_rem(align) == Some(0);
        if end <= self.len && aligned {
            Ok(self.base.as_ptr().wrapping_add(offset))
        } else {
            Err(RingError::OutsideRegion { end, size: self.len })
        }
    }

    /// Reads a field, as a barrier.
    fn load<T>(&self, offset: usize) -> Result<T, RingError> {
        let place = self.place(offset, size_of::<T>(), align_of::<T>())?.cast::<T>();
        fence(Ordering::SeqCst);
        // SAFETY: inside the region and aligned, which `place` says; `T` is a number here.
        let value = unsafe { place.read_volatile() };
        fence(Ordering::SeqCst);
        Ok(value)
    }

    /// Writes a field, as a barrier.
    fn store<T>(&self, offset: usize, value: T) -> Result<(), RingError> {
        let place = self.place(offset, size_of::<T>(), align_of::<T>())?.cast::<T>();
        fence(Ordering::SeqCst);
        // SAFETY: inside the region and aligned, which `place` says.
        unsafe { place.write_volatile(value) };
        fence(Ordering::SeqCst);
        Ok(())
    }
}

impl SharedRegion for Region {
    fn len(&self) -> usize {
        self.len
    }

    fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), RingError> {
        let place = self.place(offset, into.len(), 1)?;
        for (index, byte) in into.iter_mut().enumerate() {
            // SAFETY: inside the region, which `place` says of all of it.
            *byte = unsafe { place.wrapping_add(index).read_volatile() };
        }
        Ok(())
    }

    fn write(&self, offset: usize, from: &[u8]) -> Result<(), RingError> {
        let place = self.place(offset, from.len(), 1)?;
        // SAFETY: inside the region, which `place` says of all of it.
        unsafe { write_volatile(place, from) };
        Ok(())
    }

    fn load_u16(&self, offset: usize) -> Result<u16, RingError> {
        self.load(offset).map(u16::from_le)
    }

    fn store_u16(&self, offset: usize, value: u16) -> Result<(), RingError> {
        self.store(offset, value.to_le())
    }

    fn load_u32(&self, offset: usize) -> Result<u32, RingError> {
        self.load(offset).map(u32::from_le)
    }

    fn store_u32(&self, offset: usize, value: u32) -> Result<(), RingError> {
        self.store(offset, value.to_le())
    }
}

/// Copies to memory that somebody else may be reading: each byte is written exactly once, eight at a time where it can be.
///
/// # Safety
/// As many bytes as `from` has can be written at `to`, and are not part of it.
unsafe fn write_volatile(to: *mut u8, from: &[u8]) {
    let head = to.align_offset(align_of::<u64>()).min(from.len());
    let (first, rest) = from.split_at_checked(head).unwrap_or_default();
    // SAFETY: by contract.
    unsafe { write_bytes(to, first) };
    let (words, last) = rest.as_chunks::<8>();
    let mut to = to.wrapping_add(head);
    for word in words {
        // SAFETY: aligned, and inside what can be written by contract.
        unsafe { to.cast::<u64>().write_volatile(u64::from_ne_bytes(*word)) };
        to = to.wrapping_add(8);
    }
    // SAFETY: by contract.
    unsafe { write_bytes(to, last) };
}

/// # Safety
/// As for [`write_volatile`].
unsafe fn write_bytes(to: *mut u8, from: &[u8]) {
    for (index, byte) in from.iter().enumerate() {
        // SAFETY: by contract.
        unsafe { to.wrapping_add(index).write_volatile(*byte) };
    }
}
