//! The whole program: [`run`] takes a command line and returns an exit code.
//!
//! The thread that calls it reports; another one receives; and, unless what comes is recorded as it is, a third one plays.

pub mod inlet;
mod receiving;
mod target;

use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::Moment;
use crate::arguments::{self, Orders, Parsed};
use crate::intake::Intake;
use crate::intake::counters::Counters;
use crate::player::thread::Event;
use crate::report::{Manner, News, Report, Watched, tell};
use crate::sources;
use inlet::{Inlet, Parts};
use receiving::Receiving;
use target::Target;

/// The exit code for success.
pub const DONE: i32 = 0;
/// The exit code of a failure: one line says what it is.
pub const FAILED: i32 = 1;
/// The exit code of a command line that makes no sense.
pub const MISUSED: i32 = 2;

/// How often the report is brought up to date.
const TICK: Duration = Duration::from_millis(100);
/// After so long without anything at all, a hint is given.
const HINT: Duration = Duration::from_secs(10);
/// How long the end may take: whoever reads our output may have stopped.
const PATIENCE: Duration = Duration::from_secs(3);

/// How much may wait to be told; more is left out, for a terminal that stands still must not stop the music.
const UNTOLD: usize = 256;

/// Does what the command line says, and returns the exit code.
pub fn run(arguments: Vec<OsString>) -> i32 {
    match arguments::parse(arguments) {
        // Whoever has asked and does not read the answer needs none.
        Parsed::Text(text) => {
            let _ = io::stdout().write_all(&text);
            DONE
        }
        Parsed::Misuse(wrong) => {
            tell(&wrong);
            MISUSED
        }
        Parsed::Orders(orders) => match play(&orders) {
            Ok(()) => DONE,
            Err(error) => {
                tell(&format!("error: {error:#}\n"));
                FAILED
            }
        },
    }
}

fn play(orders: &Orders) -> Result<()> {
    let stop = stopped_by_signals()?;
    let (source, group) = sources::open(&orders.listening, orders.settings.most)?;
    let (news_to, news) = mpsc::sync_channel(UNTOLD);
    let target = Target::choose(orders, &news_to, &stop)?;
    let counters = Arc::new(Counters::default());
    let (happened, events) = mpsc::channel();
    let (listening, playing, hint) = (source.name(), target.name(), source.hint());
    let intake = Intake::new(orders.hearing, Arc::clone(&counters));
    let started = target.start(orders, happened, |sink| {
        let (counters, news) = (Arc::clone(&counters), news_to.clone());
        Inlet::new(Parts { source, intake, sink, counters, news })
    });
    let (player, status) = started.player.unzip();
    let manner = Manner { verbose: orders.verbose, stats: orders.stats, json: orders.json };
    let watched = Watched { counters: Arc::clone(&counters), status };
    let report = Report::start(manner, watched, &listening, &playing, Moment::now());
    let receiving = Receiving {
        inlet: started.inlet,
        group,
        player,
        counters: Arc::clone(&counters),
        news: news_to,
        stop: Arc::clone(&stop),
    };
    let thread = thread::spawn(move || receiving.run());
    Watch { report, news, events, counters, hint: Some(hint), stop }.until_end(thread)
}

/// What is true once the program is asked to end.
fn stopped_by_signals() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    ctrlc::set_handler(move || asked.store(true, Ordering::Relaxed))
        .context("the program cannot be ended by signals")?;
    Ok(stop)
}

/// Tells what happens, until the end.
struct Watch {
    report: Report,
    news: Receiver<News>,
    events: Receiver<Event>,
    counters: Arc<Counters>,
    /// Until it has been given, or is not needed.
    hint: Option<String>,
    stop: Arc<AtomicBool>,
}

impl Watch {
    /// Goes on until the thread that receives has ended, by itself or because it was asked to.
    fn until_end(mut self, thread: JoinHandle<Result<()>>) -> Result<()> {
        let start = Moment::now();
        let mut failure = None;
        let mut asked = None;
        while !thread.is_finished() {
            self.tell(TICK);
            let now = Moment::now();
            if !self.stop.load(Ordering::Relaxed) {
                self.report.tick(now);
            }
            self.give_hint(now.since(start));
            if let Some(error) = self.report.failure() {
                self.stop.store(true, Ordering::Relaxed);
                failure = Some(error);
            }
            if self.stop.load(Ordering::Relaxed) && now.since(*asked.get_or_insert(now)) >= PATIENCE {
                break;
            }
        }
        let result = if thread.is_finished() { thread.join().unwrap_or(Ok(())) } else { Ok(()) };
        self.tell(Duration::ZERO);
        self.report.end(Moment::now());
        result?;
        match failure.or(self.report.failure()) {
            Some(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(error).context("standard output cannot be written")
            }
            _ => Ok(()),
        }
    }

    /// Tells what has happened; waits a little for something to happen.
    fn tell(&mut self, wait: Duration) {
        let begin = Moment::now();
        loop {
            let left = wait.saturating_sub(Moment::now().since(begin));
            match self.news.recv_timeout(left) {
                Ok(news) => self.report.news(&news),
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => {
                    thread::sleep(left);
                    break;
                }
            }
        }
        for event in self.events.try_iter() {
            self.report.news(&News::Player(event));
        }
    }

    /// Says why nothing comes, if nothing has come for long.
    fn give_hint(&mut self, since: Duration) {
        if self.counters.received() > 0 {
            self.hint = None;
        } else if since >= HINT
            && let Some(hint) = self.hint.take()
        {
            self.report.news(&News::Hint(hint));
        }
    }
}
