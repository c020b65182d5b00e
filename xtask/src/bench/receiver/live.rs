//! The program itself, as users run it: a stream over real UDP to a PulseAudio server of its own.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::ProgressBar;
use protocol::{Packet, StreamFormat};

use super::style;

/// The program settles for so long, and then is measured. By then every place of its queue has been used once.
const SETTLING: Duration = Duration::from_secs(14);
const MEASURED: Duration = Duration::from_secs(20);
/// How long the server may take to start.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a packet of 288 frames at 48 kHz plays.
const PACKET: Duration = Duration::from_millis(6);

/// What was measured.
pub struct Live {
    /// Processor time of the program in parts of the time, 0.01 is one percent of a core, while the processors are kept awake.
    pub cpu: f64,
    /// The same while they sleep whenever nobody needs them.
    pub cpu_drowsy: f64,
    /// Its memory in KiB, in the beginning of the measurement and at its end.
    pub memory: (u64, u64),
}

/// A program that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Plays a tone of 48 kHz, 16 bits, stereo for a while.
///
/// # Errors
/// One line: a program does not start, or ends.
pub fn measure(program: &Path) -> Result<Live> {
    let spinner = ProgressBar::new_spinner().with_style(style("{msg} {spinner} {elapsed}")?);
    spinner.set_message(format!("scream on PulseAudio, {} s", (SETTLING + 2 * MEASURED).as_secs()));
    spinner.enable_steady_tick(Duration::from_millis(100));
    let folder = tempfile::tempdir().context("there is no place for temporary files")?;
    let (_server, socket) = start_server(folder.path())?;
    let port = free_port()?;
    let mut scream = Command::new(program);
    scream.args(["-u", "-i", "127.0.0.1", "-o", "pulse", "-p", &port.to_string()]);
    scream.env("PULSE_SERVER", format!("unix:{socket}")).env("HOME", folder.path());
    scream.stdout(Stdio::null()).stderr(Stdio::null());
    let mut scream = Running(scream.spawn().context("scream does not start")?);
    let id = scream.0.id();
    let sender = UdpSocket::bind("127.0.0.1:0").context("there is no port to send from")?;
    sender.connect(("127.0.0.1", port)).context("the loopback interface is down")?;
    let mut tone = Tone::new()?;
    let start = Instant::now();
    tone.send_until(&sender, start, SETTLING);
    let before = memory(id)?;
    let awake = keep_processors_awake()?;
    let cpu = tone.cost_until(id, &sender, start, SETTLING + MEASURED)?;
    drop(awake);
    let cpu_drowsy = tone.cost_until(id, &sender, start, SETTLING + 2 * MEASURED)?;
    let memory = (before, memory(id)?);
    spinner.finish_and_clear();
    if scream.0.try_wait()?.is_some() {
        bail!("scream has ended while it was measured");
    }
    Ok(Live { cpu, cpu_drowsy, memory })
}

/// Programs that run on each processor when nobody else wants to. To wake a processor up takes a virtual machine longer than what
/// is then to be done, and it counts as time of the program that has to wait for it.
fn keep_processors_awake() -> Result<Vec<Running>> {
    let processors = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let busy = |_| {
        let mut busy = Command::new("chrt");
        busy.args(["--idle", "0", "sh", "-c", "while :; do :; done"]);
        Ok(Running(busy.spawn().context("chrt (of util-linux) does not start")?))
    };
    (0..processors).map(busy).collect()
}

fn start_server(folder: &Path) -> Result<(Running, String)> {
    let socket = folder.join("native").display().to_string();
    let mut server = Command::new("pulseaudio");
    server.args(["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--system=no"]);
    server.args(["--high-priority=no", "--realtime=no", "-L", "module-null-sink norewinds=1"]);
    server.args(["-L", &format!("module-native-protocol-unix auth-anonymous=1 socket={socket}")]);
    server.env("HOME", folder).env("XDG_RUNTIME_DIR", folder).stdout(Stdio::null()).stderr(Stdio::null());
    let server = Running(server.spawn().context("PulseAudio does not start")?);
    let end = Instant::now() + PATIENCE;
    while !Path::new(&socket).exists() {
        if Instant::now() > end {
            bail!("PulseAudio does not answer");
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok((server, socket))
}

fn free_port() -> Result<u16> {
    let socket = UdpSocket::bind("127.0.0.1:0").context("there is no port to listen on")?;
    Ok(socket.local_addr().context("the port has no number")?.port())
}

/// A tone of 440 Hz that is sent.
struct Tone {
    packet: Packet,
    sent: u32,
}

impl Tone {
    fn new() -> Result<Self> {
        Ok(Self { packet: Packet::new(StreamFormat::new(48_000, 16, 2, 3)?), sent: 0 })
    }

    /// Sends each packet when it has been played, until so long after the start.
    fn send_until(&mut self, socket: &UdpSocket, start: Instant, until: Duration) {
        while PACKET * (self.sent + 1) <= until {
            let due = start + PACKET * (self.sent + 1);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let first = self.sent * 288;
            self.packet.reset(self.packet.format());
            let _ = self.packet.append(1152, |bytes| {
                for (frame, bytes) in (first..).zip(bytes.chunks_exact_mut(4)) {
                    let angle = f64::from(frame % 48_000) * 440.0 / 48_000.0 * std::f64::consts::TAU;
                    let sample = ((angle.sin() * 8000.0) as i16).to_le_bytes();
                    bytes.copy_from_slice(&[sample[0], sample[1], sample[0], sample[1]]);
                }
            });
            // Who does not listen any more is found out afterwards.
            let _ = socket.send(self.packet.as_bytes());
            self.sent += 1;
        }
    }

    /// Sends until so long after the start; gives the processor time that a program has taken meanwhile, in parts of the time.
    fn cost_until(&mut self, id: u32, socket: &UdpSocket, start: Instant, until: Duration) -> Result<f64> {
        let (begin, before) = (Instant::now(), processor_time(id)?);
        self.send_until(socket, start, until);
        Ok((processor_time(id)? - before).as_secs_f64() / begin.elapsed().as_secs_f64())
    }
}

/// Processor time of all threads of a program.
fn processor_time(id: u32) -> Result<Duration> {
    let gone = || format!("scream ({id}) is gone");
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{id}/task")).with_context(gone)? {
        let path = thread.with_context(gone)?.path().join("schedstat");
        let text = fs::read_to_string(&path).with_context(gone)?;
        sum += text.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(sum))
}

fn memory(id: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).context("scream is gone")?;
    kib_of(&status).context("the system does not tell how much memory scream has")
}

/// The memory that a file `status` of the system tells of, in KiB.
pub fn kib_of(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_as_the_system_tells_it() {
        assert_eq!(kib_of("Name:\tscream\nVmRSS:\t    7436 kB\nThreads:\t3\n"), Some(7436));
        assert_eq!(kib_of("Name:\tscream\n"), None);
    }

    #[test]
    fn the_processor_time_of_this_program_grows() {
        let before = processor_time(std::process::id()).expect("it runs");
        let end = Instant::now() + Duration::from_millis(20);
        while Instant::now() < end {}
        assert!(processor_time(std::process::id()).expect("it runs") > before);
    }
}
