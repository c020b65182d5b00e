//! A minute of audio through the driver and a real UDP socket, on the real clock.
#![cfg(target_os = "linux")]

mod common;

use std::net::UdpSocket;
use std::time::Duration;

use common::{noise, prompt_network, source, with_options};
use socket2::SockRef;
use testbed::client::{Buffer, Format};
use testbed::kernel::registry::Value;
use testbed::network::{RealSetup, Setup};
use testbed::{Clock, Config};

/// Receives until nothing has come for a second; the first packet may take longer.
fn receive(socket: &UdpSocket) -> Vec<Vec<u8>> {
    let mut packets: Vec<Vec<u8>> = Vec::new();
    let mut bytes = [0; 2048];
    loop {
        let patience = if packets.is_empty() { 30 } else { 1 };
        socket.set_read_timeout(Some(Duration::from_secs(patience))).expect("a time-out");
        match socket.recv(&mut bytes) {
            Ok(length) => packets.push(bytes[..length].to_vec()),
            Err(_) => return packets,
        }
    }
}

#[test]
fn a_minute_of_24_bit_noise_at_96_khz_arrives_bit_exactly_through_real_udp() {
    let frames = 60 * 96_000 + 100;
    let audio = noise(8, frames * 6);
    let played = audio.clone();
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    // A busy computer may keep the receiver waiting for a while: as much room as the system gives.
    SockRef::from(&socket).set_recv_buffer_size(4 << 20).expect("a buffer");
    let port = socket.local_addr().expect("an address").port();
    let receiver = std::thread::spawn(move || receive(&socket));
    let config =
        Config { clock: Clock::Real, network: Setup::Real(RealSetup::default()), ..prompt_network() };
    let options =
        [("UnicastIPv4", Value::Sz("127.0.0.1".to_owned())), ("UnicastPort", Value::Dword(port.into()))];
    let outcome = with_options(config, &options, move |device| {
        let mut stream = device
            .open(&Format::pcm(96_000, 24, 2), Buffer::Notified { bytes: 1_152_000, count: 2 })
            .expect("a stream");
        let played = stream.play(source(audio)).expect("it plays");
        stream.close();
        played
    });
    let report = outcome.expect_clean();
    assert_eq!((report.frames, report.glitches), (frames as u64, 0));
    let packets = receiver.join().expect("the receiver");
    let (last, full) = packets.split_last().expect("packets came");
    assert!(full.iter().all(|packet| packet.len() == 1157), "a packet before the last is not full");
    assert!(last.len() > 5 && last.len() <= 1157 && (last.len() - 5) % 6 == 0, "last: {} bytes", last.len());
    assert!(packets.iter().all(|packet| packet[..5] == [2, 24, 2, 3, 0]));
    let heard: Vec<u8> = packets.iter().flat_map(|packet| packet[5..].iter().copied()).collect();
    let (head, rest) = heard.split_at_checked(played.len()).expect("every frame came");
    common::assert_same_audio(head, &played);
    // On the real clock the stream is stopped a little after the last frame: silence follows it.
    assert!(rest.iter().all(|byte| *byte == 0), "what follows the end is not silence");
}
