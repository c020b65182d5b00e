//! The topology filter: the wave filter's pin on one side, the speaker jack on the other, nothing between.

use crate::abi::GUID;
use crate::abi::ks::{
    KSCATEGORY_AUDIO, KSCATEGORY_TOPOLOGY, KSNODETYPE_SPEAKER, KSPIN_COMMUNICATION_NONE, KSPIN_DATAFLOW_IN,
    KSPIN_DATAFLOW_OUT,
};
use crate::abi::portcls::{
    IID_IMiniport, IID_IMiniportTopology, IMiniportTopologyVtbl, PCCONNECTION_DESCRIPTOR,
    PCFILTER_DESCRIPTOR, PCPIN_DESCRIPTOR,
};
use crate::com::miniport::Miniport;
use crate::com::miniport_topology::MiniportTopologyTable;
use crate::com::{Class, ComObject, ObjectRef, Table};
use crate::kernel::{Result, Status};
use crate::wave::tables::{BRIDGE_RANGE_POINTERS, filter, pin, through};

/// The pin that the wave filter is connected to.
pub const INPUT_PIN: u32 = 0;
/// The pin that stands for the speakers.
const SPEAKER_PIN: u32 = 1;

static FILTER: PCFILTER_DESCRIPTOR = filter(core::ptr::null(), &PINS, &CONNECTIONS, &CATEGORIES);

static CATEGORIES: [GUID; 2] = [KSCATEGORY_AUDIO, KSCATEGORY_TOPOLOGY];

static CONNECTIONS: [PCCONNECTION_DESCRIPTOR; 1] = [through(INPUT_PIN, SPEAKER_PIN)];

static PINS: [PCPIN_DESCRIPTOR; 2] = [
    pin(0, KSPIN_DATAFLOW_IN, KSPIN_COMMUNICATION_NONE, &BRIDGE_RANGE_POINTERS, &KSCATEGORY_AUDIO),
    pin(0, KSPIN_DATAFLOW_OUT, KSPIN_COMMUNICATION_NONE, &BRIDGE_RANGE_POINTERS, &KSNODETYPE_SPEAKER),
];

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
