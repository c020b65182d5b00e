//! Catalogs that osslsigncode signs and verifies, together with the driver that users get.

mod fixture;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use driver_package::catalog::{Catalog, File, Hash, Unreadable, make};
use fixture::{DATE, SUBJECT, SYSTEMS, TestCertificate, catalog_of};
use proptest::prelude::*;
use tempfile::TempDir;

/// A signed catalog of the built driver, and the driver, in a folder.
struct Signed {
    folder: TempDir,
    certificate: TestCertificate,
}

impl Signed {
    fn new() -> Self {
        let driver = std::env::var_os("SCREAM_SYS").map(PathBuf::from);
        let driver = driver.expect("SCREAM_SYS says where the driver is; `cargo xtask test` sets it");
        let driver = fs::read(driver).expect("the driver can be read");
        let files =
            [File { name: "scream.sys", bytes: &driver }, File { name: "scream.inf", bytes: b"an INF" }];
        let catalog = make(&files, &[r"ROOT\Scream"], &SYSTEMS, DATE).expect("the catalog is made");
        let signed =
            Self { folder: TempDir::new().expect("there is a folder"), certificate: TestCertificate::new() };
        fs::write(signed.driver(), driver).expect("the driver is written");
        fs::write(signed.catalog(), catalog).expect("the catalog is written");
        signed.certificate.sign(&signed.catalog());
        signed
    }

    fn driver(&self) -> PathBuf {
        self.folder.path().join("scream.sys")
    }

    fn catalog(&self) -> PathBuf {
        self.folder.path().join("scream.cat")
    }

    /// Whether osslsigncode takes a file as signed, by itself or through the catalog.
    fn verifies(&self, file: &Path, through_catalog: bool) -> bool {
        let mut verify = Command::new("osslsigncode");
        verify.arg("verify").arg("-CAfile").arg(self.certificate.certificate());
        if through_catalog {
            verify.arg("-catalog").arg(self.catalog());
        }
        let output = verify.arg("-in").arg(file).output().expect("osslsigncode is installed");
        output.status.success()
    }
}

fn change(file: &Path, at: impl FnOnce(&[u8]) -> usize) {
    let mut bytes = fs::read(file).expect("it can be read");
    let at = at(&bytes);
    bytes[at] ^= 1;
    fs::write(file, bytes).expect("it can be written");
}

#[test]
fn a_made_catalog_can_be_signed_and_vouches_for_the_driver() {
    let signed = Signed::new();
    assert!(signed.verifies(&signed.catalog(), false), "the catalog");
    assert!(signed.verifies(&signed.driver(), true), "the driver");
    assert!(!signed.verifies(&signed.driver(), false), "the driver has no signature of its own");

    let catalog = Catalog::read(&fs::read(signed.catalog()).expect("it is there")).expect("it is read");
    let signer = catalog.signer.as_ref().expect("it is signed");
    assert_eq!((signer.common_name.as_str(), signer.self_signed), (SUBJECT, true));
    assert_eq!(signer.certificate, signed.certificate.der());
    let hash = Hash::of_image(&fs::read(signed.driver()).expect("it is there")).expect("it is an image");
    assert!(catalog.vouches_for("scream.sys", &hash));
    assert!(catalog.vouches_for("scream.inf", &Hash::of_file(b"an INF")));
    assert_eq!(catalog.members.len(), 2);
}

#[test]
fn a_signature_in_the_driver_leaves_its_place_in_the_catalog() {
    let signed = Signed::new();
    signed.certificate.sign(&signed.driver());
    assert!(signed.verifies(&signed.driver(), false), "by itself");
    assert!(signed.verifies(&signed.driver(), true), "through the catalog");
    let hash = Hash::of_image(&fs::read(signed.driver()).expect("it is there")).expect("it is an image");
    let catalog = Catalog::read(&fs::read(signed.catalog()).expect("it is there")).expect("it is read");
    assert!(catalog.vouches_for("scream.sys", &hash));
}

#[test]
fn a_changed_driver_is_refused() {
    let signed = Signed::new();
    change(&signed.driver(), |bytes| bytes.len() / 2);
    assert!(!signed.verifies(&signed.driver(), true));
    let hash = Hash::of_image(&fs::read(signed.driver()).expect("it is there")).expect("it is an image");
    let catalog = Catalog::read(&fs::read(signed.catalog()).expect("it is there")).expect("it is read");
    assert!(!catalog.vouches_for("scream.sys", &hash));
}

#[test]
fn a_changed_catalog_is_refused() {
    let signed = Signed::new();
    // A letter of a file's name, in UTF-16.
    let name: Vec<u8> = "scream.sys".encode_utf16().flat_map(u16::to_le_bytes).collect();
    change(&signed.catalog(), |bytes| {
        bytes.windows(name.len()).position(|window| window == name).expect("the name is there")
    });
    assert!(!signed.verifies(&signed.catalog(), false));
    assert!(!signed.verifies(&signed.driver(), true));
    let bytes = fs::read(signed.catalog()).expect("it is there");
    assert_eq!(Catalog::read(&bytes), Err(Unreadable::Changed));
}

#[test]
fn another_certificate_does_not_vouch() {
    let mut signed = Signed::new();
    signed.certificate = TestCertificate::new();
    assert!(!signed.verifies(&signed.catalog(), false));
    assert!(!signed.verifies(&signed.driver(), true));
}

/// A small signed catalog.
fn small(certificate: &TestCertificate, hash: &str) -> Vec<u8> {
    let folder = TempDir::new().expect("there is a folder");
    let file = folder.path().join("scream.cat");
    fs::write(&file, catalog_of(b"an INF")).expect("it is written");
    certificate.sign_with(hash, &file);
    fs::read(file).expect("it is there")
}

#[test]
fn a_signature_may_use_any_hash_that_windows_takes() {
    let certificate = TestCertificate::new();
    for hash in ["sha256", "sha384", "sha512"] {
        let catalog = Catalog::read(&small(&certificate, hash)).expect("it is read");
        assert_eq!(catalog.signer.map(|signer| signer.common_name).as_deref(), Some(SUBJECT), "{hash}");
    }
    assert_eq!(Catalog::read(&small(&certificate, "sha1")), Err(Unreadable::Signature));
}

#[test]
fn a_signed_catalog_that_was_damaged_is_never_read_with_other_members() {
    let bytes = small(&TestCertificate::new(), "sha256");
    let whole = Catalog::read(&bytes).expect("it is read");
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(2_000));
    let changes = (0..bytes.len(), 1..=u8::MAX);
    let outcome = runner.run(&changes, |(at, bits)| {
        let mut changed = bytes.clone();
        changed[at] ^= bits;
        if let Ok(catalog) = Catalog::read(&changed) {
            prop_assert_eq!(catalog.members, whole.members.clone());
        }
        prop_assert!(Catalog::read(&bytes[..at]).is_err());
        Ok(())
    });
    assert_eq!(outcome, Ok(()));
}

#[test]
fn a_signer_s_name_is_told_without_control_characters() {
    let catalog = Catalog::read(&small(&TestCertificate::of("J\u{f6}rg\u{1b}[31m\u{85} & Co"), "sha256"));
    assert_eq!(catalog.expect("it is read").signer.expect("it is signed").common_name, "J\u{f6}rg[31m & Co");
}
