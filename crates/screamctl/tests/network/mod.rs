//! A network for computers of plain data: Ethernet, a network of virtual machines, Wi-Fi that is not connected, and a
//! tunnel without an address.

use screamctl::computer::{Interface, Route};

use crate::fake::{FakeComputer, FakeRoute};

/// A computer with the driver, these interfaces, and ways to some targets.
pub fn computer() -> FakeComputer {
    let mut computer = FakeComputer::with_scream();
    computer.interfaces = vec![
        interface(1, "Loopback", true, &["127.0.0.1", "::1"]),
        interface(12, "Ethernet", true, &["192.168.1.10", "fe80::10", "2001:db8::10"]),
        interface(20, "WSL", true, &["172.20.0.1"]),
        interface(21, "Wi-Fi", false, &["192.168.2.10"]),
        interface(22, "Tunnel", true, &[]),
    ];
    computer.routes = vec![
        route("239.255.77.77", 20, "172.20.0.1", None),
        route("239.255.77.77", 12, "192.168.1.10", None),
        route("ff15::efff:4d4d", 12, "fe80::10", None),
        route("192.168.1.20", 12, "192.168.1.10", None),
        route("192.168.2.20", 21, "192.168.2.10", None),
        route("10.0.0.5", 12, "192.168.1.10", Some("192.168.1.1")),
        route("2001:db8:1::5", 12, "2001:db8::10", Some("fe80::1")),
        route("fe80::5", 12, "fe80::10", None),
        route("127.0.0.1", 1, "127.0.0.1", None),
        route("10.9.9.9", 99, "10.9.9.1", None),
    ];
    computer
}

fn interface(index: u32, name: &str, up: bool, addresses: &[&str]) -> Interface {
    let addresses = addresses.iter().map(|address| address.parse().expect("an address")).collect();
    Interface { index, name: name.to_owned(), up, addresses }
}

fn route(target: &str, interface: u32, source: &str, next_hop: Option<&str>) -> FakeRoute {
    let address = |address: &str| address.parse().expect("an address");
    FakeRoute {
        target: address(target),
        route: Route { interface, source: address(source), next_hop: next_hop.map(address) },
    }
}
