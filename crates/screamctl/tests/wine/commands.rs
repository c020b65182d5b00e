//! Commands that look, on a computer without Scream.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::prefix::{Prefix, screamctl, windows_path};

#[test]
fn status_says_that_nothing_is_installed() {
    let status = Prefix::new().screamctl("status");
    assert_eq!(status.code, 1);
    assert_eq!(status.err, "");
    assert_eq!(
        status.out,
        "package       none\n\
         device        none: install Scream with \"screamctl install\"\n\
         service       none\n\
         playback      none\n\
         options       none set\n\
         certificate   no test certificate is trusted\n\
         test signing  off\n"
    );
}

#[test]
fn doctor_has_a_verdict_for_every_link_of_the_chain_even_where_this_windows_does_not_tell() {
    let doctor = Prefix::new().screamctl("doctor");
    assert_eq!((doctor.code, doctor.err.as_str()), (1, ""));
    let verdicts: Vec<_> = doctor
        .out
        .lines()
        .take_while(|line| !line.is_empty())
        .map(|line| (line[..9].trim(), line[9..21].trim()))
        .collect();
    // wine knows neither the route to a target nor the firewall's profiles.
    assert_eq!(
        verdicts,
        [
            ("wrong", "device"),
            ("skipped", "driver"),
            ("note", "signatures"),
            ("ok", "restart"),
            ("skipped", "playback"),
            ("ok", "options"),
            ("ok", "memory"),
            ("wrong", "target"),
            ("note", "firewall"),
            ("ok", "old driver"),
        ],
        "{}",
        doctor.out
    );
    assert!(doctor.out.contains("GetBestRoute2: error 50"), "{}", doctor.out);
    assert!(
        doctor.out.contains("INetFwPolicy2::get_CurrentProfileTypes: error 0x80004001"),
        "{}",
        doctor.out
    );
}

#[test]
fn targets_shows_those_that_hold() {
    let prefix = Prefix::new();
    let targets = prefix.screamctl("targets");
    assert!(targets.out.contains("239.255.77.77:4010   default"), "{targets:?}");
    assert_eq!(prefix.screamctl("targets set 192.0.2.1:4011 multicast6").code, 0);
    let targets = prefix.screamctl("targets");
    assert!(targets.out.contains("192.0.2.1:4011"), "{targets:?}");
    let key = r"System\CurrentControlSet\Services\Scream\Options";
    assert_eq!(prefix.registry().value(key, "Targets"), Some(r#"str(7):"192.0.2.1:4011\0multicast6\0""#));
}

#[test]
fn a_second_uninstall_has_nothing_to_do() {
    let prefix = Prefix::new();
    prefix.settle();
    let before = (prefix.registry(), prefix.files());
    for _ in 0..2 {
        let uninstall = prefix.screamctl("uninstall --unattended");
        assert_eq!((uninstall.code, uninstall.err.as_str()), (0, ""));
        assert_eq!(uninstall.out, "driver        Scream is not installed\n");
    }
    let after = prefix.registry();
    assert!(after.keys_beyond(&before.0).is_empty(), "{:?}", after.keys_beyond(&before.0));
    assert_eq!(prefix.files(), before.1);
}

#[test]
fn it_runs_from_a_medium_that_cannot_be_written_and_says_what_is_missing_beside_it() {
    let prefix = Prefix::new();
    let medium = prefix.path().join("read only & (odd)");
    let program = medium.join("x64/screamctl.exe");
    fs::create_dir_all(medium.join("x64")).expect("the prefix can be written");
    fs::copy(screamctl(), &program).expect("the prefix can be written");
    for path in [program.clone(), medium.join("x64"), medium.clone()] {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o555)).expect("the file is ours");
    }
    let status = prefix.run(&program, &["options", "get", "TTL"]);
    assert_eq!((status.code, status.err.as_str()), (0, ""), "{status:?}");
    let install = prefix.run(&program, &["install", "--unattended"]);
    assert_eq!(install.code, 1);
    assert_eq!(install.err, "error: driver\\scream.inf is missing from the package: unpack all of the zip\n");
    let named = prefix.run(screamctl(), &["install", "--package", &windows_path(&medium)]);
    assert_eq!((named.code, &named.err), (1, &install.err));
    let left: Vec<_> = fs::read_dir(medium.join("x64")).expect("it can be read").collect();
    assert_eq!(left.len(), 1, "{left:?}");
    fs::set_permissions(&medium, fs::Permissions::from_mode(0o755)).expect("the file is ours");
    fs::set_permissions(medium.join("x64"), fs::Permissions::from_mode(0o755)).expect("the file is ours");
}
