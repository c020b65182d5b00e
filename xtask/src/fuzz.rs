//! `cargo xtask fuzz`: coverage-guided fuzzing of what `protocol` gets from outside.
//!
//! New inputs go into the corpus in `crates/protocol/fuzz/corpus`, which the tests of `protocol` run over; the corpus is
//! made small again at the end. A crash is left in `crates/protocol/fuzz/artifacts` and named.

use anyhow::Result;
use clap::Args;

use crate::prerequisites::{CARGO_FUZZ, NIGHTLY, Need};
use crate::process::{cargo, run};

/// What fuzzing needs besides Rust.
pub const NEEDS: &[Need] = &[NIGHTLY, CARGO_FUZZ];

/// The functions of `crates/protocol/fuzz/targets.rs`.
const TARGETS: [&str; 4] = ["options", "packet", "ring", "silence"];
const DIRECTORY: &str = "crates/protocol/fuzz";

/// What the command takes.
#[derive(Args)]
pub struct Arguments {
    /// Seconds for each target.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
}

/// Fuzzes every target for a while.
///
/// # Errors
/// A target failed for some input.
pub fn run_all(arguments: &Arguments) -> Result<()> {
    for target in TARGETS {
        println!("{target}: {} seconds", arguments.seconds);
        let limit = format!("-max_total_time={}", arguments.seconds);
        run(&mut cargo(
            ".",
            &[
                "+nightly",
                "fuzz",
                "run",
                target,
                "--fuzz-dir",
                DIRECTORY,
                "--",
                &limit,
                "-max_len=4096",
                "-verbosity=0",
            ],
        ))?;
        run(&mut cargo(".", &["+nightly", "fuzz", "cmin", target, "--fuzz-dir", DIRECTORY]))?;
    }
    println!("nothing was found");
    Ok(())
}
