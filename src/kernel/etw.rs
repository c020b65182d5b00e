//! Event Tracing for Windows: a provider, and events that describe themselves.
//!
//! The events are of the kind that Microsoft calls TraceLogging: with each goes its name and the names and types of its
//! fields, so that tools need no manifest to show it. [`event!`](crate::event) makes that description while the
//! driver is compiled; its form is the one that the comments of `TraceLoggingProvider.h` define. (The crate
//! `tracelogging` does the same, but in kernel mode it wants `rpcrt4.lib`, and its registration can panic.)
//!
//! While nobody records, an event costs one load and one branch.
//!
//! # Life cycle
//! [`Provider::register`] when the driver is loaded; the [`Registration`] ends when dropped, at unload. An event that
//! is written before or after goes nowhere.

use core::ffi::{CStr, c_void};
use core::marker::PhantomData;
use core::ptr::null;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use wdk_sys::ntddk::{EtwRegister, EtwUnregister, EtwWrite};
use wdk_sys::{
    EVENT_DATA_DESCRIPTOR, EVENT_DESCRIPTOR, GUID, LPCGUID, NT_SUCCESS, NTSTATUS, PEVENT_FILTER_DESCRIPTOR,
};

use super::sockaddr::SockAddr;

#[allow(
    clashing_extern_declarations,
    reason = "the headers' own declaration, in the proof of src/abi, has types of C"
)]
unsafe extern "system" {
    /// Since Windows 10; missing in the headers for drivers of which `wdk-sys` is made where there is no WDK.
    pub(crate) fn EtwSetInformation(
        handle: u64,
        class: u32,
        information: *const c_void,
        length: u32,
    ) -> NTSTATUS;
}

/// `EventProviderSetTraits` of `EVENT_INFO_CLASS`.
pub(crate) const SET_TRAITS: u32 = 2;
/// `EVENT_CONTROL_CODE_ENABLE_PROVIDER`.
pub(crate) const ENABLE_PROVIDER: u32 = 1;
/// `EVENT_CONTROL_CODE_DISABLE_PROVIDER`.
pub(crate) const DISABLE_PROVIDER: u32 = 0;
/// The channel of events that describe themselves.
const TRACE_LOGGING_CHANNEL: u8 = 11;

/// How important an event is: the `TRACE_LEVEL_*` of `evntrace.h`.
#[derive(Clone, Copy)]
pub enum Level {
    /// Something does not work at all.
    Error = 2,
    /// Something was lost, or is not as it was asked for.
    Warning = 3,
    /// Something happened.
    Information = 4,
}

/// A provider of events. There is one, in a static.
pub struct Provider {
    id: GUID,
    traits: &'static [u8],
    /// Zero while it is not registered.
    handle: AtomicU64,
    /// Whether anybody records.
    enabled: AtomicBool,
}

// SAFETY: the identifier and the traits are never written, the rest is atomic.
unsafe impl Sync for Provider {}

/// A registered provider; unregistered when dropped. PASSIVE_LEVEL.
#[must_use]
pub struct Registration {
    provider: &'static Provider,
}

impl Provider {
    /// A provider that is not registered, with [`traits`] that hold its name.
    pub const fn new(id: GUID, traits: &'static [u8]) -> Self {
        Self { id, traits, handle: AtomicU64::new(0), enabled: AtomicBool::new(false) }
    }

    /// Registers the provider, once. PASSIVE_LEVEL.
    ///
    /// Without it nothing can be recorded, and everything else works: so a failure is not one of the caller's.
    pub fn register(&'static self) -> Registration {
        let registration = Registration { provider: self };
        let context = core::ptr::from_ref(self).cast_mut().cast();
        let mut handle = 0;
        // SAFETY: the provider is static, and unregistered when the result is dropped, before the driver goes.
        let status = unsafe { EtwRegister(&raw const self.id, Some(on_enable), context, &raw mut handle) };
        if !NT_SUCCESS(status) {
            return registration;
        }
        self.handle.store(handle, Ordering::Release);
        // SAFETY: the handle is valid, and the traits are static.
        let status = unsafe {
            EtwSetInformation(handle, SET_TRAITS, self.traits.as_ptr().cast(), self.traits.len() as u32)
        };
        if !NT_SUCCESS(status) {
            // Descriptions would be taken for data.
            registration.end();
        }
        registration
    }

    /// Whether anybody records. Any IRQL.
    pub fn is_enabled(&self) -> bool {
        self.enabled.load(Ordering::Relaxed)
    }

    /// Writes an event: what it is, its description, its fields. Any IRQL.
    #[cold]
    #[inline(never)]
    pub fn write(&self, event: &EVENT_DESCRIPTOR, data: &[Data<'_>]) {
        let handle = self.handle.load(Ordering::Acquire);
        if handle == 0 {
            return;
        }
        let parts: *mut EVENT_DATA_DESCRIPTOR = data.as_ptr().cast_mut().cast();
        // SAFETY: the handle is valid until unload. The parts, which are only read, and all that they point to are
        // borrowed and not pageable. Nothing can be done about an event that is lost.
        let _ = unsafe { EtwWrite(handle, event, null(), data.len() as u32, parts) };
    }

    /// The provider's name, as the first part of an event.
    pub fn data(&self) -> Data<'static> {
        const PROVIDER_METADATA: u32 = 2;
        Data::of(self.traits, PROVIDER_METADATA)
    }
}

impl Registration {
    /// PASSIVE_LEVEL.
    fn end(&self) {
        let handle = self.provider.handle.swap(0, Ordering::AcqRel);
        if handle != 0 {
            // SAFETY: the handle is valid, and not used again. Nothing can be done about a failure.
            let _ = unsafe { EtwUnregister(handle) };
        }
        self.provider.enabled.store(false, Ordering::Relaxed);
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.end();
    }
}

/// Windows calls it when the first session begins to record and when the last one ends, at PASSIVE_LEVEL; also from
/// within the registration. What each session wants is left to Windows, which looks at every event again.
unsafe extern "C" fn on_enable(
    _source: LPCGUID,
    code: u32,
    _level: u8,
    _any_keyword: u64,
    _all_keywords: u64,
    _filter: PEVENT_FILTER_DESCRIPTOR,
    context: *mut c_void,
) {
    // SAFETY: the context is the provider that was registered, which is static.
    let provider = unsafe { &*context.cast::<Provider>() };
    match code {
        ENABLE_PROVIDER => provider.enabled.store(true, Ordering::Relaxed),
        DISABLE_PROVIDER => provider.enabled.store(false, Ordering::Relaxed),
        // Asks for a state that there is none of.
        _ => {}
    }
}

/// One part of an event: an `EVENT_DATA_DESCRIPTOR`, whose last field older headers do not name.
#[repr(C)]
pub struct Data<'a> {
    address: u64,
    size: u32,
    /// One of `EVENT_DATA_DESCRIPTOR_TYPE_*`.
    kind: u32,
    borrowed: PhantomData<&'a [u8]>,
}

const _: () = assert!(size_of::<Data<'_>>() == size_of::<EVENT_DATA_DESCRIPTOR>());

impl<'a> Data<'a> {
    /// The description of an event.
    pub fn of_metadata(metadata: &'static [u8]) -> Self {
        const EVENT_METADATA: u32 = 1;
        Self::of(metadata, EVENT_METADATA)
    }

    /// `kind` is one of `EVENT_DATA_DESCRIPTOR_TYPE_*`.
    fn of<T: ?Sized>(value: &'a T, kind: u32) -> Self {
        let address = core::ptr::from_ref(value).cast::<u8>().expose_provenance();
        Self { address: address as u64, size: size_of_val(value) as u32, kind, borrowed: PhantomData }
    }
}

/// What a field can hold.
pub trait Value {
    /// How it is laid out: a `TlgIn_t`.
    const LAYOUT: u8;
    /// How it is to be shown: a `TlgOut_t`; 0 leaves it to the layout.
    const SHOWN: u8 = 0;

    /// Its bytes.
    fn data(&self) -> Data<'_>;
}

macro_rules! values {
    ($($type:ty: $layout:literal, $shown:literal;)*) => {$(
        impl Value for $type {
            const LAYOUT: u8 = $layout;
            const SHOWN: u8 = $shown;

            fn data(&self) -> Data<'_> {
                Data::of(self, 0)
            }
        }
    )*};
}

values! {
    u16: 6, 0;
    u32: 8, 0;
    u64: 10, 0;
    Hex: 20, 0;
    // `TlgOutNTSTATUS`.
    Ntstatus: 8, 14;
}

/// A number that is shown in base 16.
pub struct Hex(pub u32);

/// A status.
pub struct Ntstatus(pub NTSTATUS);

impl Value for SockAddr {
    /// `TlgInBINARY`: the number of bytes, and the bytes.
    const LAYOUT: u8 = 14;
    /// `TlgOutSOCKETADDRESS`.
    const SHOWN: u8 = 10;

    fn data(&self) -> Data<'_> {
        Data::of(self.counted_bytes(), 0)
    }
}

impl Value for &CStr {
    const LAYOUT: u8 = 2;

    fn data(&self) -> Data<'_> {
        Data::of(self.to_bytes_with_nul(), 0)
    }
}

/// The name and type of a field.
#[derive(Clone, Copy)]
pub struct Field {
    name: &'static str,
    layout: u8,
    shown: u8,
}

impl Field {
    /// A field of type `V`.
    pub const fn new<V: Value>(name: &'static str) -> Self {
        Self { name, layout: V::LAYOUT, shown: V::SHOWN }
    }

    /// Bytes of its description: name, NUL, layout, and how to show it if that is not left to the layout.
    const fn size(self) -> usize {
        self.name.len() + 2 + (self.shown != 0) as usize
    }
}

/// What an event is, apart from its name.
pub const fn descriptor(level: Level, keyword: u64) -> EVENT_DESCRIPTOR {
    EVENT_DESCRIPTOR {
        Id: 0,
        Version: 0,
        Channel: TRACE_LOGGING_CHANNEL,
        Level: level as u8,
        Opcode: 0,
        Task: 0,
        Keyword: keyword,
    }
}

/// Bytes of the [`traits`] of a provider of this name.
pub const fn traits_size(name: &str) -> usize {
    size_of::<u16>() + name.len() + 1
}

/// The traits of a provider: their size, its name, NUL. For constants only.
pub const fn traits<const N: usize>(name: &str) -> [u8; N] {
    let (mut bytes, at) = ([0; N], 0);
    let at = put(&mut bytes, at, &(N as u16).to_le_bytes());
    let end = put(&mut bytes, at, name.as_bytes());
    assert!(end + 1 == N);
    bytes
}

/// Bytes of the [`metadata`] of an event.
pub const fn metadata_size(name: &str, fields: &[Field]) -> usize {
    let mut size = size_of::<u16>() + 1 + name.len() + 1;
    let mut index = 0;
    while index < fields.len() {
        size += fields[index].size();
        index += 1;
    }
    size
}

/// The description of an event: its size, no tags, its name, NUL, its fields. For constants only.
pub const fn metadata<const N: usize>(name: &str, fields: &[Field]) -> [u8; N] {
    const SHOWN_FOLLOWS: u8 = 0x80;
    let (mut bytes, at) = ([0; N], 0);
    let at = put(&mut bytes, at, &(N as u16).to_le_bytes());
    let mut at = put(&mut bytes, at + 1, name.as_bytes()) + 1;
    let mut index = 0;
    while index < fields.len() {
        let Field { name, layout, shown } = fields[index];
        at = put(&mut bytes, at, name.as_bytes()) + 1;
        at = if shown == 0 {
            put(&mut bytes, at, &[layout])
        } else {
            put(&mut bytes, at, &[layout | SHOWN_FOLLOWS, shown])
        };
        index += 1;
    }
    assert!(at == N);
    bytes
}

/// Puts bytes at a place; where they end.
const fn put(bytes: &mut [u8], at: usize, part: &[u8]) -> usize {
    let mut index = 0;
    while index < part.len() {
        bytes[at + index] = part[index];
        index += 1;
    }
    at + part.len()
}

/// Writes an event if anybody records: provider, name, level, keyword, and fields as `"Name": type = value`. The values
/// are not computed otherwise. Any IRQL.
#[macro_export]
macro_rules! event {
    ($provider:expr, $name:literal, $level:ident, $keyword:expr,
     { $($field:literal: $type:ty = $value:expr),* $(,)? }) => {
        if $provider.is_enabled() {
            use $crate::kernel::etw;
            const FIELDS: &[etw::Field] = &[$(etw::Field::new::<$type>($field)),*];
            static METADATA: [u8; etw::metadata_size($name, FIELDS)] = etw::metadata($name, FIELDS);
            const DESCRIPTOR: etw::Descriptor = etw::descriptor(etw::Level::$level, $keyword);
            $provider.write(&DESCRIPTOR, &[
                $provider.data(),
                etw::Data::of_metadata(&METADATA),
                $(<$type as etw::Value>::data(&$value)),*
            ]);
        }
    };
}

pub use crate::event;
/// `EVENT_DESCRIPTOR`.
pub use wdk_sys::EVENT_DESCRIPTOR as Descriptor;
