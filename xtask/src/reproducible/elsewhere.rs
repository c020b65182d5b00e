//! The proof: the driver, built from a copy of the sources in another directory.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::driver::{self, Profile};
use crate::process::root;
use crate::target::Target;

/// Builds the released drivers here and elsewhere, and compares them and their symbols.
///
/// # Errors
/// A build fails, the sources cannot be copied, or the files differ.
pub fn check() -> Result<()> {
    let place = tempfile::Builder::new().prefix("scream elsewhere ").tempdir()?;
    copy_sources(place.path())?;
    let target_directory = place.path().join("other target");
    for target in Target::value_variants() {
        let here = driver::build_for(*target, Profile::Release)?;
        let there = driver::build_in(place.path(), &target_directory, "scream", *target, Profile::Release)?;
        for kind in ["sys", "pdb"] {
            let here = here.with_extension(kind);
            // Only what is made here is given the name for Windows.
            let there = there.with_extension(if kind == "sys" { "dll" } else { kind });
            if read(&here)? != read(&there)? {
                bail!("{} is another one if it is built in another directory", here.display());
            }
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Copies the repository, without what has been built and the history.
///
/// # Errors
/// A file cannot be read or written.
pub fn copy_sources(to: &Path) -> Result<()> {
    copy(&root(), to)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let cannot = || format!("cannot copy {} to {}", from.display(), to.display());
    fs::create_dir_all(to).with_context(cannot)?;
    for entry in fs::read_dir(from).with_context(cannot)? {
        let entry = entry.with_context(cannot)?;
        let (path, copied) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().with_context(cannot)?.is_dir() {
            if !["target", ".git"].iter().any(|name| entry.file_name() == *name) {
                copy(&path, &copied)?;
            }
        } else {
            fs::copy(&path, &copied).with_context(cannot)?;
        }
    }
    Ok(())
}
