//! Packets for anyone, taken off the loopback interface. Needs the right to sniff: root has it.
#![cfg(feature = "pcap")]

use crate::running::{Scream, audio, format, free_port, packets, sender_to};

/// Starts the program; without the right to sniff this is where the test ends.
fn sniff(arguments: &[&str]) -> Scream {
    Scream::start(&[&["-P", "-o", "raw"], arguments].concat())
}

#[test]
fn what_is_sent_to_the_port_is_sniffed_on_one_interface_and_on_all() {
    for interface in [&["-i", "lo"][..], &["-i", "127.0.0.1"], &[]] {
        let port = free_port();
        let scream = sniff(&[&["-p", &port.to_string()], interface].concat());
        let sent = audio(format(24, 2), 600, 9);
        // Nobody listens on the port, which its sender is told.
        let (sender, other) = (sender_to(port), sender_to(free_port()));
        for packet in packets(format(24, 2), &sent) {
            let _ = other.send(&packet);
            while sender.send(&packet).is_err() {}
        }
        scream.wait_for_bytes(sent.len());
        assert!(scream.end().done() == sent, "what came out is not what was sent");
    }
}

#[test]
fn only_what_is_sent_to_the_group_is_sniffed_if_one_is_given() {
    let port = free_port();
    let scream = sniff(&["-i", "lo", "-p", &port.to_string(), "-g", "239.255.77.79", "--stats"]);
    let [unicast, right] =
        [1, 2].map(|seed| packets(format(16, 2), &audio(format(16, 2), 50, seed)).remove(0));
    let sender = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket2::SockRef::from(&sender).set_multicast_if_v4(&[127, 0, 0, 1].into()).expect("the interface");
    let _ = sender_to(port).send(&unicast);
    sender.send_to(&right, ("239.255.77.79", port)).expect("it is sent");
    scream.wait_for_bytes(200);
    let ended = scream.end();
    assert_eq!(ended.total("received"), 1, "{}", ended.stderr);
    assert_eq!(ended.done(), right[5..]);
}
