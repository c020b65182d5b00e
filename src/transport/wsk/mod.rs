//! UDP through Winsock Kernel.
//!
//! * [`client`]: the driver's registration with WSK, and the network stack while it is in use.
//! * [`socket`]: opens, binds and closes a socket without ever blocking; belongs to the DMA-timer thread.
//! * [`sender`]: the packets and their request packets; belongs to the engine's state.
#![expect(unsafe_code, reason = "WSK is a set of raw function tables")]

pub mod client;
pub mod sender;
pub mod socket;

pub use client::Client;
pub use sender::Sender;
pub use socket::Socket;
