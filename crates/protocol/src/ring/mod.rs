//! The IVSHMEM ring: audio in chunks of 20 ms in memory shared with the host.
//!
//! [`RingLayout`] is the header as numbers, [`RingWriter`] the driver's side, [`RingReader`] the host's, both over
//! [`SharedRegion`]. Neither side trusts the region: the other can rewrite it at any time.
//!
//! Little endian, at the start of the region:
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 4 | magic, written last |
//! | 4 | 2 | index of the chunk published last |
//! | 6 | 1 | offset of chunk 0, in bytes |
//! | 8 | 2 | number of chunks |
//! | 12 | 4 | chunk size, in bytes |
//! | 16 | 1 | rate byte of the stream header |
//! | 17 | 1 | bits per sample |
//! | 18 | 1 | channels |
//! | 20 | 2 | channel mask |

mod layout;
mod reader;
mod writer;

use core::fmt;

pub use layout::{
    CHUNKS_PER_SECOND, MAGIC, MAGIC_OFFSET, MIN_CHUNKS, RING_HEADER_SIZE, RingLayout, WRITE_INDEX_OFFSET,
};
pub use reader::{RingRead, RingReader};
pub use writer::RingWriter;

use crate::format::FormatError;

/// Memory shared with another machine.
///
/// Implementors access it as volatile: whatever is read may change at any time. Every method checks its range, and
/// if that is not inside the region (or the mapping is gone) does nothing and returns
/// [`RingError::OutsideRegion`].
///
/// The loads and stores of single fields are the barriers: no access moves across one, in either direction
/// (acquire and release, and a full fence on both sides will do; there are about 50 a second). The offsets they are
/// given are multiples of the field's size, and the fields are little endian.
#[expect(clippy::len_without_is_empty, reason = "a region is never empty")]
pub trait SharedRegion {
    /// Size in bytes; does not change.
    fn len(&self) -> usize;

    /// Copies the bytes at `offset` out of the region.
    fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), RingError>;

    /// Copies bytes into the region at `offset`.
    fn write(&self, offset: usize, from: &[u8]) -> Result<(), RingError>;

    /// Reads a `u16`, as a barrier.
    fn load_u16(&self, offset: usize) -> Result<u16, RingError>;

    /// Writes a `u16`, as a barrier.
    fn store_u16(&self, offset: usize, value: u16) -> Result<(), RingError>;

    /// Reads a `u32`, as a barrier.
    fn load_u32(&self, offset: usize) -> Result<u32, RingError>;

    /// Writes a `u32`, as a barrier.
    fn store_u32(&self, offset: usize, value: u32) -> Result<(), RingError>;
}

impl<T: SharedRegion + ?Sized> SharedRegion for &T {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), RingError> {
        (**self).read(offset, into)
    }

    fn write(&self, offset: usize, from: &[u8]) -> Result<(), RingError> {
        (**self).write(offset, from)
    }

    fn load_u16(&self, offset: usize) -> Result<u16, RingError> {
        (**self).load_u16(offset)
    }

    fn store_u16(&self, offset: usize, value: u16) -> Result<(), RingError> {
        (**self).store_u16(offset, value)
    }

    fn load_u32(&self, offset: usize) -> Result<u32, RingError> {
        (**self).load_u32(offset)
    }

    fn store_u32(&self, offset: usize, value: u32) -> Result<(), RingError> {
        (**self).store_u32(offset, value)
    }
}

/// Why a ring cannot be set up, or what the region says cannot be true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RingError {
    /// The region is too small for the header and three chunks of the format.
    RegionTooSmall {
        /// Size of the region, in bytes.
        size: usize,
        /// Size it must have at least, in bytes.
        needed: usize,
    },
    /// The magic is not there: no stream at the moment. Holds what is there.
    NoStream(u32),
    /// The header's format has an unknown value.
    Format(FormatError),
    /// Chunk 0 would overlap the header; holds its offset in bytes.
    Offset(u8),
    /// The header has fewer than three chunks; holds how many.
    ChunkCount(u16),
    /// The chunk size, in bytes, is 0 or no whole number of frames.
    ChunkSize(u32),
    /// The index names no chunk.
    Index {
        /// The index.
        index: u16,
        /// Number of chunks.
        chunks: u16,
    },
    /// An access or the ring's end lies outside the region, or the mapping is gone.
    OutsideRegion {
        /// First byte after the range, saturated.
        end: usize,
        /// Size of the region, in bytes.
        size: usize,
    },
    /// The header is not the one the reader was attached to: another stream has begun.
    Changed,
    /// The destination is shorter than a chunk.
    Destination {
        /// Its length, in bytes.
        len: usize,
        /// Chunk size, in bytes.
        chunk_size: usize,
    },
}

impl fmt::Display for RingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::RegionTooSmall { size, needed } => {
                write!(f, "shared region of {size} bytes is too small; this format needs at least {needed}")
            }
            Self::NoStream(magic) => {
                write!(f, "no stream: ring magic is {magic:#010x}, a stream has {MAGIC:#010x}")
            }
            Self::Format(error) => write!(f, "ring header: {error}"),
            Self::Offset(offset) => {
                write!(f, "ring chunks start at byte {offset}; accepted is {RING_HEADER_SIZE} or more")
            }
            Self::ChunkCount(chunks) => {
                write!(f, "ring has {chunks} chunks; at least {MIN_CHUNKS} are needed")
            }
            Self::ChunkSize(size) => {
                write!(f, "ring chunks of {size} bytes; at least one and only whole frames are accepted")
            }
            Self::Index { index, chunks } => {
                write!(f, "ring index {index} names none of the {chunks} chunks")
            }
            Self::OutsideRegion { end, size } => {
                write!(f, "ring access up to byte {end} is outside the shared region of {size} bytes")
            }
            Self::Changed => write!(f, "ring header changed: another stream has begun"),
            Self::Destination { len, chunk_size } => {
                write!(f, "destination of {len} bytes is shorter than a chunk of {chunk_size}")
            }
        }
    }
}

impl core::error::Error for RingError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Format(error) => Some(error),
            _ => None,
        }
    }
}
