//! [`Jack`]: plays through a JACK server, which is never started.
//!
//! The server calls for sound in its real-time thread. Its library waits without an end for a server that hangs, so
//! clients are opened and closed in threads of their own, which are left behind if it comes to that.

mod client;
mod ports;

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use client::Playing;
use jack::{Client, ClientOptions};

use super::bounded::Bounded;
use super::lent::{Lent, Progress};
use super::{Output, OutputChoice, OutputError};
use crate::player::supply::Supply;

/// The supply is given back with the reason.
type Refused = (Box<dyn Supply>, OutputError);

/// Plays through a JACK server.
pub struct Jack {
    choice: OutputChoice,
    bounded: Bounded,
}

impl Jack {
    /// The server is that of the environment.
    pub fn new(choice: &OutputChoice) -> Self {
        Self { choice: choice.clone(), bounded: Bounded::new("JACK") }
    }

    fn client(&self) -> Result<Client, OutputError> {
        let name = self.choice.name.clone().unwrap_or_else(|| "scream".into());
        // The crate gives what the library says to `log`, which nobody listens to: an error is one line, and that is ours.
        self.bounded
            .run(move || Client::new(&name, ClientOptions::NO_START_SERVER))?
            .map(|(client, _)| client)
            .map_err(|why| match why {
                jack::Error::LibraryError(why) => {
                    OutputError::Impossible(format!("JACK's library is missing ({why}): install libjack"))
                }
                _ => OutputError::Gone("no JACK server: start it, or choose another output with -o".into()),
            })
    }

    fn open(&self, mut supply: Box<dyn Supply>) -> Result<(Playing, Arc<Lent>), Refused> {
        let client = match self.client() {
            Ok(client) => client,
            Err(why) => return Err((supply, why)),
        };
        let device = ports::device(&client, &*supply, self.choice.connect);
        if let Err(why) = supply.attach(&device) {
            let _ = self.bounded.run(move || drop(client));
            return Err((supply, OutputError::Impossible(why)));
        }
        let lent = Arc::new(Lent::new(supply, Duration::ZERO));
        let (to, connect) = (Arc::clone(&lent), self.choice.connect);
        let playing = self.bounded.run(move || Playing::start(client, device, to, connect));
        match playing.and_then(|playing| playing) {
            Ok(playing) => Ok((playing, lent)),
            Err(why) => Err((lent.take_back(), why)),
        }
    }
}

impl Output for Jack {
    fn probe(&mut self) -> Result<String, OutputError> {
        let client = self.client()?;
        let line = format!("JACK, {} Hz, client \"{}\"", client.sample_rate(), client.name());
        self.bounded.run(move || drop(client))?;
        Ok(line)
    }

    fn play(&mut self, supply: Box<dyn Supply>) -> (Box<dyn Supply>, Result<(), OutputError>) {
        let (playing, lent) = match self.open(supply) {
            Ok(opened) => opened,
            Err((supply, why)) => return (supply, Err(why)),
        };
        let result = loop {
            thread::sleep(Duration::from_millis(10));
            match (playing.check(), lent.progress()) {
                (Err(why), _) => break Err(why),
                (Ok(()), Progress::Plays) => {}
                (Ok(()), Progress::Heard) => break Ok(()),
                (Ok(()), Progress::Stalled) => break Err(Lent::stalled("JACK")),
            }
        };
        // It is silent by now, or the server has gone.
        (lent.take_back(), self.bounded.close(playing, result))
    }
}
