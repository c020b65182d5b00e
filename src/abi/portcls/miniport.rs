//! Interfaces that the driver implements: miniports, the stream, and power management.

use core::ffi::c_void;

use wdk_sys::{
    BOOLEAN, DEVICE_CAPABILITIES, INTERFACE_TYPE, MEMORY_CACHING_TYPE, NTSTATUS, PHYSICAL_ADDRESS, PKEVENT,
    PMDL, POWER_STATE, ULONG,
};

use super::{
    IPortTopology, IPortWaveRT, IPortWaveRTStream, IResourceList, IUnknownVtbl, PCFILTER_DESCRIPTOR, PUNKNOWN,
};
use crate::abi::{
    GUID,
    ks::{
        KSAUDIO_POSITION, KSAUDIO_PRESENTATION_POSITION, KSDATAFORMAT, KSDATARANGE, KSRTAUDIO_HWLATENCY,
        KSRTAUDIO_HWREGISTER, KSSTATE,
    },
};

/// Identifier of `IMiniport`.
pub const IID_IMiniport: GUID = GUID::from_u128(0xb4c90a24_5791_11d0_86f9_00a0c911b544);

/// Table of `IMiniport`: what all miniports have.
#[repr(C)]
pub struct IMiniportVtbl {
    /// Slots 0 to 2.
    pub base: IUnknownVtbl,
    /// Gives the filter's description, which must outlive the miniport. PASSIVE.
    pub GetDescription:
        unsafe extern "system" fn(this: *mut c_void, Description: *mut *mut PCFILTER_DESCRIPTOR) -> NTSTATUS,
    /// Picks the best format in which two ranges overlap. PASSIVE.
    pub DataRangeIntersection: unsafe extern "system" fn(
        this: *mut c_void,
        PinId: ULONG,
        DataRange: *mut KSDATARANGE,
        MatchingDataRange: *mut KSDATARANGE,
        OutputBufferLength: ULONG,
        ResultantFormat: *mut c_void,
        ResultantFormatLength: *mut ULONG,
    ) -> NTSTATUS,
}

/// Identifier of `IMiniportTopology`.
pub const IID_IMiniportTopology: GUID = GUID::from_u128(0xb4c90a31_5791_11d0_86f9_00a0c911b544);

/// Table of `IMiniportTopology`.
#[repr(C)]
pub struct IMiniportTopologyVtbl {
    /// Slots 0 to 4.
    pub base: IMiniportVtbl,
    /// Prepares the miniport. PASSIVE.
    pub Init: unsafe extern "system" fn(
        this: *mut c_void,
        UnknownAdapter: PUNKNOWN,
        ResourceList: *mut IResourceList,
        Port: *mut IPortTopology,
    ) -> NTSTATUS,
}

/// Identifier of `IMiniportWaveRT`.
pub const IID_IMiniportWaveRT: GUID = GUID::from_u128(0x0f9fc4d6_6061_4f3c_b1fc_075e35f7960a);

/// Table of `IMiniportWaveRT`.
#[repr(C)]
pub struct IMiniportWaveRTVtbl {
    /// Slots 0 to 4.
    pub base: IMiniportVtbl,
    /// Prepares the miniport. PASSIVE.
    pub Init: unsafe extern "system" fn(
        this: *mut c_void,
        UnknownAdapter: PUNKNOWN,
        ResourceList: *mut IResourceList,
        Port: *mut IPortWaveRT,
    ) -> NTSTATUS,
    /// Makes a stream (an `IMiniportWaveRTStream`) and gives the caller a reference to it. PASSIVE.
    pub NewStream: unsafe extern "system" fn(
        this: *mut c_void,
        Stream: *mut *mut c_void,
        PortStream: *mut IPortWaveRTStream,
        Pin: ULONG,
        Capture: BOOLEAN,
        DataFormat: *mut KSDATAFORMAT,
    ) -> NTSTATUS,
    /// Tells how the device does DMA. PASSIVE.
    pub GetDeviceDescription:
        unsafe extern "system" fn(this: *mut c_void, DeviceDescription: *mut DEVICE_DESCRIPTION) -> NTSTATUS,
}

/// How a device does DMA, from `wdm.h`; declared here because the packaged headers have an older, shorter one.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct DEVICE_DESCRIPTION {
    /// Which of the fields are there; 0 for those that a miniport fills.
    pub Version: ULONG,
    /// Whether the device is a bus master.
    pub Master: BOOLEAN,
    /// Whether it can scatter and gather.
    pub ScatterGather: BOOLEAN,
    /// Only for the system's DMA controller.
    pub DemandMode: BOOLEAN,
    /// Only for the system's DMA controller.
    pub AutoInitialize: BOOLEAN,
    /// Whether it reaches all addresses of 32 bits.
    pub Dma32BitAddresses: BOOLEAN,
    /// Only for the system's DMA controller.
    pub IgnoreCount: BOOLEAN,
    /// False.
    pub Reserved1: BOOLEAN,
    /// Whether it reaches all addresses of 64 bits.
    pub Dma64BitAddresses: BOOLEAN,
    /// Not used by WDM drivers.
    pub BusNumber: ULONG,
    /// Only for the system's DMA controller.
    pub DmaChannel: ULONG,
    /// The bus it is on.
    pub InterfaceType: INTERFACE_TYPE,
    /// Only for the system's DMA controller; an enumeration.
    pub DmaWidth: i32,
    /// Only for the system's DMA controller; an enumeration.
    pub DmaSpeed: i32,
    /// Most bytes of a transfer.
    pub MaximumLength: ULONG,
    /// Not used any more.
    pub DmaPort: ULONG,
    /// For version 3.
    pub DmaAddressWidth: ULONG,
    /// For version 3.
    pub DmaControllerInstance: ULONG,
    /// For version 3.
    pub DmaRequestLine: ULONG,
    /// For version 3.
    pub DeviceAddress: PHYSICAL_ADDRESS,
}

/// Identifier of `IMiniportAudioSignalProcessing`.
pub const IID_IMiniportAudioSignalProcessing: GUID = GUID::from_u128(0xb532678c_be50_472d_9973_8a6f16594989);

/// Table of `IMiniportAudioSignalProcessing`.
#[repr(C)]
pub struct IMiniportAudioSignalProcessingVtbl {
    /// Slots 0 to 2.
    pub base: IUnknownVtbl,
    /// Lists the signal processing modes of a pin; a null array asks for their number. PASSIVE.
    pub GetModes: unsafe extern "system" fn(
        this: *mut c_void,
        Pin: ULONG,
        SignalProcessingModes: *mut GUID,
        NumSignalProcessingModes: *mut ULONG,
    ) -> NTSTATUS,
}

/// Identifier of `IMiniportWaveRTStream`.
pub const IID_IMiniportWaveRTStream: GUID = GUID::from_u128(0x000ac9ab_faab_4f3d_9455_6ff8306a74a0);

/// Table of `IMiniportWaveRTStream`.
#[repr(C)]
pub struct IMiniportWaveRTStreamVtbl {
    /// Slots 0 to 2.
    pub base: IUnknownVtbl,
    /// Changes the format of an existing stream. PASSIVE.
    pub SetFormat: unsafe extern "system" fn(this: *mut c_void, DataFormat: *mut KSDATAFORMAT) -> NTSTATUS,
    /// Stops, pauses or runs the stream. PASSIVE.
    pub SetState: unsafe extern "system" fn(this: *mut c_void, State: KSSTATE) -> NTSTATUS,
    /// Tells which byte of the cyclic buffer is being played. PASSIVE or DISPATCH.
    pub GetPosition:
        unsafe extern "system" fn(this: *mut c_void, Position: *mut KSAUDIO_POSITION) -> NTSTATUS,
    /// Allocates the cyclic buffer. PASSIVE.
    pub AllocateAudioBuffer: unsafe extern "system" fn(
        this: *mut c_void,
        RequestedSize: ULONG,
        AudioBufferMdl: *mut PMDL,
        ActualSize: *mut ULONG,
        OffsetFromFirstPage: *mut ULONG,
        CacheType: *mut MEMORY_CACHING_TYPE,
    ) -> NTSTATUS,
    /// Frees what `AllocateAudioBuffer` allocated. PASSIVE.
    pub FreeAudioBuffer:
        unsafe extern "system" fn(this: *mut c_void, AudioBufferMdl: PMDL, BufferSize: ULONG),
    /// Tells the delays of the hardware. PASSIVE.
    pub GetHWLatency: unsafe extern "system" fn(this: *mut c_void, hwLatency: *mut KSRTAUDIO_HWLATENCY),
    /// Gives the address of a position register, if there is one. PASSIVE.
    pub GetPositionRegister:
        unsafe extern "system" fn(this: *mut c_void, Register: *mut KSRTAUDIO_HWREGISTER) -> NTSTATUS,
    /// Gives the address of a clock register, if there is one. PASSIVE.
    pub GetClockRegister:
        unsafe extern "system" fn(this: *mut c_void, Register: *mut KSRTAUDIO_HWREGISTER) -> NTSTATUS,
}

/// Identifier of `IMiniportWaveRTStreamNotification`.
pub const IID_IMiniportWaveRTStreamNotification: GUID =
    GUID::from_u128(0x23759128_96f1_423b_ab4d_81635bcf8ca1);

/// Table of `IMiniportWaveRTStreamNotification`; it serves `IMiniportWaveRTStream` too.
#[repr(C)]
pub struct IMiniportWaveRTStreamNotificationVtbl {
    /// Slots 0 to 10.
    pub base: IMiniportWaveRTStreamVtbl,
    /// Allocates a cyclic buffer of one or two packets whose ends are signalled. PASSIVE.
    pub AllocateBufferWithNotification: unsafe extern "system" fn(
        this: *mut c_void,
        NotificationCount: ULONG,
        RequestedSize: ULONG,
        AudioBufferMdl: *mut PMDL,
        ActualSize: *mut ULONG,
        OffsetFromFirstPage: *mut ULONG,
        CacheType: *mut MEMORY_CACHING_TYPE,
    ) -> NTSTATUS,
    /// Frees what `AllocateBufferWithNotification` allocated. PASSIVE.
    pub FreeBufferWithNotification:
        unsafe extern "system" fn(this: *mut c_void, AudioBufferMdl: PMDL, BufferSize: ULONG),
    /// Adds an event to signal at the end of each packet. PASSIVE.
    pub RegisterNotificationEvent:
        unsafe extern "system" fn(this: *mut c_void, NotificationEvent: PKEVENT) -> NTSTATUS,
    /// Removes an event; afterwards it is not touched any more. PASSIVE.
    pub UnregisterNotificationEvent:
        unsafe extern "system" fn(this: *mut c_void, NotificationEvent: PKEVENT) -> NTSTATUS,
}

/// Identifier of `IMiniportWaveRTOutputStream`.
pub const IID_IMiniportWaveRTOutputStream: GUID = GUID::from_u128(0x831fc7bc_6347_44bc_b47b_c0c657b5bf73);

/// Table of `IMiniportWaveRTOutputStream`.
#[repr(C)]
pub struct IMiniportWaveRTOutputStreamVtbl {
    /// Slots 0 to 2.
    pub base: IUnknownVtbl,
    /// Tells that the OS has written a packet. PASSIVE.
    pub SetWritePacket: unsafe extern "system" fn(
        this: *mut c_void,
        PacketNumber: ULONG,
        Flags: ULONG,
        EosPacketLength: ULONG,
    ) -> NTSTATUS,
    /// Gives the frame that is being heard and the counter at that moment. PASSIVE.
    pub GetOutputStreamPresentationPosition: unsafe extern "system" fn(
        this: *mut c_void,
        pPresentationPosition: *mut KSAUDIO_PRESENTATION_POSITION,
    ) -> NTSTATUS,
    /// Gives the number of packets completely played. PASSIVE.
    pub GetPacketCount: unsafe extern "system" fn(this: *mut c_void, pPacketCount: *mut ULONG) -> NTSTATUS,
}

/// Identifier of `IAdapterPowerManagement`.
pub const IID_IAdapterPowerManagement: GUID = GUID::from_u128(0x793417d0_35fe_11d1_ad08_00a0c90ab1b0);

/// Table of `IAdapterPowerManagement`.
#[repr(C)]
pub struct IAdapterPowerManagementVtbl {
    /// Slots 0 to 2.
    pub base: IUnknownVtbl,
    /// Tells that the device's power state is changing. PASSIVE.
    pub PowerChangeState: unsafe extern "system" fn(this: *mut c_void, NewState: POWER_STATE),
    /// Asks whether the device can change to a power state. PASSIVE.
    pub QueryPowerChangeState:
        unsafe extern "system" fn(this: *mut c_void, NewStateQuery: POWER_STATE) -> NTSTATUS,
    /// Lets the driver adjust the device's capabilities. PASSIVE.
    pub QueryDeviceCapabilities:
        unsafe extern "system" fn(this: *mut c_void, PowerDeviceCaps: *mut DEVICE_CAPABILITIES) -> NTSTATUS,
}

/// Identifier of `IPinCount`, which PortCls may ask a miniport for; not implemented.
pub const IID_IPinCount: GUID = GUID::from_u128(0x5dadb7dc_a2cb_4540_a4a8_425ee4ae9051);
/// Identifier of `IPowerNotify`, which PortCls may ask a miniport for; not implemented.
pub const IID_IPowerNotify: GUID = GUID::from_u128(0x3dd648b8_969f_11d1_95a9_00c04fb925d3);
