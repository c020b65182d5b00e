//! [`Targets`]: the destinations of every packet.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use super::address::{DEFAULT_PORT, MULTICAST};

/// The most destinations that a packet can have.
pub const MAX_TARGETS: usize = 8;

/// One to [`MAX_TARGETS`] destinations, each of them once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Targets {
    /// Those behind the last one are copies of the first, so that equal targets are equal arrays.
    addresses: [SocketAddr; MAX_TARGETS],
    /// At least 1.
    count: usize,
}

impl Targets {
    /// A single destination.
    pub const fn new(address: SocketAddr) -> Self {
        Self { addresses: [address; MAX_TARGETS], count: 1 }
    }

    /// All destinations, in the order of the options.
    pub fn as_slice(&self) -> &[SocketAddr] {
        self.addresses.get(..self.count).unwrap_or(&self.addresses)
    }

    /// One more destination. Returns whether there was room for it.
    #[must_use]
    pub(super) fn push(&mut self, address: SocketAddr) -> bool {
        let free = self.addresses.get_mut(self.count);
        let added = free.is_some();
        if let Some(free) = free {
            *free = address;
            self.count += 1;
        }
        added
    }
}

impl Default for Targets {
    /// The group and the port that receivers use if they are told nothing.
    fn default() -> Self {
        Self::new(SocketAddr::new(IpAddr::V4(MULTICAST), DEFAULT_PORT))
    }
}

impl fmt::Debug for Targets {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(formatter)
    }
}
