//! PcDispatchIrp: what PortCls does with plug and play and power requests.

use std::rc::Rc;

use super::adapter::{self, Adapter, PnpState};
use super::port::Kind;
use super::resource_list;
use crate::crossing::call_driver;
use crate::import;
use crate::kernel::irp as packets;
use crate::nt::{
    DeviceCapabilities, DeviceObject, IoStackLocation, Irp, NtStatus, PowerParameters, major, pnp, power,
};
use crate::schedule::{DISPATCH_LEVEL, PASSIVE_LEVEL};
use crate::verifier::{Rule, record};

/// DevicePowerState, in [`PowerParameters::kind`].
const DEVICE_POWER_STATE: u32 = 1;
/// PowerDeviceD0.
const D0: u32 = 1;

import! {
    /// Handles a request of an adapter device, and completes it.
    pub(crate) fn PcDispatchIrp(device: *mut DeviceObject, irp: *mut Irp) -> NtStatus, irql <= DISPATCH_LEVEL; {
        dispatch(device, irp)
    }

    /// Completes a request, unless the status is STATUS_PENDING.
    pub(crate) fn PcCompleteIrp(device: *mut DeviceObject, irp: *mut Irp, status: NtStatus) -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = device;
        if status != NtStatus::PENDING {
            packets::complete_with(irp, status, 0);
        }
        status
    }
}

fn dispatch(device: *mut DeviceObject, irp: *mut Irp) -> NtStatus {
    let Some(adapter) = adapter::find(device) else {
        record(
            Rule::Argument,
            "PcDispatchIrp: the device object is not one of PcAddAdapterDevice, or no longer",
        );
        packets::complete_with(irp, NtStatus::NO_SUCH_DEVICE, 0);
        return NtStatus::NO_SUCH_DEVICE;
    };
    // SAFETY: a request that was sent to a device has a current stack location.
    let location = unsafe { *(*irp).current_stack_location };
    // SAFETY: as above.
    let as_it_is = unsafe { (*irp).io_status.status };
    let status = match location.major_function {
        major::PNP => plug_and_play(&adapter, irp, location.minor_function, as_it_is),
        major::POWER => change_power(&adapter, &location, as_it_is),
        major::SYSTEM_CONTROL => as_it_is,
        _ => NtStatus::INVALID_DEVICE_REQUEST,
    };
    packets::complete_with(irp, status, 0);
    status
}

fn plug_and_play(adapter: &Rc<Adapter>, irp: *mut Irp, minor: u8, as_it_is: NtStatus) -> NtStatus {
    let busy = adapter.pins.borrow().iter().any(|pin| pin.upgrade().is_some_and(|pin| !pin.is_closed()));
    match minor {
        pnp::START_DEVICE => start(adapter, irp),
        // A device with open streams is in use.
        pnp::QUERY_STOP_DEVICE | pnp::QUERY_REMOVE_DEVICE if busy => NtStatus::DEVICE_BUSY,
        pnp::QUERY_STOP_DEVICE
        | pnp::QUERY_REMOVE_DEVICE
        | pnp::CANCEL_STOP_DEVICE
        | pnp::CANCEL_REMOVE_DEVICE => NtStatus::SUCCESS,
        pnp::QUERY_CAPABILITIES => query_capabilities(adapter, irp),
        pnp::STOP_DEVICE => {
            adapter.state.set(PnpState::Stopped);
            adapter.release_registrations();
            NtStatus::SUCCESS
        }
        pnp::SURPRISE_REMOVAL => {
            adapter.state.set(PnpState::SurpriseRemoved);
            NtStatus::SUCCESS
        }
        pnp::REMOVE_DEVICE => {
            if busy {
                record(
                    Rule::Object,
                    "the device was removed while a pin was open: a mistake of the scenario",
                );
            }
            adapter.release_registrations();
            adapter.delete();
            NtStatus::SUCCESS
        }
        _ => as_it_is,
    }
}

fn start(adapter: &Rc<Adapter>, irp: *mut Irp) -> NtStatus {
    let resources = resource_list::empty();
    // SAFETY: the driver's own function, with its own device, a live request and a list that lives as long.
    let status = call_driver("StartDevice", || unsafe {
        (adapter.start_device)(adapter.fdo, irp, resources.served().primary())
    });
    let references = resources.served().count();
    if references != 1 {
        record(Rule::Com, format!("StartDevice left {} references on the resource list", references - 1));
    }
    if status == NtStatus::PENDING {
        record(Rule::Argument, "StartDevice returned STATUS_PENDING");
        return NtStatus::UNSUCCESSFUL;
    }
    if !status.is_success() {
        adapter.release_registrations();
        return status;
    }
    adapter.state.set(PnpState::Started);
    if adapter.wave_port().is_none() {
        record(Rule::Argument, "StartDevice succeeded and registered no wave filter");
    }
    status
}

/// The driver may change what the bus said of the device's power states.
fn query_capabilities(adapter: &Adapter, irp: *mut Irp) -> NtStatus {
    // SAFETY: a request that was sent to a device has a current stack location; this kind has a structure in it.
    let capabilities = unsafe { (*(*irp).current_stack_location).parameters[0] };
    let capabilities = std::ptr::with_exposed_provenance_mut::<DeviceCapabilities>(capabilities);
    let power = adapter.power.borrow();
    let Some(power) = power.as_ref() else { return NtStatus::SUCCESS };
    // SAFETY: the structure of the request lives until it completes.
    let status = power.call("IAdapterPowerManagement::QueryDeviceCapabilities", |this, table| unsafe {
        (table.query_device_capabilities)(this, capabilities)
    });
    // SAFETY: as above.
    let (size, version) = unsafe { ((*capabilities).size, (*capabilities).version) };
    if usize::from(size) != size_of::<DeviceCapabilities>() || version != 1 {
        record(Rule::Argument, "QueryDeviceCapabilities changed the size or version of DEVICE_CAPABILITIES");
    }
    // A driver that has nothing to add says so; the request succeeds all the same.
    if status.is_success() || status == NtStatus::NOT_IMPLEMENTED { NtStatus::SUCCESS } else { status }
}

fn change_power(adapter: &Rc<Adapter>, location: &IoStackLocation, as_it_is: NtStatus) -> NtStatus {
    // SAFETY: the parameters of a power request are PowerParameters: both are four words.
    let parameters: PowerParameters = unsafe { std::mem::transmute(location.parameters) };
    if parameters.kind != DEVICE_POWER_STATE {
        return if matches!(location.minor_function, power::SET_POWER | power::QUERY_POWER) {
            NtStatus::SUCCESS
        } else {
            as_it_is
        };
    }
    match location.minor_function {
        power::QUERY_POWER => query_power(adapter, parameters.state),
        power::SET_POWER => {
            set_power(adapter, parameters.state);
            NtStatus::SUCCESS
        }
        _ => as_it_is,
    }
}

fn query_power(adapter: &Adapter, state: u32) -> NtStatus {
    let power = adapter.power.borrow();
    power.as_ref().map_or(NtStatus::SUCCESS, |power| {
        // SAFETY: a method without pointers.
        power.call("IAdapterPowerManagement::QueryPowerChangeState", |this, table| unsafe {
            (table.query_power_change_state)(this, state)
        })
    })
}

/// Before the device sleeps its running streams are paused and the filters told; after it woke, the other way round.
fn set_power(adapter: &Adapter, state: u32) {
    let asleep = adapter.power_state.get() != D0;
    let pins: Vec<_> = adapter
        .pins
        .borrow()
        .iter()
        .filter_map(std::rc::Weak::upgrade)
        .filter(|pin| !pin.is_closed())
        .collect();
    if state != D0 && !asleep {
        pins.iter().for_each(|pin| pin.sleep());
        tell_filters(adapter, state);
    }
    if let Some(power) = adapter.power.borrow().as_ref() {
        // SAFETY: a method without pointers.
        power.call("IAdapterPowerManagement::PowerChangeState", |this, table| unsafe {
            (table.power_change_state)(this, state)
        });
    }
    adapter.power_state.set(state);
    if state == D0 && asleep {
        tell_filters(adapter, state);
        pins.iter().for_each(|pin| pin.wake());
    }
}

fn tell_filters(adapter: &Adapter, state: u32) {
    for kind in [Kind::Topology, Kind::WaveRt, Kind::WaveCyclic] {
        let filter = adapter.port(kind).and_then(|port| port.filter());
        if let Some(notify) = filter.as_ref().and_then(|filter| filter.power_notify.as_ref()) {
            // SAFETY: a method without pointers.
            notify.call("IPowerNotify::PowerChangeNotify", |this, table| unsafe {
                (table.power_change_notify)(this, state)
            });
        }
    }
}
