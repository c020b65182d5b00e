//! Network namespaces, for tests with interfaces that a computer has not. Nothing of it touches the networks of this computer.

use std::process::Command;

/// Set in the process that has the namespace.
const INSIDE: &str = "SCREAM_TEST_NAMESPACE";

/// Runs a scenario in a process with a network namespace of its own: this test binary again, with this test
/// only; `test` is its name with its modules.
pub fn in_namespace(test: &str, scenario: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return scenario();
    }
    let mut command = Command::new("unshare");
    if text_of(Command::new("id").arg("-u")).trim() != "0" {
        // Root of a namespace of users that has only this one in it.
        command.args(["--user", "--map-root-user"]);
    }
    command.arg("--net").arg(std::env::current_exe().expect("the path of this test"));
    let output = command.args(["--exact", test, "--nocapture"]).env(INSIDE, "1").output();
    let output = output.expect("unshare, of util-linux");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// What a command that succeeds prints.
pub fn text_of(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Has `ip` do something; gives what it prints.
pub fn ip(arguments: &str) -> String {
    text_of(Command::new("ip").args(arguments.split(' ')))
}
