//! The ring's header as numbers that have been checked.

use core::num::{NonZeroU32, NonZeroUsize};

use super::{RingError, SharedRegion};
use crate::format::{HEADER_LEN, StreamFormat};

/// First field of the header while a stream runs.
pub const MAGIC: u32 = 0x1111_2014;

/// Offset of the magic, in bytes.
pub const MAGIC_OFFSET: usize = 0;

/// Offset of the index, in bytes.
pub const WRITE_INDEX_OFFSET: usize = 4;

/// Size of the header, in bytes; also where the writer puts chunk 0.
pub const RING_HEADER_SIZE: usize = 24;

/// A chunk is this fraction of a second: 20 ms.
pub const CHUNKS_PER_SECOND: u32 = 50;

/// Fewest chunks of a ring: one is read, one is complete, one is written.
pub const MIN_CHUNKS: u16 = 3;

/// What follows magic and index: offsets 6..24 of the header.
pub(super) const DESCRIPTION_OFFSET: usize = 6;
pub(super) type Description = [u8; RING_HEADER_SIZE - DESCRIPTION_OFFSET];

/// Where the chunks are and what is in them.
///
/// # Invariants
///
/// The chunks begin after the header and end at or before the end of the region the layout was made or parsed
/// for; there are at least [`MIN_CHUNKS`]; a chunk is at least one frame and only whole frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingLayout {
    format: StreamFormat,
    offset: u8,
    max_chunks: u16,
    chunk_size: u32,
}

impl RingLayout {
    /// The layout the writer uses for a region of this many bytes: as many chunks of 20 ms as fit and a
    /// `u16` can count.
    ///
    /// # Errors
    ///
    /// [`RingError::RegionTooSmall`] if fewer than three chunks fit.
    pub fn for_region(region_size: usize, format: StreamFormat) -> Result<Self, RingError> {
        let chunk_frames = format.rate().get() / CHUNKS_PER_SECOND;
        let chunk_size = chunk_frames.saturating_mul(u32::from(format.bytes_per_frame().get()));
        let too_small = RingError::RegionTooSmall {
            size: region_size,
            needed: (chunk_size as usize)
                .saturating_mul(usize::from(MIN_CHUNKS))
                .saturating_add(RING_HEADER_SIZE),
        };
        let divisor = NonZeroUsize::new(chunk_size as usize).ok_or(too_small)?;
        let fitting = region_size.saturating_sub(RING_HEADER_SIZE) / divisor;
        let max_chunks = u16::try_from(fitting).unwrap_or(u16::MAX);
        if max_chunks < MIN_CHUNKS {
            return Err(too_small);
        }
        Ok(Self { format, offset: RING_HEADER_SIZE as u8, max_chunks, chunk_size })
    }

    /// Checks a snapshot of the header of a region of `region_size` bytes. The index and the magic are not part of
    /// the layout; the magic is checked, the index is not.
    ///
    /// # Errors
    ///
    /// What is wrong, in the order magic, format, offset, number of chunks, chunk size, end.
    pub fn parse(header: &[u8; RING_HEADER_SIZE], region_size: usize) -> Result<Self, RingError> {
        let &[m0, m1, m2, m3, _, _, description @ ..] = header;
        let magic = u32::from_le_bytes([m0, m1, m2, m3]);
        if magic != MAGIC {
            return Err(RingError::NoStream(magic));
        }
        Self::from_description(&description, region_size)
    }

    /// [`RingLayout::parse`] without magic and index.
    pub(super) fn from_description(description: &Description, region_size: usize) -> Result<Self, RingError> {
        let &[
            offset,
            _,
            chunks_low,
            chunks_high,
            _,
            _,
            size0,
            size1,
            size2,
            size3,
            rate,
            bits,
            channels,
            _,
            mask_low,
            mask_high,
            _,
            _,
        ] = description;
        let format =
            StreamFormat::parse(&[rate, bits, channels, mask_low, mask_high]).map_err(RingError::Format)?;
        let layout = Self {
            format,
            offset,
            max_chunks: u16::from_le_bytes([chunks_low, chunks_high]),
            chunk_size: u32::from_le_bytes([size0, size1, size2, size3]),
        };
        if usize::from(offset) < RING_HEADER_SIZE {
            return Err(RingError::Offset(offset));
        }
        if layout.max_chunks < MIN_CHUNKS {
            return Err(RingError::ChunkCount(layout.max_chunks));
        }
        let frame = NonZeroU32::from(format.bytes_per_frame());
        if layout.chunk_size == 0 || layout.chunk_size % frame != 0 {
            return Err(RingError::ChunkSize(layout.chunk_size));
        }
        layout.check_fits(region_size)?;
        Ok(layout)
    }

    /// Offsets 6..24 of the header; padding is 0.
    pub(super) fn description(self) -> Description {
        let [rate, bits, channels, mask_low, mask_high]: [u8; HEADER_LEN] = self.format.header();
        let [chunks_low, chunks_high] = self.max_chunks.to_le_bytes();
        let [size0, size1, size2, size3] = self.chunk_size.to_le_bytes();
        [
            self.offset,
            0,
            chunks_low,
            chunks_high,
            0,
            0,
            size0,
            size1,
            size2,
            size3,
            rate,
            bits,
            channels,
            0,
            mask_low,
            mask_high,
            0,
            0,
        ]
    }

    /// Fails if the ring ends after the end of a region of `region_size` bytes.
    pub(super) fn check_fits(self, region_size: usize) -> Result<(), RingError> {
        match self.end() {
            Some(end) if end <= region_size => Ok(()),
            end => Err(RingError::OutsideRegion { end: end.unwrap_or(usize::MAX), size: region_size }),
        }
    }

    /// Format of the audio.
    pub const fn format(self) -> StreamFormat {
        self.format
    }

    /// Offset of chunk 0 in the region, in bytes.
    pub const fn offset(self) -> u8 {
        self.offset
    }

    /// Number of chunks.
    pub const fn max_chunks(self) -> u16 {
        self.max_chunks
    }

    /// Size of a chunk in bytes.
    pub const fn chunk_size(self) -> usize {
        self.chunk_size as usize
    }

    /// Size of a chunk in frames.
    pub fn chunk_frames(self) -> NonZeroU32 {
        NonZeroU32::new(self.chunk_size / NonZeroU32::from(self.format.bytes_per_frame()))
            .unwrap_or(NonZeroU32::MIN) // not reached: a chunk has at least one frame
    }

    /// First byte after the last chunk; none if that is no `usize`.
    pub fn end(self) -> Option<usize> {
        self.chunk_size().checked_mul(usize::from(self.max_chunks))?.checked_add(usize::from(self.offset))
    }

    /// Offset in the region of a chunk, in bytes; indices wrap.
    pub(super) fn chunk_offset(self, index: u16) -> usize {
        usize::from(self.wrap(u32::from(index)))
            .saturating_mul(self.chunk_size())
            .saturating_add(usize::from(self.offset))
    }

    /// The index a number of chunks after another.
    pub(super) fn after(self, index: u16, chunks: u16) -> u16 {
        self.wrap(u32::from(index).saturating_add(u32::from(chunks)))
    }

    /// How many chunks `to` is after `from`, both below the number of chunks.
    pub(super) fn distance(self, from: u16, to: u16) -> u16 {
        let lap = u32::from(self.max_chunks);
        self.wrap(lap.saturating_add(u32::from(to)).saturating_sub(u32::from(from)))
    }

    fn wrap(self, index: u32) -> u16 {
        // Lossless: the remainder is below a u16. The number of chunks is never 0.
        NonZeroU32::new(u32::from(self.max_chunks)).map_or(0, |chunks| (index % chunks) as u16)
    }

    /// Reads the index and checks it.
    pub(super) fn load_index<R: SharedRegion>(self, region: &R) -> Result<u16, RingError> {
        let index = region.load_u16(WRITE_INDEX_OFFSET)?;
        if index < self.max_chunks {
            Ok(index)
        } else {
            Err(RingError::Index { index, chunks: self.max_chunks })
        }
    }
}
