//! The way that packets take to a target, as the driver's options and Windows' routes say.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use protocol::Options;

use crate::commands::Result;
use crate::computer::{ApiError, Computer, Interface, Route};
use crate::failure::{self, Failure};

/// The codes for: there is no route (`ERROR_NOT_FOUND`, `ERROR_NETWORK_UNREACHABLE`, `ERROR_HOST_UNREACHABLE`).
const NO_ROUTE: [u32; 3] = [1168, 1231, 1232];

/// The way that packets take to a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The interface that they leave by, as people know it.
    pub interface: String,
    /// The rest of it.
    pub route: Route,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "by {}, from {}", self.interface, self.route.source)?;
        match self.route.next_hop {
            Some(router) => write!(f, ", through {router}"),
            None => Ok(()),
        }
    }
}

/// What the options say of the way to a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chosen {
    /// The index of the interface.
    pub interface: Option<u32>,
    /// The address that packets come from.
    pub source: Option<IpAddr>,
}

impl Chosen {
    /// What the options say of the way to a target, as the driver sets up its socket: the index after a `%` goes before
    /// `Interface`.
    pub fn new(target: SocketAddr, options: &Options) -> Self {
        let index = options.interface.map(|index| index.get());
        match target {
            SocketAddr::V4(_) => Self { interface: index, source: options.source_v4.map(IpAddr::V4) },
            SocketAddr::V6(target) => {
                let scope = Some(target.scope_id()).filter(|scope| *scope != 0);
                Self { interface: scope.or(index), source: options.source_v6.map(IpAddr::V6) }
            }
        }
    }
}

/// Looks for the way to a target.
///
/// # Errors
/// There is none: why, and what to do.
pub fn find(
    target: SocketAddr,
    options: &Options,
    interfaces: &[Interface],
    computer: &dyn Computer,
) -> Result<Way> {
    let Chosen { mut interface, source } = Chosen::new(target, options);
    if let Some(missing) = missing(interface, source, interfaces) {
        return Err(Failure::new(missing, "set Interface to an address of this computer, or unset it"));
    }
    if let Some(index) = interface {
        connected(index, interfaces)?;
    } else if is_link_local(target.ip()) {
        return Err(Failure::new(
            "an address that begins with fe80 needs the index of an interface",
            format!("write [{}%INDEX]:{}", target.ip(), target.port()),
        ));
    }
    if let Some(owner) = source.and_then(|source| owner(source, interfaces)) {
        connected(owner.index, interfaces)?;
        // Multicast of IPv4 leaves by the interface of its source address; other packets by what the routes say.
        if target.is_ipv4() && target.ip().is_multicast() {
            interface = interface.or(Some(owner.index));
        }
    }
    let route = computer.route(target, interface, source).map_err(explain)?;
    Ok(Way { interface: connected(route.interface, interfaces)?, route })
}

/// What the options name that this computer does not have.
pub fn missing(interface: Option<u32>, source: Option<IpAddr>, interfaces: &[Interface]) -> Option<String> {
    if let Some(index) =
        interface.filter(|index| !interfaces.iter().any(|interface| interface.index == *index))
    {
        return Some(format!("no interface of this computer has the index {index}"));
    }
    let address = source.filter(|source| owner(*source, interfaces).is_none())?;
    Some(format!("no interface of this computer has the address {address}"))
}

fn owner(address: IpAddr, interfaces: &[Interface]) -> Option<&Interface> {
    interfaces.iter().find(|interface| interface.addresses.contains(&address))
}

/// The interface of this index as people know it, if it is connected.
fn connected(index: u32, interfaces: &[Interface]) -> Result<String> {
    let Some(interface) = interfaces.iter().find(|interface| interface.index == index) else {
        return Ok(format!("interface {index}"));
    };
    let name = format!("{} ({index})", interface.name);
    if interface.up {
        return Ok(name);
    }
    Err(Failure::new(
        format!("{name} is not connected"),
        "connect it, or set Interface to an address of another one",
    ))
}

/// Whether an address means something on one link only: the index of an interface goes with it.
pub fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

fn explain(error: ApiError) -> Failure {
    if NO_ROUTE.contains(&error.code) {
        return Failure::new("Windows knows no way to it", "look at the cable, the address, and Interface");
    }
    failure::explain(error)
}

/// Interfaces that packets could leave by, if nothing is said of it.
pub fn usable(interfaces: &[Interface]) -> impl Iterator<Item = &Interface> {
    interfaces
        .iter()
        .filter(|interface| interface.up && interface.addresses.iter().any(|address| !address.is_loopback()))
}
