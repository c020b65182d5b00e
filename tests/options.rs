//! The driver's options in the registry, and what it does when the network misbehaves.
#![cfg(target_os = "linux")]

mod common;

use std::net::SocketAddrV4;

use common::{assert_same_audio, audio_of, noise, prompt_network, sent, set_option, source, with_options};
use testbed::client::{Buffer, Format};
use testbed::device::Device;
use testbed::kernel::registry::Value;
use testbed::network::Datagram;
use testbed::nt::NtStatus;
use testbed::wsk::{self, Call, Completion, Fault};
use testbed::{Config, Outcome};

/// Plays 20 ms; the datagrams, in order.
fn play(device: &Device, audio: Vec<u8>) -> Vec<Datagram> {
    let mut stream = device
        .open(&Format::pcm(48_000, 16, 2), Buffer::Notified { bytes: 3840, count: 2 })
        .expect("a stream");
    stream.play(source(audio)).expect("it plays");
    stream.close();
    sent()
}

fn destinations(options: &[(&str, Value)]) -> Vec<SocketAddrV4> {
    let outcome: Outcome<Vec<Datagram>> =
        with_options(prompt_network(), options, |device| play(device, noise(1, 3840)));
    let mut destinations: Vec<SocketAddrV4> =
        outcome.expect_clean().iter().map(|datagram| datagram.destination).collect();
    destinations.dedup();
    destinations
}

fn address(text: &str) -> SocketAddrV4 {
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
fn values_of_a_wrong_type_or_meaning_are_ignored() {
    let wrong_addresses = [
        Value::Dword(0x4D02_00C0),
        Value::Binary(vec![192, 0, 2, 77]),
        Value::MultiSz(vec!["192.0.2.77".to_owned()]),
        Value::Sz(String::new()),
        Value::Sz("192.0.2".to_owned()),
        Value::Sz("192.0.2.256".to_owned()),
        Value::Sz("somewhere.example".to_owned()),
        Value::Sz("192.0.2.77".repeat(400)),
        Value::Raw(1, vec![]),
        Value::Raw(1, vec![b'1']),
        Value::Raw(1, vec![b'1', 0, b'9', 0, b'2', 0, b'.']),
    ];
    for value in wrong_addresses {
        assert_eq!(
            destinations(&[("UnicastIPv4", value.clone())]),
            [address("239.255.77.77:4010")],
            "{value:?}"
        );
    }
    let wrong_ports = [
        Value::Sz("4011".to_owned()),
        Value::Qword(4011),
        Value::Dword(0),
        Value::Dword(65_536),
        Value::Dword(u32::MAX),
        Value::Raw(4, vec![0xAB, 0x0F]),
        Value::Raw(4, vec![]),
    ];
    for value in wrong_ports {
        assert_eq!(
            destinations(&[("UnicastPort", value.clone())]),
            [address("239.255.77.77:4010")],
            "{value:?}"
        );
    }
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

/// One second with a fault; what arrived.
fn play_with(config: Config, faults: &'static [(Call, u64, Fault)]) -> (Vec<u8>, Vec<u8>) {
    let audio = noise(5, 48_000 * 4);
    let played = audio.clone();
    let outcome = with_options(config, &[], move |device| {
        for (call, nth, fault) in faults {
            wsk::inject(*call, *nth, *fault);
        }
        play(device, audio)
    });
    (audio_of(&outcome.expect_clean()), played)
}

#[test]
fn a_send_that_fails_costs_one_packet() {
    let (heard, played) =
        play_with(prompt_network(), &[(Call::WskSendTo, 5, Fault::Status(NtStatus::NETWORK_UNREACHABLE))]);
    assert_same_audio(&heard, &[&played[..4 * 1152], &played[5 * 1152..]].concat());
}

#[test]
fn a_socket_that_the_network_closed_is_replaced_by_another() {
    let faults = &[(Call::WskSendTo, 5, Fault::Status(NtStatus::FILE_FORCED_CLOSED))];
    let (heard, played) = play_with(prompt_network(), faults);
    assert_same_audio(&heard, &[&played[..4 * 1152], &played[5 * 1152..]].concat());
}

#[test]
fn sends_that_hang_until_the_socket_is_closed_cost_their_slots_only() {
    let faults = &[
        (Call::WskSendTo, 1, Fault::Hangs),
        (Call::WskSendTo, 2, Fault::Hangs),
        (Call::WskSendTo, 100, Fault::Hangs),
    ];
    let (heard, played) = play_with(prompt_network(), faults);
    assert_same_audio(&heard, &played);
}

#[test]
fn late_completions_change_nothing() {
    for delay in [1, 1_000_000, 20_000_000] {
        for irql in [0, 2] {
            let sends = Completion::After(delay, irql);
            let wsk = wsk::Setup { sends, ..prompt_network().wsk };
            let (heard, played) = play_with(Config { wsk, ..Config::default() }, &[]);
            assert_same_audio(&heard, &played);
        }
    }
}

#[test]
fn a_network_that_answers_late_costs_the_start_only() {
    let wsk = wsk::Setup { controls: Completion::After(25_000_000, 2), ..prompt_network().wsk };
    let (heard, played) = play_with(Config { wsk, ..Config::default() }, &[]);
    assert!(heard.len() > played.len() * 9 / 10, "only {} of {} bytes were heard", heard.len(), played.len());
    assert_same_audio(&heard, &played[played.len() - heard.len()..]);
}

#[test]
fn a_socket_or_a_bind_that_fails_once_does_not_silence_the_stream_for_ever() {
    for call in [Call::WskSocket, Call::WskBind] {
        let faults: &'static [(Call, u64, Fault)] = match call {
            Call::WskSocket => &[(Call::WskSocket, 1, Fault::Status(NtStatus::INSUFFICIENT_RESOURCES))],
            _ => &[(Call::WskBind, 1, Fault::Status(NtStatus::ADDRESS_ALREADY_EXISTS))],
        };
        let audio = noise(6, 30 * 48_000 * 4);
        let played = audio.clone();
        let outcome = with_options(prompt_network(), &[], move |device| {
            for (call, nth, fault) in faults {
                wsk::inject(*call, *nth, *fault);
            }
            play(device, audio)
        });
        let heard = audio_of(&outcome.expect_clean());
        assert!(!heard.is_empty(), "nothing was heard in 30 seconds after {call:?} failed once");
        assert_same_audio(&heard, &played[played.len() - heard.len()..]);
    }
}

#[test]
fn a_network_that_comes_up_a_minute_late_does_not_hold_up_the_driver() {
    let wsk = wsk::Setup { provider_ready_after: 60_000_000_000, ..prompt_network().wsk };
    let (heard, played) = play_with(Config { wsk, ..Config::default() }, &[]);
    assert_eq!((heard.len(), played.len()), (0, 192_000));
}
