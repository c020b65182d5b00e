//! How the socket of one target is set up: family, local address, and the options of the socket.

use core::ffi::CStr;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use protocol::Options;

use crate::abi::wsk::{
    ADDRESS_FAMILY, AF_INET, AF_INET6, IP_MULTICAST_IF, IP_MULTICAST_TTL, IP_TTL, IP_UNICAST_IF, IPPROTO_IP,
    IPPROTO_IPV6, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_IF, IPV6_UNICAST_HOPS, IPV6_UNICAST_IF, SO_REUSEADDR,
    SOL_SOCKET,
};

/// What makes a socket that reaches a target as the options say.
#[derive(Clone, Copy)]
pub struct SocketSetup {
    /// Where the packets go.
    pub target: SocketAddr,
    /// The address that the socket is bound to.
    pub local: SocketAddr,
    /// Several sockets have the same local port.
    reuse: bool,
    interface: Interface,
    hop_limit: Option<u8>,
}

/// The interface that packets leave by.
#[derive(Clone, Copy)]
enum Interface {
    /// The one that Windows chooses, or that of the local address.
    Routed,
    /// The one of this index.
    Index(u32),
    /// The one that has this address.
    Address(Ipv4Addr),
}

/// An option of a socket.
#[derive(Clone, Copy)]
pub struct SocketOption {
    /// For events.
    pub name: &'static CStr,
    /// `IPPROTO_IP` and its like.
    pub level: u32,
    /// The option's number.
    pub code: u32,
    /// Its value, as it lies in memory.
    pub value: [u8; 4],
}

impl SocketSetup {
    /// The socket for a target, under the user's options.
    pub fn new(target: SocketAddr, options: &Options) -> Self {
        let source: IpAddr = match target {
            SocketAddr::V4(_) => options.source_v4.unwrap_or(Ipv4Addr::UNSPECIFIED).into(),
            SocketAddr::V6(_) => options.source_v6.unwrap_or(Ipv6Addr::UNSPECIFIED).into(),
        };
        let index = options.interface.map_or(0, core::num::NonZeroU32::get);
        let (index, scope) = match target {
            SocketAddr::V4(_) => (index, 0),
            // A scope belongs to one target, so it goes before what holds for all.
            SocketAddr::V6(target) => {
                let index = if target.scope_id() == 0 { index } else { target.scope_id() };
                (index, if options.source_v6.is_some_and(is_link_local) { index } else { 0 })
            }
        };
        let interface = match (index, source) {
            (1.., _) => Interface::Index(index),
            (0, IpAddr::V4(address)) if target.ip().is_multicast() && !address.is_unspecified() => {
                Interface::Address(address)
            }
            _ => Interface::Routed,
        };
        let mut local = SocketAddr::new(source, options.source_port);
        if let SocketAddr::V6(local) = &mut local {
            local.set_scope_id(scope);
        }
        let hop_limit = options.ttl.map(core::num::NonZeroU8::get);
        Self { target, local, reuse: options.source_port != 0, interface, hop_limit }
    }

    /// The family of the socket.
    pub const fn family(&self) -> ADDRESS_FAMILY {
        match self.target {
            SocketAddr::V4(_) => AF_INET,
            SocketAddr::V6(_) => AF_INET6,
        }
    }

    /// Lets other sockets have the same local port; set before the socket is bound.
    pub fn sharing(&self) -> Option<SocketOption> {
        let value = 1_u32.to_ne_bytes();
        let name = c"share the local port";
        self.reuse.then_some(SocketOption {
            name,
            level: SOL_SOCKET as u32,
            code: SO_REUSEADDR as u32,
            value,
        })
    }

    /// The interface that packets leave by. IPv4 takes an index in network order.
    pub fn interface(&self) -> Option<SocketOption> {
        let v6 = self.target.is_ipv6();
        let value = match self.interface {
            Interface::Routed => return None,
            Interface::Index(index) if v6 => index.to_ne_bytes(),
            Interface::Index(index) => index.to_be_bytes(),
            Interface::Address(address) => address.octets(),
        };
        let (level, code) = match (v6, self.target.ip().is_multicast()) {
            (false, true) => (IPPROTO_IP, IP_MULTICAST_IF),
            (false, false) => (IPPROTO_IP, IP_UNICAST_IF),
            (true, true) => (IPPROTO_IPV6, IPV6_MULTICAST_IF),
            (true, false) => (IPPROTO_IPV6, IPV6_UNICAST_IF),
        };
        Some(SocketOption { name: c"choose the interface", level: level as u32, code: code as u32, value })
    }

    /// How many routers packets may pass.
    pub fn hop_limit(&self) -> Option<SocketOption> {
        let value = u32::from(self.hop_limit?).to_ne_bytes();
        let (level, code) = match (self.target.is_ipv6(), self.target.ip().is_multicast()) {
            (false, true) => (IPPROTO_IP, IP_MULTICAST_TTL),
            (false, false) => (IPPROTO_IP, IP_TTL),
            (true, true) => (IPPROTO_IPV6, IPV6_MULTICAST_HOPS),
            (true, false) => (IPPROTO_IPV6, IPV6_UNICAST_HOPS),
        };
        Some(SocketOption { name: c"set the TTL", level: level as u32, code: code as u32, value })
    }
}

fn is_link_local(address: Ipv6Addr) -> bool {
    address.is_unicast_link_local()
}
