//! A device with a WaveCyclic port and one mistake: its stream, its DMA channel, its service group. The adapter and the
//! filter's description are those of [`device`](crate::device).
//!
//! The stream plays nothing: a timer moves its position on by ten milliseconds, and lets the port copy.

use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

use crate::Case;
use crate::device::{Foreign, Guid, bent, devices, method};
use crate::device_objects::{
    Kind, Method, Object, add_ref, create, description, intersection, once, query, release, set_format, table,
};
use crate::nt::*;

/// The cases of this file.
pub const CASES: &[Case] = devices!["cyclic_buffer_missing" "cyclic_buffer_resized" "cyclic_buffer_too_large"
    "cyclic_buffer_twice" "cyclic_channel_aggregated" "cyclic_channel_short" "cyclic_frequency_not_given"
    "cyclic_group_aggregated" "cyclic_group_delay" "cyclic_group_no_member" "cyclic_notify_nobody"
    "cyclic_position_beyond_buffer" "cyclic_slave_channel" "cyclic_stays_asleep" "cyclic_stays_awake"
    "cyclic_stays_open" "cyclic_stream_outputs_not_cleared"];

/// IID_IMiniportWaveCyclic.
pub const WAVE_CYCLIC: Guid =
    Guid(0xB4C9_0A27, 0x5791, 0x11D0, [0x86, 0xF9, 0x00, 0xA0, 0xC9, 0x11, 0xB5, 0x44]);
/// IID_IMiniportWaveCyclicStream.
pub const CYCLIC_STREAM: Guid =
    Guid(0xB4C9_0A28, 0x5791, 0x11D0, [0x86, 0xF9, 0x00, 0xA0, 0xC9, 0x11, 0xB5, 0x44]);
/// IID_IDmaChannel.
pub const DMA_CHANNEL: Guid =
    Guid(0x22C6_AC61, 0x851B, 0x11D0, [0x9A, 0x7F, 0x00, 0xAA, 0x00, 0x38, 0xAC, 0xFE]);
/// IID_IServiceSink.
pub const SERVICE_SINK: Guid =
    Guid(0x22C6_AC64, 0x851B, 0x11D0, [0x9A, 0x7F, 0x00, 0xAA, 0x00, 0x38, 0xAC, 0xFE]);

/// Bytes of the buffer: 40 ms.
const BUFFER: u32 = 7680;
/// Bytes of ten milliseconds.
const STEP: u32 = 1920;

/// IMiniportWaveCyclic.
pub static MINIPORT: [Method; 7] = table![query add_ref release description intersection init new_stream];
/// IMiniportWaveCyclicStream.
pub static STREAM: [Method; 9] =
    table![query add_ref release set_format set_frequency set_state position normalize silence];
/// IServiceSink.
pub static SINK: [Method; 4] = table![query add_ref release serve];
/// IDmaChannel.
static CHANNEL: [Method; 15] =
    table![query add_ref release none none none size size size none address none none copy copy];

#[link(name = "portcls.sys", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "system" {
    fn PcNewServiceGroup(group: *mut *mut Foreign, outer: Pvoid) -> NtStatus;
}

/// IPortWaveCyclic::NewMasterDmaChannel.
type NewMaster = unsafe extern "system" fn(
    *mut Foreign,
    *mut *mut Foreign,
    Pvoid,
    Pvoid,
    u32,
    u8,
    u8,
    i32,
    i32,
) -> NtStatus;
/// IPortWaveCyclic::NewSlaveDmaChannel.
type NewSlave =
    unsafe extern "system" fn(*mut Foreign, *mut *mut Foreign, Pvoid, Pvoid, u32, u32, u8, i32) -> NtStatus;
/// A method without arguments.
type Plain = unsafe extern "system" fn(*mut Foreign);
/// IServiceGroup::AddMember and RemoveMember, IPortWaveCyclic::Notify.
type With = unsafe extern "system" fn(*mut Foreign, Pvoid) -> NtStatus;
/// IDmaChannel::AllocateBuffer.
type Allocate = unsafe extern "system" fn(*mut Foreign, u32, *const i64) -> NtStatus;
/// IDmaChannel::SetBufferSize.
type SetSize = unsafe extern "system" fn(*mut Foreign, u32);
/// IServiceGroup::RequestDelayedService.
type Delay = unsafe extern "system" fn(*mut Foreign, u64);

/// What the one stream works with. The channel and the group are counted for it.
static PORT: AtomicPtr<Foreign> = AtomicPtr::new(null_mut());
static DMA: AtomicPtr<Foreign> = AtomicPtr::new(null_mut());
static GROUP: AtomicPtr<Foreign> = AtomicPtr::new(null_mut());
static RUNS: AtomicBool = AtomicBool::new(false);
static PLAYED: AtomicU32 = AtomicU32::new(0);

unsafe extern "system" fn init(
    _this: *mut Object,
    _adapter: Pvoid,
    _resources: Pvoid,
    port: *mut Foreign,
) -> NtStatus {
    PORT.store(port, Ordering::Relaxed);
    SUCCESS
}

unsafe extern "system" fn new_stream(
    _this: *mut Object,
    stream: *mut *mut Object,
    _outer: Pvoid,
    _pool: u32,
    _pin: u32,
    _capture: u8,
    _format: Pvoid,
    channel: *mut *mut Foreign,
    group: *mut *mut Foreign,
) -> NtStatus {
    if bent("cyclic_stream_outputs_not_cleared") {
        return UNSUCCESSFUL;
    }
    channel.write(make_channel());
    group.write(make_group());
    for (kept, made) in [(&DMA, channel.read()), (&GROUP, group.read())] {
        ((*(*made).table).add_ref)(made);
        kept.store(made, Ordering::Relaxed);
    }
    KeInitializeTimerEx(slot(0), 1);
    KeInitializeDpc(slot(1), tick, null_mut());
    stream.write(create(Kind::CyclicStream));
    SUCCESS
}

/// What the stream gives back with its last reference.
///
/// # Safety
/// The stream was made, and its timer is not set.
pub unsafe fn close() {
    for kept in [&DMA, &GROUP] {
        let object = kept.swap(null_mut(), Ordering::Relaxed);
        ((*(*object).table).release)(object);
    }
}

unsafe fn make_channel() -> *mut Foreign {
    if bent("cyclic_channel_short") {
        return create(Kind::Channel).cast();
    }
    let port = PORT.load(Ordering::Relaxed);
    let mut channel = null_mut();
    if bent("cyclic_slave_channel") {
        method::<NewSlave>(port, 7)(port, &mut channel, null_mut(), null_mut(), 0, BUFFER, 0, 0);
    }
    let new_master = method::<NewMaster>(port, 8);
    if bent("cyclic_channel_aggregated") {
        new_master(port, &mut channel, slot(2), null_mut(), BUFFER, 1, 0, 2, 0);
    }
    new_master(port, &mut channel, null_mut(), null_mut(), BUFFER, 1, 0, 2, 0);
    let allocate = method::<Allocate>(channel, 3);
    if bent("cyclic_buffer_too_large") {
        allocate(channel, BUFFER + 1, null());
    }
    if !bent("cyclic_buffer_missing") {
        allocate(channel, BUFFER, null());
    }
    if bent("cyclic_buffer_twice") {
        allocate(channel, BUFFER, null());
    }
    if bent("cyclic_buffer_resized") {
        method::<SetSize>(channel, 9)(channel, BUFFER + 1);
    }
    channel
}

unsafe fn make_group() -> *mut Foreign {
    let mut group = null_mut();
    if bent("cyclic_group_aggregated") {
        PcNewServiceGroup(&mut group, slot(2));
    }
    PcNewServiceGroup(&mut group, null_mut());
    let sink = create(Kind::Sink);
    method::<With>(group, 4)(group, sink.cast());
    method::<With>(group, 5)(group, sink.cast());
    if bent("cyclic_group_no_member") {
        method::<With>(group, 5)(group, sink.cast());
    }
    release(sink);
    if !bent("cyclic_group_delay") {
        method::<Plain>(group, 6)(group);
    }
    method::<Delay>(group, 7)(group, 10_000);
    method::<Plain>(group, 8)(group);
    group
}

unsafe extern "system" fn serve(_this: *mut Object) {}

unsafe extern "system" fn tick(_dpc: Pvoid, _context: Pvoid, _first: Pvoid, _second: Pvoid) {
    PLAYED.store((PLAYED.load(Ordering::Relaxed) + STEP) % BUFFER, Ordering::Relaxed);
    let (port, group) = (PORT.load(Ordering::Relaxed), GROUP.load(Ordering::Relaxed));
    let notify = method::<With>(port, 6);
    if once("cyclic_notify_nobody") {
        notify(port, null_mut());
    }
    notify(port, group.cast());
}

unsafe extern "system" fn set_frequency(_this: *mut Object, interval: u32, bytes: *mut u32) -> u32 {
    bytes.write(interval * (STEP / 10));
    if bent("cyclic_frequency_not_given") { 0 } else { interval }
}

unsafe extern "system" fn set_state(_this: *mut Object, state: u32) -> NtStatus {
    let (stop, pause, run) = (0, 2, 3);
    static RAN: AtomicU32 = AtomicU32::new(0);
    if state == run && RAN.fetch_add(1, Ordering::Relaxed) > 0 && bent("cyclic_stays_asleep") {
        return UNSUCCESSFUL;
    }
    if state == pause && RUNS.load(Ordering::Relaxed) && once("cyclic_stays_awake") {
        return UNSUCCESSFUL;
    }
    if state == stop && bent("cyclic_stays_open") {
        return UNSUCCESSFUL;
    }
    if RUNS.swap(state == run, Ordering::Relaxed) {
        KeCancelTimer(slot(0));
    }
    if state == run {
        KeSetTimerEx(slot(0), 10 * MILLISECOND, 10, slot(1));
    }
    SUCCESS
}

unsafe extern "system" fn position(_this: *mut Object, out: *mut u32) -> NtStatus {
    let beyond = once("cyclic_position_beyond_buffer");
    out.write(if beyond { BUFFER } else { PLAYED.load(Ordering::Relaxed) });
    SUCCESS
}

unsafe extern "system" fn normalize(_this: *mut Object, _position: *mut i64) -> NtStatus {
    SUCCESS
}

unsafe extern "system" fn silence(_this: *mut Object, buffer: *mut u8, bytes: u32) {
    buffer.write_bytes(0, bytes as usize);
}

/// The table of a channel of the driver's own: in pool, and without its last method, which nobody calls.
pub fn short_table() -> *const Method {
    let methods = CHANNEL.len() - 1;
    let table = block::<Method>(methods * size_of::<Method>());
    // SAFETY: a block of that size.
    unsafe { table.copy_from_nonoverlapping(CHANNEL.as_ptr(), methods) };
    table
}

/// The buffer of that channel: memory of the image.
static BYTES: [AtomicU32; BUFFER as usize / 4] = [const { AtomicU32::new(0) }; BUFFER as usize / 4];

unsafe extern "system" fn none(_this: *mut Object) {}

unsafe extern "system" fn size(_this: *mut Object) -> u32 {
    BUFFER
}

unsafe extern "system" fn address(_this: *mut Object) -> Pvoid {
    BYTES.as_ptr().cast_mut().cast()
}

unsafe extern "system" fn copy(_this: *mut Object, target: *mut u8, source: *const u8, bytes: u32) {
    memcpy(target, source, bytes as usize);
}
