//! Laws of the stream header.

use crate::generators::{all_rates, formats};
use proptest::prelude::*;
use protocol::{FormatError, StreamFormat};

/// What the header table says about five bytes, written a second time.
fn check_header(header: [u8; 5]) {
    let [rate, bits, channels, low, high] = header;
    let multiplier = u32::from(rate & 0x7F);
    let expected = if multiplier == 0 {
        Err(FormatError::RateMultiplier(rate))
    } else if !matches!(bits, 16 | 24 | 32) {
        Err(FormatError::Bits(bits.into()))
    } else if !(1..=8).contains(&channels) {
        Err(FormatError::Channels(channels.into()))
    } else {
        let base = if rate < 0x80 { 48_000 } else { 44_100 };
        let mask = u16::from(low) + 256 * u16::from(high);
        Ok((base * multiplier, u16::from(bits), u16::from(channels), mask))
    };
    let parsed = StreamFormat::parse(&header);
    let fields = parsed.map(|format| (format.rate().get(), format.bits(), format.channels(), format.mask()));
    assert_eq!(fields, expected, "{header:?}");
    if let Ok(format) = parsed {
        assert_eq!(format.header(), header);
        let frame = u32::from(bits) / 8 * u32::from(channels);
        assert_eq!(u32::from(format.bytes_per_frame().get()), frame);
        assert_eq!(format.bytes_per_second(), format.rate().get() * frame);
    }
}

#[test]
fn every_rate_byte_with_every_bits_and_channels_byte_parses_as_the_table_says() {
    for rate in 0..=255 {
        for bits in 0..=255 {
            for channels in 0..=255 {
                check_header([rate, bits, channels, 0x3F, 0x06]);
            }
        }
    }
}

#[test]
fn every_rate_has_a_header_and_comes_back() {
    assert_eq!(all_rates().count(), 254);
    for rate in all_rates() {
        for bits in [16, 24, 32] {
            for channels in 1..=8 {
                let format = StreamFormat::new(rate, bits, channels, 0x063F).unwrap();
                assert_eq!(format.rate().get(), rate);
                assert_eq!(StreamFormat::parse(&format.header()), Ok(format));
            }
        }
    }
}

#[test]
fn every_frequency_that_is_no_multiple_is_refused() {
    let accepted: std::collections::BTreeSet<u32> = all_rates().collect();
    for rate in 0..=6_200_000 {
        assert_eq!(StreamFormat::new(rate, 16, 2, 3).is_ok(), accepted.contains(&rate), "{rate}");
    }
}

proptest! {
    #[test]
    fn any_five_bytes_parse_as_the_table_says(header: [u8; 5]) {
        check_header(header);
    }

    #[test]
    fn what_follows_a_header_does_not_matter(format in formats(), rest: Vec<u8>) {
        let bytes = [&format.header()[..], &rest].concat();
        prop_assert_eq!(StreamFormat::parse(&bytes), Ok(format));
    }
}
