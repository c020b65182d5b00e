//! IDmaChannel of PortCls: a buffer that a device without its own channel lets PortCls keep.
//!
//! The memory is ordinary, contiguous here and at an invented physical address. A slave channel adds a transfer that a
//! DMA controller would run; there is no such controller, so starting one fails.

use std::cell::Cell;
use std::ptr;
use std::rc::Rc;

use super::abi::{DeviceDescription, guid};
use super::interfaces::{DmaChannel as ChannelTable, Unknown};
use super::served::{self, Served, UNKNOWN};
use crate::import;
use crate::kernel::pool;
use crate::machine::try_machine;
use crate::memory;
use crate::nt::{DeviceObject, Guid, NtStatus, PAGE_SIZE, Pvoid};
use crate::schedule::{DISPATCH_LEVEL, PASSIVE_LEVEL};
use crate::verifier::{Rule, record};

static TABLE: ChannelTable = ChannelTable {
    unknown: UNKNOWN,
    allocate_buffer: IDmaChannel_AllocateBuffer,
    free_buffer: IDmaChannel_FreeBuffer,
    transfer_count: IDmaChannel_TransferCount,
    maximum_buffer_size: IDmaChannel_MaximumBufferSize,
    allocated_buffer_size: IDmaChannel_AllocatedBufferSize,
    buffer_size: IDmaChannel_BufferSize,
    set_buffer_size: IDmaChannel_SetBufferSize,
    system_address: IDmaChannel_SystemAddress,
    physical_address: IDmaChannel_PhysicalAddress,
    get_adapter_object: IDmaChannel_GetAdapterObject,
    copy_to: IDmaChannel_CopyTo,
    copy_from: IDmaChannel_CopyFrom,
};

/// The content of a channel.
pub(super) struct Channel {
    maximum: u32,
    buffer: Cell<*mut u8>,
    allocated: Cell<u32>,
    size: Cell<u32>,
}

impl Channel {
    /// Makes a channel with one reference, the driver's.
    pub(super) fn create(maximum: u32) -> Rc<Served> {
        let channel =
            Self { maximum, buffer: Cell::new(ptr::null_mut()), allocated: Cell::new(0), size: Cell::new(0) };
        let faces: [(&[Guid], *const Unknown); 1] = [(&[guid::IID_IDMA_CHANNEL], (&raw const TABLE).cast())];
        Served::create("IDmaChannel", &faces, Rc::new(channel))
    }

    fn allocate(&self, bytes: u32) -> NtStatus {
        if bytes == 0 || bytes > self.maximum {
            record(
                Rule::Argument,
                format!("IDmaChannel::AllocateBuffer: {bytes} bytes, at most {}", self.maximum),
            );
            return NtStatus::INVALID_PARAMETER;
        }
        if !self.buffer.get().is_null() {
            record(Rule::Argument, "IDmaChannel::AllocateBuffer: there is a buffer already");
            return NtStatus::INVALID_DEVICE_STATE;
        }
        if !pool::may_allocate() {
            return NtStatus::INSUFFICIENT_RESOURCES;
        }
        self.buffer.set(memory::allocate(bytes as usize, "the buffer of a DMA channel"));
        self.allocated.set(bytes);
        self.size.set(bytes);
        NtStatus::SUCCESS
    }

    fn free(&self) {
        let buffer = self.buffer.replace(ptr::null_mut());
        if !buffer.is_null() {
            memory::free(buffer);
        }
        self.allocated.set(0);
        self.size.set(0);
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        if try_machine().is_some() {
            self.free();
        }
    }
}

fn get<R: Default>(this: Pvoid, what: &str, look: impl FnOnce(&Channel) -> R) -> R {
    served::content::<Channel>(this, what).map(|channel| look(&channel)).unwrap_or_default()
}

/// Writes a channel to the driver's variable.
pub(super) fn hand_out(target: *mut Pvoid, maximum: u32, outer: Pvoid, function: &str) -> NtStatus {
    if !outer.is_null() {
        record(Rule::Argument, format!("{function}: aggregation is not simulated"));
        return NtStatus::NOT_SUPPORTED;
    }
    if !pool::may_allocate() {
        return NtStatus::INSUFFICIENT_RESOURCES;
    }
    // SAFETY: the driver's variable, which the call fills.
    unsafe { target.write(Channel::create(maximum).primary()) };
    NtStatus::SUCCESS
}

import! {
    /// Makes a DMA channel for a device.
    pub(super) fn PcNewDmaChannel(channel: *mut Pvoid, outer: Pvoid, pool: u32, description: *const DeviceDescription,
        device: *mut DeviceObject) -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = (pool, device);
        // SAFETY: the driver's structure, which it has filled.
        let maximum = unsafe { (*description).maximum_length };
        hand_out(channel, maximum, outer, "PcNewDmaChannel")
    }

    /// IDmaChannel::AllocateBuffer.
    fn IDmaChannel_AllocateBuffer(this: Pvoid, bytes: u32, constraint: *const i64) -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = constraint;
        served::content::<Channel>(this, "AllocateBuffer")
            .map_or(NtStatus::INVALID_PARAMETER, |channel| channel.allocate(bytes))
    }

    /// IDmaChannel::FreeBuffer.
    fn IDmaChannel_FreeBuffer(this: Pvoid), irql <= PASSIVE_LEVEL; {
        get(this, "FreeBuffer", Channel::free);
    }

    /// IDmaChannel::TransferCount.
    fn IDmaChannel_TransferCount(this: Pvoid) -> u32, irql <= DISPATCH_LEVEL; {
        get(this, "TransferCount", |channel| channel.size.get())
    }

    /// IDmaChannel::MaximumBufferSize.
    fn IDmaChannel_MaximumBufferSize(this: Pvoid) -> u32, irql <= DISPATCH_LEVEL; {
        get(this, "MaximumBufferSize", |channel| channel.maximum)
    }

    /// IDmaChannel::AllocatedBufferSize.
    fn IDmaChannel_AllocatedBufferSize(this: Pvoid) -> u32, irql <= DISPATCH_LEVEL; {
        get(this, "AllocatedBufferSize", |channel| channel.allocated.get())
    }

    /// IDmaChannel::BufferSize.
    fn IDmaChannel_BufferSize(this: Pvoid) -> u32, irql <= DISPATCH_LEVEL; {
        get(this, "BufferSize", |channel| channel.size.get())
    }

    /// IDmaChannel::SetBufferSize.
    fn IDmaChannel_SetBufferSize(this: Pvoid, bytes: u32), irql <= DISPATCH_LEVEL; {
        get(this, "SetBufferSize", |channel| {
            if bytes > channel.allocated.get() {
                record(Rule::Argument, format!("SetBufferSize: {bytes} of {} bytes", channel.allocated.get()));
            } else {
                channel.size.set(bytes);
            }
        });
    }

    /// IDmaChannel::SystemAddress.
    fn IDmaChannel_SystemAddress(this: Pvoid) -> Pvoid, irql <= DISPATCH_LEVEL; {
        served::content::<Channel>(this, "SystemAddress").map_or(ptr::null_mut(), |channel| channel.buffer.get().cast())
    }

    /// IDmaChannel::PhysicalAddress.
    fn IDmaChannel_PhysicalAddress(this: Pvoid, result: *mut i64) -> *mut i64, irql <= DISPATCH_LEVEL; {
        // Below 4 GiB, and no address of anything.
        let page = get(this, "PhysicalAddress", |channel| channel.buffer.get().addr()) / PAGE_SIZE;
        // SAFETY: the caller's space for the result.
        unsafe { result.write(((page * PAGE_SIZE) & 0xFFFF_FFFF) as i64) };
        result
    }

    /// IDmaChannel::GetAdapterObject: there is none.
    fn IDmaChannel_GetAdapterObject(this: Pvoid) -> Pvoid, irql <= PASSIVE_LEVEL; {
        let _ = this;
        ptr::null_mut()
    }

    /// IDmaChannel::CopyTo.
    fn IDmaChannel_CopyTo(this: Pvoid, destination: Pvoid, source: Pvoid, bytes: u32), irql <= DISPATCH_LEVEL; {
        let _ = this;
        // SAFETY: areas that the caller vouches for; wrong ones fault and are reported.
        unsafe { libc::memmove(destination, source, bytes as usize) };
    }

    /// IDmaChannel::CopyFrom.
    fn IDmaChannel_CopyFrom(this: Pvoid, destination: Pvoid, source: Pvoid, bytes: u32), irql <= DISPATCH_LEVEL; {
        let _ = this;
        // SAFETY: as in CopyTo.
        unsafe { libc::memmove(destination, source, bytes as usize) };
    }
}
