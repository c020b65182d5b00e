//! Builds the driver: `cross/` with the stand-in for `wdk-build`, and a name that Windows expects.

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result};

use crate::prerequisites::{LIBCLANG_DIRECTORY, Need};
use crate::process::{cargo, root, run};
use crate::reproducible;
use crate::target::Target;

/// What the build for this computer's processor needs besides Rust.
pub const NEEDS: &[Need] = Target::HOST.needs();

/// How to build.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Not optimized, with debug assertions.
    Debug,
    /// What users get.
    Release,
}

impl Profile {
    /// The profile that the switch `--release` selects.
    pub fn new(release: bool) -> Self {
        if release { Self::Release } else { Self::Debug }
    }

    fn directory(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Release => "release",
        }
    }
}

/// Builds and checks the driver for this computer's processor, and returns the path of `scream.sys`.
///
/// # Errors
/// The build fails, or the file breaks a rule.
pub fn build(profile: Profile) -> Result<PathBuf> {
    build_for(Target::HOST, profile)
}

/// Builds and checks the driver for a processor, and returns the path of `scream.sys`.
///
/// # Errors
/// The build fails, or the file breaks a rule.
pub fn build_for(target: Target, profile: Profile) -> Result<PathBuf> {
    let driver = build_package("scream", target, profile)?;
    crate::image::check(&driver, profile)?;
    Ok(driver)
}

/// Builds the driver that breaks the rules of the testbed's verifier, and returns the path of `rules.sys`.
///
/// # Errors
/// The build fails.
pub fn build_rules(target: Target) -> Result<PathBuf> {
    // Optimized, as it is then the same image for everybody, and what its cases do stays in their own functions.
    build_package("rules", target, Profile::Release)
}

/// Builds a package of `cross/`, and gives the file the name that Windows expects.
fn build_package(name: &str, target: Target, profile: Profile) -> Result<PathBuf> {
    let linked = build_in(&root(), &target_directory(), name, target, profile)?;
    let driver = linked.with_extension("sys");
    fs::copy(&linked, &driver).with_context(|| format!("cannot copy {}", linked.display()))?;
    Ok(driver)
}

/// Builds a package of `cross/` from the sources below `root`, and returns what is linked.
///
/// # Errors
/// The build fails.
pub fn build_in(
    root: &Path,
    target_directory: &Path,
    name: &str,
    target: Target,
    profile: Profile,
) -> Result<PathBuf> {
    let triple = target.windows_triple();
    let mut command = cargo(CROSS, &["build", "--package", name, "--target", triple]);
    if profile == Profile::Release {
        command.arg("--release");
    }
    command.current_dir(root.join(CROSS)).env("CARGO_TARGET_DIR", target_directory);
    reproducible::link(reproducible::compile(&mut command, root, target_directory)?, triple)?;
    run(with_libclang(&mut command))?;
    Ok(target_directory.join(triple).join(profile.directory()).join(name).with_extension("dll"))
}

/// The directory of the manifest that builds the driver.
pub const CROSS: &str = "cross";

/// Lets bindgen find the libclang that [`NEEDS`] names, unless the user has chosen another one.
pub fn with_libclang(command: &mut std::process::Command) -> &mut std::process::Command {
    if env::var_os("LIBCLANG_PATH").is_none() {
        command.env("LIBCLANG_PATH", LIBCLANG_DIRECTORY);
    }
    command
}

/// Where cargo puts what it builds of the driver.
fn target_directory() -> PathBuf {
    let cross = root().join(CROSS);
    match env::var_os("CARGO_TARGET_DIR") {
        Some(directory) => cross.join(directory),
        None => cross.join("target"),
    }
}
