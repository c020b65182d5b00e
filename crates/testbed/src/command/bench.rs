//! `testbed bench`: the same audio through one driver file or more, in one run, alternating.
//!
//! Under the virtual clock everything but the processor time is exact, and the same in every run; the processor time is the
//! least of some runs, which alternate so that a machine that becomes busy is busy for every file.

mod figures;
mod histogram;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};
use indicatif::{ProgressBar, ProgressStyle};
use protocol::StreamFormat;
use testbed::Clock;
use testbed::image::Image;
use testbed::playback::{self, Performance, Plan, Watch};

use super::driver::{self, Installation};
use figures::Figures;

/// Length of the shorter run in which instructions are counted, in milliseconds. Each takes microseconds here.
const INSTRUCTION_MS: u64 = 180;

/// What the command takes.
#[derive(Args)]
pub struct Arguments {
    /// A driver file; more than once to compare.
    #[arg(long = "driver", value_name = "FILE", required = true)]
    drivers: Vec<PathBuf>,
    #[command(flatten)]
    installation: Installation,
    /// The WAV file to play [default: a short piece].
    file: Option<PathBuf>,
    /// How often each file is played; of the processor times the least counts.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Play on the real clock, over the loopback interface.
    #[arg(long)]
    real: bool,
    /// Period of the clock interrupt in milliseconds, at which ordinary timers expire; 0: every timer is exact.
    #[arg(long, value_name = "MS", default_value_t = 1.0)]
    tick: f64,
    /// Where to draw the histogram of the packets' lateness.
    #[arg(long, value_name = "FILE.svg", default_value = "target/testbed-bench.svg")]
    plot: PathBuf,
}

/// Compares.
///
/// # Errors
/// One line: bad input, a driver that does not play, or a drawing that cannot be written.
pub fn run(arguments: &Arguments) -> Result<()> {
    if !(0.0..=1000.0).contains(&arguments.tick) {
        bail!("{} ms is no period of a clock interrupt; --tick takes 0 to 1000", arguments.tick);
    }
    let images = arguments.drivers.iter().map(|file| driver::open(file)).collect::<Result<Vec<_>>>()?;
    let song = driver::song(arguments.file.as_ref())?;
    let receiver = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot open a UDP socket")?;
    let to = match receiver.local_addr().context("the socket has no address")? {
        SocketAddr::V4(to) if arguments.real => Some(to),
        _ => None,
    };
    let pcm: Arc<[u8]> = song.pcm.clone().into();
    let style = ProgressStyle::with_template("{msg} [{bar:32}] {pos}/{len}")?;
    let bar = ProgressBar::new(images.len() as u64 * (u64::from(arguments.runs) + 2)).with_style(style);
    let mut all: Vec<Figures> = Vec::new();
    for round in 0..arguments.runs {
        for (index, image) in images.iter().enumerate() {
            bar.set_message(image.name().to_owned());
            let plan = plan(arguments, &arguments.drivers[index], song.format, &pcm, to, Watch::Time);
            let performance = played(image, &plan)?;
            bar.inc(1);
            match round {
                0 => all.push(Figures::new(&arguments.drivers[index], &plan, performance)?),
                _ => all[index].again(&performance)?,
            }
        }
    }
    for (index, image) in images.iter().enumerate() {
        let file = &arguments.drivers[index];
        all[index].instructions = instructions(arguments, file, image, song.format, &pcm, &bar)?;
    }
    bar.finish_and_clear();
    println!("{}", table(&all));
    println!("{}", footnotes(arguments));
    for figures in &all {
        if figures.violations > 0 {
            let name = figures.name.display();
            println!(
                "{name} broke rules of the verifier {} times; `testbed play` tells which",
                figures.violations
            );
        }
    }
    histogram::draw(&all, &arguments.plot)?;
    println!("histogram: {}", arguments.plot.display());
    Ok(())
}

fn plan(
    arguments: &Arguments,
    file: &Path,
    format: StreamFormat,
    pcm: &Arc<[u8]>,
    to: Option<SocketAddrV4>,
    watch: Watch,
) -> Plan {
    let real = arguments.real && watch != Watch::Instructions;
    let tick = (arguments.tick * 1e6) as u64;
    Plan {
        service: arguments.installation.service(file),
        options: arguments.installation.values(to),
        format,
        pcm: Arc::clone(pcm),
        clock: if real { Clock::Real } else { Clock::Virtual },
        clock_tick: (tick > 0).then_some(tick),
        watch,
        stub_missing: arguments.installation.stub_missing,
    }
}

fn played(image: &Image, plan: &Plan) -> Result<Performance> {
    let performance = playback::play(image, plan);
    if performance.streamed.is_err() {
        let error = performance.streamed.err();
        bail!("{}: {:#}", image.name(), error.expect("it failed"));
    }
    Ok(performance)
}

/// Instructions for each second of audio: what a run of twice the length takes more.
fn instructions(
    arguments: &Arguments,
    file: &Path,
    image: &Image,
    format: StreamFormat,
    pcm: &Arc<[u8]>,
    bar: &ProgressBar,
) -> Result<Option<f64>> {
    let mut counts = Vec::new();
    for milliseconds in [INSTRUCTION_MS, 2 * INSTRUCTION_MS] {
        let part: Vec<u8> = pcm.iter().copied().cycle().take(playback::bytes(format, milliseconds)).collect();
        let plan = plan(arguments, file, format, &part.into(), None, Watch::Instructions);
        counts.push(played(image, &plan)?.driver.instructions);
        bar.inc(1);
    }
    let (Some(short), Some(long)) = (counts[0], counts[1]) else { return Ok(None) };
    Ok(Some(long.saturating_sub(short) as f64 * 1e3 / INSTRUCTION_MS as f64))
}

fn table(all: &[Figures]) -> Table {
    let mut table = Table::new();
    let names = all.iter().map(|figures| figures.name.display().to_string());
    table.load_style(UTF8_FULL_CONDENSED).set_header(std::iter::once(String::new()).chain(names));
    let columns: Vec<Vec<(&str, String)>> = all.iter().map(Figures::rows).collect();
    for row in 0..columns[0].len() {
        let title = columns[0][row].0.to_owned();
        table.add_row(std::iter::once(title).chain(columns.iter().map(|column| column[row].1.clone())));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn footnotes(arguments: &Arguments) -> String {
    let clock = match (arguments.real, arguments.tick > 0.0) {
        (true, _) => "the real clock".to_owned(),
        (false, true) => format!("the virtual clock with an interrupt every {} ms", arguments.tick),
        (false, false) => "the virtual clock, on which every timer is exact".to_owned(),
    };
    format!(
        "On {clock}. Lateness: from the time at which a packet's last frame was played to its send; negative: sent before.\n\
         CPU and instructions: of driver code, without the functions of Windows that it calls. Wake-ups: waits, DPCs and\n\
         work items. A WaveRT client keeps a buffer of 20 ms filled, and one of WaveCyclic writes 20 ms ahead."
    )
}
