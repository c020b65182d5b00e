//! In which order a device of ALSA takes its channels.

use alsa::pcm::{Chmap, ChmapPosition, PCM};

use crate::speakers::Speaker;

/// ALSA's positions and the speakers that they are.
const POSITIONS: [(ChmapPosition, &str, Speaker); 16] = [
    (ChmapPosition::FL, "FL", Speaker::FrontLeft),
    (ChmapPosition::FR, "FR", Speaker::FrontRight),
    (ChmapPosition::FC, "FC", Speaker::FrontCenter),
    (ChmapPosition::LFE, "LFE", Speaker::Subwoofer),
    (ChmapPosition::RL, "RL", Speaker::BackLeft),
    (ChmapPosition::RR, "RR", Speaker::BackRight),
    (ChmapPosition::FLC, "FLC", Speaker::FrontLeftOfCenter),
    (ChmapPosition::FRC, "FRC", Speaker::FrontRightOfCenter),
    (ChmapPosition::RC, "RC", Speaker::BackCenter),
    (ChmapPosition::SL, "SL", Speaker::SideLeft),
    (ChmapPosition::SR, "SR", Speaker::SideRight),
    (ChmapPosition::TC, "TC", Speaker::TopCenter),
    (ChmapPosition::TFL, "TFL", Speaker::TopFrontLeft),
    (ChmapPosition::TFC, "TFC", Speaker::TopFrontCenter),
    (ChmapPosition::TFR, "TFR", Speaker::TopFrontRight),
    (ChmapPosition::TRL, "TRL", Speaker::TopBackLeft),
];

/// The order of ALSA's devices that do not say theirs (`surround71` and its shorter kin).
const USUAL: [Speaker; 8] = [
    Speaker::FrontLeft,
    Speaker::FrontRight,
    Speaker::BackLeft,
    Speaker::BackRight,
    Speaker::FrontCenter,
    Speaker::Subwoofer,
    Speaker::SideLeft,
    Speaker::SideRight,
];

/// The speakers of a device with so many channels that is set up, in the order of its frames. Asks the device for the
/// speakers that are wanted first; few let themselves be asked.
pub fn speakers(pcm: &PCM, channels: usize, wanted: &[Speaker]) -> Vec<Speaker> {
    if wanted.len() == channels {
        let positions: Vec<_> = wanted.iter().map(|speaker| position(*speaker)).collect();
        // The device has the order that it has; whether it took this one is seen from what it says next.
        let _ = pcm.set_chmap(&Chmap::from(positions.as_slice()));
    }
    // Its text rather than its numbers: those may have marks that the crate does not know.
    let told = pcm.get_chmap().ok().and_then(|map| parsed(&map.to_string()));
    told.filter(|told| told.len() == channels).unwrap_or_else(|| usual(channels, wanted))
}

fn position(speaker: Speaker) -> ChmapPosition {
    let found = POSITIONS.iter().find(|(_, _, placed)| *placed == speaker);
    found.map_or(ChmapPosition::NA, |(position, _, _)| *position)
}

/// The speakers of a map as ALSA writes it. `None` if it says nothing about the first of them.
fn parsed(map: &str) -> Option<Vec<Speaker>> {
    let speakers: Vec<_> = map
        .split_whitespace()
        .enumerate()
        .map(|(channel, name)| match POSITIONS.iter().find(|(_, known, _)| *known == name) {
            Some((_, _, speaker)) => *speaker,
            None if name == "MONO" => Speaker::FrontCenter,
            None => Speaker::Unplaced(u8::try_from(channel).unwrap_or(u8::MAX)),
        })
        .collect();
    speakers.first().is_some_and(|first| !matches!(first, Speaker::Unplaced(_))).then_some(speakers)
}

/// The speakers of a device that says nothing. If it has as many channels as are wanted, it is taken to have those
/// speakers, in ALSA's order; then its rear pair may be the sides.
fn usual(channels: usize, wanted: &[Speaker]) -> Vec<Speaker> {
    if channels == 1 {
        return vec![Speaker::FrontCenter];
    }
    if wanted.len() != channels {
        let unplaced = |channel| Speaker::Unplaced(u8::try_from(channel).unwrap_or(u8::MAX));
        return (0..channels)
            .map(|channel| USUAL.get(channel).copied().unwrap_or(unplaced(channel)))
            .collect();
    }
    let has_back = wanted.contains(&Speaker::BackLeft) || wanted.contains(&Speaker::BackRight);
    let rank = |speaker: &Speaker| {
        let place = match speaker {
            Speaker::SideLeft if !has_back => Speaker::BackLeft,
            Speaker::SideRight if !has_back => Speaker::BackRight,
            speaker => *speaker,
        };
        USUAL.iter().position(|usual| *usual == place).unwrap_or(USUAL.len())
    };
    let mut speakers = wanted.to_vec();
    speakers.sort_by_key(rank);
    speakers
}

#[cfg(test)]
mod tests {
    use super::Speaker::*;
    use super::*;

    #[test]
    fn a_map_is_read_from_its_text() {
        assert_eq!(parsed("FL FR RL RR"), Some(vec![FrontLeft, FrontRight, BackLeft, BackRight]));
        assert_eq!(parsed("MONO"), Some(vec![FrontCenter]));
        assert_eq!(parsed("FL NA"), Some(vec![FrontLeft, Unplaced(1)]));
        assert_eq!(parsed("UNKNOWN UNKNOWN"), None);
        assert_eq!(parsed(""), None);
    }

    #[test]
    fn a_device_that_says_nothing_has_the_order_of_alsa() {
        let back = [FrontLeft, FrontRight, FrontCenter, Subwoofer, BackLeft, BackRight];
        assert_eq!(usual(6, &back), [FrontLeft, FrontRight, BackLeft, BackRight, FrontCenter, Subwoofer]);
        let all = [back.as_slice(), &[SideLeft, SideRight]].concat();
        assert_eq!(usual(8, &all), USUAL);
    }

    #[test]
    fn the_rear_pair_of_a_device_that_says_nothing_may_be_the_sides() {
        let side = [FrontLeft, FrontRight, FrontCenter, Subwoofer, SideLeft, SideRight];
        assert_eq!(usual(6, &side), [FrontLeft, FrontRight, SideLeft, SideRight, FrontCenter, Subwoofer]);
    }

    #[test]
    fn a_device_with_another_number_of_channels_has_the_first_ones() {
        assert_eq!(usual(2, &[FrontCenter]), [FrontLeft, FrontRight]);
        assert_eq!(usual(1, &[FrontLeft, FrontRight]), [FrontCenter]);
        assert_eq!(usual(9, &[])[8], Unplaced(8));
    }
}
