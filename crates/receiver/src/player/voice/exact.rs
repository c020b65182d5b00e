//! Playing samples as they were sent.
//!
//! Nothing is faded and no clock is followed. If the device's clock is faster there is nothing to play from time to time; then
//! the stream waits until the delay is what it should be. If it is slower, the delay grows until it is greater than it may be,
//! and audio is left out.

use super::super::pieces::Run;
use super::super::samples::integers;
use super::Voice;
use crate::Moment;
use crate::delivery::duration_of;

impl Voice {
    /// Fills `out` with the next frames, interleaved, samples with 32 bits, at the stream's rate. The first of them is heard
    /// at `heard`; `now` is the present.
    pub fn render_exact(&mut self, out: &mut [i32], now: Moment, heard: Moment) {
        let channels = usize::from(self.format.channels());
        let frames = (out.len() / channels) as u64;
        let taken_before = heard.since(now) + duration_of(frames, self.format.rate().get());
        self.target.needs(taken_before.as_secs_f64());
        self.keep_most(heard);
        let mut done = 0;
        while done < frames {
            let then = heard + duration_of(done, self.format.rate().get());
            let silent = if self.silence > 0 { self.wait(then) } else { 0 };
            let rest = &mut out[done as usize * channels..];
            if silent > 0 {
                let silent = silent.min(frames - done);
                rest[..silent as usize * channels].fill(0);
                self.silence = self.silence.saturating_add(silent);
                done += silent;
            } else {
                done += self.take_exact(rest, frames - done, channels);
            }
        }
    }

    /// How many frames of silence come first, in which the stream waits for its time.
    fn wait(&mut self, heard: Moment) -> u64 {
        let Some((next, _)) = self.pieces.range() else { return u64::MAX };
        let due = self.timeline.due(heard, self.target.nanos()).floor() as i64;
        if due < next {
            return (next - due) as u64;
        }
        let (late, left_out) = self.overdue(due, next);
        self.position = next + left_out;
        self.counts.late += self.pieces.skip_to(self.position);
        self.clock.set_error((late - left_out) as f64 / self.rate());
        0
    }

    /// Leaves out what makes the delay greater than it may be.
    fn keep_most(&mut self, heard: Moment) {
        let elapsed = self.rendered.map_or(0.0, |before| heard.since(before).as_secs_f64());
        self.rendered = Some(heard);
        if self.silence > 0 {
            return;
        }
        let due = self.timeline.due(heard, self.target.nanos());
        let error = (due - self.position as f64) / self.rate();
        self.clock.observe(error, elapsed);
        if error > self.target.slack_nanos() as f64 / 1e9 && self.clock.error() > 0.0 {
            self.position = due as i64;
            self.pieces.skip_to(self.position);
            self.clock.set_error(0.0);
            self.counts.cuts += 1;
        }
    }

    /// Takes at most `most` frames that are there, and returns how many.
    fn take_exact(&mut self, out: &mut [i32], most: u64, channels: usize) -> u64 {
        match self.pieces.at(self.position) {
            Run::Audio(frames) => {
                let frames = u64::from(frames).min(most);
                let width = self.format.width();
                self.pieces.take(frames as u32, |_, pcm| {
                    out[..frames as usize * channels]
                        .iter_mut()
                        .zip(integers(width, pcm))
                        .for_each(|(out, sample)| *out = sample);
                });
                self.position += frames as i64;
                (self.played, self.silence, self.is_fresh) = (self.position, 0, false);
                frames
            }
            run => {
                self.is_dry |= run == Run::Empty;
                out[..channels].fill(0);
                self.silence = 1;
                1
            }
        }
    }
}
