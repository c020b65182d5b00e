//! Lays the package out in a folder, and signs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use driver_package::catalog;
use driver_package::inf::{self, Inf};
use driver_package::layout::{Architecture, CATALOG, DRIVER, DRIVER_FILE, INF, PROGRAM, TEST_CERTIFICATE};
use indicatif::ProgressBar;

use super::date::Date;
use super::parts::Parts;
use super::signing::Signer;
use super::{VERSION, cabinet, step};
use crate::process::root;

/// The Windows that the catalog is for, as Microsoft abbreviates them: 10 version 2004, and what came after it.
const SYSTEMS: [&str; 2] = ["_v100_X64_Vb", "_v100_ARM64_Vb"];

/// Files of the repository that are in the package: where they are, what they are called there, and what they are.
const TEXTS: [(&str, &str, &str); 6] = [
    ("install.bat", "install.bat", "installs"),
    ("uninstall.bat", "uninstall.bat", "removes"),
    ("scripts/README.txt", "README.txt", "how to use it"),
    ("docs/install.md", "docs/install.md", "all about the installation"),
    ("docs/options.md", "docs/options.md", "all about the options"),
    ("LICENSE", "LICENSE.txt", "licence"),
];

/// A folder with everything that is packed.
pub struct Assembled {
    /// The folder.
    pub folder: PathBuf,
    /// The files in it.
    pub files: Vec<Packed>,
}

/// A file of the package.
pub struct Packed {
    /// Its name, with folders before slashes.
    pub name: String,
    /// What it is, for people.
    pub what: String,
    /// Who vouches for it.
    pub signature: Signature,
}

/// Who vouches for a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Signature {
    /// Nobody.
    None,
    /// Its own signature.
    Own,
    /// The catalog.
    Catalog,
    /// Its own signature, and the catalog.
    Both,
}

/// The folder that everything in the archive is in.
pub fn top() -> String {
    format!("scream-{VERSION}")
}

/// Makes the package's folder in `place`.
///
/// # Errors
/// A file cannot be read, written or signed.
pub fn assemble(
    parts: &Parts,
    signer: &Signer,
    date: Date,
    place: &Path,
    progress: &ProgressBar,
) -> Result<Assembled> {
    let mut package = Assembled { folder: place.join(top()), files: Vec::new() };
    step(progress, "signing");
    for (from, name, what) in TEXTS {
        package.add(name, what, Signature::None, windows_text(&read_text(from)?).as_bytes())?;
    }
    for part in &parts.0 {
        let folder = part.architecture.folder();
        let driver = format!("{DRIVER}/{folder}/{DRIVER_FILE}");
        package.add(&driver, "driver", Signature::Both, &read(&part.driver)?)?;
        signer.sign(&package.path(&driver))?;
        let program = format!("{folder}/{PROGRAM}");
        let dated = dated(read(&part.program)?, date)
            .with_context(|| format!("{} is not a program for Windows", part.program.display()))?;
        package.add(&program, "program", Signature::Own, &dated)?;
        signer.sign(&package.path(&program))?;
        package.add(&symbols(folder), "symbols of the driver", Signature::None, &read(&part.symbols)?)?;
    }
    add_inf(&mut package, date)?;
    add_catalog(&mut package, signer, date)?;
    if let Some(certificate) = signer.test_certificate() {
        package.add(TEST_CERTIFICATE, "certificate to be trusted", Signature::None, certificate)?;
    }
    add_cabinet(&mut package, signer, date)?;
    Ok(package)
}

impl Assembled {
    /// Where a file is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn add(&mut self, name: &str, what: &str, signature: Signature, contents: &[u8]) -> Result<()> {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap_or(&self.folder))
            .and_then(|()| fs::write(&path, contents))
            .with_context(|| format!("cannot write {}", path.display()))?;
        self.files.push(Packed { name: name.to_owned(), what: what.to_owned(), signature });
        Ok(())
    }

    /// The files that the catalog vouches for: their names in the driver's folder.
    pub fn members(&self) -> Vec<String> {
        let members = self
            .files
            .iter()
            .filter(|file| file.signature == Signature::Both || file.signature == Signature::Catalog);
        let prefix = format!("{DRIVER}/");
        members.filter_map(|file| file.name.strip_prefix(&prefix)).map(str::to_owned).collect()
    }
}

/// Where the symbols of a driver are.
fn symbols(folder: &str) -> String {
    format!("symbols/{folder}/scream.pdb")
}

/// The cabinet's name.
pub fn cabinet_name() -> String {
    format!("attestation/{}.cab", top())
}

fn add_inf(package: &mut Assembled, date: Date) -> Result<()> {
    let source = format!("inf/{INF}");
    let stamped = windows_text(&inf::stamp(&read_text(&source)?, VERSION, date.seconds())?);
    if let Some(finding) = inf::rules::findings(stamped.as_bytes()).first() {
        bail!("{source}, {finding}");
    }
    let name = format!("{DRIVER}/{INF}");
    package.add(&name, "what Windows installs", Signature::Catalog, stamped.as_bytes())
}

fn add_catalog(package: &mut Assembled, signer: &Signer, date: Date) -> Result<()> {
    let mut members = Vec::new();
    for name in package.members() {
        members.push((name.clone(), read(&package.path(&format!("{DRIVER}/{name}")))?));
    }
    let files: Vec<_> = members
        .iter()
        .map(|(name, bytes)| catalog::File { name: name.rsplit('/').next().unwrap_or(name), bytes })
        .collect();
    let inf = Inf::parse(&read(&package.path(&format!("{DRIVER}/{INF}")))?);
    let ids = inf.hardware_ids();
    let ids: Vec<_> = ids.iter().map(String::as_str).collect();
    let catalog = catalog::make(&files, &ids, &SYSTEMS, date.seconds())?;
    let name = format!("{DRIVER}/{CATALOG}");
    package.add(&name, "hashes of the driver's files", Signature::Own, &catalog)?;
    signer.sign(&package.path(&name))
}

/// What is in the cabinet: the file's name in the package, and in the driver's folder of the cabinet.
pub fn in_cabinet(package: &Assembled) -> Vec<(String, String)> {
    let own = |name: &str| (format!("{DRIVER}/{name}"), name.to_owned());
    let mut files: Vec<_> = package.members().iter().map(|name| own(name)).collect();
    files.push(own(CATALOG));
    for architecture in Architecture::ALL {
        let folder = architecture.folder();
        files.push((symbols(folder), format!("{folder}/scream.pdb")));
    }
    files.sort_by(|(_, one), (_, other)| one.cmp(other));
    files
}

fn add_cabinet(package: &mut Assembled, signer: &Signer, date: Date) -> Result<()> {
    let files: Vec<_> =
        in_cabinet(package).into_iter().map(|(name, inside)| (package.path(&name), inside)).collect();
    let name = cabinet_name();
    // An empty file keeps the name and makes the folder.
    package.add(&name, "for attestation signing by Microsoft", Signature::Own, &[])?;
    cabinet::make(&package.path(&name), &files, date)?;
    signer.sign(&package.path(&name))
}

/// An image with the date of the version in its header, where zig puts the time at which it links. Signing makes the checksum.
fn dated(mut image: Vec<u8>, date: Date) -> Option<Vec<u8>> {
    let place = image.get(0x3C..0x40)?;
    let header = usize::try_from(u32::from_le_bytes(place.try_into().ok()?)).ok()?;
    let end = header.checked_add(12)?;
    let [b'P', b'E', 0, 0, _, _, _, _, time @ ..] = image.get_mut(header..end)? else { return None };
    time.copy_from_slice(&u32::try_from(date.seconds()).ok()?.to_le_bytes());
    Some(image)
}

/// A text with the ends of lines that Windows has.
fn windows_text(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\n', "\r\n")
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// A text of the repository.
fn read_text(name: &str) -> Result<String> {
    fs::read_to_string(root().join(name)).with_context(|| format!("cannot read {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_in_the_header_of_an_image_becomes_the_date_of_the_version() {
        let mut image = vec![7; 0x60];
        image[0x3C..0x40].copy_from_slice(&[0x48, 0, 0, 0]);
        image[0x48..0x4C].copy_from_slice(b"PE\0\0");
        let mut expected = image.clone();
        expected[0x50..0x54].copy_from_slice(&1_795_418_374_u32.to_le_bytes());
        let date = Date::parse("1795418374").unwrap();
        assert_eq!(dated(image.clone(), date), Some(expected));
        for broken in [&image[..0x3F], &image[..0x53], b"MZ"] {
            assert_eq!(dated(broken.to_vec(), date), None);
        }
        image[0x49] = b'F';
        assert_eq!(dated(image, date), None);
    }
}
