//! The functions of a captured provider: those of `WSK_PROVIDER_DISPATCH`.

use std::rc::Rc;

use super::abi::{
    AF_INET, AF_INET6, FLAG_BASIC_SOCKET, FLAG_DATAGRAM_SOCKET, IPPROTO_UDP, ProviderDispatch, SOCK_DGRAM,
    SockaddrIn, VERSION_1_1,
};
use super::request::{Ending, Request, way};
use super::socket::Socket;
use super::{Call, Fault, count, registration};
use crate::import;
use crate::machine::machine;
use crate::nt::{Guid, Irp, NtStatus, Pvoid, UnicodeString};
use crate::schedule::{DISPATCH_LEVEL, PASSIVE_LEVEL};
use crate::verifier::{Rule, record};

/// The table that WskCaptureProviderNPI hands out.
pub(super) static DISPATCH: ProviderDispatch = ProviderDispatch {
    version: VERSION_1_1,
    reserved: 0,
    socket: WskSocket,
    socket_connect: WskSocketConnect,
    control_client: WskControlClient,
    get_address_info: WskGetAddressInfo,
    free_address_info: WskFreeAddressInfo,
    get_name_info: WskGetNameInfo,
};

/// What WskSocket is asked for.
struct Wanted {
    family: u16,
    socket_type: u16,
    protocol: u32,
    flags: u32,
}

import! {
    /// Makes a socket; its address is the request's information.
    fn WskSocket(client: Pvoid, family: u16, socket_type: u16, protocol: u32, flags: u32, context: Pvoid, dispatch: Pvoid,
        process: Pvoid, thread: Pvoid, security: Pvoid, irp: *mut Irp) -> NtStatus, irql <= DISPATCH_LEVEL; {
        let _ = (context, process, thread);
        if !dispatch.is_null() || !security.is_null() {
            record(Rule::Argument, "WskSocket: client callbacks and security descriptors are not simulated");
        }
        socket(client, &Wanted { family, socket_type, protocol, flags }, irp)
    }

    /// Not simulated: it makes a connected stream socket.
    fn WskSocketConnect(client: Pvoid, socket_type: u16, protocol: u32, local: *const SockaddrIn,
        remote: *const SockaddrIn, flags: u32, context: Pvoid, dispatch: Pvoid, process: Pvoid, thread: Pvoid,
        security: Pvoid, irp: *mut Irp) -> NtStatus, irql <= DISPATCH_LEVEL; {
        let _ = (client, socket_type, protocol, local, remote, flags, context, dispatch, process, thread, security);
        unsupported("WskSocketConnect", irp)
    }

    /// Not simulated: transport lists, security descriptors, callbacks of all sockets.
    fn WskControlClient(client: Pvoid, code: u32, input_size: usize, input: Pvoid, output_size: usize, output: Pvoid,
        returned: *mut usize, irp: *mut Irp) -> NtStatus, irql <= DISPATCH_LEVEL; {
        let _ = (client, code, input_size, input, output_size, output, returned);
        if irp.is_null() { NtStatus::NOT_SUPPORTED } else { unsupported("WskControlClient", irp) }
    }

    /// Not simulated: names.
    fn WskGetAddressInfo(client: Pvoid, node: *const UnicodeString, service: *const UnicodeString, name_space: u32,
        provider: *const Guid, hints: Pvoid, result: *mut Pvoid, process: Pvoid, thread: Pvoid, irp: *mut Irp)
        -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = (client, node, service, name_space, provider, hints, result, process, thread);
        unsupported("WskGetAddressInfo", irp)
    }

    /// Frees nothing: WskGetAddressInfo gives nothing.
    fn WskFreeAddressInfo(client: Pvoid, info: Pvoid), irql <= PASSIVE_LEVEL; {
        let _ = (client, info);
        record(Rule::Argument, "WskFreeAddressInfo was called without a result of WskGetAddressInfo");
    }

    /// Not simulated: names.
    fn WskGetNameInfo(client: Pvoid, address: *const SockaddrIn, length: u32, node: *mut UnicodeString,
        service: *mut UnicodeString, flags: u32, process: Pvoid, thread: Pvoid, irp: *mut Irp)
        -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = (client, address, length, node, service, flags, process, thread);
        unsupported("WskGetNameInfo", irp)
    }
}

fn unsupported(function: &'static str, irp: *mut Irp) -> NtStatus {
    match Request::accept(function, irp) {
        Ok(request) => {
            request.complete(NtStatus::NOT_SUPPORTED.into());
            NtStatus::NOT_SUPPORTED
        }
        Err(status) => status,
    }
}

fn socket(client: Pvoid, wanted: &Wanted, irp: *mut Irp) -> NtStatus {
    let request = match Request::accept("WskSocket", irp) {
        Ok(request) => request,
        Err(status) => return status,
    };
    let fault = count(Call::WskSocket);
    let Some(registered) = registration::by_client(client).filter(|registered| registered.captures.get() > 0)
    else {
        record(
            Rule::Argument,
            "WskSocket was called with a client that captured no provider, or released it",
        );
        request.complete(NtStatus::INVALID_PARAMETER.into());
        return NtStatus::INVALID_PARAMETER;
    };
    let refusal = match (fault, wanted) {
        (Some(Fault::Status(status)), _) => Some(status),
        (
            _,
            Wanted {
                family: AF_INET,
                socket_type: SOCK_DGRAM,
                protocol: IPPROTO_UDP,
                flags: FLAG_DATAGRAM_SOCKET,
            },
        ) => None,
        // Windows has IPv6 and basic sockets, too; this network does not.
        (_, Wanted { family: AF_INET6, .. } | Wanted { flags: FLAG_BASIC_SOCKET, .. }) => {
            Some(NtStatus::NOT_SUPPORTED)
        }
        _ => Some(NtStatus::INVALID_PARAMETER),
    };
    let make = move || match refusal {
        Some(status) => status.into(),
        None => Ending { status: NtStatus::SUCCESS, information: Socket::create(Rc::clone(&registered)) },
    };
    match way(machine().config.wsk.controls, fault) {
        Some(way) => request.finish(way, |_| (), make),
        None => request.hang(|_| ()),
    }
}
