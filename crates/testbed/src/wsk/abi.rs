//! The structures and constants of `wsk.h`, `ws2def.h` and `ws2ipdef.h` that pass between a driver and Winsock Kernel.

use crate::layout;
use crate::nt::{Guid, Irp, Mdl, NtStatus, Pvoid, UnicodeString};

/// MAKE_WSK_VERSION(1, 0), the version every Windows with Winsock Kernel offers.
pub(crate) const VERSION_1_0: u16 = 0x0100;
/// MAKE_WSK_VERSION(1, 1).
pub(crate) const VERSION_1_1: u16 = 0x0101;

/// WSK_NO_WAIT.
pub(crate) const NO_WAIT: u32 = 0;
/// WSK_INFINITE_WAIT.
pub(crate) const INFINITE_WAIT: u32 = u32::MAX;

/// WSK_FLAG_BASIC_SOCKET.
pub(crate) const FLAG_BASIC_SOCKET: u32 = 0;
/// WSK_FLAG_DATAGRAM_SOCKET.
pub(crate) const FLAG_DATAGRAM_SOCKET: u32 = 4;

pub(crate) const AF_INET: u16 = 2;
pub(crate) const AF_INET6: u16 = 23;
pub(crate) const SOCK_DGRAM: u16 = 2;
pub(crate) const IPPROTO_IP: u32 = 0;
pub(crate) const IPPROTO_UDP: u32 = 17;
pub(crate) const IPPROTO_IPV6: u32 = 41;

pub(crate) const SOL_SOCKET: u32 = 0xFFFF;
pub(crate) const SO_REUSEADDR: u32 = 4;
/// `(int)(~SO_REUSEADDR)`.
pub(crate) const SO_EXCLUSIVEADDRUSE: u32 = !SO_REUSEADDR;
pub(crate) const SO_BROADCAST: u32 = 0x20;
pub(crate) const SO_SNDBUF: u32 = 0x1001;
pub(crate) const IP_TTL: u32 = 4;
pub(crate) const IP_MULTICAST_IF: u32 = 9;
pub(crate) const IP_MULTICAST_TTL: u32 = 10;
pub(crate) const IP_MULTICAST_LOOP: u32 = 11;
pub(crate) const IP_UNICAST_IF: u32 = 31;
pub(crate) const IPV6_UNICAST_HOPS: u32 = 4;
pub(crate) const IPV6_MULTICAST_IF: u32 = 9;
pub(crate) const IPV6_MULTICAST_HOPS: u32 = 10;
pub(crate) const IPV6_MULTICAST_LOOP: u32 = 11;
pub(crate) const IPV6_V6ONLY: u32 = 27;
pub(crate) const IPV6_UNICAST_IF: u32 = 31;
/// IP_UNSPECIFIED_HOP_LIMIT: an IPv6 hop limit of -1 is the system's.
pub(crate) const UNSPECIFIED_HOP_LIMIT: u32 = u32::MAX;

/// WSK_CONTROL_SOCKET_TYPE.
pub(crate) const SET_OPTION: u32 = 0;
pub(crate) const GET_OPTION: u32 = 1;
pub(crate) const IOCTL: u32 = 2;

/// SIO_WSK_SET_REMOTE_ADDRESS: `_WSAIOW(IOC_WSK, 1)` with IOC_WSK = 0x0F000000 | IOC_WS2.
pub(crate) const SIO_WSK_SET_REMOTE_ADDRESS: u32 = 0x8000_0000 | 0x0F00_0000 | 0x0800_0000 | 1;
/// SIO_WSK_SET_SENDTO_ADDRESS.
pub(crate) const SIO_WSK_SET_SENDTO_ADDRESS: u32 = 0x8000_0000 | 0x0F00_0000 | 0x0800_0000 | 6;

/// WSK_CLIENT_NPI.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct ClientNpi {
    pub(crate) client_context: Pvoid,
    pub(crate) dispatch: *const ClientDispatch,
}
layout!(ClientNpi, 16, dispatch: 8);

/// WSK_CLIENT_DISPATCH.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct ClientDispatch {
    pub(crate) version: u16,
    pub(crate) reserved: u16,
    pub(crate) client_event: Pvoid,
}
layout!(ClientDispatch, 16, client_event: 8);

/// WSK_REGISTRATION: the driver's memory, Winsock Kernel's contents.
#[repr(C)]
pub(crate) struct Registration {
    pub(crate) state: u64,
    pub(crate) context: Pvoid,
    pub(crate) lock: usize,
}
layout!(Registration, 24, context: 8, lock: 16);

/// WSK_PROVIDER_NPI.
#[repr(C)]
pub(crate) struct ProviderNpi {
    pub(crate) client: Pvoid,
    pub(crate) dispatch: *const ProviderDispatch,
}
layout!(ProviderNpi, 16, dispatch: 8);

/// WSK_PROVIDER_CHARACTERISTICS.
#[repr(C)]
pub(crate) struct ProviderCharacteristics {
    pub(crate) highest: u16,
    pub(crate) lowest: u16,
}
layout!(ProviderCharacteristics, 4, lowest: 2);

/// WSK_BUF: part of a chain of locked MDLs.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct WskBuf {
    pub(crate) mdl: *mut Mdl,
    pub(crate) offset: u32,
    pub(crate) length: usize,
}
layout!(WskBuf, 24, offset: 8, length: 16);

/// SOCKADDR: what all addresses begin with.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Sockaddr {
    pub(crate) family: u16,
}
layout!(Sockaddr, 2);

/// SOCKADDR_IN: port and address in network byte order.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct SockaddrIn {
    pub(crate) family: u16,
    pub(crate) port: [u8; 2],
    pub(crate) address: [u8; 4],
    pub(crate) zero: [u8; 8],
}
layout!(SockaddrIn, 16, port: 2, address: 4, zero: 8);

/// SOCKADDR_IN6: port and address in network byte order; the scope is the index of an interface.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct SockaddrIn6 {
    pub(crate) family: u16,
    pub(crate) port: [u8; 2],
    pub(crate) flow: u32,
    pub(crate) address: [u8; 16],
    pub(crate) scope: u32,
}
layout!(SockaddrIn6, 28, port: 2, flow: 4, address: 8, scope: 24);

/// WSK_TRANSPORT.
#[repr(C)]
pub(crate) struct Transport {
    pub(crate) version: u16,
    pub(crate) socket_type: u16,
    pub(crate) protocol: u32,
    pub(crate) family: u16,
    pub(crate) provider: Guid,
}
layout!(Transport, 28, protocol: 4, family: 8, provider: 12);

/// WSK_SOCKET: what the driver sees of a socket is the table of its functions.
#[repr(C)]
pub(crate) struct WskSocket {
    pub(crate) dispatch: *const ProviderDatagramDispatch,
}
layout!(WskSocket, 8);

pub(crate) type SocketFn = unsafe extern "efiapi" fn(
    client: Pvoid,
    family: u16,
    socket_type: u16,
    protocol: u32,
    flags: u32,
    context: Pvoid,
    dispatch: Pvoid,
    process: Pvoid,
    thread: Pvoid,
    security: Pvoid,
    irp: *mut Irp,
) -> NtStatus;

pub(crate) type SocketConnectFn = unsafe extern "efiapi" fn(
    client: Pvoid,
    socket_type: u16,
    protocol: u32,
    local: *const Sockaddr,
    remote: *const Sockaddr,
    flags: u32,
    context: Pvoid,
    dispatch: Pvoid,
    process: Pvoid,
    thread: Pvoid,
    security: Pvoid,
    irp: *mut Irp,
) -> NtStatus;

pub(crate) type ControlClientFn = unsafe extern "efiapi" fn(
    client: Pvoid,
    code: u32,
    input_size: usize,
    input: Pvoid,
    output_size: usize,
    output: Pvoid,
    returned: *mut usize,
    irp: *mut Irp,
) -> NtStatus;

pub(crate) type GetAddressInfoFn = unsafe extern "efiapi" fn(
    client: Pvoid,
    node: *const UnicodeString,
    service: *const UnicodeString,
    name_space: u32,
    provider: *const Guid,
    hints: Pvoid,
    result: *mut Pvoid,
    process: Pvoid,
    thread: Pvoid,
    irp: *mut Irp,
) -> NtStatus;

pub(crate) type FreeAddressInfoFn = unsafe extern "efiapi" fn(client: Pvoid, info: Pvoid);

pub(crate) type GetNameInfoFn = unsafe extern "efiapi" fn(
    client: Pvoid,
    address: *const Sockaddr,
    length: u32,
    node: *mut UnicodeString,
    service: *mut UnicodeString,
    flags: u32,
    process: Pvoid,
    thread: Pvoid,
    irp: *mut Irp,
) -> NtStatus;

/// WSK_PROVIDER_DISPATCH, as of Windows 7.
#[repr(C)]
pub(crate) struct ProviderDispatch {
    pub(crate) version: u16,
    pub(crate) reserved: u16,
    pub(crate) socket: SocketFn,
    pub(crate) socket_connect: SocketConnectFn,
    pub(crate) control_client: ControlClientFn,
    pub(crate) get_address_info: GetAddressInfoFn,
    pub(crate) free_address_info: FreeAddressInfoFn,
    pub(crate) get_name_info: GetNameInfoFn,
}
layout!(ProviderDispatch, 56, socket: 8, control_client: 24, get_name_info: 48);

pub(crate) type ControlSocketFn = unsafe extern "efiapi" fn(
    socket: *mut WskSocket,
    request: u32,
    code: u32,
    level: u32,
    input_size: usize,
    input: Pvoid,
    output_size: usize,
    output: Pvoid,
    returned: *mut usize,
    irp: *mut Irp,
) -> NtStatus;
pub(crate) type CloseSocketFn = unsafe extern "efiapi" fn(socket: *mut WskSocket, irp: *mut Irp) -> NtStatus;
pub(crate) type BindFn = unsafe extern "efiapi" fn(
    socket: *mut WskSocket,
    local: *const Sockaddr,
    flags: u32,
    irp: *mut Irp,
) -> NtStatus;
pub(crate) type SendToFn = unsafe extern "efiapi" fn(
    socket: *mut WskSocket,
    buffer: *const WskBuf,
    flags: u32,
    remote: *const Sockaddr,
    control_length: u32,
    control: Pvoid,
    irp: *mut Irp,
) -> NtStatus;
pub(crate) type ReceiveFromFn = unsafe extern "efiapi" fn(
    socket: *mut WskSocket,
    buffer: *const WskBuf,
    flags: u32,
    remote: *mut Sockaddr,
    control_length: *mut u32,
    control: Pvoid,
    control_flags: *mut u32,
    irp: *mut Irp,
) -> NtStatus;
pub(crate) type ReleaseFn = unsafe extern "efiapi" fn(socket: *mut WskSocket, indication: Pvoid) -> NtStatus;
pub(crate) type GetLocalAddressFn =
    unsafe extern "efiapi" fn(socket: *mut WskSocket, local: *mut Sockaddr, irp: *mut Irp) -> NtStatus;

/// WSK_PROVIDER_DATAGRAM_DISPATCH, as of Windows 8; it begins with WSK_PROVIDER_BASIC_DISPATCH.
#[repr(C)]
pub(crate) struct ProviderDatagramDispatch {
    pub(crate) control_socket: ControlSocketFn,
    pub(crate) close_socket: CloseSocketFn,
    pub(crate) bind: BindFn,
    pub(crate) send_to: SendToFn,
    pub(crate) receive_from: ReceiveFromFn,
    pub(crate) release: ReleaseFn,
    pub(crate) get_local_address: GetLocalAddressFn,
    pub(crate) send_messages: SendToFn,
}
layout!(ProviderDatagramDispatch, 64, bind: 16, send_to: 24, get_local_address: 48, send_messages: 56);
