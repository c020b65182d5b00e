//! Datagram sockets: the functions of `WSK_PROVIDER_DATAGRAM_DISPATCH`.
//!
//! Life: WskSocket makes one; options; WskBind gives it a local address; WskSendTo; WskCloseSocket completes
//! what is still pending (cancelled, unless its datagram has left), then its own IRP. From the call of WskCloseSocket on,
//! no function of the socket may be called, and none may be under way.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;

use super::abi::{ProviderDatagramDispatch, Sockaddr, WskBuf, WskSocket};
use super::address::{self, Family};
use super::options::WskControlSocket;
use super::registration::Registered;
use super::request::{Buffer, Ending, Request, way};
use super::{Call, Fault, count, state};
use crate::import;
use crate::kernel::dispatch_at;
use crate::machine::machine;
use crate::memory;
use crate::network::{Endpoint, Settings, network};
use crate::nt::{Irp, NtStatus, Pvoid};
use crate::schedule::{self, DISPATCH_LEVEL};
use crate::verifier::{Rule, record};

/// The table that every socket points to.
static DISPATCH: ProviderDatagramDispatch = ProviderDatagramDispatch {
    control_socket: WskControlSocket,
    close_socket: WskCloseSocket,
    bind: WskBind,
    send_to: WskSendTo,
    receive_from: WskReceiveFrom,
    release: WskRelease,
    get_local_address: WskGetLocalAddress,
    send_messages: WskSendMessages,
};

/// A datagram socket.
pub(super) struct Socket {
    registered: Rc<Registered>,
    /// Behind the WSK_SOCKET that the driver holds.
    object: *mut WskSocket,
    pub(super) family: Family,
    pub(super) settings: RefCell<Settings>,
    pub(super) endpoint: RefCell<Option<Endpoint>>,
    /// SIO_WSK_SET_SENDTO_ADDRESS or SIO_WSK_SET_REMOTE_ADDRESS.
    pub(super) fixed_destination: Cell<Option<SocketAddr>>,
    /// A call ended with STATUS_FILE_FORCED_CLOSED: the socket is good for nothing but to be closed.
    forced_closed: Cell<bool>,
    pending: RefCell<Vec<Rc<Request>>>,
    calls_under_way: Cell<u32>,
}

/// A call of a socket's function that is under way.
pub(super) struct Entered {
    pub(super) socket: Rc<Socket>,
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.socket.calls_under_way.set(self.socket.calls_under_way.get() - 1);
    }
}

impl Socket {
    /// Makes one; the address of its WSK_SOCKET.
    pub(super) fn create(registered: Rc<Registered>, family: Family) -> usize {
        let object = memory::allocate(size_of::<WskSocket>(), "a WSK_SOCKET").cast::<WskSocket>();
        // SAFETY: just allocated, for one WSK_SOCKET.
        unsafe { object.write(WskSocket { dispatch: &raw const DISPATCH }) };
        registered.open_sockets.set(registered.open_sockets.get() + 1);
        let socket = Self {
            registered,
            object,
            family,
            settings: RefCell::default(),
            endpoint: RefCell::default(),
            fixed_destination: Cell::new(None),
            forced_closed: Cell::new(false),
            pending: RefCell::default(),
            calls_under_way: Cell::new(0),
        };
        state().sockets.borrow_mut().insert(object.addr(), Rc::new(socket));
        object.addr()
    }

    /// Remembers a request that completes later.
    pub(super) fn remember(&self, request: &Rc<Request>) {
        let mut pending = self.pending.borrow_mut();
        pending.retain(|request| !request.is_completed());
        pending.push(Rc::clone(request));
    }
}

/// Begins a call of a socket's function: finds the socket and takes the IRP.
///
/// # Errors
/// STATUS_INVALID_PARAMETER or STATUS_INVALID_HANDLE, after a violation was recorded.
pub(super) fn enter(
    function: &'static str,
    object: *mut WskSocket,
    irp: *mut Irp,
) -> Result<(Entered, Rc<Request>), NtStatus> {
    let Some(socket) = state().sockets.borrow().get(&object.addr()).cloned() else {
        record(
            Rule::Object,
            format!("{function} was called on a socket that is closed, being closed, or never was one"),
        );
        return Err(NtStatus::INVALID_HANDLE);
    };
    let request = Request::accept(function, irp)?;
    socket.calls_under_way.set(socket.calls_under_way.get() + 1);
    Ok((Entered { socket }, request))
}

import! {
    /// Gives a socket its local address.
    fn WskBind(socket: *mut WskSocket, local: *const Sockaddr, flags: u32, irp: *mut Irp) -> NtStatus,
        irql <= DISPATCH_LEVEL; {
        match enter("WskBind", socket, irp) {
            Ok((entered, request)) => bind(&entered.socket, &request, local, flags),
            Err(status) => status,
        }
    }

    /// Sends one datagram.
    fn WskSendTo(socket: *mut WskSocket, buffer: *const WskBuf, flags: u32, remote: *const Sockaddr, control_length: u32,
        control: Pvoid, irp: *mut Irp) -> NtStatus, irql <= DISPATCH_LEVEL; {
        if control_length != 0 || !control.is_null() {
            record(Rule::Argument, "WskSendTo: control information is not simulated");
        }
        match enter("WskSendTo", socket, irp) {
            Ok((entered, request)) => send(&entered.socket, &request, buffer, flags, remote),
            Err(status) => status,
        }
    }

    /// Waits for a datagram; none ever comes, so it completes when the socket is closed.
    fn WskReceiveFrom(socket: *mut WskSocket, buffer: *const WskBuf, flags: u32, remote: *mut Sockaddr,
        control_length: *mut u32, control: Pvoid, control_flags: *mut u32, irp: *mut Irp) -> NtStatus,
        irql <= DISPATCH_LEVEL; {
        let _ = (buffer, flags, remote, control_length, control, control_flags);
        match enter("WskReceiveFrom", socket, irp) {
            Ok((entered, request)) if entered.socket.endpoint.borrow().is_some() => {
                request.hang(|request| entered.socket.remember(request))
            }
            Ok((_, request)) => {
                request.complete(NtStatus::INVALID_DEVICE_STATE.into());
                NtStatus::INVALID_DEVICE_STATE
            }
            Err(status) => status,
        }
    }

    /// Gives back datagrams that a callback kept; there are no callbacks here.
    fn WskRelease(socket: *mut WskSocket, indication: Pvoid) -> NtStatus, irql <= DISPATCH_LEVEL; {
        let _ = (socket, indication);
        record(Rule::Argument, "WskRelease was called, but no datagram was ever indicated");
        NtStatus::INVALID_PARAMETER
    }

    /// Asks for the address that WskBind chose.
    fn WskGetLocalAddress(socket: *mut WskSocket, local: *mut Sockaddr, irp: *mut Irp) -> NtStatus,
        irql <= DISPATCH_LEVEL; {
        match enter("WskGetLocalAddress", socket, irp) {
            Ok((entered, request)) => get_local_address(&entered.socket, &request, local),
            Err(status) => status,
        }
    }

    /// Not simulated: several datagrams in one call.
    fn WskSendMessages(socket: *mut WskSocket, buffer: *const WskBuf, flags: u32, remote: *const Sockaddr,
        control_length: u32, control: Pvoid, irp: *mut Irp) -> NtStatus, irql <= DISPATCH_LEVEL; {
        let _ = (buffer, flags, remote, control_length, control);
        match enter("WskSendMessages", socket, irp) {
            Ok((_, request)) => {
                request.complete(NtStatus::NOT_SUPPORTED.into());
                NtStatus::NOT_SUPPORTED
            }
            Err(status) => status,
        }
    }

    /// Closes a socket: everything pending is cancelled and completed first.
    fn WskCloseSocket(socket: *mut WskSocket, irp: *mut Irp) -> NtStatus, irql <= DISPATCH_LEVEL; {
        match enter("WskCloseSocket", socket, irp) {
            Ok((entered, request)) => close(&entered.socket, &request),
            Err(status) => status,
        }
    }
}

fn bind(socket: &Rc<Socket>, request: &Rc<Request>, local: *const Sockaddr, flags: u32) -> NtStatus {
    let fault = count(Call::WskBind);
    if flags != 0 {
        record(Rule::Argument, "WskBind: the flags are reserved and must be zero");
    }
    let local = socket.family.read("WskBind", local);
    let bound = Rc::clone(socket);
    let make = move || {
        let bind = || {
            if bound.endpoint.borrow().is_some() {
                return Err(NtStatus::INVALID_DEVICE_STATE);
            }
            if let Some(Fault::Status(status)) = fault {
                return Err(status);
            }
            network().bind(local?, &bound.settings.borrow())
        };
        match bind() {
            Ok(endpoint) => {
                *bound.endpoint.borrow_mut() = Some(endpoint);
                NtStatus::SUCCESS.into()
            }
            Err(status) => status.into(),
        }
    };
    match way(machine().config.wsk.controls, fault) {
        Some(way) => request.finish(way, |request| socket.remember(request), make),
        None => request.hang(|request| socket.remember(request)),
    }
}

fn send(
    socket: &Rc<Socket>,
    request: &Rc<Request>,
    buffer: *const WskBuf,
    flags: u32,
    remote: *const Sockaddr,
) -> NtStatus {
    let fault = count(Call::WskSendTo);
    if flags != 0 {
        record(Rule::Argument, "WskSendTo: the flags are reserved and must be zero");
    }
    let ready = || {
        let data = Buffer::read("WskSendTo", buffer)?;
        let destination = match socket.fixed_destination.get() {
            Some(fixed) if remote.is_null() => fixed,
            _ => socket.family.read("WskSendTo", remote)?,
        };
        request.watch(&data);
        if socket.forced_closed.get() {
            return Err(NtStatus::FILE_FORCED_CLOSED);
        }
        if let Some(Fault::Status(status)) = fault {
            socket.forced_closed.set(status == NtStatus::FILE_FORCED_CLOSED);
            return Err(status);
        }
        if socket.endpoint.borrow().is_none() {
            record(Rule::Argument, "WskSendTo: the socket must have been bound to a local address");
            return Err(NtStatus::INVALID_DEVICE_STATE);
        }
        Ok((destination, data.bytes()))
    };
    let ending = match ready() {
        Ok((destination, bytes)) if network().is_stalled() => {
            let (socket, held) = (Rc::clone(socket), Rc::clone(request));
            return request.hang(|request| {
                socket.remember(request);
                network().hold(move || {
                    if held.is_completed() {
                        return;
                    }
                    let ending = transmit(&socket, destination, bytes);
                    if fault != Some(Fault::Hangs) {
                        held.complete(ending);
                    }
                });
            });
        }
        Ok((destination, bytes)) => transmit(socket, destination, bytes),
        Err(status) => status.into(),
    };
    match way(machine().config.wsk.sends, fault) {
        Some(way) => {
            request.is_done_but_for_completion(ending);
            request.finish(way, |request| socket.remember(request), move || ending)
        }
        None => request.hang(|request| socket.remember(request)),
    }
}

/// Hands a datagram to the network; what the request for it ends with.
fn transmit(socket: &Socket, destination: SocketAddr, bytes: Vec<u8>) -> Ending {
    let endpoint = socket.endpoint.borrow();
    // Only a socket that is being closed has none here.
    let Some(endpoint) = endpoint.as_ref() else { return NtStatus::CANCELLED.into() };
    let information = bytes.len();
    match network().send(endpoint, &socket.settings.borrow(), destination, bytes) {
        Ok(()) => Ending { status: NtStatus::SUCCESS, information },
        Err(status) => status.into(),
    }
}

fn get_local_address(socket: &Rc<Socket>, request: &Rc<Request>, local: *mut Sockaddr) -> NtStatus {
    let bound = socket.endpoint.borrow().as_ref().map(|endpoint| endpoint.local);
    let ending = match bound {
        Some(address) => {
            // SAFETY: the driver's structure, which has room for an address of the socket's family.
            unsafe { address::write(local, address) };
            NtStatus::SUCCESS
        }
        None => NtStatus::INVALID_DEVICE_STATE,
    };
    request.finish(machine().config.wsk.controls, |request| socket.remember(request), move || ending.into())
}

fn close(socket: &Rc<Socket>, request: &Rc<Request>) -> NtStatus {
    let fault = count(Call::WskCloseSocket);
    if socket.calls_under_way.get() > 1 {
        record(Rule::Object, "WskCloseSocket was called while another call on the socket was under way");
    }
    // From now on a call on the socket finds none.
    state().sockets.borrow_mut().remove(&socket.object.addr());
    let pending: Vec<_> =
        socket.pending.take().into_iter().filter(|request| !request.is_completed()).collect();
    let closing = Rc::clone(socket);
    let finish = move || {
        if let Some(endpoint) = closing.endpoint.take() {
            network().close(&endpoint);
        }
        closing.registered.open_sockets.set(closing.registered.open_sockets.get() - 1);
        memory::free(closing.object.cast());
        Ending::from(NtStatus::SUCCESS)
    };
    if pending.is_empty() {
        return match way(machine().config.wsk.controls, fault) {
            Some(way) => request.finish(way, |_| (), finish),
            None => request.hang(|_| ()),
        };
    }
    // Requests in flight are completed first, from another thread, as the cancellation of a real stack is.
    let own = Rc::clone(request);
    request.hang(|_| {
        dispatch_at(schedule::now(), DISPATCH_LEVEL, "WskCloseSocket", move || {
            for request in pending {
                request.complete_closed();
            }
            if fault != Some(Fault::Hangs) {
                own.complete(finish());
            }
        });
    })
}

pub(super) fn check_unload() {
    for socket in state().sockets.borrow().values() {
        let pending = socket.pending.borrow().iter().filter(|request| !request.is_completed()).count();
        record(
            Rule::Unload,
            format!("the driver was unloaded with a socket open ({pending} requests pending)"),
        );
    }
}
