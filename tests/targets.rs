//! Several targets: each gets every packet, and one that fails takes nothing from the others.
#![cfg(target_os = "linux")]

mod common;
#[path = "common/network.rs"]
mod net;

use common::{assert_same_audio, audio_of, sent, source, with_options};
use net::{
    HEADER, MS, PACKET, address, destinations, interface, lost, milliseconds, open, pass, play, prefixes,
    recording, recording_with, silent_for, targets, text, to, told,
};
use testbed::kernel::registry::Value;
use testbed::network::{self, Datagram};
use testbed::nt::NtStatus;
use testbed::portcls::abi::KsState;
use testbed::wsk::{self, Call, Fault};
use testbed::{Outcome, schedule};

/// Every kind of target.
const EIGHT: [&str; 8] = [
    "192.0.2.1:4010",
    "239.255.77.77:4010",
    "[2001:db8::1]:4010",
    "[ff15::efff:4d4d]:4010",
    "192.0.2.1:5000",
    "198.51.100.7:65535",
    "239.1.2.3:1",
    "[2001:db8:5::9]:4011",
];

/// One of IPv4, one of IPv6, and one of IPv4.
const THREE: [&str; 3] = ["192.0.2.1:4010", "[2001:db8::1]:4010", "239.255.77.77:4010"];

/// Plays so many milliseconds of noise to targets.
fn play_to(entries: &[&str], length: usize) -> Outcome<Vec<Datagram>> {
    with_options(recording(), &[targets(entries)], move |device| {
        play(device, milliseconds(length));
        sent()
    })
}

#[track_caller]
fn assert_hears_all(datagrams: &[Datagram], target: &str, played: &[u8]) {
    let heard = to(datagrams, target);
    assert!(heard.iter().all(|datagram| datagram.payload.starts_with(&HEADER)), "{target}");
    assert_same_audio(&audio_of(&heard), played);
}

#[test]
fn every_target_gets_every_packet_byte_for_byte_at_the_same_tick_in_the_order_of_the_list() {
    for count in [1, 2, 8] {
        let entries = &EIGHT[..count];
        let played = milliseconds(1000);
        let outcome = play_to(entries, 1000);
        let datagrams = outcome.value.clone().expect("it ran to its end");
        assert_eq!(lost(&outcome, &datagrams, 167 * count as u64), 0);
        let expected: Vec<_> = entries.iter().map(|entry| address(entry)).collect();
        for (packet, group) in datagrams.chunks(count).enumerate() {
            let reached: Vec<_> = group.iter().map(|datagram| datagram.destination).collect();
            assert_eq!(reached, expected, "packet {packet} of {count} targets");
            for copy in group {
                assert_eq!((&copy.payload, copy.counter), (&group[0].payload, group[0].counter));
            }
        }
        for entry in entries {
            assert_hears_all(&datagrams, entry, &played);
        }
        outcome.expect_clean();
    }
}

#[test]
fn the_default_groups_have_names_and_ports_have_a_default() {
    let outcome = play_to(&["multicast", "multicast6", "multicast:5000", "[::1]", "2001:db8::7"], 20);
    let expected = [
        "239.255.77.77:4010",
        "[ff15::efff:4d4d]:4010",
        "239.255.77.77:5000",
        "[::1]:4010",
        "[2001:db8::7]:4010",
    ];
    assert_eq!(destinations(&outcome.expect_clean()), expected.map(address));
}

#[test]
fn targets_replace_the_only_one() {
    let only = [text("UnicastIPv4", "192.0.2.77"), ("UnicastPort", Value::Dword(5000))];
    let play = |options: &[(&str, Value)]| {
        let outcome = with_options(recording(), options, |device| {
            play(device, milliseconds(20));
            destinations(&sent())
        });
        outcome.expect_clean()
    };
    assert_eq!(play(&only), [address("192.0.2.77:5000")]);
    assert_eq!(play(&[&only[..], &[targets(&["192.0.2.1"])]].concat()), [address("192.0.2.1:4010")]);
    assert_eq!(play(&[&only[..], &[targets(&["nowhere"])]].concat()), [address("192.0.2.77:5000")]);
}

const ACCEPTED: &str = "Accepted=\"REG_MULTI_SZ, 1 to 8 of ADDRESS, ADDRESS:PORT or [IPV6]:PORT, ADDRESS may be multicast or \
                        multicast6\" Default=\"UnicastIPv4 and UnicastPort\"";

fn ignored(entry: u32, reason: &str) -> String {
    format!("Scream warning: OptionIgnored Name=\"Targets\" Entry={entry} Reason=\"{reason}\" {ACCEPTED}")
}

#[test]
fn wrong_entries_are_told_by_their_number_and_the_others_play() {
    let entries = ["nowhere", "192.0.2.1", "192.0.2.2:0", "[2001:db8::1]:4010", "::", "192.0.2.1:4010"];
    let outcome = play_to(&entries, 100);
    let expected = [
        ignored(1, "not an address"),
        ignored(3, "no port from 1 to 65535"),
        ignored(5, "no address that can be sent to"),
        ignored(6, "a duplicate"),
    ];
    assert_eq!(told(&outcome.events, &["OptionIgnored"]), expected);
    let datagrams = outcome.expect_clean();
    assert_eq!(destinations(&datagrams), ["192.0.2.1:4010", "[2001:db8::1]:4010"].map(address));
    for target in ["192.0.2.1:4010", "[2001:db8::1]:4010"] {
        assert_hears_all(&datagrams, target, &milliseconds(100));
    }
}

#[test]
fn of_more_than_eight_targets_the_first_eight_play() {
    let ten = [&EIGHT[..], &["192.0.2.9", "192.0.2.10"]].concat();
    let outcome = play_to(&ten, 100);
    assert_eq!(
        told(&outcome.events, &["OptionIgnored"]),
        [ignored(9, "more than 8, this one and those after it are not used")]
    );
    assert_eq!(destinations(&outcome.expect_clean()), EIGHT.map(address));
}

#[test]
fn a_list_of_any_bytes_is_a_list_or_the_default_holds() {
    let units = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let two = ["192.0.2.1:4010", "[2001:db8::1]:4010"];
    let list = "192.0.2.1\x002001:db8::1";
    let default = ["239.255.77.77:4010"];
    let long = [units("192.0.2.1\0"), vec![0; 65_516]].concat();
    let cases: [(Value, &[&str], &[String]); 10] = [
        (Value::Raw(7, units(list)), &two, &[]),
        (Value::Raw(7, units(&format!("{list}\0"))), &two, &[]),
        (Value::Raw(7, units(&format!("{list}\0\0"))), &two, &[]),
        (Value::Raw(7, [units(list), vec![0]].concat()), &two, &[]),
        (Value::Raw(7, vec![]), &default, &[ignored(0, "empty")]),
        (Value::Raw(7, vec![0, 0]), &default, &[ignored(0, "empty")]),
        (Value::Raw(7, vec![b'1']), &default, &[ignored(0, "empty")]),
        (Value::Raw(7, long), &default, &[ignored(0, "too long")]),
        (Value::Raw(3, units(list)), &default, &[ignored(0, "of another type")]),
        (Value::Dword(1), &default, &[ignored(0, "of another type")]),
    ];
    for (value, expected, refusals) in cases {
        let what = format!("{:.80}", format!("{value:?}"));
        let outcome = with_options(recording(), &[("Targets", value)], |device| {
            play(device, milliseconds(20));
            destinations(&sent())
        });
        assert_eq!(told(&outcome.events, &["OptionIgnored"]), refusals, "{what}");
        let expected: Vec<_> = expected.iter().map(|target| address(target)).collect();
        assert_eq!(outcome.expect_clean(), expected, "{what}");
    }
}

/// What the events of these names are for a target that was lost for a while.
fn told_of(outcome: &Outcome<(Vec<Datagram>, u64)>, target: &str, name: &str) -> usize {
    let of = format!("{name} Stream=1 Target={target} ");
    let of_no_more = format!("{name} Stream=1 Target={target}");
    let is_one = |line: &String| line.contains(&of) || line.ends_with(&of_no_more);
    outcome.events.iter().map(ToString::to_string).filter(is_one).count()
}

#[test]
fn a_target_that_cannot_be_reached_takes_nothing_from_the_others_and_is_back_at_once() {
    let without_v6 = recording_with(vec![interface(2, 25, &["192.0.2.10/24"])]);
    let outcome = with_options(without_v6, &[targets(&THREE)], |device| {
        let mut stream = open(device);
        let mut player = stream.player(source(milliseconds(5000)));
        player.start().expect("it starts");
        pass(&mut player, 2500);
        let back = schedule::now();
        network::set_addresses(2, &prefixes(&["192.0.2.10/24", "2001:db8::10/64"]));
        player.finish().expect("it plays");
        stream.close();
        (sent(), back)
    });
    let (datagrams, back) = outcome.value.clone().expect("it ran to its end");
    let played = milliseconds(5000);
    assert_hears_all(&datagrams, THREE[0], &played);
    assert_hears_all(&datagrams, THREE[2], &played);
    let heard = to(&datagrams, THREE[1]);
    assert_eq!(silent_for(&heard, back), 2, "milliseconds, to the end of the packet");
    let audio = audio_of(&heard);
    assert_same_audio(&audio, &played[played.len() - audio.len()..]);
    let missing = ((played.len() - audio.len()) / PACKET) as u64;
    assert_eq!(lost(&outcome, &datagrams, 834 * 3), missing);
    let lost_packets = told(&outcome.events, &["PacketsLost"]);
    assert!(lost_packets.iter().all(|event| event.contains(THREE[1])), "{lost_packets:?}");
    assert_eq!(lost_packets.len(), 4, "at once, and then once a second, the last of them afterwards");
    assert_eq!(told_of(&outcome, THREE[1], "Disconnected"), 2, "every other one of those every half second");
    assert_eq!(told_of(&outcome, THREE[0], "Disconnected"), 0);
    outcome.expect_clean();
}

#[test]
fn a_target_whose_socket_cannot_be_bound_takes_nothing_from_the_others_and_is_back_within_a_second() {
    // An address that this computer gets after a while, and that is no matter to IPv4.
    let options = [targets(&THREE), text("Interface", "2001:db8::99")];
    let outcome = with_options(recording(), &options, |device| {
        let mut stream = open(device);
        let mut player = stream.player(source(milliseconds(5000)));
        player.start().expect("it starts");
        pass(&mut player, 2600);
        let back = schedule::now();
        network::set_addresses(2, &prefixes(&["192.0.2.10/24", "2001:db8::99/64"]));
        player.finish().expect("it plays");
        stream.close();
        (sent(), back)
    });
    let (datagrams, back) = outcome.value.clone().expect("it ran to its end");
    let played = milliseconds(5000);
    assert_hears_all(&datagrams, THREE[0], &played);
    assert_hears_all(&datagrams, THREE[2], &played);
    let heard = to(&datagrams, THREE[1]);
    assert!(silent_for(&heard, back) <= 500, "{} ms", silent_for(&heard, back));
    let audio = audio_of(&heard);
    assert_same_audio(&audio, &played[played.len() - audio.len()..]);
    assert_eq!(lost(&outcome, &datagrams, 834 * 3), ((played.len() - audio.len()) / PACKET) as u64);
    let failures = told(&outcome.events, &["ConnectingFailed"]);
    let first = format!(
        "Scream warning: ConnectingFailed Stream=1 Target={} Step=\"bind the socket\" Attempt=1 \
         Status=STATUS_INVALID_ADDRESS_COMPONENT",
        THREE[1]
    );
    assert_eq!(failures[0], first);
    assert!(failures.iter().all(|event| event.contains(THREE[1])), "{failures:?}");
    outcome.expect_clean();
}

/// Plays two seconds to three targets after something was set up; the middle one's packets and those of the others, and
/// how many were lost.
fn with_a_faulty_middle(faults: impl FnOnce() + 'static) -> (Vec<Datagram>, u64, Outcome<Vec<Datagram>>) {
    let outcome = with_options(recording(), &[targets(&THREE)], |device| {
        faults();
        play(device, milliseconds(2000));
        sent()
    });
    let datagrams = outcome.value.clone().expect("it ran to its end");
    let played = milliseconds(2000);
    assert_hears_all(&datagrams, THREE[0], &played);
    assert_hears_all(&datagrams, THREE[2], &played);
    let missing = (334 * 3 - datagrams.len()) as u64;
    (to(&datagrams, THREE[1]), missing, outcome)
}

#[test]
fn a_socket_that_is_closed_by_force_costs_its_target_one_packet() {
    let (heard, missing, outcome) = with_a_faulty_middle(|| {
        // Of packet 5, the one for the middle target.
        wsk::inject(Call::WskSendTo, 14, Fault::Status(NtStatus::FILE_FORCED_CLOSED));
    });
    let played = milliseconds(2000);
    assert_same_audio(&audio_of(&heard), &[&played[..4 * PACKET], &played[5 * PACKET..]].concat());
    assert_eq!(missing, 1);
    let target = THREE[1];
    assert_eq!(
        told(&outcome.events, &["PacketsLost", "Disconnected"]),
        [
            format!(
                "Scream warning: PacketsLost Stream=1 Target={target} Dropped=0 Failed=1 LastStatus=STATUS_FILE_FORCED_CLOSED"
            ),
            format!("Scream warning: Disconnected Stream=1 Target={target}"),
        ]
    );
    let connected = told(&outcome.events, &["Connected"]);
    assert_eq!(connected.len(), 4, "{connected:?}");
    assert!(connected[3].ends_with(&format!("Target={target} Attempt=2")), "{connected:?}");
    outcome.expect_clean();
}

#[test]
fn sends_to_one_target_that_hang_take_no_place_of_another() {
    // Of 48 places one is being filled, so that 47 packets can hang.
    let (heard, missing, outcome) = with_a_faulty_middle(|| {
        for packet in 0..47 {
            wsk::inject(Call::WskSendTo, 3 * packet + 2, Fault::Hangs);
        }
    });
    // What hangs has left; only its completion comes with the end of the socket, half a second after the first loss.
    let played = milliseconds(2000);
    let kept = 47 * PACKET;
    assert_same_audio(&audio_of(&heard[..47]), &played[..kept]);
    let rest = audio_of(&heard[47..]);
    assert_same_audio(&rest, &played[played.len() - rest.len()..]);
    assert_eq!(missing, ((played.len() - kept - rest.len()) / PACKET) as u64);
    assert!((83..=86).contains(&missing), "half a second of packets, not {missing}");
    assert_eq!(told(&outcome.events, &["Disconnected"]).len(), 1);
    let lost = told(&outcome.events, &["PacketsLost"]);
    assert!(!lost.is_empty() && lost.iter().all(|event| event.contains(THREE[1])), "{lost:?}");
    outcome.expect_clean();
}

#[test]
fn sends_to_one_target_that_fail_cost_that_target_only() {
    // Every third send from now on is one to the last target.
    let outcome = with_options(recording(), &[targets(&THREE)], |device| {
        for packet in 1..=40 {
            wsk::inject(Call::WskSendTo, 3 * packet, Fault::Status(NtStatus::INSUFFICIENT_RESOURCES));
        }
        play(device, milliseconds(1000));
        sent()
    });
    let datagrams = outcome.value.clone().expect("it ran to its end");
    let played = milliseconds(1000);
    assert_hears_all(&datagrams, THREE[0], &played);
    assert_hears_all(&datagrams, THREE[1], &played);
    assert_hears_all(&datagrams, THREE[2], &played[40 * PACKET..]);
    assert_eq!(lost(&outcome, &datagrams, 167 * 3), 40);
    outcome.expect_clean();
}

#[test]
fn targets_that_all_fail_are_told_each_by_itself() {
    let outcome = with_options(recording(), &[targets(&THREE)], |device| {
        network::set_down(true);
        play(device, milliseconds(100));
        sent()
    });
    let lost: Vec<_> = told(&outcome.events, &["PacketsLost"]);
    let expected = THREE.map(|target| {
        format!(
            "Scream warning: PacketsLost Stream=1 Target={target} Dropped=0 Failed=1 LastStatus=STATUS_NETWORK_UNREACHABLE"
        )
    });
    assert_eq!(lost, expected);
    assert_eq!(net::totals(&outcome.events), (0, 0, 17 * 3));
    assert_eq!(outcome.expect_clean(), []);
}

#[test]
fn silence_is_kept_from_every_target_alike() {
    let gap = [milliseconds(101), vec![0; 500 * 192], milliseconds(50)].concat();
    let options = [targets(&THREE), ("SilenceThreshold", Value::Dword(480))];
    let outcome = with_options(recording(), &options, |device| {
        play(device, gap);
        sent()
    });
    let datagrams = outcome.value.clone().expect("it ran to its end");
    // 10 ms of the silence are heard.
    let expected = [milliseconds(101), vec![0; 10 * 192], milliseconds(50)].concat();
    for target in THREE {
        assert_hears_all(&datagrams, target, &expected);
    }
    for copies in datagrams.chunks(3) {
        assert!(copies.iter().all(|copy| copy.counter == copies[0].counter));
    }
    assert_eq!(lost(&outcome, &datagrams, datagrams.len() as u64), 0);
    outcome.expect_clean();
}

#[test]
fn a_pause_ends_the_packet_of_every_target() {
    let outcome = with_options(recording(), &[targets(&THREE)], |device| {
        let mut stream = open(device);
        let mut player = stream.player(source(milliseconds(100)));
        player.start().expect("it starts");
        pass(&mut player, 33);
        player.pause().expect("it pauses");
        let paused = sent();
        player.resume().expect("it goes on");
        player.finish().expect("it plays");
        stream.close();
        (paused, sent())
    });
    let (paused, rest) = outcome.expect_clean();
    let played = milliseconds(100);
    for target in THREE {
        assert_hears_all(&paused, target, &played[..33 * 192]);
        assert_hears_all(&rest, target, &played[33 * 192..]);
        let lengths: Vec<usize> =
            to(&paused, target).iter().map(|datagram| datagram.payload.len() - 5).collect();
        assert_eq!(lengths, [PACKET, PACKET, PACKET, PACKET, PACKET, PACKET / 2]);
    }
}

#[test]
fn silence_of_a_continuous_stream_goes_to_every_target() {
    let options = [targets(&EIGHT), ("ContinuousStream", Value::Dword(1))];
    let outcome = with_options(recording(), &options, |device| {
        let mut stream = open(device);
        stream.set_state(KsState::Pause).expect("it pauses");
        schedule::sleep_until(schedule::now() + 600 * MS);
        stream.close();
        sent()
    });
    let datagrams = outcome.expect_clean();
    for target in EIGHT {
        assert_hears_all(&datagrams, target, &milliseconds(600).iter().map(|_| 0).collect::<Vec<u8>>());
    }
}
