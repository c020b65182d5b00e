//! Plug and play notifications and device control codes.

use super::{FileObject, Guid, NtStatus, Pvoid, UnicodeString};
use crate::layout;

/// GUID_DEVICE_INTERFACE_ARRIVAL.
pub const DEVICE_INTERFACE_ARRIVAL: Guid = Guid::from_u128(0xcb3a4004_46f0_11d0_b08f_00609713053f);
/// GUID_DEVICE_INTERFACE_REMOVAL.
pub const DEVICE_INTERFACE_REMOVAL: Guid = Guid::from_u128(0xcb3a4005_46f0_11d0_b08f_00609713053f);
/// GUID_TARGET_DEVICE_QUERY_REMOVE.
pub const TARGET_DEVICE_QUERY_REMOVE: Guid = Guid::from_u128(0xcb3a4006_46f0_11d0_b08f_00609713053f);
/// GUID_TARGET_DEVICE_REMOVE_CANCELLED.
pub const TARGET_DEVICE_REMOVE_CANCELLED: Guid = Guid::from_u128(0xcb3a4007_46f0_11d0_b08f_00609713053f);
/// GUID_TARGET_DEVICE_REMOVE_COMPLETE.
pub const TARGET_DEVICE_REMOVE_COMPLETE: Guid = Guid::from_u128(0xcb3a4008_46f0_11d0_b08f_00609713053f);

/// DEVICE_INTERFACE_CHANGE_NOTIFICATION.
#[repr(C)]
#[derive(Clone, Copy)]
#[expect(missing_docs, reason = "the fields of wdm.h")]
pub struct DeviceInterfaceChangeNotification {
    pub version: u16,
    pub size: u16,
    pub event: Guid,
    pub interface_class: Guid,
    pub symbolic_link_name: *mut UnicodeString,
}
layout!(DeviceInterfaceChangeNotification, 0x30, event: 4, interface_class: 20, symbolic_link_name: 0x28);

/// TARGET_DEVICE_REMOVAL_NOTIFICATION.
#[repr(C)]
#[derive(Clone, Copy)]
#[expect(missing_docs, reason = "the fields of wdm.h")]
pub struct TargetDeviceRemovalNotification {
    pub version: u16,
    pub size: u16,
    pub event: Guid,
    pub file_object: *mut FileObject,
}
layout!(TargetDeviceRemovalNotification, 0x20, event: 4, file_object: 0x18);

/// DRIVER_NOTIFICATION_CALLBACK_ROUTINE.
pub type NotificationCallback = unsafe extern "efiapi" fn(notification: Pvoid, context: Pvoid) -> NtStatus;

/// Values of IO_NOTIFICATION_EVENT_CATEGORY.
#[expect(missing_docs, reason = "the values of wdm.h")]
pub mod event_category {
    pub const HARDWARE_PROFILE_CHANGE: u32 = 1;
    pub const DEVICE_INTERFACE_CHANGE: u32 = 2;
    pub const TARGET_DEVICE_CHANGE: u32 = 3;
}

/// PNPNOTIFY_DEVICE_INTERFACE_INCLUDE_EXISTING_INTERFACES.
pub const INCLUDE_EXISTING_INTERFACES: u32 = 1;
/// DEVICE_INTERFACE_INCLUDE_NONACTIVE.
pub const INCLUDE_NONACTIVE: u32 = 1;

/// CTL_CODE: how a driver numbers its control codes.
pub const fn control_code(device_type: u32, function: u32, method: u32, access: u32) -> u32 {
    device_type << 16 | access << 14 | function << 2 | method
}

/// The method in a control code: how its buffers are passed.
#[expect(missing_docs, reason = "the values of wdm.h")]
pub mod method {
    pub const BUFFERED: u32 = 0;
    pub const IN_DIRECT: u32 = 1;
    pub const OUT_DIRECT: u32 = 2;
    pub const NEITHER: u32 = 3;
}

/// Values of `Irp::flags`.
#[expect(missing_docs, reason = "the values of wdm.h")]
pub mod irp_flags {
    pub const SYNCHRONOUS_API: u32 = 0x04;
    pub const CREATE_OPERATION: u32 = 0x08;
    pub const BUFFERED_IO: u32 = 0x10;
    pub const DEALLOCATE_BUFFER: u32 = 0x20;
    pub const INPUT_OPERATION: u32 = 0x40;
    pub const CLOSE_OPERATION: u32 = 0x400;
}

/// Values of `FileObject::flags`.
#[expect(missing_docs, reason = "the values of wdm.h")]
pub mod file_flags {
    pub const SYNCHRONOUS_IO: u32 = 0x0000_0002;
    pub const ALERTABLE_IO: u32 = 0x0000_0004;
    pub const CLEANUP_COMPLETE: u32 = 0x0000_4000;
    pub const HANDLE_CREATED: u32 = 0x0004_0000;
}

/// Values of the options with which files are opened.
#[expect(missing_docs, reason = "the values of wdm.h")]
pub mod file_options {
    pub const SYNCHRONOUS_IO_ALERT: u32 = 0x10;
    pub const SYNCHRONOUS_IO_NONALERT: u32 = 0x20;
}

/// SYNCHRONIZE, an access right.
pub const SYNCHRONIZE: u32 = 0x0010_0000;
/// FILE_OPENED: what was done to open a file that was there.
pub const FILE_OPENED: usize = 1;
