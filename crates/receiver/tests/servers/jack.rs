//! JACK with its dummy driver, which has loudspeakers that nobody hears, and ports that monitor them.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::analysis::Recorded;
use crate::child::{Order, Outcome};
use crate::every::{has_the_same_samples, has_tones, line_of_gone, plays_on_after_a_pause};
use crate::server::{Process, Recording, SOON, Server, ServerProcess, Sink};

/// A JACK server.
pub struct Jack {
    // The order matters: it is the next server's turn when this one has ended.
    server: Process,
    folder: TempDir,
    sink: Sink,
    _turn: File,
}

impl Jack {
    fn lists(&self, port: &str) -> bool {
        let mut command = Command::new("jack_lsp");
        let listed = command.arg(port).envs(self.environment()).stderr(Stdio::null()).output();
        let listed = listed.expect("`jack_lsp` starts: is jackd2 installed?");
        String::from_utf8_lossy(&listed.stdout).contains(port)
    }
}

/// The name of all of these servers, of which there is one at a time: JACK's list of servers, one for each user, gets
/// muddled when several start at once, and has room for 8, and one that crashed stays in it until another of the same
/// name starts.
const NAME: &str = "scream-test";

/// Waits until there is no other, of whatever process. There may be one as long as the file is locked.
fn take_turn() -> File {
    let file = File::create(env::temp_dir().join("scream-test-jack.lock")).expect("a file for a lock");
    file.lock().expect("a lock");
    file
}

impl Server for Jack {
    const OUTPUT: &'static str = "jack";

    fn start(sink: Sink) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let turn = take_turn();
        let (rate, channels) = (sink.rate.to_string(), sink.speakers().len().to_string());
        let mut command = Command::new("jackd");
        // Not in real time, and patient with clients: the machine may be busy.
        command.args(["-r", "-t", "10000", "-n", NAME, "-d", "dummy", "-r", &rate, "-p", "2048"]);
        command.args(["-P", &channels, "-C", "0", "--monitor"]).env("HOME", folder.path());
        let server = Process::start_quietly(&mut command, folder.path());
        let mut jack = Self { server, folder, sink, _turn: turn };
        let end = Instant::now() + SOON;
        while !jack.lists("system:monitor_1") {
            jack.server.wait(|| true);
            assert!(Instant::now() < end, "JACK has no ports");
        }
        jack
    }

    fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("JACK_DEFAULT_SERVER", NAME.into()),
            ("JACK_NO_START_SERVER", "1".into()),
            ("HOME", self.folder.path().into()),
        ]
    }

    /// The recorder runs for whole seconds.
    fn record(&self, time: Duration) -> Recording {
        let path = self.folder.path().join("recording.wav");
        let ports = (1..=self.sink.speakers().len()).map(|number| format!("system:monitor_{number}"));
        let mut command = Command::new("jack_rec");
        command.arg("-f").arg(&path).args(["-b", "32", "-B", "131072"]);
        command.args(["-d", &time.as_secs().to_string()]).args(ports).envs(self.environment());
        let mut process = Process::start_quietly(&mut command, self.folder.path());
        let end = Instant::now() + SOON;
        while !self.lists("jackrec:input1") {
            process.wait(|| true);
            assert!(Instant::now() < end, "`jack_rec` does not record");
        }
        let sink = self.sink;
        Recording::new(move || {
            process.end();
            let mut reader = hound::WavReader::open(&path).expect("a WAV file");
            let samples =
                reader.samples::<i32>().map(|sample| f64::from(sample.expect("a sample")) / 2_f64.powi(31));
            Recorded::new(sink.rate, &sink.speakers(), samples)
        })
    }
}

impl ServerProcess for Jack {
    fn process(&mut self) -> &mut Process {
        &mut self.server
    }
}

impl Drop for Jack {
    fn drop(&mut self) {
        // In order, because a crashed one leaves 100 MB of shared memory behind until the next server starts.
        self.server.terminate();
    }
}

#[test]
fn each_channel_is_heard_from_the_loudspeaker_with_its_number() {
    for mask in [0x3, 0x3F, 0x63F] {
        has_tones::<Jack>(Sink::new(48_000, mask), 48_000, mask, 1.0);
    }
}

#[test]
fn one_channel_is_heard_from_two_loudspeakers() {
    let server = Jack::start(Sink::new(48_000, 0x3));
    let recording = server.record(Duration::from_secs(2));
    let order = Order::tones("jack", 48_000, 0x4, 0.5);
    assert_eq!(order.start(&server.environment()).end(SOON).outcome, Outcome::Played);
    let recorded = recording.finish();
    assert_eq!(recorded.channels[0].1, recorded.channels[1].1);
    let center = vec![(receiver::speakers::Speaker::FrontCenter, recorded.channels[0].1.clone())];
    let recorded = Recorded { rate: recorded.rate, channels: center };
    assert_eq!(recorded.has_tones(order.format(), 0.5), Ok(()));
}

#[test]
fn samples_reach_the_loudspeakers_as_they_were_sent() {
    for bits in [16, 24] {
        has_the_same_samples::<Jack>(Sink::new(44_100, 0x3F), bits);
    }
}

#[test]
fn another_rate_is_refused_if_bit_exact() {
    let server = Jack::start(Sink::new(48_000, 0x3));
    let report = Order::random("jack", 44_100, 16, 0x3, 1.0).start(&server.environment()).end(SOON);
    let line = "the device plays 48000 Hz, F32, not 44100 Hz, 16 bits";
    assert_eq!(report.outcome, Outcome::Impossible(line.into()));
}

#[test]
fn nothing_is_heard_if_it_is_not_to_be_connected() {
    let server = Jack::start(Sink::new(48_000, 0x3));
    let recording = server.record(Duration::from_secs(2));
    let mut order = Order::tones("jack", 48_000, 0x3, 0.5);
    order.connect = false;
    let report = order.start(&server.environment()).end(SOON);
    assert_eq!(report.probed, Ok("JACK, 48000 Hz, client \"scream\"".into()));
    assert_eq!(report.outcome, Outcome::Played);
    let recorded = recording.finish();
    assert!(recorded.channels.iter().all(|(_, samples)| samples.iter().all(|sample| *sample == 0.0)));
}

#[test]
fn a_server_that_crashes_is_gone() {
    assert_eq!(line_of_gone(Jack::kill), "the JACK server has ended");
}

#[test]
fn a_server_that_pauses_is_played_on() {
    plays_on_after_a_pause::<Jack>();
}

#[test]
fn a_server_that_hangs_is_gone() {
    assert_eq!(
        line_of_gone(Jack::hang),
        "JACK takes no sound: it hangs, or is connected to nothing that plays"
    );
}

#[test]
fn a_missing_server_is_one_line_and_nothing_else_is_printed() {
    let nowhere = [("JACK_DEFAULT_SERVER", "scream-nonesuch".into())];
    let (report, log) = Order::tones("jack", 48_000, 0x3, 1.0).start(&nowhere).end_with_log(SOON);
    let line = "no JACK server: start it, or choose another output with -o".to_owned();
    assert_eq!(report.probed, Err(line.clone()));
    assert_eq!(report.outcome, Outcome::Gone(line));
    assert!(!log.to_lowercase().contains("jack"), "{log}");
}
