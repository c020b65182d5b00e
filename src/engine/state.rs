//! Everything about a stream but its position: what was copied out of the buffer, and what has to be done next.

use protocol::{Content, CyclicBuffer, Schedule, StreamFormat, StreamPosition, WrittenPackets};

use crate::com::port::MappedPages;
use crate::events::{self, Pace, StreamTotals};
use crate::kernel::event::ForeignEvent;
use crate::kernel::{Result, Status};
use crate::transport::Transport;
use crate::transport::wsk::Sender;

/// Notification events that can be registered at once; the audio engine uses one.
pub(super) const MAX_EVENTS: usize = 4;

/// What the thread and the calls of PortCls change, under one lock.
pub(super) struct State {
    /// The number of the stream, for events.
    pub(super) stream: u32,
    pub(super) format: StreamFormat,
    pub(super) buffer: Option<Buffer>,
    pub(super) sender: Sender,
    pub(super) events: [Option<ForeignEvent>; MAX_EVENTS],
    /// Frames since the stream started that were copied or skipped.
    pub(super) consumed: u64,
    /// The frame before which nothing is sent, after a glitch.
    pub(super) resume: u64,
    pub(super) totals: StreamTotals,
    /// The totals when glitches were last told.
    pub(super) told: StreamTotals,
    pub(super) pace: Pace,
    /// When the thread has to wake, as a counter reading.
    pub(super) deadline: Option<u64>,
}

/// The cyclic buffer and when it has to be looked at.
pub(super) struct Buffer {
    pub(super) pages: MappedPages,
    pub(super) cyclic: CyclicBuffer,
    pub(super) schedule: Schedule,
    /// What was announced in packet mode; none for a buffer without notifications.
    pub(super) written: Option<WrittenPackets>,
}

impl State {
    /// Copies what was played up to frame `target` into packets and sets the events if a packet of the buffer ended.
    pub(super) fn consume(&mut self, target: u64) {
        let Some(buffer) = &mut self.buffer else { return };
        let before = self.consumed;
        let backlog = buffer.cyclic.backlog(before, target);
        if backlog.is_glitch() {
            // Nobody was told of a position since, so what the buffer holds was heard before, or is late. A client that is
            // notified now writes what comes after the packet that plays.
            self.resume = buffer.written.map_or(target, |written| {
                let packet = written.frames_per_packet();
                (target / packet).saturating_add(1).saturating_mul(packet.get())
            });
            self.totals.glitches = self.totals.glitches.saturating_add(1);
            self.sender.flush();
            buffer.schedule.flushed(self.resume);
        }
        let mut at = before.max(self.resume.min(target));
        self.totals.skipped = self.totals.skipped.saturating_add(at.saturating_sub(before));
        while at < target {
            let (content, until) =
                buffer.written.map_or((Content::Audio, u64::MAX), |written| written.content(at));
            let until = until.min(target);
            match content {
                Content::Audio => {
                    for span in buffer.cyclic.backlog(at, until).spans() {
                        append(&mut self.sender, span.len, |done, bytes| {
                            buffer.pages.copy_to(span.offset.saturating_add(done), bytes);
                        });
                    }
                }
                Content::Missing => {
                    let frames = until.saturating_sub(at);
                    self.totals.missing = self.totals.missing.saturating_add(frames);
                    append(&mut self.sender, buffer.cyclic.bytes_of(frames), |_, bytes| bytes.fill(0));
                }
                Content::Ended => {}
            }
            at = until;
        }
        if buffer.written.and_then(|written| written.end()).is_some_and(|end| end <= target) {
            self.sender.flush();
        }
        self.consumed = before.max(target);
        self.totals.frames = self.totals.frames.saturating_add(self.consumed.saturating_sub(before));
        if buffer.schedule.crossed_boundary(before, self.consumed) {
            for event in self.events.iter().flatten() {
                event.set();
            }
        }
    }

    /// Tells of glitches and of lost packets, if there are new ones and it is time to.
    pub(super) fn tell_losses(&mut self, now: u64) {
        let glitches = self.totals.glitches.wrapping_sub(self.told.glitches);
        if glitches != 0 && self.pace.allows(now) {
            let skipped = self.totals.skipped.wrapping_sub(self.told.skipped);
            events::glitch(self.stream, glitches, skipped, self.consumed);
            self.told = self.totals;
        }
        self.sender.tell_losses(now);
    }

    /// # Errors
    /// `STATUS_NOT_SUPPORTED` without a buffer with notifications.
    pub(super) fn written_packets(&self) -> Result<&WrittenPackets> {
        self.buffer.as_ref().and_then(|buffer| buffer.written.as_ref()).ok_or(Status::NOT_SUPPORTED)
    }

    /// The deadline that is still ahead, or the next one.
    pub(super) fn next_deadline(&mut self, position: &StreamPosition, now: u64) -> Option<u64> {
        if self.deadline.is_none_or(|deadline| deadline <= now) {
            let schedule = &mut self.buffer.as_mut()?.schedule;
            self.deadline = schedule.next_wake(position, self.consumed);
        }
        self.deadline
    }
}

/// Appends `length` bytes, whole frames: `fill` is told how many came before.
fn append(sender: &mut Sender, length: usize, mut fill: impl FnMut(usize, &mut [u8])) {
    let mut done = 0;
    while done < length {
        let taken = sender.append(length.saturating_sub(done), |bytes| fill(done, bytes));
        if taken == 0 {
            break;
        }
        done = done.saturating_add(taken);
    }
}
