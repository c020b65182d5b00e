//! Builds that give the same file in whatever directory they run.
//!
//! Three things would tell one directory from another: debug information has the paths of sources; cargo marks the symbols
//! of packages beside the workspace, as `protocol` is, with their absolute path, which changes the order of functions; and the
//! linker writes its inputs' paths, one of which is random in every run, into the .pdb, whose hash is part of the .sys.
//! There is no setting for the last two. So cargo runs this program as its compiler ([`compiler`]) and rustc runs it as
//! its linker ([`linker`]); each changes some arguments and passes the rest on.

mod compiler;
mod elsewhere;
mod linker;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result};

pub use elsewhere::{check, copy_sources};

/// What this program was started as; not set if by a developer.
const ROLE: &str = "XTASK_ROLE";
const COMPILER: &str = "compiler";
const LINKER: &str = "linker";

/// The root of the sources, for the compiler.
const ROOT: &str = "XTASK_ROOT";
/// The directory that cargo builds in, for the compiler.
const TARGET_DIRECTORY: &str = "XTASK_TARGET_DIRECTORY";

/// The variable with more arguments of the compiler. Cargo takes what was compiled with others for something else, while it
/// does not see who compiled: without an argument of its own, a build would take over what a plain `cargo build` has made.
pub const RUSTFLAGS: &str = "CARGO_ENCODED_RUSTFLAGS";

/// Lets a command of cargo, which builds the sources below `root` in `target_directory`, compile in a way that tells neither.
///
/// # Errors
/// This program's own file cannot be found.
pub fn compile<'c>(
    command: &'c mut Command,
    root: &Path,
    target_directory: &Path,
) -> Result<&'c mut Command> {
    command.env("RUSTC_WRAPPER", itself()?).env(ROLE, COMPILER);
    Ok(command.env(ROOT, root).env(TARGET_DIRECTORY, target_directory))
}

/// Lets a command of cargo link the drivers of `triple` in a way that does not tell the directory.
///
/// # Errors
/// This program's own file cannot be found.
pub fn link<'c>(command: &'c mut Command, triple: &str) -> Result<&'c mut Command> {
    let variable = format!("CARGO_TARGET_{}_LINKER", triple.to_uppercase().replace('-', "_"));
    // The name of this program does not say what kind of linker it is.
    Ok(command.env(variable, itself()?).env(RUSTFLAGS, "-Clinker-flavor=lld-link"))
}

/// Compiles or links if this program was started for that, and returns the exit code.
///
/// # Errors
/// The compiler or linker cannot be started, or its files cannot be read or written.
pub fn act() -> Option<Result<i32>> {
    let role = env::var(ROLE).ok()?;
    let mut arguments = env::args_os().skip(1);
    match role.as_str() {
        COMPILER => {
            // Build scripts run with the same environment, and may start this program for something else.
            let compiler = arguments.next()?;
            Some(compiler::compile(compiler, arguments.collect()))
        }
        LINKER => Some(linker::link(&arguments.collect::<Vec<OsString>>())),
        _ => None,
    }
}

/// The file of this program. A program that has been built anew while it runs is called "deleted" by Linux.
fn itself() -> Result<PathBuf> {
    env::current_exe().and_then(fs::canonicalize).context("cannot find the file of this program")
}
