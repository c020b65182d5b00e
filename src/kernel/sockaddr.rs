//! Socket addresses as Windows lays them out.

use core::net::SocketAddr;

use crate::abi::wsk::{AF_INET, AF_INET6, SOCKADDR, SOCKADDR_IN, SOCKADDR_IN6};

/// Bytes before the address: two that align it, and its length.
const BEFORE: usize = 4;
/// Bytes of an IPv4 address with its port, and of an IPv6 one.
const LENGTH_V4: u16 = size_of::<SOCKADDR_IN>() as u16;
const LENGTH_V6: u16 = size_of::<SOCKADDR_IN6>() as u16;

/// A `SOCKADDR_IN` or a `SOCKADDR_IN6`, after its length.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub struct SockAddr {
    bytes: [u8; BEFORE + LENGTH_V6 as usize],
    length: u16,
}

impl SockAddr {
    /// What functions of WSK take.
    pub fn as_ptr(&self) -> *const SOCKADDR {
        self.bytes.as_ptr().wrapping_add(BEFORE).cast()
    }

    /// The length in two bytes, and so many bytes of the address: what events hold.
    pub fn counted_bytes(&self) -> &[u8] {
        self.bytes.get(BEFORE - 2..BEFORE.saturating_add(self.length.into())).unwrap_or_default()
    }
}

impl From<SocketAddr> for SockAddr {
    fn from(address: SocketAddr) -> Self {
        let length = if address.is_ipv4() { LENGTH_V4 } else { LENGTH_V6 };
        let mut bytes = [0; BEFORE + LENGTH_V6 as usize];
        let mut rest = bytes.iter_mut().skip(BEFORE - 2);
        let mut put = |part: &[u8]| part.iter().zip(&mut rest).for_each(|(from, to)| *to = *from);
        put(&length.to_ne_bytes());
        match address {
            SocketAddr::V4(v4) => {
                put(&AF_INET.to_ne_bytes());
                put(&v4.port().to_be_bytes());
                put(&v4.ip().octets());
            }
            SocketAddr::V6(v6) => {
                put(&AF_INET6.to_ne_bytes());
                put(&v6.port().to_be_bytes());
                put(&v6.flowinfo().to_be_bytes());
                put(&v6.ip().octets());
                put(&v6.scope_id().to_ne_bytes());
            }
        }
        Self { bytes, length }
    }
}
