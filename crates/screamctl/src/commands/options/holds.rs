//! What holds for each option, whatever is stored.

use std::net::IpAddr;

use protocol::options::{
    CONTINUOUS_STREAM, Description, INTERFACE, IVSHMEM_FALLBACK, SILENCE_THRESHOLD, TARGETS, TTL,
    UNICAST_IPV4, UNICAST_PORT, UNICAST_SRC_IPV4, UNICAST_SRC_PORT, USE_IVSHMEM,
};

use super::settings::{Reading, text};

impl Reading {
    /// What holds for an option, one text for each entry; none if another option makes it meaningless.
    pub fn holds(&self, option: &'static Description) -> Vec<String> {
        if !self.looks_at(option) {
            return Vec::new();
        }
        let options = &self.options;
        let value = match option {
            option if *option == TARGETS => {
                return options.targets.as_slice().iter().map(ToString::to_string).collect();
            }
            option if *option == UNICAST_IPV4 => self.only_target(|target| target.ip().to_string()),
            option if *option == UNICAST_PORT => self.only_target(|target| target.port().to_string()),
            option if *option == INTERFACE => self.interface(),
            option if *option == UNICAST_SRC_IPV4 => options.source_v4.map(|address| address.to_string()),
            option if *option == UNICAST_SRC_PORT => {
                (options.source_port != 0).then(|| options.source_port.to_string())
            }
            option if *option == TTL => options.ttl.map(|ttl| ttl.to_string()),
            option if *option == CONTINUOUS_STREAM => Some(u8::from(options.continuous).to_string()),
            option if *option == SILENCE_THRESHOLD => Some(options.silence_threshold.to_string()),
            option if *option == USE_IVSHMEM => options.ivshmem.map(|size| size.to_string()),
            option if *option == IVSHMEM_FALLBACK => Some(u8::from(options.ivshmem_fallback).to_string()),
            _ => None,
        };
        vec![value.unwrap_or_else(|| text(option.default).to_owned())]
    }

    fn only_target(&self, part: impl FnOnce(&std::net::SocketAddr) -> String) -> Option<String> {
        self.options.targets.as_slice().first().map(part)
    }

    fn interface(&self) -> Option<String> {
        let options = &self.options;
        if let Some(address) = self.interface_address() {
            return Some(match (address, options.interface) {
                (IpAddr::V6(address), Some(index)) => format!("{address}%{index}"),
                _ => address.to_string(),
            });
        }
        options.interface.map(|index| index.to_string())
    }

    /// The address that `Interface` is, if it is one.
    fn interface_address(&self) -> Option<IpAddr> {
        if !self.looks_at(&UNICAST_SRC_IPV4) {
            return self.options.source_v4.map(IpAddr::V4);
        }
        self.options.source_v6.map(IpAddr::V6)
    }
}
