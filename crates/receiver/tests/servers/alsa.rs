//! ALSA, with a configuration of its own.
//!
//! [`AlsaFile`] is its file plugin, which writes what the null device behind it would play, in whatever format it is
//! set up for. That device has no clock and takes any amount at once: the output has to play in real time of its own
//! accord. [`AlsaOnPulse`] has the clock of a PulseAudio server behind it, and says in which order it takes channels.

use std::ffi::OsString;
use std::fs;
use std::time::{Duration, Instant};

use receiver::player::supply::SampleType;
use receiver::speakers::Speaker;
use tempfile::TempDir;

use crate::analysis::Recorded;
use crate::child::{Order, Outcome};
use crate::every::{has_tones, line_of_gone, plays_on_after_a_pause};
use crate::pulse::Pulse;
use crate::server::{Process, Recording, SOON, Server, ServerProcess, Sink, at_once, value};

/// The order in which devices take these speakers that do not say theirs: the sides, where there is no back, are the
/// rear pair.
fn order(sink: Sink) -> Vec<Speaker> {
    use Speaker::{BackLeft, BackRight, FrontCenter, FrontLeft, FrontRight, SideLeft, SideRight, Subwoofer};
    match sink.mask {
        0x3F => vec![FrontLeft, FrontRight, BackLeft, BackRight, FrontCenter, Subwoofer],
        0x60F => vec![FrontLeft, FrontRight, SideLeft, SideRight, FrontCenter, Subwoofer],
        0x63F => {
            vec![FrontLeft, FrontRight, BackLeft, BackRight, FrontCenter, Subwoofer, SideLeft, SideRight]
        }
        _ => sink.speakers(),
    }
}

fn configuration(text: &str) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    fs::write(folder.path().join("asoundrc"), text).expect("a configuration can be written");
    folder
}

/// A file in place of the device `default`.
pub struct AlsaFile {
    folder: TempDir,
    file: TempDir,
    sink: Sink,
}

impl Server for AlsaFile {
    const OUTPUT: &'static str = "alsa";

    fn start(sink: Sink) -> Self {
        let file = TempDir::new().expect("a temporary folder");
        let path = file.path().join("played");
        let text = format!(
            "pcm.default {{ type file format raw file \"{}\" slave.pcm {{ type null }} }}\n",
            path.display()
        );
        Self { folder: configuration(&text), file, sink }
    }

    fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![("ALSA_CONFIG_PATH", self.folder.path().join("asoundrc").into())]
    }

    /// The file is complete only when the program that plays has closed the device.
    fn record(&self, _time: Duration) -> Recording {
        let (path, sink) = (self.file.path().join("played"), self.sink);
        Recording::new(move || {
            let played = fs::read(path).expect("ALSA's file plugin has written");
            let samples = played.chunks_exact(sink.samples.bytes()).map(|bytes| value(bytes, sink.samples));
            Recorded::new(sink.rate, &order(sink), samples)
        })
    }
}

/// A PulseAudio server in place of the device `default`.
pub struct AlsaOnPulse {
    pulse: Pulse,
    folder: TempDir,
}

impl Server for AlsaOnPulse {
    const OUTPUT: &'static str = "alsa";

    fn start(sink: Sink) -> Self {
        Self { pulse: Pulse::start(sink), folder: configuration("pcm.default { type pulse }\n") }
    }

    fn environment(&self) -> Vec<(&'static str, OsString)> {
        let mut environment = self.pulse.environment();
        environment.push(("ALSA_CONFIG_PATH", self.folder.path().join("asoundrc").into()));
        environment
    }

    fn record(&self, time: Duration) -> Recording {
        self.pulse.record(time)
    }
}

impl ServerProcess for AlsaOnPulse {
    fn process(&mut self) -> &mut Process {
        self.pulse.process()
    }
}

#[test]
fn each_channel_is_where_alsa_has_its_speaker() {
    at_once([0x4, 0x3, 0x3F, 0x60F, 0x63F], |mask| {
        let server = AlsaFile::start(Sink::new(48_000, mask));
        let order = Order::tones("alsa", 48_000, mask, 1.0);
        let begin = Instant::now();
        let report = order.start(&server.environment()).end(SOON);
        assert_eq!(report.outcome, Outcome::Played);
        // The device holds 100 ms of it, and the output may be as much ahead again.
        assert!(begin.elapsed() > Duration::from_millis(700), "not in real time: {:?}", begin.elapsed());
        assert_eq!(server.record(Duration::ZERO).finish().has_tones(order.format(), 1.0), Ok(()));
    });
}

#[test]
fn samples_reach_the_device_as_they_were_sent() {
    at_once([(16, SampleType::I16), (24, SampleType::I24), (32, SampleType::I32)], |(bits, samples)| {
        let server = AlsaFile::start(Sink { rate: 96_000, samples, mask: 0x3F });
        let order = Order::random("alsa", 96_000, bits, 0x3F, 0.5);
        let report = order.start(&server.environment()).end(SOON);
        assert_eq!(report.outcome, Outcome::Played);
        assert_eq!(server.record(Duration::ZERO).finish().has_random(order.format(), 48_000), Ok(()));
    });
}

#[test]
fn a_device_that_says_its_order_is_played_in_that_order() {
    at_once([0x4, 0x3, 0x3F, 0x63F], |mask| {
        has_tones::<AlsaOnPulse>(Sink::new(48_000, mask), 48_000, mask, 1.5)
    });
}

#[test]
fn a_device_whose_server_pauses_is_played_on() {
    plays_on_after_a_pause::<AlsaOnPulse>();
}

#[test]
fn a_device_whose_server_crashes_or_hangs_is_gone() {
    let line = line_of_gone(AlsaOnPulse::kill);
    assert!(line.starts_with("ALSA's device `default` "), "{line}");
    let line = line_of_gone(AlsaOnPulse::hang);
    assert_eq!(
        line,
        "ALSA's device `default` takes no sound: it hangs, or is connected to nothing that plays"
    );
}

#[test]
fn an_unknown_device_is_one_line_and_nothing_else_is_printed() {
    let server = AlsaFile::start(Sink::new(48_000, 0x3));
    let mut order = Order::tones("alsa", 48_000, 0x3, 1.0);
    order.device = Some("nonesuch".into());
    let player = order.start(&server.environment());
    let (report, log) = player.end_with_log(SOON);
    let line = "ALSA has no device `nonesuch` (No such file or directory (os error 2)): `aplay -L` lists those that there are";
    assert_eq!(report.probed, Err(line.into()));
    assert_eq!(report.outcome, Outcome::Gone(line.into()));
    assert!(!log.contains("ALSA lib"), "{log}");
}

#[test]
fn what_plug_would_convert_is_refused_if_bit_exact() {
    // It takes everything, and makes it what its slave takes.
    let plug = "pcm.default { type plug slave { pcm { type null } format S16_LE rate 48000 channels 2 } }\n";
    let folder = configuration(plug);
    let environment = [("ALSA_CONFIG_PATH", folder.path().join("asoundrc").into())];
    let outcome = |order: Order| order.start(&environment).end(SOON).outcome;
    let line = "ALSA's device `default` does not take 24 bits as they are: leave out --bit-exact";
    assert_eq!(outcome(Order::random("alsa", 48_000, 24, 0x3, 0.1)), Outcome::Impossible(line.into()));
    let line = "the device plays 48000 Hz, I16, not 44100 Hz, 16 bits";
    assert_eq!(outcome(Order::random("alsa", 44_100, 16, 0x3, 0.1)), Outcome::Impossible(line.into()));
    assert_eq!(outcome(Order::random("alsa", 48_000, 16, 0x3, 0.1)), Outcome::Played);
    assert_eq!(outcome(Order::tones("alsa", 44_100, 0x3F, 0.1)), Outcome::Played);
}
