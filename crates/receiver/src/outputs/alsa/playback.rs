//! [`Playback`]: a device that plays, from its opening to the last frame heard.

use std::thread;
use std::time::{Duration, Instant};

use alsa::Error;
use alsa::pcm::{Frames, State};

use super::super::OutputError;
use super::super::lent::Lent;
use super::super::pace::{PATIENCE, time};
use super::setup::{Ready, reason};
use crate::player::supply::Next;

/// A wait that is shorter than this did not wait.
const AT_ONCE: Duration = Duration::from_micros(200);

/// A device that plays.
pub struct Playback {
    name: String,
    ready: Ready,
    pacer: Pacer,
    /// When the device last took something.
    taken: Instant,
}

impl Playback {
    /// Plays on a device that is set up.
    pub fn new(name: &str, ready: Ready) -> Self {
        let pacer = Pacer::new(time(ready.buffer, ready.device.rate));
        Self { name: name.to_owned(), ready, pacer, taken: Instant::now() }
    }

    /// Plays until the supply is over.
    ///
    /// # Errors
    /// The device has gone, or it takes nothing.
    pub fn run(mut self, lent: &Lent) -> Result<(), OutputError> {
        let (frame, rate) = (self.ready.device.frame_bytes(), self.ready.device.rate);
        let mut block = vec![0; self.ready.device.most_frames * frame];
        self.taken = Instant::now();
        loop {
            let (count, delay) = self.room()?;
            let frames = &mut block[..count * frame];
            let next = lent.render(frames, frame, count, rate, delay);
            self.write(frames)?;
            if next == Next::Over {
                return self.drain(&mut block);
            }
        }
    }

    /// Waits until the device takes something: how many frames, and when they will be heard.
    fn room(&mut self) -> Result<(usize, Duration), OutputError> {
        loop {
            match self.ready.pcm.avail() {
                Ok(room) if room >= self.least_room() => {
                    let most = Frames::try_from(self.ready.device.most_frames).unwrap_or(Frames::MAX);
                    let frames = usize::try_from(room.min(most)).unwrap_or(1);
                    return Ok((frames, self.delay(room)));
                }
                Ok(_) => self.wait()?,
                Err(why) => self.recover(why)?,
            }
        }
    }

    /// The time until a frame that is written now is heard. Plugins that do not tell it before they play are asked in
    /// vain; then it is what has been written.
    fn delay(&self, room: Frames) -> Duration {
        let delay = self.ready.pcm.delay().unwrap_or(self.ready.buffer - room);
        time(delay, self.ready.device.rate)
    }

    /// While it does not play yet, whatever is free is filled: a rest of less than a period would keep it from starting.
    fn least_room(&self) -> Frames {
        if self.ready.pcm.state() == State::Running { self.ready.period } else { 1 }
    }

    fn wait(&mut self) -> Result<(), OutputError> {
        if self.ready.pcm.state() == State::Prepared {
            // It is full, and waits for frames that it has no room for.
            return self.ready.pcm.start().or_else(|why| self.recover(why));
        }
        let left = PATIENCE.checked_sub(self.taken.elapsed());
        let left =
            left.ok_or_else(|| OutputError::Gone(format!("ALSA's device `{}` takes no sound", self.name)))?;
        let since = Instant::now();
        let waited = self.ready.pcm.wait(Some(u32::try_from(left.as_millis()).unwrap_or(0) + 1));
        if since.elapsed() >= AT_ONCE {
            self.pacer.blocked();
        } else {
            // Plugins say that there is room when there is less than a period: without a rest this would spin.
            thread::sleep(time(self.ready.period, self.ready.device.rate) / 4);
        }
        waited.map(|_| ()).or_else(|why| self.recover(why))
    }

    fn write(&mut self, mut frames: &[u8]) -> Result<(), OutputError> {
        while !frames.is_empty() {
            let written = self.ready.pcm.io_bytes().writei(frames);
            match written {
                Ok(0) => self.wait()?,
                Ok(written) => {
                    frames = frames.get(written * self.ready.device.frame_bytes()..).unwrap_or(&[]);
                    self.taken = Instant::now();
                    let ahead = self.pacer.wrote(time(written as Frames, self.ready.device.rate));
                    thread::sleep(ahead);
                }
                Err(why) if why.errno().abs() == libc::EAGAIN => self.wait()?,
                Err(why) => self.recover(why)?,
            }
        }
        Ok(())
    }

    /// Plays what the device has: silence is written until all of it has been heard, and then the device is stopped in
    /// the middle of the silence. ALSA's own draining waits without an end, and does not work in every plugin.
    fn drain(mut self, block: &mut [u8]) -> Result<(), OutputError> {
        block.fill(0);
        let delay = self
            .ready
            .pcm
            .avail_delay()
            .map_or(Duration::ZERO, |(_, delay)| time(delay, self.ready.device.rate));
        let end = Instant::now() + delay.min(PATIENCE);
        if self.ready.pcm.state() == State::Prepared {
            let _ = self.ready.pcm.start();
        }
        while Instant::now() < end {
            let (frames, _) = self.room()?;
            self.write(&block[..frames * self.ready.device.frame_bytes()])?;
        }
        let _ = self.ready.pcm.drop();
        Ok(())
    }

    /// After an underrun and after the computer slept, the device begins anew, with a full buffer.
    fn recover(&mut self, why: Error) -> Result<(), OutputError> {
        let gone =
            |why: Error| OutputError::Gone(format!("{} has gone ({})", device(&self.name), reason(why)));
        if self.taken.elapsed() > PATIENCE {
            return Err(gone(why));
        }
        match why.errno().abs() {
            libc::EPIPE => self.ready.pcm.prepare().map_err(gone),
            libc::ESTRPIPE => match self.ready.pcm.resume() {
                Ok(()) => Ok(()),
                Err(why) if why.errno().abs() == libc::EAGAIN => {
                    thread::sleep(time(self.ready.period, self.ready.device.rate));
                    Ok(())
                }
                Err(_) => self.ready.pcm.prepare().map_err(gone),
            },
            libc::EAGAIN | libc::EINTR => Ok(()),
            _ => Err(gone(why)),
        }
    }
}

/// What a device is called in a line.
pub fn device(name: &str) -> String {
    format!("ALSA's device `{name}`")
}

/// Holds up a device that takes any amount at once, like ALSA's `null`, so that it takes sound in real time. A device
/// that blocks now and then has a clock of its own, and is left alone.
struct Pacer {
    buffer: Duration,
    since: Instant,
    written: Duration,
}

impl Pacer {
    fn new(buffer: Duration) -> Self {
        Self { buffer, since: Instant::now(), written: Duration::ZERO }
    }

    fn blocked(&mut self) {
        *self = Self::new(self.buffer);
    }

    /// So much has been written. How long to rest, because a device that has this buffer could not have taken it yet.
    fn wrote(&mut self, time: Duration) -> Duration {
        self.written += time;
        let elapsed = self.since.elapsed();
        if elapsed > self.written {
            self.blocked();
        }
        // Twice the buffer: it may have had room for one when the count began.
        self.written.saturating_sub(elapsed + self.buffer * 2)
    }
}
