//! The virtual network: the interfaces of this computer, and which ports are taken.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};

use super::interface::{Interface, Interfaces, Session};
use super::routing::{Route, Wishes, route};
use super::{InterfaceName, Settings};
use crate::nt::NtStatus;

/// The first port of the dynamic range, as on Windows.
const FIRST_EPHEMERAL_PORT: u16 = 49152;

/// What the virtual network looks like when the computer is switched on.
#[derive(Clone, Debug)]
pub struct VirtualSetup {
    /// The interfaces of this computer besides loopback, each with an index of its own. Without any, only loopback
    /// destinations can be reached.
    pub interfaces: Vec<Interface>,
}

impl Default for VirtualSetup {
    fn default() -> Self {
        Self { interfaces: vec![Interface::default()] }
    }
}

/// The interfaces, and the ports in use.
pub(super) struct VirtualNetwork {
    interfaces: RefCell<Interfaces>,
    bound: RefCell<Vec<(SocketAddr, bool)>>,
    next_port: Cell<u16>,
}

impl VirtualNetwork {
    pub(super) fn new(setup: &VirtualSetup) -> Self {
        Self {
            interfaces: RefCell::new(Interfaces::new(&setup.interfaces)),
            bound: RefCell::default(),
            next_port: Cell::new(FIRST_EPHEMERAL_PORT),
        }
    }

    /// Takes a port: the address with it, and the session of an address that is not the wildcard.
    pub(super) fn bind(
        &self,
        local: SocketAddr,
        reuse: bool,
    ) -> Result<(SocketAddr, Option<Session>), NtStatus> {
        let session = if local.ip().is_unspecified() {
            None
        } else {
            let session = self.interfaces.borrow().address(local.ip(), scope(local));
            Some(session.ok_or(NtStatus::INVALID_ADDRESS_COMPONENT)?)
        };
        let mut bound = self.bound.borrow_mut();
        let mut local = local;
        if local.port() == 0 {
            let port = self.next_port.get();
            self.next_port.set(port.checked_add(1).unwrap_or(FIRST_EPHEMERAL_PORT));
            local.set_port(port);
        }
        let overlaps = |other: &SocketAddr| {
            other.port() == local.port()
                && other.is_ipv4() == local.is_ipv4()
                && (other.ip() == local.ip() || other.ip().is_unspecified() || local.ip().is_unspecified())
        };
        if bound.iter().any(|(other, other_reuse)| overlaps(other) && !(reuse && *other_reuse)) {
            return Err(NtStatus::ADDRESS_ALREADY_EXISTS);
        }
        bound.push((local, reuse));
        Ok((local, session))
    }

    pub(super) fn close(&self, local: SocketAddr) {
        let mut bound = self.bound.borrow_mut();
        if let Some(index) = bound.iter().position(|(address, _)| *address == local) {
            bound.remove(index);
        }
    }

    /// The interface that an option names.
    pub(super) fn named(&self, name: InterfaceName) -> Result<Session, NtStatus> {
        self.interfaces.borrow().named(name).ok_or(NtStatus::INVALID_ADDRESS_COMPONENT)
    }

    /// The way of a datagram from a socket that is bound to `local`.
    pub(super) fn route(
        &self,
        local: (SocketAddr, Option<Session>),
        settings: &Settings,
        destination: SocketAddr,
    ) -> Result<Route, NtStatus> {
        let mut destination = destination;
        if let IpAddr::V6(address) = destination.ip()
            && let Some(mapped) = address.to_ipv4_mapped()
        {
            // Only a socket for both families knows them, and Windows makes sockets for one.
            if settings.options.v6_only != Some(false) {
                return Err(NtStatus::INVALID_ADDRESS_COMPONENT);
            }
            destination.set_ip(mapped.into());
        }
        let bound = local.1.map(|session| (local.0.ip(), session));
        let wishes = Wishes { bound, multicast: settings.multicast, unicast: settings.unicast };
        route(&self.interfaces.borrow(), wishes, destination)
    }

    pub(super) fn set_interface_up(&self, index: u32, up: bool) {
        self.interfaces.borrow_mut().set_up(index, up);
    }

    pub(super) fn set_addresses(&self, index: u32, addresses: Vec<(IpAddr, u8)>) {
        self.interfaces.borrow_mut().set_addresses(index, addresses);
    }
}

fn scope(address: SocketAddr) -> u32 {
    match address {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(address) => address.scope_id(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::SocketOptions;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn network() -> VirtualNetwork {
        VirtualNetwork::new(&VirtualSetup::default())
    }

    /// The port that a socket gets.
    fn bind(network: &VirtualNetwork, local: &str, reuse: bool) -> Result<SocketAddr, NtStatus> {
        network.bind(address(local), reuse).map(|(local, _)| local)
    }

    #[test]
    fn a_wildcard_socket_sends_from_the_address_that_routing_chooses() {
        let network = network();
        let local = network.bind(address("0.0.0.0:0"), false).expect("a port");
        assert_eq!(local, (address("0.0.0.0:49152"), None));
        let source = |to: &str| network.route(local, &Settings::default(), address(to)).map(|way| way.source);
        assert_eq!(source("239.255.77.77:4010"), Ok([192, 0, 2, 10].into()));
        assert_eq!(source("127.0.0.1:4010"), Ok([127, 0, 0, 1].into()));
    }

    #[test]
    fn a_port_is_taken_until_its_socket_closes() {
        let network = network();
        assert_eq!(bind(&network, "0.0.0.0:4010", false), Ok(address("0.0.0.0:4010")));
        assert_eq!(bind(&network, "127.0.0.1:4010", true), Err(NtStatus::ADDRESS_ALREADY_EXISTS));
        assert_eq!(bind(&network, "[::1]:4010", false), Ok(address("[::1]:4010")));
        assert_eq!(bind(&network, "[::]:4010", false), Err(NtStatus::ADDRESS_ALREADY_EXISTS));
        network.close(address("0.0.0.0:4010"));
        assert_eq!(bind(&network, "127.0.0.1:4010", true), Ok(address("127.0.0.1:4010")));
        assert_eq!(bind(&network, "127.0.0.1:4010", true), Ok(address("127.0.0.1:4010")));
    }

    #[test]
    fn an_address_that_this_computer_does_not_have_cannot_be_bound() {
        let network = network();
        assert_eq!(bind(&network, "198.51.100.7:0", false), Err(NtStatus::INVALID_ADDRESS_COMPONENT));
        assert_eq!(bind(&network, "192.0.2.10:0", false), Ok(address("192.0.2.10:49152")));
        network.set_addresses(2, vec![(IpAddr::from([192, 0, 2, 11]), 24)]);
        assert_eq!(bind(&network, "192.0.2.10:0", false), Err(NtStatus::INVALID_ADDRESS_COMPONENT));
        network.set_interface_up(2, false);
        assert_eq!(bind(&network, "192.0.2.11:0", false), Err(NtStatus::INVALID_ADDRESS_COMPONENT));
    }

    #[test]
    fn an_interface_that_is_not_there_cannot_be_named() {
        let network = network();
        let refused = Err(NtStatus::INVALID_ADDRESS_COMPONENT);
        assert!(network.named(InterfaceName::Index(2)).is_ok());
        assert!(network.named(InterfaceName::Address([192, 0, 2, 10].into())).is_ok());
        assert_eq!(network.named(InterfaceName::Index(3)), refused);
        assert_eq!(network.named(InterfaceName::Address([192, 0, 2, 11].into())), refused);
        network.set_interface_up(2, false);
        assert_eq!(network.named(InterfaceName::Index(2)), refused);
    }

    #[test]
    fn only_a_socket_of_both_families_sends_to_mapped_addresses() {
        let network = network();
        let local = network.bind(address("[::]:0"), false).expect("a port");
        let way = |v6_only| {
            let options = SocketOptions { v6_only, ..SocketOptions::default() };
            let settings = Settings { options, ..Settings::default() };
            network.route(local, &settings, address("[::ffff:192.0.2.1]:4010"))
        };
        assert_eq!(way(Some(false)), Ok(Route { interface: 2, source: [192, 0, 2, 10].into() }));
        assert_eq!(way(Some(true)), Err(NtStatus::INVALID_ADDRESS_COMPONENT));
        assert_eq!(way(None), Err(NtStatus::INVALID_ADDRESS_COMPONENT));
    }
}
