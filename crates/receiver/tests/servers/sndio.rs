//! sndio's server. It plays on ALSA only, so what it takes for sound hardware is ALSA's way to a PulseAudio server, which
//! has a clock and is recorded.

use std::ffi::OsString;
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use receiver::player::supply::SampleType;
use receiver::speakers::Speaker;
use tempfile::TempDir;

use crate::analysis::Recorded;
use crate::child::{Order, Outcome};
use crate::every::{has_the_same_samples, has_tones, line_of_gone, plays_on_after_a_pause};
use crate::pulse::{Pulse, enter_by_all};
use crate::server::{Process, Recording, SOON, Server, ServerProcess, Sink, at_once};

/// What sndiod opens is `hw:0`.
const HARDWARE: &str = "pcm.hw { @args [ CARD ] @args.CARD { type string default \"0\" } type pulse }\n";

/// An sndio server.
pub struct Sndio {
    // The order matters: it ends before what it plays on.
    server: Process,
    pulse: Pulse,
    folder: TempDir,
    unit: u32,
    sink: Sink,
}

impl Server for Sndio {
    const OUTPUT: &'static str = "sndio";

    fn start(sink: Sink) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        // There are 16 units; the first belongs to the machine's own server.
        let unit = 1 + COUNT.fetch_add(1, Ordering::Relaxed) % 15;
        let usual = protocol::default_mask(sink.speakers().len() as u16);
        let pulse = Pulse::start(Sink { rate: sink.rate, samples: SampleType::I32, mask: usual });
        let folder = TempDir::new().expect("a temporary folder");
        enter_by_all(&folder);
        let configuration = folder.path().join("asoundrc");
        fs::write(&configuration, HARDWARE).expect("a configuration can be written");
        let channels = format!("0:{}", sink.speakers().len() - 1);
        let mut command = Command::new("sndiod");
        command.args(["-d", "-U", &unit.to_string(), "-r", &sink.rate.to_string(), "-e", "s32"]);
        command.args([
            "-z", "480", "-b", "9600", "-f", "rsnd/0", "-c", &channels, "-m", "play", "-s", "default",
        ]);
        command.envs(pulse.environment()).env("ALSA_CONFIG_PATH", configuration);
        let mut server = Process::start_quietly(&mut command, folder.path());
        server.wait(|| has_socket(unit));
        Self { server, pulse, folder, unit, sink }
    }

    fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("AUDIODEVICE", format!("snd,{}/default", self.unit).into()),
            // Where the cookie is with which a user is known.
            ("HOME", self.folder.path().into()),
        ]
    }

    fn record(&self, time: Duration) -> Recording {
        let (recording, sink) = (self.pulse.record(time), self.sink);
        Recording::new(move || {
            let Recorded { rate, channels } = recording.finish();
            // sndio's channels have numbers; ALSA gives each of them a speaker, by which it is found again.
            let take = |(number, speaker): (usize, Speaker)| {
                let placed = alsa_order(channels.len())[number];
                let found =
                    channels.iter().find(|(of, _)| *of == placed).expect("the sink has these speakers");
                (speaker, found.1.clone())
            };
            Recorded { rate, channels: sink.speakers().into_iter().enumerate().map(take).collect() }
        })
    }
}

impl ServerProcess for Sndio {
    fn process(&mut self) -> &mut Process {
        &mut self.server
    }
}

impl Drop for Sndio {
    fn drop(&mut self) {
        self.server.terminate();
    }
}

fn alsa_order(channels: usize) -> &'static [Speaker] {
    use Speaker::{BackLeft, BackRight, FrontCenter, FrontLeft, FrontRight, SideLeft, SideRight, Subwoofer};
    match channels {
        1 => &[FrontCenter],
        _ => &[FrontLeft, FrontRight, BackLeft, BackRight, FrontCenter, Subwoofer, SideLeft, SideRight],
    }
}

/// Whether a server with this unit listens, of any user.
fn has_socket(unit: u32) -> bool {
    let folders = fs::read_dir("/tmp").expect("a folder for all").flatten();
    folders
        .filter(|folder| folder.file_name().to_string_lossy().starts_with("sndio"))
        .any(|folder| folder.path().join(format!("sock{unit}")).exists())
}

#[test]
fn each_channel_is_heard_with_its_number() {
    at_once([0x4, 0x3, 0x3F, 0x60F, 0x63F], |mask| {
        has_tones::<Sndio>(Sink::new(48_000, mask), 48_000, mask, 1.5)
    });
}

#[test]
fn samples_reach_the_device_as_they_were_sent() {
    at_once([16, 24], |bits| has_the_same_samples::<Sndio>(Sink::new(44_100, 0x3F), bits));
}

#[test]
fn what_the_server_would_change_is_refused_if_bit_exact() {
    let server = Sndio::start(Sink::new(48_000, 0x3));
    let report = Order::random("sndio", 48_000, 32, 0x3, 1.0).start(&server.environment()).end(SOON);
    let line = "sndio's server keeps 24 bits, not 32: choose a device rsnd/N with -d";
    assert_eq!(report.outcome, Outcome::Impossible(line.into()));
    assert_eq!(report.probed, Ok("sndio, device \"default\"".into()));
}

#[test]
fn a_server_that_crashes_is_gone() {
    assert_eq!(line_of_gone(Sndio::kill), "sndio's server has ended, or its device has gone");
}

#[test]
fn a_server_that_pauses_is_played_on() {
    plays_on_after_a_pause::<Sndio>();
}

#[test]
fn a_server_that_hangs_is_gone() {
    assert_eq!(line_of_gone(Sndio::hang), "sndio takes no sound");
}

#[test]
fn a_missing_server_is_one_line_and_nothing_else_is_printed() {
    let nowhere = [("AUDIODEVICE", "snd,1/nonesuch".into()), ("HOME", "/nonexistent".into())];
    let (report, log) = Order::tones("sndio", 48_000, 0x3, 1.0).start(&nowhere).end_with_log(SOON);
    let line = "sndio has no device `default`: start sndiod, see that nobody else uses it, or choose a device with -d";
    assert_eq!(report.probed, Err(line.into()));
    assert_eq!(report.outcome, Outcome::Gone(line.into()));
    assert!(!log.contains("snd"), "{log}");
}
