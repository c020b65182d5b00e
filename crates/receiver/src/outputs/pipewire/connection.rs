//! [`Connection`]: a server that answers, and the sinks that it has.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use pipewire as pw;
use pw::context::ContextRc;
use pw::core::{CoreRc, Listener};
use pw::loop_::Timeout;
use pw::main_loop::MainLoopRc;
use pw::properties::properties;
use pw::types::ObjectType;

use super::super::OutputError;
use super::super::pace::PATIENCE;

/// A sink of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sink {
    /// What the server calls it.
    pub name: String,
    /// What people call it.
    pub description: String,
}

/// What the server has told.
#[derive(Default)]
struct Told {
    version: RefCell<String>,
    /// The number of the last question that has been answered.
    answered: Cell<Option<i32>>,
    /// Why it has gone.
    gone: RefCell<Option<String>>,
}

/// A connection to a server.
pub struct Connection {
    told: Rc<Told>,
    // The order matters: each lives in the next.
    _listener: Listener,
    /// What the stream is made in.
    pub core: CoreRc,
    _context: ContextRc,
    main_loop: MainLoopRc,
}

impl Connection {
    /// Connects to the server of the environment.
    ///
    /// # Errors
    /// No server answers.
    pub fn open() -> Result<Self, OutputError> {
        pw::init();
        let no_memory = |_| OutputError::Gone("PipeWire: its library cannot be set up".into());
        let main_loop = MainLoopRc::new(None).map_err(no_memory)?;
        // With this configuration the graph's thread has real-time priority; newer servers have it in the usual one.
        let real_time = properties! { *pw::keys::CONFIG_NAME => "client-rt.conf" };
        let context = ContextRc::new(&main_loop, Some(real_time));
        let context = context.or_else(|_| ContextRc::new(&main_loop, None)).map_err(no_memory)?;
        let core = context.connect_rc(None).map_err(|_| {
            OutputError::Gone("no PipeWire server: start it, or choose another output with -o".into())
        })?;
        let told = Rc::new(Told::default());
        let (info, done, error) = (Rc::clone(&told), Rc::clone(&told), Rc::clone(&told));
        let listener = core
            .add_listener_local()
            .info(move |about| about.version().clone_into(&mut info.version.borrow_mut()))
            .done(move |_, seq| done.answered.set(Some(seq.seq())))
            .error(move |id, _, _, message| {
                if id == pw::core::PW_ID_CORE {
                    *error.gone.borrow_mut() = Some(message.to_owned());
                }
            })
            .register();
        let connection = Self { told, _listener: listener, core, _context: context, main_loop };
        connection.round_trip()?;
        Ok(connection)
    }

    /// The version of the server.
    pub fn version(&self) -> String {
        self.told.version.borrow().clone()
    }

    /// Lets things happen, for `time` at most.
    ///
    /// # Errors
    /// The server has gone.
    pub fn turn(&self, time: Duration) -> Result<(), OutputError> {
        self.main_loop.loop_().iterate(Timeout::Finite(time));
        match self.told.gone.borrow().as_deref() {
            Some(_) => Err(OutputError::Gone("the PipeWire server has ended".into())),
            None => Ok(()),
        }
    }

    /// Waits until the server has done what it was asked before.
    fn round_trip(&self) -> Result<(), OutputError> {
        let silent = || OutputError::Gone("PipeWire does not answer: restart it".into());
        let seq = self.core.sync(0).map_err(|_| silent())?.seq();
        let since = Instant::now();
        while self.told.answered.get() != Some(seq) {
            self.turn(PATIENCE.checked_sub(since.elapsed()).ok_or_else(silent)?)?;
        }
        Ok(())
    }

    /// The sink with this name or description; without one, any: the server knows which is its default.
    ///
    /// # Errors
    /// There is no such sink; the line lists those that there are.
    pub fn sink(&self, wanted: Option<&str>) -> Result<Sink, OutputError> {
        let sinks = self.sinks()?;
        let found = match wanted {
            None => sinks.first(),
            Some(wanted) => sinks
                .iter()
                .find(|sink| sink.name == wanted)
                .or_else(|| sinks.iter().find(|sink| sink.description == wanted)),
        };
        found.cloned().ok_or_else(|| OutputError::Gone(no_sink(wanted, &sinks)))
    }

    fn sinks(&self) -> Result<Vec<Sink>, OutputError> {
        let silent = |_| OutputError::Gone("PipeWire does not tell its sinks: restart it".into());
        let registry = self.core.get_registry_rc().map_err(silent)?;
        let sinks = Rc::new(RefCell::new(Vec::new()));
        let to = Rc::clone(&sinks);
        let listener = registry
            .add_listener_local()
            .global(move |global| {
                let Some(about) = global.props.filter(|_| global.type_ == ObjectType::Node) else { return };
                // `Audio/Duplex` plays, too, and virtual sinks are `Audio/Sink/Virtual`.
                let class = about.get("media.class").unwrap_or_default();
                if class.starts_with("Audio/Sink") || class.starts_with("Audio/Duplex") {
                    let text = |key| about.get(key).unwrap_or_default().to_owned();
                    to.borrow_mut()
                        .push(Sink { name: text("node.name"), description: text("node.description") });
                }
            })
            .register();
        let listed = self.round_trip();
        drop(listener);
        listed.map(|()| sinks.take())
    }
}

fn no_sink(wanted: Option<&str>, sinks: &[Sink]) -> String {
    let names: Vec<_> = sinks.iter().map(|sink| sink.name.as_str()).collect();
    match (wanted, names.as_slice()) {
        (None, _) => {
            "PipeWire has no sink: connect or enable a sound card, and see that wireplumber runs".into()
        }
        (Some(wanted), []) => format!("PipeWire has no sink `{wanted}`, nor any other"),
        (Some(wanted), names) => format!("PipeWire has no sink `{wanted}`; it has {}", names.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_sink_is_told_with_those_that_there_are() {
        let sink = |name: &str| Sink { name: name.into(), description: String::new() };
        assert_eq!(no_sink(Some("x"), &[sink("a"), sink("b")]), "PipeWire has no sink `x`; it has a, b");
        assert_eq!(no_sink(Some("x"), &[]), "PipeWire has no sink `x`, nor any other");
    }
}
