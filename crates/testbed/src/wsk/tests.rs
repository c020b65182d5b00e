//! The rules of Winsock Kernel, broken one by one by a client that is written here.

use std::cell::Cell;
use std::net::SocketAddr;
use std::ptr;

use super::abi::*;
use super::registration::{WskCaptureProviderNPI, WskDeregister, WskRegister, WskReleaseProviderNPI};
use super::{Call, Completion, Fault, Setup, address, inject};
use crate::kernel::{irp, mdl};
use crate::memory;
use crate::network;
use crate::nt::{DeviceObject, Irp, Mdl, NtStatus, Pvoid, mdl_flags, stack_control};
use crate::schedule;
use crate::verifier::Rule;
use crate::{Config, Machine};

thread_local! {
    /// Status and information of the last completion.
    static COMPLETED: Cell<Option<(NtStatus, usize)>> = const { Cell::new(None) };
}

unsafe extern "efiapi" fn completed(
    _device: *mut DeviceObject,
    packet: *mut Irp,
    _context: Pvoid,
) -> NtStatus {
    // SAFETY: the request that is being completed.
    let result = unsafe { (*packet).io_status };
    COMPLETED.set(Some((result.status, result.information)));
    NtStatus::MORE_PROCESSING_REQUIRED
}

/// A request with a completion routine.
pub(super) fn request() -> *mut Irp {
    let packet = irp::allocate(1);
    // SAFETY: just made, with one stack location.
    let location = unsafe { &mut *irp::next_location(packet) };
    location.completion_routine = Some(completed);
    location.control =
        stack_control::INVOKE_ON_SUCCESS | stack_control::INVOKE_ON_ERROR | stack_control::INVOKE_ON_CANCEL;
    COMPLETED.set(None);
    packet
}

/// Waits for the last request.
pub(super) fn result() -> (NtStatus, usize) {
    schedule::wait("a completion", None, || COMPLETED.get()).expect("a wait without a deadline")
}

/// Whether the last request has completed.
pub(super) fn is_completed() -> bool {
    COMPLETED.get().is_some()
}

/// A client with a registration and a captured provider.
pub(super) struct Client {
    registration: *mut Registration,
    npi: ProviderNpi,
}

impl Client {
    pub(super) fn new() -> Self {
        let dispatch = memory::allocate(16, "client dispatch").cast::<ClientDispatch>();
        let npi = memory::allocate(16, "client npi").cast::<ClientNpi>();
        let registration = memory::allocate(24, "registration").cast::<Registration>();
        let mut provider = ProviderNpi { client: ptr::null_mut(), dispatch: ptr::null() };
        // SAFETY: blocks of the right sizes, and functions of the testbed.
        unsafe {
            dispatch.write(ClientDispatch {
                version: VERSION_1_0,
                reserved: 0,
                client_event: ptr::null_mut(),
            });
            npi.write(ClientNpi { client_context: ptr::null_mut(), dispatch });
            assert_eq!(WskRegister(npi, registration), NtStatus::SUCCESS);
            assert_eq!(
                WskCaptureProviderNPI(registration, INFINITE_WAIT, &raw mut provider),
                NtStatus::SUCCESS
            );
        }
        Self { registration, npi: provider }
    }

    pub(super) fn socket(&self) -> *mut WskSocket {
        self.socket_of(AF_INET)
    }

    pub(super) fn socket_of(&self, family: u16) -> *mut WskSocket {
        // SAFETY: the table and the client were captured.
        unsafe {
            let none = ptr::null_mut();
            let make = (*self.npi.dispatch).socket;
            make(
                self.npi.client,
                family,
                SOCK_DGRAM,
                IPPROTO_UDP,
                FLAG_DATAGRAM_SOCKET,
                none,
                none,
                none,
                none,
                none,
                request(),
            );
        }
        let (status, socket) = result();
        assert_eq!(status, NtStatus::SUCCESS);
        ptr::with_exposed_provenance_mut(socket)
    }

    pub(super) fn bind(&self, socket: *mut WskSocket) {
        assert_eq!(self.bind_to(socket, "0.0.0.0:0"), NtStatus::SUCCESS);
    }

    pub(super) fn bind_to(&self, socket: *mut WskSocket, local: &str) -> NtStatus {
        let local = sockaddr(local);
        // SAFETY: a socket that is open.
        unsafe { ((*(*socket).dispatch).bind)(socket, local.as_ptr().cast(), 0, request()) };
        result().0
    }

    pub(super) fn close(&self, socket: *mut WskSocket) {
        // SAFETY: a socket that is open.
        unsafe { ((*(*socket).dispatch).close_socket)(socket, request()) };
        schedule::wait("the close", None, || {
            (!super::state().sockets.borrow().contains_key(&socket.addr())
                && memory::block_at(socket.addr()).is_none())
            .then_some(())
        });
    }

    pub(super) fn end(self) {
        // SAFETY: what was registered and captured.
        unsafe {
            WskReleaseProviderNPI(self.registration);
            WskDeregister(self.registration);
        }
    }
}

/// A buffer with its list.
pub(super) fn buffer(bytes: usize) -> (*mut u8, *mut Mdl) {
    let memory = memory::allocate(bytes, "a packet");
    (memory, mdl::create(memory, bytes))
}

/// The bytes of a SOCKADDR_IN or SOCKADDR_IN6.
pub(super) fn sockaddr(text: &str) -> [u32; 7] {
    let address: SocketAddr = text.parse().expect("an address");
    let mut bytes = [0; 7];
    // SAFETY: 28 bytes are room for either.
    unsafe { address::write(bytes.as_mut_ptr().cast(), address) };
    bytes
}

fn send(socket: *mut WskSocket, list: *mut Mdl, offset: u32, length: usize) -> NtStatus {
    send_to(socket, WskBuf { mdl: list, offset, length }, "239.255.77.77:4010")
}

pub(super) fn send_to(socket: *mut WskSocket, data: WskBuf, to: &str) -> NtStatus {
    let to = sockaddr(to);
    // SAFETY: a socket that is open, and arguments that live as long as they must.
    unsafe {
        ((*(*socket).dispatch).send_to)(
            socket,
            &raw const data,
            0,
            to.as_ptr().cast(),
            0,
            ptr::null_mut(),
            request(),
        )
    }
}

/// Runs a client; the rules that it broke.
pub(super) fn rules(sends: Completion, scenario: impl FnOnce() + 'static) -> Vec<Rule> {
    let wsk = Setup { sends, controls: Completion::Inline, ..Setup::default() };
    let outcome = Machine::run(Config { wsk, ..Config::default() }, scenario);
    outcome.violations.iter().map(|violation| violation.rule).collect()
}

#[test]
fn a_good_client_breaks_no_rule_and_its_datagram_leaves() {
    let broken = rules(Completion::After(1_000_000, 2), || {
        let client = Client::new();
        let socket = client.socket();
        client.bind(socket);
        let (memory, list) = buffer(100);
        assert_eq!(send(socket, list, 10, 90), NtStatus::PENDING);
        assert_eq!(result(), (NtStatus::SUCCESS, 90));
        mdl::free(list);
        memory::free(memory);
        client.close(socket);
        client.end();
        let sent = network::take_datagrams();
        assert_eq!((sent.len(), sent[0].payload.len(), sent[0].destination.port()), (1, 90, 4010));
    });
    assert_eq!(broken, []);
}

#[test]
fn a_send_before_the_bind_is_refused() {
    let broken = rules(Completion::Inline, || {
        let client = Client::new();
        let socket = client.socket();
        let (_, list) = buffer(8);
        assert_eq!(send(socket, list, 0, 8), NtStatus::INVALID_DEVICE_STATE);
        client.close(socket);
        client.end();
    });
    assert_eq!(broken, [Rule::Argument]);
}

#[test]
fn more_than_the_list_describes_is_refused() {
    let broken = rules(Completion::Inline, || {
        let client = Client::new();
        let socket = client.socket();
        client.bind(socket);
        let (_, list) = buffer(100);
        assert_eq!(send(socket, list, 10, 91), NtStatus::INVALID_PARAMETER);
        assert_eq!(send(socket, list, 100, 1), NtStatus::INVALID_PARAMETER);
        // SAFETY: a live list.
        unsafe { (*list).flags &= !mdl_flags::SOURCE_IS_NONPAGED_POOL };
        assert_eq!(send(socket, list, 0, 1), NtStatus::INVALID_PARAMETER);
        client.close(socket);
        client.end();
    });
    assert_eq!(broken, [Rule::Argument, Rule::Argument, Rule::Argument]);
}

#[test]
fn a_buffer_that_changes_or_goes_before_the_completion_is_found() {
    let broken = rules(Completion::After(1_000_000, 2), || {
        let client = Client::new();
        let socket = client.socket();
        client.bind(socket);
        let (memory, list) = buffer(100);
        send(socket, list, 0, 100);
        // SAFETY: the buffer is alive.
        unsafe { memory.write(1) };
        result();
        send(socket, list, 0, 100);
        memory::free(memory);
        result();
        client.close(socket);
        client.end();
    });
    assert_eq!(broken, [Rule::Argument, Rule::Pool]);
}

#[test]
fn a_list_that_goes_before_the_completion_is_found() {
    let broken = rules(Completion::After(1_000_000, 2), || {
        let client = Client::new();
        let socket = client.socket();
        client.bind(socket);
        let (_, list) = buffer(100);
        send(socket, list, 0, 100);
        mdl::free(list);
        result();
        client.close(socket);
        client.end();
    });
    assert_eq!(broken, [Rule::Mdl]);
}

#[test]
fn closing_a_socket_cancels_what_hangs() {
    let broken = rules(Completion::Inline, || {
        let client = Client::new();
        let socket = client.socket();
        client.bind(socket);
        inject(Call::WskSendTo, 1, Fault::Hangs);
        let (_, list) = buffer(8);
        assert_eq!(send(socket, list, 0, 8), NtStatus::PENDING);
        schedule::sleep_until(schedule::now() + 1_000_000_000);
        assert!(!is_completed());
        client.close(socket);
        client.end();
    });
    assert_eq!(broken, []);
}

#[test]
fn an_irp_without_a_completion_routine_is_a_violation() {
    let broken = rules(Completion::Inline, || {
        let client = Client::new();
        let packet = irp::allocate(1);
        // SAFETY: the table and the client were captured.
        unsafe {
            let none = ptr::null_mut();
            let make = (*client.npi.dispatch).socket;
            make(client.npi.client, AF_INET, 1, 6, 2, none, none, none, none, none, packet);
        }
        client.end();
    });
    assert_eq!(broken, [Rule::Irp]);
}

#[test]
fn a_registration_waits_for_its_sockets() {
    let broken = rules(Completion::Inline, || {
        let client = Client::new();
        client.socket();
        client.end();
    });
    assert_eq!(broken, [Rule::Deadlock]);
}

#[test]
fn without_a_wait_a_provider_that_is_not_ready_is_not_captured() {
    let wsk = Setup { provider_ready_after: 5_000_000_000, ..Setup::default() };
    let outcome = Machine::run(Config { wsk, ..Config::default() }, || {
        let start = schedule::now();
        let client = Client::new();
        let waited = schedule::now() - start;
        client.end();
        waited
    });
    assert_eq!(outcome.expect_clean(), 5_000_000_000);
}
