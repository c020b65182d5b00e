//! [`Paced`]: an output that plays into a [`Recorder`], at the pace of the clock.
//!
//! Files have no clock of their own. When several senders are mixed, this one says how much of each belongs together.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use protocol::{SampleWidth, StreamFormat};

use super::{Output, OutputError, Recorder};
use crate::Moment;
use crate::delivery::duration_of;
use crate::player::supply::{Device, Next, SampleType, Supply};
use crate::speakers;

/// Periods in a second; every rate is a multiple of it.
const PERIODS: u32 = 100;
/// A clock that is behind by so much has stood still, with all of the computer.
const STOPPED: Duration = Duration::from_secs(1);

/// Plays into a recorder.
pub struct Paced {
    recorder: Box<dyn Recorder>,
    /// Told once nobody wants what is recorded.
    end: Arc<AtomicBool>,
    is_closed: bool,
}

impl Paced {
    /// Makes `end` true once nobody wants what is recorded.
    pub fn new(recorder: Box<dyn Recorder>, end: Arc<AtomicBool>) -> Self {
        Self { recorder, end, is_closed: false }
    }

    fn record(&mut self, supply: &mut dyn Supply) -> Result<(), OutputError> {
        let format = supply.format();
        let device = device(format);
        supply.attach(&device).map_err(OutputError::Impossible)?;
        let mut frames = vec![0; device.most_frames * device.frame_bytes()];
        let mut base = Moment::now();
        let mut played = 0;
        loop {
            let deadline = base + duration_of(played, device.rate);
            let now = Moment::now();
            if now < deadline {
                thread::sleep(deadline.since(now));
            } else if now.since(deadline) > STOPPED {
                (base, played) = (now, 0);
            }
            let next = supply.render(&mut frames, Moment::now(), Duration::ZERO);
            self.keep(format, &frames)?;
            played += device.most_frames as u64;
            if next == Next::Over {
                return self.judge(|recorder| recorder.finish());
            }
        }
    }

    fn keep(&mut self, format: StreamFormat, frames: &[u8]) -> Result<(), OutputError> {
        self.judge(|recorder| recorder.write(format, frames))
    }

    /// Does something with the recorder. That nobody wants what is recorded is no failure: the program ends, and until then
    /// everything goes on as if somebody did.
    fn judge(
        &mut self,
        act: impl FnOnce(&mut dyn Recorder) -> std::io::Result<()>,
    ) -> Result<(), OutputError> {
        if self.is_closed {
            return Ok(());
        }
        match act(&mut *self.recorder) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.is_closed = true;
                self.end.store(true, Ordering::Relaxed);
                Ok(())
            }
            result => result.map_err(|error| OutputError::Impossible(error.to_string())),
        }
    }
}

impl Output for Paced {
    fn probe(&mut self) -> Result<String, OutputError> {
        Ok(self.recorder.name())
    }

    fn play(&mut self, mut supply: Box<dyn Supply>) -> (Box<dyn Supply>, Result<(), OutputError>) {
        let result = self.record(&mut *supply);
        (supply, result)
    }
}

/// The device that takes a format as it is.
fn device(format: StreamFormat) -> Device {
    let rate = format.rate().get();
    Device {
        rate,
        samples: match format.width() {
            SampleWidth::Bits16 => SampleType::I16,
            SampleWidth::Bits24 => SampleType::I24,
            SampleWidth::Bits32 => SampleType::I32,
        },
        speakers: speakers::of(format),
        most_frames: (rate / PERIODS) as usize,
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use super::*;

    /// Gives numbered frames, a few times.
    struct Numbers {
        format: StreamFormat,
        left: u32,
        attached: Arc<Mutex<Option<Device>>>,
    }

    impl Supply for Numbers {
        fn format(&self) -> StreamFormat {
            self.format
        }

        fn is_bit_exact(&self) -> bool {
            false
        }

        fn attach(&mut self, device: &Device) -> Result<(), String> {
            *self.attached.lock().expect("one thread holds it") = Some(device.clone());
            Ok(())
        }

        fn render(&mut self, frames: &mut [u8], _: Moment, _: Duration) -> Next {
            frames.fill(self.left as u8);
            self.left -= 1;
            if self.left == 0 { Next::Over } else { Next::More }
        }
    }

    #[derive(Default)]
    struct Tape {
        written: Arc<Mutex<Vec<u8>>>,
        finished: Arc<AtomicBool>,
        is_broken: bool,
    }

    impl Recorder for Tape {
        fn write(&mut self, _: StreamFormat, pcm: &[u8]) -> io::Result<()> {
            if self.is_broken {
                return Err(ErrorKind::BrokenPipe.into());
            }
            self.written.lock().expect("one thread holds it").extend(pcm);
            Ok(())
        }

        fn finish(&mut self) -> io::Result<()> {
            self.finished.store(true, Ordering::Relaxed);
            Ok(())
        }

        fn name(&self) -> String {
            "tape".into()
        }
    }

    fn numbers() -> Numbers {
        let format = StreamFormat::new(44_100, 24, 2, 0x3).expect("a format");
        Numbers { format, left: 3, attached: Arc::default() }
    }

    #[test]
    fn periods_are_recorded_at_the_pace_of_the_clock_until_the_supply_is_over() {
        let (numbers, tape) = (numbers(), Tape::default());
        let (attached, written, finished) =
            (Arc::clone(&numbers.attached), Arc::clone(&tape.written), Arc::clone(&tape.finished));
        let begin = Moment::now();
        let (_, result) = Paced::new(Box::new(tape), Arc::default()).play(Box::new(numbers));
        assert_eq!(result, Ok(()));
        // The first period is rendered at once, the others when the one before is over.
        assert!(Moment::now().since(begin) >= Duration::from_millis(20));
        let device = attached.lock().expect("one thread holds it").clone().expect("it was attached");
        assert_eq!((device.rate, device.samples, device.most_frames), (44_100, SampleType::I24, 441));
        let period = 441 * 6;
        let expected = [[3_u8].repeat(period), [2].repeat(period), [1].repeat(period)].concat();
        assert_eq!(*written.lock().expect("one thread holds it"), expected);
        assert!(finished.load(Ordering::Relaxed));
    }

    #[test]
    fn what_is_still_played_when_the_program_is_asked_to_end_is_recorded() {
        let tape = Tape::default();
        let (written, finished) = (Arc::clone(&tape.written), Arc::clone(&tape.finished));
        let mut paced = Paced::new(Box::new(tape), Arc::new(AtomicBool::new(true)));
        assert_eq!(paced.play(Box::new(numbers())).1, Ok(()));
        assert_eq!(written.lock().expect("one thread holds it").len(), 3 * 441 * 6);
        assert!(finished.load(Ordering::Relaxed));
    }

    #[test]
    fn a_closed_pipe_is_told_to_whoever_asks_and_no_failure() {
        let is_closed = Arc::new(AtomicBool::new(false));
        let tape = Tape { is_broken: true, ..Tape::default() };
        let (_, result) = Paced::new(Box::new(tape), Arc::clone(&is_closed)).play(Box::new(numbers()));
        assert_eq!(result, Ok(()));
        assert!(is_closed.load(Ordering::Relaxed));
    }
}
