//! What a seed chooses: numbers, items, and things to play with.

use std::cell::RefCell;
use std::rc::Rc;

use crate::client::{Buffer, Format};
use crate::kernel::registry::Value;
use crate::nt::Guid;
use crate::portcls::abi::guid;
use crate::schedule::{SplitMix, Time};

/// Rates that a sound card may be asked for; the first six are common.
const RATES: [u32; 9] = [44_100, 48_000, 88_200, 96_000, 176_400, 192_000, 8_000, 11_025, 384_000];
/// Bits of a sample in memory, and how many of them are used; the first four are common.
const SAMPLES: [(u16, u16); 8] =
    [(16, 16), (24, 24), (32, 24), (32, 32), (8, 8), (20, 20), (64, 64), (32, 16)];
/// The modes that Windows asks for when a driver lists them.
const MODES: [Guid; 2] = [guid::AUDIO_SIGNALPROCESSINGMODE_DEFAULT, guid::AUDIO_SIGNALPROCESSINGMODE_RAW];

/// A generator of choices. Clones go on with the same sequence.
#[derive(Clone)]
pub(super) struct Choice(Rc<RefCell<SplitMix>>);

impl Choice {
    pub(super) fn new(seed: u64) -> Self {
        Self(Rc::new(RefCell::new(SplitMix(seed))))
    }

    /// Any number.
    pub(super) fn number(&self) -> u64 {
        self.0.borrow_mut().next()
    }

    /// A number below `bound`.
    pub(super) fn below(&self, bound: u64) -> u64 {
        self.0.borrow_mut().below(bound as usize) as u64
    }

    /// True once in `n` times.
    pub(super) fn once_in(&self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// One of several.
    pub(super) fn of<T: Clone>(&self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize].clone()
    }

    /// A number of which every order of magnitude up to `most` is as likely as the next.
    pub(super) fn magnitude(&self, most: u64) -> u64 {
        let bits = u64::from(64 - most.leading_zeros());
        self.below(1 << self.below(bits + 1)).min(most)
    }

    /// A time to sleep: mostly up to 20 ms, now and then nothing, or much more.
    pub(super) fn pause(&self) -> Time {
        match self.below(16) {
            0 => 0,
            1 => self.below(1_000),
            2 => 20_000_000 + self.below(80_000_000),
            _ => self.below(20_000_000),
        }
    }

    /// Bytes without a meaning.
    pub(super) fn bytes(&self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.number() as u8).collect()
    }

    /// A format that the wire format can carry, most of the time; more often with few channels than with many.
    pub(super) fn format(&self) -> Format {
        let known = !self.once_in(8);
        let (rates, samples) = if known { (&RATES[..6], &SAMPLES[..4]) } else { (&RATES[..], &SAMPLES[..]) };
        let channels = match self.below(4) {
            _ if !known => self.below(12),
            0..=1 => 1 + self.below(2),
            _ => 1 + self.below(8),
        };
        let (bits, valid_bits) = self.of(samples);
        let mut format = Format::pcm(self.of(rates), bits, channels as u16).with_valid_bits(valid_bits);
        match self.below(8) {
            0..=1 => format = format.plain(),
            2..=3 => format = format.with_mask(self.below(0x800) as u32),
            _ => {}
        }
        if self.once_in(3) {
            format = format.with_mode(self.of(&MODES));
        }
        if self.once_in(12) {
            self.spoil(&mut format);
        }
        format
    }

    /// Makes one field of a format wrong, or at least unusual.
    fn spoil(&self, format: &mut Format) {
        match self.below(7) {
            0 => format.block_align = self.number() as u16,
            1 => format.bytes_per_second = self.number() as u32,
            2 => format.valid_bits = self.below(40) as u16,
            3 => format.mask = Some(self.number() as u32),
            4 => format.sub_format = guid::KSDATAFORMAT_SUBTYPE_FLOAT,
            5 => format.specifier = guid::KSDATAFORMAT_SPECIFIER_NONE,
            _ => format.mode = Some(Guid::from_u128(self.number().into())),
        }
    }

    /// A buffer for a format, of a sensible size or of any.
    pub(super) fn buffer(&self, format: &Format, sensible: bool) -> Buffer {
        let second = u64::from(format.rate) * format.frame_bytes() as u64;
        let bytes = match self.below(4) {
            _ if sensible => (second / 45 + self.below(second / 10 + 1)) as u32,
            0 => self.magnitude(second * 5) as u32,
            1 => self.magnitude(64) as u32,
            _ => (second / 50 + self.below(second / 10 + 1)) as u32,
        };
        match self.below(8) {
            0..4 => Buffer::Notified { bytes, count: 2 },
            4 => Buffer::Notified { bytes, count: 1 },
            5 if self.once_in(4) => Buffer::Notified { bytes, count: 3 + self.below(3) as u32 },
            _ => Buffer::Polled { bytes },
        }
    }

    /// A value of the registry of any type.
    pub(super) fn value(&self) -> Value {
        match self.below(9) {
            0 => Value::Dword(self.number() as u32),
            1 => Value::Dword(1 + self.below(65_535) as u32),
            2 => Value::Sz(format!("198.51.100.{}", self.below(256))),
            3 => Value::Sz("239.1.2.3".to_owned()),
            4 => Value::ExpandSz("%SystemRoot%".to_owned()),
            5 => Value::MultiSz(vec!["192.0.2.1".to_owned(), "192.0.2.2".to_owned()]),
            6 => Value::Qword(self.number()),
            7 => Value::Sz("1".repeat(self.magnitude(3000) as usize)),
            _ => {
                let length = self.magnitude(600) as usize;
                Value::Raw(self.below(13) as u32, self.bytes(length))
            }
        }
    }
}
