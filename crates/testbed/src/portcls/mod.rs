//! PortCls: what `portcls.sys` exports, and the objects behind it.
//!
//! * `abi`, `interfaces`: structures, GUIDs and COM tables, written independently of the driver's.
//! * `adapter`, `dispatch`: the exported functions; devices; plug and play and power requests.
//! * `port`, `physical`, `resource_manager`, `resource_list`, `port_stream`: objects that the driver is given.
//! * `served`, `reference`: COM in both directions, with the rules that a driver must keep.
//! * `descriptor`, `property`: filters as a miniport describes them, and their properties.
//! * `pin`, `pin_buffer`: open streams.
//! * `cyclic_port`, `cyclic_pin`, `dma_channel`, `service_group`: the older WaveCyclic port.
//!
//! Scenarios use [`Device`](crate::device::Device) and [`client`](crate::client), which stand on these.

pub mod abi;
mod adapter;
mod cyclic_pin;
mod cyclic_port;
mod descriptor;
mod dispatch;
mod dma_channel;
pub(crate) mod interfaces;
mod physical;
mod pin;
mod pin_buffer;
mod port;
mod port_stream;
mod property;
mod reference;
mod resource_list;
mod resource_manager;
mod served;
mod service_group;

use crate::exports;
use crate::kernel::imports::Export;

pub(crate) use adapter::Adapter;
pub use adapter::PnpState;
pub(crate) use cyclic_pin::CyclicPin;
pub use pin::CloseOrder;
pub(crate) use pin::{Limits, PinInstance};
pub use port::AudioInterface;
pub(crate) use port::Kind;
pub use property::{Property, pin_property};
pub(crate) use reference::drivers_may_run;

use adapter::{
    PcAddAdapterDevice, PcGetDeviceProperty, PcGetPhysicalDeviceObject, PcGetTimeInterval,
    PcInitializeAdapterDriver, PcNewMiniport, PcNewPort, PcRegisterAdapterPowerManagement,
    PcRegisterPhysicalConnection, PcRegisterSubdevice, PcUnregisterAdapterPowerManagement,
};
use dispatch::{PcCompleteIrp, PcDispatchIrp};
use dma_channel::PcNewDmaChannel;
use service_group::PcNewServiceGroup;

/// What `portcls.sys` exports.
pub(crate) const EXPORTS: &[Export] = exports!["portcls.sys":
    PcAddAdapterDevice, PcCompleteIrp, PcDispatchIrp, PcGetDeviceProperty, PcGetPhysicalDeviceObject, PcGetTimeInterval,
    PcInitializeAdapterDriver, PcNewDmaChannel, PcNewMiniport, PcNewPort, PcNewServiceGroup,
    PcRegisterAdapterPowerManagement, PcRegisterPhysicalConnection, PcRegisterSubdevice,
    PcUnregisterAdapterPowerManagement,
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

/// Records every object that is left.
pub(crate) fn check_gone(when: &str) {
    resource_manager::check_gone(when);
    served::check_gone(when);
    reference::check_gone(when);
}
