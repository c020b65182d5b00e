//! `screamctl install` of packages in true folders, whole and damaged.

mod fake;
#[path = "../../driver-package/tests/fixture/mod.rs"]
mod fixture;

use fake::{FakeComputer, FakeConsole, FakePackage, THIS_MACHINE};
use fixture::{SUBJECT, Unpacked};
use screamctl::computer::Machine;
use screamctl::{DONE, FAILED};

/// The folder of this processor.
const THIS: &str = if matches!(THIS_MACHINE, Machine::Arm64) { "arm64" } else { "x64" };

/// A computer on which the program of an unpacked package was started.
fn started_from(package: &Unpacked) -> FakeComputer {
    let mut computer = FakeComputer::new();
    computer.program = package.path(&[THIS, "screamctl.exe"]);
    computer.code_integrity.test_signing = true;
    let inf = package.path(&["driver", "scream.inf"]);
    let certificate = std::fs::read(package.path(&["certificate", "scream-test.cer"])).ok();
    computer.folders.push(FakePackage {
        inf,
        signed_with: certificate,
        ..FakePackage::scream("", &format!("{}.0", env!("CARGO_PKG_VERSION")))
    });
    computer
}

/// Expects this line, and that nothing was touched.
fn refused(package: &Unpacked, line: &str) {
    let mut computer = started_from(package);
    let before = computer.state.clone();
    let mut console = FakeConsole::new();
    assert_eq!(computer.screamctl(&mut console, &["install", "--trust-certificate"]), FAILED, "{line}");
    assert_eq!(console.err, format!("error: {line}\n"));
    assert_eq!(computer.calls, [""; 0]);
    assert_eq!(computer.state, before);
}

#[test]
fn a_package_that_is_signed_for_tests_is_installed_and_removed() {
    let package = Unpacked::signed();
    let mut computer = started_from(&package);
    let before = computer.state.clone();

    let mut console = FakeConsole::new();
    let code = computer.screamctl(&mut console, &["install", "--trust-certificate", "--unattended"]);
    assert_eq!((code, console.err.as_str()), (DONE, ""), "{}", console.out);
    let version = format!("{}.0", env!("CARGO_PKG_VERSION"));
    let begin = format!("package       Scream {version} for {THIS}\nsignature     for tests, by {SUBJECT}\n");
    assert!(console.out.starts_with(&begin), "{}", console.out);
    assert_eq!(computer.state.nodes[0].version, Some(version));

    let mut console = FakeConsole::new();
    assert_eq!(computer.screamctl(&mut console, &["install"]), DONE, "a second run asks nothing");
    let mut console = FakeConsole::new();
    assert_eq!(computer.screamctl(&mut console, &["uninstall"]), DONE, "{}", console.err);
    assert_eq!(computer.state, before);
}

#[test]
fn the_folder_may_be_named() {
    let package = Unpacked::signed();
    let mut computer = started_from(&package);
    computer.program = "/elsewhere/x64/screamctl.exe".into();
    let folder = package.folder.path().to_str().expect("a path in Unicode");
    let mut console = FakeConsole::new();
    let code = computer.screamctl(&mut console, &["install", "--trust-certificate", "--package", folder]);
    assert_eq!((code, console.err.as_str()), (DONE, ""));
}

#[test]
fn a_package_that_nobody_signed_is_refused() {
    refused(
        &Unpacked::unsigned(),
        "the package is not signed, and Windows installs no such driver: use a signed package, or sign this one: \
         docs/install.md says how",
    );
}

#[test]
fn a_file_that_was_changed_is_refused() {
    let signed =
        |file: &str| format!("driver\\{file} is not the file that was signed: download the package again");
    let package = Unpacked::signed();
    package.change(&["driver", THIS, "scream.sys"], |bytes| bytes[0x300] ^= 1);
    refused(&package, &signed(&format!("{THIS}\\scream.sys")));

    let package = Unpacked::signed();
    package.change(&["driver", "scream.inf"], |bytes| bytes.push(b'\n'));
    refused(&package, &signed("scream.inf"));

    let package = Unpacked::signed();
    package.change(&["driver", "scream.cat"], |bytes| bytes.truncate(bytes.len() / 2));
    refused(&package, "driver\\scream.cat is not a whole catalog: download the package again");
}

#[test]
fn a_file_that_is_missing_is_refused() {
    for parts in [&["driver", "scream.inf"][..], &["driver", "scream.cat"], &["driver", THIS, "scream.sys"]] {
        let package = Unpacked::signed();
        std::fs::remove_file(package.path(parts)).expect("the file was there");
        let line = format!("{} is missing from the package: unpack all of the zip", parts.join("\\"));
        refused(&package, &line);
    }
}
