//! Developer commands, called as `cargo xtask <command>`.
//!
//! Every command first makes sure that what it needs is installed ([`prerequisites`]). What a command has to
//! say goes to the standard output, the progress of the programs that it runs to the standard error. It fails
//! with one line.

mod bench;
mod check;
mod demo;
mod driver;
mod fuzz;
mod image;
mod prerequisites;
mod process;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use driver::Profile;
use prerequisites::Policy;

/// Developer commands of Scream.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    /// Install nothing: name what is missing, and fail.
    #[arg(long, global = true)]
    no_install: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the driver, check the file, and print its path.
    Build {
        /// Optimize, and demand that no panic can be reached.
        #[arg(long)]
        release: bool,
    },
    /// Build the driver that breaks the rules of the testbed's verifier, and print its path.
    BuildRules,
    /// Check that Windows would load this driver file, and that it imports only what it may.
    CheckImage {
        /// The driver: scream.sys.
        file: PathBuf,
        /// Demand that no panic can be reached.
        #[arg(long)]
        release: bool,
    },
    /// Play a WAV file through the driver and the network, and compare what comes out.
    Demo(demo::Arguments),
    /// Measure the driver: processor time, instructions, memory, file size, and how late packets leave.
    Bench(bench::Arguments),
    /// Run every test: the crates', and the scenarios that drive scream.sys in the testbed.
    Test,
    /// Fuzz what comes from outside, guided by coverage.
    Fuzz(fuzz::Arguments),
    /// Check formatting, lints, documentation, manifests and house rules: what CI runs.
    Check {
        /// Run the tests of `protocol` under Miri and loom too.
        #[arg(long)]
        thorough: bool,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let policy = if arguments.no_install { Policy::Report } else { Policy::Install };
    match run(arguments.command, policy) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, policy: Policy) -> Result<()> {
    match command {
        Command::Build { release } => {
            prerequisites::ensure(driver::NEEDS, policy)?;
            let profile = Profile::new(release);
            let file = driver::build(profile)?;
            image::show_and_check(&file, profile)?;
            println!("{}", file.display());
            Ok(())
        }
        Command::BuildRules => {
            prerequisites::ensure(driver::NEEDS, policy)?;
            println!("{}", driver::build_rules()?.display());
            Ok(())
        }
        Command::CheckImage { file, release } => image::show_and_check(&file, Profile::new(release)),
        Command::Demo(arguments) => {
            prerequisites::ensure(driver::NEEDS, policy)?;
            demo::run(&arguments)
        }
        Command::Bench(arguments) => {
            prerequisites::ensure(driver::NEEDS, policy)?;
            bench::run(&arguments)
        }
        Command::Test => {
            prerequisites::ensure(driver::NEEDS, policy)?;
            test::run_all()
        }
        Command::Fuzz(arguments) => {
            prerequisites::ensure(fuzz::NEEDS, policy)?;
            fuzz::run_all(&arguments)
        }
        Command::Check { thorough } => {
            prerequisites::ensure(check::NEEDS, policy)?;
            if thorough {
                prerequisites::ensure(check::THOROUGH_NEEDS, policy)?;
            }
            check::run(thorough)
        }
    }
}
