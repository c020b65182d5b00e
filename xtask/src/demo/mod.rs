//! `cargo xtask demo`: a WAV file goes through the real driver file and the network, and comes out the same.
//!
//! [`song`] is played by [`playback`] in the testbed on the real clock; [`listener`] receives the packets on a socket of
//! its own; [`comparison`] says whether they are the same.

mod comparison;
mod listener;
mod playback;
pub mod song;

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use testbed::image::Image;

use crate::driver::{self, Profile};
use crate::process::root;
use comparison::{Comparison, compare};
use listener::Listener;
use song::Song;

/// Where the driver sends unless it is told otherwise.
const DEFAULT_TARGET: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 255, 77, 77), 4010);

/// What the command takes.
#[derive(Args)]
pub struct Arguments {
    /// The WAV file to play: PCM of 16, 24 or 32 bits, mono or stereo, 44.1, 48, 96 or 192 kHz [default: a short piece].
    file: Option<PathBuf>,
    /// Where the driver sends to: an address of this machine, or a multicast group.
    #[arg(long, value_name = "ADDR:PORT", default_value_t = DEFAULT_TARGET)]
    to: SocketAddrV4,
    /// Where to write what was received [default: target/demo.wav in the repository].
    #[arg(long, value_name = "FILE.wav")]
    out: Option<PathBuf>,
}

/// Runs the demo.
///
/// # Errors
/// One line: what cannot be read, built, received or written, or that the audio did not come out the same.
pub fn run(arguments: &Arguments) -> Result<()> {
    let song = match &arguments.file {
        Some(path) => Song::read(path)?,
        None => Song::compose()?,
    };
    if arguments.to.port() == 0 || arguments.to.ip().is_unspecified() || arguments.to.ip().is_broadcast() {
        bail!("{} is no address to send to; --to takes one such as 127.0.0.1:4010", arguments.to);
    }
    let out = match &arguments.out {
        Some(out) => out.clone(),
        None => default_output()?,
    };
    song::check_writable(&out)?;
    let listener = Listener::open(arguments.to)?;
    let driver = driver::build(Profile::Release)?;
    let name =
        arguments.file.as_deref().map_or("a short piece".to_owned(), |path| path.display().to_string());
    println!("playing    {name}");
    let played = play_with_progress(&song, &driver, arguments.to, &listener)?;
    let received = listener.finish()?;
    song::write_wav(&out, song.format, &received.pcm)?;
    let comparison = compare(song.format, &song.pcm, received.format, &received.pcm);
    print_report(&song, &played, &received, &comparison, &out);
    if !played.violations.is_empty() {
        bail!(
            "the driver broke {} rule(s) of the verifier: {}",
            played.violations.len(),
            played.violations[0]
        );
    }
    if !comparison.is_bit_exact() {
        bail!("what came out is not what went in");
    }
    Ok(())
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

fn play_with_progress(
    song: &Song,
    driver: &Path,
    to: SocketAddrV4,
    listener: &Listener,
) -> Result<playback::Played> {
    let rate = u64::from(song.format.rate().get());
    let frames = song.frames() as u64;
    let bar = ProgressBar::new(frames).with_style(progress_style()?);
    let progress = listener.progress();
    let seconds =
        |frames: u64| format!("{}:{:04.1}", frames / rate / 60, (frames % (60 * rate)) as f64 / rate as f64);
    let image =
        std::fs::read(driver).map_err(|error| anyhow!("cannot read {}: {error}", driver.display()))?;
    let (format, pcm) = (song.format, song.pcm.clone());
    let player = std::thread::spawn(move || {
        let image = Image::from_bytes("scream.sys", image).map_err(|error| anyhow!("{error}"))?;
        playback::play(image, format, pcm, to)
    });
    while !player.is_finished() {
        std::thread::sleep(Duration::from_millis(100));
        let position = progress.frames.load(Ordering::Relaxed).min(frames);
        bar.set_position(position);
        bar.set_prefix(format!("{} of {}", seconds(position), seconds(frames)));
        bar.set_message(meter(progress.take_level()));
    }
    bar.finish_and_clear();
    player.join().map_err(|_| anyhow!("the testbed panicked"))?
}

fn progress_style() -> Result<ProgressStyle> {
    Ok(ProgressStyle::with_template("{prefix} [{bar:32}] {msg}")?.progress_chars("=> "))
}

/// A level meter: 3 dB for each mark.
fn meter(level: f64) -> String {
    let marks = ((level + 48.0) / 3.0).clamp(0.0, 16.0) as usize;
    format!("[{:<16}] {level:6.1} dB", "#".repeat(marks))
}

fn print_report(
    song: &Song,
    played: &playback::Played,
    received: &listener::Received,
    comparison: &Comparison,
    out: &Path,
) {
    let format = song.format;
    let kind = match format.channels() {
        1 => "mono".to_owned(),
        2 => "stereo".to_owned(),
        more => format!("{more} channels"),
    };
    let frame = usize::from(format.bytes_per_frame().get());
    let silence = match comparison {
        Comparison::BitExact { silence } if *silence > 0 => format!(" ({silence} of silence at the end)"),
        _ => String::new(),
    };
    let lost = played.packets.saturating_sub(received.packets);
    println!("format     {} Hz, {} bit, {kind}", format.rate(), format.bits());
    println!("frames     {} played, {} received{silence}", song.frames(), received.pcm.len() / frame);
    println!("packets    {} sent, {} received", played.packets, received.packets);
    println!("lost       {lost}");
    println!("lateness   {:.3} ms median, {:.3} ms worst", played.lateness.median, played.lateness.worst);
    println!("received   {}", out.display());
    println!("bit-exact: {}", comparison.verdict());
}
