//! `testbed info`: what a driver file says about itself, and the rules it breaks.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use clap::Args;
use testbed::image::check::{ImageSummary, Problem};
use testbed::kernel::imports;

/// What the command takes.
#[derive(Args)]
pub struct Arguments {
    /// The driver file.
    #[arg(long, value_name = "FILE")]
    driver: PathBuf,
}

/// Shows and checks a file.
///
/// # Errors
/// One line: the file cannot be read, is no driver, or breaks a rule.
pub fn run(arguments: &Arguments) -> Result<()> {
    let file = &arguments.driver;
    let summary = read(file)?;
    print!("{summary}");
    for import in &summary.imports {
        if imports::find(&import.module, &import.name).is_none() {
            println!("missing      the testbed has no {}!{}", import.module, import.name);
        }
    }
    // Which imports scream.sys may have is no rule for others.
    let mut problems = summary.problems(false);
    problems.retain(|problem| !matches!(problem, Problem::UnlistedImport(_)));
    for problem in &problems {
        println!("problem      {problem}");
    }
    match problems.len() {
        0 => Ok(()),
        1 => bail!("{} breaks a rule", file.display()),
        count => bail!("{} breaks {count} rules", file.display()),
    }
}

fn read(file: &Path) -> Result<ImageSummary> {
    let bytes = std::fs::read(file).map_err(|error| anyhow!("{}: {error}", file.display()))?;
    ImageSummary::read(&bytes).map_err(|problem| anyhow!("{}: {problem}", file.display()))
}
