//! Event Tracing for Windows: providers that drivers register, and the session that records what they write.
//!
//! There is one session at most: from boot on with [`Config::events`](crate::Config::events), as an autologger is, or
//! from any moment on with [`record`]. What it recorded is in [`Outcome::events`](crate::Outcome::events), and each event
//! is a line of the trace. Every event is read and checked, also when nobody records it.
//!
//! Pages: [EtwRegister], [EtwUnregister], [EtwSetInformation], [EtwWrite]; the comments of `evntprov.h`.
//!
//! [EtwRegister]: https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-etwregister
//! [EtwUnregister]: https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-etwunregister
//! [EtwSetInformation]: https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-etwsetinformation
//! [EtwWrite]: https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-etwwrite

mod decode;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

pub use decode::Value;

use crate::crossing;
use crate::kernel::driver;
use crate::kernel::imports::Export;
use crate::machine::machine;
use crate::nt::{Guid, NtStatus, Pvoid};
use crate::schedule::{self, Irql, PASSIVE_LEVEL, Time};
use crate::trace;
use crate::verifier::{self, Rule};
use crate::{exports, import, layout};

/// IRQL limit of what may be called at any level.
const HIGH_LEVEL: Irql = 15;
/// The most parts an event may have.
const MAX_EVENT_DATA_DESCRIPTORS: u32 = 128;

/// EVENT_DESCRIPTOR.
#[repr(C)]
#[derive(Clone, Copy, Default)]
#[expect(missing_docs, reason = "the fields of evntprov.h")]
pub struct EventDescriptor {
    pub id: u16,
    pub version: u8,
    pub channel: u8,
    pub level: u8,
    pub opcode: u8,
    pub task: u16,
    pub keyword: u64,
}
layout!(EventDescriptor, 16, channel: 3, level: 4, opcode: 5, task: 6, keyword: 8);

/// EVENT_DATA_DESCRIPTOR.
#[repr(C)]
#[derive(Clone, Copy, Default)]
#[expect(missing_docs, reason = "the fields of evntprov.h")]
pub struct EventDataDescriptor {
    pub pointer: u64,
    pub size: u32,
    pub kind: u8,
    pub reserved: [u8; 3],
}
layout!(EventDataDescriptor, 16, size: 8, kind: 12);

/// EtwEnableCallback.
type EnableCallback = unsafe extern "efiapi" fn(
    source: *const Guid,
    code: u32,
    level: u8,
    any_keyword: u64,
    all_keywords: u64,
    filter: Pvoid,
    context: Pvoid,
);

/// Which events a session records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The provider; `None`: all of them.
    pub provider: Option<Guid>,
    /// Events of this level and of more important (lower) ones; 0: of all.
    pub level: u8,
    /// Events with any of these keywords, and those without any; 0: all.
    pub any_keyword: u64,
    /// Of those only the events with all of these.
    pub all_keywords: u64,
}

impl Session {
    /// A session that records everything.
    pub const fn everything() -> Self {
        Self { provider: None, level: u8::MAX, any_keyword: u64::MAX, all_keywords: 0 }
    }

    fn wants(&self, provider: Guid) -> bool {
        self.provider.is_none_or(|wanted| wanted == provider)
    }

    /// The test that `evntprov.h` describes; the page on AutoLogger sessions says what a zero is.
    fn records(&self, provider: Guid, level: u8, keyword: u64) -> bool {
        let of_level = self.level == 0 || level <= self.level;
        let has_keywords =
            keyword & self.any_keyword != 0 && keyword & self.all_keywords == self.all_keywords;
        self.wants(provider) && of_level && (keyword == 0 || self.any_keyword == 0 || has_keywords)
    }
}

/// An event that was recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Nanoseconds since the machine was switched on.
    pub time: Time,
    /// The name of the provider; its identifier if it has none.
    pub provider: String,
    /// The identifier of the provider.
    pub provider_id: Guid,
    /// The name of the event; its number if it has none.
    pub name: String,
    /// 1 critical, 2 error, 3 warning, 4 information, 5 verbose.
    pub level: u8,
    /// Its categories.
    pub keyword: u64,
    /// Its fields, in order.
    pub fields: Vec<(String, Value)>,
}

impl Event {
    /// The level of warnings: what is more important has a lower one.
    pub const WARNING: u8 = 3;

    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            0 => "always",
            1 => "critical",
            2 => "error",
            3 => "warning",
            4 => "information",
            _ => "verbose",
        };
        write!(f, "{} {level}: {}", self.provider, self.name)?;
        self.fields.iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))
    }
}

/// A registered provider.
struct Provider {
    id: Guid,
    callback: Option<EnableCallback>,
    context: Pvoid,
    /// Its name, once it has told it.
    name: RefCell<Option<String>>,
    /// Whether the parts of its events say what they are.
    typed: Cell<bool>,
    /// Callbacks that run.
    running: Cell<u32>,
}

/// The tracing of a machine.
#[derive(Default)]
struct Tracing {
    providers: RefCell<BTreeMap<u64, Rc<Provider>>>,
    registered: Cell<u64>,
    /// `None`: [`record`] has not been called, so what was configured holds.
    session: Cell<Option<Option<Session>>>,
    events: RefCell<Vec<Event>>,
}

fn tracing() -> Rc<Tracing> {
    machine().part::<Tracing>()
}

fn session() -> Option<Session> {
    tracing().session.get().unwrap_or(machine().config.events)
}

/// Records from now on what a session wants, or nothing. The providers are told, in a system thread.
///
/// # Panics
/// Outside a machine.
pub fn record(new: Option<Session>) {
    let old = session();
    tracing().session.set(Some(new));
    let providers: Vec<_> = tracing().providers.borrow().values().cloned().collect();
    for provider in providers {
        let wanted = wanted_by(new, provider.id);
        if wanted != wanted_by(old, provider.id) {
            provider.running.set(provider.running.get() + 1);
            driver::in_system_thread("EtwEnableCallback", move || tell(&provider, wanted));
        }
    }
}

/// The session, if it is one for a provider.
fn wanted_by(session: Option<Session>, provider: Guid) -> Option<Session> {
    session.filter(|session| session.wants(provider))
}

/// The events that were recorded and not taken yet.
///
/// # Panics
/// Outside a machine.
pub fn take_events() -> Vec<Event> {
    tracing().events.take()
}

/// Calls a provider's callback, whose run has been counted; with no session it is told that nobody records any more.
fn tell(provider: &Provider, session: Option<Session>) {
    let Session { level, any_keyword, all_keywords, .. } =
        session.unwrap_or(Session { provider: None, level: 0, any_keyword: 0, all_keywords: 0 });
    if let Some(callback) = provider.callback {
        let (code, filter) = (u32::from(session.is_some()), std::ptr::null_mut());
        // SAFETY: the driver passed this routine and its context, and unregisters before it goes.
        unsafe { callback(&provider.id, code, level, any_keyword, all_keywords, filter, provider.context) }
    }
    provider.running.set(provider.running.get() - 1);
    schedule::poll_now();
}

/// The provider of a handle. Zero is what a driver has whose registration failed.
fn find(handle: u64, function: &str) -> Option<Rc<Provider>> {
    let found = tracing().providers.borrow().get(&handle).cloned();
    if found.is_none() && handle != 0 {
        let text = format!(
            "{function} was called with a handle that is not, or not any more, of a registered provider"
        );
        verifier::record(Rule::Object, text);
    }
    found
}

/// Reports the providers that are still registered.
fn check_unload() {
    for provider in tracing().providers.take().into_values() {
        let name = provider.name.take().unwrap_or_else(|| format!("{:?}", provider.id));
        let text = format!("the driver was unloaded with the event provider {name} registered");
        verifier::record(Rule::Unload, text);
    }
}

fn register(id: Guid, callback: Option<EnableCallback>, context: Pvoid) -> u64 {
    driver::at_unload("etw", check_unload);
    let tracing = tracing();
    let number = tracing.registered.get() + 1;
    tracing.registered.set(number);
    let handle = 0x4554_5700_0000 + number * 0x10;
    let provider = Rc::new(Provider {
        id,
        callback,
        context,
        name: RefCell::default(),
        typed: Cell::default(),
        running: Cell::new(1),
    });
    tracing.providers.borrow_mut().insert(handle, Rc::clone(&provider));
    // Before the driver knows the handle: it may not rely on that.
    match wanted_by(session(), id) {
        Some(session) => crossing::call_driver("EtwEnableCallback", || tell(&provider, Some(session))),
        None => provider.running.set(0),
    }
    handle
}

fn set_information(provider: &Provider, class: u32, information: &[u8]) -> NtStatus {
    match class {
        // EventProviderBinaryTrackInfo.
        0 => {}
        // EventProviderSetTraits.
        2 => match decode::provider_name(information) {
            Ok(name) => {
                provider.name.replace(Some(name));
                provider.typed.set(true);
            }
            Err(problem) => {
                verifier::record(Rule::Argument, format!("EtwSetInformation: {problem}"));
                return NtStatus::INVALID_PARAMETER;
            }
        },
        // EventProviderUseDescriptorType.
        3 => provider.typed.set(information.first().is_some_and(|value| *value != 0)),
        _ => return NtStatus::INVALID_PARAMETER,
    }
    NtStatus::SUCCESS
}

/// The bytes at an address of the driver.
fn bytes(pointer: u64, size: u32) -> Vec<u8> {
    if size == 0 {
        return Vec::new();
    }
    let start: *const u8 = std::ptr::with_exposed_provenance(pointer as usize);
    // SAFETY: the driver says that these bytes are there; if not, the read faults and is reported.
    unsafe { std::slice::from_raw_parts(start, size as usize) }.to_vec()
}

fn write(provider: &Provider, descriptor: EventDescriptor, parts: &[EventDataDescriptor]) -> NtStatus {
    let (mut metadata, mut data) = (None, Vec::new());
    for part in parts {
        let bytes = bytes(part.pointer, part.size);
        match if provider.typed.get() { part.kind } else { 0 } {
            1 => metadata = Some(bytes),
            // The traits of the provider hold instead of a copy in the event.
            2 => {}
            _ => data.extend(bytes),
        }
    }
    let described = match metadata {
        Some(metadata) => decode::event(&metadata, &data),
        None => Ok((format!("event {}", descriptor.id), vec![("Data".to_owned(), Value::Bytes(data))])),
    };
    let (name, fields) = match described {
        Ok(described) => described,
        Err(problem) => {
            verifier::record(Rule::Argument, format!("an event cannot be read: {problem}"));
            return NtStatus::SUCCESS;
        }
    };
    let EventDescriptor { level, keyword, .. } = descriptor;
    if session().is_some_and(|session| session.records(provider.id, level, keyword)) {
        let provider_name = provider.name.borrow().clone().unwrap_or_else(|| format!("{:?}", provider.id));
        let event = Event {
            time: schedule::now(),
            provider: provider_name,
            provider_id: provider.id,
            name,
            level,
            keyword,
            fields,
        };
        trace::note(|| event.to_string());
        tracing().events.borrow_mut().push(event);
    }
    NtStatus::SUCCESS
}

fn write_raw(
    function: &str,
    handle: u64,
    descriptor: *const EventDescriptor,
    count: u32,
    data: *const EventDataDescriptor,
) -> NtStatus {
    let Some(provider) = find(handle, function) else { return NtStatus::INVALID_HANDLE };
    if count > MAX_EVENT_DATA_DESCRIPTORS {
        return NtStatus::INVALID_PARAMETER;
    }
    // SAFETY: the driver passes a descriptor; a wrong pointer faults and is reported.
    let descriptor = unsafe { descriptor.read() };
    // SAFETY: the driver passes so many descriptors.
    let parts = (0..count as usize).map(|index| unsafe { data.add(index).read() });
    write(&provider, descriptor, &parts.collect::<Vec<_>>())
}

fn is_enabled(function: &str, handle: u64, level: u8, keyword: u64) -> u8 {
    let provider = find(handle, function);
    let records =
        |provider: Rc<Provider>| session().is_some_and(|it| it.records(provider.id, level, keyword));
    u8::from(provider.is_some_and(records))
}

import! {
    /// Registers a provider. Its callback runs before the call returns, when somebody records already.
    pub fn EtwRegister(id: *const Guid, callback: Option<EnableCallback>, context: Pvoid, handle: *mut u64) -> NtStatus,
        irql <= PASSIVE_LEVEL; {
        if id.is_null() || handle.is_null() {
            return NtStatus::INVALID_PARAMETER;
        }
        // SAFETY: the driver passes an identifier; a wrong pointer faults and is reported.
        let registered = register(unsafe { id.read() }, callback, context);
        // SAFETY: the driver's variable, which the call fills.
        unsafe { handle.write(registered) };
        NtStatus::SUCCESS
    }

    /// Waits for callbacks that run; there are none afterwards.
    pub fn EtwUnregister(handle: u64) -> NtStatus, irql <= PASSIVE_LEVEL; {
        let Some(provider) = find(handle, "EtwUnregister") else { return NtStatus::INVALID_HANDLE };
        tracing().providers.borrow_mut().remove(&handle);
        schedule::wait("callbacks of a provider", None, || (provider.running.get() == 0).then_some(()));
        NtStatus::SUCCESS
    }

    /// Sets the traits of a provider, among others.
    pub fn EtwSetInformation(handle: u64, class: u32, information: *const u8, length: u32) -> NtStatus,
        irql <= PASSIVE_LEVEL; {
        let Some(provider) = find(handle, "EtwSetInformation") else { return NtStatus::INVALID_HANDLE };
        set_information(&provider, class, &bytes(information.addr() as u64, length))
    }

    /// Writes an event.
    pub fn EtwWrite(handle: u64, event: *const EventDescriptor, activity: *const Guid, count: u32,
        data: *const EventDataDescriptor) -> NtStatus, irql <= HIGH_LEVEL; {
        let _ = activity;
        write_raw("EtwWrite", handle, event, count, data)
    }

    /// Writes an event that links two activities; which ones is not recorded.
    pub fn EtwWriteTransfer(handle: u64, event: *const EventDescriptor, activity: *const Guid, related: *const Guid,
        count: u32, data: *const EventDataDescriptor) -> NtStatus, irql <= HIGH_LEVEL; {
        let _ = (activity, related);
        write_raw("EtwWriteTransfer", handle, event, count, data)
    }

    /// Whether an event would be recorded.
    pub fn EtwEventEnabled(handle: u64, event: *const EventDescriptor) -> u8, irql <= HIGH_LEVEL; {
        // SAFETY: the driver passes a descriptor; a wrong pointer faults and is reported.
        let EventDescriptor { level, keyword, .. } = unsafe { event.read() };
        is_enabled("EtwEventEnabled", handle, level, keyword)
    }

    /// Whether an event of such a level and such keywords would be recorded.
    pub fn EtwProviderEnabled(handle: u64, level: u8, keyword: u64) -> u8, irql <= HIGH_LEVEL; {
        is_enabled("EtwProviderEnabled", handle, level, keyword)
    }
}

/// What this file provides to drivers.
pub(crate) const EXPORTS: &[Export] = exports!["ntoskrnl.exe":
    EtwRegister, EtwUnregister, EtwSetInformation, EtwWrite, EtwWriteTransfer, EtwEventEnabled, EtwProviderEnabled];
