//! What user mode can ask of a driver, with bytes of any kind.

use std::fmt;

use crate::client::Stream;
use crate::device::{Device, Filter};
use crate::kernel::registry::Value;
use crate::nt::NtStatus;
use crate::portcls::Property;
use crate::portcls::abi::KsState;
use crate::trace;

/// Streams that can be open at the same time.
pub(super) const SLOTS: usize = 2;

/// Whom a property request goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Filter(Filter),
    Node(Filter, u32),
    /// The stream of a slot.
    Pin(usize),
}

/// A request for a property, with sizes and contents of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PropertyRequest {
    pub(super) target: Target,
    pub(super) property: Property,
    /// What follows KSPROPERTY or KSNODEPROPERTY.
    pub(super) instance: Vec<u8>,
    pub(super) value: Vec<u8>,
}

impl PropertyRequest {
    /// Asks a device, or the stream that `stream` has for a slot. Returns the status and the size of the value; `None`:
    /// there is no such stream.
    pub(crate) fn ask<'a>(
        &self,
        device: &Device,
        stream: impl FnOnce(usize) -> Option<&'a Stream>,
    ) -> Option<(NtStatus, u32)> {
        let Self { target, property, ref instance, ref value } = *self;
        let mut value = value.clone();
        let answer = match target {
            Target::Filter(filter) => device.property(filter, property, instance, &mut value),
            Target::Node(filter, node) => device.node_property(filter, node, property, instance, &mut value),
            Target::Pin(slot) => stream(slot)?.property(property, instance, &mut value),
        };
        trace::note(|| format!("the value is {value:02x?}"));
        Some(answer)
    }
}

impl fmt::Display for PropertyRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { target, property: Property { set, id, verb }, instance, value } = self;
        let (instance, value) = (Hex(instance), Hex(value));
        write!(
            f,
            "property {id} of {set:?}, verb {verb:#x}, to {target:?}, instance {instance}, value {value}"
        )
    }
}

/// One request. Slots say which of the open streams it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Property(PropertyRequest),
    /// IMiniport::DataRangeIntersection as PortCls calls it, with room for `capacity` bytes.
    Intersection {
        pin: u32,
        own: usize,
        client: Vec<u8>,
        capacity: u32,
    },
    NewStream {
        slot: usize,
        pin: u32,
        capture: bool,
        format: Vec<u8>,
    },
    SetFormat {
        slot: usize,
        format: Vec<u8>,
    },
    Option {
        name: &'static str,
        value: Option<Value>,
    },
    Allocate {
        slot: usize,
        bytes: u32,
        notifications: u32,
    },
    FreeBuffer {
        slot: usize,
    },
    /// To a state through the ones between.
    SetState {
        slot: usize,
        state: KsState,
    },
    /// To a state at once.
    CallSetState {
        slot: usize,
        state: KsState,
    },
    RegisterEvent {
        slot: usize,
        again: bool,
    },
    UnregisterEvent {
        slot: usize,
        keep: bool,
    },
    Position {
        slot: usize,
        at_dispatch_level: bool,
    },
    Latency {
        slot: usize,
    },
    Registers {
        slot: usize,
    },
    PacketCount {
        slot: usize,
    },
    PresentationPosition {
        slot: usize,
    },
    SetWritePacket {
        slot: usize,
        number: u32,
        flags: u32,
        end: u32,
    },
    Write {
        slot: usize,
        offset: u32,
        bytes: u32,
        byte: u8,
    },
    /// From now on the buffers change while the driver reads them.
    Scribble,
    Sleep {
        nanoseconds: u64,
    },
    Power {
        on: bool,
    },
    Close {
        slot: usize,
        buffer_first: bool,
    },
}

impl Request {
    /// Its name in tables.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Property(request) => match request.target {
                Target::Filter(Filter::Wave) => "property of the wave filter",
                Target::Filter(Filter::Topology) => "property of the topology filter",
                Target::Node(..) => "property of a node",
                Target::Pin(_) => "property of a pin",
            },
            Self::Intersection { .. } => "DataRangeIntersection",
            Self::NewStream { .. } => "NewStream",
            Self::SetFormat { .. } => "SetFormat",
            Self::Option { .. } => "registry value",
            Self::Allocate { notifications: 0, .. } => "AllocateAudioBuffer",
            Self::Allocate { .. } => "AllocateBufferWithNotification",
            Self::FreeBuffer { .. } => "FreeAudioBuffer",
            Self::SetState { .. } | Self::CallSetState { .. } => "SetState",
            Self::RegisterEvent { .. } => "RegisterNotificationEvent",
            Self::UnregisterEvent { .. } => "UnregisterNotificationEvent",
            Self::Position { .. } => "GetPosition",
            Self::Latency { .. } => "GetHWLatency",
            Self::Registers { .. } => "GetPositionRegister, GetClockRegister",
            Self::PacketCount { .. } => "GetPacketCount",
            Self::PresentationPosition { .. } => "GetOutputStreamPresentationPosition",
            Self::SetWritePacket { .. } => "SetWritePacket",
            Self::Write { .. } => "audio written",
            Self::Scribble => "audio changed while it is read",
            Self::Sleep { .. } => "time passes",
            Self::Power { .. } => "power",
            Self::Close { .. } => "close",
        }
    }
}

/// Bytes in hexadecimal, in words of four.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 256;
        write!(f, "{} bytes", self.0.len())?;
        for (index, byte) in self.0.iter().take(SHOWN).enumerate() {
            let gap = if index == 0 {
                ": "
            } else if index % 4 == 0 {
                " "
            } else {
                ""
            };
            write!(f, "{gap}{byte:02x}")?;
        }
        if self.0.len() > SHOWN { write!(f, " …") } else { Ok(()) }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Property(request) => request.fmt(f),
            Self::Intersection { pin, own, client, capacity } => {
                let client = Hex(client);
                write!(
                    f,
                    "DataRangeIntersection of pin {pin}, range {own}, room for {capacity}, client {client}"
                )
            }
            Self::NewStream { slot, pin, capture, format } => {
                write!(f, "NewStream {slot} of pin {pin}, capture {capture}, format {}", Hex(format))
            }
            Self::SetFormat { slot, format } => {
                write!(f, "SetFormat of stream {slot}, format {}", Hex(format))
            }
            Self::Option { name, value: Some(value) } => {
                let (kind, bytes) = value.to_parts();
                write!(f, "registry value {name} of type {kind}, {}", Hex(&bytes))
            }
            other => write!(f, "{other:?}"),
        }
    }
}
