//! What each option is called, what it takes, and what holds without it: for events, documentation and tools.

use core::ffi::CStr;

/// An option as people see it.
#[derive(Debug, PartialEq, Eq)]
pub struct Description {
    /// The name of the registry value, in ASCII.
    pub name: &'static CStr,
    /// The type of the registry value, and what it may hold.
    pub accepted: &'static CStr,
    /// What holds if there is no such value, or none that can be used.
    pub default: &'static CStr,
}

/// Every option, in the order in which they are read and documented.
pub static DESCRIPTIONS: [&Description; 11] = [
    &TARGETS,
    &UNICAST_IPV4,
    &UNICAST_PORT,
    &INTERFACE,
    &UNICAST_SRC_IPV4,
    &UNICAST_SRC_PORT,
    &TTL,
    &CONTINUOUS_STREAM,
    &SILENCE_THRESHOLD,
    &USE_IVSHMEM,
    &IVSHMEM_FALLBACK,
];

/// Where packets go: any number of destinations up to eight.
pub static TARGETS: Description = Description {
    name: c"Targets",
    accepted: c"REG_MULTI_SZ, 1 to 8 of ADDRESS, ADDRESS:PORT or [IPV6]:PORT, ADDRESS may be multicast or multicast6",
    default: c"UnicastIPv4 and UnicastPort",
};

/// The only destination, without `Targets`.
pub static UNICAST_IPV4: Description = Description {
    name: c"UnicastIPv4",
    accepted: c"REG_SZ, an IPv4 address such as 192.168.1.20",
    default: c"239.255.77.77",
};

/// The port that goes with it.
pub static UNICAST_PORT: Description =
    Description { name: c"UnicastPort", accepted: c"REG_DWORD, from 1 to 65535", default: c"4010" };

/// The network interface that packets leave by.
pub static INTERFACE: Description = Description {
    name: c"Interface",
    accepted: c"REG_DWORD, an index from 1 to 16777215, or REG_SZ, an address of the interface",
    default: c"the system's choice",
};

/// The local IPv4 address that packets are sent from.
pub static UNICAST_SRC_IPV4: Description = Description {
    name: c"UnicastSrcIPv4",
    accepted: c"REG_SZ, an IPv4 address of this computer",
    default: c"any",
};

/// The local port that packets are sent from.
pub static UNICAST_SRC_PORT: Description = Description {
    name: c"UnicastSrcPort",
    accepted: c"REG_DWORD, from 1 to 65535, or 0 for any",
    default: c"any",
};

/// How many routers a packet may pass.
pub static TTL: Description =
    Description { name: c"TTL", accepted: c"REG_DWORD, from 1 to 255", default: c"the system's" };

/// Whether silence is sent while nothing plays.
pub static CONTINUOUS_STREAM: Description =
    Description { name: c"ContinuousStream", accepted: c"REG_DWORD, 0 or 1", default: c"0" };

/// After how many silent samples of each channel nothing is sent.
pub static SILENCE_THRESHOLD: Description = Description {
    name: c"SilenceThreshold",
    accepted: c"REG_DWORD, samples of each channel, or 0 for never",
    default: c"0",
};

/// The size of the IVSHMEM device that audio goes to instead of the network.
pub static USE_IVSHMEM: Description = Description {
    name: c"UseIVSHMEM",
    accepted: c"REG_DWORD, size in MiB from 1 to 1048576, or 0 for the network",
    default: c"0",
};

/// Whether the network is used as long as there is no such device.
pub static IVSHMEM_FALLBACK: Description =
    Description { name: c"IVSHMEMFallback", accepted: c"REG_DWORD, 0 or 1", default: c"0" };
