//! `screamctl test-tone` through a real WASAPI: wine's, whose sound device keeps what it plays in a file.

use std::fs;

use super::prefix::Prefix;

/// A device node, as the installation makes it, under the name that wine gives to the sound device "Scream".
const NODE: &str = "[HKEY_LOCAL_MACHINE\\System\\CurrentControlSet\\Enum\\Root\\Media\\0000]\n\
    \"Class\"=\"MEDIA\"\n\
    \"ClassGUID\"=\"{4D36E96C-E325-11CE-BFC1-08002BE10318}\"\n\
    \"DeviceDesc\"=\"Out: Scream\"\n\
    \"HardwareID\"=hex(7):52,00,4f,00,4f,00,54,00,5c,00,53,00,63,00,72,00,65,00,61,00,6d,00,00,00,00,00\n";

const RATE: usize = 48_000;

#[test]
fn the_tone_is_played_on_each_channel_in_turn_and_on_none_but_that() {
    let prefix = Prefix::new();
    prefix.import(NODE);
    let tone = prefix.screamctl("test-tone --seconds 1");
    assert_eq!((tone.code, tone.err.as_str()), (0, ""), "{tone:?}");
    assert!(tone.out.contains("Out: Scream: 48000 Hz, 2 channels"), "{}", tone.out);

    let bytes = fs::read(prefix.played()).expect("the tone has been played");
    let frames: Vec<[f32; 2]> = bytes
        .chunks_exact(8)
        .map(|frame| {
            let sample = |at: usize| f32::from_le_bytes([0, 1, 2, 3].map(|byte| frame[at + byte]));
            [sample(0), sample(4)]
        })
        .collect();
    assert!(frames.len() >= 2 * RATE, "{} frames", frames.len());
    let peak = |from: usize, channel: usize| {
        frames[from..from + RATE].iter().fold(0.0, |peak: f32, frame| peak.max(frame[channel].abs()))
    };
    // -20 dB of full scale.
    assert!((peak(0, 0) - 0.1).abs() < 1e-4, "{}", peak(0, 0));
    assert_eq!(peak(0, 1).to_bits(), 0);
    assert_eq!(peak(RATE, 0).to_bits(), 0);
    assert!((peak(RATE, 1) - 0.1).abs() < 1e-4, "{}", peak(RATE, 1));
    assert!(frames[2 * RATE..].iter().all(|frame| *frame == [0.0, 0.0]));
    // 440 periods a second, and not a sample too few or twice.
    let crossings = frames[1..RATE].windows(2).filter(|pair| pair[0][0] < 0.0 && pair[1][0] >= 0.0).count();
    assert!((439..=440).contains(&crossings), "{crossings}");
}

#[test]
fn a_playback_device_of_the_node_is_found_and_others_are_not() {
    let prefix = Prefix::new();
    let without = prefix.screamctl("status");
    assert!(without.out.contains("playback      none"), "{}", without.out);
    prefix.import(NODE);
    let with = prefix.screamctl("status");
    assert!(with.out.contains("playback      Out: Scream: ready"), "{}", with.out);
}
