//! An administrator's rights: looked for before anything else, asked for if the user wants that; and the command line.

mod fake;

use fake::{FakeComputer, FakeConsole};
use screamctl::{DONE, FAILED, MISUSED, RESTART_NEEDED};

const UNELEVATED: &str = "error: this needs an administrator's rights: start it from a command prompt that was opened \
                          with \"Run as administrator\"\n";

/// Runs a command without an administrator's rights, with `run_elevated` ending as given.
fn unelevated(elevated_run: Result<i32, u32>, arguments: &[&str]) -> (i32, FakeConsole, FakeComputer) {
    let mut computer = FakeComputer::with_scream();
    computer.elevated = false;
    computer.elevated_run = elevated_run;
    let mut console = FakeConsole::new();
    let code = computer.screamctl(&mut console, arguments);
    (code, console, computer)
}

#[test]
fn what_changes_the_computer_needs_an_administrator_and_says_so_first() {
    for arguments in [
        &["install"][..],
        &["install", "--unattended"],
        &["install", "--package", "/nowhere"],
        &["uninstall"],
        &["uninstall", "--keep-options"],
    ] {
        let (code, console, computer) = unelevated(Ok(0), arguments);
        assert_eq!(
            (code, console.out.as_str(), console.err.as_str()),
            (FAILED, "", UNELEVATED),
            "{arguments:?}"
        );
        assert_eq!(computer.calls, [""; 0]);
        assert!(computer.elevated_arguments.borrow().is_empty(), "nobody is asked unasked");
    }
}

#[test]
fn the_command_is_run_again_with_the_same_arguments_and_a_window_of_its_own() {
    for (arguments, expected) in [
        (&["install", "--elevate"][..], &["install", "--own-window"][..]),
        (
            &[
                "install",
                "--elevate",
                "--unattended",
                "--trust-certificate",
                "--try-signature",
                "--replace-old",
                "--package",
                "/a b",
            ],
            &[
                "install",
                "--trust-certificate",
                "--try-signature",
                "--replace-old",
                "--unattended",
                "--own-window",
                "--package",
                "/a b",
            ],
        ),
        (&["uninstall", "--elevate"], &["uninstall", "--own-window"]),
        (
            &["uninstall", "--keep-options", "--elevate", "--unattended"],
            &["uninstall", "--keep-options", "--unattended", "--own-window"],
        ),
    ] {
        let (code, console, computer) = unelevated(Ok(0), arguments);
        assert_eq!((code, console.err.as_str()), (DONE, ""), "{arguments:?}");
        assert_eq!(console.out, "rights        Windows asks for an administrator's rights\n");
        assert_eq!(*computer.elevated_arguments.borrow(), [expected], "{arguments:?}");
        assert_eq!(computer.calls, [""; 0]);
    }
}

#[test]
fn a_folder_is_named_in_full_since_the_other_process_may_begin_elsewhere() {
    let (_, _, computer) = unelevated(Ok(0), &["install", "--elevate", "--package", "unpacked"]);
    let folder = std::env::current_dir().expect("a current folder").join("unpacked");
    let arguments = computer.elevated_arguments.borrow();
    assert_eq!(arguments[0].last().map(|argument| argument.as_os_str()), Some(folder.as_os_str()));
}

#[test]
fn the_end_of_the_other_process_is_that_of_this_one() {
    let (code, console, _) = unelevated(Ok(RESTART_NEEDED), &["install", "--elevate"]);
    assert_eq!(code, RESTART_NEEDED);
    assert!(
        console.out.ends_with("restart       Windows has to be restarted to complete it\n"),
        "{}",
        console.out
    );

    for other in [FAILED, -1_073_741_510] {
        let (code, console, _) = unelevated(Ok(other), &["uninstall", "--elevate"]);
        assert_eq!(code, FAILED);
        let line = format!(
            "error: the part with an administrator's rights failed (exit code {other}): its window said why\n"
        );
        assert_eq!(console.err, line);
    }
}

#[test]
fn a_user_who_says_no_is_told_that_nothing_was_changed() {
    let (code, console, computer) = unelevated(Err(1223), &["install", "--elevate"]);
    assert_eq!(code, FAILED);
    assert_eq!(
        console.err,
        "error: the question of Windows for an administrator's rights was answered with No: nothing was changed\n"
    );
    assert_eq!(computer.calls, [""; 0]);
}

#[test]
fn a_network_drive_that_administrators_do_not_see_is_explained() {
    for (error, what) in [(2, "file"), (3, "folder")] {
        let (code, console, _) = unelevated(Err(error), &["install", "--elevate"]);
        assert_eq!(code, FAILED);
        assert_eq!(
            console.err,
            format!(
                "error: Windows does not find a {what} (ShellExecuteExW: error {error}): an administrator does not see \
                 network drives: copy the package to a disk of this computer\n"
            )
        );
    }
}

#[test]
fn another_refusal_is_said_as_it_is() {
    let (_, console, _) = unelevated(Err(1326), &["install", "--elevate"]);
    assert_eq!(
        console.err,
        "error: the name or the password of the administrator is wrong (ShellExecuteExW: error 1326): try again\n"
    );
    let (_, console, _) = unelevated(Err(31), &["install", "--elevate"]);
    assert_eq!(console.err, "error: ShellExecuteExW: error 31\n");
}

#[test]
fn whoever_is_an_administrator_is_not_asked() {
    let mut computer = FakeComputer::with_scream();
    let mut console = FakeConsole::new();
    assert_eq!(computer.screamctl(&mut console, &["uninstall", "--elevate"]), DONE);
    assert!(computer.elevated_arguments.borrow().is_empty());
    assert!(computer.state.nodes.is_empty());
}

#[test]
fn that_windows_does_not_tell_the_rights_is_a_failure() {
    for arguments in [&["install"][..], &["uninstall", "--elevate"]] {
        let mut computer = FakeComputer::new();
        computer.refuse("is_elevated", 6);
        let mut console = FakeConsole::new();
        assert_eq!(computer.screamctl(&mut console, arguments), FAILED);
        assert_eq!(console.err, "error: GetTokenInformation: error 6\n");
    }
}

#[test]
fn a_window_of_its_own_waits_until_it_was_read() {
    for (arguments, waits) in [
        (&["uninstall", "--own-window"][..], 1),
        (&["install", "--own-window", "--package", "/nowhere"], 1),
        (&["uninstall", "--own-window", "--unattended"], 0),
        (&["uninstall"], 0),
        (&["status"], 0),
    ] {
        let mut computer = FakeComputer::with_scream();
        let mut console = FakeConsole::new();
        computer.screamctl(&mut console, arguments);
        assert_eq!(console.waits, vec!["Press Enter to close this window."; waits], "{arguments:?}");
    }
}

/// A command line that makes no sense, and the one line that says so.
fn misuse(arguments: &[&str], line: &str) {
    let mut console = FakeConsole::new();
    assert_eq!(FakeComputer::new().screamctl(&mut console, arguments), MISUSED, "{arguments:?}");
    assert_eq!(console.err, format!("error: {line} (screamctl --help shows what is accepted)\n"));
    assert_eq!(console.out, "");
}

#[test]
fn a_command_line_that_makes_no_sense_is_one_line() {
    misuse(&["doctr"], "unrecognized subcommand 'doctr'; tip: a similar subcommand exists: 'doctor'");
    misuse(&["status", "--all"], "unexpected argument '--all' found");
    misuse(
        &["uninstall", "--keep-option"],
        "unexpected argument '--keep-option' found; tip: a similar argument exists: '--keep-options'",
    );
    misuse(&["options", "get"], "the following required arguments were not provided: <NAME>");
    misuse(
        &["test-tone", "--seconds", "61"],
        "invalid value '61' for '--seconds <SECONDS>': 61 is not in 1..=60",
    );
}

#[test]
fn without_a_command_the_commands_are_shown() {
    let mut console = FakeConsole::new();
    assert_eq!(FakeComputer::new().screamctl(&mut console, &[]), MISUSED);
    for command in ["install", "uninstall", "status", "options", "targets", "test-tone", "doctor"] {
        assert!(console.err.lines().any(|line| line.trim_start().starts_with(command)), "{}", console.err);
    }
}

#[test]
fn help_and_version_are_no_failures() {
    let mut console = FakeConsole::new();
    assert_eq!(FakeComputer::new().screamctl(&mut console, &["--version"]), DONE);
    assert_eq!(console.out, format!("screamctl {}\n", env!("CARGO_PKG_VERSION")));
    for arguments in [&["--help"][..], &["install", "--help"], &["options", "set", "--help"]] {
        let mut console = FakeConsole::new();
        assert_eq!(FakeComputer::new().screamctl(&mut console, arguments), DONE);
        assert!(console.out.contains("Usage: screamctl"), "{}", console.out);
        assert!(console.out.is_ascii(), "consoles of Windows show nothing else reliably");
    }
}
