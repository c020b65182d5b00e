//! `cargo xtask demo --play`: what the driver sends is played by `scream`, in a process of its own.
//!
//! The program listens where the driver sends. It says in JSON when it is ready, when it has played everything, and at the end
//! what it has received and played.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use testbed::playback::{Comparison, Song, compare};

use super::Played;

/// How long the program may take to be ready, to play what it has, or to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// `scream`, while it runs. It is ended when this is dropped.
pub struct Scream {
    child: Child,
    events: Receiver<Value>,
    said: JoinHandle<String>,
    /// What it plays on, as it says.
    pub playing: String,
    /// Whether it records what comes as it is, rather than to play it.
    records: bool,
}

/// An address of this computer to which nothing else is sent.
///
/// # Errors
/// There is none.
pub fn free_address() -> Result<SocketAddrV4> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("no socket can be opened")?;
    Ok(SocketAddrV4::new(Ipv4Addr::LOCALHOST, socket.local_addr()?.port()))
}

/// The arguments with which it listens to an address and plays on an output.
fn arguments(to: SocketAddrV4, output: Option<&str>) -> Vec<String> {
    let (address, port) = (to.ip().to_string(), to.port().to_string());
    let mut arguments: Vec<_> = match to.ip().is_multicast() {
        true => ["-g", &address].map(str::to_owned).into(),
        false => ["-u", "-i", &address].map(str::to_owned).into(),
    };
    arguments.extend(["-p", &port, "--json"].map(str::to_owned));
    arguments.extend(output.iter().flat_map(|output| ["-o", output]).map(str::to_owned));
    arguments
}

impl Scream {
    /// Starts it, and waits until it listens.
    ///
    /// # Errors
    /// It does not start; its own line says why.
    pub fn start(program: &Path, to: SocketAddrV4, output: Option<&str>) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(arguments(to, output)).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("scream")?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (happened, events) = mpsc::channel();
        thread::spawn(move || {
            let lines = stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).lines());
            let events = lines.map_while(|line| serde_json::from_str(&line.ok()?).ok());
            events.map(|event| happened.send(event)).take_while(Result::is_ok).for_each(drop);
        });
        let said = thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.map(|mut stderr| stderr.read_to_string(&mut text));
            text
        });
        let records = output.is_some_and(|output| output.starts_with("wav:"));
        let mut scream = Self { child, events, said, playing: String::new(), records };
        match scream.wait(|event| event["event"] == "start") {
            Some(start) => scream.playing = start["playing"].as_str().unwrap_or_default().to_owned(),
            None => return Err(scream.failure()),
        }
        Ok(scream)
    }

    /// Waits until it has played what has come, has it end, and gives its totals.
    ///
    /// # Errors
    /// It failed, or says no totals.
    pub fn finish(self, packets: u64) -> Result<Value> {
        let (records, all) = (self.records, move |event: &Value| event["received"].as_u64() >= Some(packets));
        let _ = self.wait(|event| if records { all(event) } else { event["event"] == "ended" });
        let process = Pid::from_child(&self.child);
        kill_process(process, Signal::TERM).context("scream cannot be asked to end")?;
        match self.wait(|event| event["event"] == "totals") {
            Some(totals) => Ok(totals),
            None => Err(self.failure()),
        }
    }

    /// Waits for an event; none if it has ended, or nothing of the kind happens.
    fn wait(&self, is_meant: impl Fn(&Value) -> bool) -> Option<Value> {
        let end = Instant::now() + PATIENCE;
        loop {
            let event = self.events.recv_timeout(end.saturating_duration_since(Instant::now())).ok()?;
            if is_meant(&event) {
                return Some(event);
            }
        }
    }

    /// Why it does not go on, in its own words.
    fn failure(mut self) -> anyhow::Error {
        let _ = self.child.kill();
        let said = std::mem::replace(&mut self.said, thread::spawn(String::new)).join().unwrap_or_default();
        match said.lines().find_map(|line| line.strip_prefix("error: ")) {
            // Its advice is for its own command line.
            Some(line) => anyhow!("scream says: {} (here -o OUTPUT is --play=OUTPUT)", line.trim()),
            None => anyhow!("scream does not answer"),
        }
    }
}

impl Drop for Scream {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Prints what was heard, and compares it if it was recorded.
///
/// # Errors
/// Something was lost, or what was recorded is not what was played.
pub fn report(song: &Song, played: &Played, totals: &Value, output: Option<&str>) -> Result<()> {
    let number = |name: &str| totals[name].as_u64().unwrap_or(0);
    let received = number("received");
    let lost = played.packets.saturating_sub(received);
    println!("packets    {} sent, {received} received", played.packets);
    println!("lost       {lost}");
    println!("lateness   {:.3} ms median, {:.3} ms worst", played.lateness.0, played.lateness.1);
    if let Some(target) = totals["target_ms"].as_f64() {
        let delay = totals["mean_delay_ms"].as_f64().unwrap_or_default();
        println!("delay      {delay:.1} ms mean, {target:.0} ms wanted");
        println!("drift      {:+.1} ppm", totals["drift_ppm"].as_f64().unwrap_or_default());
        println!("underruns  {}", number("underruns"));
    }
    if let Some(path) = output.and_then(|output| output.strip_prefix("wav:")) {
        let comparison = recorded(song, Path::new(path))?;
        println!("received   {path}");
        println!("bit-exact: {}", comparison.verdict());
        if !comparison.is_bit_exact() {
            bail!("what came out is not what went in");
        }
    }
    if lost > 0 {
        bail!("scream did not receive {lost} of {} packets", played.packets);
    }
    Ok(())
}

fn recorded(song: &Song, path: &Path) -> Result<Comparison> {
    let recorded = Song::read(path)?;
    Ok(compare(song.format, &song.pcm, Some(recorded.format), &recorded.pcm))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn listens(to: &str, output: Option<&str>, expected: &str) {
        assert_eq!(arguments(to.parse().expect("an address"), output).join(" "), expected);
    }

    #[test]
    fn it_listens_where_the_driver_sends() {
        listens("127.0.0.1:4011", None, "-u -i 127.0.0.1 -p 4011 --json");
        listens("239.255.77.77:4010", Some("jack"), "-g 239.255.77.77 -p 4010 --json -o jack");
    }

    #[test]
    fn a_program_that_does_not_start_is_an_error_with_its_own_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("scream");
        std::fs::write(&program, "#!/bin/sh\necho 'error: nothing to play on' >&2\nexit 1\n")
            .expect("a file");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, mode).expect("it is ours");
        let started = Scream::start(&program, "127.0.0.1:4010".parse().expect("an address"), None);
        assert_eq!(
            started.err().map(|error| error.to_string()).as_deref(),
            Some("scream says: nothing to play on (here -o OUTPUT is --play=OUTPUT)")
        );
    }
}
