//! WskControlSocket: socket options and I/O controls.
//!
//! Options of SOL_SOCKET take a ULONG and must be given an IRP (the pages of SO_REUSEADDR and SO_EXCLUSIVEADDRUSE);
//! the first two must be set before the socket is bound. Those of IPPROTO_IP and IPPROTO_IPV6 are the ones of Winsock,
//! each a DWORD, and belong to sockets of that family. From the pages "IPPROTO_IP Socket Options" and "IPPROTO_IPV6
//! Socket Options", an interface is named
//!
//! * for IP_MULTICAST_IF by one of its addresses, or by its index as 0.x.x.x, both in network order;
//! * for IP_UNICAST_IF by its index in network order, and is told in host order when the option is read;
//! * for IPV6_MULTICAST_IF and IPV6_UNICAST_IF by its index in host order;
//!
//! and zero leaves it to the routes. A name that no interface has is WSAEADDRNOTAVAIL to Winsock, so that
//! STATUS_INVALID_ADDRESS_COMPONENT is what a driver sees. Not simulated: options of IPPROTO_IP for a socket of both
//! families.

use std::net::Ipv4Addr;
use std::rc::Rc;

use super::abi::{
    GET_OPTION, IOCTL, IP_MULTICAST_IF, IP_MULTICAST_LOOP, IP_MULTICAST_TTL, IP_TTL, IP_UNICAST_IF,
    IPPROTO_IP, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_IF, IPV6_MULTICAST_LOOP, IPV6_UNICAST_HOPS,
    IPV6_UNICAST_IF, IPV6_V6ONLY, SET_OPTION, SIO_WSK_SET_REMOTE_ADDRESS, SIO_WSK_SET_SENDTO_ADDRESS,
    SO_BROADCAST, SO_EXCLUSIVEADDRUSE, SO_REUSEADDR, SO_SNDBUF, SOL_SOCKET, UNSPECIFIED_HOP_LIMIT, WskSocket,
};
use super::address::Family;
use super::request::{Ending, way};
use super::socket::{Socket, enter};
use super::{Call, Fault, count};
use crate::import;
use crate::machine::machine;
use crate::network::{InterfaceName, Settings, SocketOptions, network};
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
        let on = value != [0; 4];
        let mut settings = socket.settings.borrow().clone();
        let before_bind = socket.endpoint.borrow().is_none();
        match (self.level, self.code) {
            (SOL_SOCKET, SO_REUSEADDR | SO_EXCLUSIVEADDRUSE) if !before_bind => {
                record(
                    Rule::Argument,
                    "WskControlSocket: the sharing of an address is set before the socket is bound",
                );
                return Err(NtStatus::INVALID_DEVICE_STATE);
            }
            (SOL_SOCKET, SO_REUSEADDR) => settings.options.reuse_address = on,
            (SOL_SOCKET, SO_EXCLUSIVEADDRUSE) => settings.options.exclusive_address = on,
            (SOL_SOCKET, SO_BROADCAST | SO_SNDBUF) => {}
            (IPPROTO_IPV6, IPV6_V6ONLY) if socket.family == Family::V6 && before_bind => {
                settings.options.v6_only = Some(on);
            }
            (IPPROTO_IP, code) if socket.family == Family::V4 => set_v4(&mut settings, code, value)?,
            (IPPROTO_IPV6, code) if socket.family == Family::V6 => set_v6(&mut settings, code, value)?,
            // What the transport does not know.
            _ => return Err(NtStatus::INVALID_PARAMETER),
        }
        if let Some(endpoint) = socket.endpoint.borrow().as_ref() {
            network().apply(endpoint, &settings)?;
        }
        *socket.settings.borrow_mut() = settings;
        Ok(())
    }

    fn get(&self, socket: &Socket) -> Result<u32, NtStatus> {
        let options = &socket.settings.borrow().options;
        match (self.level, self.code) {
            (SOL_SOCKET, SO_REUSEADDR) => Ok(u32::from(options.reuse_address)),
            (SOL_SOCKET, SO_EXCLUSIVEADDRUSE) => Ok(u32::from(options.exclusive_address)),
            (IPPROTO_IP, code) if socket.family == Family::V4 => get_v4(options, code),
            (IPPROTO_IPV6, code) if socket.family == Family::V6 => get_v6(options, code),
            _ => Err(NtStatus::INVALID_PARAMETER),
        }
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
                if self.input_size < socket.family.address_bytes() {
                    return Err(NtStatus::INVALID_PARAMETER);
                }
                let destination = socket.family.read("WskControlSocket", self.input.cast())?;
                socket.fixed_destination.set(Some(destination));
                Ok(())
            }
            _ => Err(NtStatus::INVALID_DEVICE_REQUEST),
        }
    }
}

/// Sets an option of IPPROTO_IP.
fn set_v4(settings: &mut Settings, code: u32, value: [u8; 4]) -> Result<(), NtStatus> {
    let (number, in_network_order) = (u32::from_ne_bytes(value), u32::from_be_bytes(value));
    let options = &mut settings.options;
    match code {
        IP_TTL => options.ttl = Some(hops(number, 1)?),
        IP_MULTICAST_TTL => options.multicast_ttl = Some(hops(number, 0)?),
        IP_MULTICAST_LOOP => options.multicast_loopback = Some(number != 0),
        IP_MULTICAST_IF => settings.set_multicast_interface(match value {
            [0, 0, 0, 0] => None,
            [0, ..] => Some(InterfaceName::Index(in_network_order)),
            address => Some(InterfaceName::Address(Ipv4Addr::from(address))),
        })?,
        IP_UNICAST_IF => {
            settings.set_unicast_interface(Some(in_network_order).filter(|index| *index != 0))?;
        }
        _ => return Err(NtStatus::INVALID_PARAMETER),
    }
    Ok(())
}

/// Sets an option of IPPROTO_IPV6.
fn set_v6(settings: &mut Settings, code: u32, value: [u8; 4]) -> Result<(), NtStatus> {
    let number = u32::from_ne_bytes(value);
    let index = Some(number).filter(|index| *index != 0);
    let limit = || match number {
        UNSPECIFIED_HOP_LIMIT => Ok(None),
        number => hops(number, 0).map(Some),
    };
    match code {
        IPV6_UNICAST_HOPS => settings.options.ttl = limit()?,
        IPV6_MULTICAST_HOPS => settings.options.multicast_ttl = limit()?,
        IPV6_MULTICAST_LOOP => settings.options.multicast_loopback = Some(number != 0),
        IPV6_MULTICAST_IF => settings.set_multicast_interface(index.map(InterfaceName::Index))?,
        IPV6_UNICAST_IF => settings.set_unicast_interface(index)?,
        _ => return Err(NtStatus::INVALID_PARAMETER),
    }
    Ok(())
}

/// Reads an option of IPPROTO_IP.
fn get_v4(options: &SocketOptions, code: u32) -> Result<u32, NtStatus> {
    Ok(match code {
        IP_TTL => unicast_hops(options),
        IP_MULTICAST_TTL => multicast_hops(options),
        IP_MULTICAST_LOOP => loops_back(options),
        IP_MULTICAST_IF => match options.multicast_interface {
            Some(InterfaceName::Address(address)) => u32::from_ne_bytes(address.octets()),
            Some(InterfaceName::Index(index)) => index.to_be(),
            None => 0,
        },
        IP_UNICAST_IF => options.unicast_interface.unwrap_or(0),
        _ => return Err(NtStatus::INVALID_PARAMETER),
    })
}

/// Reads an option of IPPROTO_IPV6.
fn get_v6(options: &SocketOptions, code: u32) -> Result<u32, NtStatus> {
    Ok(match code {
        IPV6_UNICAST_HOPS => unicast_hops(options),
        IPV6_MULTICAST_HOPS => multicast_hops(options),
        IPV6_MULTICAST_LOOP => loops_back(options),
        IPV6_MULTICAST_IF => match options.multicast_interface {
            Some(InterfaceName::Index(index)) => index,
            _ => 0,
        },
        IPV6_UNICAST_IF => options.unicast_interface.unwrap_or(0),
        IPV6_V6ONLY => u32::from(options.v6_only.unwrap_or(true)),
        _ => return Err(NtStatus::INVALID_PARAMETER),
    })
}

// Windows' defaults: 128 hops, 1 for multicast, multicast loops back.

fn unicast_hops(options: &SocketOptions) -> u32 {
    u32::from(options.ttl.unwrap_or(128))
}

fn multicast_hops(options: &SocketOptions) -> u32 {
    u32::from(options.multicast_ttl.unwrap_or(1))
}

fn loops_back(options: &SocketOptions) -> u32 {
    u32::from(options.multicast_loopback.unwrap_or(true))
}

fn hops(number: u32, lowest: u8) -> Result<u8, NtStatus> {
    u8::try_from(number).ok().filter(|hops| *hops >= lowest).ok_or(NtStatus::INVALID_PARAMETER)
}
