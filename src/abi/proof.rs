//! Compares every declaration of this module with the genuine headers, while the driver is compiled.
//!
//! `build/abi_proof.rs` lets bindgen read the headers, and checks that every public item of `src/abi` is named below.
//! The lists are exhaustive: a field that is missing from its structure's list fails the build too.
//! A difference fails it with the name of the item, for example "PCPROPERTY_ITEM.Id: offset".
#![expect(unsafe_code, reason = "projecting a field of a pointer that is never followed")]
#![expect(
    clippy::undocumented_unsafe_blocks,
    reason = "the projections of `field!` are there for their types; they are never called"
)]

use core::mem::{align_of, offset_of, size_of};

use super::{GUID, same_guid};

/// The declarations of `src/abi`, and those of `src/kernel` that are written by hand, with their names in C.
mod ours {
    pub use crate::abi::{GUID, ks::*, portcls::*, wsk::*};
    pub(crate) use crate::kernel::etw::{
        DISABLE_PROVIDER as EVENT_CONTROL_CODE_DISABLE_PROVIDER,
        ENABLE_PROVIDER as EVENT_CONTROL_CODE_ENABLE_PROVIDER, EtwSetInformation,
        Level::{
            Error as TRACE_LEVEL_ERROR, Information as TRACE_LEVEL_INFORMATION,
            Warning as TRACE_LEVEL_WARNING,
        },
        SET_TRAITS as EventProviderSetTraits,
    };
    pub(crate) use crate::kernel::io_space::MmMapIoSpaceEx;
    pub(crate) use crate::kernel::pnp_notification::{
        GUID_TARGET_DEVICE_QUERY_REMOVE, GUID_TARGET_DEVICE_REMOVE_CANCELLED,
        GUID_TARGET_DEVICE_REMOVE_COMPLETE,
    };
}

/// The declarations of the headers.
#[allow(
    clashing_extern_declarations,
    dead_code,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unsafe_code,
    unsafe_op_in_unsafe_fn,
    clippy::all,
    clippy::multiple_unsafe_ops_per_block,
    reason = "generated; which of these occur depends on the headers"
)]
mod theirs {
    include!(concat!(env!("OUT_DIR"), "/genuine.rs"));

    // Without names in C; these are bindgen's.
    pub use self::{
        _PCSTREAMRESOURCE_DESCRIPTOR__bindgen_ty_1 as PCSTREAMRESOURCE_DESCRIPTOR_RESOURCE,
        _PCSTREAMRESOURCE_DESCRIPTOR__bindgen_ty_1__bindgen_ty_1 as PCSTREAMRESOURCE_DESCRIPTOR_INTERRUPT,
    };
}

/// Sizes of the result and the parameters of a function: what decides which registers and stack slots are used.
trait Signature {
    const SIZES: &'static [usize];
}

macro_rules! signature_of {
    ($($parameter:ident)*) => {
        impl<R $(, $parameter)*> Signature for unsafe extern "system" fn($($parameter),*) -> R {
            const SIZES: &'static [usize] = &[size_of::<R>() $(, size_of::<$parameter>())*];
        }
        impl<R $(, $parameter)*> Signature for unsafe extern "C" fn($($parameter),*) -> R {
            const SIZES: &'static [usize] = &[size_of::<R>() $(, size_of::<$parameter>())*];
        }
    };
}

signature_of! { A }
signature_of! { A B }
signature_of! { A B C }
signature_of! { A B C D }
signature_of! { A B C D E }
signature_of! { A B C D E F }
signature_of! { A B C D E F G }
signature_of! { A B C D E F G H }
signature_of! { A B C D E F G H I }
signature_of! { A B C D E F G H I J }
signature_of! { A B C D E F G H I J K }
signature_of! { A B C D E F G H I J K L }

impl<F: Signature> Signature for Option<F> {
    const SIZES: &'static [usize] = F::SIZES;
}

/// A value of a field: for the lists to be checked for completeness, never called.
const fn any<T>() -> T {
    unreachable!()
}

const fn same(a: &[usize], b: &[usize]) -> bool {
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    i == a.len() && i == b.len()
}

const fn size_of_field<T, F>(_: fn(*const T) -> *const F) -> usize {
    size_of::<F>()
}

const fn signature_of_field<T, F: Signature>(_: fn(*const T) -> *const F) -> &'static [usize] {
    F::SIZES
}

const fn signature_of_function<F: Signature + Copy>(_: F) -> &'static [usize] {
    F::SIZES
}

/// `field!(function, type, field)`: applies `offset_of!` or a `const fn` from above to a field.
/// `field = path` is a field whose name or place is another in the headers.
macro_rules! field {
    (offset_of, $type:ty, $ours:ident = $($theirs:tt)+) => { field!(offset_of, $type, $($theirs)+) };
    (offset_of, $type:ty, $($path:tt)+) => { offset_of!($type, $($path)+) };
    ($of:ident, $type:ty, $ours:ident = $($theirs:tt)+) => { field!($of, $type, $($theirs)+) };
    ($of:ident, $type:ty, $($path:tt)+) => {
        $of(|all: *const $type| unsafe { &raw const (*all).$($path)+ })
    };
}

macro_rules! same_type {
    ($name:ident) => {
        assert!(size_of::<ours::$name>() == size_of::<theirs::$name>(), concat!(stringify!($name), ": size"));
        assert!(
            align_of::<ours::$name>() == align_of::<theirs::$name>(),
            concat!(stringify!($name), ": alignment")
        );
    };
}

macro_rules! same_field {
    ($name:ident, $field:ident $($path:tt)*) => {
        assert!(
            field!(offset_of, ours::$name, $field)
                == field!(offset_of, theirs::$name, $field $($path)*),
            concat!(stringify!($name), ".", stringify!($field), ": offset")
        );
        assert!(
            field!(size_of_field, ours::$name, $field)
                == field!(size_of_field, theirs::$name, $field $($path)*),
            concat!(stringify!($name), ".", stringify!($field), ": size")
        );
    };
}

macro_rules! same_signature {
    ($name:ident, $field:ident) => {
        assert!(
            same(
                field!(signature_of_field, ours::$name, $field),
                field!(signature_of_field, theirs::$name, $field)
            ),
            concat!(stringify!($name), ".", stringify!($field), ": parameters")
        );
    };
}

/// Structures: size, alignment, and offset and size of every field. Fields in `[]` are not in the headers.
macro_rules! layouts {
    ($($name:ident $([$($extra:ident),+])? { $($field:ident $(= $($path:ident).+)?),+ $(,)? })+) => {
        $(const _: () = {
            same_type!($name);
            $(same_field!($name, $field $(= $($path).+)?);)+
            let _ = || ours::$name { $($($extra: any(),)+)? $($field: any()),+ };
        };)+
    };
}

/// Unions, like structures.
macro_rules! unions {
    ($($name:ident { $($field:ident),+ $(,)? })+) => {
        $(const _: () = {
            same_type!($name);
            $(same_field!($name, $field);)+
        };)+
    };
}

/// Other types: size and alignment.
macro_rules! types {
    ($($name:ident),+ $(,)?) => {
        $(const _: () = { same_type!($name); };)+
    };
}

/// Tables of functions: size, and slot and signature of every function. Fields in `[]` are not functions.
/// An embedded table, as in `Derived: field Base { ... }`, has a list of its own.
macro_rules! tables {
    ($($name:ident $([$($field:ident),+])? $(: $embedded:ident $base:ident)? {
        $($slot:ident),* $(,)?
    })+) => {
        $(const _: () = {
            same_type!($name);
            $(assert!(
                field!(offset_of, ours::$name, $embedded) == 0
                    && field!(size_of_field, ours::$name, $embedded) == size_of::<theirs::$base>(),
                concat!(stringify!($name), ".", stringify!($embedded), ": offset or size")
            );)?
            $($(same_field!($name, $field);)+)?
            $(
                same_field!($name, $slot);
                same_signature!($name, $slot);
            )*
            let _ = || ours::$name {
                $($embedded: any::<ours::$base>(),)?
                $($($field: any(),)+)?
                $($slot: any(),)*
            };
        };)+
    };
}

/// Types of functions: signature.
macro_rules! callbacks {
    ($($name:ident),+ $(,)?) => {
        $(const _: () = assert!(
            same(<ours::$name as Signature>::SIZES, <theirs::$name as Signature>::SIZES),
            concat!(stringify!($name), ": parameters")
        );)+
    };
}

/// Imported functions: signature.
macro_rules! functions {
    ($($name:ident($($any:tt),*)),+ $(,)?) => {
        $(const _: () = assert!(
            same(
                signature_of_function(ours::$name as unsafe extern "system" fn($($any),*) -> _),
                signature_of_function(theirs::$name as unsafe extern "C" fn($($any),*) -> _)
            ),
            concat!(stringify!($name), ": parameters")
        );)+
    };
}

/// Numbers: value.
macro_rules! constants {
    ($($name:ident),+ $(,)?) => {
        $(const _: () = assert!(
            ours::$name as i64 == theirs::constants::$name,
            concat!(stringify!($name), ": value")
        );)+
    };
}

/// Identifiers: value.
macro_rules! guids {
    ($($name:ident),+ $(,)?) => {
        $(const _: () = assert!(
            same_guid(&ours::$name, &GUID::from_u128(theirs::guids::$name)),
            concat!(stringify!($name), ": value")
        );)+
    };
}

// mod.rs

types! { GUID }

const _: () = {
    let ours = GUID::from_u128(0x00112233_4455_6677_8899_aabbccddeeff);
    let other = GUID::from_u128(0x00112233_4455_6677_8899_aabbccddeefe);
    assert!(same_guid(&ours, &ours) && !same_guid(&ours, &other), "same_guid");
};

// ks.h, ksmedia.h, mmreg.h

layouts! {
    KSDATAFORMAT [Alignment] {
        FormatSize = __bindgen_anon_1.FormatSize,
        Flags = __bindgen_anon_1.Flags,
        SampleSize = __bindgen_anon_1.SampleSize,
        Reserved = __bindgen_anon_1.Reserved,
        MajorFormat = __bindgen_anon_1.MajorFormat,
        SubFormat = __bindgen_anon_1.SubFormat,
        Specifier = __bindgen_anon_1.Specifier,
    }
    KSDATARANGE_AUDIO {
        DataRange, MaximumChannels, MinimumBitsPerSample, MaximumBitsPerSample,
        MinimumSampleFrequency, MaximumSampleFrequency,
    }
    KSDATAFORMAT_WAVEFORMATEX { DataFormat, WaveFormatEx }
    KSDATAFORMAT_WAVEFORMATEXTENSIBLE { DataFormat, WaveFormatExt }
    WAVEFORMATEX {
        wFormatTag, nChannels, nSamplesPerSec, nAvgBytesPerSec, nBlockAlign, wBitsPerSample, cbSize,
    }
    WAVEFORMATEXTENSIBLE { Format, Samples, dwChannelMask, SubFormat }
    KSATTRIBUTE { Size, Flags, Attribute }
    KSATTRIBUTE_AUDIOSIGNALPROCESSING_MODE { AttributeHeader, SignalProcessingMode }
    KSATTRIBUTE_LIST { Count, Attributes }
    KSMULTIPLE_ITEM { Size, Count }
    KSPIN_DESCRIPTOR {
        InterfacesCount, Interfaces, MediumsCount, Mediums, DataRangesCount, DataRanges, DataFlow,
        Communication, Category, Name,
        ConstrainedDataRangesCount =
            __bindgen_anon_1.__bindgen_anon_1.ConstrainedDataRangesCount,
        ConstrainedDataRanges = __bindgen_anon_1.__bindgen_anon_1.ConstrainedDataRanges,
    }
    KSIDENTIFIER [Alignment] {
        Set = __bindgen_anon_1.__bindgen_anon_1.Set,
        Id = __bindgen_anon_1.__bindgen_anon_1.Id,
        Flags = __bindgen_anon_1.__bindgen_anon_1.Flags,
    }
    KSP_PIN { Property, PinId, Reserved = __bindgen_anon_1.Reserved }
    KSNODEPROPERTY { Property, NodeId, Reserved }
    KSPROPERTY_DESCRIPTION {
        AccessFlags, DescriptionSize, PropTypeSet, MembersListCount, Reserved,
    }
    KSCOMPONENTID { Manufacturer, Product, Component, Name, Version, Revision }
    KSTOPOLOGY_CONNECTION { FromNode, FromNodePin, ToNode, ToNodePin }
    KSAUDIO_POSITION { PlayOffset, WriteOffset }
    KSAUDIO_PRESENTATION_POSITION { u64PositionInBlocks, u64QPCPosition }
    KSRTAUDIO_HWLATENCY { FifoSize, ChipsetDelay, CodecDelay }
    KSRTAUDIO_HWREGISTER { Register, Width, Numerator, Denominator, Accuracy }
    KSJACK_DESCRIPTION {
        ChannelMapping, Color, ConnectionType, GeoLocation, GenLocation, PortConnection,
        IsConnected,
    }
    KSJACK_DESCRIPTION2 { DeviceStateInfo, JackCapabilities }
}

types! {
    KSDATARANGE, KSPROPERTY, KSPIN_DATAFLOW, KSPIN_COMMUNICATION, KSSTATE, EPcxConnectionType,
    EPcxGeoLocation, EPcxGenLocation, EPxcPortConnection,
}

const _: () = assert!(
    size_of::<ours::DataRangePointer>() == size_of::<theirs::PKSDATARANGE>(),
    "DataRangePointer: size"
);

constants! {
    WAVE_FORMAT_PCM, WAVE_FORMAT_EXTENSIBLE,
    SPEAKER_FRONT_LEFT, SPEAKER_FRONT_RIGHT, SPEAKER_FRONT_CENTER, SPEAKER_LOW_FREQUENCY,
    SPEAKER_BACK_LEFT, SPEAKER_BACK_RIGHT, SPEAKER_FRONT_LEFT_OF_CENTER,
    SPEAKER_FRONT_RIGHT_OF_CENTER, SPEAKER_BACK_CENTER, SPEAKER_SIDE_LEFT, SPEAKER_SIDE_RIGHT,
    KSAUDIO_SPEAKER_MONO, KSAUDIO_SPEAKER_STEREO, KSAUDIO_SPEAKER_QUAD, KSAUDIO_SPEAKER_5POINT1,
    KSAUDIO_SPEAKER_5POINT1_SURROUND, KSAUDIO_SPEAKER_7POINT1_SURROUND,
    KSDATAFORMAT_ATTRIBUTES, KSDATARANGE_ATTRIBUTES, KSDATARANGE_REQUIRED_ATTRIBUTES,
    KSATTRIBUTE_REQUIRED, KSFILTER_NODE,
    KSPIN_DATAFLOW_IN, KSPIN_DATAFLOW_OUT,
    KSPIN_COMMUNICATION_NONE, KSPIN_COMMUNICATION_SINK, KSPIN_COMMUNICATION_BRIDGE,
    KSSTATE_STOP, KSSTATE_ACQUIRE, KSSTATE_PAUSE, KSSTATE_RUN,
    KSSTREAM_HEADER_OPTIONSF_ENDOFSTREAM,
    KSPROPERTY_TYPE_GET, KSPROPERTY_TYPE_SET, KSPROPERTY_TYPE_BASICSUPPORT,
    KSPROPERTY_TYPE_TOPOLOGY,
    KSPROPERTY_PIN_PROPOSEDATAFORMAT, KSPROPERTY_PIN_PROPOSEDATAFORMAT2,
    KSPROPERTY_JACK_DESCRIPTION, KSPROPERTY_JACK_DESCRIPTION2,
    KSPROPERTY_AUDIO_CHANNEL_CONFIG, KSPROPERTY_AUDIO_CPU_RESOURCES,
    KSPROPERTY_GENERAL_COMPONENTID,
    KSAUDIO_CPU_RESOURCES_HOST_CPU, KSAUDIO_CPU_RESOURCES_NOT_HOST_CPU,
    eConnTypeUnknown, eConnType3Point5mm, eConnTypeOtherDigital,
    eGeoLocRear, eGeoLocFront, eGeoLocNotApplicable,
    eGenLocPrimaryBox, eGenLocSeparate, eGenLocOther,
    ePortConnJack, ePortConnIntegratedDevice, ePortConnUnknown,
    JACKDESC2_PRESENCE_DETECT_CAPABILITY, JACKDESC2_DYNAMIC_FORMAT_CHANGE_CAPABILITY,
}

guids! {
    KSCATEGORY_AUDIO, KSCATEGORY_RENDER, KSCATEGORY_REALTIME, KSCATEGORY_TOPOLOGY,
    KSNODETYPE_SPEAKER,
    KSDATAFORMAT_TYPE_AUDIO, KSDATAFORMAT_SUBTYPE_PCM, KSDATAFORMAT_SUBTYPE_ANALOG,
    KSDATAFORMAT_SPECIFIER_NONE, KSDATAFORMAT_SPECIFIER_WAVEFORMATEX,
    KSATTRIBUTEID_AUDIOSIGNALPROCESSING_MODE,
    AUDIO_SIGNALPROCESSINGMODE_DEFAULT, AUDIO_SIGNALPROCESSINGMODE_RAW,
    KSPROPSETID_Pin, KSPROPSETID_Jack, KSPROPSETID_Audio, KSPROPSETID_General,
    KSPROPTYPESETID_General,
}

// portcls.h, punknown.h

layouts! {
    DEVICE_DESCRIPTION {
        Version, Master, ScatterGather, DemandMode, AutoInitialize, Dma32BitAddresses, IgnoreCount, Reserved1,
        Dma64BitAddresses, BusNumber, DmaChannel, InterfaceType, DmaWidth, DmaSpeed, MaximumLength, DmaPort,
        DmaAddressWidth, DmaControllerInstance, DmaRequestLine, DeviceAddress,
    }
    PCFILTER_DESCRIPTOR {
        Version, AutomationTable, PinSize, PinCount, Pins, NodeSize, NodeCount, Nodes,
        ConnectionCount, Connections, CategoryCount, Categories,
    }
    PCPIN_DESCRIPTOR {
        MaxGlobalInstanceCount, MaxFilterInstanceCount, MinFilterInstanceCount, AutomationTable,
        KsPinDescriptor,
    }
    PCNODE_DESCRIPTOR { Flags, AutomationTable, Type, Name }
    PCAUTOMATION_TABLE {
        PropertyItemSize, PropertyCount, Properties, MethodItemSize, MethodCount, Methods,
        EventItemSize, EventCount, Events, Reserved,
    }
    PCPROPERTY_REQUEST {
        MajorTarget, MinorTarget, Node, PropertyItem, Verb, InstanceSize, Instance, ValueSize,
        Value, Irp,
    }
    PCSTREAMRESOURCE_DESCRIPTOR { Size, Flags, Pdo, Type, Resource }
    PCSTREAMRESOURCE_DESCRIPTOR_INTERRUPT { Version, Generic }
    IUnknown { lpVtbl }
    IResourceList { lpVtbl }
    IPort { lpVtbl }
    IPortTopology { lpVtbl }
    IPortWaveRT { lpVtbl }
    IPortWaveRTStream { lpVtbl }
    IUnregisterSubdevice { lpVtbl }
    IUnregisterPhysicalConnection { lpVtbl }
}

unions! {
    PCSTREAMRESOURCE_DESCRIPTOR_RESOURCE { Interrupt, Thread, ResourceSet }
}

types! { PCCONNECTION_DESCRIPTOR, PUNKNOWN, PCSTREAMRESOURCE, PcStreamResourceType }

tables! {
    PCPROPERTY_ITEM [Set, Id, Flags] { Handler }
    PCMETHOD_ITEM [Set, Id, Flags] { Handler }
    PCEVENT_ITEM [Set, Id, Flags] { Handler }
    IUnknownVtbl { QueryInterface, AddRef, Release }
    IPortVtbl: base IUnknownVtbl { Init, GetDeviceProperty, NewRegistryKey }
    IPortTopologyVtbl: base IPortVtbl {}
    IPortWaveRTVtbl: base IPortVtbl {}
    // The last one's signature is C++'s, which differs; see its documentation.
    IPortWaveRTStreamVtbl [GetPhysicalPageAddress]: base IUnknownVtbl {
        AllocatePagesForMdl, AllocateContiguousPagesForMdl, MapAllocatedPages, UnmapAllocatedPages,
        FreePagesFromMdl, GetPhysicalPagesCount,
    }
    IUnregisterSubdeviceVtbl: base IUnknownVtbl { UnregisterSubdevice }
    IUnregisterPhysicalConnectionVtbl: base IUnknownVtbl {
        UnregisterPhysicalConnection, UnregisterPhysicalConnectionToExternal,
        UnregisterPhysicalConnectionFromExternal,
    }
    IMiniportVtbl: base IUnknownVtbl { GetDescription, DataRangeIntersection }
    IMiniportTopologyVtbl: base IMiniportVtbl { Init }
    IMiniportWaveRTVtbl: base IMiniportVtbl { Init, NewStream, GetDeviceDescription }
    IMiniportAudioSignalProcessingVtbl: base IUnknownVtbl { GetModes }
    IMiniportWaveRTStreamVtbl: base IUnknownVtbl {
        SetFormat, SetState, GetPosition, AllocateAudioBuffer, FreeAudioBuffer, GetHWLatency,
        GetPositionRegister, GetClockRegister,
    }
    IMiniportWaveRTStreamNotificationVtbl: base IMiniportWaveRTStreamVtbl {
        AllocateBufferWithNotification, FreeBufferWithNotification, RegisterNotificationEvent,
        UnregisterNotificationEvent,
    }
    IMiniportWaveRTOutputStreamVtbl: base IUnknownVtbl {
        SetWritePacket, GetOutputStreamPresentationPosition, GetPacketCount,
    }
    IAdapterPowerManagementVtbl: base IUnknownVtbl {
        PowerChangeState, QueryPowerChangeState, QueryDeviceCapabilities,
    }
}

callbacks! { PCPFNPROPERTY_HANDLER, PCPFNSTARTDEVICE }

functions! {
    PcInitializeAdapterDriver(_, _, _),
    PcAddAdapterDevice(_, _, _, _, _),
    PcDispatchIrp(_, _),
    PcNewPort(_, _),
    PcRegisterSubdevice(_, _, _),
    PcRegisterPhysicalConnection(_, _, _, _, _),
    PcRegisterAdapterPowerManagement(_, _),
    PcUnregisterAdapterPowerManagement(_),
    PcGetPhysicalDeviceObject(_, _),
    PcAddStreamResource(_, _, _, _),
    PcRemoveStreamResource(_),
}

constants! {
    PORT_CLASS_DEVICE_EXTENSION_SIZE, PCFILTER_NODE, PCPROPERTY_ITEM_FLAG_GET,
    PCPROPERTY_ITEM_FLAG_SET, PCPROPERTY_ITEM_FLAG_BASICSUPPORT,
    ePcStreamResourceInterrupt, ePcStreamResourceThread, ePcStreamResourceSet,
}

guids! {
    IID_IUnknown, IID_IPort, IID_IPortTopology, IID_IPortWaveRT, IID_IPortWaveRTStream,
    IID_IUnregisterSubdevice, IID_IUnregisterPhysicalConnection,
    IID_IMiniport, IID_IMiniportTopology, IID_IMiniportWaveRT, IID_IMiniportAudioSignalProcessing,
    IID_IMiniportWaveRTStream, IID_IMiniportWaveRTStreamNotification,
    IID_IMiniportWaveRTOutputStream, IID_IAdapterPowerManagement, IID_IPinCount, IID_IPowerNotify,
    CLSID_PortTopology, CLSID_PortWaveRT,
}

// wsk.h, ws2def.h, ws2ipdef.h

layouts! {
    SOCKADDR { sa_family, sa_data }
    SOCKADDR_IN { sin_family, sin_port, sin_addr, sin_zero }
    SOCKADDR_IN6 { sin6_family, sin6_port, sin6_flowinfo, sin6_addr, Anonymous = __bindgen_anon_1 }
    IN_ADDR { S_un }
    IN6_ADDR { u }
    CMSGHDR { cmsg_len, cmsg_level, cmsg_type }
    ADDRINFOEXW {
        ai_flags, ai_family, ai_socktype, ai_protocol, ai_addrlen, ai_canonname, ai_addr, ai_blob,
        ai_bloblen, ai_provider, ai_next,
    }
    WSK_SOCKET { Dispatch }
    WSK_BUF { Mdl, Offset, Length }
    WSK_BUF_LIST { Next, Buffer }
    WSK_DATAGRAM_INDICATION { Next, Buffer, ControlInfo, ControlInfoLength, RemoteAddress }
    WSK_CLIENT_NPI { ClientContext, Dispatch }
    WSK_REGISTRATION {
        ReservedRegistrationState, ReservedRegistrationContext, ReservedRegistrationLock,
    }
    WSK_PROVIDER_NPI { Client, Dispatch }
}

unions! {
    SOCKADDR_INET { Ipv4, Ipv6, si_family }
}

types! { ADDRESS_FAMILY, PWSK_CLIENT, PWSK_SOCKET, WSK_CONTROL_SOCKET_TYPE }

tables! {
    WSK_CLIENT_DISPATCH [Version, Reserved] { WskClientEvent }
    WSK_PROVIDER_DISPATCH [Version, Reserved] {
        WskSocket, WskSocketConnect, WskControlClient, WskGetAddressInfo, WskFreeAddressInfo,
        WskGetNameInfo,
    }
    WSK_PROVIDER_BASIC_DISPATCH { WskControlSocket, WskCloseSocket }
    WSK_PROVIDER_DATAGRAM_DISPATCH: Basic WSK_PROVIDER_BASIC_DISPATCH {
        WskBind, WskSendTo, WskReceiveFrom, WskRelease, WskGetLocalAddress, WskSendMessages,
    }
}

functions! {
    WskRegister(_, _),
    WskCaptureProviderNPI(_, _, _),
    WskReleaseProviderNPI(_),
    WskDeregister(_),
}

constants! {
    AF_UNSPEC, AF_INET, AF_INET6, SOCK_DGRAM, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_UDP,
    SOL_SOCKET, SO_BROADCAST, SO_EXCLUSIVEADDRUSE, SO_REUSEADDR, SO_SNDBUF,
    IP_TTL, IP_MULTICAST_TTL, IP_MULTICAST_IF, IP_MULTICAST_LOOP, IP_UNICAST_IF,
    IPV6_UNICAST_HOPS, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_IF, IPV6_MULTICAST_LOOP, IPV6_UNICAST_IF, IPV6_V6ONLY,
    WskSetOption, WskGetOption, WskIoctl, WSK_FLAG_BASIC_SOCKET, WSK_FLAG_DATAGRAM_SOCKET,
    WSK_NO_WAIT, WSK_INFINITE_WAIT, WSK_TRANSPORT_LIST_QUERY, WSK_TRANSPORT_LIST_CHANGE,
}

const _: () = assert!(
    ours::MAKE_WSK_VERSION(1, 2) as i64 == theirs::constants::WSK_VERSION_1_2,
    "MAKE_WSK_VERSION: value"
);

// wdm.h, evntprov.h, evntrace.h

functions! {
    EtwSetInformation(_, _, _, _),
    MmMapIoSpaceEx(_, _, _),
}

constants! {
    EventProviderSetTraits, EVENT_CONTROL_CODE_ENABLE_PROVIDER, EVENT_CONTROL_CODE_DISABLE_PROVIDER,
    TRACE_LEVEL_ERROR, TRACE_LEVEL_WARNING, TRACE_LEVEL_INFORMATION,
}

// wdmguid.h

guids! {
    GUID_TARGET_DEVICE_QUERY_REMOVE, GUID_TARGET_DEVICE_REMOVE_CANCELLED,
    GUID_TARGET_DEVICE_REMOVE_COMPLETE,
}
