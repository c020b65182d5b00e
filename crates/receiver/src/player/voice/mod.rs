//! [`Voice`]: one stream being played.
//!
//! Life cycle: packets are [accepted](Voice::accept) and get their slots; [`Voice::render`] takes frames from the slots that
//! are due through the resampler ([`smooth`]), [`Voice::render_exact`] takes them as they are ([`exact`]).

mod exact;
mod smooth;
#[cfg(test)]
mod tests;

use std::time::Duration;

use protocol::StreamFormat;

use super::clock::ClockControl;
use super::fade::Fade;
use super::joins;
use super::pieces::{Pieces, Pushed};
use super::resampler::Resampler;
use super::target::Target;
use super::thread::Settings;
use super::timeline::Timeline;
use crate::{Delivery, Moment};

/// After so long without a packet a stream has ended; what comes then is another.
const ENDED: Duration = Duration::from_millis(500);
/// What comes at once after a stall, beside what waits for its time, has room for so many seconds.
const ROOM: f64 = 0.5;

/// What became of packets of a voice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that seem to have been lost.
    pub lost: u64,
    /// Packets that came twice.
    pub doubled: u64,
    /// Packets that came too late.
    pub late: u64,
    /// Times that there was nothing to play in the middle of the stream.
    pub underruns: u64,
    /// Times that audio was left out, or time, to correct the delay.
    pub cuts: u64,
}

/// The position changes: at a slot, by so many slots; backwards means that time passes in silence.
#[derive(Clone, Copy, Debug)]
struct Jump {
    at: i64,
    by: i64,
}

/// One stream being played.
pub struct Voice {
    format: StreamFormat,
    settings: Settings,
    target: Target,
    timeline: Timeline,
    pieces: Pieces,
    /// None if samples stay as they are.
    resampler: Option<Resampler>,
    clock: ClockControl,
    fade: Fade,
    /// The slot of the next frame that is taken.
    position: i64,
    /// The slot after the last one of which audio was taken.
    played: i64,
    jump: Option<Jump>,
    /// Seconds since the last jump.
    settled: f64,
    /// Frames of silence that were taken last, one after the other.
    silence: u64,
    /// There was nothing to play. Whether that was in the middle of the stream, or its end, the next packet tells.
    is_dry: bool,
    /// Nothing has been played since the stream began.
    is_fresh: bool,
    last: Delivery,
    /// The last packet was like the one before it.
    repeats: bool,
    rendered: Option<Moment>,
    /// When the packets that had come by then were taken last.
    looked: Option<Moment>,
    counts: Counts,
}

impl Voice {
    /// For the stream that begins with this packet, which is not accepted yet, on a device of so many frames per second.
    /// Takes memory.
    ///
    /// # Errors
    /// One line: the rates are too far apart.
    pub fn new(first: &Delivery, device_rate: u32, settings: Settings) -> Result<Self, String> {
        let format = first.format();
        let rate = format.rate().get();
        let (resampler, fade) = if settings.bit_exact {
            (None, Fade::new(0))
        } else {
            let resampler = Resampler::new(usize::from(format.channels()), rate, device_rate)?;
            (Some(resampler), Fade::new(rate))
        };
        Ok(Self {
            format,
            settings,
            target: Target::new(settings.target, settings.most, first.duration()),
            timeline: Timeline::new(first, !settings.bit_exact),
            pieces: Pieces::with_capacity(room(format, settings)),
            resampler,
            clock: ClockControl::default(),
            fade,
            position: 0,
            played: 0,
            jump: None,
            settled: 0.0,
            silence: u64::MAX,
            is_dry: false,
            is_fresh: true,
            last: first.clone(),
            repeats: true,
            rendered: None,
            looked: None,
            counts: Counts::default(),
        })
    }

    /// The format of the stream.
    pub fn format(&self) -> StreamFormat {
        self.format
    }

    /// What became of its packets.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How much faster the sender's clock is, in parts of one.
    pub fn drift(&self) -> f64 {
        self.clock.drift()
    }

    /// What the delay should be.
    pub fn target(&self) -> Duration {
        Duration::from_nanos(self.target.nanos() as u64)
    }

    /// What the delay is, on average; zero if nothing plays.
    pub fn delay(&self) -> Duration {
        let seconds = self.target.nanos() as f64 / 1e9 + self.clock.error();
        if self.is_silent() { Duration::ZERO } else { Duration::from_secs_f64(seconds.max(0.0)) }
    }

    /// Whether there is nothing to be heard, neither now nor of what has been accepted.
    pub fn is_silent(&self) -> bool {
        self.pieces.is_empty() && self.is_asleep()
    }

    /// Whether the stream has ended.
    pub fn has_ended(&self, now: Moment) -> bool {
        self.is_silent() && now.since(self.last.arrived()) > ENDED
    }

    /// Takes a packet of the stream's format.
    pub fn accept(&mut self, packet: &Delivery) {
        // Of one that has waited only until somebody looked nothing follows.
        if let Some(before) = self.looked.filter(|before| *before >= packet.arrived()) {
            self.target.lags(before.since(packet.arrived()).as_secs_f64());
        }
        if self.is_double(packet) {
            self.counts.doubled += 1;
            return;
        }
        if packet.arrived().since(self.last.arrived()) > ENDED && self.is_silent() {
            self.is_fresh = true;
            self.clock.restart();
        }
        // What is just being played has to have time to fade out.
        let begun = self.position + self.fade.frames();
        let placement = self.timeline.place(packet, begun, joins::is_smooth(&self.last, packet));
        // After a pause, or another stream, it was no wonder.
        let goes_on = !self.is_fresh && placement.shifts.iter().flatten().all(|shift| shift.is_loss);
        self.counts.underruns += u64::from(std::mem::take(&mut self.is_dry) && goes_on);
        for shift in placement.shifts.into_iter().flatten() {
            self.pieces.shift(shift.from.max(begun), shift.by);
            if !shift.is_loss {
                self.clock.disturb();
            } else {
                let packets = shift.by / i64::from(self.last.frames()).max(1);
                self.counts.lost = self.counts.lost.saturating_add_signed(packets);
            }
        }
        if self.is_fresh && self.pieces.is_empty() {
            // Before its first frame, by more than any delay.
            self.position = placement.slot - 60 * i64::from(self.format.rate().get());
        }
        if self.pieces.is_full() {
            self.leave_out_half();
        }
        match self.pieces.push(placement.slot, self.position, packet) {
            Pushed::InTime => {}
            Pushed::AfterTheEnd => self.miss(placement.slot),
            Pushed::NotAtAll => {
                self.counts.late += 1;
                self.miss(placement.slot);
            }
        }
        self.last = packet.clone();
    }

    /// A packet whose first slot this is came too late.
    fn miss(&mut self, slot: i64) {
        self.target.missed((self.position - slot).max(0) as f64 / self.rate());
    }

    /// All packets that have come until now have been accepted.
    pub fn has_all(&mut self, now: Moment) {
        self.looked = Some(now);
    }

    /// A packet that is its predecessor once more, and came with it, while the audio does not repeat itself.
    fn is_double(&mut self, packet: &Delivery) -> bool {
        let constant = packet.pcm().iter().all(|byte| *byte == packet.pcm()[0]);
        let same = packet.pcm() == self.last.pcm() && !constant;
        let close = packet.arrived().since(self.last.arrived()) * 2 < packet.duration();
        let double = same && close && !self.repeats;
        self.repeats = same && !double;
        double
    }

    /// A sender floods: half of what is there goes.
    fn leave_out_half(&mut self) {
        if let Some((first, end)) = self.pieces.range() {
            let slot = first + (end - first) / 2;
            self.pieces.skip_to(slot);
            self.position = self.position.max(slot);
            self.counts.cuts += 1;
        }
    }

    fn rate(&self) -> f64 {
        f64::from(self.format.rate().get())
    }

    /// Whether only silence has been taken for so long that the resampler holds nothing else.
    fn is_asleep(&self) -> bool {
        self.silence > 512
    }

    /// How far the slot that is due is ahead of where audio goes on, and how much of that is to be left out: the delay of a
    /// stream that begins may be too great, as long as it does not become greater than it ever may be.
    fn overdue(&self, due: i64, next: i64) -> (i64, i64) {
        let late = (due - next).max(0);
        let keeps_all = self.is_fresh || self.settings.bit_exact;
        let most = if keeps_all { (self.target.slack_nanos() as f64 / 1e9 * self.rate()) as i64 } else { 0 };
        (late, (late - most).max(0))
    }
}

/// How many packets a voice has room for.
fn room(format: StreamFormat, settings: Settings) -> usize {
    let frames = (settings.most.as_secs_f64() + ROOM) * f64::from(format.rate().get());
    let packet = f64::from(protocol::packet_frames(format).get());
    // Packets need not be full.
    ((frames / packet * 1.5) as usize).clamp(64, 16_384)
}
