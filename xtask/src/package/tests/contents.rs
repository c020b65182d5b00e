//! What is in a package.

use std::fs::{self, File};
use std::path::Path;

use driver_package::catalog::{Catalog, Hash};
use driver_package::inf::Inf;
use zip::ZipArchive;

use super::super::verification::files;
use super::super::{VERSION, cabinet};
use super::*;

/// The names in the archive, below its one folder.
const NAMES: [&str; 16] = [
    "LICENSE.txt",
    "README.txt",
    "arm64/screamctl.exe",
    "attestation/scream-VERSION.cab",
    "certificate/scream-test.cer",
    "docs/install.md",
    "docs/options.md",
    "driver/arm64/scream.sys",
    "driver/scream.cat",
    "driver/scream.inf",
    "driver/x64/scream.sys",
    "install.bat",
    "symbols/arm64/scream.pdb",
    "symbols/x64/scream.pdb",
    "uninstall.bat",
    "x64/screamctl.exe",
];

fn names() -> Vec<String> {
    NAMES.iter().map(|name| format!("scream-{VERSION}/{}", name.replace("VERSION", VERSION))).collect()
}

#[test]
fn the_archive_has_these_files_in_this_order_with_the_date_of_the_version() {
    let signer = Signer::new(None, None).unwrap();
    let (package, _output) = made(&signer);
    assert_eq!(package.archive.file_name().unwrap().to_str().unwrap(), format!("scream-{VERSION}.zip"));
    let mut archive = ZipArchive::new(File::open(&package.archive).unwrap()).unwrap();
    let mut found = Vec::new();
    for index in 0..archive.len() {
        let file = archive.by_index(index).unwrap();
        found.push(file.name().unwrap().into_owned());
        assert_eq!(file.last_modified(), Some(date().in_archive().unwrap()), "{:?}", file.name());
        assert_eq!(file.unix_mode().map(|mode| mode & 0o777), Some(0o644), "{:?}", file.name());
    }
    assert_eq!(found, names());
}

#[test]
fn no_private_key_is_in_it_and_none_is_left_when_the_signer_goes() {
    let signer = Signer::new(None, None).unwrap();
    let (_package, output) = made(&signer);
    let private = fs::read(signer.private_key().unwrap()).unwrap();
    // A line in the middle of the key in PEM.
    let line = private.split(|byte| *byte == b'\n').nth(10).unwrap().to_vec();
    assert_eq!(line.len(), 64);
    for file in files(output.path()).unwrap() {
        let bytes = fs::read(&file).unwrap();
        for secret in [&line[..], b"PRIVATE KEY"] {
            let found = bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "{} has a private key in it", file.display());
        }
    }
    let folder = signer.private_key().unwrap().parent().unwrap().to_owned();
    assert!(folder.is_dir());
    drop(signer);
    assert!(!folder.exists(), "{} is left", folder.display());
}

#[test]
fn the_inf_has_the_version_and_the_date_and_all_texts_have_the_line_ends_of_windows() {
    let (_package, output) = made(&Signer::new(None, None).unwrap());
    let folder = folder_of(&output);
    let inf = Inf::parse(&fs::read(folder.join("driver/scream.inf")).unwrap());
    let stamped = inf.driver_ver().unwrap();
    assert_eq!((stamped.date.as_str(), stamped.version), ("11/23/2026", format!("{VERSION}.0")));
    let plain = ["install.bat", "uninstall.bat", "README.txt", "LICENSE.txt", "driver/scream.inf"];
    for name in plain.into_iter().chain(["docs/install.md", "docs/options.md"]) {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        assert!(text.is_ascii() || !plain.contains(&name), "{name}");
        assert!(text.lines().count() > 5, "{name}");
        assert_eq!(text.matches('\n').count(), text.matches("\r\n").count(), "{name}");
        assert_eq!(text.matches('\r').count(), text.matches("\r\n").count(), "{name}");
    }
}

#[test]
fn the_catalog_vouches_for_both_drivers_and_the_inf_and_nothing_else() {
    let signer = Signer::new(None, None).unwrap();
    let (_package, output) = made(&signer);
    let driver = folder_of(&output).join("driver");
    let read = |name: &str| fs::read(driver.join(name)).unwrap();
    let catalog = Catalog::read(&read("scream.cat")).unwrap();
    let mut members: Vec<_> =
        catalog.members.iter().map(|member| (member.file.as_str(), member.hash)).collect();
    members.sort_unstable();
    let mut expected = vec![
        ("scream.inf", Hash::of_file(&read("scream.inf"))),
        ("scream.sys", Hash::of_image(&read("x64/scream.sys")).unwrap()),
        ("scream.sys", Hash::of_image(&read("arm64/scream.sys")).unwrap()),
    ];
    expected.sort_unstable();
    assert_eq!(members, expected);
    assert_eq!(catalog.hardware_ids, ["root\\scream"]);
    assert_eq!(catalog.systems, ["_v100_X64_Vb", "_v100_ARM64_Vb"]);
    assert_eq!(catalog.signer.unwrap().common_name, signer.name());
}

#[test]
fn the_cabinet_has_the_driver_for_both_processors_in_one_folder() {
    let (_package, output) = made(&Signer::new(None, None).unwrap());
    let folder = folder_of(&output);
    let inside = cabinet::read(&folder.join(format!("attestation/scream-{VERSION}.cab"))).unwrap();
    let expected = [
        ("scream\\arm64\\scream.pdb", "symbols/arm64/scream.pdb"),
        ("scream\\arm64\\scream.sys", "driver/arm64/scream.sys"),
        ("scream\\scream.cat", "driver/scream.cat"),
        ("scream\\scream.inf", "driver/scream.inf"),
        ("scream\\x64\\scream.pdb", "symbols/x64/scream.pdb"),
        ("scream\\x64\\scream.sys", "driver/x64/scream.sys"),
    ];
    let names: Vec<_> = inside.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, expected.map(|(name, _)| name));
    for ((name, bytes), (_, file)) in inside.iter().zip(expected) {
        assert!(*bytes == fs::read(folder.join(file)).unwrap(), "{name}");
    }
}

#[test]
fn two_packages_of_the_same_version_differ_in_signatures_only() {
    let [one, other] = [(); 2].map(|()| made(&Signer::new(None, None).unwrap()).1);
    let read = |output: &TempDir, name: &str| fs::read(folder_of(output).join(name)).unwrap();
    let mut unsigned = 0;
    for name in names() {
        let (_, name) = name.split_once('/').unwrap();
        let [bytes, others] = [read(&one, name), read(&other, name)];
        match Path::new(name).extension().and_then(|kind| kind.to_str()).unwrap() {
            "sys" | "exe" => assert_eq!(Hash::of_image(&bytes), Hash::of_image(&others), "{name}"),
            "cat" => {
                let members = |bytes: &[u8]| Catalog::read(bytes).unwrap().members;
                assert_eq!(members(&bytes), members(&others));
            }
            // The cabinet has the signed files in it.
            "cab" | "cer" => assert_ne!(bytes, others, "{name}"),
            _ => {
                assert!(bytes == others, "{name}");
                unsigned += 1;
            }
        }
    }
    assert_eq!(unsigned, 9);
}

#[test]
fn a_changed_byte_in_any_signed_file_is_found() {
    let signer = Signer::new(None, None).unwrap();
    let (_package, output) = made(&signer);
    let folder = folder_of(&output);
    let cabinet = format!("attestation/scream-{VERSION}.cab");
    let signed = ["driver/x64/scream.sys", "arm64/screamctl.exe", "driver/scream.cat", cabinet.as_str()];
    for name in signed {
        let file = folder.join(name);
        signer.verify(&file).unwrap();
        let mut bytes = fs::read(&file).unwrap();
        let place = bytes.len() / 3;
        bytes[place] ^= 1;
        fs::write(&file, bytes).unwrap();
        let error = signer.verify(&file).unwrap_err().to_string();
        assert_eq!(error, format!("the signature of {} is not good", file.display()));
    }
}

#[test]
fn a_catalog_vouches_for_no_other_file() {
    let signer = Signer::new(None, None).unwrap();
    let (_package, output) = made(&signer);
    let folder = folder_of(&output);
    let [driver, catalog] = ["driver/arm64/scream.sys", "driver/scream.cat"].map(|name| folder.join(name));
    signer.verify_member(&driver, &catalog).unwrap();
    fs::copy(folder.join("arm64/screamctl.exe"), &driver).unwrap();
    let error = signer.verify_member(&driver, &catalog).unwrap_err().to_string();
    assert_eq!(error, format!("{} does not vouch for {}", catalog.display(), driver.display()));
}
