//! [`Feed`]: the supply of an output: the voices that are heard, mixed, as the device takes them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use protocol::StreamFormat;
use rtrb::Consumer;

use super::routing::Routing;
use super::samples::{write_floats, write_integer};
use super::status::Status;
use super::supply::{Device, Next, Supply};
use super::thread::Settings;
use super::voice::Voice;
use crate::delivery::MAX_VOICES;
use crate::{Delivery, Moment, speakers};

/// After so long without a stream the device is closed.
const CLOSED_AFTER: Duration = Duration::from_secs(10);
/// How long the audio that is left may take to end when the program does.
const FAREWELL: Duration = Duration::from_millis(30);

/// What is played when nothing says what.
const USUAL: StreamFormat = match StreamFormat::new(48_000, 16, 2, 3) {
    Ok(format) => format,
    Err(_) => panic!("a usual format"),
};

/// Puts into the queue what has come, if nobody else does. Real-time safe.
pub type Fetch = Box<dyn FnMut() + Send>;

/// What one voice needs to be heard.
struct Heard {
    voice: Voice,
    routing: Routing,
}

/// Mixes voices for a device.
pub struct Feed {
    deliveries: Consumer<Delivery>,
    fetch: Fetch,
    settings: Settings,
    status: Arc<Status>,
    stop: Arc<AtomicBool>,
    device: Option<Device>,
    /// The format that the device has been opened for.
    format: Option<StreamFormat>,
    voices: [Option<Heard>; MAX_VOICES as usize],
    floats: Vec<f32>,
    integers: Vec<i32>,
    mixed: Vec<f32>,
    /// When there was something to be heard last.
    heard: Moment,
    stopped: Option<Moment>,
}

impl Feed {
    /// From a queue that `fetch` fills, or somebody else. `stop` ends it.
    pub fn new(
        deliveries: Consumer<Delivery>,
        fetch: Fetch,
        settings: Settings,
        status: Arc<Status>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        Self {
            deliveries,
            fetch,
            settings,
            status,
            stop,
            device: None,
            format: None,
            voices: [const { None }; MAX_VOICES as usize],
            floats: Vec::new(),
            integers: Vec::new(),
            mixed: Vec::new(),
            heard: Moment::default(),
            stopped: None,
        }
    }

    /// The format of the next stream, if there is one.
    pub fn next_format(&self) -> Option<StreamFormat> {
        self.deliveries.peek().ok().map(Delivery::format)
    }

    /// Leaves out what is too old to be played.
    pub fn leave_out_old(&mut self, now: Moment) {
        let most = self.settings.most;
        while self.deliveries.peek().is_ok_and(|delivery| now.since(delivery.arrived()) > most) {
            let _ = self.deliveries.pop();
            self.status.late.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The device is closed: voices are forgotten, but not what is known of them.
    pub fn detach(&mut self) {
        self.report();
        self.status.forget_voices();
        self.voices = [const { None }; MAX_VOICES as usize];
        (self.device, self.format) = (None, None);
    }

    /// Takes what has come. Returns whether it goes on with another format.
    fn take(&mut self) -> bool {
        (self.fetch)();
        while let Ok(delivery) = self.deliveries.peek() {
            let number = usize::from(delivery.voice());
            let fits = match &self.voices[number] {
                Some(heard) => heard.voice.format() == delivery.format(),
                None => self.settings.mix || Some(delivery.format()) == self.format,
            };
            if !fits && !self.settings.mix {
                return true;
            }
            let Ok(delivery) = self.deliveries.pop() else { return false };
            // Where all are mixed, a voice may change its format without the device.
            if !fits || self.voices[number].is_none() {
                self.voices[number] = self.voice(&delivery);
            }
            if let Some(heard) = &mut self.voices[number] {
                heard.voice.accept(&delivery);
            }
        }
        false
    }

    fn voice(&self, first: &Delivery) -> Option<Heard> {
        let device = self.device.as_ref()?;
        let voice = Voice::new(first, device.rate, self.settings).ok()?;
        Some(Heard { voice, routing: Routing::new(&speakers::of(first.format()), &device.speakers) })
    }

    fn render_floats(&mut self, frames: &mut [u8], device: &Device, now: Moment, heard: Moment) {
        let count = frames.len() / device.frame_bytes();
        let mixed = &mut self.mixed[..count * device.speakers.len()];
        mixed.fill(0.0);
        for Heard { voice, routing } in self.voices.iter_mut().flatten() {
            let floats = &mut self.floats[..count * usize::from(voice.format().channels())];
            voice.render(floats, now, heard, device.rate);
            routing.add(floats, mixed);
        }
        write_floats(device.samples, mixed, frames);
    }

    fn render_integers(&mut self, frames: &mut [u8], device: &Device, now: Moment, heard: Moment) {
        frames.fill(0);
        let Some(Heard { voice, routing }) = self.voices.iter_mut().flatten().next() else { return };
        let Some(channels) = routing.permutation() else { return };
        let count = frames.len() / device.frame_bytes();
        let integers = &mut self.integers[..count * channels.len()];
        voice.render_exact(integers, now, heard);
        let size = device.samples.bytes();
        for (to, from) in
            frames.chunks_exact_mut(device.frame_bytes()).zip(integers.chunks_exact(channels.len()))
        {
            for (to, channel) in to.chunks_exact_mut(size).zip(channels) {
                write_integer(device.samples, from[*channel], to);
            }
        }
    }

    /// Whether it goes on after these frames.
    fn next(&mut self, now: Moment, is_other: bool) -> Next {
        let silent = self.voices.iter().flatten().all(|heard| heard.voice.is_silent());
        if !silent {
            self.heard = now;
        }
        let long_silent = now.since(self.heard) > CLOSED_AFTER && self.deliveries.is_empty();
        let stopped = self.stopped.is_some_and(|since| now.since(since) > FAREWELL);
        if (is_other && silent) || long_silent || stopped { Next::Over } else { Next::More }
    }

    fn report(&self) {
        let voices = || self.voices.iter().flatten().map(|heard| &heard.voice);
        self.status.report(voices());
    }

    /// The program ends: what is heard fades out.
    fn fade_out(&mut self, frames: &mut [u8], device: &Device, now: Moment) {
        if !self.stop.load(Ordering::Relaxed) {
            return;
        }
        if self.stopped.is_some() {
            frames.fill(0);
            return;
        }
        self.stopped = Some(now);
        if self.settings.bit_exact {
            return;
        }
        let channels = device.speakers.len();
        let count = frames.len() / device.frame_bytes();
        for (index, frame) in self.mixed[..count * channels].chunks_exact_mut(channels).enumerate() {
            let gain = 1.0 - (index as f32 + 0.5) / count as f32;
            frame.iter_mut().for_each(|sample| *sample *= gain);
        }
        write_floats(device.samples, &self.mixed[..count * channels], frames);
    }
}

impl Supply for Feed {
    fn format(&self) -> StreamFormat {
        self.format.or(self.next_format()).unwrap_or(USUAL)
    }

    fn is_bit_exact(&self) -> bool {
        self.settings.bit_exact
    }

    fn attach(&mut self, device: &Device) -> Result<(), String> {
        let format = self.format();
        let speakers = speakers::of(format);
        if self.settings.bit_exact {
            check_exact(format, &speakers, device)?;
        }
        let most = device.most_frames.max(1);
        // Any sender may be the next that is mixed.
        let channels = usize::from(protocol::format::MAX_CHANNELS);
        self.floats = vec![0.0; most * channels];
        self.integers = vec![0; most * channels];
        self.mixed = vec![0.0; most * device.speakers.len()];
        (self.device, self.format) = (Some(device.clone()), Some(format));
        self.heard = Moment::now();
        // The first voice takes its memory now, and not while something plays.
        if let Ok(first) = self.deliveries.peek() {
            self.voices[usize::from(first.voice())] = self.voice(first);
        }
        Ok(())
    }

    fn render(&mut self, frames: &mut [u8], now: Moment, delay: Duration) -> Next {
        let is_other = self.take();
        self.voices.iter_mut().flatten().for_each(|heard| heard.voice.has_all(now));
        let Some(device) = self.device.take() else {
            frames.fill(0);
            return Next::Over;
        };
        let mut at = now + delay;
        // A device that asks for more than it said gets it in pieces.
        for piece in
            frames.chunks_mut((self.mixed.len() / device.speakers.len().max(1)).max(1) * device.frame_bytes())
        {
            if self.settings.bit_exact {
                self.render_integers(piece, &device, now, at);
            } else {
                self.render_floats(piece, &device, now, at);
            }
            self.fade_out(piece, &device, now);
            at = at + crate::delivery::duration_of((piece.len() / device.frame_bytes()) as u64, device.rate);
        }
        self.report();
        self.device = Some(device);
        self.next(now, is_other)
    }
}

/// Whether a device can play a stream bit-exactly.
fn check_exact(format: StreamFormat, speakers: &[speakers::Speaker], device: &Device) -> Result<(), String> {
    if device.rate != format.rate().get() {
        return Err(format!("it runs at {} Hz, and the stream has {} Hz", device.rate, format.rate()));
    }
    if device.samples.exact_bits() < format.bits() {
        let bits = device.samples.exact_bits();
        return Err(format!("its samples hold {bits} bits, and the stream has {}", format.bits()));
    }
    if Routing::new(speakers, &device.speakers).permutation().is_none() {
        return Err(format!(
            "its {} channels are not those of the stream, which has {}",
            device.speakers.len(),
            speakers.len()
        ));
    }
    Ok(())
}
