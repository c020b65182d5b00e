//! A driver that breaks one rule of the testbed's verifier: the tests' proof that the verifier sees it on a real image.
//!
//! The name of the service under which it is loaded says what it does: `pool_leak` breaks the rule of that name, and
//! `pool_leak.twin` does the same work without breaking it. Most cases run in DriverEntry; those of [`device`] are an
//! audio device with one mistake. The service `list` prints the names of all cases.
//!
//! Nothing here is declared with `wdk-sys`: the few declarations in [`nt`] keep the build at a second.
#![no_std]

use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use nt::{DriverObject, NtStatus, SUCCESS, UnicodeString};

pub mod access;
pub mod cyclic;
pub mod device;
pub mod device_buffers;
pub mod device_objects;
pub mod device_registrations;
pub mod device_streams;
pub mod device_tables;
pub mod devices;
pub mod files;
pub mod hostile;
pub mod irps;
pub mod irql;
pub mod ivshmem;
pub mod mdls;
pub mod notifications;
pub mod nt;
pub mod objects;
pub mod pool;
pub mod spin_locks;
pub mod strings;
pub mod threads;
pub mod timers;
pub mod tracing;
pub mod work;
pub mod wsk;
pub mod wsk_calls;
#[cfg(target_arch = "x86_64")]
pub mod x64;

/// A case: its name, and what DriverEntry does. `well` is true for the twin that keeps the rule.
pub type Case = (&'static str, unsafe fn(well: bool) -> NtStatus);

/// Every list of cases.
const LISTS: &[&[Case]] = &[
    access::CASES,
    cyclic::CASES,
    device::CASES,
    device_streams::CASES,
    devices::CASES,
    files::CASES,
    irps::CASES,
    irql::CASES,
    ivshmem::CASES,
    mdls::CASES,
    notifications::CASES,
    objects::CASES,
    pool::CASES,
    spin_locks::CASES,
    strings::CASES,
    threads::CASES,
    timers::CASES,
    tracing::CASES,
    work::CASES,
    wsk::CASES,
    #[cfg(target_arch = "x86_64")]
    x64::CASES,
];

/// The driver object, from DriverEntry on.
static DRIVER: AtomicPtr<DriverObject> = AtomicPtr::new(core::ptr::null_mut());
/// The registry path that DriverEntry got, while it runs.
static PATH: AtomicPtr<UnicodeString> = AtomicPtr::new(core::ptr::null_mut());
/// What DriverUnload calls: see [`at_unload`].
static AT_UNLOAD: AtomicUsize = AtomicUsize::new(0);

/// The driver object.
pub fn driver() -> *mut DriverObject {
    DRIVER.load(Ordering::Relaxed)
}

/// The registry path, during DriverEntry.
pub fn path() -> *mut UnicodeString {
    PATH.load(Ordering::Relaxed)
}

/// Lets DriverUnload call a function, for cases in which something is left until then.
pub fn at_unload(function: unsafe fn()) {
    AT_UNLOAD.store(function as usize, Ordering::Relaxed);
}

/// The entry point.
///
/// # Safety
/// For Windows.
// SAFETY: no other item has this name.
#[unsafe(export_name = "DriverEntry")]
pub unsafe extern "system" fn driver_entry(object: *mut DriverObject, path: *mut UnicodeString) -> NtStatus {
    DRIVER.store(object, Ordering::Relaxed);
    PATH.store(path, Ordering::Relaxed);
    // SAFETY: the driver's own object.
    unsafe { (*object).unload = Some(unload) };
    // SAFETY: the path is a counted string.
    let service = unsafe { (*path).units() };
    let start = service.iter().rposition(|unit| *unit == u16::from(b'\\')).map_or(0, |index| index + 1);
    let service = service.get(start..).unwrap_or_default();
    if is(service, "list", "") {
        print_names();
        return SUCCESS;
    }
    for (name, case) in LISTS.iter().copied().chain([hostile::CASES]).flatten() {
        for (suffix, well) in [("", false), (".twin", true)] {
            if is(service, name, suffix) {
                device::choose(name, well);
                // SAFETY: what is wrong on purpose is said at each case.
                return unsafe { case(well) };
            }
        }
    }
    nt::NOT_FOUND
}

fn is(service: &[u16], name: &str, suffix: &str) -> bool {
    let wanted = name.bytes().chain(suffix.bytes()).map(u16::from);
    service.iter().copied().eq(wanted)
}

fn print_names() {
    for (name, _) in LISTS.iter().copied().flatten() {
        // SAFETY: the format takes a length and as many bytes.
        unsafe { nt::DbgPrint(c"%.*s\n".as_ptr(), name.len() as i32, name.as_ptr()) };
    }
}

unsafe extern "system" fn unload(_object: *mut DriverObject) {
    let function = AT_UNLOAD.load(Ordering::Relaxed);
    if function != 0 {
        // SAFETY: `at_unload` stored a function of this type.
        let function = unsafe { core::mem::transmute::<usize, unsafe fn()>(function) };
        // SAFETY: what is wrong on purpose is said at each case.
        unsafe { function() };
    }
}

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: stops the machine.
    unsafe { nt::KeBugCheckEx(0xDEAD, 0, 0, 0, 0) };
    loop {
        core::hint::spin_loop();
    }
}
