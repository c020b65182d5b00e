//! Winsock Kernel: what `netio.sys` exports, and the functions behind the tables it hands out.
//!
//! * `registration`: WskRegister, WskCaptureProviderNPI, WskReleaseProviderNPI, WskDeregister,
//!   WskQueryProviderCharacteristics, and when each of them waits.
//! * `provider`: the functions of a captured provider (WskSocket and its siblings).
//! * `socket`: the functions of a datagram socket of IPv4 or IPv6; `options`: its WskControlSocket; `address`: what a
//!   SOCKADDR is to it.
//! * `request`: the life of an IRP that Winsock Kernel completes, and the buffers that must stay until then.
//! * [`Setup`], [`Completion`]: how and when requests complete. [`inject`]: one call that fails, or never completes;
//!   [`inject_every`]: many of them.
//!
//! Rules follow Microsoft's pages for each function; every IRQL limit here is theirs (DISPATCH_LEVEL for all functions
//! of sockets and providers; PASSIVE_LEVEL for registration, and for capture with a wait).

mod abi;
mod address;
mod options;
mod provider;
mod registration;
mod request;
mod socket;

#[cfg(test)]
mod network_tests;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use crate::exports;
use crate::kernel::imports::Export;
use crate::machine::machine;
use crate::nt::NtStatus;
use crate::schedule::{DISPATCH_LEVEL, Irql, PASSIVE_LEVEL, Time};

use registration::{
    WskCaptureProviderNPI, WskDeregister, WskQueryProviderCharacteristics, WskRegister, WskReleaseProviderNPI,
};

/// How Winsock Kernel behaves on a machine.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Nanoseconds after the machine starts until the provider is there; drivers that start early find none.
    pub provider_ready_after: Time,
    /// How sends complete.
    pub sends: Completion,
    /// How everything else completes: sockets, binds, options, closes.
    pub controls: Completion,
}

impl Default for Setup {
    fn default() -> Self {
        Self { provider_ready_after: 0, sends: Completion::Mixed, controls: Completion::Mixed }
    }
}

/// When a request completes, and at which IRQL its completion routine runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// Before the call returns, at the caller's IRQL.
    Inline,
    /// This many nanoseconds after the call, at this IRQL; the call returns STATUS_PENDING.
    After(Time, Irql),
    /// A fixed cycle of inline, late at DISPATCH_LEVEL and late at PASSIVE_LEVEL.
    Mixed,
}

/// The cycle of [`Completion::Mixed`]: short and long delays, all below the 6 ms between two packets of audio but one.
const MIX: [Completion; 6] = [
    Completion::After(20_000, DISPATCH_LEVEL),
    Completion::Inline,
    Completion::After(150_000, PASSIVE_LEVEL),
    Completion::After(1_000_000, DISPATCH_LEVEL),
    Completion::Inline,
    Completion::After(9_000_000, DISPATCH_LEVEL),
];

/// A call that [`inject`] can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the function of its name")]
pub enum Call {
    WskRegister,
    WskCaptureProviderNPI,
    WskSocket,
    WskBind,
    WskControlSocket,
    WskSendTo,
    WskCloseSocket,
}

/// What an injected fault does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call does nothing and ends with this status.
    Status(NtStatus),
    /// It completes this way, whatever the [`Setup`] says.
    Completes(Completion),
    /// It returns STATUS_PENDING and completes only when its socket is closed.
    Hangs,
}

/// Lets the `nth` call from now on (1 is the next) go wrong.
///
/// # Panics
/// Outside a machine.
pub fn inject(call: Call, nth: u64, fault: Fault) {
    let number = calls(call) + nth;
    state().faults.borrow_mut().push((call, number, fault));
}

/// Lets every `nth` call from now on (1: each) go wrong, until [`inject_no_more`]. What [`inject`] asks for comes first.
///
/// # Panics
/// Outside a machine, and if `nth` is 0.
pub fn inject_every(call: Call, nth: u64, fault: Fault) {
    assert!(nth > 0, "there is no zeroth call");
    let after = calls(call);
    state().repeated.borrow_mut().push(Repeated { call, after, nth, fault, happened: false });
}

/// Forgets what was asked of [`inject`] and [`inject_every`]; how many of those faults have never happened.
///
/// # Panics
/// Outside a machine.
pub fn inject_no_more() -> usize {
    let state = state();
    let repeated = state.repeated.take();
    state.faults.take().len() + repeated.iter().filter(|repeated| !repeated.happened).count()
}

/// How often a function was called.
///
/// # Panics
/// Outside a machine.
pub fn calls(call: Call) -> u64 {
    state().counts.borrow().get(&call).copied().unwrap_or(0)
}

/// What Winsock Kernel knows.
#[derive(Default)]
pub(crate) struct State {
    registrations: RefCell<BTreeMap<usize, Rc<registration::Registered>>>,
    sockets: RefCell<BTreeMap<usize, Rc<socket::Socket>>>,
    counts: RefCell<HashMap<Call, u64>>,
    faults: RefCell<Vec<(Call, u64, Fault)>>,
    repeated: RefCell<Vec<Repeated>>,
    mix: Cell<usize>,
}

/// A fault of every `nth` call of a function after so many.
struct Repeated {
    call: Call,
    after: u64,
    nth: u64,
    fault: Fault,
    happened: bool,
}

fn state() -> Rc<State> {
    machine().part()
}

/// Counts a call, and takes the fault that was set for it.
fn count(call: Call) -> Option<Fault> {
    let state = state();
    let number = {
        let mut counts = state.counts.borrow_mut();
        let count = counts.entry(call).or_default();
        *count += 1;
        *count
    };
    let mut faults = state.faults.borrow_mut();
    if let Some(index) = faults.iter().position(|(of, nth, _)| *of == call && *nth == number) {
        return Some(faults.remove(index).2);
    }
    let mut repeated = state.repeated.borrow_mut();
    let due = |repeated: &&mut Repeated| {
        repeated.call == call && (number - repeated.after).is_multiple_of(repeated.nth)
    };
    let repeated = repeated.iter_mut().find(due)?;
    repeated.happened = true;
    Some(repeated.fault)
}

impl Completion {
    /// What the next request does: [`Completion::Mixed`] takes its turn.
    fn next(self) -> Self {
        if self != Self::Mixed {
            return self;
        }
        let state = state();
        let index = state.mix.get();
        state.mix.set((index + 1) % MIX.len());
        MIX[index]
    }
}

/// Records what a driver that is being unloaded has left behind.
pub(crate) fn check_unload() {
    registration::check_unload();
    socket::check_unload();
}

/// What `netio.sys` exports.
pub(crate) const EXPORTS: &[Export] = exports!["netio.sys":
    WskCaptureProviderNPI, WskDeregister, WskQueryProviderCharacteristics, WskRegister, WskReleaseProviderNPI,
];
