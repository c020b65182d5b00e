//! A datagram socket that comes and goes with the network, opened without waiting.
//!
//! The DMA-timer thread owns it, and calls [`Socket::go_on`] whenever it wakes; the end of a step wakes it. The steps are:
//! capture the provider, make the socket, share the port, bind, choose the interface, set the TTL (those that the options
//! ask for); and from there, or after a failure, close it. A step of the setup that does not end is ended by closing the
//! socket. A failure is tried again after a while, and at once when playing begins.

use alloc::boxed::Box;
use core::cell::UnsafeCell;
use core::ffi::CStr;
use core::ptr::{NonNull, null_mut};

use super::client::{Client, Provider};
use super::setup::{SocketOption, SocketSetup};
use crate::abi::wsk::{
    IPPROTO_UDP, SOCK_DGRAM, WSK_FLAG_DATAGRAM_SOCKET, WSK_PROVIDER_DATAGRAM_DISPATCH, WSK_SOCKET,
    WskSetOption,
};
use crate::events::{self, Pace};
use crate::kernel::irp::Operation;
use crate::kernel::status::check;
use crate::kernel::{Event, Result, Shared, SockAddr, Status, try_box};

/// The longest time between two attempts, in halvings of a second: 1/2. So sound is back within a second of the network.
/// A socket that was open that long is no failed attempt, and a step of its setup that takes that long is one.
const LONGEST_WAIT: u32 = 1;
/// The shortest time between two attempts, in halvings of a second: 1/64.
const SHORTEST_WAIT: u32 = 6;

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
#[derive(Clone, Copy)]
enum Phase {
    /// Nothing is open; not tried again before this counter reading.
    Closed { retry_at: u64 },
    /// The socket is being made.
    Opening,
    /// A step of the setup is under way.
    SettingUp(OpenSocket, Step),
    /// Packets can be sent, since this counter reading.
    Ready(OpenSocket, u64),
    /// The socket is being closed; so many calls have yet to end.
    Closing { calls: u8 },
}

/// A step of the setup of a socket, in their order.
#[derive(Clone, Copy)]
enum Step {
    Share,
    Bind,
    Interface,
    HopLimit,
}

impl Step {
    const fn next(self) -> Option<Self> {
        match self {
            Self::Share => Some(Self::Bind),
            Self::Bind => Some(Self::Interface),
            Self::Interface => Some(Self::HopLimit),
            Self::HopLimit => None,
        }
    }

    /// Whether packets are better not sent without it: they would leave by a wrong interface.
    const fn is_essential(self) -> bool {
        matches!(self, Self::Bind | Self::Interface)
    }

    fn option(self, setup: &SocketSetup) -> Option<SocketOption> {
        match self {
            Self::Share => setup.sharing(),
            Self::Bind => None,
            Self::Interface => setup.interface(),
            Self::HopLimit => setup.hop_limit(),
        }
    }

    /// For events.
    fn name(self, setup: &SocketSetup) -> &'static CStr {
        self.option(setup).map_or(c"bind the socket", |option| option.name)
    }
}

/// What a step points to until it ends.
struct Arguments {
    local: SockAddr,
    value: [u8; 4],
}

/// The socket of one target, open or not.
pub struct Socket {
    /// The number of the stream, for events.
    stream: u32,
    setup: SocketSetup,
    phase: Phase,
    provider: Option<Provider<'static>>,
    client: &'static Client,
    operation: Operation,
    /// Closes the socket, also while a step of the setup is under way.
    closing: Operation,
    /// The counter when the last step of an attempt began: so long ago was that attempt, or is that step under way.
    begun: u64,
    arguments: UnsafeCell<Arguments>,
    /// Ticks of the performance counter in a second.
    second: u64,
    /// Attempts that have failed one after the other.
    failures: u32,
    /// A socket that is of no use is replaced often, and told of now and then: with its replacement.
    pace: Pace,
    tells: bool,
}

// SAFETY: the arguments are only touched by the step that is under way.
unsafe impl Send for Socket {}

impl Socket {
    /// A socket that is not open yet, of a stream with a number. `second` is in ticks of the performance counter; the end
    /// of a step sets `wake`. In a block of its own, as a step that is under way points to it.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn try_new(
        stream: u32,
        setup: SocketSetup,
        client: &'static Client,
        second: u64,
        wake: Shared<Event>,
    ) -> Result<Box<Self>> {
        let arguments = Arguments { local: setup.local.into(), value: [0; 4] };
        try_box(Self {
            stream,
            setup,
            phase: Phase::Closed { retry_at: 0 },
            provider: None,
            client,
            operation: Operation::try_new(wake.clone())?,
            closing: Operation::try_new(wake)?,
            begun: 0,
            arguments: UnsafeCell::new(arguments),
            second,
            failures: 0,
            pace: Pace::new(second),
            tells: true,
        })
    }

    /// Takes note of steps that have ended, and starts the next; begins to open a socket that is closed if the time has
    /// come or it is tried `at_once`. Returns the socket when it can be used from now on. PASSIVE_LEVEL.
    pub fn go_on(&mut self, now: u64, at_once: bool) -> Option<OpenSocket> {
        if let Phase::Closed { retry_at } = self.phase
            && (now >= retry_at || at_once)
        {
            self.begin(now);
        }
        let ready = self.take_outcomes(now);
        if let Phase::SettingUp(socket, step) = self.phase
            && now.saturating_sub(self.begun) >= self.second >> LONGEST_WAIT
        {
            self.failed(step.name(&self.setup), Status::IO_TIMEOUT);
            self.start_close(socket, 2);
            return self.take_outcomes(now);
        }
        ready
    }

    /// Takes note of what has ended, and starts what comes after it, until the socket can be used.
    fn take_outcomes(&mut self, now: u64) -> Option<OpenSocket> {
        while let Some((status, information)) =
            self.operation.take_outcome().or_else(|| self.closing.take_outcome())
        {
            let ready = self.step_done(now, check(status), information);
            if ready.is_some() {
                return ready;
            }
        }
        None
    }

    /// Closes the socket if it is open, to be opened anew. No function of it may be running. PASSIVE_LEVEL.
    pub fn reopen(&mut self, now: u64) {
        if let Phase::Ready(socket, since) = self.phase {
            self.tells = self.pace.allows(now);
            if self.tells {
                events::disconnected(self.stream, &self.setup.target.into());
            }
            if now.saturating_sub(since) >= self.second >> LONGEST_WAIT {
                self.failures = 0;
            }
            self.begun = now;
            self.start_close(socket, 1);
        }
    }

    /// Begins to close the socket, if that is possible now; [`Socket::close`] waits for the end. No function of it may be
    /// running. PASSIVE_LEVEL.
    pub fn begin_close(&mut self) {
        match self.phase {
            Phase::Ready(socket, _) => self.start_close(socket, 1),
            Phase::SettingUp(socket, _) => self.start_close(socket, 2),
            Phase::Closed { .. } | Phase::Opening | Phase::Closing { .. } => {}
        }
    }

    /// Closes the socket and waits until that is done: no packet sent from it is under way then. No function of the
    /// socket may be running. PASSIVE_LEVEL.
    pub fn close(&mut self) {
        loop {
            self.begin_close();
            if let Phase::Closed { .. } = self.phase {
                return;
            }
            self.operation.wait_for_either(&self.closing);
            let _ = self.take_outcomes(0);
        }
    }

    /// What comes after a step.
    fn step_done(&mut self, now: u64, result: Result, information: usize) -> Option<OpenSocket> {
        match self.phase {
            Phase::Opening => match (result, NonNull::new(information as *mut WSK_SOCKET)) {
                (Ok(()), Some(raw)) => return self.set_up(now, OpenSocket { raw }, Some(Step::Share)),
                (result, _) => {
                    self.failed(c"make a socket", result.err().unwrap_or(Status::UNSUCCESSFUL));
                    self.closed();
                }
            },
            Phase::SettingUp(socket, step) => {
                if let Err(status) = result {
                    self.failed(step.name(&self.setup), status);
                    if step.is_essential() {
                        self.start_close(socket, 1);
                        return None;
                    }
                }
                return self.set_up(now, socket, step.next());
            }
            Phase::Closing { calls: 2.. } => self.phase = Phase::Closing { calls: 1 },
            Phase::Closing { .. } => self.closed(),
            Phase::Closed { .. } | Phase::Ready(..) => {}
        }
        None
    }

    /// Captures the provider and starts to make a socket.
    fn begin(&mut self, now: u64) {
        self.begun = now;
        let provider = match self.client.capture() {
            Ok(provider) => provider,
            Err(status) => {
                self.failed(c"capture the network", status);
                self.closed();
                return;
            }
        };
        let npi = *provider.npi();
        self.provider = Some(provider);
        self.phase = Phase::Opening;
        let family = self.setup.family();
        // SAFETY: the provider is captured, so its table is valid.
        let make_socket = unsafe { &*npi.Dispatch }.WskSocket;
        let call = |irp| {
            // SAFETY: the arguments are those of a datagram socket without callbacks, owner or security descriptor.
            unsafe {
                make_socket(
                    npi.Client,
                    family,
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
        // SAFETY: no step is under way; `self` has a block of its own, and each step is awaited before it goes.
        unsafe { self.operation.start(call) };
    }

    /// Starts the first of the steps from `step` on that there is anything to do in. Without one, the socket is ready.
    fn set_up(&mut self, now: u64, socket: OpenSocket, mut step: Option<Step>) -> Option<OpenSocket> {
        while let Some(this) = step {
            self.phase = Phase::SettingUp(socket, this);
            self.begun = now;
            if let Step::Bind = this {
                self.bind(socket);
                return None;
            }
            if let Some(option) = this.option(&self.setup) {
                self.set_option(socket, option);
                return None;
            }
            step = this.next();
        }
        self.phase = Phase::Ready(socket, now);
        if self.tells {
            events::connected(self.stream, &self.setup.target.into(), self.failures.saturating_add(1));
        }
        Some(socket)
    }

    fn bind(&mut self, socket: OpenSocket) {
        let local = self.arguments.get_mut().local.as_ptr().cast_mut();
        let bind = socket.dispatch().WskBind;
        let call = |irp| {
            // SAFETY: the socket is open, and the address, which is only read, outlives the step.
            unsafe { bind(socket.as_ptr(), local, 0, irp) }
        };
        // SAFETY: as in `begin`.
        unsafe { self.operation.start(call) };
    }

    fn set_option(&mut self, socket: OpenSocket, option: SocketOption) {
        let arguments = self.arguments.get_mut();
        arguments.value = option.value;
        let value = arguments.value.as_mut_ptr();
        let control = socket.dispatch().Basic.WskControlSocket;
        let call = |irp| {
            // SAFETY: the socket is open, and the value outlives the step; nothing is returned.
            unsafe {
                control(
                    socket.as_ptr(),
                    WskSetOption,
                    option.code,
                    option.level,
                    size_of_val(&option.value) as u64,
                    value.cast(),
                    0,
                    null_mut(),
                    null_mut(),
                    irp,
                )
            }
        };
        // SAFETY: as in `begin`.
        unsafe { self.operation.start(call) };
    }

    /// `calls` have to end: this one, and the step of the setup that is under way, if there is one, which this ends too.
    fn start_close(&mut self, socket: OpenSocket, calls: u8) {
        self.phase = Phase::Closing { calls };
        let close = socket.dispatch().Basic.WskCloseSocket;
        let call = |irp| {
            // SAFETY: the socket is open, and no function of it is running (see `close`).
            unsafe { close(socket.as_ptr(), irp) }
        };
        // SAFETY: as in `begin`; the phase was another, so the socket was not being closed.
        unsafe { self.closing.start(call) };
    }

    /// The waits between the attempts keep this event from being a frequent one.
    fn failed(&self, step: &CStr, status: Status) {
        let attempt = self.failures.saturating_add(1);
        events::connecting_failed(self.stream, &self.setup.target.into(), step, attempt, status.code());
    }

    fn closed(&mut self) {
        let halvings = SHORTEST_WAIT.saturating_sub(self.failures).max(LONGEST_WAIT);
        self.failures = self.failures.saturating_add(1);
        self.phase = Phase::Closed { retry_at: self.begun.saturating_add(self.second >> halvings) };
        self.provider = None;
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.close();
    }
}
