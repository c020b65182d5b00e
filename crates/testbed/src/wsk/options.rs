//! WskControlSocket: socket options and I/O controls.
//!
//! Options of SOL_SOCKET take a ULONG and must be given an IRP (the pages of SO_REUSEADDR and SO_EXCLUSIVEADDRUSE);
//! the first two must be set before the socket is bound. Those of IPPROTO_IP are the ones of Winsock: a DWORD, for
//! IP_MULTICAST_IF the interface's address in network order.

use std::net::Ipv4Addr;
use std::rc::Rc;

use super::abi::{
    GET_OPTION, IOCTL, IP_MULTICAST_IF, IP_MULTICAST_LOOP, IP_MULTICAST_TTL, IP_TTL, IPPROTO_IP, SET_OPTION,
    SIO_WSK_SET_REMOTE_ADDRESS, SIO_WSK_SET_SENDTO_ADDRESS, SO_BROADCAST, SO_EXCLUSIVEADDRUSE, SO_REUSEADDR,
    SO_SNDBUF, SOL_SOCKET, SockaddrIn, WskSocket,
};
use super::request::{Ending, way};
use super::socket::{Socket, address, enter};
use super::{Call, Fault, count};
use crate::import;
use crate::machine::machine;
use crate::network::network;
use crate::nt::{Irp, NtStatus, Pvoid};
use crate::schedule::DISPATCH_LEVEL;
use crate::verifier::{Rule, record};

import! {
    /// Sets or reads an option, or performs an I/O control.
    pub(super) fn WskControlSocket(socket: *mut WskSocket, request: u32, code: u32, level: u32, input_size: usize,
        input: Pvoid, output_size: usize, output: Pvoid, returned: *mut usize, irp: *mut Irp) -> NtStatus,
        irql <= DISPATCH_LEVEL; {
        let _ = returned;
        let control = Control { request, code, level, input_size, input, output_size, output };
        match enter("WskControlSocket", socket, irp) {
            Ok((entered, request)) => {
                let fault = count(Call::WskControlSocket);
                let socket = Rc::clone(&entered.socket);
                // Buffers may be used until the request completes, so they are used then.
                let perform = move || match fault {
                    Some(Fault::Status(status)) => status.into(),
                    _ => control.perform(&socket),
                };
                match way(machine().config.wsk.controls, fault) {
                    Some(way) => request.finish(way, |request| entered.socket.remember(request), perform),
                    None => request.hang(|request| entered.socket.remember(request)),
                }
            }
            Err(status) => status,
        }
    }
}

struct Control {
    request: u32,
    code: u32,
    level: u32,
    input_size: usize,
    input: Pvoid,
    output_size: usize,
    output: Pvoid,
}

impl Control {
    fn perform(&self, socket: &Socket) -> Ending {
        match self.request {
            SET_OPTION => {
                self.input().and_then(|value| self.set(socket, value)).err().unwrap_or_default().into()
            }
            GET_OPTION => match self.get(socket) {
                Ok(value) => self.answer(value),
                Err(status) => status.into(),
            },
            IOCTL => self.ioctl(socket).err().unwrap_or_default().into(),
            other => {
                record(Rule::Argument, format!("WskControlSocket: {other} is no type of request"));
                NtStatus::INVALID_PARAMETER.into()
            }
        }
    }

    /// The DWORD that every option here takes.
    fn input(&self) -> Result<[u8; 4], NtStatus> {
        if self.input.is_null() || self.input_size < 4 {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        // SAFETY: the driver says that so many bytes are there, and keeps them until the request completes.
        Ok(unsafe { self.input.cast::<[u8; 4]>().read_unaligned() })
    }

    fn set(&self, socket: &Socket, value: [u8; 4]) -> Result<(), NtStatus> {
        let number = u32::from_ne_bytes(value);
        let mut options = socket.options.borrow().clone();
        let before_bind = socket.endpoint.borrow().is_none();
        match (self.level, self.code) {
            (SOL_SOCKET, SO_REUSEADDR | SO_EXCLUSIVEADDRUSE) if !before_bind => {
                record(
                    Rule::Argument,
                    "WskControlSocket: the sharing of an address is set before the socket is bound",
                );
                return Err(NtStatus::INVALID_DEVICE_STATE);
            }
            (SOL_SOCKET, SO_REUSEADDR) => options.reuse_address = number != 0,
            (SOL_SOCKET, SO_EXCLUSIVEADDRUSE) => options.exclusive_address = number != 0,
            (SOL_SOCKET, SO_BROADCAST | SO_SNDBUF) => {}
            (IPPROTO_IP, IP_TTL) => options.ttl = Some(time_to_live(number, 1)?),
            (IPPROTO_IP, IP_MULTICAST_TTL) => options.multicast_ttl = Some(time_to_live(number, 0)?),
            (IPPROTO_IP, IP_MULTICAST_LOOP) => options.multicast_loopback = Some(number != 0),
            (IPPROTO_IP, IP_MULTICAST_IF) => options.multicast_interface = Some(Ipv4Addr::from(value)),
            // What the transport does not know.
            _ => return Err(NtStatus::INVALID_PARAMETER),
        }
        if let Some(endpoint) = socket.endpoint.borrow().as_ref() {
            network().apply_options(endpoint, &options)?;
        }
        *socket.options.borrow_mut() = options;
        Ok(())
    }

    fn get(&self, socket: &Socket) -> Result<u32, NtStatus> {
        let options = socket.options.borrow();
        Ok(match (self.level, self.code) {
            (SOL_SOCKET, SO_REUSEADDR) => u32::from(options.reuse_address),
            (SOL_SOCKET, SO_EXCLUSIVEADDRUSE) => u32::from(options.exclusive_address),
            // Windows' defaults: 128 hops, 1 for multicast, multicast loops back.
            (IPPROTO_IP, IP_TTL) => u32::from(options.ttl.unwrap_or(128)),
            (IPPROTO_IP, IP_MULTICAST_TTL) => u32::from(options.multicast_ttl.unwrap_or(1)),
            (IPPROTO_IP, IP_MULTICAST_LOOP) => u32::from(options.multicast_loopback.unwrap_or(true)),
            _ => return Err(NtStatus::INVALID_PARAMETER),
        })
    }

    fn answer(&self, value: u32) -> Ending {
        if self.output.is_null() || self.output_size < 4 {
            return NtStatus::BUFFER_TOO_SMALL.into();
        }
        // SAFETY: the driver says that so many bytes are there, and keeps them until the request completes.
        unsafe { self.output.cast::<u32>().write_unaligned(value) };
        Ending { status: NtStatus::SUCCESS, information: 4 }
    }

    fn ioctl(&self, socket: &Socket) -> Result<(), NtStatus> {
        match self.code {
            SIO_WSK_SET_REMOTE_ADDRESS | SIO_WSK_SET_SENDTO_ADDRESS => {
                if self.input_size < size_of::<SockaddrIn>() {
                    return Err(NtStatus::INVALID_PARAMETER);
                }
                let destination = address("WskControlSocket", self.input.cast())?;
                socket.fixed_destination.set(Some(destination));
                Ok(())
            }
            _ => Err(NtStatus::INVALID_DEVICE_REQUEST),
        }
    }
}

fn time_to_live(number: u32, lowest: u8) -> Result<u8, NtStatus> {
    u8::try_from(number).ok().filter(|ttl| *ttl >= lowest).ok_or(NtStatus::INVALID_PARAMETER)
}
