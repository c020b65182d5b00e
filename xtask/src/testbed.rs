//! `cargo xtask testbed`: the testbed for a processor, also for one that this computer has not.

use std::ffi::OsString;
use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::process::{root, run};
use crate::target::Target;

/// What the command takes.
#[derive(Args)]
pub struct Arguments {
    /// The processor of the drivers that it is to run.
    #[arg(long, value_enum, default_value_t = Target::HOST)]
    pub target: Target,
    /// What the testbed takes: `play`, `info`, `bench`, `soak` or `help`, and their own arguments.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

/// Builds the testbed and runs it, in the present directory.
///
/// # Errors
/// It does not build, or it fails.
pub fn run_it(arguments: &Arguments) -> Result<()> {
    let mut command = Command::new("cargo");
    command.args(["run", "--quiet", "--package", "testbed", "--manifest-path"]);
    command.arg(root().join("Cargo.toml"));
    run(arguments.target.emulated(&mut command)?.arg("--").args(&arguments.arguments))
}
