//! Device interfaces: which devices of a class there are, whoever drives them.

use core::marker::PhantomData;
use core::ptr::{NonNull, null_mut};

use wdk_sys::GUID;
use wdk_sys::ntddk::{ExFreePool, IoGetDeviceInterfaces};

use super::status::{Result, Status, check};

/// The names of the devices of a class that could be opened at one moment. PASSIVE_LEVEL.
pub struct Interfaces {
    /// Names in UTF-16, each with a NUL, one after the other, and a NUL more.
    list: NonNull<u16>,
}

impl Interfaces {
    /// Lists the interfaces of a class that are enabled. PASSIVE_LEVEL.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`, or what the plug-and-play manager says.
    pub fn enabled(class: &GUID) -> Result<Self> {
        let mut list = null_mut();
        // SAFETY: the class and the local are live; those of all devices are listed.
        check(unsafe { IoGetDeviceInterfaces(class, null_mut(), 0, &raw mut list) })?;
        Ok(Self { list: NonNull::new(list).ok_or(Status::UNSUCCESSFUL)? })
    }

    /// The names, without their terminators.
    pub fn names(&self) -> Names<'_> {
        Names { next: self.list, list: PhantomData }
    }
}

impl Drop for Interfaces {
    fn drop(&mut self) {
        // SAFETY: the list is from the pool, and the caller's to free; nobody borrows it.
        unsafe { ExFreePool(self.list.as_ptr().cast()) };
    }
}

/// The names in a list, one after the other.
pub struct Names<'a> {
    /// Inside the list, at a name or at the NUL that ends the list.
    next: NonNull<u16>,
    list: PhantomData<&'a Interfaces>,
}

impl<'a> Iterator for Names<'a> {
    type Item = &'a [u16];

    fn next(&mut self) -> Option<Self::Item> {
        let (mut length, mut end) = (0_usize, self.next);
        // SAFETY: a name, or what is left of one, has at least its NUL, which is where this stops.
        while unsafe { end.read() } != 0 {
            length = length.saturating_add(1);
            // SAFETY: after a unit that is not a NUL there is another one.
            end = unsafe { end.add(1) };
        }
        if length == 0 {
            return None;
        }
        // SAFETY: so many units were just read, and the list does not change until it is freed.
        let name = unsafe { core::slice::from_raw_parts(self.next.as_ptr(), length) };
        // SAFETY: after the NUL of a name there is another name, or the NUL that ends the list.
        self.next = unsafe { end.add(1) };
        Some(name)
    }
}
