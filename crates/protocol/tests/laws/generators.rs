//! Strategies shared by the laws.

use proptest::prelude::*;
use protocol::StreamFormat;

/// Every sampling rate the header can carry, in Hz.
pub fn all_rates() -> impl Iterator<Item = u32> {
    [48_000, 44_100].into_iter().flat_map(|base| (1..=127).map(move |multiplier| base * multiplier))
}

/// Any format.
pub fn formats() -> impl Strategy<Value = StreamFormat> {
    (
        prop::sample::select(all_rates().collect::<Vec<_>>()),
        prop::sample::select(vec![16, 24, 32]),
        1_u16..=8,
        any::<u16>(),
    )
        .prop_map(|(rate, bits, channels, mask)| {
            StreamFormat::new(rate, bits, channels, mask).expect("every number is accepted")
        })
}
