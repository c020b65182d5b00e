//! [`Speaker`]: where a channel is to be heard.

use protocol::{StreamFormat, default_mask};

/// The place of a channel: a bit of Windows' channel mask (`KSAUDIO_SPEAKER`, the 16 that packets carry), or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Speaker {
    /// Bit 0.
    FrontLeft,
    /// Bit 1.
    FrontRight,
    /// Bit 2.
    FrontCenter,
    /// Bit 3, for low frequencies.
    Subwoofer,
    /// Bit 4.
    BackLeft,
    /// Bit 5.
    BackRight,
    /// Bit 6.
    FrontLeftOfCenter,
    /// Bit 7.
    FrontRightOfCenter,
    /// Bit 8.
    BackCenter,
    /// Bit 9.
    SideLeft,
    /// Bit 10.
    SideRight,
    /// Bit 11.
    TopCenter,
    /// Bit 12.
    TopFrontLeft,
    /// Bit 13.
    TopFrontCenter,
    /// Bit 14.
    TopFrontRight,
    /// Bit 15.
    TopBackLeft,
    /// A channel that the mask has no bit for; its number in the frame, from 0.
    Unplaced(u8),
}

/// Those of the bits of a mask, from bit 0.
pub const OF_BITS: [Speaker; 16] = [
    Speaker::FrontLeft,
    Speaker::FrontRight,
    Speaker::FrontCenter,
    Speaker::Subwoofer,
    Speaker::BackLeft,
    Speaker::BackRight,
    Speaker::FrontLeftOfCenter,
    Speaker::FrontRightOfCenter,
    Speaker::BackCenter,
    Speaker::SideLeft,
    Speaker::SideRight,
    Speaker::TopCenter,
    Speaker::TopFrontLeft,
    Speaker::TopFrontCenter,
    Speaker::TopFrontRight,
    Speaker::TopBackLeft,
];

/// The speaker of each channel of a format, in the order of its frames.
///
/// The channels take the bits of the mask from the lowest on. Bits without a channel are left out, and channels without a
/// bit are [`Speaker::Unplaced`]. A mask of 0 says nothing; then it is the usual one for so many channels.
pub fn of(format: StreamFormat) -> Vec<Speaker> {
    let mask = if format.mask() == 0 { default_mask(format.channels()) } else { format.mask() };
    let mut placed = OF_BITS.into_iter().enumerate().filter(|(bit, _)| mask & 1 << bit != 0);
    (0..format.channels() as u8)
        .map(|channel| placed.next().map_or(Speaker::Unplaced(channel), |(_, speaker)| speaker))
        .collect()
}

/// The mask of speakers; those without a bit are left out.
pub fn mask(speakers: &[Speaker]) -> u16 {
    let bit = |speaker: &Speaker| OF_BITS.iter().position(|of_bit| of_bit == speaker);
    speakers.iter().filter_map(bit).fold(0, |mask, bit| mask | 1 << bit)
}

#[cfg(test)]
mod tests {
    use super::Speaker::*;
    use super::*;

    #[track_caller]
    fn check(channels: u16, mask: u16, expected: &[Speaker]) {
        let format = StreamFormat::new(48_000, 16, channels, mask).expect("a format");
        assert_eq!(of(format), expected);
    }

    #[test]
    fn channels_take_the_bits_from_the_lowest_on() {
        check(2, 0x3, &[FrontLeft, FrontRight]);
        check(1, 0x4, &[FrontCenter]);
        check(2, 0x600, &[SideLeft, SideRight]);
        check(
            8,
            0x63F,
            &[FrontLeft, FrontRight, FrontCenter, Subwoofer, BackLeft, BackRight, SideLeft, SideRight],
        );
    }

    #[test]
    fn bits_without_a_channel_are_left_out_and_channels_without_a_bit_are_unplaced() {
        check(1, 0x3, &[FrontLeft]);
        check(4, 0x3, &[FrontLeft, FrontRight, Unplaced(2), Unplaced(3)]);
    }

    #[test]
    fn a_mask_of_0_is_the_usual_one() {
        check(2, 0, &[FrontLeft, FrontRight]);
        check(6, 0, &[FrontLeft, FrontRight, FrontCenter, Subwoofer, BackLeft, BackRight]);
    }

    #[test]
    fn speakers_have_the_mask_that_they_come_from() {
        for mask_ in [0x3_u32, 0x63F, 0x8001, 0xFF00] {
            let format = StreamFormat::new(48_000, 16, mask_.count_ones() as u16, mask_ as u16).unwrap();
            assert_eq!(mask(&of(format)), mask_ as u16);
        }
        assert_eq!(mask(&[FrontLeft, Unplaced(1)]), 1);
    }
}
