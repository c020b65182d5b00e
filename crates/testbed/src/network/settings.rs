//! The options of a socket, and the interfaces that they name.

use std::net::Ipv4Addr;

use super::interface::Session;
use super::network;
use crate::nt::NtStatus;

/// What a socket's options were when it sent. Those of one meaning have one field for both families.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketOptions {
    /// IP_TTL or IPV6_UNICAST_HOPS, if it was set.
    pub ttl: Option<u8>,
    /// IP_MULTICAST_TTL or IPV6_MULTICAST_HOPS, if it was set.
    pub multicast_ttl: Option<u8>,
    /// IP_MULTICAST_IF or IPV6_MULTICAST_IF, if it was set to an interface.
    pub multicast_interface: Option<InterfaceName>,
    /// IP_UNICAST_IF or IPV6_UNICAST_IF, if it was set: the index of an interface.
    pub unicast_interface: Option<u32>,
    /// IP_MULTICAST_LOOP or IPV6_MULTICAST_LOOP, if it was set.
    pub multicast_loopback: Option<bool>,
    /// IPV6_V6ONLY, if it was set.
    pub v6_only: Option<bool>,
    /// SO_REUSEADDR.
    pub reuse_address: bool,
    /// SO_EXCLUSIVEADDRUSE.
    pub exclusive_address: bool,
}

/// How an option names an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterfaceName {
    /// By its index.
    Index(u32),
    /// By one of its addresses: IP_MULTICAST_IF only.
    Address(Ipv4Addr),
}

/// The options of a socket, with the interfaces behind the names as they were when the options were set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) options: SocketOptions,
    /// Where `options` names an interface of the virtual network.
    pub(super) multicast: Option<Session>,
    pub(super) unicast: Option<Session>,
}

impl Settings {
    /// Sets the interface of multicast; `None`: routes choose.
    ///
    /// # Errors
    /// STATUS_INVALID_ADDRESS_COMPONENT, which Winsock shows as WSAEADDRNOTAVAIL: there is no such interface.
    pub(crate) fn set_multicast_interface(&mut self, name: Option<InterfaceName>) -> Result<(), NtStatus> {
        self.multicast = name.map(|name| network().named(name)).transpose()?.flatten();
        self.options.multicast_interface = name;
        Ok(())
    }

    /// Sets the interface of everything but multicast; `None`: routes choose.
    ///
    /// # Errors
    /// As [`Self::set_multicast_interface`].
    pub(crate) fn set_unicast_interface(&mut self, index: Option<u32>) -> Result<(), NtStatus> {
        let name = index.map(InterfaceName::Index);
        self.unicast = name.map(|name| network().named(name)).transpose()?.flatten();
        self.options.unicast_interface = index;
        Ok(())
    }
}
