//! Sockets as the driver sets them up, for sending without it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use protocol::Options;
use socket2::{Domain, Socket, Type};

use crate::commands::targets::{Chosen, is_link_local};
use crate::computer::Interface;

/// Opens a socket that reaches a target as the options say.
///
/// # Errors
/// The step that the network refuses, and its answer.
pub fn open(target: SocketAddr, options: &Options, interfaces: &[Interface]) -> Result<UdpSocket, String> {
    let chosen = Chosen::new(target, options);
    let step = |step: &'static str| move |error: io::Error| format!("{step}: {}", words(&error));
    let socket =
        Socket::new(Domain::for_address(target), Type::DGRAM, None).map_err(step("open the socket"))?;
    if options.source_port != 0 {
        socket.set_reuse_address(true).map_err(step("share the local port"))?;
    }
    let local = local(target, chosen, options.source_port, interfaces);
    socket.bind(&local.into()).map_err(step("bind the socket"))?;
    choose_interface(&socket, target, chosen).map_err(step("choose the interface"))?;
    if let Some(ttl) = options.ttl {
        set_ttl(&socket, target, u32::from(ttl.get())).map_err(step("set the TTL"))?;
    }
    Ok(socket.into())
}

/// What went wrong, in words that are the same in all languages of Windows.
pub fn words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => format!("{} (error {code})", error.kind()),
        None => error.kind().to_string(),
    }
}

/// The address that packets come from. To choose an interface for a single receiver its own address is taken.
fn local(target: SocketAddr, chosen: Chosen, port: u16, interfaces: &[Interface]) -> SocketAddr {
    let of_interface = || {
        let index = chosen.interface.filter(|_| !target.ip().is_multicast())?;
        let interface = interfaces.iter().find(|interface| interface.index == index)?;
        let alike = |address: &&IpAddr| {
            address.is_ipv4() == target.is_ipv4() && is_link_local(**address) == is_link_local(target.ip())
        };
        interface.addresses.iter().find(alike).copied()
    };
    let any: IpAddr =
        if target.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let address = chosen.source.or_else(of_interface).unwrap_or(any);
    let mut local = SocketAddr::new(address, port);
    if let SocketAddr::V6(local) = &mut local
        && is_link_local(address)
    {
        local.set_scope_id(chosen.interface.unwrap_or_default());
    }
    local
}

/// Groups have no route that would say it.
fn choose_interface(socket: &Socket, target: SocketAddr, chosen: Chosen) -> io::Result<()> {
    if !target.ip().is_multicast() {
        return Ok(());
    }
    match (target, chosen.interface, chosen.source) {
        // Windows knows an index by a first byte of 0.
        (SocketAddr::V4(_), Some(index), _) => socket.set_multicast_if_v4(&Ipv4Addr::from(index)),
        (SocketAddr::V4(_), None, Some(IpAddr::V4(source))) => socket.set_multicast_if_v4(&source),
        (SocketAddr::V6(_), Some(index), _) => socket.set_multicast_if_v6(index),
        _ => Ok(()),
    }
}

fn set_ttl(socket: &Socket, target: SocketAddr, ttl: u32) -> io::Result<()> {
    match (target.is_ipv4(), target.ip().is_multicast()) {
        (true, true) => socket.set_multicast_ttl_v4(ttl),
        (true, false) => socket.set_ttl_v4(ttl),
        (false, true) => socket.set_multicast_hops_v6(ttl),
        (false, false) => socket.set_unicast_hops_v6(ttl),
    }
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU8, NonZeroU32};

    use socket2::SockRef;

    use super::*;

    fn options() -> Options {
        Options { ttl: NonZeroU8::new(8), source_v4: Some(Ipv4Addr::LOCALHOST), ..Options::default() }
    }

    fn target(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_socket_for_a_group_leaves_by_the_interface_of_its_address() {
        let socket = open(target("239.255.77.77:4010"), &options(), &[]).expect("a socket");
        assert_eq!(socket.local_addr().expect("bound").ip(), Ipv4Addr::LOCALHOST);
        let socket = SockRef::from(&socket);
        assert_eq!(socket.multicast_if_v4().expect("an option"), Ipv4Addr::LOCALHOST);
        assert_eq!(socket.multicast_ttl_v4().expect("an option"), 8);
        assert_ne!(socket.ttl_v4().expect("an option"), 8);
    }

    #[test]
    fn a_socket_for_one_receiver_comes_from_the_address_and_has_the_ttl() {
        let socket = open(target("127.0.0.2:4010"), &options(), &[]).expect("a socket");
        assert_eq!(socket.local_addr().expect("bound").ip(), Ipv4Addr::LOCALHOST);
        let socket = SockRef::from(&socket);
        assert_eq!(
            (socket.ttl_v4().expect("an option"), socket.multicast_ttl_v4().expect("an option")),
            (8, 1)
        );
    }

    #[test]
    fn for_one_receiver_the_address_of_the_chosen_interface_is_taken() {
        let addresses = ["fe80::7", "2001:db8::7", "127.0.0.7", "127.0.0.8"];
        let interface = Interface {
            index: 12,
            name: "Ethernet".to_owned(),
            up: true,
            addresses: addresses.map(|address| address.parse().expect("an address")).to_vec(),
        };
        let options = Options { interface: NonZeroU32::new(12), ..Options::default() };
        let local = |text, port| {
            let target = target(text);
            local(target, Chosen::new(target, &options), port, std::slice::from_ref(&interface))
        };
        assert_eq!(local("10.0.0.1:4010", 0), target("127.0.0.7:0"));
        assert_eq!(local("[2001:db8:1::1]:4010", 4011), target("[2001:db8::7]:4011"));
        assert_eq!(local("[fe80::1]:4010", 0), target("[fe80::7%12]:0"));
        // A group's interface is an option of the socket, and any address may be its source.
        assert_eq!(local("239.255.77.77:4010", 0), target("0.0.0.0:0"));
        assert_eq!(local("[ff15::1]:4010", 4011), target("[::]:4011"));
    }

    #[test]
    fn an_address_of_another_computer_is_told_as_the_step_that_fails() {
        let options = Options { source_v4: Some(Ipv4Addr::new(192, 0, 2, 1)), ..Options::default() };
        let error = open(target("127.0.0.1:4010"), &options, &[]).expect_err("not ours");
        assert!(error.starts_with("bind the socket: address not available (error "), "{error}");
    }

    #[test]
    fn several_sockets_share_a_local_port() {
        let first = open(target("127.0.0.1:4010"), &options(), &[]).expect("a socket");
        let source_port = first.local_addr().expect("bound").port();
        drop(first);
        let options = Options { source_port, ..options() };
        let sockets = ["127.0.0.1:4010", "239.255.77.77:4010"].map(|text| open(target(text), &options, &[]));
        for socket in sockets {
            assert_eq!(socket.expect("a socket").local_addr().expect("bound").port(), source_port);
        }
    }
}
