//! Streams that go to the network, and what became of their packets.
#![allow(dead_code, reason = "every scenario uses its own part of this")]

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use testbed::client::{Buffer, Format, Player, Stream};
use testbed::kernel::etw::{Event, Session, Value as Field};
use testbed::kernel::registry::Value;
use testbed::network::{Datagram, Interface, Setup, VirtualSetup};
use testbed::schedule::Time;
use testbed::{Config, Device, Outcome};

use crate::common::{noise, prompt_network, source};

pub const MS: u64 = 1_000_000;
pub const SECOND: u64 = 1_000_000_000;
/// Bytes of a full packet: 288 frames, which play for 6 ms.
pub const PACKET: usize = 1152;
/// How a packet of [`FORMAT`] begins: 48 kHz, 16 bits, two channels, left and right.
pub const HEADER: [u8; 5] = [1, 16, 2, 3, 0];
/// A buffer of 20 ms.
pub const BUFFER: Buffer = Buffer::Notified { bytes: 3840, count: 2 };

/// 48 kHz, 16 bits, stereo.
pub fn format() -> Format {
    Format::pcm(48_000, 16, 2)
}

/// Noise of so many milliseconds.
pub fn milliseconds(count: usize) -> Vec<u8> {
    noise(3, count * 192)
}

/// A machine that answers at once and records every event from boot on.
pub fn recording() -> Config {
    Config { events: Some(Session::everything()), ..prompt_network() }
}

/// The same with these network interfaces.
pub fn recording_with(interfaces: Vec<Interface>) -> Config {
    Config { network: Setup::Virtual(VirtualSetup { interfaces }), ..recording() }
}

/// An interface with a gateway.
pub fn interface(index: u32, metric: u32, addresses: &[&str]) -> Interface {
    Interface { index, metric, addresses: prefixes(addresses), up: true, default_route: true }
}

/// Addresses with their prefixes.
pub fn prefixes(texts: &[&str]) -> Vec<(IpAddr, u8)> {
    let pair = |text: &&str| {
        let (address, bits) = text.split_once('/').expect("a prefix");
        (address.parse().expect("an address"), bits.parse().expect("bits"))
    };
    texts.iter().map(pair).collect()
}

/// An option of text.
pub fn text(name: &'static str, value: &str) -> (&'static str, Value) {
    (name, Value::Sz(value.to_owned()))
}

/// The option `Targets`.
pub fn targets<T: AsRef<str>>(entries: &[T]) -> (&'static str, Value) {
    ("Targets", Value::MultiSz(entries.iter().map(|entry| entry.as_ref().to_owned()).collect()))
}

pub fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

pub fn open(device: &Device) -> Stream {
    device.open(&format(), BUFFER).expect("a stream")
}

/// Plays to the end through a stream of its own.
pub fn play(device: &Device, audio: Vec<u8>) {
    let mut stream = open(device);
    stream.play(source(audio)).expect("it plays");
    stream.close();
}

/// Plays on for a time, in milliseconds.
pub fn pass(player: &mut Player<'_, impl FnMut(&mut [u8]) -> usize>, milliseconds: u64) {
    player.run_for(milliseconds * MS).expect("it plays");
}

/// The datagrams to one target, in order.
pub fn to(datagrams: &[Datagram], target: &str) -> Vec<Datagram> {
    let target = address(target);
    datagrams.iter().filter(|datagram| datagram.destination == target).cloned().collect()
}

/// The destinations, each once, in the order in which they were first sent to.
pub fn destinations(datagrams: &[Datagram]) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for datagram in datagrams {
        if !found.contains(&datagram.destination) {
            found.push(datagram.destination);
        }
    }
    found
}

/// Milliseconds, rounded up, from `since` to the first datagram that left then or later.
#[track_caller]
pub fn silent_for(datagrams: &[Datagram], since: Time) -> u64 {
    let first = datagrams.iter().find(|datagram| datagram.time >= since).expect("there is sound again");
    (first.time - since).div_ceil(MS)
}

/// The events of these names, without the times.
pub fn told(events: &[Event], names: &[&str]) -> Vec<String> {
    events.iter().filter(|event| names.contains(&event.name.as_str())).map(ToString::to_string).collect()
}

/// The number in a field of an event.
#[track_caller]
pub fn number(event: &Event, field: &str) -> u64 {
    match event.field(field) {
        Some(Field::Unsigned(value)) => *value,
        other => panic!("{field} of {event} is {other:?}"),
    }
}

/// What became of the packets of the only stream: sent, dropped, failed.
#[track_caller]
pub fn totals(events: &[Event]) -> (u64, u64, u64) {
    let closed: Vec<&Event> = events.iter().filter(|event| event.name == "StreamClosed").collect();
    assert_eq!(closed.len(), 1, "{closed:?}");
    (number(closed[0], "Sent"), number(closed[0], "Dropped"), number(closed[0], "Failed"))
}

/// Checks that the datagrams are packets of the audio in its order, each once at most; which they are.
#[track_caller]
pub fn packets_of(datagrams: &[Datagram], played: &[u8]) -> Vec<usize> {
    let numbers: HashMap<&[u8], usize> = played.chunks(PACKET).zip(0..).collect();
    let heard: Vec<usize> = datagrams
        .iter()
        .map(|datagram| *numbers.get(&datagram.payload[5..]).expect("a packet of what was played"))
        .collect();
    let backwards = heard.windows(2).find(|pair| pair[0] >= pair[1]);
    assert_eq!(backwards, None, "packets that left in a wrong order");
    heard
}

/// Checks that every packet for every target is accounted for, and what left as sent; returns how many were lost.
#[track_caller]
pub fn lost<T>(outcome: &Outcome<T>, datagrams: &[Datagram], packets: u64) -> u64 {
    let (sent, dropped, failed) = totals(&outcome.events);
    assert_eq!((sent, sent + dropped + failed), (datagrams.len() as u64, packets));
    let told = outcome.events.iter().filter(|event| event.name == "PacketsLost");
    let told: u64 = told.map(|event| number(event, "Dropped") + number(event, "Failed")).sum();
    assert!(told <= dropped + failed, "{told} losses were told, of {}", dropped + failed);
    dropped + failed
}
