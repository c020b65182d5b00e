//! The receiver: the parts of the program `scream`, for the program, its tests and its benchmark.
//!
//! What it hears takes this way, each step a folder:
//!
//! | module | provides |
//! | --- | --- |
//! | [`sources`] | where audio comes from: a socket, a sniffer, an IVSHMEM region |
//! | [`intake`] | what of it is a stream, and whose: datagrams to [`Delivery`]s |
//! | [`player`] | when each frame is heard: jitter buffer, losses, clocks, resampler, fades |
//! | [`outputs`] | who plays it: sound servers, devices, files |
//! | [`report`] | what people and programs are told |
//!
//! [`program`] puts them together as the [`arguments`] say. Sources and intake run in one thread, an output and its player
//! in another; a bounded queue of [`Delivery`]s is between them. While it plays the second one does the work of the first, too,
//! where it can ([`program::inlet`]); it never waits for a lock.

pub mod arguments;
pub mod delivery;
pub mod intake;
pub mod moment;
pub mod outputs;
pub mod player;
pub mod program;
pub mod report;
pub mod simulation;
pub mod sources;
pub mod speakers;

pub use delivery::Delivery;
pub use moment::Moment;
