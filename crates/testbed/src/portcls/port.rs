//! Ports: what PcNewPort makes. A port and the driver's miniport together are a filter.
//!
//! Order in `IPort::Init`: the miniport's own interface, its Init, its description (checked by `descriptor`), then the
//! optional interfaces. The port holds one reference on each until its own last reference goes.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::ptr;
use std::rc::{Rc, Weak};

use super::abi::{DeviceDescription, data_flow, guid};
use super::descriptor::Filter;
use super::interfaces::{
    AudioSignalProcessing, Miniport, MiniportTopology, MiniportWaveCyclic, MiniportWaveRt, PinCount,
    PowerNotify, Unknown,
};
use super::reference::Reference;
use super::resource_manager;
use super::served::{self, Held, Served, UNKNOWN};
use super::{adapter, cyclic_port, physical};
use crate::import;
use crate::machine::machine;
use crate::nt::{DeviceObject, Guid, Irp, NtStatus, Pvoid};
use crate::schedule::PASSIVE_LEVEL;
use crate::verifier::{Rule, record};

/// The kinds of port here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Topology,
    WaveRt,
    WaveCyclic,
}

/// The kinds of wave port: how a client plays through them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioInterface {
    /// A buffer that the client maps.
    WaveRt,
    /// A buffer that PortCls copies into.
    WaveCyclic,
}

/// IPort, IPortTopology and IPortWaveRT: neither of the two adds a method.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct PortTable {
    unknown: Unknown,
    init: unsafe extern "efiapi" fn(Pvoid, *mut DeviceObject, *mut Irp, Pvoid, Pvoid, Pvoid) -> NtStatus,
    get_device_property: unsafe extern "efiapi" fn(Pvoid, u32, u32, Pvoid, *mut u32) -> NtStatus,
    new_registry_key:
        unsafe extern "efiapi" fn(Pvoid, *mut Pvoid, Pvoid, u32, u32, Pvoid, u32, *mut u32) -> NtStatus,
}

pub(super) const PORT: PortTable = PortTable {
    unknown: UNKNOWN,
    init: IPort_Init,
    get_device_property: IPort_GetDeviceProperty,
    new_registry_key: IPort_NewRegistryKey,
};

static PORT_TABLE: PortTable = PORT;

/// The driver's side of a filter.
pub(super) enum MiniportReference {
    Topology(Reference<MiniportTopology>),
    WaveRt(Reference<MiniportWaveRt>),
    WaveCyclic(Reference<MiniportWaveCyclic>),
}

impl MiniportReference {
    /// Calls a method of IMiniport.
    pub(super) fn call<R: 'static>(
        &self,
        name: &'static str,
        method: impl FnOnce(Pvoid, &Miniport) -> R,
    ) -> R {
        match self {
            Self::Topology(miniport) => miniport.call(name, |this, table| method(this, &table.miniport)),
            Self::WaveRt(miniport) => miniport.call(name, |this, table| method(this, &table.miniport)),
            Self::WaveCyclic(miniport) => miniport.call(name, |this, table| method(this, &table.miniport)),
        }
    }

    /// The pointer that property handlers get as their major target.
    pub(super) fn raw(&self) -> Pvoid {
        match self {
            Self::Topology(miniport) => miniport.raw(),
            Self::WaveRt(miniport) => miniport.raw(),
            Self::WaveCyclic(miniport) => miniport.raw(),
        }
    }

    fn query<U: super::interfaces::Table>(&self) -> Result<Reference<U>, NtStatus> {
        match self {
            Self::Topology(miniport) => miniport.query(),
            Self::WaveRt(miniport) => miniport.query(),
            Self::WaveCyclic(miniport) => miniport.query(),
        }
    }
}

/// A filter: an initialised port with its miniport.
pub(crate) struct FilterObject {
    pub(super) kind: Kind,
    pub(super) description: Filter,
    pub(super) pin_count: Option<Reference<PinCount>>,
    pub(super) power_notify: Option<Reference<PowerNotify>>,
    pub(super) signal_processing: Option<Reference<AudioSignalProcessing>>,
    /// Instances of each pin that are open.
    pub(super) open_pins: RefCell<Vec<u32>>,
    // Last, so that the miniport's own interface is released last.
    pub(super) miniport: MiniportReference,
}

/// The content of a port object.
pub(crate) struct Port {
    kind: Kind,
    served: RefCell<Weak<Served>>,
    initialising: Cell<bool>,
    filter: RefCell<Option<Rc<FilterObject>>>,
}

impl Port {
    /// Makes a port with one reference, the driver's.
    pub(super) fn create(kind: Kind) -> Rc<Served> {
        let port = Rc::new(Self {
            kind,
            served: RefCell::default(),
            initialising: Cell::new(false),
            filter: RefCell::default(),
        });
        let own: &[Guid] = match kind {
            Kind::Topology => &[guid::IID_IPORT, guid::IID_IPORT_TOPOLOGY],
            Kind::WaveRt => &[guid::IID_IPORT, guid::IID_IPORT_WAVERT],
            Kind::WaveCyclic => &[guid::IID_IPORT, guid::IID_IPORT_WAVECYCLIC],
        };
        let table: *const Unknown = match kind {
            Kind::WaveCyclic => cyclic_port::table(),
            _ => (&raw const PORT_TABLE).cast(),
        };
        let resource_managers =
            [guid::IID_IPORTCLS_STREAM_RESOURCE_MANAGER, guid::IID_IPORTCLS_STREAM_RESOURCE_MANAGER2];
        let mut faces: Vec<(&[Guid], *const Unknown)> = vec![
            (own, table),
            (&[guid::IID_IUNREGISTER_SUBDEVICE], physical::unregister_subdevice_table()),
            (&[guid::IID_IUNREGISTER_PHYSICAL_CONNECTION], physical::unregister_connection_table()),
        ];
        if kind != Kind::Topology {
            faces.push((&resource_managers, resource_manager::table()));
        }
        let name = match kind {
            Kind::Topology => "IPortTopology",
            Kind::WaveRt => "IPortWaveRT",
            Kind::WaveCyclic => "IPortWaveCyclic",
        };
        let served = Served::create(name, &faces, Rc::clone(&port) as Rc<dyn std::any::Any>);
        *port.served.borrow_mut() = Rc::downgrade(&served);
        served
    }

    /// The filter, if the port was initialised.
    pub(crate) fn filter(&self) -> Option<Rc<FilterObject>> {
        self.filter.borrow().clone()
    }

    /// The first pin that clients play through.
    pub(crate) fn render_pin(&self) -> Option<u32> {
        let filter = self.filter()?;
        let first = filter
            .description
            .pins
            .iter()
            .position(|pin| pin.descriptor.ks.data_flow == data_flow::IN && !pin.is_bridge());
        first.map(|pin| pin as u32)
    }

    /// Gives the miniport back, when the filter's subdevice is gone. Miniports hold references on their ports; this undoes
    /// the circle.
    pub(super) fn release_children(&self) {
        let filter = self.filter.take();
        drop(filter);
    }

    /// A reference on the port.
    pub(super) fn hold(&self) -> Option<Held> {
        self.served.borrow().upgrade().map(|served| Held::new(&served))
    }

    fn init(
        &self,
        this: Pvoid,
        device: *mut DeviceObject,
        miniport: Pvoid,
        adapter: Pvoid,
        resources: Pvoid,
    ) -> NtStatus {
        if self.filter.borrow().is_some() || self.initialising.replace(true) {
            record(Rule::Com, "IPort::Init was called twice on one port");
            return NtStatus::INVALID_DEVICE_STATE;
        }
        let made = self.make_filter(this, device, miniport, adapter, resources);
        self.initialising.set(false);
        match made {
            Ok(filter) => {
                *self.filter.borrow_mut() = Some(Rc::new(filter));
                NtStatus::SUCCESS
            }
            Err(status) => status,
        }
    }

    fn make_filter(
        &self,
        this: Pvoid,
        device: *mut DeviceObject,
        miniport: Pvoid,
        adapter: Pvoid,
        resources: Pvoid,
    ) -> Result<FilterObject, NtStatus> {
        if adapter::find(device).is_none() {
            record(Rule::Argument, "IPort::Init: the device object is not one of PcAddAdapterDevice");
            return Err(NtStatus::INVALID_PARAMETER);
        }
        if resources.is_null() {
            // The header asks for one; Windows passes a null pointer on to the miniport.
            record(Rule::Argument, "IPort::Init: the resource list is required");
            if !machine().config.forgiving {
                return Err(NtStatus::INVALID_PARAMETER);
            }
        }
        let miniport = match self.kind {
            Kind::Topology => {
                MiniportReference::Topology(Reference::take(miniport, "the topology miniport")?)
            }
            Kind::WaveRt => MiniportReference::WaveRt(Reference::take(miniport, "the wave miniport")?),
            Kind::WaveCyclic => {
                MiniportReference::WaveCyclic(Reference::take(miniport, "the wave miniport")?)
            }
        };
        initialise(&miniport, this, adapter, resources)?;
        let mut source = ptr::null();
        // SAFETY: the output lives as long as the call.
        let status = miniport.call("IMiniport::GetDescription", |this, table| unsafe {
            (table.get_description)(this, &raw mut source)
        });
        status.ok()?;
        let name = match self.kind {
            Kind::Topology => "the topology filter",
            Kind::WaveRt | Kind::WaveCyclic => "the wave filter",
        };
        let description = Filter::read(name, source).ok_or(NtStatus::INVALID_PARAMETER)?;
        if let MiniportReference::WaveRt(miniport) = &miniport {
            check_device_description(miniport);
        }
        let open_pins = RefCell::new(vec![0; description.pins.len()]);
        Ok(FilterObject {
            kind: self.kind,
            description,
            pin_count: miniport.query().ok(),
            power_notify: miniport.query().ok(),
            signal_processing: miniport.query().ok(),
            open_pins,
            miniport,
        })
    }
}

fn initialise(
    miniport: &MiniportReference,
    port: Pvoid,
    adapter: Pvoid,
    resources: Pvoid,
) -> Result<(), NtStatus> {
    match miniport {
        // SAFETY: PortCls passes on what the driver gave it, and a port that lives longer than the miniport.
        MiniportReference::Topology(miniport) => miniport
            .call("IMiniportTopology::Init", |this, table| unsafe {
                (table.init)(this, adapter, resources, port)
            }),
        // SAFETY: as above.
        MiniportReference::WaveRt(miniport) => miniport.call("IMiniportWaveRT::Init", |this, table| unsafe {
            (table.init)(this, adapter, resources, port)
        }),
        // SAFETY: as above.
        MiniportReference::WaveCyclic(miniport) => miniport
            .call("IMiniportWaveCyclic::Init", |this, table| unsafe {
                (table.init)(this, adapter, resources, port)
            }),
    }
    .ok()
}

/// GetDeviceDescription of a WaveRT miniport: PortCls makes a DMA adapter of it.
fn check_device_description(miniport: &Reference<MiniportWaveRt>) {
    // SAFETY: integers only; the garbage shows what the driver does not fill.
    let mut description: DeviceDescription =
        unsafe { std::mem::transmute([0xA5u8; size_of::<DeviceDescription>()]) };
    // SAFETY: the structure lives as long as the call.
    let status = miniport.call("IMiniportWaveRT::GetDeviceDescription", |this, table| unsafe {
        (table.get_device_description)(this, &raw mut description)
    });
    if !status.is_success() {
        record(Rule::Argument, format!("IMiniportWaveRT::GetDeviceDescription failed with {status}"));
        return;
    }
    if let Some(mistake) = mistake_of(&description) {
        record(
            Rule::Argument,
            format!("IMiniportWaveRT::GetDeviceDescription gives {mistake}: {description:?}"),
        );
    }
}

/// What keeps PortCls from making a DMA adapter of a description. The hardware of a WaveRT device reads and writes memory
/// by itself, at any page: it is a bus master with scatter/gather.
/// <https://learn.microsoft.com/windows-hardware/drivers/audio/wavert-miniport-driver>,
/// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/ns-wdm-_device_description>
fn mistake_of(description: &DeviceDescription) -> Option<&'static str> {
    /// DEVICE_DESCRIPTION_VERSION3.
    const LAST_VERSION: u32 = 3;
    /// INTERFACE_TYPE: from Internal up to MaximumInterfaceType.
    const BUSES: Range<i32> = 0..18;
    /// DMA_WIDTH up to MaximumDmaWidth.
    const WIDTHS: Range<i32> = 0..5;
    /// DMA_SPEED up to MaximumDmaSpeed.
    const SPEEDS: Range<i32> = 0..5;
    let DeviceDescription { master, scatter_gather, dma_32_bit, dma_64_bit, .. } = *description;
    let flags = [
        master,
        scatter_gather,
        description.demand_mode,
        description.auto_initialize,
        dma_32_bit,
        description.ignore_count,
        dma_64_bit,
    ];
    let filled = description.version <= LAST_VERSION
        && description.reserved1 == 0
        && flags.iter().all(|flag| *flag <= 1)
        && WIDTHS.contains(&description.dma_width)
        && SPEEDS.contains(&description.dma_speed);
    let mistakes = [
        (!filled, "nonsense"),
        (master == 0, "a device that is no bus master"),
        (scatter_gather == 0, "a device without scatter/gather"),
        (dma_32_bit == 0 && dma_64_bit == 0, "a device with neither 32-bit nor 64-bit addresses"),
        (!BUSES.contains(&description.interface_type), "a bus that does not exist"),
        (description.maximum_length == 0, "transfers of no bytes"),
    ];
    mistakes.into_iter().find_map(|(made, text)| made.then_some(text))
}

import! {
    /// IPort::Init.
    fn IPort_Init(this: Pvoid, device: *mut DeviceObject, irp: *mut Irp, miniport: Pvoid, adapter: Pvoid, resources: Pvoid)
        -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = irp;
        match served::content::<Port>(this, "IPort::Init") {
            Some(port) => port.init(this, device, miniport, adapter, resources),
            None => NtStatus::INVALID_PARAMETER,
        }
    }

    /// IPort::GetDeviceProperty.
    fn IPort_GetDeviceProperty(this: Pvoid, property: u32, length: u32, buffer: Pvoid, result: *mut u32) -> NtStatus,
        irql <= PASSIVE_LEVEL; {
        match served::content::<Port>(this, "IPort::GetDeviceProperty").and_then(|port| port.filter()) {
            Some(_) => adapter::device_property(property, length, buffer, result),
            None => NtStatus::INVALID_DEVICE_STATE,
        }
    }

    /// IPort::NewRegistryKey: not simulated.
    fn IPort_NewRegistryKey(this: Pvoid, key: *mut Pvoid, outer: Pvoid, kind: u32, access: u32, attributes: Pvoid,
        options: u32, disposition: *mut u32) -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = (this, outer, kind, access, attributes, options, disposition);
        // SAFETY: the driver's variable, which the call fills.
        unsafe { key.write(ptr::null_mut()) };
        NtStatus::NOT_SUPPORTED
    }
}
