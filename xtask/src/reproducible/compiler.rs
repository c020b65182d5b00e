//! rustc, with names for directories and for packages that are the same everywhere.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::{LINKER, ROLE, ROOT, TARGET_DIRECTORY};

/// Runs the compiler, and returns its exit code.
///
/// # Errors
/// It cannot be started.
pub fn compile(compiler: OsString, arguments: Vec<OsString>) -> Result<i32> {
    let mut command = Command::new(&compiler);
    command.env(ROLE, LINKER);
    if is_for_windows(&arguments) {
        command.args(arguments.into_iter().map(renamed)).args(prefixes());
    } else {
        command.args(arguments);
    }
    let status = command.status().with_context(|| format!("cannot start {}", compiler.display()))?;
    Ok(status.code().unwrap_or(1))
}

/// True for what becomes part of the file; build scripts and macros run here and leave no trace.
fn is_for_windows(arguments: &[OsString]) -> bool {
    let mut pairs = arguments.windows(2);
    pairs.any(|pair| pair[0] == "--target" && pair[1].to_string_lossy().contains("-windows-"))
}

/// Cargo's mark of a package may hold its path; name and version are as unique, since a file has each package once.
fn renamed(argument: OsString) -> OsString {
    if !argument.to_string_lossy().starts_with("metadata=") {
        return argument;
    }
    let part = |name| env::var(name).unwrap_or_default();
    format!("metadata={}-{}", part("CARGO_PKG_NAME"), part("CARGO_PKG_VERSION")).into()
}

/// What directories are called in debug information and in messages of panics. Of several that fit, rustc takes the last.
fn prefixes() -> Vec<OsString> {
    let part = |name| env::var(name).unwrap_or_default();
    let package = format!("{}-{}", part("CARGO_PKG_NAME"), part("CARGO_PKG_VERSION"));
    let mut prefixes = Vec::new();
    let mut add = |from: OsString, to: String| {
        if !from.is_empty() {
            let mut argument = OsString::from("--remap-path-prefix=");
            argument.push(from);
            argument.push("=");
            argument.push(to);
            prefixes.push(argument);
        }
    };
    let manifest = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    let root = env::var_os(ROOT).unwrap_or_default();
    if !Path::new(&manifest).starts_with(&root) {
        add(manifest, format!("/cargo/{package}"));
    }
    add(root, "/scream".to_owned());
    add(env::var_os(TARGET_DIRECTORY).unwrap_or_default(), "/target".to_owned());
    add(env::var_os("OUT_DIR").unwrap_or_default(), format!("/target/{package}"));
    prefixes
}
