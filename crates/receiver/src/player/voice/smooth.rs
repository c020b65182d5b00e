//! Playing through the resampler.
//!
//! Where something is missing the audio before it fades out and the audio after it fades in. In a gap the position is where it
//! should be; while audio plays it is steered there by the speed, and jumps only if it is far away, or if nobody can hear it.

use super::super::pieces::Run;
use super::super::resampler::{MOST_FRAMES, Resampler};
use super::super::samples::{float, integers};
use super::{Jump, Voice};
use crate::Moment;
use crate::delivery::duration_of;

/// A delay that is greater than it should be by more is corrected at once, in seconds.
const FAR_AHEAD: f64 = 0.040;
/// The same for one that is too small: the next packet might come too late.
const FAR_BEHIND: f64 = 0.020;
/// Silence is left out only if it is worth it, in seconds.
const WORTH_IT: f64 = 0.003;
/// After a jump, so many seconds pass until the average tells whether there has to be another.
const SETTLING: f64 = 1.0;

/// What is next to be taken.
enum Taken {
    /// So many frames of audio.
    Audio(i64),
    /// So many frames of silence.
    Silence(i64),
}

impl Voice {
    /// Fills `out` with the next frames, interleaved at the device's rate, the first of which is heard at `heard`; `now` is the
    /// present. Nothing but zeros if samples are to stay as they are.
    pub fn render(&mut self, out: &mut [f32], now: Moment, heard: Moment, device_rate: u32) {
        let Some(mut resampler) = self.resampler.take() else { return out.fill(0.0) };
        let channels = usize::from(self.format.channels());
        let frames = out.len() / channels;
        let taken_before = heard.since(now).as_secs_f64() + frames as f64 / f64::from(device_rate);
        self.target.needs(taken_before + resampler.held() / self.rate() + self.fade.seconds());
        self.control(heard, &mut resampler);
        let mut then = heard;
        for out in out.chunks_mut(MOST_FRAMES * channels) {
            self.make(out, then, &mut resampler);
            then = then + duration_of((out.len() / channels) as u64, device_rate);
        }
        self.resampler = Some(resampler);
    }

    /// Compares the delay with what it should be, and steers.
    fn control(&mut self, heard: Moment, resampler: &mut Resampler) {
        let elapsed = self.rendered.map_or(0.0, |before| heard.since(before).as_secs_f64());
        self.rendered = Some(heard);
        self.target.pass(elapsed);
        self.settled += elapsed;
        let plays = self.silence == 0 && matches!(self.pieces.at(self.position), Run::Audio(_));
        if !plays || self.jump.is_some() {
            return;
        }
        let due = self.timeline.due(heard, self.target.nanos());
        let error = (due - (self.position as f64 - resampler.held())) / self.rate();
        resampler.steer(self.clock.steer(error, elapsed));
        self.consider_jump(error);
    }

    /// Whether the delay is so far off that the position has to jump.
    fn consider_jump(&mut self, error: f64) {
        let averaged = self.clock.error();
        let slack = (self.target.slack_nanos() as f64 / 1e9).max(FAR_AHEAD);
        if error > slack && averaged > slack / 2.0 {
            self.jump_by(error);
        } else if self.settled < SETTLING {
        } else if averaged > FAR_AHEAD && !self.may_begin_late() || averaged < -FAR_BEHIND {
            self.jump_by(averaged);
        } else if averaged > WORTH_IT {
            let silent = self.pieces.silent_until(self.position) - self.position - 2 * self.fade.frames();
            let by = (silent as f64 / self.rate()).min(error);
            if by > WORTH_IT {
                self.jump_by(by);
            }
        }
    }

    /// Whether the stream has begun with too great a delay, because the device was not open yet, and nothing was left out.
    fn may_begin_late(&self) -> bool {
        self.clock.is_young()
    }

    fn jump_by(&mut self, seconds: f64) {
        let by = (seconds * self.rate()) as i64;
        self.jump = Some(Jump { at: self.position + self.fade.frames(), by });
        self.clock.jumped(-seconds);
        self.clock.disturb();
        self.settled = 0.0;
        self.counts.cuts += 1;
    }

    /// Makes the next frames.
    fn make(&mut self, out: &mut [f32], heard: Moment, resampler: &mut Resampler) {
        self.leave_out_late();
        let channels = usize::from(self.format.channels());
        let is_gap = self.jump.is_none() && !matches!(self.pieces.at(self.position), Run::Audio(_));
        let most_taken = resampler.most_taken(out.len() / channels);
        if is_gap && !self.follow(heard, most_taken, resampler) {
            return out.fill(0.0);
        }
        resampler.make(out, |input| self.pull(input, channels));
    }

    fn leave_out_late(&mut self) {
        if !self.is_fresh {
            self.counts.late += self.pieces.skip_to(self.position);
        }
    }

    /// In a gap, goes to the slot that is due. Returns false if nothing is to be heard in the next `ahead` slots, and all that
    /// the resampler holds is silence.
    fn follow(&mut self, heard: Moment, ahead: i64, resampler: &mut Resampler) -> bool {
        if self.is_asleep() {
            resampler.reset();
        }
        let due = (self.timeline.due(heard, self.target.nanos()) + resampler.held()).floor() as i64;
        let Run::Gap(next) = self.pieces.at(self.position) else {
            if self.is_asleep() {
                self.position = due.max(self.position);
            }
            return !self.is_asleep();
        };
        // A fresh stream begins wherever it does, and with its first frame even if that is late.
        let least = if self.is_fresh { i64::MIN } else { self.played };
        if self.is_asleep() && due + ahead < next {
            self.position = due.max(least);
            return false;
        }
        let (late, left_out) = self.overdue(due, next);
        self.position = due.min(next).max(least) + left_out;
        self.counts.late += self.pieces.skip_to(self.position);
        self.clock.set_error((late - left_out) as f64 / self.rate());
        true
    }

    /// Fills `into` with the frames from the position on.
    fn pull(&mut self, into: &mut [f32], channels: usize) {
        let mut rest = into;
        while !rest.is_empty() {
            let taken = self.next((rest.len() / channels) as i64);
            let (Taken::Audio(frames) | Taken::Silence(frames)) = taken;
            let (out, after) = rest.split_at_mut(frames as usize * channels);
            match taken {
                Taken::Audio(_) => self.copy(out, channels, frames),
                Taken::Silence(_) => {
                    out.fill(0.0);
                    self.silence = self.silence.saturating_add(frames as u64);
                    self.fade.interrupt();
                }
            }
            rest = after;
        }
    }

    /// What the next frames are, at most `most`; the position is after them unless they are audio.
    fn next(&mut self, most: i64) -> Taken {
        if let Some(jump) = self.jump.filter(|jump| self.position >= jump.at)
            && let Some(silence) = self.jump_now(jump, most)
        {
            return silence;
        }
        self.leave_out_late();
        let most = self.jump.map_or(most, |jump| most.min(jump.at - self.position));
        let silence = match self.pieces.at(self.position) {
            Run::Audio(frames) => return Taken::Audio(most.min(i64::from(frames))),
            Run::Gap(next) => most.min(next - self.position),
            Run::Empty => {
                // The first silence after audio.
                self.is_dry |= self.silence == 0;
                most
            }
        };
        self.position += silence;
        Taken::Silence(silence)
    }

    /// Jumps; time that passes in silence is returned.
    fn jump_now(&mut self, jump: Jump, most: i64) -> Option<Taken> {
        self.fade.interrupt();
        if jump.by >= 0 {
            self.jump = None;
            self.position += jump.by;
            self.pieces.skip_to(self.position);
            return None;
        }
        let frames = most.min(-jump.by);
        self.jump = (jump.by + frames < 0).then_some(Jump { by: jump.by + frames, ..jump });
        Some(Taken::Silence(frames))
    }

    /// Takes `frames` frames of audio from the position on, faded as they have to be.
    fn copy(&mut self, out: &mut [f32], channels: usize, frames: i64) {
        let slot = self.position;
        if self.pieces.is_torn_at(slot) {
            self.fade.interrupt();
        }
        self.fade.begin(slot);
        let end = self.pieces.end_within(slot, frames + self.fade.frames());
        let end = end.into_iter().chain(self.jump.map(|jump| jump.at)).min();
        let (fade, width) = (&self.fade, self.format.width());
        self.pieces.take(frames as u32, |_, pcm| {
            let samples = out.iter_mut().zip(integers(width, pcm).map(float));
            if fade.is_over(slot, frames, end) {
                samples.for_each(|(out, sample)| *out = sample);
                return;
            }
            for (index, (out, sample)) in samples.enumerate() {
                *out = sample * fade.gain(slot + (index / channels) as i64, end);
            }
        });
        self.position += frames;
        (self.played, self.silence, self.is_fresh) = (self.position, 0, false);
    }
}
