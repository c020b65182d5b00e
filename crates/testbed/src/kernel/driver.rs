//! Drivers: loading, unloading, and what must be gone by then.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::rc::Rc;

use crate::crossing;
use crate::forgiven;
use crate::image::load::Mapped;
use crate::image::{Image, LoadError};
use crate::kernel::{device, dispatcher, ex_timer, irp, mdl, object, pool, registry, thread, timer, work};
use crate::machine::machine;
use crate::memory;
use crate::nt::{
    Dispatch, DriverExtension, DriverInitialize, DriverObject, IO_TYPE_DRIVER, Irp, NtStatus, UnicodeString,
};
use crate::portcls;
use crate::process::Process;
use crate::schedule::{self, PASSIVE_LEVEL};
use crate::verifier::{self, Rule};

/// A driver in the running machine.
pub struct Driver {
    mapped: Option<Rc<Mapped>>,
    object: *mut DriverObject,
    /// What the driver object points to, and the registry path.
    owned: Vec<*mut u8>,
    loaded: Cell<bool>,
}

/// A check of what is left at unload.
type Check = Rc<dyn Fn()>;

/// What other parts of the testbed check when a driver is unloaded.
#[derive(Default)]
struct Checks(RefCell<Vec<(&'static str, Check)>>);

/// Adds a check for unloading, once per name: it records violations for what the driver left behind.
pub fn at_unload(name: &'static str, check: impl Fn() + 'static) {
    let checks = machine().part::<Checks>();
    let mut checks = checks.0.borrow_mut();
    if checks.iter().all(|(known, _)| *known != name) {
        checks.push((name, Rc::new(check)));
    }
}

/// The key of a service.
pub fn service_key(service: &str) -> String {
    format!(r"\Registry\Machine\System\CurrentControlSet\Services\{service}")
}

/// A counted string in memory of the machine. No NUL ends it: an unmapped page does, after bytes that are not zero.
fn counted_string(text: &str) -> (UnicodeString, *mut u8) {
    let units: Vec<u16> = text.encode_utf16().collect();
    let bytes = units.len() * 2;
    // Rounded up to the alignment, the block is followed by non-zero fence bytes, or by the end of its page.
    let label = format!("the string \"{text}\"");
    let buffer = forgiven::allocate(bytes, &label).unwrap_or_else(|| memory::allocate(bytes, label));
    // SAFETY: the block has that many bytes.
    unsafe { ptr::copy_nonoverlapping(units.as_ptr().cast::<u8>(), buffer, bytes) };
    (UnicodeString { length: bytes as u16, maximum_length: bytes as u16, buffer: buffer.cast() }, buffer)
}

unsafe extern "efiapi" fn invalid_request(_device: *mut crate::nt::DeviceObject, irp: *mut Irp) -> NtStatus {
    irp::complete_with(irp, NtStatus::INVALID_DEVICE_REQUEST, 0);
    NtStatus::INVALID_DEVICE_REQUEST
}

impl Driver {
    /// Loads a driver and calls its DriverEntry, in a system thread. `service` is the name of its key.
    ///
    /// # Errors
    /// When the image cannot be loaded, or DriverEntry fails; then the image is gone again, and what the driver left
    /// behind is reported.
    pub fn load(image: &Image, service: &str) -> Result<Self, LoadError> {
        let mapped = Mapped::new(image)?;
        // SAFETY: the entry point of a native image has this type.
        let entry = unsafe { std::mem::transmute::<usize, DriverInitialize>(mapped.entry()) };
        let driver = Self::new(service, Some(Rc::clone(&mapped)), entry);
        registry::create_key(&service_key(service));
        let (path, buffer) = counted_string(&service_key(service));
        let path_block =
            memory::allocate(size_of::<UnicodeString>(), "the registry path").cast::<UnicodeString>();
        // SAFETY: the block has the size of the structure.
        unsafe { path_block.write(path) };
        let object = driver.object;
        let status = in_system_thread("DriverEntry", move || {
            // SAFETY: the image was loaded and bound; the arguments are what DriverEntry takes.
            unsafe { entry(object, path_block) }
        });
        memory::free(path_block.cast());
        memory::free(buffer);
        mapped.discard_init();
        if !status.is_success() {
            driver.leave(false);
            return Err(LoadError::DriverEntry(status));
        }
        driver.loaded.set(true);
        Ok(driver)
    }

    /// A driver that is part of the testbed, such as a bus: `entry` fills in its driver object.
    pub fn builtin(name: &str, entry: DriverInitialize) -> Self {
        let driver = Self::new(name, None, entry);
        // SAFETY: the function is the testbed's own.
        let status = unsafe { entry(driver.object, ptr::null_mut()) };
        assert!(status.is_success(), "the entry of a builtin driver failed: {status}");
        driver.loaded.set(true);
        driver
    }

    fn new(service: &str, mapped: Option<Rc<Mapped>>, entry: DriverInitialize) -> Self {
        let (name, name_buffer) = counted_string(&format!(r"\Driver\{service}"));
        let (key, key_buffer) = counted_string(service);
        let object = memory::allocate(size_of::<DriverObject>(), "driver object").cast::<DriverObject>();
        let extension =
            memory::allocate(size_of::<DriverExtension>(), "driver extension").cast::<DriverExtension>();
        let extension_value =
            DriverExtension { driver_object: object, add_device: None, count: 0, service_key_name: key };
        // SAFETY: the block has the size of the structure.
        unsafe { extension.write(extension_value) };
        let routine: Dispatch = invalid_request;
        let value = DriverObject {
            kind: IO_TYPE_DRIVER,
            size: size_of::<DriverObject>() as i16,
            device_object: ptr::null_mut(),
            flags: 0,
            driver_start: ptr::with_exposed_provenance_mut(mapped.as_ref().map_or(0, |mapped| mapped.base())),
            driver_size: mapped.as_ref().map_or(0, |mapped| mapped.size()) as u32,
            driver_section: ptr::null_mut(),
            driver_extension: extension,
            driver_name: name,
            hardware_database: ptr::null_mut(),
            fast_io_dispatch: ptr::null_mut(),
            driver_init: Some(entry),
            driver_start_io: ptr::null_mut(),
            driver_unload: None,
            major_function: [Some(routine); 28],
        };
        // SAFETY: the block has the size of the structure.
        unsafe { object.write(value) };
        let owned = vec![name_buffer, key_buffer, extension.cast(), object.cast()];
        Self { mapped, object, owned, loaded: Cell::new(false) }
    }

    /// Its driver object.
    pub fn object(&self) -> *mut DriverObject {
        self.object
    }

    /// Its AddDevice routine, once it set one.
    pub fn add_device(&self) -> Option<crate::nt::AddDevice> {
        // SAFETY: the driver object and its extension live as long as the driver.
        unsafe { (*(*self.object).driver_extension).add_device }
    }

    /// Unloads the driver: calls its DriverUnload, reports everything that is still alive, and takes the image away.
    ///
    /// A driver with devices, or without DriverUnload, stays loaded, as in Windows; that is reported.
    pub fn unload(&self) {
        if !self.loaded.get() {
            return;
        }
        if device::count(self.object) > 0 {
            return verifier::record(Rule::Unload, "the driver cannot be unloaded: it still has devices");
        }
        // SAFETY: the driver object lives as long as the driver.
        let Some(unload) = (unsafe { (*self.object).driver_unload }) else {
            return verifier::record(Rule::Unload, "the driver cannot be unloaded: it has no DriverUnload");
        };
        self.loaded.set(false);
        let object = self.object;
        in_system_thread("DriverUnload", move || {
            // SAFETY: the driver set this routine in its driver object.
            unsafe { unload(object) }
        });
        portcls::check_unloaded(object);
        self.leave(true);
    }

    fn leave(&self, unloaded: bool) {
        if unloaded || device::count(self.object) == 0 {
            report_leftovers();
        } else {
            verifier::record(Rule::Unload, "DriverEntry failed and left devices behind");
        }
        if let Some(mapped) = &self.mapped {
            dispatcher::forget_range(mapped.base(), mapped.size());
            mapped.unload();
        }
        for block in &self.owned {
            memory::free(*block);
        }
    }
}

/// Records a violation for everything of a driver that is still alive.
pub fn report_leftovers() {
    let checks: Vec<Check> =
        machine().part::<Checks>().0.borrow().iter().map(|(_, check)| Rc::clone(check)).collect();
    for check in checks {
        check();
    }
    thread::report_leaks();
    ex_timer::report_leaks();
    timer::report_leaks();
    work::report_leaks();
    irp::report_leaks();
    mdl::report_leaks();
    object::report_leaks();
    pool::report_leaks();
}

/// Calls driver code in a system thread at PASSIVE_LEVEL and waits for it.
pub fn in_system_thread<T: 'static>(name: &'static str, body: impl FnOnce() -> T + 'static) -> T {
    let result = Rc::new(RefCell::new(None));
    let slot = Rc::clone(&result);
    schedule::spawn_in(Process::System, "system", PASSIVE_LEVEL, move || {
        let value = crossing::call_driver(name, body);
        *slot.borrow_mut() = Some(value);
        schedule::poll_now();
    });
    schedule::wait(name, None, || result.borrow_mut().take())
        .expect("a wait without a deadline ends with a value")
}
