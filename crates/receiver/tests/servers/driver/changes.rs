//! What happens while it plays: another format, a pause, an end, a server that goes and comes.

use std::thread;
use std::time::Duration;

use protocol::StreamFormat;
use receiver::speakers::Speaker::{FrontLeft, FrontRight};

use super::computer::{Computer, Sound, in_real_time, sending_to};
use super::heard::channel;
use super::program::start;
use crate::analysis::Recorded;
use crate::pulse::Pulse;
use crate::running::{free_port, wait_until};
use crate::server::{Server, ServerProcess, Sink};

/// The tones of the first stream, from the left and the right.
const TONES: [f64; 2] = [300.0, 500.0];
/// Those of another.
const OTHER_TONES: [f64; 2] = [1300.0, 1500.0];
/// What was sent is heard within the greatest latency of the program.
const HEARD_WITHIN: Duration = Duration::from_secs(1);

fn format(rate: u32, bits: u16) -> StreamFormat {
    StreamFormat::new(rate, bits, 2, 0x3).expect("a format")
}

/// So many seconds of the first tones.
fn sound(seconds: f64) -> Sound {
    Sound::of_tones(format(48_000, 16), &TONES, seconds)
}

/// Checks for how long each of these tones is heard, in seconds, and that nothing clicks.
#[track_caller]
fn is_heard_without_a_click(recorded: &Recorded, tones: &[[f64; 2]], seconds: f64) {
    for (side, speaker) in [FrontLeft, FrontRight].into_iter().enumerate() {
        let channel = channel(recorded, speaker);
        for tone in tones {
            let heard = channel.seconds_of(tone[side]);
            // In the twentieths in which it begins and ends it is fainter.
            assert!((heard - seconds + 0.1).abs() < 0.25, "{speaker:?} has {} Hz for {heard} s", tone[side]);
        }
        let highest = tones.iter().map(|tone| tone[side]).fold(0.0, f64::max);
        assert_eq!(channel.has_no_click(highest), Ok(()), "{speaker:?}");
    }
}

#[test]
fn another_format_is_heard_at_its_rate_and_nothing_clicks() {
    in_real_time(|| {
        let server = Pulse::start(Sink::new(48_000, 0x3));
        let port = free_port();
        let scream = start(&server.environment(), "pulse", port, &[]);
        let recording = server.record(Duration::from_secs(8));
        let other = Sound::of_tones(format(96_000, 24), &OTHER_TONES, 2.0);
        let computer =
            Computer::start(&sending_to(port), move |device| sound(2.0).play(device) + other.play(device));
        wait_until("the sink plays at 48 kHz", || server.lists("sink-inputs").contains(" 48000Hz"));
        wait_until("the sink plays at 96 kHz", || server.lists("sink-inputs").contains(" 96000Hz"));
        computer.finish()?;
        let recorded = recording.finish();
        assert_eq!(scream.end().code, Some(0));
        is_heard_without_a_click(&recorded, &[TONES, OTHER_TONES], 2.0);
        Ok(())
    });
}

#[test]
fn a_pause_is_silent_and_nothing_clicks_before_or_after_it() {
    in_real_time(|| {
        let server = Pulse::start(Sink::new(48_000, 0x3));
        let port = free_port();
        let scream = start(&server.environment(), "pulse", port, &[]);
        let recording = server.record(Duration::from_secs(7));
        let computer = Computer::start(&sending_to(port), |device| {
            sound(3.0).play_with_pause(device, Duration::from_millis(1502), Duration::from_secs(1))
        });
        computer.finish()?;
        let recorded = recording.finish();
        assert_eq!(scream.end().code, Some(0));
        is_heard_without_a_click(&recorded, &[TONES], 2.85);
        let left = channel(&recorded, FrontLeft);
        let spans = left.audible_spans();
        let [first, second] = spans[..] else { panic!("it is heard {spans:?}") };
        assert!((second.0 - first.1 - 1.0).abs() < 0.1, "{spans:?}");
        Ok(())
    });
}

#[test]
fn a_sender_that_breaks_off_fades_out() {
    in_real_time(|| {
        let server = Pulse::start(Sink::new(48_000, 0x3));
        let port = free_port();
        let scream = start(&server.environment(), "pulse", port, &[]);
        let recording = server.record(Duration::from_secs(5));
        let broken_off = |device: &_| sound(3.0).play_and_break_off(device, Duration::from_millis(1501));
        Computer::start(&sending_to(port), broken_off).finish()?;
        let recorded = recording.finish();
        assert_eq!(scream.end().code, Some(0));
        is_heard_without_a_click(&recorded, &[TONES], 1.5);
        Ok(())
    });
}

#[test]
fn the_program_fades_out_when_it_is_ended() {
    in_real_time(|| {
        let server = Pulse::start(Sink::new(48_000, 0x3));
        let port = free_port();
        let scream = start(&server.environment(), "pulse", port, &[]);
        let recording = server.record(Duration::from_secs(5));
        let computer = Computer::plays(port, sound(3.0));
        scream.wait_for_received(300);
        let ended = scream.end();
        assert_eq!(ended.code, Some(0));
        computer.finish()?;
        let recorded = recording.finish();
        let left = channel(&recorded, FrontLeft);
        let spans = left.audible_spans();
        assert_eq!(
            (left.has_no_click(TONES[0]), spans.len()),
            (Ok(()), 1),
            "{spans:?}, {}",
            String::from_utf8_lossy(&ended.stdout)
        );
        assert!((1.0..2.9).contains(&left.seconds_of(TONES[0])), "{}", left.seconds_of(TONES[0]));
        Ok(())
    });
}

#[test]
fn a_server_that_ends_is_told_once_and_played_on_when_it_is_back() {
    in_real_time(|| {
        let mut server = Pulse::start(Sink::new(48_000, 0x3));
        let port = free_port();
        let scream = start(&server.environment(), "pulse", port, &[]);
        let computer = Computer::plays(port, sound(8.0));
        scream.wait_for_received(200);
        server.kill();
        let gone = "the output is gone: the PulseAudio server has ended; waiting for it";
        scream.wait_for_line(gone);
        server.restart();
        scream.wait_for_line("the output is back");
        thread::sleep(HEARD_WITHIN);
        let recorded = server.record(Duration::from_secs(2)).finish();
        computer.finish()?;
        let ended = scream.end();
        assert_eq!(
            (ended.code, ended.stderr.matches("the output is").count()),
            (Some(0), 2),
            "{}",
            ended.stderr
        );
        for (speaker, tone) in [(FrontLeft, TONES[0]), (FrontRight, TONES[1])] {
            let heard = channel(&recorded, speaker).has_steady_tone(tone);
            assert!(heard.as_ref().is_ok_and(|seconds| *seconds > 1.8), "{speaker:?}: {heard:?}");
        }
        Ok(())
    });
}
