//! `screamctl status`: what it shows of computers in every state.

mod fake;

use fake::packages::CERTIFICATE;
use fake::{FakeComputer, FakeConsole, FakePackage, dword};
use screamctl::computer::{EndpointState, Service};
use screamctl::{DONE, FAILED};

/// Asks for the status and expects this.
fn check(computer: &mut FakeComputer, code: i32, expected: &str) {
    computer.elevated = false;
    let mut console = FakeConsole::new();
    assert_eq!(computer.screamctl(&mut console, &["status"]), code);
    assert_eq!((console.out.as_str(), console.err.as_str()), (expected, ""));
    assert_eq!(computer.calls, [""; 0], "it only looks");
}

#[test]
fn a_computer_without_scream() {
    check(
        &mut FakeComputer::new(),
        FAILED,
        r#"package       none
device        none: install Scream with "screamctl install"
service       none
playback      none
options       none set
certificate   no test certificate is trusted
test signing  off
"#,
    );
}

#[test]
fn a_driver_that_runs() {
    let mut computer = FakeComputer::with_scream();
    computer.state.options = vec![dword("TTL", 8), dword("UnicastPort", 4011)];
    computer.trust(CERTIFICATE);
    computer.code_integrity.test_signing = true;
    check(
        &mut computer,
        DONE,
        r#"package       0.1.0.0 (oem7.inf)
device        ROOT\MEDIA\0000, 0.1.0.0: runs
service       loaded
playback      Speakers (Scream): ready, the default
options       2 set: "screamctl options list" shows them
certificate   the test certificate is trusted
test signing  on
"#,
    );
}

#[test]
fn a_driver_that_is_not_accepted() {
    let mut computer = FakeComputer::new();
    let package = FakePackage { problem: 52, ..FakePackage::scream("/scream.inf", "0.1.0.0") };
    computer.install(package, "oem7.inf");
    computer.trust(CERTIFICATE);
    computer.state.trusted_publisher.clear();
    check(
        &mut computer,
        FAILED,
        r#"package       0.1.0.0 (oem7.inf)
device        ROOT\MEDIA\0000, 0.1.0.0: Windows does not accept the driver's signature (code 52): use a package that is signed for this computer, or turn on test signing for a test-signed one: README.txt says how
service       not loaded
playback      none
options       none set
certificate   the test certificate is trusted in part: install once more
test signing  off
"#,
    );
}

#[test]
fn the_older_driver() {
    let mut computer = FakeComputer::new();
    computer.install(FakePackage::old_scream(), "oem3.inf");
    check(
        &mut computer,
        FAILED,
        r#"package       none
device        none: install Scream with "screamctl install"
service       of the older driver, loaded
playback      none
options       none set
certificate   no test certificate is trusted
test signing  off
older driver  installed: "screamctl install" can replace it
"#,
    );
}

#[test]
fn several_devices_and_a_disabled_playback_device() {
    let mut computer = FakeComputer::with_scream();
    computer.add_node(r"ROOT\Scream");
    computer.state.endpoints[0].state = EndpointState::Disabled;
    computer.state.endpoints[0].is_default = false;
    check(
        &mut computer,
        DONE,
        r#"package       0.1.0.0 (oem7.inf)
device        ROOT\MEDIA\0000, 0.1.0.0: runs
device        ROOT\MEDIA\0001, no driver: no driver was chosen for the device (code 1): install it with "screamctl install"
service       loaded
playback      Speakers (Scream): disabled in the sound settings
options       none set
certificate   no test certificate is trusted
test signing  off
"#,
    );
}

#[test]
fn a_service_of_somebody_else() {
    let mut computer = FakeComputer::new();
    let image_path = r"\??\C:\Games\scream.sys".to_owned();
    computer.state.services.insert("Scream".to_owned(), Service { image_path, running: true });
    let mut console = FakeConsole::new();
    assert_eq!(computer.screamctl(&mut console, &["status"]), FAILED);
    let line = "service       of another driver, loaded: \\??\\C:\\Games\\scream.sys\n";
    assert!(console.out.contains(line), "{}", console.out);
}

#[test]
fn a_device_that_has_not_started_does_not_run() {
    let mut computer = FakeComputer::with_scream();
    computer.state.nodes[0].started = false;
    let mut console = FakeConsole::new();
    assert_eq!(computer.screamctl(&mut console, &["status"]), FAILED);
    assert!(
        console.out.contains("device        ROOT\\MEDIA\\0000, 0.1.0.0: does not run\n"),
        "{}",
        console.out
    );
}

#[test]
fn a_device_that_has_started_with_a_problem_is_not_all_right() {
    let mut computer = FakeComputer::with_scream();
    computer.state.nodes[0].problem = 14;
    let mut console = FakeConsole::new();
    assert_eq!(computer.screamctl(&mut console, &["status"]), FAILED);
    let line = "0.1.0.0: the device works only after a restart (code 14): restart Windows\n";
    assert!(console.out.contains(line), "{}", console.out);
}

#[test]
fn what_windows_does_not_tell_is_the_matter_of_one_line() {
    for (method, about) in [
        ("endpoints", "playback      "),
        ("option_values", "options       "),
        ("certificates", "certificate   "),
        ("code_integrity", "test signing  "),
    ] {
        let mut computer = FakeComputer::with_scream();
        computer.refuse(method, 31);
        let mut console = FakeConsole::new();
        assert_eq!(computer.screamctl(&mut console, &["status"]), DONE, "{method}");
        let unknown: Vec<_> = console.out.lines().filter(|line| line.contains("unknown: ")).collect();
        assert_eq!(unknown.len(), 1, "{}", console.out);
        assert!(unknown[0].starts_with(about) && unknown[0].ends_with(": error 31"), "{}", unknown[0]);
    }
}

#[test]
fn without_devices_and_packages_there_is_no_status() {
    for method in ["nodes", "packages", "service"] {
        let mut computer = FakeComputer::with_scream();
        computer.refuse(method, 31);
        let mut console = FakeConsole::new();
        assert_eq!(computer.screamctl(&mut console, &["status"]), FAILED, "{method}");
        assert!(console.err.ends_with(": error 31\n"), "{}", console.err);
    }
}
