//! What leaves the driver is what the documents say: a reader that was written from them alone, in another language, and
//! that runs in another process, hears every byte.
#![cfg(target_os = "linux")]

mod common;
#[path = "common/ring.rs"]
mod ring;

use std::io::{BufRead, BufReader, Lines};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};

use common::{assert_same_audio, noise, prompt_network, source, with_options};
use ring::{CHUNK_BYTES, GENERATIONS, MIB, open_format, pass, with_ring};
use testbed::client::{Buffer, Format};
use testbed::ivshmem::Device;
use testbed::kernel::registry::Value;
use testbed::network::{RealSetup, Setup};
use testbed::{Clock, Config};

/// A running `scream_reader.py`.
struct ScreamReader {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    output: PathBuf,
}

impl ScreamReader {
    /// Starts it for so many bytes of audio; `name` is of this test alone.
    fn start(name: &str, source: &[&str], bytes: usize) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/readers/scream_reader.py");
        let file = format!("scream-reader-{name}-{}.pcm", std::process::id());
        let output = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(file);
        let mut child = Command::new("python3")
            .arg(script)
            .args(source)
            .arg("--output")
            .arg(&output)
            .args(["--bytes", &bytes.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3 is installed");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, lines, output }
    }

    /// What it tells next.
    fn line(&mut self) -> String {
        self.lines.next().expect("it still runs").expect("text")
    }

    /// Waits until it has heard so many bytes in all.
    fn wait_for(&mut self, bytes: usize) {
        loop {
            let ended = self.child.try_wait().expect("a child");
            if std::fs::metadata(&self.output).expect("its output").len() >= bytes as u64 {
                return;
            }
            assert!(ended.is_none(), "scream_reader.py ended before it had heard {bytes} bytes: {ended:?}");
            std::thread::yield_now();
        }
    }

    /// Waits for its end: what else it told, and what it heard.
    fn finish(mut self) -> (Vec<String>, Vec<u8>) {
        let told = self.lines.by_ref().map(|line| line.expect("text")).collect();
        let status = self.child.wait().expect("it ends");
        assert!(status.success(), "scream_reader.py failed: {status}");
        let heard = std::fs::read(&self.output).expect("its output");
        std::fs::remove_file(&self.output).expect("its output");
        (told, heard)
    }
}

#[test]
fn four_seconds_in_shared_memory_are_read_bit_exactly_by_another_program() {
    for (number, generation) in GENERATIONS.into_iter().enumerate() {
        // 200 of the 273 chunks that the ring has, as the other program may be slower than the virtual clock.
        let audio = noise(1, 200 * CHUNK_BYTES);
        let played = audio.clone();
        let (told, heard) = with_ring(move |device| {
            let memory = Device::plug(MIB, generation);
            let path = memory.region().path();
            let path = path.to_str().expect("a path");
            let mut stream = open_format(device, &Format::pcm(48_000, 16, 2));
            let mut reader = ScreamReader::start(&format!("ring-{number}"), &["ring", path], audio.len());
            let begin = [reader.line(), reader.line()];
            assert_eq!(begin, ["ready 1048576", "stream 48000 Hz 16 bits 2 channels mask 0x3"]);
            stream.play(source(audio)).expect("it plays");
            pass(ring::MS);
            // In real time, which the machine does not notice.
            reader.finish()
        })
        .expect_clean();
        assert_eq!(told, [format!("end {}", played.len())]);
        assert_same_audio(&heard, &played);
    }
}

#[test]
fn another_program_follows_a_change_of_format() {
    let formats = [Format::pcm(48_000, 16, 2), Format::pcm(96_000, 24, 2), Format::pcm(44_100, 32, 2)];
    // Ten chunks each.
    let audio = |format: &Format| noise(2, format.rate as usize / 5 * format.frame_bytes());
    let played: Vec<u8> = formats.iter().flat_map(audio).collect();
    let wanted = played.len();
    let (told, heard) = with_ring(move |device| {
        let memory = Device::plug(MIB, testbed::ivshmem::Generation::WithConfiguration);
        let path = memory.region().path();
        let path = path.to_str().expect("a path");
        let mut reader = ScreamReader::start("formats", &["ring", path], wanted);
        assert_eq!(reader.line(), "ready 1048576");
        let (mut told, mut played) = (Vec::new(), 0);
        for format in &formats {
            let mut stream = open_format(device, format);
            told.push(reader.line());
            let audio = audio(format);
            played += audio.len();
            stream.play(source(audio)).expect("it plays");
            pass(ring::MS);
            // It needs real time, which the machine does not notice, before the header goes.
            reader.wait_for(played);
            stream.close();
        }
        let (rest, heard) = reader.finish();
        told.extend(rest);
        (told, heard)
    })
    .expect_clean();
    assert_eq!(
        told,
        [
            "stream 48000 Hz 16 bits 2 channels mask 0x3",
            "stream 96000 Hz 24 bits 2 channels mask 0x3",
            "stream 44100 Hz 32 bits 2 channels mask 0x3",
            &format!("end {}", played.len()),
        ]
    );
    assert_same_audio(&heard, &played);
}

#[test]
fn two_seconds_of_packets_are_read_bit_exactly_by_another_program() {
    let audio = noise(3, 2 * 44_100 * 6);
    let played = audio.clone();
    let mut reader = ScreamReader::start("udp", &["udp", "127.0.0.1", "0"], audio.len());
    let ready = reader.line();
    let port: u32 = ready.strip_prefix("ready ").and_then(|port| port.parse().ok()).expect("a port");
    let config =
        Config { clock: Clock::Real, network: Setup::Real(RealSetup::default()), ..prompt_network() };
    let options = [("UnicastIPv4", Value::Sz("127.0.0.1".to_owned())), ("UnicastPort", Value::Dword(port))];
    with_options(config, &options, move |device| {
        let mut stream = device
            .open(&Format::pcm(44_100, 24, 2), Buffer::Notified { bytes: 529_200, count: 2 })
            .expect("a stream");
        stream.play(source(audio)).expect("it plays");
        stream.close();
    })
    .expect_clean();
    let (told, mut heard) = reader.finish();
    assert_eq!(told[0], "stream 44100 Hz 24 bits 2 channels mask 0x3");
    assert_eq!(told[1], format!("end {}", heard.len()));
    // The packet with the last frame may have silence after it, as the real clock stops a little later.
    assert!(heard.len() < played.len() + 1152);
    heard.truncate(played.len());
    assert_same_audio(&heard, &played);
}
