//! What the parts of one life share: its choices, its device, and what went wrong so far.

use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::rc::Rc;

use super::choice::Choice;
use crate::Device;
use crate::client::Stream;
use crate::fuzz;
use crate::kernel::driver::service_key;
use crate::kernel::pool;
use crate::kernel::registry::{self, Value};
use crate::nt::NtStatus;
use crate::trace;

/// The service under which the driver is installed.
pub(super) const SERVICE: &str = "Scream";
const DEFAULT_DESTINATION: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 255, 77, 77), 4010);

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
    /// The device was removed by surprise, or is about to be.
    pub(super) removed: Rc<Cell<bool>>,
}

impl World {
    pub(super) fn new(choice: Choice) -> Self {
        Self { choice, problems: Rc::default(), figures: Rc::default(), removed: Rc::default() }
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

    /// Sets or deletes an option.
    pub(super) fn change_option(&self) {
        let name = self.choice.of(&["UnicastIPv4", "UnicastPort", "Unknown"]);
        let key = format!(r"{}\Options", service_key(SERVICE));
        match self.choice.below(8) {
            0 => registry::delete(&key, name),
            1 => registry::delete_key(&key),
            _ => {
                let value = self.choice.value();
                trace::note(|| format!("option {name} = {value:?}"));
                registry::set(&key, name, value);
            }
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

/// Where the options say that packets go.
pub(super) fn destination() -> SocketAddrV4 {
    let key = format!(r"{}\Options", service_key(SERVICE));
    let mut destination = DEFAULT_DESTINATION;
    if let Some(address) = registry::get(&key, "UnicastIPv4").and_then(|value| address(&value)) {
        destination.set_ip(address);
    }
    if let Some(port) = registry::get(&key, "UnicastPort").and_then(|value| port(&value)) {
        destination.set_port(port);
    }
    destination
}

/// Where packets may go, too, when an option could not be read.
pub(super) fn default_destination() -> SocketAddrV4 {
    DEFAULT_DESTINATION
}

fn address(value: &Value) -> Option<Ipv4Addr> {
    let (kind, bytes) = value.to_parts();
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
    let text = units.split(|unit| *unit == 0).next().filter(|_| kind == 1)?;
    let address: Ipv4Addr = String::from_utf16(text).ok()?.parse().ok()?;
    (!address.is_unspecified() && !address.is_broadcast()).then_some(address)
}

fn port(value: &Value) -> Option<u16> {
    let (kind, bytes) = value.to_parts();
    let number = u32::from_le_bytes(bytes.try_into().ok().filter(|_| kind == 4)?);
    u16::try_from(number).ok().filter(|port| *port > 0)
}
