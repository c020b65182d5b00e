//! The COM objects of the device: the wave miniport, its stream, and the adapter's power interface.
//!
//! They share one type and one set of counting methods; the kind says which interfaces an object has. The stream has no
//! audio to play: it answers what the port asks.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::cyclic;
use crate::device::{Foreign, GUID_AUDIO, GUID_PCM, GUID_WAVE_FORMAT, Guid, bent};
use crate::device_buffers::{allocate, allocate_with_notification, free, unmap_and_free};
use crate::device_streams::{self as streams, Face, register_event, unregister_event};
use crate::device_tables;
use crate::nt::*;

/// The kernel's, whose bytes are in another order than those of COM's.
pub const UNKNOWN: Guid = Guid(0, 0, 0, [0, 0, 0xC0, 0, 0, 0, 0, 0x46]);
const MINIPORT: Guid = Guid(0xB4C9_0A24, 0x5791, 0x11D0, [0x86, 0xF9, 0, 0xA0, 0xC9, 0x11, 0xB5, 0x44]);
const WAVE: Guid = Guid(0x0F9F_C4D6, 0x6061, 0x4F3C, [0xB1, 0xFC, 0x07, 0x5E, 0x35, 0xF7, 0x96, 0x0A]);
const STREAM: Guid = Guid(0x000A_C9AB, 0xFAAB, 0x4F3D, [0x94, 0x55, 0x6F, 0xF8, 0x30, 0x6A, 0x74, 0xA0]);
const POWER: Guid = Guid(0x7934_17D0, 0x35FE, 0x11D1, [0xAD, 0x08, 0, 0xA0, 0xC9, 0x0A, 0xB1, 0xB0]);
const PIN_COUNT: Guid = Guid(0x5DAD_B7DC, 0xA2CB, 0x4540, [0xA4, 0xA8, 0x42, 0x5E, 0xE4, 0xAE, 0x90, 0x51]);
/// The first part of what the testbed asks for and nobody has.
const UNHEARD_OF: u32 = 0x5CA1_AB1E;

const NO_SUCH_INTERFACE: NtStatus = 0xC000_000D_u32 as i32;
const BUFFER_OVERFLOW: NtStatus = 0x8000_0005_u32 as i32;
const TOO_SMALL: NtStatus = 0xC000_0023_u32 as i32;
const NO_MATCH: NtStatus = 0xC000_0272_u32 as i32;

/// What an object is.
#[repr(u32)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// IMiniportWaveRT.
    Wave,
    /// IMiniportWaveRTStream.
    Stream,
    /// IAdapterPowerManagement.
    Power,
    /// IMiniportWaveCyclic.
    Cyclic,
    /// IMiniportWaveCyclicStream.
    CyclicStream,
    /// IDmaChannel.
    Channel,
    /// IServiceSink.
    Sink,
}

/// An object.
#[repr(C)]
pub struct Object {
    table: *const Method,
    count: AtomicU32,
    /// What it is.
    pub kind: Kind,
    /// A further interface.
    pub face: Face,
    /// Of a stream: the port's part of it.
    pub port_stream: *mut Foreign,
    /// The pages.
    pub list: *mut Mdl,
    /// Where they are mapped.
    pub mapped: Pvoid,
    /// They were given back.
    pub freed: bool,
}

/// A slot of a table.
#[repr(transparent)]
pub struct Method(*const ());

// SAFETY: the address of a function.
unsafe impl Sync for Method {}

impl Method {
    /// A function.
    pub const fn new(function: *const ()) -> Self {
        Self(function)
    }
}

macro_rules! table {
    ($($method:ident)*) => { [$($crate::device_objects::Method::new($method as *const ())),*] };
}
pub(crate) use table;

static WAVE_TABLE: [Method; 8] =
    table![query add_ref_for_windows release description intersection init new_stream dma];
static STREAM_TABLE: [Method; 15] = table![query add_ref_for_windows release_for_windows set_format set_state position
    allocate free latency register register allocate_with_notification free register_event unregister_event];
static POWER_TABLE: [Method; 6] =
    table![query add_ref_for_windows release power_changed query_power capabilities];

/// Happens once in the life of an image.
static ONCE: AtomicBool = AtomicBool::new(false);

/// Whether this is the case that goes wrong, and it has not done so yet.
pub fn once(case: &str) -> bool {
    bent(case) && !ONCE.swap(true, Ordering::Relaxed)
}

/// An object with one reference.
pub fn create(kind: Kind) -> *mut Object {
    let table = match kind {
        Kind::Wave => WAVE_TABLE.as_ptr(),
        Kind::Stream => STREAM_TABLE.as_ptr(),
        Kind::Power => POWER_TABLE.as_ptr(),
        Kind::Cyclic => cyclic::MINIPORT.as_ptr(),
        Kind::CyclicStream => cyclic::STREAM.as_ptr(),
        Kind::Channel => cyclic::short_table(),
        Kind::Sink => cyclic::SINK.as_ptr(),
    };
    let object = block::<Object>(size_of::<Object>());
    let none: Pvoid = null_mut();
    let value = Object {
        table,
        count: AtomicU32::new(1),
        kind,
        face: Face::new(kind, object),
        port_stream: none.cast(),
        list: none.cast(),
        mapped: none,
        freed: false,
    };
    // SAFETY: a block of that size.
    unsafe { object.write(value) };
    object
}

/// QueryInterface.
///
/// # Safety
/// For Windows.
pub unsafe extern "system" fn query(this: *mut Object, iid: *const Guid, out: *mut *mut Object) -> NtStatus {
    let kind = (*this).kind;
    let own: &[Guid] = match kind {
        Kind::Wave => &[UNKNOWN, MINIPORT, WAVE],
        Kind::Stream if streams::has_packets() => &[UNKNOWN, STREAM, streams::NOTIFICATION],
        Kind::Stream => &[UNKNOWN, STREAM],
        Kind::Power => &[UNKNOWN, POWER],
        Kind::Cyclic => &[UNKNOWN, MINIPORT, cyclic::WAVE_CYCLIC],
        Kind::CyclicStream => &[UNKNOWN, cyclic::CYCLIC_STREAM],
        Kind::Channel => &[UNKNOWN, cyclic::DMA_CHANNEL],
        Kind::Sink => &[UNKNOWN, cyclic::SERVICE_SINK],
    };
    if kind == Kind::Stream && *iid == UNKNOWN && bent("com_refuses_unknown") {
        out.write(null_mut());
        return NO_SUCH_INTERFACE;
    }
    if (*this).face.answers(&*iid) {
        add_ref(this);
        out.write((&raw mut (*this).face).cast());
        return SUCCESS;
    }
    if own.contains(&*iid) {
        add_ref(this);
        out.write(this);
        return SUCCESS;
    }
    if kind == Kind::Wave && (*iid).0 == UNHEARD_OF {
        if bent("com_gives_unknown_interface") {
            out.write(this);
            return SUCCESS;
        }
        if bent("com_output_not_cleared") {
            return NO_SUCH_INTERFACE;
        }
    }
    out.write(null_mut());
    if kind == Kind::Wave && *iid == PIN_COUNT && bent("com_succeeds_without_interface") {
        return SUCCESS;
    }
    NO_SUCH_INTERFACE
}

/// AddRef.
///
/// # Safety
/// The object is alive.
pub unsafe extern "system" fn add_ref(this: *mut Object) -> u32 {
    (*this).count.fetch_add(1, Ordering::Relaxed) + 1
}

/// What Windows calls for AddRef.
unsafe extern "system" fn add_ref_for_windows(this: *mut Object) -> u32 {
    let count = add_ref(this);
    if (*this).kind == Kind::Wave && bent("com_counts_differ") { count + 7 } else { count }
}

/// What Windows calls for Release of a stream.
unsafe extern "system" fn release_for_windows(this: *mut Object) -> u32 {
    let freed = (*this).freed;
    let left = release(this);
    let lies = once("com_release_returns_zero") || (freed && left > 0 && once("com_release_counts_low"));
    if lies { 0 } else { left }
}

/// Release.
///
/// # Safety
/// The caller has a reference.
pub unsafe extern "system" fn release(this: *mut Object) -> u32 {
    let left = (*this).count.fetch_sub(1, Ordering::AcqRel) - 1;
    if left == 0 {
        if !(*this).list.is_null() {
            unmap_and_free(this);
        }
        if (*this).kind == Kind::CyclicStream {
            cyclic::close();
        }
        if (*this).kind == Kind::Channel {
            ExFreePool((*this).table.cast_mut().cast());
        }
        if (*this).kind == Kind::Wave && bent("com_object_leaked") {
            // Nothing is lost but the last Release: DriverUnload frees the memory.
            KEPT.store(this, Ordering::Relaxed);
        } else {
            ExFreePool(this.cast());
        }
        return 0;
    }
    left
}

static KEPT: core::sync::atomic::AtomicPtr<Object> = core::sync::atomic::AtomicPtr::new(null_mut());

/// Frees what a case has kept.
///
/// # Safety
/// At unload.
pub unsafe fn free_kept() {
    let kept = KEPT.swap(null_mut(), Ordering::Relaxed);
    if !kept.is_null() {
        ExFreePool(kept.cast());
    }
}

/// GetDescription.
///
/// # Safety
/// For the port.
pub unsafe extern "system" fn description(_this: *mut Object, out: *mut usize) -> NtStatus {
    out.write(device_tables::description());
    SUCCESS
}

/// KSDATAFORMAT_WAVEFORMATEX.
#[repr(C, packed)]
struct Format {
    bytes: u32,
    flags: u32,
    sample: u64,
    kind: [Guid; 3],
    tag: u16,
    channels: u16,
    rate: u32,
    bytes_a_second: u32,
    frame: u16,
    bits: u16,
    extra: u16,
}

const _: () = assert!(size_of::<Format>() == 82);

/// DataRangeIntersection.
///
/// # Safety
/// For the port.
pub unsafe extern "system" fn intersection(
    _this: *mut Object,
    _pin: u32,
    _client: Pvoid,
    _own: Pvoid,
    capacity: u32,
    output: *mut u32,
    length: *mut u32,
) -> NtStatus {
    const BYTES: u32 = 82;
    length.write(BYTES);
    if capacity == 0 {
        if bent("pc_intersection_without_buffer") {
            return SUCCESS;
        }
        if bent("pc_intersection_absurd") {
            length.write(5);
        }
        return BUFFER_OVERFLOW;
    }
    if capacity < BYTES && !bent("pc_intersection_ignores_room") {
        return TOO_SMALL;
    }
    let bytes = if bent("pc_intersection_other_format") { BYTES - 2 } else { BYTES };
    output.write_unaligned(bytes);
    if capacity >= BYTES {
        let rate = if bent("pc_intersection_outside") { 44100 } else { 48000 };
        output.cast::<Format>().write(Format {
            bytes,
            flags: 0,
            sample: 4,
            kind: [GUID_AUDIO, GUID_PCM, GUID_WAVE_FORMAT],
            tag: 1,
            channels: 2,
            rate,
            bytes_a_second: 4 * rate,
            frame: 4,
            bits: 16,
            extra: 0,
        });
    }
    if bent("pc_intersection_other_length") {
        length.write(BYTES - 2);
    }
    SUCCESS
}

unsafe extern "system" fn init(
    _this: *mut Object,
    _adapter: Pvoid,
    _resources: Pvoid,
    _port: Pvoid,
) -> NtStatus {
    SUCCESS
}

unsafe extern "system" fn new_stream(
    _this: *mut Object,
    out: *mut *mut Object,
    port_stream: *mut Foreign,
    pin: u32,
    _capture: u8,
    _format: Pvoid,
) -> NtStatus {
    if pin == 0 && bent("com_stream_output_not_cleared") {
        return NO_MATCH;
    }
    out.write(null_mut());
    if pin != 0 && !bent("pc_pin_not_described") {
        return NO_MATCH;
    }
    if bent("com_stream_missing") {
        return SUCCESS;
    }
    let stream = create(Kind::Stream);
    (*stream).port_stream = port_stream;
    if bent("com_stream_gone") {
        ExFreePool(stream.cast());
    }
    if bent("com_refuses_unknown") {
        KEPT.store(stream, Ordering::Relaxed);
    }
    out.write(stream);
    SUCCESS
}

/// DEVICE_DESCRIPTION: 64 bytes.
unsafe extern "system" fn dma(_this: *mut Object, out: *mut u8) -> NtStatus {
    if bent("pc_dma_fails") {
        return UNSUCCESSFUL;
    }
    if bent("pc_dma_not_filled") {
        return SUCCESS;
    }
    const TRUE: u8 = 1;
    const PCI: u32 = 5;
    let set = |offset: usize, case: &str| out.add(offset).write(if bent(case) { 0 } else { TRUE });
    out.write_bytes(0, 64);
    // Master, ScatterGather, Dma32BitAddresses
    set(4, "pc_dma_no_master");
    set(5, "pc_dma_no_scatter_gather");
    set(8, "pc_dma_no_addresses");
    if bent("pc_dma_filled_in_part") {
        // DemandMode
        out.add(6).write(0xA5);
    }
    // InterfaceType, MaximumLength
    out.cast::<u32>().add(5).write(if bent("pc_dma_no_bus") { u32::MAX } else { PCI });
    out.cast::<u32>().add(8).write(if bent("pc_dma_no_length") { 0 } else { 0x1_0000 });
    SUCCESS
}

/// SetFormat.
///
/// # Safety
/// For the port.
pub unsafe extern "system" fn set_format(_this: *mut Object, _format: Pvoid) -> NtStatus {
    SUCCESS
}

unsafe extern "system" fn set_state(this: *mut Object, state: u32) -> NtStatus {
    let (pause, run) = (2, 3);
    static RAN: AtomicU32 = AtomicU32::new(0);
    if state == run && RAN.fetch_add(1, Ordering::Relaxed) > 0 && bent("pc_stream_stays_asleep") {
        return UNSUCCESSFUL;
    }
    if state == pause && RAN.load(Ordering::Relaxed) == 1 && once("pc_stream_stays_awake") {
        return UNSUCCESSFUL;
    }
    if state == 0 && bent("pc_stream_stays_open") {
        return UNSUCCESSFUL;
    }
    if state == run && once("com_stream_freed_while_used") {
        ExFreePool(this.cast());
    }
    SUCCESS
}

unsafe extern "system" fn position(_this: *mut Object, out: *mut [u64; 2]) -> NtStatus {
    out.write(if bent("pc_position_beyond_buffer") { [0x1_0000, 0] } else { [0, 0] });
    SUCCESS
}

unsafe extern "system" fn latency(_this: *mut Object, out: *mut [u32; 3]) {
    if !bent("pc_latency_not_filled") {
        out.write([0; 3]);
    }
}

unsafe extern "system" fn register(_this: *mut Object, _out: Pvoid) -> NtStatus {
    if bent("pc_register_nowhere") { SUCCESS } else { UNSUCCESSFUL }
}

unsafe extern "system" fn power_changed(_this: *mut Object, _state: u32) {
    if bent("pc_description_changed") {
        device_tables::change();
    }
}

unsafe extern "system" fn query_power(_this: *mut Object, _state: u32) -> NtStatus {
    SUCCESS
}

unsafe extern "system" fn capabilities(_this: *mut Object, out: *mut u16) -> NtStatus {
    if bent("pc_capabilities_size") {
        out.write(8);
    }
    SUCCESS
}
