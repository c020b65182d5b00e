//! The commands, each in its file.

mod doctor;
pub mod install;
mod inventory;
mod options;
mod rights;
mod service;
mod status;
mod table;
mod targets;
mod test_tone;
mod uninstall;

use crate::Outcome;
use crate::arguments::{Arguments, Command};
use crate::computer::Computer;
use crate::console::Console;
use crate::failure::Failure;

/// The hardware id of the device node.
pub const HARDWARE_ID: &str = r"ROOT\Scream";
/// The hardware id of the older driver's device node.
pub const OLD_HARDWARE_ID: &str = "*Scream";
/// The service of either driver.
pub const SERVICE: &str = "Scream";

/// What a command returns.
pub type Result<T = Outcome> = std::result::Result<T, Failure>;

/// Does what the command line says.
///
/// # Errors
/// It cannot be done; nothing is left half done.
pub fn run(arguments: &Arguments, computer: &mut dyn Computer, console: &mut dyn Console) -> Result {
    if let Some(outcome) = rights::elevate(arguments, computer, console)? {
        return Ok(outcome);
    }
    match &arguments.command {
        Command::Install(arguments) => install::run(arguments, computer, console),
        Command::Uninstall(arguments) => uninstall::run(arguments, computer, console),
        Command::Status => status::run(computer, console),
        Command::Options { command } => options::run(command, computer, console),
        Command::Targets { command } => targets::run(command.as_ref(), computer, console),
        Command::TestTone(arguments) => test_tone::run(arguments, computer, console),
        Command::Doctor => doctor::run(computer, console),
    }
}
