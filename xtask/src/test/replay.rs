//! Two runs of one seed print identical traces on different machines: here, and on an emulated processor of another model.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Result, bail};

use crate::process::{cargo, output};
use crate::target::Target;

/// Lives that are lived on both.
const LIVES: &str = "10";

/// The shortest trace that says anything, in lines.
const SHORTEST: usize = 1000;

/// Lives the same lives on both processors, and compares what they print byte for byte.
///
/// # Errors
/// A life fails, or the traces differ.
pub fn compare(driver: &Path) -> Result<()> {
    let here = trace(driver, false)?;
    let there = trace(driver, true)?;
    if here != there {
        let number = here.lines().zip(there.lines()).take_while(|(here, there)| here == there).count();
        let line = |text: &str| text.lines().nth(number).unwrap_or("(nothing)").to_owned();
        bail!(
            "a seed's trace is another one on another processor, from line {} on:\nhere:  {}\nthere: {}",
            number + 1,
            line(&here),
            line(&there)
        );
    }
    let count = here.lines().count();
    if count < SHORTEST {
        bail!("the traces of {LIVES} lives have {count} lines");
    }
    println!("{LIVES} lives have the same trace on two models of processor: {count} lines");
    Ok(())
}

/// What the lives print, here or on an emulated processor.
fn trace(driver: &Path, emulated: bool) -> Result<String> {
    let mut command = cargo(".", &["run", "--quiet", "--package", "testbed", "--", "soak", "--trace"]);
    command.args(["--seeds", LIVES, "--driver"]).arg(driver).stdout(Stdio::piped());
    if emulated {
        Target::on_another_model(&mut command);
    }
    output(&mut command)
}
