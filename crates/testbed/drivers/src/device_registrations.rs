//! What a driver asks its port to undo, and the resources of streams: the cases in which it asks for nonsense.

use core::ptr::{null, null_mut};

use crate::device::{
    Foreign, Guid, PcGetPhysicalDeviceObject, PcRegisterPhysicalConnection, UNREGISTER, bent, method,
    of_group,
};
use crate::nt::*;
use crate::threads;

const DISCONNECT: Guid = Guid(0x6C38_E231, 0x2A0D, 0x428D, [0x81, 0xF8, 0x07, 0xCC, 0x42, 0x8B, 0xB9, 0xA4]);
const RESOURCES: Guid = Guid(0xE1CD_9915, 0xCAB1, 0x4103, [0xBB, 0x2F, 0x7D, 0xC0, 0x9C, 0x9B, 0xE9, 0x42]);

/// IUnregisterSubdevice::UnregisterSubdevice.
type Unregister = unsafe extern "system" fn(*mut Foreign, *mut DeviceObject, *mut Foreign) -> NtStatus;
/// IUnregisterPhysicalConnection::UnregisterPhysicalConnection.
type Disconnect = unsafe extern "system" fn(
    *mut Foreign,
    *mut DeviceObject,
    *mut Foreign,
    u32,
    *mut Foreign,
    u32,
) -> NtStatus;
/// IPortClsStreamResourceManager::AddStreamResource.
type Add = unsafe extern "system" fn(*mut Foreign, Pvoid, *const Resource, *mut Pvoid) -> NtStatus;
/// IPortClsStreamResourceManager::RemoveStreamResource.
type Remove = unsafe extern "system" fn(*mut Foreign, Pvoid) -> NtStatus;

/// PCSTREAMRESOURCE_DESCRIPTOR.
#[repr(C)]
struct Resource {
    bytes: u32,
    flags: u32,
    physical: Pvoid,
    kind: u32,
    thread: [Pvoid; 2],
}

#[link(name = "portcls.sys", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "system" {
    fn PcAddStreamResource(
        physical: *mut DeviceObject,
        set: Pvoid,
        resource: *const Resource,
        handle: *mut Pvoid,
    ) -> NtStatus;
    fn PcRemoveStreamResource(handle: Pvoid) -> NtStatus;
}

const _: () = assert!(size_of::<Resource>() == 40);

/// An interface of the port, for the time of a call.
unsafe fn with(port: *mut Foreign, iid: &Guid, body: impl FnOnce(*mut Foreign)) {
    let mut face = null_mut();
    ((*(*port).table).query)(port, iid, &mut face);
    body(face);
    ((*(*face).table).release)(face);
}

/// The one mistake, if the case is one of this file.
///
/// # Safety
/// The device and its registered port.
pub unsafe fn spoil(device: *mut DeviceObject, port: *mut Foreign, again: impl FnOnce() -> NtStatus) {
    if bent("pc_unregistered_no_port") || bent("pc_unregistered_twice") {
        with(port, &UNREGISTER, |face| {
            // SAFETY: wrong on purpose is only the object, or that it happens twice.
            unsafe { unregister(method(face, 3), face, device, port) };
        });
        if bent("pc_unregistered_twice") {
            again();
        }
    }
    if bent("pc_disconnected_no_port") || bent("pc_disconnected_twice") {
        with(port, &DISCONNECT, |face| {
            // SAFETY: as above.
            unsafe { disconnect(method(face, 3), face, device, port) };
        });
    }
    with(port, &RESOURCES, |face| {
        // SAFETY: as above.
        unsafe { resources(method(face, 3), method(face, 4), face, device) };
    });
}

unsafe fn unregister(
    function: Unregister,
    face: *mut Foreign,
    device: *mut DeviceObject,
    port: *mut Foreign,
) {
    if bent("pc_unregistered_no_port") {
        function(face, device, slot(0));
    } else {
        function(face, device, port);
        function(face, device, port);
    }
}

unsafe fn disconnect(
    function: Disconnect,
    face: *mut Foreign,
    device: *mut DeviceObject,
    port: *mut Foreign,
) {
    if bent("pc_disconnected_no_port") {
        function(face, device, port, 1, slot(0), 1);
    } else {
        function(face, device, port, 1, port, 1);
        function(face, device, port, 1, port, 1);
        PcRegisterPhysicalConnection(device, port, 1, port, 1);
    }
}

unsafe fn resources(add: Add, remove: Remove, face: *mut Foreign, device: *mut DeviceObject) {
    let mut physical = null_mut();
    PcGetPhysicalDeviceObject(device, &mut physical);
    let other = bent("pc_resource_of_other_device");
    let resource = Resource {
        bytes: if bent("pc_resource_size") { 32 } else { 40 },
        flags: 0,
        physical: if other { slot(0) } else { physical },
        kind: 1,
        thread: [
            if bent("pc_resource_without_thread") { null_mut() } else { KeGetCurrentThread() },
            null_mut(),
        ],
    };
    let mut handle = null_mut();
    let given = if bent("pc_resource_null") { null() } else { &raw const resource };
    let added = add(face, null_mut(), given, &mut handle);
    if added == SUCCESS && !bent("com_resource_left") {
        remove(face, handle);
    }
    if bent("pc_resource_unknown") {
        remove(face, handle);
    }
    if of_group("pc_resource_by_function") {
        let physical = if bent("pc_resource_by_function") { slot(0) } else { physical.cast() };
        if PcAddStreamResource(physical, null_mut(), &resource, &mut handle) == SUCCESS {
            PcRemoveStreamResource(handle);
        }
    }
    if of_group("pc_resource_of_ended_thread") {
        own_thread(add, remove, face, resource);
    }
}

unsafe extern "system" fn brief(_context: Pvoid) {
    sleep(1);
}

/// A thread of the driver's own as a resource.
unsafe fn own_thread(add: Add, remove: Remove, face: *mut Foreign, mut resource: Resource) {
    let thread = threads::start(brief, null_mut());
    let object = threads::object_of(thread);
    resource.thread[0] = object;
    let mut handle = null_mut();
    add(face, null_mut(), &resource, &mut handle);
    if bent("pc_resource_of_ended_thread") {
        sleep(2);
    }
    remove(face, handle);
    ObfDereferenceObject(object);
    threads::join(thread);
}
