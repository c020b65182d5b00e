//! Data formats, as clients of a pin pass them.

use crate::nt::Guid;
use crate::portcls::abi::{FLAG_ATTRIBUTES, guid};

/// WAVE_FORMAT_PCM.
const TAG_PCM: u16 = 1;
/// WAVE_FORMAT_EXTENSIBLE.
const TAG_EXTENSIBLE: u16 = 0xFFFE;

/// A PCM format. [`to_bytes`](Self::to_bytes) makes a KSDATAFORMAT of it; fields that PCM derives from others can be
/// set apart for formats that are wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// Frames per second.
    pub rate: u32,
    /// Bits of a sample in memory.
    pub bits: u16,
    /// Bits of a sample that are used; only WAVEFORMATEXTENSIBLE can say so.
    pub valid_bits: u16,
    /// Samples in a frame.
    pub channels: u16,
    /// Speaker positions; `None`: a plain WAVEFORMATEX of 18 bytes.
    pub mask: Option<u32>,
    /// Bytes of a frame as the format says.
    pub block_align: u16,
    /// Bytes per second as the format says.
    pub bytes_per_second: u32,
    /// SubFormat of WAVEFORMATEXTENSIBLE, and of the KSDATAFORMAT.
    pub sub_format: Guid,
    /// Specifier of the KSDATAFORMAT.
    pub specifier: Guid,
    /// The signal processing mode, as an attribute behind the format.
    pub mode: Option<Guid>,
}

impl Format {
    /// PCM in a WAVEFORMATEXTENSIBLE, as the audio engine asks for it, with the usual mask of up to 8 channels.
    pub fn pcm(rate: u32, bits: u16, channels: u16) -> Self {
        let block_align = channels.wrapping_mul(bits / 8);
        Self {
            rate,
            bits,
            valid_bits: bits,
            channels,
            mask: Some(match channels {
                1 => 0x4,
                2 => 0x3,
                3 => 0xB,
                4 => 0x33,
                5 => 0x37,
                6 => 0x3F,
                7 => 0x13F,
                8 => 0x63F,
                _ => 0,
            }),
            block_align,
            bytes_per_second: rate.wrapping_mul(u32::from(block_align)),
            sub_format: guid::KSDATAFORMAT_SUBTYPE_PCM,
            specifier: guid::KSDATAFORMAT_SPECIFIER_WAVEFORMATEX,
            mode: None,
        }
    }

    /// The same in a plain WAVEFORMATEX.
    pub fn plain(self) -> Self {
        Self { mask: None, ..self }
    }

    /// The same with fewer valid bits than a sample has in memory.
    pub fn with_valid_bits(self, valid_bits: u16) -> Self {
        Self { valid_bits, ..self }
    }

    /// The same for other speakers.
    pub fn with_mask(self, mask: u32) -> Self {
        Self { mask: Some(mask), ..self }
    }

    /// The same with a signal processing mode.
    pub fn with_mode(self, mode: Guid) -> Self {
        Self { mode: Some(mode), ..self }
    }

    /// Bytes of a frame, as channels and bits have it.
    pub fn frame_bytes(&self) -> usize {
        usize::from(self.channels) * usize::from(self.bits / 8)
    }

    /// The KSDATAFORMAT with its WAVEFORMATEX or WAVEFORMATEXTENSIBLE, and the mode's attribute if there is one.
    pub fn to_bytes(&self) -> Vec<u8> {
        let wave = self.wave_format();
        let size = 64 + wave.len();
        let flags = if self.mode.is_some() { FLAG_ATTRIBUTES } else { 0 };
        let mut bytes = Vec::with_capacity(size + 64);
        for field in [size as u32, flags, u32::from(self.block_align), 0] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        for id in [guid::KSDATAFORMAT_TYPE_AUDIO, self.sub_format, self.specifier] {
            push_guid(&mut bytes, &id);
        }
        bytes.extend_from_slice(&wave);
        if let Some(mode) = &self.mode {
            bytes.resize(bytes.len().next_multiple_of(8), 0);
            // KSMULTIPLE_ITEM, then KSATTRIBUTE_AUDIOSIGNALPROCESSING_MODE.
            for field in [8 + 40u32, 1, 40, 0] {
                bytes.extend_from_slice(&field.to_le_bytes());
            }
            push_guid(&mut bytes, &guid::KSATTRIBUTEID_AUDIOSIGNALPROCESSING_MODE);
            push_guid(&mut bytes, mode);
        }
        bytes
    }

    fn wave_format(&self) -> Vec<u8> {
        let (tag, extra) = if self.mask.is_some() { (TAG_EXTENSIBLE, 22u16) } else { (TAG_PCM, 0) };
        let mut bytes = Vec::with_capacity(40);
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&self.channels.to_le_bytes());
        bytes.extend_from_slice(&self.rate.to_le_bytes());
        bytes.extend_from_slice(&self.bytes_per_second.to_le_bytes());
        bytes.extend_from_slice(&self.block_align.to_le_bytes());
        bytes.extend_from_slice(&self.bits.to_le_bytes());
        bytes.extend_from_slice(&extra.to_le_bytes());
        if let Some(mask) = self.mask {
            bytes.extend_from_slice(&self.valid_bits.to_le_bytes());
            bytes.extend_from_slice(&mask.to_le_bytes());
            push_guid(&mut bytes, &self.sub_format);
        }
        bytes
    }
}

fn push_guid(bytes: &mut Vec<u8>, id: &Guid) {
    bytes.extend_from_slice(&id.data1.to_le_bytes());
    bytes.extend_from_slice(&id.data2.to_le_bytes());
    bytes.extend_from_slice(&id.data3.to_le_bytes());
    bytes.extend_from_slice(&id.data4);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extensible_format_has_104_bytes_and_a_plain_one_82() {
        let format = Format::pcm(48_000, 16, 2);
        let bytes = format.to_bytes();
        assert_eq!(bytes.len(), 104);
        assert_eq!(bytes[..8], [104, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[64..82], [0xFE, 0xFF, 2, 0, 0x80, 0xBB, 0, 0, 0, 0xEE, 2, 0, 4, 0, 16, 0, 22, 0]);
        assert_eq!(format.plain().to_bytes().len(), 82);
    }

    #[test]
    fn a_mode_is_an_attribute_behind_the_format() {
        let bytes = Format::pcm(48_000, 16, 2).with_mode(guid::AUDIO_SIGNALPROCESSINGMODE_DEFAULT).to_bytes();
        assert_eq!(bytes.len(), 104 + 48);
        assert_eq!(bytes[..8], [104, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(bytes[104..120], [48, 0, 0, 0, 1, 0, 0, 0, 40, 0, 0, 0, 0, 0, 0, 0]);
    }
}
