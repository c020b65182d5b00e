//! What is in requests: numbers, bytes, instance data, formats and data ranges, each as a driver expects it or a little
//! different.

use super::input::Source;
use super::request::Request;
use crate::client::Format;
use crate::kernel::registry::Value;
use crate::nt::Guid;
use crate::portcls::abi::guid;

/// The longest instance data, value or format.
const LONGEST: usize = 0x2100;

/// Numbers at which something changes.
const NUMBERS: [u32; 32] = [
    0x7F,
    0x80,
    0xFF,
    0x100,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x1_0000,
    0x7FFF_FFFF,
    0x8000_0000,
    0xFFFF_FFFF,
    0xFFFF_FFFE,
    0xFFFF_FFF8,
    0xFFFF_FFC0,
    0xFFFE,
    44_100,
    48_000,
    96_000,
    192_000,
    384_000,
    64,
    82,
    88,
    104,
    152,
    112,
    1920,
    3840,
    4096,
    4097,
    1 << 24,
    1 << 30,
];
const RATES: [u32; 8] = [44_100, 48_000, 96_000, 192_000, 8_000, 88_200, 384_000, 0];
const WIDTHS: [u16; 8] = [16, 24, 32, 8, 20, 64, 0, 16];
/// Names of the values that Scream reads, and others.
const OPTIONS: [&str; 12] = [
    "UnicastIPv4",
    "UnicastPort",
    "SilenceThreshold",
    "TTL",
    "Targets",
    "Interface",
    "UseIVSHMEM",
    "Unknown",
    "UnicastSrcIPv4",
    "UnicastSrcPort",
    "ContinuousStream",
    "IVSHMEMFallback",
];

impl Source<'_> {
    /// A small number, one of [`NUMBERS`], or any.
    pub(super) fn number(&mut self) -> u32 {
        match self.byte() {
            small @ 0..0x80 => u32::from(small),
            index @ 0x80..0xC0 => NUMBERS[usize::from(index) % NUMBERS.len()],
            _ => self.0.arbitrary().unwrap_or(0),
        }
    }

    /// A length: up to 223 as it is, and a few that are longer than a page.
    pub(super) fn length(&mut self) -> usize {
        match usize::from(self.byte()) {
            length @ 0..0xE0 => length,
            code => (code - 0xDF) * 0x100 + self.below(8),
        }
    }

    /// Bytes of a length: all the same, or the next ones of the input and then zeros.
    pub(super) fn content(&mut self, length: usize) -> Vec<u8> {
        let fill = self.byte();
        if fill & 1 == 0 {
            return vec![fill; length];
        }
        let given = length.min(self.0.len()).min(64);
        let mut bytes = self.0.bytes(given).map(<[u8]>::to_vec).unwrap_or_default();
        bytes.resize(length, 0);
        bytes
    }

    pub(super) fn guid(&mut self) -> Guid {
        let bytes = self.content(16);
        Guid::from_u128(bytes.iter().fold(0, |value, byte| value << 8 | u128::from(*byte)))
    }

    /// KSP_PIN without its KSPROPERTY; or less, or more, or anything.
    pub(super) fn instance(&mut self) -> Vec<u8> {
        match self.below(4) {
            0 | 1 => [self.pin(), 0].iter().flat_map(|field| field.to_le_bytes()).collect(),
            2 => {
                let length = self.length();
                let mut bytes = self.content(length);
                let pin = self.pin().to_le_bytes();
                bytes.iter_mut().zip(pin).for_each(|(byte, pin)| *byte = pin);
                bytes
            }
            _ => {
                let length = self.length();
                self.content(length)
            }
        }
    }

    pub(super) fn value(&mut self) -> Vec<u8> {
        match self.below(5) {
            0 => Vec::new(),
            1 | 2 => {
                let length = self.length();
                self.content(length)
            }
            3 => self.format(),
            _ => self.multiple_item(),
        }
    }

    /// KSMULTIPLE_ITEM with data ranges; the sizes in it may lie.
    pub(super) fn multiple_item(&mut self) -> Vec<u8> {
        let ranges: Vec<Vec<u8>> = (0..self.below(4)).map(|_| self.range()).collect();
        let count = ranges.len() as u32;
        let ranges: Vec<u8> = ranges
            .into_iter()
            .flat_map(|mut range| {
                range.resize(range.len().next_multiple_of(8), 0);
                range
            })
            .collect();
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&(8 + ranges.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend(ranges);
        self.spoil(&mut bytes);
        bytes
    }

    /// KSDATARANGE_AUDIO, or a shorter KSDATARANGE.
    pub(super) fn range(&mut self) -> Vec<u8> {
        let is_audio = self.byte() % 8 != 7;
        let mut bytes = Vec::with_capacity(88);
        for field in [if is_audio { 88_u32 } else { 64 }, 0, 0, 0] {
            bytes.extend_from_slice(&field.to_le_bytes());
        }
        let own = Format::pcm(48_000, 16, 2).to_bytes();
        for id in own[16..64].chunks_exact(16) {
            let wildcard = self.byte() % 8 == 7;
            bytes.extend(id.iter().map(|byte| if wildcard { 0 } else { *byte }));
        }
        if is_audio {
            let bits = [self.of(&WIDTHS).into(), self.of(&WIDTHS).into()];
            let rates = [self.of(&RATES), self.of(&RATES)];
            for field in [1 + self.below(8) as u32, bits[0], bits[1], rates[0], rates[1], 0] {
                bytes.extend_from_slice(&field.to_le_bytes());
            }
        }
        self.spoil(&mut bytes);
        bytes
    }

    /// KSDATAFORMAT with a WAVEFORMATEX or WAVEFORMATEXTENSIBLE, and perhaps an attribute.
    pub(super) fn format(&mut self) -> Vec<u8> {
        let (rate, bits, channels) =
            (self.of(&RATES), self.of(&WIDTHS), 1 + u16::from((self.byte() % 8) ^ 1));
        let mut format = Format::pcm(rate, bits, channels);
        match self.below(8) {
            5 => format = format.plain(),
            6 => format = format.with_mode(guid::AUDIO_SIGNALPROCESSINGMODE_DEFAULT),
            7 => format.valid_bits = self.number() as u16,
            _ => {}
        }
        let mut bytes = format.to_bytes();
        self.spoil(&mut bytes);
        bytes
    }

    /// Changes fields, and the length.
    fn spoil(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..self.below(8).saturating_sub(4) {
            let at = usize::from(self.byte());
            let width = self.of(&[1, 2, 4, 4]);
            let value = self.number().to_le_bytes();
            bytes.iter_mut().skip(at).zip(&value[..width]).for_each(|(byte, value)| *byte = *value);
        }
        match self.below(8) {
            // Shorter, and the first field says so.
            5 => {
                let less = 1 + self.below(64);
                bytes.truncate(bytes.len().saturating_sub(less));
                let length = bytes.len() as u32;
                bytes.iter_mut().zip(length.to_le_bytes()).for_each(|(byte, length)| *byte = length);
            }
            6 => {
                let length = self.length();
                bytes.truncate(length);
            }
            7 => {
                let more = self.length();
                let more = self.content(more);
                bytes.extend(more);
            }
            _ => {}
        }
        bytes.truncate(LONGEST);
    }

    pub(super) fn option(&mut self) -> Request {
        let name = self.of(&OPTIONS);
        let value = match self.below(8) {
            0 => None,
            1 => Some(Value::Dword(self.number())),
            2 => Some(Value::Sz(format!("198.51.100.{}", self.byte()))),
            3 => Some(Value::Sz("239.1.2.3".to_owned())),
            4 => Some(Value::Sz("1".repeat(self.length()))),
            5 => Some(Value::MultiSz(vec!["192.0.2.1".to_owned(); self.below(3)])),
            _ => {
                let (kind, length) = (self.below(13) as u32, self.length());
                Some(Value::Raw(kind, self.content(length)))
            }
        };
        Request::Option { name, value }
    }
}
