//! Whether a package is undamaged.

mod fixture;

use std::fs;

use driver_package::check::{Damage, Package, check};
use driver_package::layout::Architecture::{self, Arm64, X64};
use fixture::{SUBJECT, Unpacked, driver, inf};

#[test]
fn an_undamaged_package_is_told_with_its_size_and_version() {
    let package = Unpacked::unsigned();
    for architecture in Architecture::ALL {
        let expected = Package {
            inf: package.path(&["driver", "scream.inf"]),
            version: "0.1.0.0".to_owned(),
            signer: None,
            test_certificate: None,
            size: (inf().len() + fixture::catalog_of(&inf()).len() + driver(architecture).len()) as u64,
        };
        assert_eq!(check(package.folder.path(), architecture), Ok(expected));
    }
}

#[test]
fn a_signed_package_is_told_with_its_signer_and_the_test_certificate() {
    let package = Unpacked::signed();
    let told = check(package.folder.path(), X64).expect("it is undamaged");
    let signer = told.signer.expect("it is signed");
    assert_eq!((signer.common_name.as_str(), signer.self_signed), (SUBJECT, true));
    assert_eq!(told.test_certificate.as_ref(), Some(&signer.certificate));
    let certificate = fs::read(package.path(&["certificate", "scream-test.cer"])).expect("it is there");
    assert_eq!(told.test_certificate, Some(certificate));
}

/// Changes a package, and looks what is said of it for a processor.
#[track_caller]
fn damaged(package: &Unpacked, architecture: Architecture, expected: &str) {
    assert_eq!(check(package.folder.path(), architecture), Err(Damage(expected.to_owned())));
}

#[test]
fn a_file_that_is_missing_is_named() {
    for (parts, name) in [
        (&["driver", "scream.inf"][..], r"driver\scream.inf"),
        (&["driver", "scream.cat"], r"driver\scream.cat"),
        (&["driver", "x64", "scream.sys"], r"driver\x64\scream.sys"),
        (&["certificate", "scream-test.cer"], r"certificate\scream-test.cer"),
    ] {
        let package = Unpacked::signed();
        fs::remove_file(package.path(parts)).expect("it goes");
        damaged(&package, X64, &format!("{name} is missing from the package: unpack all of the zip"));
    }
}

#[test]
fn the_other_processor_s_driver_is_not_needed() {
    let package = Unpacked::unsigned();
    fs::remove_dir_all(package.path(&["driver", "arm64"])).expect("it goes");
    assert!(check(package.folder.path(), X64).is_ok());
    damaged(&package, Arm64, r"driver\arm64\scream.sys is missing from the package: unpack all of the zip");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let package = Unpacked::unsigned();
    let driver = package.path(&["driver", "x64", "scream.sys"]);
    fs::remove_file(&driver).expect("it goes");
    fs::create_dir(driver).expect("a folder takes its place");
    let Damage(text) = check(package.folder.path(), X64).expect_err("a folder is no file");
    assert!(text.starts_with(r"driver\x64\scream.sys cannot be read: "), "{text}");
    assert_eq!(text.lines().count(), 1);
}

#[test]
fn one_changed_byte_is_found_wherever_it_is() {
    let again = "is not the file that was signed: download the package again";
    for (parts, name) in [
        (&["driver", "scream.inf"][..], r"driver\scream.inf"),
        (&["driver", "x64", "scream.sys"], r"driver\x64\scream.sys"),
    ] {
        let length = fs::read(Unpacked::unsigned().path(parts)).expect("it is there").len();
        for at in [2, length / 3, length - 1] {
            let package = Unpacked::unsigned();
            package.change(parts, |bytes| bytes[at] ^= 1);
            damaged(&package, X64, &format!("{name} {again}"));
        }
        let package = Unpacked::unsigned();
        package.change(parts, |bytes| bytes.truncate(length - 1));
        damaged(&package, X64, &format!("{name} {again}"));
    }
    let package = Unpacked::unsigned();
    package.write(&["driver", "x64", "scream.sys"], b"");
    damaged(&package, X64, &format!(r"driver\x64\scream.sys {again}"));
}

#[test]
fn a_catalog_that_is_not_one_is_named() {
    let expected = r"driver\scream.cat is not a whole catalog: download the package again";
    for change in [|bytes: &mut Vec<u8>| bytes.truncate(100), |bytes: &mut Vec<u8>| bytes.clear()] {
        let package = Unpacked::unsigned();
        package.change(&["driver", "scream.cat"], change);
        damaged(&package, X64, expected);
    }
}

#[test]
fn drivers_in_each_other_s_folder_are_found_although_both_are_signed() {
    let package = Unpacked::unsigned();
    package.write(&["driver", "x64", "scream.sys"], &driver(Arm64));
    damaged(&package, X64, r"driver\x64\scream.sys is not a driver for x64: download the package again");
}

#[test]
fn an_inf_without_the_processor_is_told() {
    let text = String::from_utf8(inf()).expect("it is text");
    let x64_only = text.replace(", NTarm64.10.0...19041", "");
    assert_ne!(x64_only, text);
    let package = Unpacked::with_inf(x64_only.as_bytes());
    assert!(check(package.folder.path(), X64).is_ok());
    let expected = r"driver\scream.inf has no driver for arm64: download the package for this computer";
    damaged(&package, Arm64, expected);
}

#[test]
fn an_inf_without_a_version_is_told() {
    let text = String::from_utf8(inf()).expect("it is text").replace(",0.1.0.0", "");
    let package = Unpacked::with_inf(text.as_bytes());
    damaged(&package, X64, r"driver\scream.inf is not an INF with a version: download the package again");
}

#[test]
fn another_test_certificate_than_the_signer_s_is_told() {
    let package = Unpacked::signed();
    package.change(&["certificate", "scream-test.cer"], |bytes| bytes[50] ^= 1);
    let expected = concat!(
        r"certificate\scream-test.cer is not the certificate that the package was signed with: ",
        "download the package again"
    );
    damaged(&package, X64, expected);
}
