//! The data ranges of the render pin, and the formats that they have in common with a client's.
//!
//! * The speaker dialog behind "Configure" proposes one standard arrangement after the other with
//!   `KSPROPERTY_PIN_PROPOSEDATAFORMAT` and shows those that are accepted; it looks at the ranges only when a driver does
//!   not have that property (a developer of Windows' audio in
//!   <https://www.freelists.org/post/wdmaudiodev/EXTERNAL-What-does-Windows-do-when-Audio-Playback-Devices-Configure-button-is-hit>).
//!   The list on the Advanced page is made in the same way. So what is shown there is what [`super::format::parse`] takes.
//! * A range is one rate and one width with up to eight channels, so that every format in a range is one that plays. A
//!   range for each channel count is what PortCls's own intersection would need, which only knows mono and stereo and
//!   writes no channel mask; [`intersect`] takes its place
//!   (<https://learn.microsoft.com/windows-hardware/drivers/audio/default-data-intersection-handlers>).

use protocol::{StreamFormat, default_mask};

use crate::abi::ks::{
    DataRangePointer, KSDATAFORMAT, KSDATAFORMAT_SPECIFIER_WAVEFORMATEX, KSDATAFORMAT_SUBTYPE_PCM,
    KSDATAFORMAT_TYPE_AUDIO, KSDATARANGE_ATTRIBUTES, KSDATARANGE_AUDIO,
};
use crate::abi::{GUID, same_guid};
use crate::wave::attributes::RANGE_ATTRIBUTES;
use crate::wave::format::{Fields, MAX_CHANNELS, RATES, WIDTHS, is_offered, offset};

/// The elements of the pin's array of ranges: each range, and its attributes behind it.
pub static RENDER_RANGES: [DataRangePointer; 2 * RANGE_COUNT] = pointers();

/// PortCls offers them to a client in this order.
static RANGES: [KSDATARANGE_AUDIO; RANGE_COUNT] = ranges();
const RANGE_COUNT: usize = RATES.len() * WIDTHS.len();

const fn ranges() -> [KSDATARANGE_AUDIO; RANGE_COUNT] {
    let mut ranges = [range(RATES[0], WIDTHS[0]); RANGE_COUNT];
    let mut index = 0;
    while index < RANGE_COUNT {
        ranges[index] = range(RATES[index / WIDTHS.len()], WIDTHS[index % WIDTHS.len()]);
        index += 1;
    }
    ranges
}

const fn pointers() -> [DataRangePointer; 2 * RANGE_COUNT] {
    let mut pointers = [DataRangePointer::attributes(&RANGE_ATTRIBUTES); 2 * RANGE_COUNT];
    let mut index = 0;
    while index < RANGE_COUNT {
        pointers[2 * index] = DataRangePointer::audio(&RANGES[index]);
        index += 1;
    }
    pointers
}

const fn range(rate: u32, bits: u16) -> KSDATARANGE_AUDIO {
    KSDATARANGE_AUDIO {
        DataRange: KSDATAFORMAT {
            Alignment: [],
            FormatSize: size_of::<KSDATARANGE_AUDIO>() as u32,
            Flags: KSDATARANGE_ATTRIBUTES,
            SampleSize: 0,
            Reserved: 0,
            MajorFormat: KSDATAFORMAT_TYPE_AUDIO,
            SubFormat: KSDATAFORMAT_SUBTYPE_PCM,
            Specifier: KSDATAFORMAT_SPECIFIER_WAVEFORMATEX,
        },
        MaximumChannels: MAX_CHANNELS as u32,
        MinimumBitsPerSample: bits as u32,
        MaximumBitsPerSample: bits as u32,
        MinimumSampleFrequency: rate,
        MaximumSampleFrequency: rate,
    }
}

/// Offsets in a `KSDATARANGE_AUDIO`, after the part that it shares with formats.
mod range_offset {
    pub const MAX_CHANNELS: usize = 64;
    pub const MIN_BITS: usize = 68;
    pub const MAX_BITS: usize = 72;
    pub const MIN_RATE: usize = 76;
    pub const MAX_RATE: usize = 80;
}

const _: () = assert!(size_of::<KSDATAFORMAT>() == range_offset::MAX_CHANNELS);

/// The best format in both ranges: as many channels as both allow, at the one rate and width of `own`.
///
/// The speakers are those that Windows has for the channel count. `own` is one of the filter's ranges.
pub fn intersect(client: &[u8], own: &[u8]) -> Option<StreamFormat> {
    let (client, own) = (Fields(client), Fields(own));
    for offset in [offset::MAJOR_FORMAT, offset::SUB_FORMAT, offset::SPECIFIER] {
        let (theirs, ours) = (client.guid(offset)?, own.guid(offset)?);
        // The zero identifier is KSDATAFORMAT_*_WILDCARD.
        if !same_guid(&theirs, &ours) && !same_guid(&theirs, &GUID::from_u128(0)) {
            return None;
        }
    }
    let channels = own.u32(range_offset::MAX_CHANNELS)?.min(client.u32(range_offset::MAX_CHANNELS)?);
    let bits = own.u32(range_offset::MAX_BITS)?;
    let rate = own.u32(range_offset::MAX_RATE)?;
    let bits_fit =
        client.u32(range_offset::MIN_BITS)? <= bits && bits <= client.u32(range_offset::MAX_BITS)?;
    let rate_fits =
        client.u32(range_offset::MIN_RATE)? <= rate && rate <= client.u32(range_offset::MAX_RATE)?;
    if !bits_fit || !rate_fits {
        return None;
    }
    let (bits, channels) = (u16::try_from(bits).ok()?, u16::try_from(channels).ok()?);
    StreamFormat::new(rate, bits, channels, default_mask(channels)).ok().filter(is_offered)
}
