//! The commands.

mod bench;
mod driver;
mod fuzz;
mod info;
mod options;
mod play;
mod soak;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Plays Windows around a driver file.
#[derive(Parser)]
#[command(name = "testbed")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Play a WAV file through a driver, and say what was sent, lost and violated.
    Play(play::Arguments),
    /// Play the same audio through driver files, and compare what they do and cost.
    Bench(bench::Arguments),
    /// Check a driver file: what it is, what it imports, which rules it breaks.
    Info(info::Arguments),
    /// Ask a driver everything that user mode can ask, with bytes of any kind.
    Fuzz(fuzz::Arguments),
    /// Live whole lives of a driver, each chosen by a seed, in which anything may fail.
    Soak(soak::Arguments),
}

/// Runs a command.
///
/// # Errors
/// One line: what is wrong with the input, or what the driver did wrong.
pub fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Command::Play(arguments) => play::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Info(arguments) => info::run(&arguments),
        Command::Fuzz(arguments) => fuzz::run(&arguments),
        Command::Soak(arguments) => soak::run(&arguments),
    }
}
