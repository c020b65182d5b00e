//! Scream, a virtual sound card for Windows: what is played on it leaves as raw PCM over the network.
//!
//! This is the driver: a WDM/PortCls WaveRT miniport. It is built twice from the same sources, on Windows with
//! Microsoft's tools and on Linux by `cross/`; elsewhere the crate is empty.
//!
//! # Life cycle
//! [`driver_entry`] registers with PortCls, with Winsock Kernel, and as a provider of [`events`]. Then [`adapter`] takes over: Windows adds and starts
//! the device, which registers a [`topology`] and a [`wave`] filter. The audio engine opens the wave filter's pin, which
//! makes a stream with an [`engine`], whose thread moves the audio to a [`transport`]. [`unload`] undoes the rest when
//! the last device has gone.
//!
//! # Layers
//! [`abi`] declares what Windows has and [`kernel`] and [`com`] make it safe; everything else is safe code on top of
//! these and of the crate `protocol`, which holds all arithmetic.
#![cfg(windows)]
#![no_std]

extern crate alloc;

use alloc::boxed::Box;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};

use wdk_alloc::WdkAllocator;
use wdk_panic as _;
use wdk_sys::{DRIVER_OBJECT, IRP_MJ_PNP, NTSTATUS, PDRIVER_UNLOAD, STATUS_SUCCESS, UNICODE_STRING};

use crate::abi::portcls::PcInitializeAdapterDriver;
use crate::kernel::etw::Registration;
use crate::kernel::pnp_notification::DriverObject;
use crate::kernel::status::check;
use crate::kernel::{Result, Status, try_box};
use crate::transport::wsk::Client;

pub mod abi;
pub mod adapter;
pub mod com;
pub mod engine;
pub mod events;
pub mod kernel;
pub mod options;
pub mod topology;
pub mod transport;
pub mod wave;

#[global_allocator]
static ALLOCATOR: WdkAllocator = WdkAllocator;

/// The longest path of a service key that is kept, in UTF-16 units.
const MAX_SERVICE_KEY: usize = 256;

/// What lives from load to unload.
pub struct Driver {
    object: DriverObject,
    service_key: [u16; MAX_SERVICE_KEY],
    service_key_length: usize,
    wsk: Client,
    /// PortCls's unload routine, to be called before everything else goes.
    portcls_unload: PDRIVER_UNLOAD,
    /// Last, so that everything else can still tell how it went.
    events: Option<Registration>,
}

/// The one [`Driver`], from the success of [`driver_entry`] to [`unload`].
static DRIVER: AtomicPtr<Driver> = AtomicPtr::new(null_mut());

/// The driver, while it is loaded.
pub fn driver() -> Option<&'static Driver> {
    // SAFETY: the pointer is null or to a box that is freed at unload, when no device and no stream is left to ask.
    #[expect(unsafe_code, reason = "a global that lives from load to unload")]
    unsafe {
        DRIVER.load(Ordering::Acquire).as_ref()
    }
}

impl Driver {
    /// The driver's object.
    pub fn object(&self) -> DriverObject {
        self.object
    }

    /// The path of the driver's registry key, in UTF-16.
    pub fn service_key(&self) -> &[u16] {
        self.service_key.get(..self.service_key_length).unwrap_or_default()
    }

    /// The registration with Winsock Kernel.
    pub fn wsk(&self) -> &Client {
        &self.wsk
    }

    fn try_new(object: DriverObject, path: &[u16]) -> Result<Self> {
        let mut service_key = [0; MAX_SERVICE_KEY];
        let place = service_key.get_mut(..path.len()).ok_or(Status::INVALID_PARAMETER)?;
        for (to, from) in place.iter_mut().zip(path) {
            *to = *from;
        }
        Ok(Self {
            object,
            service_key,
            service_key_length: path.len(),
            wsk: Client::register()?,
            portcls_unload: None,
            events: None,
        })
    }
}

/// Called by Windows when the driver is loaded. PASSIVE_LEVEL.
///
/// # Safety
/// For Windows only: `object` is the driver's object and `path` its registry path, which need not end with a NUL.
#[expect(unsafe_code, reason = "Windows finds the entry point by name and passes raw pointers")]
// SAFETY: no other item has this name.
#[unsafe(export_name = "DriverEntry")]
pub unsafe extern "system" fn driver_entry(
    object: *mut DRIVER_OBJECT,
    path: *mut UNICODE_STRING,
) -> NTSTATUS {
    let registration = events::PROVIDER.register();
    // SAFETY: by contract.
    match unsafe { load(object, path) } {
        Ok(mut driver) => {
            driver.events = Some(registration);
            DRIVER.store(Box::into_raw(driver), Ordering::Release);
            STATUS_SUCCESS
        }
        Err(status) => {
            events::driver_failed(status);
            status.code()
        }
    }
}

/// # Safety
/// As for [`driver_entry`].
#[expect(unsafe_code, reason = "takes what Windows passed to the entry point")]
unsafe fn load(object: *mut DRIVER_OBJECT, path: *mut UNICODE_STRING) -> Result<Box<Driver>> {
    // SAFETY: by contract.
    let key = unsafe { &*path };
    // SAFETY: a counted string of Windows: as many bytes as it says.
    let key = unsafe { core::slice::from_raw_parts(key.Buffer, usize::from(key.Length) / 2) };
    // SAFETY: by contract.
    let this = unsafe { DriverObject::new(object) }.ok_or(Status::INVALID_PARAMETER)?;
    let mut driver = try_box(Driver::try_new(this, key)?)?;
    // SAFETY: object and path are those that Windows passed.
    check(unsafe { PcInitializeAdapterDriver(object, path, Some(adapter::add_device)) })?;
    // SAFETY: by contract; nobody else uses the object before the entry point returns.
    let object = unsafe { &mut *object };
    driver.portcls_unload = object.DriverUnload;
    object.DriverUnload = Some(unload);
    if let Some(pnp) = object.MajorFunction.get_mut(IRP_MJ_PNP as usize) {
        *pnp = Some(adapter::dispatch_pnp);
    }
    Ok(driver)
}

/// Called by Windows when the last device has gone. PASSIVE_LEVEL.
#[expect(unsafe_code, reason = "Windows calls it with a raw pointer")]
unsafe extern "C" fn unload(object: *mut DRIVER_OBJECT) {
    let driver = DRIVER.swap(null_mut(), Ordering::AcqRel);
    if driver.is_null() {
        return;
    }
    // SAFETY: the pointer came from a box, and the swap made it ours.
    let driver = unsafe { Box::from_raw(driver) };
    if let Some(portcls_unload) = driver.portcls_unload {
        // SAFETY: PortCls's own routine with the argument that Windows passed.
        unsafe { portcls_unload(object) };
    }
    // Deregisters from Winsock Kernel, then as a provider of events.
    drop(driver);
}
