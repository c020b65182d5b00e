//! The format of a PCM stream and the 5-byte header that carries it.
//!
//! [`StreamFormat`] can only hold formats the header can express, so whoever has one can send it.
//!
//! | byte | meaning |
//! | --- | --- |
//! | 0 | rate: bit 7 = base (0: 48 000 Hz, 1: 44 100 Hz), bits 0-6 = multiplier, 1..=127 |
//! | 1 | bits per sample: 16, 24 or 32 |
//! | 2 | channels: 1..=8 |
//! | 3, 4 | channel mask, low byte first |

use core::fmt;
use core::num::{NonZeroU16, NonZeroU32};

/// Length of the stream header, in bytes.
pub const HEADER_LEN: usize = 5;

/// Most channels a stream may have.
pub const MAX_CHANNELS: u16 = 8;

const BASE_48K: u32 = 48_000;
const BASE_44K: u32 = 44_100;
const BASE_44K_BIT: u8 = 0x80;
const MULTIPLIER_MASK: u8 = 0x7F;
const MAX_MULTIPLIER: u32 = MULTIPLIER_MASK as u32;

// No rate has two encodings: the first common multiple of the bases (7 056 000 Hz) needs multiplier 147.
const _: () = assert!(BASE_48K * MAX_MULTIPLIER < 7_056_000);

/// A PCM format: little endian, interleaved, signed integers, packed (24 bits take three bytes).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StreamFormat {
    rate: NonZeroU32,
    rate_byte: u8,
    width: SampleWidth,
    channels: NonZeroU16,
    mask: u16,
}

/// Width of one sample as it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SampleWidth {
    /// 16 bits, two bytes.
    Bits16,
    /// 24 bits, three bytes.
    Bits24,
    /// 32 bits, four bytes.
    Bits32,
}

impl SampleWidth {
    /// The width with this many bits, if it is one that can be sent.
    pub const fn from_bits(bits: u16) -> Option<Self> {
        match bits {
            16 => Some(Self::Bits16),
            24 => Some(Self::Bits24),
            32 => Some(Self::Bits32),
            _ => None,
        }
    }

    /// Bits per sample.
    pub const fn bits(self) -> u16 {
        match self {
            Self::Bits16 => 16,
            Self::Bits24 => 24,
            Self::Bits32 => 32,
        }
    }

    /// Bytes per sample.
    pub const fn bytes(self) -> u16 {
        match self {
            Self::Bits16 => 2,
            Self::Bits24 => 3,
            Self::Bits32 => 4,
        }
    }
}

impl StreamFormat {
    /// Checks a format given as numbers, as in `WAVEFORMATEX`.
    ///
    /// `rate` is in Hz, `bits` is the width of the container of a sample, `mask` the low 16 bits of
    /// `dwChannelMask`. The mask is carried as it is, whether or not it names as many speakers as there
    /// are channels; [`default_mask`] gives one for formats that have none.
    ///
    /// # Errors
    ///
    /// [`FormatError::Rate`], [`FormatError::Bits`] or [`FormatError::Channels`], checked in this order.
    pub const fn new(rate: u32, bits: u16, channels: u16, mask: u16) -> Result<Self, FormatError> {
        match rate_byte(rate) {
            Some(byte) => Self::from_parts(byte, bits, channels, mask),
            None => Err(FormatError::Rate(rate)),
        }
    }

    /// Reads the header at the start of `bytes`; what follows it is not looked at.
    ///
    /// # Errors
    ///
    /// [`FormatError::TooShort`] for fewer than [`HEADER_LEN`] bytes, otherwise the first field that has
    /// a value outside the table above.
    pub const fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        match bytes.first_chunk::<HEADER_LEN>() {
            Some(&[rate, bits, channels, low, high]) => {
                Self::from_parts(rate, bits as u16, channels as u16, u16::from_le_bytes([low, high]))
            }
            None => Err(FormatError::TooShort(bytes.len())),
        }
    }

    const fn from_parts(rate_byte: u8, bits: u16, channels: u16, mask: u16) -> Result<Self, FormatError> {
        let Some(rate) = rate_of(rate_byte) else {
            return Err(FormatError::RateMultiplier(rate_byte));
        };
        let Some(width) = SampleWidth::from_bits(bits) else {
            return Err(FormatError::Bits(bits));
        };
        let channels = match NonZeroU16::new(channels) {
            Some(count) if count.get() <= MAX_CHANNELS => count,
            _ => return Err(FormatError::Channels(channels)),
        };
        Ok(Self { rate, rate_byte, width, channels, mask })
    }

    /// Sampling rate in Hz (frames per second), at most 6 096 000.
    pub const fn rate(self) -> NonZeroU32 {
        self.rate
    }

    /// Width of a sample.
    pub const fn width(self) -> SampleWidth {
        self.width
    }

    /// Bits per sample: 16, 24 or 32.
    pub const fn bits(self) -> u16 {
        self.width.bits()
    }

    /// Channels, 1..=8.
    pub const fn channels(self) -> u16 {
        self.channels.get()
    }

    /// Channel mask: bit n set means speaker n of `KSAUDIO_SPEAKER` is present.
    pub const fn mask(self) -> u16 {
        self.mask
    }

    /// Bytes per frame (one sample of every channel), 2..=32. Converts with `from` to every wider
    /// `NonZero` type, so that dividing by it cannot fail.
    pub const fn bytes_per_frame(self) -> NonZeroU16 {
        match NonZeroU16::new(self.width.bytes().saturating_mul(self.channels.get())) {
            Some(bytes) => bytes,
            None => NonZeroU16::MIN, // not reached: both factors are at least one
        }
    }

    /// Bytes per second of audio.
    pub const fn bytes_per_second(self) -> u32 {
        // At most 6 096 000 * 32, far below 2^32.
        self.rate.get().saturating_mul(self.bytes_per_frame().get() as u32)
    }

    /// The header of this format.
    pub const fn header(self) -> [u8; HEADER_LEN] {
        let [low, high] = self.mask.to_le_bytes();
        // Both casts are lossless: bits <= 32, channels <= 8.
        let bits = self.width.bits() as u8;
        [self.rate_byte, bits, self.channels.get() as u8, low, high]
    }
}

/// The channel mask that Windows uses for a channel count when the format names none.
///
/// Mono front centre, stereo, 2.1, quad, 5.0, 5.1 (back), 6.1, 7.1 (surround: side and back). Where
/// Windows knows two arrangements for a count, 5.0 and 5.1 take the one with back speakers, because
/// `KSAUDIO_SPEAKER_5POINT1` is that one; 7.1 takes the home-theatre one, because the other
/// (`KSAUDIO_SPEAKER_7POINT1`, wide front) is obsolete. Other counts have no arrangement: the mask is 0.
pub const fn default_mask(channels: u16) -> u16 {
    match channels {
        1 => 0x0004,
        2 => 0x0003,
        3 => 0x000B,
        4 => 0x0033,
        5 => 0x0037,
        6 => 0x003F,
        7 => 0x013F,
        8 => 0x063F,
        _ => 0,
    }
}

/// Why a format or header was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FormatError {
    /// The sampling rate, in Hz, is no accepted multiple of a base.
    Rate(u32),
    /// The header's rate byte has multiplier 0.
    RateMultiplier(u8),
    /// The sample width, in bits, is not 16, 24 or 32.
    Bits(u16),
    /// The channel count is not 1..=8.
    Channels(u16),
    /// There are fewer bytes than a header has; holds how many there are.
    TooShort(usize),
}

impl fmt::Display for FormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Rate(rate) => write!(f, "sampling rate {rate} Hz is not 48000 or 44100 Hz times 1 to 127"),
            Self::RateMultiplier(byte) => {
                write!(f, "rate byte {byte:#04x} has multiplier 0; accepted are 1 to 127")
            }
            Self::Bits(bits) => write!(f, "{bits} bits per sample; accepted are 16, 24 and 32"),
            Self::Channels(channels) => write!(f, "{channels} channels; accepted are 1 to 8"),
            Self::TooShort(len) => write!(f, "{len} bytes are too short for the 5-byte header"),
        }
    }
}

impl core::error::Error for FormatError {}

/// The byte that encodes a rate in Hz.
const fn rate_byte(rate: u32) -> Option<u8> {
    // The casts are lossless: the multiplier was compared with 127.
    if rate == 0 {
        None
    } else if rate.is_multiple_of(BASE_48K) && rate / BASE_48K <= MAX_MULTIPLIER {
        Some((rate / BASE_48K) as u8)
    } else if rate.is_multiple_of(BASE_44K) && rate / BASE_44K <= MAX_MULTIPLIER {
        Some((rate / BASE_44K) as u8 | BASE_44K_BIT)
    } else {
        None
    }
}

/// The rate in Hz that a byte encodes; none when its multiplier is 0.
const fn rate_of(byte: u8) -> Option<NonZeroU32> {
    let base = if byte & BASE_44K_BIT == 0 { BASE_48K } else { BASE_44K };
    NonZeroU32::new(base.saturating_mul((byte & MULTIPLIER_MASK) as u32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn cd_quality_has_the_44100_base_bit_and_multiplier_one() {
        let format = StreamFormat::new(44_100, 16, 2, 0x0003).unwrap();
        assert_eq!(format.header(), [0x81, 16, 2, 0x03, 0x00]);
        assert_eq!(format.bytes_per_frame().get(), 4);
        assert_eq!(format.bytes_per_second(), 176_400);
    }

    #[test]
    fn a_192_khz_surround_stream_has_multiplier_four_and_its_mask_low_byte_first() {
        let format = StreamFormat::new(192_000, 24, 8, 0x063F).unwrap();
        assert_eq!(format.header(), [0x04, 24, 8, 0x3F, 0x06]);
        assert_eq!(format.bytes_per_frame().get(), 24);
    }

    #[test]
    fn the_fastest_and_widest_stream_keeps_its_numbers() {
        let format = StreamFormat::new(6_096_000, 32, 8, 0xFFFF).unwrap();
        assert_eq!(format.bytes_per_second(), 195_072_000);
        assert_eq!(format.header(), [0x7F, 32, 8, 0xFF, 0xFF]);
    }

    #[test]
    fn only_multiples_up_to_127_of_a_base_are_rates() {
        for rate in [0, 1, 8_000, 22_050, 44_099, 48_001, 6_144_000, 7_056_000, u32::MAX] {
            assert_eq!(StreamFormat::new(rate, 16, 2, 3), Err(FormatError::Rate(rate)));
        }
        assert!(StreamFormat::new(44_100 * 127, 16, 2, 3).is_ok());
    }

    #[test]
    fn each_wrong_number_is_named() {
        assert_eq!(StreamFormat::new(48_000, 20, 2, 3), Err(FormatError::Bits(20)));
        // Truncated to a byte, this would be 16.
        assert_eq!(StreamFormat::new(48_000, 272, 2, 3), Err(FormatError::Bits(272)));
        for channels in [0, 9, 258, u16::MAX] {
            assert_eq!(StreamFormat::new(48_000, 16, channels, 3), Err(FormatError::Channels(channels)));
        }
    }

    #[test]
    fn each_wrong_header_byte_is_named() {
        let parse = StreamFormat::parse;
        assert_eq!(parse(&[]), Err(FormatError::TooShort(0)));
        assert_eq!(parse(&[1, 16, 2, 3]), Err(FormatError::TooShort(4)));
        assert_eq!(parse(&[0x80, 16, 2, 3, 0]), Err(FormatError::RateMultiplier(0x80)));
        assert_eq!(parse(&[1, 8, 2, 3, 0]), Err(FormatError::Bits(8)));
        assert_eq!(parse(&[1, 16, 0, 3, 0]), Err(FormatError::Channels(0)));
    }

    #[test]
    fn errors_say_what_is_accepted() {
        let error = StreamFormat::new(11_025, 16, 2, 3).unwrap_err();
        assert_eq!(error.to_string(), "sampling rate 11025 Hz is not 48000 or 44100 Hz times 1 to 127");
    }

    #[test]
    fn a_default_mask_names_as_many_speakers_as_there_are_channels() {
        for channels in 1..=MAX_CHANNELS {
            let mask = default_mask(channels);
            assert_eq!(mask.count_ones(), u32::from(channels), "{channels} channels");
            assert_eq!(mask & !0x07FF, 0, "{channels} channels");
        }
        assert_eq!(default_mask(1), 0x0004);
        assert_eq!(default_mask(6), 0x003F);
        assert_eq!(default_mask(8), 0x063F);
        assert_eq!(default_mask(0), 0);
        assert_eq!(default_mask(9), 0);
    }
}
