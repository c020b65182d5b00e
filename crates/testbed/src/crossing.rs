//! The border between Windows and the driver.
//!
//! Windows calls the driver through [`call_driver`]; the driver calls Windows through functions made with
//! [`import!`](crate::import). Both push a [`Frame`] on the thread, so that a violation can say where it happened, and
//! check what holds at every border: IRQL limits, IRQL and locks balanced, stack use, switch points.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::image::shared_data;
use crate::import;
use crate::kernel::spin_lock;
use crate::machine::{DriverUse, machine};
use crate::memory;
use crate::nt::NtStatus;
use crate::schedule::{self, Irql, Thread};
use crate::trace;
use crate::verifier::{self, Rule};

/// Bytes of stack that a call into the driver may use. Windows has 24 KiB on x64, of which the callers above a driver
/// and what the driver calls need their part.
pub const STACK_LIMIT: usize = 12 * 1024;

/// A call across the border that is under way.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The function, such as `KeSetEvent` or `IMiniportWaveRTStream::SetState`.
    pub name: &'static str,
    /// Into the driver, or out of it.
    pub direction: Direction,
    /// IRQL at entry.
    pub irql: Irql,
    /// An address near the top of the stack at entry.
    pub stack: usize,
    /// Spin locks that the thread held at entry.
    locks: usize,
    /// Whether a violation of the stack rule was recorded for this call.
    stack_reported: bool,
}

/// Which way a call crosses the border.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Windows calls the driver.
    Inward,
    /// The driver calls Windows.
    Outward,
}

/// Calls driver code: `body` makes the call. Checks that it comes back at the IRQL it left at, with no more and no
/// fewer spin locks held.
pub fn call_driver<T: 'static>(name: &'static str, body: impl FnOnce() -> T) -> T {
    schedule::switch_point();
    let entered = enter(name, Direction::Inward);
    to_driver(schedule::current());
    let value = body();
    from_driver();
    let thread = leave(Direction::Inward);
    if thread.irql.get() != entered.irql {
        let text =
            format!("{name} was called at IRQL {} and returned at {}", entered.irql, thread.irql.get());
        verifier::record(Rule::IrqlUnbalanced, text);
        thread.irql.set(entered.irql);
    }
    let locks = spin_lock::held_by(thread.id);
    if locks != entered.locks {
        let text =
            format!("{name} was called with {} spin lock(s) held and returned with {locks}", entered.locks);
        verifier::record(Rule::SpinLock, text);
    }
    trace::returned(Direction::Inward, name, (&value as &dyn Any).downcast_ref().copied());
    value
}

/// Runs the body of an imported function for the driver. Checks its IRQL limit; may switch threads.
pub fn serve_driver<T: Returned>(name: &'static str, max_irql: Irql, body: impl FnOnce() -> T) -> T {
    from_driver();
    let entered = enter(name, Direction::Outward);
    schedule::switch_point();
    if entered.irql > max_irql {
        let text =
            format!("{name} may be called at IRQL {max_irql} at most, and was called at {}", entered.irql);
        verifier::record(Rule::Irql, text);
    }
    // A panic must not unwind into the driver, which nothing can unwind.
    let value = injected(name).map_or_else(
        || catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| schedule::halt_with_panic(panic)),
        T::failure,
    );
    // What the call has set off may come first: a thread that was woken runs before the caller goes on.
    schedule::switch_point();
    let thread = leave(Direction::Outward);
    trace::returned(Direction::Outward, name, value.status());
    // A test may be the caller.
    if thread.frames.borrow().last().is_some_and(|frame| frame.direction == Direction::Inward) {
        to_driver(thread);
    }
    value
}

/// The driver's code runs from here: what the testbed does comes before.
#[inline]
fn to_driver(thread: Rc<Thread>) {
    shared_data::refresh();
    let machine = machine();
    machine.meter.start(&thread);
    drop(thread);
    machine.counter.arm();
}

/// The driver's code ran until here: what the testbed does comes after. A test may have run instead.
#[inline]
fn from_driver() {
    let machine = machine();
    machine.counter.disarm();
    machine.meter.stop();
}

fn enter(name: &'static str, direction: Direction) -> Frame {
    trace::call(direction, name);
    let thread = schedule::current();
    let marker = 0u8;
    let stack = (&raw const marker).addr();
    let irql = thread.irql.get();
    let locks = spin_lock::held_by(thread.id);
    let frame = Frame { name, direction, irql, stack, locks, stack_reported: false };
    thread.frames.borrow_mut().push(frame.clone());
    match direction {
        Direction::Outward => check_stack(&thread, name, stack),
        Direction::Inward => memory::page_for(irql),
    }
    machine().meter.count(name, direction);
    frame
}

fn leave(direction: Direction) -> Rc<Thread> {
    let thread = schedule::current();
    thread.frames.borrow_mut().pop();
    if direction == Direction::Outward {
        memory::page_for(thread.irql.get());
    }
    thread
}

/// What an imported function can return: how it fails, and what a trace shows of it.
pub trait Returned {
    /// What the function returns when it fails with this status: null where it returns a pointer.
    fn failure(status: NtStatus) -> Self;

    /// The status, if it is one.
    fn status(&self) -> Option<NtStatus> {
        None
    }
}

impl Returned for NtStatus {
    fn failure(status: NtStatus) -> Self {
        status
    }

    fn status(&self) -> Option<NtStatus> {
        Some(*self)
    }
}

impl<T> Returned for *mut T {
    fn failure(_status: NtStatus) -> Self {
        std::ptr::null_mut()
    }
}

impl<T> Returned for *const T {
    fn failure(_status: NtStatus) -> Self {
        std::ptr::null()
    }
}

macro_rules! returned {
    ($($ty:ty),*) => {$(
        impl Returned for $ty {
            fn failure(_status: NtStatus) -> Self {
                Self::default()
            }
        }
    )*};
}

returned!((), u8, i8, u16, i16, u32, i32, u64, i64, usize, isize);

/// A call that is to fail.
struct Injection {
    function: &'static str,
    /// Calls that come before it.
    after: u64,
    status: NtStatus,
}

#[derive(Default)]
struct Injections(RefCell<Vec<Injection>>);

/// Lets the `nth` call of an imported function from now on (1 is the next) fail: the function does nothing and returns
/// `status`, or null or zero if it returns no status. Methods of objects have names such as `IPort_Init`.
///
/// For what may fail so on Windows only. Functions of Winsock Kernel also complete a request: [`wsk::inject`] is theirs.
///
/// # Panics
/// Outside a machine.
///
/// [`wsk::inject`]: crate::wsk::inject
pub fn inject(function: &'static str, nth: u64, status: NtStatus) {
    let after = nth.saturating_sub(1);
    machine().part::<Injections>().0.borrow_mut().push(Injection { function, after, status });
    machine().meter.injecting.set(true);
}

/// Forgets what was asked of [`inject`] and has not happened; how many failures those are.
///
/// # Panics
/// Outside a machine.
pub fn inject_no_more() -> usize {
    machine().meter.injecting.set(false);
    machine().part::<Injections>().0.take().len()
}

/// The failure that was set for this call.
fn injected(function: &'static str) -> Option<NtStatus> {
    if !machine().meter.injecting.get() {
        return None;
    }
    let injections = machine().part::<Injections>();
    let mut injections = injections.0.borrow_mut();
    let mut result = None;
    injections.retain_mut(|injection| {
        if injection.function != function || result.is_some() {
            return true;
        }
        let due = injection.after == 0;
        if due {
            result = Some(injection.status);
        }
        injection.after = injection.after.saturating_sub(1);
        !due
    });
    machine().meter.injecting.set(!injections.is_empty());
    result
}

/// How deep the driver's stack is, counted from the innermost call into it.
fn check_stack(thread: &Thread, name: &'static str, stack: usize) {
    let mut frames = thread.frames.borrow_mut();
    let Some(inward) = frames.iter_mut().rev().find(|frame| frame.direction == Direction::Inward) else {
        return;
    };
    let depth = inward.stack.saturating_sub(stack);
    let meter = &machine().meter;
    meter.peak_stack.set(depth.max(meter.peak_stack.get()));
    if depth <= STACK_LIMIT || inward.stack_reported {
        return;
    }
    inward.stack_reported = true;
    let text = format!(
        "{} uses {depth} bytes of stack where it calls {name}; {STACK_LIMIT} are allowed",
        inward.name
    );
    drop(frames);
    verifier::record(Rule::Stack, text);
}

/// Measures the driver's use of the processor.
pub(crate) struct Meter {
    on: bool,
    started: (Instant, u64),
    ticks: Cell<u64>,
    crossings: RefCell<HashMap<&'static str, u64>>,
    /// Calls into the driver and out of it.
    calls: [Cell<u64>; 2],
    /// Ticks that each of these takes by itself, as far as they are counted as the driver's.
    call_ticks: [Cell<f64>; 2],
    copied: Cell<u64>,
    peak_stack: Cell<usize>,
    /// Whether a call is to fail; here, because every crossing asks for it.
    injecting: Cell<bool>,
}

impl Meter {
    pub(crate) fn new(on: bool) -> Self {
        Self {
            on,
            started: (Instant::now(), ticks()),
            ticks: Cell::new(0),
            crossings: RefCell::default(),
            calls: Default::default(),
            call_ticks: Default::default(),
            copied: Cell::new(0),
            peak_stack: Cell::new(0),
            injecting: Cell::new(false),
        }
    }

    /// The driver's code runs from here.
    fn start(&self, thread: &Thread) {
        if self.on {
            thread.mark.set(ticks());
        }
    }

    /// The driver's code ran until here. Without a mark the caller is not a driver but a test.
    fn stop(&self) {
        if !self.on {
            return;
        }
        let now = ticks();
        let mark = schedule::current().mark.take();
        if mark != 0 {
            self.ticks.set(self.ticks.get() + now.saturating_sub(mark));
        }
    }

    fn count(&self, name: &'static str, direction: Direction) {
        if !self.on {
            return;
        }
        *self.crossings.borrow_mut().entry(name).or_default() += 1;
        let calls = &self.calls[direction as usize];
        calls.set(calls.get() + 1);
    }

    /// Counts bytes that were written for the driver.
    pub(crate) fn copied(&self, bytes: usize) {
        self.copied.set(self.copied.get() + bytes as u64);
    }

    /// What was measured so far, with the `instructions` that were counted elsewhere.
    pub(crate) fn read(&self, instructions: Option<u64>) -> DriverUse {
        let elapsed = (self.started.0.elapsed().as_nanos(), ticks().saturating_sub(self.started.1).max(1));
        let border: f64 = self
            .calls
            .iter()
            .zip(&self.call_ticks)
            .map(|(calls, ticks)| calls.get() as f64 * ticks.get())
            .sum();
        let border = (border as u64).min(self.ticks.get());
        let time =
            |ticks: u64| Duration::from_nanos((u128::from(ticks) * elapsed.0 / u128::from(elapsed.1)) as u64);
        let mut crossings: Vec<_> =
            self.crossings.borrow().iter().map(|(name, count)| (*name, *count)).collect();
        crossings
            .sort_unstable_by(|(name1, count1), (name2, count2)| count2.cmp(count1).then(name1.cmp(name2)));
        DriverUse {
            cpu: time(self.ticks.get() - border),
            border: time(border),
            instructions,
            copied: self.copied.get(),
            crossings,
            peak_stack: self.peak_stack.get(),
        }
    }

    /// Forgets what was measured, and takes off from now on what the border costs.
    fn restart(&self, inward: f64, outward: f64) {
        self.ticks.set(0);
        self.calls.iter().for_each(|calls| calls.set(0));
        self.call_ticks[Direction::Inward as usize].set(inward);
        self.call_ticks[Direction::Outward as usize].set(outward);
        self.crossings.borrow_mut().clear();
        self.peak_stack.set(0);
    }
}

/// Finds out which part of a crossing the meter counts as the driver's: calls a driver that does nothing, and one that
/// only calls a function that does nothing. The best of many tries, so that other programs do not count.
///
/// In the machine's first thread, before anything else. Does nothing when nothing is measured, and under a seed, which
/// the crossings would use up.
pub(crate) fn calibrate() {
    let machine = machine();
    let meter = &machine.meter;
    if !meter.on || machine.config.seed.is_some() {
        return;
    }
    const TRIES: usize = 32;
    const CALLS: u64 = 64;
    let best = |body: &dyn Fn()| {
        let tries = (0..TRIES).map(|_| {
            meter.ticks.set(0);
            body();
            meter.ticks.get()
        });
        tries.min().unwrap_or(0) as f64 / CALLS as f64
    };
    let inward = best(&|| {
        let idle: extern "efiapi" fn() = black_box(idle_driver);
        (0..CALLS).for_each(|_| call_driver("calibration", || idle()));
    });
    let outward = best(&|| {
        let function: unsafe extern "efiapi" fn() = black_box(CalibrationFunction);
        // SAFETY: it has no arguments and does nothing.
        call_driver("calibration", || (0..CALLS).for_each(|_| unsafe { function() }));
    });
    meter.restart(inward, outward);
}

extern "efiapi" fn idle_driver() {}

import! {
    /// Does nothing.
    fn CalibrationFunction(), irql <= 15; {}
}

/// A fast clock of any constant rate.
#[cfg(target_arch = "x86_64")]
fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has the instruction.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(target_arch = "aarch64")]
fn ticks() -> u64 {
    let ticks: u64;
    // SAFETY: Linux lets user mode read the virtual counter; the instruction has no side effects.
    unsafe { core::arch::asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack)) };
    ticks
}

/// Defines a function that a driver can import: its documented highest IRQL, and what it does.
///
/// `import! { /// doc
///   pub fn KeSetEvent(event: *mut KEvent, increment: i32, wait: u8) -> i32, irql <= DISPATCH_LEVEL; { ... } }`
///
/// `extern "efiapi"` is the calling convention of the Windows kernel on every processor.
#[macro_export]
macro_rules! import {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)?, irql <= $irql:expr; $body:block)*) => {$(
        $(#[$meta])*
        ///
        /// # Safety
        /// For the driver: the arguments are what the documentation of the function asks for.
        #[allow(non_snake_case, reason = "the names are the kernel's")]
        $vis unsafe extern "efiapi" fn $name($($arg: $ty),*) $(-> $ret)? {
            $crate::crossing::serve_driver(stringify!($name), $irql, || $body)
        }
    )*};
}

/// Lists functions made with [`import!`](crate::import) as exports of a module of Windows.
#[macro_export]
macro_rules! exports {
    ($module:literal: $($name:ident),* $(,)?) => {
        &[$($crate::kernel::imports::Export {
            module: $module,
            name: stringify!($name),
            address: $name as *const (),
        }),*]
    };
}
