//! The network interfaces of a simulated computer.
//!
//! * [`Interface`]: one as a scenario describes it.
//! * `Interfaces`: all of them as they are now, with the loopback interface.
//! * `Session`: one time that an interface is up, or that it has an address. What a socket was bound to or what an
//!   option named is one session: when the interface or the address comes back, it is another one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::InterfaceName;

/// The index of the loopback interface, as on Windows.
pub const LOOPBACK: u32 = 1;

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The number by which socket options name it; 1 is the loopback interface, which is always there.
    pub index: u32,
    /// What a route through it costs: of two that reach a destination the lower one is taken.
    pub metric: u32,
    /// Its addresses, each with the bits of its prefix: what has the same prefix is on its link.
    pub addresses: Vec<(IpAddr, u8)>,
    /// Whether it can be used. While it cannot, it is as if it and its addresses did not exist: cable out or disabled.
    pub up: bool,
    /// Whether there is a gateway on its link to everything else.
    pub default_route: bool,
}

impl Default for Interface {
    /// Index 2 with 192.0.2.10/24 and 2001:db8::10/64 and a gateway.
    fn default() -> Self {
        let v6 = Ipv6Addr::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, 0x10);
        Self {
            index: 2,
            metric: 25,
            addresses: vec![(Ipv4Addr::new(192, 0, 2, 10).into(), 24), (v6.into(), 64)],
            up: true,
            default_route: true,
        }
    }
}

/// One time that something is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Session(u64);

/// An interface as it is now.
pub(super) struct Live {
    pub(super) interface: Interface,
    session: Session,
    /// One for each address.
    assignments: Vec<Session>,
}

/// All interfaces.
pub(super) struct Interfaces {
    list: Vec<Live>,
    sessions: u64,
}

impl Interfaces {
    /// # Panics
    /// Two have one index: a mistake of the scenario.
    pub(super) fn new(interfaces: &[Interface]) -> Self {
        let loopback = Interface {
            index: LOOPBACK,
            metric: 75,
            addresses: vec![(Ipv4Addr::LOCALHOST.into(), 8), (Ipv6Addr::LOCALHOST.into(), 128)],
            up: true,
            default_route: false,
        };
        let mut all = Self { list: Vec::new(), sessions: 0 };
        for interface in std::iter::once(&loopback).chain(interfaces) {
            let index = interface.index;
            assert!(all.position(index).is_none(), "two network interfaces have the index {index}");
            let session = all.next();
            let assignments = interface.addresses.iter().map(|_| all.next()).collect();
            all.list.push(Live { interface: interface.clone(), session, assignments });
        }
        all
    }

    fn next(&mut self) -> Session {
        self.sessions += 1;
        Session(self.sessions)
    }

    fn position(&self, index: u32) -> Option<usize> {
        self.list.iter().position(|live| live.interface.index == index)
    }

    fn existing(&self, index: u32) -> usize {
        self.position(index).unwrap_or_else(|| panic!("there is no network interface {index}"))
    }

    /// Those that can be used.
    pub(super) fn up(&self) -> impl Iterator<Item = &Live> {
        self.list.iter().filter(|live| live.interface.up)
    }

    /// # Panics
    /// There is no such interface: a mistake of the scenario.
    pub(super) fn set_up(&mut self, index: u32, up: bool) {
        let position = self.existing(index);
        if self.list[position].interface.up == up {
            return;
        }
        let session = self.next();
        let assignments = self.list[position].interface.addresses.clone();
        let assignments = assignments.iter().map(|_| self.next()).collect();
        let live = &mut self.list[position];
        live.interface.up = up;
        live.session = session;
        live.assignments = assignments;
    }

    /// Replaces the addresses of an interface. Those that it had before stay what they are.
    ///
    /// # Panics
    /// There is no such interface: a mistake of the scenario.
    pub(super) fn set_addresses(&mut self, index: u32, addresses: Vec<(IpAddr, u8)>) {
        let position = self.existing(index);
        let mut assignments = Vec::new();
        for address in &addresses {
            let before = self.list[position].interface.addresses.iter().position(|old| old == address);
            let kept = before.map(|before| self.list[position].assignments[before]);
            assignments.push(kept.unwrap_or_else(|| self.next()));
        }
        let live = &mut self.list[position];
        live.interface.addresses = addresses;
        live.assignments = assignments;
    }

    /// The session of a local address that can be used; the link-local ones of IPv6 are those of one interface.
    pub(super) fn address(&self, address: IpAddr, scope: u32) -> Option<Session> {
        let local = |live: &Live| !is_link_local(address) || live.interface.index == scope;
        self.up().filter(|live| local(live)).find_map(|live| live.assignment(address))
    }

    /// The session that an option's name stands for.
    pub(super) fn named(&self, name: InterfaceName) -> Option<Session> {
        match name {
            InterfaceName::Address(address) => self.address(address.into(), 0),
            InterfaceName::Index(index) => {
                self.up().find(|live| live.interface.index == index).map(|live| live.session)
            }
        }
    }

    /// The interface on which a session goes on.
    pub(super) fn of(&self, session: Session) -> Option<u32> {
        let has = |live: &&Live| live.session == session || live.assignments.contains(&session);
        self.up().find(has).map(|live| live.interface.index)
    }
}

impl Live {
    fn assignment(&self, address: IpAddr) -> Option<Session> {
        // All of 127.0.0.0/8 is this computer.
        let whole_block = self.interface.index == LOOPBACK && address.is_ipv4() && address.is_loopback();
        let position = if whole_block {
            self.interface.addresses.iter().position(|(own, _)| own.is_ipv4())
        } else {
            self.interface.addresses.iter().position(|(own, _)| *own == address)
        };
        position.map(|position| self.assignments[position])
    }
}

/// Whether an address means another computer on every interface, so that a scope must go with it.
pub(super) fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn what_went_and_came_back_is_another_session() {
        let mut interfaces = Interfaces::new(&[Interface::default()]);
        let name = InterfaceName::Index(2);
        let before = (interfaces.named(name), interfaces.address(address("192.0.2.10"), 0));
        assert_eq!(before, (Some(Session(4)), Some(Session(5))));
        interfaces.set_up(2, false);
        assert_eq!((interfaces.named(name), interfaces.address(address("192.0.2.10"), 0)), (None, None));
        interfaces.set_up(2, true);
        let after = (interfaces.named(name), interfaces.address(address("192.0.2.10"), 0));
        assert_eq!(after, (Some(Session(10)), Some(Session(11))));
        assert_eq!(before.0.and_then(|session| interfaces.of(session)), None);
        assert_eq!(after.1.and_then(|session| interfaces.of(session)), Some(2));
    }

    #[test]
    fn an_address_that_stays_is_the_same_session() {
        let mut interfaces = Interfaces::new(&[Interface::default()]);
        let (kept, gone) = (address("192.0.2.10"), address("2001:db8::10"));
        let session = interfaces.address(kept, 0);
        interfaces.set_addresses(2, vec![(address("192.0.2.11"), 24), (kept, 24)]);
        assert_eq!(interfaces.address(kept, 0), session);
        assert_eq!(interfaces.address(gone, 0), None);
        interfaces.set_addresses(2, vec![(kept, 24), (gone, 64)]);
        assert_eq!(interfaces.address(gone, 0), Some(Session(8)));
    }

    #[test]
    fn all_of_127_0_0_0_is_this_computer() {
        let interfaces = Interfaces::new(&[]);
        let session = interfaces.address(address("127.1.2.3"), 0).expect("it is local");
        assert_eq!(interfaces.of(session), Some(LOOPBACK));
        assert_eq!(interfaces.address(address("::2"), 0), None);
    }

    #[test]
    fn a_link_local_address_is_that_of_one_interface() {
        let link_local = || vec![(address("fe80::10"), 64)];
        let first = Interface { addresses: link_local(), ..Interface::default() };
        let second = Interface { index: 3, ..first.clone() };
        let interfaces = Interfaces::new(&[first, second]);
        let on = |scope| interfaces.address(address("fe80::10"), scope);
        assert_eq!(on(3).and_then(|session| interfaces.of(session)), Some(3));
        assert_eq!((on(0), on(4)), (None, None));
    }
}
