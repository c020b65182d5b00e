//! The trace: every call into the driver and out of it, in order, with virtual time, thread and IRQL.
//!
//! It holds nothing that differs between two runs of a seed or between two computers: no addresses, no wall-clock time.
//! So two runs are the same run if their traces are equal, and [`Trace::digest`] says so without keeping them.
//! [`Config::trace`](crate::Config::trace) chooses what is kept; [`Outcome::trace`](crate::Outcome::trace) is the result.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use crate::crossing::Direction;
use crate::machine::machine;
use crate::nt::NtStatus;
use crate::schedule::{self, Irql, Time};

/// What is kept of a trace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kept {
    /// Nothing, and no digest either: the fastest.
    #[default]
    Nothing,
    /// The digest, and this many entries before the end.
    Last(usize),
    /// Everything.
    All,
}

/// One step of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    time: Time,
    /// Zero: the scheduler.
    thread: u64,
    irql: Irql,
    /// How many calls were under way.
    depth: usize,
    step: Step,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Call(Direction, &'static str),
    Return(Direction, &'static str, Option<NtStatus>),
    Note(String),
}

/// A trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    kept: Kept,
    entries: VecDeque<Entry>,
    count: u64,
    digest: u64,
    threads: BTreeMap<u64, String>,
}

/// The trace of a machine that runs.
pub(crate) struct Recorder {
    on: bool,
    trace: RefCell<Trace>,
}

impl Recorder {
    pub(crate) fn new(kept: Kept) -> Self {
        Self { on: kept != Kept::Nothing, trace: RefCell::new(Trace { kept, ..Trace::default() }) }
    }

    /// The digest so far.
    pub(crate) fn digest(&self) -> u64 {
        self.trace.borrow().digest
    }

    pub(crate) fn take(&self) -> Trace {
        self.trace.take()
    }

    fn add(&self, step: Step) {
        let thread = schedule::try_current();
        let (id, irql, depth) = thread
            .as_ref()
            .map_or((0, 0, 0), |thread| (thread.id, thread.irql.get(), thread.frames.borrow().len()));
        let entry = Entry { time: schedule::now(), thread: id, irql, depth, step };
        let mut trace = self.trace.borrow_mut();
        if let Some(thread) = thread
            && !trace.threads.contains_key(&id)
        {
            trace.threads.insert(id, thread.name.clone());
        }
        trace.add(entry);
    }
}

/// A call begins. To be called when its frame is not on the thread yet.
pub(crate) fn call(direction: Direction, name: &'static str) {
    let recorder = &machine().recorder;
    if recorder.on {
        recorder.add(Step::Call(direction, name));
    }
}

/// A call has ended. To be called when its frame is gone.
pub(crate) fn returned(direction: Direction, name: &'static str, status: Option<NtStatus>) {
    let recorder = &machine().recorder;
    if recorder.on {
        recorder.add(Step::Return(direction, name, status));
    }
}

/// Adds a line of text: what a scenario does next, what the driver printed, a violation. Addresses in it become offsets.
///
/// # Panics
/// Outside a machine.
pub fn note(text: impl FnOnce() -> String) {
    let recorder = &machine().recorder;
    if recorder.on {
        recorder.add(Step::Note(crate::memory::without_addresses(&text())));
    }
}

impl Trace {
    /// A number that two equal traces share and two different ones, as good as certainly, do not.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// How many entries there were, kept or not.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// When calls by the driver of functions with such names came back to it, in nanoseconds, in order; of what was kept.
    pub fn returns(&self, is_one: impl Fn(&str) -> bool) -> Vec<Time> {
        let returned =
            |entry: &&Entry| matches!(entry.step, Step::Return(Direction::Outward, name, _) if is_one(name));
        self.entries.iter().filter(returned).map(|entry| entry.time).collect()
    }

    fn add(&mut self, entry: Entry) {
        self.count += 1;
        self.digest = entry.digest(self.digest);
        if let Kept::Last(most) = self.kept
            && self.entries.len() >= most
        {
            self.entries.pop_front();
        }
        if self.kept != Kept::Last(0) {
            self.entries.push_back(entry);
        }
    }
}

impl Entry {
    /// The FNV-1a hash of what came before and of this entry.
    fn digest(&self, before: u64) -> u64 {
        let mut hash = before ^ 0xCBF2_9CE4_8422_2325;
        let mut add = |bytes: &[u8]| {
            for byte in bytes {
                hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
            }
        };
        add(&self.time.to_le_bytes());
        add(&[self.thread as u8, self.irql, self.depth as u8]);
        match &self.step {
            Step::Call(direction, name) => {
                add(&[1, *direction as u8]);
                add(name.as_bytes());
            }
            Step::Return(direction, name, status) => {
                add(&[2, *direction as u8]);
                add(name.as_bytes());
                add(&status.map_or(1, |status| status.0).to_le_bytes());
            }
            Step::Note(text) => {
                add(&[3]);
                add(text.as_bytes());
            }
        }
        hash
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left_out = self.count - self.entries.len() as u64;
        if left_out > 0 {
            writeln!(f, "({left_out} entries before these were not kept)")?;
        }
        for (id, name) in &self.threads {
            writeln!(f, "thread {id} is {name}")?;
        }
        for entry in &self.entries {
            writeln!(f, "{entry}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { time, thread, irql, depth, step } = self;
        let (seconds, nanoseconds) = (time / 1_000_000_000, time % 1_000_000_000);
        write!(f, "{seconds}.{nanoseconds:09} thread {thread:<4} IRQL {irql} {:1$}", "", depth * 2)?;
        match step {
            Step::Call(Direction::Inward, name) => write!(f, "> {name}"),
            Step::Call(Direction::Outward, name) => write!(f, "{name}"),
            Step::Return(direction, name, status) => {
                let mark = if *direction == Direction::Inward { "<" } else { "=" };
                write!(f, "{mark} {name}")?;
                status.map_or(Ok(()), |status| write!(f, ": {status}"))
            }
            Step::Note(text) => write!(f, "-- {text}"),
        }
    }
}
