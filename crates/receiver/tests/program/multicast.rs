//! Packets to a group, on the loopback interface.

use std::net::{Ipv4Addr, UdpSocket};

use protocol::options::MULTICAST;
use socket2::SockRef;

use crate::running::{Scream, audio, format, free_port, packets, sender_to};

/// A socket that sends to a group on the loopback interface.
fn sender_to_group() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    SockRef::from(&socket).set_multicast_if_v4(&Ipv4Addr::LOCALHOST).expect("the interface");
    socket
}

#[test]
fn what_is_sent_to_the_usual_group_comes_out_of_every_program_that_listens() {
    let port = free_port();
    let arguments = ["-p", &port.to_string(), "-o", "raw"];
    let programs = [Scream::start(&arguments), Scream::start(&arguments)];
    let sent = audio(format(24, 6), 500, 3);
    let sender = sender_to_group();
    for packet in packets(format(24, 6), &sent) {
        sender.send_to(&packet, (MULTICAST, port)).expect("it is sent");
    }
    for program in programs {
        program.wait_for_bytes(sent.len());
        assert!(program.end().done() == sent, "what came out is not what was sent");
    }
}

#[test]
fn neither_unicast_nor_another_group_on_the_port_is_heard() {
    let port = free_port();
    let scream = Scream::start(&["-p", &port.to_string(), "-o", "raw", "--stats"]);
    // A program that has joined the other group on the same port, so that this computer receives it.
    let other = Scream::start(&["-g", "239.255.77.78", "-p", &port.to_string(), "-o", "raw"]);
    let [unicast, wrong, right] =
        [7, 8, 9].map(|seed| packets(format(16, 2), &audio(format(16, 2), 100, seed)).remove(0));
    let sender = sender_to_group();
    sender_to(port).send(&unicast).ok();
    sender.send_to(&wrong, (Ipv4Addr::new(239, 255, 77, 78), port)).expect("it is sent");
    other.wait_for_bytes(400);
    sender.send_to(&right, (MULTICAST, port)).expect("it is sent");
    scream.wait_for_bytes(400);
    let ended = scream.end();
    assert_eq!(ended.total("received"), 1, "{}", ended.stderr);
    assert_eq!(ended.done(), right[5..]);
    assert_eq!(other.end().done(), wrong[5..]);
}

#[test]
fn the_start_line_says_what_is_listened_to_and_where_it_goes() {
    let port = free_port();
    let ended = Scream::start(&["-i", "lo", "-p", &port.to_string(), "-o", "raw"]).end();
    assert_eq!(
        ended.stderr,
        format!("listens to 239.255.77.77:{port} on lo; writes raw samples to standard output\n")
    );
    ended.done();
}
