//! [`Routing`]: which channel of a stream is heard from which speaker of a device.

use crate::speakers::Speaker::{self, *};

/// How loud each channel of the stream is on each channel of the device.
#[derive(Clone, Debug, PartialEq)]
pub struct Routing {
    from: usize,
    /// For each channel of the device the gains of all channels of the stream.
    gains: Vec<f32>,
    /// For each channel of the device the channel of the stream that it is, if it is one and no more.
    exact: Option<Vec<usize>>,
}

/// Half the power.
const HALF: f32 = std::f32::consts::FRAC_1_SQRT_2;

/// Where a speaker is heard that a device has not: the first of these lists of which the device has every speaker.
fn substitutes(speaker: Speaker) -> &'static [&'static [(Speaker, f32)]] {
    match speaker {
        FrontLeft | FrontRight => &[&[(FrontCenter, 0.5)]],
        FrontCenter => &[&[(FrontLeft, HALF), (FrontRight, HALF)]],
        BackLeft => &[&[(SideLeft, 1.0)], &[(BackCenter, HALF)], &[(FrontLeft, HALF)], &[(FrontCenter, 0.5)]],
        BackRight => {
            &[&[(SideRight, 1.0)], &[(BackCenter, HALF)], &[(FrontRight, HALF)], &[(FrontCenter, 0.5)]]
        }
        SideLeft => &[&[(BackLeft, 1.0)], &[(FrontLeft, HALF)], &[(FrontCenter, 0.5)]],
        SideRight => &[&[(BackRight, 1.0)], &[(FrontRight, HALF)], &[(FrontCenter, 0.5)]],
        FrontLeftOfCenter | TopFrontLeft | TopBackLeft => &[&[(FrontLeft, HALF)], &[(FrontCenter, 0.5)]],
        FrontRightOfCenter | TopFrontRight => &[&[(FrontRight, HALF)], &[(FrontCenter, 0.5)]],
        BackCenter => &[
            &[(BackLeft, HALF), (BackRight, HALF)],
            &[(SideLeft, HALF), (SideRight, HALF)],
            &[(FrontLeft, 0.5), (FrontRight, 0.5)],
            &[(FrontCenter, 0.5)],
        ],
        TopCenter | TopFrontCenter => &[&[(FrontCenter, HALF)], &[(FrontLeft, 0.5), (FrontRight, 0.5)]],
        // What only a subwoofer can play is nothing for others.
        Subwoofer => &[],
        Unplaced(_) => &[],
    }
}

impl Routing {
    /// From the channels of a stream to those of a device.
    ///
    /// A channel is heard from its own speaker. If the device has none, it is mixed into the nearest; a stream of one channel
    /// in the middle is as loud on two speakers as it would be on its own. Channels without a place go to the channel of the
    /// same number. Nothing becomes louder than full scale.
    pub fn new(stream: &[Speaker], device: &[Speaker]) -> Self {
        let from = stream.len();
        let mut gains = vec![0.0_f32; from * device.len()];
        for (channel, speaker) in stream.iter().enumerate() {
            for (to, gain) in targets(*speaker, stream, device) {
                gains[to * from + channel] = gain;
            }
        }
        for row in gains.chunks_exact_mut(from.max(1)) {
            let sum: f32 = row.iter().sum();
            if sum > 1.0 {
                row.iter_mut().for_each(|gain| *gain /= sum);
            }
        }
        let exact = permutation(&gains, from, device.len());
        Self { from, gains, exact }
    }

    /// For each channel of the device the one of the stream that it is, if every channel of both has exactly one of the other.
    pub fn permutation(&self) -> Option<&[usize]> {
        self.exact.as_deref()
    }

    /// Adds frames of the stream to frames of the device.
    pub fn add(&self, stream: &[f32], device: &mut [f32]) {
        if self.from == 0 || self.gains.is_empty() {
            return;
        }
        let to = self.gains.len() / self.from;
        let frames = stream.chunks_exact(self.from).zip(device.chunks_exact_mut(to));
        match &self.exact {
            Some(channels) => {
                for (from, to) in frames {
                    for (sample, channel) in to.iter_mut().zip(channels) {
                        *sample += from[*channel];
                    }
                }
            }
            None => {
                for (from, to) in frames {
                    for (sample, gains) in to.iter_mut().zip(self.gains.chunks_exact(self.from)) {
                        *sample += from.iter().zip(gains).map(|(sample, gain)| sample * gain).sum::<f32>();
                    }
                }
            }
        }
    }
}

/// The channels of the device that a channel is heard from.
fn targets(speaker: Speaker, stream: &[Speaker], device: &[Speaker]) -> Vec<(usize, f32)> {
    let at = |speaker: Speaker| device.iter().position(|other| *other == speaker);
    if let Some(own) = at(speaker) {
        return vec![(own, 1.0)];
    }
    if let Unplaced(number) = speaker {
        // Not onto a channel that belongs to another of the stream.
        let same = device.get(usize::from(number)).filter(|other| !stream.contains(other));
        return same.map(|_| (usize::from(number), 1.0)).into_iter().collect();
    }
    if stream == [FrontCenter]
        && let (Some(left), Some(right)) = (at(FrontLeft), at(FrontRight))
    {
        return vec![(left, 1.0), (right, 1.0)];
    }
    let there = |list: &&&[(Speaker, f32)]| list.iter().all(|(speaker, _)| at(*speaker).is_some());
    let list = substitutes(speaker).iter().find(there).copied().unwrap_or_default();
    if list.is_empty()
        && speaker != Subwoofer
        && !device.is_empty()
        && !device.iter().any(|to| stream.contains(to))
    {
        // A device of which nothing is known.
        let channel = stream.iter().position(|other| *other == speaker).unwrap_or(0) % device.len();
        return vec![(channel, 1.0)];
    }
    list.iter().filter_map(|(speaker, gain)| Some((at(*speaker)?, *gain))).collect()
}

fn permutation(gains: &[f32], from: usize, to: usize) -> Option<Vec<usize>> {
    if from != to || from == 0 {
        return None;
    }
    let only = |row: &[f32]| {
        let channel = row.iter().position(|gain| *gain == 1.0)?;
        (row.iter().filter(|gain| **gain != 0.0).count() == 1).then_some(channel)
    };
    let channels: Vec<usize> = gains.chunks_exact(from).map(only).collect::<Option<_>>()?;
    (0..from).all(|channel| channels.contains(&channel)).then_some(channels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(stream: &[Speaker], device: &[Speaker], frame: &[f32], expected: &[f32]) {
        let mut heard = vec![0.0; device.len()];
        Routing::new(stream, device).add(frame, &mut heard);
        for (heard, expected) in heard.iter().zip(expected) {
            assert!((heard - expected).abs() < 1e-6, "{heard} is not {expected}");
        }
    }

    #[test]
    fn each_channel_is_heard_from_its_own_speaker_in_any_order() {
        let stream = [FrontLeft, FrontRight, FrontCenter, Subwoofer, BackLeft, BackRight];
        let device = [FrontLeft, FrontRight, BackLeft, BackRight, FrontCenter, Subwoofer];
        check(&stream, &device, &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6], &[0.1, 0.2, 0.5, 0.6, 0.3, 0.4]);
        assert_eq!(Routing::new(&stream, &device).permutation(), Some(&[0, 1, 4, 5, 2, 3][..]));
    }

    #[test]
    fn one_channel_in_the_middle_is_heard_from_both_sides() {
        check(&[FrontCenter], &[FrontLeft, FrontRight], &[0.5], &[0.5, 0.5]);
        assert_eq!(Routing::new(&[FrontCenter], &[FrontLeft, FrontRight]).permutation(), None);
    }

    #[test]
    fn speakers_that_are_missing_are_heard_from_the_nearest() {
        check(&[FrontLeft, FrontRight], &[FrontCenter], &[0.4, 0.2], &[0.3]);
        check(
            &[FrontLeft, FrontRight, SideLeft, SideRight],
            &[FrontLeft, FrontRight, BackLeft, BackRight],
            &[0.1, 0.2, 0.3, 0.4],
            &[0.1, 0.2, 0.3, 0.4],
        );
        check(
            &[FrontLeft, FrontRight, BackLeft],
            &[FrontLeft, FrontRight],
            &[0.0, 0.5, 1.0],
            &[HALF / (1.0 + HALF), 0.5],
        );
    }

    #[test]
    fn nothing_becomes_louder_than_full_scale() {
        let stream =
            [FrontLeft, FrontRight, FrontCenter, Subwoofer, BackLeft, BackRight, SideLeft, SideRight];
        let mut heard = [0.0; 2];
        Routing::new(&stream, &[FrontLeft, FrontRight]).add(&[1.0; 8], &mut heard);
        assert!(heard.iter().all(|sample| (sample - 1.0).abs() < 1e-6), "{heard:?}");
    }

    #[test]
    fn channels_without_a_place_go_to_the_channel_of_their_number() {
        let stream = [FrontLeft, FrontRight, Unplaced(2)];
        check(&stream, &[FrontLeft, FrontRight, FrontCenter], &[0.1, 0.2, 0.3], &[0.1, 0.2, 0.3]);
        check(&stream, &[FrontLeft, FrontRight, Unplaced(2)], &[0.1, 0.2, 0.3], &[0.1, 0.2, 0.3]);
        check(&stream, &[FrontLeft, FrontRight], &[0.1, 0.2, 0.3], &[0.1, 0.2]);
        check(&[FrontLeft, FrontRight], &[Unplaced(0), Unplaced(1)], &[0.1, 0.2], &[0.1, 0.2]);
    }
}
