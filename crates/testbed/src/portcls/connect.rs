//! What kernel streaming checks of a format or data range before a port sees it.
//!
//! A format for a new or an open pin, and a client's range for an intersection, come out of such checks in ks.sys, so
//! that a miniport may read as many bytes as the first field says, and step through the list of attributes behind them.
//! The value of any other property request does not
//! (<https://learn.microsoft.com/windows-hardware/drivers/ddi/ks/nf-ks-ksvalidateconnectrequest>).

use super::abi::{DataRange, FLAG_ATTRIBUTES};
use crate::nt::NtStatus;

/// Bytes of KSDATAFORMAT and of KSDATARANGE.
const HEAD: usize = size_of::<DataRange>();
/// Bytes of KSATTRIBUTE.
const ATTRIBUTE: usize = 24;

fn word(bytes: &[u8], at: usize) -> Option<usize> {
    let field = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_ne_bytes(*field) as usize)
}

/// Whether a format or range is as long as it says, and so are the attributes behind it.
///
/// # Errors
/// STATUS_INVALID_BUFFER_SIZE: it is not. STATUS_INVALID_PARAMETER: the attributes are not.
pub(super) fn check(bytes: &[u8]) -> Result<(), NtStatus> {
    let size = word(bytes, 0).filter(|size| (HEAD..=bytes.len()).contains(size));
    let size = size.ok_or(NtStatus::INVALID_BUFFER_SIZE)?;
    let flags = word(bytes, 4).unwrap_or_default();
    if flags & FLAG_ATTRIBUTES as usize == 0 || are_attributes(bytes, size.next_multiple_of(8)) {
        Ok(())
    } else {
        Err(NtStatus::INVALID_PARAMETER)
    }
}

/// Whether there is a KSMULTIPLE_ITEM from `list` on, with as many attributes as it says.
fn are_attributes(bytes: &[u8], list: usize) -> bool {
    let (Some(size), Some(count)) = (word(bytes, list), word(bytes, list + 4)) else { return false };
    if size < 8 || size > bytes.len() - list {
        return false;
    }
    let (mut at, end) = (list + 8, list + size);
    for _ in 0..count {
        match word(bytes, at) {
            Some(size) if size >= ATTRIBUTE && at + size <= end => at += size.next_multiple_of(8),
            _ => return false,
        }
    }
    true
}

/// Bytes of a frame, as WAVEFORMATEX behind KSDATAFORMAT says.
pub(super) fn block_align(format: &[u8]) -> Option<u64> {
    const OFFSET: usize = 12;
    let field = format.get(HEAD + OFFSET..)?.first_chunk::<2>()?;
    Some(u16::from_ne_bytes(*field).into()).filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Format;
    use crate::portcls::abi::guid;

    const SIZE: Result<(), NtStatus> = Err(NtStatus::INVALID_BUFFER_SIZE);
    const ATTRIBUTES: Result<(), NtStatus> = Err(NtStatus::INVALID_PARAMETER);

    #[test]
    fn formats_pass_that_are_as_long_as_they_say() {
        let mut format = Format::pcm(48_000, 16, 2).to_bytes();
        assert_eq!(check(&format), Ok(()));
        assert_eq!(check(&format[..103]), SIZE);
        assert_eq!(check(&[]), SIZE);
        format[0] = 64;
        assert_eq!(check(&format), Ok(()));
        format[0] = 63;
        assert_eq!(check(&format), SIZE);
    }

    #[test]
    fn attributes_pass_that_are_as_long_as_they_say() {
        let mut format =
            Format::pcm(48_000, 16, 2).with_mode(guid::AUDIO_SIGNALPROCESSINGMODE_DEFAULT).to_bytes();
        assert_eq!(check(&format), Ok(()));
        assert_eq!(check(&format[..format.len() - 1]), ATTRIBUTES);
        format[108] = 2;
        assert_eq!(check(&format), ATTRIBUTES, "two attributes where there is room for one");
        (format[108], format[112]) = (1, 23);
        assert_eq!(check(&format), ATTRIBUTES, "an attribute that is too short");
    }

    #[test]
    fn a_frame_has_as_many_bytes_as_the_format_says() {
        assert_eq!(block_align(&Format::pcm(48_000, 24, 6).to_bytes()), Some(18));
        assert_eq!(block_align(&Format { block_align: 0, ..Format::pcm(48_000, 16, 2) }.to_bytes()), None);
        assert_eq!(block_align(&[1; 77]), None);
    }
}
