//! What the driver tells: the events of the ETW provider `Scream`, one function for each.
//!
//! Nothing is told per packet. What could happen with every packet is counted, and told at once the first time and then
//! at most once a second ([`Pace`]); the totals come when the stream is closed. Every function may be called at any
//! IRQL.

use core::ffi::CStr;
use core::net::Ipv4Addr;

use protocol::StreamFormat;
use wdk_sys::{GUID, NTSTATUS};

use crate::kernel::Status;
use crate::kernel::etw::{self, Address, Hex, Ntstatus, Provider, event};
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

/// An option has a value that cannot be used.
pub fn option_ignored(name: &CStr, reason: &CStr, accepted: &CStr, default: &CStr) {
    event!(PROVIDER, "OptionIgnored", Warning, DEVICE, {
        "Name": &CStr = name,
        "Reason": &CStr = reason,
        "Accepted": &CStr = accepted,
        "Default": &CStr = default,
    });
}

/// A stream was opened, to be sent to a destination.
pub fn stream_opened(stream: u32, format: StreamFormat, address: Ipv4Addr, port: u16) {
    event!(PROVIDER, "StreamOpened", Information, STREAM, {
        "Stream": u32 = stream,
        "Rate": u32 = format.rate().get(),
        "Bits": u16 = format.bits(),
        "Channels": u16 = format.channels(),
        "Mask": Hex = Hex(format.mask().into()),
        "Address": Address = address.into(),
        "Port": u16 = port,
    });
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
    /// Wake-ups of the thread.
    pub wakes: u64,
}

/// A stream was closed.
pub fn stream_closed(stream: u32, totals: StreamTotals, packets: Totals) {
    event!(PROVIDER, "StreamClosed", Information, STREAM, {
        "Stream": u32 = stream,
        "Frames": u64 = totals.frames,
        "Glitches": u64 = totals.glitches,
        "Skipped": u64 = totals.skipped,
        "Missing": u64 = totals.missing,
        "Wakes": u64 = totals.wakes,
        "Sent": u64 = packets.sent,
        "Dropped": u64 = packets.dropped,
        "Failed": u64 = packets.failed,
        "LastStatus": Ntstatus = Ntstatus(packets.last_status),
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

/// Packets were lost since this was last told: dropped for want of a socket or of a free place, or failed in the
/// network.
pub fn packets_lost(stream: u32, dropped: u64, failed: u64, last_status: NTSTATUS) {
    event!(PROVIDER, "PacketsLost", Warning, NETWORK, {
        "Stream": u32 = stream,
        "Dropped": u64 = dropped,
        "Failed": u64 = failed,
        "LastStatus": Ntstatus = Ntstatus(last_status),
    });
}

/// A stream has no socket yet, since a step failed; it is tried again.
pub fn connecting_failed(stream: u32, step: &CStr, attempt: u32, status: NTSTATUS) {
    event!(PROVIDER, "ConnectingFailed", Warning, NETWORK, {
        "Stream": u32 = stream,
        "Step": &CStr = step,
        "Attempt": u32 = attempt,
        "Status": Ntstatus = Ntstatus(status),
    });
}

/// A stream has a socket that packets are sent from, at this attempt.
pub fn connected(stream: u32, attempt: u32) {
    event!(PROVIDER, "Connected", Information, NETWORK, { "Stream": u32 = stream, "Attempt": u32 = attempt });
}

/// The network closed the socket of a stream; another one is opened.
pub fn disconnected(stream: u32) {
    event!(PROVIDER, "Disconnected", Warning, NETWORK, { "Stream": u32 = stream });
}
