//! The COM objects of the device: the wave miniport, its stream, and the adapter's power interface.
//!
//! They share one type and one set of counting methods; the kind says which interfaces an object has. The stream has no
//! audio to play: it answers what the port asks.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::device::{Guid, bent};
use crate::device_tables;
use crate::nt::*;

/// The kernel's, whose bytes are in another order than those of COM's.
const UNKNOWN: Guid = Guid(0, 0, 0, [0, 0, 0xC0, 0, 0, 0, 0, 0x46]);
const MINIPORT: Guid = Guid(0xB4C9_0A24, 0x5791, 0x11D0, [0x86, 0xF9, 0, 0xA0, 0xC9, 0x11, 0xB5, 0x44]);
const WAVE: Guid = Guid(0x0F9F_C4D6, 0x6061, 0x4F3C, [0xB1, 0xFC, 0x07, 0x5E, 0x35, 0xF7, 0x96, 0x0A]);
const STREAM: Guid = Guid(0x000A_C9AB, 0xFAAB, 0x4F3D, [0x94, 0x55, 0x6F, 0xF8, 0x30, 0x6A, 0x74, 0xA0]);
const POWER: Guid = Guid(0x7934_17D0, 0x35FE, 0x11D1, [0xAD, 0x08, 0, 0xA0, 0xC9, 0x0A, 0xB1, 0xB0]);
const PIN_COUNT: Guid = Guid(0x5DAD_B7DC, 0xA2CB, 0x4540, [0xA4, 0xA8, 0x42, 0x5E, 0xE4, 0xAE, 0x90, 0x51]);
/// The first part of what the testbed asks for and nobody has.
const UNHEARD_OF: u32 = 0x5CA1_AB1E;

const NO_SUCH_INTERFACE: NtStatus = 0xC000_000D_u32 as i32;
const BUFFER_OVERFLOW: NtStatus = 0x8000_0005_u32 as i32;
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
}

/// An object.
#[repr(C)]
pub struct Object {
    table: *const Method,
    count: AtomicU32,
    kind: Kind,
    /// Of a stream.
    port_stream: *mut Foreign,
    list: *mut Mdl,
    mapped: Pvoid,
}

/// A slot of a table.
#[repr(transparent)]
pub struct Method(*const ());

// SAFETY: the address of a function.
unsafe impl Sync for Method {}

macro_rules! table {
    ($($method:ident)*) => { [$(Method($method as *const ())),*] };
}

static WAVE_TABLE: [Method; 8] =
    table![query add_ref_for_windows release description intersection init new_stream dma];
static STREAM_TABLE: [Method; 11] = table![query add_ref_for_windows release set_format set_state position allocate free latency
    register register];
static POWER_TABLE: [Method; 6] =
    table![query add_ref_for_windows release power_changed query_power capabilities];

/// Happens once in the life of an image.
static ONCE: AtomicBool = AtomicBool::new(false);

fn once(case: &str) -> bool {
    bent(case) && !ONCE.swap(true, Ordering::Relaxed)
}

/// An object with one reference.
pub fn create(kind: Kind) -> *mut Object {
    let table = match kind {
        Kind::Wave => WAVE_TABLE.as_ptr(),
        Kind::Stream => STREAM_TABLE.as_ptr(),
        Kind::Power => POWER_TABLE.as_ptr(),
    };
    let object = block::<Object>(size_of::<Object>());
    let none: Pvoid = null_mut();
    let value = Object {
        table,
        count: AtomicU32::new(1),
        kind,
        port_stream: none.cast(),
        list: none.cast(),
        mapped: none,
    };
    // SAFETY: a block of that size.
    unsafe { object.write(value) };
    object
}

unsafe extern "system" fn query(this: *mut Object, iid: *const Guid, out: *mut *mut Object) -> NtStatus {
    let kind = (*this).kind;
    let own: &[Guid] = match kind {
        Kind::Wave => &[UNKNOWN, MINIPORT, WAVE],
        Kind::Stream => &[UNKNOWN, STREAM],
        Kind::Power => &[UNKNOWN, POWER],
    };
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

unsafe extern "system" fn add_ref(this: *mut Object) -> u32 {
    (*this).count.fetch_add(1, Ordering::Relaxed) + 1
}

/// What Windows calls for AddRef.
unsafe extern "system" fn add_ref_for_windows(this: *mut Object) -> u32 {
    let count = add_ref(this);
    if (*this).kind == Kind::Wave && bent("com_counts_differ") { count + 7 } else { count }
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

unsafe extern "system" fn description(_this: *mut Object, out: *mut usize) -> NtStatus {
    out.write(device_tables::description());
    SUCCESS
}

unsafe extern "system" fn intersection(
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
    output.write_unaligned(if bent("pc_intersection_other_format") { BYTES - 2 } else { BYTES });
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
    _pin: u32,
    _capture: u8,
    _format: Pvoid,
) -> NtStatus {
    if bent("com_stream_output_not_cleared") {
        return NO_MATCH;
    }
    out.write(null_mut());
    if bent("com_stream_missing") {
        return SUCCESS;
    }
    let stream = create(Kind::Stream);
    (*stream).port_stream = port_stream;
    if bent("com_stream_gone") {
        ExFreePool(stream.cast());
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
    out.write_bytes(0, 64);
    out.cast::<u32>().add(8).write(0x1_0000);
    SUCCESS
}

/// An object of Windows: IPortWaveRTStream here.
#[repr(C)]
pub struct Foreign {
    table: *const PortStream,
}

/// IPortWaveRTStream.
#[repr(C)]
struct PortStream {
    unknown: [usize; 3],
    allocate: unsafe extern "system" fn(this: *mut Foreign, highest: i64, bytes: usize) -> *mut Mdl,
    contiguous: usize,
    map: unsafe extern "system" fn(this: *mut Foreign, list: *mut Mdl, cache: u32) -> Pvoid,
    unmap: unsafe extern "system" fn(this: *mut Foreign, address: Pvoid, list: *mut Mdl),
    free: unsafe extern "system" fn(this: *mut Foreign, list: *mut Mdl),
    count: usize,
    page:
        unsafe extern "system" fn(this: *mut Foreign, out: *mut i64, list: *mut Mdl, index: u32) -> *mut i64,
}

unsafe extern "system" fn set_format(_this: *mut Object, _format: Pvoid) -> NtStatus {
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

unsafe extern "system" fn allocate(
    this: *mut Object,
    _requested: u32,
    list: *mut *mut Mdl,
    actual: *mut u32,
    offset: *mut u32,
    cache: *mut u32,
) -> NtStatus {
    let port = (*this).port_stream;
    let functions = (*port).table;
    if once("pc_buffer_of_zero_bytes") {
        ((*functions).allocate)(port, -1, 0);
    }
    list.write(null_mut());
    actual.write(0x1000);
    offset.write(0);
    cache.write(if bent("pc_buffer_cache") { 7 } else { 1 });
    if bent("pc_buffer_missing") {
        return SUCCESS;
    }
    if bent("pc_buffer_of_its_own") {
        list.write(MmAllocatePagesForMdl(0, u64::MAX, 0, 0x1000));
        return SUCCESS;
    }
    let pages = ((*functions).allocate)(port, -1, 0x1000);
    let map_cache = if bent("pc_map_cache") { 9 } else { 1 };
    (*this).mapped = ((*functions).map)(port, pages, map_cache);
    (*this).list = pages;
    if bent("pc_page_beyond_list") {
        let mut address = 0;
        ((*functions).page)(port, &mut address, pages, 1);
    }
    if bent("pc_buffer_beyond_list") {
        actual.write(0x1001);
    }
    list.write(pages);
    SUCCESS
}

unsafe fn unmap_and_free(this: *mut Object) {
    let port = (*this).port_stream;
    let functions = (*port).table;
    let (list, mapped) = ((*this).list, (*this).mapped);
    (*this).list = null_mut();
    if bent("pc_buffer_left") {
        return;
    }
    if bent("pc_unmapped_elsewhere") {
        ((*functions).unmap)(port, slot(0), list);
    }
    if !bent("pc_freed_while_mapped") {
        ((*functions).unmap)(port, mapped, list);
    }
    if bent("pc_free_foreign_list") {
        ((*functions).free)(port, slot(0));
    }
    ((*functions).free)(port, list);
}

unsafe extern "system" fn free(this: *mut Object, list: *mut Mdl, _bytes: u32) {
    if bent("pc_buffer_of_its_own") {
        MmFreePagesFromMdl(list);
        return ExFreePool(list.cast());
    }
    unmap_and_free(this);
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

/// PCPROPERTY_REQUEST, as far as it is used.
#[repr(C)]
pub struct Request {
    before: [usize; 6],
    value_bytes: u32,
    value: *mut u8,
}

/// The handler of the device's property: four zero bytes.
///
/// # Safety
/// For the port.
pub unsafe extern "system" fn property_handler(request: *mut Request) -> NtStatus {
    if bent("pc_property_pending") {
        return PENDING;
    }
    (*request).value_bytes = if bent("pc_property_says_more") { 64 } else { 4 };
    let bytes = if bent("pc_property_writes_more") { 5 } else { 4 };
    if bent("pc_property_writes_far") {
        (*request).value.add(0x40).write_volatile(0);
    }
    for index in 0..bytes {
        (*request).value.add(index).write_volatile(0);
    }
    SUCCESS
}
