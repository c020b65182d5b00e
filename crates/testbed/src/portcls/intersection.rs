//! The answer to a data-range intersection: a format that lies in the client's range and in the pin's
//! (<https://learn.microsoft.com/windows-hardware/drivers/ddi/portcls/nf-portcls-iminiport-datarangeintersection>).

use std::ptr;

use super::abi::{AudioRange, DataRange, MultipleItem};
use super::connect;
use super::pin_buffer::AlignedFormat;
use super::port::FilterObject;
use super::property::Block;
use crate::nt::{NtStatus, Pvoid};
use crate::verifier::{Rule, record};

/// Where a format and a range have the same identifiers.
const IDENTIFIERS: [(&str, usize); 3] = [("MajorFormat", 16), ("SubFormat", 32), ("Specifier", 48)];
/// The first bytes of KSDATAFORMAT_SPECIFIER_WAVEFORMATEX.
const WAVEFORMATEX: [u8; 4] = 0x0558_9F81_u32.to_le_bytes();
/// Bytes of a KSDATAFORMAT with a WAVEFORMATEX.
const WAVE_FORMAT: usize = 82;

/// KSPROPERTY_PIN_DATAINTERSECTION: the first format that the client's ranges and the pin's have in common. `instance`
/// is KSP_PIN's last field, then KSMULTIPLE_ITEM and the client's ranges.
pub(super) fn first(filter: &FilterObject, pin: u32, instance: &[u8]) -> Result<Vec<u8>, NtStatus> {
    let (head, mut ranges) = instance.split_at_checked(12).ok_or(NtStatus::INVALID_PARAMETER)?;
    let item = MultipleItem { size: word(head, 4), count: word(head, 8) };
    ranges = ranges.get(..(item.size as usize).saturating_sub(8)).ok_or(NtStatus::INVALID_PARAMETER)?;
    let mut status = NtStatus::NO_MATCH;
    for _ in 0..item.count {
        let size = ranges.first_chunk::<4>().map_or(0, |bytes| u32::from_ne_bytes(*bytes)) as usize;
        if size < size_of::<DataRange>() || size > ranges.len() {
            return Err(NtStatus::INVALID_PARAMETER);
        }
        for own in &filter.description.pins[pin as usize].ranges {
            match intersect(filter, pin, &ranges[..size], *own) {
                Ok(format) => return Ok(format),
                Err(refusal) => status = refusal,
            }
        }
        ranges = &ranges[size.next_multiple_of(8).min(ranges.len())..];
    }
    Err(status)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_ne_bytes)
}

/// IMiniport::DataRangeIntersection of a range of the client's with one of the pin's, with room for `capacity` bytes; the
/// status and the length.
pub(super) fn within(
    filter: &FilterObject,
    pin: u32,
    client: &[u8],
    own: usize,
    capacity: u32,
) -> (NtStatus, u32) {
    if let Err(status) = connect::check(client) {
        return (status, 0);
    }
    let ranges = filter.description.pins.get(pin as usize).map_or(&[][..], |pin| &pin.ranges);
    let Some(own) = ranges.get(own % ranges.len().max(1)) else { return (NtStatus::INVALID_PARAMETER, 0) };
    let client = AlignedFormat::new(client);
    let mut format = vec![0; capacity as usize];
    let block = Block::new(&format, "the result of DataRangeIntersection");
    let mut length = 0;
    // SAFETY: the ranges and the output live as long as the call.
    let status = filter.miniport.call("IMiniport::DataRangeIntersection", |this, table| unsafe {
        (table.data_range_intersection)(
            this,
            pin,
            client.pointer(),
            *own,
            capacity,
            block.pointer(),
            &raw mut length,
        )
    });
    block.read(&mut format);
    (status, length)
}

/// Asks the miniport for the intersection of two ranges: once for the size, once for the format.
fn intersect(
    filter: &FilterObject,
    pin: u32,
    client: &[u8],
    own: *const DataRange,
) -> Result<Vec<u8>, NtStatus> {
    let client_range = AlignedFormat::new(client);
    let ask = |capacity: u32, output: Pvoid| {
        let mut length = u32::MAX;
        // SAFETY: the ranges and the output live as long as the call.
        let status = filter.miniport.call("IMiniport::DataRangeIntersection", |this, table| unsafe {
            (table.data_range_intersection)(
                this,
                pin,
                client_range.pointer(),
                own,
                capacity,
                output,
                &raw mut length,
            )
        });
        (status, length)
    };
    let (status, size) = ask(0, ptr::null_mut());
    if status != NtStatus::BUFFER_OVERFLOW {
        if status.is_success() {
            record(
                Rule::Argument,
                "DataRangeIntersection succeeded without a buffer; it returns STATUS_BUFFER_OVERFLOW",
            );
        }
        return Err(status);
    }
    if !(size_of::<DataRange>()..=4096).contains(&(size as usize)) {
        record(Rule::Argument, format!("DataRangeIntersection says that a format has {size} bytes"));
        return Err(NtStatus::UNSUCCESSFUL);
    }
    let mut format = vec![0; size as usize];
    let (status, _) =
        ask(size - 1, Block::new(&format[1..], "a short result of DataRangeIntersection").pointer());
    if status != NtStatus::BUFFER_TOO_SMALL {
        let text = format!("DataRangeIntersection returned {status} when the buffer was too small");
        record(Rule::Argument, text);
    }
    let block = Block::new(&format, "the result of DataRangeIntersection");
    let (status, length) = ask(size, block.pointer());
    status.ok()?;
    if length != size {
        record(Rule::Argument, format!("DataRangeIntersection asked for {size} bytes and used {length}"));
    }
    block.read(&mut format);
    if word(&format, 0) != size {
        record(
            Rule::Argument,
            format!("DataRangeIntersection's format of {size} bytes says it has {}", word(&format, 0)),
        );
    }
    // SAFETY: `check_ranges` has found the range readable, with as many bytes as it says.
    let bytes = unsafe { (*own).format_size } as usize;
    // SAFETY: as above.
    let own = unsafe { std::slice::from_raw_parts(own.cast::<u8>(), bytes) };
    check(&format, client, own);
    Ok(format)
}

/// Records a format that is outside of one of the ranges. The format is at least as long as a KSDATARANGE.
fn check(format: &[u8], client: &[u8], own: &[u8]) {
    for (whose, range) in [("the client's", client), ("the pin's", own)] {
        if let Some(what) = outside(format, range) {
            record(Rule::Argument, format!("DataRangeIntersection picked {what}, outside of {whose} range"));
            return;
        }
    }
}

/// What of a format is outside of a range.
fn outside(format: &[u8], range: &[u8]) -> Option<String> {
    if range.len() < size_of::<DataRange>() {
        return None;
    }
    for (name, at) in IDENTIFIERS {
        let (picked, allowed) = (&format[at..at + 16], &range[at..at + 16]);
        // Zero is the wildcard.
        if picked != allowed && allowed != [0; 16] {
            return Some(format!("another {name}"));
        }
    }
    let is_wave = format.len() >= WAVE_FORMAT && format[48..52] == WAVEFORMATEX;
    if !is_wave || range.len() < size_of::<AudioRange>() || range[48..52] != WAVEFORMATEX {
        return None;
    }
    let limit = |field: usize| number(range, size_of::<DataRange>() + 4 * field, 4);
    let fields = [
        ("channels", number(format, 66, 2), 1, limit(0)),
        ("bits", number(format, 78, 2), limit(1), limit(2)),
        ("Hz", number(format, 68, 4), limit(3), limit(4)),
    ];
    // A range without a format was complained of when the filter was described.
    if fields.iter().any(|(_, _, least, most)| least > most) {
        return None;
    }
    let mut wrong = fields.into_iter().filter(|(_, picked, least, most)| picked < least || picked > most);
    wrong.next().map(|(unit, picked, ..)| format!("{picked} {unit}"))
}

/// A little-endian number.
fn number(bytes: &[u8], at: usize, length: usize) -> u32 {
    bytes[at..at + length].iter().rev().fold(0, |number, byte| number << 8 | u32::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Format;

    /// The range of 1 to 2 channels of 16 to 24 bits at 44.1 to 48 kHz.
    fn range() -> Vec<u8> {
        let mut range = Format::pcm(48_000, 16, 2).to_bytes()[..64].to_vec();
        for limit in [2, 16, 24, 44_100, 48_000, 0_u32] {
            range.extend_from_slice(&limit.to_le_bytes());
        }
        range
    }

    #[test]
    fn formats_at_the_limits_are_inside() {
        for (rate, bits, channels) in [(44_100, 16, 1), (48_000, 24, 2), (44_100, 24, 2), (46_000, 20, 1)] {
            let format = Format::pcm(rate, bits, channels);
            assert_eq!(outside(&format.to_bytes(), &range()), None, "{format:?}");
            assert_eq!(outside(&format.plain().to_bytes(), &range()), None);
        }
    }

    #[test]
    fn what_is_outside_is_named() {
        let cases = [
            (44_099, 16, 2, "44099 Hz"),
            (48_001, 16, 2, "48001 Hz"),
            (48_000, 8, 2, "8 bits"),
            (48_000, 32, 2, "32 bits"),
            (48_000, 16, 3, "3 channels"),
            (48_000, 16, 0, "0 channels"),
        ];
        for (rate, bits, channels, what) in cases {
            let format = Format::pcm(rate, bits, channels).to_bytes();
            assert_eq!(outside(&format, &range()).as_deref(), Some(what));
        }
        for (name, at) in IDENTIFIERS {
            let mut format = Format::pcm(48_000, 16, 2).to_bytes();
            format[at] ^= 1;
            assert_eq!(outside(&format, &range()), Some(format!("another {name}")));
            let mut anything = range();
            anything[at..at + 16].fill(0);
            assert_eq!(outside(&format, &anything), None);
        }
    }
}
