//! Everything about a stream but its position: what was copied out of the buffer, and what has to be done next.

use protocol::{Content, CyclicBuffer, Schedule, StreamFormat, StreamPosition, WrittenPackets};

use super::silence::Silence;
use crate::com::port::MappedPages;
use crate::events::{self, Pace, StreamTotals};
use crate::kernel::event::ForeignEvent;
use crate::kernel::{Result, Status};
use crate::transport::Output;

/// Notification events that can be registered at once; the audio engine uses one.
pub(super) const MAX_EVENTS: usize = 4;

/// What the thread and the calls of PortCls change, under one lock.
pub(super) struct State {
    /// The number of the stream, for events.
    pub(super) stream: u32,
    pub(super) format: StreamFormat,
    pub(super) buffer: Option<Buffer>,
    pub(super) output: Output,
    /// What is sent while the stream does not run, if anything.
    pub(super) silence: Option<Silence>,
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
            self.output.flush();
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
                    let frame = u64::from(self.format.bytes_per_frame().get());
                    let mut first = at;
                    for span in buffer.cyclic.backlog(at, until).spans() {
                        let begins = self.output.append(span.len, |done, bytes| {
                            buffer.pages.copy_to(span.offset.saturating_add(done), bytes);
                        });
                        if let Some(frames) = begins {
                            buffer.schedule.flushed(first.saturating_add(frames));
                        }
                        first = first.saturating_add((span.len as u64).checked_div(frame).unwrap_or(0));
                    }
                }
                Content::Missing => {
                    let frames = until.saturating_sub(at);
                    self.totals.missing = self.totals.missing.saturating_add(frames);
                    let _ = self.output.append(buffer.cyclic.bytes_of(frames), |_, bytes| bytes.fill(0));
                }
                Content::Ended if self.silence.is_some() => {
                    self.output.append_silence(buffer.cyclic.bytes_of(until.saturating_sub(at)));
                }
                Content::Ended => {}
            }
            at = until;
        }
        if buffer.written.and_then(|written| written.end()).is_some_and(|end| end <= target) {
            self.output.flush();
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
        self.output.tell_losses(now);
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

    /// Silence is sent from now on, if the options want it and the stream does not run.
    pub(super) fn begin_silence(&mut self, now: u64) {
        if let Some(silence) = &mut self.silence {
            silence.begin(now);
        }
    }

    /// Sends the silence that is due; the counter reading at which the next unit of it is full.
    pub(super) fn service_silence(&mut self, now: u64) -> Option<u64> {
        let silence = self.silence.as_mut()?;
        let bytes = silence.take(now).saturating_mul(u64::from(self.format.bytes_per_frame().get()));
        self.output.append_silence(bytes as usize);
        self.output.send();
        self.output.tell_losses(now);
        silence.next_tick(self.output.unit(), now)
    }

    /// Sends the silence that is due up to now, and no more.
    pub(super) fn end_silence(&mut self, now: u64) {
        let Some(silence) = &mut self.silence else { return };
        if silence.goes_on() {
            let bytes = silence.end(now).saturating_mul(u64::from(self.format.bytes_per_frame().get()));
            self.output.append_silence(bytes as usize);
            self.output.flush();
            self.output.send();
        }
    }

    /// Frames take another way from now on, in units of another length.
    pub(super) fn output_changed(&mut self) {
        let unit = self.output.unit();
        if let Some(buffer) = &mut self.buffer {
            buffer.schedule.sends_units_of(unit, self.consumed);
        }
        self.deadline = None;
    }

    /// The totals up to now.
    pub(super) fn totals(&self) -> StreamTotals {
        let (units, suppressed) = self.output.totals();
        let silence = self.silence.as_ref().map_or(0, Silence::total);
        StreamTotals { units, suppressed, silence, ..self.totals }
    }
}
