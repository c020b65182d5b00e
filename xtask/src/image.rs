//! Prints what a driver file says about itself, and holds it against the rules.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use testbed::image::check::ImageSummary;

use crate::driver::Profile;

/// Prints what `file` says about itself, and every rule that it breaks.
///
/// # Errors
/// The file cannot be read, or breaks a rule.
pub fn show_and_check(file: &Path, profile: Profile) -> Result<()> {
    print!("{}", summary(file)?);
    check(file, profile)
}

/// Prints every rule that `file` breaks.
///
/// # Errors
/// The file cannot be read, or breaks a rule.
pub fn check(file: &Path, profile: Profile) -> Result<()> {
    let problems = summary(file)?.problems(profile == Profile::Release);
    for problem in &problems {
        println!("problem      {problem}");
    }
    match problems.len() {
        0 => Ok(()),
        1 => bail!("{} breaks a rule", file.display()),
        count => bail!("{} breaks {count} rules", file.display()),
    }
}

fn summary(file: &Path) -> Result<ImageSummary> {
    let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    ImageSummary::read(&bytes).map_err(|problem| anyhow!("{}: {problem}", file.display()))
}
