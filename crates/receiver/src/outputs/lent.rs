//! [`Lent`]: a supply that is lent to another thread: one of a server that calls back for sound, or one that may hang.
//!
//! The thread that plays keeps it, too, only to see how it goes, and to have the supply back at the end, at once and
//! whatever the other does: one that comes later plays silence.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::OutputError;
use super::pace::PATIENCE;
use crate::Moment;
use crate::player::supply::{Next, Supply};

/// A supply that another thread plays.
pub struct Lent {
    supply: Mutex<Option<Box<dyn Supply>>>,
    /// When the other thread last came; as in [`Moment`].
    called: AtomicU64,
    /// When everything will have been heard; 0 while there is more.
    end: AtomicU64,
}

/// How it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The other thread comes for sound.
    Plays,
    /// The supply is over, and everything has been heard.
    Heard,
    /// It has not come for [`PATIENCE`].
    Stalled,
}

impl Lent {
    /// Lends it. The other thread is to come within so much more than [`PATIENCE`] at first.
    pub fn new(supply: Box<dyn Supply>, at_first: Duration) -> Self {
        Self {
            supply: Mutex::new(Some(supply)),
            called: AtomicU64::new(Moment::now().later(at_first).0),
            end: AtomicU64::new(0),
        }
    }

    /// Fills `frames` of a frame size, so many at once at the most. `delay` is the time until the first is heard, `rate`
    /// how many there are in a second. Over if the supply is, or if it has been taken back. Real-time safe.
    pub fn render(
        &self,
        frames: &mut [u8],
        frame_bytes: usize,
        most_frames: usize,
        rate: u32,
        delay: Duration,
    ) -> Next {
        let now = Moment::now();
        self.called.store(now.0, Ordering::Relaxed);
        // Nobody else locks it but once, at the end.
        let Ok(mut supply) = self.supply.try_lock() else {
            frames.fill(0);
            return Next::Over;
        };
        let mut at = delay;
        let mut next = Next::More;
        for frames in frames.chunks_mut(frame_bytes * most_frames.max(1)) {
            let time = super::pace::time((frames.len() / frame_bytes.max(1)) as i64, rate);
            match supply.as_deref_mut() {
                Some(supply) if self.end.load(Ordering::Relaxed) == 0 => {
                    if supply.render(frames, now, at) == Next::Over {
                        self.end.store(now.later(at + time).0, Ordering::Release);
                    }
                }
                _ => {
                    frames.fill(0);
                    next = Next::Over;
                }
            }
            at += time;
        }
        if self.end.load(Ordering::Relaxed) == 0 { next } else { Next::Over }
    }

    /// How it goes.
    pub fn progress(&self) -> Progress {
        let (now, end) = (Moment::now(), Moment(self.end.load(Ordering::Acquire)));
        let called = Moment(self.called.load(Ordering::Relaxed));
        match end {
            // What was heard last is silence, so it does not matter to whom the last of it belongs.
            Moment(1..) if now > end => Progress::Heard,
            _ if now.since(called) > PATIENCE => Progress::Stalled,
            _ => Progress::Plays,
        }
    }

    /// Why it has stalled, as far as anybody can know.
    pub fn stalled(on: &str) -> OutputError {
        OutputError::Gone(format!("{on} takes no sound: it hangs, or is connected to nothing that plays"))
    }

    /// Takes the supply back. Waits for a callback that is under way, which takes no time to speak of.
    ///
    /// # Panics
    /// It was taken back before.
    pub fn take_back(&self) -> Box<dyn Supply> {
        let mut supply = self.supply.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        supply.take().expect("it is taken back once")
    }
}

#[cfg(test)]
mod tests {
    use protocol::StreamFormat;

    use super::*;
    use crate::player::supply::Device;

    /// Gives ones, so many times.
    struct Ones(u32);

    impl Supply for Ones {
        fn format(&self) -> StreamFormat {
            StreamFormat::new(48_000, 16, 1, 0x4).expect("a format")
        }

        fn is_bit_exact(&self) -> bool {
            false
        }

        fn attach(&mut self, _: &Device) -> Result<(), String> {
            Ok(())
        }

        fn render(&mut self, frames: &mut [u8], _: Moment, delay: Duration) -> Next {
            frames.fill(1);
            self.0 -= 1;
            assert_eq!(delay, Duration::from_secs(u64::from(3 - self.0)));
            if self.0 == 0 { Next::Over } else { Next::More }
        }
    }

    #[test]
    fn what_is_asked_for_beyond_the_end_is_silence() {
        let lent = Lent::new(Box::new(Ones(2)), Duration::ZERO);
        let mut frames = [9; 8];
        // Frames of 2 bytes, one at once, one each second.
        assert_eq!(lent.render(&mut frames, 2, 1, 1, Duration::from_secs(2)), Next::Over);
        assert_eq!(frames, [1, 1, 1, 1, 0, 0, 0, 0]);
        assert_eq!(lent.progress(), Progress::Plays);
    }

    #[test]
    fn a_callback_after_the_supply_was_taken_back_plays_silence() {
        let lent = Lent::new(Box::new(Ones(1)), Duration::ZERO);
        lent.take_back();
        let mut frames = [9; 4];
        assert_eq!(lent.render(&mut frames, 2, 2, 48_000, Duration::ZERO), Next::Over);
        assert_eq!(frames, [0; 4]);
    }
}
