//! Interfaces that Windows implements: ports, the stream's port side, and what undoes a registration.

use core::ffi::c_void;

use wdk_sys::{
    ACCESS_MASK, DEVICE_REGISTRY_PROPERTY, MEMORY_CACHING_TYPE, NTSTATUS, PDEVICE_OBJECT, PHYSICAL_ADDRESS,
    PIRP, PMDL, POBJECT_ATTRIBUTES, PUNICODE_STRING, PVOID, SIZE_T, ULONG,
};

use super::{IUnknownVtbl, PUNKNOWN};
use crate::abi::GUID;

/// The hardware resources of a device. The driver passes it on and never looks inside.
#[repr(C)]
pub struct IResourceList {
    /// Its table, of which only the first three slots are declared.
    pub lpVtbl: *const IUnknownVtbl,
}

/// What all ports have: the half of an audio filter that Windows implements.
#[repr(C)]
pub struct IPort {
    /// Its table.
    pub lpVtbl: *const IPortVtbl,
}

/// Identifier of [`IPort`].
pub const IID_IPort: GUID = GUID::from_u128(0xb4c90a25_5791_11d0_86f9_00a0c911b544);

/// Table of [`IPort`].
#[repr(C)]
pub struct IPortVtbl {
    /// Slots 0 to 2.
    pub base: IUnknownVtbl,
    /// Connects the port with a miniport, which it initializes. PASSIVE.
    pub Init: unsafe extern "system" fn(
        this: *mut c_void,
        DeviceObject: PDEVICE_OBJECT,
        Irp: PIRP,
        UnknownMiniport: PUNKNOWN,
        UnknownAdapter: PUNKNOWN,
        ResourceList: *mut IResourceList,
    ) -> NTSTATUS,
    /// Gives a property of the device from the registry. PASSIVE.
    pub GetDeviceProperty: unsafe extern "system" fn(
        this: *mut c_void,
        DeviceProperty: DEVICE_REGISTRY_PROPERTY::Type,
        BufferLength: ULONG,
        PropertyBuffer: PVOID,
        ResultLength: *mut ULONG,
    ) -> NTSTATUS,
    /// Opens or creates a registry key. PASSIVE.
    pub NewRegistryKey: unsafe extern "system" fn(
        this: *mut c_void,
        OutRegistryKey: *mut *mut c_void,
        OuterUnknown: PUNKNOWN,
        RegistryKeyType: ULONG,
        DesiredAccess: ACCESS_MASK,
        ObjectAttributes: POBJECT_ATTRIBUTES,
        CreateOptions: ULONG,
        Disposition: *mut ULONG,
    ) -> NTSTATUS,
}

/// The port of a topology filter.
#[repr(C)]
pub struct IPortTopology {
    /// Its table.
    pub lpVtbl: *const IPortTopologyVtbl,
}

/// Identifier of [`IPortTopology`].
pub const IID_IPortTopology: GUID = GUID::from_u128(0xb4c90a30_5791_11d0_86f9_00a0c911b544);
/// Class to pass to `PcNewPort` for an [`IPortTopology`].
pub const CLSID_PortTopology: GUID = GUID::from_u128(0xb4c90a32_5791_11d0_86f9_00a0c911b544);

/// Table of [`IPortTopology`]; it adds nothing.
#[repr(C)]
pub struct IPortTopologyVtbl {
    /// Slots 0 to 5.
    pub base: IPortVtbl,
}

/// The port of a WaveRT filter.
#[repr(C)]
pub struct IPortWaveRT {
    /// Its table.
    pub lpVtbl: *const IPortWaveRTVtbl,
}

/// Identifier of [`IPortWaveRT`].
pub const IID_IPortWaveRT: GUID = GUID::from_u128(0x339ff909_68a9_4310_b09b_274e96ee4cbd);
/// Class to pass to `PcNewPort` for an [`IPortWaveRT`].
pub const CLSID_PortWaveRT: GUID = GUID::from_u128(0xcc9be57a_eb9e_42b4_94fc_0cad3dbce7fa);

/// Table of [`IPortWaveRT`]; it adds nothing.
#[repr(C)]
pub struct IPortWaveRTVtbl {
    /// Slots 0 to 5.
    pub base: IPortVtbl,
}

/// The port's side of a WaveRT stream: allocates the memory of the cyclic buffer.
#[repr(C)]
pub struct IPortWaveRTStream {
    /// Its table.
    pub lpVtbl: *const IPortWaveRTStreamVtbl,
}

/// Identifier of [`IPortWaveRTStream`].
pub const IID_IPortWaveRTStream: GUID = GUID::from_u128(0x1809ce5a_64bc_4e62_bd7d_95bce43de393);

/// Table of [`IPortWaveRTStream`].
#[repr(C)]
pub struct IPortWaveRTStreamVtbl {
    /// Slots 0 to 2.
    pub base: IUnknownVtbl,
    /// Allocates locked pages; null on failure, and possibly fewer bytes than asked for. PASSIVE.
    pub AllocatePagesForMdl: unsafe extern "system" fn(
        this: *mut c_void,
        HighAddress: PHYSICAL_ADDRESS,
        TotalBytes: SIZE_T,
    ) -> PMDL,
    /// Allocates locked pages that follow each other in physical memory; null on failure. PASSIVE.
    pub AllocateContiguousPagesForMdl: unsafe extern "system" fn(
        this: *mut c_void,
        LowAddress: PHYSICAL_ADDRESS,
        HighAddress: PHYSICAL_ADDRESS,
        TotalBytes: SIZE_T,
    ) -> PMDL,
    /// Maps the pages into the kernel's address space; null on failure. PASSIVE.
    pub MapAllocatedPages: unsafe extern "system" fn(
        this: *mut c_void,
        MemoryDescriptorList: PMDL,
        CacheType: MEMORY_CACHING_TYPE,
    ) -> PVOID,
    /// Removes a mapping. PASSIVE.
    pub UnmapAllocatedPages:
        unsafe extern "system" fn(this: *mut c_void, BaseAddress: PVOID, MemoryDescriptorList: PMDL),
    /// Frees the pages and their MDL. PASSIVE.
    pub FreePagesFromMdl: unsafe extern "system" fn(this: *mut c_void, MemoryDescriptorList: PMDL),
    /// Counts the pages. PASSIVE.
    pub GetPhysicalPagesCount:
        unsafe extern "system" fn(this: *mut c_void, MemoryDescriptorList: PMDL) -> ULONG,
    /// Writes the physical address of a page to `Address` and returns `Address`. PASSIVE.
    ///
    /// In C++ it returns a `PHYSICAL_ADDRESS`. Microsoft's compiler returns a union from a member function
    /// through a pointer that follows `this`, however small the union is.
    pub GetPhysicalPageAddress: unsafe extern "system" fn(
        this: *mut c_void,
        Address: *mut PHYSICAL_ADDRESS,
        MemoryDescriptorList: PMDL,
        Index: ULONG,
    ) -> *mut PHYSICAL_ADDRESS,
}

/// Undoes `PcRegisterSubdevice`. A port implements it.
#[repr(C)]
pub struct IUnregisterSubdevice {
    /// Its table.
    pub lpVtbl: *const IUnregisterSubdeviceVtbl,
}

/// Identifier of [`IUnregisterSubdevice`].
pub const IID_IUnregisterSubdevice: GUID = GUID::from_u128(0x16738177_e199_41f9_9a87_abb2a5432f21);

/// Table of [`IUnregisterSubdevice`].
#[repr(C)]
pub struct IUnregisterSubdeviceVtbl {
    /// Slots 0 to 2.
    pub base: IUnknownVtbl,
    /// Removes the filter of port `Unknown` from the device. PASSIVE.
    pub UnregisterSubdevice: unsafe extern "system" fn(
        this: *mut c_void,
        DeviceObject: PDEVICE_OBJECT,
        Unknown: PUNKNOWN,
    ) -> NTSTATUS,
}

/// Undoes `PcRegisterPhysicalConnection`. A port implements it.
#[repr(C)]
pub struct IUnregisterPhysicalConnection {
    /// Its table.
    pub lpVtbl: *const IUnregisterPhysicalConnectionVtbl,
}

/// Identifier of [`IUnregisterPhysicalConnection`].
pub const IID_IUnregisterPhysicalConnection: GUID = GUID::from_u128(0x6c38e231_2a0d_428d_81f8_07cc428bb9a4);

/// Table of [`IUnregisterPhysicalConnection`].
#[repr(C)]
pub struct IUnregisterPhysicalConnectionVtbl {
    /// Slots 0 to 2.
    pub base: IUnknownVtbl,
    /// Removes a connection between two filters of the device. PASSIVE.
    pub UnregisterPhysicalConnection: unsafe extern "system" fn(
        this: *mut c_void,
        DeviceObject: PDEVICE_OBJECT,
        FromUnknown: PUNKNOWN,
        FromPin: ULONG,
        ToUnknown: PUNKNOWN,
        ToPin: ULONG,
    ) -> NTSTATUS,
    /// Removes a connection to another device. PASSIVE.
    pub UnregisterPhysicalConnectionToExternal: unsafe extern "system" fn(
        this: *mut c_void,
        DeviceObject: PDEVICE_OBJECT,
        FromUnknown: PUNKNOWN,
        FromPin: ULONG,
        ToString: PUNICODE_STRING,
        ToPin: ULONG,
    ) -> NTSTATUS,
    /// Removes a connection from another device. PASSIVE.
    pub UnregisterPhysicalConnectionFromExternal: unsafe extern "system" fn(
        this: *mut c_void,
        DeviceObject: PDEVICE_OBJECT,
        FromString: PUNICODE_STRING,
        FromPin: ULONG,
        ToUnknown: PUNKNOWN,
        ToPin: ULONG,
    ) -> NTSTATUS,
}
