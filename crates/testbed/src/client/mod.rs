//! The audio engine's part: formats, streams, and playing through them.
//!
//! * [`Format`]: what a client asks for, as the bytes of a KSDATAFORMAT.
//! * [`Stream`]: an open pin with its buffer, as the audio engine sees it.
//! * [`Player`]: writes a source of audio ahead of the play position, driven by notifications or by the clock.

mod format;
mod player;
mod stream;

pub use format::Format;
pub use player::{Played, Player};
pub use stream::{Buffer, Stream};
