//! The tables of the COM interfaces between PortCls and a driver, slot by slot as in `portcls.h`.

#![allow(missing_docs, reason = "the slots are those of the header, under the header's names")]

use super::abi::{
    AudioPosition, DataRange, DeviceDescription, FilterDescriptor, HardwareLatency, HardwareRegister,
    PresentationPosition, guid,
};
use crate::nt::{DeviceCapabilities, Guid, KEvent, Mdl, NtStatus, Pvoid};

/// A table of functions of a COM interface.
///
/// # Safety
/// The type is `repr(C)` and begins with an [`Unknown`].
pub unsafe trait Table: 'static {
    /// Its interface identifier.
    const IID: Guid;
    /// Its name, as violations show it.
    const NAME: &'static str;
}

macro_rules! table {
    ($(#[$meta:meta])* $name:ident, $iid:expr, $interface:literal; $($slot:ident: $type:ty,)*) => {
        $(#[$meta])*
        #[repr(C)]
        pub struct $name {
            $(pub $slot: $type,)*
        }
        // SAFETY: `repr(C)`, and the first field is an `Unknown` or a table that begins with one.
        unsafe impl Table for $name {
            const IID: Guid = $iid;
            const NAME: &'static str = $interface;
        }
    };
}

/// IUnknown.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Unknown {
    pub query_interface:
        unsafe extern "efiapi" fn(this: Pvoid, iid: *const Guid, out: *mut Pvoid) -> NtStatus,
    pub add_ref: unsafe extern "efiapi" fn(this: Pvoid) -> u32,
    pub release: unsafe extern "efiapi" fn(this: Pvoid) -> u32,
}
// SAFETY: it is an `Unknown`.
unsafe impl Table for Unknown {
    const IID: Guid = guid::IID_IUNKNOWN;
    const NAME: &'static str = "IUnknown";
}

table! {
    /// IMiniport.
    Miniport, guid::IID_IMINIPORT, "IMiniport";
    unknown: Unknown,
    get_description: unsafe extern "efiapi" fn(this: Pvoid, description: *mut *const FilterDescriptor) -> NtStatus,
    data_range_intersection: unsafe extern "efiapi" fn(this: Pvoid, pin: u32, client: *const DataRange, own: *const DataRange,
        output_length: u32, output: Pvoid, length: *mut u32) -> NtStatus,
}

table! {
    /// IMiniportTopology.
    MiniportTopology, guid::IID_IMINIPORT_TOPOLOGY, "IMiniportTopology";
    miniport: Miniport,
    init: unsafe extern "efiapi" fn(this: Pvoid, adapter: Pvoid, resources: Pvoid, port: Pvoid) -> NtStatus,
}

table! {
    /// IMiniportWaveRT.
    MiniportWaveRt, guid::IID_IMINIPORT_WAVERT, "IMiniportWaveRT";
    miniport: Miniport,
    init: unsafe extern "efiapi" fn(this: Pvoid, adapter: Pvoid, resources: Pvoid, port: Pvoid) -> NtStatus,
    new_stream: unsafe extern "efiapi" fn(this: Pvoid, stream: *mut Pvoid, port_stream: Pvoid, pin: u32, capture: u8,
        format: *const DataRange) -> NtStatus,
    get_device_description: unsafe extern "efiapi" fn(this: Pvoid, description: *mut DeviceDescription) -> NtStatus,
}

table! {
    /// IMiniportWaveRTStream.
    WaveRtStream, guid::IID_IMINIPORT_WAVERT_STREAM, "IMiniportWaveRTStream";
    unknown: Unknown,
    set_format: unsafe extern "efiapi" fn(this: Pvoid, format: *const DataRange) -> NtStatus,
    set_state: unsafe extern "efiapi" fn(this: Pvoid, state: u32) -> NtStatus,
    get_position: unsafe extern "efiapi" fn(this: Pvoid, position: *mut AudioPosition) -> NtStatus,
    allocate_audio_buffer: unsafe extern "efiapi" fn(this: Pvoid, requested: u32, mdl: *mut *mut Mdl, actual: *mut u32,
        offset: *mut u32, cache: *mut u32) -> NtStatus,
    free_audio_buffer: unsafe extern "efiapi" fn(this: Pvoid, mdl: *mut Mdl, size: u32),
    get_hw_latency: unsafe extern "efiapi" fn(this: Pvoid, latency: *mut HardwareLatency),
    get_position_register: unsafe extern "efiapi" fn(this: Pvoid, register: *mut HardwareRegister) -> NtStatus,
    get_clock_register: unsafe extern "efiapi" fn(this: Pvoid, register: *mut HardwareRegister) -> NtStatus,
}

table! {
    /// IMiniportWaveRTStreamNotification.
    WaveRtStreamNotification, guid::IID_IMINIPORT_WAVERT_STREAM_NOTIFICATION, "IMiniportWaveRTStreamNotification";
    stream: WaveRtStream,
    allocate_buffer_with_notification: unsafe extern "efiapi" fn(this: Pvoid, count: u32, requested: u32,
        mdl: *mut *mut Mdl, actual: *mut u32, offset: *mut u32, cache: *mut u32) -> NtStatus,
    free_buffer_with_notification: unsafe extern "efiapi" fn(this: Pvoid, mdl: *mut Mdl, size: u32),
    register_notification_event: unsafe extern "efiapi" fn(this: Pvoid, event: *mut KEvent) -> NtStatus,
    unregister_notification_event: unsafe extern "efiapi" fn(this: Pvoid, event: *mut KEvent) -> NtStatus,
}

table! {
    /// IMiniportWaveRTOutputStream.
    WaveRtOutputStream, guid::IID_IMINIPORT_WAVERT_OUTPUT_STREAM, "IMiniportWaveRTOutputStream";
    unknown: Unknown,
    set_write_packet: unsafe extern "efiapi" fn(this: Pvoid, number: u32, flags: u32, end_of_stream: u32) -> NtStatus,
    get_presentation_position: unsafe extern "efiapi" fn(this: Pvoid, position: *mut PresentationPosition) -> NtStatus,
    get_packet_count: unsafe extern "efiapi" fn(this: Pvoid, count: *mut u32) -> NtStatus,
}

table! {
    /// IMiniportAudioSignalProcessing.
    AudioSignalProcessing, guid::IID_IMINIPORT_AUDIO_SIGNAL_PROCESSING, "IMiniportAudioSignalProcessing";
    unknown: Unknown,
    get_modes: unsafe extern "efiapi" fn(this: Pvoid, pin: u32, modes: *mut Guid, count: *mut u32) -> NtStatus,
}

table! {
    /// IAdapterPowerManagement. A POWER_STATE is a union of four bytes, which goes in a register.
    AdapterPowerManagement, guid::IID_IADAPTER_POWER_MANAGEMENT, "IAdapterPowerManagement";
    unknown: Unknown,
    power_change_state: unsafe extern "efiapi" fn(this: Pvoid, state: u32),
    query_power_change_state: unsafe extern "efiapi" fn(this: Pvoid, state: u32) -> NtStatus,
    query_device_capabilities: unsafe extern "efiapi" fn(this: Pvoid, capabilities: *mut DeviceCapabilities) -> NtStatus,
}

table! {
    /// IPowerNotify.
    PowerNotify, guid::IID_IPOWER_NOTIFY, "IPowerNotify";
    unknown: Unknown,
    power_change_notify: unsafe extern "efiapi" fn(this: Pvoid, state: u32),
}

table! {
    /// IPinCount.
    PinCount, guid::IID_IPIN_COUNT, "IPinCount";
    unknown: Unknown,
    pin_count: unsafe extern "efiapi" fn(this: Pvoid, pin: u32, filter_necessary: *mut u32, filter_current: *mut u32,
        filter_possible: *mut u32, global_current: *mut u32, global_possible: *mut u32),
}

table! {
    /// IMiniportWaveCyclic.
    MiniportWaveCyclic, guid::IID_IMINIPORT_WAVECYCLIC, "IMiniportWaveCyclic";
    miniport: Miniport,
    init: unsafe extern "efiapi" fn(this: Pvoid, adapter: Pvoid, resources: Pvoid, port: Pvoid) -> NtStatus,
    new_stream: unsafe extern "efiapi" fn(this: Pvoid, stream: *mut Pvoid, outer: Pvoid, pool: u32, pin: u32, capture: u8,
        format: *const DataRange, channel: *mut Pvoid, group: *mut Pvoid) -> NtStatus,
}

table! {
    /// IMiniportWaveCyclicStream.
    WaveCyclicStream, guid::IID_IMINIPORT_WAVECYCLIC_STREAM, "IMiniportWaveCyclicStream";
    unknown: Unknown,
    set_format: unsafe extern "efiapi" fn(this: Pvoid, format: *const DataRange) -> NtStatus,
    set_notification_freq: unsafe extern "efiapi" fn(this: Pvoid, interval: u32, frame_size: *mut u32) -> u32,
    set_state: unsafe extern "efiapi" fn(this: Pvoid, state: u32) -> NtStatus,
    get_position: unsafe extern "efiapi" fn(this: Pvoid, position: *mut u32) -> NtStatus,
    normalize_physical_position: unsafe extern "efiapi" fn(this: Pvoid, position: *mut i64) -> NtStatus,
    silence: unsafe extern "efiapi" fn(this: Pvoid, buffer: Pvoid, bytes: u32),
}

table! {
    /// IDmaChannel. A C++ member function returns the eight-byte union through a pointer that follows `this`.
    DmaChannel, guid::IID_IDMA_CHANNEL, "IDmaChannel";
    unknown: Unknown,
    allocate_buffer: unsafe extern "efiapi" fn(this: Pvoid, bytes: u32, constraint: *const i64) -> NtStatus,
    free_buffer: unsafe extern "efiapi" fn(this: Pvoid),
    transfer_count: unsafe extern "efiapi" fn(this: Pvoid) -> u32,
    maximum_buffer_size: unsafe extern "efiapi" fn(this: Pvoid) -> u32,
    allocated_buffer_size: unsafe extern "efiapi" fn(this: Pvoid) -> u32,
    buffer_size: unsafe extern "efiapi" fn(this: Pvoid) -> u32,
    set_buffer_size: unsafe extern "efiapi" fn(this: Pvoid, bytes: u32),
    system_address: unsafe extern "efiapi" fn(this: Pvoid) -> Pvoid,
    physical_address: unsafe extern "efiapi" fn(this: Pvoid, result: *mut i64) -> *mut i64,
    get_adapter_object: unsafe extern "efiapi" fn(this: Pvoid) -> Pvoid,
    copy_to: unsafe extern "efiapi" fn(this: Pvoid, destination: Pvoid, source: Pvoid, bytes: u32),
    copy_from: unsafe extern "efiapi" fn(this: Pvoid, destination: Pvoid, source: Pvoid, bytes: u32),
}

table! {
    /// IServiceSink.
    ServiceSink, guid::IID_ISERVICE_SINK, "IServiceSink";
    unknown: Unknown,
    request_service: unsafe extern "efiapi" fn(this: Pvoid),
}

table! {
    /// IServiceGroup.
    ServiceGroup, guid::IID_ISERVICE_GROUP, "IServiceGroup";
    sink: ServiceSink,
    add_member: unsafe extern "efiapi" fn(this: Pvoid, sink: Pvoid) -> NtStatus,
    remove_member: unsafe extern "efiapi" fn(this: Pvoid, sink: Pvoid),
    support_delayed_service: unsafe extern "efiapi" fn(this: Pvoid),
    request_delayed_service: unsafe extern "efiapi" fn(this: Pvoid, delay: u64),
    cancel_delayed_service: unsafe extern "efiapi" fn(this: Pvoid),
}
