//! Looks at the package as a user gets it: unpacked from the archive.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use driver_package::layout::{Architecture, CATALOG, DRIVER, DRIVER_FILE};

use super::assembly::{self, Assembled, Signature};
use super::cabinet;
use super::report::File;
use super::signing::Signer;
use crate::driver::Profile;
use crate::image;

/// Verifies every file of the package that was unpacked to `folder`, and returns what is there.
///
/// # Errors
/// Something is missing or too much, a driver breaks a rule, a signature is not good, or the catalog does not vouch for a file.
pub fn verify(folder: &Path, assembled: &Assembled, signer: &Signer) -> Result<Vec<File>> {
    let names: BTreeSet<_> = assembled.files.iter().map(|file| folder.join(&file.name)).collect();
    let unpacked: BTreeSet<_> = files(folder)?.into_iter().collect();
    if names != unpacked {
        bail!("the archive does not have the files that were put into it");
    }
    for architecture in Architecture::ALL {
        let driver = folder.join(DRIVER).join(architecture.folder()).join(DRIVER_FILE);
        image::check(&driver, Profile::Release)?;
        driver_package::check::check(folder, architecture)?;
    }
    verify_cabinet(folder, assembled)?;
    let catalog = folder.join(DRIVER).join(CATALOG);
    let mut verified = Vec::new();
    for file in &assembled.files {
        let path = folder.join(&file.name);
        if matches!(file.signature, Signature::Own | Signature::Both) {
            signer.verify(&path)?;
        }
        // osslsigncode only looks up files that could have a signature of their own. `driver_package::check` has looked up
        // the INF.
        if file.signature == Signature::Both {
            signer.verify_member(&path, &catalog)?;
        }
        let size = fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?.len();
        verified.push(File {
            name: file.name.clone(),
            size,
            what: file.what.clone(),
            signature: file.signature,
        });
    }
    verified.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(verified)
}

/// Verifies that the cabinet has the files of the package.
fn verify_cabinet(folder: &Path, assembled: &Assembled) -> Result<()> {
    let mut expected = Vec::new();
    for (name, inside) in assembly::in_cabinet(assembled) {
        let bytes = fs::read(folder.join(&name)).with_context(|| format!("cannot read {name}"))?;
        expected.push((cabinet::full_name(&inside), bytes));
    }
    let name = assembly::cabinet_name();
    if cabinet::read(&folder.join(&name))? != expected {
        bail!("{name} does not have the files that were put into it");
    }
    Ok(())
}

/// All files below a folder.
///
/// # Errors
/// A folder cannot be read.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}
