//! The structures and constants of `portcls.h`, `ks.h` and `ksmedia.h`, for 64-bit Windows.
//!
//! Written independently of the driver's declarations; sizes and offsets are those of Microsoft's headers.

#![allow(missing_docs, reason = "the fields are those of the headers, under the headers' names")]

use crate::layout;
use crate::nt::{DeviceObject, Guid, Irp, NtStatus, Pvoid};

/// PORT_CLASS_DEVICE_EXTENSION_SIZE: what belongs to PortCls at the start of a device extension.
pub const DEVICE_EXTENSION_SIZE: usize = 64 * size_of::<usize>();

/// PCPFNSTARTDEVICE.
pub type StartDevice =
    unsafe extern "efiapi" fn(device: *mut DeviceObject, irp: *mut Irp, resources: Pvoid) -> NtStatus;

/// PCPFNPROPERTY_HANDLER.
pub type PropertyHandler = unsafe extern "efiapi" fn(request: *mut PropertyRequest) -> NtStatus;

/// PCPROPERTY_ITEM.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PropertyItem {
    pub set: *const Guid,
    pub id: u32,
    pub flags: u32,
    pub handler: Option<PropertyHandler>,
}
layout!(PropertyItem, 24, id: 8, flags: 12, handler: 16);

/// PCPROPERTY_REQUEST.
#[repr(C)]
pub struct PropertyRequest {
    pub major_target: Pvoid,
    pub minor_target: Pvoid,
    /// A node's id, or all ones.
    pub node: u32,
    pub property_item: *const PropertyItem,
    pub verb: u32,
    pub instance_size: u32,
    pub instance: Pvoid,
    pub value_size: u32,
    pub value: Pvoid,
    pub irp: *mut Irp,
}
layout!(PropertyRequest, 72, node: 16, property_item: 24, verb: 32, instance_size: 36, instance: 40, value_size: 48,
    value: 56, irp: 64);

/// PCAUTOMATION_TABLE.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct AutomationTable {
    pub property_item_size: u32,
    pub property_count: u32,
    pub properties: *const PropertyItem,
    pub method_item_size: u32,
    pub method_count: u32,
    pub methods: Pvoid,
    pub event_item_size: u32,
    pub event_count: u32,
    pub events: Pvoid,
    pub reserved: u32,
}
layout!(AutomationTable, 56, properties: 8, method_item_size: 16, methods: 24, events: 40, reserved: 48);

/// KSPIN_DESCRIPTOR.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct KsPinDescriptor {
    pub interfaces_count: u32,
    pub interfaces: *const KsIdentifier,
    pub mediums_count: u32,
    pub mediums: *const KsIdentifier,
    pub data_ranges_count: u32,
    /// Each a KSDATARANGE, or the KSATTRIBUTE_LIST of the one before.
    pub data_ranges: *const *const DataRange,
    pub data_flow: u32,
    pub communication: u32,
    pub category: *const Guid,
    pub name: *const Guid,
    pub constrained_data_ranges_count: u32,
    pub constrained_data_ranges: *const *const DataRange,
}
layout!(KsPinDescriptor, 88, interfaces: 8, mediums: 24, data_ranges: 40, data_flow: 48, communication: 52, category: 56,
    name: 64, constrained_data_ranges_count: 72, constrained_data_ranges: 80);

/// PCPIN_DESCRIPTOR.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct PinDescriptor {
    pub max_global_instances: u32,
    pub max_filter_instances: u32,
    pub min_filter_instances: u32,
    pub automation: *const AutomationTable,
    pub ks: KsPinDescriptor,
}
layout!(PinDescriptor, 112, automation: 16, ks: 24);

/// PCNODE_DESCRIPTOR.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct NodeDescriptor {
    pub flags: u32,
    pub automation: *const AutomationTable,
    pub kind: *const Guid,
    pub name: *const Guid,
}
layout!(NodeDescriptor, 32, automation: 8, kind: 16, name: 24);

/// KSTOPOLOGY_CONNECTION, that is PCCONNECTION_DESCRIPTOR.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    pub from_node: u32,
    pub from_pin: u32,
    pub to_node: u32,
    pub to_pin: u32,
}
layout!(Connection, 16, to_pin: 12);

/// KSFILTER_NODE, that is PCFILTER_NODE: the filter itself in a connection.
pub const FILTER_NODE: u32 = u32::MAX;

/// PCFILTER_DESCRIPTOR.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct FilterDescriptor {
    pub version: u32,
    pub automation: *const AutomationTable,
    pub pin_size: u32,
    pub pin_count: u32,
    pub pins: *const PinDescriptor,
    pub node_size: u32,
    pub node_count: u32,
    pub nodes: *const NodeDescriptor,
    pub connection_count: u32,
    pub connections: *const Connection,
    pub category_count: u32,
    pub categories: *const Guid,
}
layout!(FilterDescriptor, 80, automation: 8, pin_size: 16, pins: 24, node_size: 32, nodes: 40, connection_count: 48,
    connections: 56, category_count: 64, categories: 72);

/// KSIDENTIFIER: KSPROPERTY, KSPIN_INTERFACE, KSPIN_MEDIUM.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KsIdentifier {
    pub set: Guid,
    pub id: u32,
    pub flags: u32,
}
layout!(KsIdentifier, 24, id: 16, flags: 20);

/// KSDATARANGE and KSDATAFORMAT.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataRange {
    pub format_size: u32,
    pub flags: u32,
    pub sample_size: u32,
    pub reserved: u32,
    pub major_format: Guid,
    pub sub_format: Guid,
    pub specifier: Guid,
}
layout!(DataRange, 64, major_format: 16, sub_format: 32, specifier: 48);

/// KSDATARANGE_AUDIO.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioRange {
    pub range: DataRange,
    pub maximum_channels: u32,
    pub minimum_bits: u32,
    pub maximum_bits: u32,
    pub minimum_rate: u32,
    pub maximum_rate: u32,
}
layout!(AudioRange, 88, maximum_channels: 64, maximum_rate: 80);

/// KSDATARANGE_ATTRIBUTES and KSDATAFORMAT_ATTRIBUTES: attributes follow.
pub const FLAG_ATTRIBUTES: u32 = 2;
/// KSDATARANGE_REQUIRED_ATTRIBUTES.
pub const FLAG_REQUIRED_ATTRIBUTES: u32 = 4;

/// KSATTRIBUTE.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    pub size: u32,
    pub flags: u32,
    pub attribute: Guid,
}
layout!(Attribute, 24, attribute: 8);

/// KSATTRIBUTE_LIST.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct AttributeList {
    pub count: u32,
    pub attributes: *const *const Attribute,
}
layout!(AttributeList, 16, attributes: 8);

/// KSMULTIPLE_ITEM.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MultipleItem {
    /// Bytes, with this structure.
    pub size: u32,
    pub count: u32,
}
layout!(MultipleItem, 8);

/// KSAUDIO_POSITION.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AudioPosition {
    pub play_offset: u64,
    pub write_offset: u64,
}
layout!(AudioPosition, 16);

/// KSAUDIO_PRESENTATION_POSITION.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PresentationPosition {
    pub blocks: u64,
    pub counter: u64,
}
layout!(PresentationPosition, 16);

/// KSRTAUDIO_HWLATENCY.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardwareLatency {
    /// Bytes.
    pub fifo_size: u32,
    /// 100 ns.
    pub chipset_delay: u32,
    /// 100 ns.
    pub codec_delay: u32,
}
layout!(HardwareLatency, 12);

/// KSRTAUDIO_HWREGISTER.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct HardwareRegister {
    pub register: Pvoid,
    pub width: u32,
    pub numerator: u64,
    pub denominator: u64,
    pub accuracy: u32,
}
layout!(HardwareRegister, 40, width: 8, numerator: 16, denominator: 24, accuracy: 32);

/// DEVICE_DESCRIPTION.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct DeviceDescription {
    pub version: u32,
    pub master: u8,
    pub scatter_gather: u8,
    pub demand_mode: u8,
    pub auto_initialize: u8,
    pub dma_32_bit: u8,
    pub ignore_count: u8,
    pub reserved1: u8,
    pub dma_64_bit: u8,
    pub bus_number: u32,
    pub dma_channel: u32,
    pub interface_type: i32,
    pub dma_width: i32,
    pub dma_speed: i32,
    pub maximum_length: u32,
    pub dma_port: u32,
    pub dma_address_width: u32,
    pub dma_controller_instance: u32,
    pub dma_request_line: u32,
    pub device_address: i64,
}
layout!(DeviceDescription, 64, bus_number: 12, interface_type: 20, maximum_length: 32, dma_address_width: 40, device_address: 56);

/// PCSTREAMRESOURCE_DESCRIPTOR.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct StreamResourceDescriptor {
    pub size: u32,
    pub flags: u32,
    pub pdo: *mut DeviceObject,
    pub kind: u32,
    /// A union; its second word is used by interrupts only.
    pub resource: [usize; 2],
}
layout!(StreamResourceDescriptor, 40, pdo: 8, kind: 16, resource: 24);

/// The values of `PcStreamResourceType`.
pub mod stream_resource {
    pub const INTERRUPT: u32 = 0;
    pub const THREAD: u32 = 1;
    pub const SET: u32 = 2;
}

/// KSSTATE.
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KsState {
    Stop = 0,
    Acquire = 1,
    Pause = 2,
    Run = 3,
}

/// Values of [`KsPinDescriptor::data_flow`].
pub mod data_flow {
    pub const IN: u32 = 1;
    pub const OUT: u32 = 2;
}

/// Values of [`KsPinDescriptor::communication`].
pub mod communication {
    pub const NONE: u32 = 0;
    pub const SINK: u32 = 1;
    pub const SOURCE: u32 = 2;
    pub const BOTH: u32 = 3;
    pub const BRIDGE: u32 = 4;
}

/// Property verbs (KSPROPERTY_TYPE_*), which are the flags of [`PropertyItem`] too.
pub mod verb {
    pub const GET: u32 = 1;
    pub const SET: u32 = 2;
    pub const SET_SUPPORT: u32 = 0x100;
    pub const BASIC_SUPPORT: u32 = 0x200;
    pub const RELATIONS: u32 = 0x400;
    pub const SERIALIZE_SET: u32 = 0x800;
    pub const UNSERIALIZE_SET: u32 = 0x1000;
    pub const SERIALIZE_RAW: u32 = 0x2000;
    pub const UNSERIALIZE_RAW: u32 = 0x4000;
    pub const SERIALIZE_SIZE: u32 = 0x8000;
    pub const DEFAULT_VALUES: u32 = 0x1_0000;
    /// The property is a node's.
    pub const TOPOLOGY: u32 = 0x1000_0000;
}

macro_rules! guids {
    ($($(#[$meta:meta])* $name:ident = $value:literal;)*) => {
        $($(#[$meta])* pub const $name: Guid = Guid::from_u128($value);)*
    };
}

/// GUIDs, under the names of the headers.
pub mod guid {
    use crate::nt::Guid;

    guids! {
        IID_IUNKNOWN = 0x00000000_0000_0000_0000_c00000000046;
        IID_IMINIPORT = 0xb4c90a24_5791_11d0_86f9_00a0c911b544;
        IID_IPORT = 0xb4c90a25_5791_11d0_86f9_00a0c911b544;
        IID_IRESOURCE_LIST = 0x22c6ac60_851b_11d0_9a7f_00aa0038acfe;
        IID_IPORT_TOPOLOGY = 0xb4c90a30_5791_11d0_86f9_00a0c911b544;
        IID_IMINIPORT_TOPOLOGY = 0xb4c90a31_5791_11d0_86f9_00a0c911b544;
        CLSID_PORT_TOPOLOGY = 0xb4c90a32_5791_11d0_86f9_00a0c911b544;
        IID_IPORT_WAVERT = 0x339ff909_68a9_4310_b09b_274e96ee4cbd;
        IID_IPORT_WAVERT_STREAM = 0x1809ce5a_64bc_4e62_bd7d_95bce43de393;
        IID_IMINIPORT_WAVERT = 0x0f9fc4d6_6061_4f3c_b1fc_075e35f7960a;
        IID_IMINIPORT_WAVERT_STREAM = 0x000ac9ab_faab_4f3d_9455_6ff8306a74a0;
        IID_IMINIPORT_WAVERT_STREAM_NOTIFICATION = 0x23759128_96f1_423b_ab4d_81635bcf8ca1;
        IID_IMINIPORT_WAVERT_OUTPUT_STREAM = 0x831fc7bc_6347_44bc_b47b_c0c657b5bf73;
        IID_IMINIPORT_AUDIO_SIGNAL_PROCESSING = 0xb532678c_be50_472d_9973_8a6f16594989;
        CLSID_PORT_WAVERT = 0xcc9be57a_eb9e_42b4_94fc_0cad3dbce7fa;
        IID_IPORT_WAVECYCLIC = 0xb4c90a26_5791_11d0_86f9_00a0c911b544;
        IID_IMINIPORT_WAVECYCLIC = 0xb4c90a27_5791_11d0_86f9_00a0c911b544;
        IID_IMINIPORT_WAVECYCLIC_STREAM = 0xb4c90a28_5791_11d0_86f9_00a0c911b544;
        CLSID_PORT_WAVECYCLIC = 0xb4c90a2a_5791_11d0_86f9_00a0c911b544;
        IID_IDMA_CHANNEL = 0x22c6ac61_851b_11d0_9a7f_00aa0038acfe;
        IID_IDMA_CHANNEL_SLAVE = 0x22c6ac62_851b_11d0_9a7f_00aa0038acfe;
        IID_ISERVICE_SINK = 0x22c6ac64_851b_11d0_9a7f_00aa0038acfe;
        IID_ISERVICE_GROUP = 0x22c6ac65_851b_11d0_9a7f_00aa0038acfe;
        IID_IADAPTER_POWER_MANAGEMENT = 0x793417d0_35fe_11d1_ad08_00a0c90ab1b0;
        IID_IADAPTER_POWER_MANAGEMENT2 = 0xe0f92e5d_67f5_48ee_b57a_7d1e90c5f43d;
        IID_IADAPTER_POWER_MANAGEMENT3 = 0xa8c7303e_f80c_4bc9_b2e3_fb2d08be920f;
        IID_IPOWER_NOTIFY = 0x3dd648b8_969f_11d1_95a9_00c04fb925d3;
        IID_IPIN_COUNT = 0x5dadb7dc_a2cb_4540_a4a8_425ee4ae9051;
        IID_IPIN_NAME = 0x29cc9ab1_e89d_413c_b6b2_f6d50005d063;
        IID_IUNREGISTER_SUBDEVICE = 0x16738177_e199_41f9_9a87_abb2a5432f21;
        IID_IUNREGISTER_PHYSICAL_CONNECTION = 0x6c38e231_2a0d_428d_81f8_07cc428bb9a4;
        IID_IPORTCLS_STREAM_RESOURCE_MANAGER = 0xe1cd9915_cab1_4103_bb2f_7dc09c9be942;
        IID_IPORTCLS_STREAM_RESOURCE_MANAGER2 = 0x0d500bae_d565_469d_a0e2_f283760d7148;
        IID_IPORTCLS_VERSION = 0x7d89a7bb_869b_4567_8dbe_1e168cc853de;

        KSPROPSETID_PIN = 0x8c134960_51ad_11cf_878a_94f801c10000;
        KSPROPSETID_RTAUDIO = 0xa855a48c_2f78_4729_9051_1968746b9eef;
        KSPROPSETID_AUDIO = 0x45ffaaa0_6e1b_11d0_bcf2_444553540000;
        KSPROPSETID_JACK = 0x4509f757_2d46_4637_8e62_ce7db944f57b;
        KSPROPSETID_AUDIO_SIGNAL_PROCESSING = 0x4f67b528_30c9_40de_b2fb_859ddd1f3470;
        KSPROPSETID_TOPOLOGY = 0x720d4ac0_7533_11d0_a5d6_28db04c10000;
        KSPROPSETID_CONNECTION = 0x1d58c920_ac9b_11cf_a5d6_28db04c10000;
        KSPROPSETID_GENERAL = 0x1464eda5_6a8f_11d1_9aa7_00a0c9223196;

        KSDATAFORMAT_TYPE_AUDIO = 0x73647561_0000_0010_8000_00aa00389b71;
        KSDATAFORMAT_SUBTYPE_PCM = 0x00000001_0000_0010_8000_00aa00389b71;
        KSDATAFORMAT_SUBTYPE_FLOAT = 0x00000003_0000_0010_8000_00aa00389b71;
        KSDATAFORMAT_SUBTYPE_ANALOG = 0x6dba3190_67bd_11cf_a0f7_0020afd156e4;
        KSDATAFORMAT_SPECIFIER_NONE = 0x0f6417d6_c318_11d0_a43f_00a0c9223196;
        KSDATAFORMAT_SPECIFIER_WAVEFORMATEX = 0x05589f81_c356_11ce_bf01_00aa0055595a;
        KSDATAFORMAT_SPECIFIER_DSOUND = 0x518590a2_a184_11d0_8522_00c04fd9baf3;

        KSINTERFACESETID_STANDARD = 0x1a8766a0_62ce_11cf_a5d6_28db04c10000;
        KSMEDIUMSETID_STANDARD = 0x4747b320_62ce_11cf_a5d6_28db04c10000;
        KSATTRIBUTEID_AUDIOSIGNALPROCESSING_MODE = 0xe1f89eb5_5f46_419b_967b_ff6770b98401;
        AUDIO_SIGNALPROCESSINGMODE_DEFAULT = 0xc18e2f7e_933d_4965_b7d1_1eef228d2af3;
        AUDIO_SIGNALPROCESSINGMODE_RAW = 0x9e90ea20_b493_4fd1_a1a8_7e1361a956cf;
        KSCATEGORY_AUDIO = 0x6994ad04_93ef_11d0_a3cc_00a0c9223196;
        KSCATEGORY_RENDER = 0x65e8773e_8f56_11d0_a3b9_00a0c9223196;
        KSCATEGORY_REALTIME = 0xeb115ffc_10c8_4964_831d_6dcb02e6f23f;
        KSCATEGORY_TOPOLOGY = 0xdda54a40_1e4c_11d1_a050_405705c10000;
        KSNODETYPE_SPEAKER = 0xdff21ce1_f70f_11d0_b917_00a0c9223196;
    }
}
