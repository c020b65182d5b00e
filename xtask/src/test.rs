//! `cargo xtask test`: every test, on the driver file that users get.

use anyhow::Result;

use crate::driver::{self, CROSS, Profile, with_libclang};
use crate::process::{cargo, run};

/// Builds the released driver and the one that breaks the verifier's rules, and runs the tests of both workspaces.
///
/// # Errors
/// The build or a test fails.
pub fn run_all() -> Result<()> {
    let driver = driver::build(Profile::Release)?;
    let rules = driver::build_rules()?;
    let mut tests = cargo(".", &["test", "--workspace"]);
    run(tests.env("SCREAM_SYS", &driver).env("RULES_SYS", &rules))?;
    // The stand-in for wdk-build runs on the host, in the workspace of the driver.
    let host = host_triple()?;
    run(with_libclang(&mut cargo(CROSS, &["test", "--package", "wdk-build", "--target", &host])))?;
    println!("all tests passed");
    Ok(())
}

fn host_triple() -> Result<String> {
    let version = crate::process::output(std::process::Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.unwrap_or("x86_64-unknown-linux-gnu").to_owned())
}
