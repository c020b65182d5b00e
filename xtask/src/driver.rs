//! Builds the driver: `cross/` with the stand-in for `wdk-build`, and a name that Windows expects.

use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Context, Result};

use crate::prerequisites::{CLANG_HEADERS, LIBCLANG, LIBCLANG_DIRECTORY, NT_HEADERS, Need, WINDOWS_TARGET};
use crate::process::{cargo, root, run};

/// What the build needs besides Rust.
pub const NEEDS: &[Need] = &[LIBCLANG, CLANG_HEADERS, NT_HEADERS, WINDOWS_TARGET];

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

/// Builds and checks the driver, and returns the path of `scream.sys`.
///
/// # Errors
/// The build fails, or the file breaks a rule.
pub fn build(profile: Profile) -> Result<PathBuf> {
    let mut command = cargo(CROSS, &["build"]);
    if profile == Profile::Release {
        command.arg("--release");
    }
    run(with_libclang(&mut command))?;
    let directory = target_directory().join("x86_64-pc-windows-msvc").join(profile.directory());
    let (linked, driver) = (directory.join("scream.dll"), directory.join("scream.sys"));
    fs::copy(&linked, &driver).with_context(|| format!("cannot copy {}", linked.display()))?;
    crate::image::check(&driver, profile)?;
    Ok(driver)
}

/// Builds the driver that breaks the rules of the testbed's verifier, and returns the path of `rules.sys`.
///
/// # Errors
/// The build fails.
pub fn build_rules() -> Result<PathBuf> {
    // Optimized, as it is then the same image for everybody, and what its cases do stays in their own functions.
    run(with_libclang(&mut cargo(CROSS, &["build", "--release", "--package", "rules"])))?;
    let directory = target_directory().join("x86_64-pc-windows-msvc").join(Profile::Release.directory());
    let (linked, driver) = (directory.join("rules.dll"), directory.join("rules.sys"));
    fs::copy(&linked, &driver).with_context(|| format!("cannot copy {}", linked.display()))?;
    Ok(driver)
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
