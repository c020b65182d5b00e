//! I/O request packets, devices, drivers and files.

use super::{KDpc, KEvent, ListEntry, Mdl, NtStatus, Pvoid, UnicodeString};
use crate::layout;

/// IO_STATUS_BLOCK.
#[repr(C)]
#[derive(Clone, Copy)]
#[expect(missing_docs, reason = "the fields of wdm.h")]
pub struct IoStatusBlock {
    pub status: NtStatus,
    pub information: usize,
}
layout!(IoStatusBlock, 16, information: 8);

/// DRIVER_CANCEL.
pub type CancelRoutine = unsafe extern "efiapi" fn(device: *mut DeviceObject, irp: *mut Irp);
/// IO_COMPLETION_ROUTINE.
pub type CompletionRoutine =
    unsafe extern "efiapi" fn(device: *mut DeviceObject, irp: *mut Irp, context: Pvoid) -> NtStatus;

/// IRP: an I/O request packet. Its stack locations follow it.
#[repr(C)]
#[expect(missing_docs, reason = "the fields of wdm.h")]
pub struct Irp {
    pub kind: i16,
    /// Bytes, with the stack locations.
    pub size: u16,
    pub allocation_processor: u16,
    pub reserved: u16,
    pub mdl_address: *mut Mdl,
    pub flags: u32,
    /// A union: the system buffer, the master request, or their number.
    pub associated: Pvoid,
    pub thread_list_entry: ListEntry,
    pub io_status: IoStatusBlock,
    pub requestor_mode: i8,
    pub pending_returned: u8,
    pub stack_count: i8,
    pub current_location: i8,
    pub cancel: u8,
    pub cancel_irql: u8,
    pub apc_environment: i8,
    pub allocation_flags: u8,
    pub user_iosb: *mut IoStatusBlock,
    pub user_event: *mut KEvent,
    pub overlay: [Pvoid; 2],
    pub cancel_routine: Option<CancelRoutine>,
    pub user_buffer: Pvoid,
    pub driver_context: [Pvoid; 4],
    pub thread: Pvoid,
    pub auxiliary_buffer: *mut u8,
    pub list_entry: ListEntry,
    pub current_stack_location: *mut IoStackLocation,
    pub original_file_object: *mut FileObject,
    pub irp_extension: Pvoid,
}
layout!(Irp, 0xD0, mdl_address: 8, flags: 0x10, associated: 0x18, thread_list_entry: 0x20, io_status: 0x30,
    requestor_mode: 0x40, stack_count: 0x42, current_location: 0x43, cancel: 0x44, user_iosb: 0x48, user_event: 0x50,
    overlay: 0x58, cancel_routine: 0x68, user_buffer: 0x70, driver_context: 0x78, thread: 0x98, list_entry: 0xA8,
    current_stack_location: 0xB8, original_file_object: 0xC0);

/// The value of [`Irp::kind`].
pub const IO_TYPE_IRP: i16 = 6;
/// The value of [`DeviceObject::kind`].
pub const IO_TYPE_DEVICE: i16 = 3;
/// The value of [`DriverObject::kind`].
pub const IO_TYPE_DRIVER: i16 = 4;
/// The value of [`FileObject::kind`].
pub const IO_TYPE_FILE: i16 = 5;

/// Values of [`IoStackLocation::control`].
#[expect(missing_docs, reason = "the values of wdm.h")]
pub mod stack_control {
    pub const PENDING_RETURNED: u8 = 0x01;
    pub const INVOKE_ON_CANCEL: u8 = 0x20;
    pub const INVOKE_ON_SUCCESS: u8 = 0x40;
    pub const INVOKE_ON_ERROR: u8 = 0x80;
}

/// IO_STACK_LOCATION: one driver's part of a request.
#[repr(C)]
#[derive(Clone, Copy)]
#[expect(missing_docs, reason = "the fields of wdm.h")]
pub struct IoStackLocation {
    pub major_function: u8,
    pub minor_function: u8,
    pub flags: u8,
    pub control: u8,
    /// A union, four words; see [`DeviceIoControlParameters`], [`StartDeviceParameters`], [`PowerParameters`].
    pub parameters: [usize; 4],
    pub device_object: *mut DeviceObject,
    pub file_object: *mut FileObject,
    pub completion_routine: Option<CompletionRoutine>,
    pub context: Pvoid,
}
layout!(IoStackLocation, 72, parameters: 8, device_object: 0x28, file_object: 0x30, completion_routine: 0x38, context: 0x40);

/// `Parameters.DeviceIoControl`: 32-bit fields that are pointer aligned.
#[repr(C)]
#[derive(Clone, Copy)]
#[expect(missing_docs, reason = "the fields of wdm.h")]
pub struct DeviceIoControlParameters {
    pub output_buffer_length: u32,
    pub padding1: u32,
    pub input_buffer_length: u32,
    pub padding2: u32,
    pub io_control_code: u32,
    pub padding3: u32,
    pub type3_input_buffer: Pvoid,
}
layout!(DeviceIoControlParameters, 32, input_buffer_length: 8, io_control_code: 16, type3_input_buffer: 24);

/// `Parameters.StartDevice`.
#[repr(C)]
#[derive(Clone, Copy)]
#[expect(missing_docs, reason = "the fields of wdm.h")]
pub struct StartDeviceParameters {
    pub allocated_resources: Pvoid,
    pub allocated_resources_translated: Pvoid,
    pub unused: [usize; 2],
}
layout!(StartDeviceParameters, 32);

/// `Parameters.Power`.
#[repr(C)]
#[derive(Clone, Copy)]
#[expect(missing_docs, reason = "the fields of wdm.h")]
pub struct PowerParameters {
    pub system_context: u32,
    pub padding1: u32,
    /// 0 SystemPowerState, 1 DevicePowerState.
    pub kind: u32,
    pub padding2: u32,
    pub state: u32,
    pub padding3: u32,
    pub shutdown_type: u32,
    pub padding4: u32,
}
layout!(PowerParameters, 32, kind: 8, state: 16, shutdown_type: 24);

/// Major function codes.
#[expect(missing_docs, reason = "the values of wdm.h")]
pub mod major {
    pub const CREATE: u8 = 0x00;
    pub const CLOSE: u8 = 0x02;
    pub const READ: u8 = 0x03;
    pub const WRITE: u8 = 0x04;
    pub const DEVICE_CONTROL: u8 = 0x0E;
    pub const INTERNAL_DEVICE_CONTROL: u8 = 0x0F;
    pub const SHUTDOWN: u8 = 0x10;
    pub const CLEANUP: u8 = 0x12;
    pub const POWER: u8 = 0x16;
    pub const SYSTEM_CONTROL: u8 = 0x17;
    pub const PNP: u8 = 0x1B;
    /// IRP_MJ_MAXIMUM_FUNCTION.
    pub const MAXIMUM: u8 = 0x1B;
}

/// Minor function codes of plug and play requests.
#[expect(missing_docs, reason = "the values of wdm.h")]
pub mod pnp {
    pub const START_DEVICE: u8 = 0x00;
    pub const QUERY_REMOVE_DEVICE: u8 = 0x01;
    pub const REMOVE_DEVICE: u8 = 0x02;
    pub const CANCEL_REMOVE_DEVICE: u8 = 0x03;
    pub const STOP_DEVICE: u8 = 0x04;
    pub const QUERY_STOP_DEVICE: u8 = 0x05;
    pub const CANCEL_STOP_DEVICE: u8 = 0x06;
    pub const QUERY_DEVICE_RELATIONS: u8 = 0x07;
    pub const QUERY_INTERFACE: u8 = 0x08;
    pub const QUERY_CAPABILITIES: u8 = 0x09;
    pub const QUERY_RESOURCES: u8 = 0x0A;
    pub const QUERY_ID: u8 = 0x13;
    pub const QUERY_PNP_DEVICE_STATE: u8 = 0x14;
    pub const SURPRISE_REMOVAL: u8 = 0x17;
}

/// Minor function codes of power requests.
#[expect(missing_docs, reason = "the values of wdm.h")]
pub mod power {
    pub const WAIT_WAKE: u8 = 0x00;
    pub const SET_POWER: u8 = 0x02;
    pub const QUERY_POWER: u8 = 0x03;
}

/// DRIVER_DISPATCH.
pub type Dispatch = unsafe extern "efiapi" fn(device: *mut DeviceObject, irp: *mut Irp) -> NtStatus;
/// DRIVER_INITIALIZE.
pub type DriverInitialize =
    unsafe extern "efiapi" fn(driver: *mut DriverObject, path: *mut UnicodeString) -> NtStatus;
/// DRIVER_ADD_DEVICE.
pub type AddDevice = unsafe extern "efiapi" fn(driver: *mut DriverObject, pdo: *mut DeviceObject) -> NtStatus;
/// DRIVER_UNLOAD.
pub type DriverUnload = unsafe extern "efiapi" fn(driver: *mut DriverObject);

/// DEVICE_OBJECT.
#[repr(C, align(16))]
#[expect(missing_docs, reason = "the fields of wdm.h")]
pub struct DeviceObject {
    pub kind: i16,
    pub size: u16,
    pub reference_count: i32,
    pub driver_object: *mut DriverObject,
    pub next_device: *mut DeviceObject,
    pub attached_device: *mut DeviceObject,
    pub current_irp: *mut Irp,
    pub timer: Pvoid,
    pub flags: u32,
    pub characteristics: u32,
    pub vpb: Pvoid,
    pub device_extension: Pvoid,
    pub device_type: u32,
    pub stack_size: i8,
    pub queue: [usize; 9],
    pub alignment_requirement: u32,
    pub device_queue: [usize; 5],
    pub dpc: KDpc,
    pub active_thread_count: u32,
    pub security_descriptor: Pvoid,
    pub device_lock: KEvent,
    pub sector_size: u16,
    pub spare1: u16,
    pub device_object_extension: Pvoid,
    pub reserved: Pvoid,
}
layout!(DeviceObject, 0x150, driver_object: 8, attached_device: 0x18, flags: 0x30, device_extension: 0x40,
    device_type: 0x48, stack_size: 0x4C, queue: 0x50, alignment_requirement: 0x98, device_queue: 0xA0, dpc: 0xC8,
    active_thread_count: 0x108, device_lock: 0x118, sector_size: 0x130, device_object_extension: 0x138);

/// Values of [`DeviceObject::flags`].
#[expect(missing_docs, reason = "the values of wdm.h")]
pub mod device_flags {
    pub const BUFFERED_IO: u32 = 0x0000_0004;
    pub const DIRECT_IO: u32 = 0x0000_0010;
    pub const INITIALIZING: u32 = 0x0000_0080;
    pub const BUS_ENUMERATED: u32 = 0x0000_1000;
    pub const POWER_PAGABLE: u32 = 0x0000_2000;
    pub const POWER_INRUSH: u32 = 0x0000_4000;
}

/// DRIVER_OBJECT.
#[repr(C)]
#[expect(missing_docs, reason = "the fields of wdm.h")]
pub struct DriverObject {
    pub kind: i16,
    pub size: i16,
    pub device_object: *mut DeviceObject,
    pub flags: u32,
    pub driver_start: Pvoid,
    pub driver_size: u32,
    pub driver_section: Pvoid,
    pub driver_extension: *mut DriverExtension,
    pub driver_name: UnicodeString,
    pub hardware_database: *mut UnicodeString,
    pub fast_io_dispatch: Pvoid,
    pub driver_init: Option<DriverInitialize>,
    pub driver_start_io: Pvoid,
    pub driver_unload: Option<DriverUnload>,
    pub major_function: [Option<Dispatch>; 28],
}
layout!(DriverObject, 0x150, device_object: 8, driver_start: 0x18, driver_extension: 0x30, driver_name: 0x38,
    hardware_database: 0x48, driver_init: 0x58, driver_unload: 0x68, major_function: 0x70);

/// DRIVER_EXTENSION.
#[repr(C)]
#[expect(missing_docs, reason = "the fields of wdm.h")]
pub struct DriverExtension {
    pub driver_object: *mut DriverObject,
    pub add_device: Option<AddDevice>,
    pub count: u32,
    pub service_key_name: UnicodeString,
}
layout!(DriverExtension, 0x28, add_device: 8, service_key_name: 0x18);

/// FILE_OBJECT.
#[repr(C)]
#[expect(missing_docs, reason = "the fields of wdm.h")]
pub struct FileObject {
    pub kind: i16,
    pub size: i16,
    pub device_object: *mut DeviceObject,
    pub vpb: Pvoid,
    pub fs_context: Pvoid,
    pub fs_context2: Pvoid,
    pub section_object_pointer: Pvoid,
    pub private_cache_map: Pvoid,
    pub final_status: NtStatus,
    pub related_file_object: *mut FileObject,
    pub lock_operation: u8,
    pub delete_pending: u8,
    pub read_access: u8,
    pub write_access: u8,
    pub delete_access: u8,
    pub shared_read: u8,
    pub shared_write: u8,
    pub shared_delete: u8,
    pub flags: u32,
    pub file_name: UnicodeString,
    pub current_byte_offset: i64,
    pub waiters: u32,
    pub busy: u32,
    pub last_lock: Pvoid,
    pub lock: KEvent,
    pub event: KEvent,
    pub completion_context: Pvoid,
    pub irp_list_lock: usize,
    pub irp_list: ListEntry,
    pub file_object_extension: Pvoid,
}
layout!(FileObject, 0xD8, device_object: 8, fs_context: 0x18, final_status: 0x38, lock_operation: 0x48, flags: 0x50,
    file_name: 0x58, current_byte_offset: 0x68, lock: 0x80, event: 0x98, irp_list: 0xC0, file_object_extension: 0xD0);

/// DEVICE_CAPABILITIES.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of wdm.h")]
pub struct DeviceCapabilities {
    pub size: u16,
    pub version: u16,
    pub bits: u32,
    pub address: u32,
    pub ui_number: u32,
    pub device_state: [u32; 7],
    pub system_wake: u32,
    pub device_wake: u32,
    pub d1_latency: u32,
    pub d2_latency: u32,
    pub d3_latency: u32,
}
layout!(DeviceCapabilities, 64, device_state: 16, system_wake: 44, d3_latency: 60);
