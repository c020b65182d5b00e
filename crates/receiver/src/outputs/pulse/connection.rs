//! [`Connection`]: a server that answers, and what it says about itself.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use libpulse_binding as pulse;
use pulse::callbacks::ListResult;
use pulse::context::{Context, FlagSet, State};
use pulse::error::{Code, PAErr};
use pulse::mainloop::standard::Mainloop;
use pulse::time::MicroSeconds;

use super::super::OutputError;
use super::super::pace::PATIENCE;

/// What a server is.
#[derive(Clone, Debug, Default)]
pub struct Server {
    /// For people: `pulseaudio`, or `PulseAudio (on PipeWire 1.0.5)`.
    pub name: String,
    default_sink: String,
}

/// A sink of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sink {
    /// What the server calls it.
    pub name: String,
    /// What people call it.
    pub description: String,
}

/// A connection to a server.
pub struct Connection {
    // The order matters: the context is let go before the loop that it lives in.
    /// What the stream is made in.
    pub context: Context,
    main_loop: Mainloop,
}

impl Connection {
    /// Connects to the server of the environment. Does not start one.
    ///
    /// # Errors
    /// No server answers.
    pub fn open() -> Result<Self, OutputError> {
        let main_loop = Mainloop::new().ok_or_else(|| OutputError::Gone("PulseAudio: no memory".into()))?;
        let context = Context::new(&main_loop, "scream")
            .ok_or_else(|| OutputError::Impossible("PulseAudio: its library is too old".into()))?;
        let mut connection = Self { context, main_loop };
        if connection.context.connect(None, FlagSet::NOAUTOSPAWN, None).is_err() {
            return Err(unreachable(Some(connection.context.errno())));
        }
        connection.wait(|connection| Ok((connection.context.get_state() == State::Ready).then_some(())))?;
        Ok(connection)
    }

    /// Lets things happen, for `time` at most.
    ///
    /// # Errors
    /// The server has gone.
    pub fn turn(&mut self, time: Duration) -> Result<(), OutputError> {
        let time = MicroSeconds(u64::try_from(time.as_micros()).unwrap_or(0));
        let turned = self.main_loop.prepare(Some(time));
        let turned = turned.and_then(|()| self.main_loop.poll()).and_then(|_| self.main_loop.dispatch());
        match (turned, self.context.get_state()) {
            (_, State::Failed | State::Terminated) => Err(unreachable(Some(self.context.errno()))),
            (Err(why), _) => Err(unreachable(Some(why))),
            (Ok(_), _) => Ok(()),
        }
    }

    /// Lets things happen until `done` gives something.
    ///
    /// # Errors
    /// The server has gone or does not answer, or `done` fails.
    pub fn wait<T>(
        &mut self,
        mut done: impl FnMut(&mut Self) -> Result<Option<T>, OutputError>,
    ) -> Result<T, OutputError> {
        let since = Instant::now();
        loop {
            if let Some(value) = done(self)? {
                return Ok(value);
            }
            let left = PATIENCE.checked_sub(since.elapsed()).ok_or_else(|| unreachable(None))?;
            self.turn(left)?;
        }
    }

    /// What the server is.
    ///
    /// # Errors
    /// It has gone or does not answer.
    pub fn server(&mut self) -> Result<Server, OutputError> {
        let answer = Rc::new(RefCell::new(None));
        let to = Rc::clone(&answer);
        let asked = self.context.introspect().get_server_info(move |info| {
            *to.borrow_mut() =
                Some(Server { name: text(&info.server_name), default_sink: text(&info.default_sink_name) });
        });
        let server = self.wait(|_| Ok(answer.take()));
        drop(asked);
        server
    }

    /// The sink with this name or description, or the default one.
    ///
    /// # Errors
    /// There is no such sink; the line lists those that there are.
    pub fn sink(&mut self, wanted: Option<&str>) -> Result<Sink, OutputError> {
        let sinks = self.sinks()?;
        let default = self.server()?.default_sink;
        // A fallback for a default that is just changing: any sink is better than none, and the server chooses anyway.
        let found = match wanted {
            Some("@DEFAULT_SINK@") | None => {
                sinks.iter().find(|sink| sink.name == default).or_else(|| sinks.first())
            }
            Some(wanted) => sinks
                .iter()
                .find(|sink| sink.name == wanted)
                .or_else(|| sinks.iter().find(|sink| sink.description == wanted)),
        };
        found.cloned().ok_or_else(|| OutputError::Gone(no_sink(wanted, &sinks)))
    }

    fn sinks(&mut self) -> Result<Vec<Sink>, OutputError> {
        let sinks = Rc::new(RefCell::new(Vec::new()));
        let ended = Rc::new(Cell::new(false));
        let (to, end) = (Rc::clone(&sinks), Rc::clone(&ended));
        let asked = self.context.introspect().get_sink_info_list(move |result| match result {
            ListResult::Item(info) => {
                to.borrow_mut().push(Sink { name: text(&info.name), description: text(&info.description) });
            }
            ListResult::End | ListResult::Error => end.set(true),
        });
        let listed = self.wait(|_| Ok(ended.get().then_some(())));
        drop(asked);
        listed.map(|()| sinks.take())
    }
}

fn text(text: &Option<impl AsRef<str>>) -> String {
    text.as_ref().map_or_else(String::new, |text| text.as_ref().to_owned())
}

fn no_sink(wanted: Option<&str>, sinks: &[Sink]) -> String {
    let names: Vec<_> = sinks.iter().map(|sink| sink.name.as_str()).collect();
    match (wanted, names.as_slice()) {
        (None, _) => "PulseAudio has no sink: connect or enable a sound card".into(),
        (Some(wanted), []) => format!("PulseAudio has no sink `{wanted}`, nor any other"),
        (Some(wanted), names) => format!("PulseAudio has no sink `{wanted}`; it has {}", names.join(", ")),
    }
}

/// What the library calls an error.
pub fn reason(why: PAErr) -> String {
    why.to_string().unwrap_or_else(|| format!("error {}", why.0)).to_lowercase()
}

/// The server is not there, for this reason; without one, it is there but says nothing.
fn unreachable(why: Option<PAErr>) -> OutputError {
    let Some(why) = why else { return OutputError::Gone("PulseAudio does not answer: restart it".into()) };
    OutputError::Gone(match why.0.abs() {
        code if code == Code::ConnectionTerminated as i32 => "the PulseAudio server has ended".into(),
        _ => format!("no PulseAudio server ({}): start it, or choose another output with -o", reason(why)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_sink_is_told_with_those_that_there_are() {
        let sink = |name: &str| Sink { name: name.into(), description: String::new() };
        assert_eq!(no_sink(Some("x"), &[sink("a"), sink("b")]), "PulseAudio has no sink `x`; it has a, b");
        assert_eq!(no_sink(Some("x"), &[]), "PulseAudio has no sink `x`, nor any other");
        assert_eq!(no_sink(None, &[]), "PulseAudio has no sink: connect or enable a sound card");
    }
}
