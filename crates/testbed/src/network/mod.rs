//! The network that the simulated Windows sends to: a virtual one that records, or the real one of this computer.
//!
//! * [`Setup`]: which of the two, as a part of [`Config`](crate::Config).
//! * [`Datagram`]: one datagram with the instant it left, the interface it left by, and the socket options it left with.
//!   Every datagram goes to the [sink](set_sink) if there is one, and is kept for [`take_datagrams`] otherwise.
//! * `Endpoint`: a bound socket; `wsk` owns one per socket and sends through it.
//! * [`Interface`]: an interface of the virtual network; `routing` says which a datagram leaves by.
//! * What may happen to it: [`set_down`], [`set_stalled`], [`set_interface_up`], [`set_addresses`].
//!
//! Under [`Setup::Real`] datagrams leave through a UDP socket as well, and by default never leave this computer:
//! multicast goes to the loopback interface and unicast to loopback addresses only.

mod interface;
mod real;
mod routing;
mod settings;
mod virtual_network;

use std::cell::{Cell, OnceCell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use crate::kernel::dispatch_at;
use crate::machine::machine;
use crate::nt::NtStatus;
use crate::schedule::{self, DISPATCH_LEVEL, Time};

pub use interface::{Interface, LOOPBACK};
pub use real::RealSetup;
pub(crate) use settings::Settings;
pub use settings::{InterfaceName, SocketOptions};
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

/// A datagram that the driver sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// When it was handed to the network: nanoseconds since the machine was switched on.
    pub time: Time,
    /// The performance counter at that time.
    pub counter: u64,
    /// The index of the interface it left by; 0 where the real network chose one and does not say which.
    pub interface: u32,
    /// The local address it left from.
    pub source: SocketAddr,
    /// Where it was sent to.
    pub destination: SocketAddr,
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
    stalled: Cell<bool>,
    /// What goes on when the network is no longer stalled.
    held: RefCell<Vec<Box<dyn FnOnce()>>>,
    medium: OnceCell<Medium>,
}

/// What is behind the sockets.
enum Medium {
    Virtual(virtual_network::VirtualNetwork),
    Real(RealSetup),
}

/// A socket with a local address.
pub(crate) struct Endpoint {
    /// The address it was bound to, with its port.
    pub(crate) local: SocketAddr,
    /// That address on the virtual network, unless it is the wildcard.
    session: Option<interface::Session>,
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

/// Takes the network away, or brings it back. While it is away nothing can be sent (STATUS_NETWORK_UNREACHABLE);
/// sockets stay open and bound.
///
/// # Panics
/// Outside a machine.
pub fn set_down(down: bool) {
    network().down.set(down);
}

/// Stalls the network, or ends that. While it is stalled every send stays pending; when that ends, all of them leave in
/// order and complete at DISPATCH_LEVEL. A socket that is closed before cancels its own, which never leave.
///
/// # Panics
/// Outside a machine.
pub fn set_stalled(stalled: bool) {
    let network = network();
    network.stalled.set(stalled);
    if !stalled {
        let held = network.held.take();
        // One thread for all, which keeps them in order.
        dispatch_at(schedule::now(), DISPATCH_LEVEL, "the end of a stall", || {
            held.into_iter().for_each(|send| send());
        });
    }
}

/// Disables an interface of the virtual network, or enables it. A socket that was bound to one of its addresses, and an
/// option that named it, have lost it for good: both must be set anew when it is back.
///
/// # Panics
/// Outside a machine, without a virtual network, and if there is no such interface.
pub fn set_interface_up(index: u32, up: bool) {
    network().as_virtual().set_interface_up(index, up);
}

/// Gives an interface of the virtual network other addresses, each with the bits of its prefix. What was bound to one
/// that it has no longer has lost it for good, as with [`set_interface_up`].
///
/// # Panics
/// Outside a machine, without a virtual network, and if there is no such interface.
pub fn set_addresses(index: u32, addresses: &[(IpAddr, u8)]) {
    network().as_virtual().set_addresses(index, addresses.to_vec());
}

/// The network of the running machine.
pub(crate) fn network() -> Rc<Network> {
    machine().part()
}

impl Network {
    fn medium(&self) -> &Medium {
        self.medium.get_or_init(|| match &machine().config.network {
            Setup::Virtual(setup) => Medium::Virtual(virtual_network::VirtualNetwork::new(setup)),
            Setup::Real(setup) => Medium::Real(setup.clone()),
        })
    }

    fn as_virtual(&self) -> &virtual_network::VirtualNetwork {
        match self.medium() {
            Medium::Virtual(network) => network,
            Medium::Real(_) => panic!("the interfaces of the real network are not the testbed's to change"),
        }
    }

    /// The interface that an option names.
    ///
    /// # Errors
    /// STATUS_INVALID_ADDRESS_COMPONENT: there is none.
    fn named(&self, name: InterfaceName) -> Result<Option<interface::Session>, NtStatus> {
        match self.medium() {
            Medium::Virtual(network) => network.named(name).map(Some),
            Medium::Real(setup) => real::check_name(setup, name).map(|()| None),
        }
    }

    /// Binds a socket. Port 0 takes an ephemeral one.
    ///
    /// # Errors
    /// STATUS_INVALID_ADDRESS_COMPONENT: not an address of this computer.
    /// STATUS_ADDRESS_ALREADY_EXISTS: the port is in use.
    pub(crate) fn bind(&self, local: SocketAddr, settings: &Settings) -> Result<Endpoint, NtStatus> {
        match self.medium() {
            Medium::Virtual(network) => {
                let (local, session) = network.bind(local, settings.options.reuse_address)?;
                Ok(Endpoint { local, session, real: None })
            }
            Medium::Real(setup) => {
                let socket = real::RealSocket::bind(setup, local, &settings.options)?;
                Ok(Endpoint { local: socket.local(), session: None, real: Some(socket) })
            }
        }
    }

    /// Brings changed options to a socket that is bound.
    pub(crate) fn apply(&self, endpoint: &Endpoint, settings: &Settings) -> Result<(), NtStatus> {
        match (self.medium(), &endpoint.real) {
            (Medium::Real(setup), Some(socket)) => socket.apply(setup, &settings.options),
            _ => Ok(()),
        }
    }

    /// Sends one datagram now, and records it.
    ///
    /// # Errors
    /// STATUS_NETWORK_UNREACHABLE: there is no route.
    /// STATUS_INVALID_ADDRESS_COMPONENT: the destination is none, or the local address is gone.
    pub(crate) fn send(
        &self,
        endpoint: &Endpoint,
        settings: &Settings,
        destination: SocketAddr,
        payload: Vec<u8>,
    ) -> Result<(), NtStatus> {
        if self.down.get() {
            return Err(NtStatus::NETWORK_UNREACHABLE);
        }
        let (interface, source) = match (self.medium(), &endpoint.real) {
            (Medium::Virtual(network), _) => {
                let route = network.route((endpoint.local, endpoint.session), settings, destination)?;
                (route.interface, SocketAddr::new(route.source, endpoint.local.port()))
            }
            (Medium::Real(setup), Some(socket)) => {
                socket.send(setup, destination, &payload)?;
                (socket.interface(&settings.options, destination), endpoint.local)
            }
            (Medium::Real(_), None) => return Err(NtStatus::INVALID_DEVICE_STATE),
        };
        let (time, counter) = (schedule::now(), schedule::counter());
        let options = settings.options.clone();
        self.record(Datagram { time, counter, interface, source, destination, options, payload });
        Ok(())
    }

    fn record(&self, datagram: Datagram) {
        let mut sink = self.sink.borrow_mut();
        match sink.as_mut() {
            Some(sink) => sink(datagram),
            None => self.kept.borrow_mut().push(datagram),
        }
    }

    /// Whether sends must wait: [`Self::hold`] is for them.
    pub(crate) fn is_stalled(&self) -> bool {
        self.stalled.get()
    }

    /// Calls `send` when the network is no longer stalled.
    pub(crate) fn hold(&self, send: impl FnOnce() + 'static) {
        self.held.borrow_mut().push(Box::new(send));
    }

    /// Gives a port back.
    pub(crate) fn close(&self, endpoint: &Endpoint) {
        if let Medium::Virtual(network) = self.medium() {
            network.close(endpoint.local);
        }
    }
}
