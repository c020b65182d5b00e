//! What the receiver does and costs: simulated hours, and the program itself on a sound server.
//!
//! [`hours`] simulates, [`live`] runs the program, [`report`] prints what came out and what it should be, and [`plot`] draws
//! the delay.

mod hours;
mod live;
mod plot;
mod report;

use std::path::Path;

use anyhow::Result;

use super::style;
use crate::prerequisites::{Need, Policy, ensure, sound};
use hours::{Day, Hour};
use live::Live;

/// Everything that was measured.
struct Measured {
    /// The hour with a target that leaves room for the jitter, and with the usual one.
    hours: Vec<Hour>,
    /// The program on a sound server.
    live: Live,
    /// A day, if it was asked for.
    day: Option<Day>,
}

/// What the benchmark needs besides Rust.
fn needs() -> Vec<Need> {
    [&sound::build_needs(), sound::SERVERS].concat()
}

/// Measures, prints and draws; `day` simulates a whole day, too.
///
/// # Errors
/// One line: something is missing, the program does not build or play, or the drawing cannot be written.
pub fn run(drawing: &Path, day: bool, policy: Policy) -> Result<()> {
    ensure(&needs(), policy)?;
    let program = crate::receiver::build(&crate::receiver::found(true, policy)?)?;
    let hours = hours::measure()?;
    let live = live::measure(&program)?;
    let day = day.then(hours::day).transpose()?;
    let measured = Measured { hours, live, day };
    print!("{}", report::report(&measured));
    plot::draw(&measured.hours, drawing)?;
    println!("drawing    {}", drawing.display());
    Ok(())
}
