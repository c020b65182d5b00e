//! Tests of packages, made of what `cargo xtask test` has built.

mod certificates;
mod contents;
mod space;

use std::env;
use std::path::PathBuf;

use driver_package::layout::{Architecture, DRIVER, DRIVER_FILE, PROGRAM};
use indicatif::ProgressBar;
use tempfile::TempDir;

use super::date::Date;
use super::parts::{Part, Parts};
use super::signing::Signer;
use super::{Package, archive, assembly, make};

/// The package that `cargo xtask test` has made and unpacked.
fn unpacked_package() -> PathBuf {
    let folder = env::var_os("SCREAM_PACKAGE");
    PathBuf::from(
        folder.expect("SCREAM_PACKAGE says where the unpacked package is; `cargo xtask test` sets it"),
    )
}

/// The drivers and programs of that package. They have signatures already, which signing replaces.
fn parts() -> Parts {
    let folder = unpacked_package();
    let part = |architecture: Architecture| {
        let name = architecture.folder();
        Part {
            architecture,
            driver: folder.join(DRIVER).join(name).join(DRIVER_FILE),
            symbols: folder.join("symbols").join(name).join("scream.pdb"),
            program: folder.join(name).join(PROGRAM),
        }
    };
    Parts(Architecture::ALL.map(part).into())
}

/// 2026-11-23 07:19:34.
const DATE: &str = "1795418374";

fn date() -> Date {
    Date::parse(DATE).unwrap()
}

/// Makes a package of those parts, and unpacks it. Returns it, and the folder that the archive's folder is in.
fn made(signer: &Signer) -> (Package, TempDir) {
    let output = tempfile::tempdir().unwrap();
    let package = make(&parts(), signer, date(), output.path(), &ProgressBar::hidden()).unwrap();
    archive::unpack(&package.archive, output.path()).unwrap();
    (package, output)
}

/// The folder of an unpacked package.
fn folder_of(output: &TempDir) -> PathBuf {
    output.path().join(assembly::top())
}
