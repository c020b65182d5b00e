//! Event providers.

use crate::Case;
use crate::device::Guid;
use crate::nt::*;

/// The cases of this file.
pub const CASES: &[Case] = &[
    ("etw_at_unload", at_unload),
    ("etw_unregistered_twice", unregistered_twice),
    ("etw_traits_size", traits_size),
    ("etw_event_size", event_size),
];

// SAFETY of every case: what its name says is done on purpose, and only when `well` is false; the machine reports it.

/// EVENT_DESCRIPTOR.
#[repr(C)]
struct Event {
    id: u16,
    version: u8,
    channel: u8,
    level: u8,
    opcode: u8,
    task: u16,
    keyword: u64,
}

/// EVENT_DATA_DESCRIPTOR.
#[repr(C)]
struct Part {
    pointer: *const u8,
    bytes: u32,
    kind: u32,
}

const _: () = assert!(size_of::<Event>() == 16 && size_of::<Part>() == 16);

#[link(name = "ntoskrnl.exe", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "system" {
    fn EtwRegister(id: *const Guid, callback: usize, context: Pvoid, handle: *mut u64) -> NtStatus;
    fn EtwSetInformation(handle: u64, class: u32, information: *const u8, bytes: u32) -> NtStatus;
    fn EtwUnregister(handle: u64) -> NtStatus;
    fn EtwWrite(
        handle: u64,
        event: *const Event,
        activity: *const Guid,
        count: u32,
        parts: *const Part,
    ) -> NtStatus;
}

/// EventProviderSetTraits.
const SET_TRAITS: u32 = 2;
/// The traits of a provider with the name "P", and the same with a wrong length.
static TRAITS: [u8; 4] = [4, 0, b'P', 0];
static WRONG_TRAITS: [u8; 4] = [5, 0, b'P', 0];
/// EVENT_DATA_DESCRIPTOR_TYPE_EVENT_METADATA.
const METADATA: u32 = 1;
/// An event "E" without fields, and the same with a wrong length.
static EVENT: [u8; 5] = [5, 0, 0, b'E', 0];
static WRONG_EVENT: [u8; 5] = [6, 0, 0, b'E', 0];

unsafe fn register() -> u64 {
    let id = Guid(0x5C4E_A402, 0x1234, 0x4321, [1, 2, 3, 4, 5, 6, 7, 8]);
    let mut handle = 0;
    EtwRegister(&id, 0, core::ptr::null_mut(), &mut handle);
    handle
}

unsafe fn at_unload(well: bool) -> NtStatus {
    let handle = register();
    if well { EtwUnregister(handle) } else { SUCCESS }
}

unsafe fn unregistered_twice(well: bool) -> NtStatus {
    let handle = register();
    EtwUnregister(handle);
    if !well {
        EtwUnregister(handle);
    }
    SUCCESS
}

unsafe fn set_traits(handle: u64, traits: &'static [u8]) {
    EtwSetInformation(handle, SET_TRAITS, traits.as_ptr(), traits.len() as u32);
}

unsafe fn traits_size(well: bool) -> NtStatus {
    let handle = register();
    set_traits(handle, if well { &TRAITS } else { &WRONG_TRAITS });
    EtwUnregister(handle)
}

unsafe fn event_size(well: bool) -> NtStatus {
    let handle = register();
    set_traits(handle, &TRAITS);
    let metadata = if well { &EVENT } else { &WRONG_EVENT };
    let event = Event { id: 0, version: 0, channel: 11, level: 4, opcode: 0, task: 0, keyword: 0 };
    let part = Part { pointer: metadata.as_ptr(), bytes: 5, kind: METADATA };
    EtwWrite(handle, &event, core::ptr::null(), 1, &part);
    EtwUnregister(handle)
}
