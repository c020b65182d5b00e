//! Winsock Kernel: sockets for drivers.
//!
//! Mirrors `wsk.h`, and the parts of `ws2def.h`, `ws2ipdef.h` and `ws2tcpip.h` that go with it.
//!
//! A client registers, captures the provider's table, makes sockets and deregisters.
//! Each socket begins with a pointer to the table of its kind. Most functions take an IRP with a completion routine
//! and return STATUS_PENDING; the documentation's IRQL is PASSIVE for control and up to DISPATCH for data.
#![expect(unsafe_code, reason = "imported functions")]

use core::ffi::c_void;

use wdk_sys::{
    KSPIN_LOCK, NTSTATUS, PEPROCESS, PETHREAD, PIRP, PMDL, PSECURITY_DESCRIPTOR, PUNICODE_STRING, PVOID,
    SIZE_T, ULONG, ULONGLONG, USHORT,
};

use super::GUID;

// Addresses.
pub use windows_sys::Win32::Networking::WinSock::{
    ADDRESS_FAMILY, ADDRINFOEXW, AF_INET, AF_INET6, AF_UNSPEC, CMSGHDR, IN_ADDR, IN6_ADDR, SOCKADDR,
    SOCKADDR_IN, SOCKADDR_IN6, SOCKADDR_INET,
};

// Sockets and their options.
pub use windows_sys::Win32::Networking::WinSock::{
    IP_MULTICAST_IF, IP_MULTICAST_LOOP, IP_MULTICAST_TTL, IP_TTL, IP_UNICAST_IF, IPPROTO_IP, IPPROTO_IPV6,
    IPPROTO_UDP, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_IF, IPV6_MULTICAST_LOOP, IPV6_UNICAST_HOPS,
    IPV6_UNICAST_IF, IPV6_V6ONLY, SO_BROADCAST, SO_EXCLUSIVEADDRUSE, SO_REUSEADDR, SO_SNDBUF, SOCK_DGRAM,
    SOL_SOCKET,
};

/// Handle of a client at the provider.
pub type PWSK_CLIENT = *mut c_void;

/// A socket; the provider's private data follows.
#[repr(C)]
pub struct WSK_SOCKET {
    /// The table of the socket's kind, such as [`WSK_PROVIDER_DATAGRAM_DISPATCH`].
    pub Dispatch: *const c_void,
}

/// Pointer to a socket.
pub type PWSK_SOCKET = *mut WSK_SOCKET;

/// A piece of a chain of MDLs.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_BUF {
    /// The chain; its pages are locked.
    pub Mdl: PMDL,
    /// Bytes to skip in the first MDL.
    pub Offset: ULONG,
    /// Bytes from there.
    pub Length: SIZE_T,
}

/// A list of datagrams to send to the same address.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_BUF_LIST {
    /// The next element, or null.
    pub Next: *mut WSK_BUF_LIST,
    /// The datagram.
    pub Buffer: WSK_BUF,
}

/// A list of received datagrams.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_DATAGRAM_INDICATION {
    /// The next element, or null.
    pub Next: *mut WSK_DATAGRAM_INDICATION,
    /// The datagram.
    pub Buffer: WSK_BUF,
    /// Control information.
    pub ControlInfo: *mut CMSGHDR,
    /// Bytes of control information.
    pub ControlInfoLength: ULONG,
    /// The sender.
    pub RemoteAddress: *mut SOCKADDR,
}

/// What a client offers the provider.
#[repr(C)]
pub struct WSK_CLIENT_DISPATCH {
    /// The version of WSK that the client wants; see [`MAKE_WSK_VERSION`].
    pub Version: USHORT,
    /// Zero.
    pub Reserved: USHORT,
    /// Event callback, or null; no events are defined.
    pub WskClientEvent: Option<
        unsafe extern "system" fn(
            ClientContext: PVOID,
            EventType: ULONG,
            Information: PVOID,
            InformationLength: SIZE_T,
        ) -> NTSTATUS,
    >,
}

/// A client, for registration.
#[repr(C)]
pub struct WSK_CLIENT_NPI {
    /// Passed to the client's callbacks.
    pub ClientContext: PVOID,
    /// Must stay valid until the client has deregistered.
    pub Dispatch: *const WSK_CLIENT_DISPATCH,
}

/// State of a registration; must neither move nor be freed until the client has deregistered.
#[repr(C)]
pub struct WSK_REGISTRATION {
    /// Private to WSK.
    pub ReservedRegistrationState: ULONGLONG,
    /// Private to WSK.
    pub ReservedRegistrationContext: PVOID,
    /// Private to WSK.
    pub ReservedRegistrationLock: KSPIN_LOCK,
}

/// The provider, while it is captured.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WSK_PROVIDER_NPI {
    /// To be passed to the functions of `Dispatch`.
    pub Client: PWSK_CLIENT,
    /// The provider's functions.
    pub Dispatch: *const WSK_PROVIDER_DISPATCH,
}

/// The provider's functions. Those it lacks in the captured version are beyond the end, not null.
#[repr(C)]
pub struct WSK_PROVIDER_DISPATCH {
    /// The version that the provider implements.
    pub Version: USHORT,
    /// Zero.
    pub Reserved: USHORT,
    /// Makes a socket; the IRP's information is the [`PWSK_SOCKET`]. PASSIVE.
    pub WskSocket: unsafe extern "system" fn(
        Client: PWSK_CLIENT,
        AddressFamily: ADDRESS_FAMILY,
        SocketType: USHORT,
        Protocol: ULONG,
        Flags: ULONG,
        SocketContext: PVOID,
        Dispatch: *const c_void,
        OwningProcess: PEPROCESS,
        OwningThread: PETHREAD,
        SecurityDescriptor: PSECURITY_DESCRIPTOR,
        Irp: PIRP,
    ) -> NTSTATUS,
    /// Makes, binds and connects a stream socket. PASSIVE.
    pub WskSocketConnect: unsafe extern "system" fn(
        Client: PWSK_CLIENT,
        SocketType: USHORT,
        Protocol: ULONG,
        LocalAddress: *mut SOCKADDR,
        RemoteAddress: *mut SOCKADDR,
        Flags: ULONG,
        SocketContext: PVOID,
        Dispatch: *const c_void,
        OwningProcess: PEPROCESS,
        OwningThread: PETHREAD,
        SecurityDescriptor: PSECURITY_DESCRIPTOR,
        Irp: PIRP,
    ) -> NTSTATUS,
    /// Changes settings of the client. PASSIVE or up to DISPATCH, depending on the code.
    pub WskControlClient: unsafe extern "system" fn(
        Client: PWSK_CLIENT,
        ControlCode: ULONG,
        InputSize: SIZE_T,
        InputBuffer: PVOID,
        OutputSize: SIZE_T,
        OutputBuffer: PVOID,
        OutputSizeReturned: *mut SIZE_T,
        Irp: PIRP,
    ) -> NTSTATUS,
    /// Resolves a name. PASSIVE.
    pub WskGetAddressInfo: unsafe extern "system" fn(
        Client: PWSK_CLIENT,
        NodeName: PUNICODE_STRING,
        ServiceName: PUNICODE_STRING,
        NameSpace: ULONG,
        Provider: *mut GUID,
        Hints: *mut ADDRINFOEXW,
        Result: *mut *mut ADDRINFOEXW,
        OwningProcess: PEPROCESS,
        OwningThread: PETHREAD,
        Irp: PIRP,
    ) -> NTSTATUS,
    /// Frees the result of `WskGetAddressInfo`. PASSIVE.
    pub WskFreeAddressInfo: unsafe extern "system" fn(Client: PWSK_CLIENT, AddrInfo: *mut ADDRINFOEXW),
    /// Finds the name of an address. PASSIVE.
    pub WskGetNameInfo: unsafe extern "system" fn(
        Client: PWSK_CLIENT,
        SockAddr: *mut SOCKADDR,
        SockAddrLength: ULONG,
        NodeName: PUNICODE_STRING,
        ServiceName: PUNICODE_STRING,
        Flags: ULONG,
        OwningProcess: PEPROCESS,
        OwningThread: PETHREAD,
        Irp: PIRP,
    ) -> NTSTATUS,
}

/// Functions that every socket has.
#[repr(C)]
pub struct WSK_PROVIDER_BASIC_DISPATCH {
    /// Reads or changes an option, or sends an I/O control. PASSIVE or up to DISPATCH, depending on the code.
    pub WskControlSocket: unsafe extern "system" fn(
        Socket: PWSK_SOCKET,
        RequestType: WSK_CONTROL_SOCKET_TYPE,
        ControlCode: ULONG,
        Level: ULONG,
        InputSize: SIZE_T,
        InputBuffer: PVOID,
        OutputSize: SIZE_T,
        OutputBuffer: PVOID,
        OutputSizeReturned: *mut SIZE_T,
        Irp: PIRP,
    ) -> NTSTATUS,
    /// Closes the socket; no other call may be in progress. PASSIVE.
    pub WskCloseSocket: unsafe extern "system" fn(Socket: PWSK_SOCKET, Irp: PIRP) -> NTSTATUS,
}

/// Functions of a datagram socket.
#[repr(C)]
pub struct WSK_PROVIDER_DATAGRAM_DISPATCH {
    /// What every socket has; unnamed in C.
    pub Basic: WSK_PROVIDER_BASIC_DISPATCH,
    /// Binds the socket to a local address, which must be done before sending. Up to DISPATCH.
    pub WskBind: unsafe extern "system" fn(
        Socket: PWSK_SOCKET,
        LocalAddress: *mut SOCKADDR,
        Flags: ULONG,
        Irp: PIRP,
    ) -> NTSTATUS,
    /// Sends a datagram; buffer and address stay valid until the IRP completes. Up to DISPATCH.
    pub WskSendTo: unsafe extern "system" fn(
        Socket: PWSK_SOCKET,
        Buffer: *mut WSK_BUF,
        Flags: ULONG,
        RemoteAddress: *mut SOCKADDR,
        ControlInfoLength: ULONG,
        ControlInfo: *mut CMSGHDR,
        Irp: PIRP,
    ) -> NTSTATUS,
    /// Waits for a datagram. Up to DISPATCH.
    pub WskReceiveFrom: unsafe extern "system" fn(
        Socket: PWSK_SOCKET,
        Buffer: *mut WSK_BUF,
        Flags: ULONG,
        RemoteAddress: *mut SOCKADDR,
        ControlLength: *mut ULONG,
        ControlInfo: *mut CMSGHDR,
        ControlFlags: *mut ULONG,
        Irp: PIRP,
    ) -> NTSTATUS,
    /// Gives back datagrams that a callback kept. Up to DISPATCH.
    pub WskRelease: unsafe extern "system" fn(
        Socket: PWSK_SOCKET,
        DatagramIndication: *mut WSK_DATAGRAM_INDICATION,
    ) -> NTSTATUS,
    /// Tells the address that the socket is bound to. Up to DISPATCH.
    pub WskGetLocalAddress:
        unsafe extern "system" fn(Socket: PWSK_SOCKET, LocalAddress: *mut SOCKADDR, Irp: PIRP) -> NTSTATUS,
    /// Sends several datagrams to one address. Up to DISPATCH.
    pub WskSendMessages: unsafe extern "system" fn(
        Socket: PWSK_SOCKET,
        BufferList: *mut WSK_BUF_LIST,
        Flags: ULONG,
        RemoteAddress: *mut SOCKADDR,
        ControlInfoLength: ULONG,
        ControlInfo: *mut CMSGHDR,
        Irp: PIRP,
    ) -> NTSTATUS,
}

/// Kind of a request to `WskControlSocket`.
pub type WSK_CONTROL_SOCKET_TYPE = i32;
/// Change a socket option.
pub const WskSetOption: WSK_CONTROL_SOCKET_TYPE = 0;
/// Read a socket option.
pub const WskGetOption: WSK_CONTROL_SOCKET_TYPE = 1;
/// Send an I/O control to the socket.
pub const WskIoctl: WSK_CONTROL_SOCKET_TYPE = 2;

/// For `WskSocket`: a socket that only takes control requests.
pub const WSK_FLAG_BASIC_SOCKET: ULONG = 0;
/// For `WskSocket`: a datagram socket.
pub const WSK_FLAG_DATAGRAM_SOCKET: ULONG = 4;
/// For `WskCaptureProviderNPI`: return at once if the provider is not there.
pub const WSK_NO_WAIT: ULONG = 0;
/// For `WskCaptureProviderNPI`: wait until the provider is there.
pub const WSK_INFINITE_WAIT: ULONG = ULONG::MAX;
/// Control code of the client: which transports exist.
pub const WSK_TRANSPORT_LIST_QUERY: ULONG = 2;
/// Control code of the client: wait until the list of transports changes.
pub const WSK_TRANSPORT_LIST_CHANGE: ULONG = 3;

/// The version number of WSK `major.minor`; a function-like macro in C.
#[must_use]
pub const fn MAKE_WSK_VERSION(major: u8, minor: u8) -> USHORT {
    u16::from_be_bytes([major, minor])
}

unsafe extern "system" {
    /// Registers a client. PASSIVE.
    pub fn WskRegister(WskClientNpi: *mut WSK_CLIENT_NPI, WskRegistration: *mut WSK_REGISTRATION)
    -> NTSTATUS;

    /// Captures the provider, waiting at most `WaitTimeout` milliseconds. PASSIVE; DISPATCH with [`WSK_NO_WAIT`].
    pub fn WskCaptureProviderNPI(
        WskRegistration: *mut WSK_REGISTRATION,
        WaitTimeout: ULONG,
        WskProviderNpi: *mut WSK_PROVIDER_NPI,
    ) -> NTSTATUS;

    /// Undoes one `WskCaptureProviderNPI`. Up to DISPATCH.
    pub fn WskReleaseProviderNPI(WskRegistration: *mut WSK_REGISTRATION);

    /// Undoes `WskRegister`; waits until all sockets are closed and the provider is released. PASSIVE.
    pub fn WskDeregister(WskRegistration: *mut WSK_REGISTRATION);
}
