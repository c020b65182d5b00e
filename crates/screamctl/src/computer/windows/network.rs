//! Interfaces, and the ways to targets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use windows::Win32::Foundation::{ERROR_BUFFER_OVERFLOW, ERROR_NO_DATA, WIN32_ERROR};
use windows::Win32::NetworkManagement::IpHelper::{
    GAA_FLAG_SKIP_ANYCAST, GAA_FLAG_SKIP_DNS_SERVER, GAA_FLAG_SKIP_MULTICAST, GetAdaptersAddresses,
    GetBestRoute2, IP_ADAPTER_ADDRESSES_LH, MIB_IPFORWARD_ROW2,
};
use windows::Win32::NetworkManagement::Ndis::IfOperStatusUp;
use windows::Win32::Networking::WinSock::{
    ADDRESS_FAMILY, AF_INET, AF_INET6, AF_UNSPEC, SOCKADDR_IN, SOCKADDR_IN6, SOCKADDR_INET, SOCKET_ADDRESS,
};
use windows::core::PWSTR;

use super::call::{is, status};
use super::{ThisComputer, firewall};
use crate::computer::{ApiError, ApiResult, FirewallProfile, Interface, Network, Route};

/// How often the interfaces may become more while they are being read.
const ATTEMPTS: usize = 8;

impl Network for ThisComputer {
    fn interfaces(&self) -> ApiResult<Vec<Interface>> {
        // Windows proposes 15 KB to begin with. Of u64, so that the structures are aligned.
        let mut buffer = vec![0u64; 15_000 / 8];
        let flags = GAA_FLAG_SKIP_ANYCAST | GAA_FLAG_SKIP_MULTICAST | GAA_FLAG_SKIP_DNS_SERVER;
        for _ in 0..ATTEMPTS {
            let mut size = u32::try_from(size_of_val(buffer.as_slice())).unwrap_or(u32::MAX);
            let first: *mut IP_ADAPTER_ADDRESSES_LH = buffer.as_mut_ptr().cast();
            // SAFETY: the buffer is aligned for the structures and as long as its size says.
            let code =
                unsafe { GetAdaptersAddresses(u32::from(AF_UNSPEC.0), flags, None, Some(first), &mut size) };
            match status("GetAdaptersAddresses", WIN32_ERROR(code)) {
                // SAFETY: the call has succeeded, so the list is filled in; the buffer lives until it is read.
                Ok(()) => return Ok(unsafe { read_interfaces(first) }),
                Err(error) if is(error, ERROR_NO_DATA) => return Ok(Vec::new()),
                Err(error) if is(error, ERROR_BUFFER_OVERFLOW) => {
                    buffer.resize((size as usize).div_ceil(8).max(buffer.len()), 0);
                }
                Err(error) => return Err(error),
            }
        }
        Err(ApiError { call: "GetAdaptersAddresses", code: ERROR_BUFFER_OVERFLOW.0 })
    }

    fn route(&self, target: SocketAddr, interface: Option<u32>, source: Option<IpAddr>) -> ApiResult<Route> {
        let destination = SOCKADDR_INET::from(target);
        let source = source.map(|address| SOCKADDR_INET::from(SocketAddr::new(address, 0)));
        let source = source.as_ref().map(std::ptr::from_ref);
        let mut row = MIB_IPFORWARD_ROW2::default();
        let mut best_source = SOCKADDR_INET::default();
        // SAFETY: the addresses are of the kind that they say, and the results are variables of this function.
        let code = unsafe {
            GetBestRoute2(None, interface.unwrap_or(0), source, &destination, 0, &mut row, &mut best_source)
        };
        status("GetBestRoute2", code)?;
        let unspecified = if target.is_ipv4() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED)
        } else {
            IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        };
        Ok(Route {
            interface: row.InterfaceIndex,
            source: address(&best_source).unwrap_or(unspecified),
            next_hop: address(&row.NextHop).filter(|address| !address.is_unspecified()),
        })
    }

    fn firewall(&self) -> ApiResult<Vec<FirewallProfile>> {
        firewall::profiles()
    }
}

/// The interfaces of a list.
///
/// # Safety
/// `first` is null or a list that GetAdaptersAddresses has made, and lives.
unsafe fn read_interfaces(first: *const IP_ADAPTER_ADDRESSES_LH) -> Vec<Interface> {
    let mut interfaces = Vec::new();
    let mut next = first;
    // SAFETY: the caller says so of the first; each says where the next is.
    while let Some(adapter) = unsafe { next.as_ref() } {
        // SAFETY: of the union, Windows fills in the one that has the index.
        let index = unsafe { adapter.Anonymous1.Anonymous.IfIndex };
        interfaces.push(Interface {
            // An interface without IPv4 has only the index of IPv6; where it has both they are the same.
            index: if index == 0 { adapter.Ipv6IfIndex } else { index },
            // SAFETY: the name is in the list.
            name: unsafe { text(adapter.FriendlyName) },
            up: adapter.OperStatus == IfOperStatusUp,
            // SAFETY: the addresses are in the list.
            addresses: unsafe { read_addresses(adapter) },
        });
        next = adapter.Next;
    }
    interfaces
}

/// The addresses of an interface.
///
/// # Safety
/// It is of a list that GetAdaptersAddresses has made, and lives.
unsafe fn read_addresses(adapter: &IP_ADAPTER_ADDRESSES_LH) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    let mut next = adapter.FirstUnicastAddress.cast_const();
    // SAFETY: the caller says so of the first; each says where the next is.
    while let Some(unicast) = unsafe { next.as_ref() } {
        // SAFETY: the address is in the list, and its length with it.
        addresses.extend(unsafe { socket_address(&unicast.Address) });
        next = unicast.Next;
    }
    addresses
}

/// An address, if it is of IPv4 or IPv6.
///
/// # Safety
/// The address is as long as it says.
unsafe fn socket_address(address: &SOCKET_ADDRESS) -> Option<IpAddr> {
    let length = usize::try_from(address.iSockaddrLength).ok()?;
    if address.lpSockaddr.is_null() || length < size_of::<SOCKADDR_IN>() {
        return None;
    }
    // SAFETY: every address begins with its family, and this one is longer, wherever it lies.
    match unsafe { address.lpSockaddr.cast::<ADDRESS_FAMILY>().read_unaligned() } {
        AF_INET => {
            // SAFETY: the family and the length say that it is one of IPv4, wherever it lies.
            let address = unsafe { address.lpSockaddr.cast::<SOCKADDR_IN>().read_unaligned() };
            Some(v4(&address))
        }
        AF_INET6 if length >= size_of::<SOCKADDR_IN6>() => {
            // SAFETY: the family and the length say that it is one of IPv6, wherever it lies.
            let address = unsafe { address.lpSockaddr.cast::<SOCKADDR_IN6>().read_unaligned() };
            Some(v6(&address))
        }
        _ => None,
    }
}

/// An address that Windows has written, if it has written one.
fn address(address: &SOCKADDR_INET) -> Option<IpAddr> {
    // SAFETY: every kind of address begins with its family, and all bytes have been written.
    match unsafe { address.si_family } {
        // SAFETY: the family says which it is.
        AF_INET => Some(v4(unsafe { &address.Ipv4 })),
        // SAFETY: the family says which it is.
        AF_INET6 => Some(v6(unsafe { &address.Ipv6 })),
        _ => None,
    }
}

fn v4(address: &SOCKADDR_IN) -> IpAddr {
    // SAFETY: all members of the union are the same four bytes.
    let bits = unsafe { address.sin_addr.S_un.S_addr };
    IpAddr::from(bits.to_ne_bytes())
}

fn v6(address: &SOCKADDR_IN6) -> IpAddr {
    // SAFETY: all members of the union are the same sixteen bytes.
    IpAddr::from(unsafe { address.sin6_addr.u.Byte })
}

/// A text.
///
/// # Safety
/// It is null or has a NUL.
unsafe fn text(string: PWSTR) -> String {
    if string.is_null() {
        return String::new();
    }
    // SAFETY: the caller says that it has a NUL.
    String::from_utf16_lossy(unsafe { string.as_wide() })
}
