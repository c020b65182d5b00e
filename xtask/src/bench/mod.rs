//! `cargo xtask bench`: what the driver costs.
//!
//! [`life`] lets the driver live once in the testbed; [`measure`] compares lives under the virtual clock; [`real`] plays on
//! the real clock; [`report`] prints what came out, and [`plot`] draws it.
//!
//! Machines are shared and noisy: only compare figures of one run. Instructions, wake-ups, memory and the lateness under
//! the virtual clock are exact and the same in every run.

mod life;
mod measure;
mod plot;
mod real;
mod report;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, anyhow};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use testbed::image::Image;
use testbed::image::check::ImageSummary;

use crate::driver::{self, Profile};

/// What the command takes.
#[derive(Args)]
pub struct Arguments {
    /// Where to draw how late packets left on the real clock.
    #[arg(long, value_name = "FILE.svg", default_value = "target/lateness.svg")]
    plot: PathBuf,
}

/// Runs the benchmark.
///
/// # Errors
/// One line: the driver does not build or play, it breaks a rule, or the drawing cannot be written.
pub fn run(arguments: &Arguments) -> Result<()> {
    let file = driver::build(Profile::Release)?;
    let image = Image::open(&file).map_err(|error| anyhow!("{error}"))?;
    let summary = ImageSummary::read(image.bytes()).map_err(|problem| anyhow!("{problem}"))?;
    let bar = ProgressBar::new(measure::LIVES).with_style(style("{msg} [{bar:32}] {pos}/{len}")?);
    bar.set_message("virtual clock");
    let (rows, start_up) = measure::measure(&image, &|| bar.inc(1))?;
    bar.finish_and_clear();
    let spinner = ProgressBar::new_spinner().with_style(style("{msg} {spinner} {elapsed}")?);
    spinner.set_message(format!("real clock, {} s", real::SECONDS));
    spinner.enable_steady_tick(Duration::from_millis(100));
    let real = real::measure(&image)?;
    spinner.finish_and_clear();
    print!("{}", report::report(&rows, &start_up, &real, &summary));
    plot::draw(&real, &arguments.plot)?;
    println!("drawing    {}", arguments.plot.display());
    Ok(())
}

fn style(template: &str) -> Result<ProgressStyle> {
    Ok(ProgressStyle::with_template(template)?.progress_chars("=> "))
}
