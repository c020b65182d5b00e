//! PipeWire with wireplumber, and a null sink that is recorded.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::analysis::Recorded;
use crate::child::{Order, Outcome};
use crate::every::{has_the_same_samples, has_tones, line_of_gone, plays_on_after_a_pause};
use crate::server::{Process, Recording, SOON, Server, ServerProcess, Sink, at_once};

/// PipeWire's names of the speakers, by the bits of the mask.
const NAMES: [&str; 16] =
    ["FL", "FR", "FC", "LFE", "RL", "RR", "FLC", "FRC", "RC", "SL", "SR", "TC", "TFL", "TFC", "TFR", "TRL"];

/// What wireplumber is to load: what links streams to the default sink, but neither hardware nor what needs D-Bus.
const POLICY: &str =
    "load_module(\"metadata\")\nload_access(\"default\")\nload_module(\"default-nodes\", {})\n";

/// A PipeWire server and its session manager.
pub struct Pipewire {
    // The order matters: the session manager ends first.
    manager: Process,
    server: Process,
    folder: TempDir,
    sink: Sink,
}

impl Pipewire {
    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(program);
        let output = command.args(arguments).envs(self.environment()).output();
        let output = output.unwrap_or_else(|why| panic!("`{program}` cannot be started ({why})"));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn has_sink(&self) -> bool {
        // Only the session manager makes the metadata in which the default sink is.
        self.run("pw-cli", &["ls", "Node"]).contains("\"speakers\"")
            && self.run("pw-metadata", &[]).contains("default.audio.sink")
    }
}

fn configure(folder: &TempDir, sink: &Sink, quantum: u32) {
    let names = if sink.mask == 0x4 { vec!["MONO"] } else { sink.names(NAMES) };
    let (rate, channels, position) = (sink.rate, names.len(), names.join(","));
    let server = format!(
        // Patient with clients: the machine may be busy.
        "context.properties = {{ default.clock.rate = {rate} default.clock.min-quantum = {quantum}\n\
             default.clock.quantum = {quantum} }}\n\
         context.objects = [ {{ factory = adapter args = {{\n\
             factory.name = support.null-audio-sink\n node.name = speakers\n media.class = Audio/Sink\n\
             object.linger = true\n audio.rate = {rate}\n audio.channels = {channels}\n\
             audio.position = \"{position}\"\n monitor.channel-volumes = true\n}} }} ]\n"
    );
    for (path, text) in [
        ("config/pipewire/pipewire.conf.d/speakers.conf", server.as_str()),
        ("config/wireplumber/main.lua.d/90-enable-all.lua", POLICY),
        ("config/wireplumber/bluetooth.lua.d/90-enable-all.lua", ""),
    ] {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder can be made");
        fs::write(path, text).expect("a configuration can be written");
    }
}

fn environment(folder: &TempDir) -> Vec<(&'static str, OsString)> {
    let path = |name: &str| -> OsString { folder.path().join(name).into() };
    vec![
        ("XDG_RUNTIME_DIR", path("")),
        ("PIPEWIRE_RUNTIME_DIR", path("")),
        ("HOME", path("")),
        ("XDG_CONFIG_HOME", path("config")),
        ("XDG_STATE_HOME", path("state")),
        ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent".into()),
        ("PIPEWIRE_REMOTE", "pipewire-0".into()),
    ]
}

impl Pipewire {
    /// Starts one that asks clients for so many frames at once.
    fn with_quantum(sink: Sink, quantum: u32) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        configure(&folder, &sink, quantum);
        let mut server = Command::new("pipewire");
        let mut server = Process::start_quietly(server.envs(environment(&folder)), folder.path());
        server.wait(|| folder.path().join("pipewire-0").exists());
        let mut manager = Command::new("wireplumber");
        let manager = Process::start_quietly(manager.envs(environment(&folder)), folder.path());
        let mut pipewire = Self { manager, server, folder, sink };
        let end = Instant::now() + SOON;
        while !pipewire.has_sink() {
            pipewire.manager.wait(|| true);
            assert!(Instant::now() < end, "PipeWire has no sink");
            thread::sleep(Duration::from_millis(50));
        }
        pipewire
    }
}

impl Server for Pipewire {
    const OUTPUT: &'static str = "pipewire";

    fn start(sink: Sink) -> Self {
        Self::with_quantum(sink, 2048)
    }

    fn environment(&self) -> Vec<(&'static str, OsString)> {
        environment(&self.folder)
    }

    fn record(&self, time: Duration) -> Recording {
        let path = self.folder.path().join("recording.wav");
        let (rate, channels) = (self.sink.rate.to_string(), self.sink.speakers().len());
        let names = if self.sink.mask == 0x4 { vec!["MONO"] } else { self.sink.names(NAMES) };
        let mut command = Command::new("pw-record");
        command.args(["--properties", "{ stream.capture.sink = true }", "--target", "speakers"]);
        command.args(["--format", "f32", "--rate", &rate, "--channels", &channels.to_string()]);
        command.args(["--channel-map", &names.join(",")]).arg(&path).envs(self.environment());
        let mut process = Process::start_quietly(&mut command, self.folder.path());
        let length = |path: &PathBuf| fs::metadata(path).map_or(0, |about| about.len());
        let header = 1000;
        process.wait(|| length(&path) > header);
        let bytes = (time.as_secs_f64() * f64::from(self.sink.rate)) as u64 * channels as u64 * 4;
        let sink = self.sink;
        let begin = length(&path);
        Recording::new(move || {
            process.wait(|| length(&path) > begin + bytes);
            process.interrupt();
            let mut reader = hound::WavReader::open(&path).expect("a WAV file");
            assert_eq!(
                (reader.spec().sample_rate, usize::from(reader.spec().channels)),
                (sink.rate, channels)
            );
            let samples = reader.samples::<f32>().map(|sample| f64::from(sample.expect("a sample")));
            Recorded::new(sink.rate, &sink.speakers(), samples)
        })
    }
}

impl ServerProcess for Pipewire {
    fn process(&mut self) -> &mut Process {
        &mut self.server
    }
}

/// A PipeWire server with what stands in for PulseAudio, as on most desktops.
pub struct PulseOnPipewire {
    _stand_in: Process,
    pipewire: Pipewire,
}

impl Server for PulseOnPipewire {
    const OUTPUT: &'static str = "pulse";

    fn start(sink: Sink) -> Self {
        // It tells its delay in steps of this, so PipeWire's own default is kept.
        let pipewire = Pipewire::with_quantum(sink, 1024);
        let mut command = Command::new("pipewire-pulse");
        let mut stand_in =
            Process::start_quietly(command.envs(pipewire.environment()), pipewire.folder.path());
        stand_in.wait(|| pipewire.folder.path().join("pulse/native").exists());
        Self { _stand_in: stand_in, pipewire }
    }

    fn environment(&self) -> Vec<(&'static str, OsString)> {
        let mut environment = self.pipewire.environment();
        let socket = self.pipewire.folder.path().join("pulse/native");
        environment.push(("PULSE_SERVER", format!("unix:{}", socket.display()).into()));
        environment
    }

    fn record(&self, time: Duration) -> Recording {
        self.pipewire.record(time)
    }
}

impl ServerProcess for PulseOnPipewire {
    fn process(&mut self) -> &mut Process {
        self.pipewire.process()
    }
}

#[test]
fn what_stands_in_for_pulseaudio_plays_like_it() {
    at_once([0x4, 0x3, 0x60F], |mask| {
        has_tones::<PulseOnPipewire>(Sink::new(48_000, mask), 48_000, mask, 1.5)
    });
    let line = line_of_gone(PulseOnPipewire::kill);
    assert!(line.contains("PulseAudio"), "{line}");
}

#[test]
fn each_channel_is_heard_from_its_speaker() {
    at_once([0x4, 0x3, 0x3F, 0x60F, 0x63F], |mask| {
        has_tones::<Pipewire>(Sink::new(48_000, mask), 48_000, mask, 1.5)
    });
}

#[test]
fn another_rate_is_the_servers_business() {
    has_tones::<Pipewire>(Sink::new(48_000, 0x3), 44_100, 0x3, 1.5);
}

#[test]
fn samples_reach_the_graph_as_they_were_sent() {
    at_once([16, 24], |bits| has_the_same_samples::<Pipewire>(Sink::new(44_100, 0x3F), bits));
}

#[test]
fn what_the_graph_would_change_is_refused_if_bit_exact() {
    let server = Pipewire::start(Sink::new(48_000, 0x3));
    let report = Order::random("pipewire", 48_000, 32, 0x3, 1.0).start(&server.environment()).end(SOON);
    let line = "the device plays 48000 Hz, F32, not 48000 Hz, 32 bits";
    assert_eq!(report.outcome, Outcome::Impossible(line.into()));
    let report = Order::random("pipewire", 44_100, 16, 0x3, 1.0).start(&server.environment()).end(SOON);
    let line = "PipeWire plays 48000 Hz, not 44100 Hz: add 44100 to default.clock.allowed-rates, or leave out --bit-exact";
    assert_eq!(report.outcome, Outcome::Impossible(line.into()));
}

#[test]
fn a_server_that_crashes_is_gone() {
    assert_eq!(line_of_gone(Pipewire::kill), "the PipeWire server has ended");
}

#[test]
fn a_server_that_pauses_is_played_on() {
    plays_on_after_a_pause::<Pipewire>();
}

#[test]
fn a_server_that_hangs_is_gone() {
    assert_eq!(
        line_of_gone(Pipewire::hang),
        "PipeWire takes no sound: it hangs, or is connected to nothing that plays"
    );
}

#[test]
fn a_sink_that_is_taken_away_is_gone() {
    let server = Pipewire::start(Sink::new(48_000, 0x3));
    let recording = server.record(Duration::from_secs(1));
    let player = Order::tones("pipewire", 48_000, 0x3, 60.0).start(&server.environment());
    recording.finish();
    server.run("pw-cli", &["destroy", "speakers"]);
    let outcome = player.end(SOON).outcome;
    let Outcome::Gone(line) = outcome else { panic!("it should be gone, not {outcome:?}") };
    assert!(line.starts_with("PipeWire "), "{line}");
}

#[test]
fn an_unknown_sink_and_a_missing_server_are_one_line_each() {
    let server = Pipewire::start(Sink::new(48_000, 0x3));
    let mut order = Order::tones("pipewire", 48_000, 0x3, 1.0);
    order.sink = Some("nonesuch".into());
    let (report, log) = order.start(&server.environment()).end_with_log(SOON);
    let line = "PipeWire has no sink `nonesuch`; it has speakers".to_owned();
    assert_eq!(report.probed, Err(line.clone()));
    assert_eq!(report.outcome, Outcome::Gone(line));
    assert!(!log.contains("[E]") && !log.contains("[W]"), "{log}");
    let nowhere = [("PIPEWIRE_REMOTE", "nonesuch".into())];
    let (report, log) = order.start(&nowhere).end_with_log(SOON);
    let line = "no PipeWire server: start it, or choose another output with -o";
    assert_eq!(report.outcome, Outcome::Gone(line.into()));
    assert!(!log.contains("[E]") && !log.contains("[W]"), "{log}");
}

#[test]
fn the_sink_that_was_chosen_is_the_one_that_plays() {
    let server = Pipewire::start(Sink::new(48_000, 0x3));
    let recording = server.record(Duration::from_secs(2));
    let mut order = Order::tones("pipewire", 48_000, 0x3, 0.5);
    order.sink = Some("speakers".into());
    let report = order.start(&server.environment()).end(SOON);
    assert!(report.probed.as_ref().is_ok_and(|name| name.starts_with("PipeWire ")), "{report:?}");
    assert_eq!(report.outcome, Outcome::Played);
    report.has_steady_delay();
    assert_eq!(recording.finish().has_tones(order.format(), 0.5), Ok(()));
}
