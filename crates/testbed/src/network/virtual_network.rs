//! The virtual network: which addresses this computer has, which ports are taken, and what can be reached.

use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, SocketAddrV4};

use super::SocketOptions;
use crate::nt::NtStatus;

/// The first port of the dynamic range, as on Windows.
const FIRST_EPHEMERAL_PORT: u16 = 49152;

/// What the virtual network looks like.
#[derive(Clone, Debug)]
pub struct VirtualSetup {
    /// The addresses of this computer besides 127.0.0.1; the first is the one that routes choose. Without any, only
    /// loopback destinations can be reached.
    pub addresses: Vec<Ipv4Addr>,
}

impl Default for VirtualSetup {
    fn default() -> Self {
        Self { addresses: vec![Ipv4Addr::new(192, 0, 2, 10)] }
    }
}

/// The ports in use.
pub(super) struct VirtualNetwork {
    bound: RefCell<Vec<(SocketAddrV4, bool)>>,
    next_port: Cell<u16>,
}

impl Default for VirtualNetwork {
    fn default() -> Self {
        Self { bound: RefCell::default(), next_port: Cell::new(FIRST_EPHEMERAL_PORT) }
    }
}

impl VirtualNetwork {
    pub(super) fn bind(
        &self,
        setup: &VirtualSetup,
        local: SocketAddrV4,
        reuse: bool,
    ) -> Result<SocketAddrV4, NtStatus> {
        if !is_local(setup, *local.ip()) && !local.ip().is_unspecified() {
            return Err(NtStatus::INVALID_ADDRESS_COMPONENT);
        }
        let mut bound = self.bound.borrow_mut();
        let local = if local.port() == 0 {
            let port = self.next_port.get();
            self.next_port.set(port.checked_add(1).unwrap_or(FIRST_EPHEMERAL_PORT));
            SocketAddrV4::new(*local.ip(), port)
        } else {
            local
        };
        let overlaps = |other: &SocketAddrV4| {
            other.port() == local.port()
                && (other.ip() == local.ip() || other.ip().is_unspecified() || local.ip().is_unspecified())
        };
        if bound.iter().any(|(other, other_reuse)| overlaps(other) && !(reuse && *other_reuse)) {
            return Err(NtStatus::ADDRESS_ALREADY_EXISTS);
        }
        bound.push((local, reuse));
        Ok(local)
    }

    pub(super) fn close(&self, local: SocketAddrV4) {
        let mut bound = self.bound.borrow_mut();
        if let Some(index) = bound.iter().position(|(address, _)| *address == local) {
            bound.remove(index);
        }
    }
}

fn is_local(setup: &VirtualSetup, address: Ipv4Addr) -> bool {
    address.is_loopback() || setup.addresses.contains(&address)
}

/// The source address of a datagram: the socket's own, or the one that routing chooses.
pub(super) fn source(
    setup: &VirtualSetup,
    local: SocketAddrV4,
    options: &SocketOptions,
    destination: SocketAddrV4,
) -> Result<SocketAddrV4, NtStatus> {
    let routed = if destination.ip().is_loopback() {
        Some(Ipv4Addr::LOCALHOST)
    } else if destination.ip().is_multicast() {
        options
            .multicast_interface
            .filter(|address| !address.is_unspecified())
            .or(setup.addresses.first().copied())
    } else {
        setup.addresses.first().copied()
    };
    let routed = routed.ok_or(NtStatus::NETWORK_UNREACHABLE)?;
    if destination.ip().is_unspecified() || destination.port() == 0 {
        return Err(NtStatus::INVALID_ADDRESS_COMPONENT);
    }
    Ok(if local.ip().is_unspecified() { SocketAddrV4::new(routed, local.port()) } else { local })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddrV4 {
        text.parse().expect("an address")
    }

    #[test]
    fn a_wildcard_socket_sends_from_the_address_that_routing_chooses() {
        let setup = VirtualSetup::default();
        let local = VirtualNetwork::default().bind(&setup, address("0.0.0.0:0"), false).expect("a port");
        assert_eq!(local, address("0.0.0.0:49152"));
        let options = SocketOptions::default();
        assert_eq!(
            source(&setup, local, &options, address("239.255.77.77:4010")),
            Ok(address("192.0.2.10:49152"))
        );
        assert_eq!(
            source(&setup, local, &options, address("127.0.0.1:4010")),
            Ok(address("127.0.0.1:49152"))
        );
    }

    #[test]
    fn without_an_address_only_loopback_can_be_reached() {
        let setup = VirtualSetup { addresses: Vec::new() };
        let local = address("0.0.0.0:5000");
        let options = SocketOptions::default();
        assert_eq!(
            source(&setup, local, &options, address("198.51.100.1:1")),
            Err(NtStatus::NETWORK_UNREACHABLE)
        );
        assert_eq!(source(&setup, local, &options, address("127.0.0.1:1")), Ok(address("127.0.0.1:5000")));
    }

    #[test]
    fn a_port_is_taken_until_its_socket_closes() {
        let setup = VirtualSetup::default();
        let network = VirtualNetwork::default();
        assert_eq!(network.bind(&setup, address("0.0.0.0:4010"), false), Ok(address("0.0.0.0:4010")));
        assert_eq!(
            network.bind(&setup, address("127.0.0.1:4010"), true),
            Err(NtStatus::ADDRESS_ALREADY_EXISTS)
        );
        network.close(address("0.0.0.0:4010"));
        assert_eq!(network.bind(&setup, address("127.0.0.1:4010"), true), Ok(address("127.0.0.1:4010")));
    }

    #[test]
    fn a_foreign_address_cannot_be_bound() {
        let network = VirtualNetwork::default();
        let refused = network.bind(&VirtualSetup::default(), address("198.51.100.7:0"), false);
        assert_eq!(refused, Err(NtStatus::INVALID_ADDRESS_COMPONENT));
    }
}
