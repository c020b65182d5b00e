//! Devices from outside: what the plug and play manager, the power manager and clients do with them.
//!
//! [`Device::add`] makes a physical device on a bus of the testbed and calls the driver's AddDevice; every other method
//! sends one request to the top of the stack, through whatever dispatch routine the driver has installed, and waits
//! for it. Errors are the status of the request.

use std::cell::Cell;
use std::rc::Rc;

use crate::client::{Buffer, Format, Stream};
use crate::crossing::call_driver;
use crate::kernel::driver::Driver;
use crate::kernel::{device as devices, irp};
use crate::machine::machine;
use crate::memory;
use crate::nt::{
    DeviceCapabilities, DeviceObject, DriverObject, IoStackLocation, Irp, NtStatus, PowerParameters,
    UnicodeString, device_flags, major, pnp, power,
};
use crate::portcls::abi::guid;
use crate::portcls::{self, Adapter, AudioInterface, CyclicPin, Kind, Limits, PnpState, Property, WaveRtPin};
use crate::process::{self, Process};

/// DEVICE_POWER_STATE values that a sound card has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerState {
    /// Working.
    D0 = 1,
    /// Off.
    D3 = 4,
}

/// Which filter of an adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// The one that streams.
    Wave,
    /// The one that describes the endpoint.
    Topology,
}

impl From<Filter> for Kind {
    fn from(filter: Filter) -> Self {
        match filter {
            Filter::Wave => Self::WaveRt,
            Filter::Topology => Self::Topology,
        }
    }
}

/// A device and its driver's functional device on top.
pub struct Device {
    pdo: *mut DeviceObject,
    capabilities: Cell<Option<DeviceCapabilities>>,
    removed: Cell<bool>,
}

/// What is known of a device before its driver is asked: it works in D0 while the system does, is off in every other
/// state, wakes nobody, and says how long it takes to come back, in 100 µs.
pub const CAPABILITIES: DeviceCapabilities = DeviceCapabilities {
    size: size_of::<DeviceCapabilities>() as u16,
    version: 1,
    bits: 0,
    address: u32::MAX,
    ui_number: u32::MAX,
    device_state: [0, 1, 4, 4, 4, 4, 4],
    system_wake: 0,
    device_wake: 0,
    d1_latency: 10,
    d2_latency: 20,
    d3_latency: 30,
};

unsafe extern "efiapi" fn bus_dispatch(_device: *mut DeviceObject, packet: *mut Irp) -> NtStatus {
    irp::complete_with(packet, NtStatus::SUCCESS, 0);
    NtStatus::SUCCESS
}

unsafe extern "efiapi" fn bus_entry(driver: *mut DriverObject, _path: *mut UnicodeString) -> NtStatus {
    for function in [major::PNP, major::POWER] {
        // SAFETY: the driver object that was made for this entry.
        unsafe { (*driver).major_function[usize::from(function)] = Some(bus_dispatch) };
    }
    NtStatus::SUCCESS
}

/// The driver of the bus that the devices are on.
#[derive(Default)]
struct Bus(Cell<Option<*mut DriverObject>>);

pub(crate) fn bus() -> *mut DriverObject {
    let bus = machine().part::<Bus>();
    bus.0.get().unwrap_or_else(|| {
        // The driver is never unloaded; its memory is the machine's.
        let driver = std::mem::ManuallyDrop::new(Driver::builtin("PnpManager", bus_entry)).object();
        bus.0.set(Some(driver));
        driver
    })
}

impl Device {
    /// Finds a new device and gives it to a driver: AddDevice.
    ///
    /// # Errors
    /// STATUS_INVALID_DEVICE_REQUEST: the driver has no AddDevice. Otherwise what AddDevice returned.
    pub fn add(driver: &Driver) -> Result<Self, NtStatus> {
        let add = driver.add_device().ok_or(NtStatus::INVALID_DEVICE_REQUEST)?;
        let pdo = devices::create(bus(), 0);
        // SAFETY: just made.
        unsafe { (*pdo).flags = ((*pdo).flags | device_flags::BUS_ENUMERATED) & !device_flags::INITIALIZING };
        let object = driver.object();
        // SAFETY: the driver's own routine, its own driver object and a new device.
        let add = || call_driver("AddDevice", || unsafe { add(object, pdo) });
        let status = process::within(Process::System, add);
        if let Err(status) = status.ok() {
            devices::delete(pdo);
            return Err(status);
        }
        Ok(Self { pdo, capabilities: Cell::default(), removed: Cell::new(false) })
    }

    fn send(&self, fill: impl FnOnce(&mut IoStackLocation)) -> Result<(), NtStatus> {
        let top = devices::top_of(self.pdo);
        // SAFETY: `top_of` gives a live device.
        let stack = unsafe { (*top).stack_size };
        let packet = irp::allocate(stack);
        // SAFETY: just made, with at least one stack location.
        unsafe { (*packet).io_status.status = NtStatus::NOT_SUPPORTED };
        // SAFETY: as above.
        fill(unsafe { &mut *irp::next_location(packet) });
        // The plug and play manager sends from threads of its own.
        let result = process::within(Process::System, || irp::call_and_wait(top, packet));
        irp::free(packet);
        result.status.ok()
    }

    fn pnp(&self, minor: u8) -> Result<(), NtStatus> {
        self.send(|location| {
            location.major_function = major::PNP;
            location.minor_function = minor;
        })
    }

    /// IRP_MN_START_DEVICE, after a stop or for the first time, then IRP_MN_QUERY_CAPABILITIES.
    ///
    /// # Errors
    /// What StartDevice returned.
    pub fn start(&self) -> Result<(), NtStatus> {
        self.pnp(pnp::START_DEVICE)?;
        let block = memory::allocate(size_of::<DeviceCapabilities>(), "DEVICE_CAPABILITIES")
            .cast::<DeviceCapabilities>();
        // SAFETY: just allocated, for one structure.
        unsafe { block.write(CAPABILITIES) };
        let status = self.send(|location| {
            location.major_function = major::PNP;
            location.minor_function = pnp::QUERY_CAPABILITIES;
            location.parameters[0] = block.addr();
        });
        // SAFETY: the block is the caller's again, and still filled.
        self.capabilities.set(Some(unsafe { block.read() }));
        memory::free(block.cast());
        status
    }

    /// What the driver made of [`CAPABILITIES`] at the last start; `None` before the first.
    pub fn capabilities(&self) -> Option<DeviceCapabilities> {
        self.capabilities.get()
    }

    /// IRP_MN_QUERY_STOP_DEVICE.
    ///
    /// # Errors
    /// STATUS_DEVICE_BUSY while a stream is open.
    pub fn query_stop(&self) -> Result<(), NtStatus> {
        self.pnp(pnp::QUERY_STOP_DEVICE)
    }

    /// IRP_MN_CANCEL_STOP_DEVICE.
    ///
    /// # Errors
    /// The status of the request.
    pub fn cancel_stop(&self) -> Result<(), NtStatus> {
        self.pnp(pnp::CANCEL_STOP_DEVICE)
    }

    /// IRP_MN_STOP_DEVICE.
    ///
    /// # Errors
    /// The status of the request.
    pub fn stop(&self) -> Result<(), NtStatus> {
        self.pnp(pnp::STOP_DEVICE)
    }

    /// IRP_MN_SURPRISE_REMOVAL: the hardware is gone. Streams stay open until they are closed; then comes
    /// [`remove`](Self::remove).
    ///
    /// # Errors
    /// The status of the request.
    pub fn surprise_remove(&self) -> Result<(), NtStatus> {
        self.pnp(pnp::SURPRISE_REMOVAL)
    }

    /// IRP_MN_QUERY_REMOVE_DEVICE.
    ///
    /// # Errors
    /// STATUS_DEVICE_BUSY while a stream is open.
    pub fn query_remove(&self) -> Result<(), NtStatus> {
        self.pnp(pnp::QUERY_REMOVE_DEVICE)
    }

    /// IRP_MN_REMOVE_DEVICE, when every stream is closed. Nothing that the driver made for the device may be left; what
    /// is, is recorded. The second call does nothing.
    ///
    /// # Errors
    /// The status of the request.
    pub fn remove(&self) -> Result<(), NtStatus> {
        if self.removed.replace(true) {
            return Ok(());
        }
        let status = self.pnp(pnp::REMOVE_DEVICE);
        portcls::check_removed();
        devices::delete(self.pdo);
        status
    }

    /// IRP_MN_QUERY_POWER for a device state.
    ///
    /// # Errors
    /// What the driver answered.
    pub fn query_power(&self, state: PowerState) -> Result<(), NtStatus> {
        self.power(power::QUERY_POWER, state)
    }

    /// IRP_MN_SET_POWER for a device state. PortCls pauses running streams before the device sleeps, and lets them run
    /// again after it woke.
    ///
    /// # Errors
    /// The status of the request.
    pub fn set_power(&self, state: PowerState) -> Result<(), NtStatus> {
        self.power(power::SET_POWER, state)
    }

    fn power(&self, minor: u8, state: PowerState) -> Result<(), NtStatus> {
        let parameters = PowerParameters {
            system_context: 0,
            padding1: 0,
            kind: 1,
            padding2: 0,
            state: state as u32,
            padding3: 0,
            shutdown_type: 0,
            padding4: 0,
        };
        self.send(|location| {
            location.major_function = major::POWER;
            location.minor_function = minor;
            // SAFETY: both are four words of plain data.
            location.parameters = unsafe { std::mem::transmute::<PowerParameters, [usize; 4]>(parameters) };
        })
    }

    /// Where the device is in its life.
    pub fn state(&self) -> Option<PnpState> {
        self.adapter().ok().map(|adapter| adapter.state.get())
    }

    /// The names under which the driver registered its filters, in order.
    pub fn subdevices(&self) -> Vec<String> {
        self.adapter().map(|adapter| adapter.subdevice_names()).unwrap_or_default()
    }

    /// How many physical connections the driver registered.
    pub fn connections(&self) -> usize {
        self.adapter().map_or(0, |adapter| adapter.connections.borrow().len())
    }

    fn adapter(&self) -> Result<Rc<Adapter>, NtStatus> {
        if self.removed.get() {
            return Err(NtStatus::DEVICE_REMOVED);
        }
        portcls::adapter_on(self.pdo).ok_or(NtStatus::NO_SUCH_DEVICE)
    }

    /// A property of a filter. `instance` is what follows KSPROPERTY in the request; the value is filled, or read.
    /// Returns the status and the size of the value.
    pub fn property(
        &self,
        filter: Filter,
        property: Property,
        instance: &[u8],
        value: &mut [u8],
    ) -> (NtStatus, u32) {
        match self.adapter() {
            Ok(adapter) => portcls::filter_property(&adapter, filter.into(), None, property, instance, value),
            Err(status) => (status, 0),
        }
    }

    /// A property of a node of a filter. `instance` is what follows KSNODEPROPERTY.
    pub fn node_property(
        &self,
        filter: Filter,
        node: u32,
        property: Property,
        instance: &[u8],
        value: &mut [u8],
    ) -> (NtStatus, u32) {
        match self.adapter() {
            Ok(adapter) => {
                portcls::filter_property(&adapter, filter.into(), Some(node), property, instance, value)
            }
            Err(status) => (status, 0),
        }
    }

    /// IMiniportAudioSignalProcessing::GetModes of the wave filter with room for so many modes, or without an array: the
    /// status, the count that came back, and the bytes of the array. `None`: it has no such interface.
    pub fn signal_processing_modes(&self, pin: u32, room: Option<u32>) -> Option<(NtStatus, u32, Vec<u8>)> {
        portcls::signal_processing_modes(&*self.adapter().ok()?, pin, room)
    }

    /// KSPROPERTY_PIN_PROPOSEDATAFORMAT: whether the wave filter's pin takes a format.
    ///
    /// # Errors
    /// STATUS_NO_MATCH: it does not.
    pub fn propose(&self, pin: u32, format: &Format) -> Result<(), NtStatus> {
        let instance: Vec<u8> = [pin, 0].iter().flat_map(|field| field.to_ne_bytes()).collect();
        let mut value = format.to_bytes();
        let property = Property::set(guid::KSPROPSETID_PIN, portcls::pin_property::PROPOSEDATAFORMAT);
        self.property(Filter::Wave, property, &instance, &mut value).0.ok()
    }

    /// The properties in a filter's own table, each with the verbs that it allows.
    pub fn known_properties(&self, filter: Filter) -> Vec<Property> {
        self.adapter()
            .map_or_else(|_| Vec::new(), |adapter| portcls::known_properties(&adapter, filter.into()))
    }

    /// IMiniport::DataRangeIntersection of the wave filter for a range of a client's, a range
    /// of the pin's (by its number, modulo how many there are), and `capacity` bytes of room. Returns the status
    /// and the length.
    pub fn intersect(&self, pin: u32, client: &[u8], own: usize, capacity: u32) -> (NtStatus, u32) {
        match self.adapter() {
            Ok(adapter) => portcls::intersect_within(&adapter, pin, client, own, capacity),
            Err(status) => (status, 0),
        }
    }

    /// Opens the wave filter's pin for clients and allocates its buffer.
    ///
    /// # Errors
    /// STATUS_NO_MATCH: not this format. STATUS_INSUFFICIENT_RESOURCES: the pin is in use.
    pub fn open(&self, format: &Format, buffer: Buffer) -> Result<Stream, NtStatus> {
        let mut stream = self.open_pin(0, format)?;
        stream.allocate(buffer)?;
        Ok(stream)
    }

    /// Opens a pin, without a buffer.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_pin(&self, pin: u32, format: &Format) -> Result<Stream, NtStatus> {
        self.open_bytes(pin, false, format, &format.to_bytes(), Limits::PortCls)
    }

    /// IMiniportWaveRT::NewStream without PortCls's own checks: any pin, capture too, any bytes as a format that kernel
    /// streaming lets pass.
    ///
    /// # Errors
    /// What the miniport returned. STATUS_INVALID_BUFFER_SIZE, STATUS_INVALID_PARAMETER: there are not as many bytes as
    /// the format or its list of attributes says.
    pub fn new_stream(
        &self,
        pin: u32,
        capture: bool,
        format: &Format,
        bytes: &[u8],
    ) -> Result<Stream, NtStatus> {
        self.open_bytes(pin, capture, format, bytes, Limits::Miniport)
    }

    /// How clients play through the device's wave filter.
    pub fn audio_interface(&self) -> Option<AudioInterface> {
        self.adapter().ok()?.wave_port().map(|(_, interface)| interface)
    }

    /// Opens the first pin for clients of a WaveCyclic filter.
    pub(crate) fn open_cyclic(&self, format: &Format) -> Result<Rc<CyclicPin>, NtStatus> {
        let adapter = self.adapter()?;
        if adapter.state.get() != PnpState::Started {
            return Err(NtStatus::DEVICE_NOT_READY);
        }
        let port = adapter.port(Kind::WaveCyclic).ok_or(NtStatus::DEVICE_NOT_READY)?;
        CyclicPin::open(&adapter, &port, port.render_pin().unwrap_or(0), &format.to_bytes())
    }

    fn open_bytes(
        &self,
        pin: u32,
        capture: bool,
        format: &Format,
        bytes: &[u8],
        limits: Limits,
    ) -> Result<Stream, NtStatus> {
        let adapter = self.adapter()?;
        if adapter.state.get() != PnpState::Started {
            return Err(NtStatus::DEVICE_NOT_READY);
        }
        let port = adapter.port(Kind::WaveRt).ok_or(NtStatus::DEVICE_NOT_READY)?;
        let instance = WaveRtPin::open(&adapter, &port, pin, capture, bytes, limits)?;
        Ok(Stream::new(instance, format.clone()))
    }
}
