//! [`Pulse`]: plays through PulseAudio, or what stands in for it on PipeWire.
//!
//! It is the server's asynchronous interface, run in the thread that plays: there is one poll with a time limit, so no
//! lock, no second thread, and a server that hangs is noticed. The simple interface would block in such a server, and
//! does not tell when the sink has been taken away.

mod connection;
mod stream;

use connection::Connection;
use stream::Playback;

use super::{Output, OutputChoice, OutputError};
use crate::player::supply::Supply;

/// Plays through a PulseAudio server.
pub struct Pulse {
    choice: OutputChoice,
}

impl Pulse {
    /// The server is that of the environment.
    pub fn new(choice: &OutputChoice) -> Self {
        Self { choice: choice.clone() }
    }
}

impl Output for Pulse {
    fn probe(&mut self) -> Result<String, OutputError> {
        let mut connection = Connection::open()?;
        let server = connection.server()?;
        let sink = connection.sink(self.choice.sink.as_deref())?;
        Ok(format!("{}, sink \"{}\"", server.name, sink.description))
    }

    fn play(&mut self, mut supply: Box<dyn Supply>) -> (Box<dyn Supply>, Result<(), OutputError>) {
        let result = Connection::open().and_then(|mut connection| {
            // No sink is named unless the user named one: then the server moves the stream when its default changes.
            let sink = match &self.choice.sink {
                Some(name) => Some(connection.sink(Some(name))?.name),
                None => connection.sink(None).map(|_| None)?,
            };
            Playback::open(connection, &self.choice, sink.as_deref(), &mut *supply)?.run(&mut *supply)
        });
        (supply, result)
    }
}
