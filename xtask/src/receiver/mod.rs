//! `cargo xtask receiver`: the program `scream`, which plays what the driver sends.
//!
//! For this computer it is built with the outputs whose libraries are there, and says which those are; `--windows` builds
//! `scream.exe`, and `--deb` makes a Debian package ([`deb`]).

pub mod deb;

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;

use crate::driver::with_libclang;
use crate::prerequisites::sound::{self, FEATURES, Feature};
use crate::prerequisites::{MINGW, Need, PKG_CONFIG, Policy, WINDOWS_GNU_TARGET, ensure};
use crate::process::{cargo, run, target_directory};

/// The target of `scream.exe`, as Rust calls it.
const WINDOWS: &str = "x86_64-pc-windows-gnu";

/// What the build of `scream.exe` needs besides Rust.
pub const WINDOWS_NEEDS: &[Need] = &[WINDOWS_GNU_TARGET, MINGW];

/// What tells cargo which program it is, without any feature.
const SELECTION: &[&str] =
    &["--release", "--package", "receiver", "--bin", "scream", "--no-default-features"];

/// What the command takes.
#[derive(Args)]
pub struct Arguments {
    /// Install the libraries of all outputs first, not only build those whose library is there.
    #[arg(long)]
    all: bool,
    /// Build scream.exe, for Windows on x64.
    #[arg(long, conflicts_with = "all")]
    windows: bool,
    /// Make a Debian package, with all outputs.
    #[arg(long, conflicts_with_all = ["all", "windows"])]
    deb: bool,
}

/// Builds the program or its package, and prints what is in it and its path.
///
/// # Errors
/// Something is missing, or the build fails.
pub fn run_it(arguments: &Arguments, policy: Policy) -> Result<()> {
    let program = if arguments.windows {
        ensure(WINDOWS_NEEDS, policy)?;
        build_for_windows()?
    } else if arguments.deb {
        ensure(&deb::needs(), policy)?;
        deb::make(&target_directory().join("package"))?
    } else {
        let found = found(arguments.all, policy)?;
        let program = build(&found)?;
        for feature in FEATURES {
            println!("{}", line(feature, found.iter().any(|found| found.name == feature.name)));
        }
        program
    };
    println!("{}", program.display());
    Ok(())
}

/// The features whose library is there; with `all` every library is installed first.
///
/// # Errors
/// Something is missing and may not or cannot be installed.
pub fn found(all: bool, policy: Policy) -> Result<Vec<&'static Feature>> {
    if all {
        ensure(&sound::build_needs(), policy)?;
        return Ok(FEATURES.iter().collect());
    }
    ensure(&[PKG_CONFIG], policy)?;
    let found: Vec<_> = FEATURES.iter().filter(|feature| feature.library.is_present()).collect();
    let more: Vec<_> = found.iter().flat_map(|feature| feature.more).copied().collect();
    ensure(&more, policy)?;
    Ok(found)
}

/// Builds the program for this computer with some features, and returns its path.
///
/// # Errors
/// The build fails.
pub fn build(features: &[&Feature]) -> Result<PathBuf> {
    let mut command = cargo(".", &["build"]);
    command.args(SELECTION);
    if !features.is_empty() {
        command.arg("--features").arg(names(features));
    }
    run(with_libclang(&mut command))?;
    Ok(target_directory().join("release/scream"))
}

/// Builds the program for Windows, and returns its path.
///
/// # Errors
/// The build fails.
pub fn build_for_windows() -> Result<PathBuf> {
    run(cargo(".", &["build", "--target", WINDOWS]).args(SELECTION))?;
    Ok(target_directory().join(WINDOWS).join("release/scream.exe"))
}

/// Features, as cargo takes them.
fn names(features: &[&Feature]) -> String {
    features.iter().map(|feature| feature.name).collect::<Vec<_>>().join(",")
}

/// What is said of a feature.
fn line(feature: &Feature, is_in: bool) -> String {
    let Feature { name, what, library, .. } = feature;
    match library {
        _ if is_in => format!("{name:<9} in        {what}"),
        Need::Package { name: package, .. } => {
            format!("{name:<9} left out  {what}: the package {package} would bring it, or --all")
        }
        _ => format!("{name:<9} left out  {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::root;

    #[test]
    fn the_features_are_those_of_the_receiver() {
        let manifest =
            std::fs::read_to_string(root().join("crates/receiver/Cargo.toml")).expect("a manifest");
        let manifest: toml::Table = manifest.parse().expect("TOML");
        let mut those: Vec<_> = manifest["features"]["default"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|name| name.as_str().expect("a name"))
            .collect();
        let mut these: Vec<_> = FEATURES.iter().map(|feature| feature.name).collect();
        those.sort_unstable();
        these.sort_unstable();
        assert_eq!(these, those);
    }

    #[test]
    fn what_is_left_out_is_told_with_the_package_that_would_bring_it() {
        let jack = FEATURES.iter().find(|feature| feature.name == "jack").expect("it is one");
        assert_eq!(line(jack, true), "jack      in        output JACK");
        assert_eq!(
            line(jack, false),
            "jack      left out  output JACK: the package libjack-jackd2-dev would bring it, or --all"
        );
        assert_eq!(names(&[jack, jack]), "jack,jack");
    }
}
