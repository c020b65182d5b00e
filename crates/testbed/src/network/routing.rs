//! Which interface a datagram leaves by, and from which address.
//!
//! Windows follows the strong host model ("Strong and Weak Host Models", The Cable Guy, TechNet Magazine, September
//! 2007): what has a source address leaves by the interface of that address, and the search for a route is
//! confined to it. An interface that a socket option names confines the search in the same way. Where the two
//! disagree, nothing is found. What is left is decided by the longest prefix, then by the lowest metric.
//!
//! Chosen, because no page says it: multicast never leaves by the loopback interface unless that was named, so that a
//! computer without a network has no route for it, whichever routes a real one may keep for it there.

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::interface::{Interface, Interfaces, LOOPBACK, Session, is_link_local};
use crate::nt::NtStatus;

/// What a socket says of the ways that its datagrams may take.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wishes {
    /// The address that it was bound to, unless that is the wildcard.
    pub(super) bound: Option<(IpAddr, Session)>,
    /// IP_MULTICAST_IF or IPV6_MULTICAST_IF.
    pub(super) multicast: Option<Session>,
    /// IP_UNICAST_IF or IPV6_UNICAST_IF.
    pub(super) unicast: Option<Session>,
}

/// A way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// The index of the interface.
    pub(super) interface: u32,
    /// The source address.
    pub(super) source: IpAddr,
}

/// The way of a datagram to `destination`.
///
/// # Errors
/// STATUS_INVALID_ADDRESS_COMPONENT: nothing can be sent to this address, or the address that the socket was bound to
/// is gone. It stays gone for this socket when the computer has it again: no page promises that it comes back.
/// STATUS_NETWORK_UNREACHABLE: there is no route, or the interface that an option named is gone.
pub(super) fn route(
    interfaces: &Interfaces,
    wishes: Wishes,
    destination: SocketAddr,
) -> Result<Route, NtStatus> {
    let to = destination.ip();
    if to.is_unspecified() || destination.port() == 0 {
        return Err(NtStatus::INVALID_ADDRESS_COMPONENT);
    }
    let mut confined = Vec::new();
    if let Some((_, session)) = wishes.bound {
        confined.push(interfaces.of(session).ok_or(NtStatus::INVALID_ADDRESS_COMPONENT)?);
    }
    if let Some(session) = if to.is_multicast() { wishes.multicast } else { wishes.unicast } {
        confined.push(interfaces.of(session).ok_or(NtStatus::NETWORK_UNREACHABLE)?);
    }
    confined.extend(scope(destination));
    let allowed = |index: u32| confined.iter().all(|only| *only == index);
    let by = interfaces
        .up()
        .map(|live| &live.interface)
        .filter(|interface| allowed(interface.index))
        .filter(|interface| interface.index != LOOPBACK || !to.is_multicast() || !confined.is_empty())
        .filter_map(|interface| Some((reach(interface, to)?, interface, source(interface, to)?)))
        .min_by_key(|(prefix, interface, _)| (Reverse(*prefix), interface.metric, interface.index));
    let (_, interface, own) = by.ok_or(NtStatus::NETWORK_UNREACHABLE)?;
    let source = wishes.bound.map_or(own, |(address, _)| address);
    Ok(Route { interface: interface.index, source })
}

/// The interface that the scope of an IPv6 destination names: it counts for the link's own addresses and for multicast.
fn scope(destination: SocketAddr) -> Option<u32> {
    match destination {
        SocketAddr::V6(to) if to.scope_id() != 0 => {
            (to.ip().is_multicast() || is_link_local(destination.ip())).then_some(to.scope_id())
        }
        _ => None,
    }
}

/// The prefix with which an interface reaches an address: 0 through its gateway, `None` not at all.
fn reach(interface: &Interface, to: IpAddr) -> Option<u8> {
    let everywhere_on_link = to.is_multicast() || to == IpAddr::from([255; 4]);
    if everywhere_on_link {
        return Some(0);
    }
    let on_link = interface
        .addresses
        .iter()
        .filter(|(own, prefix)| common_bits(*own, to) >= u32::from(*prefix))
        .map(|(_, prefix)| *prefix)
        .max();
    let beyond = interface.default_route && !is_link_local(to) && !to.is_loopback();
    on_link.or(beyond.then_some(0))
}

/// The address that a datagram leaves from, of those that an interface has: of the reach that the destination has,
/// and then the one that has most in common with it (RFC 3484, which Windows follows, KB 969029).
fn source(interface: &Interface, to: IpAddr) -> Option<IpAddr> {
    let own = interface.addresses.iter().map(|(own, _)| *own).filter(|own| own.is_ipv4() == to.is_ipv4());
    let fits = |own: &IpAddr| is_link_local(*own) == stays_on_link(to);
    // Of equals the first is taken.
    own.min_by_key(|own| (!fits(own), Reverse(common_bits(*own, to))))
}

fn stays_on_link(to: IpAddr) -> bool {
    let multicast_of_the_link = |to: Ipv6Addr| to.is_multicast() && to.segments()[0] & 0xF == 2;
    is_link_local(to) || matches!(to, IpAddr::V6(to) if multicast_of_the_link(to))
}

/// How many bits two addresses have in common from their beginning; none if they are of two families.
fn common_bits(one: IpAddr, other: IpAddr) -> u32 {
    match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::InterfaceName;

    fn addresses(texts: &[&str]) -> Vec<(IpAddr, u8)> {
        let pair = |text: &&str| {
            let (address, prefix) = text.split_once('/').expect("a prefix");
            (address.parse().expect("an address"), prefix.parse().expect("bits"))
        };
        texts.iter().map(pair).collect()
    }

    /// Two: 2 is the dearer one and has a gateway; 3 is the cheaper one and has none.
    fn two() -> Interfaces {
        let first = addresses(&["192.0.2.10/24", "2001:db8::10/64", "fe80::10/64"]);
        let second = addresses(&["198.51.100.20/24", "2001:db8:1::20/64", "fe80::20/64"]);
        Interfaces::new(&[
            Interface { index: 2, metric: 50, addresses: first, up: true, default_route: true },
            Interface { index: 3, metric: 10, addresses: second, up: true, default_route: false },
        ])
    }

    fn bound(interfaces: &Interfaces, text: &str, scope: u32) -> Wishes {
        let address = text.parse().expect("an address");
        let session = interfaces.address(address, scope).expect("it is local");
        Wishes { bound: Some((address, session)), ..Wishes::default() }
    }

    #[track_caller]
    fn check(interfaces: &Interfaces, wishes: Wishes, to: &str, expected: Result<(u32, &str), NtStatus>) {
        let to = to.parse().expect("a destination");
        let expected = expected
            .map(|(interface, source)| Route { interface, source: source.parse().expect("an address") });
        assert_eq!(route(interfaces, wishes, to), expected, "{to}");
    }

    const UNREACHABLE: Result<(u32, &str), NtStatus> = Err(NtStatus::NETWORK_UNREACHABLE);
    const GONE: Result<(u32, &str), NtStatus> = Err(NtStatus::INVALID_ADDRESS_COMPONENT);

    #[test]
    fn without_wishes_the_link_comes_before_the_gateway_and_the_lower_metric_first() {
        let any = Wishes::default();
        check(&two(), any, "198.51.100.1:1", Ok((3, "198.51.100.20")));
        check(&two(), any, "192.0.2.1:1", Ok((2, "192.0.2.10")));
        check(&two(), any, "203.0.113.1:1", Ok((2, "192.0.2.10")));
        check(&two(), any, "[2001:db8:1::1]:1", Ok((3, "2001:db8:1::20")));
        check(&two(), any, "[2001:db8:2::1]:1", Ok((2, "2001:db8::10")));
        check(&two(), any, "239.255.77.77:4010", Ok((3, "198.51.100.20")));
        check(&two(), any, "255.255.255.255:4010", Ok((3, "198.51.100.20")));
        check(&two(), any, "[ff05::4d4d]:4010", Ok((3, "2001:db8:1::20")));
        check(&two(), any, "[ff02::4d4d]:4010", Ok((3, "fe80::20")));
        check(&two(), any, "127.0.0.1:1", Ok((1, "127.0.0.1")));
        check(&two(), any, "[::1]:1", Ok((1, "::1")));
    }

    #[test]
    fn a_source_address_leaves_by_its_own_interface_only() {
        let interfaces = two();
        let first = bound(&interfaces, "192.0.2.10", 0);
        check(&interfaces, first, "239.255.77.77:4010", Ok((2, "192.0.2.10")));
        check(&interfaces, first, "198.51.100.1:1", Ok((2, "192.0.2.10")));
        check(&interfaces, first, "127.0.0.1:1", UNREACHABLE);
        let second = bound(&interfaces, "198.51.100.20", 0);
        check(&interfaces, second, "203.0.113.1:1", UNREACHABLE);
        check(&interfaces, bound(&interfaces, "127.0.0.1", 0), "203.0.113.1:1", UNREACHABLE);
        check(&interfaces, bound(&interfaces, "127.0.0.1", 0), "239.1.1.1:1", Ok((1, "127.0.0.1")));
        check(&interfaces, bound(&interfaces, "fe80::20", 3), "[fe80::1]:1", Ok((3, "fe80::20")));
        check(&interfaces, bound(&interfaces, "fe80::20", 3), "[fe80::1%2]:1", UNREACHABLE);
    }

    #[test]
    fn an_option_names_the_interface() {
        let interfaces = two();
        let first = interfaces.named(InterfaceName::Index(2));
        let multicast = Wishes { multicast: first, ..Wishes::default() };
        check(&interfaces, multicast, "239.255.77.77:4010", Ok((2, "192.0.2.10")));
        check(&interfaces, multicast, "[ff05::4d4d]:4010", Ok((2, "2001:db8::10")));
        check(&interfaces, multicast, "198.51.100.1:1", Ok((3, "198.51.100.20")));
        let unicast = Wishes { unicast: first, ..Wishes::default() };
        check(&interfaces, unicast, "198.51.100.1:1", Ok((2, "192.0.2.10")));
        check(&interfaces, unicast, "239.255.77.77:4010", Ok((3, "198.51.100.20")));
        let second = Wishes { unicast: interfaces.named(InterfaceName::Index(3)), ..Wishes::default() };
        check(&interfaces, second, "203.0.113.1:1", UNREACHABLE);
        let both = Wishes { multicast: first, ..bound(&interfaces, "198.51.100.20", 0) };
        check(&interfaces, both, "239.255.77.77:4010", UNREACHABLE);
        let loopback = InterfaceName::Address([127, 0, 0, 1].into());
        let inside = Wishes { multicast: interfaces.named(loopback), ..Wishes::default() };
        check(&interfaces, inside, "239.255.77.77:4010", Ok((1, "127.0.0.1")));
    }

    #[test]
    fn a_scope_names_the_interface_of_what_is_local_to_a_link() {
        let any = Wishes::default();
        check(&two(), any, "[fe80::1%2]:1", Ok((2, "fe80::10")));
        check(&two(), any, "[fe80::1]:1", Ok((3, "fe80::20")));
        check(&two(), any, "[ff02::1%2]:1", Ok((2, "fe80::10")));
        check(&two(), any, "[ff02::1%9]:1", UNREACHABLE);
        check(&two(), any, "[2001:db8:1::1%2]:1", Ok((3, "2001:db8:1::20")));
        let first = Wishes { multicast: two().named(InterfaceName::Index(2)), ..any };
        check(&two(), first, "[ff02::1%3]:1", UNREACHABLE);
    }

    #[test]
    fn what_is_gone_stays_gone_for_the_socket_that_had_it() {
        let mut interfaces = two();
        let address = bound(&interfaces, "192.0.2.10", 0);
        let option = Wishes { multicast: interfaces.named(InterfaceName::Index(2)), ..Wishes::default() };
        let any = Wishes::default();
        interfaces.set_up(2, false);
        check(&interfaces, address, "192.0.2.1:1", GONE);
        check(&interfaces, option, "239.1.1.1:1", UNREACHABLE);
        check(&interfaces, any, "192.0.2.1:1", UNREACHABLE);
        check(&interfaces, any, "239.1.1.1:1", Ok((3, "198.51.100.20")));
        interfaces.set_up(2, true);
        check(&interfaces, address, "192.0.2.1:1", GONE);
        check(&interfaces, option, "239.1.1.1:1", UNREACHABLE);
        check(&interfaces, any, "192.0.2.1:1", Ok((2, "192.0.2.10")));
        check(&interfaces, bound(&interfaces, "192.0.2.10", 0), "192.0.2.1:1", Ok((2, "192.0.2.10")));
    }

    #[test]
    fn an_interface_without_an_address_of_the_family_carries_nothing_of_it() {
        let only = Interface { addresses: addresses(&["192.0.2.10/24"]), ..Interface::default() };
        let interfaces = Interfaces::new(&[only]);
        check(&interfaces, Wishes::default(), "[ff05::1]:1", UNREACHABLE);
        check(&interfaces, Wishes::default(), "[2001:db8::1]:1", UNREACHABLE);
        check(&interfaces, Wishes::default(), "239.1.1.1:1", Ok((2, "192.0.2.10")));
    }

    #[test]
    fn without_an_interface_only_this_computer_can_be_reached() {
        let none = Interfaces::new(&[]);
        let any = Wishes::default();
        check(&none, any, "203.0.113.1:1", UNREACHABLE);
        check(&none, any, "239.1.1.1:1", UNREACHABLE);
        check(&none, any, "127.0.0.1:1", Ok((1, "127.0.0.1")));
        check(&none, any, "0.0.0.0:1", GONE);
        check(&none, any, "127.0.0.1:0", GONE);
    }
}
