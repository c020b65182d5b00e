//! `cargo xtask demo`: a WAV file goes through the real driver file and the network, and comes out the same.
//!
//! All of it is the testbed's [`playback`]: a song is played on the real clock, a listener receives the packets on a socket
//! of its own, and a comparison says whether they are the same. With `--play` the receiver is [`scream`](played_on).

mod played_on;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use clap::Args;
use testbed::Clock;
use testbed::image::Image;
use testbed::playback::{
    self, COUNTER_FREQUENCY, Comparison, Listener, Plan, Received, Song, Watch, compare, progress, song,
};

use crate::driver::{self, Profile};
use crate::prerequisites::Policy;
use crate::process::root;
use crate::receiver;
use played_on::Scream;

/// Where the driver sends unless it is told otherwise.
const DEFAULT_TARGET: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 255, 77, 77), 4010);

/// The service key that the driver is installed under.
const SERVICE: &str = "Scream";

/// What the command takes.
#[derive(Args)]
pub struct Arguments {
    /// The WAV file to play: PCM of 16, 24 or 32 bits, 1 to 8 channels, 44.1 to 192 kHz [default: a short piece].
    file: Option<PathBuf>,
    /// Where the driver sends to: an address of this machine, or a multicast group [default: 239.255.77.77:4010; with
    /// --play a free port of this machine].
    #[arg(long, value_name = "ADDR:PORT")]
    to: Option<SocketAddrV4>,
    /// Where to write what was received [default: target/demo.wav in the repository].
    #[arg(long, value_name = "FILE.wav")]
    out: Option<PathBuf>,
    /// Let scream play what comes, on what it finds or on this output: pulse, pipewire, alsa, jack, sndio or wav:FILE.
    #[arg(long, value_name = "OUTPUT", num_args = 0..=1, require_equals = true, conflicts_with = "out")]
    play: Option<Option<String>>,
}

/// Runs the demo.
///
/// # Errors
/// One line: what cannot be read, built, received or written, or that the audio did not come out the same.
pub fn run(arguments: &Arguments, policy: Policy) -> Result<()> {
    let song = match &arguments.file {
        Some(path) => Song::read(path)?,
        None => Song::compose()?,
    };
    let to = match (arguments.to, &arguments.play) {
        (Some(to), _) => to,
        (None, Some(_)) => played_on::free_address()?,
        (None, None) => DEFAULT_TARGET,
    };
    if to.port() == 0 || to.ip().is_unspecified() || to.ip().is_broadcast() {
        bail!("{to} is no address to send to; --to takes one such as 127.0.0.1:4010");
    }
    let name =
        arguments.file.as_deref().map_or("a short piece".to_owned(), |path| path.display().to_string());
    match &arguments.play {
        Some(output) => play_on(&song, &name, to, output.as_deref(), policy),
        None => receive(arguments, &song, &name, to),
    }
}

/// Plays for `scream`, and says what it heard.
fn play_on(song: &Song, name: &str, to: SocketAddrV4, output: Option<&str>, policy: Policy) -> Result<()> {
    let program = receiver::build(&receiver::found(false, policy)?)?;
    let driver = driver::build(Profile::Release)?;
    let scream = Scream::start(&program, to, output)?;
    println!("playing    {name}");
    println!("scream     {}", scream.playing);
    let played = start(song, &driver, to)?.join().map_err(|_| anyhow!("the testbed panicked"))??;
    let totals = scream.finish(played.packets)?;
    println!("format     {}", format_of(song));
    played_on::report(song, &played, &totals, output)?;
    keeps_rules(&played)
}

/// Plays for a listener of this program, and compares what it received.
fn receive(arguments: &Arguments, song: &Song, name: &str, to: SocketAddrV4) -> Result<()> {
    let out = match &arguments.out {
        Some(out) => out.clone(),
        None => default_output()?,
    };
    song::check_writable(&out)?;
    let listener = Listener::open(to)?;
    let driver = driver::build(Profile::Release)?;
    println!("playing    {name}");
    let played = progress::watch(song, &listener, false, start(song, &driver, to)?)?;
    let received = listener.finish()?;
    song::write_wav(&out, song.format, &received.pcm)?;
    let comparison = compare(song.format, &song.pcm, received.format, &received.pcm);
    print_report(song, &played, &received, &comparison, &out);
    keeps_rules(&played)?;
    if !comparison.is_bit_exact() {
        bail!("what came out is not what went in");
    }
    Ok(())
}

fn keeps_rules(played: &Played) -> Result<()> {
    match played.violations.first() {
        None => Ok(()),
        Some(first) => {
            bail!("the driver broke {} rule(s) of the verifier: {first}", played.violations.len())
        }
    }
}

/// The format of a song, for people.
fn format_of(song: &Song) -> String {
    let format = song.format;
    let kind = match format.channels() {
        1 => "mono".to_owned(),
        2 => "stereo".to_owned(),
        more => format!("{more} channels"),
    };
    format!("{} Hz, {} bit, {kind}", format.rate(), format.bits())
}

/// As short as it can be said from the current directory.
fn default_output() -> Result<PathBuf> {
    let directory = root().join("target");
    std::fs::create_dir_all(&directory)
        .map_err(|error| anyhow!("cannot make {}: {error}", directory.display()))?;
    let out = directory.join("demo.wav");
    let here = std::env::current_dir().unwrap_or_default();
    Ok(out.strip_prefix(here).map(Path::to_owned).unwrap_or(out))
}

/// What came of it.
struct Played {
    /// Datagrams that the driver handed to the network.
    packets: u64,
    /// How long after its last frame was played each packet left: the median and the worst, in milliseconds.
    lateness: (f64, f64),
    /// The rules that the driver broke.
    violations: Vec<String>,
}

/// Plays from beginning to end, in a thread.
fn start(song: &Song, driver: &Path, to: SocketAddrV4) -> Result<std::thread::JoinHandle<Result<Played>>> {
    let image =
        std::fs::read(driver).map_err(|error| anyhow!("cannot read {}: {error}", driver.display()))?;
    let plan = Plan {
        service: SERVICE.to_owned(),
        options: playback::sending_to(to).to_vec(),
        format: song.format,
        pcm: song.pcm.clone().into(),
        clock: Clock::Real,
        clock_tick: None,
        watch: Watch::Packets,
        stub_missing: false,
    };
    Ok(std::thread::spawn(move || {
        let image = Image::from_bytes("scream.sys", image).map_err(|error| anyhow!("{error}"))?;
        played(&image, &plan)
    }))
}

fn played(image: &Image, plan: &Plan) -> Result<Played> {
    let performance = playback::play(image, plan);
    let streamed = performance.streamed?;
    if streamed.gaps > 0 {
        bail!("this machine was too busy to play in real time ({} gaps); try again", streamed.gaps);
    }
    let mut late = playback::lateness(plan.format, streamed.started, &performance.departures);
    late.sort_unstable();
    let ms = |ticks: Option<&i64>| ticks.copied().unwrap_or(0).max(0) as f64 * 1e3 / COUNTER_FREQUENCY as f64;
    Ok(Played {
        packets: performance.departures.len() as u64,
        lateness: (ms(late.get(late.len() / 2)), ms(late.last())),
        violations: performance.violations.iter().map(ToString::to_string).collect(),
    })
}

fn print_report(song: &Song, played: &Played, received: &Received, comparison: &Comparison, out: &Path) {
    let frame = usize::from(song.format.bytes_per_frame().get());
    let silence = match comparison {
        Comparison::BitExact { silence } if *silence > 0 => format!(" ({silence} of silence at the end)"),
        _ => String::new(),
    };
    let lost = played.packets.saturating_sub(received.packets);
    println!("format     {}", format_of(song));
    println!("frames     {} played, {} received{silence}", song.frames(), received.pcm.len() / frame);
    println!("packets    {} sent, {} received", played.packets, received.packets);
    println!("lost       {lost}");
    println!("lateness   {:.3} ms median, {:.3} ms worst", played.lateness.0, played.lateness.1);
    println!("received   {}", out.display());
    println!("bit-exact: {}", comparison.verdict());
}
