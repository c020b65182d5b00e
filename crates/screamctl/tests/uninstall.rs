//! `screamctl uninstall`: leaves nothing behind, and says what it cannot remove.

mod fake;

use fake::packages::{CERTIFICATE, EARLIER_CERTIFICATE};
use fake::{FakeComputer, FakeConsole, FakePackage, dword};
use screamctl::computer::Service;
use screamctl::{DONE, FAILED, RESTART_NEEDED};

/// `ERROR_ACCESS_DENIED`, and what is said of it.
const DENIED: u32 = 5;
const RUN_AS: &str = "start it from a command prompt that was opened with \"Run as administrator\"";

/// Uninstalls, and returns the exit code and what was printed.
fn uninstall(computer: &mut FakeComputer, arguments: &[&str]) -> (i32, String, String) {
    let mut console = FakeConsole::new();
    let line: Vec<_> = ["uninstall"].iter().chain(arguments).copied().collect();
    let code = computer.screamctl(&mut console, &line);
    (code, console.out, console.err)
}

/// A computer with all that an installation can leave.
fn full() -> FakeComputer {
    let mut computer = FakeComputer::with_scream();
    computer.add_node(r"ROOT\Scream");
    let earlier = FakePackage::scream("/earliest/scream.inf", "0.0.9.0");
    computer.state.packages.insert("oem4.inf".to_owned(), earlier);
    computer.state.options = vec![dword("TTL", 8), dword("UnicastPort", 4011)];
    computer.trust(CERTIFICATE);
    computer.trust(EARLIER_CERTIFICATE);
    computer
}

#[test]
fn nothing_is_left() {
    let mut computer = full();
    let (code, out, err) = uninstall(&mut computer, &[]);
    assert_eq!((code, err.as_str()), (DONE, ""));
    assert_eq!(
        out,
        r"device        ROOT\MEDIA\0000 removed
device        ROOT\MEDIA\0001 removed
driver store  oem4.inf (0.0.9.0) removed
driver store  oem7.inf (0.1.0.0) removed
service       deleted
options       2 deleted
certificate   removed from the trusted root authorities
certificate   removed from the trusted root authorities
certificate   removed from the trusted publishers
certificate   removed from the trusted publishers
driver        Scream is removed
"
    );
    assert_eq!(computer.state, FakeComputer::new().state);
}

#[test]
fn what_an_installation_made_an_uninstallation_removes() {
    let mut computer = FakeComputer::new();
    let before = computer.state.clone();
    let package = computer.offer_for_tests("0.1.0.0");
    let mut console = FakeConsole::new();
    assert!(computer.install_package(&mut console, &package, &["--trust-certificate"]).is_ok());
    assert_ne!(computer.state, before);
    assert_eq!(uninstall(&mut computer, &[]).0, DONE);
    assert_eq!(computer.state, before);
}

#[test]
fn a_second_run_says_that_there_is_nothing() {
    let mut computer = full();
    assert_eq!(uninstall(&mut computer, &[]).0, DONE);
    computer.calls.clear();
    let second = uninstall(&mut computer, &[]);
    assert_eq!(second, (DONE, "driver        Scream is not installed\n".to_owned(), String::new()));
    assert_eq!(computer.calls, [""; 0]);
}

#[test]
fn options_are_kept_if_the_user_wants_that() {
    let mut computer = full();
    let (code, out, _) = uninstall(&mut computer, &["--keep-options"]);
    assert_eq!(code, DONE);
    assert!(out.contains("service       deleted\noptions       2 kept\n"), "{out}");
    assert_eq!(computer.state.options, [dword("TTL", 8), dword("UnicastPort", 4011)]);
    assert!(computer.state.services.is_empty());

    let second = uninstall(&mut computer, &["--keep-options"]);
    assert_eq!(second.1, "driver        Scream is not installed\n");
    assert_eq!(computer.state.options.len(), 2);
}

#[test]
fn options_that_were_kept_go_with_a_later_run() {
    let mut computer = full();
    assert_eq!(uninstall(&mut computer, &["--keep-options"]).0, DONE);
    let (code, out, _) = uninstall(&mut computer, &[]);
    assert_eq!((code, out.as_str()), (DONE, "options       2 deleted\ndriver        Scream is removed\n"));
    assert_eq!(computer.state.options, []);
}

#[test]
fn an_option_that_cannot_be_written_back_is_told() {
    let mut computer = full();
    computer.refuse("store_option", DENIED);
    let (code, out, err) = uninstall(&mut computer, &["--keep-options"]);
    assert_eq!(code, FAILED);
    let left = format!(
        "left          the service, or its options: Windows refuses access (RegSetValueExW: error 5): {RUN_AS}\n"
    );
    assert!(out.contains(&left), "{out}");
    assert_eq!(
        err,
        "error: Scream could not be removed in full, 1 part is left: restart Windows and start \"screamctl uninstall\" \
         again\n"
    );
}

#[test]
fn a_part_that_cannot_be_removed_does_not_keep_the_others() {
    for (method, call, left) in [
        (
            "remove_node",
            "DiUninstallDevice",
            vec![r"the device ROOT\MEDIA\0000", r"the device ROOT\MEDIA\0001"],
        ),
        (
            "remove_package",
            "SetupUninstallOEMInfW",
            vec![
                "the package oem4.inf (0.0.9.0) in the driver store",
                "the package oem7.inf (0.1.0.0) in the driver store",
            ],
        ),
        ("delete_service", "DeleteService", vec!["the service, or its options"]),
        ("delete_options", "RegDeleteTreeW", vec!["the options"]),
        (
            "remove_certificate",
            "CertDeleteCertificateFromStore",
            vec![
                "the test certificate among the trusted root authorities",
                "the test certificate among the trusted root authorities",
                "the test certificate among the trusted publishers",
                "the test certificate among the trusted publishers",
            ],
        ),
    ] {
        let mut computer = full();
        computer.refuse(method, DENIED);
        let (code, out, err) = uninstall(&mut computer, &[]);
        assert_eq!(code, FAILED, "{method}");
        let lines: Vec<_> = out.lines().filter(|line| line.starts_with("left ")).collect();
        let expected: Vec<_> = left
            .iter()
            .map(|what| format!("left          {what}: Windows refuses access ({call}: error 5): {RUN_AS}"))
            .collect();
        assert_eq!(lines, expected, "{method}");
        let parts =
            if left.len() == 1 { "1 part is".to_owned() } else { format!("{} parts are", left.len()) };
        let line = "left: restart Windows and start \"screamctl uninstall\" again\n";
        assert_eq!(err, format!("error: Scream could not be removed in full, {parts} {line}"));

        // Once nothing is refused any more, a second run removes what is left.
        computer.refusals.clear();
        assert_eq!(uninstall(&mut computer, &[]).0, DONE, "{method}");
        assert_eq!(computer.state, FakeComputer::new().state, "{method}");
    }
}

#[test]
fn every_change_that_is_refused_leaves_only_that_part() {
    let all = {
        let mut computer = full();
        uninstall(&mut computer, &[]);
        computer.calls
    };
    assert_eq!(all.len(), 10);
    for number in 0..all.len() {
        let mut computer = full();
        computer.refuse_change(number, DENIED);
        let (code, out, _) = uninstall(&mut computer, &[]);
        assert_eq!((code, out.matches("left          ").count()), (FAILED, 1), "{}", all[number]);
        assert_eq!(computer.calls, all, "all the others are tried: {}", all[number]);
    }
}

#[test]
fn a_driver_that_stays_loaded_goes_with_the_restart() {
    let mut computer = FakeComputer::with_scream();
    computer.drivers_stay_loaded = true;
    let (code, out, err) = uninstall(&mut computer, &[]);
    assert_eq!((code, err.as_str()), (RESTART_NEEDED, ""));
    assert_eq!(
        out,
        r"device        ROOT\MEDIA\0000 goes when Windows is restarted
driver store  oem7.inf (0.1.0.0) removed
service       deleted
restart       restart Windows to complete it
"
    );
}

#[test]
fn options_of_a_driver_that_stays_loaded_keep_their_service() {
    let mut computer = full();
    computer.drivers_stay_loaded = true;
    let (code, out, _) = uninstall(&mut computer, &["--keep-options"]);
    assert_eq!(code, RESTART_NEEDED);
    assert!(out.contains("service       stays for the options\noptions       2 kept\n"), "{out}");
    assert_eq!(computer.state.options.len(), 2);
    assert!(!computer.calls.iter().any(|call| call.starts_with("delete_service")));
}

#[test]
fn a_service_that_waits_for_its_deletion_needs_a_restart() {
    let mut computer = FakeComputer::with_scream();
    computer.refuse("delete_service", 1072);
    let (code, out, _) = uninstall(&mut computer, &[]);
    assert_eq!(code, RESTART_NEEDED);
    assert!(out.contains("service       goes when Windows is restarted\n"), "{out}");
}

#[test]
fn a_device_without_a_driver_is_removed() {
    let mut computer = FakeComputer::new();
    computer.add_node(r"ROOT\Scream");
    let (code, out, _) = uninstall(&mut computer, &[]);
    assert_eq!(code, DONE);
    assert_eq!(out, "device        ROOT\\MEDIA\\0000 removed\ndriver        Scream is removed\n");
}

#[test]
fn a_certificate_alone_is_removed() {
    let mut computer = FakeComputer::new();
    computer.trust(CERTIFICATE);
    computer.state.root.push(("Somebody else".to_owned(), b"Somebody else".to_vec()));
    assert_eq!(uninstall(&mut computer, &[]).0, DONE);
    assert_eq!(computer.state.root, [("Somebody else".to_owned(), b"Somebody else".to_vec())]);
    assert_eq!(computer.state.trusted_publisher, []);
}

#[test]
fn the_older_driver_is_left_alone_with_its_options() {
    let mut computer = FakeComputer::new();
    computer.install(FakePackage::old_scream(), "oem3.inf");
    computer.state.options = vec![dword("UnicastPort", 4011)];
    let before = computer.state.clone();
    let (code, out, _) = uninstall(&mut computer, &[]);
    assert_eq!(code, DONE);
    assert_eq!(out, "driver        Scream is not installed\nolder driver  it is installed, and left alone\n");
    assert_eq!(computer.state, before);
}

#[test]
fn options_for_a_device_of_the_older_driver_that_has_no_driver_are_left_alone() {
    let mut computer = FakeComputer::new();
    computer.add_node("*Scream");
    computer.state.options = vec![dword("UnicastPort", 4011)];
    let (code, out, _) = uninstall(&mut computer, &[]);
    assert_eq!(code, DONE);
    assert!(out.starts_with("driver        Scream is not installed\n"), "{out}");
    assert_eq!(computer.state.options, [dword("UnicastPort", 4011)]);
}

#[test]
fn a_service_of_somebody_else_is_left_alone() {
    let mut computer = FakeComputer::new();
    let image_path = r"\??\C:\Games\scream.sys".to_owned();
    computer.state.services.insert("Scream".to_owned(), Service { image_path, running: true });
    computer.state.options = vec![dword("TTL", 8)];
    let before = computer.state.clone();
    assert_eq!(uninstall(&mut computer, &[]).1, "driver        Scream is not installed\n");
    assert_eq!(computer.state, before);
}

#[test]
fn every_look_that_is_refused_changes_nothing() {
    for method in ["machine", "nodes", "service", "packages", "option_values", "certificates"] {
        let mut computer = full();
        let before = computer.state.clone();
        computer.refuse(method, DENIED);
        let (code, _, err) = uninstall(&mut computer, &[]);
        assert_eq!(code, FAILED, "{method}");
        assert!(err.starts_with("error: Windows refuses access ("), "{method}: {err}");
        assert_eq!(computer.state, before, "{method}");
    }
}
