//! What programs and people are told.

use serde_json::{Value, json};

use crate::running::{Ended, Scream, audio, format, free_port, packets, sender_to};

/// A recording with these options, of three packets and one that is none.
fn record(options: &[&str]) -> (Ended, u16) {
    let port = free_port();
    let folder = tempfile::tempdir().expect("a folder");
    let output = format!("wav:{}", folder.path().join("a.wav").display());
    let port_text = port.to_string();
    let scream =
        Scream::start(&[&["-u", "-i", "127.0.0.1", "-p", &port_text, "-o", &output], options].concat());
    let sender = sender_to(port);
    // Half of full scale on the left, silence on the right.
    let frames = [0, 0x40, 0, 0].repeat(864);
    for packet in packets(format(16, 2), &frames) {
        sender.send(&packet).expect("it is sent");
    }
    sender.send(&[1]).expect("it is sent");
    if options.contains(&"--json") {
        scream.wait_for_json(|object| object["event"] == "status" && object["received"] == 4);
    } else {
        scream.wait_for_line(" 2 channels");
    }
    (scream.end(), sender.local_addr().expect("it has an address").port())
}

#[test]
fn programs_are_told_events_a_status_each_second_and_totals() {
    let (ended, sender) = record(&["--json"]);
    let objects = ended.json();
    let events: Vec<_> = objects.iter().map(|object| object["event"].as_str().expect("a name")).collect();
    assert_eq!(&events[..3], ["start", "heard", "format"], "{events:?}");
    assert_eq!(events.last(), Some(&"totals"));
    assert_eq!(objects[1], json!({"event": "heard", "sender": format!("127.0.0.1:{sender}")}));
    assert_eq!(objects[2], json!({"event": "format", "rate": 48000, "bits": 16, "channels": 2, "mask": 3}));
    let count = |object: &Value, name: &str| object[name].as_u64();
    for object in [&objects[3], &objects[objects.len() - 1]] {
        assert_eq!(count(object, "received"), Some(4), "{object}");
        assert_eq!(count(object, "received_bytes"), Some(3 * 1157 + 1), "{object}");
        assert_eq!(count(object, "delivered"), Some(3), "{object}");
        assert_eq!(count(object, "runts"), Some(1), "{object}");
        // Nothing is played but recorded, so nothing is known of delays.
        assert!(object.get("delay_ms").is_none(), "{object}");
    }
    assert_eq!(events[3], "status");
    assert_eq!(count(&objects[3], "packets_per_second"), Some(4));
    // What the program says to people is said nevertheless.
    assert_eq!(ended.stderr.lines().count(), 1);
}

#[test]
fn people_are_told_what_happens_and_the_totals_without_pictures() {
    let (ended, sender) = record(&["-v", "--stats"]);
    let lines: Vec<_> = ended.stderr.lines().collect();
    assert_eq!(lines[1], format!("hears 127.0.0.1:{sender}"));
    assert_eq!(lines[2], "the stream has 48000 Hz, 16 bits, 2 channels");
    assert!(lines[3].starts_with("seconds "), "{lines:?}");
    assert!(ended.stderr.is_ascii() && !ended.stderr.contains('\x1b'), "{}", ended.stderr);
    assert_eq!(ended.done(), b"");
}

#[test]
fn a_status_is_printed_each_second_for_those_who_want_to_know_much() {
    let port = free_port();
    let scream = Scream::start(&["-u", "-i", "127.0.0.1", "-p", &port.to_string(), "-o", "raw", "-vv"]);
    let sent = audio(format(16, 2), 288, 1);
    sender_to(port).send(&packets(format(16, 2), &sent)[0]).expect("it is sent");
    scream.wait_for_line("1 packets/s");
    scream.wait_for_line("0 packets/s");
    assert_eq!(scream.end().done(), sent);
}

#[test]
fn when_nothing_comes_for_long_a_reason_is_suggested_once() {
    let port = free_port();
    let scream = Scream::start(&["-i", "lo", "-p", &port.to_string(), "-o", "raw"]);
    scream.wait_for_line(&format!(
        "hint: nothing has come yet; if it is sent, a firewall here may drop UDP port {port}"
    ));
    assert_eq!(scream.end().stderr.matches("hint: ").count(), 1);
}
