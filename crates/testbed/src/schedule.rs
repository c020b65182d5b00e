//! Simulated threads and the clocks.
//!
//! Every thread of the simulated Windows (the user of a scenario, system threads of the driver, deferred procedure
//! calls, completions) is a coroutine, and all of them run on one Linux thread, one at a time. A thread gives way only
//! inside [`wait`] or [`switch_point`], so a run is a pure function of the image, the scenario and the seed.
//!
//! * [`wait`] blocks the calling thread until a condition holds or a time has come.
//! * [`at`] runs a closure when the time has come (timers, completions); [`spawn`] starts a thread.
//! * Under [`Clock::Virtual`] time stands still while anything can run, and jumps to the next entry of the agenda when
//!   nothing can. Under [`Clock::Real`] it is the system's monotonic clock and the process sleeps instead.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use corosensei::stack::{DefaultStack, Stack};
use corosensei::{Coroutine, CoroutineResult, Yielder};

use crate::crossing::Frame;
use crate::machine::machine;
use crate::memory;
use crate::process::Process;
use crate::verifier::{self, Rule};

/// Nanoseconds since the simulated machine was switched on.
pub type Time = u64;

/// Interrupt request level, as in `wdm.h`: 0 PASSIVE, 1 APC, 2 DISPATCH.
pub type Irql = u8;
/// Thread code, paging and waits are allowed.
pub const PASSIVE_LEVEL: Irql = 0;
/// Asynchronous procedure calls are held off.
pub const APC_LEVEL: Irql = 1;
/// The scheduler is off: no waits, no pageable memory.
pub const DISPATCH_LEVEL: Irql = 2;

/// The machine has been up for an hour when a run begins, so that no clock starts at zero.
pub(crate) const BOOT_TIME: Time = 3_600_000_000_000;
/// Bytes of stack a simulated thread gets. The driver's share is limited by a rule in `crossing`; the rest is for the
/// testbed's own functions, which run on the same stack.
const STACK_BYTES: usize = 512 * 1024;

/// Where time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Time jumps to the next deadline when every thread waits: exact, repeatable, faster than life.
    Virtual,
    /// The monotonic clock of the system: for demos and for real receivers.
    Real,
}

/// Which of the threads that can run is next.
pub(crate) enum Policy {
    /// In the order in which they became ready; a thread runs until it waits.
    Cooperative,
    /// A random one, and any call may give way.
    Seeded(RefCell<SplitMix>),
}

impl Policy {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self::Seeded(RefCell::new(SplitMix(seed)))
    }
}

/// The generator of Steele, Lea and Flood (2014): tiny, and the same on every machine for ever.
pub(crate) struct SplitMix(pub(crate) u64);

impl SplitMix {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`; zero when that is zero.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// A thread of the simulated machine.
pub struct Thread {
    /// Unique, counted from 1 (the user of the scenario).
    pub id: u64,
    /// What it is for, as a violation shows it.
    pub name: String,
    /// Its current interrupt request level.
    pub irql: Cell<Irql>,
    /// The process it runs in.
    pub process: Cell<Process>,
    /// The calls into the driver and out of it that are under way, innermost last.
    pub(crate) frames: RefCell<Vec<Frame>>,
    /// Where the driver's share of the processor began to count; see `crossing`.
    pub(crate) mark: Cell<u64>,
    /// Lowest and highest address of its stack.
    pub(crate) stack: (usize, usize),
    coroutine: RefCell<Option<Task>>,
    yielder: Cell<*const Yielder<(), ()>>,
    waiting: RefCell<Option<Waiting>>,
    finished: Cell<bool>,
}

type Task = Coroutine<(), (), (), DefaultStack>;

/// What a thread waits for.
struct Waiting {
    /// Shown when nothing can ever happen again.
    what: &'static str,
    /// Says whether the wait is over, and takes what it waited for.
    poll: Box<dyn FnMut() -> bool>,
    timed_out: Rc<Cell<bool>>,
}

/// An entry of the agenda, to cancel it with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Appointment(Time, u64);

/// All threads, the agenda, and the clock of a machine.
pub(crate) struct Scheduler {
    clock: Clock,
    counter_frequency: u64,
    policy: Policy,
    started: Instant,
    virtual_now: Cell<Time>,
    agenda: RefCell<BTreeMap<Appointment, Box<dyn FnOnce()>>>,
    sequence: Cell<u64>,
    waiting: RefCell<Vec<Rc<Thread>>>,
    ready: RefCell<VecDeque<Rc<Thread>>>,
    current: RefCell<Option<Rc<Thread>>>,
    threads_started: Cell<u64>,
    idle_stacks: RefCell<Vec<DefaultStack>>,
    stopped: Cell<bool>,
    polling: Cell<bool>,
    panic: RefCell<Option<Box<dyn Any + Send>>>,
}

/// The waiting threads while they are polled. Puts them back also when a poll panics: what is on their stacks must
/// not be unwound.
struct Polled<'a> {
    scheduler: &'a Scheduler,
    waiting: Vec<Rc<Thread>>,
}

impl Drop for Polled<'_> {
    fn drop(&mut self) {
        // Polling starts no threads and makes none wait, so the list is still empty here.
        *self.scheduler.waiting.borrow_mut() = std::mem::take(&mut self.waiting);
        self.scheduler.polling.set(false);
    }
}

impl Drop for Scheduler {
    /// When a panic passes through the scheduler: coroutines must not unwind, there may be driver frames on them.
    fn drop(&mut self) {
        self.discard_threads();
    }
}

impl Scheduler {
    pub(crate) fn new(clock: Clock, counter_frequency: u64, policy: Policy) -> Self {
        Self {
            clock,
            counter_frequency,
            policy,
            started: Instant::now(),
            virtual_now: Cell::new(BOOT_TIME),
            agenda: RefCell::default(),
            sequence: Cell::new(0),
            waiting: RefCell::default(),
            ready: RefCell::default(),
            current: RefCell::new(None),
            threads_started: Cell::new(0),
            idle_stacks: RefCell::default(),
            stopped: Cell::new(false),
            polling: Cell::new(false),
            panic: RefCell::new(None),
        }
    }

    fn now(&self) -> Time {
        match self.clock {
            Clock::Virtual => self.virtual_now.get(),
            Clock::Real => BOOT_TIME + self.started.elapsed().as_nanos() as Time,
        }
    }

    /// Runs `user` as the first thread until it returns or the machine stops; then no thread is left.
    pub(crate) fn run_to_end<T: 'static>(&self, user: impl FnOnce() -> T + 'static) -> Option<T> {
        let result = Rc::new(RefCell::new(None));
        let slot = Rc::clone(&result);
        let first = spawn_in(Process::AudioEngine, "user", PASSIVE_LEVEL, move || {
            let caught = catch_unwind(AssertUnwindSafe(user));
            *slot.borrow_mut() = Some(caught);
        });
        while !first.finished.get() && !self.stopped.get() {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.step()))
                && !panic.is::<Halted>()
            {
                resume_unwind(panic);
            }
        }
        self.discard_threads();
        if let Some(panic) = self.panic.take() {
            resume_unwind(panic);
        }
        match result.borrow_mut().take() {
            Some(Ok(value)) => Some(value),
            Some(Err(panic)) => resume_unwind(panic),
            None => None,
        }
    }

    /// The thread that runs, also in a signal handler.
    pub(crate) fn try_running(&self) -> Option<Rc<Thread>> {
        self.current.try_borrow().ok()?.clone()
    }

    /// Runs what is due, then one thread; or lets time pass.
    fn step(&self) {
        self.run_due();
        self.poll_waits();
        if let Some(thread) = self.take_ready() {
            self.resume(thread);
            return;
        }
        let Some(next) = self.agenda.borrow().keys().next().copied() else {
            let waits: Vec<String> = (self.waiting.borrow().iter())
                .map(|thread| format!("{} waits for {}", thread.name, thread.wait_reason()))
                .collect();
            verifier::record(Rule::Deadlock, format!("nothing can ever happen again: {}", waits.join("; ")));
            self.stopped.set(true);
            return;
        };
        self.pass_time_until(next.0);
    }

    fn pass_time_until(&self, time: Time) {
        match self.clock {
            Clock::Virtual => self.virtual_now.set(time.max(self.virtual_now.get())),
            Clock::Real => {
                let now = self.now();
                if time > now {
                    std::thread::sleep(Duration::from_nanos(time - now));
                }
            }
        }
    }

    fn run_due(&self) {
        loop {
            let now = self.now();
            let mut agenda = self.agenda.borrow_mut();
            let Some(entry) = agenda.first_entry().filter(|entry| entry.key().0 <= now) else { return };
            let action = entry.remove();
            drop(agenda);
            action();
        }
    }

    /// Moves every thread whose wait is over to the ready queue.
    fn poll_waits(&self) {
        if self.polling.replace(true) {
            return;
        }
        let mut polled = Polled { scheduler: self, waiting: self.waiting.take() };
        let waiting = &mut polled.waiting;
        if let Policy::Seeded(random) = &self.policy {
            let mut random = random.borrow_mut();
            for last in (1..waiting.len()).rev() {
                waiting.swap(last, random.below(last + 1));
            }
        }
        waiting.retain(|thread| {
            let mut wait = thread.waiting.borrow_mut();
            let over = wait.as_mut().is_none_or(|wait| (wait.poll)() || wait.timed_out.get());
            if over {
                *wait = None;
                self.ready.borrow_mut().push_back(Rc::clone(thread));
            }
            !over
        });
    }

    fn take_ready(&self) -> Option<Rc<Thread>> {
        let mut ready = self.ready.borrow_mut();
        match &self.policy {
            Policy::Cooperative => ready.pop_front(),
            Policy::Seeded(random) => {
                let index = random.borrow_mut().below(ready.len());
                ready.remove(index)
            }
        }
    }

    fn resume(&self, thread: Rc<Thread>) {
        let mut task = thread.coroutine.borrow_mut().take().expect("a ready thread has a coroutine");
        *self.current.borrow_mut() = Some(Rc::clone(&thread));
        memory::page_for(thread.irql.get());
        let result = task.resume(());
        *self.current.borrow_mut() = None;
        memory::page_for(PASSIVE_LEVEL);
        match result {
            CoroutineResult::Return(()) => {
                thread.finished.set(true);
                self.idle_stacks.borrow_mut().push(task.into_stack());
            }
            CoroutineResult::Yield(()) if thread.finished.get() => self.discard(task),
            CoroutineResult::Yield(()) => {
                *thread.coroutine.borrow_mut() = Some(task);
                let queue_as_ready = thread.waiting.borrow().is_none();
                if queue_as_ready {
                    self.ready.borrow_mut().push_back(thread);
                } else {
                    self.waiting.borrow_mut().push(thread);
                }
            }
        }
    }

    /// Ends a coroutine without unwinding: there are driver frames on its stack, which nothing can unwind.
    fn discard(&self, mut task: Task) {
        // SAFETY: nothing that lives on the abandoned stack is used again: wait conditions are dropped with the
        // thread's `waiting`, and the testbed keeps no other pointer into a simulated thread's stack.
        unsafe { task.force_reset() };
        self.idle_stacks.borrow_mut().push(task.into_stack());
    }

    fn discard_threads(&self) {
        let threads = self.waiting.take().into_iter().chain(self.ready.take());
        for thread in threads {
            *thread.waiting.borrow_mut() = None;
            let task = thread.coroutine.borrow_mut().take();
            if let Some(task) = task {
                self.discard(task);
            }
        }
        self.agenda.borrow_mut().clear();
    }
}

impl Thread {
    fn wait_reason(&self) -> &'static str {
        self.waiting.borrow().as_ref().map_or("nothing", |wait| wait.what)
    }

    /// Whether it has run to its end.
    pub fn is_finished(&self) -> bool {
        self.finished.get()
    }

    fn give_way(&self) {
        let yielder = self.yielder.get();
        // Driver code gives way only through Windows, which is not traced. This is for tests that play the driver.
        machine().counter.disarm();
        // SAFETY: the pointer was set when the coroutine began and is valid as long as it runs, which it does: it is
        // the caller.
        unsafe { (*yielder).suspend(()) };
    }
}

/// The time on the machine's clock.
pub fn now() -> Time {
    machine().scheduler.now()
}

/// The performance counter: ticks since boot, at the machine's counter frequency.
pub fn counter() -> u64 {
    counter_at(now())
}

/// The performance counter at a time.
pub fn counter_at(time: Time) -> u64 {
    (u128::from(time) * u128::from(machine().scheduler.counter_frequency) / 1_000_000_000) as u64
}

/// The thread that runs.
pub fn current() -> Rc<Thread> {
    machine().scheduler.current.borrow().clone().expect("driver and scenario code runs in a simulated thread")
}

/// The thread that runs, or `None` when the scheduler itself does (actions of the agenda, polls of waits).
pub fn try_current() -> Option<Rc<Thread>> {
    machine().scheduler.current.borrow().clone()
}

/// Ends at once every wait whose condition holds now: what happens next may make it false again, and a wait that was
/// satisfied stays satisfied.
pub fn poll_now() {
    machine().scheduler.poll_waits();
}

/// Keeps a panic of the testbed or of a scenario's callback that would have to pass through driver code, stops the
/// machine, and lets [`Machine::run`](crate::Machine::run) go on with it.
pub(crate) fn halt_with_panic(panic: Box<dyn Any + Send>) -> ! {
    *machine().scheduler.panic.borrow_mut() = Some(panic);
    halt()
}

/// Starts a thread that begins at `irql`; it runs when the running thread gives way.
///
/// It runs in the process of the running thread, or in System when there is none. What begins at DISPATCH_LEVEL has
/// interrupted some thread, of which process nobody knows.
pub fn spawn(name: impl Into<String>, irql: Irql, body: impl FnOnce() + 'static) -> Rc<Thread> {
    let parent = try_current().map_or(Process::System, |thread| thread.process.get());
    spawn_in(if irql < DISPATCH_LEVEL { parent } else { Process::Arbitrary }, name, irql, body)
}

/// As [`spawn`], in a process.
pub fn spawn_in(
    process: Process,
    name: impl Into<String>,
    irql: Irql,
    body: impl FnOnce() + 'static,
) -> Rc<Thread> {
    let scheduler = &machine().scheduler;
    let stack = scheduler.idle_stacks.borrow_mut().pop();
    let stack = stack
        .unwrap_or_else(|| DefaultStack::new(STACK_BYTES).expect("memory for a simulated thread's stack"));
    let id = scheduler.threads_started.get() + 1;
    scheduler.threads_started.set(id);
    let thread = Rc::new(Thread {
        id,
        name: name.into(),
        irql: Cell::new(irql),
        process: Cell::new(process),
        frames: RefCell::default(),
        mark: Cell::new(0),
        stack: (stack.limit().get(), stack.base().get()),
        coroutine: RefCell::new(None),
        yielder: Cell::new(ptr::null()),
        waiting: RefCell::new(None),
        finished: Cell::new(false),
    });
    let own = Rc::downgrade(&thread);
    let task = Coroutine::with_stack(stack, move |yielder: &Yielder<(), ()>, ()| {
        if let Some(thread) = own.upgrade() {
            thread.yielder.set(yielder);
        }
        body();
    });
    *thread.coroutine.borrow_mut() = Some(task);
    scheduler.ready.borrow_mut().push_back(Rc::clone(&thread));
    thread
}

/// Ends the running thread here and now; nothing on its stack is dropped.
pub fn terminate() -> ! {
    let thread = current();
    thread.finished.set(true);
    let raw = Rc::as_ptr(&thread);
    drop(thread);
    loop {
        // SAFETY: the scheduler holds a reference to the running thread until it has taken note of its end.
        unsafe { (*raw).give_way() };
    }
}

/// Stops the whole machine after the running thread gave way: nothing runs any more.
pub fn stop_machine() {
    machine().scheduler.stopped.set(true);
}

/// Unwinds from an action of the agenda, which is in no thread's context, when the machine halts there.
struct Halted;

/// Stops the machine and never returns: for a bug check, or a violation after which nothing makes sense.
pub fn halt() -> ! {
    stop_machine();
    if try_current().is_none() {
        resume_unwind(Box::new(Halted));
    }
    terminate()
}

/// Runs `action` in no thread's context (it must not wait or call the driver: [`spawn`] for that) at `time`.
pub fn at(time: Time, action: impl FnOnce() + 'static) -> Appointment {
    let scheduler = &machine().scheduler;
    let sequence = scheduler.sequence.get();
    scheduler.sequence.set(sequence + 1);
    let appointment = Appointment(time, sequence);
    scheduler.agenda.borrow_mut().insert(appointment, Box::new(action));
    appointment
}

/// Takes an entry off the agenda; false when it has run or was cancelled before.
pub fn cancel(appointment: Appointment) -> bool {
    machine().scheduler.agenda.borrow_mut().remove(&appointment).is_some()
}

/// Blocks the running thread until `poll` gives a value, or until `deadline` has come (then `None`).
///
/// `poll` may have side effects when it succeeds (it takes what was waited for) and is called at any time from the
/// scheduler; it must not wait.
pub fn wait<T>(what: &'static str, deadline: Option<Time>, mut poll: impl FnMut() -> Option<T>) -> Option<T> {
    let mut taken = poll();
    if taken.is_some() || deadline.is_some_and(|deadline| deadline <= now()) {
        return taken;
    }
    let thread = current();
    let timed_out = Rc::new(Cell::new(false));
    let appointment = deadline.map(|deadline| {
        let timed_out = Rc::clone(&timed_out);
        at(deadline, move || timed_out.set(true))
    });
    let slot: *mut Option<T> = &mut taken;
    let condition: Box<dyn FnMut() -> bool + '_> = Box::new(|| match poll() {
        Some(value) => {
            // SAFETY: `taken` lives in this function, which returns only after the scheduler dropped the closure.
            unsafe { *slot = Some(value) };
            true
        }
        None => false,
    });
    // SAFETY: the closure borrows from this stack frame. The scheduler drops it before it resumes this thread, and
    // before it discards this thread's stack, so it never outlives what it borrows.
    let poll =
        unsafe { std::mem::transmute::<Box<dyn FnMut() -> bool + '_>, Box<dyn FnMut() -> bool>>(condition) };
    *thread.waiting.borrow_mut() = Some(Waiting { what, poll, timed_out });
    thread.give_way();
    if let Some(appointment) = appointment {
        cancel(appointment);
    }
    taken
}

/// Sleeps until `time`.
pub fn sleep_until(time: Time) {
    wait("a time to come", Some(time), || None::<()>);
}

/// The computer stands still for so many nanoseconds, as when it sleeps or a virtual machine is paused: the clock and the
/// counter go on, and no thread runs meanwhile.
///
/// # Panics
/// Outside a machine, and under the real clock, which cannot be moved.
pub fn stand_still(duration: Time) {
    let scheduler = &machine().scheduler;
    assert!(matches!(scheduler.clock, Clock::Virtual), "only the virtual clock can be moved");
    scheduler.virtual_now.set(scheduler.virtual_now.get() + duration);
}

/// Under a seed, lets another thread run here, perhaps.
pub fn switch_point() {
    let Policy::Seeded(random) = &machine().scheduler.policy else { return };
    let gives_way = random.borrow_mut().below(4) == 0;
    if gives_way {
        current().give_way();
    }
}
