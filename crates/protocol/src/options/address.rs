//! Destinations and local addresses from text.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use core::num::NonZeroU32;

use super::ipv6;
use super::value::Reason;

/// The port of the receivers, unless the options say otherwise.
pub const DEFAULT_PORT: u16 = 4010;
/// The group that receivers listen to, unless the options say otherwise.
pub const MULTICAST: Ipv4Addr = Ipv4Addr::new(239, 255, 77, 77);
/// Its like in IPv6: transient, within the site, with the 32 bits of the IPv4 group as its number. They are in the range
/// that RFC 3307 leaves to whoever sets up a group.
pub const MULTICAST6: Ipv6Addr = Ipv6Addr::new(0xFF15, 0, 0, 0, 0, 0, 0xEFFF, 0x4D4D);

/// The highest index of an interface. Windows takes the bytes of an index where it takes an IPv4 address, and knows it by
/// a first byte of 0 (`IP_MULTICAST_IF`, `IP_UNICAST_IF`).
pub const MAX_INTERFACE: u32 = 0x00FF_FFFF;

const NOT_AN_ADDRESS: Reason = c"not an address";
const NOT_SENT_TO: Reason = c"no address that can be sent to";
const NOT_SENT_FROM: Reason = c"no address that can be sent from";
const NOT_A_PORT: Reason = c"no port from 1 to 65535";
const NOT_AN_INTERFACE: Reason = c"no interface index from 1 to 16777215";

/// Where packets leave the computer.
#[derive(Clone, Copy)]
pub(super) enum Interface {
    Index(NonZeroU32),
    V4(Ipv4Addr),
    V6(Ipv6Addr, Option<NonZeroU32>),
}

/// A destination: an address or `multicast` or `multicast6`, and a port if it is another than [`DEFAULT_PORT`]. An
/// IPv6 address with a port is in brackets.
pub(super) fn target(text: &[u8]) -> Result<SocketAddr, Reason> {
    if let [b'[', bracketed @ ..] = text {
        let (address, rest) = split(bracketed, b']').ok_or(NOT_AN_ADDRESS)?;
        return match rest {
            [] => target_v6(address, DEFAULT_PORT),
            [b':', port @ ..] => target_v6(address, self::port(port)?),
            _ => Err(NOT_AN_ADDRESS),
        };
    }
    let (address, port) = match split(text, b':') {
        Some((_, rest)) if rest.contains(&b':') => return target_v6(text, DEFAULT_PORT),
        Some((address, port)) => (address, self::port(port)?),
        None => (text, DEFAULT_PORT),
    };
    let address = if address.eq_ignore_ascii_case(b"multicast") {
        IpAddr::V4(MULTICAST)
    } else if address.eq_ignore_ascii_case(b"multicast6") {
        IpAddr::V6(MULTICAST6)
    } else {
        IpAddr::V4(destination_v4(address)?)
    };
    Ok(SocketAddr::new(address, port))
}

fn target_v6(text: &[u8], port: u16) -> Result<SocketAddr, Reason> {
    let (address, interface) = scoped(text)?;
    if address.is_unspecified() || is_really_v4(address) {
        return Err(NOT_SENT_TO);
    }
    let interface = interface.map_or(0, NonZeroU32::get);
    Ok(SocketAddr::V6(SocketAddrV6::new(address, port, 0, interface)))
}

/// An IPv4 address that a packet can be sent to.
pub(super) fn destination_v4(text: &[u8]) -> Result<Ipv4Addr, Reason> {
    let address = ipv4(text).ok_or(NOT_AN_ADDRESS)?;
    if is_this_network(address) || address.is_broadcast() { Err(NOT_SENT_TO) } else { Ok(address) }
}

/// An IPv4 address that this computer can have.
pub(super) fn source_v4(text: &[u8]) -> Result<Ipv4Addr, Reason> {
    let address = ipv4(text).ok_or(NOT_AN_ADDRESS)?;
    if is_this_network(address) || address.is_broadcast() || address.is_multicast() {
        return Err(NOT_SENT_FROM);
    }
    Ok(address)
}

/// An address that this computer can have, of either kind.
pub(super) fn interface_address(text: &[u8]) -> Result<Interface, Reason> {
    if !text.contains(&b':') {
        return source_v4(text).map(Interface::V4);
    }
    let (address, interface) = scoped(text)?;
    if address.is_unspecified() || address.is_multicast() || is_really_v4(address) {
        return Err(NOT_SENT_FROM);
    }
    Ok(Interface::V6(address, interface))
}

/// The index of an interface.
pub(super) fn interface_index(index: u32) -> Result<NonZeroU32, Reason> {
    NonZeroU32::new(index).filter(|index| index.get() <= MAX_INTERFACE).ok_or(NOT_AN_INTERFACE)
}

/// An IPv6 address and, after a `%`, the index of the interface that it belongs to.
fn scoped(text: &[u8]) -> Result<(Ipv6Addr, Option<NonZeroU32>), Reason> {
    let (address, interface) = match split(text, b'%') {
        Some((address, index)) => (address, Some(interface_index(decimal(index).ok_or(NOT_AN_INTERFACE)?)?)),
        None => (text, None),
    };
    Ok((ipv6::parse(address).ok_or(NOT_AN_ADDRESS)?, interface))
}

fn port(text: &[u8]) -> Result<u16, Reason> {
    let port = decimal(text).and_then(|port| u16::try_from(port).ok());
    port.filter(|port| *port > 0).ok_or(NOT_A_PORT)
}

/// The number that digits stand for; 0 for none.
fn decimal(digits: &[u8]) -> Option<u32> {
    digits
        .iter()
        .try_fold(0, |value: u32, digit| value.checked_mul(10)?.checked_add(char::from(*digit).to_digit(10)?))
}

/// The IPv4 address in dotted decimal.
pub(super) fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    core::str::from_utf8(text).ok()?.parse().ok()
}

/// What is before the first `separator`, and what is after it.
fn split(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let (before, rest) = text.split_at_checked(text.iter().position(|byte| *byte == separator)?)?;
    Some((before, rest.get(1..)?))
}

/// Addresses that begin with 0 mean "this network" (RFC 1122, 3.2.1.3): no packet goes to one or comes from one.
fn is_this_network(address: Ipv4Addr) -> bool {
    matches!(address.octets(), [0, ..])
}

/// An IPv4 address written as an IPv6 one: a socket for IPv6 does not send to it.
fn is_really_v4(address: Ipv6Addr) -> bool {
    address.to_ipv4_mapped().is_some()
}
