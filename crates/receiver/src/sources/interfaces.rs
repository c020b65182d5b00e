//! The network interfaces of this computer, and those of them that the user means.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::str::FromStr;

use super::SourceError;

/// An interface that has an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// The number that the system knows it by.
    pub index: u32,
    /// Whether it works at present.
    pub is_up: bool,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// Which interfaces the user means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// All of them.
    #[default]
    Any,
    /// The one with this name.
    Named(String),
    /// The one with this address.
    WithAddress(IpAddr),
}

impl FromStr for Wanted {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.parse().map_or_else(|_| Self::Named(text.to_owned()), Self::WithAddress))
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => write!(to, "any interface"),
            Self::Named(name) => write!(to, "{name}"),
            Self::WithAddress(address) => write!(to, "{address}"),
        }
    }
}

impl Wanted {
    /// Whether it is meant.
    pub fn picks(&self, interface: &Interface) -> bool {
        match self {
            Self::Any => true,
            Self::Named(name) => *name == interface.name,
            Self::WithAddress(address) => interface.addresses.contains(address),
        }
    }

    /// Whether it is named by an address of IPv6.
    pub fn is_ipv6(&self) -> bool {
        matches!(self, Self::WithAddress(IpAddr::V6(_)))
    }

    /// That there is no such interface, and those that there are.
    pub fn missing(&self, all: &[Interface]) -> String {
        format!("there is no interface {self}; there are {}", shown(all))
    }
}

/// The interfaces with their addresses, as people read them.
pub fn shown(all: &[Interface]) -> String {
    let one = |interface: &Interface| {
        let addresses: Vec<_> = interface.addresses.iter().map(IpAddr::to_string).collect();
        format!("{} ({})", interface.name, addresses.join(", "))
    };
    if all.is_empty() { "none".to_owned() } else { all.iter().map(one).collect::<Vec<_>>().join(", ") }
}

/// The interfaces that have an address, by their numbers.
///
/// # Errors
/// The system does not tell.
pub fn list() -> io::Result<Vec<Interface>> {
    let mut all: BTreeMap<u32, Interface> = BTreeMap::new();
    for address in if_addrs::get_if_addrs()? {
        // Without a number it has gone since.
        let Some(index) = address.index else { continue };
        let interface = all.entry(index).or_insert_with(|| Interface {
            name: address.name.clone(),
            index,
            is_up: address.is_oper_up(),
            addresses: Vec::new(),
        });
        interface.addresses.push(address.ip());
    }
    let mut all: Vec<_> = all.into_values().collect();
    // A system may name them in another order each time, which would look like a change.
    all.iter_mut().for_each(|interface| interface.addresses.sort());
    Ok(all)
}

/// The same as [`list`], and why there is none in words for people.
///
/// # Errors
/// The system does not tell.
pub fn present() -> Result<Vec<Interface>, SourceError> {
    list().map_err(|error| SourceError(format!("the network interfaces cannot be listed: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface() -> Interface {
        let addresses = vec!["192.0.2.7".parse().unwrap(), "2001:db8::7".parse().unwrap()];
        Interface { name: "eth0".into(), index: 2, is_up: true, addresses }
    }

    #[test]
    fn an_interface_is_meant_by_its_name_and_by_each_of_its_addresses() {
        for (text, expected) in [
            ("eth0", true),
            ("192.0.2.7", true),
            ("2001:db8::7", true),
            ("eth1", false),
            ("192.0.2.8", false),
            ("eth", false),
        ] {
            assert_eq!(
                text.parse::<Wanted>().map(|wanted| wanted.picks(&interface())),
                Ok(expected),
                "{text}"
            );
        }
        assert!(Wanted::Any.picks(&interface()));
    }

    #[test]
    fn a_missing_interface_is_named_with_those_that_there_are() {
        assert_eq!(
            Wanted::Named("eth1".into()).missing(&[interface()]),
            "there is no interface eth1; there are eth0 (192.0.2.7, 2001:db8::7)"
        );
        assert_eq!(Wanted::Named("eth1".into()).missing(&[]), "there is no interface eth1; there are none");
    }

    #[test]
    fn this_computer_has_a_loopback_interface_that_is_up() {
        let all = list().expect("the system tells");
        let loopback = all.iter().find(|interface| interface.addresses.contains(&[127, 0, 0, 1].into()));
        assert!(loopback.is_some_and(|interface| interface.is_up && interface.index > 0), "{all:?}");
    }
}
