//! SOCKADDR_IN and SOCKADDR_IN6: the addresses that pass between a driver and a socket.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use super::abi::{AF_INET, AF_INET6, Sockaddr, SockaddrIn, SockaddrIn6};
use crate::nt::NtStatus;
use crate::verifier::{Rule, record};

/// The family of a socket, which is that of all its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    /// By its AF_ number.
    pub(super) fn of(number: u16) -> Option<Self> {
        match number {
            AF_INET => Some(Self::V4),
            AF_INET6 => Some(Self::V6),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        }
    }

    /// Bytes of its addresses.
    pub(super) fn address_bytes(self) -> usize {
        match self {
            Self::V4 => size_of::<SockaddrIn>(),
            Self::V6 => size_of::<SockaddrIn6>(),
        }
    }

    /// An address that the driver passed to a socket of this family. Its bytes need no alignment.
    ///
    /// # Errors
    /// After a violation was recorded: STATUS_INVALID_PARAMETER, there is none; STATUS_INVALID_ADDRESS_COMPONENT, it is
    /// of another family.
    pub(super) fn read(
        self,
        function: &'static str,
        address: *const Sockaddr,
    ) -> Result<SocketAddr, NtStatus> {
        if address.is_null() {
            record(Rule::Argument, format!("{function} was called without an address"));
            return Err(NtStatus::INVALID_PARAMETER);
        }
        // SAFETY: the driver's structure, which it has filled; a wrong pointer faults and is reported as such.
        let family = unsafe { address.read_unaligned() }.family;
        if Self::of(family) != Some(self) {
            let name = self.name();
            record(
                Rule::Argument,
                format!("{function}: an {name} socket was given an address of family {family}"),
            );
            return Err(NtStatus::INVALID_ADDRESS_COMPONENT);
        }
        Ok(match self {
            Self::V4 => {
                // SAFETY: as above; its family says that it is this one.
                let address = unsafe { address.cast::<SockaddrIn>().read_unaligned() };
                let ip = Ipv4Addr::from(address.address);
                SocketAddrV4::new(ip, u16::from_be_bytes(address.port)).into()
            }
            Self::V6 => {
                // SAFETY: as above.
                let address = unsafe { address.cast::<SockaddrIn6>().read_unaligned() };
                let ip = Ipv6Addr::from(address.address);
                SocketAddrV6::new(ip, u16::from_be_bytes(address.port), 0, address.scope).into()
            }
        })
    }
}

/// Fills the structure that a driver has passed for an address.
///
/// # Safety
/// It has room for an address of this family; it may lie at any address.
pub(super) unsafe fn write(place: *mut Sockaddr, address: SocketAddr) {
    let port = address.port().to_be_bytes();
    match address {
        SocketAddr::V4(address) => {
            let own = SockaddrIn { family: AF_INET, port, address: address.ip().octets(), zero: [0; 8] };
            // SAFETY: the caller says so.
            unsafe { place.cast::<SockaddrIn>().write_unaligned(own) };
        }
        SocketAddr::V6(address) => {
            let (ip, scope) = (address.ip().octets(), address.scope_id());
            let own = SockaddrIn6 { family: AF_INET6, port, flow: 0, address: ip, scope };
            // SAFETY: the caller says so.
            unsafe { place.cast::<SockaddrIn6>().write_unaligned(own) };
        }
    }
}
