//! One simulated Windows in one Linux thread: what it is made of, and its life from boot to shutdown.
//!
//! All state of the simulation hangs off [`Machine`]. Code that the driver calls (`extern "efiapi"` functions) has no
//! argument that names the machine, so the running one is found through a thread-local pointer: [`machine`].
//! Several machines may run at the same time in different Linux threads; they share nothing.

use std::cell::Cell;
use std::ptr;

use crate::schedule::{Clock, Policy, Scheduler};
use crate::verifier::{Verifier, Violation};

/// How a machine is set up before it boots.
#[derive(Clone, Debug)]
pub struct Config {
    /// Virtual time (tests) or real time (demos).
    pub clock: Clock,
    /// Frequency of the performance counter in ticks per second.
    pub counter_frequency: u64,
    /// `None`: threads switch only where they wait. `Some(seed)`: every call is a possible switch, the seed chooses.
    pub seed: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self { clock: Clock::Virtual, counter_frequency: 10_000_000, seed: None }
    }
}

/// One simulated Windows.
pub struct Machine {
    /// The configuration it was booted with.
    pub config: Config,
    pub(crate) scheduler: Scheduler,
    pub(crate) verifier: Verifier,
}

/// What a run came to.
#[derive(Debug)]
pub struct Outcome<T> {
    /// What the closure returned; `None` when the machine stopped (bug check, fatal violation, deadlock) before its end.
    pub value: Option<T>,
    /// Every rule that was broken, in order.
    pub violations: Vec<Violation>,
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
            config,
        };
        let _current = CurrentMachine::set(&machine);
        let value = machine.scheduler.run_to_end(user);
        Outcome { value, violations: machine.verifier.take() }
    }
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
        CURRENT.set(ptr::null());
    }
}
