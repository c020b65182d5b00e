//! The chunks of a stream: filled in memory of the driver's own, and moved from there into the shared memory.

use alloc::boxed::Box;
use core::num::NonZeroU32;
use core::ops::Range;
use core::sync::atomic::{AtomicU16, Ordering};

use protocol::ring::{CHUNKS_PER_SECOND, MAGIC, MAGIC_OFFSET, WRITE_INDEX_OFFSET};
use protocol::{RingLayout, RingWriter, SharedRegion, StreamFormat};

use super::Refused;
use super::mapping::{Mapping, Region};
use crate::events::{self, Pace};
use crate::kernel::memory::try_bytes;
use crate::kernel::{Result, Status};
use crate::transport::{Totals, Transport};

/// Chunks of the driver's own: one is filled, the others are full and not moved yet.
const STAGED: usize = 3;

/// The index of the chunk that was published last, by whichever stream: the next one goes on from it, so that a reader
/// that did not notice the change finds no old chunk that looks new.
static LAST_INDEX: AtomicU16 = AtomicU16::new(0);

/// The ring of one stream, with or without memory to write it to.
pub struct Ring {
    /// The number of the stream, for events.
    stream: u32,
    format: StreamFormat,
    /// [`STAGED`] chunks.
    staged: Box<[u8]>,
    /// Bytes of a chunk.
    chunk: usize,
    /// Which chunk is being filled, and up to which byte.
    filling: usize,
    filled: usize,
    /// How many of the chunks before it are full and not moved yet.
    full: usize,
    attached: Option<Attached>,
    totals: Totals,
    /// What events have told so far.
    told: Totals,
    pace: Pace,
}

/// The shared memory and what writes to it. The fields are dropped in this order, which clears the header first.
struct Attached {
    writer: RingWriter<Region>,
    mapping: Mapping,
}

impl Ring {
    /// A ring without shared memory, of a stream with a number. `second` is in ticks of the performance counter.
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn try_new(stream: u32, format: StreamFormat, second: u64) -> Result<Self> {
        let chunk = (Self::frames_per_chunk(format).get() as usize)
            .saturating_mul(usize::from(format.bytes_per_frame().get()));
        Ok(Self {
            stream,
            format,
            staged: try_bytes(chunk.checked_mul(STAGED).ok_or(Status::INSUFFICIENT_RESOURCES)?)?,
            chunk,
            filling: 0,
            filled: 0,
            full: 0,
            attached: None,
            totals: Totals::default(),
            told: Totals::default(),
            pace: Pace::new(second),
        })
    }

    /// Frames of a chunk: 20 ms.
    pub fn frames_per_chunk(format: StreamFormat) -> NonZeroU32 {
        NonZeroU32::new(format.rate().get() / CHUNKS_PER_SECOND).unwrap_or(NonZeroU32::MIN)
    }

    /// Whether there is shared memory.
    pub const fn is_attached(&self) -> bool {
        self.attached.is_some()
    }

    /// Begins the stream in the memory of a mapping, which readers see from now on; chunks that are filled are written to
    /// it.
    ///
    /// # Errors
    /// The mapping, if the memory is too small, or there is one already.
    pub fn attach(&mut self, mapping: Mapping) -> core::result::Result<RingLayout, Refused> {
        let region = mapping.region();
        match RingWriter::begin(region, self.format, previous_index(&region)) {
            Ok(writer) => {
                let layout = writer.layout();
                self.attached = Some(Attached { writer, mapping });
                Ok(layout)
            }
            Err(reason) => Err(Refused { mapping, reason }),
        }
    }

    /// Ends the stream in the shared memory, and gives that back, with the header cleared. The mapping is to be dropped with
    /// no lock held.
    pub fn detach(&mut self) -> Option<Mapping> {
        self.flush();
        self.publish();
        let Attached { writer, mapping } = self.attached.take()?;
        LAST_INDEX.store(writer.index(), Ordering::Relaxed);
        drop(writer);
        Some(mapping)
    }

    /// Moves the full chunks into the shared memory, if there is any.
    fn publish(&mut self) {
        while self.full != 0 {
            let oldest = self.bytes_of(self.filling.saturating_add(STAGED).saturating_sub(self.full));
            let (Some(Attached { writer, .. }), Some(chunk)) = (&mut self.attached, self.staged.get(oldest))
            else {
                return;
            };
            match writer.append(chunk) {
                Ok(_) => self.totals.sent = self.totals.sent.saturating_add(1),
                Err(_) => self.totals.dropped = self.totals.dropped.saturating_add(1),
            }
            self.full = self.full.saturating_sub(1);
        }
    }

    /// The bytes of a staged chunk.
    const fn bytes_of(&self, index: usize) -> Range<usize> {
        let start = (index % STAGED).saturating_mul(self.chunk);
        start..start.saturating_add(self.chunk)
    }

    /// The bytes of the chunk that is being filled which are free.
    const fn room(&self) -> Range<usize> {
        let Range { start, end } = self.bytes_of(self.filling);
        start.saturating_add(self.filled)..end
    }

    /// Goes on to the next chunk; the one that was filled is to be moved, or lost when there is nowhere to move it to or
    /// all others wait.
    fn next_chunk(&mut self) {
        if self.is_attached() && self.full.saturating_add(1) == STAGED {
            self.publish();
        }
        if self.is_attached() && self.full.saturating_add(1) < STAGED {
            self.full = self.full.saturating_add(1);
            self.filling = self.filling.saturating_add(1) % STAGED;
        } else {
            self.totals.dropped = self.totals.dropped.saturating_add(1);
        }
        self.filled = 0;
    }
}

/// The index from which a new stream goes on. If there is the header of a stream that never ended, since its device
/// vanished or its machine did, readers know that index; a wrong one does no harm.
fn previous_index(region: &Region) -> u16 {
    match (region.load_u32(MAGIC_OFFSET), region.load_u16(WRITE_INDEX_OFFSET)) {
        (Ok(MAGIC), Ok(index)) => index,
        _ => LAST_INDEX.load(Ordering::Relaxed),
    }
}

impl Transport for Ring {
    fn unit(&self) -> NonZeroU32 {
        Self::frames_per_chunk(self.format)
    }

    fn append(&mut self, available: usize, fill: &mut dyn FnMut(&mut [u8])) -> usize {
        let frame = core::num::NonZeroUsize::from(self.format.bytes_per_frame());
        let room = self.room();
        let fits = available.min(room.len());
        let taken = fits.saturating_sub(fits % frame);
        let Some(bytes) = self.staged.get_mut(room).and_then(|room| room.get_mut(..taken)) else { return 0 };
        if taken != 0 {
            fill(bytes);
            self.filled = self.filled.saturating_add(taken);
            if self.filled == self.chunk {
                self.next_chunk();
            }
        }
        taken
    }

    /// Fills the rest of the chunk with silence.
    fn flush(&mut self) {
        if self.filled != 0 {
            let room = self.room();
            if let Some(rest) = self.staged.get_mut(room) {
                rest.fill(0);
            }
            self.next_chunk();
        }
    }

    fn send(&mut self) {
        self.publish();
    }

    fn begin(&mut self, _now: u64) {}

    fn tell_losses(&mut self, now: u64) {
        let dropped = self.totals.dropped.wrapping_sub(self.told.dropped);
        if dropped != 0 && self.pace.allows(now) {
            events::ivshmem_chunks_lost(self.stream, dropped);
            self.told = self.totals;
        }
    }

    fn totals(&self) -> Totals {
        self.totals
    }
}
