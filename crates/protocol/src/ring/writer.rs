//! The driver's side of the ring.

use super::layout::{DESCRIPTION_OFFSET, MAGIC, MAGIC_OFFSET, RingLayout, WRITE_INDEX_OFFSET};
use super::{RingError, SharedRegion};
use crate::format::StreamFormat;

const ZEROES: [u8; 1024] = [0; 1024];

/// Writes one stream into the ring; dropping it ends the stream and clears the header.
///
/// It never reads the region: layout and index are its own.
///
/// # Invariants
///
/// `filled` is a whole number of frames and less than a chunk.
#[derive(Debug)]
pub struct RingWriter<R: SharedRegion> {
    region: R,
    layout: RingLayout,
    index: u16,
    filled: usize,
}

impl<R: SharedRegion> RingWriter<R> {
    /// Begins a stream: clears what is there, writes the header, and the magic last.
    ///
    /// `previous_index` is [`RingWriter::index`] of the stream before this one on the same region, 0 if there was
    /// none. Continuing from it means that a reader which did not notice the change of streams finds no old
    /// chunk that looks new.
    ///
    /// # Errors
    ///
    /// [`RingError::RegionTooSmall`]; [`RingError::OutsideRegion`] if the mapping is gone.
    pub fn begin(region: R, format: StreamFormat, previous_index: u16) -> Result<Self, RingError> {
        let layout = RingLayout::for_region(region.len(), format)?;
        let index = layout.after(previous_index, 0);
        region.store_u32(MAGIC_OFFSET, 0)?;
        region.store_u16(WRITE_INDEX_OFFSET, index)?;
        region.write(DESCRIPTION_OFFSET, &layout.description())?;
        region.store_u32(MAGIC_OFFSET, MAGIC)?;
        Ok(Self { region, layout, index, filled: 0 })
    }

    /// Layout of the ring.
    pub const fn layout(&self) -> RingLayout {
        self.layout
    }

    /// Index of the chunk published last.
    pub const fn index(&self) -> u16 {
        self.index
    }

    /// Bytes until the chunk is full, at least one frame.
    pub fn room(&self) -> usize {
        self.layout.chunk_size().saturating_sub(self.filled)
    }

    /// Whether there are bytes that have not been published.
    pub const fn is_pending(&self) -> bool {
        self.filled > 0
    }

    /// Takes as many whole frames as are available, at most to the end of the chunk, publishes the chunk if
    /// it is full, and returns the bytes taken.
    ///
    /// `fill` is called at most once, with the region, the offset in it and the length, and must write all of
    /// that: for a source that is not a slice because another process may write to it.
    ///
    /// # Errors
    ///
    /// [`RingError::OutsideRegion`] from `fill` or if the mapping is gone; nothing is taken.
    pub fn append_with(
        &mut self,
        available_bytes: usize,
        fill: impl FnOnce(&R, usize, usize) -> Result<(), RingError>,
    ) -> Result<usize, RingError> {
        let fits = available_bytes.min(self.room());
        let frame = core::num::NonZeroUsize::from(self.layout.format().bytes_per_frame());
        let taken = fits.saturating_sub(fits % frame);
        if taken == 0 {
            return Ok(0);
        }
        fill(&self.region, self.destination(), taken)?;
        self.filled = self.filled.saturating_add(taken);
        if self.room() == 0 {
            self.publish()?;
        }
        Ok(taken)
    }

    /// [`RingWriter::append_with`] for bytes in private memory.
    ///
    /// # Errors
    ///
    /// [`RingError::OutsideRegion`] if the mapping is gone.
    pub fn append(&mut self, pcm: &[u8]) -> Result<usize, RingError> {
        self.append_with(pcm.len(), |region, offset, len| {
            region.write(offset, pcm.get(..len).unwrap_or_default())
        })
    }

    /// Publishes a partly filled chunk, the rest of it silence: on PAUSE and when silence begins, so that
    /// nothing waits in the ring and nothing is glued to what comes later. Does nothing if there is none.
    ///
    /// # Errors
    ///
    /// [`RingError::OutsideRegion`] if the mapping is gone.
    pub fn flush(&mut self) -> Result<(), RingError> {
        if !self.is_pending() {
            return Ok(());
        }
        // Silence is 0 in every signed format.
        while let Some(zeroes) = ZEROES.get(..self.room().min(ZEROES.len()))
            && !zeroes.is_empty()
        {
            self.region.write(self.destination(), zeroes)?;
            self.filled = self.filled.saturating_add(zeroes.len());
        }
        self.publish()
    }

    fn destination(&self) -> usize {
        self.layout.chunk_offset(self.layout.after(self.index, 1)).saturating_add(self.filled)
    }

    fn publish(&mut self) -> Result<(), RingError> {
        self.index = self.layout.after(self.index, 1);
        self.filled = 0;
        self.region.store_u16(WRITE_INDEX_OFFSET, self.index)
    }
}

impl<R: SharedRegion> Drop for RingWriter<R> {
    /// Clears the header, the magic first. A chunk that is not full is not published.
    fn drop(&mut self) {
        // Errors mean that the mapping is gone, and with it the header.
        let _ = self.region.store_u32(MAGIC_OFFSET, 0);
        let _ = self.region.store_u16(WRITE_INDEX_OFFSET, 0);
        let _ = self.region.write(DESCRIPTION_OFFSET, &[0; 18]);
    }
}
