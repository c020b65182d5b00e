//! [`Pipewire`]: plays through a PipeWire server, as a stream of its own kind.
//!
//! The graph calls for sound in its real-time thread; the thread that plays runs the loop in which the server's messages
//! arrive, and notices when it has gone.

mod connection;
mod stream;

use std::time::Duration;

use connection::Connection;

use super::lent::{Lent, Progress};
use super::{Output, OutputChoice, OutputError};
use crate::player::supply::Supply;

/// How much longer than usual a sink may take to begin: it is linked first, and a sound card that sleeps wakes.
const AT_FIRST: Duration = Duration::from_secs(2);

/// Plays through a PipeWire server.
pub struct Pipewire {
    choice: OutputChoice,
}

impl Pipewire {
    /// The server is that of the environment.
    pub fn new(choice: &OutputChoice) -> Self {
        Self { choice: choice.clone() }
    }

    fn play_on_server(
        &self,
        mut supply: Box<dyn Supply>,
    ) -> (Option<Box<dyn Supply>>, Result<(), OutputError>) {
        let device = stream::device(&*supply, self.choice.target);
        let opened = Connection::open()
            .and_then(|connection| Ok((connection.sink(self.choice.sink.as_deref())?, connection)))
            .and_then(|found| supply.attach(&device).map_err(OutputError::Impossible).map(|()| found));
        let (sink, connection) = match opened {
            Ok(opened) => opened,
            Err(why) => return (Some(supply), Err(why)),
        };
        let graph_rate = supply.is_bit_exact().then_some(device.rate);
        let lent = std::sync::Arc::new(Lent::new(supply, AT_FIRST));
        let target = self.choice.sink.as_ref().map(|_| sink.name.as_str());
        let result = stream::Stream::open(&connection, &self.choice, target, device, &lent)
            .and_then(|stream| run(&connection, &stream, &lent, graph_rate));
        (Some(lent.take_back()), result)
    }
}

/// Plays until everything has been heard. Samples stay as they are only if the graph has this rate.
fn run(
    connection: &Connection,
    stream: &stream::Stream<'_>,
    lent: &Lent,
    graph_rate: Option<u32>,
) -> Result<(), OutputError> {
    loop {
        connection.turn(Duration::from_millis(20))?;
        stream.check()?;
        match (lent.progress(), graph_rate, stream.graph_rate()) {
            (_, Some(wanted), Some(rate)) if rate != wanted => {
                let line = format!(
                    "PipeWire plays {rate} Hz, not {wanted} Hz: add {wanted} to default.clock.allowed-rates, or leave out --bit-exact"
                );
                return Err(OutputError::Impossible(line));
            }
            (Progress::Plays, ..) => {}
            (Progress::Heard, ..) => return Ok(()),
            (Progress::Stalled, ..) => return Err(Lent::stalled("PipeWire")),
        }
    }
}

impl Output for Pipewire {
    fn probe(&mut self) -> Result<String, OutputError> {
        let connection = Connection::open()?;
        let sink = connection.sink(self.choice.sink.as_deref())?;
        let which = if self.choice.sink.is_some() { sink.description } else { "default".into() };
        Ok(format!("PipeWire {}, sink \"{which}\"", connection.version()))
    }

    fn play(&mut self, supply: Box<dyn Supply>) -> (Box<dyn Supply>, Result<(), OutputError>) {
        let (supply, result) = self.play_on_server(supply);
        (supply.expect("it was given back"), result)
    }
}
