//! The structures of the NT kernel that drivers see, for 64-bit Windows (x64 and arm64 have the same layout).
//!
//! They are written here independently of the declarations that the driver is built with, so that a wrong one on
//! either side shows. Sizes and offsets are those of `wdm.h` and are asserted at compile time.

mod io;
mod notification;
mod status;

use std::ffi::c_void;
use std::fmt;

pub use io::*;
pub use notification::*;
pub use status::NtStatus;

/// An untyped pointer, as the kernel passes it.
pub type Pvoid = *mut c_void;
/// HANDLE.
pub type Handle = usize;

/// Asserts the size of a structure and the offsets of some of its fields.
#[macro_export]
macro_rules! layout {
    ($name:ty, $size:expr $(, $field:ident: $offset:expr)* $(,)?) => {
        const _: () = {
            assert!(size_of::<$name>() == $size);
            $(assert!(std::mem::offset_of!($name, $field) == $offset);)*
        };
    };
}

/// GUID.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
#[expect(missing_docs, reason = "the fields of guiddef.h")]
pub struct Guid {
    pub data1: u32,
    pub data2: u16,
    pub data3: u16,
    pub data4: [u8; 8],
}
layout!(Guid, 16);

impl Guid {
    /// From the number that the textual form, without its dashes, is in base 16.
    pub const fn from_u128(value: u128) -> Self {
        Self {
            data1: (value >> 96) as u32,
            data2: (value >> 80) as u16,
            data3: (value >> 64) as u16,
            data4: (value as u64).to_be_bytes(),
        }
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail = u64::from_be_bytes(self.data4);
        let (data1, data2, data3) = (self.data1, self.data2, self.data3);
        write!(
            f,
            "{{{data1:08x}-{data2:04x}-{data3:04x}-{:04x}-{:012x}}}",
            tail >> 48,
            tail & 0xFFFF_FFFF_FFFF
        )
    }
}

/// UNICODE_STRING: a counted string; both lengths are bytes, and no NUL ends it.
#[repr(C)]
#[derive(Clone, Copy)]
#[expect(missing_docs, reason = "the fields of ntdef.h")]
pub struct UnicodeString {
    pub length: u16,
    pub maximum_length: u16,
    pub buffer: *mut u16,
}
layout!(UnicodeString, 16, buffer: 8);

impl UnicodeString {
    /// The text it counts, with a replacement character for every lone surrogate.
    ///
    /// # Safety
    /// `buffer` points to `length` readable bytes, if `length` is not zero.
    pub unsafe fn to_text(&self) -> String {
        if self.length < 2 {
            return String::new();
        }
        // SAFETY: the caller vouches for the bytes; units are read unaligned in case a driver's buffer is.
        let units =
            (0..usize::from(self.length / 2)).map(|index| unsafe { self.buffer.add(index).read_unaligned() });
        char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    }
}

/// ANSI_STRING, that is STRING: a counted string of bytes.
#[repr(C)]
#[derive(Clone, Copy)]
#[expect(missing_docs, reason = "the fields of ntdef.h")]
pub struct AnsiString {
    pub length: u16,
    pub maximum_length: u16,
    pub buffer: *mut u8,
}
layout!(AnsiString, 16, buffer: 8);

/// LIST_ENTRY.
#[repr(C)]
#[derive(Clone, Copy)]
#[expect(missing_docs, reason = "the fields of ntdef.h")]
pub struct ListEntry {
    pub forward: *mut ListEntry,
    pub backward: *mut ListEntry,
}
layout!(ListEntry, 16);

/// The type byte of a dispatcher object (KOBJECTS).
pub mod dispatcher {
    /// An event that stays signaled until it is reset (NotificationEvent).
    pub const NOTIFICATION_EVENT: u8 = 0;
    /// An event that one wait takes (SynchronizationEvent).
    pub const SYNCHRONIZATION_EVENT: u8 = 1;
    /// A mutex.
    pub const MUTANT: u8 = 2;
    /// A semaphore.
    pub const SEMAPHORE: u8 = 5;
    /// A thread.
    pub const THREAD: u8 = 6;
    /// A timer that stays signaled (NotificationTimer).
    pub const NOTIFICATION_TIMER: u8 = 8;
    /// A timer that one wait takes (SynchronizationTimer).
    pub const SYNCHRONIZATION_TIMER: u8 = 9;
}

/// DISPATCHER_HEADER: what everything that can be waited for begins with.
#[repr(C)]
#[expect(missing_docs, reason = "the fields of wdm.h")]
pub struct DispatcherHeader {
    pub kind: u8,
    pub control: u8,
    /// The size of the object in units of four bytes.
    pub size: u8,
    pub flags: u8,
    pub signal_state: i32,
    pub wait_list: ListEntry,
}
layout!(DispatcherHeader, 0x18, signal_state: 4, wait_list: 8);

/// KEVENT.
#[repr(C)]
#[expect(missing_docs, reason = "the fields of wdm.h")]
pub struct KEvent {
    pub header: DispatcherHeader,
}
layout!(KEvent, 0x18);

/// KSEMAPHORE.
#[repr(C)]
#[expect(missing_docs, reason = "the fields of wdm.h")]
pub struct KSemaphore {
    pub header: DispatcherHeader,
    pub limit: i32,
}
layout!(KSemaphore, 0x20, limit: 0x18);

/// KMUTANT, that is KMUTEX.
#[repr(C)]
#[expect(missing_docs, reason = "the fields of wdm.h")]
pub struct KMutant {
    pub header: DispatcherHeader,
    pub mutant_list_entry: ListEntry,
    pub owner_thread: Pvoid,
    pub abandoned: u8,
    pub apc_disable: u8,
}
layout!(KMutant, 0x38, owner_thread: 0x28, abandoned: 0x30);

/// KTIMER.
#[repr(C)]
#[expect(missing_docs, reason = "the fields of wdm.h")]
pub struct KTimer {
    pub header: DispatcherHeader,
    pub due_time: u64,
    pub timer_list_entry: ListEntry,
    pub dpc: *mut KDpc,
    pub processor: u32,
    /// Milliseconds.
    pub period: u32,
}
layout!(KTimer, 0x40, due_time: 0x18, dpc: 0x30, period: 0x3C);

/// KDEFERRED_ROUTINE.
pub type DeferredRoutine =
    unsafe extern "efiapi" fn(dpc: *mut KDpc, context: Pvoid, argument1: Pvoid, argument2: Pvoid);

/// KDPC.
#[repr(C)]
#[expect(missing_docs, reason = "the fields of wdm.h")]
pub struct KDpc {
    pub kind: u8,
    pub importance: u8,
    pub number: u16,
    pub list_entry: Pvoid,
    pub processor_history: usize,
    pub deferred_routine: Option<DeferredRoutine>,
    pub deferred_context: Pvoid,
    pub system_argument1: Pvoid,
    pub system_argument2: Pvoid,
    pub data: Pvoid,
}
layout!(KDpc, 0x40, deferred_routine: 0x18, data: 0x38);

/// FAST_MUTEX.
#[repr(C)]
#[expect(missing_docs, reason = "the fields of wdm.h")]
pub struct FastMutex {
    /// 1 when free, 0 or less when owned.
    pub count: i32,
    pub owner: Pvoid,
    pub contention: u32,
    pub event: KEvent,
    pub old_irql: u32,
}
layout!(FastMutex, 0x38, owner: 8, contention: 0x10, event: 0x18, old_irql: 0x30);

/// KSPIN_LOCK: zero when free.
pub type KSpinLock = usize;

/// MDL: the pages of a buffer. The page frame numbers follow the structure.
#[repr(C)]
#[expect(missing_docs, reason = "the fields of wdm.h")]
pub struct Mdl {
    pub next: *mut Mdl,
    /// Bytes of this structure with its page frame numbers.
    pub size: i16,
    pub flags: u16,
    pub allocation_processor: u16,
    pub reserved: u16,
    pub process: Pvoid,
    pub mapped_system_va: Pvoid,
    pub start_va: Pvoid,
    pub byte_count: u32,
    pub byte_offset: u32,
}
layout!(Mdl, 0x30, size: 8, flags: 0xA, process: 0x10, mapped_system_va: 0x18, start_va: 0x20, byte_count: 0x28, byte_offset: 0x2C);

/// Values of [`Mdl::flags`].
#[expect(missing_docs, reason = "the values of wdm.h")]
pub mod mdl_flags {
    pub const MAPPED_TO_SYSTEM_VA: u16 = 0x0001;
    pub const PAGES_LOCKED: u16 = 0x0002;
    pub const SOURCE_IS_NONPAGED_POOL: u16 = 0x0004;
    pub const ALLOCATED_FIXED_SIZE: u16 = 0x0008;
    pub const PARTIAL: u16 = 0x0010;
}

/// OBJECT_ATTRIBUTES.
#[repr(C)]
#[expect(missing_docs, reason = "the fields of ntdef.h")]
pub struct ObjectAttributes {
    pub length: u32,
    pub root_directory: Handle,
    pub object_name: *const UnicodeString,
    pub attributes: u32,
    pub security_descriptor: Pvoid,
    pub security_quality_of_service: Pvoid,
}
layout!(ObjectAttributes, 0x30, root_directory: 8, object_name: 0x10, attributes: 0x18);

/// OBJ_CASE_INSENSITIVE.
pub const OBJ_CASE_INSENSITIVE: u32 = 0x40;
/// OBJ_KERNEL_HANDLE: the handle is not one of the calling process's.
pub const OBJ_KERNEL_HANDLE: u32 = 0x200;

/// KEY_VALUE_PARTIAL_INFORMATION; the data follows.
#[repr(C)]
#[expect(missing_docs, reason = "the fields of wdm.h")]
pub struct KeyValuePartialInformation {
    pub title_index: u32,
    pub kind: u32,
    pub data_length: u32,
    pub data: [u8; 0],
}
layout!(KeyValuePartialInformation, 12, data: 12);

/// KEY_VALUE_FULL_INFORMATION; the name follows, then the data.
#[repr(C)]
#[expect(missing_docs, reason = "the fields of wdm.h")]
pub struct KeyValueFullInformation {
    pub title_index: u32,
    pub kind: u32,
    pub data_offset: u32,
    pub data_length: u32,
    /// Bytes.
    pub name_length: u32,
    pub name: [u16; 0],
}
layout!(KeyValueFullInformation, 20, name: 20);

/// CLIENT_ID.
#[repr(C)]
#[derive(Clone, Copy)]
#[expect(missing_docs, reason = "the fields of wdm.h")]
pub struct ClientId {
    pub process: Handle,
    pub thread: Handle,
}
layout!(ClientId, 16);

/// EXT_SET_PARAMETERS_V0, for ExSetTimer.
#[repr(C)]
#[derive(Clone, Copy)]
#[expect(missing_docs, reason = "the fields of wdm.h")]
pub struct ExtSetParameters {
    pub version: u32,
    pub reserved: u32,
    pub no_wake_tolerance: i64,
}
layout!(ExtSetParameters, 16, no_wake_tolerance: 8);

/// EXT_DELETE_CALLBACK.
pub type ExtDeleteCallback = unsafe extern "efiapi" fn(context: Pvoid);
/// EXT_CALLBACK.
pub type ExtCallback = unsafe extern "efiapi" fn(timer: Pvoid, context: Pvoid);

/// EXT_DELETE_PARAMETERS, for ExDeleteTimer.
#[repr(C)]
#[derive(Clone, Copy)]
#[expect(missing_docs, reason = "the fields of wdm.h")]
pub struct ExtDeleteParameters {
    pub version: u32,
    pub reserved: u32,
    pub delete_callback: Option<ExtDeleteCallback>,
    pub delete_context: Pvoid,
}
layout!(ExtDeleteParameters, 24, delete_callback: 8);

/// RTL_OSVERSIONINFOEXW.
#[repr(C)]
#[expect(missing_docs, reason = "the fields of wdm.h")]
pub struct OsVersionInfo {
    /// Bytes of this structure, or of its first 276 bytes.
    pub size: u32,
    pub major: u32,
    pub minor: u32,
    pub build: u32,
    pub platform: u32,
    pub service_pack: [u16; 128],
    pub service_pack_major: u16,
    pub service_pack_minor: u16,
    pub suite_mask: u16,
    pub product_type: u8,
    pub reserved: u8,
}
layout!(OsVersionInfo, 284, service_pack_major: 276);

/// Bytes of a page.
pub const PAGE_SIZE: usize = 4096;

/// Units of 100 ns in nanoseconds.
pub const HUNDRED_NS: u64 = 100;
