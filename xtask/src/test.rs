//! `cargo xtask test`: every test, on the driver file that users get.

mod replay;

use std::env;

use anyhow::Result;

use crate::driver::{self, CROSS, Profile, with_libclang};
use crate::package;
use crate::prerequisites::{EMULATOR, IPROUTE, Need, PYTHON, Policy, TSHARK, WINE, ensure, sound};
use crate::process::{self, cargo, target_directory};
use crate::target::Target;
use crate::{receiver, windows_program};

/// What the tests need besides the builds.
const NEEDS: &[Need] = &[EMULATOR, IPROUTE, TSHARK, PYTHON];

/// What those of this computer's processor need besides that: they are of the programs, too.
fn native_needs() -> Vec<Need> {
    [&package::needs(), &receiver::deb::needs(), sound::SERVERS, receiver::WINDOWS_NEEDS, &[WINE][..]]
        .concat()
}

/// Lives of the soak in an emulator, which is slow, unless the environment asks for another number.
const EMULATED_LIVES: &str = "50";

/// Runs the tests of a processor: on this computer, or in an emulator, which takes some minutes more.
///
/// # Errors
/// Something is missing, or the build or a test fails.
pub fn run(target: Target, policy: Policy) -> Result<()> {
    let more = if target == Target::HOST { native_needs() } else { Vec::new() };
    ensure(&[target.needs(), target.testbed_needs(), NEEDS, &more].concat(), policy)?;
    if target == Target::HOST {
        run_native()?
    } else {
        run_emulated(target)?
    }
    println!("all tests passed");
    Ok(())
}

/// Builds the released driver, the one that breaks the verifier's rules and the package, and runs the tests of both workspaces.
fn run_native() -> Result<()> {
    let driver = driver::build(Profile::Release)?;
    let rules = driver::build_rules(Target::HOST)?;
    let package = package::unpacked_for_tests()?;
    let on_wine = windows_program::build_example("screamctl", "on_wine")?;
    let scream = receiver::build_for_windows()?;
    // What is made is unpacked, and the program run.
    receiver::deb::make(&target_directory().join("package-for-tests"))?;
    let mut tests = cargo(".", &["test", "--workspace"]);
    tests.env("SCREAM_SYS", &driver).env("RULES_SYS", &rules);
    tests.env("SCREAM_PACKAGE", &package).env("SCREAMCTL_EXE", package::program(&package));
    tests.env("SCREAMCTL_ON_WINE_EXE", on_wine).env("SCREAM_EXE", scream);
    process::run(with_libclang(&mut tests))?;
    replay::compare(&driver)?;
    // The stand-in for wdk-build runs on the host, in the workspace of the driver.
    let host = host_triple()?;
    process::run(with_libclang(&mut cargo(CROSS, &["test", "--package", "wdk-build", "--target", &host])))
}

/// The tests on the real clock: an emulator may be too slow to keep up with it.
const REAL_TIME: [&str; 2] = ["arrives_bit_exactly_through_real_udp", "on_real_interfaces"];

/// Builds both drivers for another processor, and runs the tests of the testbed and the scenarios there. The tools run on
/// this computer only, and `protocol` is the same arithmetic on every processor.
fn run_emulated(target: Target) -> Result<()> {
    let driver = driver::build_for(target, Profile::Release)?;
    let rules = driver::build_rules(target)?;
    let packages = ["--package", "testbed", "--package", "scream"];
    let mut tests = cargo(".", &["test"]);
    target.emulated(tests.args(packages))?.env("SCREAM_SYS", &driver).env("RULES_SYS", &rules);
    if env::var_os("SOAK_SEEDS").is_none() {
        tests.env("SOAK_SEEDS", EMULATED_LIVES);
    }
    tests.arg("--").args(REAL_TIME.iter().flat_map(|name| ["--skip", name]));
    process::run(&mut tests)
}

fn host_triple() -> Result<String> {
    let version = crate::process::output(std::process::Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.unwrap_or("x86_64-unknown-linux-gnu").to_owned())
}
