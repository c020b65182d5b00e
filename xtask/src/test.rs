//! `cargo xtask test`: every test, on the driver file that users get.

use anyhow::Result;

use crate::driver::{self, CROSS, Profile, with_libclang};
use crate::process::{cargo, run};

/// Builds the released driver and runs the tests of both workspaces.
///
/// # Errors
/// The build or a test fails.
pub fn run_all() -> Result<()> {
    let driver = driver::build(Profile::Release)?;
    run(cargo(".", &["test", "--workspace"]).env("SCREAM_SYS", &driver))?;
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
