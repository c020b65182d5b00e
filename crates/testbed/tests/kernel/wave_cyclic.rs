//! The WaveCyclic port with a small driver made here: what a client plays lies in the miniport's buffer when it is played.

use std::cell::RefCell;
use std::ffi::c_void;
use std::ptr::{self, null_mut};

use testbed::client::{CyclicStream, Format};
use testbed::kernel::imports;
use testbed::kernel::pool::{ExAllocatePool2, ExFreePoolWithTag};
use testbed::kernel::time::KeQueryInterruptTime;
use testbed::kernel::timer::{KeCancelTimer, KeInitializeDpc, KeInitializeTimerEx, KeSetTimerEx};
use testbed::nt::{DeviceObject, DriverObject, Guid, Irp, KDpc, KTimer, NtStatus, UnicodeString};
use testbed::portcls::AudioInterface;
use testbed::portcls::abi::{
    AudioRange, Connection, DataRange, FILTER_NODE, FilterDescriptor, KsPinDescriptor, PinDescriptor, guid,
};
use testbed::{Config, Device, Driver, Machine};

type Pvoid = *mut c_void;

const TAG: u32 = 0x6379_6321;
const FRAME: u64 = 4;
const RATE: u64 = 48_000;
const BUFFER: u32 = 7680;

/// The driver's one stream.
#[derive(Default)]
struct State {
    port: usize,
    group: usize,
    buffer: usize,
    timer: usize,
    dpc: usize,
    base: u64,
    running: bool,
    /// What lay in the buffer when it was played.
    heard: Vec<u8>,
    blocks: Vec<usize>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

fn state<R>(look: impl FnOnce(&mut State) -> R) -> R {
    STATE.with_borrow_mut(look)
}

/// Pool with a value in it, which is freed when the driver goes.
fn place<T>(value: T) -> *mut T {
    // SAFETY: any size and tag.
    let block = unsafe { ExAllocatePool2(0x40, size_of::<T>(), TAG) }.cast::<T>();
    // SAFETY: just allocated, for this type.
    unsafe { block.write(value) };
    state(|state| state.blocks.push(block.addr()));
    block
}

fn pointer<T>(address: usize) -> *mut T {
    ptr::with_exposed_provenance_mut(address)
}

/// A function of PortCls.
fn port_class(name: &str) -> *const () {
    pointer::<()>(imports::find("portcls.sys", name).expect("an export")).cast_const()
}

/// The method in a slot of a COM object.
fn slot(object: Pvoid, index: usize) -> *const () {
    // SAFETY: an object begins with its table.
    unsafe { *(*object.cast::<*const *const ()>()).add(index) }
}

macro_rules! call {
    ($function:expr, fn($($ty:ty),*) $(-> $ret:ty)?, $($arg:expr),*) => {{
        // SAFETY: the function has this type.
        let function = unsafe {
            std::mem::transmute::<*const (), unsafe extern "efiapi" fn($($ty),*) $(-> $ret)?>($function)
        };
        // SAFETY: these are arguments it may get.
        unsafe { function($($arg),*) }
    }};
}

/// A COM object of the driver.
#[repr(C)]
struct Object {
    table: *const usize,
    count: u32,
    iid: Guid,
}

fn object(iid: Guid, methods: &[usize]) -> Pvoid {
    let mut table = [0; 12];
    let unknown = [query as *const () as usize, add_ref as *const () as usize, release as *const () as usize];
    for (slot, method) in table.iter_mut().zip(unknown.iter().chain(methods)) {
        *slot = *method;
    }
    let table = place(table).cast_const().cast::<usize>();
    // SAFETY: any size and tag.
    let block = unsafe { ExAllocatePool2(0x40, size_of::<Object>(), TAG) }.cast::<Object>();
    // SAFETY: just allocated, for this type.
    unsafe { block.write(Object { table, count: 1, iid }) };
    block.cast()
}

unsafe extern "efiapi" fn query(this: *mut Object, iid: *const Guid, out: *mut Pvoid) -> NtStatus {
    // SAFETY: PortCls passes the object, an identifier and a variable.
    unsafe {
        if *iid == (*this).iid || *iid == guid::IID_IUNKNOWN {
            (*this).count += 1;
            out.write(this.cast());
            return NtStatus::SUCCESS;
        }
        out.write(null_mut());
    }
    NtStatus::INVALID_PARAMETER
}

unsafe extern "efiapi" fn add_ref(this: *mut Object) -> u32 {
    // SAFETY: PortCls passes the object.
    unsafe {
        (*this).count += 1;
        (*this).count
    }
}

unsafe extern "efiapi" fn release(this: *mut Object) -> u32 {
    // SAFETY: PortCls passes the object.
    let count = unsafe {
        (*this).count -= 1;
        (*this).count
    };
    if count == 0 {
        // SAFETY: allocated with this tag; nobody has it any more.
        unsafe { ExFreePoolWithTag(this.cast(), TAG) };
    }
    count
}

fn range() -> AudioRange {
    let range = DataRange {
        format_size: 88,
        flags: 0,
        sample_size: 0,
        reserved: 0,
        major_format: guid::KSDATAFORMAT_TYPE_AUDIO,
        sub_format: guid::KSDATAFORMAT_SUBTYPE_PCM,
        specifier: guid::KSDATAFORMAT_SPECIFIER_WAVEFORMATEX,
    };
    AudioRange {
        range,
        maximum_channels: 2,
        minimum_bits: 16,
        maximum_bits: 16,
        minimum_rate: 48_000,
        maximum_rate: 48_000,
    }
}

fn pin(instances: u32, data_flow: u32, communication: u32, ranges: *const *const DataRange) -> PinDescriptor {
    let ks = KsPinDescriptor {
        interfaces_count: 0,
        interfaces: ptr::null(),
        mediums_count: 0,
        mediums: ptr::null(),
        data_ranges_count: 1,
        data_ranges: ranges,
        data_flow,
        communication,
        category: ptr::null(),
        name: ptr::null(),
        constrained_data_ranges_count: 0,
        constrained_data_ranges: ptr::null(),
    };
    PinDescriptor {
        max_global_instances: instances,
        max_filter_instances: instances,
        min_filter_instances: 0,
        automation: ptr::null(),
        ks,
    }
}

unsafe extern "efiapi" fn describe(_this: Pvoid, out: *mut *const FilterDescriptor) -> NtStatus {
    let ranges = place(place(range()).cast_const().cast::<DataRange>()).cast_const();
    let pins = place([pin(1, 1, 1, ranges), pin(0, 2, 0, ranges)]).cast_const().cast();
    let connection = Connection { from_node: FILTER_NODE, from_pin: 0, to_node: FILTER_NODE, to_pin: 1 };
    let descriptor = FilterDescriptor {
        version: 0,
        automation: ptr::null(),
        pin_size: size_of::<PinDescriptor>() as u32,
        pin_count: 2,
        pins,
        node_size: 0,
        node_count: 0,
        nodes: ptr::null(),
        connection_count: 1,
        connections: place(connection),
        category_count: 0,
        categories: ptr::null(),
    };
    // SAFETY: PortCls passes a variable.
    unsafe { out.write(place(descriptor)) };
    NtStatus::SUCCESS
}

unsafe extern "efiapi" fn init(_this: Pvoid, _adapter: Pvoid, _resources: Pvoid, port: Pvoid) -> NtStatus {
    state(|state| state.port = port.addr());
    NtStatus::SUCCESS
}

unsafe extern "efiapi" fn new_stream(
    _this: Pvoid,
    stream: *mut Pvoid,
    _outer: Pvoid,
    _pool: u32,
    _pin: u32,
    _capture: u8,
    _format: Pvoid,
    channel: *mut Pvoid,
    group: *mut Pvoid,
) -> NtStatus {
    let port = pointer::<c_void>(state(|state| state.port));
    let methods = [
        set_format as *const () as usize,
        set_notification as *const () as usize,
        set_state as *const () as usize,
    ];
    let more = [get_position as *const () as usize, 0, silence as *const () as usize];
    let (timer, dpc) = (place([0_u8; size_of::<KTimer>()]), place([0_u8; size_of::<KDpc>()]));
    let made = object(guid::IID_IMINIPORT_WAVECYCLIC_STREAM, &[&methods[..], &more].concat());
    // SAFETY: the driver's own timer and DPC, and a variable of PortCls.
    unsafe {
        KeInitializeTimerEx(timer.cast(), 1);
        KeInitializeDpc(dpc.cast(), Some(tick), null_mut());
        stream.write(made);
    }
    let status = call!(
        slot(port, 8),
        fn(Pvoid, *mut Pvoid, Pvoid, Pvoid, u32, u8, u8, i32, i32) -> NtStatus,
        port,
        channel,
        null_mut(),
        null_mut(),
        BUFFER,
        1,
        0,
        2,
        0
    );
    assert_eq!(status, NtStatus::SUCCESS);
    // SAFETY: the call has written it.
    let channel = unsafe { *channel };
    let status =
        call!(slot(channel, 3), fn(Pvoid, u32, *const i64) -> NtStatus, channel, BUFFER, ptr::null());
    assert_eq!(status, NtStatus::SUCCESS);
    let status = call!(port_class("PcNewServiceGroup"), fn(*mut Pvoid, Pvoid) -> NtStatus, group, null_mut());
    assert_eq!(status, NtStatus::SUCCESS);
    let buffer = call!(slot(channel, 10), fn(Pvoid) -> Pvoid, channel).addr();
    // SAFETY: the call has written it.
    let group = unsafe { *group }.addr();
    state(|state| {
        (state.buffer, state.group, state.timer, state.dpc) = (buffer, group, timer.addr(), dpc.addr());
    });
    NtStatus::SUCCESS
}

unsafe extern "efiapi" fn set_format(_this: Pvoid, _format: Pvoid) -> NtStatus {
    NtStatus::SUCCESS
}

unsafe extern "efiapi" fn set_notification(_this: Pvoid, interval: u32, frame_size: *mut u32) -> u32 {
    // SAFETY: PortCls passes a variable.
    unsafe { frame_size.write(interval * 192) };
    interval
}

unsafe extern "efiapi" fn set_state(_this: Pvoid, to: u32) -> NtStatus {
    const RUN: u32 = 3;
    let was = state(|state| std::mem::replace(&mut state.running, to == RUN));
    let timer = pointer::<KTimer>(state(|state| state.timer));
    // SAFETY: functions of the kernel, with the driver's own timer and DPC.
    unsafe {
        if to == RUN {
            let now = KeQueryInterruptTime();
            state(|state| state.base = now);
            KeSetTimerEx(timer, -100_000, 10, pointer(state(|state| state.dpc)));
        } else if was {
            KeCancelTimer(timer);
            hear();
        }
    }
    NtStatus::SUCCESS
}

/// Bytes that have been played.
fn played() -> u64 {
    // SAFETY: a function without arguments.
    let now = unsafe { KeQueryInterruptTime() };
    (now - state(|state| state.base)) * RATE / 10_000_000 * FRAME
}

/// Takes out of the buffer what has been played.
fn hear() {
    let end = played();
    state(|state| {
        for at in state.heard.len() as u64..end {
            let byte = pointer::<u8>(state.buffer + (at % u64::from(BUFFER)) as usize);
            // SAFETY: inside of the channel's buffer.
            state.heard.push(unsafe { byte.read() });
        }
    });
}

unsafe extern "efiapi" fn get_position(_this: Pvoid, position: *mut u32) -> NtStatus {
    let played = if state(|state| state.running) { played() } else { 0 };
    // SAFETY: PortCls passes a variable.
    unsafe { position.write((played % u64::from(BUFFER)) as u32) };
    NtStatus::SUCCESS
}

unsafe extern "efiapi" fn silence(_this: Pvoid, buffer: Pvoid, bytes: u32) {
    // SAFETY: PortCls passes a part of the buffer.
    unsafe { buffer.cast::<u8>().write_bytes(0, bytes as usize) };
}

unsafe extern "efiapi" fn tick(_dpc: *mut KDpc, _context: Pvoid, _one: Pvoid, _two: Pvoid) {
    hear();
    let (port, group) = state(|state| (pointer::<c_void>(state.port), pointer::<c_void>(state.group)));
    call!(slot(port, 6), fn(Pvoid, Pvoid), port, group);
}

unsafe extern "efiapi" fn start(device: *mut DeviceObject, irp: *mut Irp, resources: Pvoid) -> NtStatus {
    let mut port: Pvoid = null_mut();
    let status = call!(
        port_class("PcNewPort"),
        fn(*mut Pvoid, *const Guid) -> NtStatus,
        &raw mut port,
        &guid::CLSID_PORT_WAVECYCLIC
    );
    assert_eq!(status, NtStatus::SUCCESS);
    let methods =
        [describe as *const () as usize, 0, init as *const () as usize, new_stream as *const () as usize];
    let miniport = object(guid::IID_IMINIPORT_WAVECYCLIC, &methods);
    let status = call!(
        slot(port, 3),
        fn(Pvoid, *mut DeviceObject, *mut Irp, Pvoid, Pvoid, Pvoid) -> NtStatus,
        port,
        device,
        irp,
        miniport,
        null_mut(),
        resources
    );
    assert_eq!(status, NtStatus::SUCCESS);
    let name = place([u16::from(b'W'), 0]).cast_const().cast::<u16>();
    let status = call!(
        port_class("PcRegisterSubdevice"),
        fn(*mut DeviceObject, *const u16, Pvoid) -> NtStatus,
        device,
        name,
        port
    );
    for object in [port, miniport] {
        call!(slot(object, 2), fn(Pvoid) -> u32, object);
    }
    status
}

unsafe extern "efiapi" fn add_device(driver: *mut DriverObject, pdo: *mut DeviceObject) -> NtStatus {
    type Start = unsafe extern "efiapi" fn(*mut DeviceObject, *mut Irp, Pvoid) -> NtStatus;
    call!(
        port_class("PcAddAdapterDevice"),
        fn(*mut DriverObject, *mut DeviceObject, Start, u32, u32) -> NtStatus,
        driver,
        pdo,
        start,
        2,
        0
    )
}

unsafe extern "efiapi" fn entry(driver: *mut DriverObject, _path: *mut UnicodeString) -> NtStatus {
    type Add = unsafe extern "efiapi" fn(*mut DriverObject, *mut DeviceObject) -> NtStatus;
    let path = place(UnicodeString { length: 0, maximum_length: 0, buffer: null_mut() });
    call!(
        port_class("PcInitializeAdapterDriver"),
        fn(*mut DriverObject, *const UnicodeString, Add) -> NtStatus,
        driver,
        path,
        add_device
    )
}

#[test]
fn what_a_client_writes_is_in_the_buffer_when_it_is_played() {
    let audio: Vec<u8> = (0..RATE * FRAME / 4).map(|at| (at * 7 + at / 256) as u8).collect();
    let played = audio.clone();
    let outcome = Machine::run(Config::default(), move || {
        let driver = Driver::builtin("Cyclic", entry);
        let device = Device::add(&driver).expect("AddDevice");
        device.start().expect("StartDevice");
        assert_eq!(device.audio_interface(), Some(AudioInterface::WaveCyclic));
        let mut stream = CyclicStream::open(&device, &Format::pcm(48_000, 16, 2)).expect("a stream");
        assert_eq!(stream.buffer_bytes(), u64::from(BUFFER));
        let mut at = 0;
        stream
            .start(move |target: &mut [u8]| {
                let count = target.len().min(played.len() - at);
                target[..count].copy_from_slice(&played[at..at + count]);
                at += count;
                count
            })
            .expect("RUN");
        let gaps = stream.finish().expect("STOP");
        stream.close();
        device.remove().expect("the device is removed");
        for block in state(|state| std::mem::take(&mut state.blocks)) {
            // SAFETY: allocated by `place`, and not used any more.
            unsafe { ExFreePoolWithTag(pointer(block), TAG) };
        }
        driver.unload();
        (gaps, state(std::mem::take).heard)
    });
    let (gaps, heard) = outcome.expect_clean();
    assert_eq!((gaps, heard.len()), (0, audio.len()));
    assert!(heard == audio, "the audio differs");
}
