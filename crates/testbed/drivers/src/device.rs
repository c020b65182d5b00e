//! An audio device with one mistake: its adapter. Most of what it does is right; [`bent`] asks for the one thing that
//! is not, so a case is a name in [`CASES`] and a condition at the place where it goes wrong.

use core::ptr::null_mut;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use crate::Case;
use crate::device_objects::{self as objects, Kind, Object, create};
use crate::device_registrations as registrations;
use crate::nt::*;

/// The name of the case, and whether it goes wrong.
static CASE: AtomicPtr<&'static str> = AtomicPtr::new(null_mut());
static WELL: AtomicBool = AtomicBool::new(false);

/// Chooses the case.
pub fn choose(name: &'static &'static str, well: bool) {
    CASE.store(core::ptr::from_ref(name).cast_mut(), Ordering::Relaxed);
    WELL.store(well, Ordering::Relaxed);
}

/// Whether this is the case that goes wrong.
pub fn bent(case: &str) -> bool {
    // SAFETY: null, or a name that lives as long as the image.
    let chosen = unsafe { CASE.load(Ordering::Relaxed).as_ref() };
    !WELL.load(Ordering::Relaxed) && chosen.is_some_and(|chosen| *chosen == case)
}

/// Whether this is a case of a group, or its twin.
pub fn of_group(prefix: &str) -> bool {
    // SAFETY: null, or a name that lives as long as the image.
    let chosen = unsafe { CASE.load(Ordering::Relaxed).as_ref() };
    chosen.is_some_and(|chosen| chosen.starts_with(prefix))
}

/// Whether the device has the older kind of port.
fn is_cyclic() -> bool {
    of_group("cyclic_")
}

macro_rules! devices {
    ($($name:literal)*) => { &[$(($name, $crate::device::start as unsafe fn(bool) -> NtStatus)),*] };
}
pub(crate) use devices;

/// The cases of this file, and of the objects and tables.
pub const CASES: &[Case] = devices!["com_call_after_release" "com_call_too_high" "com_counts_differ"
    "com_gives_unknown_interface" "com_no_miniport" "com_object_leaked" "com_output_not_cleared" "com_port_initialised_twice"
    "com_port_leaked" "com_resource_list_kept" "com_stream_freed_while_used" "com_stream_gone" "com_stream_missing"
    "com_stream_output_not_cleared" "com_succeeds_without_interface" "irp_not_completed" "irp_pending_not_marked"
    "irp_passed_on_when_done" "irp_status_differs" "pc_absurd_count" "pc_adapter_null" "pc_bridge_can_be_opened"
    "pc_buffer_beyond_list" "pc_buffer_cache" "pc_buffer_missing" "pc_buffer_of_zero_bytes"
    "pc_buffer_zeroed_in_part" "pc_capabilities_size"
    "pc_connection_against_flow" "pc_connection_bad_pin" "pc_connection_missing" "pc_connection_of_no_port"
    "pc_connection_to_nowhere" "pc_description_changed" "pc_description_unreadable" "pc_device_null" "pc_device_touched_after_removal"
    "pc_dispatch_of_other_device" "pc_dma_fails" "pc_dma_filled_in_part" "pc_dma_no_addresses"
    "pc_dma_no_bus" "pc_dma_no_length" "pc_dma_no_master" "pc_dma_no_scatter_gather" "pc_dma_not_filled"
    "pc_extension_too_small" "pc_extension_written"
    "pc_filter_version" "pc_free_foreign_list" "pc_intersection_absurd" "pc_intersection_other_format"
    "pc_intersection_other_length" "pc_intersection_outside" "pc_intersection_without_buffer" "pc_latency_not_filled" "pc_map_cache" "pc_no_wave_filter"
    "pc_page_beyond_list" "pc_physical_of_other_device" "pc_pin_communication" "pc_pin_flow" "pc_pin_least_above_most"
    "pc_pin_no_instances" "pc_pin_not_described" "pc_pin_no_ranges" "pc_pin_size" "pc_port_of_other_device" "pc_port_without_resources"
    "pc_position_beyond_buffer" "pc_power_of_other_device" "pc_power_twice" "pc_property_handler_elsewhere"
    "pc_property_pending" "pc_property_says_more" "pc_property_size" "pc_property_without_handler"
    "pc_property_writes_far" "pc_property_writes_more" "pc_range_empty" "pc_range_misaligned" "pc_range_not_audio"
    "pc_range_requires_attributes" "pc_range_short" "pc_range_without_attributes" "pc_register_nowhere" "pc_start_pending"
    "pc_stream_stays_asleep" "pc_stream_stays_awake" "pc_stream_stays_open" "pc_subdevice_no_port" "pc_subdevice_not_initialised"
    "pc_subdevice_too_many" "pc_subdevice_twice" "pc_subdevice_unnamed" "pc_unmapped_elsewhere" "pc_unregistered_no_port"
    "pc_unregistered_twice" "com_resource_left" "pc_resource_unknown" "pc_resource_null" "pc_resource_size"
    "pc_resource_of_other_device" "pc_resource_without_thread" "pc_disconnected_no_port" "pc_disconnected_twice"
    "pc_buffer_left" "pc_buffer_of_its_own" "pc_freed_while_mapped" "com_freed_at_the_end" "com_refuses_unknown"
    "com_release_returns_zero" "pc_attribute_short" "pc_attributes_empty" "pc_deleted_by_itself" "pc_filter_without_pins"
    "pc_intersection_ignores_room" "pc_property_size_untold" "pc_resource_by_function"
    "pc_resource_of_ended_thread" "pc_unload_not_chained"];

/// GUID.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Guid(pub u32, pub u16, pub u16, pub [u8; 8]);

const KS_TAIL: [u8; 8] = [0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71];
/// KSDATAFORMAT_TYPE_AUDIO.
pub static GUID_AUDIO_TYPE: Guid = GUID_AUDIO;
/// KSDATAFORMAT_TYPE_AUDIO.
pub const GUID_AUDIO: Guid = Guid(0x7364_7561, 0, 0x10, KS_TAIL);
/// KSDATAFORMAT_SUBTYPE_PCM.
pub const GUID_PCM: Guid = Guid(1, 0, 0x10, KS_TAIL);
/// KSDATAFORMAT_SPECIFIER_WAVEFORMATEX.
pub const GUID_WAVE_FORMAT: Guid = Guid(0x0558_9F81, 0xC356, 0x11CE, [0xBF, 1, 0, 0xAA, 0, 0x55, 0x59, 0x5A]);
/// The set of the device's property.
pub static GUID_PROPERTIES: Guid = Guid(0x5C4E_A401, 0x1234, 0x4321, [1, 2, 3, 4, 5, 6, 7, 8]);
const CLSID_WAVE_PORT: Guid =
    Guid(0xCC9B_E57A, 0xEB9E, 0x42B4, [0x94, 0xFC, 0x0C, 0xAD, 0x3D, 0xBC, 0xE7, 0xFA]);
const CLSID_CYCLIC_PORT: Guid =
    Guid(0xB4C9_0A2A, 0x5791, 0x11D0, [0x86, 0xF9, 0x00, 0xA0, 0xC9, 0x11, 0xB5, 0x44]);
/// IID_IUnregisterSubdevice.
pub const UNREGISTER: Guid =
    Guid(0x1673_8177, 0xE199, 0x41F9, [0x9A, 0x87, 0xAB, 0xB2, 0xA5, 0x43, 0x2F, 0x21]);

type AddDevice = unsafe extern "system" fn(*mut DriverObject, *mut DeviceObject) -> NtStatus;
type StartDevice = unsafe extern "system" fn(*mut DeviceObject, *mut Irp, *mut Foreign) -> NtStatus;

#[link(name = "portcls.sys", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "system" {
    fn PcAddAdapterDevice(
        driver: *mut DriverObject,
        physical: *mut DeviceObject,
        start: StartDevice,
        objects: u32,
        extension: u32,
    ) -> NtStatus;
    fn PcDispatchIrp(device: *mut DeviceObject, irp: *mut Irp) -> NtStatus;
    /// The device below.
    pub fn PcGetPhysicalDeviceObject(device: *mut DeviceObject, physical: *mut Pvoid) -> NtStatus;
    fn PcInitializeAdapterDriver(
        driver: *mut DriverObject,
        path: *mut UnicodeString,
        add: Option<AddDevice>,
    ) -> NtStatus;
    fn PcNewPort(port: *mut *mut Foreign, class: *const Guid) -> NtStatus;
    fn PcRegisterAdapterPowerManagement(power: *mut Object, device: *mut DeviceObject) -> NtStatus;
    /// Connects pins.
    pub fn PcRegisterPhysicalConnection(
        device: *mut DeviceObject,
        from: *mut Foreign,
        from_pin: u32,
        to: *mut Foreign,
        to_pin: u32,
    ) -> NtStatus;
    fn PcRegisterSubdevice(device: *mut DeviceObject, name: *const u16, port: *mut Foreign) -> NtStatus;
}

/// An object of Windows: a port, a resource list, a DMA channel.
#[repr(C)]
pub struct Foreign {
    /// Its functions.
    pub table: *const Port,
}

/// A function of an object of Windows, by its slot.
///
/// # Safety
/// The function there is of the type.
pub unsafe fn method<F: Copy>(object: *mut Foreign, index: usize) -> F {
    (*object).table.cast::<F>().add(index).read()
}

/// IPort; of IUnregisterSubdevice the fourth method is another one.
#[repr(C)]
pub struct Port {
    /// QueryInterface.
    pub query: unsafe extern "system" fn(*mut Foreign, *const Guid, *mut *mut Foreign) -> NtStatus,
    /// AddRef.
    pub add_ref: unsafe extern "system" fn(*mut Foreign) -> u32,
    /// Release.
    pub release: unsafe extern "system" fn(*mut Foreign) -> u32,
    init: unsafe extern "system" fn(
        *mut Foreign,
        *mut DeviceObject,
        *mut Irp,
        *mut Object,
        Pvoid,
        *mut Foreign,
    ) -> NtStatus,
}

/// What StartDevice leaves to be given back when the device is removed.
static KEPT: AtomicPtr<Foreign> = AtomicPtr::new(null_mut());

/// What PcInitializeAdapterDriver had put there.
static UNLOAD_OF_PORTCLS: AtomicPtr<()> = AtomicPtr::new(null_mut());

/// DriverEntry of the device.
///
/// # Safety
/// Once.
pub unsafe fn start(_well: bool) -> NtStatus {
    if bent("pc_adapter_null") {
        PcInitializeAdapterDriver(crate::driver(), crate::path(), None);
        return UNSUCCESSFUL;
    }
    PcInitializeAdapterDriver(crate::driver(), crate::path(), Some(add_device));
    (*crate::driver()).major[0x1B] = Some(plug_and_play);
    if let Some(unload) = (*crate::driver()).unload {
        UNLOAD_OF_PORTCLS.store(unload as *mut (), Ordering::Relaxed);
    }
    (*crate::driver()).unload = Some(unload);
    SUCCESS
}

unsafe extern "system" fn unload(driver: *mut DriverObject) {
    let before = UNLOAD_OF_PORTCLS.load(Ordering::Relaxed);
    if !before.is_null() && !bent("pc_unload_not_chained") {
        let before = core::mem::transmute::<*mut (), unsafe extern "system" fn(*mut DriverObject)>(before);
        before(driver);
    }
    objects::free_kept();
}

unsafe extern "system" fn add_device(driver: *mut DriverObject, physical: *mut DeviceObject) -> NtStatus {
    let physical = if bent("pc_device_null") { null_mut() } else { physical };
    let extension = if bent("pc_extension_too_small") { 64 } else { 0 };
    PcAddAdapterDevice(driver, physical, start_device, 2, extension)
}

unsafe extern "system" fn start_device(
    device: *mut DeviceObject,
    irp: *mut Irp,
    list: *mut Foreign,
) -> NtStatus {
    if bent("pc_deleted_by_itself") {
        return UNSUCCESSFUL;
    }
    before_ports(device, list);
    let mut port = null_mut();
    PcNewPort(&mut port, if is_cyclic() { &CLSID_CYCLIC_PORT } else { &CLSID_WAVE_PORT });
    let status = make_filter(device, irp, list, port);
    if !bent("com_port_leaked") {
        ((*(*port).table).release)(port);
    } else {
        // The filter's own reference is enough for it; this one is a port without a filter.
        ((*(*port).table).release)(port);
        PcNewPort(&mut port, &CLSID_WAVE_PORT);
    }
    let power = create(Kind::Power);
    PcRegisterAdapterPowerManagement(power, if bent("pc_power_of_other_device") { slot(0) } else { device });
    if bent("pc_power_twice") {
        PcRegisterAdapterPowerManagement(power, device);
    }
    objects::release(power);
    if bent("pc_start_pending") { PENDING } else { status }
}

/// What goes wrong before there is a port.
unsafe fn before_ports(device: *mut DeviceObject, list: *mut Foreign) {
    if bent("com_resource_list_kept") {
        ((*(*list).table).add_ref)(list);
        KEPT.store(list, Ordering::Relaxed);
    }
    if bent("pc_extension_written") {
        // DEVICE_OBJECT.DeviceExtension
        device.cast::<*mut u8>().add(8).read().write(1);
    }
    let mut physical = null_mut();
    PcGetPhysicalDeviceObject(
        if bent("pc_physical_of_other_device") { slot(0) } else { device },
        &mut physical,
    );
    if bent("com_call_after_release") {
        let mut port = null_mut();
        PcNewPort(&mut port, &CLSID_WAVE_PORT);
        let add_ref = (*(*port).table).add_ref;
        ((*(*port).table).release)(port);
        add_ref(port);
    }
}

/// The names of subdevices: the wave filter's, and others.
static NAMES: [[u16; 2]; 3] = [[b'W' as u16, 0], [b'A' as u16, 0], [b'B' as u16, 0]];

unsafe fn make_filter(
    device: *mut DeviceObject,
    irp: *mut Irp,
    list: *mut Foreign,
    port: *mut Foreign,
) -> NtStatus {
    if bent("pc_subdevice_not_initialised") {
        PcRegisterSubdevice(device, NAMES[0].as_ptr(), port);
    }
    let init = (*(*port).table).init;
    let miniport = create(if is_cyclic() { Kind::Cyclic } else { Kind::Wave });
    let owner = if bent("pc_port_of_other_device") { slot(0) } else { device };
    let resources = if bent("pc_port_without_resources") { null_mut() } else { list };
    let given = if bent("com_no_miniport") { null_mut() } else { miniport };
    let mut status = init(port, owner, irp, given, null_mut(), resources);
    if bent("com_port_initialised_twice") {
        init(port, device, irp, miniport, null_mut(), list);
    }
    objects::release(miniport);
    if status == SUCCESS && !bent("pc_no_wave_filter") {
        status = register(device, port);
    }
    status
}

unsafe fn register(device: *mut DeviceObject, port: *mut Foreign) -> NtStatus {
    let name = &NAMES[0];
    if bent("pc_subdevice_unnamed") {
        PcRegisterSubdevice(device, null_mut(), port);
    }
    if bent("pc_subdevice_no_port") {
        PcRegisterSubdevice(device, name.as_ptr(), slot(0));
    }
    let status = PcRegisterSubdevice(device, name.as_ptr(), port);
    if bent("pc_subdevice_twice") {
        PcRegisterSubdevice(device, name.as_ptr(), port);
    }
    if bent("pc_subdevice_too_many") {
        for other in &NAMES[1..] {
            PcRegisterSubdevice(device, other.as_ptr(), port);
        }
    }
    if bent("pc_connection_of_no_port") {
        PcRegisterPhysicalConnection(device, port, 1, slot(0), 0);
    }
    if !bent("pc_pin_size") && !bent("pc_filter_without_pins") {
        // To itself, by its bridge pin: odd, but allowed.
        PcRegisterPhysicalConnection(
            device,
            port,
            if bent("pc_connection_bad_pin") { 5 } else { 1 },
            port,
            1,
        );
    }
    registrations::spoil(device, port, || PcRegisterSubdevice(device, name.as_ptr(), port));
    if bent("com_call_too_high") {
        let old = KeRaiseIrqlToDpcLevel();
        let mut out = null_mut();
        ((*(*port).table).query)(port, &UNREGISTER, &mut out);
        KeLowerIrql(old);
        ((*(*out).table).release)(out);
    }
    status
}

/// IRP_MN_QUERY_REMOVE_DEVICE, IRP_MN_REMOVE_DEVICE, IRP_MN_QUERY_STOP_DEVICE.
const QUERY_REMOVE: u8 = 1;
const REMOVE: u8 = 2;
const QUERY_STOP: u8 = 5;

unsafe extern "system" fn plug_and_play(device: *mut DeviceObject, irp: *mut Irp) -> NtStatus {
    match (*(*irp).location).minor {
        REMOVE => {
            let kept = KEPT.swap(null_mut(), Ordering::Relaxed);
            if !kept.is_null() {
                ((*(*kept).table).release)(kept);
            }
            if bent("pc_deleted_by_itself") {
                return delete_by_hand(device, irp);
            }
            let status = PcDispatchIrp(device, irp);
            if bent("pc_device_touched_after_removal") {
                core::hint::black_box((&raw const (*device).stack_size).read_volatile());
            }
            status
        }
        QUERY_STOP => query_stop(device, irp),
        QUERY_REMOVE if bent("irp_not_completed") => SUCCESS,
        _ => PcDispatchIrp(device, irp),
    }
}

/// What PcDispatchIrp does for a device that is removed, without what PortCls knows of it.
unsafe fn delete_by_hand(device: *mut DeviceObject, irp: *mut Irp) -> NtStatus {
    let mut physical = null_mut();
    PcGetPhysicalDeviceObject(device, &mut physical);
    IoDetachDevice(physical.cast());
    IoDeleteDevice(device);
    (*irp).status = SUCCESS;
    IofCompleteRequest(irp, 0);
    SUCCESS
}

unsafe fn query_stop(device: *mut DeviceObject, irp: *mut Irp) -> NtStatus {
    if bent("pc_dispatch_of_other_device") {
        return PcDispatchIrp(slot(0), irp);
    }
    let status = PcDispatchIrp(device, irp);
    if bent("irp_passed_on_when_done") {
        IofCallDriver(device, irp);
    }
    if bent("irp_pending_not_marked") {
        PENDING
    } else if bent("irp_status_differs") {
        UNSUCCESSFUL
    } else {
        status
    }
}
