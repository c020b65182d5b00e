//! What `portcls.sys` exports.
#![expect(unsafe_code, reason = "imported functions")]

use core::ffi::c_void;

use wdk_sys::{
    NTSTATUS, PDEVICE_OBJECT, PDRIVER_ADD_DEVICE, PDRIVER_OBJECT, PIRP, PUNICODE_STRING, PVOID, PWSTR, ULONG,
};

use super::{IPort, IResourceList, PCSTREAMRESOURCE, PCSTREAMRESOURCE_DESCRIPTOR, PUNKNOWN};
use crate::abi::GUID;

/// Starts the device: creates its ports and registers its filters. PASSIVE.
pub type PCPFNSTARTDEVICE = unsafe extern "system" fn(
    DeviceObject: PDEVICE_OBJECT,
    Irp: PIRP,
    ResourceList: *mut IResourceList,
) -> NTSTATUS;

unsafe extern "system" {
    /// Lets PortCls handle the driver's requests. PASSIVE.
    pub fn PcInitializeAdapterDriver(
        DriverObject: PDRIVER_OBJECT,
        RegistryPathName: PUNICODE_STRING,
        AddDevice: PDRIVER_ADD_DEVICE,
    ) -> NTSTATUS;

    /// Creates the functional device object; at most `MaxObjects` filters can be registered. PASSIVE.
    pub fn PcAddAdapterDevice(
        DriverObject: PDRIVER_OBJECT,
        PhysicalDeviceObject: PDEVICE_OBJECT,
        StartDevice: PCPFNSTARTDEVICE,
        MaxObjects: ULONG,
        DeviceExtensionSize: ULONG,
    ) -> NTSTATUS;

    /// Handles a request as PortCls does by default. PASSIVE or as the request allows.
    pub fn PcDispatchIrp(pDeviceObject: PDEVICE_OBJECT, pIrp: PIRP) -> NTSTATUS;

    /// Creates a port; the caller owns the reference. PASSIVE.
    pub fn PcNewPort(OutPort: *mut *mut IPort, ClassID: *const GUID) -> NTSTATUS;

    /// Registers a filter under the reference string of the INF, `Name`. PASSIVE.
    pub fn PcRegisterSubdevice(DeviceObject: PDEVICE_OBJECT, Name: PWSTR, Unknown: PUNKNOWN) -> NTSTATUS;

    /// Connects a pin of one filter with a pin of another. PASSIVE.
    pub fn PcRegisterPhysicalConnection(
        DeviceObject: PDEVICE_OBJECT,
        FromUnknown: PUNKNOWN,
        FromPin: ULONG,
        ToUnknown: PUNKNOWN,
        ToPin: ULONG,
    ) -> NTSTATUS;

    /// Registers an `IAdapterPowerManagement`; `pvContext1` is the device object. PASSIVE.
    pub fn PcRegisterAdapterPowerManagement(Unknown: PUNKNOWN, pvContext1: *mut c_void) -> NTSTATUS;

    /// Undoes `PcRegisterAdapterPowerManagement`. PASSIVE.
    pub fn PcUnregisterAdapterPowerManagement(pDeviceObject: PDEVICE_OBJECT) -> NTSTATUS;

    /// Adds a resource that streams depend on; a thread must exist. `ResourceSet` is null. PASSIVE.
    pub fn PcAddStreamResource(
        PhysicalDeviceObject: PDEVICE_OBJECT,
        ResourceSet: PVOID,
        ResourceDescriptor: *mut PCSTREAMRESOURCE_DESCRIPTOR,
        ResourceHandle: *mut PCSTREAMRESOURCE,
    ) -> NTSTATUS;

    /// Undoes `PcAddStreamResource`; a thread must still exist. PASSIVE.
    pub fn PcRemoveStreamResource(ResourceHandle: PCSTREAMRESOURCE) -> NTSTATUS;

    /// Gives the physical device object that was passed to `PcAddAdapterDevice`. PASSIVE.
    pub fn PcGetPhysicalDeviceObject(
        pDeviceObject: PDEVICE_OBJECT,
        ppPhysicalObject: *mut PDEVICE_OBJECT,
    ) -> NTSTATUS;
}
