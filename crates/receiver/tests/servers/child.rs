//! Plays a signal in a process of its own, which has the environment of a server: a program finds its server there, and
//! the tests of this process run at the same time with others.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use protocol::StreamFormat;
use receiver::outputs::{self, Output, OutputChoice, OutputError};
use receiver::player::supply::{Device, Next, SampleType, Supply};
use receiver::{Moment, speakers};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::signal::{Content, Signal};

/// What the child is to play, in its environment.
const ORDER: &str = "SCREAM_TEST_ORDER";

/// What is to be played, and on what.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Order {
    /// The name of the output.
    pub output: String,
    /// As in [`OutputChoice`].
    pub device: Option<String>,
    /// As in [`OutputChoice`].
    pub sink: Option<String>,
    /// As in [`OutputChoice`].
    pub connect: bool,
    /// The delay that the output is to stay within.
    pub target: Duration,
    /// Rate, bits, channels and mask.
    pub format: (u32, u16, u16, u16),
    /// The signal.
    pub content: Content,
    /// How long it is.
    pub time: Duration,
}

/// What the output did.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub enum Outcome {
    /// It played to the end.
    Played,
    /// The output was gone.
    Gone(String),
    /// The output cannot do that.
    Impossible(String),
}

/// What the output did, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// What the output said of itself.
    pub probed: Result<String, String>,
    /// How it ended.
    pub outcome: Outcome,
    /// How many frames were asked for, at least.
    pub frames: u64,
    /// The delay that the output told, in seconds: the mean of the last half.
    pub delay: f64,
    /// By how much the time at which a frame would be heard varied, in seconds: of means over 0.2 s in the last half.
    pub wander: f64,
}

impl Report {
    /// Checks that the delay was that of a server with generous buffers, and that frames were to be heard one after the
    /// other: what steers the player is the difference between such times.
    #[track_caller]
    pub fn has_steady_delay(&self) {
        assert!((0.01..0.4).contains(&self.delay), "a delay of {} s", self.delay);
        assert!(self.wander < 0.02, "the delay wanders by {} s", self.wander);
    }
}

impl Order {
    /// Tones on an output with everything else as usual in these tests.
    pub fn tones(output: &str, rate: u32, mask: u16, seconds: f64) -> Self {
        Self {
            output: output.to_owned(),
            device: None,
            sink: None,
            connect: true,
            target: Duration::from_millis(200),
            format: (rate, 16, mask.count_ones() as u16, mask),
            content: Content::Tones,
            time: Duration::from_secs_f64(seconds),
        }
    }

    /// Random samples of a width, bit-exactly.
    pub fn random(output: &str, rate: u32, bits: u16, mask: u16, seconds: f64) -> Self {
        let tones = Self::tones(output, rate, mask, seconds);
        Self { format: (rate, bits, tones.format.2, mask), content: Content::Random, ..tones }
    }

    /// The format of the stream.
    pub fn format(&self) -> StreamFormat {
        let (rate, bits, channels, mask) = self.format;
        StreamFormat::new(rate, bits, channels, mask).expect("a format that there is")
    }

    /// Starts to play in the environment of a server.
    pub fn start(&self, environment: &[(&'static str, OsString)]) -> Player {
        let folder = TempDir::new().expect("a temporary folder");
        let order = serde_json::to_string(self).expect("an order is JSON");
        let log = fs::File::create(folder.path().join("log")).expect("a log file");
        let child = Command::new(env::current_exe().expect("this program"))
            .args(["child::a_signal_plays_to_its_end", "--exact", "--nocapture"])
            .env(ORDER, order)
            .env("SCREAM_TEST_REPORT", folder.path().join("report"))
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle of a file"))
            .stderr(log)
            .spawn()
            .expect("this program starts again");
        Player { child, folder }
    }
}

/// A child that plays.
pub struct Player {
    child: Child,
    folder: TempDir,
}

impl Player {
    /// Waits until it has ended, but no longer than this.
    pub fn end(self, within: Duration) -> Report {
        self.end_with_log(within).0
    }

    /// Waits until it has ended, but no longer than this, and gives what it has printed, too.
    pub fn end_with_log(mut self, within: Duration) -> (Report, String) {
        let end = Instant::now() + within;
        while self.child.try_wait().expect("a child can be waited for").is_none() {
            assert!(Instant::now() < end, "it plays for longer than {within:?}: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        let report = fs::read(self.folder.path().join("report"));
        let report = report.unwrap_or_else(|why| panic!("no report ({why}): {}", self.log()));
        (serde_json::from_slice(&report).expect("a report is JSON"), self.log())
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// In a child it plays what the other tests want of it; otherwise it plays nowhere.
#[test]
fn a_signal_plays_to_its_end() {
    let Ok(order) = env::var(ORDER) else {
        let order = Order::tones("nowhere", 48_000, 0x3, 1.0);
        let report = play(Ok(Box::new(Nowhere)), &order);
        assert_eq!((report.outcome, report.frames), (Outcome::Played, 48_000 - 480));
        return;
    };
    let order: Order = serde_json::from_str(&order).expect("an order is JSON");
    let choice = OutputChoice {
        device: order.device.clone(),
        sink: order.sink.clone(),
        connect: order.connect,
        target: order.target,
        bit_exact: order.content == Content::Random,
        ..OutputChoice::new(order.output.parse().expect("an output that there is"))
    };
    let report = play(outputs::open(&choice), &order);
    let to = env::var_os("SCREAM_TEST_REPORT").expect("the parent says where the report goes");
    fs::write(to, serde_json::to_vec(&report).expect("a report is JSON")).expect("the report can be written");
}

fn play(output: Result<Box<dyn Output>, OutputError>, order: &Order) -> Report {
    let signal = Signal::new(order.format(), order.content, order.time);
    let log = signal.log();
    let (probed, played) = match output {
        Ok(mut output) => (output.probe(), output.play(Box::new(signal)).1),
        Err(why) => (Err(why.clone()), Err(why)),
    };
    let outcome = match played {
        Ok(()) => Outcome::Played,
        Err(OutputError::Gone(why)) => Outcome::Gone(why),
        Err(OutputError::Impossible(why)) => Outcome::Impossible(why),
    };
    let log = log.lock().expect("nobody panicked with it");
    let rate = log.device.as_ref().map_or(1, |device| device.rate);
    let later = &log.told[log.told.len() / 2..];
    let delay = mean(later.iter().map(|told| told.delay.as_secs_f64()));
    // When the first frame would be heard, as each of the blocks tells it.
    let heard = |told: &crate::signal::Told| {
        told.now.later(told.delay).since(Moment(0)).as_secs_f64() - told.frame as f64 / f64::from(rate)
    };
    let span = (f64::from(rate) * 0.2) as u64;
    let parts = later.chunk_by(|one, next| one.frame / span == next.frame / span);
    let parts: Vec<_> = parts.map(|part| mean(part.iter().map(heard))).collect();
    let most = parts.iter().copied().fold(f64::MIN, f64::max);
    let wander = if parts.is_empty() { 0.0 } else { most - parts.iter().copied().fold(f64::MAX, f64::min) };
    let line = |why: OutputError| match why {
        OutputError::Gone(why) | OutputError::Impossible(why) => why,
    };
    let frames = log.told.last().map_or(0, |told| told.frame);
    Report { probed: probed.map_err(line), outcome, frames, delay, wander }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len().max(1) as f64;
    values.sum::<f64>() / count
}

/// Plays as fast as it gets something.
struct Nowhere;

impl Output for Nowhere {
    fn probe(&mut self) -> Result<String, OutputError> {
        Ok("nowhere".into())
    }

    fn play(&mut self, mut supply: Box<dyn Supply>) -> (Box<dyn Supply>, Result<(), OutputError>) {
        let format = supply.format();
        let device = Device {
            rate: format.rate().get(),
            samples: SampleType::F32,
            speakers: speakers::of(format),
            most_frames: 480,
        };
        let attached = supply.attach(&device).map_err(OutputError::Impossible);
        let mut block = vec![0; 480 * device.frame_bytes()];
        while supply.render(&mut block, Moment::now(), Duration::ZERO) == Next::More {}
        (supply, attached)
    }
}
