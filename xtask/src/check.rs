//! `cargo xtask check`: everything that can be said about the sources without running them.

mod manifests;
mod tidy;
mod windows_manifest;

use anyhow::{Result, bail};

use crate::abi;
use crate::driver::{self, CROSS, with_libclang};
use crate::prerequisites::{
    ARM64_C_COMPILER, ARM64_C_LIBRARY, EMULATOR, LINUX_ARM64_TARGET, NIGHTLY_MIRI, Need, Policy,
    WINDOWS_ARM64_TARGET, WINDOWS_PROGRAM_X64_TARGET, sound,
};
use crate::process::{self, cargo};
use crate::target::Target;
use crate::{reproducible, test, windows_program};

/// What the checks need besides Rust: the driver has to compile, the receiver with all outputs, and the programs for Windows.
pub fn needs(thorough: bool) -> Vec<Need> {
    let more = if thorough { THOROUGH_NEEDS } else { &[] };
    [driver::NEEDS, &sound::build_needs(), &[WINDOWS_PROGRAM_X64_TARGET], more].concat()
}

/// The root workspace.
const ROOT: &str = ".";

/// A check: what it is called, and what does it.
type Step = (&'static str, fn() -> Result<()>);

/// What the thorough checks need beyond that.
const THOROUGH_NEEDS: &[Need] =
    &[NIGHTLY_MIRI, WINDOWS_ARM64_TARGET, LINUX_ARM64_TARGET, ARM64_C_COMPILER, ARM64_C_LIBRARY, EMULATOR];

/// The memory model: every access that `protocol` makes, and every order of its atomic operations. Another directory, and
/// another processor.
const THOROUGH_STEPS: &[Step] = &[
    ("protocol under Miri", miri),
    ("protocol under loom", loom),
    ("the same driver from another directory", reproducible::check),
    ("the manifest for Windows", windows_manifest::check),
    ("tests of the arm64 driver", arm64),
];

/// In this order, the quick ones first.
const STEPS: &[Step] = &[
    ("house rules", tidy::check),
    ("manifests", manifests::check),
    ("declarations of Windows", abi::check),
    ("formatting", formatting),
    ("lints", lints),
    ("lints of the programs for Windows", program_lints),
    ("lints of the driver", driver_lints),
    ("documentation", documentation),
    ("documentation of the driver", driver_documentation),
];

/// Runs every check, and says at the end which ones failed. `thorough` adds those that take long.
///
/// # Errors
/// A check failed.
pub fn run(thorough: bool) -> Result<()> {
    let mut failed = Vec::new();
    let more = if thorough { THOROUGH_STEPS } else { &[] };
    for (name, step) in STEPS.iter().chain(more) {
        println!("{name} ...");
        if let Err(error) = step() {
            println!("{name}: {error:#}");
            failed.push(*name);
        }
    }
    if !failed.is_empty() {
        bail!("failed: {}", failed.join(", "));
    }
    println!("all is well");
    Ok(())
}

fn formatting() -> Result<()> {
    run_cargo(ROOT, &["fmt", "--all", "--check"])?;
    run_cargo(CROSS, &["fmt", "--all", "--check"])
}

fn lints() -> Result<()> {
    run_cargo(ROOT, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

/// What of the programs is only there on Windows.
fn program_lints() -> Result<()> {
    let triple = windows_program::triple(Target::X64);
    // The receiver's features are for Linux.
    for package in [&["screamctl"][..], &["receiver", "--no-default-features"]] {
        let which = ["clippy", "--lib", "--bins", "--examples", "--target", triple, "--package"];
        run_cargo(ROOT, &[&which[..], package, &["--", "-D", "warnings"]].concat())?;
    }
    Ok(())
}

/// The driver, and what builds it.
fn driver_lints() -> Result<()> {
    run_cargo(CROSS, &["clippy", "--workspace", "--", "-D", "warnings"])
}

/// The documentation is for those who work on the code, so it shows private items, and links to them are links.
const RUSTDOC_FLAGS: &str = "-D warnings -A rustdoc::private_intra_doc_links";

/// Of everything but the driver, which is empty on this host.
fn documentation() -> Result<()> {
    let arguments = ["doc", "--workspace", "--exclude", "scream", "--no-deps", "--document-private-items"];
    process::run(with_libclang(&mut cargo(ROOT, &arguments)).env("RUSTDOCFLAGS", RUSTDOC_FLAGS))
}

fn driver_documentation() -> Result<()> {
    let arguments = ["doc", "--workspace", "--no-deps", "--document-private-items"];
    process::run(with_libclang(&mut cargo(CROSS, &arguments)).env("RUSTDOCFLAGS", RUSTDOC_FLAGS))
}

fn miri() -> Result<()> {
    let arguments =
        ["+nightly", "miri", "test", "--package", "protocol", "--lib", "--target-dir", "target/miri"];
    process::run(&mut cargo(ROOT, &arguments))
}

fn loom() -> Result<()> {
    let arguments =
        ["test", "--package", "protocol", "--test", "loom", "--release", "--target-dir", "target/loom"];
    process::run(cargo(ROOT, &arguments).env("RUSTFLAGS", "--cfg loom"))
}

fn arm64() -> Result<()> {
    test::run(Target::Arm64, Policy::Report)
}

fn run_cargo(directory: &str, arguments: &[&str]) -> Result<()> {
    process::run(with_libclang(&mut cargo(directory, arguments)))
}
