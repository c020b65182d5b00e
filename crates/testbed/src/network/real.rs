//! The real network of this computer, kept on the loopback interface unless a demo says otherwise.

use std::cell::Cell;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use socket2::{Domain, Protocol, SockAddr, Socket, Type};

use super::SocketOptions;
use crate::nt::NtStatus;

/// How datagrams leave this computer, or that they do not.
#[derive(Clone, Debug)]
pub struct RealSetup {
    /// The local address of sockets that the driver binds to the wildcard address.
    pub source: Ipv4Addr,
    /// The interface of multicast that the driver has not given one.
    pub multicast_interface: Ipv4Addr,
    /// Whether destinations and interfaces other than loopback are allowed.
    pub may_leave_this_computer: bool,
}

impl Default for RealSetup {
    fn default() -> Self {
        Self {
            source: Ipv4Addr::LOCALHOST,
            multicast_interface: Ipv4Addr::LOCALHOST,
            may_leave_this_computer: false,
        }
    }
}

/// A UDP socket of this computer.
pub(super) struct RealSocket {
    socket: Socket,
    local: SocketAddrV4,
    /// The system takes no interface for multicast, so there is none to keep it on.
    unicast_only: Cell<bool>,
}

impl RealSocket {
    pub(super) fn bind(
        setup: &RealSetup,
        local: SocketAddrV4,
        options: &SocketOptions,
    ) -> Result<Self, NtStatus> {
        let ip = if local.ip().is_unspecified() { setup.source } else { *local.ip() };
        if !ip.is_loopback() && !setup.may_leave_this_computer {
            return Err(NtStatus::INVALID_ADDRESS_COMPONENT);
        }
        let open = || -> io::Result<Self> {
            let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
            socket.set_reuse_address(options.reuse_address)?;
            // A real driver's send never waits for a full buffer; the status says so instead.
            socket.set_nonblocking(true)?;
            socket.bind(&SockAddr::from(SocketAddrV4::new(ip, local.port())))?;
            let bound = socket.local_addr()?.as_socket_ipv4();
            let bound = bound.ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))?;
            Ok(Self { socket, local: bound, unicast_only: Cell::new(false) })
        };
        let socket = open().map_err(|error| status(&error))?;
        socket.apply(setup, options)?;
        Ok(socket)
    }

    pub(super) fn local(&self) -> SocketAddrV4 {
        self.local
    }

    pub(super) fn apply(&self, setup: &RealSetup, options: &SocketOptions) -> Result<(), NtStatus> {
        let interface = options.multicast_interface.filter(|address| !address.is_unspecified());
        let interface = interface.unwrap_or(setup.multicast_interface);
        if !interface.is_loopback() && !setup.may_leave_this_computer {
            return Err(NtStatus::INVALID_ADDRESS_COMPONENT);
        }
        let set = || -> io::Result<()> {
            match self.socket.set_multicast_if_v4(&interface) {
                // Some versions of qemu-user do not have the option.
                Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => self.unicast_only.set(true),
                result => result?,
            }
            if let Some(ttl) = options.ttl {
                self.socket.set_ttl_v4(u32::from(ttl))?;
            }
            if let Some(ttl) = options.multicast_ttl {
                self.socket.set_multicast_ttl_v4(u32::from(ttl))?;
            }
            if let Some(on) = options.multicast_loopback {
                self.socket.set_multicast_loop_v4(on)?;
            }
            Ok(())
        };
        set().map_err(|error| status(&error))
    }

    pub(super) fn send(
        &self,
        setup: &RealSetup,
        destination: SocketAddrV4,
        payload: &[u8],
    ) -> Result<(), NtStatus> {
        let ip = destination.ip();
        if !ip.is_loopback() && !ip.is_multicast() && !setup.may_leave_this_computer {
            return Err(NtStatus::NETWORK_UNREACHABLE);
        }
        if ip.is_multicast() && self.unicast_only.get() {
            return Err(NtStatus::NETWORK_UNREACHABLE);
        }
        self.socket.send_to(payload, &SockAddr::from(destination)).map_err(|error| status(&error))?;
        Ok(())
    }
}

/// What Windows says where Linux says `error`.
fn status(error: &io::Error) -> NtStatus {
    match error.raw_os_error() {
        Some(libc::ENETUNREACH | libc::ENETDOWN) => NtStatus::NETWORK_UNREACHABLE,
        Some(libc::EHOSTUNREACH) => NtStatus::HOST_UNREACHABLE,
        Some(libc::ECONNREFUSED) => NtStatus::PORT_UNREACHABLE,
        Some(libc::EADDRINUSE) => NtStatus::ADDRESS_ALREADY_EXISTS,
        Some(libc::EADDRNOTAVAIL) => NtStatus::INVALID_ADDRESS_COMPONENT,
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

    #[test]
    fn a_datagram_reaches_a_receiver_on_this_computer() {
        let receiver = UdpSocket::bind("127.0.0.1:0").expect("a receiver");
        receiver.set_read_timeout(Some(Duration::from_secs(5))).expect("a time limit");
        let port = receiver.local_addr().expect("its port").port();
        let setup = RealSetup::default();
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        let socket = RealSocket::bind(&setup, any, &SocketOptions::default()).expect("a socket");
        socket.send(&setup, SocketAddrV4::new(Ipv4Addr::LOCALHOST, port), b"scream").expect("a route");
        let mut buffer = [0; 16];
        let (length, from) = receiver.recv_from(&mut buffer).expect("the datagram");
        assert_eq!(&buffer[..length], b"scream");
        assert_eq!(from, std::net::SocketAddr::V4(socket.local()));
    }

    #[test]
    fn nothing_leaves_this_computer_by_default() {
        let setup = RealSetup::default();
        let any = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);
        let socket = RealSocket::bind(&setup, any, &SocketOptions::default()).expect("a socket");
        let away = SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 1), 4010);
        assert_eq!(socket.send(&setup, away, b"x"), Err(NtStatus::NETWORK_UNREACHABLE));
        let options = SocketOptions { multicast_interface: Some(*away.ip()), ..SocketOptions::default() };
        assert_eq!(socket.apply(&setup, &options), Err(NtStatus::INVALID_ADDRESS_COMPONENT));
    }
}
