//! `screamctl install`: who signed the package, and whether this computer is to trust them.

mod fake;

use fake::installation::{DONE, install, refused};
use fake::packages::{CERTIFICATE, EARLIER_CERTIFICATE};
use fake::{FakeComputer, FakeConsole};

#[test]
fn a_test_certificate_is_trusted_without_a_question_if_the_command_line_says_so() {
    let mut computer = FakeComputer::new();
    let package = computer.offer_for_tests("0.1.0.0");
    let (result, out) = install(&mut computer, &package, &["--trust-certificate"]);
    assert_eq!(result, DONE);
    assert_eq!(computer.calls[..2], ["add_certificate Root", "add_certificate TrustedPublisher"]);
    assert!(out.contains(&format!("signature     for tests, by {CERTIFICATE}\n")), "{out}");
    assert!(out.contains("certificate   is among the trusted root authorities\n"), "{out}");
}

#[test]
fn a_test_certificate_is_trusted_if_the_user_says_yes() {
    let mut computer = FakeComputer::new();
    let package = computer.offer_for_tests("0.1.0.0");
    let mut console = FakeConsole::answering(&[true]);
    assert_eq!(computer.install_package(&mut console, &package, &[]), DONE);
    assert_eq!(
        console.questions,
        [format!(
            "Windows has to trust {CERTIFICATE} for this. It will then trust everything that is signed with it, until \
             Scream is uninstalled. Trust it?"
        )]
    );
    assert_eq!(computer.state.root.len(), 1);
}

#[test]
fn a_test_certificate_that_is_trusted_is_not_asked_for() {
    let mut computer = FakeComputer::new();
    computer.trust(CERTIFICATE);
    let package = computer.offer_for_tests("0.1.0.0");
    let (result, out) = install(&mut computer, &package, &["--unattended"]);
    assert_eq!(result, DONE);
    assert!(out.contains("certificate   is trusted\n"), "{out}");
    assert_eq!(computer.calls[0], "add_package /package/driver/scream.inf");
}

#[test]
fn a_certificate_on_one_list_only_is_added_to_the_other() {
    let mut computer = FakeComputer::new();
    computer.trust(CERTIFICATE);
    computer.state.trusted_publisher.clear();
    let package = computer.offer_for_tests("0.1.0.0");
    assert_eq!(install(&mut computer, &package, &["--trust-certificate"]).0, DONE);
    assert_eq!((computer.state.root.len(), computer.state.trusted_publisher.len()), (1, 1));
}

#[test]
fn the_certificate_of_an_earlier_package_is_trusted_no_longer() {
    let mut computer = FakeComputer::with_scream();
    computer.trust(EARLIER_CERTIFICATE);
    let package = computer.offer_for_tests("0.2.0.0");
    let (result, out) = install(&mut computer, &package, &["--trust-certificate"]);
    assert_eq!(result, DONE);
    assert!(
        out.contains("clean-up      remove an earlier test certificate from the trusted publishers\n"),
        "{out}"
    );
    assert_eq!(computer.state.root, [(CERTIFICATE.to_owned(), CERTIFICATE.as_bytes().to_vec())]);
    assert_eq!(computer.state.trusted_publisher, computer.state.root);
}

#[test]
fn a_refused_certificate_changes_nothing() {
    let mut computer = FakeComputer::new();
    let package = computer.offer_for_tests("0.1.0.0");
    let mut console = FakeConsole::answering(&[false]);
    let result = computer.install_package(&mut console, &package, &[]);
    assert_eq!(result, Err("the certificate is not to be trusted: nothing was changed".to_owned()));
    assert_eq!(computer.calls, [""; 0]);
}

#[test]
fn without_anybody_to_ask_the_flag_for_the_certificate_is_named() {
    let line = format!(
        "the package is signed by {CERTIFICATE}, which this computer does not trust: add --trust-certificate to trust it"
    );
    for arguments in [&[][..], &["--unattended"]] {
        let mut computer = FakeComputer::new();
        let package = computer.offer_for_tests("0.1.0.0");
        refused(&mut computer, &package, arguments, &line);
    }
}

#[test]
fn unattended_asks_nothing() {
    let mut computer = FakeComputer::new();
    let package = computer.offer_for_tests("0.1.0.0");
    let mut console = FakeConsole::answering(&[true]);
    let result = computer.install_package(&mut console, &package, &["--unattended"]);
    assert!(result.is_err());
    assert_eq!(console.questions, [""; 0]);
}

#[test]
fn a_package_for_tests_needs_test_signing() {
    let mut computer = FakeComputer::new();
    let package = computer.offer_for_tests("0.1.0.0");
    computer.code_integrity.test_signing = false;
    refused(
        &mut computer,
        &package,
        &["--trust-certificate"],
        "the package is signed for tests, and test signing is off: run \"bcdedit /set testsigning on\" as an \
         administrator, restart Windows, and install again",
    );
}

#[test]
fn with_secure_boot_it_has_to_be_turned_off_first() {
    let mut computer = FakeComputer::new();
    let package = computer.offer_for_tests("0.1.0.0");
    computer.code_integrity.test_signing = false;
    computer.secure_boot = Some(true);
    refused(
        &mut computer,
        &package,
        &["--trust-certificate"],
        "the package is signed for tests, and test signing is off, which Secure Boot demands: turn off Secure Boot in \
         the settings of the firmware, run \"bcdedit /set testsigning on\" as an administrator, restart Windows, and \
         install again",
    );
}

#[test]
fn where_nothing_is_enforced_test_signing_is_not_needed() {
    let mut computer = FakeComputer::new();
    let package = computer.offer_for_tests("0.1.0.0");
    computer.code_integrity.test_signing = false;
    computer.code_integrity.enforced = false;
    assert_eq!(install(&mut computer, &package, &["--trust-certificate"]).0, DONE);
}

#[test]
fn memory_integrity_is_noted_for_a_package_for_tests() {
    let mut computer = FakeComputer::new();
    let package = computer.offer_for_tests("0.1.0.0");
    computer.code_integrity.memory_integrity = true;
    let (result, out) = install(&mut computer, &package, &["--trust-certificate"]);
    assert_eq!(result, DONE);
    let note = "note          memory integrity is on, which this driver is made for\n";
    assert!(out.contains(note), "{out}");
}

#[test]
fn an_unsigned_package_is_refused() {
    let mut computer = FakeComputer::new();
    let mut package = computer.offer("0.1.0.0");
    package.signer = None;
    refused(
        &mut computer,
        &package,
        &["--trust-certificate"],
        "the package is not signed, and Windows installs no such driver: use a signed package, or sign this one: \
         docs/install.md says how",
    );
}

#[test]
fn a_signature_that_windows_does_not_accept_is_refused_with_its_signer() {
    let mut computer = FakeComputer::new();
    let package = computer.offer("0.1.0.0");
    computer.folders[0].signature = Err(0x800B_010C);
    refused(
        &mut computer,
        &package,
        &["--trust-certificate"],
        "Windows does not accept the signature of Microsoft Windows Hardware Compatibility Publisher: the certificate \
         of the signature has been revoked (SetupVerifyInfFileW: error 0x800B010C): use a package that is signed for \
         this computer: README.txt says more",
    );
}

#[test]
fn a_publisher_whom_nobody_knows_yet_is_for_the_user_to_trust() {
    let mut computer = FakeComputer::new();
    let package = computer.offer("0.1.0.0");
    computer.folders[0].signature = Err(0xE000_0242);
    refused(
        &mut computer,
        &package,
        &["--trust-certificate"],
        "Windows does not accept the signature of Microsoft Windows Hardware Compatibility Publisher: Windows does not \
         trust the publisher of the driver (SetupVerifyInfFileW: error 0xE0000242): add their certificate to the trusted \
         publishers of this computer, or use another package",
    );
}

#[test]
fn a_signature_may_be_tried_where_test_signing_is_off() {
    let mut computer = FakeComputer::new();
    let package = computer.offer_for_tests("0.1.0.0");
    computer.code_integrity.test_signing = false;
    let before = computer.state.clone();
    computer.folders[0].problem = 52;
    let arguments = ["--trust-certificate", "--try-signature"];
    let line = install(&mut computer, &package, &arguments).0.expect_err("it is not accepted");
    assert!(line.contains("(code 52)"), "{line}");
    assert_eq!(computer.state, before, "it was taken back");

    computer.folders[0].problem = 0;
    assert_eq!(install(&mut computer, &package, &arguments).0, DONE, "Windows was made to accept it");
}

#[test]
fn a_signature_that_is_tried_is_not_verified_before() {
    let mut computer = FakeComputer::new();
    let package = computer.offer("0.1.0.0");
    computer.refuse("verify_signature", 0x800B_0109);
    assert_eq!(install(&mut computer, &package, &["--try-signature"]).0, DONE);
}

#[test]
fn the_certificate_of_a_signature_that_is_tried_is_asked_for_all_the_same() {
    let mut computer = FakeComputer::new();
    let package = computer.offer_for_tests("0.1.0.0");
    let line = format!(
        "the package is signed by {CERTIFICATE}, which this computer does not trust: add --trust-certificate to trust it"
    );
    refused(&mut computer, &package, &["--try-signature", "--unattended"], &line);
}

#[test]
fn the_name_of_a_signer_stays_in_its_line() {
    let mut computer = FakeComputer::new();
    let mut package = computer.offer("0.1.0.0");
    package.signer.as_mut().expect("it is signed").common_name = "Somebody\r\n\u{1b}[2Jelse".to_owned();
    let (result, out) = install(&mut computer, &package, &[]);
    assert_eq!(result, DONE);
    assert!(out.contains("signature     Somebody???[2Jelse\n"), "{out:?}");
}
