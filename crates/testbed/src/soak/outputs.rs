//! Where the options say that a stream goes, and the shared memory that comes and goes.

use std::cell::RefCell;
use std::ffi::CStr;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use protocol::Options;
use protocol::options::{
    DEFAULT_PORT, DESCRIPTIONS, Description, MAX_VALUE, MULTICAST, Registry, Stored, USE_IVSHMEM,
};

use super::choice::Choice;
use super::world::SERVICE;
use crate::ivshmem::{Device, Fault, Generation, Request};
use crate::kernel::driver::service_key;
use crate::kernel::registry::{self, Value};
use crate::network::Interface;
use crate::nt::NtStatus;
use crate::trace;

/// Devices that can be plugged in at once.
const MOST_DEVICES: usize = 3;
const MEBIBYTE: u64 = 1 << 20;

/// What a stream is to do with its audio.
pub(super) struct Outputs {
    options: Options,
    /// An option may not have been read.
    uncertain: bool,
}

/// The options as they are stored.
struct Key {
    path: String,
    data: Vec<u8>,
}

impl Registry for Key {
    fn read(&mut self, option: &'static Description) -> Stored<'_> {
        let Some(value) = registry::get(&self.path, name(option.name)) else { return Stored::Missing };
        let (kind, data) = value.to_parts();
        self.data = data;
        if self.data.len() > MAX_VALUE {
            return Stored::TooLong;
        }
        Stored::Value { kind, data: &self.data }
    }
}

fn name(name: &'static CStr) -> &'static str {
    name.to_str().expect("ASCII")
}

fn path() -> String {
    format!(r"{}\Options", service_key(SERVICE))
}

impl Outputs {
    /// What the options say now.
    pub(super) fn now() -> Self {
        let mut key = Key { path: path(), data: Vec::new() };
        Self { options: Options::read(&mut key, &mut |_| ()), uncertain: false }
    }

    /// Some option may have been unreadable: then its default holds.
    pub(super) fn uncertain(mut self) -> Self {
        self.uncertain = true;
        self
    }

    /// The targets of which each gets every packet.
    pub(super) fn targets(&self) -> &[SocketAddr] {
        if self.uncertain || self.is_silent() { &[] } else { self.options.targets.as_slice() }
    }

    /// Whether packets may go to a target.
    pub(super) fn may_go_to(&self, target: SocketAddr) -> bool {
        let known = self.options.targets.as_slice().contains(&target);
        let by_default = target.ip() == IpAddr::V4(MULTICAST) || target.port() == DEFAULT_PORT;
        if self.uncertain { known || by_default || target.is_ipv4() } else { known && !self.is_silent() }
    }

    /// Nothing goes to the network.
    fn is_silent(&self) -> bool {
        !self.options.uses_network()
    }

    /// Whether the stream is to go to shared memory.
    pub(super) fn use_memory(&self) -> bool {
        self.options.ivshmem.is_some()
    }

    /// Whether packets of silence come between those of audio.
    pub(super) fn are_unbroken(&self) -> bool {
        self.options.continuous
    }

    /// Whether part of the audio may be missing though nothing failed.
    pub(super) fn leave_out(&self) -> bool {
        let Options { source_v4, source_v6, interface, silence_threshold, .. } = &self.options;
        let home = Interface::default();
        let is_home = |address: IpAddr| home.addresses.iter().any(|(own, _)| *own == address);
        let foreign = source_v4.is_some_and(|address| !is_home(address.into()))
            || source_v6.is_some_and(|address| !is_home(address.into()))
            || interface.is_some_and(|index| index.get() != home.index);
        self.uncertain || self.use_memory() || *silence_threshold > 0 || foreign || self.have_scopes()
    }

    /// A target with a scope, or without a route.
    fn have_scopes(&self) -> bool {
        let local = |target: &SocketAddr| match target {
            SocketAddr::V4(target) => target.ip().is_loopback(),
            SocketAddr::V6(target) => {
                target.scope_id() != 0 || target.ip().is_unicast_link_local() || target.ip().is_loopback()
            }
        };
        self.options.targets.as_slice().iter().any(local)
    }
}

/// A value for an option, one that can be used most of the time; none for one that shall not be there.
pub(super) fn option(choice: &Choice) -> (&'static str, Option<Value>) {
    if choice.once_in(12) {
        return ("Unknown", Some(choice.value()));
    }
    let option = if choice.once_in(6) { &USE_IVSHMEM } else { choice.of(&DESCRIPTIONS) };
    let option = name(option.name);
    let value = match choice.below(6) {
        0 => None,
        1 => Some(choice.value()),
        _ => Some(usable(choice, option)),
    };
    (option, value)
}

fn usable(choice: &Choice, option: &str) -> Value {
    let text = |text: &str| Value::Sz(text.to_owned());
    match option {
        "Targets" => {
            let all = [
                "192.0.2.20",
                "192.0.2.21:5000",
                "198.51.100.1",
                "multicast",
                "multicast6:4011",
                "[2001:db8::20]:4012",
                "2001:db8:1::1",
                "239.1.2.3:4013",
                "nonsense",
            ];
            let count = 1 + choice.below(3) * choice.below(4);
            Value::MultiSz((0..count).map(|_| choice.of(&all).to_owned()).collect())
        }
        "UnicastIPv4" => text(choice.of(&["192.0.2.30", "239.1.2.3", "198.51.100.7"])),
        "Interface" => match choice.below(3) {
            0 => Value::Dword(choice.of(&[2, 2, 2, 7])),
            1 => text("192.0.2.10"),
            _ => text("2001:db8::10"),
        },
        "UnicastSrcIPv4" => text(choice.of(&["192.0.2.10", "192.0.2.10", "192.0.2.10", "192.0.2.99"])),
        "UnicastPort" | "UnicastSrcPort" => Value::Dword(1 + choice.below(65_535) as u32),
        "TTL" => Value::Dword(1 + choice.below(255) as u32),
        "SilenceThreshold" => Value::Dword(choice.below(2) as u32 * choice.magnitude(20_000) as u32),
        "UseIVSHMEM" => Value::Dword(choice.of(&[0, 0, 0, 1, 1, 2])),
        // The two flags.
        _ => Value::Dword(choice.below(2) as u32),
    }
}

/// The IVSHMEM devices of a machine.
#[derive(Clone, Default)]
pub(super) struct Memory(Rc<RefCell<Vec<Rc<Device>>>>);

impl Memory {
    /// Does something to a device, or plugs another one in.
    pub(super) fn change(&self, choice: &Choice) {
        let device = {
            let any = choice.below(MOST_DEVICES as u64) as usize;
            self.0.borrow().get(any).cloned()
        };
        match device {
            Some(device) if device.is_gone() => device.plug_again(),
            Some(device) => disturb(&device, choice),
            None => self.plug(choice),
        }
    }

    fn plug(&self, choice: &Choice) {
        let bytes = choice.of(&[MEBIBYTE, MEBIBYTE, MEBIBYTE, 2 * MEBIBYTE, 4096, MEBIBYTE + 4096]);
        let generation = choice.of(&[
            Generation::WithoutConfiguration,
            Generation::WithConfiguration,
            Generation::WithKernelMap,
        ]);
        trace::note(|| format!("a device of {bytes} bytes is plugged in, {generation:?}"));
        let device = Rc::new(Device::plug(bytes, generation));
        self.0.borrow_mut().push(device);
    }
}

fn disturb(device: &Device, choice: &Choice) {
    let request =
        choice.of(&[Request::Open, Request::Size, Request::Map, Request::KernelMap, Request::Release]);
    let fault = match choice.below(6) {
        0 => Fault::Status(choice.of(&[
            NtStatus::ACCESS_DENIED,
            NtStatus::INSUFFICIENT_RESOURCES,
            NtStatus::DEVICE_NOT_READY,
        ])),
        1 => Fault::Size(choice.magnitude(1 << 62)),
        2 => Fault::NullPointer,
        3 => Fault::Unaligned,
        4 => Fault::Information(choice.below(64) as usize),
        _ => Fault::Late(choice.below(20_000_000)),
    };
    match choice.below(8) {
        0 => {
            // A driver that has it open for a moment, to ask for its size, keeps it.
            let removed = device.remove();
            trace::note(|| format!("the device is removed: {removed:?}"));
        }
        1 => {
            trace::note(|| "the device is removed by surprise".to_owned());
            device.surprise_remove();
        }
        2 => device.region().write_noise(choice.number()),
        3 => device.set_provisioned(choice.once_in(2)),
        4 => {
            device.heal();
            device.unmap_elsewhere();
        }
        5 => drop(device.map_elsewhere()),
        _ => {
            trace::note(|| format!("{request:?} goes wrong: {fault:?}"));
            device.inject(request, 1 + choice.below(3), fault);
        }
    }
}
