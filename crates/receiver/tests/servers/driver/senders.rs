//! Several computers that send.

use std::fs;
use std::time::Duration;

use protocol::StreamFormat;
use receiver::speakers::Speaker::{FrontLeft, FrontRight};
use tempfile::TempDir;

use super::computer::{Busy, Computer, Sound, in_real_time};
use super::heard::channel;
use super::program::{start, start_with, totals};
use crate::analysis::Recorded;
use crate::pulse::Pulse;
use crate::running::{Scream, free_port};
use crate::server::{Server, Sink};

/// What each of them plays, from the left and the right.
const TONES: [[f64; 2]; 2] = [[300.0, 500.0], [1300.0, 1500.0]];

/// Lets one play for 4 s, and another for 2 s of them.
fn play(scream: &Scream, port: u16) -> Result<(), Busy> {
    let format = StreamFormat::new(48_000, 16, 2, 0x3).expect("a format");
    let first = Computer::plays(port, Sound::of_tones(format, &TONES[0], 4.0));
    scream.wait_for_received(150);
    let second = Computer::plays(port, Sound::of_tones(format, &TONES[1], 2.0));
    first.finish().and(second.finish())
}

/// Checks for how many seconds the tones of each of them are heard at the amplitude with which they were sent, and that
/// nothing clicks.
#[track_caller]
fn are_heard(recorded: &Recorded, seconds: [f64; 2]) {
    for (side, speaker) in [FrontLeft, FrontRight].into_iter().enumerate() {
        let channel = channel(recorded, speaker);
        for (tones, seconds) in TONES.into_iter().zip(seconds) {
            let heard = channel.seconds_of(tones[side]);
            let edges = if seconds > 0.0 { 0.1 } else { 0.0 };
            assert!((heard - seconds + edges).abs() < 0.25, "{speaker:?}, {} Hz: {heard} s", tones[side]);
        }
        assert_eq!(channel.has_no_click(TONES[0][side] + TONES[1][side]), Ok(()), "{speaker:?}");
    }
}

#[test]
fn two_computers_are_heard_at_once_if_they_are_to_be_mixed() {
    in_real_time(|| {
        let server = Pulse::start(Sink::new(48_000, 0x3));
        let port = free_port();
        let scream = start(&server.environment(), "pulse", port, &["--mix"]);
        let recording = server.record(Duration::from_secs(8));
        play(&scream, port)?;
        let recorded = recording.finish();
        let totals = totals(&scream.end());
        are_heard(&recorded, [4.0, 2.0]);
        for count in ["lost", "doubled", "late", "underruns", "cuts", "dropped", "ignored"] {
            assert_eq!(totals[count], 0, "{count}: {totals}");
        }
        Ok(())
    });
}

#[test]
fn two_computers_are_mixed_into_a_file() {
    in_real_time(|| {
        let folder = TempDir::new().expect("a temporary folder");
        let file = folder.path().join("mixed.wav");
        let output = format!("wav:{}", file.display());
        let port = free_port();
        let scream = start_with(&[], &output, &["-u", "-i", "127.0.0.1", "-p", &port.to_string(), "--mix"]);
        play(&scream, port)?;
        scream.wait_for_json(|object| object["delay_ms"] == 0.0 && object["received"].as_u64() > Some(900));
        assert_eq!(scream.end().code, Some(0));
        let mut reader = hound::WavReader::new(fs::File::open(&file).expect("a file")).expect("a WAV file");
        let samples = reader.samples::<i16>().map(|sample| f64::from(sample.expect("a sample")) / 32_768.0);
        are_heard(&Recorded::new(48_000, &[FrontLeft, FrontRight], samples), [4.0, 2.0]);
        Ok(())
    });
}

#[test]
fn only_the_first_computer_is_heard_if_nothing_else_is_said() {
    in_real_time(|| {
        let server = Pulse::start(Sink::new(48_000, 0x3));
        let port = free_port();
        let scream = start(&server.environment(), "pulse", port, &[]);
        let recording = server.record(Duration::from_secs(8));
        play(&scream, port)?;
        let recorded = recording.finish();
        let ended = scream.end();
        are_heard(&recorded, [4.0, 0.0]);
        assert_eq!(ended.stderr.matches("ignored: 127.0.0.1:").count(), 1, "{}", ended.stderr);
        Ok(())
    });
}
