//! What people and programs are told: [`Report`].
//!
//! People are told on the standard error: a start line, events, and on a terminal a meter. Programs are told on the standard
//! output, if they ask for it, in [JSON](json).

pub mod json;
mod meter;
pub mod news;
mod table;

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use crate::Moment;
use crate::intake::counters::{Counters, Totals};
use crate::player::status::{Figures, Status};
use json::Line;
use meter::Meter;
pub use news::News;

/// How often a status is given.
const EACH: Duration = Duration::from_secs(1);

/// How much is told.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// 0 for what matters, 1 for what happens, 2 for a status each second.
    pub verbose: u8,
    /// Totals at the end, for people.
    pub stats: bool,
    /// JSON on the standard output.
    pub json: bool,
}

/// What the figures come from.
#[derive(Clone, Debug)]
pub struct Watched {
    /// What has been received.
    pub counters: Arc<Counters>,
    /// What is being played, if there is a player.
    pub status: Option<Arc<Status>>,
}

/// What is known at one time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Snapshot {
    /// Since the start.
    pub time: Duration,
    /// What has been received.
    pub totals: Totals,
    /// What is being played, if there is a player.
    pub figures: Option<Figures>,
    /// Packets in the last second.
    pub packets_per_second: u64,
}

/// Tells people and programs.
pub struct Report {
    manner: Manner,
    watched: Watched,
    meter: Option<Meter>,
    start: Moment,
    next: Moment,
    last: Snapshot,
    delays: Mean,
    failure: Option<io::Error>,
}

/// A mean of what is told little by little.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mean {
    sum: Duration,
    count: u32,
}

impl Report {
    /// Begins with a line that says what is heard and played on.
    pub fn start(manner: Manner, watched: Watched, listening: &str, playing: &str, now: Moment) -> Self {
        tell(&format!("listens to {listening}; {playing}\n"));
        let meter = (io::stderr().is_terminal() && !manner.json).then(Meter::new);
        let mut report = Self {
            manner,
            watched,
            meter,
            start: now,
            next: now + EACH,
            last: Snapshot::default(),
            delays: Mean::default(),
            failure: None,
        };
        report.json(&Line::Start { listening, playing });
        report
    }

    /// Why programs cannot be told any more.
    pub fn failure(&mut self) -> Option<io::Error> {
        self.failure.take()
    }

    /// Tells an event.
    pub fn news(&mut self, news: &News) {
        if news.level() <= self.manner.verbose {
            self.line(&news.to_string());
        }
        self.json(&Line::from(news));
    }

    /// Shows how it goes; to be called about ten times a second.
    pub fn tick(&mut self, now: Moment) {
        let levels = self.watched.counters.levels.take();
        let is_due = now >= self.next;
        let snapshot = self.snapshot(now, is_due);
        if let Some(figures) = &snapshot.figures {
            self.delays.add(figures.delay);
        }
        if let Some(meter) = &mut self.meter {
            meter.show(&snapshot, levels.as_ref());
        } else if is_due && self.manner.verbose >= 2 {
            tell(&format!("{}\n", meter::figures(&snapshot)));
        }
        if is_due {
            self.json(&Line::status(&snapshot, levels.as_ref()));
        }
    }

    /// Ends with the totals.
    pub fn end(&mut self, now: Moment) {
        if let Some(meter) = self.meter.take() {
            meter.end();
        }
        let snapshot = self.snapshot(now, false);
        if self.manner.stats {
            tell(&table::of(&snapshot, self.delays));
        }
        self.json(&Line::totals(&snapshot, self.delays));
    }

    fn snapshot(&mut self, now: Moment, is_due: bool) -> Snapshot {
        let totals = self.watched.counters.totals();
        if is_due {
            self.next = now + EACH;
            self.last.packets_per_second = totals.received.saturating_sub(self.last.totals.received);
            self.last.totals = totals;
        }
        let figures = self.watched.status.as_ref().map(|status| status.figures());
        Snapshot { time: now.since(self.start), totals, figures, ..self.last }
    }

    fn line(&self, text: &str) {
        match &self.meter {
            Some(meter) => meter.above(text),
            None => tell(&format!("{text}\n")),
        }
    }

    fn json(&mut self, line: &Line<'_>) {
        if self.manner.json
            && let Err(error) = print(line)
        {
            self.failure = Some(error);
        }
    }
}

/// Tells people. Where nobody is left to be told, the work goes on: a terminal may be closed during a recording.
pub fn tell(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

fn print(line: &Line<'_>) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&text)?;
    out.flush()
}

impl Mean {
    /// Takes a value into account, unless it is zero: then there was none.
    pub fn add(&mut self, value: Duration) {
        if !value.is_zero() {
            self.sum += value;
            self.count += 1;
        }
    }

    /// The mean; `None` of nothing.
    pub fn get(self) -> Option<Duration> {
        self.sum.checked_div(self.count)
    }
}

/// Milliseconds, for numbers that are shown.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
