//! Several senders: one is heard, the others are named.

use crate::running::{Scream, format, free_port, other_sender_to, packets, sender_to};

/// A packet of a few frames with this byte.
fn packet(byte: u8) -> Vec<u8> {
    packets(format(16, 2), &[byte; 40]).remove(0)
}

#[test]
fn the_second_sender_is_named_once_and_not_played() {
    let port = free_port();
    let scream = Scream::start(&["-u", "-i", "127.0.0.1", "-p", &port.to_string(), "-o", "raw", "--stats"]);
    let (first, second) = (sender_to(port), other_sender_to(port));
    for _ in 0..5 {
        first.send(&packet(1)).expect("it is sent");
        second.send(&packet(2)).expect("it is sent");
    }
    first.send(&packet(3)).expect("it is sent");
    scream.wait_for_bytes(240);
    let ended = scream.end();
    let address = second.local_addr().expect("it has an address");
    let line = format!("ignored: {address} sends, too; --mix plays all, --source picks one");
    assert_eq!(ended.stderr.matches("ignored: ").count(), 1, "{}", ended.stderr);
    assert!(ended.stderr.lines().any(|one| one == line), "{}", ended.stderr);
    assert_eq!(ended.total("of senders that are ignored"), 5);
    assert_eq!(ended.done(), [[1; 40]; 5].concat().into_iter().chain([3; 40]).collect::<Vec<_>>());
}

#[test]
fn the_sender_that_is_picked_is_heard_even_if_another_was_first() {
    let port = free_port();
    let (first, second) = (sender_to(port), other_sender_to(port));
    let picked = second.local_addr().expect("it has an address").to_string();
    let arguments = ["-u", "-i", "127.0.0.1", "-p", &port.to_string(), "-o", "raw", "--source", &picked];
    let scream = Scream::start(&arguments);
    for _ in 0..3 {
        first.send(&packet(1)).expect("it is sent");
        second.send(&packet(2)).expect("it is sent");
    }
    scream.wait_for_bytes(120);
    assert_eq!(scream.end().done(), [2; 120]);
}

#[test]
fn many_senders_neither_fill_the_terminal_nor_stop_the_first_one() {
    let port = free_port();
    let scream = Scream::start(&["-u", "-i", "127.0.0.1", "-p", &port.to_string(), "-o", "raw", "--stats"]);
    let first = sender_to(port);
    for count in 1..=300 {
        first.send(&packet(1)).expect("it is sent");
        other_sender_to(port).send(&packet(2)).expect("it is sent");
        scream.wait_for_bytes(40 * count);
    }
    first.send(&packet(1)).expect("it is sent");
    scream.wait_for_bytes(40 * 301);
    let ended = scream.end();
    assert_eq!(ended.stderr.matches("ignored: ").count(), 8, "{}", ended.stderr);
    assert_eq!(ended.total("of senders that are ignored"), 300);
    assert_eq!(ended.done(), [1; 40 * 301]);
}

#[test]
fn a_stray_packet_of_another_format_is_left_out() {
    let port = free_port();
    let scream = Scream::start(&["-u", "-i", "127.0.0.1", "-p", &port.to_string(), "-o", "raw", "--stats"]);
    let sender = sender_to(port);
    let stray = packets(format(24, 1), &[9; 30]).remove(0);
    for bytes in [packet(1), stray, packet(2)] {
        sender.send(&bytes).expect("it is sent");
    }
    scream.wait_for_bytes(80);
    let ended = scream.end();
    assert_eq!(ended.total("single ones of another format"), 1);
    assert_eq!(ended.done(), [[1; 40], [2; 40]].concat());
}
