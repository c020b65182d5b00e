//! `screamctl`: installs, sets up, examines and removes Scream on Windows.
//!
//! [`run`] is the whole program: the command line, the [`Computer`] that it is about and the [`Console`] that it talks to
//! go in, an exit code comes out. Each command is a file of [`commands`].

pub mod arguments;
pub mod commands;
pub mod computer;
pub mod console;
pub mod failure;

use std::ffi::OsString;

use arguments::Parsed;
use computer::Computer;
use console::Console;

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All is as the user wants it.
    Done,
    /// It will be, once Windows has been started anew.
    RestartNeeded,
    /// Something was found to be wrong, and has been said.
    Wrong,
}

/// The exit code for success.
pub const DONE: i32 = 0;
/// The exit code of a failure: one line says what it is.
pub const FAILED: i32 = 1;
/// The exit code of a command line that makes no sense.
pub const MISUSED: i32 = 2;
/// The exit code of success that needs a restart: `ERROR_SUCCESS_REBOOT_REQUIRED`, as Windows' own installers have it.
pub const RESTART_NEEDED: i32 = 3010;

/// Does what the command line says, and returns the exit code.
pub fn run(arguments: Vec<OsString>, computer: &mut dyn Computer, console: &mut dyn Console) -> i32 {
    let arguments = match arguments::parse(arguments) {
        Parsed::Arguments(arguments) => arguments,
        Parsed::Help(text) => {
            console.print(&text);
            return DONE;
        }
        Parsed::Misuse(text) => {
            console.print_error(&text);
            return MISUSED;
        }
    };
    let code = finish(commands::run(&arguments, computer, console), console);
    if arguments.rights().is_some_and(|rights| rights.own_window && !rights.unattended) {
        console.wait_for_enter("Press Enter to close this window.");
    }
    code
}

/// Says why a command failed, if it did, and returns the exit code.
fn finish(result: commands::Result, console: &mut dyn Console) -> i32 {
    match result {
        Ok(Outcome::Done) => DONE,
        Ok(Outcome::RestartNeeded) => RESTART_NEEDED,
        Ok(Outcome::Wrong) => FAILED,
        Err(failure) => {
            console.print_error(&format!("error: {failure}\n"));
            FAILED
        }
    }
}
