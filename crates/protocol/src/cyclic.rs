//! Arithmetic of the cyclic (WaveRT) buffer: linear frame positions to byte offsets and spans.
//!
//! A linear position counts frames since the stream started and never wraps; the buffer is its modulus.
//! [`CyclicBuffer::backlog`] says what has to be copied to get from one position to a later one.

use core::fmt;
use core::num::{NonZeroU16, NonZeroU64};

/// The geometry of a cyclic buffer that holds whole frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CyclicBuffer {
    frames: NonZeroU64,
    bytes_per_frame: NonZeroU16,
    size: usize,
}

impl CyclicBuffer {
    /// The geometry of a buffer of `size` bytes.
    ///
    /// # Errors
    ///
    /// [`CyclicError`] if the buffer is empty or ends inside a frame.
    pub fn new(size: usize, bytes_per_frame: NonZeroU16) -> Result<Self, CyclicError> {
        let error = CyclicError { size, bytes_per_frame: bytes_per_frame.get() };
        let frame = NonZeroU64::from(bytes_per_frame);
        let bytes = size as u64;
        if bytes % frame != 0 {
            return Err(error);
        }
        Ok(Self { frames: NonZeroU64::new(bytes / frame).ok_or(error)?, bytes_per_frame, size })
    }

    /// Size in bytes.
    pub const fn size(self) -> usize {
        self.size
    }

    /// Size in frames.
    pub const fn frames(self) -> NonZeroU64 {
        self.frames
    }

    /// Bytes per frame.
    pub const fn bytes_per_frame(self) -> NonZeroU16 {
        self.bytes_per_frame
    }

    /// Byte offset in the buffer of a linear position in frames: below the size, at a frame's start.
    pub fn offset_of(self, position: u64) -> usize {
        self.bytes_of(position % self.frames)
    }

    /// What to copy when everything before frame `consumed` was copied already and everything
    /// before frame `target` has been played. A target that is not ahead gives an empty backlog.
    ///
    /// If the target is more than one whole buffer ahead, the oldest frames are gone; they are reported as
    /// [`Backlog::skipped`] and the backlog is exactly one buffer, the latest.
    pub fn backlog(self, consumed: u64, target: u64) -> Backlog {
        let behind = target.saturating_sub(consumed);
        let frames = behind.min(self.frames.get());
        let skipped = behind.saturating_sub(frames);
        let start = consumed.saturating_add(skipped);
        let offset = self.offset_of(start);
        let len = self.bytes_of(frames);
        let before_end = len.min(self.size.saturating_sub(offset));
        Backlog {
            skipped,
            start,
            frames,
            first: Span { offset, len: before_end },
            second: Span { offset: 0, len: len.saturating_sub(before_end) },
        }
    }

    /// Frames, at most the buffer's, as bytes. Lossless, because the buffer's size is a `usize`.
    pub fn bytes_of(self, frames: u64) -> usize {
        (frames as usize).saturating_mul(self.bytes_per_frame.get() as usize)
    }
}

/// Contiguous bytes of the buffer, whole frames, never past its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Offset of the first byte.
    pub offset: usize,
    /// Length in bytes.
    pub len: usize,
}

/// What lies between two positions; see [`CyclicBuffer::backlog`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// Frames that were overwritten before they could be copied: not 0 means a glitch.
    pub skipped: u64,
    /// Linear position of the first frame to copy.
    pub start: u64,
    /// Frames to copy.
    pub frames: u64,
    first: Span,
    second: Span,
}

impl Backlog {
    /// The bytes to copy, oldest first: none, one or two spans, none of them empty.
    pub fn spans(self) -> impl Iterator<Item = Span> {
        [self.first, self.second].into_iter().filter(|span| span.len > 0)
    }

    /// Whether there is nothing to copy.
    pub const fn is_empty(&self) -> bool {
        self.frames == 0
    }

    /// Whether frames were lost.
    pub const fn is_glitch(&self) -> bool {
        self.skipped > 0
    }
}

/// The buffer's size is zero or no whole number of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CyclicError {
    /// Size in bytes.
    pub size: usize,
    /// Bytes per frame.
    pub bytes_per_frame: u16,
}

impl fmt::Display for CyclicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cyclic buffer of {} bytes; at least one and only whole {}-byte frames are accepted",
            self.size, self.bytes_per_frame
        )
    }
}

impl core::error::Error for CyclicError {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn buffer(frames: usize) -> CyclicBuffer {
        CyclicBuffer::new(frames * 4, NonZeroU16::new(4).unwrap()).unwrap()
    }

    fn spans(backlog: Backlog) -> Vec<(usize, usize)> {
        backlog.spans().map(|span| (span.offset, span.len)).collect()
    }

    #[test]
    fn a_backlog_inside_the_buffer_is_one_span() {
        assert_eq!(spans(buffer(100).backlog(210, 230)), [(40, 80)]);
    }

    #[test]
    fn a_backlog_over_the_end_is_two_spans() {
        assert_eq!(spans(buffer(100).backlog(190, 230)), [(360, 40), (0, 120)]);
    }

    #[test]
    fn a_backlog_up_to_the_end_is_one_span() {
        assert_eq!(spans(buffer(100).backlog(190, 200)), [(360, 40)]);
    }

    #[test]
    fn exactly_one_buffer_behind_is_no_glitch() {
        let backlog = buffer(100).backlog(50, 150);
        assert!(!backlog.is_glitch());
        assert_eq!(spans(backlog), [(200, 200), (0, 200)]);
    }

    #[test]
    fn one_frame_more_than_the_buffer_behind_skips_one_frame() {
        let backlog = buffer(100).backlog(50, 151);
        assert!(backlog.is_glitch());
        assert_eq!((backlog.skipped, backlog.start), (1, 51));
        assert_eq!(backlog.frames, 100);
        assert_eq!(spans(backlog), [(204, 196), (0, 204)]);
    }

    #[test]
    fn a_target_that_is_not_ahead_gives_nothing() {
        assert!(buffer(100).backlog(7, 7).is_empty());
        assert_eq!(spans(buffer(100).backlog(8, 7)), []);
        assert_eq!(buffer(100).backlog(8, 7).start, 8);
    }

    #[test]
    fn offsets_are_those_of_the_frame_in_the_buffer() {
        assert_eq!(buffer(100).offset_of(0), 0);
        assert_eq!(buffer(100).offset_of(99), 396);
        assert_eq!(buffer(100).offset_of(100), 0);
        // 2^64 - 1 = 15 modulo 100
        assert_eq!(buffer(100).offset_of(u64::MAX), 60);
    }

    #[test]
    fn empty_buffers_and_parts_of_frames_are_refused() {
        let frame = NonZeroU16::new(6).unwrap();
        assert!(CyclicBuffer::new(0, frame).is_err());
        assert!(CyclicBuffer::new(5, frame).is_err());
        assert!(CyclicBuffer::new(13, frame).is_err());
        assert_eq!(CyclicBuffer::new(12, frame).unwrap().frames().get(), 2);
    }
}
