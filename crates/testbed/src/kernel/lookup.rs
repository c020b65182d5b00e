//! Functions with which drivers look for others: routines of the system by name, devices by name or interface.
//!
//! No device of the machine has a name or an interface that drivers could open, so searches find nothing.

use std::ptr;

use crate::kernel::imports::{self, Export};
use crate::kernel::object;
use crate::kernel::pool;
use crate::nt::{DeviceObject, FileObject, Guid, Irp, KEvent, NtStatus, Pvoid, UnicodeString};
use crate::schedule::{DISPATCH_LEVEL, PASSIVE_LEVEL};
use crate::{exports, import};

/// The tag of the lists that are handed out: "Lkup".
const TAG: u32 = u32::from_le_bytes(*b"Lkup");

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

    /// An empty list.
    pub fn IoGetDeviceInterfaces(class: *const Guid, pdo: *mut DeviceObject, flags: u32, list: *mut *mut u16) -> NtStatus,
        irql <= PASSIVE_LEVEL; {
        let _ = (class, pdo, flags);
        let block = pool::allocate(2, TAG, true).cast::<u16>();
        if block.is_null() {
            return NtStatus::INSUFFICIENT_RESOURCES;
        }
        // SAFETY: just allocated, for the NUL that ends the list.
        unsafe { block.write(0) };
        // SAFETY: the driver's variable, which the call fills.
        unsafe { list.write(block) };
        NtStatus::SUCCESS
    }

    /// STATUS_OBJECT_NAME_NOT_FOUND.
    pub fn IoGetDeviceObjectPointer(name: *const UnicodeString, access: u32, file: *mut *mut FileObject,
        device: *mut *mut DeviceObject) -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = (name, access, file, device);
        NtStatus::OBJECT_NAME_NOT_FOUND
    }

    /// Null, as when there is no memory: there is no device that would take the request.
    pub fn IoBuildDeviceIoControlRequest(code: u32, device: *mut DeviceObject, input: Pvoid, input_length: u32,
        output: Pvoid, output_length: u32, internal: u8, event: *mut KEvent, status: Pvoid) -> *mut Irp,
        irql <= PASSIVE_LEVEL; {
        let _ = (code, device, input, input_length, output, output_length, internal, event, status);
        ptr::null_mut()
    }
}

/// What this file provides to drivers.
pub(crate) const EXPORTS: &[Export] = exports!["ntoskrnl.exe":
    MmGetSystemRoutineAddress, ObReferenceObjectByPointer, IoGetDeviceInterfaces, IoGetDeviceObjectPointer,
    IoBuildDeviceIoControlRequest];
