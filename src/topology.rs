//! The topology filter: the wave filter's pin on one side, the speaker jack on the other, nothing between.

use crate::abi::GUID;
use crate::abi::ks::{
    KSCATEGORY_AUDIO, KSCATEGORY_TOPOLOGY, KSJACK_DESCRIPTION, KSJACK_DESCRIPTION2, KSMULTIPLE_ITEM,
    KSNODETYPE_SPEAKER, KSPIN_COMMUNICATION_NONE, KSPIN_DATAFLOW_IN, KSPIN_DATAFLOW_OUT,
    KSPROPERTY_JACK_DESCRIPTION, KSPROPERTY_JACK_DESCRIPTION2, KSPROPERTY_TYPE_GET, KSPROPSETID_Jack,
    eConnTypeOtherDigital, eGenLocOther, eGeoLocNotApplicable, ePortConnUnknown,
};
use crate::abi::portcls::{
    IID_IMiniport, IID_IMiniportTopology, IMiniportTopologyVtbl, PCAUTOMATION_TABLE, PCCONNECTION_DESCRIPTOR,
    PCFILTER_DESCRIPTOR, PCPIN_DESCRIPTOR, PCPROPERTY_ITEM,
};
use crate::com::miniport::Miniport;
use crate::com::miniport_topology::MiniportTopologyTable;
use crate::com::property::{Answer, Property, pin_property};
use crate::com::{Class, ComObject, ObjectRef, Table};
use crate::kernel::{Result, Status};
use crate::wave::tables::{BRIDGE_RANGE_POINTERS, automation, filter, pin, through};

/// The pin that the wave filter is connected to.
pub const INPUT_PIN: u32 = 0;
/// The pin that stands for the speakers.
const SPEAKER_PIN: u32 = 1;

static FILTER: PCFILTER_DESCRIPTOR = filter(&AUTOMATION, &PINS, &CONNECTIONS, &CATEGORIES);

static CATEGORIES: [GUID; 2] = [KSCATEGORY_AUDIO, KSCATEGORY_TOPOLOGY];

static CONNECTIONS: [PCCONNECTION_DESCRIPTOR; 1] = [through(INPUT_PIN, SPEAKER_PIN)];

static PINS: [PCPIN_DESCRIPTOR; 2] = [
    pin(0, KSPIN_DATAFLOW_IN, KSPIN_COMMUNICATION_NONE, &BRIDGE_RANGE_POINTERS, &KSCATEGORY_AUDIO),
    pin(0, KSPIN_DATAFLOW_OUT, KSPIN_COMMUNICATION_NONE, &BRIDGE_RANGE_POINTERS, &KSNODETYPE_SPEAKER),
];

static PROPERTIES: [PCPROPERTY_ITEM; 2] = [pin_property::<Jack>(), pin_property::<JackCapabilities>()];
static AUTOMATION: PCAUTOMATION_TABLE = automation(&PROPERTIES);

/// `KSPROPERTY_JACK_DESCRIPTION`: how the one jack of the speaker pin looks.
///
/// Nothing can be seen or plugged in, and what leaves is digital; so there is no colour, no place, and no channel
/// mapping ([KSJACK_DESCRIPTION](https://learn.microsoft.com/windows-hardware/drivers/audio/ksjack-description)).
struct Jack;

impl Property for Jack {
    const SET: &'static GUID = &KSPROPSETID_Jack;
    const ID: u32 = KSPROPERTY_JACK_DESCRIPTION as u32;
    const ACCESS: u32 = KSPROPERTY_TYPE_GET;

    fn check_pin(pin: u32) -> Result {
        has_jack(pin)
    }

    fn get(answer: &mut Answer<'_>) -> Result {
        const SIZE: usize = size_of::<KSMULTIPLE_ITEM>() + size_of::<KSJACK_DESCRIPTION>();
        let value: [u32; SIZE / 4] = [
            SIZE as u32,
            1,
            0, // ChannelMapping
            0, // Color
            eConnTypeOtherDigital as u32,
            eGeoLocNotApplicable as u32,
            eGenLocOther as u32,
            ePortConnUnknown as u32,
            1, // IsConnected: always, without jack detection
        ];
        answer.write(value.map(u32::to_le_bytes).as_flattened())
    }
}

/// `KSPROPERTY_JACK_DESCRIPTION2`: the jack cannot tell whether something is plugged in, nor change its formats.
struct JackCapabilities;

impl Property for JackCapabilities {
    const SET: &'static GUID = &KSPROPSETID_Jack;
    const ID: u32 = KSPROPERTY_JACK_DESCRIPTION2 as u32;
    const ACCESS: u32 = KSPROPERTY_TYPE_GET;

    fn check_pin(pin: u32) -> Result {
        has_jack(pin)
    }

    fn get(answer: &mut Answer<'_>) -> Result {
        const SIZE: usize = size_of::<KSMULTIPLE_ITEM>() + size_of::<KSJACK_DESCRIPTION2>();
        // Then DeviceStateInfo and JackCapabilities.
        let value: [u32; SIZE / 4] = [SIZE as u32, 1, 0, 0];
        answer.write(value.map(u32::to_le_bytes).as_flattened())
    }
}

fn has_jack(pin: u32) -> Result {
    match pin {
        SPEAKER_PIN => Ok(()),
        INPUT_PIN => Err(Status::INVALID_DEVICE_REQUEST),
        _ => Err(Status::INVALID_PARAMETER),
    }
}

/// The miniport.
pub struct TopologyMiniport {
    /// The pool has no blocks of size zero, and the object would not be one anyway.
    _private: (),
}

static TOPOLOGY_TABLE: IMiniportTopologyVtbl = MiniportTopologyTable::<TopologyMiniport, 0>::TABLE;

#[expect(unsafe_code, reason = "says which tables an object has")]
// SAFETY: the one table is that of IMiniportTopology, which begins with IMiniport, and its thunks are those of slot 0.
unsafe impl Class for TopologyMiniport {
    type Tables = [Table; 1];
    const TABLES: Self::Tables = [Table::new(&TOPOLOGY_TABLE)];
    const INTERFACES: &'static [(GUID, usize)] = &[(IID_IMiniport, 0), (IID_IMiniportTopology, 0)];
}

impl TopologyMiniport {
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn try_new() -> Result<ObjectRef<Self>> {
        ComObject::try_new(Self { _private: () })
    }
}

impl Miniport for TopologyMiniport {
    fn description(&self) -> &'static PCFILTER_DESCRIPTOR {
        &FILTER
    }

    fn intersect(&self, _: u32, _: &[u8], _: &[u8], _: &mut [u8], _: &mut u32) -> Result {
        Err(Status::NOT_IMPLEMENTED)
    }
}
