//! The audio engine's part: formats, streams, and playing through them.
//!
//! * [`Format`]: what a client asks for, as the bytes of a KSDATAFORMAT.
//! * [`Stream`]: an open pin with its buffer, as the audio engine sees it.
//! * [`CyclicStream`]: an open pin of the older WaveCyclic port, and playing through it.
//! * [`Player`]: writes a source of audio ahead of the play position, driven by notifications or by the clock.

mod cyclic;
mod format;
mod player;
mod stream;

pub use cyclic::CyclicStream;
pub use format::Format;
pub use player::{Played, Player};
pub use stream::{Buffer, PositionReader, Stream};

use crate::schedule::Time;

/// The first moment, in nanoseconds, at which so many frames have been played since the counter showed `base`.
fn time_of(base: u64, frames: u64, rate: u32, frequency: u64) -> Time {
    let (frequency, rate) = (u128::from(frequency), u128::from(rate));
    let tick = u128::from(base) + (u128::from(frames) * frequency).div_ceil(rate);
    (tick * 1_000_000_000).div_ceil(frequency) as Time
}
