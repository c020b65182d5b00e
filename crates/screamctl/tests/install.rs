//! `screamctl install`: what it does and says, and what it refuses before it touches anything.

mod fake;

use std::path::Path;

use fake::installation::{DONE, RESTART_NEEDED, install, refused, refused_to_trusted};
use fake::packages::MICROSOFT;
use fake::{FakeComputer, FakeConsole, FakePackage, dword};
use screamctl::computer::{EndpointState, Machine, Service};

#[test]
fn a_trusted_package_is_installed_on_a_new_device() {
    let mut computer = FakeComputer::new();
    let package = computer.offer("0.1.0.0");
    let (result, out) = install(&mut computer, &package, &[]);
    assert_eq!(result, DONE);
    assert_eq!(
        computer.calls,
        [
            "add_package /package/driver/scream.inf",
            r"create_node ROOT\Scream",
            r"update_driver ROOT\Scream /package/driver/scream.inf",
        ]
    );
    assert_eq!(
        out,
        format!(
            r#"package       Scream 0.1.0.0 for {}
signature     {MICROSOFT}
driver store  oem0.inf added
device        ROOT\MEDIA\0000 made
driver        0.1.0.0 installed on ROOT\MEDIA\0000
playback      Speakers (Scream)
next          programs play on it already; try it with "screamctl test-tone"
"#,
            if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" }
        )
    );
    let node = &computer.state.nodes[0];
    assert_eq!((node.inf.as_deref(), node.started, node.problem), (Some("oem0.inf"), true, 0));
}

#[test]
fn a_second_run_changes_nothing() {
    let mut computer = FakeComputer::with_scream();
    let package = computer.offer("0.1.0.0");
    let before = computer.state.clone();
    let (result, out) = install(&mut computer, &package, &[]);
    assert_eq!(result, DONE);
    assert_eq!(out.lines().last(), Some("driver        0.1.0.0 is already installed and runs"));
    assert_eq!(computer.state, before);
    assert_eq!(computer.calls, [""; 0]);
}

#[test]
fn a_second_run_before_the_restart_asks_for_it_again() {
    let mut computer = FakeComputer::with_scream();
    computer.state.nodes[0].problem = 14;
    computer.state.nodes[0].started = false;
    let package = computer.offer("0.1.0.0");
    let (result, out) = install(&mut computer, &package, &[]);
    assert_eq!(result, RESTART_NEEDED);
    assert_eq!(out.lines().last(), Some("restart       restart Windows: the device works only then"));
    assert_eq!(computer.calls, [""; 0]);
}

#[test]
fn a_device_with_a_problem_is_repaired_with_the_same_version() {
    let mut computer = FakeComputer::with_scream();
    computer.state.nodes[0].problem = 10;
    computer.state.nodes[0].started = false;
    let package = computer.offer("0.1.0.0");
    let (result, out) = install(&mut computer, &package, &[]);
    assert_eq!(result, DONE);
    assert!(out.contains("driver        0.1.0.0 installed on ROOT\\MEDIA\\0000 once more\n"), "{out}");
    assert_eq!(computer.state.nodes[0].problem, 0);
    assert_eq!(computer.state.nodes.len(), 1);
}

#[test]
fn an_upgrade_removes_the_earlier_package_once_the_new_one_runs() {
    let mut computer = FakeComputer::with_scream();
    let package = computer.offer("0.2.0.0");
    let (result, out) = install(&mut computer, &package, &[]);
    assert_eq!(result, DONE);
    assert_eq!(
        computer.calls,
        [
            "add_package /package/driver/scream.inf",
            r"update_driver ROOT\Scream /package/driver/scream.inf",
            "remove_package oem7.inf",
        ]
    );
    assert!(
        out.contains("driver        0.2.0.0 installed on ROOT\\MEDIA\\0000 in place of 0.1.0.0\n"),
        "{out}"
    );
    assert!(out.contains("clean-up      remove oem7.inf (0.1.0.0) from the driver store\n"), "{out}");
    assert_eq!(computer.state.packages.keys().collect::<Vec<_>>(), ["oem0.inf"]);
}

#[test]
fn an_earlier_version_is_installed_and_said_to_be_earlier() {
    let mut computer = FakeComputer::new();
    computer.install(FakePackage::scream("/later/scream.inf", "0.10.0.0"), "oem7.inf");
    let package = computer.offer("0.9.0.0");
    let (result, out) = install(&mut computer, &package, &[]);
    assert_eq!(result, DONE);
    let line = "driver        0.9.0.0 installed on ROOT\\MEDIA\\0000 in place of 0.10.0.0, which is newer\n";
    assert!(out.contains(line), "{out}");
}

#[test]
fn options_survive_an_upgrade() {
    let mut computer = FakeComputer::with_scream();
    computer.state.options = vec![dword("TTL", 8)];
    let package = computer.offer("0.2.0.0");
    assert_eq!(install(&mut computer, &package, &[]).0, DONE);
    assert_eq!(computer.state.options, [dword("TTL", 8)]);
}

#[test]
fn a_superfluous_package_that_cannot_be_removed_is_a_note() {
    let mut computer = FakeComputer::with_scream();
    computer.refuse("remove_package", 5);
    let package = computer.offer("0.2.0.0");
    let (result, out) = install(&mut computer, &package, &[]);
    assert_eq!(result, DONE);
    let note = "note          cannot remove oem7.inf (0.1.0.0) from the driver store: Windows refuses access \
                (SetupUninstallOEMInfW: error 5): start it from a command prompt that was opened with \"Run as \
                administrator\"\n";
    assert!(out.contains(note), "{out}");
}

#[test]
fn of_several_devices_the_first_is_used_and_the_others_go() {
    let mut computer = FakeComputer::with_scream();
    computer.add_node(r"root\scream");
    computer.add_node(r"ROOT\SCREAM");
    let package = computer.offer("0.2.0.0");
    let (result, out) = install(&mut computer, &package, &[]);
    assert_eq!(result, DONE);
    assert!(out.contains(r"clean-up      remove the superfluous device ROOT\MEDIA\0002"), "{out}");
    let left: Vec<_> = computer.state.nodes.iter().map(|node| node.instance_id.as_str()).collect();
    assert_eq!(left, [r"ROOT\MEDIA\0000"]);
}

#[test]
fn a_device_that_was_left_without_a_driver_gets_one() {
    let mut computer = FakeComputer::new();
    computer.add_node(r"ROOT\Scream");
    let package = computer.offer("0.1.0.0");
    let (result, out) = install(&mut computer, &package, &[]);
    assert_eq!(result, DONE);
    assert!(out.contains("device        ROOT\\MEDIA\\0000 is there\n"), "{out}");
    assert_eq!(computer.state.nodes.len(), 1);
    assert!(computer.state.nodes[0].started);
}

#[test]
fn a_device_whose_driver_is_not_accepted_is_taken_back() {
    let mut computer = FakeComputer::new();
    let package = computer.offer("0.1.0.0");
    computer.folders[0].problem = 52;
    let before = computer.state.clone();
    let (result, out) = install(&mut computer, &package, &[]);
    assert_eq!(
        result,
        Err(format!(
            "Windows does not accept the driver's signature (code 52); signed by {MICROSOFT}: use a package that is \
             signed for this computer, or turn on test signing for a test-signed one: README.txt says how"
        ))
    );
    assert!(
        out.ends_with(
            "undo          remove the device ROOT\\MEDIA\\0000\nundo          delete the service\n\
             undo          remove oem0.inf from the driver store\nstate         it is as it was before\n"
        ),
        "{out}"
    );
    assert_eq!(computer.state, before);
}

#[test]
fn a_device_that_is_given_no_driver_is_taken_back() {
    let mut computer = FakeComputer::new();
    computer.gives_no_driver = true;
    let package = computer.offer("0.1.0.0");
    let before = computer.state.clone();
    let result = install(&mut computer, &package, &[]).0;
    let line = "Windows has given the device no driver: look at the end of C:\\Windows\\INF\\setupapi.dev.log for the reason";
    assert_eq!(result, Err(line.to_owned()));
    assert_eq!(computer.state, before);
}

#[test]
fn a_device_that_takes_its_time_to_start_is_noted() {
    let mut computer = FakeComputer::new();
    let package = computer.offer("0.1.0.0");
    computer.starts_late = true;
    let (result, out) = install(&mut computer, &package, &[]);
    assert_eq!(result, DONE);
    let note = "note          the device has not started yet: \"screamctl status\" shows when it has\n";
    assert!(out.contains(note), "{out}");
    assert_eq!(computer.pauses.get(), 0, "nothing is waited for");
}

#[test]
fn memory_integrity_is_named_where_it_may_be_the_reason() {
    let mut computer = FakeComputer::new();
    let package = computer.offer("0.1.0.0");
    computer.folders[0].problem = 39;
    computer.code_integrity.memory_integrity = true;
    let result = install(&mut computer, &package, &[]).0;
    assert_eq!(
        result,
        Err(format!(
            "Windows cannot load the driver: its file is damaged, missing, or not allowed (code 39), and memory \
             integrity is on; signed by {MICROSOFT}: look at Windows Security, Device security, Core isolation"
        ))
    );
}

#[test]
fn a_driver_that_cannot_be_exchanged_waits_for_a_restart() {
    let mut computer = FakeComputer::with_scream();
    computer.drivers_stay_loaded = true;
    let package = computer.offer("0.2.0.0");
    let (result, out) = install(&mut computer, &package, &[]);
    assert_eq!(result, RESTART_NEEDED);
    assert_eq!(
        out.lines().last(),
        Some("restart       restart Windows: the device works with this driver only then")
    );
    assert_eq!(computer.state.packages.len(), 2, "the earlier one still runs");
}

#[test]
fn a_device_that_waits_for_a_restart_is_no_failure() {
    let mut computer = FakeComputer::new();
    let package = computer.offer("0.1.0.0");
    computer.folders[0].problem = 14;
    assert_eq!(install(&mut computer, &package, &[]).0, RESTART_NEEDED);
    assert_eq!(computer.state.nodes.len(), 1);
}

#[test]
fn a_playback_device_that_is_late_is_waited_for_three_seconds_and_is_no_failure() {
    let mut computer = FakeComputer::new();
    computer.endpoint_appears = false;
    let package = computer.offer("0.1.0.0");
    let (result, out) = install(&mut computer, &package, &[]);
    assert_eq!(result, DONE);
    let line = "playback      the device is not there yet: \"screamctl status\" shows when it is";
    assert_eq!(out.lines().last(), Some(line));
    assert_eq!(computer.pauses.get(), 15);
}

#[test]
fn a_playback_device_that_is_not_the_default_is_for_the_user_to_choose() {
    let mut computer = FakeComputer::with_scream();
    computer.state.endpoints[0].is_default = false;
    let package = computer.offer("0.2.0.0");
    let (result, out) = install(&mut computer, &package, &[]);
    assert_eq!(result, DONE);
    let line = "next          choose it as playback device; try it with \"screamctl test-tone\"";
    assert_eq!(out.lines().last(), Some(line));
}

#[test]
fn a_playback_device_that_the_user_disabled_is_said_to_be() {
    let mut computer = FakeComputer::with_scream();
    computer.state.endpoints[0].state = EndpointState::Disabled;
    computer.state.endpoints[0].is_default = false;
    let package = computer.offer("0.2.0.0");
    let (result, out) = install(&mut computer, &package, &[]);
    assert_eq!(result, DONE);
    let line = "playback      Speakers (Scream): disabled in the sound settings";
    assert_eq!(out.lines().last(), Some(line));
}

#[test]
fn that_windows_names_no_playback_devices_is_no_failure() {
    let mut computer = FakeComputer::new();
    computer.refuse("endpoints", 0x8889_0010);
    let package = computer.offer("0.1.0.0");
    assert_eq!(install(&mut computer, &package, &[]).0, DONE);
    assert_eq!(computer.pauses.get(), 0);
}

#[test]
fn a_service_of_somebody_else_is_refused_with_its_file() {
    let mut computer = FakeComputer::new();
    let image_path = r"\??\C:\Games\scream.sys".to_owned();
    computer.state.services.insert("Scream".to_owned(), Service { image_path, running: true });
    refused_to_trusted(
        &mut computer,
        &["--replace-old"],
        r"another driver has a service named Scream already, of the file \??\C:\Games\scream.sys: remove that driver first",
    );
}

#[test]
fn a_service_that_an_installation_left_is_taken_over() {
    let mut computer = FakeComputer::new();
    let image_path = FakePackage::scream("", "0.0.9.0").image_path;
    computer.state.services.insert("Scream".to_owned(), Service { image_path, running: false });
    let package = computer.offer("0.1.0.0");
    assert_eq!(install(&mut computer, &package, &[]).0, DONE);
}

#[test]
fn a_driver_is_known_by_its_device_wherever_its_file_is() {
    let mut computer = FakeComputer::new();
    let image_path = r"C:\somewhere\scream.sys".to_owned();
    computer.install(
        FakePackage { image_path, ..FakePackage::scream("/earlier/scream.inf", "0.1.0.0") },
        "oem7.inf",
    );
    let package = computer.offer("0.2.0.0");
    assert_eq!(install(&mut computer, &package, &[]).0, DONE);
}

#[test]
fn a_key_for_the_options_alone_is_no_service() {
    let mut computer = FakeComputer::new();
    let service = Service { image_path: String::new(), running: false };
    computer.state.services.insert("Scream".to_owned(), service);
    let package = computer.offer("0.1.0.0");
    assert_eq!(install(&mut computer, &package, &[]).0, DONE);
}

#[test]
fn an_earlier_change_that_waits_for_a_restart_is_refused() {
    let line =
        "Windows has to be restarted to complete an earlier change of Scream: restart Windows and try again";
    let mut computer = FakeComputer::new();
    computer.pending_files.push("Scream.sys".to_owned());
    refused_to_trusted(&mut computer, &[], line);

    let mut computer = FakeComputer::with_scream();
    computer.state.nodes[0].problem = 21;
    let package = computer.offer("0.2.0.0");
    refused(&mut computer, &package, &[], line);
}

#[test]
fn too_little_space_is_refused() {
    let mut computer = FakeComputer::new();
    computer.free_space = 3 << 20;
    let line = "the disk of Windows has 3 MiB free, and 17 MiB are needed: free some space and try again";
    refused_to_trusted(&mut computer, &[], line);

    let mut computer = FakeComputer::new();
    computer.free_space = 2 * 200_000 + (16 << 20);
    let package = computer.offer("0.1.0.0");
    assert_eq!(install(&mut computer, &package, &[]).0, DONE, "exactly enough");
}

#[test]
fn a_computer_with_another_processor_is_refused_with_the_program_to_start() {
    let mut computer = FakeComputer::new();
    let (machine, this, line) = if cfg!(target_arch = "aarch64") {
        (Machine::X64, "ARM64", r"and this computer is x64: start x64\screamctl.exe of the package")
    } else {
        (Machine::Arm64, "x64", r"and this computer is ARM64: start arm64\screamctl.exe of the package")
    };
    computer.machine = machine;
    let mut console = FakeConsole::new();
    assert_eq!(computer.screamctl(&mut console, &["install"]), screamctl::FAILED);
    assert_eq!(console.err, format!("error: this screamctl is for {this}, {line}\n"));

    computer.machine = Machine::Other(0x5064);
    let mut console = FakeConsole::new();
    assert_eq!(computer.screamctl(&mut console, &["install"]), screamctl::FAILED);
    assert_eq!(
        console.err,
        format!(
            "error: this screamctl is for {this}, and this computer is of another kind (0x5064): there is no driver for it\n"
        )
    );
}

#[test]
fn a_windows_that_is_too_old_is_refused() {
    let mut computer = FakeComputer::new();
    computer.build = 18_363;
    let mut console = FakeConsole::new();
    assert_eq!(computer.screamctl(&mut console, &["install"]), screamctl::FAILED);
    assert_eq!(
        console.err,
        "error: this Windows is too old (build 18363): Windows 10 2004 (build 19041) or later is needed\n"
    );

    computer.build = 19_041;
    let mut console = FakeConsole::new();
    computer.screamctl(&mut console, &["install"]);
    assert!(
        console.err.contains("is missing from the package"),
        "the first that is new enough: {}",
        console.err
    );
}

#[test]
fn the_package_is_the_one_that_the_program_lies_in() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let driver = folder.path().join("driver");
    std::fs::create_dir(&driver).expect("a folder");
    std::fs::write(driver.join("scream.inf"), "[Version]\n").expect("a file");
    let mut computer = FakeComputer::new();
    computer.program = folder.path().join("x64").join("screamctl.exe");
    let mut console = FakeConsole::new();
    assert_eq!(computer.screamctl(&mut console, &["install"]), screamctl::FAILED);
    assert_eq!(
        console.err, "error: driver\\scream.cat is missing from the package: unpack all of the zip\n",
        "its INF was found"
    );
}

#[test]
fn a_folder_that_is_no_package_is_refused_in_one_line() {
    let mut computer = FakeComputer::new();
    let mut console = FakeConsole::new();
    let code = computer.screamctl(&mut console, &["install", "--package", "/nowhere"]);
    assert_eq!(code, screamctl::FAILED);
    assert_eq!(console.err, "error: driver\\scream.inf is missing from the package: unpack all of the zip\n");
    assert_eq!((computer.calls, console.out), (Vec::new(), String::new()));
}

#[test]
fn a_program_that_lies_in_no_folder_asks_for_the_package() {
    let mut computer = FakeComputer::new();
    computer.program = Path::new("/screamctl.exe").to_owned();
    let mut console = FakeConsole::new();
    assert_eq!(computer.screamctl(&mut console, &["install"]), screamctl::FAILED);
    assert_eq!(
        console.err,
        "error: /screamctl.exe does not lie in a folder of a package: name the folder with --package\n"
    );
}
