//! One simulated Windows in one Linux thread: what it is made of, and its life from boot to shutdown.
//!
//! All state of the simulation hangs off [`Machine`]. Code that the driver calls (`extern "efiapi"` functions) has no
//! argument that names the machine, so the running one is found through a thread-local pointer: [`machine`].
//! Several machines may run at the same time in different Linux threads; they share nothing.

use std::any::{Any, TypeId};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ptr;
use std::rc::Rc;
use std::time::Duration;

use crate::crossing::{self, Meter};
use crate::fault;
use crate::forgiven;
use crate::image::shared_data;
use crate::instructions::Counter;
use crate::kernel::{debug, etw};
use crate::memory::Space;
use crate::network;
use crate::process::Views;
use crate::schedule::{Clock, Policy, Scheduler};
use crate::trace::{self, Recorder, Trace};
use crate::verifier::{Verifier, Violation};
use crate::watch;
use crate::wsk;

/// How a machine is set up before it boots.
#[derive(Clone, Debug)]
pub struct Config {
    /// Virtual time (tests) or real time (demos).
    pub clock: Clock,
    /// Frequency of the performance counter in ticks per second.
    pub counter_frequency: u64,
    /// `None`: threads switch only where they wait. `Some(seed)`: every call is a possible switch, the seed chooses.
    pub seed: Option<u64>,
    /// Measures the time spent in driver code and counts the calls of every import: see [`Outcome::driver`].
    pub measure: bool,
    /// Counts the instructions that run in driver code: see [`DriverUse::instructions`]. Each takes a microsecond or two,
    /// so this is for a run of its own.
    pub count_instructions: bool,
    /// Period of the clock interrupt in nanoseconds: ordinary timers and wait time-outs expire at its ticks, those of
    /// high resolution do not. `None`: all of them are exact.
    pub clock_tick: Option<u64>,
    /// What memory is filled with whose contents are undefined; the bytes around a block follow from it.
    pub undefined: u8,
    /// The memory of a request (instance data, value, format) ends at an unmapped page to the byte, whatever that makes
    /// of its alignment; else it is aligned to 16 bytes and may be followed by up to 15 others.
    pub exact_requests: bool,
    /// Goes on after mistakes with which Windows goes on by luck, once they are recorded.
    pub forgiving: bool,
    /// Prints the driver's debug output to the standard error stream as it comes.
    pub echo_debug_output: bool,
    /// What is kept of the calls across the border.
    pub trace: trace::Kept,
    /// Which events are recorded from boot on: see [`Outcome::events`].
    pub events: Option<etw::Session>,
    /// The network that the machine is connected to.
    pub network: network::Setup,
    /// How Winsock Kernel behaves.
    pub wsk: wsk::Setup,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            clock: Clock::Virtual,
            counter_frequency: 10_000_000,
            seed: None,
            measure: false,
            count_instructions: false,
            clock_tick: None,
            undefined: 0xA5,
            exact_requests: false,
            forgiving: false,
            echo_debug_output: false,
            trace: trace::Kept::Nothing,
            events: None,
            network: network::Setup::default(),
            wsk: wsk::Setup::default(),
        }
    }
}

/// One simulated Windows.
pub struct Machine {
    /// The configuration it was booted with.
    pub config: Config,
    pub(crate) scheduler: Scheduler,
    pub(crate) verifier: Verifier,
    pub(crate) meter: Meter,
    pub(crate) recorder: Recorder,
    pub(crate) counter: Counter,
    pub(crate) views: Views,
    parts: RefCell<HashMap<TypeId, Rc<dyn Any>>>,
    // Last, so that everything that points into it is gone when it is unmapped.
    pub(crate) memory: Space,
}

/// What a run came to.
#[derive(Debug)]
pub struct Outcome<T> {
    /// What the closure returned; `None` when the machine stopped (bug check, fatal violation, deadlock) before its end.
    pub value: Option<T>,
    /// Every rule that was broken, in order.
    pub violations: Vec<Violation>,
    /// The lines that the driver printed, each with the virtual time in nanoseconds.
    pub debug_output: Vec<(u64, String)>,
    /// The events that were recorded.
    pub events: Vec<etw::Event>,
    /// What [`Config::measure`] and [`Config::count_instructions`] measured.
    pub driver: DriverUse,
    /// What [`Config::trace`] kept.
    pub trace: Trace,
}

/// What the driver used of the processor.
#[derive(Clone, Debug, Default)]
pub struct DriverUse {
    /// Time spent in driver code, without the functions it called, and less what crossing the border takes (as measured
    /// when the machine started; not under a seed). Time in which Linux ran something else on the processor is in it.
    pub cpu: Duration,
    /// What was taken off of `cpu` for the crossings.
    pub border: Duration,
    /// Instructions that ran in driver code, without the functions it called. `None` when they were not counted, and on
    /// processors other than x86-64.
    pub instructions: Option<u64>,
    /// Bytes that the driver had `memcpy`, `memmove` and `memset` write.
    pub copied: u64,
    /// The functions that crossed the border, with how often they did; the most frequent first.
    pub crossings: Vec<(&'static str, u64)>,
    /// The deepest stack use of a call into the driver, in bytes. Always measured.
    pub peak_stack: usize,
}

impl DriverUse {
    /// What the driver of the running machine has used so far.
    ///
    /// # Panics
    /// Outside [`Machine::run`].
    pub fn so_far() -> Self {
        let machine = machine();
        machine.meter.read(machine.counter.executed())
    }

    /// How often functions of these names crossed the border.
    pub fn calls(&self, is_one: impl Fn(&str) -> bool) -> u64 {
        self.crossings.iter().filter(|(name, _)| is_one(name)).map(|(_, count)| count).sum()
    }
}

impl<T> Outcome<T> {
    /// The closure's value, if no rule was broken.
    ///
    /// # Panics
    /// With the list of violations, when there is one: the way a test reports them.
    #[track_caller]
    pub fn expect_clean(self) -> T {
        let list: Vec<String> = self.violations.iter().map(ToString::to_string).collect();
        assert!(list.is_empty(), "the driver broke {} rule(s):\n{}", list.len(), list.join("\n"));
        self.value.expect("a machine that stops early records why")
    }
}

thread_local! {
    static CURRENT: Cell<*const Machine> = const { Cell::new(ptr::null()) };
}

/// The machine that runs on this Linux thread.
///
/// # Panics
/// Outside [`Machine::run`].
pub(crate) fn machine() -> &'static Machine {
    let machine = CURRENT.get();
    assert!(!machine.is_null(), "no machine runs on this thread");
    // SAFETY: `run` sets the pointer to a machine that it keeps alive until it clears it again, and every caller runs
    // inside `run` on the same Linux thread; nothing keeps the reference longer than its call.
    unsafe { &*machine }
}

impl Machine {
    /// The machine's one value of a type: where a part of the simulation keeps its state. Made when first asked for.
    pub(crate) fn part<T: Default + 'static>(&self) -> Rc<T> {
        let found = self.parts.borrow().get(&TypeId::of::<T>()).cloned();
        let part = found.unwrap_or_else(|| {
            let made: Rc<dyn Any> = Rc::new(T::default());
            self.parts.borrow_mut().insert(TypeId::of::<T>(), Rc::clone(&made));
            made
        });
        part.downcast().unwrap_or_else(|_| unreachable!("parts are stored under their own type"))
    }

    /// Boots a machine, runs `user` as its first thread, and shuts down.
    ///
    /// # Panics
    /// Propagates a panic of `user` (a failed assertion of a test).
    pub fn run<T: 'static>(config: Config, user: impl FnOnce() -> T + 'static) -> Outcome<T> {
        assert!(CURRENT.get().is_null(), "a machine already runs on this thread");
        let policy = config.seed.map_or(Policy::Cooperative, Policy::seeded);
        let machine = Machine {
            scheduler: Scheduler::new(config.clock, config.counter_frequency, policy),
            verifier: Verifier::default(),
            meter: Meter::new(config.measure),
            recorder: Recorder::new(config.trace),
            counter: Counter::new(config.count_instructions),
            views: Views::default(),
            parts: RefCell::default(),
            memory: Space::default(),
            config,
        };
        let _signals = fault::Handlers::install();
        let _current = CurrentMachine::set(&machine);
        let value = machine.scheduler.run_to_end(|| {
            crossing::calibrate();
            user()
        });
        Outcome {
            value,
            violations: machine.verifier.take(),
            debug_output: debug::take_output(),
            events: etw::take_events(),
            driver: machine.meter.read(machine.counter.executed()),
            trace: machine.recorder.take(),
        }
    }
}

/// The machine that runs on this Linux thread, if one does. Safe in a signal handler.
pub(crate) fn try_machine() -> Option<&'static Machine> {
    let machine = CURRENT.get();
    // SAFETY: as in `machine`.
    unsafe { machine.as_ref() }
}

/// Clears the thread-local pointer also when a panic passes through.
struct CurrentMachine;

impl CurrentMachine {
    fn set(machine: &Machine) -> Self {
        CURRENT.set(machine);
        Self
    }
}

impl Drop for CurrentMachine {
    fn drop(&mut self) {
        // A panic may have left driver code without crossing the border.
        machine().counter.disarm();
        CURRENT.set(ptr::null());
        shared_data::forget();
        forgiven::forget();
        watch::forget();
    }
}
