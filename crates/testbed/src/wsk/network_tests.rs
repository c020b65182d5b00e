//! Sockets of both families on a network of several interfaces: addresses, options, stalls and repeated faults.

use std::net::{IpAddr, SocketAddr};
use std::ptr;

use super::abi::*;
use super::tests::{Client, buffer, is_completed, request, result, rules, send_to};
use super::{Call, Completion, Fault, Setup, inject, inject_every, inject_no_more};
use crate::machine::{Config, Machine};
use crate::network::{self, Datagram, Interface, InterfaceName, SocketOptions, VirtualSetup};
use crate::nt::NtStatus;
use crate::schedule;
use crate::verifier::Rule;

const GROUP: &str = "239.255.77.77:4010";
const GROUP_V6: &str = "[ff05::4d4d]:4010";

/// Runs a client on a computer with two interfaces: 2 is the one that routes choose, 3 is dearer.
fn run<T: 'static>(client: impl FnOnce(Client) -> T + 'static) -> T {
    let wsk = Setup { sends: Completion::Inline, controls: Completion::Inline, ..Setup::default() };
    let addresses = [("198.51.100.20", 24), ("2001:db8:1::20", 64)];
    let other = Interface {
        index: 3,
        metric: 50,
        addresses: addresses.map(|(text, bits)| (text.parse().expect("an address"), bits)).to_vec(),
        up: true,
        default_route: false,
    };
    let setup = VirtualSetup { interfaces: vec![Interface::default(), other] };
    let config = Config { wsk, network: network::Setup::Virtual(setup), ..Config::default() };
    Machine::run(config, || client(Client::new())).expect_clean()
}

/// Sends 8 bytes, the first of which is `number`.
fn begin_send(socket: *mut WskSocket, number: u8, to: &str) -> NtStatus {
    let (memory, list) = buffer(8);
    // SAFETY: 8 bytes, just allocated.
    unsafe { memory.write_bytes(number, 8) };
    send_to(socket, WskBuf { mdl: list, offset: 0, length: 8 }, to)
}

fn send(socket: *mut WskSocket, to: &str) -> NtStatus {
    begin_send(socket, 0, to);
    result().0
}

/// What was sent last.
fn last() -> Datagram {
    network::take_datagrams().pop().expect("a datagram")
}

/// Sets an option to a DWORD with these bytes.
fn set(socket: *mut WskSocket, level: u32, code: u32, value: [u8; 4]) -> NtStatus {
    let mut value = value;
    control(socket, (SET_OPTION, code, level), (4, value.as_mut_ptr()), (0, ptr::null_mut()));
    result().0
}

/// The bytes of an option's DWORD.
fn get(socket: *mut WskSocket, level: u32, code: u32) -> Result<[u8; 4], NtStatus> {
    let mut value = [0xEE; 4];
    control(socket, (GET_OPTION, code, level), (0, ptr::null_mut()), (4, value.as_mut_ptr()));
    match result() {
        (NtStatus::SUCCESS, information) => {
            assert_eq!(information, 4);
            Ok(value)
        }
        (status, _) => Err(status),
    }
}

fn control(
    socket: *mut WskSocket,
    (kind, code, level): (u32, u32, u32),
    (input_size, input): (usize, *mut u8),
    (output_size, output): (usize, *mut u8),
) {
    // SAFETY: a socket that is open, and buffers of these sizes; requests complete before the call returns.
    unsafe {
        let function = (*(*socket).dispatch).control_socket;
        let (input, output) = (input.cast(), output.cast());
        function(
            socket,
            kind,
            code,
            level,
            input_size,
            input,
            output_size,
            output,
            ptr::null_mut(),
            request(),
        );
    }
}

#[test]
fn a_socket_of_ipv6_binds_tells_and_sends() {
    run(|client| {
        let socket = client.socket_of(AF_INET6);
        assert_eq!(client.bind_to(socket, "[2001:db8:1::20]:5000"), NtStatus::SUCCESS);
        let mut local = [0_u8; 28];
        // SAFETY: a socket that is open, and room for its address.
        unsafe {
            let tell = (*(*socket).dispatch).get_local_address;
            tell(socket, local.as_mut_ptr().cast(), request());
        }
        assert_eq!(result().0, NtStatus::SUCCESS);
        assert_eq!(local[..8], [23, 0, 0x13, 0x88, 0, 0, 0, 0]);
        assert_eq!(local[8..], [0x20, 1, 0xD, 0xB8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0]);
        assert_eq!(send(socket, GROUP_V6), NtStatus::SUCCESS);
        let datagram = last();
        let source: SocketAddr = "[2001:db8:1::20]:5000".parse().expect("an address");
        assert_eq!((datagram.interface, datagram.source), (3, source));
        assert_eq!(datagram.destination, GROUP_V6.parse().expect("an address"));
        assert_eq!(send(socket, "[2001:db8:2::1]:4010"), NtStatus::NETWORK_UNREACHABLE);
        client.close(socket);
        client.end();
    });
}

#[test]
fn options_of_ipv4_are_kept_told_and_recorded() {
    run(|client| {
        let socket = client.socket();
        for (code, value, read) in [
            (IP_TTL, [7, 0, 0, 0], [7, 0, 0, 0]),
            (IP_MULTICAST_TTL, [9, 0, 0, 0], [9, 0, 0, 0]),
            (IP_MULTICAST_LOOP, [0; 4], [0; 4]),
            (IP_MULTICAST_IF, [0, 0, 0, 3], [0, 0, 0, 3]),
            (IP_MULTICAST_IF, [198, 51, 100, 20], [198, 51, 100, 20]),
            // Set in network order, told in host order.
            (IP_UNICAST_IF, [0, 0, 0, 3], [3, 0, 0, 0]),
        ] {
            assert_eq!(set(socket, IPPROTO_IP, code, value), NtStatus::SUCCESS, "{code}");
            assert_eq!(get(socket, IPPROTO_IP, code), Ok(read), "{code}");
        }
        client.bind(socket);
        assert_eq!(send(socket, GROUP), NtStatus::SUCCESS);
        let expected = SocketOptions {
            ttl: Some(7),
            multicast_ttl: Some(9),
            multicast_interface: Some(InterfaceName::Address([198, 51, 100, 20].into())),
            unicast_interface: Some(3),
            multicast_loopback: Some(false),
            ..SocketOptions::default()
        };
        let datagram = last();
        assert_eq!((datagram.interface, datagram.options), (3, expected));
        assert_eq!(datagram.source, "198.51.100.20:49152".parse().expect("an address"));
        assert_eq!(set(socket, IPPROTO_IP, IP_MULTICAST_IF, [0; 4]), NtStatus::SUCCESS);
        assert_eq!(send(socket, GROUP), NtStatus::SUCCESS);
        let datagram = last();
        assert_eq!((datagram.interface, datagram.options.multicast_interface), (2, None));
        client.close(socket);
        client.end();
    });
}

#[test]
fn options_of_ipv6_are_kept_told_and_recorded() {
    run(|client| {
        let socket = client.socket_of(AF_INET6);
        assert_eq!(get(socket, IPPROTO_IPV6, IPV6_V6ONLY), Ok([1, 0, 0, 0]));
        for (code, value) in [
            (IPV6_UNICAST_HOPS, [7, 0, 0, 0]),
            (IPV6_MULTICAST_HOPS, [9, 0, 0, 0]),
            (IPV6_MULTICAST_LOOP, [0; 4]),
            (IPV6_MULTICAST_IF, [3, 0, 0, 0]),
            (IPV6_UNICAST_IF, [3, 0, 0, 0]),
            (IPV6_V6ONLY, [0; 4]),
        ] {
            assert_eq!(set(socket, IPPROTO_IPV6, code, value), NtStatus::SUCCESS, "{code}");
            assert_eq!(get(socket, IPPROTO_IPV6, code), Ok(value), "{code}");
        }
        assert_eq!(client.bind_to(socket, "[::]:0"), NtStatus::SUCCESS);
        assert_eq!(set(socket, IPPROTO_IPV6, IPV6_V6ONLY, [0; 4]), NtStatus::INVALID_PARAMETER);
        assert_eq!(send(socket, GROUP_V6), NtStatus::SUCCESS);
        let expected = SocketOptions {
            ttl: Some(7),
            multicast_ttl: Some(9),
            multicast_interface: Some(InterfaceName::Index(3)),
            unicast_interface: Some(3),
            multicast_loopback: Some(false),
            v6_only: Some(false),
            ..SocketOptions::default()
        };
        let datagram = last();
        assert_eq!((datagram.interface, datagram.options), (3, expected));
        assert_eq!(set(socket, IPPROTO_IPV6, IPV6_UNICAST_HOPS, [0xFF; 4]), NtStatus::SUCCESS);
        assert_eq!(get(socket, IPPROTO_IPV6, IPV6_UNICAST_HOPS), Ok([128, 0, 0, 0]));
        client.close(socket);
        client.end();
    });
}

#[test]
fn wrong_values_and_levels_of_options_are_refused() {
    run(|client| {
        let (v4, v6) = (client.socket(), client.socket_of(AF_INET6));
        let (unknown, absent) = (NtStatus::INVALID_PARAMETER, NtStatus::INVALID_ADDRESS_COMPONENT);
        for (socket, level, code, value, expected) in [
            (v4, IPPROTO_IPV6, IPV6_MULTICAST_IF, [3, 0, 0, 0], unknown),
            (v6, IPPROTO_IP, IP_MULTICAST_IF, [0, 0, 0, 3], unknown),
            (v4, IPPROTO_IP, IPV6_V6ONLY, [1, 0, 0, 0], unknown),
            (v4, IPPROTO_IP, IP_TTL, [0; 4], unknown),
            (v4, IPPROTO_IP, IP_TTL, [0, 1, 0, 0], unknown),
            (v6, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, [0, 1, 0, 0], unknown),
            (v4, IPPROTO_IP, IP_MULTICAST_IF, [0, 0, 0, 4], absent),
            (v4, IPPROTO_IP, IP_MULTICAST_IF, [203, 0, 113, 1], absent),
            // In the order of the other family.
            (v4, IPPROTO_IP, IP_MULTICAST_IF, [3, 0, 0, 0], absent),
            (v4, IPPROTO_IP, IP_UNICAST_IF, [3, 0, 0, 0], absent),
            (v6, IPPROTO_IPV6, IPV6_MULTICAST_IF, [0, 0, 0, 3], absent),
            (v6, IPPROTO_IPV6, IPV6_UNICAST_IF, [0, 0, 0, 3], absent),
        ] {
            assert_eq!(set(socket, level, code, value), expected, "{level} {code} {value:?}");
        }
        assert_eq!(get(v4, IPPROTO_IPV6, IPV6_UNICAST_HOPS), Err(unknown));
        assert_eq!(get(v6, IPPROTO_IP, IP_TTL), Err(unknown));
        client.close(v4);
        client.close(v6);
        client.end();
    });
}

#[test]
fn an_address_of_the_other_family_is_a_violation() {
    let broken = rules(Completion::Inline, || {
        let client = Client::new();
        let (v4, v6) = (client.socket(), client.socket_of(AF_INET6));
        assert_eq!(client.bind_to(v4, "[::]:0"), NtStatus::INVALID_ADDRESS_COMPONENT);
        assert_eq!(client.bind_to(v6, "0.0.0.0:0"), NtStatus::INVALID_ADDRESS_COMPONENT);
        assert_eq!(client.bind_to(v6, "[::]:0"), NtStatus::SUCCESS);
        assert_eq!(send(v6, GROUP), NtStatus::INVALID_ADDRESS_COMPONENT);
        client.close(v4);
        client.close(v6);
        client.end();
    });
    assert_eq!(broken, [Rule::Argument; 3]);
}

#[test]
fn a_socket_does_not_get_an_address_back_that_it_lost() {
    run(|client| {
        let (bound, named, any) = (client.socket(), client.socket(), client.socket());
        assert_eq!(client.bind_to(bound, "192.0.2.10:0"), NtStatus::SUCCESS);
        assert_eq!(set(named, IPPROTO_IP, IP_MULTICAST_IF, [0, 0, 0, 2]), NtStatus::SUCCESS);
        client.bind(named);
        client.bind(any);
        let states = || [bound, named, any].map(|socket| send(socket, GROUP));
        let lost = [NtStatus::INVALID_ADDRESS_COMPONENT, NtStatus::NETWORK_UNREACHABLE, NtStatus::SUCCESS];
        assert_eq!(states(), [NtStatus::SUCCESS; 3]);
        network::set_interface_up(2, false);
        assert_eq!(states(), lost);
        assert_eq!(last().interface, 3);
        network::set_interface_up(2, true);
        assert_eq!(states(), lost);
        assert_eq!(last().interface, 2);
        assert_eq!(set(named, IPPROTO_IP, IP_MULTICAST_IF, [0, 0, 0, 2]), NtStatus::SUCCESS);
        assert_eq!(send(named, GROUP), NtStatus::SUCCESS);
        client.close(bound);
        let again = client.socket();
        assert_eq!(client.bind_to(again, "192.0.2.10:0"), NtStatus::SUCCESS);
        assert_eq!(send(again, GROUP), NtStatus::SUCCESS);
        let next: IpAddr = [192, 0, 2, 11].into();
        network::set_addresses(2, &[(next, 24)]);
        assert_eq!(send(again, GROUP), NtStatus::INVALID_ADDRESS_COMPONENT);
        assert_eq!(send(any, GROUP), NtStatus::SUCCESS);
        assert_eq!(last().source.ip(), next);
        [again, named, any].into_iter().for_each(|socket| client.close(socket));
        client.end();
    });
}

#[test]
fn a_stalled_network_keeps_sends_until_it_goes_on() {
    run(|client| {
        let socket = client.socket();
        client.bind(socket);
        network::set_stalled(true);
        assert_eq!(begin_send(socket, 1, GROUP), NtStatus::PENDING);
        assert_eq!(begin_send(socket, 2, GROUP), NtStatus::PENDING);
        schedule::sleep_until(schedule::now() + 1_000_000_000);
        assert!(!is_completed());
        assert_eq!(network::datagrams(), 0);
        network::set_stalled(false);
        assert_eq!(result(), (NtStatus::SUCCESS, 8));
        let now = schedule::now();
        let sent: Vec<_> =
            network::take_datagrams().iter().map(|sent| (sent.time, sent.payload[0])).collect();
        assert_eq!(sent, [(now, 1), (now, 2)]);
        assert_eq!(begin_send(socket, 3, GROUP), NtStatus::SUCCESS);
        client.close(socket);
        client.end();
    });
}

#[test]
fn closing_a_socket_cancels_what_a_stalled_network_keeps() {
    run(|client| {
        let socket = client.socket();
        client.bind(socket);
        network::set_stalled(true);
        assert_eq!(begin_send(socket, 1, GROUP), NtStatus::PENDING);
        client.close(socket);
        network::set_stalled(false);
        schedule::sleep_until(schedule::now() + 1_000_000);
        assert_eq!(network::datagrams(), 0);
        client.end();
    });
}

#[test]
fn a_fault_of_a_send_is_the_same_on_a_stalled_network() {
    run(|client| {
        let socket = client.socket();
        client.bind(socket);
        network::set_stalled(true);
        inject(Call::WskSendTo, 1, Fault::Status(NtStatus::NETWORK_BUSY));
        assert_eq!(begin_send(socket, 1, GROUP), NtStatus::NETWORK_BUSY);
        inject(Call::WskSendTo, 1, Fault::Hangs);
        assert_eq!(begin_send(socket, 2, GROUP), NtStatus::PENDING);
        network::set_stalled(false);
        schedule::sleep_until(schedule::now() + 1_000_000_000);
        assert!(!is_completed());
        client.close(socket);
        client.end();
    });
}

#[test]
fn every_nth_call_goes_wrong_until_no_more() {
    run(|client| {
        let socket = client.socket();
        client.bind(socket);
        let busy = NtStatus::NETWORK_BUSY;
        assert_eq!(send(socket, GROUP), NtStatus::SUCCESS);
        inject_every(Call::WskSendTo, 3, Fault::Status(busy));
        inject_every(Call::WskBind, 1, Fault::Status(busy));
        inject(Call::WskSendTo, 6, Fault::Status(NtStatus::CANCELLED));
        let statuses: Vec<NtStatus> = (0..9).map(|_| send(socket, GROUP)).collect();
        let failed: Vec<_> =
            statuses.iter().enumerate().filter(|(_, status)| **status != NtStatus::SUCCESS).collect();
        assert_eq!(failed, [(2, &busy), (5, &NtStatus::CANCELLED), (8, &busy)]);
        assert_eq!(inject_no_more(), 1, "no call of WskBind went wrong");
        assert!((0..3).all(|_| send(socket, GROUP) == NtStatus::SUCCESS));
        client.close(socket);
        client.end();
    });
}
