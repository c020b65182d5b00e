//! `cargo xtask package`: what users get, made on Linux.
//!
//! [`parts`] builds the drivers and programs; [`signing`] signs; [`assembly`] lays everything out in a folder, makes the
//! catalog and the [`cabinet`] for Microsoft; [`archive`] packs the folder; [`verification`] unpacks the archive and looks at
//! every file once more; [`report`] says what came out. The archive gets its name only at the very end: whatever fails, there
//! is either a whole package or none.

mod archive;
mod assembly;
mod cabinet;
mod certificate;
mod date;
mod parts;
mod report;
mod signing;
#[cfg(test)]
mod tests;
mod verification;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use driver_package::layout::{Architecture, PROGRAM};
use indicatif::{ProgressBar, ProgressStyle};

use crate::prerequisites::{
    CLANG_HEADERS, LIBCLANG, NT_HEADERS, Need, OPENSSL, OSSLSIGNCODE, PYTHON_VENV, WINDOWS_ARM64_TARGET,
    WINDOWS_X64_TARGET,
};
use crate::process::target_directory;
use crate::target::Target;
use crate::windows_program;
use date::Date;
use parts::Parts;
use signing::Signer;

/// The version of everything in the package.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What the command needs besides Rust.
pub fn needs() -> Vec<Need> {
    let drivers = [LIBCLANG, CLANG_HEADERS, NT_HEADERS, WINDOWS_X64_TARGET, WINDOWS_ARM64_TARGET];
    [&drivers[..], &[PYTHON_VENV, OSSLSIGNCODE, OPENSSL], windows_program::NEEDS].concat()
}

/// What the command takes.
#[derive(Args, Default)]
pub struct Arguments {
    /// Sign with this certificate, PKCS #12 (.pfx, .p12) or PEM, instead of a test certificate made for this package.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// The private key of a certificate in PEM.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// A file with the password of the private key.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    password_file: Option<PathBuf>,
    /// Let this server say when it was signed (RFC 3161): the signature then outlives the certificate.
    #[arg(long, value_name = "URL")]
    timestamp: Option<String>,
    /// The folder to put the package into [default: package in the target directory].
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

/// Makes the package, and says what is in it.
///
/// # Errors
/// One line: what is wrong with the certificate, what does not build, cannot be written, or is not as it should be.
pub fn run(arguments: &Arguments) -> Result<()> {
    // What people get wrong is looked at before minutes of building.
    let identity = certificate::given(arguments)?;
    let date = Date::of_this_version()?;
    let output = arguments.output.clone().unwrap_or_else(folder);
    let progress = progress()?;
    let parts = Parts::build(&progress)?;
    let signer = Signer::new(identity, arguments.timestamp.clone())?;
    let package = make(&parts, &signer, date, &output, &progress)?;
    progress.finish_and_clear();
    println!("{}", report::table(&package));
    println!("{}", package.archive.display());
    Ok(())
}

/// Makes the package with a test certificate and unpacks it into a folder that held an earlier one, for tests. Returns the
/// folder of the package.
///
/// # Errors
/// As [`run`].
pub fn unpacked_for_tests() -> Result<PathBuf> {
    let output = target_directory().join("package-for-tests");
    if output.exists() {
        fs::remove_dir_all(&output).with_context(|| format!("cannot remove {}", output.display()))?;
    }
    let progress = ProgressBar::hidden();
    let parts = Parts::build(&progress)?;
    let signer = Signer::new(None, None)?;
    let package = make(&parts, &signer, Date::of_this_version()?, &output, &progress)?;
    archive::unpack(&package.archive, &output)?;
    Ok(output.join(assembly::top()))
}

/// The program for this computer's processor in an unpacked package.
pub fn program(package: &Path) -> PathBuf {
    let here =
        Architecture::ALL.into_iter().filter(|architecture| parts::target(*architecture) == Target::HOST);
    here.fold(package.to_owned(), |path, architecture| path.join(architecture.folder())).join(PROGRAM)
}

/// The folder of packages.
fn folder() -> PathBuf {
    target_directory().join("package")
}

/// A package that has been made.
pub struct Package {
    /// The archive.
    archive: PathBuf,
    /// Its size in bytes.
    size: u64,
    /// Each file in it.
    files: Vec<report::File>,
    /// Whose signature it has.
    signer: String,
}

/// Makes the package of some parts in a folder.
fn make(
    parts: &Parts,
    signer: &Signer,
    date: Date,
    output: &Path,
    progress: &ProgressBar,
) -> Result<Package> {
    fs::create_dir_all(output).with_context(|| format!("cannot make the folder {}", output.display()))?;
    // Everything is made beside the package, so that it only has to be given its name.
    let place = tempfile::Builder::new().prefix(".scream-").tempdir_in(output);
    let place = place.with_context(|| format!("cannot write to {}", output.display()))?;

    let assembled = assembly::assemble(parts, signer, date, place.path(), progress)?;
    step(progress, "packing");
    let archive = archive::pack(&assembled, date, place.path())?;
    step(progress, "verifying");
    let unpacked = place.path().join("unpacked");
    archive::unpack(&archive, &unpacked)?;
    let files = verification::verify(&unpacked.join(assembly::top()), &assembled, signer)?;

    let finished = output.join(archive.file_name().unwrap_or_default());
    fs::rename(&archive, &finished).with_context(|| format!("cannot write {}", finished.display()))?;
    let size = fs::metadata(&finished).map_or(0, |data| data.len());
    Ok(Package { archive: finished, size, files, signer: signer.name().to_owned() })
}

/// Steps that a package takes.
const STEPS: u64 = 6;

fn progress() -> Result<ProgressBar> {
    let style = ProgressStyle::with_template("{msg} [{bar:32}] {pos}/{len}")?.progress_chars("=> ");
    Ok(ProgressBar::new(STEPS).with_style(style))
}

/// Begins a step.
fn step(progress: &ProgressBar, name: &str) {
    progress.set_message(name.to_owned());
    progress.inc(1);
}
