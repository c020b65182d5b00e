//! The output WASAPI, on wine's, whose sound device keeps what it plays in a file.

use std::f64::consts::TAU;
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use crate::running::{format, free_port, packets, sender_to};
use crate::windows::Windows;

const RATE: usize = 48_000;

/// What the left channel has throughout, so that frames that were sent differ from silence.
const LEFT: i16 = 1;

/// A second and a half of 1 kHz on the right channel.
fn tone() -> Vec<[i16; 2]> {
    let right = |frame: usize| (3277.0 * (TAU * 1000.0 * frame as f64 / RATE as f64).sin()) as i16;
    (0..RATE * 3 / 2).map(|frame| [LEFT, right(frame)]).collect()
}

/// The file plugin stands before a null device, which takes any amount at once, so wine plays faster than in real time and
/// the output has to fill with silence. What is between that is every sample that was sent, once, in order and on its channel.
#[test]
fn every_sample_is_played_on_its_channel() {
    let windows = Windows::new();
    let port = free_port().to_string();
    let scream =
        windows.start(&["-u", "-p", &port, "-o", "wasapi", "-d", "Out: Scream", "--bit-exact", "--stats"]);
    scream.wait_for_line("plays on Windows, device \"Out: Scream\"");
    let sent = tone();
    let bytes: Vec<u8> = sent.iter().flatten().flat_map(|sample| sample.to_le_bytes()).collect();
    let sender = sender_to(port.parse().expect("a number"));
    // When the driver sends a packet: once all of it has been played there.
    let (start, frames) = (Instant::now(), protocol::MAX_PAYLOAD / 4);
    for (index, packet) in packets(format(16, 2), &bytes).iter().enumerate() {
        let due = start + Duration::from_secs_f64(((index + 1) * frames) as f64 / RATE as f64);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        sender.send(packet).expect("it is sent");
    }
    // What is still to be played when it is asked to end is faded out: it is to be none of the tone.
    let played = || fs::read(windows.played()).map_or_else(|_| Vec::new(), |bytes| heard(&bytes));
    crate::running::wait_until("all of it is played", || played().len() >= sent.len());
    scream.signal("INT");
    let ended = scream.ended();
    assert_eq!((ended.code, ended.total("lost"), ended.total("late")), (Some(0), 0, 0), "{}", ended.stderr);
    let expected: Vec<[f32; 2]> =
        sent.iter().map(|frame| frame.map(|sample| f32::from(sample) / 32768.0)).collect();
    assert!(played() == expected, "what was played is not what was sent");
}

/// The frames that are not silence.
fn heard(bytes: &[u8]) -> Vec<[f32; 2]> {
    let sample = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let frames = bytes.chunks_exact(8).map(|frame| [sample(frame), sample(&frame[4..])]);
    frames.filter(|frame| *frame != [0.0, 0.0]).collect()
}
