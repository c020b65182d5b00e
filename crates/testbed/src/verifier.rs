//! The rules a driver must keep, and the record of those it broke.

use std::cell::RefCell;
use std::fmt;
use std::panic::Location;

use crate::machine::machine;
use crate::memory;
use crate::schedule::{self, Irql, Time};
use crate::trace;

/// A rule of the verifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// A function was called at an IRQL above its documented maximum, or a wait was made where none is allowed.
    Irql,
    /// A call into the driver returned at another IRQL than it was made at.
    IrqlUnbalanced,
    /// Every thread waits and nothing is due.
    Deadlock,
    /// Pool memory: leak, double free, wrong tag, size zero, more than it may have.
    Pool,
    /// A spin lock was taken twice, released by another thread, or held across a wait or a return.
    SpinLock,
    /// An I/O request packet was reused while pending, completed twice, freed while in use, or its stack overrun.
    Irp,
    /// A memory descriptor list was freed twice, freed while mapped, or leaked.
    Mdl,
    /// Something was still alive when the driver was unloaded.
    Unload,
    /// A kernel object was used before it was initialised, after it was freed, or in a way it does not allow.
    Object,
    /// A COM rule: reference counts, calls after the last release, a method at a level it may not have.
    Com,
    /// The driver touched memory that is not its own.
    Access,
    /// The driver used more kernel stack than it may.
    Stack,
    /// The driver called a function with an argument that its documentation forbids.
    Argument,
    /// The machine stopped with a bug check.
    BugCheck,
}

/// A broken rule: what happened, and where.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The rule.
    pub rule: Rule,
    /// One sentence.
    pub text: String,
    /// The thread that did it, or "scheduler".
    pub thread: String,
    /// Its IRQL at that time.
    pub irql: Irql,
    /// Nanoseconds since the machine was switched on.
    pub time: Time,
    /// The calls into and out of the driver that were under way, outermost first.
    pub calls: Vec<&'static str>,
    /// Where the testbed found it out.
    pub site: &'static Location<'static>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rule, text, thread, irql, time, calls, site: _ } = self;
        let calls = calls.join(" > ");
        let seconds = *time as f64 / 1e9;
        write!(f, "{rule:?}: {text} [thread {thread}, IRQL {irql}, {seconds:.7} s, in {calls}]")
    }
}

/// The violations of a machine so far.
#[derive(Default)]
pub(crate) struct Verifier {
    violations: RefCell<Vec<Violation>>,
}

impl Verifier {
    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.violations.borrow().len()
    }

    pub(crate) fn take(&self) -> Vec<Violation> {
        self.violations.take()
    }
}

/// Records that a rule was broken; the run goes on.
#[track_caller]
pub fn record(rule: Rule, text: impl Into<String>) {
    let thread = schedule::try_current();
    let violation = Violation {
        rule,
        text: memory::without_addresses(&text.into()),
        thread: thread.as_ref().map_or_else(|| "scheduler".to_owned(), |thread| thread.name.clone()),
        irql: thread.as_ref().map_or(0, |thread| thread.irql.get()),
        time: schedule::now(),
        calls: thread
            .map(|thread| thread.frames.borrow().iter().map(|frame| frame.name).collect())
            .unwrap_or_default(),
        site: Location::caller(),
    };
    trace::note(|| format!("VIOLATION {:?}: {}", violation.rule, violation.text));
    machine().verifier.violations.borrow_mut().push(violation);
}

/// Records that a rule was broken after which nothing makes sense, and stops the machine.
#[track_caller]
pub fn fatal(rule: Rule, text: impl Into<String>) -> ! {
    record(rule, text);
    schedule::halt()
}
