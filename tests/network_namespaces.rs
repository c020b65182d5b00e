//! Real UDP on a computer with two interfaces, the wrong one of which has the default route: by which of them packets
//! leave, seen by tshark at the other ends of the wires.
//!
//! Each test runs in a network namespace of its own, which `unshare` makes; the other ends of its two wires are in
//! another one. Nothing of it touches the networks of this computer.
#![cfg(target_os = "linux")]

mod common;
#[path = "common/namespace.rs"]
mod namespace;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use common::{assert_same_audio, noise, prompt_network, source, with_options};
use namespace::{in_namespace, ip, text_of};
use socket2::SockRef;
use testbed::client::{Buffer, Format};
use testbed::kernel::registry::Value;
use testbed::network::{RealSetup, Setup};
use testbed::{Clock, Config};

/// The interface that the options name.
const RIGHT: &str = "right";
/// The one that has the default route.
const WRONG: &str = "wrong";
/// What a probe goes to, whose arrival says that everything before it was seen.
const PROBE_PORT: u16 = 4009;
const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 77, 77);

/// A packet as tshark saw it.
#[derive(Debug)]
struct Captured {
    /// Seconds since 1970.
    time: f64,
    source: String,
    destination: String,
    port: u16,
    hops: u8,
    payload: Vec<u8>,
}

impl Captured {
    /// From where to where it went.
    fn way(&self) -> String {
        format!("{} to {}:{}", self.source, self.destination, self.port)
    }
}

/// A computer with two wires, and a capture at their other ends.
struct Wires {
    capture: Child,
    lines: BufReader<ChildStdout>,
}

impl Wires {
    /// Lays both wires; gives the index of the right one with them.
    fn new() -> (Self, u32) {
        let mut capture = begin_capture();
        for (name, net, metric) in [(RIGHT, 2, 2000), (WRONG, 3, 10)] {
            ip(&format!("link add {name} type veth peer name {name}-end netns {}", capture.id()));
            ip(&format!("link set {name} up"));
            ip(&format!("address add 10.77.{net}.10/24 dev {name}"));
            ip(&format!("-6 address add fd77:{net}::10/64 dev {name} nodad"));
            ip(&format!("route add default via 10.77.{net}.1 dev {name} metric {metric}"));
            ip(&format!("-6 route add default via fd77:{net}::1 dev {name} metric {metric}"));
            for router in [format!("10.77.{net}.1"), format!("fd77:{net}::1")] {
                ip(&format!("neighbour add {router} lladdr 02:00:00:00:00:01 dev {name} nud permanent"));
            }
            let namespace = format!("--net=/proc/{}/ns/net", capture.id());
            let end = format!("{name}-end");
            text_of(Command::new("nsenter").args([&namespace, "ip", "link", "set", &end, "up"]));
        }
        ip("link set lo up");
        let index = ip(&format!("-oneline link show {RIGHT}"));
        let index = index.split(':').next().and_then(|index| index.parse().ok()).expect("its index");
        // Now there is something to capture from.
        capture.stdin.take().expect("a pipe").write_all(b"\n").expect("it waits for a line");
        let mut messages = BufReader::new(capture.stderr.take().expect("a pipe")).lines();
        let started = messages.find(|line| line.as_ref().is_ok_and(|line| line.contains("Capture started")));
        assert!(started.is_some(), "tshark ended");
        // What else it says is read, so that it never waits for that.
        std::thread::spawn(move || messages.count());
        let lines = BufReader::new(capture.stdout.take().expect("a pipe"));
        (Self { capture, lines }, index)
    }

    /// Ends the capture; what came at the ends of the two wires, in order.
    fn packets(mut self) -> BTreeMap<String, Vec<Captured>> {
        let probe = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
        for address in [Ipv4Addr::new(10, 77, 2, 10), Ipv4Addr::new(10, 77, 3, 10)] {
            SockRef::from(&probe).set_multicast_if_v4(&address).expect("the interface");
            probe.send_to(b"end", (GROUP, PROBE_PORT)).expect("a route");
        }
        let mut packets = BTreeMap::from([RIGHT, WRONG].map(|name| (format!("{name}-end"), Vec::new())));
        let mut probes = 0;
        let mut line = String::new();
        while probes < 2 {
            line.clear();
            assert_ne!(self.lines.read_line(&mut line).expect("text"), 0, "tshark ended");
            let (interface, packet) = parsed(line.trim_end_matches('\n'));
            if packet.port == PROBE_PORT {
                probes += 1;
            } else {
                packets.get_mut(interface).expect("one of the two").push(packet);
            }
        }
        self.capture.kill().expect("it runs");
        self.capture.wait().expect("it ends");
        packets
    }
}

/// What tshark prints of each packet.
const FIELDS: [&str; 9] = [
    "frame.interface_name",
    "frame.time_epoch",
    "udp.dstport",
    "udp.payload",
    "ip.src",
    "ip.dst",
    "ip.ttl",
    "ipv6.src",
    "ipv6.dst",
];

/// A process that makes a namespace for the other ends of the wires, waits for a line, and captures from there.
fn begin_capture() -> Child {
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", "read _; exec \"$@\"", "sh", "tshark", "-n", "-l"]);
    command.args(["-f", "udp and dst portrange 4009-4020", "-i", "right-end", "-i", "wrong-end"]);
    command.args(["-T", "fields", "-E", "separator=|", "-e", "ipv6.hlim"]);
    FIELDS.iter().for_each(|field| {
        command.args(["-e", field]);
    });
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("unshare, of util-linux");
    // Until it has a namespace of its own, the wires would end in this one.
    let own = namespace("self");
    while namespace(&child.id().to_string()) == own {
        std::thread::yield_now();
    }
    child
}

fn namespace(process: &str) -> std::path::PathBuf {
    std::fs::read_link(format!("/proc/{process}/ns/net")).expect("it runs")
}

/// The interface and the packet of a line of tshark's.
fn parsed(line: &str) -> (&str, Captured) {
    let fields: Vec<&str> = line.split('|').collect();
    let [limit, interface, time, port, payload, source, destination, ttl, source_v6, destination_v6] =
        fields[..]
    else {
        panic!("not a line of tshark's: {line}")
    };
    let digits = payload.as_bytes().chunks_exact(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let packet = Captured {
        time: time.parse().expect("seconds"),
        source: format!("{source}{source_v6}"),
        destination: format!("{destination}{destination_v6}"),
        port: port.parse().expect("a port"),
        hops: format!("{ttl}{limit}").parse().expect("a number"),
        payload: digits.map(|pair| byte(pair).expect("hexadecimal digits")).collect(),
    };
    (interface, packet)
}

/// Plays noise on the real clock and on all interfaces; what was played.
fn play(seconds: usize, options: &[(&str, Value)], during: impl FnOnce() + Send + 'static) -> Vec<u8> {
    let audio = noise(5, seconds * 48_000 * 4);
    let played = audio.clone();
    let config =
        Config { clock: Clock::Real, network: Setup::Real(RealSetup::unconfined()), ..prompt_network() };
    let outcome = with_options(config, options, move |device| {
        let mut stream = device
            .open(&Format::pcm(48_000, 16, 2), Buffer::Notified { bytes: 384_000, count: 2 })
            .expect("a stream");
        let meanwhile = std::thread::spawn(during);
        stream.play(source(audio)).expect("it plays");
        stream.close();
        meanwhile.join().expect("what happens meanwhile");
    });
    outcome.expect_clean();
    played
}

/// Asserts that packets hold exactly what was played; on the real clock some silence follows.
fn assert_audio(packets: &[Captured], played: &[u8]) {
    let heard: Vec<u8> = packets.iter().flat_map(|packet| packet.payload[5..].iter().copied()).collect();
    let (head, rest) = heard.split_at_checked(played.len()).expect("every frame came");
    assert_same_audio(head, played);
    assert!(rest.iter().all(|byte| *byte == 0), "what follows the end is not silence");
}

#[test]
fn without_an_option_multicast_leaves_by_the_default_route_on_real_interfaces() {
    in_namespace("without_an_option_multicast_leaves_by_the_default_route_on_real_interfaces", || {
        let (wires, _) = Wires::new();
        let played = play(1, &[], || ());
        let packets = wires.packets();
        assert_eq!(packets["right-end"].len(), 0);
        let wrong = &packets["wrong-end"];
        assert!(wrong.iter().all(|packet| packet.way() == "10.77.3.10 to 239.255.77.77:4010"), "{wrong:?}");
        assert!(wrong.iter().all(|packet| packet.hops == 1), "{wrong:?}");
        assert_audio(wrong, &played);
    });
}

/// Two groups and two computers behind the router, of both families.
const TARGETS: [&str; 4] = ["multicast", "multicast6", "203.0.113.7", "[2001:db8::7]:4011"];

/// Plays to all targets; everything must leave by the right interface, and each target get every frame.
#[track_caller]
fn assert_right(options: impl FnOnce(u32) -> Vec<(&'static str, Value)>) {
    let (wires, index) = Wires::new();
    let targets = Value::MultiSz(TARGETS.map(str::to_owned).to_vec());
    let options = [vec![("Targets", targets), ("TTL", Value::Dword(5))], options(index)].concat();
    let played = play(1, &options, || ());
    let mut packets = wires.packets();
    let wrong = &packets["wrong-end"];
    assert_eq!(wrong.len(), 0, "{wrong:?}");
    let mut by_target: BTreeMap<String, Vec<Captured>> = BTreeMap::new();
    for packet in packets.remove("right-end").expect("it is one of the two") {
        assert_eq!(packet.hops, 5);
        by_target.entry(packet.way()).or_default().push(packet);
    }
    let expected = [
        "10.77.2.10 to 203.0.113.7:4010",
        "10.77.2.10 to 239.255.77.77:4010",
        "fd77:2::10 to 2001:db8::7:4011",
        "fd77:2::10 to ff15::efff:4d4d:4010",
    ];
    assert_eq!(by_target.keys().collect::<Vec<_>>(), expected);
    by_target.values().for_each(|packets| assert_audio(packets, &played));
}

#[test]
fn everything_leaves_by_the_interface_of_an_index_on_real_interfaces() {
    in_namespace("everything_leaves_by_the_interface_of_an_index_on_real_interfaces", || {
        assert_right(|index| vec![("Interface", Value::Dword(index))]);
    });
}

#[test]
fn an_address_of_an_interface_chooses_it_for_its_family_on_real_interfaces() {
    in_namespace("an_address_of_an_interface_chooses_it_for_its_family_on_real_interfaces", || {
        let (wires, _) = Wires::new();
        let targets = Value::MultiSz(vec!["multicast".to_owned(), "multicast6".to_owned()]);
        let address = Value::Sz("fd77:2::10".to_owned());
        let played = play(1, &[("Targets", targets), ("Interface", address)], || ());
        let packets = wires.packets();
        let ways = |end: &str| {
            let mut ways: Vec<String> = packets[end].iter().map(Captured::way).collect();
            ways.dedup();
            ways
        };
        assert_eq!(ways("right-end"), ["fd77:2::10 to ff15::efff:4d4d:4010"]);
        assert_eq!(ways("wrong-end"), ["10.77.3.10 to 239.255.77.77:4010"]);
        packets.values().for_each(|packets| assert_audio(packets, &played));
    });
}

#[test]
fn the_source_address_chooses_the_interface_of_multicast_on_real_interfaces() {
    in_namespace("the_source_address_chooses_the_interface_of_multicast_on_real_interfaces", || {
        let (wires, _) = Wires::new();
        let played = play(1, &[("UnicastSrcIPv4", Value::Sz("10.77.2.10".to_owned()))], || ());
        let packets = wires.packets();
        assert_eq!(packets["wrong-end"].len(), 0);
        let right = &packets["right-end"];
        assert!(right.iter().all(|packet| packet.way() == "10.77.2.10 to 239.255.77.77:4010"), "{right:?}");
        assert_audio(right, &played);
    });
}

#[test]
fn sound_is_back_within_a_second_of_the_network_on_real_interfaces() {
    in_namespace("sound_is_back_within_a_second_of_the_network_on_real_interfaces", || {
        let (wires, index) = Wires::new();
        let back = Arc::new(Mutex::new(0.0));
        let note = Arc::clone(&back);
        let played = play(4, &[("Interface", Value::Dword(index))], move || {
            // On the real clock an outage lasts in real time.
            std::thread::sleep(Duration::from_millis(500));
            ip("link set right down");
            std::thread::sleep(Duration::from_millis(700));
            *note.lock().expect("one thread holds it") = now();
            ip("link set right up");
        });
        let back = *back.lock().expect("one thread holds it");
        let packets = wires.packets();
        assert_eq!(packets["wrong-end"].len(), 0);
        let right = &packets["right-end"];
        let returned = right.iter().position(|packet| packet.time >= back).expect("sound is back");
        let (before, after) = right.split_at(returned);
        let late = after[0].time - back;
        assert!(late < 1.0, "{late} s late");
        // Before the outage nothing is missing, and neither is there anything after it.
        let audio = |packets: &[Captured]| -> Vec<u8> {
            packets.iter().flat_map(|packet| packet.payload[5..].iter().copied()).collect()
        };
        let before = audio(before);
        assert!(before.len() > 48_000 && before.len() < played.len() / 2, "{} bytes before", before.len());
        assert_same_audio(&before, &played[..before.len()]);
        let first = &after[0].payload[5..];
        let place = played.windows(first.len()).position(|piece| piece == first).expect("it was played");
        assert!(place > before.len());
        assert_audio(after, &played[place..]);
    });
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_secs_f64()
}
