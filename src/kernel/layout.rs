//! Where the kernel's structures have the fields that the driver uses, on 64-bit Windows.
//!
//! `wdk_sys` generates these structures from whatever headers are installed; headers that are older than Windows 10
//! must not go unnoticed.

use core::mem::offset_of;

use wdk_sys::{
    _IRP__bindgen_ty_3__bindgen_ty_1 as Overlay, DEVICE_OBJECT, DRIVER_OBJECT, FAST_MUTEX, IO_STACK_LOCATION,
    IRP, KEVENT, MDL, OBJECT_ATTRIBUTES, UNICODE_STRING,
};

const _: () = assert!(size_of::<KEVENT>() == 24);
const _: () = assert!(size_of::<FAST_MUTEX>() == 56 && offset_of!(FAST_MUTEX, Event) == 24);
const _: () = assert!(size_of::<OBJECT_ATTRIBUTES>() == 48 && size_of::<UNICODE_STRING>() == 16);
const _: () = assert!(offset_of!(MDL, ByteCount) == 40);
const _: () = assert!(offset_of!(DEVICE_OBJECT, DeviceExtension) == 64);
const _: () = assert!(offset_of!(DRIVER_OBJECT, DriverUnload) == 104);
const _: () = assert!(offset_of!(DRIVER_OBJECT, MajorFunction) == 112);
const _: () = assert!(offset_of!(IRP, IoStatus) == 48 && offset_of!(IRP, Tail) == 120);
const _: () = assert!(offset_of!(Overlay, __bindgen_anon_2) == 48);
const _: () =
    assert!(size_of::<IO_STACK_LOCATION>() == 72 && offset_of!(IO_STACK_LOCATION, CompletionRoutine) == 56);
const _: () = assert!(
    offset_of!(IO_STACK_LOCATION, Context) == 64 && offset_of!(IO_STACK_LOCATION, MinorFunction) == 1
);
