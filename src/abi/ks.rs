//! Kernel streaming: formats, data ranges, pins, properties and jacks.
//!
//! Mirrors `ks.h`, `ksmedia.h` and `mmreg.h`.
//!
//! In C, some of these structures are a union of their fields with a 64-bit integer that only raises their alignment.
//! Here the integer is a field without size, `Alignment`, so that no field needs `unsafe` to be read.
#![expect(unsafe_code, reason = "structures with raw pointers are shared between threads")]

use wdk_sys::{LONGLONG, ULONG, USHORT};

use super::GUID;

// Interfaces and categories of filters.
pub use windows_sys::Win32::Media::KernelStreaming::{
    KSCATEGORY_AUDIO, KSCATEGORY_REALTIME, KSCATEGORY_RENDER, KSCATEGORY_TOPOLOGY,
};

// Kinds of endpoints.
pub use windows_sys::Win32::Media::KernelStreaming::KSNODETYPE_SPEAKER;

// Formats.
pub use windows_sys::Win32::Media::KernelStreaming::{
    KSDATAFORMAT_SPECIFIER_NONE, KSDATAFORMAT_SPECIFIER_WAVEFORMATEX, KSDATAFORMAT_SUBTYPE_ANALOG,
    KSDATAFORMAT_SUBTYPE_PCM, KSDATAFORMAT_TYPE_AUDIO, WAVE_FORMAT_EXTENSIBLE,
};

pub use windows_sys::Win32::Media::Audio::{WAVE_FORMAT_PCM, WAVEFORMATEX};

// Positions of speakers in a channel mask.
pub use windows_sys::Win32::Media::KernelStreaming::{
    SPEAKER_BACK_CENTER, SPEAKER_BACK_LEFT, SPEAKER_BACK_RIGHT, SPEAKER_FRONT_CENTER, SPEAKER_FRONT_LEFT,
    SPEAKER_FRONT_LEFT_OF_CENTER, SPEAKER_FRONT_RIGHT, SPEAKER_FRONT_RIGHT_OF_CENTER, SPEAKER_LOW_FREQUENCY,
    SPEAKER_SIDE_LEFT, SPEAKER_SIDE_RIGHT,
};

// Attributes of formats, and signal processing modes.
pub use windows_sys::Win32::Media::KernelStreaming::{
    AUDIO_SIGNALPROCESSINGMODE_DEFAULT, AUDIO_SIGNALPROCESSINGMODE_RAW, KSATTRIBUTE,
    KSATTRIBUTE_AUDIOSIGNALPROCESSING_MODE, KSATTRIBUTEID_AUDIOSIGNALPROCESSING_MODE, KSMULTIPLE_ITEM,
};

// Pins, states and positions.
pub use windows_sys::Win32::Media::KernelStreaming::{
    KSAUDIO_POSITION, KSAUDIO_PRESENTATION_POSITION, KSPIN_COMMUNICATION, KSPIN_COMMUNICATION_BRIDGE,
    KSPIN_COMMUNICATION_NONE, KSPIN_COMMUNICATION_SINK, KSPIN_DATAFLOW, KSPIN_DATAFLOW_IN,
    KSPIN_DATAFLOW_OUT, KSRTAUDIO_HWLATENCY, KSRTAUDIO_HWREGISTER, KSSTATE, KSSTATE_ACQUIRE, KSSTATE_PAUSE,
    KSSTATE_RUN, KSSTATE_STOP, KSSTREAM_HEADER_OPTIONSF_ENDOFSTREAM, KSTOPOLOGY_CONNECTION,
};

// Property sets, their properties and the verbs of a request.
pub use windows_sys::Win32::Media::KernelStreaming::{
    KSAUDIO_CPU_RESOURCES_HOST_CPU, KSAUDIO_CPU_RESOURCES_NOT_HOST_CPU, KSPROPERTY_AUDIO_CHANNEL_CONFIG,
    KSPROPERTY_AUDIO_CPU_RESOURCES, KSPROPERTY_GENERAL_COMPONENTID, KSPROPERTY_JACK_DESCRIPTION,
    KSPROPERTY_JACK_DESCRIPTION2, KSPROPERTY_PIN_PROPOSEDATAFORMAT, KSPROPERTY_PIN_PROPOSEDATAFORMAT2,
    KSPROPERTY_TYPE_BASICSUPPORT, KSPROPERTY_TYPE_GET, KSPROPERTY_TYPE_SET, KSPROPERTY_TYPE_TOPOLOGY,
    KSPROPSETID_Audio, KSPROPSETID_General, KSPROPSETID_Jack, KSPROPSETID_Pin, KSPROPTYPESETID_General,
};

// Jacks.
pub use windows_sys::Win32::Media::KernelStreaming::{
    EPcxConnectionType, EPcxGenLocation, EPcxGeoLocation, EPxcPortConnection,
    JACKDESC2_DYNAMIC_FORMAT_CHANGE_CAPABILITY, JACKDESC2_PRESENCE_DETECT_CAPABILITY, KSJACK_DESCRIPTION,
    KSJACK_DESCRIPTION2, eConnType3Point5mm, eConnTypeOtherDigital, eConnTypeUnknown, eGenLocOther,
    eGenLocPrimaryBox, eGenLocSeparate, eGeoLocFront, eGeoLocNotApplicable, eGeoLocRear,
    ePortConnIntegratedDevice, ePortConnJack, ePortConnUnknown,
};

/// The format of a stream; a structure that `Specifier` names follows within `FormatSize` bytes.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct KSDATAFORMAT {
    /// Raises the alignment to 8 bytes.
    pub Alignment: [LONGLONG; 0],
    /// Bytes of this structure and the one that follows.
    pub FormatSize: ULONG,
    /// [`KSDATAFORMAT_ATTRIBUTES`] or 0.
    pub Flags: ULONG,
    /// Bytes of a sample, or 0.
    pub SampleSize: ULONG,
    /// Zero.
    pub Reserved: ULONG,
    /// What kind of data it is.
    pub MajorFormat: GUID,
    /// How the data is coded.
    pub SubFormat: GUID,
    /// Which structure follows.
    pub Specifier: GUID,
}

/// A range of formats that a pin accepts; it begins like a format.
pub type KSDATARANGE = KSDATAFORMAT;

/// A range of audio formats.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct KSDATARANGE_AUDIO {
    /// The generic part.
    pub DataRange: KSDATARANGE,
    /// Most channels.
    pub MaximumChannels: ULONG,
    /// Fewest bits per sample.
    pub MinimumBitsPerSample: ULONG,
    /// Most bits per sample.
    pub MaximumBitsPerSample: ULONG,
    /// Lowest rate in Hz.
    pub MinimumSampleFrequency: ULONG,
    /// Highest rate in Hz.
    pub MaximumSampleFrequency: ULONG,
}

/// A format that is known to end with a [`WAVEFORMATEX`]: 82 bytes, without padding.
#[repr(C, packed(1))]
#[derive(Clone, Copy)]
pub struct KSDATAFORMAT_WAVEFORMATEX {
    /// The generic part.
    pub DataFormat: KSDATAFORMAT,
    /// The audio format.
    pub WaveFormatEx: WAVEFORMATEX,
}

/// A [`WAVEFORMATEX`] that also tells the valid bits, the speakers and the coding.
#[repr(C, packed(1))]
#[derive(Clone, Copy)]
pub struct WAVEFORMATEXTENSIBLE {
    /// The fixed part; its `cbSize` is at least 22.
    pub Format: WAVEFORMATEX,
    /// The member `wValidBitsPerSample` of the C union `Samples`, which is the one that PCM uses.
    pub Samples: USHORT,
    /// Which speakers the channels belong to.
    pub dwChannelMask: ULONG,
    /// How the samples are coded.
    pub SubFormat: GUID,
}

/// A format that is known to end with a [`WAVEFORMATEXTENSIBLE`]: 104 bytes.
#[repr(C, packed(1))]
#[derive(Clone, Copy)]
pub struct KSDATAFORMAT_WAVEFORMATEXTENSIBLE {
    /// The generic part.
    pub DataFormat: KSDATAFORMAT,
    /// The audio format.
    pub WaveFormatExt: WAVEFORMATEXTENSIBLE,
}

/// The attributes that go with the data range before it in a pin's array of ranges.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct KSATTRIBUTE_LIST {
    /// Number of attributes.
    pub Count: ULONG,
    /// Array of pointers to the attributes.
    pub Attributes: *const &'static KSATTRIBUTE,
}

// SAFETY: reading the pointer is `unsafe` and the structure is never written: threads may share it.
unsafe impl Sync for KSATTRIBUTE_LIST {}

/// An element of a pin's array of data ranges: a range, or the attribute list of the range before it.
///
/// Not a C type; there the array holds pointers to [`KSDATARANGE`], and attribute lists are cast.
#[repr(transparent)]
#[derive(Clone, Copy)]
pub struct DataRangePointer(*const KSDATARANGE);

// SAFETY: only `new`, `audio` and `attributes` make the value, from shared references to what is `Sync`.
unsafe impl Sync for DataRangePointer {}

impl DataRangePointer {
    /// A range without an audio part.
    #[must_use]
    pub const fn new(range: &'static KSDATARANGE) -> Self {
        Self(range)
    }

    /// A range of audio formats.
    #[must_use]
    pub const fn audio(range: &'static KSDATARANGE_AUDIO) -> Self {
        Self(core::ptr::from_ref(range).cast())
    }

    /// The attributes of the preceding range, whose flags must include [`KSDATARANGE_ATTRIBUTES`].
    #[must_use]
    pub const fn attributes(list: &'static KSATTRIBUTE_LIST) -> Self {
        Self(core::ptr::from_ref(list).cast())
    }
}

/// What a pin is: its formats, direction and purpose.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct KSPIN_DESCRIPTOR {
    /// Number of interfaces; 0 stands for the standard one.
    pub InterfacesCount: ULONG,
    /// Array of interfaces; PortCls ignores it.
    pub Interfaces: *const KSIDENTIFIER,
    /// Number of mediums; 0 stands for the standard one.
    pub MediumsCount: ULONG,
    /// Array of mediums.
    pub Mediums: *const KSIDENTIFIER,
    /// Number of elements of `DataRanges`, attribute lists included.
    pub DataRangesCount: ULONG,
    /// Array of pointers to the data ranges and their attribute lists.
    pub DataRanges: *const DataRangePointer,
    /// Direction, seen from the filter.
    pub DataFlow: KSPIN_DATAFLOW,
    /// Who may connect to the pin.
    pub Communication: KSPIN_COMMUNICATION,
    /// What the pin is for; may be null.
    pub Category: *const GUID,
    /// Its name; null to take the category's.
    pub Name: *const GUID,
    /// Number of elements of `ConstrainedDataRanges`: zero.
    pub ConstrainedDataRangesCount: ULONG,
    /// Null. In C this and the field before are in a union with a 64-bit `Reserved`.
    pub ConstrainedDataRanges: *const DataRangePointer,
}

// SAFETY: reading the pointers is `unsafe` and the structure is never written: threads may share it.
unsafe impl Sync for KSPIN_DESCRIPTOR {}

/// Identifies a property, method, event, interface or medium.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct KSIDENTIFIER {
    /// Raises the alignment to 8 bytes.
    pub Alignment: [LONGLONG; 0],
    /// The set it belongs to.
    pub Set: GUID,
    /// Its number in the set.
    pub Id: ULONG,
    /// The verb of a request.
    pub Flags: ULONG,
}

/// The header of a property request.
pub type KSPROPERTY = KSIDENTIFIER;

/// The request for a property of a pin.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct KSP_PIN {
    /// The property.
    pub Property: KSPROPERTY,
    /// The pin.
    pub PinId: ULONG,
    /// Zero; in C a union of `Reserved` and `Flags`.
    pub Reserved: ULONG,
}

/// The request for a property of a node.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct KSNODEPROPERTY {
    /// The property.
    pub Property: KSPROPERTY,
    /// The node.
    pub NodeId: ULONG,
    /// Zero.
    pub Reserved: ULONG,
}

/// The long answer to a basic support request: what may be done with a property and how its value looks.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct KSPROPERTY_DESCRIPTION {
    /// The verbs that the property supports.
    pub AccessFlags: ULONG,
    /// Bytes of the whole description, members included.
    pub DescriptionSize: ULONG,
    /// Set and number of the value's type.
    pub PropTypeSet: KSIDENTIFIER,
    /// Number of member lists that follow.
    pub MembersListCount: ULONG,
    /// Zero.
    pub Reserved: ULONG,
}

/// The answer to a component identifier request.
pub use windows_sys::Win32::Media::KernelStreaming::KSCOMPONENTID;

/// In a connection: the filter itself instead of a node.
pub const KSFILTER_NODE: ULONG = ULONG::MAX;
/// In a format's flags: an attribute list follows it.
pub const KSDATAFORMAT_ATTRIBUTES: ULONG = 1 << 1;
/// In a range's flags: the next element of the array is its attribute list.
pub const KSDATARANGE_ATTRIBUTES: ULONG = 1 << 1;
/// In a range's flags: a format must have the attributes.
pub const KSDATARANGE_REQUIRED_ATTRIBUTES: ULONG = 1 << 2;
/// In an attribute's flags: a format must have it.
pub const KSATTRIBUTE_REQUIRED: ULONG = 1;

/// Channel mask of mono.
pub const KSAUDIO_SPEAKER_MONO: ULONG = SPEAKER_FRONT_CENTER;
/// Channel mask of stereo.
pub const KSAUDIO_SPEAKER_STEREO: ULONG = SPEAKER_FRONT_LEFT | SPEAKER_FRONT_RIGHT;
/// Channel mask of four corners.
pub const KSAUDIO_SPEAKER_QUAD: ULONG = KSAUDIO_SPEAKER_STEREO | SPEAKER_BACK_LEFT | SPEAKER_BACK_RIGHT;
/// Channel mask of 5.1 with the surround speakers behind.
pub const KSAUDIO_SPEAKER_5POINT1: ULONG =
    KSAUDIO_SPEAKER_QUAD | SPEAKER_FRONT_CENTER | SPEAKER_LOW_FREQUENCY;
/// Channel mask of 5.1 with the surround speakers at the sides.
pub const KSAUDIO_SPEAKER_5POINT1_SURROUND: ULONG = KSAUDIO_SPEAKER_STEREO
    | SPEAKER_FRONT_CENTER
    | SPEAKER_LOW_FREQUENCY
    | SPEAKER_SIDE_LEFT
    | SPEAKER_SIDE_RIGHT;
/// Channel mask of 7.1 with speakers at the sides and behind.
pub const KSAUDIO_SPEAKER_7POINT1_SURROUND: ULONG =
    KSAUDIO_SPEAKER_5POINT1 | SPEAKER_SIDE_LEFT | SPEAKER_SIDE_RIGHT;
