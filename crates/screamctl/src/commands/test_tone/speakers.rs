//! The names of channels.

/// The speakers of `dwChannelMask`, from its lowest bit on.
const SPEAKERS: [&str; 18] = [
    "front left",
    "front right",
    "front center",
    "subwoofer",
    "back left",
    "back right",
    "front left of center",
    "front right of center",
    "back center",
    "side left",
    "side right",
    "top center",
    "top front left",
    "top front center",
    "top front right",
    "top back left",
    "top back center",
    "top back right",
];

/// The name of a channel, which is the speaker of the mask that has its place, if there is one.
pub fn name(channel: u16, mask: u32) -> String {
    let of_mask = (0..32).filter(|bit| mask & 1 << bit != 0).nth(usize::from(channel));
    match of_mask.and_then(|bit| SPEAKERS.get(bit)) {
        Some(speaker) => format!("{speaker} (channel {})", channel + 1),
        None => format!("channel {}", channel + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_the_speakers_of_the_mask_in_its_order() {
        let surround: Vec<String> = (0..8).map(|channel| name(channel, 0x063F)).collect();
        let expected = [
            "front left (channel 1)",
            "front right (channel 2)",
            "front center (channel 3)",
            "subwoofer (channel 4)",
            "back left (channel 5)",
            "back right (channel 6)",
            "side left (channel 7)",
            "side right (channel 8)",
        ];
        assert_eq!(surround, expected);
    }

    #[test]
    fn channels_without_a_speaker_have_a_number() {
        assert_eq!(name(2, 0x3), "channel 3");
        assert_eq!(name(0, 0), "channel 1");
        assert_eq!(name(0, 1 << 18), "channel 1");
        assert_eq!(name(0, 1 << 31), "channel 1");
    }
}
