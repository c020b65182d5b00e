//! Data formats: what is offered, and the checks of what the audio engine asks for.
//!
//! A format from outside is a run of bytes until it has been checked field by field. Proposals, intersections and
//! NewStream all come here, so they cannot disagree. What is taken:
//!
//! * PCM of 16, 24 or 32 bits, as `WAVEFORMATEX` or with the extensible part. 24 valid bits in 32 are sent as 32 bits,
//!   which is what they are in memory: the valid bits are the upper ones and the others zero
//!   ([WAVEFORMATEXTENSIBLE](https://learn.microsoft.com/windows-hardware/drivers/ddi/ksmedia/ns-ksmedia-waveformatextensible)).
//! * Any mask of the eleven speakers that receivers know, and none (`KSAUDIO_SPEAKER_DIRECTOUT`), whether or not it has
//!   as many bits as there are channels: the same page gives a meaning to both cases. The mask is sent as it is, and it
//!   is for the receiver to leave out bits without a channel and channels without a bit.
//! * A `WAVEFORMATEX` names no speakers; it gets those that Windows has for its channel count.

use protocol::{StreamFormat, default_mask};

use crate::abi::ks::{
    KSDATAFORMAT_ATTRIBUTES, KSDATAFORMAT_SPECIFIER_WAVEFORMATEX, KSDATAFORMAT_SUBTYPE_PCM,
    KSDATAFORMAT_TYPE_AUDIO, KSDATAFORMAT_WAVEFORMATEX, KSDATAFORMAT_WAVEFORMATEXTENSIBLE,
    WAVE_FORMAT_EXTENSIBLE, WAVE_FORMAT_PCM,
};
use crate::abi::{GUID, same_guid};
use crate::kernel::{Result, Status};
use crate::wave::attributes;

/// Sampling rates in Hz. A client that has no preference gets the first, which is Windows' own default.
pub const RATES: [u32; 6] = [48_000, 44_100, 96_000, 88_200, 192_000, 176_400];
/// Bits of a sample in memory.
pub const WIDTHS: [u16; 3] = [16, 24, 32];
/// Most channels.
pub const MAX_CHANNELS: u16 = protocol::format::MAX_CHANNELS;
/// Channel masks have no bits but those of the eleven speakers that the wire format's receivers know.
const MAX_MASK: u32 = 0x7FF;

/// Bytes of a format with the extensible part, 104.
pub const EXTENSIBLE_SIZE: usize = size_of::<KSDATAFORMAT_WAVEFORMATEXTENSIBLE>();
/// Bytes of the extensible part after `WAVEFORMATEX`.
const EXTENSION_SIZE: u16 = 22;

const _: () = assert!(EXTENSIBLE_SIZE == 104 && size_of::<KSDATAFORMAT_WAVEFORMATEX>() == 82);

/// Offsets in a data format that carries a `WAVEFORMATEX`, all of it little endian; ranges begin in the same way.
pub(super) mod offset {
    pub const FORMAT_SIZE: usize = 0;
    pub const FLAGS: usize = 4;
    pub const SAMPLE_SIZE: usize = 8;
    pub const MAJOR_FORMAT: usize = 16;
    pub const SUB_FORMAT: usize = 32;
    pub const SPECIFIER: usize = 48;
    pub const TAG: usize = 64;
    pub const CHANNELS: usize = 66;
    pub const RATE: usize = 68;
    pub const BYTES_PER_SECOND: usize = 72;
    pub const BLOCK_ALIGN: usize = 76;
    pub const BITS: usize = 78;
    pub const EXTRA_SIZE: usize = 80;
    pub const VALID_BITS: usize = 82;
    pub const MASK: usize = 84;
    pub const EXTENSIBLE_SUB_FORMAT: usize = 88;
}

/// Little-endian fields of a run of bytes; `None` beyond its end.
pub struct Fields<'a>(pub &'a [u8]);

impl Fields<'_> {
    /// Two bytes.
    pub fn u16(&self, offset: usize) -> Option<u16> {
        Some(u16::from_le_bytes(*self.0.get(offset..)?.first_chunk()?))
    }

    /// Four bytes.
    pub fn u32(&self, offset: usize) -> Option<u32> {
        Some(u32::from_le_bytes(*self.0.get(offset..)?.first_chunk()?))
    }

    /// Sixteen bytes.
    pub fn guid(&self, offset: usize) -> Option<GUID> {
        let data4 = *self.0.get(offset.checked_add(8)?..)?.first_chunk()?;
        Some(GUID {
            data1: self.u32(offset)?,
            data2: self.u16(offset.checked_add(4)?)?,
            data3: self.u16(offset.checked_add(6)?)?,
            data4,
        })
    }
}

/// Checks a data format. `bytes` is the format in the size it says it has, and its attributes if it says so; or more.
///
/// # Errors
/// `STATUS_NO_MATCH` when the format is not one of ours; of its attributes what [`attributes::check`] says.
pub fn parse(bytes: &[u8]) -> Result<StreamFormat> {
    let size = Fields(bytes).u32(offset::FORMAT_SIZE).ok_or(Status::NO_MATCH)? as usize;
    let fields = Fields(bytes.get(..size).ok_or(Status::NO_MATCH)?);
    let format = wave_format(&fields).filter(is_offered).ok_or(Status::NO_MATCH)?;
    if fields.u32(offset::FLAGS).ok_or(Status::NO_MATCH)? & KSDATAFORMAT_ATTRIBUTES != 0 {
        let list = size.checked_next_multiple_of(8).and_then(|start| bytes.get(start..));
        attributes::check(list.ok_or(Status::INVALID_PARAMETER)?)?;
    }
    Ok(format)
}

/// Whether the format is one that the data ranges offer.
pub fn is_offered(format: &StreamFormat) -> bool {
    RATES.contains(&format.rate().get())
        && WIDTHS.contains(&format.bits())
        && format.channels() <= MAX_CHANNELS
}

/// The stream format, if the fields make sense and agree with one another.
fn wave_format(fields: &Fields<'_>) -> Option<StreamFormat> {
    let is = |offset, expected: &GUID| fields.guid(offset).is_some_and(|guid| same_guid(&guid, expected));
    let is_pcm_audio = is(offset::MAJOR_FORMAT, &KSDATAFORMAT_TYPE_AUDIO)
        && is(offset::SUB_FORMAT, &KSDATAFORMAT_SUBTYPE_PCM)
        && is(offset::SPECIFIER, &KSDATAFORMAT_SPECIFIER_WAVEFORMATEX);
    let (channels, rate, bits) =
        (fields.u16(offset::CHANNELS)?, fields.u32(offset::RATE)?, fields.u16(offset::BITS)?);
    let extra = fields.u16(offset::EXTRA_SIZE)?;
    let mask = match u32::from(fields.u16(offset::TAG)?) {
        WAVE_FORMAT_PCM => default_mask(channels),
        WAVE_FORMAT_EXTENSIBLE if extra >= EXTENSION_SIZE => {
            let mask = fields.u32(offset::MASK)?;
            let valid_bits = fields.u16(offset::VALID_BITS)?;
            let bits_fit = valid_bits == bits || (valid_bits, bits) == (24, 32);
            let is_pcm = is(offset::EXTENSIBLE_SUB_FORMAT, &KSDATAFORMAT_SUBTYPE_PCM);
            if !bits_fit || !is_pcm || mask > MAX_MASK {
                return None;
            }
            u16::try_from(mask).ok()?
        }
        _ => return None,
    };
    let format = StreamFormat::new(rate, bits, channels, mask).ok()?;
    let sizes_agree = fields.u16(offset::BLOCK_ALIGN)? == format.bytes_per_frame().get()
        && fields.u32(offset::BYTES_PER_SECOND)? == format.bytes_per_second();
    (is_pcm_audio && sizes_agree).then_some(format)
}

/// The format as a data format with the extensible part.
pub fn extensible(format: StreamFormat) -> [u8; EXTENSIBLE_SIZE] {
    let mut bytes = [0; EXTENSIBLE_SIZE];
    put(&mut bytes, offset::FORMAT_SIZE, &(EXTENSIBLE_SIZE as u32).to_le_bytes());
    put(&mut bytes, offset::SAMPLE_SIZE, &u32::from(format.bytes_per_frame().get()).to_le_bytes());
    put(&mut bytes, offset::MAJOR_FORMAT, &guid_bytes(&KSDATAFORMAT_TYPE_AUDIO));
    put(&mut bytes, offset::SUB_FORMAT, &guid_bytes(&KSDATAFORMAT_SUBTYPE_PCM));
    put(&mut bytes, offset::SPECIFIER, &guid_bytes(&KSDATAFORMAT_SPECIFIER_WAVEFORMATEX));
    put(&mut bytes, offset::TAG, &(WAVE_FORMAT_EXTENSIBLE as u16).to_le_bytes());
    put(&mut bytes, offset::CHANNELS, &format.channels().to_le_bytes());
    put(&mut bytes, offset::RATE, &format.rate().get().to_le_bytes());
    put(&mut bytes, offset::BYTES_PER_SECOND, &format.bytes_per_second().to_le_bytes());
    put(&mut bytes, offset::BLOCK_ALIGN, &format.bytes_per_frame().get().to_le_bytes());
    put(&mut bytes, offset::BITS, &format.bits().to_le_bytes());
    put(&mut bytes, offset::EXTRA_SIZE, &EXTENSION_SIZE.to_le_bytes());
    put(&mut bytes, offset::VALID_BITS, &format.bits().to_le_bytes());
    put(&mut bytes, offset::MASK, &u32::from(format.mask()).to_le_bytes());
    put(&mut bytes, offset::EXTENSIBLE_SUB_FORMAT, &guid_bytes(&KSDATAFORMAT_SUBTYPE_PCM));
    bytes
}

fn put(bytes: &mut [u8], offset: usize, field: &[u8]) {
    for (to, from) in bytes.iter_mut().skip(offset).zip(field) {
        *to = *from;
    }
}

fn guid_bytes(guid: &GUID) -> [u8; 16] {
    let mut bytes = [0; 16];
    put(&mut bytes, 0, &guid.data1.to_le_bytes());
    put(&mut bytes, 4, &guid.data2.to_le_bytes());
    put(&mut bytes, 6, &guid.data3.to_le_bytes());
    put(&mut bytes, 8, &guid.data4);
    bytes
}
