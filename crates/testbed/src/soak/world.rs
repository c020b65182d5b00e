//! What the parts of one life share: its choices, its device, and what went wrong so far.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::choice::Choice;
use super::outputs::{self, Memory};
use crate::Device;
use crate::client::Stream;
use crate::fuzz;
use crate::kernel::driver::service_key;
use crate::kernel::pool;
use crate::kernel::registry;
use crate::nt::NtStatus;
use crate::trace;

/// The service under which the driver is installed.
pub(super) const SERVICE: &str = "Scream";

/// What a life came to, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Streams that were opened.
    pub streams: u64,
    /// Packets that were sent.
    pub packets: u64,
    /// Bytes of audio that the position passed.
    pub played: u64,
    /// Streams that played something, all of which had to be heard.
    pub exact: u64,
    /// Faults that were injected.
    pub faults: u64,
    /// Surprise removals.
    pub removals: u64,
}

/// Shared by the threads of one life.
#[derive(Clone)]
pub(super) struct World {
    pub(super) choice: Choice,
    problems: Rc<RefCell<Vec<String>>>,
    pub(super) figures: Rc<Cell<Figures>>,
    pub(super) memory: Memory,
    /// The device was removed by surprise, or is about to be.
    pub(super) removed: Rc<Cell<bool>>,
}

impl World {
    pub(super) fn new(choice: Choice) -> Self {
        Self {
            choice,
            problems: Rc::default(),
            figures: Rc::default(),
            memory: Memory::default(),
            removed: Rc::default(),
        }
    }

    /// Takes note of something that must not be.
    pub(super) fn problem(&self, text: impl Into<String>) {
        let text = text.into();
        trace::note(|| format!("PROBLEM: {text}"));
        self.problems.borrow_mut().push(text);
    }

    pub(super) fn problems(&self) -> Vec<String> {
        self.problems.borrow().clone()
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Figures)) {
        let mut figures = self.figures.get();
        change(&mut figures);
        self.figures.set(figures);
    }

    /// Takes note of a result that is neither a success nor one of these.
    pub(super) fn expect(&self, what: &str, result: Result<(), NtStatus>, allowed: &[NtStatus]) {
        if let Err(status) = result
            && !allowed.contains(&status)
        {
            self.problem(format!("{what} returned {status}"));
        }
    }

    /// Does something that may fail, sometimes with an allocation in it that fails; then once more without.
    ///
    /// The first try must fail, if it does, with STATUS_INSUFFICIENT_RESOURCES or one of `allowed`.
    pub(super) fn attempt<T>(
        &self,
        what: &str,
        allocations: u64,
        allowed: &[NtStatus],
        mut action: impl FnMut() -> Result<T, NtStatus>,
    ) -> Option<T> {
        if self.choice.once_in(6) {
            let after = self.choice.below(allocations);
            trace::note(|| format!("{what}, in which allocation {after} fails"));
            pool::fail_after(after);
            let result = action();
            let failed = !pool::fail_no_more();
            self.count(|figures| figures.faults += u64::from(failed));
            match result {
                Ok(value) => return Some(value),
                Err(NtStatus::INSUFFICIENT_RESOURCES) if failed => {}
                Err(status) if allowed.contains(&status) => return None,
                Err(status) => self.problem(format!("{what} returned {status}, allocation failed: {failed}")),
            }
        }
        trace::note(|| what.to_owned());
        match action() {
            Ok(value) => Some(value),
            Err(status) => {
                self.expect(what, Err(status), allowed);
                None
            }
        }
    }

    /// Sets or deletes an option, or all of them.
    pub(super) fn change_option(&self) {
        let key = format!(r"{}\Options", service_key(SERVICE));
        if self.choice.once_in(3) {
            return registry::delete_key(&key);
        }
        match outputs::option(&self.choice) {
            (name, Some(value)) => {
                trace::note(|| format!("option {name} = {value:?}"));
                registry::set(&key, name, value);
            }
            (name, None) => registry::delete(&key, name),
        }
    }

    /// A request of the fuzzer's for a property, of the stream if there is one. Whatever it is, the driver answers and
    /// breaks no rule.
    pub(super) fn ask(&self, device: &Device, stream: Option<&Stream>) {
        let input = self.choice.bytes(8 + self.choice.magnitude(250) as usize);
        let request = fuzz::property_request(&input, device);
        let answer = request.ask(device, |_| stream);
        trace::note(|| format!("{request}: {answer:?}"));
    }
}
