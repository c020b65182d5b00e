//! `screamctl test-tone`: each channel in turn on the driver's playback device, and what stands in the way.

mod fake;

use std::f64::consts::TAU;

use fake::{FakeComputer, FakeConsole, SPEAKERS, speakers};
use screamctl::computer::{Endpoint, EndpointState, Mix};

const END: &str = "That was all. If nothing was heard, screamctl doctor goes through what may be wrong.\n";

/// Runs `screamctl test-tone` with these arguments. Returns the exit code and what it prints.
fn run(computer: &mut FakeComputer, arguments: &[&str]) -> (i32, String) {
    let mut console = FakeConsole::new();
    let code = computer.screamctl(&mut console, &[&["test-tone"], arguments].concat());
    (code, console.out + &console.err)
}

fn with_mix(rate: u32, channels: u16, mask: u32, buffer_frames: usize) -> FakeComputer {
    let mut computer = FakeComputer::with_scream();
    computer.elevated = false;
    computer.mix = Mix { rate, channels, mask };
    computer.buffer_frames = buffer_frames;
    computer
}

/// A sample of the tone as its description has it: 440 Hz at -20 dBFS with fades of 10 ms.
fn expected(frame: usize, rate: u32, seconds: usize) -> f64 {
    let (frame, rate) = (frame as f64, f64::from(rate));
    let last = rate * seconds as f64 - 1.0;
    let gain = (frame / (rate / 100.0)).min((last - frame) / (rate / 100.0)).min(1.0);
    0.1 * gain * (TAU * 440.0 * frame / rate).sin()
}

/// Looks at every sample that was played: the tone on each channel in turn, silence on the others and at the end.
fn assert_played(computer: &FakeComputer, seconds: usize) {
    let Mix { rate, channels, .. } = computer.mix;
    let (length, channels) = (rate as usize * seconds, usize::from(channels));
    assert_eq!(computer.played.len() % (computer.buffer_frames * channels), 0);
    let frames = length * channels;
    // What is silent at the end is no longer than it takes to end with a whole buffer of silence.
    assert!((frames..frames + 2 * computer.buffer_frames).contains(&(computer.played.len() / channels)));
    for (frame, samples) in computer.played.chunks_exact(channels).enumerate() {
        for (channel, sample) in samples.iter().enumerate() {
            let tone = if frame / length == channel { expected(frame % length, rate, seconds) } else { 0.0 };
            assert!(
                (f64::from(*sample) - tone).abs() < 1e-6,
                "{sample} in frame {frame} of channel {channel}, not {tone}"
            );
        }
    }
}

#[test]
fn each_channel_is_named_and_heard_for_a_second() {
    let mut computer = with_mix(48_000, 2, 3, 480);
    let out =
        format!("{SPEAKERS}: 48000 Hz, 2 channels\nfront left (channel 1)\nfront right (channel 2)\n{END}");
    assert_eq!(run(&mut computer, &[]), (0, out.clone()));
    assert_played(&computer, 1);
    assert_eq!(computer.calls, [format!("play {SPEAKERS}")]);
    // And once more.
    computer.played.clear();
    assert_eq!(run(&mut computer, &[]), (0, out));
    assert_played(&computer, 1);
}

#[test]
fn buffers_need_not_end_where_channels_do() {
    let mut computer = with_mix(44_100, 6, 0x3F, 1_021);
    let (code, out) = run(&mut computer, &["--seconds", "2"]);
    let names = ["front left", "front right", "front center", "subwoofer", "back left", "back right"];
    let names: String =
        (1..).zip(names).map(|(number, name)| format!("{name} (channel {number})\n")).collect();
    assert_eq!((code, out), (0, format!("{SPEAKERS}: 44100 Hz, 6 channels\n{names}{END}")));
    assert_played(&computer, 2);
}

#[test]
fn one_channel_is_no_plural() {
    let mut computer = with_mix(48_000, 1, 4, 480);
    let out = format!("{SPEAKERS}: 48000 Hz, 1 channel\nfront center (channel 1)\n{END}");
    assert_eq!(run(&mut computer, &[]), (0, out));
    assert_played(&computer, 1);
}

fn endpoint(name: &str, state: EndpointState) -> Endpoint {
    Endpoint { name: name.to_owned(), state, ..speakers() }
}

#[test]
fn a_device_that_can_be_played_on_is_chosen() {
    let mut computer = with_mix(48_000, 2, 3, 480);
    let states = [EndpointState::Disabled, EndpointState::Active, EndpointState::NotPresent];
    computer.state.endpoints = states.map(|state| endpoint(&format!("{state:?}"), state)).to_vec();
    assert_eq!(run(&mut computer, &[]).0, 0);
    assert_eq!(computer.calls, ["play Active"]);
}

#[test]
fn without_a_device_that_can_be_played_on_it_says_why() {
    let cases = [
        (None, "there is no playback device of Scream: screamctl doctor says why"),
        (Some(EndpointState::Disabled), "Speakers is disabled: enable it in the Sound settings of Windows"),
        (Some(EndpointState::NotPresent), "Speakers has no driver that runs: restart Windows"),
        (
            Some(EndpointState::Unplugged),
            "Speakers is taken for unplugged: restart the service \"Windows Audio\", or Windows",
        ),
    ];
    for (state, line) in cases {
        let mut computer = with_mix(48_000, 2, 3, 480);
        computer.state.endpoints = state.map(|state| endpoint("Speakers", state)).into_iter().collect();
        assert_eq!(run(&mut computer, &[]), (1, format!("error: {line}\n")));
        assert_eq!(computer.calls, [""; 0]);
    }
}

#[test]
fn windows_that_does_not_play_is_one_line() {
    let restart = "start the service Windows Audio, or restart Windows, and try again";
    let cases = [
        (
            0x8889_000A,
            "a program uses the playback device alone (CALL: error 0x8889000A): close that \
            program and try again"
                .to_owned(),
        ),
        (
            0x8889_0010,
            format!("the audio service of Windows does not run (CALL: error 0x88890010): {restart}"),
        ),
        (0x8889_0FFF, "CALL: error 0x88890FFF".to_owned()),
    ];
    for (code, line) in cases {
        let mut computer = with_mix(48_000, 2, 3, 480);
        computer.refuse("play", code);
        let line = line.replace("CALL", "IAudioClient::Initialize");
        assert_eq!(run(&mut computer, &[]), (1, format!("error: {SPEAKERS}: {line}\n")));
        assert_eq!(computer.played, []);
    }
    let mut computer = with_mix(48_000, 2, 3, 480);
    computer.refuse("endpoints", 8);
    let line = "error: Windows has no memory left (IMMDeviceEnumerator::EnumAudioEndpoints: error 8): \
        close some programs and try again\n";
    assert_eq!(run(&mut computer, &[]), (1, line.to_owned()));
}

#[test]
fn a_format_without_channels_is_not_played() {
    let mut computer = with_mix(48_000, 0, 0, 480);
    assert_eq!(run(&mut computer, &[]), (0, END.to_owned()));
}

#[test]
fn seconds_are_from_1_to_60() {
    for seconds in ["0", "61", "x"] {
        assert_eq!(run(&mut with_mix(48_000, 2, 3, 480), &["--seconds", seconds]).0, 2);
    }
}
