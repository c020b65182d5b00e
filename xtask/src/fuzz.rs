//! `cargo xtask fuzz`: coverage-guided fuzzing of what `protocol` and `receiver` get from outside.
//!
//! New inputs go into the corpus in `fuzz/corpus` of the crate, which its tests run over; the corpus is made small again at
//! the end. A crash is left in `fuzz/artifacts` and named.

use anyhow::Result;
use clap::Args;
use clap::builder::PossibleValuesParser;

use crate::prerequisites::{CARGO_FUZZ, NIGHTLY, Need};
use crate::process::{cargo, run};

/// What fuzzing needs besides Rust.
pub const NEEDS: &[Need] = &[NIGHTLY, CARGO_FUZZ];

/// The functions of the crates' `fuzz/targets.rs`.
const TARGETS: [(&str, &str); 6] = [
    (PROTOCOL, "options"),
    (PROTOCOL, "packet"),
    (PROTOCOL, "ring"),
    (PROTOCOL, "silence"),
    (RECEIVER, "datagrams"),
    (RECEIVER, "shared_memory"),
];
const PROTOCOL: &str = "crates/protocol/fuzz";
const RECEIVER: &str = "crates/receiver/fuzz";

/// What the command takes.
#[derive(Args)]
pub struct Arguments {
    /// Seconds for each target.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Only these targets: options, packet, ring, silence, datagrams, shared_memory [default: all].
    #[arg(value_parser = PossibleValuesParser::new(TARGETS.map(|(_, target)| target)))]
    targets: Vec<String>,
}

/// Fuzzes every target for a while.
///
/// # Errors
/// A target failed for some input.
pub fn run_all(arguments: &Arguments) -> Result<()> {
    let wanted =
        |target: &str| arguments.targets.is_empty() || arguments.targets.iter().any(|one| one == target);
    for (directory, target) in TARGETS.into_iter().filter(|(_, target)| wanted(target)) {
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
                directory,
                "--",
                &limit,
                "-max_len=4096",
                "-verbosity=0",
            ],
        ))?;
        run(&mut cargo(".", &["+nightly", "fuzz", "cmin", target, "--fuzz-dir", directory]))?;
    }
    println!("nothing was found");
    Ok(())
}
