//! Being told that a device of another driver is about to go.

use core::ffi::c_void;
use core::ptr::{NonNull, null_mut};

use wdk_sys::ntddk::{IoRegisterPlugPlayNotification, IoUnregisterPlugPlayNotificationEx};
use wdk_sys::{
    _IO_NOTIFICATION_EVENT_CATEGORY, DRIVER_OBJECT, NTSTATUS, PVOID, STATUS_SUCCESS,
    TARGET_DEVICE_REMOVAL_NOTIFICATION,
};

use super::handle::Object;
use super::memory::Shared;
use super::status::{Result, Status, check};
use crate::abi::{GUID, same_guid};

pub(crate) const GUID_TARGET_DEVICE_QUERY_REMOVE: GUID =
    GUID::from_u128(0xCB3A4006_46F0_11D0_B08F_00609713053F);
pub(crate) const GUID_TARGET_DEVICE_REMOVE_CANCELLED: GUID =
    GUID::from_u128(0xCB3A4007_46F0_11D0_B08F_00609713053F);
pub(crate) const GUID_TARGET_DEVICE_REMOVE_COMPLETE: GUID =
    GUID::from_u128(0xCB3A4008_46F0_11D0_B08F_00609713053F);

/// The driver's object, which Windows keeps as long as a registration is left.
#[derive(Clone, Copy)]
pub struct DriverObject(NonNull<DRIVER_OBJECT>);

// SAFETY: the object is only handed to Windows.
unsafe impl Send for DriverObject {}
// SAFETY: as above.
unsafe impl Sync for DriverObject {}

impl DriverObject {
    /// `None` for a null pointer.
    ///
    /// # Safety
    /// `raw` is null or the object of this driver.
    pub const unsafe fn new(raw: *mut DRIVER_OBJECT) -> Option<Self> {
        match NonNull::new(raw) {
            Some(raw) => Some(Self(raw)),
            None => None,
        }
    }
}

/// What happens to a device.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It shall be removed: whoever has it open closes it before this notice returns, or it stays.
    Asked,
    /// It stays. It may be opened again, with a new registration.
    Cancelled,
    /// It has gone; if nobody asked before, by surprise.
    Complete,
}

/// Is told what happens to a device.
pub trait Observer: Send + Sync + 'static {
    /// Runs in a thread of Windows at PASSIVE_LEVEL, one at a time, and does not block.
    fn removal(&self, removal: Removal);
}

/// A registration of an observer; ended when dropped, at PASSIVE_LEVEL, with no lock held that the observer takes.
pub struct Registration<O> {
    entry: NonNull<c_void>,
    /// Windows has a pointer to it until the registration ends.
    observer: Shared<O>,
}

// SAFETY: a registration belongs to no thread.
unsafe impl<O: Observer> Send for Registration<O> {}

impl<O: Observer> Registration<O> {
    /// Lets `observer` be told of the device that a file is open on. The file may be closed before the registration
    /// ends. PASSIVE_LEVEL.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`, or what the plug-and-play manager says.
    pub fn try_new(driver: DriverObject, file: &Object, observer: Shared<O>) -> Result<Self> {
        let mut entry = null_mut();
        let context = core::ptr::from_ref(&*observer).cast_mut().cast();
        // SAFETY: the file's object is referenced during the call, the driver's object is this driver's, and the observer
        // lives until no callback runs any more (see `Drop`).
        check(unsafe {
            IoRegisterPlugPlayNotification(
                _IO_NOTIFICATION_EVENT_CATEGORY::EventCategoryTargetDeviceChange,
                0,
                file.as_ptr(),
                driver.0.as_ptr(),
                Some(notify::<O>),
                context,
                &raw mut entry,
            )
        })?;
        Ok(Self { entry: NonNull::new(entry).ok_or(Status::UNSUCCESSFUL)?, observer })
    }

    /// Who is told.
    pub fn observer(&self) -> &O {
        &self.observer
    }
}

impl<O> Drop for Registration<O> {
    fn drop(&mut self) {
        // Waits for a callback that runs. There is nothing to be done about a failure.
        // SAFETY: the entry is that of a registration that has not ended.
        let _ = unsafe { IoUnregisterPlugPlayNotificationEx(self.entry.as_ptr()) };
    }
}

/// Never refuses a removal: the observer has closed the device.
unsafe extern "C" fn notify<O: Observer>(notification: PVOID, context: PVOID) -> NTSTATUS {
    // SAFETY: every notification begins as this one does.
    let event = unsafe { (*notification.cast::<TARGET_DEVICE_REMOVAL_NOTIFICATION>()).Event };
    let event = GUID { data1: event.Data1, data2: event.Data2, data3: event.Data3, data4: event.Data4 };
    // SAFETY: the context is the observer of a registration that has not ended.
    let observer = unsafe { &*context.cast::<O>() };
    if same_guid(&event, &GUID_TARGET_DEVICE_QUERY_REMOVE) {
        observer.removal(Removal::Asked);
    } else if same_guid(&event, &GUID_TARGET_DEVICE_REMOVE_CANCELLED) {
        observer.removal(Removal::Cancelled);
    } else if same_guid(&event, &GUID_TARGET_DEVICE_REMOVE_COMPLETE) {
        observer.removal(Removal::Complete);
    }
    STATUS_SUCCESS
}
