//! PulseAudio, with a null sink whose monitor is recorded.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use receiver::player::supply::SampleType;
use tempfile::TempDir;

use crate::child::{Order, Outcome};
use crate::every::{has_the_same_samples, has_tones, line_of_gone, plays_on_after_a_pause};
use crate::server::{Process, Recording, SOON, Server, ServerProcess, Sink, at_once};

/// PulseAudio's names of the speakers, by the bits of the mask.
const NAMES: [&str; 16] = [
    "front-left",
    "front-right",
    "front-center",
    "lfe",
    "rear-left",
    "rear-right",
    "front-left-of-center",
    "front-right-of-center",
    "rear-center",
    "side-left",
    "side-right",
    "top-center",
    "top-front-left",
    "top-front-center",
    "top-front-right",
    "top-rear-left",
];

/// A PulseAudio server.
pub struct Pulse {
    server: Process,
    folder: TempDir,
    sink: Sink,
    modules: Vec<String>,
}

impl Pulse {
    /// Starts one that has these modules, too.
    pub fn with_modules(sink: Sink, modules: &[&str]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        // sndio's server comes as a user of its own.
        enter_by_all(&folder);
        let modules: Vec<_> = modules.iter().map(|module| (*module).to_owned()).collect();
        let server = launch(&folder, &sink, &modules);
        let pulse = Self { server, folder, sink, modules };
        pulse.wait();
        pulse
    }

    /// Ends it and starts it again in the same place.
    pub fn restart(&mut self) {
        self.server.kill();
        let _ = fs::remove_file(self.folder.path().join("native"));
        self.server = launch(&self.folder, &self.sink, &self.modules);
        self.wait();
    }

    fn wait(&self) {
        let end = Instant::now() + SOON;
        while !self.pactl(&["info"]) {
            assert!(Instant::now() < end, "PulseAudio does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What `pactl list` says of something.
    pub fn lists(&self, what: &str) -> String {
        let mut command = Command::new("pactl");
        let listed = command.args(["list", what]).envs(self.environment()).output().expect("`pactl` starts");
        String::from_utf8_lossy(&listed.stdout).into_owned()
    }

    /// Has `pactl` do something; whether it could.
    pub fn pactl(&self, arguments: &[&str]) -> bool {
        let mut command = Command::new("pactl");
        command.args(arguments).envs(self.environment()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().expect("`pactl` starts: is pulseaudio-utils installed?").success()
    }
}

fn launch(folder: &TempDir, sink: &Sink, modules: &[String]) -> Process {
    let socket = folder.path().join("native");
    // Without rewinds it is not 2 s ahead of the time while nobody plays.
    let null = format!("module-null-sink sink_name=speakers norewinds=1 {}", spec(sink));
    let native = format!("module-native-protocol-unix auth-anonymous=1 socket={}", socket.display());
    let mut command = Command::new("pulseaudio");
    command.args(["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--system=no"]);
    command.args(["--high-priority=no", "--realtime=no", "--disable-shm=yes", "-L", &null, "-L", &native]);
    for module in modules {
        command.args(["-L", module]);
    }
    command.env("HOME", folder.path()).env("XDG_RUNTIME_DIR", folder.path()).env_remove("PULSE_SERVER");
    let mut server = Process::start_quietly(&mut command, folder.path());
    server.wait(|| socket.exists());
    server
}

/// Lets other users open what is in a folder.
pub fn enter_by_all(folder: &TempDir) {
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).expect("the folder is ours");
}

fn spec(sink: &Sink) -> String {
    let format = match sink.samples {
        SampleType::I16 => "s16le",
        SampleType::I24 => "s24le",
        SampleType::I24In32 => "s24-32le",
        SampleType::I32 => "s32le",
        SampleType::F32 => "float32le",
    };
    let names = if sink.mask == 0x4 { vec!["mono"] } else { sink.names(NAMES) };
    format!("format={format} rate={} channels={} channel_map={}", sink.rate, names.len(), names.join(","))
}

impl Server for Pulse {
    const OUTPUT: &'static str = "pulse";

    fn start(sink: Sink) -> Self {
        Self::with_modules(sink, &[])
    }

    fn environment(&self) -> Vec<(&'static str, OsString)> {
        let socket = self.folder.path().join("native");
        vec![
            ("PULSE_SERVER", format!("unix:{}", socket.display()).into()),
            ("HOME", self.folder.path().into()),
            ("XDG_RUNTIME_DIR", self.folder.path().into()),
        ]
    }

    fn record(&self, time: Duration) -> Recording {
        let mut command = Command::new("parec");
        command.args(["--raw", "--device=speakers.monitor", "--latency-msec=20", "--client-name=recorder"]);
        command.args(spec(&self.sink).split(' ').map(|part| format!("--{}", part.replace('_', "-"))));
        let process =
            Process::start(command.envs(self.environment()).stdout(Stdio::piped()), self.folder.path());
        let end = Instant::now() + SOON;
        while self.lists("source-outputs").is_empty() {
            assert!(Instant::now() < end, "`parec` does not record");
            std::thread::sleep(Duration::from_millis(20));
        }
        Recording::of_output(process, self.sink, time)
    }
}

impl ServerProcess for Pulse {
    fn process(&mut self) -> &mut Process {
        &mut self.server
    }
}

#[test]
fn each_channel_is_heard_from_its_speaker() {
    at_once([0x4, 0x3, 0x3F, 0x60F, 0x63F], |mask| {
        has_tones::<Pulse>(Sink::new(48_000, mask), 48_000, mask, 1.5)
    });
}

#[test]
fn another_rate_is_the_servers_business() {
    has_tones::<Pulse>(Sink::new(48_000, 0x3), 44_100, 0x3, 1.5);
}

#[test]
fn samples_reach_the_sink_as_they_were_sent() {
    at_once([(16, SampleType::I16), (24, SampleType::I24), (32, SampleType::I32)], |(bits, samples)| {
        has_the_same_samples::<Pulse>(Sink { rate: 44_100, samples, mask: 0x3F }, bits);
    });
}

#[test]
fn a_server_that_crashes_is_gone() {
    assert_eq!(line_of_gone(Pulse::kill), "the PulseAudio server has ended");
}

#[test]
fn a_server_that_pauses_is_played_on() {
    plays_on_after_a_pause::<Pulse>();
}

#[test]
fn a_server_that_hangs_is_gone() {
    assert_eq!(line_of_gone(Pulse::hang), "PulseAudio's sink `speakers` takes no sound");
}

#[test]
fn a_sink_that_is_taken_away_is_gone() {
    let server = Pulse::start(Sink::new(48_000, 0x3));
    let recording = server.record(Duration::from_secs(1));
    let player = Order::tones("pulse", 48_000, 0x3, 60.0).start(&server.environment());
    recording.finish();
    assert!(server.pactl(&["unload-module", "module-null-sink"]));
    let report = player.end(SOON);
    assert_eq!(report.outcome, Outcome::Gone("PulseAudio's sink has been taken away".into()));
}

#[test]
fn a_suspended_sink_is_told_with_what_wakes_it() {
    let server = Pulse::start(Sink::new(48_000, 0x3));
    assert!(server.pactl(&["suspend-sink", "speakers", "1"]));
    let report = Order::tones("pulse", 48_000, 0x3, 60.0).start(&server.environment()).end(SOON);
    let line = "PulseAudio's sink `speakers` is suspended: `pactl suspend-sink speakers 0` wakes it";
    assert_eq!(report.outcome, Outcome::Gone(line.into()));
}

#[test]
fn the_sound_follows_when_the_stream_is_moved_to_another_sink() {
    let server =
        Pulse::with_modules(Sink::new(48_000, 0x3), &["module-null-sink sink_name=other norewinds=1"]);
    let mut order = Order::tones("pulse", 48_000, 0x3, 2.0);
    order.sink = Some("other".into());
    let player = order.start(&server.environment());
    let recording = server.record(Duration::from_secs(4));
    let end = Instant::now() + SOON;
    while !server.pactl(&["move-sink-input", "0", "speakers"]) {
        assert!(Instant::now() < end, "there is no stream to move");
    }
    assert_eq!(player.end(SOON).outcome, Outcome::Played);
    let recorded = recording.finish();
    assert!(recorded.channels.iter().all(|(_, samples)| samples.iter().any(|sample| sample.abs() > 0.2)));
}

#[test]
fn an_unknown_sink_and_a_missing_server_are_one_line_each() {
    let server = Pulse::start(Sink::new(48_000, 0x3));
    let mut order = Order::tones("pulse", 48_000, 0x3, 1.0);
    order.sink = Some("nonesuch".into());
    let report = order.start(&server.environment()).end(SOON);
    let line = "PulseAudio has no sink `nonesuch`; it has speakers".to_owned();
    assert_eq!(report.probed, Err(line.clone()));
    assert_eq!(report.outcome, Outcome::Gone(line));
    let nowhere = [("PULSE_SERVER", "unix:/nonexistent/socket".into())];
    let report = order.start(&nowhere).end(SOON);
    let line = "no PulseAudio server (connection refused): start it, or choose another output with -o";
    assert_eq!(report.outcome, Outcome::Gone(line.into()));
}

#[test]
fn the_output_says_what_it_is() {
    let server = Pulse::start(Sink::new(48_000, 0x3));
    let report = Order::tones("pulse", 48_000, 0x3, 0.1).start(&server.environment()).end(SOON);
    assert_eq!(report.probed, Ok("pulseaudio, sink \"Null Output\"".into()));
}
