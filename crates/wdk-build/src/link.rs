//! Linking the driver: the arguments of a kernel-mode image, and import libraries made from lists of names.
//!
//! An import library says which module exports which names, and nothing else. So the lists in `imports/`, one
//! per module of Windows, are all that has to be known, and no library of Microsoft's is needed. What is not
//! in a list cannot be imported: the linker stops with an undefined symbol.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::{env, fs};

use implib::{Flavor, ImportLibrary, MachineType};

use crate::{ConfigError, IoError};

const IMPORTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/imports");

/// The libraries that the genuine crate links to every driver. What else a driver imports from, its build.rs
/// names.
const ALWAYS_LINKED: &[&str] = &["ntoskrnl", "hal"];

const ARGUMENTS: &[&str] = &[
    "/DRIVER",
    "/NODEFAULTLIB",
    "/SUBSYSTEM:NATIVE,10.0",
    "/ENTRY:DriverEntry",
    "/NXCOMPAT",
    "/DYNAMICBASE",
    "/OPT:REF,ICF",
    "/MANIFEST:NO",
    "/INTEGRITYCHECK",
    // Takes the time stamps from the contents: the same sources give the same file.
    "/Brepro",
    // Writes the checksum, without which Windows does not load a driver.
    "/RELEASE",
];

pub(crate) fn emit_arguments() {
    for argument in ARGUMENTS {
        println!("cargo::rustc-cdylib-link-arg={argument}");
    }
}

/// Makes one library per list in `OUT_DIR`, and lets the linker look there.
pub(crate) fn emit_import_libraries(machine: MachineType) -> Result<(), ConfigError> {
    println!("cargo::rerun-if-changed={IMPORTS}");
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let lists = Path::new(IMPORTS);
    for entry in fs::read_dir(lists).map_err(IoError::about(lists))? {
        let list = entry.map_err(IoError::about(lists))?.path();
        if list.extension().is_some_and(|extension| extension == "def") {
            make_library(&list, machine, &out_dir)?;
        }
    }
    println!("cargo::rustc-link-search={}", out_dir.display());
    for library in ALWAYS_LINKED {
        println!("cargo::rustc-cdylib-link-arg={library}.lib");
    }
    Ok(())
}

/// `imports/portcls.sys.def` becomes `portcls.lib`.
fn make_library(list: &Path, machine: MachineType, out_dir: &Path) -> Result<(), ConfigError> {
    let text = fs::read_to_string(list).map_err(IoError::about(list))?;
    let library = ImportLibrary::new(&text, machine, Flavor::Msvc)
        .map_err(|error| ConfigError::ImportList { path: list.to_owned(), reason: error.to_string() })?;
    let module = list.file_stem().unwrap_or_default();
    let path = out_dir.join(Path::new(module).with_extension("lib"));
    let mut contents = io::Cursor::new(Vec::new());
    library.write_to(&mut contents).map_err(IoError::about(&path))?;
    let mut file = File::create(&path).map_err(IoError::about(&path))?;
    io::Write::write_all(&mut file, contents.get_ref()).map_err(IoError::about(&path))?;
    Ok(())
}
