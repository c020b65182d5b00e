//! [`Socket`]: packets that are sent to this computer or to a group.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::time::Duration;

use socket2::{Domain, Protocol, Type};

use super::arrivals::Arrivals;
use super::group::Group;
use super::interfaces::{Wanted, present, shown};
use super::{Datagram, Source, SourceError};

/// What the system is asked to keep for us while we do something else: most of a second of the fastest stream. It may
/// give less.
const BUFFER: usize = 4 << 20;
/// A socket of UDP.
pub struct Socket {
    socket: UdpSocket,
    arrivals: Arrivals,
    address: SocketAddr,
    /// For people.
    name: String,
    is_group: bool,
    waits: Duration,
}

impl Socket {
    /// Listens to what is sent to this computer.
    ///
    /// # Errors
    /// There is no such interface, or its port is not to be had.
    pub fn bind(port: u16, wanted: &Wanted) -> Result<Self, SourceError> {
        let address = SocketAddr::new(own_address(wanted)?, port);
        let socket = new_socket(address)?;
        // Without SO_REUSEADDR: of two programs that listen to the same address, only one would get the packets.
        socket.bind(&address.into()).map_err(|error| not_bound(address, &error))?;
        Self::new(socket.into(), address, format!("{address}, unicast"), false)
    }

    /// Joins a group, on every interface that is wanted.
    ///
    /// # Errors
    /// There is no such interface, the port is not to be had, or the group cannot be joined anywhere.
    pub fn join(group: IpAddr, port: u16, wanted: Wanted) -> Result<(Self, Group), SourceError> {
        let address = SocketAddr::new(group, port);
        let socket = new_socket(address)?;
        // Any number of programs may listen to a group.
        socket.set_reuse_address(true).map_err(|error| not_made(&error))?;
        only_joined(&socket, group);
        let bound = bound_to(address);
        socket.bind(&bound.into()).map_err(|error| not_bound(address, &error))?;
        let socket = UdpSocket::from(socket);
        let keeper = socket.try_clone().map_err(|error| not_made(&error))?;
        let joined = Group::join(keeper, group, wanted)?;
        let name = format!("{address}{}", joined.place());
        Ok((Self::new(socket, address, name, true)?, joined))
    }

    fn new(
        socket: UdpSocket,
        address: SocketAddr,
        name: String,
        is_group: bool,
    ) -> Result<Self, SourceError> {
        let waits = Duration::from_millis(100);
        socket.set_read_timeout(Some(waits)).map_err(|error| not_made(&error))?;
        let arrivals = Arrivals::of(&socket);
        Ok(Self { socket, arrivals, address, name, is_group, waits })
    }
}

impl Source for Socket {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn next(&mut self, wait: Duration) -> Result<Option<Datagram<'_>>, SourceError> {
        if wait != self.waits && !wait.is_zero() {
            self.socket.set_read_timeout(Some(wait)).map_err(|error| not_made(&error))?;
            self.waits = wait;
        }
        received(self.arrivals.next(&self.socket, true))
    }

    fn knows_arrivals(&self) -> bool {
        self.arrivals.are_known()
    }

    fn next_there(&mut self) -> Result<Option<Datagram<'_>>, SourceError> {
        received(self.arrivals.next(&self.socket, false))
    }

    fn hint(&self) -> String {
        let port = self.address.port();
        let what = if self.is_group {
            "a router or an access point may not pass multicast on (then try unicast, -u)"
        } else {
            "the sender may send to another address"
        };
        format!("nothing has come yet; if it is sent, a firewall here may drop UDP port {port}, or {what}")
    }
}

/// What was received, or that there was nothing.
fn received(next: io::Result<Datagram<'_>>) -> Result<Option<Datagram<'_>>, SourceError> {
    match next {
        Ok(datagram) => Ok(Some(datagram)),
        Err(error) if passes(&error) => Ok(None),
        Err(error) => Err(SourceError(format!("the network cannot be read: {error}"))),
    }
}

/// Errors after which there can be more: nothing came in time, a signal, or the network is down for now.
fn passes(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock
            | ErrorKind::TimedOut
            | ErrorKind::Interrupted
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::NetworkDown
            | ErrorKind::NetworkUnreachable
            | ErrorKind::HostUnreachable
    )
}

fn new_socket(address: SocketAddr) -> Result<socket2::Socket, SourceError> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))
        .map_err(|error| not_made(&error))?;
    // Less than that does as well, if nobody keeps us from reading for long.
    let _ = socket.set_recv_buffer_size(BUFFER);
    if address.is_ipv6() {
        socket.set_only_v6(true).map_err(|error| not_made(&error))?;
    }
    Ok(socket)
}

/// A socket that is bound to a group's port also gets what other programs have joined, unless it is told not to.
fn only_joined(socket: &socket2::Socket, group: IpAddr) {
    // An old kernel does not know the option; the address that the socket is bound to does most of the work.
    #[cfg(target_os = "linux")]
    let _ = match group {
        IpAddr::V4(_) => socket.set_multicast_all_v4(false),
        IpAddr::V6(_) => socket.set_multicast_all_v6(false),
    };
    #[cfg(not(target_os = "linux"))]
    let _ = (socket, group);
}

/// What to bind to in order to hear a group: the group, so that nothing else that comes to the port is heard.
///
/// Windows does not bind to groups, and Linux to one of a single link only together with an interface: there unicast to
/// the port is heard, too.
fn bound_to(group: SocketAddr) -> SocketAddr {
    match group.ip() {
        IpAddr::V4(_) if cfg!(windows) => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), group.port()),
        IpAddr::V6(address) if cfg!(windows) || is_of_one_link(address) => {
            SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), group.port())
        }
        _ => group,
    }
}

/// Whether a group is one of a computer or of a link (RFC 4291, 2.7).
fn is_of_one_link(group: Ipv6Addr) -> bool {
    matches!(group.octets()[1] & 0x0F, 1 | 2)
}

/// The address to hear unicast on.
fn own_address(wanted: &Wanted) -> Result<IpAddr, SourceError> {
    match wanted {
        Wanted::Any => Ok(Ipv4Addr::UNSPECIFIED.into()),
        Wanted::WithAddress(address) => Ok(*address),
        Wanted::Named(name) => {
            let present = present()?;
            let Some(interface) = present.iter().find(|interface| wanted.picks(interface)) else {
                return Err(SourceError(wanted.missing(&present)));
            };
            let address = interface.addresses.iter().find(|address| address.is_ipv4());
            address.copied().ok_or_else(|| {
                let own = shown(std::slice::from_ref(interface));
                SourceError(format!("{name} has no IPv4 address; give one of its addresses with -i: {own}"))
            })
        }
    }
}

fn not_made(error: &io::Error) -> SourceError {
    SourceError(format!("no socket can be opened: {error}"))
}

fn not_bound(address: SocketAddr, error: &io::Error) -> SourceError {
    let port = address.port();
    SourceError(match error.kind() {
        ErrorKind::AddrInUse => {
            format!("{address} is in use by another program; end that, or choose another port with -p")
        }
        ErrorKind::PermissionDenied => {
            format!("no permission to listen on port {port}; choose one from 1024 on with -p")
        }
        ErrorKind::AddrNotAvailable => match present() {
            Ok(all) => Wanted::WithAddress(address.ip()).missing(&all),
            Err(error) => error.0,
        },
        _ => format!("cannot listen on {address}: {error}"),
    })
}
