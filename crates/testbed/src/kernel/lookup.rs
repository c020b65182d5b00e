//! Functions with which drivers find others by name, or keep what they have found.

use std::ptr;

use crate::kernel::imports::{self, Export};
use crate::kernel::object;
use crate::nt::{NtStatus, Pvoid, UnicodeString};
use crate::schedule::{DISPATCH_LEVEL, PASSIVE_LEVEL};
use crate::{exports, import};

import! {
    /// The address of a function of the kernel or the HAL; null when it has none of that name, or the testbed has not.
    pub fn MmGetSystemRoutineAddress(name: *const UnicodeString) -> Pvoid, irql <= PASSIVE_LEVEL; {
        // SAFETY: the driver passes a counted string.
        let name = unsafe { (*name).to_text() };
        let found = imports::find("ntoskrnl.exe", &name).or_else(|| imports::find("hal.dll", &name));
        found.map_or(ptr::null_mut(), ptr::with_exposed_provenance_mut)
    }

    /// Adds a reference to an object.
    pub fn ObReferenceObjectByPointer(object: *mut u8, access: u32, kind: *const usize, mode: i8) -> NtStatus,
        irql <= DISPATCH_LEVEL; {
        let _ = (access, kind, mode);
        object::reference(object);
        NtStatus::SUCCESS
    }
}

/// What this file provides to drivers.
pub(crate) const EXPORTS: &[Export] = exports!["ntoskrnl.exe":
    MmGetSystemRoutineAddress, ObReferenceObjectByPointer];
