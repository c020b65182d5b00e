//! Memory that a virtual machine shares with its host: the ring of chunks of `protocol::ring`, in an IVSHMEM device that
//! the virtio-win driver `ivshmem.sys` owns.
//!
//! * [`Search`]: finds the device, has its memory mapped, and lets go of it when it is removed; belongs to the DMA-timer
//!   thread.
//! * [`Ring`]: takes frames, and moves full chunks into the memory; belongs to the engine's state, which is a [`Holder`].
//! * [`device`]: the requests of that driver. [`Mapping`]: the mapped memory, and the right to it.
//!
//! # Life cycle of a mapping
//! The thread opens the device, asks to be told of its removal, has the memory mapped, and gives the mapping to the holder.
//! Whoever takes it out again, clears the ring's header, unmaps and closes the device: the thread when the stream ends, or
//! the notice of a removal, in a thread of Windows. A mapping is given and taken under the mutex of the [`Search`]'s watch,
//! so a removal never falls between the steps.
//!
//! # Threads
//! Frames are copied in any thread that asks for the position, and chunks are moved by whichever comes first when they are
//! full. The requests of the device's driver are made in System: older ones map memory for the calling process.

pub mod device;
pub mod mapping;
pub mod ring;
pub mod search;

use protocol::{RingError, RingLayout};

pub use mapping::Mapping;
pub use ring::Ring;
pub use search::Search;

/// Has the [`Ring`] of a stream, under its lock. No method is called with that lock held.
pub trait Holder: Send + Sync + 'static {
    /// Gives the ring a mapping with [`Ring::attach`]. PASSIVE_LEVEL.
    ///
    /// # Errors
    /// The mapping, and why the ring does not take it.
    fn attach(&self, mapping: Mapping) -> core::result::Result<RingLayout, Refused>;

    /// Takes the mapping out of the ring with [`Ring::detach`], if it has one. PASSIVE_LEVEL.
    fn detach(&self) -> Option<Mapping>;

    /// Lets the DMA-timer thread look for a device. PASSIVE_LEVEL.
    fn wake(&self);
}

/// A mapping that a ring does not take. It is dropped at PASSIVE_LEVEL.
pub struct Refused {
    /// The mapping.
    pub mapping: Mapping,
    /// Why.
    pub reason: RingError,
}
