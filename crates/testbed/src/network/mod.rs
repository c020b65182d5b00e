//! The network that the simulated Windows sends to: a virtual one that records, or the real one of this computer.
//!
//! * [`Setup`]: which of the two, as a part of [`Config`](crate::Config).
//! * [`Datagram`]: one datagram with the instant it left and the socket options it left with. Every datagram goes to
//!   the [sink](set_sink) if there is one, and is kept for [`take_datagrams`] otherwise.
//! * [`Endpoint`]: a bound socket; `wsk` owns one per socket and sends through it.
//!
//! Under [`Setup::Real`] datagrams leave through a UDP socket as well, and by default never leave this computer:
//! multicast goes to the loopback interface and unicast to loopback addresses only.

mod real;
mod virtual_network;

use std::cell::{Cell, RefCell};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::rc::Rc;

use crate::machine::machine;
use crate::nt::NtStatus;
use crate::schedule::{self, Time};

pub use real::RealSetup;
pub use virtual_network::VirtualSetup;

/// Which network a machine is connected to.
#[derive(Clone, Debug)]
pub enum Setup {
    /// Datagrams are recorded and go nowhere: exact and repeatable.
    Virtual(VirtualSetup),
    /// Datagrams are recorded and sent by UDP.
    Real(RealSetup),
}

impl Default for Setup {
    fn default() -> Self {
        Self::Virtual(VirtualSetup::default())
    }
}

/// What a socket's options were when it sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketOptions {
    /// IP_TTL, if it was set.
    pub ttl: Option<u8>,
    /// IP_MULTICAST_TTL, if it was set.
    pub multicast_ttl: Option<u8>,
    /// IP_MULTICAST_IF, if it was set: the address of the interface.
    pub multicast_interface: Option<Ipv4Addr>,
    /// IP_MULTICAST_LOOP, if it was set.
    pub multicast_loopback: Option<bool>,
    /// SO_REUSEADDR.
    pub reuse_address: bool,
    /// SO_EXCLUSIVEADDRUSE.
    pub exclusive_address: bool,
}

/// A datagram that the driver sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// When it was handed to the network: nanoseconds since the machine was switched on.
    pub time: Time,
    /// The performance counter at that time.
    pub counter: u64,
    /// The local address it left from.
    pub source: SocketAddrV4,
    /// Where it was sent to.
    pub destination: SocketAddrV4,
    /// The socket options in effect.
    pub options: SocketOptions,
    /// The UDP payload.
    pub payload: Vec<u8>,
}

type Sink = Box<dyn FnMut(Datagram)>;

/// The network of one machine.
#[derive(Default)]
pub(crate) struct Network {
    sink: RefCell<Option<Sink>>,
    kept: RefCell<Vec<Datagram>>,
    down: Cell<bool>,
    virtual_network: virtual_network::VirtualNetwork,
}

/// A socket with a local address.
pub(crate) struct Endpoint {
    /// The address it was bound to, with its port.
    pub(crate) local: SocketAddrV4,
    real: Option<real::RealSocket>,
}

/// Sends all further datagrams to `sink` instead of keeping them.
///
/// # Panics
/// Outside a machine.
pub fn set_sink(sink: impl FnMut(Datagram) + 'static) {
    *network().sink.borrow_mut() = Some(Box::new(sink));
}

/// The datagrams sent since the last call, in order; nothing while a sink is set.
///
/// # Panics
/// Outside a machine.
pub fn take_datagrams() -> Vec<Datagram> {
    network().kept.take()
}

/// How many datagrams [`take_datagrams`] would give.
///
/// # Panics
/// Outside a machine.
pub fn datagrams() -> usize {
    network().kept.borrow().len()
}

/// Takes the network away, or brings it back. While it is away nothing can be sent; sockets stay open and bound.
///
/// # Panics
/// Outside a machine.
pub fn set_down(down: bool) {
    network().down.set(down);
}

/// The network of the running machine.
pub(crate) fn network() -> Rc<Network> {
    machine().part()
}

fn setup() -> &'static Setup {
    &machine().config.network
}

impl Network {
    /// Binds a socket. Port 0 takes an ephemeral one.
    ///
    /// # Errors
    /// STATUS_INVALID_ADDRESS_COMPONENT: not an address of this computer.
    /// STATUS_ADDRESS_ALREADY_EXISTS: the port is in use.
    pub(crate) fn bind(&self, local: SocketAddrV4, options: &SocketOptions) -> Result<Endpoint, NtStatus> {
        match setup() {
            Setup::Virtual(setup) => {
                let local = self.virtual_network.bind(setup, local, options.reuse_address)?;
                Ok(Endpoint { local, real: None })
            }
            Setup::Real(setup) => {
                let socket = real::RealSocket::bind(setup, local, options)?;
                Ok(Endpoint { local: socket.local(), real: Some(socket) })
            }
        }
    }

    /// Brings changed options to a socket that is bound.
    pub(crate) fn apply_options(&self, endpoint: &Endpoint, options: &SocketOptions) -> Result<(), NtStatus> {
        match (setup(), &endpoint.real) {
            (Setup::Real(setup), Some(socket)) => socket.apply(setup, options),
            _ => Ok(()),
        }
    }

    /// Sends one datagram now, and records it.
    ///
    /// # Errors
    /// STATUS_NETWORK_UNREACHABLE: there is no route.
    pub(crate) fn send(
        &self,
        endpoint: &Endpoint,
        options: &SocketOptions,
        destination: SocketAddrV4,
        payload: Vec<u8>,
    ) -> Result<(), NtStatus> {
        if self.down.get() {
            return Err(NtStatus::NETWORK_UNREACHABLE);
        }
        let source = match (setup(), &endpoint.real) {
            (Setup::Real(setup), Some(socket)) => {
                socket.send(setup, destination, &payload)?;
                endpoint.local
            }
            (Setup::Virtual(setup), _) => {
                virtual_network::source(setup, endpoint.local, options, destination)?
            }
            (Setup::Real(_), None) => return Err(NtStatus::INVALID_DEVICE_STATE),
        };
        let (time, counter) = (schedule::now(), schedule::counter());
        self.record(Datagram { time, counter, source, destination, options: options.clone(), payload });
        Ok(())
    }

    fn record(&self, datagram: Datagram) {
        let mut sink = self.sink.borrow_mut();
        match sink.as_mut() {
            Some(sink) => sink(datagram),
            None => self.kept.borrow_mut().push(datagram),
        }
    }

    /// Gives a port back.
    pub(crate) fn close(&self, endpoint: &Endpoint) {
        if endpoint.real.is_none() {
            self.virtual_network.close(endpoint.local);
        }
    }
}
