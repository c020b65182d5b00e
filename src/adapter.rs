//! The adapter: what happens when Windows adds, starts, stops and removes the device.
//!
//! # Life cycle
//! [`add_device`] makes the device object; its extension holds a pointer to the [`Adapter`], null while the device is
//! not started. [`start_device`] makes the adapter: two filters, registered and connected. [`dispatch_pnp`] takes it
//! apart again for STOP, SURPRISE_REMOVAL and REMOVE, whichever comes first, before PortCls sees the request.
#![expect(unsafe_code, reason = "PortCls's functions take raw pointers")]

use alloc::boxed::Box;
use core::ptr::null_mut;
use core::sync::atomic::{AtomicPtr, Ordering};

use wdk_sys::{
    DEVICE_OBJECT, DRIVER_OBJECT, IRP, IRP_MN_REMOVE_DEVICE, IRP_MN_STOP_DEVICE, IRP_MN_SURPRISE_REMOVAL,
    NTSTATUS, STATUS_SUCCESS,
};

use crate::abi::GUID;
use crate::abi::portcls::{
    CLSID_PortTopology, CLSID_PortWaveRT, IAdapterPowerManagementVtbl, IID_IAdapterPowerManagement, IPort,
    IResourceList, IUnregisterPhysicalConnection, IUnregisterSubdevice, PORT_CLASS_DEVICE_EXTENSION_SIZE,
    PUNKNOWN, PcAddAdapterDevice, PcDispatchIrp, PcRegisterAdapterPowerManagement,
    PcRegisterPhysicalConnection, PcRegisterSubdevice, PcUnregisterAdapterPowerManagement,
};
use crate::com::adapter_power::AdapterPowerTable;
use crate::com::miniport::Miniport;
use crate::com::port::new_port;
use crate::com::stream_resource::PhysicalDevice;
use crate::com::{Class, ComObject, ComPtr, ObjectRef, Table};
use crate::kernel::irp::minor_function;
use crate::kernel::object_name::utf16;
use crate::kernel::status::{check, ntstatus};
use crate::kernel::{Result, Status, try_box};
use crate::topology::{self, TopologyMiniport};
use crate::wave::miniport::WaveMiniport;
use crate::wave::tables::BRIDGE_PIN;
use crate::{Driver, driver, events};

/// Filters that can be registered: wave and topology.
const MAX_FILTERS: u32 = 2;
/// Reference strings of the filters' interfaces: those of the INF's AddInterface lines.
const WAVE_NAME: &[u16] = &utf16(b"Wave\0");
const TOPOLOGY_NAME: &[u16] = &utf16(b"Topology\0");

/// What the device extension holds after PortCls's part. Zero bytes are its initial value.
struct Extension {
    adapter: AtomicPtr<Adapter>,
}

/// A started device. Taken apart in reverse when dropped. PASSIVE_LEVEL.
///
/// The fields are dropped in this order.
struct Adapter {
    _connection: Connection,
    _wave: Subdevice,
    _topology: Subdevice,
    _power: PowerRegistration,
}

/// `AddDevice`: makes the functional device object. PASSIVE_LEVEL.
///
/// # Safety
/// For Windows only.
pub unsafe extern "C" fn add_device(driver: *mut DRIVER_OBJECT, physical: *mut DEVICE_OBJECT) -> NTSTATUS {
    let extension = PORT_CLASS_DEVICE_EXTENSION_SIZE + size_of::<Extension>();
    // SAFETY: the objects are those that Windows passed.
    unsafe { PcAddAdapterDevice(driver, physical, start_device, MAX_FILTERS, extension as u32) }
}

/// `StartDevice`: makes and connects the filters. PASSIVE_LEVEL.
unsafe extern "system" fn start_device(
    device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    resources: *mut IResourceList,
) -> NTSTATUS {
    let start = Start { device, irp, resources };
    let result = driver().ok_or(Status::DEVICE_NOT_READY).and_then(|driver| start.adapter(driver));
    let result = result.and_then(try_box).map(|adapter| {
        // SAFETY: the device is ours.
        let extension = unsafe { extension(device) };
        // A device is stopped before it is started again, so there is nothing to replace.
        take_apart(extension.adapter.swap(Box::into_raw(adapter), Ordering::AcqRel));
    });
    match result {
        Ok(()) => events::device_started(),
        Err(status) => events::device_failed(status),
    }
    ntstatus(result)
}

/// The handler of PnP requests: takes the adapter apart when the device stops or goes, then leaves the rest to PortCls.
/// PASSIVE_LEVEL.
///
/// # Safety
/// For Windows only.
pub unsafe extern "C" fn dispatch_pnp(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    // SAFETY: the request is live and its current location is the driver's.
    let minor = u32::from(unsafe { minor_function(irp) });
    if matches!(minor, IRP_MN_STOP_DEVICE | IRP_MN_SURPRISE_REMOVAL | IRP_MN_REMOVE_DEVICE) {
        // SAFETY: the device is ours, and not deleted before PortCls has handled its removal.
        let extension = unsafe { extension(device) };
        let adapter = extension.adapter.swap(null_mut(), Ordering::AcqRel);
        if !adapter.is_null() {
            take_apart(adapter);
            match minor {
                IRP_MN_SURPRISE_REMOVAL => events::device_vanished(),
                _ => events::device_stopped(minor == IRP_MN_REMOVE_DEVICE),
            }
        }
    }
    // SAFETY: the request is passed on as it came; nothing of the device is touched afterwards.
    unsafe { PcDispatchIrp(device, irp) }
}

/// The driver's part of a device extension.
///
/// # Safety
/// The device was made by [`add_device`] and is not deleted while the result is used.
unsafe fn extension<'a>(device: *mut DEVICE_OBJECT) -> &'a Extension {
    // SAFETY: by contract.
    let start = unsafe { (*device).DeviceExtension }.cast::<u8>();
    // SAFETY: the extension has both parts, see `add_device`.
    let own = unsafe { start.add(PORT_CLASS_DEVICE_EXTENSION_SIZE) };
    // SAFETY: Windows zeroes extensions and aligns them to 16 bytes, and PortCls's part is a multiple of that.
    unsafe { &*own.cast::<Extension>() }
}

/// Drops an adapter that was taken out of an extension.
fn take_apart(adapter: *mut Adapter) {
    if !adapter.is_null() {
        // SAFETY: only `start_device` stores a pointer, from a box, and whoever swapped it out owns it.
        drop(unsafe { Box::from_raw(adapter) });
    }
}

/// A start that is under way.
#[derive(Clone, Copy)]
struct Start {
    device: *mut DEVICE_OBJECT,
    irp: *mut IRP,
    resources: *mut IResourceList,
}

impl Start {
    /// Makes everything; on a failure what was made so far undoes itself.
    fn adapter(self, driver: &'static Driver) -> Result<Adapter> {
        let power = ComObject::try_new(AdapterPowerObject { _private: () })?;
        let registration = PowerRegistration::new(self.device, &power)?;
        let topology =
            self.subdevice(&CLSID_PortTopology, TOPOLOGY_NAME, &TopologyMiniport::try_new()?, &power)?;
        // SAFETY: the device is ours, and streams are closed before it is removed.
        let physical = unsafe { PhysicalDevice::below(self.device) }?;
        let miniport = WaveMiniport::try_new(driver, physical)?;
        let wave = self.subdevice(&CLSID_PortWaveRT, WAVE_NAME, &miniport, &power)?;
        let connection = Connection::new(self.device, &wave, &topology)?;
        Ok(Adapter { _connection: connection, _wave: wave, _topology: topology, _power: registration })
    }

    /// Makes a port for a miniport and registers the two as a filter.
    fn subdevice<M: Miniport>(
        self,
        class: &GUID,
        name: &'static [u16],
        miniport: &ObjectRef<M>,
        adapter: &ObjectRef<AdapterPowerObject>,
    ) -> Result<Subdevice> {
        let port = new_port(class)?;
        let (miniport, adapter) = (miniport.as_unknown(), adapter.as_unknown());
        // SAFETY: device, packet and resources are those of the start that is under way; the unknowns are borrowed.
        unsafe { port.init(self.device, self.irp, miniport, adapter, self.resources) }?;
        let name = name.as_ptr().cast_mut();
        // SAFETY: the name is NUL-terminated and not written; the port is live.
        check(unsafe { PcRegisterSubdevice(self.device, name, port.as_unknown()) })?;
        Ok(Subdevice { device: self.device, port })
    }
}

/// A registered filter; unregistered when dropped.
struct Subdevice {
    device: *mut DEVICE_OBJECT,
    port: ComPtr<IPort>,
}

impl Subdevice {
    fn unknown(&self) -> PUNKNOWN {
        self.port.as_unknown()
    }
}

impl Drop for Subdevice {
    fn drop(&mut self) {
        let Ok(unregister) = self.port.query::<IUnregisterSubdevice>() else { return };
        let this = unregister.as_ptr().cast();
        // SAFETY: the device exists as long as an adapter does, and the port was registered for it.
        let status = unsafe { (unregister.table().UnregisterSubdevice)(this, self.device, self.unknown()) };
        report(c"unregister a filter", status);
    }
}

/// The connection from the wave filter to the topology filter; removed when dropped.
struct Connection {
    device: *mut DEVICE_OBJECT,
    wave: PUNKNOWN,
    topology: PUNKNOWN,
    unregister: ComPtr<IUnregisterPhysicalConnection>,
}

impl Connection {
    fn new(device: *mut DEVICE_OBJECT, wave: &Subdevice, topology: &Subdevice) -> Result<Self> {
        let unregister = wave.port.query()?;
        let (wave, topology) = (wave.unknown(), topology.unknown());
        // SAFETY: device and ports are live, and the pins exist.
        check(unsafe {
            PcRegisterPhysicalConnection(device, wave, BRIDGE_PIN, topology, topology::INPUT_PIN)
        })?;
        Ok(Self { device, wave, topology, unregister })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let unregister = self.unregister.table().UnregisterPhysicalConnection;
        // SAFETY: the ports are live: the adapter drops them after the connection.
        let status = unsafe {
            unregister(
                self.unregister.as_ptr().cast(),
                self.device,
                self.wave,
                BRIDGE_PIN,
                self.topology,
                topology::INPUT_PIN,
            )
        };
        report(c"disconnect the filters", status);
    }
}

/// The registration for power changes; undone when dropped, as a stopped device is registered anew when it starts.
struct PowerRegistration {
    device: *mut DEVICE_OBJECT,
}

impl PowerRegistration {
    fn new(device: *mut DEVICE_OBJECT, power: &ObjectRef<AdapterPowerObject>) -> Result<Self> {
        // SAFETY: the object is live, and PortCls takes a reference of its own.
        check(unsafe { PcRegisterAdapterPowerManagement(power.as_unknown(), device.cast()) })?;
        Ok(Self { device })
    }
}

impl Drop for PowerRegistration {
    fn drop(&mut self) {
        // SAFETY: the device exists as long as an adapter does, and was registered.
        report(c"unregister power management", unsafe { PcUnregisterAdapterPowerManagement(self.device) });
    }
}

/// What PortCls tells about power.
struct AdapterPowerObject {
    _private: (),
}

static POWER_TABLE: IAdapterPowerManagementVtbl = AdapterPowerTable::<AdapterPowerObject, 0>::TABLE;

// SAFETY: the one table is that of IAdapterPowerManagement, and its thunks are those of slot 0.
unsafe impl Class for AdapterPowerObject {
    type Tables = [Table; 1];
    const TABLES: Self::Tables = [Table::new(&POWER_TABLE)];
    const INTERFACES: &'static [(GUID, usize)] = &[(IID_IAdapterPowerManagement, 0)];
}

/// Teardown goes on whatever happens; what happened is told.
fn report(step: &core::ffi::CStr, status: NTSTATUS) {
    if status != STATUS_SUCCESS {
        events::teardown_failed(step, status);
    }
}
