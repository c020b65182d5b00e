//! The functions of a captured provider: those of `WSK_PROVIDER_DISPATCH`.

use std::rc::Rc;

use super::abi::{
    FLAG_BASIC_SOCKET, FLAG_DATAGRAM_SOCKET, IPPROTO_UDP, ProviderDispatch, SOCK_DGRAM, Sockaddr, VERSION_1_1,
};
use super::address::Family;
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

impl Wanted {
    /// The family of the datagram socket that is wanted.
    ///
    /// # Errors
    /// STATUS_NOT_SUPPORTED: Windows has such sockets, and this network does not. STATUS_INVALID_PARAMETER: it has none.
    fn family(&self) -> Result<Family, NtStatus> {
        match (self.socket_type, self.protocol, self.flags) {
            (SOCK_DGRAM, IPPROTO_UDP, FLAG_DATAGRAM_SOCKET) => {
                Family::of(self.family).ok_or(NtStatus::INVALID_PARAMETER)
            }
            (_, _, FLAG_BASIC_SOCKET) => Err(NtStatus::NOT_SUPPORTED),
            _ => Err(NtStatus::INVALID_PARAMETER),
        }
    }
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
    fn WskSocketConnect(client: Pvoid, socket_type: u16, protocol: u32, local: *const Sockaddr,
        remote: *const Sockaddr, flags: u32, context: Pvoid, dispatch: Pvoid, process: Pvoid, thread: Pvoid,
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
    fn WskGetNameInfo(client: Pvoid, address: *const Sockaddr, length: u32, node: *mut UnicodeString,
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
    let family = match fault {
        Some(Fault::Status(status)) => Err(status),
        _ => wanted.family(),
    };
    let make = move || match family {
        Err(status) => status.into(),
        Ok(family) => {
            Ending { status: NtStatus::SUCCESS, information: Socket::create(Rc::clone(&registered), family) }
        }
    };
    match way(machine().config.wsk.controls, fault) {
        Some(way) => request.finish(way, |_| (), make),
        None => request.hang(|_| ()),
    }
}
