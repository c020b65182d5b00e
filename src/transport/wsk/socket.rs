//! A datagram socket that comes and goes with the network, opened without waiting.
//!
//! The DMA-timer thread owns it: [`Socket::advance`] starts to open it, and [`Socket::step_done`] goes on when a step has
//! ended (the thread also waits for that event). The steps are: capture the provider, make the socket, bind it; and
//! from there, or after a failure, close it. A failure is tried again after a while, and at once when playing begins.

use alloc::boxed::Box;
use core::cell::UnsafeCell;
use core::ffi::CStr;
use core::ptr::{NonNull, null_mut};

use super::client::{Client, Provider};
use crate::abi::wsk::{
    AF_INET, IN_ADDR, IPPROTO_UDP, SOCK_DGRAM, SOCKADDR_IN, WSK_FLAG_DATAGRAM_SOCKET,
    WSK_PROVIDER_DATAGRAM_DISPATCH, WSK_SOCKET,
};
use crate::events;
use crate::kernel::irp::Operation;
use crate::kernel::status::check;
use crate::kernel::{Event, Result, Status, try_box};

/// An open socket that packets can be sent from.
#[derive(Clone, Copy)]
pub struct OpenSocket {
    raw: NonNull<WSK_SOCKET>,
}

// SAFETY: a socket may be used in any thread.
unsafe impl Send for OpenSocket {}

impl OpenSocket {
    /// The raw socket.
    pub(super) fn as_ptr(self) -> *mut WSK_SOCKET {
        self.raw.as_ptr()
    }

    /// Its functions. The socket is open: the sender is told before it is closed.
    pub(super) fn dispatch(&self) -> &WSK_PROVIDER_DATAGRAM_DISPATCH {
        // SAFETY: the socket is open.
        let table = unsafe { self.raw.as_ref() }.Dispatch;
        // SAFETY: the table of a datagram socket is of this type, and lives as long as the socket.
        unsafe { &*table.cast() }
    }
}

/// Which step is under way, or was the last.
enum Phase {
    /// Nothing is open; not tried again before this counter reading.
    Closed { retry_at: u64 },
    /// The socket is being made.
    Opening,
    /// The socket is being bound.
    Binding(OpenSocket),
    /// Packets can be sent.
    Ready(OpenSocket),
    /// The socket is being closed.
    Closing,
}

/// A socket, open or not.
pub struct Socket {
    /// The number of the stream, for events.
    stream: u32,
    phase: Phase,
    provider: Option<Provider<'static>>,
    client: &'static Client,
    /// In a block of its own, as a step that is under way points to it.
    operation: Box<Operation>,
    /// Must stay valid until the bind completes.
    local: Box<UnsafeCell<SOCKADDR_IN>>,
    /// Ticks of the performance counter in a second: the longest time between two attempts.
    second: u64,
    /// Attempts that have failed one after the other.
    failures: u32,
}

// SAFETY: the address is only touched by the step that is under way.
unsafe impl Send for Socket {}

impl Socket {
    /// A socket that is not open yet, of a stream with a number. `second` is in ticks of the performance counter.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn try_new(stream: u32, client: &'static Client, second: u64) -> Result<Self> {
        Ok(Self {
            stream,
            phase: Phase::Closed { retry_at: 0 },
            provider: None,
            client,
            operation: try_box(Operation::try_new()?)?,
            local: try_box(UnsafeCell::new(ipv4_address([0; 4], 0)))?,
            second,
            failures: 0,
        })
    }

    /// Signalled when a step has ended; call [`Socket::step_done`] then.
    pub fn step_event(&self) -> &Event {
        self.operation.done()
    }

    /// Starts to open the socket, if it is closed and the time has come or it is tried `at_once`. PASSIVE_LEVEL.
    pub fn advance(&mut self, now: u64, at_once: bool) {
        let Phase::Closed { retry_at } = self.phase else { return };
        if now < retry_at && !at_once {
            return;
        }
        match self.client.capture() {
            Ok(provider) => self.open(provider),
            Err(status) => {
                self.failed(c"capture the network", status);
                self.closed(now);
            }
        }
    }

    /// Takes note that the step under way has ended, and starts the next. Returns the socket when it can be used now.
    ///
    /// The caller has waited for [`Socket::step_event`]. PASSIVE_LEVEL.
    pub fn step_done(&mut self, now: u64) -> Option<OpenSocket> {
        // SAFETY: the step's event was signalled, which is the last thing that happens to a step.
        let (status, information) = unsafe { self.operation.outcome() };
        match self.phase {
            Phase::Opening => match (check(status), NonNull::new(information as *mut WSK_SOCKET)) {
                (Ok(()), Some(raw)) => self.bind(OpenSocket { raw }),
                (result, _) => {
                    self.failed(c"make a socket", result.err().unwrap_or(Status::UNSUCCESSFUL));
                    self.closed(now);
                }
            },
            Phase::Binding(socket) => match check(status) {
                Ok(()) => {
                    self.phase = Phase::Ready(socket);
                    events::connected(self.stream, self.failures.saturating_add(1));
                    self.failures = 0;
                    return Some(socket);
                }
                Err(status) => {
                    self.failed(c"bind the socket", status);
                    self.start_close(socket);
                }
            },
            Phase::Closing => self.closed(now),
            Phase::Closed { .. } | Phase::Ready(_) => {}
        }
        None
    }

    /// Closes the socket if it is open, to be opened anew. No function of it may be running. PASSIVE_LEVEL.
    pub fn reopen(&mut self) {
        if let Phase::Ready(socket) = self.phase {
            events::disconnected(self.stream);
            self.start_close(socket);
        }
    }

    /// Closes the socket and waits until that is done: no packet sent from it is under way then. No function of the
    /// socket may be running. PASSIVE_LEVEL.
    pub fn close(&mut self) {
        loop {
            match self.phase {
                Phase::Closed { .. } => return,
                Phase::Ready(socket) => self.start_close(socket),
                Phase::Opening | Phase::Binding(_) | Phase::Closing => {}
            }
            self.operation.done().wait();
            let _ = self.step_done(0);
        }
    }

    fn open(&mut self, provider: Provider<'static>) {
        let npi = *provider.npi();
        self.provider = Some(provider);
        self.phase = Phase::Opening;
        // SAFETY: the provider is captured, so its table is valid.
        let make_socket = unsafe { &*npi.Dispatch }.WskSocket;
        let call = |irp| {
            // SAFETY: the arguments are those of an IPv4 datagram socket without callbacks, owner or security descriptor.
            unsafe {
                make_socket(
                    npi.Client,
                    AF_INET,
                    SOCK_DGRAM as u16,
                    IPPROTO_UDP as u32,
                    WSK_FLAG_DATAGRAM_SOCKET,
                    null_mut(),
                    core::ptr::null(),
                    null_mut(),
                    null_mut(),
                    null_mut(),
                    irp,
                )
            }
        };
        // SAFETY: no step is under way, and each is awaited before `self` goes (see `Drop`).
        unsafe { self.operation.start(call) };
    }

    fn bind(&mut self, socket: OpenSocket) {
        self.phase = Phase::Binding(socket);
        let local = self.local.get();
        let bind = socket.dispatch().WskBind;
        let call = |irp| {
            // SAFETY: the socket is open, and the address has a box of its own that outlives the step.
            unsafe { bind(socket.as_ptr(), local.cast(), 0, irp) }
        };
        // SAFETY: as in `open`.
        unsafe { self.operation.start(call) };
    }

    fn start_close(&mut self, socket: OpenSocket) {
        self.phase = Phase::Closing;
        let close = socket.dispatch().Basic.WskCloseSocket;
        let call = |irp| {
            // SAFETY: the socket is open, and no function of it is running (see `close`).
            unsafe { close(socket.as_ptr(), irp) }
        };
        // SAFETY: as in `open`.
        unsafe { self.operation.start(call) };
    }

    /// The waits between the attempts keep this event from being a frequent one.
    fn failed(&self, step: &CStr, status: Status) {
        events::connecting_failed(self.stream, step, self.failures.saturating_add(1), status.code());
    }

    fn closed(&mut self, now: u64) {
        // 1/64 of a second after the first failure, then twice as long each time, up to a second.
        let wait = self.second >> 6_u32.saturating_sub(self.failures);
        self.failures = self.failures.saturating_add(1);
        self.phase = Phase::Closed { retry_at: now.saturating_add(wait) };
        self.provider = None;
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.close();
    }
}

/// An IPv4 address and port as WSK wants it.
pub fn ipv4_address(octets: [u8; 4], port: u16) -> SOCKADDR_IN {
    let mut address = IN_ADDR::default();
    address.S_un.S_addr = u32::from_ne_bytes(octets);
    SOCKADDR_IN { sin_family: AF_INET, sin_port: port.to_be(), sin_addr: address, sin_zero: [0; 8] }
}
