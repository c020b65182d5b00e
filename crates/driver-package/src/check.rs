//! Whether the package is undamaged: every file is what the catalog says.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use object::LittleEndian;
use object::read::pe::PeFile64;

use crate::catalog::{Catalog, Hash, Signer};
use crate::inf::Inf;
use crate::layout::{
    Architecture, CATALOG, DRIVER, DRIVER_FILE, INF, TEST_CERTIFICATE, TEST_CERTIFICATE_NAME,
};

/// A package of which every file is what the catalog says. Whether Windows accepts the signature is for Windows to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The INF, to be handed to Windows.
    pub inf: PathBuf,
    /// `DriverVer`'s version: `0.1.0.0`.
    pub version: String,
    /// Who signed the catalog; nobody if it is not signed.
    pub signer: Option<Signer>,
    /// The test certificate that lies in the package, in DER, if the catalog was signed with it.
    pub test_certificate: Option<Vec<u8>>,
    /// Bytes of the files that Windows copies.
    pub size: u64,
}

/// What is wrong with a package: a clause that names the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage(pub String);

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Damage {}

/// What to do about a file that is not what it should be.
const AGAIN: &str = "download the package again";

/// A file of the package, with its name in it, as Windows writes it.
struct PackedFile {
    name: String,
    bytes: Vec<u8>,
}

impl PackedFile {
    /// Reads a file below the package's folder.
    fn read(folder: &Path, parts: &[&str]) -> Result<Self, Damage> {
        let name = parts.join("\\");
        let path = parts.iter().fold(folder.to_owned(), |path, part| path.join(part));
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Self { name, bytes }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Damage(format!("{name} is missing from the package: unpack all of the zip")))
            }
            Err(error) => Err(Damage(format!("{name} cannot be read: {error}"))),
        }
    }

    /// That it is not what it should be.
    fn is_not(&self, what: &str) -> Damage {
        Damage(format!("{} is not {what}: {AGAIN}", self.name))
    }
}

/// Looks at the package that was unpacked to `folder`, and at its driver for an architecture.
///
/// # Errors
/// A file is missing, cannot be read, or is not the one that the catalog vouches for.
pub fn check(folder: &Path, architecture: Architecture) -> Result<Package, Damage> {
    let inf = PackedFile::read(folder, &[DRIVER, INF])?;
    let catalog = PackedFile::read(folder, &[DRIVER, CATALOG])?;
    let list = Catalog::read(&catalog.bytes).map_err(|_| catalog.is_not("a whole catalog"))?;
    if !list.vouches_for(INF, &Hash::of_file(&inf.bytes)) {
        return Err(inf.is_not("the file that was signed"));
    }
    let parsed = Inf::parse(&inf.bytes);
    if !parsed.has_drivers_for(architecture) {
        return Err(Damage(format!(
            "{} has no driver for {}: download the package for this computer",
            inf.name,
            architecture.folder()
        )));
    }
    let driver = PackedFile::read(folder, &[DRIVER, architecture.folder(), DRIVER_FILE])?;
    let hash = Hash::of_image(&driver.bytes).map_err(|_| driver.is_not("the file that was signed"))?;
    if !list.vouches_for(DRIVER_FILE, &hash) {
        return Err(driver.is_not("the file that was signed"));
    }
    if machine(&driver.bytes) != Some(machine_of(architecture)) {
        return Err(driver.is_not(&format!("a driver for {}", architecture.folder())));
    }
    let version = parsed.driver_ver().map(|driver_ver| driver_ver.version).unwrap_or_default();
    if version.is_empty() {
        return Err(inf.is_not("an INF with a version"));
    }
    Ok(Package {
        inf: folder.join(DRIVER).join(INF),
        version,
        test_certificate: test_certificate(folder, list.signer.as_ref())?,
        signer: list.signer,
        size: [&inf, &catalog, &driver].map(|file| file.bytes.len() as u64).iter().sum(),
    })
}

/// The test certificate in the package, if it is the signer's.
fn test_certificate(folder: &Path, signer: Option<&Signer>) -> Result<Option<Vec<u8>>, Damage> {
    let Some(signer) = signer else { return Ok(None) };
    if !signer.self_signed || !signer.common_name.starts_with(TEST_CERTIFICATE_NAME) {
        return Ok(None);
    }
    let parts: Vec<&str> = TEST_CERTIFICATE.split('/').collect();
    let certificate = PackedFile::read(folder, &parts)?;
    if certificate.bytes != signer.certificate {
        return Err(certificate.is_not("the certificate that the package was signed with"));
    }
    Ok(Some(certificate.bytes))
}

/// The processor that an image is for.
fn machine(image: &[u8]) -> Option<u16> {
    let image = PeFile64::parse(image).ok()?;
    Some(image.nt_headers().file_header.machine.get(LittleEndian))
}

fn machine_of(architecture: Architecture) -> u16 {
    match architecture {
        Architecture::X64 => object::pe::IMAGE_FILE_MACHINE_AMD64,
        Architecture::Arm64 => object::pe::IMAGE_FILE_MACHINE_ARM64,
    }
}
