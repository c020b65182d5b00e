//! The host's side of the ring.

use super::layout::{DESCRIPTION_OFFSET, Description, MAGIC, MAGIC_OFFSET, RING_HEADER_SIZE, RingLayout};
use super::{RingError, SharedRegion};

/// Reads one stream from the ring.
///
/// Attach until it succeeds, then read until there is an error, then attach again: a stream that ended and one
/// that changed both show as an error of [`RingReader::read`].
#[derive(Debug)]
pub struct RingReader<R: SharedRegion> {
    region: R,
    layout: RingLayout,
    description: Description,
    last: u16,
}

/// Outcome of [`RingReader::read`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RingRead {
    /// No new chunk.
    Empty,
    /// One chunk was copied; its length in bytes.
    Chunk(usize),
    /// The writer overtook the reader while a chunk was copied, which is therefore not one. Holds how many
    /// chunks were given up; reading goes on with the one published next.
    Lapped(u16),
}

impl<R: SharedRegion> RingReader<R> {
    /// Attaches to the stream in the region. The first chunk read is the one published next.
    ///
    /// # Errors
    ///
    /// [`RingError::NoStream`] if there is none, otherwise what is wrong with the header.
    pub fn attach(region: R) -> Result<Self, RingError> {
        check_magic(&region)?;
        let description = read_description(&region)?;
        let layout = RingLayout::from_description(&description, region.len())?;
        let last = layout.load_index(&region)?;
        let reader = Self { region, layout, description, last };
        // A stream that began meanwhile may have given one half of the header each.
        reader.check_unchanged()?;
        Ok(reader)
    }

    /// Layout and format of the stream.
    pub const fn layout(&self) -> RingLayout {
        self.layout
    }

    /// Chunks that are published and not yet read.
    ///
    /// # Errors
    ///
    /// [`RingError::Index`] if the index is no chunk's.
    pub fn pending(&self) -> Result<u16, RingError> {
        let index = self.layout.load_index(&self.region)?;
        Ok(self.layout.distance(self.last, index))
    }

    /// Copies the oldest chunk not yet read to the start of `into`, which must be at least
    /// [`RingLayout::chunk_size`] long. What it holds is undefined unless this returns [`RingRead::Chunk`].
    ///
    /// # Errors
    ///
    /// [`RingError::NoStream`] when the stream has ended, [`RingError::Changed`] when another has begun,
    /// [`RingError::Index`] for an impossible index, [`RingError::Destination`]. Except after the last, attach again.
    pub fn read(&mut self, into: &mut [u8]) -> Result<RingRead, RingError> {
        let chunk_size = self.layout.chunk_size();
        let len = into.len();
        let Some(chunk) = into.get_mut(..chunk_size) else {
            return Err(RingError::Destination { len, chunk_size });
        };
        let index = self.layout.load_index(&self.region)?;
        let pending = self.layout.distance(self.last, index);
        self.check_unchanged()?;
        if pending == 0 {
            return Ok(RingRead::Empty);
        }
        let next = self.layout.after(self.last, 1);
        self.region.read(self.layout.chunk_offset(next), chunk)?;

        // The chunk is whole if it was still the writer's to keep after the copy: it writes the one after its index.
        let newest = self.layout.load_index(&self.region)?;
        self.check_unchanged()?;
        let written = self.layout.distance(index, newest);
        if pending.saturating_add(written) >= self.layout.max_chunks() {
            self.last = newest;
            return Ok(RingRead::Lapped(pending.saturating_add(written)));
        }
        self.last = next;
        Ok(RingRead::Chunk(chunk_size))
    }

    /// Drops all but the newest `keep` pending chunks and returns how many were dropped: to bound the delay.
    ///
    /// # Errors
    ///
    /// [`RingError::Index`] if the index is no chunk's.
    pub fn skip_to_newest(&mut self, keep: u16) -> Result<u16, RingError> {
        let dropped = self.pending()?.saturating_sub(keep);
        self.last = self.layout.after(self.last, dropped);
        Ok(dropped)
    }

    fn check_unchanged(&self) -> Result<(), RingError> {
        check_magic(&self.region)?;
        if read_description(&self.region)? == self.description { Ok(()) } else { Err(RingError::Changed) }
    }
}

fn check_magic<R: SharedRegion>(region: &R) -> Result<(), RingError> {
    // A region shorter than the header is a region without a stream, not a wrong access.
    if region.len() < RING_HEADER_SIZE {
        return Err(RingError::RegionTooSmall { size: region.len(), needed: RING_HEADER_SIZE });
    }
    match region.load_u32(MAGIC_OFFSET)? {
        MAGIC => Ok(()),
        other => Err(RingError::NoStream(other)),
    }
}

fn read_description<R: SharedRegion>(region: &R) -> Result<Description, RingError> {
    let mut description = Description::default();
    region.read(DESCRIPTION_OFFSET, &mut description)?;
    Ok(description)
}
