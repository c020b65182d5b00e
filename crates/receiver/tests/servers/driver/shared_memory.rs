//! From the driver through shared memory: a file stands for the region of a virtual machine.

use std::path::PathBuf;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use protocol::StreamFormat;
use tempfile::TempDir;
use testbed::ivshmem::{self, Generation, Region};
use testbed::kernel::registry::Value;

use super::computer::{Computer, Sound, in_real_time};
use super::heard::has_steady_tones;
use super::program::{has_lost_no_sound, start_with};
use crate::pulse::Pulse;
use crate::server::{Server, Sink};

/// Bytes of the region: 1 MiB.
const SIZE: u64 = 1 << 20;
/// How long it is played, in seconds.
const SECONDS: f64 = 3.0;

fn format() -> StreamFormat {
    StreamFormat::new(48_000, 16, 2, 0x3).expect("a format")
}

/// A virtual machine with a region in a file, which is there when this returns. It plays when it is told to.
fn computer(file: PathBuf, sound: Sound) -> (Computer, Sender<()>) {
    let (is_plugged, plugged) = mpsc::channel();
    let (to_play, plays) = mpsc::channel();
    let options = [("UseIVSHMEM", Value::Dword(1))];
    let computer = Computer::start(&options, move |device| {
        let memory = ivshmem::Device::plug_with(Region::at(&file, SIZE), Generation::WithKernelMap);
        is_plugged.send(()).expect("somebody waits");
        plays.recv().expect("somebody says when");
        let glitches = sound.play(device);
        assert_eq!(memory.open_files(), 0);
        glitches
    });
    plugged.recv().expect("it is plugged in");
    (computer, to_play)
}

#[test]
fn what_is_recorded_from_shared_memory_are_the_same_samples() {
    in_real_time(|| {
        let folder = TempDir::new().expect("a temporary folder");
        let (region, file) = (folder.path().join("region"), folder.path().join("recorded.wav"));
        let sound = Sound::random(format(), SECONDS);
        // The end of a stream is not waited for: it is silence.
        let (computer, play) = computer(region.clone(), sound.clone().and_silence(0.1));
        let output = format!("wav:{}", file.display());
        let scream = start_with(&[], &output, &["-m", &region.display().to_string()]);
        play.send(()).expect("it waits");
        computer.finish()?;
        assert_eq!(scream.end().code, Some(0));
        let mut reader = hound::WavReader::open(&file).expect("a WAV file");
        let heard: Vec<u8> =
            reader.samples::<i16>().flat_map(|sample| sample.expect("a sample").to_le_bytes()).collect();
        let (head, rest) = heard.split_at_checked(sound.pcm.len()).expect("all of it came");
        let differs = head.iter().zip(&sound.pcm).position(|(heard, played)| heard != played);
        assert_eq!((differs, rest.iter().any(|byte| *byte != 0)), (None, false));
        Ok(())
    });
}

#[test]
fn tones_in_shared_memory_are_heard_from_a_server() {
    in_real_time(|| {
        let folder = TempDir::new().expect("a temporary folder");
        let region = folder.path().join("region");
        let (computer, play) = computer(region.clone(), Sound::tones(format(), SECONDS).and_silence(0.1));
        let server = Pulse::start(Sink::new(48_000, 0x3));
        let arguments = ["-m", &region.display().to_string()];
        let scream = start_with(&server.environment(), "pulse", &arguments);
        let recording = server.record(Duration::from_secs_f64(SECONDS + 3.0));
        play.send(()).expect("it waits");
        computer.finish()?;
        thread::sleep(Duration::from_secs(1));
        let ended = scream.end();
        assert_eq!(has_steady_tones(&recording.finish(), format(), SECONDS), Ok(()), "{}", ended.stderr);
        has_lost_no_sound(&ended);
        Ok(())
    });
}
