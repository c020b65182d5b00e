//! The real network of this computer, kept on the loopback interface unless the setup says otherwise.

use std::cell::Cell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::interface::LOOPBACK;
use super::{InterfaceName, SocketOptions};
use crate::nt::NtStatus;

/// How datagrams leave this computer, or that they do not. Linux gives the loopback interface index 1, as Windows does.
#[derive(Clone, Debug)]
pub struct RealSetup {
    /// The local address of sockets that the driver binds to 0.0.0.0.
    pub source: Ipv4Addr,
    /// The local address of sockets that the driver binds to ::.
    pub source_v6: Ipv6Addr,
    /// The interface of multicast that the driver has not given one; 0.0.0.0: the system's choice.
    pub multicast_interface: Ipv4Addr,
    /// The same for IPv6: an index; 0: the system's choice.
    pub multicast_interface_v6: u32,
    /// Whether destinations and interfaces other than loopback are allowed.
    pub may_leave_this_computer: bool,
}

impl Default for RealSetup {
    fn default() -> Self {
        Self {
            source: Ipv4Addr::LOCALHOST,
            source_v6: Ipv6Addr::LOCALHOST,
            multicast_interface: Ipv4Addr::LOCALHOST,
            multicast_interface_v6: LOOPBACK,
            may_leave_this_computer: false,
        }
    }
}

impl RealSetup {
    /// All interfaces of this computer, or of the network namespace that the process is in, and their routes.
    pub fn unconfined() -> Self {
        Self {
            source: Ipv4Addr::UNSPECIFIED,
            source_v6: Ipv6Addr::UNSPECIFIED,
            multicast_interface: Ipv4Addr::UNSPECIFIED,
            multicast_interface_v6: 0,
            may_leave_this_computer: true,
        }
    }

    /// # Errors
    /// STATUS_INVALID_ADDRESS_COMPONENT: it is not the loopback interface, and must be.
    fn allow(&self, name: InterfaceName) -> Result<(), NtStatus> {
        let loopback = match name {
            InterfaceName::Index(index) => index == LOOPBACK,
            InterfaceName::Address(address) => address.is_loopback(),
        };
        let allowed = loopback || self.may_leave_this_computer;
        allowed.then_some(()).ok_or(NtStatus::INVALID_ADDRESS_COMPONENT)
    }
}

/// Whether an option may name this interface, and there is one.
///
/// # Errors
/// STATUS_INVALID_ADDRESS_COMPONENT.
pub(super) fn check_name(setup: &RealSetup, name: InterfaceName) -> Result<(), NtStatus> {
    setup.allow(name)?;
    let exists = match name {
        InterfaceName::Index(index) => {
            let mut text = [0; libc::IF_NAMESIZE];
            // SAFETY: room for the longest name; the call writes no more.
            !unsafe { libc::if_indextoname(index, text.as_mut_ptr()) }.is_null()
        }
        // An address of this computer, and of no other, can be bound.
        InterfaceName::Address(address) => std::net::UdpSocket::bind((address, 0)).is_ok(),
    };
    exists.then_some(()).ok_or(NtStatus::INVALID_ADDRESS_COMPONENT)
}

/// A UDP socket of this computer.
pub(super) struct RealSocket {
    socket: Socket,
    local: SocketAddr,
    /// The system takes no interface for multicast, so there is none to keep it on.
    unicast_only: Cell<bool>,
}

impl RealSocket {
    pub(super) fn bind(
        setup: &RealSetup,
        local: SocketAddr,
        options: &SocketOptions,
    ) -> Result<Self, NtStatus> {
        let mut local = local;
        if local.ip().is_unspecified() {
            let source = if local.is_ipv4() { setup.source.into() } else { setup.source_v6.into() };
            local.set_ip(source);
        }
        if !local.ip().is_loopback() && !setup.may_leave_this_computer {
            return Err(NtStatus::INVALID_ADDRESS_COMPONENT);
        }
        let open = || -> io::Result<Self> {
            let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
            if local.is_ipv6() {
                socket.set_only_v6(options.v6_only.unwrap_or(true))?;
            }
            socket.set_reuse_address(options.reuse_address)?;
            // A real driver's send never waits for a full buffer; the status says so instead.
            socket.set_nonblocking(true)?;
            socket.bind(&SockAddr::from(local))?;
            let bound = socket.local_addr()?.as_socket();
            let local = bound.ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))?;
            Ok(Self { socket, local, unicast_only: Cell::new(false) })
        };
        let socket = open().map_err(|error| status(&error))?;
        socket.apply(setup, options)?;
        Ok(socket)
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Brings all options to the socket.
    pub(super) fn apply(&self, setup: &RealSetup, options: &SocketOptions) -> Result<(), NtStatus> {
        let unless_set = if self.local.is_ipv4() {
            InterfaceName::Address(setup.multicast_interface)
        } else {
            InterfaceName::Index(setup.multicast_interface_v6)
        };
        let multicast = options.multicast_interface.unwrap_or(unless_set);
        setup.allow(multicast)?;
        match self.set_multicast_interface(multicast) {
            // Some versions of qemu-user do not have the option.
            Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => self.unicast_only.set(true),
            result => result.map_err(|error| status(&error))?,
        }
        if let Some(index) = options.unicast_interface {
            setup.allow(InterfaceName::Index(index))?;
            self.set_unicast_interface(index).map_err(|error| status(&error))?;
        }
        self.set_numbers(options).map_err(|error| status(&error))
    }

    fn set_multicast_interface(&self, name: InterfaceName) -> io::Result<()> {
        match name {
            InterfaceName::Index(index) if self.local.is_ipv6() => self.socket.set_multicast_if_v6(index),
            InterfaceName::Address(address) => self.socket.set_multicast_if_v4(&address),
            InterfaceName::Index(index) => {
                let any = libc::in_addr { s_addr: 0 };
                let request = libc::ip_mreqn {
                    imr_multiaddr: any,
                    imr_address: any,
                    imr_ifindex: index as libc::c_int,
                };
                self.set(libc::IPPROTO_IP, libc::IP_MULTICAST_IF, &request)
            }
        }
    }

    /// Linux, too, takes the index in network order, and for IPv6 as well.
    fn set_unicast_interface(&self, index: u32) -> io::Result<()> {
        if self.local.is_ipv4() {
            self.set(libc::IPPROTO_IP, libc::IP_UNICAST_IF, &index.to_be())
        } else {
            self.set(libc::IPPROTO_IPV6, libc::IPV6_UNICAST_IF, &index.to_be())
        }
    }

    fn set_numbers(&self, options: &SocketOptions) -> io::Result<()> {
        let v4 = self.local.is_ipv4();
        if let Some(ttl) = options.ttl.map(u32::from) {
            if v4 { self.socket.set_ttl_v4(ttl) } else { self.socket.set_unicast_hops_v6(ttl) }?;
        }
        if let Some(ttl) = options.multicast_ttl.map(u32::from) {
            if v4 { self.socket.set_multicast_ttl_v4(ttl) } else { self.socket.set_multicast_hops_v6(ttl) }?;
        }
        if let Some(on) = options.multicast_loopback {
            if v4 { self.socket.set_multicast_loop_v4(on) } else { self.socket.set_multicast_loop_v6(on) }?;
        }
        Ok(())
    }

    /// Sets an option that `socket2` does not have.
    fn set<T>(&self, level: libc::c_int, option: libc::c_int, value: &T) -> io::Result<()> {
        let length = size_of::<T>() as libc::socklen_t;
        let value = std::ptr::from_ref(value).cast();
        // SAFETY: the socket is open, and the call reads so many bytes of a value that lives as long.
        match unsafe { libc::setsockopt(self.socket.as_raw_fd(), level, option, value, length) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// The index of the interface that a datagram leaves by, as far as it is known; 0 otherwise.
    pub(super) fn interface(&self, options: &SocketOptions, destination: SocketAddr) -> u32 {
        if self.local.ip().is_loopback() {
            return LOOPBACK;
        }
        let named = if destination.ip().is_multicast() {
            options.multicast_interface
        } else {
            options.unicast_interface.map(InterfaceName::Index)
        };
        match named {
            Some(InterfaceName::Index(index)) => index,
            _ => 0,
        }
    }

    pub(super) fn send(
        &self,
        setup: &RealSetup,
        destination: SocketAddr,
        payload: &[u8],
    ) -> Result<(), NtStatus> {
        let ip = destination.ip();
        if !is_loopback(ip) && !ip.is_multicast() && !setup.may_leave_this_computer {
            return Err(NtStatus::NETWORK_UNREACHABLE);
        }
        if ip.is_multicast() && self.unicast_only.get() {
            return Err(NtStatus::NETWORK_UNREACHABLE);
        }
        self.socket.send_to(payload, &SockAddr::from(destination)).map_err(|error| status(&error))?;
        Ok(())
    }
}

/// Whether this is a loopback address, written as one of IPv4 or as one of IPv6.
fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// What Windows says where Linux says `error`.
fn status(error: &io::Error) -> NtStatus {
    match error.raw_os_error() {
        Some(libc::ENETUNREACH | libc::ENETDOWN) => NtStatus::NETWORK_UNREACHABLE,
        Some(libc::EHOSTUNREACH) => NtStatus::HOST_UNREACHABLE,
        Some(libc::ECONNREFUSED) => NtStatus::PORT_UNREACHABLE,
        Some(libc::EADDRINUSE) => NtStatus::ADDRESS_ALREADY_EXISTS,
        Some(libc::EADDRNOTAVAIL | libc::ENODEV) => NtStatus::INVALID_ADDRESS_COMPONENT,
        Some(libc::EACCES | libc::EPERM) => NtStatus::ACCESS_DENIED,
        Some(libc::EMSGSIZE) => NtStatus::INVALID_BUFFER_SIZE,
        Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM) => NtStatus::INSUFFICIENT_RESOURCES,
        Some(libc::EINVAL) => NtStatus::INVALID_PARAMETER,
        _ => NtStatus::UNEXPECTED_NETWORK_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;
    use std::time::Duration;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn socket(local: &str, options: &SocketOptions) -> Result<RealSocket, NtStatus> {
        RealSocket::bind(&RealSetup::default(), address(local), options)
    }

    #[track_caller]
    fn a_datagram_arrives(receiver: &str, any: &str) {
        let receiver = UdpSocket::bind(receiver).expect("a receiver");
        receiver.set_read_timeout(Some(Duration::from_secs(5))).expect("a time limit");
        let socket = socket(any, &SocketOptions::default()).expect("a socket");
        let to = receiver.local_addr().expect("its address");
        socket.send(&RealSetup::default(), to, b"scream").expect("a route");
        let mut buffer = [0; 16];
        let (length, from) = receiver.recv_from(&mut buffer).expect("the datagram");
        assert_eq!(&buffer[..length], b"scream");
        assert_eq!(from, socket.local());
        assert_eq!(socket.interface(&SocketOptions::default(), to), LOOPBACK);
    }

    #[test]
    fn a_datagram_reaches_a_receiver_on_this_computer() {
        a_datagram_arrives("127.0.0.1:0", "0.0.0.0:0");
        a_datagram_arrives("[::1]:0", "[::]:0");
    }

    #[test]
    fn nothing_leaves_this_computer_by_default() {
        let setup = RealSetup::default();
        let refused = Err(NtStatus::INVALID_ADDRESS_COMPONENT);
        for (any, away) in [("0.0.0.0:0", "198.51.100.1:4010"), ("[::]:0", "[2001:db8::1]:4010")] {
            let socket = socket(any, &SocketOptions::default()).expect("a socket");
            assert_eq!(socket.send(&setup, address(away), b"x"), Err(NtStatus::NETWORK_UNREACHABLE));
            let name = Some(InterfaceName::Index(2));
            let options = SocketOptions { multicast_interface: name, ..SocketOptions::default() };
            assert_eq!(socket.apply(&setup, &options), refused);
            let options = SocketOptions { unicast_interface: Some(2), ..SocketOptions::default() };
            assert_eq!(socket.apply(&setup, &options), refused);
        }
        let outside = InterfaceName::Address([198, 51, 100, 1].into());
        assert_eq!(check_name(&setup, outside), refused);
        assert_eq!(check_name(&RealSetup::unconfined(), outside), refused);
        assert_eq!(check_name(&RealSetup::unconfined(), InterfaceName::Index(0x7FFF_FFFF)), refused);
        assert_eq!(check_name(&setup, InterfaceName::Index(LOOPBACK)), Ok(()));
        assert_eq!(socket("198.51.100.1:0", &SocketOptions::default()).err(), refused.err());
    }

    #[test]
    fn options_reach_the_socket() {
        let index = Some(InterfaceName::Index(LOOPBACK));
        let options = SocketOptions {
            ttl: Some(7),
            multicast_ttl: Some(9),
            multicast_interface: index,
            unicast_interface: Some(LOOPBACK),
            multicast_loopback: Some(false),
            v6_only: Some(false),
            reuse_address: true,
            ..SocketOptions::default()
        };
        let v4 = socket("0.0.0.0:0", &options).expect("a socket").socket;
        assert_eq!((v4.ttl_v4().ok(), v4.multicast_ttl_v4().ok()), (Some(7), Some(9)));
        assert_eq!((v4.multicast_loop_v4().ok(), v4.reuse_address().ok()), (Some(false), Some(true)));
        let v6 = socket("[::]:0", &options).expect("a socket").socket;
        assert_eq!((v6.unicast_hops_v6().ok(), v6.multicast_hops_v6().ok()), (Some(7), Some(9)));
        assert_eq!((v6.multicast_if_v6().ok(), v6.multicast_loop_v6().ok()), (Some(1), Some(false)));
        // What is bound to an address of IPv6 is of IPv6 only in any case.
        let only = |options: &SocketOptions| {
            let bound = RealSocket::bind(&RealSetup::unconfined(), address("[::]:0"), options);
            bound.expect("a socket").socket.only_v6().ok()
        };
        assert_eq!((only(&options), only(&SocketOptions::default())), (Some(false), Some(true)));
    }
}
