//! `screamctl install`: in place of the older driver, if the user wants that.

mod fake;

use fake::installation::{DONE, RESTART_NEEDED, install, refused_to_trusted};
use fake::{FakeComputer, FakeConsole, FakePackage};
use screamctl::computer::Service;

/// A computer with the older driver.
fn with_older() -> FakeComputer {
    let mut computer = FakeComputer::new();
    computer.install(FakePackage::old_scream(), "oem3.inf");
    computer
}

#[test]
fn the_older_driver_is_replaced_if_the_command_line_says_so() {
    let mut computer = with_older();
    let package = computer.offer("0.1.0.0");
    let (result, out) = install(&mut computer, &package, &["--replace-old", "--unattended"]);
    assert_eq!(result, DONE);
    assert_eq!(
        computer.calls,
        [
            "add_package /package/driver/scream.inf",
            r"remove_node ROOT\MEDIA\0000",
            r"create_node ROOT\Scream",
            r"update_driver ROOT\Scream /package/driver/scream.inf",
            "remove_package oem3.inf",
        ]
    );
    assert!(out.contains("older driver  device ROOT\\MEDIA\\0000 removed\n"), "{out}");
    assert_eq!(computer.state.nodes[0].hardware_ids, [r"ROOT\Scream"]);
    assert!(computer.state.services["Scream"].image_path.contains("scream.inf_amd64"));
}

#[test]
fn the_older_driver_is_replaced_if_the_user_says_yes() {
    let mut computer = with_older();
    let package = computer.offer("0.1.0.0");
    let mut console = FakeConsole::answering(&[true]);
    assert_eq!(computer.install_package(&mut console, &package, &[]), DONE);
    assert_eq!(console.questions, ["The older Scream driver is installed, and both cannot be. Remove it?"]);
}

#[test]
fn the_older_driver_stays_if_the_user_says_no() {
    let mut computer = with_older();
    let package = computer.offer("0.1.0.0");
    let mut console = FakeConsole::answering(&[false]);
    let result = computer.install_package(&mut console, &package, &[]);
    assert_eq!(result, Err("the older Scream driver is to stay: nothing was changed".to_owned()));
    assert_eq!(computer.calls, [""; 0]);
}

#[test]
fn without_anybody_to_ask_the_flag_for_the_older_driver_is_named() {
    for arguments in [&[][..], &["--unattended"]] {
        refused_to_trusted(
            &mut with_older(),
            arguments,
            "the older Scream driver is installed, and both cannot be: add --replace-old to remove it",
        );
    }
}

#[test]
fn a_service_of_the_older_driver_without_a_device_counts_as_the_older_driver() {
    let mut computer = FakeComputer::new();
    let image_path = r"system32\DRIVERS\Scream.sys".to_owned();
    computer.state.services.insert("Scream".to_owned(), Service { image_path, running: false });
    refused_to_trusted(
        &mut computer,
        &["--unattended"],
        "the older Scream driver is installed, and both cannot be: add --replace-old to remove it",
    );
    let package = computer.offer("0.1.0.0");
    assert_eq!(install(&mut computer, &package, &["--replace-old"]).0, DONE);
}

#[test]
fn an_older_driver_that_was_packed_anew_is_known_by_its_device() {
    let mut computer = FakeComputer::new();
    let old = FakePackage::old_scream();
    let image_path = FakePackage::scream("", "9.9.9.9").image_path;
    computer.install(FakePackage { image_path, ..old }, "oem3.inf");
    refused_to_trusted(
        &mut computer,
        &["--unattended"],
        "the older Scream driver is installed, and both cannot be: add --replace-old to remove it",
    );
}

#[test]
fn a_package_of_the_older_driver_that_no_device_has_is_left_alone() {
    let mut computer = FakeComputer::new();
    computer.state.packages.insert("oem3.inf".to_owned(), FakePackage::old_scream());
    let package = computer.offer("0.1.0.0");
    assert_eq!(install(&mut computer, &package, &["--unattended"]).0, DONE);
    assert!(computer.state.packages.contains_key("oem3.inf"));
}

#[test]
fn an_older_driver_that_stays_loaded_stops_the_installation_until_the_restart() {
    let mut computer = with_older();
    computer.drivers_stay_loaded = true;
    let package = computer.offer("0.1.0.0");
    let (result, out) = install(&mut computer, &package, &["--replace-old"]);
    assert_eq!(result, RESTART_NEEDED);
    assert_eq!(
        out.lines().last(),
        Some("restart       restart Windows to remove the older driver, and install again")
    );
    assert_eq!(computer.calls, ["add_package /package/driver/scream.inf", r"remove_node ROOT\MEDIA\0000"]);
}

#[test]
fn a_device_of_the_older_driver_without_a_driver_counts_as_the_older_driver() {
    let mut computer = FakeComputer::new();
    computer.add_node("*Scream");
    refused_to_trusted(
        &mut computer,
        &["--unattended"],
        "the older Scream driver is installed, and both cannot be: add --replace-old to remove it",
    );
    let package = computer.offer("0.1.0.0");
    assert_eq!(install(&mut computer, &package, &["--replace-old"]).0, DONE);
    assert_eq!(computer.state.nodes.len(), 1);
}

#[test]
fn a_version_that_is_installed_beside_the_older_driver_is_not_yet_all() {
    let mut computer = FakeComputer::with_scream();
    computer.install(FakePackage::old_scream(), "oem3.inf");
    let package = computer.offer("0.1.0.0");
    assert_eq!(install(&mut computer, &package, &["--replace-old"]).0, DONE);
    assert_eq!(computer.state.packages.len(), 1);
    assert_eq!(computer.state.nodes.len(), 1);
    assert!(computer.state.services["Scream"].image_path.contains("scream.inf_amd64"));
}

#[test]
fn unattended_does_not_ask_for_the_older_driver() {
    let mut computer = with_older();
    let package = computer.offer("0.1.0.0");
    let mut console = FakeConsole::answering(&[true]);
    assert!(computer.install_package(&mut console, &package, &["--unattended"]).is_err());
    assert_eq!(console.questions, [""; 0]);
}
