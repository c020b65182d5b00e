//! [`Computer`]: one that has the driver, and [`Sound`]: what is played on it.

use std::f64::consts::TAU;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use protocol::StreamFormat;
use receiver::speakers;
use testbed::client::{Buffer, Format, Stream};
use testbed::image::Image;
use testbed::kernel::driver::service_key;
use testbed::kernel::registry::{self, Value};
use testbed::network::{RealSetup, Setup};
use testbed::{Clock, Config, Device, Driver, Machine, schedule, wsk};

use crate::signal::{AMPLITUDE, random, tone};

/// The service under which the driver is installed.
const SERVICE: &str = "Scream";

/// Nanoseconds between the opening of a stream and its start.
const BEFORE_IT_STARTS: u64 = 500_000_000;

/// This machine had no time to play in real time, and why that is known. It says nothing of the program.
#[derive(Debug)]
pub struct Busy(pub String);

/// Runs a test that needs a machine with time to spare, and once more if it turns out to have had none. What is wrong with
/// the audio is never excused.
#[track_caller]
pub fn in_real_time(test: impl Fn() -> Result<(), Busy>) {
    if let Err(Busy(why)) = test() {
        eprintln!("this machine was too busy to play in real time ({why}); once more");
        test().unwrap_or_else(|Busy(why)| panic!("this machine is too busy to play in real time: {why}"));
    }
}

/// A computer with the driver, in a thread of its own.
pub struct Computer(JoinHandle<u64>);

impl Computer {
    /// Starts one whose driver has these options. The user does something with the device and says how often the computer
    /// was too late to fill a buffer; then the computer is shut down.
    pub fn start(
        options: &[(&'static str, Value)],
        user: impl FnOnce(&Device) -> u64 + Send + 'static,
    ) -> Self {
        let options = options.to_vec();
        Self(thread::spawn(move || run(&options, user)))
    }

    /// Starts one whose driver sends to a port of this machine, and which plays something.
    pub fn plays(port: u16, sound: Sound) -> Self {
        Self::start(&sending_to(port), move |device| sound.play(device))
    }

    /// Waits until it has been shut down.
    pub fn finish(self) -> Result<(), Busy> {
        match self.0.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)) {
            0 => Ok(()),
            glitches => Err(Busy(format!("its buffer was filled too late {glitches} times"))),
        }
    }
}

/// The options of a driver that sends to a port of this machine.
pub fn sending_to(port: u16) -> [(&'static str, Value); 2] {
    [("UnicastIPv4", Value::Sz("127.0.0.1".to_owned())), ("UnicastPort", Value::Dword(port.into()))]
}

fn run(options: &[(&'static str, Value)], user: impl FnOnce(&Device) -> u64 + 'static) -> u64 {
    // The network takes every request at once: until it has, the driver leaves out what it has no room for.
    let wsk = wsk::Setup {
        sends: wsk::Completion::Inline,
        controls: wsk::Completion::Inline,
        ..wsk::Setup::default()
    };
    let config =
        Config { clock: Clock::Real, network: Setup::Real(RealSetup::default()), wsk, ..Config::default() };
    let options = options.to_vec();
    let outcome = Machine::run(config, move || {
        for (name, value) in options {
            registry::set(&format!(r"{}\Options", service_key(SERVICE)), name, value);
        }
        let driver = Driver::load(&driver_file(), SERVICE).expect("the driver loads");
        let device = Device::add(&driver).expect("the device is added");
        device.start().expect("the device starts");
        let glitches = user(&device);
        device.remove().expect("the device is removed");
        driver.unload();
        glitches
    });
    outcome.expect_clean()
}

/// The built driver: `SCREAM_SYS`, or where the build puts it.
fn driver_file() -> Image {
    let usual =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../cross/target/x86_64-pc-windows-msvc/release/scream.sys");
    let path = std::env::var_os("SCREAM_SYS").map_or_else(|| PathBuf::from(usual), PathBuf::from);
    assert!(
        path.is_file(),
        "there is no driver at {}: build it with `cargo xtask build --release`, or set SCREAM_SYS",
        path.display()
    );
    Image::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What is played.
#[derive(Clone)]
pub struct Sound {
    /// How the bytes are to be understood.
    pub format: StreamFormat,
    /// Whole frames.
    pub pcm: Vec<u8>,
}

impl Sound {
    /// On each speaker of the format its tone. Whole hundredths of a second begin and end with zeros.
    pub fn tones(format: StreamFormat, seconds: f64) -> Self {
        let tones: Vec<_> = speakers::of(format).into_iter().map(tone).collect();
        Self::of_tones(format, &tones, seconds)
    }

    /// On each channel this tone, in Hz.
    pub fn of_tones(format: StreamFormat, tones: &[f64], seconds: f64) -> Self {
        let rate = f64::from(format.rate().get());
        Self::of(format, seconds, |frame, channel| {
            let turns = (frame as f64 * tones[channel] / rate).fract();
            (AMPLITUDE * (turns * TAU).sin() * 2_f64.powi(31)) as i32
        })
    }

    /// Samples that look random.
    pub fn random(format: StreamFormat, seconds: f64) -> Self {
        let speakers = speakers::of(format);
        Self::of(format, seconds, |frame, channel| random(frame, speakers[channel], format.bits()))
    }

    /// Samples with 32 bits, of which the format has the upper ones.
    fn of(format: StreamFormat, seconds: f64, sample: impl Fn(u64, usize) -> i32) -> Self {
        let frames = (seconds * f64::from(format.rate().get())).round() as u64;
        let (channels, width) = (usize::from(format.channels()), usize::from(format.width().bytes()));
        let mut pcm = Vec::with_capacity(frames as usize * channels * width);
        for frame in 0..frames {
            for channel in 0..channels {
                pcm.extend_from_slice(&sample(frame, channel).to_le_bytes()[4 - width..]);
            }
        }
        Self { format, pcm }
    }

    /// The same with silence after it.
    pub fn and_silence(mut self, seconds: f64) -> Self {
        let frames = (seconds * f64::from(self.format.rate().get())) as usize;
        let bytes = frames * usize::from(self.format.bytes_per_frame().get());
        self.pcm.resize(self.pcm.len() + bytes, 0);
        self
    }

    /// How many frames it has.
    pub fn frames(&self) -> u64 {
        (self.pcm.len() / usize::from(self.format.bytes_per_frame().get())) as u64
    }

    /// Plays it to its end on a device; gives how often the buffer was filled too late.
    pub fn play(&self, device: &Device) -> u64 {
        let mut stream = self.open(device);
        // Who reads shared memory finds the stream within this, and begins with what comes then.
        schedule::sleep_until(schedule::now() + BEFORE_IT_STARTS);
        let played = stream.play(self.source()).expect("it plays");
        stream.close();
        assert_eq!(played.frames, self.frames());
        played.glitches
    }

    /// The same, but stands still once: after a time, for a time.
    pub fn play_with_pause(&self, device: &Device, after: Duration, pause: Duration) -> u64 {
        let mut stream = self.open(device);
        let mut player = stream.player(self.source());
        player.start().expect("it starts");
        player.run_for(after.as_nanos() as u64).expect("it plays");
        player.pause().expect("it pauses");
        schedule::sleep_until(schedule::now() + pause.as_nanos() as u64);
        player.resume().expect("it goes on");
        let played = player.finish().expect("it plays");
        stream.close();
        played.glitches
    }

    /// Plays for a time, and breaks off in the middle of the sound.
    pub fn play_and_break_off(&self, device: &Device, after: Duration) -> u64 {
        let mut stream = self.open(device);
        let mut player = stream.player(self.source());
        player.start().expect("it starts");
        player.run_for(after.as_nanos() as u64).expect("it plays");
        stream.close();
        0
    }

    fn open(&self, device: &Device) -> Stream {
        let format = self.format;
        let wanted = Format::pcm(format.rate().get(), format.bits(), format.channels());
        let wanted = wanted.with_mask(format.mask().into());
        // Half a second for each of two halves: on a busy machine the client, too, is late.
        let buffer = Buffer::Notified { bytes: format.bytes_per_second(), count: 2 };
        device.open(&wanted, buffer).expect("a stream")
    }

    fn source(&self) -> impl FnMut(&mut [u8]) -> usize {
        let mut at = 0;
        move |into| {
            let count = into.len().min(self.pcm.len() - at);
            into[..count].copy_from_slice(&self.pcm[at..at + count]);
            at += count;
            count
        }
    }
}
