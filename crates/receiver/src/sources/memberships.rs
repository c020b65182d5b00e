//! [`Memberships`]: on which interfaces a socket has joined its group.
//!
//! A group that is joined "anywhere" is joined on the one interface that the routes name at that moment, which is often
//! that of a virtual machine or a VPN. So it is joined on each interface, and anew when they come, go or change.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use socket2::{InterfaceIndexOrAddress, SockRef};

use super::interfaces::{Interface, Wanted};

/// The interfaces on which a group is joined.
#[derive(Debug)]
pub struct Memberships {
    group: IpAddr,
    wanted: Wanted,
    joined: BTreeMap<u32, Interface>,
}

impl Memberships {
    /// None yet.
    pub fn new(group: IpAddr, wanted: Wanted) -> Self {
        Self { group, wanted, joined: BTreeMap::new() }
    }

    /// The names of the interfaces.
    pub fn names(&self) -> Vec<&str> {
        self.joined.values().map(|interface| interface.name.as_str()).collect()
    }

    /// The interfaces that are wanted.
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Joins where the group should be joined, and leaves where it should not. Says what has changed, and why an interface
    /// did not let it join.
    pub fn update(
        &mut self,
        socket: &SockRef<'_>,
        present: &[Interface],
    ) -> (Vec<String>, Option<io::Error>) {
        let mut news = Vec::new();
        let mut refusal = None;
        let suitable: Vec<_> = present.iter().filter(|interface| self.suits(interface)).collect();
        // Also where only an address is another: switches pass a group on where they were told to, and by whom.
        let gone: Vec<u32> =
            self.joined.iter().filter(|(_, old)| !suitable.contains(old)).map(|(index, _)| *index).collect();
        for index in gone {
            // The system may have forgotten the interface, and the membership with it.
            if let Some(old) = self.joined.remove(&index) {
                let _ = self.leave(socket, &old);
                if !suitable.iter().any(|interface| interface.index == index) {
                    news.push(format!("{} is gone", old.name));
                }
            }
        }
        for interface in suitable {
            if self.joined.contains_key(&interface.index) {
                continue;
            }
            match self.join(socket, interface) {
                Ok(()) => {
                    news.push(format!("listens on {}", interface.name));
                    self.joined.insert(interface.index, interface.clone());
                }
                Err(error) => refusal = Some(error),
            }
        }
        (news, refusal)
    }

    /// Joins anew everywhere. A switch that has forgotten that the group is wanted here is told again; some forget it when
    /// no router asks them to remember.
    pub fn renew(&mut self, socket: &SockRef<'_>) {
        let joined = std::mem::take(&mut self.joined);
        for (index, interface) in joined {
            let _ = self.leave(socket, &interface);
            if self.join(socket, &interface).is_ok() {
                self.joined.insert(index, interface);
            }
        }
    }

    /// Interfaces without an address of the group's kind are left out, unless one is named: the system limits how many
    /// memberships a socket has, and those of containers alone can be more.
    fn suits(&self, interface: &Interface) -> bool {
        let has_address = interface.addresses.iter().any(|address| address.is_ipv4() == self.group.is_ipv4());
        interface.is_up && self.wanted.picks(interface) && (has_address || self.wanted != Wanted::Any)
    }

    fn join(&self, socket: &SockRef<'_>, interface: &Interface) -> io::Result<()> {
        match self.group {
            IpAddr::V4(group) => socket.join_multicast_v4_n(&group, &known_as(interface)),
            IpAddr::V6(group) => socket.join_multicast_v6(&group, interface.index),
        }
    }

    fn leave(&self, socket: &SockRef<'_>, interface: &Interface) -> io::Result<()> {
        match self.group {
            IpAddr::V4(group) => socket.leave_multicast_v4_n(&group, &known_as(interface)),
            IpAddr::V6(group) => socket.leave_multicast_v6(&group, interface.index),
        }
    }
}

/// How the system is told which interface is meant. Windows takes an address or, as if it were one, an index; wine hands
/// that on to a system that does not.
fn known_as(interface: &Interface) -> InterfaceIndexOrAddress {
    let address = interface.addresses.iter().find_map(|address| match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    });
    match address {
        Some(address) if cfg!(windows) => InterfaceIndexOrAddress::Address(address),
        _ => InterfaceIndexOrAddress::Index(interface.index),
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    const GROUP: [u8; 4] = [239, 255, 77, 77];

    fn loopback() -> Interface {
        let all = super::super::interfaces::list().expect("the system tells");
        all.into_iter()
            .find(|one| one.addresses.contains(&[127, 0, 0, 1].into()))
            .expect("a loopback interface")
    }

    #[test]
    fn a_group_is_joined_once_and_anew_where_addresses_change_and_left_where_interfaces_go() {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket");
        let socket = SockRef::from(&socket);
        let mut memberships = Memberships::new(GROUP.into(), Wanted::Any);
        let mut interface = loopback();
        let name = interface.name.clone();
        let mut news = |present: &[Interface]| {
            let (news, refusal) = memberships.update(&socket, present);
            assert!(refusal.is_none(), "{refusal:?}");
            news
        };
        assert_eq!(news(&[interface.clone()]), [format!("listens on {name}")]);
        assert_eq!(news(&[interface.clone()]), [""; 0]);
        interface.addresses.push([127, 0, 0, 2].into());
        assert_eq!(news(&[interface.clone()]), [format!("listens on {name}")]);
        assert_eq!(news(&[]), [format!("{name} is gone")]);
        interface.is_up = false;
        assert_eq!(news(&[interface]), [""; 0]);
        assert_eq!(memberships.names(), [""; 0]);
    }

    #[test]
    fn only_an_interface_that_is_named_may_lack_an_address_of_the_groups_kind() {
        let mut interface = loopback();
        interface.addresses = vec!["::1".parse().unwrap()];
        assert!(!Memberships::new(GROUP.into(), Wanted::Any).suits(&interface));
        assert!(Memberships::new(GROUP.into(), Wanted::Named(interface.name.clone())).suits(&interface));
        assert!(Memberships::new("ff15::1".parse().unwrap(), Wanted::Any).suits(&interface));
    }

    #[test]
    fn an_interface_that_does_not_let_it_join_is_an_error_and_tried_again() {
        let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a socket");
        let socket = SockRef::from(&socket);
        let mut memberships = Memberships::new(GROUP.into(), Wanted::Any);
        let missing = Interface { index: 0x00FF_FFFF, ..loopback() };
        for _ in 0..2 {
            let (news, refusal) = memberships.update(&socket, std::slice::from_ref(&missing));
            assert_eq!(news, [""; 0]);
            assert!(refusal.is_some());
        }
    }
}
