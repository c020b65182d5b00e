//! The whole program, as it is built: over real sockets of this computer, real files, and networks that the tests make.
#![cfg(target_os = "linux")]

mod command_line;
mod multicast;
#[path = "../../../../tests/common/namespace.rs"]
mod namespace;
mod namespaces;
mod running;
mod senders;
mod shared_memory;
mod sniffing;
mod telling;
mod unicast;
