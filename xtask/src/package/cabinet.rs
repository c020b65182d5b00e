//! The cabinet that Microsoft's Partner Center takes for attestation signing.
//!
//! <https://learn.microsoft.com/windows-hardware/drivers/dashboard/code-signing-attestation>: a folder for each driver and
//! nothing beside the folders; in it the INF, the drivers for all of its processors where the INF says that they are, and their
//! symbols. The catalog is only looked at for the company's name; Microsoft makes another one. The cabinet itself is signed.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cab::{CabinetBuilder, CompressionType};

use super::date::Date;

/// The folder of the driver.
const FOLDER: &str = "scream";

/// What a file is called in the cabinet, of its name in the driver's folder.
pub fn full_name(name: &str) -> String {
    format!("{FOLDER}\\{}", name.replace('/', "\\"))
}

/// Makes the cabinet `path` of files: where each is, and its name in the driver's folder.
///
/// # Errors
/// A file cannot be read, or the cabinet cannot be written.
pub fn make(path: &Path, files: &[(PathBuf, String)], date: Date) -> Result<()> {
    write(path, files, date).with_context(|| format!("cannot write {}", path.display()))
}

fn write(path: &Path, files: &[(PathBuf, String)], date: Date) -> Result<()> {
    let mut builder = CabinetBuilder::new();
    let folder = builder.add_folder(CompressionType::MsZip);
    for (_, name) in files {
        folder.add_file(full_name(name)).set_datetime(date.in_cabinet());
    }
    let mut cabinet = builder.build(BufWriter::new(File::create(path)?))?;
    let mut sources = files.iter();
    while let Some(mut entry) = cabinet.next_file()? {
        let (source, _) = sources.next().context("the cabinet has more files than were put into it")?;
        entry.write_all(&fs::read(source)?)?;
    }
    cabinet.finish()?.flush()?;
    Ok(())
}

/// What is in a cabinet: names and contents, in order.
///
/// # Errors
/// It cannot be read, or is no whole cabinet.
pub fn read(path: &Path) -> Result<Vec<(String, Vec<u8>)>> {
    let cannot = || format!("cannot read {}", path.display());
    let mut cabinet = cab::Cabinet::new(File::open(path).with_context(cannot)?).with_context(cannot)?;
    let entries = cabinet.folder_entries().flat_map(cab::FolderEntry::file_entries);
    let names: Vec<String> = entries.map(|entry| entry.name().to_owned()).collect();
    let mut files = Vec::new();
    for name in names {
        let mut contents = Vec::new();
        let mut reader = cabinet.read_file(&name).with_context(cannot)?;
        io::copy(&mut reader, &mut contents).with_context(cannot)?;
        files.push((name, contents));
    }
    Ok(files)
}
