//! The .zip: the same folder gives the same bytes.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::assembly::{Assembled, top};
use super::date::Date;

/// Packs a folder into an archive in `place`, and returns its path.
///
/// # Errors
/// A file cannot be read, or the archive cannot be written.
pub fn pack(assembled: &Assembled, date: Date, place: &Path) -> Result<PathBuf> {
    let path = place.join(format!("{}.zip", top()));
    write(&path, assembled, date).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn write(path: &Path, assembled: &Assembled, date: Date) -> Result<()> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(date.in_archive()?)
        .unix_permissions(0o644);
    let mut archive = ZipWriter::new(BufWriter::new(File::create(path)?));
    let mut names: Vec<_> = assembled.files.iter().map(|file| file.name.as_str()).collect();
    names.sort_unstable();
    for name in names {
        archive.start_file(format!("{}/{name}", top()), options)?;
        archive.write_all(&fs::read(assembled.folder.join(name))?)?;
    }
    archive.finish()?.flush()?;
    Ok(())
}

/// Unpacks an archive into a folder, as users do.
///
/// # Errors
/// It cannot be read, or a file cannot be written.
pub fn unpack(archive: &Path, folder: &Path) -> Result<()> {
    let cannot = || format!("cannot unpack {}", archive.display());
    let mut opened = ZipArchive::new(File::open(archive).with_context(cannot)?).with_context(cannot)?;
    for index in 0..opened.len() {
        let mut file = opened.by_index(index).with_context(cannot)?;
        let name = file.enclosed_name().with_context(cannot)?;
        let path = folder.join(name);
        let write = |file: &mut dyn io::Read| {
            fs::create_dir_all(path.parent().unwrap_or(folder))?;
            io::copy(file, &mut File::create(&path)?)
        };
        write(&mut file).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
