//! Notifications of plug and play: who is told what, in which order, and what a callback may do.

use std::cell::{Cell, RefCell};
use std::ptr::null_mut;

use testbed::ivshmem::{CLASS, Device, Generation, Veto};
use testbed::kernel::dispatcher::{KeDelayExecutionThread, KeWaitForSingleObject};
use testbed::kernel::driver::{self, Driver};
use testbed::kernel::mutex::{KeInitializeMutex, KeReleaseMutex};
use testbed::kernel::object::{ObReferenceObjectByHandle, ObfDereferenceObject};
use testbed::kernel::pnp_notification::{
    IoRegisterPlugPlayNotification, IoUnregisterPlugPlayNotification, IoUnregisterPlugPlayNotificationEx,
};
use testbed::nt::{
    DEVICE_INTERFACE_ARRIVAL, DEVICE_INTERFACE_REMOVAL, DeviceInterfaceChangeNotification, DeviceObject,
    DriverObject, Guid, Handle, Irp, KMutant, NtStatus, Pvoid, TARGET_DEVICE_QUERY_REMOVE,
    TARGET_DEVICE_REMOVE_CANCELLED, TARGET_DEVICE_REMOVE_COMPLETE, TargetDeviceRemovalNotification,
    UnicodeString,
};
use testbed::process::{self, Process};
use testbed::{Rule, crossing, schedule};

use crate::ivshmem::{close, in_system, map, open};
use crate::{breaks, clean};

const MIB: u64 = 1 << 20;
const MILLISECOND: u64 = 1_000_000;
const INTERFACE: u32 = 2;
const TARGET: u32 = 3;

/// What a callback does when it is asked whether a device may be removed.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Manner {
    /// Closes the handle.
    #[default]
    Close,
    KeepOpen,
    Refuse,
    /// Closes it, and takes long for it.
    CloseSlowly,
    /// Closes it, and removes its registration.
    CloseAndUnregister,
    /// Closes it, and sleeps with the kernel's function.
    CloseAndSleep,
    /// Closes it, with a mutex.
    CloseWithMutex,
    /// Closes it, and fails when it is told of the end.
    CloseAndFail,
}

thread_local! {
    static TOLD: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    static LINKS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    static HANDLE: Cell<Handle> = const { Cell::new(0) };
    static ENTRY: Cell<*mut u8> = const { Cell::new(null_mut()) };
    static MANNER: Cell<Manner> = const { Cell::new(Manner::Close) };
    static MUTEX: Cell<*mut KMutant> = const { Cell::new(null_mut()) };
}

fn name(event: Guid) -> &'static str {
    let names = [
        (DEVICE_INTERFACE_ARRIVAL, "arrival"),
        (DEVICE_INTERFACE_REMOVAL, "removal"),
        (TARGET_DEVICE_QUERY_REMOVE, "query"),
        (TARGET_DEVICE_REMOVE_CANCELLED, "cancelled"),
        (TARGET_DEVICE_REMOVE_COMPLETE, "complete"),
    ];
    names.iter().find(|(guid, _)| *guid == event).map_or("unknown", |(_, name)| name)
}

fn told() -> Vec<&'static str> {
    TOLD.take()
}

unsafe extern "efiapi" fn on_interface(notification: Pvoid, _context: Pvoid) -> NtStatus {
    // SAFETY: the registration is for interfaces.
    let notification = unsafe { &*notification.cast::<DeviceInterfaceChangeNotification>() };
    assert_eq!((notification.version, notification.size), (1, 0x30));
    assert_eq!((notification.interface_class, process::current()), (CLASS, Process::System));
    TOLD.with_borrow_mut(|told| told.push(name(notification.event)));
    // SAFETY: the notification has a counted string.
    LINKS.with_borrow_mut(|links| links.push(unsafe { (*notification.symbolic_link_name).to_text() }));
    NtStatus::SUCCESS
}

fn close_handle() {
    if HANDLE.get() != 0 {
        close(HANDLE.take());
    }
}

fn unregister() {
    // SAFETY: a registration.
    assert_eq!(unsafe { IoUnregisterPlugPlayNotificationEx(ENTRY.take()) }, NtStatus::SUCCESS);
}

/// A wait of the kernel's that ends at once.
fn with_mutex(body: impl FnOnce()) {
    // SAFETY: an initialised mutex.
    unsafe { KeWaitForSingleObject(MUTEX.get().cast(), 0, 0, 0, std::ptr::null()) };
    body();
    // SAFETY: as above.
    unsafe { KeReleaseMutex(MUTEX.get(), 0) };
}

unsafe extern "efiapi" fn on_target(notification: Pvoid, context: Pvoid) -> NtStatus {
    // SAFETY: the registration is for a target.
    let notification = unsafe { &*notification.cast::<TargetDeviceRemovalNotification>() };
    assert_eq!((notification.version, notification.size, context.addr()), (1, 0x20, 77));
    assert_eq!((process::current(), schedule::current().irql.get()), (Process::System, 0));
    let event = name(notification.event);
    TOLD.with_borrow_mut(|told| told.push(event));
    let manner = MANNER.get();
    if event != "query" {
        close_handle();
        return if manner == Manner::CloseAndFail { NtStatus::UNSUCCESSFUL } else { NtStatus::SUCCESS };
    }
    match manner {
        Manner::KeepOpen => return NtStatus::SUCCESS,
        Manner::Refuse => return NtStatus::UNSUCCESSFUL,
        Manner::CloseSlowly => schedule::sleep_until(schedule::now() + 5 * MILLISECOND),
        Manner::CloseAndUnregister => unregister(),
        // SAFETY: the interval is a constant.
        Manner::CloseAndSleep => unsafe {
            KeDelayExecutionThread(0, 0, &-10_000);
        },
        Manner::CloseWithMutex => with_mutex(|| ()),
        Manner::Close | Manner::CloseAndFail => {}
    }
    close_handle();
    NtStatus::SUCCESS
}

unsafe extern "efiapi" fn no_request(_device: *mut DeviceObject, _irp: *mut Irp) -> NtStatus {
    NtStatus::INVALID_DEVICE_REQUEST
}

unsafe extern "efiapi" fn entry(driver: *mut DriverObject, _path: *mut UnicodeString) -> NtStatus {
    // SAFETY: a live driver object.
    unsafe { (*driver).major_function[0] = Some(no_request) };
    NtStatus::SUCCESS
}

type Callback = unsafe extern "efiapi" fn(Pvoid, Pvoid) -> NtStatus;

fn register(category: u32, flags: u32, data: Pvoid, callback: Callback) -> *mut u8 {
    let driver = Driver::builtin("client", entry).object();
    let mut entry = null_mut();
    let context = std::ptr::without_provenance_mut(77);
    // SAFETY: what the category asks for, and a local.
    let status = unsafe {
        IoRegisterPlugPlayNotification(category, flags, data, driver, Some(callback), context, &raw mut entry)
    };
    assert_eq!(status, NtStatus::SUCCESS);
    entry
}

/// Opens a device and registers for its removal.
fn watch(device: &Device, manner: Manner) {
    MANNER.set(manner);
    let handle = open(&device.link()).expect("the device opens");
    HANDLE.set(handle);
    let mut file = null_mut();
    // SAFETY: everything is a local.
    let status =
        unsafe { ObReferenceObjectByHandle(handle, 0, std::ptr::null(), 0, &raw mut file, null_mut()) };
    assert_eq!(status, NtStatus::SUCCESS);
    ENTRY.set(register(TARGET, 0, file, on_target));
    // SAFETY: the reference from above: a registration needs none.
    unsafe { ObfDereferenceObject(file.cast()) };
}

fn plug() -> Device {
    Device::plug(MIB, Generation::WithKernelMap)
}

#[test]
fn interfaces_are_told_of_when_they_are_there_come_and_go() {
    let (told, links, names) = clean(|| {
        let first = plug();
        let class = (&raw const CLASS_VALUE).cast_mut().cast();
        let entry = in_system(|| register(INTERFACE, 1, class, on_interface));
        let second = plug();
        assert_eq!(first.remove(), Ok(()));
        second.surprise_remove();
        second.plug_again();
        // SAFETY: a registration.
        unsafe { IoUnregisterPlugPlayNotification(entry) };
        second.surprise_remove();
        driver::report_leftovers();
        (told(), LINKS.take(), [first.link(), second.link()])
    });
    assert_eq!(told, ["arrival", "arrival", "removal", "removal", "arrival"]);
    assert_eq!(links, [0, 1, 0, 1, 1].map(|index: usize| names[index].clone()));
}

static CLASS_VALUE: Guid = CLASS;

#[test]
fn a_device_that_is_closed_when_its_removal_is_asked_for_goes() {
    clean(|| {
        let device = plug();
        watch(&device, Manner::Close);
        map(HANDLE.get(), testbed::ivshmem::request::REQUEST_KMAP).expect("a mapping");
        assert_eq!(device.remove(), Ok(()));
        assert_eq!((told(), device.is_gone()), (vec!["query", "complete"], true));
        unregister();
        driver::report_leftovers();
    });
}

#[test]
fn a_device_that_stays_open_stays() {
    clean(|| {
        let device = plug();
        watch(&device, Manner::KeepOpen);
        assert_eq!(device.remove(), Err(Veto::Open(1)));
        assert_eq!((told(), device.is_gone()), (vec!["query", "cancelled"], false));
        HANDLE.set(open(&device.link()).expect("it opens again"));
        close_handle();
        unregister();
        driver::report_leftovers();
    });
}

#[test]
fn a_callback_can_refuse_the_removal() {
    clean(|| {
        let device = plug();
        watch(&device, Manner::Refuse);
        assert_eq!(device.remove(), Err(Veto::Callback(NtStatus::UNSUCCESSFUL)));
        assert_eq!((told(), device.is_gone()), (vec!["query", "cancelled"], false));
        unregister();
        driver::report_leftovers();
    });
}

#[test]
fn a_surprise_removal_is_told_of_when_the_mapping_is_gone() {
    clean(|| {
        let device = plug();
        watch(&device, Manner::Close);
        in_system(|| map(HANDLE.get(), testbed::ivshmem::request::REQUEST_MMAP).expect("a mapping"));
        device.surprise_remove();
        assert_eq!((told(), device.is_mapped()), (vec!["complete"], false));
        unregister();
        driver::report_leftovers();
        device.plug_again();
        assert_eq!(device.remove(), Ok(()));
    });
}

#[test]
fn a_callback_can_remove_its_own_registration() {
    clean(|| {
        let device = plug();
        watch(&device, Manner::CloseAndUnregister);
        assert_eq!(device.remove(), Ok(()));
        // Nobody was there to be told of the end.
        assert_eq!(told(), ["query"]);
        driver::report_leftovers();
    });
}

#[test]
fn removing_a_registration_waits_for_its_callback() {
    clean(|| {
        let device = std::rc::Rc::new(plug());
        watch(&device, Manner::CloseSlowly);
        let start = schedule::now();
        let removed = std::rc::Rc::clone(&device);
        let remover = schedule::spawn("remover", 0, move || assert_eq!(removed.remove(), Ok(())));
        schedule::sleep_until(start + MILLISECOND);
        crossing::call_driver("a thread of the driver", unregister);
        assert_eq!((schedule::now() - start, told()), (5 * MILLISECOND, vec!["query"]));
        schedule::wait("the removal", None, || remover.is_finished().then_some(()));
        driver::report_leftovers();
    });
}

#[test]
fn a_registration_that_is_left_is_reported() {
    breaks(Rule::Unload, || {
        let device = plug();
        watch(&device, Manner::Close);
        assert_eq!(device.remove(), Ok(()));
        driver::report_leftovers();
    });
}

#[test]
fn a_callback_that_sleeps_is_reported() {
    let text = breaks(Rule::Object, || {
        let device = plug();
        watch(&device, Manner::CloseAndSleep);
        assert_eq!(device.remove(), Ok(()));
        unregister();
    });
    assert!(text.contains("KeDelayExecutionThread waits in a notification callback"), "{text}");
}

#[test]
fn a_callback_may_take_a_mutex() {
    clean(|| {
        MUTEX.set(crate::object());
        // SAFETY: memory for a mutex.
        unsafe { KeInitializeMutex(MUTEX.get(), 0) };
        let device = plug();
        watch(&device, Manner::CloseWithMutex);
        assert_eq!(device.remove(), Ok(()));
        unregister();
    });
}

#[test]
fn a_callback_that_fails_where_nothing_is_asked_is_reported() {
    let text = breaks(Rule::Argument, || {
        let device = plug();
        watch(&device, Manner::CloseAndFail);
        assert_eq!(device.remove(), Ok(()));
        unregister();
    });
    assert!(text.contains("returned STATUS_UNSUCCESSFUL (0xc0000001) for what is no query"), "{text}");
}

#[test]
fn a_veto_is_a_violation_where_the_driver_must_let_go() {
    let text = breaks(Rule::Object, || {
        let device = plug();
        watch(&device, Manner::KeepOpen);
        device.demand_removal();
        close_handle();
        unregister();
    });
    assert!(text.contains("1 file(s) of a device are open after the query of its removal"), "{text}");
}
