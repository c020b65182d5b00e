//! UDP through Winsock Kernel.
//!
//! * [`client`]: the driver's registration with WSK, and the network stack while it is in use.
//! * [`network`]: all targets of a stream.
//! * [`setup`]: how the socket of a target is made, from the options.
//! * [`socket`]: opens, binds and closes a socket without ever blocking; belongs to the DMA-timer thread.
//! * [`sender`]: the packets of a target and their request packets; belongs to the engine's state.
#![expect(unsafe_code, reason = "WSK is a set of raw function tables")]

pub mod client;
pub mod network;
pub mod sender;
pub mod setup;
pub mod socket;

pub use client::Client;
pub use network::{Broken, Network, Sockets};
