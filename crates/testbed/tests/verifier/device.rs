//! An audio device: PortCls and COM.

use testbed::client::{Buffer, Format};
use testbed::device::{CAPABILITIES, Filter, PowerState};
use testbed::nt::{DeviceCapabilities, Guid, NtStatus};
use testbed::portcls::abi::{KsState, guid};
use testbed::portcls::{AudioInterface, Property, pin_property};
use testbed::{Device, Driver};

use crate::{cyclic, rules, run_with};

rules! {
    com_call_after_release: Com, "AddRef was called on", "IUnknown_AddRef";
    com_call_too_high: Irql, "may be called at IRQL 0 at most, and was called at 2", "IUnknown_QueryInterface";
    com_counts_differ: Com, "the Release after it", "the wave miniport: AddRef returned";
    com_gives_unknown_interface: Com, "an interface that does not exist", "IPort_Init";
    com_no_miniport: Com, "the object passed is near a null pointer", "IPort_Init";
    com_object_leaked: Com, "the wave miniport is still alive", "thread user";
    com_output_not_cleared: Com, "did not clear its output", "IPort_Init";
    com_port_initialised_twice: Com, "IPort::Init was called twice on one port", "IPort_Init";
    com_port_leaked: Com, "1 references on IPortWaveRT are left", "thread user";
    com_resource_list_kept: Com, "StartDevice left 1 references on the resource list", "PcDispatchIrp";
    com_stream_freed_while_used: Com, "was freed while Windows holds 1 references on it", "the stream";
    com_stream_gone: Com, "freed pool block 'Rule'", "the stream: IMiniportWaveRTStream";
    com_stream_missing: Com, "near a null pointer", "the stream: IMiniportWaveRTStream";
    com_stream_output_not_cleared: Com, "did not clear its output", "NewStream failed with";
    com_succeeds_without_interface: Com, "succeeded without an interface", "QueryInterface(IPinCount)";

    irp_not_completed: Irp, "did not complete the request", "thread user";
    irp_pending_not_marked: Irp, "not marked pending", "thread user";
    irp_passed_on_when_done: Irp, "a request that is done is passed on", "IofCallDriver";
    irp_status_differs: Irp, "and completed the request with", "thread user";

    pc_absurd_count: Argument, "1073741824 categorys", "IPort_Init";
    pc_adapter_null: Argument, "called with a null pointer", "PcInitializeAdapterDriver";
    pc_bridge_can_be_opened: Argument, "a bridge pin that says it can be opened", "IPort_Init";
    pc_buffer_beyond_list: Argument, "4097 bytes from 0 on", "AllocateAudioBuffer";
    pc_buffer_cache: Argument, "cache type 7", "AllocateAudioBuffer";
    pc_buffer_missing: Argument, "succeeded with an MDL that is near a null pointer", "AllocateAudioBuffer";
    pc_buffer_of_zero_bytes: Argument, "called for 0 bytes", "AllocatePagesForMdl";
    pc_buffer_zeroed_in_part: Argument, "byte 3840 of the 4096 that user mode gets is 0xa5", "AllocateAudioBuffer";
    pc_capabilities_size: Argument, "changed the size or version", "QueryDeviceCapabilities";
    pc_connection_against_flow: Argument, "runs against the data flow", "IPort_Init";
    pc_connection_bad_pin: Argument, "the from end, pin 5, is no bridge pin", "PcRegisterPhysicalConnection";
    pc_connection_missing: Argument, "pin 0 (category None) is not connected", "IPort_Init";
    pc_connection_of_no_port: Argument, "an object passed is not a port", "PcRegisterPhysicalConnection";
    pc_connection_to_nowhere: Argument, "names a pin or node that does not exist", "IPort_Init";
    pc_description_changed: Argument, "the filter description was changed", "thread user";
    pc_description_unreadable: Argument, "PCFILTER_DESCRIPTOR is near a null pointer", "IPort_Init";
    pc_device_null: Argument, "called with a null pointer", "PcAddAdapterDevice";
    pc_device_touched_after_removal: Access, "freed device object", "IRP_MJ_PNP";
    pc_dispatch_of_other_device: Argument, "is not one of PcAddAdapterDevice, or no longer", "PcDispatchIrp";
    pc_dma_fails: Argument, "GetDeviceDescription failed with", "IPort_Init";
    pc_dma_filled_in_part: Argument, "GetDeviceDescription gives nonsense", "IPort_Init";
    pc_dma_no_addresses: Argument, "gives a device with neither 32-bit nor 64-bit addresses", "IPort_Init";
    pc_dma_no_bus: Argument, "gives a bus that does not exist", "IPort_Init";
    pc_dma_no_length: Argument, "gives transfers of no bytes", "IPort_Init";
    pc_dma_no_master: Argument, "gives a device that is no bus master", "IPort_Init";
    pc_dma_no_scatter_gather: Argument, "gives a device without scatter/gather", "IPort_Init";
    pc_dma_not_filled: Argument, "GetDeviceDescription gives nonsense", "IPort_Init";
    pc_extension_too_small: Argument, "a device extension of 64 bytes", "PcAddAdapterDevice";
    pc_extension_written: Argument, "byte 0 of the device extension is PortCls's", "PcDispatchIrp";
    pc_filter_version: Argument, "Version is 1, not 0", "IPort_Init";
    pc_free_foreign_list: Mdl, "was not allocated with this IPortWaveRTStream", "FreePagesFromMdl";
    pc_intersection_absurd: Argument, "a format has 5 bytes", "DataRangeIntersection";
    pc_intersection_other_format: Argument, "format of 82 bytes says it has 80", "DataRangeIntersection";
    pc_intersection_other_length: Argument, "asked for 82 bytes and used 80", "DataRangeIntersection";
    pc_intersection_outside: Argument, "picked 44100 Hz, outside of the pin's range", "DataRangeIntersection";
    pc_intersection_without_buffer: Argument, "succeeded without a buffer", "DataRangeIntersection";
    pc_latency_not_filled: Argument, "did not fill", "GetHWLatency";
    pc_map_cache: Argument, "cache type 9", "MapAllocatedPages";
    pc_no_wave_filter: Argument, "registered no wave filter", "StartDevice";
    pc_page_beyond_list: Argument, "there is no page 1", "GetPhysicalPageAddress";
    pc_physical_of_other_device: Argument, "is not one of PcAddAdapterDevice", "PcGetPhysicalDeviceObject";
    pc_pin_communication: Argument, "communication 9 does not exist", "IPort_Init";
    pc_pin_flow: Argument, "data flow 3 is neither in nor out", "IPort_Init";
    pc_pin_least_above_most: Argument, "at least 2 and at most 1 instances", "IPort_Init";
    pc_pin_no_instances: Argument, "a pin for clients that allows no instance", "IPort_Init";
    pc_pin_not_described: Argument, "a stream of pin 7, which is not described", "thread user";
    pc_pin_no_ranges: Argument, "no data ranges", "IPort_Init";
    pc_pin_size: Argument, "PinSize is 116; it must be a multiple of 8", "IPort_Init";
    pc_port_of_other_device: Argument, "is not one of PcAddAdapterDevice", "IPort_Init";
    pc_port_without_resources: Argument, "the resource list is required", "IPort_Init";
    pc_position_beyond_buffer: Argument, "in a buffer of 4096 bytes", "GetPosition gives";
    pc_power_of_other_device: Argument, "is not one of PcAddAdapterDevice", "PcRegisterAdapterPowerManagement";
    pc_power_twice: Argument, "called twice", "PcRegisterAdapterPowerManagement";
    pc_property_handler_elsewhere: Argument, "the handler of property 1 is near a null pointer", "IPort_Init";
    pc_property_pending: Argument, "a property handler returned STATUS_PENDING", "thread user";
    pc_property_says_more: Argument, "returned 64 bytes in a buffer of 4", "thread user";
    pc_property_size: Argument, "PropertyItemSize is 28", "IPort_Init";
    pc_property_without_handler: Argument, "property 1 of the filter has no handler", "IPort_Init";
    pc_property_writes_far: Access, "after the end of the value of a property request", "a property handler";
    pc_property_writes_more: Access, "the value of a property request was written at 4 of 4 bytes", "thread user";
    pc_range_empty: Argument, "contains no format", "IPort_Init";
    pc_range_misaligned: Argument, "is not aligned", "IPort_Init";
    pc_range_not_audio: Argument, "an audio data range of 80 bytes, not 88", "IPort_Init";
    pc_range_requires_attributes: Argument, "requires attributes and has none", "IPort_Init";
    pc_range_short: Argument, "a data range of 63 bytes", "IPort_Init";
    pc_range_without_attributes: Argument, "says that attributes follow, but the array ends", "IPort_Init";
    pc_register_nowhere: Argument, "a hardware register is near a null pointer", "thread user";
    pc_start_pending: Argument, "StartDevice returned STATUS_PENDING", "PcDispatchIrp";
    pc_stream_stays_asleep: Argument, "did not come back after sleep", "PcDispatchIrp";
    pc_stream_stays_awake: Argument, "refused to pause before the device sleeps", "PcDispatchIrp";
    pc_stream_stays_open: Argument, "a stream refused to stop", "thread user";
    pc_subdevice_no_port: Argument, "the object passed is not a port", "PcRegisterSubdevice";
    pc_subdevice_not_initialised: Argument, "the port was not initialised", "PcRegisterSubdevice";
    pc_subdevice_too_many: Argument, "more subdevices than the 2", "PcRegisterSubdevice";
    pc_subdevice_twice: Argument, "W is registered already", "PcRegisterSubdevice";
    pc_subdevice_unnamed: Argument, "the name is no string", "PcRegisterSubdevice";
    pc_unmapped_elsewhere: Mdl, "the pages are not mapped there", "UnmapAllocatedPages";
    com_resource_left: Com, "1 stream resources were not removed", "thread user";
    pc_buffer_left: Mdl, "left 1 buffers of IPortWaveRTStream allocated", "thread user";
    pc_buffer_of_its_own: Mdl, "the MDL is not one of IPortWaveRTStream", "AllocateAudioBuffer";
    pc_disconnected_no_port: Argument, "an object passed is not a port", "UnregisterPhysicalConnection";
    pc_disconnected_twice: Argument, "a connection that is not registered", "UnregisterPhysicalConnection";
    pc_freed_while_mapped: Mdl, "the pages are still mapped", "FreePagesFromMdl";
    pc_resource_null: Argument, "called with a null pointer", "AddStreamResource";
    pc_resource_of_other_device: Argument, "not the physical device of an adapter", "AddStreamResource";
    pc_resource_size: Argument, "has a wrong size, flags or type", "AddStreamResource";
    pc_resource_unknown: Argument, "no such resource", "RemoveStreamResource";
    pc_resource_without_thread: Argument, "no thread", "AddStreamResource";
    pc_unregistered_no_port: Argument, "the object passed is not a port", "UnregisterSubdevice";
    pc_unregistered_twice: Argument, "a port that is not registered", "UnregisterSubdevice";
    com_freed_at_the_end: Com, "the stream was freed while Windows holds 1 references on it", "thread user";
    com_other_identity: Com, "IMiniportAudioSignalProcessing belongs to another object", "IPort_Init";
    com_refuses_unknown: Com, "the stream: QueryInterface refuses IUnknown", "thread user";
    com_release_counts_low: Com, "Release returned 0, but Windows holds 1 references", "thread user";
    com_release_returns_zero: Com, "the stream: Release returned 0 while a reference is held", "thread user";
    event_set_when_unregistered: Object, "freed a notification event", "KeSetEvent";
    output_count_goes_back: Argument, "GetPacketCount says 0, and before 1", "thread user";
    output_counter_goes_back: Argument, "and before of", "GetOutputStreamPresentationPosition tells of counter";
    output_counter_in_future: Argument, "and now it is", "GetOutputStreamPresentationPosition tells of counter";
    output_position_beyond_packet: Argument, "frame 513, is in packet 1, and GetPacketCount says 0", "thread user";
    output_position_goes_back: Argument, "tells of frame 9, and before of 10", "thread user";
    mode_count_changes: Argument, "GetModes says 1 modes, and then 0", "thread user";
    mode_ignores_room: Argument, "GetModes with too little room", "thread user";
    mode_neither: Argument, "neither the default nor the raw mode", "thread user";
    mode_none: Argument, "GetModes says that there are 0 modes", "thread user";
    mode_writes_more: Access, "0 bytes after the end of the array of GetModes", "GetModes";
    packet_unequal: Argument, "4095 bytes are not 2 equal packets", "thread user";
    pc_attribute_short: Argument, "an attribute of 16 bytes", "IPort_Init";
    pc_attributes_empty: Argument, "an empty list of attributes", "IPort_Init";
    pc_deleted_by_itself: Unload, "was unloaded with 1 devices", "PcDriverUnload";
    pc_filter_without_pins: Argument, "a filter without pins", "IPort_Init";
    pc_intersection_ignores_room: Argument, "when the buffer was too small", "thread user";
    pc_property_size_untold: Argument, "a buffer is needed, and no size is told", "thread user";
    pc_resource_by_function: Argument, "not the physical device of an adapter", "PcAddStreamResource";
    pc_resource_of_ended_thread: Object, "a thread ends that is still a stream resource", "system thread of rules.sys";
    pc_unload_not_chained: Unload, "does not call the one that PcInitializeAdapterDriver installed", "thread user";
}

/// The set of the device's one property.
const PROPERTIES: Guid = Guid::from_u128(0x5c4ea401_1234_4321_0102_030405060708);

/// The life of a device: started, played on, put to sleep, woken, asked, removed.
pub(crate) fn live(driver: &Driver) {
    let Ok(device) = Device::add(driver) else { return };
    if device.start().is_ok() {
        let _ = device.query_stop();
        let _ = device.cancel_stop();
        play(&device);
        ask(&device);
        let _ = device.query_remove();
    }
    let _ = device.remove();
}

fn play(device: &Device) {
    let format = Format::pcm(48000, 16, 2);
    if device.audio_interface() == Some(AudioInterface::WaveCyclic) {
        return cyclic::play(device, &format);
    }
    if let Ok(stream) = device.new_stream(7, false, &format, &format.to_bytes()) {
        stream.property(Property::get(PROPERTIES, 1), &[], &mut [0; 4]);
    }
    let Ok(mut stream) = device.open_pin(0, &format) else { return };
    let polled = Buffer::Polled { bytes: 4096 };
    let allocated = match stream.allocate(Buffer::Notified { bytes: 4096, count: 2 }) {
        Err(NtStatus::INVALID_DEVICE_REQUEST) => stream.allocate(polled),
        status => status,
    };
    if allocated.is_ok() {
        let _ = stream.set_state(KsState::Run);
        let _ = stream.position();
        let _ = stream.latency();
        let _ = stream.registers();
        for _ in 0..2 {
            let _ = stream.packet_count();
            let _ = stream.presentation_position();
        }
        let _ = device.set_power(PowerState::D3);
        let _ = device.set_power(PowerState::D0);
    }
    stream.close();
}

#[test]
fn what_a_driver_makes_of_its_capabilities_can_be_seen() {
    let seen = |service: &str| {
        let outcome = run_with(service.to_owned(), |driver| {
            let device = Device::add(driver).expect("a device");
            let before = device.capabilities();
            device.start().expect("it starts");
            let after = device.capabilities();
            device.remove().expect("it goes");
            (before, after)
        });
        outcome.value.flatten().expect("it loads")
    };
    let changed = DeviceCapabilities { size: 8, ..CAPABILITIES };
    assert_eq!(seen("pc_capabilities_size"), (None, Some(changed)));
    assert_eq!(seen("pc_capabilities_size.twin"), (None, Some(CAPABILITIES)));
}

/// Whether a pin that ran, asleep or before, and must run again after sleep, is one that a driver may leave paused.
#[test]
fn only_a_client_that_lets_a_pin_without_a_buffer_run_while_the_device_sleeps_has_made_a_mistake_itself() {
    fn violations(has_buffer: bool, ran_before: bool) -> usize {
        // It refuses to run for the second time.
        let outcome = run_with("pc_stream_stays_asleep".to_owned(), move |driver| {
            let device = Device::add(driver).expect("a device");
            device.start().expect("it starts");
            let mut stream = device.open_pin(0, &Format::pcm(48_000, 16, 2)).expect("a stream");
            if has_buffer {
                stream.allocate(Buffer::Polled { bytes: 4096 }).expect("a buffer");
            }
            stream.set_state(KsState::Run).expect("it runs");
            if !ran_before {
                stream.set_state(KsState::Pause).expect("it pauses");
            }
            device.set_power(PowerState::D3).expect("it sleeps");
            if !ran_before {
                stream.set_state(KsState::Run).expect("it will run");
            }
            device.set_power(PowerState::D0).expect("it wakes");
            assert_eq!(stream.state(), KsState::Pause);
            stream.close();
            device.remove().expect("it goes");
        });
        assert_eq!(outcome.value, Some(Some(())));
        outcome.violations.len()
    }
    let found = [(false, false), (false, true), (true, false), (true, true)]
        .map(|(has_buffer, ran_before)| violations(has_buffer, ran_before));
    assert_eq!(found, [0, 1, 1, 1]);
}

fn ask(device: &Device) {
    for value in [&mut [][..], &mut [0; 4]] {
        device.property(Filter::Wave, Property::get(PROPERTIES, 1), &[], value);
    }
    let range = [
        guid::KSDATAFORMAT_TYPE_AUDIO,
        guid::KSDATAFORMAT_SUBTYPE_PCM,
        guid::KSDATAFORMAT_SPECIFIER_WAVEFORMATEX,
    ];
    // KSP_PIN, KSMULTIPLE_ITEM, KSDATARANGE.
    let words = [0, 0, 8 + 64, 1, 64, 0, 0, 0].into_iter().flat_map(u32::to_ne_bytes);
    let instance: Vec<u8> = words.chain(range.iter().flat_map(bytes_of)).collect();
    let intersection = Property::get(guid::KSPROPSETID_PIN, pin_property::DATAINTERSECTION);
    device.property(Filter::Wave, intersection, &instance, &mut [0; 128]);
    let modes = Property::get(guid::KSPROPSETID_AUDIO_SIGNAL_PROCESSING, 0);
    device.property(Filter::Wave, modes, &[0; 8], &mut [0; 64]);
}

fn bytes_of(guid: &Guid) -> Vec<u8> {
    // SAFETY: sixteen bytes of plain data.
    let bytes: [u8; 16] = unsafe { std::mem::transmute(*guid) };
    bytes.to_vec()
}
