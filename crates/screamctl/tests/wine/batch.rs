//! `install.bat` and `uninstall.bat`, run by wine's `cmd.exe` from a folder with spaces.

use std::path::PathBuf;
use std::process::Command;

use super::prefix::{Ended, Prefix, package};

/// Copies the package to a folder whose name has what breaks careless scripts. (wine's own `cmd.exe` breaks at `%`.)
fn unpack(prefix: &Prefix) -> PathBuf {
    let folder = prefix.path().join("Scream (x64) & more");
    let status = Command::new("cp").arg("-r").arg(package()).arg(&folder).status();
    assert!(status.is_ok_and(|status| status.success()));
    folder
}

fn run(prefix: &Prefix, script: &str, arguments: &[&str]) -> Ended {
    prefix.run_in(&unpack(prefix), "cmd", &[&["/c", script], arguments].concat())
}

#[test]
fn install_bat_hands_its_arguments_to_screamctl_and_returns_its_exit_code() {
    let prefix = Prefix::new();
    let ended = run(&prefix, "install.bat", &["--unattended", "--trust-certificate"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.out.contains("package       Scream "), "{ended:?}");
    assert!(
        ended.err.contains("error: the package is signed for tests, and test signing is off"),
        "{ended:?}"
    );
}

#[test]
fn uninstall_bat_reaches_screamctl_too() {
    let prefix = Prefix::new();
    let ended = run(&prefix, "uninstall.bat", &["--unattended"]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{ended:?}");
    assert!(ended.out.contains("driver        Scream is not installed"), "{ended:?}");
}
