//! Prints what a driver file says about itself, and holds it against the rules.

use std::path::Path;

use anyhow::Result;
use testbed::image::check::file;

use crate::driver::Profile;

/// Prints what `driver` says about itself, and every rule that it breaks.
///
/// # Errors
/// The file cannot be read, or breaks a rule.
pub fn show_and_check(driver: &Path, profile: Profile) -> Result<()> {
    print!("{}", file::read(driver)?);
    check(driver, profile)
}

/// Prints every rule that `driver` breaks.
///
/// # Errors
/// The file cannot be read, or breaks a rule.
pub fn check(driver: &Path, profile: Profile) -> Result<()> {
    file::judge(driver, &file::read(driver)?.problems(profile == Profile::Release))
}
