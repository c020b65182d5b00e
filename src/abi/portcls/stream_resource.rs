//! Resources that streams depend on, such as threads of the driver.

use core::ffi::c_void;

use wdk_sys::{PDEVICE_OBJECT, PETHREAD, PVOID, ULONG};

/// Handle of an added stream resource.
pub type PCSTREAMRESOURCE = *mut c_void;

/// Kind of a stream resource.
pub type PcStreamResourceType = i32;
/// The stream resource is an interrupt.
pub const ePcStreamResourceInterrupt: PcStreamResourceType = 0;
/// The stream resource is a thread.
pub const ePcStreamResourceThread: PcStreamResourceType = 1;
/// The stream resource is a set of others.
pub const ePcStreamResourceSet: PcStreamResourceType = 2;

/// A resource that a stream depends on.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PCSTREAMRESOURCE_DESCRIPTOR {
    /// Bytes of this structure.
    pub Size: ULONG,
    /// Zero.
    pub Flags: ULONG,
    /// The physical device object.
    pub Pdo: PDEVICE_OBJECT,
    /// Which member of `Resource` is meant.
    pub Type: PcStreamResourceType,
    /// The resource.
    pub Resource: PCSTREAMRESOURCE_DESCRIPTOR_RESOURCE,
}

/// The resource in a [`PCSTREAMRESOURCE_DESCRIPTOR`]; unnamed in C.
#[repr(C)]
#[derive(Clone, Copy)]
pub union PCSTREAMRESOURCE_DESCRIPTOR_RESOURCE {
    /// For [`ePcStreamResourceInterrupt`].
    pub Interrupt: PCSTREAMRESOURCE_DESCRIPTOR_INTERRUPT,
    /// For [`ePcStreamResourceThread`].
    pub Thread: PETHREAD,
    /// For [`ePcStreamResourceSet`].
    pub ResourceSet: PVOID,
}

/// The interrupt in a [`PCSTREAMRESOURCE_DESCRIPTOR`]; unnamed in C.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PCSTREAMRESOURCE_DESCRIPTOR_INTERRUPT {
    /// Version of the interrupt object.
    pub Version: ULONG,
    /// The interrupt object.
    pub Generic: PVOID,
}
