//! Scream's wire format, IVSHMEM ring layout, stream arithmetic, and the rules of its options.
//!
//! Everything here takes bytes and numbers and returns bytes and numbers: there is no pointer, clock,
//! socket or allocation. The driver, the receiver and the testbed share these definitions.
//!
//! | module | provides |
//! | --- | --- |
//! | [`format`] | [`StreamFormat`] and its 5-byte header |
//! | [`packet`] | [`Packet`]: header and payload of one datagram |
//! | [`cyclic`] | [`CyclicBuffer`]: linear positions to byte spans of the WaveRT buffer |
//! | [`clock`] | [`StreamPosition`]: performance counter ticks to frames and back |
//! | [`packet_mode`] | which WaveRT packet may be written now |
//! | [`written_packets`] | which WaveRT packets were written in time |
//! | [`deadline`] | [`Schedule`]: when the DMA-timer thread wakes |
//! | [`silence`] | [`SilenceGate`]: which frames are not worth sending |
//! | [`slots`] | [`Slots`]: packets under way, handed back without a lock |
//! | [`options`] | [`Options`]: what the user can choose, from registry values of any kind |
//! | [`ring`] | the shared-memory ring: layout, writer, reader |
//!
//! # Invariants
//!
//! No function panics, for any argument: the crate is linked into a kernel driver.
//! No 128-bit arithmetic is used; results that do not fit saturate.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod clock;
pub mod cyclic;
pub mod deadline;
pub mod format;
pub mod options;
pub mod packet;
pub mod packet_mode;
pub mod ring;
pub mod silence;
pub mod slots;
pub mod written_packets;

pub use clock::{CounterFrequency, FrequencyError, PositionClock, PositionSnapshot, StreamPosition};
pub use cyclic::{Backlog, CyclicBuffer, CyclicError, Span};
pub use deadline::{Schedule, ScheduleError};
pub use format::{FormatError, HEADER_LEN, SampleWidth, StreamFormat, default_mask};
pub use options::{MAX_TARGETS, Options, Refusal};
pub use packet::{MAX_PACKET, MAX_PAYLOAD, Packet, PacketError, packet_frames};
pub use packet_mode::{PacketsPerBuffer, WritePacketError, judge_write_packet, packet_count};
pub use ring::{RingError, RingLayout, RingRead, RingReader, RingWriter, SharedRegion};
pub use silence::{GateRun, SilenceGate};
pub use slots::{MAX_SLOTS, Slots};
pub use written_packets::{Content, WrittenPackets};
