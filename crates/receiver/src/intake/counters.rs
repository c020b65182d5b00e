//! [`Counters`]: what the intake has seen, for those who watch.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use protocol::format::MAX_CHANNELS;
use protocol::{FormatError, HEADER_LEN, PacketError, SampleWidth, StreamFormat};
use serde::Serialize;

/// Written by the thread that receives, read by others at any time.
#[derive(Debug, Default)]
pub struct Counters {
    pub(super) received: AtomicU64,
    pub(super) received_bytes: AtomicU64,
    pub(super) delivered: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) ignored: AtomicU64,
    pub(super) stray: AtomicU64,
    runts: AtomicU64,
    formats: AtomicU64,
    empty: AtomicU64,
    oversize: AtomicU64,
    partial: AtomicU64,
    missed: AtomicU64,
    /// How loud the channels are.
    pub levels: Levels,
}

/// The counts at one time, in packets but for the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// All that came.
    pub received: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Played or recorded.
    pub delivered: u64,
    /// Left out because nobody played what was there.
    pub dropped: u64,
    /// Of senders that are not heard.
    pub ignored: u64,
    /// Single ones of another format.
    pub stray: u64,
    /// Too short for a header.
    pub runts: u64,
    /// Of a format that there is not.
    pub formats: u64,
    /// With nothing after the header.
    pub empty: u64,
    /// Longer than packets are.
    pub oversize: u64,
    /// Ending inside a frame.
    pub partial: u64,
    /// Pieces of a shared memory that were overwritten before they were read, or left out to keep the delay.
    pub missed: u64,
}

impl Counters {
    /// Counts a datagram that is no packet.
    pub(super) fn refuse(&self, error: &PacketError) {
        let count = match error {
            PacketError::Header(FormatError::TooShort(_)) => &self.runts,
            PacketError::Header(_) => &self.formats,
            PacketError::Empty => &self.empty,
            PacketError::TooLong(_) => &self.oversize,
            PacketError::PartialFrame { .. } => &self.partial,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Says how much a source has missed in all.
    pub fn set_missed(&self, count: u64) {
        self.missed.store(count, Ordering::Relaxed);
    }

    /// How many datagrams have come.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// The counts now.
    pub fn totals(&self) -> Totals {
        let count = |value: &AtomicU64| value.load(Ordering::Relaxed);
        Totals {
            received: count(&self.received),
            received_bytes: count(&self.received_bytes),
            delivered: count(&self.delivered),
            dropped: count(&self.dropped),
            ignored: count(&self.ignored),
            stray: count(&self.stray),
            runts: count(&self.runts),
            formats: count(&self.formats),
            empty: count(&self.empty),
            oversize: count(&self.oversize),
            partial: count(&self.partial),
            missed: count(&self.missed),
        }
    }
}

/// The loudest sample of each channel since somebody looked.
#[derive(Debug, Default)]
pub struct Levels {
    peaks: [AtomicU32; MAX_CHANNELS as usize],
    /// The header of the format that was heard last; 0 for none.
    header: AtomicU64,
}

impl Levels {
    /// Takes the samples of a packet into account.
    pub fn show(&self, format: StreamFormat, pcm: &[u8]) {
        let mut loudest = [0; MAX_CHANNELS as usize];
        let channels = usize::from(format.channels());
        let bytes = usize::from(format.width().bytes());
        for frame in pcm.chunks_exact(bytes * channels) {
            for (peak, sample) in loudest.iter_mut().zip(frame.chunks_exact(bytes)) {
                *peak = u32::max(*peak, magnitude(format.width(), sample));
            }
        }
        for (peak, loudest) in self.peaks.iter().zip(loudest) {
            peak.fetch_max(loudest, Ordering::Relaxed);
        }
        let mut header = [0; 8];
        header[..HEADER_LEN].copy_from_slice(&format.header());
        self.header.store(u64::from_le_bytes(header), Ordering::Relaxed);
    }

    /// The format that was heard last, and the loudest sample of each of its channels since the last time, in 2^31ths of full
    /// scale.
    pub fn take(&self) -> Option<(StreamFormat, Vec<u32>)> {
        let format = StreamFormat::parse(&self.header.load(Ordering::Relaxed).to_le_bytes()).ok()?;
        let channels = usize::from(format.channels());
        let peaks = self.peaks.iter().map(|peak| peak.swap(0, Ordering::Relaxed));
        Some((format, peaks.take(channels).collect()))
    }
}

/// How far a sample is from silence, in 2^31ths of full scale.
fn magnitude(width: SampleWidth, sample: &[u8]) -> u32 {
    let sample = match (width, sample) {
        (SampleWidth::Bits16, &[low, high]) => i32::from_le_bytes([0, 0, low, high]),
        (SampleWidth::Bits24, &[low, middle, high]) => i32::from_le_bytes([0, low, middle, high]),
        (SampleWidth::Bits32, &[a, b, c, d]) => i32::from_le_bytes([a, b, c, d]),
        _ => 0,
    };
    sample.unsigned_abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bits: u16, channels: u16, pcm: &[u8], expected: &[u32]) {
        let format = StreamFormat::new(48_000, bits, channels, 0).expect("a format");
        let levels = Levels::default();
        levels.show(format, pcm);
        assert_eq!(levels.take(), Some((format, expected.to_vec())));
        assert_eq!(levels.take(), Some((format, vec![0; expected.len()])));
    }

    #[test]
    fn the_level_of_a_channel_is_its_loudest_sample_of_either_sign() {
        check(16, 2, &[0, 0x80, 1, 0, 0xFF, 0x7F, 0, 0], &[1 << 31, 1 << 16]);
        check(24, 1, &[0, 0, 0xC0, 0, 0, 0x20], &[1 << 30]);
        check(32, 1, &[0xFF; 4], &[1]);
    }

    #[test]
    fn there_are_no_levels_before_anything_was_heard() {
        assert_eq!(Levels::default().take(), None);
    }
}
