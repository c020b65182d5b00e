//! [`Alsa`]: plays on a device of ALSA, from a sound card to what `asoundrc` makes of names.
//!
//! A sound card never blocks, but plugins that play on a server wait without an end for one that hangs. So a thread of
//! its own plays, which can be left behind.

mod order;
mod playback;
mod setup;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use playback::Playback;

use super::bounded::Bounded;
use super::lent::{Lent, Progress};
use super::{Output, OutputChoice, OutputError};
use crate::player::supply::Supply;

/// Plays on a device of ALSA.
pub struct Alsa {
    choice: OutputChoice,
    bounded: Bounded,
}

impl Alsa {
    /// The device is ALSA's `default` unless one is chosen.
    pub fn new(choice: &OutputChoice) -> Self {
        Self { choice: choice.clone(), bounded: Bounded::new("ALSA's device") }
    }

    fn device(&self) -> &str {
        self.choice.device.as_deref().unwrap_or("default")
    }
}

impl Output for Alsa {
    fn probe(&mut self) -> Result<String, OutputError> {
        let (device, bit_exact) = (self.device().to_owned(), self.choice.bit_exact);
        self.bounded.run(move || {
            let _quiet = Quiet::start();
            setup::open(&device, bit_exact).map(drop)
        })??;
        Ok(format!("ALSA, device \"{}\"", self.device()))
    }

    fn play(&mut self, mut supply: Box<dyn Supply>) -> (Box<dyn Supply>, Result<(), OutputError>) {
        let wanted = setup::Wanted::new(self.device(), self.choice.target, &*supply);
        let ready = self.bounded.run(move || {
            let _quiet = Quiet::start();
            setup::set_up(&wanted)
        });
        let attached = ready
            .and_then(|ready| ready)
            .and_then(|ready| supply.attach(&ready.device).map(|()| ready).map_err(OutputError::Impossible));
        match attached {
            Ok(ready) => self.run(Playback::new(self.device(), ready), supply),
            Err(why) => (supply, Err(why)),
        }
    }
}

impl Alsa {
    fn run(&self, playback: Playback, supply: Box<dyn Supply>) -> (Box<dyn Supply>, Result<(), OutputError>) {
        let lent = Arc::new(Lent::new(supply, Duration::ZERO));
        let to = Arc::clone(&lent);
        let started = self.bounded.start(move || {
            let _quiet = Quiet::start();
            playback.run(&to)
        });
        let result = started.and_then(|result| {
            loop {
                match (result.recv_timeout(Duration::from_millis(100)), lent.progress()) {
                    (Ok(result), _) => break result,
                    (Err(RecvTimeoutError::Timeout), Progress::Plays | Progress::Heard) => {}
                    (Err(_), _) => break Err(Lent::stalled(&playback::device(self.device()))),
                }
            }
        });
        (lent.take_back(), result)
    }
}

/// Keeps ALSA's library from writing on standard error, in this thread and from now on: an error is one line, and that
/// is ours. What it would have said is kept until the next start.
struct Quiet {
    _said: Option<Rc<RefCell<alsa::Output>>>,
}

impl Quiet {
    fn start() -> Self {
        Self { _said: alsa::Output::local_error_handler().ok() }
    }
}
