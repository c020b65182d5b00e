//! Notifications of plug and play: of device interfaces that come and go, and of the removal of a device that a driver
//! has open.
//!
//! Callbacks run in System, at PASSIVE_LEVEL, and [must not
//! block](https://learn.microsoft.com/windows-hardware/drivers/kernel/guidelines-for-writing-pnp-notification-callback-routines).
//! Every registration refers to the driver object, so that none may be left when the driver is unloaded.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::rc::Rc;

use crate::crossing;
use crate::kernel::device_interface::{self, Interface};
use crate::kernel::imports::Export;
use crate::kernel::{driver, file, pool};
use crate::machine::machine;
use crate::memory;
use crate::nt::{
    DEVICE_INTERFACE_ARRIVAL, DeviceInterfaceChangeNotification, DeviceObject, DriverObject, FileObject,
    Guid, INCLUDE_EXISTING_INTERFACES, NotificationCallback, NtStatus, Pvoid, TARGET_DEVICE_QUERY_REMOVE,
    TargetDeviceRemovalNotification, UnicodeString, event_category,
};
use crate::process::Process;
use crate::schedule::{self, PASSIVE_LEVEL};
use crate::verifier::{self, Rule};
use crate::{exports, import};

/// The name of the callbacks among the calls into a driver.
const CALLBACK: &str = "PnP notification callback";
/// Bytes of the object behind a registration here.
const ENTRY_BYTES: usize = 0x60;

/// What a registration is told of.
#[derive(Clone, Copy)]
enum Subject {
    /// Interfaces of a class.
    Interfaces(Guid),
    /// A device, through a file of it. The file may be gone; then its address is only a number.
    Target(*mut DeviceObject, *mut FileObject),
    /// Docking stations: there are none.
    HardwareProfile,
}

/// A registration of a driver.
struct Registration {
    entry: *mut u8,
    subject: Subject,
    callback: NotificationCallback,
    context: Pvoid,
    /// It is to be told of nothing more.
    cancelled: Cell<bool>,
    /// The threads in which its callback runs.
    running: RefCell<Vec<u64>>,
}

/// The registrations of a machine, in order.
#[derive(Default)]
struct Registrations(RefCell<Vec<Rc<Registration>>>);

fn registrations() -> Rc<Registrations> {
    machine().part::<Registrations>()
}

/// How many registrations there are.
pub fn registered() -> usize {
    registrations().0.borrow().len()
}

/// Runs something in a thread of the plug and play manager, and waits for it.
pub fn in_manager<T: 'static>(body: impl FnOnce() -> T + 'static) -> T {
    let result = Rc::new(RefCell::new(None));
    let slot = Rc::clone(&result);
    schedule::spawn_in(Process::System, "plug and play manager", PASSIVE_LEVEL, move || {
        let value = body();
        *slot.borrow_mut() = Some(value);
        schedule::poll_now();
    });
    schedule::wait("the plug and play manager", None, || result.borrow_mut().take())
        .expect("a wait without a deadline ends with a value")
}

/// Calls a registration's callback with a notification, which is gone when it returns.
fn call<T: Copy>(registration: &Registration, notification: T, label: &str) -> NtStatus {
    let block = memory::allocate(size_of::<T>(), label).cast::<T>();
    // SAFETY: just allocated, for one structure.
    unsafe { block.write(notification) };
    let thread = schedule::current().id;
    registration.running.borrow_mut().push(thread);
    let (callback, context) = (registration.callback, registration.context);
    let status = crossing::call_driver(CALLBACK, || {
        // SAFETY: the driver registered this callback with this context.
        unsafe { callback(block.cast(), context) }
    });
    registration.running.borrow_mut().retain(|running| *running != thread);
    schedule::poll_now();
    memory::free(block.cast());
    status
}

fn call_of_interface(registration: &Registration, interface: &Interface, event: Guid) {
    let units: Vec<u16> = interface.link.encode_utf16().collect();
    let bytes = units.len() * 2;
    let text = memory::allocate(bytes, "the symbolic link of a notification");
    // SAFETY: just allocated, for these units.
    unsafe { ptr::copy_nonoverlapping(units.as_ptr(), text.cast(), units.len()) };
    let name = memory::allocate(size_of::<UnicodeString>(), "the symbolic link of a notification");
    let string = UnicodeString { length: bytes as u16, maximum_length: bytes as u16, buffer: text.cast() };
    // SAFETY: just allocated, for one structure.
    unsafe { name.cast::<UnicodeString>().write(string) };
    let notification = DeviceInterfaceChangeNotification {
        version: 1,
        size: size_of::<DeviceInterfaceChangeNotification>() as u16,
        event,
        interface_class: interface.class,
        symbolic_link_name: name.cast(),
    };
    let status = call(registration, notification, "DEVICE_INTERFACE_CHANGE_NOTIFICATION");
    demand_success(status);
    memory::free(name);
    memory::free(text);
}

/// Only a query may be refused.
fn demand_success(status: NtStatus) {
    if !status.is_success() {
        let text = format!("a notification callback returned {status} for what is no query");
        verifier::record(Rule::Argument, text);
    }
}

/// The registrations of a subject, as they are now: what is unregistered meanwhile without waiting may still be called.
fn of(is_one: impl Fn(&Subject) -> bool) -> Vec<Rc<Registration>> {
    registrations().0.borrow().iter().filter(|registration| is_one(&registration.subject)).cloned().collect()
}

/// Tells the drivers that asked for it that an interface came or went. In a thread of the plug and play manager.
pub(super) fn tell_interface_change(interface: &Interface, event: Guid) {
    let class = interface.class;
    for registration in of(|subject| matches!(subject, Subject::Interfaces(of) if *of == class)) {
        if !registration.cancelled.get() {
            call_of_interface(&registration, interface, event);
        }
    }
}

/// As IoSetDeviceInterfaceState tells it: for an interface that was disabled without a word.
pub(crate) fn tell_interface_removal(interface: &Interface) {
    tell_interface_change(interface, crate::nt::DEVICE_INTERFACE_REMOVAL);
}

/// Tells the drivers that have a device open of its removal, in the order of their registrations. In a thread of the plug
/// and play manager.
///
/// # Errors
/// The first refusal of GUID_TARGET_DEVICE_QUERY_REMOVE, after which nobody else is asked, and how many were asked.
pub(crate) fn tell_target(pdo: *mut DeviceObject, event: Guid) -> Result<(), (NtStatus, usize)> {
    tell_first(pdo, event, usize::MAX)
}

/// As [`tell_target`], for the first `count` registrations only.
pub(crate) fn tell_first(pdo: *mut DeviceObject, event: Guid, count: usize) -> Result<(), (NtStatus, usize)> {
    let all = of(|subject| matches!(subject, Subject::Target(of, _) if *of == pdo));
    for (index, registration) in all.iter().take(count).enumerate() {
        let Subject::Target(_, file_object) = registration.subject else { continue };
        if registration.cancelled.get() {
            continue;
        }
        let notification = TargetDeviceRemovalNotification {
            version: 1,
            size: size_of::<TargetDeviceRemovalNotification>() as u16,
            event,
            file_object,
        };
        let status = call(registration, notification, "TARGET_DEVICE_REMOVAL_NOTIFICATION");
        if event != TARGET_DEVICE_QUERY_REMOVE {
            demand_success(status);
        } else if !status.is_success() {
            return Err((status, index + 1));
        }
    }
    Ok(())
}

/// Checks that the running thread is in no notification callback, where it must not wait.
pub(crate) fn demand_may_block(what: &str) {
    let thread = schedule::current();
    let inside = thread.frames.borrow().iter().any(|frame| frame.name == CALLBACK);
    if inside {
        verifier::record(
            Rule::Object,
            format!("{what} waits in a notification callback, which must not block"),
        );
    }
}

fn find(entry: *mut u8) -> Rc<Registration> {
    let found = registrations().0.borrow().iter().find(|registration| registration.entry == entry).cloned();
    found.unwrap_or_else(|| {
        let place = memory::describe(entry.addr());
        verifier::fatal(
            Rule::Object,
            format!("{:#x} is no registration of notifications: {place}", entry.addr()),
        )
    })
}

/// Takes a registration away; no new callback begins, unless it was on its way before and `waits` is false.
fn unregister(entry: *mut u8, waits: bool) {
    let registration = find(entry);
    registrations().0.borrow_mut().retain(|other| other.entry != entry);
    if waits {
        registration.cancelled.set(true);
        let me = schedule::current().id;
        schedule::wait("a notification callback to return", None, || {
            registration.running.borrow().iter().all(|thread| *thread == me).then_some(())
        });
    }
    memory::free(entry);
}

/// Reports every registration that was never removed.
fn report_leaks() {
    let left = registrations().0.take();
    for registration in left {
        registration.cancelled.set(true);
        verifier::record(Rule::Unload, "a registration of plug and play notifications was never removed");
        memory::free(registration.entry);
    }
}

/// What a registration is to be told of.
///
/// # Safety
/// `data` is what the category asks for.
unsafe fn subject_of(category: u32, flags: u32, data: Pvoid) -> Result<Subject, NtStatus> {
    let known =
        if category == event_category::DEVICE_INTERFACE_CHANGE { INCLUDE_EXISTING_INTERFACES } else { 0 };
    if flags & !known != 0 {
        verifier::record(
            Rule::Argument,
            format!(
                "IoRegisterPlugPlayNotification of category {category} does not know the flags {flags:#x}"
            ),
        );
        return Err(NtStatus::INVALID_PARAMETER);
    }
    match category {
        event_category::HARDWARE_PROFILE_CHANGE => Ok(Subject::HardwareProfile),
        event_category::DEVICE_INTERFACE_CHANGE => {
            // SAFETY: the caller vouches for the pointer; a wrong one faults and is reported.
            Ok(Subject::Interfaces(unsafe { data.cast::<Guid>().read_unaligned() }))
        }
        event_category::TARGET_DEVICE_CHANGE => match file::device_of(data.cast()) {
            Some(pdo) => Ok(Subject::Target(pdo, data.cast())),
            None => {
                let place = memory::describe(data.addr());
                let text =
                    format!("{:#x} is registered as the target, and is no file object: {place}", data.addr());
                verifier::fatal(Rule::Object, text)
            }
        },
        _ => Err(NtStatus::INVALID_PARAMETER),
    }
}

import! {
    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-ioregisterplugplaynotification>
    pub fn IoRegisterPlugPlayNotification(category: u32, flags: u32, data: Pvoid, driver_object: *mut DriverObject,
        callback: Option<NotificationCallback>, context: Pvoid, entry: *mut *mut u8) -> NtStatus, irql <= PASSIVE_LEVEL; {
        // SAFETY: the driver passes what the category asks for.
        let subject = match unsafe { subject_of(category, flags, data) } {
            Ok(subject) => subject,
            Err(status) => return status,
        };
        let Some(callback) = callback.filter(|_| !driver_object.is_null()) else { return NtStatus::INVALID_PARAMETER };
        if !pool::may_allocate() {
            return NtStatus::INSUFFICIENT_RESOURCES;
        }
        driver::at_unload("plug and play notifications", report_leaks);
        let made = Rc::new(Registration {
            entry: memory::allocate(ENTRY_BYTES, "registration of plug and play notifications"),
            subject,
            callback,
            context,
            cancelled: Cell::new(false),
            running: RefCell::default(),
        });
        registrations().0.borrow_mut().push(Rc::clone(&made));
        if let (Subject::Interfaces(class), true) = (subject, flags & INCLUDE_EXISTING_INTERFACES != 0) {
            for interface in device_interface::of_class(class, false) {
                call_of_interface(&made, &interface, DEVICE_INTERFACE_ARRIVAL);
            }
        }
        // SAFETY: the driver's variable, which the call fills.
        unsafe { entry.write(made.entry) };
        NtStatus::SUCCESS
    }

    /// Does not wait: the callback may run, or come, after it has returned.
    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iounregisterplugplaynotification>
    pub fn IoUnregisterPlugPlayNotification(entry: *mut u8) -> NtStatus, irql <= PASSIVE_LEVEL; {
        unregister(entry, false);
        NtStatus::SUCCESS
    }

    /// Waits for a callback that runs, but in the callback itself.
    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iounregisterplugplaynotificationex>
    pub fn IoUnregisterPlugPlayNotificationEx(entry: *mut u8) -> NtStatus, irql <= PASSIVE_LEVEL; {
        unregister(entry, true);
        NtStatus::SUCCESS
    }
}

/// What this file provides to drivers.
pub(crate) const EXPORTS: &[Export] = exports!["ntoskrnl.exe":
    IoRegisterPlugPlayNotification, IoUnregisterPlugPlayNotification, IoUnregisterPlugPlayNotificationEx];
