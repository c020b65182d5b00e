//! Shared memory of a virtual machine (IVSHMEM), as virtio-win's driver offers it to other drivers.
//!
//! A scenario [plugs](Device::plug) a device in: it gets an interface of the class [`CLASS`], and answers the
//! [requests](request) of the driver generation that the scenario chose. The memory is a [`Region`], which other threads
//! and programs map. A mapping lies between two unmapped pages; one of REQUEST_MMAP is in the user space of the process that
//! asked for it (see [`process`](crate::process)), and every mapping has an address of its own, so that a use after the
//! release, the last handle or the removal is reported as such.

mod region;
pub mod request;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

pub use region::Region;

use crate::device::bus;
use crate::kernel::device_interface::{self, Interface};
use crate::kernel::driver::{self, Driver};
use crate::kernel::{device as devices, file, io_space, pnp_notification};
use crate::machine::machine;
use crate::nt::{
    DeviceObject, DriverObject, Guid, NtStatus, TARGET_DEVICE_QUERY_REMOVE, TARGET_DEVICE_REMOVE_CANCELLED,
    TARGET_DEVICE_REMOVE_COMPLETE, device_flags,
};
use crate::schedule::Time;
use crate::verifier::{self, Rule};

/// The class of its interface.
pub const CLASS: Guid = Guid::from_u128(0xdf576976_569d_4672_95a0_f57e4ea0b210);

/// What virtio-win's driver has learned over the years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// REQUEST_MMAP has no input, or takes no notice of it.
    WithoutConfiguration,
    /// REQUEST_MMAP demands one byte of input, the cache mode.
    WithConfiguration,
    /// As before, and there is REQUEST_KMAP, which maps for the kernel.
    WithKernelMap,
}

/// What can be asked of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// To open it: IRP_MJ_CREATE.
    Open,
    /// REQUEST_SIZE.
    Size,
    /// REQUEST_MMAP.
    Map,
    /// REQUEST_KMAP.
    KernelMap,
    /// RELEASE_MMAP.
    Release,
}

/// How an answer goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request is refused, and does nothing.
    Status(NtStatus),
    /// Another size is answered: to [`Request::Size`], or by a mapping.
    Size(u64),
    /// The mapping is made, and its address is told as null.
    NullPointer,
    /// The mapping is made, and its address is told as one inside of it that is not a page's.
    Unaligned,
    /// Only so many bytes of the output are said to be valid.
    Information(usize),
    /// The answer comes after so many nanoseconds.
    Late(Time),
}

/// The faults that a scenario asked for.
#[derive(Default)]
struct Faults(RefCell<Vec<Asked>>);

struct Asked {
    request: Request,
    fault: Fault,
    /// Requests that come before it.
    after: u64,
    once: bool,
}

impl Faults {
    /// The fault of a request that comes now.
    fn take(&self, request: Request) -> Option<Fault> {
        let mut all = self.0.borrow_mut();
        let mut result = None;
        all.retain_mut(|asked| {
            let counts = asked.request == request;
            let due = counts && asked.after == 0;
            if due && result.is_none() {
                result = Some(asked.fault);
                return !asked.once;
            }
            asked.after = asked.after.saturating_sub(u64::from(counts));
            true
        });
        result
    }
}

/// Who has the region mapped: one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Nobody,
    /// A file of the machine's, by its address, and where the mapping is.
    File {
        file: usize,
        address: usize,
    },
    /// Another program, through a file of its own.
    Another,
}

/// Where a device is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Working,
    /// Its removal was announced.
    Leaving,
    /// Its hardware is gone; what is left of it is there for open files.
    Gone,
}

/// A device that is plugged in, or was.
struct Plugged {
    pdo: *mut DeviceObject,
    fdo: *mut DeviceObject,
    interface: Rc<Interface>,
    region: Rc<Region>,
    /// Where its memory is.
    physical: u64,
    generation: Generation,
    stage: Cell<Stage>,
    provisioned: Cell<bool>,
    owner: Cell<Owner>,
    /// The files that were opened.
    files: RefCell<BTreeSet<usize>>,
    faults: Rc<Faults>,
}

/// The devices of a machine, by the address of the functional device.
#[derive(Default)]
struct Devices {
    driver: Cell<Option<*mut DriverObject>>,
    by_address: RefCell<BTreeMap<usize, Rc<Plugged>>>,
    /// How many were plugged in so far.
    count: Cell<u32>,
}

fn plugged_at(fdo: *mut DeviceObject) -> Rc<Plugged> {
    let devices = machine().part::<Devices>();
    let devices = devices.by_address.borrow();
    Rc::clone(devices.get(&fdo.addr()).expect("a device lives as long as its files"))
}

/// What kept a device from being removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Veto {
    /// A callback refused it with this status.
    Callback(NtStatus),
    /// So many files were still open, by a handle or a reference.
    Open(usize),
}

/// An IVSHMEM device, in the hands of whoever runs the virtual machine.
pub struct Device {
    /// Of the bus, counted from 1.
    slot: u32,
    region: Rc<Region>,
    generation: Generation,
    faults: Rc<Faults>,
    plugged: RefCell<Rc<Plugged>>,
}

impl Device {
    /// Plugs a new device with so many bytes of memory in. Devices are found in the order in which they were plugged in.
    ///
    /// # Panics
    /// Outside a machine; when the system has no such memory.
    pub fn plug(bytes: u64, generation: Generation) -> Self {
        Self::plug_with(Region::new(bytes), generation)
    }

    /// As [`plug`](Self::plug), with memory that is there.
    ///
    /// # Panics
    /// Outside a machine.
    pub fn plug_with(region: Region, generation: Generation) -> Self {
        let region = Rc::new(region);
        let faults = Rc::<Faults>::default();
        let devices = machine().part::<Devices>();
        let slot = devices.count.get() + 1;
        devices.count.set(slot);
        let plugged = plug(slot, Rc::clone(&region), generation, Rc::clone(&faults));
        Self { slot, region, generation, faults, plugged: RefCell::new(plugged) }
    }

    /// Plugs it in again after it was removed, in the same slot and so with the same link, and with the same memory.
    ///
    /// # Panics
    /// When it was not removed.
    pub fn plug_again(&self) {
        assert!(self.is_gone(), "the device is plugged in");
        let plugged = plug(self.slot, Rc::clone(&self.region), self.generation, Rc::clone(&self.faults));
        *self.plugged.borrow_mut() = plugged;
    }

    fn plugged(&self) -> Rc<Plugged> {
        Rc::clone(&self.plugged.borrow())
    }

    /// Its memory.
    pub fn region(&self) -> &Rc<Region> {
        &self.region
    }

    /// The symbolic link that opens it.
    pub fn link(&self) -> String {
        self.plugged().interface.link.clone()
    }

    /// Whether a driver has it mapped.
    pub fn is_mapped(&self) -> bool {
        matches!(self.plugged().owner.get(), Owner::File { .. })
    }

    /// How many files of it are open.
    pub fn open_files(&self) -> usize {
        file::open_on(self.plugged().pdo)
    }

    /// Whether it was removed.
    pub fn is_gone(&self) -> bool {
        self.plugged().stage.get() == Stage::Gone
    }

    /// Whether the host has provided the memory; until then every request is answered with STATUS_DEVICE_NOT_READY.
    pub fn set_provisioned(&self, provisioned: bool) {
        self.plugged().provisioned.set(provisioned);
    }

    /// Another program maps the region; false when somebody has it mapped.
    pub fn map_elsewhere(&self) -> bool {
        let plugged = self.plugged();
        let free = plugged.owner.get() == Owner::Nobody;
        if free {
            plugged.owner.set(Owner::Another);
        }
        free
    }

    /// The other program releases it.
    pub fn unmap_elsewhere(&self) {
        let plugged = self.plugged();
        if plugged.owner.get() == Owner::Another {
            plugged.owner.set(Owner::Nobody);
        }
    }

    /// Lets the `nth` request of a kind from now on (1 is the next) go wrong.
    pub fn inject(&self, request: Request, nth: u64, fault: Fault) {
        self.ask(request, nth, fault, true);
    }

    /// Lets every request of a kind go wrong until [`heal`](Self::heal).
    pub fn fail(&self, request: Request, fault: Fault) {
        self.ask(request, 1, fault, false);
    }

    fn ask(&self, request: Request, nth: u64, fault: Fault, once: bool) {
        let after = nth.saturating_sub(1);
        self.faults.0.borrow_mut().push(Asked { request, fault, after, once });
    }

    /// Forgets the faults; how many have not happened, or would have gone on.
    pub fn heal(&self) -> usize {
        self.faults.0.take().len()
    }

    /// Removes the device in an orderly way, as the user or the host asks for it. Whoever has it open is asked with
    /// GUID_TARGET_DEVICE_QUERY_REMOVE and must close it; then it is told that the removal is complete. Returns when the
    /// callbacks have returned.
    ///
    /// # Errors
    /// The device stays: a callback refused, or a file is still open. Everybody was told that the removal is cancelled.
    ///
    /// # Panics
    /// When it was removed before.
    pub fn remove(&self) -> Result<(), Veto> {
        assert!(!self.is_gone(), "the device was removed before");
        let plugged = self.plugged();
        pnp_notification::in_manager(move || remove(&plugged))
    }

    /// As [`remove`](Self::remove), for a driver that must let the device go: a veto is recorded.
    pub fn demand_removal(&self) {
        match self.remove() {
            Ok(()) => {}
            Err(Veto::Callback(status)) => {
                verifier::record(
                    Rule::Object,
                    format!("a callback refuses the removal of a device with {status}"),
                );
            }
            Err(Veto::Open(count)) => {
                let text = format!("{count} file(s) of a device are open after the query of its removal");
                verifier::record(Rule::Object, text);
            }
        }
    }

    /// The hardware is gone, or its driver has failed: the mapping is gone before anybody is told.
    ///
    /// So it is in Windows: [IRP_MN_SURPRISE_REMOVAL](
    /// https://learn.microsoft.com/windows-hardware/drivers/kernel/irp-mn-surprise-removal), in which the framework lets
    /// virtio-win's driver release its hardware and so unmap the region, is complete before the plug and play manager tells
    /// registered drivers, with GUID_TARGET_DEVICE_REMOVE_COMPLETE.
    ///
    /// # Panics
    /// When it was removed before.
    pub fn surprise_remove(&self) {
        assert!(!self.is_gone(), "the device was removed before");
        let plugged = self.plugged();
        pnp_notification::in_manager(move || {
            plugged.release_hardware();
            let was_enabled = device_interface::disable_quietly(&plugged.interface);
            tell_complete(&plugged);
            if was_enabled {
                pnp_notification::tell_interface_removal(&plugged.interface);
            }
        });
    }
}

/// The object of virtio-win's driver.
fn driver_object() -> *mut DriverObject {
    let devices = machine().part::<Devices>();
    devices.driver.get().unwrap_or_else(|| {
        // The driver is never unloaded; its memory is the machine's.
        let driver = std::mem::ManuallyDrop::new(Driver::builtin("IVSHMEM", request::entry)).object();
        devices.driver.set(Some(driver));
        driver
    })
}

fn plug(slot: u32, region: Rc<Region>, generation: Generation, faults: Rc<Faults>) -> Rc<Plugged> {
    driver::at_unload("mappings of IVSHMEM regions", request::report_leaks);
    let pdo = devices::create(bus(), 0);
    let fdo = devices::create(driver_object(), 0);
    devices::attach(fdo, pdo);
    for device in [pdo, fdo] {
        // SAFETY: just made.
        unsafe { (*device).flags &= !device_flags::INITIALIZING };
    }
    let instance = format!("PCI#VEN_1AF4&DEV_1110&SUBSYS_11001AF4&REV_01#3&11583659&0&{:02X}", slot * 8);
    let plugged = Rc::new(Plugged {
        pdo,
        fdo,
        interface: device_interface::register(CLASS, pdo, &instance),
        physical: io_space::appear(region.descriptor(), region.bytes()),
        region,
        generation,
        stage: Cell::new(Stage::Working),
        provisioned: Cell::new(true),
        owner: Cell::new(Owner::Nobody),
        files: RefCell::default(),
        faults,
    });
    machine().part::<Devices>().by_address.borrow_mut().insert(fdo.addr(), Rc::clone(&plugged));
    let interface = Rc::clone(&plugged.interface);
    pnp_notification::in_manager(move || device_interface::set_enabled(&interface, true));
    plugged
}

impl Plugged {
    fn release_hardware(&self) {
        self.stage.set(Stage::Gone);
        self.unmap("the removal of the device");
        io_space::vanish(self.physical);
    }
}

/// Nothing can refuse this, or is asked.
fn tell_complete(plugged: &Plugged) {
    let told = pnp_notification::tell_target(plugged.pdo, TARGET_DEVICE_REMOVE_COMPLETE);
    debug_assert!(told.is_ok());
}

fn remove(plugged: &Plugged) -> Result<(), Veto> {
    let asked = pnp_notification::tell_target(plugged.pdo, TARGET_DEVICE_QUERY_REMOVE);
    plugged.stage.set(Stage::Leaving);
    let veto = match asked {
        Err((status, count)) => Some((Veto::Callback(status), count)),
        Ok(()) => match file::open_on(plugged.pdo) {
            0 => None,
            open => Some((Veto::Open(open), usize::MAX)),
        },
    };
    if let Some((veto, count)) = veto {
        plugged.stage.set(Stage::Working);
        let told = pnp_notification::tell_first(plugged.pdo, TARGET_DEVICE_REMOVE_CANCELLED, count);
        debug_assert!(told.is_ok());
        return Err(veto);
    }
    tell_complete(plugged);
    plugged.release_hardware();
    device_interface::set_enabled(&plugged.interface, false);
    devices::detach(plugged.pdo);
    for device in [plugged.fdo, plugged.pdo] {
        devices::delete(device);
    }
    machine().part::<Devices>().by_address.borrow_mut().remove(&plugged.fdo.addr());
    Ok(())
}
