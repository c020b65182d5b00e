//! Where audio comes from: a socket, a sniffer, or shared memory. [`open`] makes the [`Source`] of a [`Listening`].

mod arrivals;
mod group;
pub mod interfaces;
#[cfg(unix)]
mod ivshmem;
mod memberships;
mod network;
#[cfg(unix)]
mod region;
#[cfg(all(target_os = "linux", feature = "pcap"))]
mod sniff;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

pub use group::Group;
use interfaces::Wanted;

use crate::Moment;

/// What the user wants to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listening {
    /// A multicast group.
    Multicast {
        /// The group.
        group: IpAddr,
        /// The port.
        port: u16,
        /// Where to join it.
        interface: Wanted,
    },
    /// Packets to this computer.
    Unicast {
        /// The port.
        port: u16,
        /// Where they have to come in.
        interface: Wanted,
    },
    /// Packets to anyone.
    Sniffed {
        /// The port.
        port: u16,
        /// The group that they have to be sent to.
        group: Option<IpAddr>,
        /// Where to look.
        interface: Wanted,
    },
    /// The file of an IVSHMEM region.
    SharedMemory(PathBuf),
}

/// Who sent something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// A socket somewhere.
    Address(SocketAddr),
    /// The virtual machine that shares its memory.
    SharedMemory,
}

impl Sender {
    /// Its address, if it has one.
    pub fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(address.ip()),
            Self::SharedMemory => None,
        }
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(to, "{address}"),
            Self::SharedMemory => write!(to, "the virtual machine"),
        }
    }
}

/// Something that came, not yet looked at: a packet as [`protocol::packet`] has it, or anything else.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Who sent it.
    pub sender: Sender,
    /// When it came.
    pub arrived: Moment,
    /// All of it.
    pub bytes: &'a [u8],
}

/// Why a source cannot be used, or not any longer; one line that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceError(pub String);

impl fmt::Display for SourceError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

impl std::error::Error for SourceError {}

/// Gives what comes.
pub trait Source: Send {
    /// What it listens to, for people: `239.255.77.77:4010 on eth0, lo`.
    fn name(&self) -> String;

    /// The next datagram. Waits for it, but not much longer than `wait`: `None` if there was none.
    ///
    /// # Errors
    /// There will be no more.
    fn next(&mut self, wait: Duration) -> Result<Option<Datagram<'_>>, SourceError>;

    /// Whether it knows when something came even if nobody waited for it.
    fn knows_arrivals(&self) -> bool {
        false
    }

    /// The next datagram that has come already, from a source that knows when; `None` if there is none. Neither waits nor takes
    /// memory.
    ///
    /// # Errors
    /// There will be no more.
    fn next_there(&mut self) -> Result<Option<Datagram<'_>>, SourceError> {
        Ok(None)
    }

    /// How many pieces of audio were there but could not be taken in time.
    fn missed(&self) -> u64 {
        0
    }

    /// What may be the reason that nothing comes at all.
    fn hint(&self) -> String;
}

/// A source, and the group that it has joined.
pub type Opened = (Box<dyn Source>, Option<Group>);

/// Opens what the user wants to hear, and the group that is to be [kept](Group::keep), if it is one. The delay of shared memory
/// is kept below `most`.
///
/// # Errors
/// It cannot be opened.
pub fn open(listening: &Listening, most: Duration) -> Result<Opened, SourceError> {
    match listening {
        Listening::Multicast { group, port, interface } => {
            let (socket, group) = network::Socket::join(*group, *port, interface.clone())?;
            Ok((Box::new(socket), Some(group)))
        }
        Listening::Unicast { port, interface } => {
            Ok((Box::new(network::Socket::bind(*port, interface)?), None))
        }
        Listening::Sniffed { port, group, interface } => Ok((open_sniffer(*port, *group, interface)?, None)),
        Listening::SharedMemory(path) => Ok((open_region(path, most)?, None)),
    }
}

#[cfg(all(target_os = "linux", feature = "pcap"))]
fn open_sniffer(
    port: u16,
    group: Option<IpAddr>,
    interface: &Wanted,
) -> Result<Box<dyn Source>, SourceError> {
    Ok(Box::new(sniff::Sniffer::open(port, group, interface)?))
}

#[cfg(not(all(target_os = "linux", feature = "pcap")))]
fn open_sniffer(_: u16, _: Option<IpAddr>, _: &Wanted) -> Result<Box<dyn Source>, SourceError> {
    Err(SourceError("this build cannot sniff (-P): it was made without libpcap; leave out -P".into()))
}

#[cfg(unix)]
fn open_region(path: &std::path::Path, most: Duration) -> Result<Box<dyn Source>, SourceError> {
    Ok(Box::new(ivshmem::Ring::open(path, most)?))
}

#[cfg(not(unix))]
fn open_region(_: &std::path::Path, _: Duration) -> Result<Box<dyn Source>, SourceError> {
    Err(SourceError("shared memory (-m) is of virtual machines on Linux hosts; leave out -m".into()))
}
