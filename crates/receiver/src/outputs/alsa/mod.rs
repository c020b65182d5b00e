//! [`Alsa`]: plays on a device of ALSA, from a sound card to what `asoundrc` makes of names.

mod order;
mod playback;
mod setup;

use std::rc::Rc;

use playback::Playback;

use super::{Output, OutputChoice, OutputError};
use crate::player::supply::Supply;

/// Plays on a device of ALSA.
pub struct Alsa {
    choice: OutputChoice,
}

impl Alsa {
    /// The device is ALSA's `default` unless one is chosen.
    pub fn new(choice: &OutputChoice) -> Self {
        Self { choice: choice.clone() }
    }

    fn device(&self) -> &str {
        self.choice.device.as_deref().unwrap_or("default")
    }
}

impl Output for Alsa {
    fn probe(&mut self) -> Result<String, OutputError> {
        let _quiet = Quiet::start();
        setup::open(self.device(), self.choice.bit_exact)?;
        Ok(format!("ALSA, device \"{}\"", self.device()))
    }

    fn play(&mut self, mut supply: Box<dyn Supply>) -> (Box<dyn Supply>, Result<(), OutputError>) {
        let _quiet = Quiet::start();
        let result = Playback::open(self.device(), self.choice.target, &mut *supply)
            .and_then(|playback| playback.run(&mut *supply));
        (supply, result)
    }
}

/// Keeps ALSA's library from writing on standard error, in this thread and from now on: an error is one line, and that
/// is ours. What it would have said is kept until the next start.
struct Quiet {
    _said: Option<Rc<std::cell::RefCell<alsa::Output>>>,
}

impl Quiet {
    fn start() -> Self {
        Self { _said: alsa::Output::local_error_handler().ok() }
    }
}
