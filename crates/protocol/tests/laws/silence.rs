//! Laws of the silence gate, against a frame by frame model.

use crate::generators::formats;
use proptest::prelude::*;
use protocol::{GateRun, SilenceGate, StreamFormat};

/// The samples' values around the limit of silence, in units of the 16-bit sample, and the extremes.
fn sample_bytes(format: StreamFormat, choice: u8) -> Vec<u8> {
    let shift = format.bits() - 16;
    let limit = 5_i64 << shift;
    let value = match choice {
        0 => 0,
        1 => limit - 1,
        2 => 1 - limit,
        3 => limit,
        4 => -limit,
        5 => -1 << (format.bits() - 1),
        _ => (1 << (format.bits() - 1)) - 1,
    };
    value.to_le_bytes()[..usize::from(format.width().bytes())].to_vec()
}

/// PCM and, for each frame, whether it is silent. Most frames are.
fn pcm(format: StreamFormat) -> impl Strategy<Value = (Vec<u8>, Vec<bool>)> {
    let frame = prop_oneof![
        5 => prop::collection::vec(0_u8..=2, usize::from(format.channels())),
        1 => prop::collection::vec(0_u8..=6, usize::from(format.channels())),
    ];
    prop::collection::vec(frame, 0..300).prop_map(move |frames| {
        let silent = frames.iter().map(|frame| frame.iter().all(|&c| c <= 2)).collect();
        let bytes = frames.into_iter().flatten().flat_map(|c| sample_bytes(format, c)).collect();
        (bytes, silent)
    })
}

fn streams() -> impl Strategy<Value = (StreamFormat, (Vec<u8>, Vec<bool>))> {
    formats().prop_flat_map(|format| (Just(format), pcm(format)))
}

/// The decision for each frame by the definition: suppressed after `threshold` silent ones.
fn model(silent: &[bool], threshold: usize) -> Vec<bool> {
    let mut run = 0;
    silent
        .iter()
        .map(|&silent| {
            let suppressed = threshold > 0 && silent && run >= threshold;
            run = if silent { run + 1 } else { 0 };
            suppressed
        })
        .collect()
}

/// The gate's decision for each frame, from PCM in chunks.
fn decisions(gate: &mut SilenceGate, format: StreamFormat, chunks: &[&[u8]]) -> Vec<bool> {
    let frame = usize::from(format.bytes_per_frame().get());
    let mut suppressed = Vec::new();
    for chunk in chunks {
        let mut rest = *chunk;
        let mut last = None;
        while let Some(run) = gate.scan(rest) {
            assert!(run.frames() > 0);
            let decision = matches!(run, GateRun::Suppress(_));
            assert_ne!(last, Some(decision), "a run was cut in two");
            last = Some(decision);
            suppressed.extend(std::iter::repeat_n(decision, run.frames()));
            rest = &rest[run.frames() * frame..];
        }
        assert_eq!(rest, [0_u8; 0]);
    }
    suppressed
}

proptest! {
    #[test]
    fn decisions_are_those_of_the_definition(
        (format, (pcm, silent)) in streams(),
        threshold in 0_u32..20,
    ) {
        let mut gate = SilenceGate::new(format, threshold);
        prop_assert_eq!(
            decisions(&mut gate, format, &[&pcm]),
            model(&silent, threshold as usize)
        );
    }

    #[test]
    fn decisions_do_not_depend_on_how_the_pcm_is_cut(
        (format, (pcm, silent)) in streams(),
        threshold in 0_u32..20,
        chunk_frames in 1_usize..50,
    ) {
        let mut gate = SilenceGate::new(format, threshold);
        let frame = usize::from(format.bytes_per_frame().get());
        let chunks: Vec<&[u8]> = pcm.chunks(chunk_frames * frame).collect();
        prop_assert_eq!(
            decisions(&mut gate, format, &chunks),
            model(&silent, threshold as usize)
        );
    }

    #[test]
    fn any_bytes_are_judged_and_a_part_of_a_frame_is_left(
        format in formats(),
        threshold: u32,
        pcm in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut gate = SilenceGate::new(format, threshold);
        let frame = usize::from(format.bytes_per_frame().get());
        let mut rest = &pcm[..];
        while let Some(run) = gate.scan(rest) {
            rest = &rest[run.frames() * frame..];
        }
        prop_assert_eq!(rest.len(), pcm.len() % frame);
    }
}

#[test]
fn a_day_of_silence_stays_suppressed() {
    let format = StreamFormat::new(48_000, 16, 1, 4).unwrap();
    let mut gate = SilenceGate::new(format, u32::MAX - 1);
    let second = vec![0; 96_000];
    assert_eq!(gate.scan(&second), Some(GateRun::Send(48_000)));
    let mut gate = SilenceGate::new(format, 48_000);
    assert_eq!(gate.scan(&second), Some(GateRun::Send(48_000)));
    for _ in 0..1_000 {
        assert_eq!(gate.scan(&second), Some(GateRun::Suppress(48_000)));
    }
    assert_eq!(gate.scan(&[9, 0]), Some(GateRun::Send(1)));
}
