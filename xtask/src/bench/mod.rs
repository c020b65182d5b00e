//! `cargo xtask bench`: what the driver costs, and what the receiver does and costs.
//!
//! Of the driver, [`life`] lets the driver live once in the testbed; [`measure`] compares lives under the virtual clock, and [`wakes`] looks
//! at the wake-ups of one; [`real`] plays on the real clock. [`report`] prints what came out, [`goals`] what it should be,
//! and [`plot`] draws the packets. The receiver has a folder of its own, [`receiver`].
//!
//! Machines are shared and noisy: only compare figures of one run. Instructions, wake-ups, memory and the lateness under
//! the virtual clock are exact and the same in every run.

mod goals;
mod life;
mod measure;
mod plot;
mod real;
mod receiver;
mod report;
mod wakes;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use testbed::image::Image;
use testbed::image::check::ImageSummary;
use testbed::playback::{self, Idle};

use crate::driver::{self, Profile};
use crate::prerequisites::Policy;

/// What the command takes.
#[derive(Args)]
pub struct Arguments {
    /// Where to draw how late packets left on the real clock.
    #[arg(long, value_name = "FILE.svg", default_value = "target/lateness.svg")]
    plot: PathBuf,
    /// Where to draw the delay of the receiver over an hour.
    #[arg(long, value_name = "FILE.svg", default_value = "target/delay.svg")]
    delay_plot: PathBuf,
    /// Measure only this [default: both].
    #[arg(value_enum)]
    what: Option<What>,
    /// Of the receiver, simulate a whole day, too: some minutes more.
    #[arg(long)]
    day: bool,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// The driver.
    Driver,
    /// The receiver.
    Receiver,
}

/// Everything that was measured.
struct Measured {
    /// Under the virtual clock, each format.
    rows: Vec<measure::Row>,
    /// Many targets.
    fanout: measure::Fanout,
    /// What happens once.
    start_up: measure::StartUp,
    /// On the real clock, a usual format.
    usual: real::Real,
    /// And the one with the most to send.
    densest: real::Real,
    /// While nothing plays.
    idle: Vec<Idle>,
}

/// Runs the benchmark.
///
/// # Errors
/// One line: the driver or the receiver does not build or play, it breaks a rule, or a drawing cannot be written.
pub fn run(arguments: &Arguments, policy: Policy) -> Result<()> {
    if arguments.what != Some(What::Receiver) {
        run_driver(arguments)?;
    }
    if arguments.what != Some(What::Driver) {
        receiver::run(&arguments.delay_plot, arguments.day, policy)?;
    }
    Ok(())
}

fn run_driver(arguments: &Arguments) -> Result<()> {
    let file = driver::build(Profile::Release)?;
    let image = Image::open(&file).map_err(|error| anyhow!("{error}"))?;
    let summary = ImageSummary::read(image.bytes()).map_err(|problem| anyhow!("{problem}"))?;
    let bar = ProgressBar::new(measure::LIVES).with_style(style("{msg} [{bar:32}] {pos}/{len}")?);
    bar.set_message("virtual clock");
    let (rows, start_up) = measure::measure(&image, &|| bar.inc(1))?;
    let fanout = measure::fanout(&image, &rows[0], &|| bar.inc(1))?;
    bar.finish_and_clear();
    let spinner = ProgressBar::new_spinner().with_style(style("{msg} {spinner} {elapsed}")?);
    spinner.set_message(format!("real clock, twice {} s", real::SECONDS));
    spinner.enable_steady_tick(Duration::from_millis(100));
    let usual = real::measure(&image, real::USUAL)?;
    let densest = real::measure(&image, real::DENSEST)?;
    spinner.finish_and_clear();
    let idle = playback::idle(&image, life::SERVICE, usual.format)?;
    let measured = Measured { rows, fanout, start_up, usual, densest, idle };
    print!("{}", report::report(&measured, &summary));
    plot::draw(&measured.usual, &arguments.plot)?;
    println!("drawing    {}", arguments.plot.display());
    Ok(())
}

fn style(template: &str) -> Result<ProgressStyle> {
    Ok(ProgressStyle::with_template(template)?.progress_chars("=> "))
}
