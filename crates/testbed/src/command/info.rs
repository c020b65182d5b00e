//! `testbed info`: what a driver file says about itself, and the rules it breaks.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use testbed::image::Processor;
use testbed::image::check::{Problem, file};
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
    let summary = file::read(&arguments.driver)?;
    print!("{summary}");
    if let Some(refusal) = summary.processor().and_then(Processor::refusal) {
        println!("note         {refusal}");
    }
    for import in &summary.imports {
        if imports::find(&import.module, &import.name).is_none() {
            println!("missing      the testbed has no {}!{}", import.module, import.name);
        }
    }
    // Which imports scream.sys may have is no rule for others.
    let mut problems = summary.problems(false);
    problems.retain(|problem| !matches!(problem, Problem::UnlistedImport(_)));
    file::judge(&arguments.driver, &problems)
}
