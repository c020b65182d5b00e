//! The port class driver, `portcls.sys`, which does most of an audio driver's work.
//!
//! Mirrors `portcls.h` and `punknown.h`.
//!
//! - [`descriptor`]: the static tables by which a miniport describes its filter.
//! - [`miniport`]: interfaces that the driver implements.
//! - [`port`]: interfaces that Windows implements.
//! - [`stream_resource`]: what a stream depends on, for PortCls to know.
//! - [`function`]: what `portcls.sys` exports.

use core::ffi::c_void;

use wdk_sys::{NTSTATUS, ULONG};

use super::GUID;

mod descriptor;
mod function;
mod miniport;
mod port;
mod stream_resource;

pub use descriptor::*;
pub use function::*;
pub use miniport::*;
pub use port::*;
pub use stream_resource::*;

/// Identifier of [`IUnknown`] in the kernel.
///
/// Not COM's {00000000-0000-0000-C000-000000000046}: the kernel's headers have the same bytes in another order.
/// A port asks for this one, and fails to find the other.
pub const IID_IUnknown: GUID = GUID::from_u128(0x00000000_0000_0000_0000_c00000000046);

/// Bytes at the start of a device extension that belong to PortCls; the driver's own data follows.
pub const PORT_CLASS_DEVICE_EXTENSION_SIZE: usize = 64 * size_of::<usize>();

/// Any object: reference counted, and can be asked for its interfaces. Any IRQL up to DISPATCH.
#[repr(C)]
pub struct IUnknown {
    /// Its table.
    pub lpVtbl: *const IUnknownVtbl,
}

/// Table of [`IUnknown`]: slots 0 to 2 of every interface.
#[repr(C)]
pub struct IUnknownVtbl {
    /// Gives a new reference to another interface of the object, or nulls the output. PASSIVE.
    pub QueryInterface: unsafe extern "system" fn(
        this: *mut c_void,
        InterfaceId: *const GUID,
        Interface: *mut *mut c_void,
    ) -> NTSTATUS,
    /// Adds a reference; returns the new count.
    pub AddRef: unsafe extern "system" fn(this: *mut c_void) -> ULONG,
    /// Drops a reference; returns the new count.
    pub Release: unsafe extern "system" fn(this: *mut c_void) -> ULONG,
}

/// Pointer to any object.
pub type PUNKNOWN = *mut IUnknown;
