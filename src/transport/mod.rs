//! Where the audio goes.

use wdk_sys::NTSTATUS;

pub mod wsk;

/// Takes the frames of one stream, in order, and sends them in units of its own.
///
/// All methods are called under the engine's lock, at IRQL <= APC_LEVEL, and none of them blocks.
pub trait Transport {
    /// Takes whole frames: lets `fill` write at most `available` bytes straight to where they are sent from, exactly
    /// once, and returns how many bytes that were (0 only when `available` is less than a frame).
    fn append(&mut self, available: usize, fill: impl FnOnce(&mut [u8])) -> usize;

    /// Ends the unit that is being filled, if it has any frames.
    fn flush(&mut self);

    /// Sends the units that are full or were flushed.
    fn send(&mut self);

    /// What became of the units so far.
    fn totals(&self) -> Totals;
}

/// What became of the units of a stream.
#[derive(Clone, Copy, Default)]
pub struct Totals {
    /// Units that the network took.
    pub sent: u64,
    /// Units that were not sent: there was no connection, or no free place.
    pub dropped: u64,
    /// Units that the network did not take.
    pub failed: u64,
    /// The status of the last of these.
    pub last_status: NTSTATUS,
}
