//! Where the audio goes.
//!
//! * [`wsk`]: as packets to the targets of the network.
//! * [`ivshmem`]: as chunks into a region that a virtual machine shares with its host.
//! * [`output`]: which of the two, and what of a stream is sent at all.

use core::num::NonZeroU32;

use wdk_sys::NTSTATUS;

pub mod ivshmem;
pub mod output;
pub mod wsk;

pub use output::Output;

/// Takes the frames of one stream, in order, and sends them in units of its own.
///
/// All methods are called under the engine's lock, at IRQL <= APC_LEVEL, in any thread, and none of them blocks.
pub trait Transport {
    /// Frames of a full unit.
    fn unit(&self) -> NonZeroU32;

    /// Takes whole frames: lets `fill` write at most `available` bytes straight to where they are sent from, exactly
    /// once, and returns how many bytes that were (0 only when `available` is less than a frame).
    fn append(&mut self, available: usize, fill: &mut dyn FnMut(&mut [u8])) -> usize;

    /// Ends the unit that is being filled, if it has any frames.
    fn flush(&mut self);

    /// Sends the units that are full or were flushed.
    fn send(&mut self);

    /// The stream begins to run; `now` is a reading of the performance counter.
    fn begin(&mut self, now: u64);

    /// Tells of units that were lost since this was last told, if it is time to.
    fn tell_losses(&mut self, now: u64);

    /// What became of the units so far.
    fn totals(&self) -> Totals;
}

/// What became of the units of a stream. With several targets, each unit counts once for each.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Units that were sent.
    pub sent: u64,
    /// Units that were not sent: there was no connection, or no free place.
    pub dropped: u64,
    /// Units that the network did not take.
    pub failed: u64,
    /// The status of the last of these.
    pub last_status: NTSTATUS,
}

impl Totals {
    /// The sum; of the statuses the later one that is not success.
    pub const fn and(self, other: Self) -> Self {
        Self {
            sent: self.sent.saturating_add(other.sent),
            dropped: self.dropped.saturating_add(other.dropped),
            failed: self.failed.saturating_add(other.failed),
            last_status: if other.last_status == 0 { self.last_status } else { other.last_status },
        }
    }
}
