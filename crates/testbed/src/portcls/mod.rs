//! PortCls: what `portcls.sys` exports, and the objects behind it.
//!
//! * `abi`, `interfaces`: structures, GUIDs and COM tables, written independently of the driver's.
//! * `adapter`, `dispatch`: the exported functions; devices; plug and play and power requests.
//! * `port`, `physical`, `resource_manager`, `resource_list`, `port_stream`: objects that the driver is given.
//! * `served`, `reference`: COM in both directions, with the rules that a driver must keep.
//! * `descriptor`, `property`, `verbs`, `intersection`: filters as a miniport describes them, and their properties.
//! * `connect`: what kernel streaming checks of a format before a port sees it.
//! * `pin`: open pins of any port; `wavert_pin`, `pin_buffer`, `progress`: those of the WaveRT port.
//! * `cyclic_port`, `cyclic_pin`, `dma_channel`, `service_group`: the older WaveCyclic port.
//!
//! Scenarios use [`Device`](crate::device::Device) and [`client`](crate::client), which stand on these.

pub mod abi;
mod adapter;
mod connect;
mod cyclic_pin;
mod cyclic_port;
mod descriptor;
mod dispatch;
mod dma_channel;
pub(crate) mod interfaces;
mod intersection;
mod physical;
mod pin;
mod pin_buffer;
mod port;
mod port_stream;
mod progress;
mod property;
mod reference;
mod resource_list;
mod resource_manager;
mod served;
mod service_group;
mod verbs;
mod wavert_pin;

use crate::exports;
use crate::kernel::imports::Export;

pub use adapter::PnpState;
pub(crate) use adapter::{Adapter, check_unloaded};
pub(crate) use cyclic_pin::CyclicPin;
pub(crate) use pin::Limits;
pub use port::AudioInterface;
pub(crate) use port::Kind;
pub use property::{Property, pin_property};
pub(crate) use reference::drivers_may_run;
pub use wavert_pin::CloseOrder;
pub(crate) use wavert_pin::WaveRtPin;

use adapter::{
    PcAddAdapterDevice, PcGetDeviceProperty, PcGetPhysicalDeviceObject, PcGetTimeInterval,
    PcInitializeAdapterDriver, PcNewMiniport, PcNewPort, PcRegisterAdapterPowerManagement,
    PcRegisterPhysicalConnection, PcRegisterSubdevice, PcUnregisterAdapterPowerManagement,
};
use dispatch::{PcCompleteIrp, PcDispatchIrp};
use dma_channel::PcNewDmaChannel;
use resource_manager::{PcAddStreamResource, PcRemoveStreamResource};
use service_group::PcNewServiceGroup;

/// What `portcls.sys` exports.
pub(crate) const EXPORTS: &[Export] = exports!["portcls.sys":
    PcAddAdapterDevice, PcCompleteIrp, PcDispatchIrp, PcGetDeviceProperty, PcGetPhysicalDeviceObject, PcGetTimeInterval,
    PcInitializeAdapterDriver, PcNewDmaChannel, PcNewMiniport, PcNewPort, PcNewServiceGroup,
    PcRegisterAdapterPowerManagement, PcRegisterPhysicalConnection, PcRegisterSubdevice,
    PcUnregisterAdapterPowerManagement, PcAddStreamResource, PcRemoveStreamResource,
];

/// The adapter on top of a physical device object, if its driver made one.
pub(crate) fn adapter_on(pdo: *mut crate::nt::DeviceObject) -> Option<std::rc::Rc<Adapter>> {
    adapter::on_physical_device(pdo)
}

/// A property of a filter; the status and the value's size.
pub(crate) fn filter_property(
    adapter: &Adapter,
    kind: Kind,
    node: Option<u32>,
    property: Property,
    instance: &[u8],
    value: &mut [u8],
) -> (crate::nt::NtStatus, u32) {
    let port = match kind {
        Kind::WaveRt => adapter.wave_port().map(|(port, _)| port),
        _ => adapter.port(kind),
    };
    let Some(filter) = port.and_then(|port| port.filter()) else {
        return (crate::nt::NtStatus::NO_SUCH_DEVICE, 0);
    };
    match node {
        None => property::filter_request(&filter, property, instance, value),
        Some(node) => property::node_request(&filter, node, property, instance, value),
    }
}

/// IMiniport::DataRangeIntersection of the wave filter, as [`intersection`] has it; the status and the length.
pub(crate) fn intersect_within(
    adapter: &Adapter,
    pin: u32,
    client: &[u8],
    own: usize,
    capacity: u32,
) -> (crate::nt::NtStatus, u32) {
    match adapter.wave_port().and_then(|(port, _)| port.filter()) {
        Some(filter) => intersection::within(&filter, pin, client, own, capacity),
        None => (crate::nt::NtStatus::NO_SUCH_DEVICE, 0),
    }
}

/// The properties in the automation table of a filter, each with the verbs that it allows.
pub(crate) fn known_properties(adapter: &Adapter, kind: Kind) -> Vec<Property> {
    let port = match kind {
        Kind::WaveRt => adapter.wave_port().map(|(port, _)| port),
        _ => adapter.port(kind),
    };
    port.and_then(|port| port.filter())
        .map_or_else(Vec::new, |filter| descriptor::known_properties(filter.description.automation))
}

/// IMiniportAudioSignalProcessing::GetModes of the WaveRT filter, if it has that.
pub(crate) fn signal_processing_modes(
    adapter: &Adapter,
    pin: u32,
    room: Option<u32>,
) -> Option<(crate::nt::NtStatus, u32, Vec<u8>)> {
    property::get_modes(&*adapter.port(Kind::WaveRt)?.filter()?, pin, room)
}

/// How many threads and interrupts drivers have added as stream resources.
pub fn stream_resources() -> usize {
    resource_manager::count()
}

/// Records what is left after a device was removed, if it was the last one.
pub(crate) fn check_removed() {
    if adapter::count() == 0 {
        check_gone("after the device was removed");
    }
}

/// A system thread of a driver ends: it must not be a stream resource any more.
pub(crate) fn thread_ends(object: usize) {
    resource_manager::thread_ends(object);
}

/// Records every object that is left.
pub(crate) fn check_gone(when: &str) {
    resource_manager::check_gone(when);
    served::check_gone(when);
    reference::check_gone(when);
}
