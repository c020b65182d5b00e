//! Developer commands, called as `cargo xtask <command>`.
//!
//! Every command first makes sure that what it needs is installed ([`prerequisites`]). What a command has to
//! say goes to the standard output, the progress of the programs that it runs to the standard error. It fails
//! with one line.

mod abi;
mod bench;
mod check;
mod demo;
mod driver;
mod fuzz;
mod image;
mod package;
mod prerequisites;
mod process;
mod receiver;
mod reproducible;
mod target;
mod test;
mod testbed;
mod windows_program;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use driver::Profile;
use prerequisites::Policy;
use target::Target;

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
        /// The processor that it is for.
        #[arg(long, value_enum, default_value_t = Target::X64)]
        target: Target,
        /// Optimize, and demand that no panic can be reached.
        #[arg(long)]
        release: bool,
    },
    /// Build the driver that breaks the rules of the testbed's verifier, and print its path.
    BuildRules {
        /// The processor that it is for.
        #[arg(long, value_enum, default_value_t = Target::X64)]
        target: Target,
    },
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
    /// Measure the driver (processor time, instructions, memory, file size, how late packets leave) and the receiver (delay,
    /// losses, processor time, memory).
    Bench(bench::Arguments),
    /// Make what users get: the drivers and screamctl for x64 and arm64, signed, in one archive.
    Package(package::Arguments),
    /// Build scream, which plays what the driver sends, with the outputs whose libraries are there, and print its path.
    Receiver(receiver::Arguments),
    /// Run every test: the crates', and the scenarios that drive scream.sys in the testbed.
    Test {
        /// The processor of the drivers. On another one than this computer's, the testbed runs in an emulator.
        #[arg(long, value_enum, default_value_t = Target::HOST)]
        target: Target,
    },
    /// Run the testbed, in an emulator if the driver is for another processor.
    Testbed(testbed::Arguments),
    /// Fuzz what comes from outside, guided by coverage.
    Fuzz(fuzz::Arguments),
    /// List the declarations of Windows that the driver uses, and who says that they are right.
    Abi,
    /// Check formatting, lints, documentation, manifests and house rules: what CI runs.
    Check {
        /// Run the tests of `protocol` under Miri and loom too, and those of the arm64 driver in an emulator.
        #[arg(long)]
        thorough: bool,
    },
}

fn main() -> ExitCode {
    if let Some(result) = reproducible::act() {
        return acted(result);
    }
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

/// The exit code of what this program was started as.
fn acted(result: Result<i32>) -> ExitCode {
    result.map_or_else(
        |error| {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        },
        |code| ExitCode::from(u8::try_from(code).unwrap_or(1)),
    )
}

fn run(command: Command, policy: Policy) -> Result<()> {
    match command {
        Command::Build { target, release } => {
            prerequisites::ensure(target.needs(), policy)?;
            let profile = Profile::new(release);
            let file = driver::build_for(target, profile)?;
            image::show_and_check(&file, profile)?;
            println!("{}", file.display());
            Ok(())
        }
        Command::BuildRules { target } => {
            prerequisites::ensure(target.needs(), policy)?;
            println!("{}", driver::build_rules(target)?.display());
            Ok(())
        }
        Command::CheckImage { file, release } => image::show_and_check(&file, Profile::new(release)),
        Command::Demo(arguments) => {
            prerequisites::ensure(driver::NEEDS, policy)?;
            demo::run(&arguments, policy)
        }
        Command::Bench(arguments) => {
            prerequisites::ensure(driver::NEEDS, policy)?;
            bench::run(&arguments, policy)
        }
        Command::Package(arguments) => {
            prerequisites::ensure(&package::needs(), policy)?;
            package::run(&arguments)
        }
        Command::Receiver(arguments) => receiver::run_it(&arguments, policy),
        Command::Test { target } => test::run(target, policy),
        Command::Testbed(arguments) => {
            prerequisites::ensure(arguments.target.testbed_needs(), policy)?;
            testbed::run_it(&arguments)
        }
        Command::Fuzz(arguments) => {
            prerequisites::ensure(fuzz::NEEDS, policy)?;
            fuzz::run_all(&arguments)
        }
        Command::Abi => abi::run(),
        Command::Check { thorough } => {
            prerequisites::ensure(&check::needs(thorough), policy)?;
            check::run(thorough)
        }
    }
}
