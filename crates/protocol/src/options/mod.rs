//! What the user can choose, and how it is read from registry values that may hold anything.
//!
//! [`Options::read`] asks a [`Registry`] for the value of each option. What cannot be used is ignored, as if it were not
//! there, and told in a [`Refusal`]; nothing ever fails. `docs/options.md` says what each option means.

mod address;
mod description;
mod ipv6;
mod targets;
#[cfg(test)]
mod tests;
mod value;

use core::ffi::CStr;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::num::{NonZeroU8, NonZeroU32};
use core::ops::RangeInclusive;

pub use address::{DEFAULT_PORT, MAX_INTERFACE, MULTICAST, MULTICAST6};
pub use description::{
    CONTINUOUS_STREAM, DESCRIPTIONS, Description, INTERFACE, IVSHMEM_FALLBACK, SILENCE_THRESHOLD, TARGETS,
    TTL, UNICAST_IPV4, UNICAST_PORT, UNICAST_SRC_IPV4, UNICAST_SRC_PORT, USE_IVSHMEM,
};
pub use targets::{MAX_TARGETS, Targets};
pub use value::{REG_DWORD, REG_MULTI_SZ, REG_SZ, Stored};

use address::Interface;
use value::{MAX_TEXT, Reason, Value};

/// Bytes of the longest value that is worth reading.
pub const MAX_VALUE: usize = 1024;

// As many destinations as there can be, each of them as long as it can be, each with its NUL, and one NUL more.
const _: () = assert!(MAX_TARGETS * (MAX_TEXT + 1) * 2 + 2 <= MAX_VALUE);

/// The largest IVSHMEM device that can be asked for, in MiB: 1 TiB. Whoever writes more meant bytes.
pub const MAX_IVSHMEM: u32 = 1 << 20;

/// What the user chose.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// `Targets`, or the one of `UnicastIPv4` and `UnicastPort`.
    pub targets: Targets,
    /// The local IPv4 address that packets are sent from: `Interface` if it is one, otherwise `UnicastSrcIPv4`.
    pub source_v4: Option<Ipv4Addr>,
    /// The local IPv6 address that packets are sent from: `Interface`, if it is one.
    pub source_v6: Option<Ipv6Addr>,
    /// The interface that packets leave by: `Interface` if it is an index, or the index that its IPv6 address names. At
    /// most [`MAX_INTERFACE`].
    pub interface: Option<NonZeroU32>,
    /// `UnicastSrcPort`: the local port; 0 for any.
    pub source_port: u16,
    /// `TTL`: how many routers a packet may pass.
    pub ttl: Option<NonZeroU8>,
    /// `ContinuousStream`: silence is sent while nothing plays.
    pub continuous: bool,
    /// `SilenceThreshold`: silent frames after which nothing is sent; 0 sends all, which `continuous` implies.
    pub silence_threshold: u32,
    /// `UseIVSHMEM`: the size in MiB of the device to use instead of the network. At most [`MAX_IVSHMEM`].
    pub ivshmem: Option<NonZeroU32>,
    /// `IVSHMEMFallback`: the network is used as long as there is no such device.
    pub ivshmem_fallback: bool,
}

/// Where the values of the options are.
pub trait Registry {
    /// Reads the value that has the name of `option`. Each is asked for once at most.
    fn read(&mut self, option: &'static Description) -> Stored<'_>;
}

/// A value, or an entry of one, that is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The option.
    pub option: &'static Description,
    /// The entry of a list, from 1; 0 for the whole value.
    pub entry: u32,
    /// Why.
    pub reason: &'static CStr,
}

impl Options {
    /// Reads all options. `refused` is told of everything that is ignored, in the order of [`DESCRIPTIONS`].
    ///
    /// Options that another one makes meaningless are not looked at: `UnicastIPv4` and `UnicastPort` if `Targets` has a
    /// destination, `UnicastSrcIPv4` if `Interface` is an IPv4 address.
    // What is on the stack here is not to stay there while a stream is made.
    #[inline(never)]
    pub fn read(registry: &mut dyn Registry, refused: &mut dyn FnMut(Refusal)) -> Self {
        let mut reading = Reading { registry, refused };
        let targets = reading.targets().unwrap_or_else(|| reading.only_target());
        let interface = reading.interface();
        let source_v4 = match interface {
            Some(Interface::V4(address)) => Some(address),
            _ => reading.usable(&UNICAST_SRC_IPV4, |value| address::source_v4(value.text()?.as_bytes())),
        };
        let (source_v6, interface) = match interface {
            Some(Interface::Index(index)) => (None, Some(index)),
            Some(Interface::V6(address, index)) => (Some(address), index),
            _ => (None, None),
        };
        let source_port = reading.port(&UNICAST_SRC_PORT, 0).unwrap_or(0);
        let ttl = reading.number(&TTL, 1..=255).and_then(|ttl| NonZeroU8::new(u8::try_from(ttl).ok()?));
        let continuous = reading.flag(&CONTINUOUS_STREAM);
        let silence_threshold = reading.silence_threshold(continuous);
        let ivshmem = reading.number(&USE_IVSHMEM, 0..=MAX_IVSHMEM).and_then(NonZeroU32::new);
        let ivshmem_fallback = reading.flag(&IVSHMEM_FALLBACK);
        Self {
            targets,
            source_v4,
            source_v6,
            interface,
            source_port,
            ttl,
            continuous,
            silence_threshold,
            ivshmem,
            ivshmem_fallback,
        }
    }
}

impl Options {
    /// Whether packets may go to the targets at all.
    pub const fn uses_network(&self) -> bool {
        self.ivshmem.is_none() || self.ivshmem_fallback
    }
}

/// The registry, and who is told what is wrong in it.
struct Reading<'a> {
    registry: &'a mut dyn Registry,
    refused: &'a mut dyn FnMut(Refusal),
}

impl Reading<'_> {
    /// What `read` makes of the value of an option, if there is one that can be used.
    fn usable<T>(
        &mut self,
        option: &'static Description,
        read: impl FnOnce(Value<'_>) -> Result<T, Reason>,
    ) -> Option<T> {
        let value = self.registry.read(option).value();
        match value.and_then(|value| value.map(read).transpose()) {
            Ok(usable) => usable,
            Err(reason) => {
                (self.refused)(Refusal { option, entry: 0, reason });
                None
            }
        }
    }

    fn number(&mut self, option: &'static Description, range: RangeInclusive<u32>) -> Option<u32> {
        self.usable(option, |value| {
            let number = value.dword()?;
            if range.contains(&number) { Ok(number) } else { Err(c"out of range") }
        })
    }

    fn port(&mut self, option: &'static Description, least: u32) -> Option<u16> {
        self.number(option, least..=65_535).and_then(|port| u16::try_from(port).ok())
    }

    fn flag(&mut self, option: &'static Description) -> bool {
        self.number(option, 0..=1) == Some(1)
    }

    fn silence_threshold(&mut self, continuous: bool) -> u32 {
        let threshold = self.usable(&SILENCE_THRESHOLD, |value| match value.dword()? {
            1.. if continuous => Err(c"not used while ContinuousStream is 1"),
            threshold => Ok(threshold),
        });
        threshold.unwrap_or(0)
    }

    fn only_target(&mut self) -> Targets {
        let address = self.usable(&UNICAST_IPV4, |value| address::destination_v4(value.text()?.as_bytes()));
        let port = self.port(&UNICAST_PORT, 1);
        let address = IpAddr::V4(address.unwrap_or(MULTICAST));
        Targets::new(SocketAddr::new(address, port.unwrap_or(DEFAULT_PORT)))
    }

    fn interface(&mut self) -> Option<Interface> {
        self.usable(&INTERFACE, |value| {
            if value.is_dword() {
                address::interface_index(value.dword()?).map(Interface::Index)
            } else {
                address::interface_address(value.text()?.as_bytes())
            }
        })
    }

    /// The destinations of `Targets` that can be used. A wrong entry costs only itself.
    fn targets(&mut self) -> Option<Targets> {
        let Self { registry, refused } = self;
        let mut refuse = |entry, reason| refused(Refusal { option: &TARGETS, entry, reason });
        let list = registry.read(&TARGETS).value().and_then(|value| value.map(Value::list).transpose());
        let mut list = match list {
            Ok(list) => (1_u32..).zip(list?).peekable(),
            Err(reason) => {
                refuse(0, reason);
                return None;
            }
        };
        if list.peek().is_none() {
            refuse(0, c"empty");
        }
        let mut targets: Option<Targets> = None;
        for (entry, text) in list {
            match (address::target(text.as_bytes()), &mut targets) {
                (Err(reason), _) => refuse(entry, reason),
                (Ok(address), None) => targets = Some(Targets::new(address)),
                (Ok(address), Some(targets)) if targets.as_slice().contains(&address) => {
                    refuse(entry, c"a duplicate");
                }
                (Ok(address), Some(targets)) => {
                    if !targets.push(address) {
                        refuse(entry, c"more than 8, this one and those after it are not used");
                        break;
                    }
                }
            }
        }
        targets
    }
}
