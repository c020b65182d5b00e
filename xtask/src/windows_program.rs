//! Builds programs for Windows: this workspace's, with zig as the linker.
//!
//! The target is `gnullvm`: it needs no library of Microsoft's, and what it imports is in every Windows 10. (Programs of the
//! target `gnu` import what the wine of Debian 12 has not.) zig and the command of cargo that calls it are Python packages, and
//! are kept in a virtual environment below the target directory.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, io};

use anyhow::{Context, Result};

use crate::prerequisites::{Need, PYTHON_VENV, WINDOWS_PROGRAM_ARM64_TARGET, WINDOWS_PROGRAM_X64_TARGET};
use crate::process::{cargo, root, run, target_directory};
use crate::reproducible::{self, RUSTFLAGS};
use crate::target::Target;

/// What the builds for all processors need besides Rust.
pub const NEEDS: &[Need] = &[PYTHON_VENV, WINDOWS_PROGRAM_X64_TARGET, WINDOWS_PROGRAM_ARM64_TARGET, ZIG];

/// The linker.
const ZIG: Need = Need::PythonPackages {
    name: "ziglang and cargo-zigbuild",
    why: "they link programs for Windows",
    present: is_installed,
    install,
};

/// What pip installs.
const REQUIREMENTS: &str = "xtask/zig-requirements.txt";

/// Builds a package's program as users get it, for every processor at once, and returns their paths in the same order.
///
/// # Errors
/// The build fails.
pub fn build(package: &str, targets: &[Target]) -> Result<Vec<PathBuf>> {
    compile(&["--package", package], targets)?;
    let program = |target: &Target| released(*target).join(package).with_extension("exe");
    Ok(targets.iter().map(program).collect())
}

/// Builds an example of a package for x64, which only the tests on wine need, and returns its path.
///
/// # Errors
/// The build fails.
pub fn build_example(package: &str, example: &str) -> Result<PathBuf> {
    compile(&["--package", package, "--example", example], &[Target::X64])?;
    Ok(released(Target::X64).join("examples").join(example).with_extension("exe"))
}

fn compile(what: &[&str], targets: &[Target]) -> Result<()> {
    let directory = target_directory();
    let mut command = cargo(".", &["zigbuild", "--release"]);
    command.args(what).args(targets.iter().flat_map(|target| ["--target", triple(*target)]));
    command.env("PATH", search_path()?).env("CARGO_TARGET_DIR", &directory);
    reproducible::compile(&mut command, &root(), &directory)?;
    // The debug information is ten times the program's size, and nobody looks at it.
    run(command.env(RUSTFLAGS, "-Cstrip=symbols"))
}

/// Where the build puts programs.
fn released(target: Target) -> PathBuf {
    target_directory().join(triple(target)).join("release")
}

/// The target of a program, as Rust calls it.
pub fn triple(target: Target) -> &'static str {
    match target {
        Target::X64 => "x86_64-pc-windows-gnullvm",
        Target::Arm64 => "aarch64-pc-windows-gnullvm",
    }
}

/// The directory of the virtual environment.
fn environment() -> PathBuf {
    target_directory().join("tools/zig")
}

/// What was installed there last.
fn receipt() -> PathBuf {
    environment().join("installed.txt")
}

fn is_installed() -> bool {
    let wanted = fs::read(root().join(REQUIREMENTS)).ok();
    wanted.is_some() && wanted == fs::read(receipt()).ok()
}

fn install() -> Result<()> {
    let environment = environment();
    // Whatever an earlier attempt has left.
    if environment.exists() {
        fs::remove_dir_all(&environment)
            .with_context(|| format!("cannot remove {}", environment.display()))?;
    }
    let python = |program: &Path| {
        let mut command = Command::new(program);
        command.current_dir(root()).stdout(io::stderr()).arg("-m");
        command
    };
    run(python(Path::new("python3")).arg("venv").arg(&environment))?;
    run(python(&environment.join("bin/python3"))
        .args(["pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"])
        .args(["--only-binary", ":all:", "--require-hashes", "--requirement", REQUIREMENTS]))?;
    fs::copy(root().join(REQUIREMENTS), receipt())
        .with_context(|| format!("cannot write {}", receipt().display()))?;
    Ok(())
}

/// Where programs are found, those of the virtual environment first.
fn search_path() -> Result<std::ffi::OsString> {
    let path = env::var_os("PATH").unwrap_or_default();
    let directories = std::iter::once(environment().join("bin")).chain(env::split_paths(&path));
    env::join_paths(directories).context("the path of the target directory has a colon in it")
}
