//! Who plays: sound servers, devices and files.

#[cfg(all(feature = "alsa", target_os = "linux"))]
pub mod alsa;
#[cfg(all(any(feature = "alsa", feature = "jack", feature = "sndio"), target_os = "linux"))]
mod bounded;
pub mod choice;
#[cfg(all(feature = "jack", target_os = "linux"))]
pub mod jack;
#[cfg(all(any(feature = "alsa", feature = "jack", feature = "pipewire"), target_os = "linux"))]
mod lent;
pub mod open;
pub mod pace;
pub mod paced;
#[cfg(all(feature = "pipewire", target_os = "linux"))]
pub mod pipewire;
#[cfg(all(feature = "pulse", target_os = "linux"))]
pub mod pulse;
pub mod raw;
pub mod recorder;
#[cfg(all(feature = "sndio", target_os = "linux"))]
pub mod sndio;
#[cfg(windows)]
pub mod wasapi;
pub mod wav;

pub use choice::{OutputChoice, OutputKind};
pub use open::{built_in, open};
pub use recorder::Recorder;

use crate::player::supply::Supply;

/// Why an output does not play; one line that says what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputError {
    /// It is not there, or not any more: a server that does not answer, a sink that was removed. It may come back.
    Gone(String),
    /// It cannot do what is asked: trying again does not help.
    Impossible(String),
}

/// Something that plays.
pub trait Output: Send {
    /// Looks whether it is there, without playing, and says what it is: `PulseAudio, sink "Speakers"`.
    ///
    /// # Errors
    /// It is not there, or cannot be used.
    fn probe(&mut self) -> Result<String, OutputError>;

    /// Opens the device for the supply's format, [attaches](Supply::attach) it and plays until the supply is
    /// [over](crate::player::supply::Next::Over), then lets the device play what it has and closes it. Gives the supply back.
    ///
    /// # Errors
    /// The device cannot be opened, or it went away. The supply is given back all the same.
    fn play(&mut self, supply: Box<dyn Supply>) -> (Box<dyn Supply>, Result<(), OutputError>);
}
