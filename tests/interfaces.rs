//! Packets leave by the interface, from the address and with the TTL that the options ask for, also when the system would
//! choose another.
#![cfg(target_os = "linux")]

mod common;
#[path = "common/network.rs"]
mod net;

use std::net::{IpAddr, Ipv4Addr};

use common::{assert_same_audio, audio_of, sent, source, with_options};
use net::{
    MS, PACKET, address, destinations, interface, lost, milliseconds, number, open, pass, play,
    recording_with, silent_for, targets, text, to, told,
};
use testbed::kernel::registry::Value;
use testbed::network::{self, Datagram, Interface, InterfaceName, SocketOptions};
use testbed::nt::NtStatus;
use testbed::wsk::{self, Call, Fault};
use testbed::{Config, Outcome, schedule};

/// One of each kind.
const KINDS: [&str; 4] =
    ["203.0.113.1:4010", "239.255.77.77:4010", "[2001:db8:9::1]:4010", "[ff15::efff:4d4d]:4010"];

/// Two interfaces with gateways: 2 is the one that the system chooses, and the wrong one. A third one has none.
fn interfaces() -> Vec<Interface> {
    let isolated = interface(4, 100, &["10.0.0.40/8", "fd00::40/64", "fe80::40/64"]);
    vec![
        interface(2, 10, &["192.0.2.10/24", "2001:db8::10/64", "fe80::10/64"]),
        interface(3, 50, &["198.51.100.20/24", "2001:db8:1::20/64", "fe80::20/64"]),
        Interface { default_route: false, ..isolated },
    ]
}

fn computer() -> Config {
    recording_with(interfaces())
}

/// How the packets to a target leave: interface, source, port, options of the socket.
#[derive(Debug, PartialEq)]
struct Way {
    interface: u32,
    source: IpAddr,
    port: u16,
    options: SocketOptions,
}

fn way(interface: u32, source: &str, options: SocketOptions) -> Way {
    Way { interface, source: source.parse().expect("an address"), port: 0, options }
}

/// A way with an interface that was named in an option for multicast.
fn multicast(interface: u32, source: &str, name: InterfaceName) -> Way {
    way(interface, source, SocketOptions { multicast_interface: Some(name), ..SocketOptions::default() })
}

/// A way with an interface that was named in an option for unicast.
fn unicast(interface: u32, source: &str) -> Way {
    way(interface, source, SocketOptions { unicast_interface: Some(interface), ..SocketOptions::default() })
}

fn routed(interface: u32, source: &str) -> Way {
    way(interface, source, SocketOptions::default())
}

/// The ways to all targets, which hear everything: a way without a port is one from any.
#[track_caller]
fn check(entries: &[&str], options: &[(&'static str, Value)], expected: &[Way]) {
    let options = [&[targets(entries)], options].concat();
    let outcome = with_options(computer(), &options, |device| {
        play(device, milliseconds(100));
        sent()
    });
    let datagrams = outcome.value.clone().expect("it ran to its end");
    assert_eq!(lost(&outcome, &datagrams, 17 * entries.len() as u64), 0);
    assert_eq!(told(&outcome.events, &["OptionIgnored", "ConnectingFailed"]), [""; 0]);
    outcome.expect_clean();
    let port_is_fixed = options.iter().any(|(name, _)| *name == "UnicastSrcPort");
    for (datagram, target) in datagrams.iter().zip(destinations(&datagrams).iter().cycle()) {
        let index = destinations(&datagrams).iter().position(|other| other == target).unwrap_or(0);
        let seen = Way {
            interface: datagram.interface,
            source: datagram.source.ip(),
            port: if port_is_fixed { datagram.source.port() } else { 0 },
            options: datagram.options.clone(),
        };
        assert_eq!((datagram.destination, &seen), (*target, &expected[index]));
    }
    for target in destinations(&datagrams) {
        assert_same_audio(&audio_of(&to(&datagrams, &target.to_string())), &milliseconds(100));
    }
    assert_eq!(destinations(&datagrams).len(), entries.len());
}

fn dword(name: &'static str, value: u32) -> (&'static str, Value) {
    (name, Value::Dword(value))
}

const THIRD: InterfaceName = InterfaceName::Index(3);
const SOURCE: InterfaceName = InterfaceName::Address(Ipv4Addr::new(198, 51, 100, 20));

#[test]
fn without_options_the_system_chooses_and_no_option_of_the_socket_is_set() {
    check(
        &KINDS,
        &[],
        &[
            routed(2, "192.0.2.10"),
            routed(2, "192.0.2.10"),
            routed(2, "2001:db8::10"),
            routed(2, "2001:db8::10"),
        ],
    );
    // What is on the link of the other interface leaves by that.
    check(
        &["198.51.100.1", "[2001:db8:1::1]:1"],
        &[],
        &[routed(3, "198.51.100.20"), routed(3, "2001:db8:1::20")],
    );
}

#[test]
fn a_source_address_chooses_the_interface_of_ipv4_targets() {
    let expected = || {
        [
            routed(3, "198.51.100.20"),
            multicast(3, "198.51.100.20", SOURCE),
            routed(2, "2001:db8::10"),
            routed(2, "2001:db8::10"),
        ]
    };
    check(&KINDS, &[text("UnicastSrcIPv4", "198.51.100.20")], &expected());
    check(&KINDS, &[text("Interface", "198.51.100.20")], &expected());
    // Of the two, Interface goes first.
    check(&KINDS, &[text("Interface", "198.51.100.20"), text("UnicastSrcIPv4", "192.0.2.10")], &expected());
}

#[test]
fn an_interface_by_its_index_is_that_of_every_target() {
    check(
        &KINDS,
        &[dword("Interface", 3)],
        &[
            unicast(3, "198.51.100.20"),
            multicast(3, "198.51.100.20", THIRD),
            unicast(3, "2001:db8:1::20"),
            multicast(3, "2001:db8:1::20", THIRD),
        ],
    );
    // Also the one that the system would have chosen.
    check(&KINDS[..1], &[dword("Interface", 2)], &[unicast(2, "192.0.2.10")]);
    // And one without a gateway, to what it reaches.
    let multicast4 = |source: &str| multicast(4, source, InterfaceName::Index(4));
    check(
        &["10.1.2.3", "multicast", "[fd00::1]:4010", "multicast6"],
        &[dword("Interface", 4)],
        &[unicast(4, "10.0.0.40"), multicast4("10.0.0.40"), unicast(4, "fd00::40"), multicast4("fd00::40")],
    );
}

#[test]
fn an_ipv6_address_is_the_source_of_ipv6_targets() {
    check(
        &KINDS,
        &[text("Interface", "2001:db8:1::20")],
        &[
            routed(2, "192.0.2.10"),
            routed(2, "192.0.2.10"),
            routed(3, "2001:db8:1::20"),
            routed(3, "2001:db8:1::20"),
        ],
    );
}

#[test]
fn an_ipv6_address_with_an_interface_is_both() {
    check(
        &["203.0.113.1", "multicast", "[fe80::1]:4010", "[ff12::77]:4010"],
        &[text("Interface", "fe80::20%3")],
        &[
            unicast(3, "198.51.100.20"),
            multicast(3, "198.51.100.20", THIRD),
            unicast(3, "fe80::20"),
            multicast(3, "fe80::20", THIRD),
        ],
    );
}

#[test]
fn the_interface_of_a_target_is_that_of_this_target_only() {
    check(
        &["[fe80::1%3]:4010", "[ff12::77%3]:4010", "[fe80::1%4]:4010", "multicast6", "multicast"],
        &[],
        &[
            unicast(3, "fe80::20"),
            multicast(3, "fe80::20", THIRD),
            unicast(4, "fe80::40"),
            routed(2, "2001:db8::10"),
            routed(2, "192.0.2.10"),
        ],
    );
    // And it goes before the one for all.
    check(
        &["[fe80::1%3]:4010", "multicast6"],
        &[dword("Interface", 4)],
        &[unicast(3, "fe80::20"), multicast(4, "fd00::40", InterfaceName::Index(4))],
    );
}

#[test]
fn a_source_address_and_an_interface_hold_together() {
    check(
        &KINDS[..2],
        &[text("UnicastSrcIPv4", "198.51.100.20"), dword("Interface", 3)],
        &[unicast(3, "198.51.100.20"), multicast(3, "198.51.100.20", THIRD)],
    );
}

#[test]
fn the_ttl_is_that_of_the_kind_of_target() {
    let unicast = |ttl| SocketOptions { ttl: Some(ttl), ..SocketOptions::default() };
    let multicast = |ttl| SocketOptions { multicast_ttl: Some(ttl), ..SocketOptions::default() };
    for ttl in [1, 17, 255] {
        check(
            &KINDS,
            &[dword("TTL", u32::from(ttl))],
            &[
                way(2, "192.0.2.10", unicast(ttl)),
                way(2, "192.0.2.10", multicast(ttl)),
                way(2, "2001:db8::10", unicast(ttl)),
                way(2, "2001:db8::10", multicast(ttl)),
            ],
        );
    }
}

#[test]
fn a_source_port_is_shared_by_all_targets() {
    let from = |port, way: Way| {
        let options = SocketOptions { reuse_address: true, ..way.options };
        Way { port, options, ..way }
    };
    for port in [1, 4010, 65_535] {
        check(
            &["203.0.113.1", "203.0.113.2", "239.255.77.77:5000", "[2001:db8:9::1]:4010", "multicast6"],
            &[dword("UnicastSrcPort", u32::from(port))],
            &[
                from(port, routed(2, "192.0.2.10")),
                from(port, routed(2, "192.0.2.10")),
                from(port, routed(2, "192.0.2.10")),
                from(port, routed(2, "2001:db8::10")),
                from(port, routed(2, "2001:db8::10")),
            ],
        );
    }
    // With all that can be asked for.
    let all = |way: Way| {
        let multicast_ttl = way.options.multicast_interface.map(|_| 9);
        let ttl = if multicast_ttl.is_none() { Some(9) } else { None };
        let options = SocketOptions { ttl, multicast_ttl, ..way.options };
        from(5000, Way { options, ..way })
    };
    check(
        &KINDS,
        &[dword("UnicastSrcPort", 5000), dword("TTL", 9), dword("Interface", 3)],
        &[
            all(unicast(3, "198.51.100.20")),
            all(multicast(3, "198.51.100.20", THIRD)),
            all(unicast(3, "2001:db8:1::20")),
            all(multicast(3, "2001:db8:1::20", THIRD)),
        ],
    );
}

#[test]
fn each_target_has_a_port_of_its_own_unless_one_is_asked_for() {
    for options in [&[][..], &[dword("UnicastSrcPort", 0)]] {
        let options = [&[targets(&KINDS)], options].concat();
        let outcome = with_options(computer(), &options, |device| {
            play(device, milliseconds(100));
            sent()
        });
        let datagrams = outcome.expect_clean();
        let mut ports: Vec<u16> = datagrams.iter().map(|datagram| datagram.source.port()).collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!((ports.len(), ports[0] >= 49_152), (4, true), "{ports:?}");
    }
}

/// Plays five seconds while interface 3 is away, and comes after 2.6 seconds.
fn comes_later(entries: &[&str], options: &[(&'static str, Value)]) -> Outcome<(Vec<Datagram>, u64)> {
    let mut interfaces = interfaces();
    interfaces[1].up = false;
    let options = [&[targets(entries)], options].concat();
    with_options(recording_with(interfaces), &options, |device| {
        let mut stream = open(device);
        let mut player = stream.player(source(milliseconds(5000)));
        player.start().expect("it starts");
        pass(&mut player, 2600);
        assert_eq!(sent(), [], "nothing leaves by the wrong interface");
        let back = schedule::now();
        network::set_interface_up(3, true);
        player.finish().expect("it plays");
        stream.close();
        (sent(), back)
    })
}

#[test]
fn an_interface_that_comes_later_is_waited_for_and_no_other_is_taken() {
    let bind = ("bind the socket", text("UnicastSrcIPv4", "198.51.100.20"));
    let bind_v6 = ("bind the socket", text("Interface", "fe80::20%3"));
    let choose = ("choose the interface", dword("Interface", 3));
    let cases = [
        (KINDS[0], &bind),
        (KINDS[1], &bind),
        ("[fe80::1]:4010", &bind_v6),
        ("[ff12::77]:4010", &bind_v6),
        (KINDS[0], &choose),
        (KINDS[1], &choose),
        (KINDS[2], &choose),
        (KINDS[3], &choose),
    ];
    for (target, (step, option)) in cases {
        let what = format!("{target} {option:?}");
        let outcome = comes_later(&[target], std::slice::from_ref(option));
        let (datagrams, back) = outcome.value.clone().expect("it ran to its end");
        // Attempts are half a second apart, the last one before was at 2.49 s, and eight packets have waited.
        assert_eq!(silent_for(&datagrams, back), 390, "{what}");
        assert!(datagrams.iter().all(|datagram| datagram.interface == 3), "{what}");
        assert_eq!(destinations(&datagrams), [address(target)], "{what}");
        let (played, audio) = (milliseconds(5000), audio_of(&datagrams));
        assert_same_audio(&audio, &played[played.len() - audio.len()..]);
        assert_eq!(lost(&outcome, &datagrams, 834), ((played.len() - audio.len()) / PACKET) as u64);
        let failures = told(&outcome.events, &["ConnectingFailed"]);
        for (failure, attempt) in failures.iter().zip(1..) {
            let expected = format!(
                "Scream warning: ConnectingFailed Stream=1 Target={target} Step=\"{step}\" Attempt={attempt} \
                 Status=STATUS_INVALID_ADDRESS_COMPONENT"
            );
            assert_eq!(*failure, expected, "{what}");
        }
        assert_eq!(failures.len(), 10, "{what}");
        let connected: Vec<u64> = outcome
            .events
            .iter()
            .filter(|event| event.name == "Connected")
            .map(|event| number(event, "Attempt"))
            .collect();
        assert_eq!(connected, [11], "{what}");
        outcome.expect_clean();
    }
}

#[test]
fn an_interface_that_never_comes_costs_nothing_but_the_sound() {
    let options = [targets(&KINDS), dword("Interface", 77)];
    let outcome = with_options(computer(), &options, |device| {
        play(device, milliseconds(3000));
        sent()
    });
    let datagrams = outcome.value.clone().expect("it ran to its end");
    assert_eq!((datagrams.len(), lost(&outcome, &datagrams, 500 * 4)), (0, 2000));
    let failures = told(&outcome.events, &["ConnectingFailed"]);
    assert_eq!(failures.len(), 11 * 4, "{failures:?}");
    outcome.expect_clean();
}

#[test]
fn options_of_the_interface_are_read_again_for_every_stream() {
    let outcome = with_options(computer(), &[text("UnicastIPv4", "203.0.113.1")], |device| {
        let mut interfaces = Vec::new();
        for option in [None, Some(dword("Interface", 3)), Some(text("Interface", "198.51.100.20"))] {
            if let Some((name, value)) = option {
                common::set_option(name, value);
            }
            play(device, milliseconds(20));
            interfaces.extend(
                sent().iter().map(|datagram| (datagram.interface, datagram.options.unicast_interface)),
            );
        }
        interfaces.dedup();
        interfaces
    });
    assert_eq!(outcome.expect_clean(), [(2, None), (3, Some(3)), (3, None)]);
}

#[test]
fn a_target_of_one_family_is_heard_where_the_other_has_no_interface() {
    let only_v4 = recording_with(vec![interface(2, 10, &["192.0.2.10/24"])]);
    let outcome = with_options(only_v4, &[targets(&KINDS), dword("Interface", 2)], |device| {
        play(device, milliseconds(1000));
        schedule::sleep_until(schedule::now() + MS);
        sent()
    });
    let datagrams = outcome.value.clone().expect("it ran to its end");
    for target in &KINDS[..2] {
        assert_same_audio(&audio_of(&to(&datagrams, target)), &milliseconds(1000));
    }
    assert_eq!(destinations(&datagrams), [KINDS[0], KINDS[1]].map(address));
    assert_eq!(lost(&outcome, &datagrams, 167 * 4), 167 * 2);
    outcome.expect_clean();
}

#[test]
fn a_socket_whose_ttl_or_port_cannot_be_set_is_used_without_and_that_is_told() {
    for (option, step) in
        [(dword("TTL", 9), "set the TTL"), (dword("UnicastSrcPort", 5000), "share the local port")]
    {
        let outcome = with_options(computer(), &[option], |device| {
            wsk::inject_every(Call::WskControlSocket, 1, Fault::Status(NtStatus::ACCESS_DENIED));
            play(device, milliseconds(1000));
            sent()
        });
        let told = told(&outcome.events, &["ConnectingFailed", "Connected", "PacketsLost"]);
        let target = "239.255.77.77:4010";
        let expected = [
            format!(
                "Scream warning: ConnectingFailed Stream=1 Target={target} Step=\"{step}\" Attempt=1 \
                 Status=STATUS_ACCESS_DENIED"
            ),
            format!("Scream information: Connected Stream=1 Target={target} Attempt=1"),
        ];
        assert_eq!(told, expected);
        let datagrams = outcome.expect_clean();
        assert_same_audio(&audio_of(&datagrams), &milliseconds(1000));
        assert!(datagrams.iter().all(|datagram| datagram.options == SocketOptions::default()));
    }
}
