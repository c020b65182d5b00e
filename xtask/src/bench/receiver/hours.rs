//! Simulated time: an hour on a bad network, and a day.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::ProgressBar;
use receiver::player::thread::Settings;
use receiver::simulation::{Heard, Plan, run_and_tell};

use super::style;

/// Targets of the hour, in milliseconds: one that leaves room to find out what was lost, and the usual one.
const TARGETS: [u64; 2] = [100, 50];

/// An hour with clocks that differ by 100 ppm, 20 ms of jitter and 1 % of loss.
pub struct Hour {
    /// What the delay should be, in milliseconds.
    pub target: f64,
    /// What was heard.
    pub heard: Heard,
}

/// A day of the same.
pub struct Day {
    /// The program's memory after the first hour and at the end, in KiB.
    pub memory: (u64, u64),
    /// The processor time that the player took for a second of audio, in seconds.
    pub cpu: f64,
}

fn plan(target: u64, hours: u64) -> Plan {
    let settings = Settings { target: Duration::from_millis(target), ..Plan::default().settings };
    Plan {
        time: Duration::from_secs(hours * 3600),
        drift_ppm: 100.0,
        jitter: Duration::from_millis(20),
        lost_of_a_million: 10_000,
        settings,
        ..Plan::default()
    }
}

/// Simulates the hour with each target.
///
/// # Errors
/// The progress bar cannot be shown.
pub fn measure() -> Result<Vec<Hour>> {
    let bar =
        ProgressBar::new(60 * TARGETS.len() as u64).with_style(style("{msg} [{bar:32}] {pos}/{len} min")?);
    bar.set_message("simulated hours");
    let hour = |target| {
        let heard = run_and_tell(&plan(target, 1), &mut |_| bar.inc(1));
        Hour { target: target as f64, heard }
    };
    let hours = TARGETS.into_iter().map(hour).collect();
    bar.finish_and_clear();
    Ok(hours)
}

/// Simulates the day.
///
/// # Errors
/// The system does not tell how much memory this program has.
pub fn day() -> Result<Day> {
    let bar = ProgressBar::new(24 * 60).with_style(style("{msg} [{bar:32}] {pos}/{len} min")?);
    bar.set_message("simulated day");
    let mut first = None;
    let start = Instant::now();
    run_and_tell(&Plan { heard: false, ..plan(50, 24) }, &mut |minutes| {
        bar.set_position(minutes);
        if minutes == 60 {
            first = Some(resident());
        }
    });
    let cpu = start.elapsed().as_secs_f64() / 86_400.0;
    bar.finish_and_clear();
    let first = first.context("an hour has not passed")??;
    Ok(Day { memory: (first, resident()?), cpu })
}

/// Memory of this program, in KiB.
fn resident() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status").context("the system does not tell of memory")?;
    super::live::kib_of(&status).context("the system does not tell how much memory there is")
}
