//! [`Target`]: what is played on, by the user's choice or the first that is there.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Sender, SyncSender};

use anyhow::{Result, anyhow, bail};
use rtrb::RingBuffer;

use super::inlet::{Inlet, Sink};
use crate::arguments::Orders;
use crate::intake::Hearing;
use crate::outputs::paced::Paced;
use crate::outputs::{self, Output, OutputChoice, OutputError, OutputKind, Recorder, recorder};
use crate::player::status::Status;
use crate::player::thread::{Event, Playing};
use crate::report::News;

/// The outputs that are tried when none is chosen, in this order. JACK is not: whoever wants it says so.
const USUAL: [&str; 5] = ["pulse", "pipewire", "alsa", "sndio", "wasapi"];
/// How many packets may wait for the player while it opens a device: 12 s of a usual stream, 0.4 s of the densest that Windows
/// sends.
const QUEUE: usize = 2048;

/// What is played on.
pub enum Target {
    /// Everything is recorded as it comes.
    Recorder(Box<dyn Recorder>),
    /// The player plays on an output, which is this for people.
    Output(Box<dyn Output>, String),
}

impl Target {
    /// Opens what the user has chosen, or the first that is there.
    ///
    /// # Errors
    /// There is none, or it cannot be used. One that may still come is waited for.
    pub fn choose(orders: &Orders, tell: &SyncSender<News>, stop: &Arc<AtomicBool>) -> Result<Self> {
        let Some(kind) = &orders.output else { return first(orders) };
        let tell = tell.clone();
        // If nobody listens, it is not told.
        let say: recorder::Say = Box::new(move |text| drop(tell.try_send(News::Files(text))));
        match recorder::open(kind, say)? {
            Some(recorder) if orders.hearing == Hearing::Mix => {
                let name = recorder.name();
                Ok(Self::Output(Box::new(Paced::new(recorder, Arc::clone(stop))), name))
            }
            Some(recorder) => Ok(Self::Recorder(recorder)),
            None => chosen(orders, kind),
        }
    }

    /// What it does, for people: `plays on PulseAudio`.
    pub fn name(&self) -> String {
        match self {
            Self::Recorder(recorder) => recorder.name(),
            Self::Output(_, does) => does.clone(),
        }
    }

    /// Starts the player, if one is needed. `inlet` makes what takes deliveries to where they go.
    pub fn start(self, orders: &Orders, events: Sender<Event>, inlet: impl FnOnce(Sink) -> Inlet) -> Started {
        let output = match self {
            Self::Recorder(recorder) => {
                return Started { inlet: Arc::new(inlet(Sink::Recorder(recorder))), player: None };
            }
            Self::Output(output, _) => output,
        };
        let (queue, deliveries) = RingBuffer::new(QUEUE);
        let inlet = Arc::new(inlet(Sink::Player(queue)));
        let drawn = Arc::clone(&inlet);
        let fetch = Box::new(move || drawn.draw());
        let status = Arc::new(Status::default());
        let playing =
            Playing::start(output, orders.settings, (deliveries, fetch), Arc::clone(&status), events);
        Started { inlet, player: Some((playing, status)) }
    }
}

/// What has been started.
pub struct Started {
    /// What takes what comes.
    pub inlet: Arc<Inlet>,
    /// The player, and what tells how it plays.
    pub player: Option<(Playing, Arc<Status>)>,
}

/// The output that the user has chosen.
fn chosen(orders: &Orders, kind: &OutputKind) -> Result<Target> {
    match probed(orders, kind.clone()) {
        Ok(target) => Ok(target),
        // A server may be started after this program.
        Err((Some(output), OutputError::Gone(why))) => {
            Ok(Target::Output(output, format!("plays on {kind} once it is there ({why})")))
        }
        Err((_, OutputError::Gone(why) | OutputError::Impossible(why))) => Err(anyhow!(why)),
    }
}

/// The first output that is there.
fn first(orders: &Orders) -> Result<Target> {
    let mut reasons = Vec::new();
    for name in USUAL.into_iter().filter(|name| outputs::built_in().contains(name)) {
        let kind: OutputKind = name.parse().map_err(|why: String| anyhow!(why))?;
        match probed(orders, kind) {
            Ok(target) => return Ok(target),
            Err((_, OutputError::Gone(why) | OutputError::Impossible(why))) => {
                reasons.push(format!("{name}: {why}"));
            }
        }
    }
    if reasons.is_empty() {
        bail!("this build has no sound output; use -o raw or -o wav:FILE");
    }
    bail!("nothing to play on ({}); choose with -o, or use -o raw or -o wav:FILE", reasons.join("; "))
}

type NotThere = (Option<Box<dyn Output>>, OutputError);

/// Opens an output and looks whether it is there.
fn probed(orders: &Orders, kind: OutputKind) -> Result<Target, NotThere> {
    let choice = OutputChoice {
        kind,
        device: orders.device.clone(),
        sink: orders.sink.clone(),
        name: orders.name.clone(),
        connect: orders.connect,
        target: orders.settings.target,
        bit_exact: orders.settings.bit_exact,
    };
    let mut output = outputs::open(&choice).map_err(|error| (None, error))?;
    match output.probe() {
        Ok(name) => Ok(Target::Output(output, format!("plays on {name}"))),
        Err(error) => Err((Some(output), error)),
    }
}
