//! [`ThisComputer`]: the Windows that this program runs on.
//!
//! A file for each trait of the parent module. What Windows hands out is a value that gives itself back when dropped
//! ([`registry::Key`], [`device_info_set::DeviceInfoSet`], [`handle::Handle`] and their like), and each `unsafe` block is one
//! call, or one read of what a call has returned.

mod apartment;
mod audio;
mod call;
mod certificates;
mod code_integrity;
mod command_line;
mod device_info_set;
mod devices;
mod driver_store;
mod elevation;
mod firewall;
mod handle;
mod network;
mod option_store;
mod playback;
mod registry;
mod services;
mod signature;
mod system;
mod wide;

/// The computer that this program runs on.
#[derive(Debug, Default)]
pub struct ThisComputer;

impl ThisComputer {
    /// The computer that this program runs on. Nothing is asked of it yet.
    pub fn new() -> Self {
        Self
    }
}
