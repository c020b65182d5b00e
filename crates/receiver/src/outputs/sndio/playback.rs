//! [`Playback`]: a device that plays, from its opening to the last frame heard.

use std::time::{Duration, Instant};

use super::super::OutputError;
use super::super::pace::{PATIENCE, time};
use super::handle::Handle;
use crate::Moment;
use crate::player::supply::{Device, Next, Supply};

/// A device that plays.
pub struct Playback {
    handle: Handle,
    device: Device,
    /// Frames that the device has taken.
    written: i64,
    /// When it took the last.
    taken: Instant,
}

impl Playback {
    /// Plays on a device that has been started.
    pub fn new(handle: Handle, device: Device) -> Self {
        Self { handle, device, written: 0, taken: Instant::now() }
    }

    /// Plays until the supply is over.
    ///
    /// # Errors
    /// The device has gone, or it takes nothing.
    pub fn run(&mut self, supply: &mut dyn Supply) -> Result<(), OutputError> {
        let mut block = vec![0; self.device.most_frames * self.device.frame_bytes()];
        loop {
            while !self.wait()? {}
            let next = supply.render(&mut block, Moment::now(), self.delay());
            self.write(&block)?;
            if next == Next::Over {
                return self.drain(&mut block);
            }
        }
    }

    /// The time until a frame that is written now is heard: what has been written and not been played, less what has
    /// been played since the device told that.
    fn delay(&self) -> Duration {
        let (played, passed) = match self.handle.position() {
            Some((played, at)) => (played, Moment::now().since(at)),
            None => (0, Duration::ZERO),
        };
        time(self.written - played, self.device.rate).saturating_sub(passed)
    }

    /// Waits until something happens. True if there is room.
    fn wait(&mut self) -> Result<bool, OutputError> {
        if self.handle.has_gone() {
            return Err(OutputError::Gone("sndio's server has ended, or its device has gone".into()));
        }
        let left = PATIENCE.checked_sub(self.taken.elapsed());
        let left = left.ok_or_else(|| OutputError::Gone("sndio takes no sound".into()))?;
        Ok(self.handle.wait(left))
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<(), OutputError> {
        let frame = self.device.frame_bytes();
        let mut partial = 0;
        while !bytes.is_empty() {
            let written = self.handle.write(bytes);
            bytes = bytes.get(written..).unwrap_or(&[]);
            partial += written;
            self.written += (partial / frame) as i64;
            partial %= frame;
            if written > 0 {
                self.taken = Instant::now();
            } else {
                self.wait()?;
            }
        }
        Ok(())
    }

    /// Plays what the device has: silence is written until all of it has been heard, and then the device is closed in
    /// the middle of the silence. To stop it would wait without an end if the server hangs.
    fn drain(&mut self, block: &mut [u8]) -> Result<(), OutputError> {
        block.fill(0);
        let end = Instant::now() + self.delay().min(PATIENCE);
        while Instant::now() < end {
            self.write(block)?;
        }
        Ok(())
    }
}
