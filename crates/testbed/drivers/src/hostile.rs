//! An audio device that trusts what user mode says, for the fuzzer of the testbed to find: no rule is broken until a
//! request comes that lies.
//!
//! * `hostile_length`: the handler of a property believes the size that the value says it has.
//! * `hostile_format`: NewStream reads the fields of WAVEFORMATEXTENSIBLE in a format that is too short for them.
//! * `hostile_double_fetch`: SetState reads an index in the audio buffer, checks it, and reads it again to use it.
//! * `hostile_leak`: a property's value is of pool memory that was never written.
//!
//! The twin of each does the same with the check, or the initialisation, that is missing.

use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use crate::Case;
use crate::device::{GUID_PROPERTIES, Guid, bent};
use crate::device_tables;
use crate::nt::*;

/// The cases of this file. They are in no list of rules: what they break depends on who asks them.
pub const CASES: &[Case] = &[
    ("hostile_length", start),
    ("hostile_format", start),
    ("hostile_double_fetch", start),
    ("hostile_leak", start),
];

const UNKNOWN: Guid = Guid(0, 0, 0, [0, 0, 0xC0, 0, 0, 0, 0, 0x46]);
const MINIPORT: Guid = Guid(0xB4C9_0A24, 0x5791, 0x11D0, [0x86, 0xF9, 0, 0xA0, 0xC9, 0x11, 0xB5, 0x44]);
const WAVE: Guid = Guid(0x0F9F_C4D6, 0x6061, 0x4F3C, [0xB1, 0xFC, 0x07, 0x5E, 0x35, 0xF7, 0x96, 0x0A]);
const STREAM: Guid = Guid(0x000A_C9AB, 0xFAAB, 0x4F3D, [0x94, 0x55, 0x6F, 0xF8, 0x30, 0x6A, 0x74, 0xA0]);
const WAVE_PORT: Guid = Guid(0xCC9B_E57A, 0xEB9E, 0x42B4, [0x94, 0xFC, 0x0C, 0xAD, 0x3D, 0xBC, 0xE7, 0xFA]);

const NO_SUCH_INTERFACE: NtStatus = 0xC000_000D_u32 as i32;
const NO_MATCH: NtStatus = 0xC000_0272_u32 as i32;
const TOO_SMALL: NtStatus = 0xC000_0023_u32 as i32;
/// Bytes of a page, and of the buffer.
const PAGE: usize = 0x1000;

/// An object of Windows: a table of functions behind one pointer.
type Foreign = *mut *const usize;
type AddDevice = unsafe extern "system" fn(*mut DriverObject, *mut DeviceObject) -> NtStatus;
type StartDevice = unsafe extern "system" fn(*mut DeviceObject, *mut Irp, Foreign) -> NtStatus;

// The functions that `device` has, too.
#[allow(clashing_extern_declarations, reason = "objects of Windows are declared as far as they are used")]
#[link(name = "portcls.sys", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "system" {
    fn PcAddAdapterDevice(
        driver: *mut DriverObject,
        physical: *mut DeviceObject,
        start: StartDevice,
        objects: u32,
        extension: u32,
    ) -> NtStatus;
    fn PcInitializeAdapterDriver(
        driver: *mut DriverObject,
        path: *mut UnicodeString,
        add: Option<AddDevice>,
    ) -> NtStatus;
    fn PcNewPort(port: *mut Foreign, class: *const Guid) -> NtStatus;
    fn PcRegisterSubdevice(device: *mut DeviceObject, name: *const u16, port: Foreign) -> NtStatus;
}

/// An object of the driver.
#[repr(C)]
struct Object {
    table: *const Method,
    count: AtomicU32,
    is_stream: bool,
}

/// A slot of a table.
#[repr(transparent)]
struct Method(*const ());

// SAFETY: the address of a function.
unsafe impl Sync for Method {}

macro_rules! table {
    ($($method:ident)*) => { [$(Method($method as *const ())),*] };
}

static WAVE_TABLE: [Method; 8] = table![query add_ref release description intersection init new_stream dma];
static STREAM_TABLE: [Method; 11] = table![query add_ref release set_format set_state position allocate free latency
    register register];

/// IPortWaveRTStream of the one stream, null without one; its pages, and where they are mapped.
static PORT_STREAM: AtomicPtr<*const usize> = AtomicPtr::new(null_mut());
static LIST: AtomicPtr<Mdl> = AtomicPtr::new(null_mut());
static MAPPED: AtomicPtr<u32> = AtomicPtr::new(null_mut());

// SAFETY of every function: what Windows passes is used as documented, but for what the cases do on purpose.

unsafe fn start(_well: bool) -> NtStatus {
    PcInitializeAdapterDriver(crate::driver(), crate::path(), Some(add_device))
}

unsafe extern "system" fn add_device(driver: *mut DriverObject, physical: *mut DeviceObject) -> NtStatus {
    PcAddAdapterDevice(driver, physical, start_device, 1, 0)
}

/// The method of an object of Windows.
unsafe fn method<T: Copy>(object: Foreign, slot: usize) -> T {
    (*object).add(slot).cast::<T>().read()
}

unsafe extern "system" fn start_device(device: *mut DeviceObject, irp: *mut Irp, list: Foreign) -> NtStatus {
    type Init = unsafe extern "system" fn(
        Foreign,
        *mut DeviceObject,
        *mut Irp,
        *const Object,
        Pvoid,
        Foreign,
    ) -> NtStatus;
    type Release = unsafe extern "system" fn(Foreign) -> u32;
    static NAME: [u16; 2] = [b'W' as u16, 0];
    let mut port = null_mut();
    PcNewPort(&mut port, &WAVE_PORT);
    let miniport = create(false);
    let mut status = method::<Init>(port, 3)(port, device, irp, miniport, null_mut(), list);
    release(miniport);
    if status == SUCCESS {
        status = PcRegisterSubdevice(device, NAME.as_ptr(), port);
    }
    method::<Release>(port, 2)(port);
    status
}

/// An object with one reference.
unsafe fn create(is_stream: bool) -> *mut Object {
    let object = block::<Object>(size_of::<Object>());
    let table = if is_stream { STREAM_TABLE.as_ptr() } else { WAVE_TABLE.as_ptr() };
    object.write(Object { table, count: AtomicU32::new(1), is_stream });
    object
}

unsafe extern "system" fn query(this: *const Object, iid: *const Guid, out: *mut *const Object) -> NtStatus {
    let own: &[Guid] = if (*this).is_stream { &[UNKNOWN, STREAM] } else { &[UNKNOWN, MINIPORT, WAVE] };
    if own.contains(&*iid) {
        add_ref(this);
        out.write(this);
        return SUCCESS;
    }
    out.write(null());
    NO_SUCH_INTERFACE
}

unsafe extern "system" fn add_ref(this: *const Object) -> u32 {
    (*this).count.fetch_add(1, Ordering::Relaxed) + 1
}

unsafe extern "system" fn release(this: *mut Object) -> u32 {
    let left = (*this).count.fetch_sub(1, Ordering::AcqRel) - 1;
    if left == 0 {
        if (*this).is_stream {
            PORT_STREAM.store(null_mut(), Ordering::Relaxed);
        }
        ExFreePool(this.cast());
    }
    left
}

/// PCPROPERTY_ITEM: set, id and flags, handler.
#[repr(C)]
struct Item(*const Guid, u32, u32, *const ());

/// PCAUTOMATION_TABLE: the size of an item, how many, and where.
#[repr(C)]
struct Automation(u32, u32, *const Item, [usize; 5]);

// SAFETY: constants.
unsafe impl Sync for Item {}
// SAFETY: constants.
unsafe impl Sync for Automation {}

/// KSPROPERTY_TYPE_GET and KSPROPERTY_TYPE_SET.
const GET: u32 = 1;
const SET: u32 = 2;

static ITEMS: [Item; 2] = [
    Item(&GUID_PROPERTIES, 1, SET, set_list as *const ()),
    Item(&GUID_PROPERTIES, 2, GET, get_number as *const ()),
];
static AUTOMATION: Automation = Automation(24, 2, &raw const ITEMS[0], [0; 5]);

unsafe extern "system" fn description(_this: Pvoid, out: *mut usize) -> NtStatus {
    let filter = device_tables::description();
    // PCFILTER_DESCRIPTOR.AutomationTable
    core::ptr::with_exposed_provenance_mut::<*const Automation>(filter).add(1).write(&AUTOMATION);
    out.write(filter);
    SUCCESS
}

/// PCPROPERTY_REQUEST, as far as it is used.
#[repr(C)]
struct Request {
    before: [usize; 6],
    value_bytes: u32,
    value: *mut u8,
}

/// What the driver does with a list is to add it up.
static SUM: AtomicU32 = AtomicU32::new(0);

/// Takes a KSMULTIPLE_ITEM with any bytes behind it.
unsafe extern "system" fn set_list(request: *mut Request) -> NtStatus {
    let (value, bytes) = ((*request).value, (*request).value_bytes);
    if bytes < 8 {
        return TOO_SMALL;
    }
    let size = value.cast::<u32>().read_unaligned();
    if size > bytes && !bent("hostile_length") {
        return TOO_SMALL;
    }
    // No more than a few, so that it takes a size that lies only a little.
    for index in 8..size.min(0x80) as usize {
        SUM.fetch_add(value.add(index).read_volatile().into(), Ordering::Relaxed);
    }
    SUCCESS
}

/// Gives eight bytes, of which four were written.
unsafe extern "system" fn get_number(request: *mut Request) -> NtStatus {
    if (*request).value_bytes < 8 {
        return TOO_SMALL;
    }
    (*request).value_bytes = 8;
    // POOL_FLAG_UNINITIALIZED
    let answer = ExAllocatePool2(NON_PAGED | 2, 8, TAG).cast::<u32>();
    answer.write_volatile(7);
    if !bent("hostile_leak") {
        answer.add(1).write_volatile(0);
    }
    let value = (*request).value.cast::<u64>();
    value.write_unaligned(answer.cast::<u64>().read_volatile());
    ExFreePool(answer.cast());
    SUCCESS
}

unsafe extern "system" fn intersection(
    _this: Pvoid,
    _pin: u32,
    _client: Pvoid,
    _own: Pvoid,
    _capacity: u32,
    _output: Pvoid,
    length: *mut u32,
) -> NtStatus {
    length.write(0);
    NO_MATCH
}

unsafe extern "system" fn init(_this: Pvoid, _adapter: Pvoid, _list: Pvoid, _port: Pvoid) -> NtStatus {
    SUCCESS
}

unsafe extern "system" fn new_stream(
    _this: Pvoid,
    out: *mut *const Object,
    port_stream: Foreign,
    pin: u32,
    _capture: u8,
    format: *const u8,
) -> NtStatus {
    const PLAIN: u32 = 82;
    const EXTENSIBLE: u32 = 104;
    out.write(null());
    let size = format.cast::<u32>().read_unaligned();
    if pin != 0 || size < PLAIN || !PORT_STREAM.load(Ordering::Relaxed).is_null() {
        return NO_MATCH;
    }
    // WAVEFORMATEX.wFormatTag is WAVE_FORMAT_EXTENSIBLE.
    if format.add(64).cast::<u16>().read_unaligned() == 0xFFFE {
        if size < EXTENSIBLE && !bent("hostile_format") {
            return NO_MATCH;
        }
        // WAVEFORMATEXTENSIBLE.SubFormat
        let tail = format.add(96).cast::<u64>().read_unaligned();
        SUM.fetch_add(tail as u32, Ordering::Relaxed);
    }
    PORT_STREAM.store(port_stream, Ordering::Relaxed);
    out.write(create(true));
    SUCCESS
}

/// DEVICE_DESCRIPTION: 64 bytes.
unsafe extern "system" fn dma(_this: Pvoid, out: *mut u8) -> NtStatus {
    out.write_bytes(0, 64);
    // Master, ScatterGather, Dma32BitAddresses; MaximumLength
    for offset in [4, 5, 8] {
        out.add(offset).write(1);
    }
    out.cast::<u32>().add(8).write(0x1_0000);
    SUCCESS
}

unsafe extern "system" fn set_format(_this: Pvoid, _format: Pvoid) -> NtStatus {
    NO_MATCH
}

unsafe extern "system" fn set_state(_this: Pvoid, state: u32) -> NtStatus {
    const RUN: u32 = 3;
    let buffer = MAPPED.load(Ordering::Relaxed);
    if state == RUN && !buffer.is_null() {
        count_one(buffer);
    }
    SUCCESS
}

/// The program says at the start of its buffer which of sixteen counters is to be increased.
unsafe fn count_one(buffer: *const u32) {
    const COUNTERS: u32 = 16;
    let counters = block::<u32>(COUNTERS as usize * 4);
    let index = buffer.read_volatile();
    if index < COUNTERS {
        let index = if bent("hostile_double_fetch") { buffer.read_volatile() } else { index };
        counters.add(index as usize).write_volatile(1);
    }
    ExFreePool(counters.cast());
}

unsafe extern "system" fn position(_this: Pvoid, out: *mut [u64; 2]) -> NtStatus {
    out.write([0, 0]);
    SUCCESS
}

unsafe extern "system" fn allocate(
    _this: Pvoid,
    _requested: u32,
    list: *mut *mut Mdl,
    actual: *mut u32,
    offset: *mut u32,
    cache: *mut u32,
) -> NtStatus {
    type Allocate = unsafe extern "system" fn(Foreign, i64, usize) -> *mut Mdl;
    type Map = unsafe extern "system" fn(Foreign, *mut Mdl, u32) -> Pvoid;
    let port = PORT_STREAM.load(Ordering::Relaxed);
    let pages = method::<Allocate>(port, 3)(port, -1, PAGE);
    let mapped = method::<Map>(port, 5)(port, pages, 1).cast::<u32>();
    mapped.write_bytes(0, PAGE / 4);
    LIST.store(pages, Ordering::Relaxed);
    MAPPED.store(mapped, Ordering::Relaxed);
    list.write(pages);
    actual.write(PAGE as u32);
    offset.write(0);
    cache.write(1);
    SUCCESS
}

unsafe extern "system" fn free(_this: Pvoid, _list: *mut Mdl, _bytes: u32) {
    type Unmap = unsafe extern "system" fn(Foreign, Pvoid, *mut Mdl);
    type Free = unsafe extern "system" fn(Foreign, *mut Mdl);
    let port = PORT_STREAM.load(Ordering::Relaxed);
    let (list, mapped) =
        (LIST.swap(null_mut(), Ordering::Relaxed), MAPPED.swap(null_mut(), Ordering::Relaxed));
    method::<Unmap>(port, 6)(port, mapped.cast(), list);
    method::<Free>(port, 7)(port, list);
}

unsafe extern "system" fn latency(_this: Pvoid, out: *mut [u32; 3]) {
    out.write([0; 3]);
}

unsafe extern "system" fn register(_this: Pvoid, _out: Pvoid) -> NtStatus {
    UNSUCCESSFUL
}
