//! The manifest at the root, which Windows builds the driver with: `cargo check` for Windows with its features and its
//! versions. What is not Windows' here are the stand-in for `wdk-build`, and with it the headers.

use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;

use crate::driver::with_libclang;
use crate::process::{self, cargo, target_directory};
use crate::reproducible::copy_sources;
use crate::target::Target;

/// What lets cargo take the stand-in, which for once is not what the lock file says.
const STAND_IN: &str = r#"patch.crates-io.wdk-build.path="crates/wdk-build""#;

/// Checks the driver by the manifest at the root, for every processor.
///
/// # Errors
/// The sources cannot be copied, or they do not compile.
pub fn check() -> Result<()> {
    // In a copy, because cargo writes the stand-in into the lock file.
    let place = tempfile::Builder::new().prefix("scream-windows-").tempdir()?;
    copy_sources(place.path())?;
    Target::value_variants().iter().try_for_each(|target| check_in(place.path(), *target))
}

fn check_in(root: &Path, target: Target) -> Result<()> {
    let arguments = ["check", "--release", "--package", "scream", "--config", STAND_IN, "--target"];
    let mut command = cargo(".", &arguments);
    command.arg(target.windows_triple()).current_dir(root);
    command.env("CARGO_TARGET_DIR", target_directory().join("windows-manifest"));
    process::run(with_libclang(&mut command))
}
