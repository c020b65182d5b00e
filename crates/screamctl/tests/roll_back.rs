//! An installation that fails at any step leaves the computer as it was before.

mod fake;

use driver_package::check::Package;
use fake::packages::EARLIER_CERTIFICATE;
use fake::{FakeComputer, FakeConsole, FakePackage, dword};
use screamctl::Outcome;

/// `ERROR_ACCESS_DENIED`.
const DENIED: u32 = 5;

/// A computer before an installation, the package, and the arguments.
type Scenario = fn() -> (FakeComputer, Package, &'static [&'static str]);

/// Every kind of installation there is, with the number of its changes up to the moment from which on it holds.
const SCENARIOS: [(&str, Scenario, usize); 8] = [
    ("first", first, 3),
    ("first, with a certificate", first_with_certificate, 5),
    ("first, with options that wait for it", first_with_options, 3),
    ("on a device without a driver", on_a_bare_device, 2),
    ("upgrade", upgrade, 2),
    ("upgrade, with a certificate", upgrade_with_certificate, 4),
    ("in place of the older driver", replacement, 4),
    ("in place of the older driver, with a certificate", replacement_with_certificate, 6),
];

fn first() -> (FakeComputer, Package, &'static [&'static str]) {
    let mut computer = FakeComputer::new();
    let package = computer.offer("0.2.0.0");
    (computer, package, &[])
}

fn first_with_certificate() -> (FakeComputer, Package, &'static [&'static str]) {
    let mut computer = FakeComputer::new();
    let package = computer.offer_for_tests("0.2.0.0");
    (computer, package, &["--trust-certificate"])
}

fn first_with_options() -> (FakeComputer, Package, &'static [&'static str]) {
    let (mut computer, package, arguments) = first();
    computer.state.options = vec![dword("TTL", 8), dword("UnicastPort", 4011)];
    (computer, package, arguments)
}

fn on_a_bare_device() -> (FakeComputer, Package, &'static [&'static str]) {
    let (mut computer, package, arguments) = first();
    computer.add_node(r"ROOT\Scream");
    (computer, package, arguments)
}

fn upgrade() -> (FakeComputer, Package, &'static [&'static str]) {
    let mut computer = FakeComputer::with_scream();
    computer.state.options = vec![dword("TTL", 8)];
    let package = computer.offer("0.2.0.0");
    (computer, package, &[])
}

fn upgrade_with_certificate() -> (FakeComputer, Package, &'static [&'static str]) {
    let mut computer = FakeComputer::new();
    computer.trust(EARLIER_CERTIFICATE);
    let signed_with = Some(EARLIER_CERTIFICATE.as_bytes().to_vec());
    let earlier = FakePackage { signed_with, ..FakePackage::scream("/earlier/scream.inf", "0.1.0.0") };
    computer.install(earlier, "oem7.inf");
    let package = computer.offer_for_tests("0.2.0.0");
    (computer, package, &["--trust-certificate"])
}

fn replacement() -> (FakeComputer, Package, &'static [&'static str]) {
    let mut computer = FakeComputer::new();
    computer.install(FakePackage::old_scream(), "oem3.inf");
    computer.state.options = vec![dword("UnicastPort", 4011)];
    let package = computer.offer("0.2.0.0");
    (computer, package, &["--replace-old"])
}

fn replacement_with_certificate() -> (FakeComputer, Package, &'static [&'static str]) {
    let (mut computer, _, _) = replacement();
    computer.folders.clear();
    let package = computer.offer_for_tests("0.2.0.0");
    (computer, package, &["--replace-old", "--trust-certificate"])
}

#[test]
fn every_change_that_is_refused_leaves_the_computer_as_it_was() {
    for (name, scenario, changes) in SCENARIOS {
        for number in 0..changes {
            let (mut computer, package, arguments) = scenario();
            let before = computer.state.clone();
            computer.refuse_change(number, DENIED);
            let mut console = FakeConsole::new();
            let result = computer.install_package(&mut console, &package, arguments);
            let line = result.expect_err("a change was refused");
            assert!(line.contains(": error 5): "), "{name}, change {number}: {line}");
            assert_eq!(computer.state, before, "{name}, change {number}: {:?}", computer.calls);
            let state = if number == 0 && !computer.calls.iter().any(|call| call.starts_with("update_driver"))
            {
                "state         nothing was changed\n"
            } else {
                "state         it is as it was before\n"
            };
            assert!(console.out.ends_with(state), "{name}, change {number}: {}", console.out);
        }
    }
}

#[test]
fn a_refusal_after_the_driver_runs_takes_nothing_back() {
    for (name, scenario, changes) in SCENARIOS {
        let (mut computer, package, arguments) = scenario();
        computer.refuse_changes_from(changes, DENIED);
        let mut console = FakeConsole::new();
        let result = computer.install_package(&mut console, &package, arguments);
        assert_eq!(result, Ok(Outcome::Done), "{name}: {}", console.out);
        assert!(
            computer.state.nodes.iter().any(|node| node.started && node.version == Some("0.2.0.0".into()))
        );
        let refused = computer.calls.len() - changes;
        assert_eq!(
            console.out.matches("note          cannot remove ").count(),
            refused,
            "{name}: {}",
            console.out
        );
    }
}

#[test]
fn a_driver_that_does_not_start_is_taken_back_from_every_kind_of_installation() {
    for (name, scenario, _) in SCENARIOS {
        for problem in [10, 31, 39, 52] {
            let (mut computer, package, arguments) = scenario();
            let before = computer.state.clone();
            computer.folders[0].problem = problem;
            let mut console = FakeConsole::new();
            let line = computer.install_package(&mut console, &package, arguments).expect_err("a problem");
            assert!(line.contains(&format!("(code {problem})")), "{name}: {line}");
            assert_eq!(computer.state, before, "{name}, problem {problem}");
        }
    }
}

#[test]
fn every_look_that_is_refused_changes_nothing_in_the_end() {
    let looks = [
        "nodes",
        "service",
        "packages",
        "restart_is_pending_for",
        "free_space",
        "code_integrity",
        "certificates",
    ];
    for method in looks {
        let (mut computer, package, arguments) = replacement_with_certificate();
        let before = computer.state.clone();
        computer.refuse(method, DENIED);
        let mut console = FakeConsole::new();
        let result = computer.install_package(&mut console, &package, arguments);
        assert!(result.is_err_and(|line| line.starts_with("Windows refuses access (")), "{method}");
        assert_eq!(computer.state, before, "{method}");
        assert_eq!(computer.calls, [""; 0], "{method}");
    }
}

#[test]
fn what_cannot_be_undone_is_said() {
    let (mut computer, package, arguments) = first_with_certificate();
    computer.refuse_changes_from(3, DENIED);
    let mut console = FakeConsole::new();
    let result = computer.install_package(&mut console, &package, arguments);
    let advice = "Windows refuses access";
    let run_as = "start it from a command prompt that was opened with \"Run as administrator\"";
    assert_eq!(
        result,
        Err(format!("the device cannot be made: {advice} (SetupDiCallClassInstaller: error 5): {run_as}"))
    );
    let undone = format!(
        "undo failed   cannot delete the service: {advice} (DeleteService: error 5): {run_as}\n\
         undo failed   cannot remove oem0.inf from the driver store: {advice} (SetupUninstallOEMInfW: error 5): {run_as}\n\
         undo failed   cannot remove the certificate from the trusted publishers: {advice} \
         (CertDeleteCertificateFromStore: error 5): {run_as}\n\
         undo failed   cannot remove the certificate from the trusted root authorities: {advice} \
         (CertDeleteCertificateFromStore: error 5): {run_as}\n\
         state         not all of it could be undone: \"screamctl uninstall\" removes what is left\n"
    );
    assert!(console.out.ends_with(&undone), "{}", console.out);
}

#[test]
fn one_undo_that_fails_does_not_stop_the_others() {
    let (mut computer, package, arguments) = first_with_certificate();
    let certificates = (computer.state.root.clone(), computer.state.trusted_publisher.clone());
    computer.refuse("create_node", DENIED);
    computer.refuse("remove_package", DENIED);
    let mut console = FakeConsole::new();
    assert!(computer.install_package(&mut console, &package, arguments).is_err());
    assert_eq!((computer.state.root, computer.state.trusted_publisher), certificates);
    assert_eq!(computer.state.packages.len(), 1, "it could not be removed");
    assert_eq!(console.out.matches("undo failed   ").count(), 1, "{}", console.out);
}

#[test]
fn an_earlier_driver_that_comes_back_only_after_a_restart_is_said() {
    let (mut computer, package, arguments) = upgrade();
    computer.drivers_stay_loaded = true;
    computer.folders[0].problem = 52;
    let mut console = FakeConsole::new();
    assert!(computer.install_package(&mut console, &package, arguments).is_err());
    let state = "state         it will be as it was before once Windows has been restarted\n";
    assert!(console.out.ends_with(state), "{}", console.out);
    assert_eq!(computer.state.nodes[0].version.as_deref(), Some("0.1.0.0"));
}

#[test]
fn the_older_driver_comes_back_with_its_file_and_its_options() {
    let (mut computer, package, arguments) = replacement();
    computer.refuse("create_node", DENIED);
    let mut console = FakeConsole::new();
    assert!(computer.install_package(&mut console, &package, arguments).is_err());
    // The device of the older driver could not be made anew either.
    assert!(
        console.out.contains("undo failed   cannot bring back the device of the older driver: "),
        "{}",
        console.out
    );

    let (mut computer, package, arguments) = replacement();
    computer.folders[0].problem = 52;
    assert!(computer.install_package(&mut FakeConsole::new(), &package, arguments).is_err());
    assert_eq!(computer.state.services["Scream"].image_path, r"\SystemRoot\System32\drivers\Scream.sys");
    assert_eq!(computer.state.options, [dword("UnicastPort", 4011)]);
    assert_eq!(computer.calls.last().map(String::as_str), Some("remove_package oem0.inf"));
}
