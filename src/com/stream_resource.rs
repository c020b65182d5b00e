//! Threads that PortCls knows to work for streams, so that Windows keeps other work out of their way.

use core::ptr::{NonNull, null_mut};

use wdk_sys::DEVICE_OBJECT;

use crate::abi::portcls::{
    PCSTREAMRESOURCE, PCSTREAMRESOURCE_DESCRIPTOR, PCSTREAMRESOURCE_DESCRIPTOR_RESOURCE, PcAddStreamResource,
    PcGetPhysicalDeviceObject, PcRemoveStreamResource, ePcStreamResourceThread,
};
use crate::kernel::handle::Object;
use crate::kernel::status::check;
use crate::kernel::{Result, Status};

/// The device at the bottom of the stack: the one that the bus has found. It outlives every stream.
#[derive(Clone, Copy)]
pub struct PhysicalDevice {
    raw: NonNull<DEVICE_OBJECT>,
}

// SAFETY: only its address is used, and device objects belong to no thread.
unsafe impl Send for PhysicalDevice {}
// SAFETY: as above.
unsafe impl Sync for PhysicalDevice {}

impl PhysicalDevice {
    /// The physical device under a device that `PcAddAdapterDevice` made. PASSIVE_LEVEL.
    ///
    /// # Safety
    /// The device is one of ours, and it is not removed while the result is used.
    ///
    /// # Errors
    /// What PortCls says.
    pub unsafe fn below(device: *mut DEVICE_OBJECT) -> Result<Self> {
        let mut physical = null_mut();
        // SAFETY: by contract; the result goes to a local.
        check(unsafe { PcGetPhysicalDeviceObject(device, &raw mut physical) })?;
        Ok(Self { raw: NonNull::new(physical).ok_or(Status::UNSUCCESSFUL)? })
    }
}

/// A thread that is registered; no longer when this is dropped, which has to be before it ends. PASSIVE_LEVEL.
pub struct StreamResource {
    handle: PCSTREAMRESOURCE,
    /// PortCls uses the object as long as it is registered.
    _thread: Object,
}

// SAFETY: the handle may be given back in any thread.
unsafe impl Send for StreamResource {}
// SAFETY: `&StreamResource` does nothing.
unsafe impl Sync for StreamResource {}

impl StreamResource {
    /// Registers a thread that runs.
    ///
    /// # Errors
    /// What PortCls says; audio plays without it, too.
    pub fn add(device: PhysicalDevice, thread: Object) -> Result<Self> {
        let mut descriptor = PCSTREAMRESOURCE_DESCRIPTOR {
            Size: size_of::<PCSTREAMRESOURCE_DESCRIPTOR>() as u32,
            Flags: 0,
            Pdo: device.raw.as_ptr(),
            Type: ePcStreamResourceThread,
            Resource: PCSTREAMRESOURCE_DESCRIPTOR_RESOURCE { Thread: thread.as_ptr().cast() },
        };
        let mut handle: PCSTREAMRESOURCE = null_mut();
        let physical = device.raw.as_ptr();
        // SAFETY: the device is live, the thread runs and is referenced, and the pointers are to locals.
        check(unsafe { PcAddStreamResource(physical, null_mut(), &raw mut descriptor, &raw mut handle) })?;
        Ok(Self { handle, _thread: thread })
    }
}

impl Drop for StreamResource {
    fn drop(&mut self) {
        // There is nothing to be done about a failure.
        // SAFETY: the handle came from a registration and is not used again.
        let _ = unsafe { PcRemoveStreamResource(self.handle) };
    }
}
