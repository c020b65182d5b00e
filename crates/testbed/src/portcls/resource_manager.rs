//! PcAddStreamResource and IPortClsStreamResourceManager: a driver says which threads work for its streams.

use std::cell::{Cell, RefCell};

use super::abi::{StreamResourceDescriptor, stream_resource};
use super::adapter;
use super::interfaces::Unknown;
use super::served::UNKNOWN;
use crate::import;
use crate::kernel::thread;
use crate::machine::machine;
use crate::nt::{DeviceObject, NtStatus, Pvoid};
use crate::schedule::PASSIVE_LEVEL;
use crate::verifier::{Rule, record};

#[repr(C)]
struct ResourceManager {
    unknown: Unknown,
    add: unsafe extern "efiapi" fn(Pvoid, Pvoid, *const StreamResourceDescriptor, *mut Pvoid) -> NtStatus,
    remove: unsafe extern "efiapi" fn(Pvoid, Pvoid) -> NtStatus,
    add2: unsafe extern "efiapi" fn(
        Pvoid,
        *mut DeviceObject,
        Pvoid,
        *const StreamResourceDescriptor,
        *mut Pvoid,
    ) -> NtStatus,
}

static TABLE: ResourceManager = ResourceManager {
    unknown: UNKNOWN,
    add: IPortClsStreamResourceManager_AddStreamResource,
    remove: IPortClsStreamResourceManager_RemoveStreamResource,
    add2: IPortClsStreamResourceManager2_AddStreamResource2,
};

pub(super) fn table() -> *const Unknown {
    (&raw const TABLE).cast()
}

/// The resources that were added and not removed: handle and thread.
#[derive(Default)]
struct Resources {
    next: Cell<usize>,
    added: RefCell<Vec<(usize, usize)>>,
}

import! {
    /// Adds a resource of a stream.
    fn IPortClsStreamResourceManager_AddStreamResource(this: Pvoid, set: Pvoid, descriptor: *const StreamResourceDescriptor,
        handle: *mut Pvoid) -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = (this, set);
        add(descriptor, handle)
    }

    /// Adds a resource of a stream, for a given device.
    fn IPortClsStreamResourceManager2_AddStreamResource2(this: Pvoid, pdo: *mut DeviceObject, set: Pvoid,
        descriptor: *const StreamResourceDescriptor, handle: *mut Pvoid) -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = (this, pdo, set);
        add(descriptor, handle)
    }

    /// Removes a resource again.
    fn IPortClsStreamResourceManager_RemoveStreamResource(this: Pvoid, handle: Pvoid) -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = this;
        remove(handle)
    }

    /// Adds a resource of a stream.
    pub(super) fn PcAddStreamResource(pdo: *mut DeviceObject, set: Pvoid, descriptor: *const StreamResourceDescriptor,
        handle: *mut Pvoid) -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = set;
        if !adapter::is_physical_device(pdo) {
            record(Rule::Argument, "PcAddStreamResource: the device object is not the physical device of an adapter");
            return NtStatus::INVALID_PARAMETER;
        }
        add(descriptor, handle)
    }

    /// Removes a resource again.
    pub(super) fn PcRemoveStreamResource(handle: Pvoid) -> NtStatus, irql <= PASSIVE_LEVEL; {
        remove(handle)
    }
}

fn remove(handle: Pvoid) -> NtStatus {
    let resources = machine().part::<Resources>();
    let mut added = resources.added.borrow_mut();
    match added.iter().position(|(known, _)| *known == handle.addr()) {
        Some(index) => {
            added.remove(index);
            NtStatus::SUCCESS
        }
        None => {
            record(Rule::Argument, "RemoveStreamResource: no such resource");
            NtStatus::INVALID_PARAMETER
        }
    }
}

/// Called when a thread of a driver ends.
pub(super) fn thread_ends(thread: usize) {
    let resources = machine().part::<Resources>();
    if resources.added.borrow().iter().any(|(_, resource)| *resource == thread) {
        record(Rule::Object, "a thread ends that is still a stream resource");
    }
}

fn add(descriptor: *const StreamResourceDescriptor, handle: *mut Pvoid) -> NtStatus {
    if descriptor.is_null() || handle.is_null() {
        record(Rule::Argument, "AddStreamResource was called with a null pointer");
        return NtStatus::INVALID_PARAMETER;
    }
    // SAFETY: the driver's structure, which it has filled.
    let descriptor = unsafe { *descriptor };
    let size_is_right = descriptor.size as usize == size_of::<StreamResourceDescriptor>();
    if !size_is_right || descriptor.flags != 0 || descriptor.kind > stream_resource::SET {
        record(
            Rule::Argument,
            "AddStreamResource: PCSTREAMRESOURCE_DESCRIPTOR has a wrong size, flags or type",
        );
        return NtStatus::INVALID_PARAMETER;
    }
    if !adapter::is_physical_device(descriptor.pdo) {
        record(
            Rule::Argument,
            "AddStreamResource: the device object is not the physical device of an adapter",
        );
        return NtStatus::INVALID_PARAMETER;
    }
    if descriptor.kind == stream_resource::THREAD && thread::own_references(descriptor.resource[0]) == 0 {
        record(Rule::Argument, "AddStreamResource: no thread that runs");
        return NtStatus::INVALID_PARAMETER;
    }
    let resources = machine().part::<Resources>();
    let number = resources.next.get() + 1;
    resources.next.set(number);
    resources.added.borrow_mut().push((number, descriptor.resource[0]));
    // SAFETY: the driver's variable, which the call fills.
    unsafe { handle.write(std::ptr::without_provenance_mut(number)) };
    NtStatus::SUCCESS
}

/// How many resources are added now.
pub(super) fn count() -> usize {
    machine().part::<Resources>().added.borrow().len()
}

/// Records resources that were not removed, when nothing may be left.
pub(super) fn check_gone(when: &str) {
    let left = machine().part::<Resources>().added.take().len();
    if left > 0 {
        record(Rule::Com, format!("{left} stream resources were not removed {when}"));
    }
}
