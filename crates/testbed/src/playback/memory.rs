//! What a driver has allocated.

use crate::kernel::{irp, mdl, pool};
use crate::nt::{IoStackLocation, Irp, Mdl};

/// Non-paged pool of a driver, in bytes; the pages of a WaveRT buffer and their list are not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Pool blocks at the peak.
    pub blocks: usize,
    /// Request packets and memory descriptor lists when the stream began to run, which the kernel takes from the pool for
    /// the driver.
    pub requests: usize,
}

impl Memory {
    /// All of it.
    pub fn total(self) -> usize {
        self.blocks + self.requests
    }

    /// What there is now, without so many lists of audio buffers.
    pub(super) fn now(buffers: usize) -> Self {
        // Packets are shorter than a page, so they lie in two at most. A request of the driver has one stack location.
        let list = size_of::<Mdl>() + 2 * size_of::<usize>();
        let request = size_of::<Irp>() + size_of::<IoStackLocation>();
        let requests = irp::live() * request + mdl::live().saturating_sub(buffers) * list;
        Self { blocks: pool::peak_bytes(), requests }
    }

    /// The same with the peak until now.
    pub(super) fn at_end(self) -> Self {
        Self { blocks: pool::peak_bytes(), ..self }
    }
}
