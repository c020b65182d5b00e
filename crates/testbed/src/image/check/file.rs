//! A driver file on disk, read and judged for people.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};

use super::{ImageSummary, Problem};

/// What the file says about itself.
///
/// # Errors
/// One line: it cannot be read, or is no image.
pub fn read(file: &Path) -> Result<ImageSummary> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    ImageSummary::read(&bytes).map_err(|problem| anyhow!("{}: {problem}", file.display()))
}

/// Prints every rule that the file breaks.
///
/// # Errors
/// One line: how many they are.
pub fn judge(file: &Path, problems: &[Problem]) -> Result<()> {
    for problem in problems {
        println!("problem      {problem}");
    }
    match problems.len() {
        0 => Ok(()),
        1 => bail!("{} breaks a rule", file.display()),
        count => bail!("{} breaks {count} rules", file.display()),
    }
}
