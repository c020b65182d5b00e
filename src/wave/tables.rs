//! The wave filter as PortCls sees it: pins, data ranges, connections, properties. All of it static.

use crate::abi::GUID;
use crate::abi::ks::{
    DataRangePointer, KSCATEGORY_AUDIO, KSCATEGORY_REALTIME, KSCATEGORY_RENDER, KSDATAFORMAT,
    KSDATAFORMAT_SPECIFIER_NONE, KSDATAFORMAT_SUBTYPE_ANALOG, KSDATAFORMAT_TYPE_AUDIO, KSPIN_COMMUNICATION,
    KSPIN_COMMUNICATION_NONE, KSPIN_COMMUNICATION_SINK, KSPIN_DATAFLOW, KSPIN_DATAFLOW_IN,
    KSPIN_DATAFLOW_OUT, KSPIN_DESCRIPTOR, KSPROPERTY_PIN_PROPOSEDATAFORMAT, KSPROPERTY_TYPE_SET,
    KSPROPSETID_Pin,
};
use crate::abi::portcls::{
    PCAUTOMATION_TABLE, PCCONNECTION_DESCRIPTOR, PCEVENT_ITEM, PCFILTER_DESCRIPTOR, PCFILTER_NODE,
    PCMETHOD_ITEM, PCNODE_DESCRIPTOR, PCPIN_DESCRIPTOR, PCPROPERTY_ITEM,
};
use crate::com::property::{Property, pin_property};
use crate::kernel::{Result, Status};
use crate::wave::format;
use crate::wave::ranges::RENDER_RANGES;

/// The pin that the audio engine plays to.
pub const RENDER_PIN: u32 = 0;
/// The pin that leads to the topology filter.
pub const BRIDGE_PIN: u32 = 1;

/// The filter.
pub static FILTER: PCFILTER_DESCRIPTOR = filter(&AUTOMATION, &PINS, &CONNECTIONS, &CATEGORIES);

static CATEGORIES: [GUID; 3] = [KSCATEGORY_AUDIO, KSCATEGORY_RENDER, KSCATEGORY_REALTIME];

static CONNECTIONS: [PCCONNECTION_DESCRIPTOR; 1] = [through(RENDER_PIN, BRIDGE_PIN)];

static PINS: [PCPIN_DESCRIPTOR; 2] = [
    pin(1, KSPIN_DATAFLOW_IN, KSPIN_COMMUNICATION_SINK, &RENDER_RANGES, &KSCATEGORY_AUDIO),
    pin(0, KSPIN_DATAFLOW_OUT, KSPIN_COMMUNICATION_NONE, &BRIDGE_RANGE_POINTERS, &KSCATEGORY_AUDIO),
];

static BRIDGE_RANGE: KSDATAFORMAT = KSDATAFORMAT {
    Alignment: [],
    FormatSize: size_of::<KSDATAFORMAT>() as u32,
    Flags: 0,
    SampleSize: 0,
    Reserved: 0,
    MajorFormat: KSDATAFORMAT_TYPE_AUDIO,
    SubFormat: KSDATAFORMAT_SUBTYPE_ANALOG,
    Specifier: KSDATAFORMAT_SPECIFIER_NONE,
};
/// What a bridge pin carries: the analogue signal of a sound card that would have one.
pub static BRIDGE_RANGE_POINTERS: [DataRangePointer; 1] = [DataRangePointer::new(&BRIDGE_RANGE)];

static PROPERTIES: [PCPROPERTY_ITEM; 1] = [pin_property::<ProposedFormat>()];
static AUTOMATION: PCAUTOMATION_TABLE = automation(&PROPERTIES);

/// `KSPROPERTY_PIN_PROPOSEDATAFORMAT`: Windows asks whether a format would be accepted.
struct ProposedFormat;

impl Property for ProposedFormat {
    const SET: &'static GUID = &KSPROPSETID_Pin;
    const ID: u32 = KSPROPERTY_PIN_PROPOSEDATAFORMAT as u32;
    const ACCESS: u32 = KSPROPERTY_TYPE_SET;

    fn check_pin(pin: u32) -> Result {
        match pin {
            RENDER_PIN => Ok(()),
            BRIDGE_PIN => Err(Status::NOT_SUPPORTED),
            _ => Err(Status::INVALID_PARAMETER),
        }
    }

    fn set(value: &[u8]) -> Result {
        format::parse(value).map(|_| ())
    }
}

/// A filter without nodes.
pub const fn filter(
    automation: *const PCAUTOMATION_TABLE,
    pins: &'static [PCPIN_DESCRIPTOR],
    connections: &'static [PCCONNECTION_DESCRIPTOR],
    categories: &'static [GUID],
) -> PCFILTER_DESCRIPTOR {
    PCFILTER_DESCRIPTOR {
        Version: 0,
        AutomationTable: automation,
        PinSize: size_of::<PCPIN_DESCRIPTOR>() as u32,
        PinCount: pins.len() as u32,
        Pins: pins.as_ptr(),
        NodeSize: size_of::<PCNODE_DESCRIPTOR>() as u32,
        NodeCount: 0,
        Nodes: core::ptr::null(),
        ConnectionCount: connections.len() as u32,
        Connections: connections.as_ptr(),
        CategoryCount: categories.len() as u32,
        Categories: categories.as_ptr(),
    }
}

/// A pin of which `instances` can be open at once; 0 for a bridge.
pub const fn pin(
    instances: u32,
    flow: KSPIN_DATAFLOW,
    communication: KSPIN_COMMUNICATION,
    ranges: &'static [DataRangePointer],
    category: &'static GUID,
) -> PCPIN_DESCRIPTOR {
    PCPIN_DESCRIPTOR {
        MaxGlobalInstanceCount: instances,
        MaxFilterInstanceCount: instances,
        MinFilterInstanceCount: 0,
        AutomationTable: core::ptr::null(),
        KsPinDescriptor: KSPIN_DESCRIPTOR {
            InterfacesCount: 0,
            Interfaces: core::ptr::null(),
            MediumsCount: 0,
            Mediums: core::ptr::null(),
            DataRangesCount: ranges.len() as u32,
            DataRanges: ranges.as_ptr(),
            DataFlow: flow,
            Communication: communication,
            Category: category,
            Name: core::ptr::null(),
            ConstrainedDataRangesCount: 0,
            ConstrainedDataRanges: core::ptr::null(),
        },
    }
}

/// A connection from a pin of the filter straight to another.
pub const fn through(from: u32, to: u32) -> PCCONNECTION_DESCRIPTOR {
    PCCONNECTION_DESCRIPTOR {
        FromNode: PCFILTER_NODE,
        FromNodePin: from,
        ToNode: PCFILTER_NODE,
        ToNodePin: to,
    }
}

/// A table of properties alone.
pub const fn automation(properties: &'static [PCPROPERTY_ITEM]) -> PCAUTOMATION_TABLE {
    PCAUTOMATION_TABLE {
        PropertyItemSize: size_of::<PCPROPERTY_ITEM>() as u32,
        PropertyCount: properties.len() as u32,
        Properties: properties.as_ptr(),
        MethodItemSize: size_of::<PCMETHOD_ITEM>() as u32,
        MethodCount: 0,
        Methods: core::ptr::null(),
        EventItemSize: size_of::<PCEVENT_ITEM>() as u32,
        EventCount: 0,
        Events: core::ptr::null(),
        Reserved: 0,
    }
}
