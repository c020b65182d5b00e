//! What the driver tells: the events of the ETW provider `Scream`, one function for each.
//!
//! Nothing is told per packet. What could happen with every packet is counted, and told at once the first time and then
//! at most once a second ([`Pace`]); the totals come when the stream is closed. Every function may be called at any
//! IRQL.

use core::ffi::CStr;

use protocol::{Options, Refusal, RingLayout, StreamFormat};
use wdk_sys::{GUID, NTSTATUS};

use crate::kernel::etw::{self, Hex, Ntstatus, Provider, event};
use crate::kernel::{SockAddr, Status};
use crate::transport::Totals;

const NAME: &str = "Scream";

static TRAITS: [u8; etw::traits_size(NAME)] = etw::traits(NAME);

/// The provider. Its identifier is the hash of its name by which all tools know such providers.
pub static PROVIDER: Provider = Provider::new(
    GUID {
        Data1: 0x5F96_5778,
        Data2: 0x5CBD,
        Data3: 0x5FFC,
        Data4: [0x21, 0xE9, 0x19, 0x4D, 0xB9, 0xD6, 0xB1, 0x73],
    },
    &TRAITS,
);

/// Keyword: driver, device and options.
const DEVICE: u64 = 0x1;
/// Keyword: streams.
const STREAM: u64 = 0x2;
/// Keyword: packets and the network.
const NETWORK: u64 = 0x4;
/// Keyword: memory shared with the host.
const MEMORY: u64 = 0x8;

/// Lets one event through, and the next one a second later at the earliest.
pub struct Pace {
    /// A reading of the performance counter.
    next: u64,
    /// Ticks of the performance counter in a second.
    second: u64,
}

impl Pace {
    /// `second` is in ticks of the performance counter.
    pub const fn new(second: u64) -> Self {
        Self { next: 0, second }
    }

    /// Whether an event may go out now.
    pub fn allows(&mut self, now: u64) -> bool {
        let allowed = now >= self.next;
        if allowed {
            self.next = now.saturating_add(self.second);
        }
        allowed
    }
}

/// The driver cannot be loaded.
pub fn driver_failed(status: Status) {
    event!(PROVIDER, "DriverFailed", Error, DEVICE, { "Status": Ntstatus = Ntstatus(status.code()) });
}

/// The device has started.
pub fn device_started() {
    event!(PROVIDER, "DeviceStarted", Information, DEVICE, {});
}

/// The device cannot be started.
pub fn device_failed(status: Status) {
    event!(PROVIDER, "DeviceFailed", Error, DEVICE, { "Status": Ntstatus = Ntstatus(status.code()) });
}

/// The device was stopped or removed in an orderly way.
pub fn device_stopped(removed: bool) {
    event!(PROVIDER, "DeviceStopped", Information, DEVICE, { "Removed": u32 = u32::from(removed) });
}

/// The device has gone by surprise.
pub fn device_vanished() {
    event!(PROVIDER, "DeviceVanished", Warning, DEVICE, {});
}

/// A step of taking a device apart failed; the others go on.
pub fn teardown_failed(step: &CStr, status: NTSTATUS) {
    event!(PROVIDER, "TeardownFailed", Warning, DEVICE, {
        "Step": &CStr = step,
        "Status": Ntstatus = Ntstatus(status),
    });
}

/// The key of the options cannot be read, so that all defaults hold.
pub fn options_unreadable(status: Status) {
    event!(PROVIDER, "OptionsUnreadable", Warning, DEVICE, { "Status": Ntstatus = Ntstatus(status.code()) });
}

/// An option has a value, or an entry of a list, that cannot be used.
pub fn option_ignored(refusal: &Refusal) {
    let option = refusal.option;
    event!(PROVIDER, "OptionIgnored", Warning, DEVICE, {
        "Name": &CStr = option.name,
        "Entry": u32 = refusal.entry,
        "Reason": &CStr = refusal.reason,
        "Accepted": &CStr = option.accepted,
        "Default": &CStr = option.default,
    });
}

/// A stream was opened, to be sent to targets of the network, or to shared memory of so many MiB, as the options say.
pub fn stream_opened(stream: u32, format: StreamFormat, options: &Options) {
    let mebibytes = options.ivshmem.map_or(0, core::num::NonZeroU32::get);
    let targets = if options.uses_network() { options.targets.as_slice() } else { &[] };
    event!(PROVIDER, "StreamOpened", Information, STREAM, {
        "Stream": u32 = stream,
        "Rate": u32 = format.rate().get(),
        "Bits": u16 = format.bits(),
        "Channels": u16 = format.channels(),
        "Mask": Hex = Hex(format.mask().into()),
        "Targets": u32 = targets.len() as u32,
        "SharedMemory": u32 = mebibytes,
    });
    for target in targets {
        event!(PROVIDER, "Target", Information, NETWORK, {
            "Stream": u32 = stream,
            "Target": SockAddr = SockAddr::from(*target),
        });
    }
}

/// A stream has its cyclic buffer: so many frames, and so many notifications each time around.
pub fn buffer_attached(stream: u32, frames: u64, notifications: u32) {
    event!(PROVIDER, "BufferAttached", Information, STREAM, {
        "Stream": u32 = stream,
        "Frames": u64 = frames,
        "Notifications": u32 = notifications,
    });
}

/// A stream runs, from a frame on.
pub fn stream_started(stream: u32, position: u64) {
    event!(PROVIDER, "StreamStarted", Information, STREAM, { "Stream": u32 = stream, "Position": u64 = position });
}

/// A stream that ran does not run any more.
pub fn stream_stopped(stream: u32, position: u64) {
    event!(PROVIDER, "StreamStopped", Information, STREAM, { "Stream": u32 = stream, "Position": u64 = position });
}

/// The totals of a stream.
#[derive(Clone, Copy, Default)]
pub struct StreamTotals {
    /// Frames that the position passed.
    pub frames: u64,
    /// Times at which the engine was late by more than the buffer.
    pub glitches: u64,
    /// Frames that were not sent for that reason: those that were late, and the rest of the packet that played then.
    pub skipped: u64,
    /// Frames of silence that were sent because the audio engine had not written in time.
    pub missing: u64,
    /// Frames of silence that were kept back.
    pub suppressed: u64,
    /// Frames of silence that were sent while the stream did not run.
    pub silence: u64,
    /// Wake-ups of the thread.
    pub wakes: u64,
    /// What became of the packets or chunks.
    pub units: Totals,
}

/// A stream was closed.
pub fn stream_closed(stream: u32, totals: StreamTotals) {
    let units = totals.units;
    event!(PROVIDER, "StreamClosed", Information, STREAM, {
        "Stream": u32 = stream,
        "Frames": u64 = totals.frames,
        "Glitches": u64 = totals.glitches,
        "Skipped": u64 = totals.skipped,
        "Missing": u64 = totals.missing,
        "Suppressed": u64 = totals.suppressed,
        "Silence": u64 = totals.silence,
        "Wakes": u64 = totals.wakes,
        "Sent": u64 = units.sent,
        "Dropped": u64 = units.dropped,
        "Failed": u64 = units.failed,
        "LastStatus": Ntstatus = Ntstatus(units.last_status),
    });
}

/// The engine was late by more than the buffer, so often and by so many frames since this was last told; it goes on at
/// a position.
pub fn glitch(stream: u32, times: u64, skipped: u64, position: u64) {
    event!(PROVIDER, "Glitch", Warning, STREAM, {
        "Stream": u32 = stream,
        "Times": u64 = times,
        "Skipped": u64 = skipped,
        "Position": u64 = position,
    });
}

/// Packets to a target were lost since this was last told: dropped for want of a socket or of a free place, or failed in
/// the network.
pub fn packets_lost(stream: u32, target: &SockAddr, dropped: u64, failed: u64, last_status: NTSTATUS) {
    event!(PROVIDER, "PacketsLost", Warning, NETWORK, {
        "Stream": u32 = stream,
        "Target": SockAddr = *target,
        "Dropped": u64 = dropped,
        "Failed": u64 = failed,
        "LastStatus": Ntstatus = Ntstatus(last_status),
    });
}

/// There is no socket for a target yet, since a step failed; it is tried again.
pub fn connecting_failed(stream: u32, target: &SockAddr, step: &CStr, attempt: u32, status: NTSTATUS) {
    event!(PROVIDER, "ConnectingFailed", Warning, NETWORK, {
        "Stream": u32 = stream,
        "Target": SockAddr = *target,
        "Step": &CStr = step,
        "Attempt": u32 = attempt,
        "Status": Ntstatus = Ntstatus(status),
    });
}

/// There is a socket that packets to a target are sent from, at this attempt.
pub fn connected(stream: u32, target: &SockAddr, attempt: u32) {
    event!(PROVIDER, "Connected", Information, NETWORK, {
        "Stream": u32 = stream,
        "Target": SockAddr = *target,
        "Attempt": u32 = attempt,
    });
}

/// The socket for a target is of no use: the network has closed it, or nothing got through for a while. Another one is
/// opened.
pub fn disconnected(stream: u32, target: &SockAddr) {
    event!(PROVIDER, "Disconnected", Warning, NETWORK, {
        "Stream": u32 = stream,
        "Target": SockAddr = *target,
    });
}

// Memory shared with the host.

/// A stream writes into the memory of an IVSHMEM device: so many bytes, and how they are divided.
pub fn ivshmem_attached(stream: u32, size: u64, layout: RingLayout) {
    event!(PROVIDER, "IvshmemAttached", Information, MEMORY, {
        "Stream": u32 = stream,
        "Size": u64 = size,
        "Chunks": u16 = layout.max_chunks(),
        "ChunkBytes": u64 = layout.chunk_size() as u64,
    });
}

/// Several IVSHMEM devices have the size in bytes that the options ask for. The one that is used is the given one, from 1,
/// of all that Windows lists.
pub fn ivshmem_ambiguous(stream: u32, size: u64, devices: u32, taken: u32) {
    event!(PROVIDER, "IvshmemAmbiguous", Warning, MEMORY, {
        "Stream": u32 = stream,
        "Size": u64 = size,
        "Devices": u32 = devices,
        "Taken": u32 = taken,
    });
}

/// A stream has no IVSHMEM device of so many MiB to write to; one is looked for again. What was found, and what would be
/// needed, are in bytes, and 0 if that is not the reason.
pub fn ivshmem_unavailable(
    stream: u32,
    reason: &CStr,
    status: NTSTATUS,
    mebibytes: u32,
    found: u64,
    needed: u64,
) {
    event!(PROVIDER, "IvshmemUnavailable", Warning, MEMORY, {
        "Stream": u32 = stream,
        "Reason": &CStr = reason,
        "Status": Ntstatus = Ntstatus(status),
        "Wanted": u32 = mebibytes,
        "Found": u64 = found,
        "Needed": u64 = needed,
    });
}

/// A stream has lost its IVSHMEM device; it, or another one, is looked for.
pub fn ivshmem_lost(stream: u32, reason: &CStr) {
    event!(PROVIDER, "IvshmemLost", Warning, MEMORY, { "Stream": u32 = stream, "Reason": &CStr = reason });
}

/// Chunks were lost since this was last told: there was no memory to write them to, or they were not moved in time.
pub fn ivshmem_chunks_lost(stream: u32, dropped: u64) {
    event!(PROVIDER, "IvshmemChunksLost", Warning, MEMORY, { "Stream": u32 = stream, "Dropped": u64 = dropped });
}
