//! `testbed play`: a WAV file through any driver, on the real clock.

use std::net::SocketAddrV4;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use testbed::Clock;
use testbed::kernel::etw::Event;
use testbed::playback::{self, Listener, Performance, Plan, Received, Song, Watch, compare, progress, song};

use super::driver::{self, Installation};

/// How many violations are told in full.
const MOST_VIOLATIONS: usize = 20;

/// What the command takes.
#[derive(Args)]
pub struct Arguments {
    /// The driver file.
    #[arg(long, value_name = "FILE")]
    driver: PathBuf,
    #[command(flatten)]
    installation: Installation,
    /// The WAV file to play: PCM of 16, 24 or 32 bits, 1 to 8 channels, 44.1 to 192 kHz [default: a short piece].
    file: Option<PathBuf>,
    /// Where the driver is told to send, and where this command listens: sets UnicastIPv4 and UnicastPort [default:
    /// where the options say, else 239.255.77.77:4010].
    #[arg(long, value_name = "ADDR:PORT")]
    to: Option<SocketAddrV4>,
    /// Write what was received.
    #[arg(long, value_name = "FILE.wav")]
    out: Option<PathBuf>,
    /// Show what the driver prints.
    #[arg(long)]
    debug_output: bool,
    /// Show the events that the driver writes (Event Tracing for Windows); its warnings are shown in any case.
    #[arg(long)]
    trace: bool,
}

/// Plays.
///
/// # Errors
/// One line: bad input, a driver that does not play, or rules that it broke.
pub fn run(arguments: &Arguments) -> Result<()> {
    let image = driver::open(&arguments.driver)?;
    let song = driver::song(arguments.file.as_ref())?;
    let target = arguments.installation.target(arguments.to);
    if target.port() == 0 || target.ip().is_unspecified() || target.ip().is_broadcast() {
        bail!("{target} is no address to send to; --to takes one such as 127.0.0.1:4010");
    }
    if let Some(out) = &arguments.out {
        song::check_writable(out)?;
    }
    let listener = Listener::open(target)?;
    let plan = Plan {
        service: arguments.installation.service(&arguments.driver),
        options: arguments.installation.values(arguments.to),
        format: song.format,
        pcm: song.pcm.clone().into(),
        clock: Clock::Real,
        clock_tick: None,
        watch: Watch::Packets,
        stub_missing: arguments.installation.stub_missing,
    };
    let name = arguments.file.as_ref().map_or("a short piece".to_owned(), |file| file.display().to_string());
    println!("playing    {name} through {}", arguments.driver.display());
    // The bytes cross to the other thread; what is made of them there may not.
    let (label, bytes) = (image.name().to_owned(), image.bytes().to_vec());
    let player = std::thread::spawn(move || Performed::new(&label, bytes, &plan));
    let performed = progress::watch(&song, &listener, true, player)?;
    let received = listener.finish()?;
    if let Some(out) = &arguments.out {
        song::write_wav(out, received.format.unwrap_or(song.format), &received.pcm)?;
    }
    report(&song, &performed, &received, arguments);
    performed.verdict()
}

/// A [`Performance`] in plain data, for another thread.
struct Performed {
    packets: u64,
    /// Milliseconds, in order.
    lateness: Vec<f64>,
    gaps: u64,
    failure: Option<String>,
    violations: Vec<(String, usize)>,
    stubs: Vec<(String, u64)>,
    debug_output: Vec<(u64, String)>,
    events: Vec<Event>,
}

impl Performed {
    fn new(name: &str, bytes: Vec<u8>, plan: &Plan) -> Result<Self> {
        let image = testbed::image::Image::from_bytes(name, bytes).context("the file changed")?;
        let performance = playback::play(&image, plan);
        Ok(Self {
            packets: performance.departures.len() as u64,
            lateness: lateness(plan, &performance),
            gaps: performance.streamed.as_ref().map_or(0, |streamed| streamed.gaps),
            violations: performance
                .violations_by_kind()
                .into_iter()
                .map(|(violation, count)| (violation.to_string(), count))
                .collect(),
            failure: performance.streamed.err().map(|error| format!("{error:#}")),
            stubs: performance.stubs,
            debug_output: performance.debug_output,
            events: performance.events,
        })
    }

    /// What the command ends with.
    fn verdict(&self) -> Result<()> {
        if let Some(failure) = &self.failure {
            bail!("{failure}");
        }
        match self.violations.iter().map(|(_, count)| count).sum() {
            0_usize => Ok(()),
            1 => bail!("the driver broke a rule of the verifier"),
            count => bail!("the driver broke rules of the verifier {count} times"),
        }
    }
}

fn lateness(plan: &Plan, performance: &Performance) -> Vec<f64> {
    let Ok(streamed) = &performance.streamed else { return Vec::new() };
    let ticks = playback::lateness(plan.format, streamed.started, &performance.departures);
    let mut late: Vec<f64> = ticks.into_iter().map(playback::milliseconds).collect();
    late.sort_unstable_by(f64::total_cmp);
    late
}

fn report(song: &Song, performed: &Performed, received: &Received, arguments: &Arguments) {
    if arguments.debug_output {
        for (time, line) in &performed.debug_output {
            println!("printed    {:10.6} s  {line}", *time as f64 / 1e9);
        }
    }
    for event in &performed.events {
        if arguments.trace || event.level <= Event::WARNING {
            println!("event      {:10.6} s  {event}", event.time as f64 / 1e9);
        }
    }
    for (name, calls) in &performed.stubs {
        println!("stub       {name}: called {calls} times");
    }
    let format = song.format;
    let frame = usize::from(format.bytes_per_frame().get());
    println!("format     {} Hz, {} bit, {} channels", format.rate(), format.bits(), format.channels());
    println!("frames     {} played, {} received", song.frames(), received.pcm.len() / frame);
    println!("packets    {} sent, {} received", performed.packets, received.packets);
    println!("lost       {}", performed.packets.saturating_sub(received.packets));
    let late = |part| playback::quantile(&performed.lateness, part);
    println!(
        "lateness   {:.3} ms least, {:.3} ms median, {:.3} ms worst, after a packet's last frame was played",
        late(0.0),
        late(0.5),
        late(1.0)
    );
    if performed.gaps > 0 {
        println!(
            "gaps       {}: this machine was too busy, or the driver's position ran ahead",
            performed.gaps
        );
    }
    let comparison = compare(format, &song.pcm, received.format, &received.pcm);
    println!("bit-exact: {}", comparison.verdict());
    let total: usize = performed.violations.iter().map(|(_, count)| count).sum();
    println!("violated   {total}{}", if total > 0 { ", of these kinds:" } else { "" });
    for (violation, count) in performed.violations.iter().take(MOST_VIOLATIONS) {
        println!("  {count:5} x  {violation}");
    }
    if performed.violations.len() > MOST_VIOLATIONS {
        println!("  and {} more kinds", performed.violations.len() - MOST_VIOLATIONS);
    }
}
