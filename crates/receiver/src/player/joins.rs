//! [`is_smooth`]: whether the audio of a packet goes on from that of the packet before it, as far as that can be heard.
//!
//! If something is missing between them there is a step, almost always. Where there is none nobody hears anything either, so
//! there is nothing to be gained by an interruption.

use super::samples::integers;
use crate::Delivery;

/// How many frames on both sides tell how much audio changes from one frame to the next.
const SIDE: usize = 32;
/// Of these channels the samples are looked at.
const CHANNELS: usize = protocol::format::MAX_CHANNELS as usize;
/// A join is as smooth as its sides if it bends no more than so many times as much.
const MORE: i64 = 2;
/// Bends that cannot be heard: -80 dB of full scale.
const INAUDIBLE: i64 = 214_748;

/// Whether it does in all channels. Packets of another format, and those that are too short to tell, do not.
pub fn is_smooth(before: &Delivery, after: &Delivery) -> bool {
    let side = SIDE.min(before.frames() as usize).min(after.frames() as usize);
    if before.format() != after.format() || side < 4 {
        return false;
    }
    let frame = usize::from(before.format().bytes_per_frame().get());
    let tail = &before.pcm()[before.pcm().len() - side * frame..];
    let head = &after.pcm()[..side * frame];
    let (channels, width) = (usize::from(before.format().channels()), before.format().width());
    let mut frames = [[0_i64; CHANNELS]; 2 * SIDE];
    for (index, sample) in integers(width, tail).chain(integers(width, head)).enumerate() {
        frames[index / channels][index % channels] = sample.into();
    }
    (0..channels).all(|channel| {
        // How much it bends at a frame, by the two around it.
        let bend =
            |at: usize| (frames[at - 1][channel] - 2 * frames[at][channel] + frames[at + 1][channel]).abs();
        let across = bend(side - 1).max(bend(side));
        let usual = (1..side - 1).chain(side + 1..2 * side - 1).map(bend).max().unwrap_or(0);
        across <= usual * MORE + INAUDIBLE
    })
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use protocol::StreamFormat;

    use super::*;
    use crate::Moment;

    /// A packet of a tone, in stereo with 24 bits, from a frame on; the right channel has half of its frequency.
    fn packet(tone: f64, from: usize, frames: usize) -> Delivery {
        let format = StreamFormat::new(48_000, 24, 2, 3).expect("a format");
        let sample = |frame: usize, tone: f64| {
            let value = (frame as f64 * tone / 48_000.0 * TAU).sin();
            ((value * 4e6) as i32).to_le_bytes()[..3].to_vec()
        };
        let frames =
            (from..from + frames).map(|frame| [sample(frame, tone), sample(frame, tone / 2.0)].concat());
        Delivery::new(0, Moment(0), format, &frames.collect::<Vec<_>>().concat()).expect("a packet")
    }

    #[test]
    fn what_follows_goes_on_smoothly() {
        for tone in [50.0, 440.0, 1000.0, 9000.0] {
            for at in 100..192 {
                assert!(is_smooth(&packet(tone, 0, at), &packet(tone, at, 100)), "{tone} Hz at {at}");
            }
        }
    }

    #[test]
    fn where_a_packet_is_missing_there_is_mostly_a_step() {
        let steps = |tone: f64| {
            let is_step = |at: &usize| !is_smooth(&packet(tone, *at, 100), &packet(tone, at + 292, 100));
            (100..200).filter(is_step).count()
        };
        assert_eq!([steps(50.0), steps(440.0), steps(1010.0)], [100, 100, 100]);
    }

    #[test]
    fn silence_is_smooth_and_its_end_is_not_unless_it_is_inaudible() {
        let format = StreamFormat::new(48_000, 16, 1, 4).expect("a format");
        let of = |value: i16| {
            let pcm = value.to_le_bytes().repeat(20);
            Delivery::new(0, Moment(0), format, &pcm).expect("a packet")
        };
        assert!(is_smooth(&of(0), &of(0)) && is_smooth(&of(0), &of(1)));
        assert!(!is_smooth(&of(0), &of(1000)));
    }

    #[test]
    fn nothing_is_said_of_packets_that_are_short_or_of_another_format() {
        assert!(!is_smooth(&packet(440.0, 0, 3), &packet(440.0, 3, 100)));
        let other = StreamFormat::new(44_100, 24, 2, 3).expect("a format");
        let other = Delivery::new(0, Moment(0), other, packet(440.0, 100, 100).pcm()).expect("a packet");
        assert!(!is_smooth(&packet(440.0, 0, 100), &other));
    }
}
