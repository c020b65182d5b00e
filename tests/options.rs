//! The driver's options in the registry: what is usable is obeyed, what is not is told, and the default holds.
#![cfg(target_os = "linux")]

mod common;

use std::net::SocketAddr;

use common::{noise, prompt_network, sent, set_option, source, with_options};
use testbed::client::{Buffer, Format};
use testbed::device::Device;
use testbed::kernel::etw::Session;
use testbed::kernel::registry::Value;
use testbed::network::Datagram;
use testbed::{Config, Outcome, crossing, schedule};

/// Plays 20 ms; the datagrams, in order.
fn play(device: &Device, audio: Vec<u8>) -> Vec<Datagram> {
    let mut stream = device
        .open(&Format::pcm(48_000, 16, 2), Buffer::Notified { bytes: 3840, count: 2 })
        .expect("a stream");
    stream.play(source(audio)).expect("it plays");
    stream.close();
    sent()
}

fn destinations(options: &[(&str, Value)]) -> Vec<SocketAddr> {
    let outcome: Outcome<Vec<Datagram>> =
        with_options(prompt_network(), options, |device| play(device, noise(1, 3840)));
    let mut destinations: Vec<SocketAddr> =
        outcome.expect_clean().iter().map(|datagram| datagram.destination).collect();
    destinations.dedup();
    destinations
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

#[test]
fn without_options_everything_goes_to_the_default_group() {
    assert_eq!(destinations(&[]), [address("239.255.77.77:4010")]);
}

#[test]
fn address_and_port_are_obeyed() {
    let ip = ("UnicastIPv4", Value::Sz("192.0.2.77".to_owned()));
    let port = ("UnicastPort", Value::Dword(65_535));
    assert_eq!(destinations(std::slice::from_ref(&ip)), [address("192.0.2.77:4010")]);
    assert_eq!(destinations(std::slice::from_ref(&port)), [address("239.255.77.77:65535")]);
    assert_eq!(destinations(&[ip, port]), [address("192.0.2.77:65535")]);
    assert_eq!(
        destinations(&[("UnicastIPv4", Value::Sz("239.1.2.3".to_owned()))]),
        [address("239.1.2.3:4010")]
    );
}

#[test]
fn an_address_need_not_end_with_a_nul_and_ends_with_the_first() {
    for text in ["192.0.2.77", "192.0.2.77\0", "192.0.2.77\0x"] {
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let option = ("UnicastIPv4", Value::Raw(1, bytes));
        assert_eq!(destinations(&[option]), [address("192.0.2.77:4010")], "{text:?}");
    }
}

#[test]
fn options_of_64_kib_are_ignored_whatever_they_begin_with() {
    let text: Vec<u8> = "192.0.2.77\0".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let number = 5000_u32.to_le_bytes().to_vec();
    for mut bytes in [text, number] {
        bytes.resize(65_536, 0);
        for kind in [1, 2, 3, 4, 7, 11, u32::MAX] {
            let options = ["UnicastIPv4", "UnicastPort"].map(|name| (name, Value::Raw(kind, bytes.clone())));
            assert_eq!(destinations(&options), [address("239.255.77.77:4010")], "type {kind}");
        }
    }
}

#[test]
fn options_are_read_again_for_every_stream() {
    let outcome = with_options(prompt_network(), &[], |device| {
        play(device, noise(1, 3840));
        set_option("UnicastPort", Value::Dword(5000));
        play(device, noise(1, 3840)).last().map(|datagram| datagram.destination)
    });
    assert_eq!(outcome.expect_clean(), Some(address("239.255.77.77:5000")));
}

/// The options, each with two values that it takes no matter what else is set, and what is told of it when it is wrong.
const NUMBERS: [(&str, &[u32], &str); 7] = [
    ("UnicastPort", &[0, 65_536, u32::MAX], "REG_DWORD, from 1 to 65535\" Default=\"4010"),
    ("UnicastSrcPort", &[65_536, u32::MAX], "REG_DWORD, from 1 to 65535, or 0 for any\" Default=\"any"),
    ("TTL", &[0, 256, u32::MAX], "REG_DWORD, from 1 to 255\" Default=\"the system's"),
    ("ContinuousStream", &[2, u32::MAX], "REG_DWORD, 0 or 1\" Default=\"0"),
    ("SilenceThreshold", &[], "REG_DWORD, samples of each channel, or 0 for never\" Default=\"0"),
    (
        "UseIVSHMEM",
        &[1_048_577, u32::MAX],
        "REG_DWORD, size in MiB from 1 to 1048576, or 0 for the network\" Default=\"0",
    ),
    ("IVSHMEMFallback", &[2, u32::MAX], "REG_DWORD, 0 or 1\" Default=\"0"),
];

/// What is told of a text option, and texts that it does not take, each with the reason.
type Texts = (&'static str, &'static [(&'static str, &'static str)], &'static str);

const NOT_SENT_TO: &str = "no address that can be sent to";
const NOT_SENT_FROM: &str = "no address that can be sent from";

const TEXTS: [Texts; 3] = [
    (
        "UnicastIPv4",
        &[
            ("192.0.2", "not an address"),
            ("multicast6", "not an address"),
            ("0.0.0.0", NOT_SENT_TO),
            ("255.255.255.255", NOT_SENT_TO),
        ],
        "REG_SZ, an IPv4 address such as 192.168.1.20\" Default=\"239.255.77.77",
    ),
    (
        "UnicastSrcIPv4",
        &[("192.0.2.256", "not an address"), ("224.0.0.1", NOT_SENT_FROM), ("0.0.0.0", NOT_SENT_FROM)],
        "REG_SZ, an IPv4 address of this computer\" Default=\"any",
    ),
    (
        "Interface",
        &[
            ("Ethernet", "not an address"),
            ("fe80::1%0", "no interface index from 1 to 16777215"),
            ("ff02::1", NOT_SENT_FROM),
            ("239.255.77.77", NOT_SENT_FROM),
        ],
        "REG_DWORD, an index from 1 to 16777215, or REG_SZ, an address of the interface\" Default=\"the system's choice",
    ),
];

/// Plays with one option; how the packets left, and what was told of options.
fn play_with(name: &'static str, value: Value) -> (Vec<Datagram>, Vec<String>) {
    let config = Config { events: Some(Session::everything()), ..prompt_network() };
    let outcome = with_options(config, &[(name, value)], |device| {
        // Silence at the end, and a time after the stream, show what a wrong threshold or continuity would change.
        let audio = [noise(1, 3840), vec![0; 38_400]].concat();
        let mut stream = device
            .open(&Format::pcm(48_000, 16, 2), Buffer::Notified { bytes: 3840, count: 2 })
            .expect("a stream");
        stream.play(source(audio)).expect("it plays");
        schedule::sleep_until(schedule::now() + 100_000_000);
        stream.close();
        sent()
    });
    let told = outcome.events.iter().filter(|event| event.name.starts_with("Option"));
    let told = told.map(ToString::to_string).collect();
    (outcome.expect_clean(), told)
}

/// A value that cannot be used: everything is as without it, and one event says why.
#[track_caller]
fn check_ignored(name: &'static str, value: Value, reason: &str, accepted: &str, without: &[Datagram]) {
    let what = format!("{name} {:.60}", format!("{value:?}"));
    let (datagrams, told) = play_with(name, value);
    let expected = format!(
        "Scream warning: OptionIgnored Name=\"{name}\" Entry=0 Reason=\"{reason}\" Accepted=\"{accepted}\""
    );
    assert_eq!(told, [expected], "{what}");
    assert!(datagrams == without, "{what}: the default does not hold");
}

#[test]
fn a_number_of_a_wrong_type_length_or_range_is_told_and_the_default_holds() {
    let (without, told) = play_with("Nothing", Value::Dword(0));
    assert_eq!((without.len(), told.len()), (37, 0));
    for (name, out_of_range, accepted) in NUMBERS {
        for number in out_of_range {
            check_ignored(name, Value::Dword(*number), "out of range", accepted, &without);
        }
        let of_another_type = [
            Value::Sz("1".to_owned()),
            Value::Qword(1),
            Value::Binary(vec![1, 0, 0, 0]),
            Value::MultiSz(vec!["1".to_owned()]),
            Value::Raw(4, vec![]),
            Value::Raw(4, vec![1, 0, 0]),
            Value::Raw(4, vec![1, 0, 0, 0, 0]),
            Value::Raw(u32::MAX, vec![1, 0, 0, 0]),
        ];
        for value in of_another_type {
            check_ignored(name, value, "of another type", accepted, &without);
        }
        check_ignored(name, Value::Raw(4, vec![1; 65_536]), "too long", accepted, &without);
    }
}

#[test]
fn a_text_of_a_wrong_type_or_meaning_is_told_and_the_default_holds() {
    let (without, _) = play_with("Nothing", Value::Dword(0));
    for (name, texts, accepted) in TEXTS {
        for (text, reason) in texts {
            check_ignored(name, Value::Sz((*text).to_owned()), reason, accepted, &without);
        }
        for value in [Value::Raw(1, vec![]), Value::Raw(1, vec![b'1']), Value::Sz(String::new())] {
            check_ignored(name, value, "not an address", accepted, &without);
        }
        let of_another_type = [
            Value::ExpandSz("192.0.2.10".to_owned()),
            Value::MultiSz(vec!["192.0.2.10".to_owned()]),
            Value::Binary(vec![192, 0, 2, 10]),
        ];
        for value in of_another_type {
            check_ignored(name, value, "of another type", accepted, &without);
        }
        check_ignored(name, Value::Sz("192.0.2.10\0".repeat(2979)), "too long", accepted, &without);
    }
    let interface = TEXTS[2].2;
    for index in [0, 0x0100_0000, u32::MAX] {
        let reason = "no interface index from 1 to 16777215";
        check_ignored("Interface", Value::Dword(index), reason, interface, &without);
    }
}

#[test]
fn every_option_may_be_unreadable_and_its_default_holds() {
    // The values are asked for in the order of the documentation.
    for nth in 1..=11 {
        let config = Config { events: Some(Session::everything()), ..prompt_network() };
        let outcome = with_options(config, &[], move |device| {
            crossing::inject("ZwQueryValueKey", nth, testbed::nt::NtStatus::ACCESS_DENIED);
            set_option("Other", Value::Dword(1));
            let packets = play(device, noise(1, 3840)).len();
            assert_eq!(crossing::inject_no_more(), 0, "the value was asked for");
            packets
        });
        let told = outcome.events.iter().filter(|event| event.name == "OptionIgnored").count();
        assert_eq!((told, outcome.expect_clean()), (1, 4), "value {nth}");
    }
}

#[test]
fn every_option_is_read_again_for_every_stream() {
    let outcome = with_options(prompt_network(), &[], |device| {
        let mut seen = Vec::new();
        let mut play = |name: &str, value: Value| {
            set_option(name, value);
            let datagram = play(device, noise(1, 3840)).pop().expect("a packet");
            seen.push((
                datagram.destination.to_string(),
                datagram.source.port() == 5000,
                datagram.options.ttl,
            ));
        };
        play("UnicastPort", Value::Dword(1));
        play("UnicastIPv4", Value::Sz("192.0.2.1".to_owned()));
        play("UnicastSrcPort", Value::Dword(5000));
        play("TTL", Value::Dword(7));
        play("Targets", Value::MultiSz(vec!["[2001:db8::1]:2".to_owned()]));
        play("Targets", Value::MultiSz(vec![]));
        seen
    });
    let expected = [
        ("239.255.77.77:1", false, None),
        ("192.0.2.1:1", false, None),
        ("192.0.2.1:1", true, None),
        ("192.0.2.1:1", true, Some(7)),
        ("[2001:db8::1]:2", true, Some(7)),
        ("192.0.2.1:1", true, Some(7)),
    ];
    let expected = expected.map(|(target, from, ttl)| (target.to_owned(), from, ttl));
    assert_eq!(outcome.expect_clean(), expected);
}
