//! IPortWaveCyclic: the port of miniports with a cyclic DMA buffer, older than WaveRT.

use std::ptr;

use super::dma_channel;
use super::interfaces::Unknown;
use super::port::{PORT, Port, PortTable};
use super::served;
use super::service_group;
use crate::import;
use crate::nt::{NtStatus, Pvoid};
use crate::schedule::{Irql, PASSIVE_LEVEL};
use crate::verifier::{Rule, record};

/// IRQL limit of what may be called at any level.
const HIGH_LEVEL: Irql = 15;

#[repr(C)]
struct CyclicTable {
    port: PortTable,
    notify: unsafe extern "efiapi" fn(Pvoid, Pvoid),
    new_slave: unsafe extern "efiapi" fn(Pvoid, *mut Pvoid, Pvoid, Pvoid, u32, u32, u8, i32) -> NtStatus,
    new_master: unsafe extern "efiapi" fn(Pvoid, *mut Pvoid, Pvoid, Pvoid, u32, u8, u8, i32, i32) -> NtStatus,
}

static TABLE: CyclicTable = CyclicTable {
    port: PORT,
    notify: IPortWaveCyclic_Notify,
    new_slave: IPortWaveCyclic_NewSlaveDmaChannel,
    new_master: IPortWaveCyclic_NewMasterDmaChannel,
};

/// The table of IPort and IPortWaveCyclic.
pub(super) fn table() -> *const Unknown {
    (&raw const TABLE).cast()
}

import! {
    /// IPortWaveCyclic::Notify: the members of a service group are to be served.
    fn IPortWaveCyclic_Notify(this: Pvoid, group: Pvoid), irql <= HIGH_LEVEL; {
        if served::content::<Port>(this, "IPortWaveCyclic::Notify").is_some() {
            service_group::request_service(group);
        }
    }

    /// IPortWaveCyclic::NewSlaveDmaChannel: there is no system DMA controller.
    fn IPortWaveCyclic_NewSlaveDmaChannel(this: Pvoid, channel: *mut Pvoid, outer: Pvoid, resources: Pvoid, index: u32,
        maximum: u32, demand: u8, speed: i32) -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = (this, outer, resources, index, maximum, demand, speed);
        record(Rule::Argument, "NewSlaveDmaChannel: the resource list has no DMA channel");
        // SAFETY: the driver's variable, which the call fills.
        unsafe { channel.write(ptr::null_mut()) };
        NtStatus::INVALID_PARAMETER
    }

    /// IPortWaveCyclic::NewMasterDmaChannel.
    fn IPortWaveCyclic_NewMasterDmaChannel(this: Pvoid, channel: *mut Pvoid, outer: Pvoid, resources: Pvoid, maximum: u32,
        wide32: u8, wide64: u8, width: i32, speed: i32) -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = (this, resources, wide32, wide64, width, speed);
        dma_channel::hand_out(channel, maximum, outer, "NewMasterDmaChannel")
    }
}
