//! What is sent to the computer or to a group is written as it was sent.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};

use protocol::options::MULTICAST;
use socket2::SockRef;

use crate::running::{Ended, Scream, audio, format, free_port, packets, sender_to};
use crate::windows::Windows;

/// Has it end as if the user had pressed Ctrl-C: wine's loader makes `CTRL_C_EVENT` of this signal.
fn press_ctrl_c(scream: Scream) -> Ended {
    scream.signal("INT");
    scream.ended()
}

#[test]
fn raw_samples_come_out_as_they_were_sent() {
    let windows = Windows::new();
    let port = free_port();
    let scream = windows.start(&["-u", "-p", &port.to_string(), "-o", "raw"]);
    let (format, sender) = (format(24, 2), sender_to(port));
    let sent = audio(format, 3000, 1);
    for packet in packets(format, &sent) {
        sender.send(&packet).expect("it is sent");
    }
    scream.wait_for_bytes(sent.len());
    let ended = press_ctrl_c(scream);
    assert!(ended.done() == sent, "what came out is not what was sent");
}

#[test]
fn ctrl_c_completes_a_wav_file_that_has_every_sample_of_a_group() {
    let windows = Windows::new();
    let port = free_port();
    // On one interface: the sender's.
    let scream = windows.start(&[
        "-i",
        "127.0.0.1",
        "-p",
        &port.to_string(),
        "-o",
        r"wav:C:\scream\a.wav",
        "--json",
        "--stats",
    ]);
    let format = format(16, 6);
    let sent = audio(format, 5000, 2);
    let packets = packets(format, &sent);
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    SockRef::from(&sender).set_multicast_if_v4(&Ipv4Addr::LOCALHOST).expect("the interface");
    for packet in &packets {
        sender.send_to(packet, (MULTICAST, port)).expect("it is sent");
    }
    scream.wait_for_received(packets.len() as u64);
    let ended = press_ctrl_c(scream);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.total("used"), packets.len() as u64, "{}", ended.stderr);
    assert_eq!(ended.json().last().expect("the totals")["event"], "totals");

    let path = windows.folder().join("a.wav");
    let reader = hound::WavReader::open(&path).expect("a WAV file that is complete");
    let spec = reader.spec();
    assert_eq!((spec.sample_rate, spec.bits_per_sample, spec.channels), (48_000, 16, 6));
    assert_eq!(reader.duration(), 5000);
    assert!(fs::read(path).expect("it is there").ends_with(&sent), "what was written is not what was sent");
}

#[test]
fn a_port_that_is_taken_is_one_line_with_what_to_do() {
    let windows = Windows::new();
    let taken = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
    let port = taken.local_addr().expect("an address").port();
    let ended = windows.run(&["-u", "-p", &port.to_string(), "-o", "raw"]);
    assert_eq!(
        (ended.code, ended.err),
        (
            1,
            format!(
                "error: 0.0.0.0:{port} is in use by another program; end that, or choose another port with -p\n"
            )
        )
    );
}
