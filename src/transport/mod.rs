//! Where the audio goes.

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

    /// Units that could not be sent so far.
    fn lost(&self) -> u64;
}
