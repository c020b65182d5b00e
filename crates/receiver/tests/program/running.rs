//! [`Scream`]: the program while it runs, and [`Ended`], what it left. Packets to send to it.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use protocol::{Packet, StreamFormat};
use serde_json::Value;

/// How long anything may take that should happen at once; the computer may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program, running.
pub struct Scream {
    child: Child,
    stdout: Stream,
    stderr: Stream,
}

/// What it was until it ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

/// What is read from a pipe, by a thread.
struct Stream {
    read: Arc<Read>,
    thread: Option<JoinHandle<()>>,
}

/// What has been read.
#[derive(Default)]
struct Read {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    is_over: bool,
}

impl Read {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread has panicked")
    }
}

/// The command that runs the program.
pub fn scream<A: AsRef<OsStr>>(arguments: &[A]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scream"));
    command.args(arguments);
    command
}

impl Drop for Scream {
    /// A test that fails leaves nothing behind.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Scream {
    /// Starts the program, and waits until it listens.
    pub fn start<A: AsRef<OsStr>>(arguments: &[A]) -> Self {
        let scream = Self::spawn(scream(arguments));
        scream.wait_for_line("listens to ");
        scream
    }

    /// Starts a command.
    pub fn spawn(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program");
        let stdout = Stream::of(child.stdout.take().expect("a pipe"));
        let stderr = Stream::of(child.stderr.take().expect("a pipe"));
        Self { child, stdout, stderr }
    }

    /// Waits until so many bytes have come out.
    #[track_caller]
    pub fn wait_for_bytes(&self, count: usize) {
        self.stdout.wait(|bytes| bytes.len() >= count);
    }

    /// Waits until a line on the standard error contains this.
    #[track_caller]
    pub fn wait_for_line(&self, part: &str) {
        self.stderr.wait(|bytes| String::from_utf8_lossy(bytes).lines().any(|line| line.contains(part)));
    }

    /// Waits until a JSON object has come out that is meant.
    #[track_caller]
    pub fn wait_for_json(&self, is_meant: impl Fn(&Value) -> bool) {
        self.stdout.wait(|bytes| json(bytes).iter().any(&is_meant));
    }

    /// Waits until JSON has said this text so many times.
    #[track_caller]
    pub fn wait_for_texts(&self, text: &str, times: usize) {
        self.stdout.wait(|bytes| json(bytes).iter().filter(|object| object["text"] == text).count() >= times);
    }

    /// Waits until it has received so many datagrams, which it says in JSON.
    #[track_caller]
    pub fn wait_for_received(&self, count: u64) {
        self.wait_for_json(|object| object["received"].as_u64() >= Some(count));
    }

    /// What has come out until now.
    pub fn bytes(&self) -> Vec<u8> {
        self.stdout.read.state().bytes.clone()
    }

    /// Stops it where it is, as a busy computer would; `CONT` lets it go on.
    pub fn stand_still(&self) {
        self.signal("STOP");
        let is_still = || {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs");
            tasks.into_iter().all(|task| {
                let state =
                    std::fs::read_to_string(task.expect("a thread").path().join("stat")).unwrap_or_default();
                state.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
            })
        };
        wait_until("it stands still", is_still);
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(status.expect("kill").success());
    }

    /// Asks it to end, and waits for that.
    pub fn end(self) -> Ended {
        self.signal("TERM");
        self.ended()
    }

    /// Waits until it has ended by itself.
    pub fn ended(mut self) -> Ended {
        let mut status = None;
        wait_until("it ends", || {
            status = self.child.try_wait().expect("it is our child");
            status.is_some()
        });
        let code = status.and_then(|status| status.code());
        let stderr = String::from_utf8(self.stderr.rest()).expect("text");
        Ended { code, stdout: self.stdout.rest(), stderr }
    }
}

/// Waits until something is so that no clock can be injected into: another process, or the system.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "still not so: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

impl Stream {
    fn of(pipe: impl io::Read + Send + 'static) -> Self {
        let read = Arc::new(Read::default());
        let thread = thread::spawn({
            let read = Arc::clone(&read);
            move || {
                let mut pipe = BufReader::new(pipe);
                while !read.state().is_over {
                    let piece = pipe.fill_buf().map(<[u8]>::to_vec).unwrap_or_default();
                    pipe.consume(piece.len());
                    let mut state = read.state();
                    state.bytes.extend_from_slice(&piece);
                    state.is_over = piece.is_empty();
                    read.changed.notify_all();
                }
            }
        });
        Self { read, thread: Some(thread) }
    }

    #[track_caller]
    fn wait(&self, is_there: impl Fn(&[u8]) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.read.state();
        while !is_there(&state.bytes) {
            let left = deadline.saturating_duration_since(Instant::now());
            let text = String::from_utf8_lossy(&state.bytes);
            assert!(!state.is_over && !left.is_zero(), "it does not come; until now: {text}");
            state = self.read.changed.wait_timeout(state, left).expect("no thread has panicked").0;
        }
    }

    fn rest(&mut self) -> Vec<u8> {
        self.thread.take().expect("it is asked once").join().expect("it has not panicked");
        std::mem::take(&mut self.read.state().bytes)
    }
}

impl Ended {
    /// Asserts that it ended well; gives what it wrote.
    #[track_caller]
    pub fn done(self) -> Vec<u8> {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self.stdout
    }

    /// The JSON objects that it printed.
    pub fn json(&self) -> Vec<Value> {
        let objects = json(&self.stdout);
        assert_eq!(objects.len(), self.stdout.iter().filter(|byte| **byte == b'\n').count());
        objects
    }

    /// The number of a line of the totals, 0 if there is no such line.
    pub fn total(&self, name: &str) -> u64 {
        let line = self.stderr.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |rest| rest.split_whitespace().next().expect("a number").parse().expect("a number"))
    }
}

/// The objects of lines of JSON; a line that is not complete yet is left out.
fn json(bytes: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    lines.map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
    socket.local_addr().expect("it has an address").port()
}

/// A socket that sends to a port of this computer.
pub fn sender_to(port: u16) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).expect("an address");
    socket
}

/// A socket that sends to a port of this computer, as if it were on another one.
pub fn other_sender_to(port: u16) -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).expect("a socket");
    socket.connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).expect("an address");
    socket
}

/// A format of 48 000 Hz.
pub fn format(bits: u16, channels: u16) -> StreamFormat {
    StreamFormat::new(48_000, bits, channels, protocol::default_mask(channels)).expect("a format")
}

/// Bytes of a number of frames, none like its neighbours.
pub fn audio(format: StreamFormat, frames: usize, seed: u8) -> Vec<u8> {
    let length = frames * usize::from(format.bytes_per_frame().get());
    (0..length).map(|index| (index as u8).wrapping_mul(31) ^ (index >> 8) as u8 ^ seed).collect()
}

/// The packets that carry audio, all of them full but the last one.
pub fn packets(format: StreamFormat, audio: &[u8]) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let mut rest = audio;
    while !rest.is_empty() {
        let mut packet = Packet::new(format);
        let taken = packet.append(rest.len(), |bytes| bytes.copy_from_slice(&rest[..bytes.len()]));
        assert_ne!(taken, 0);
        packets.push(packet.as_bytes().to_vec());
        rest = &rest[taken..];
    }
    packets
}
