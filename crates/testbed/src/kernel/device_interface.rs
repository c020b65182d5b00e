//! Device interfaces: the classes under which devices offer themselves, and the symbolic links that open them.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::rc::Rc;

use crate::kernel::imports::Export;
use crate::kernel::{device, pnp_notification, pool};
use crate::machine::machine;
use crate::nt::{
    DEVICE_INTERFACE_ARRIVAL, DEVICE_INTERFACE_REMOVAL, DeviceObject, Guid, INCLUDE_NONACTIVE, NtStatus,
};
use crate::schedule::PASSIVE_LEVEL;
use crate::verifier::{self, Rule};
use crate::{exports, import};

/// The tag of the lists that are handed out: "Intf".
const TAG: u32 = u32::from_le_bytes(*b"Intf");
/// What the name of a link can begin with: names of the same directory of the object manager.
const DIRECTORIES: [&str; 3] = [r"\??\", r"\dosdevices\", r"\global??\"];

/// A device's interface of a class.
pub struct Interface {
    /// The class.
    pub class: Guid,
    /// The symbolic link, such as `\??\PCI#VEN_1AF4…#{…}`.
    pub link: String,
    /// The physical device behind it.
    pub pdo: *mut DeviceObject,
    enabled: Cell<bool>,
}

/// The interfaces of a machine, in the order in which they were registered.
#[derive(Default)]
struct Interfaces(RefCell<Vec<Rc<Interface>>>);

/// Registers an interface of a device. It is disabled; `instance` tells the devices of a class apart. A device that comes
/// back has the link that it had.
pub fn register(class: Guid, pdo: *mut DeviceObject, instance: &str) -> Rc<Interface> {
    let link = format!(r"\??\{instance}#{class:?}");
    let interface = Rc::new(Interface { class, link, pdo, enabled: Cell::new(false) });
    let interfaces = machine().part::<Interfaces>();
    interfaces.0.borrow_mut().retain(|old| old.link != interface.link);
    interfaces.0.borrow_mut().push(Rc::clone(&interface));
    interface
}

/// IoSetDeviceInterfaceState: lets the link open the device or not, and tells the drivers that asked for it. Call it in a
/// system thread; it returns when they were told.
pub fn set_enabled(interface: &Interface, enabled: bool) {
    if interface.enabled.replace(enabled) != enabled {
        let event = if enabled { DEVICE_INTERFACE_ARRIVAL } else { DEVICE_INTERFACE_REMOVAL };
        pnp_notification::tell_interface_change(interface, event);
    }
}

/// Lets the link open nothing any more, before anybody is told: what the first half of a surprise removal does. Whether
/// it did until then.
pub(crate) fn disable_quietly(interface: &Interface) -> bool {
    interface.enabled.replace(false)
}

/// The interfaces of a class that are enabled, or all of them.
pub fn of_class(class: Guid, with_disabled: bool) -> Vec<Rc<Interface>> {
    let interfaces = machine().part::<Interfaces>();
    let interfaces = interfaces.0.borrow();
    let fits =
        |interface: &&Rc<Interface>| interface.class == class && (with_disabled || interface.enabled.get());
    interfaces.iter().filter(fits).cloned().collect()
}

/// The device that a name opens, and what follows the link in it, with its backslash.
///
/// # Errors
/// STATUS_OBJECT_PATH_SYNTAX_BAD, STATUS_OBJECT_NAME_NOT_FOUND.
pub fn find(name: &str) -> Result<(*mut DeviceObject, String), NtStatus> {
    if !name.starts_with('\\') {
        return Err(NtStatus::OBJECT_PATH_SYNTAX_BAD);
    }
    let lower = name.to_lowercase();
    let relative = DIRECTORIES.iter().find_map(|directory| lower.strip_prefix(directory));
    let relative = relative.ok_or(NtStatus::OBJECT_NAME_NOT_FOUND)?;
    let end = relative.find('\\').unwrap_or(relative.len());
    let interfaces = machine().part::<Interfaces>();
    let interfaces = interfaces.0.borrow();
    let found = interfaces.iter().find(|interface| {
        interface.enabled.get() && interface.link[r"\??\".len()..].to_lowercase() == relative[..end]
    });
    let pdo = found.ok_or(NtStatus::OBJECT_NAME_NOT_FOUND)?.pdo;
    Ok((pdo, relative[end..].to_owned()))
}

import! {
    /// The links of a class in paged pool, each with a NUL and one more at the end; the caller frees the list.
    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iogetdeviceinterfaces>
    pub fn IoGetDeviceInterfaces(class: *const Guid, pdo: *mut DeviceObject, flags: u32, list: *mut *mut u16) -> NtStatus,
        irql <= PASSIVE_LEVEL; {
        if flags & !INCLUDE_NONACTIVE != 0 {
            verifier::record(Rule::Argument, format!("IoGetDeviceInterfaces does not know the flags {flags:#x}"));
        }
        if !pdo.is_null() && !device::is_live(pdo) {
            return NtStatus::INVALID_DEVICE_REQUEST;
        }
        // SAFETY: the driver passes a class; a wrong pointer faults and is reported.
        let class = unsafe { class.read_unaligned() };
        let found = of_class(class, flags & INCLUDE_NONACTIVE != 0).into_iter();
        let of_device = found.filter(|interface| pdo.is_null() || interface.pdo == pdo);
        let units: Vec<u16> =
            of_device.flat_map(|interface| interface.link.encode_utf16().chain([0]).collect::<Vec<_>>()).chain([0]).collect();
        let block = pool::allocate(units.len() * 2, TAG, true).cast::<u16>();
        if block.is_null() {
            return NtStatus::INSUFFICIENT_RESOURCES;
        }
        // SAFETY: just allocated, for these units.
        unsafe { ptr::copy_nonoverlapping(units.as_ptr(), block, units.len()) };
        // SAFETY: the driver's variable, which the call fills.
        unsafe { list.write(block) };
        NtStatus::SUCCESS
    }
}

/// What this file provides to drivers.
pub(crate) const EXPORTS: &[Export] = exports!["ntoskrnl.exe": IoGetDeviceInterfaces];
