//! `testbed soak`: whole lives of a driver, each chosen by a seed.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, anyhow, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use testbed::soak::{self, Life, Summary};
use testbed::trace::Kept;

use super::driver;

/// Failing lives that are shown with their traces.
const SHOWN_WITH_TRACE: usize = 1;

/// What the command takes.
#[derive(Args)]
pub struct Arguments {
    /// The driver file: a driver that takes Scream's options and sends its packets.
    #[arg(long, value_name = "FILE")]
    driver: PathBuf,
    /// How many lives.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, value_name = "S", default_value_t = 0)]
    from: u64,
    /// Print the whole trace of every life, one life at a time.
    #[arg(long)]
    trace: bool,
    /// Lives that are lived at the same time [default: as many as there are processors].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

/// Lives the lives, and shows those that went wrong.
///
/// # Errors
/// One line: the file is no driver, or something went wrong in a life.
pub fn run(arguments: &Arguments) -> Result<()> {
    driver::open(&arguments.driver)?;
    let end =
        arguments.from.checked_add(arguments.seeds).ok_or_else(|| anyhow!("there are no such seeds"))?;
    if arguments.trace { trace(arguments, end) } else { soak(arguments, end) }
}

fn soak(arguments: &Arguments, end: u64) -> Result<()> {
    let style = "{bar:40} {pos}/{len} lives  {elapsed} of {duration}  {msg}";
    let bar = ProgressBar::new(arguments.seeds)
        .with_style(ProgressStyle::with_template(style).expect("the template is well-formed"));
    let begun = Instant::now();
    let threads = arguments.threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from));
    let summary = soak::run(&arguments.driver, arguments.from..end, threads.unwrap_or(1), |life| {
        if !life.problems.is_empty() {
            bar.set_message(format!("seed {} failed", life.seed));
        }
        bar.inc(1);
    })?;
    bar.finish_and_clear();
    for (number, life) in summary.failed.iter().enumerate() {
        show(life, number < SHOWN_WITH_TRACE, arguments);
    }
    let Summary { lives, figures, digest, entries, ref failed } = summary;
    println!(
        "{lives} lives in {:.1} s, {entries} steps, digest {digest:016x}",
        begun.elapsed().as_secs_f64()
    );
    println!(
        "{} streams ({} of them without any fault), {} packets, {:.1} MB of audio, {} faults, {} surprise removals",
        figures.streams,
        figures.exact,
        figures.packets,
        figures.played as f64 / 1e6,
        figures.faults,
        figures.removals
    );
    verdict(failed.len(), lives)
}

fn trace(arguments: &Arguments, end: u64) -> Result<()> {
    let image = driver::open(&arguments.driver)?;
    let mut failed = 0;
    for seed in arguments.from..end {
        let life = soak::live(&image, seed, Kept::All);
        print!("{}", life.trace);
        println!("seed {seed}: {} steps, digest {:016x}", life.trace.count(), life.trace.digest());
        life.problems.iter().for_each(|problem| println!("problem: {problem}"));
        failed += usize::from(!life.problems.is_empty());
    }
    verdict(failed, arguments.seeds)
}

fn show(life: &Life, with_trace: bool, arguments: &Arguments) {
    if with_trace {
        print!("{}", life.trace);
    }
    println!("seed {} failed:", life.seed);
    life.problems.iter().for_each(|problem| println!("    {problem}"));
    println!(
        "    again: cargo run -p testbed -- soak --driver {} --seeds 1 --from {}",
        arguments.driver.display(),
        life.seed
    );
}

fn verdict(failed: usize, lives: u64) -> Result<()> {
    match failed {
        0 => Ok(()),
        1 => bail!("something went wrong in 1 of {lives} lives"),
        _ => bail!("something went wrong in {failed} of {lives} lives"),
    }
}
