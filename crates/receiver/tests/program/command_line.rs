//! What is wrong with a command line is said in one line, with what is accepted.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::running::{Ended, Scream, scream};

fn run(arguments: &[&str]) -> Ended {
    Scream::spawn(scream(arguments)).ended()
}

/// Asserts that a command line is nonsense, and that one line says why.
#[track_caller]
fn misuse(arguments: &[&str], expected: &str) {
    let ended = run(arguments);
    let expected = format!("error: {expected} (scream --help shows what is accepted)\n");
    assert_eq!((ended.code, ended.stderr), (Some(2), expected));
    assert_eq!(ended.stdout, b"");
}

/// Asserts that a command line cannot be followed, and that one line says why.
#[track_caller]
fn failure(arguments: &[&str], expected: &str) {
    let ended = run(arguments);
    assert_eq!((ended.code, ended.stderr), (Some(1), format!("error: {expected}\n")));
    assert_eq!(ended.stdout, b"");
}

#[test]
fn numbers_out_of_range_are_refused() {
    for port in ["0", "65536", "x"] {
        let expected =
            format!("invalid value '{port}' for '--port <PORT>': not a port; accepted are 1 to 65535");
        misuse(&["-p", port], &expected);
    }
    misuse(&["-p", "-1"], "unexpected argument '-1' found");
    misuse(
        &["-t", "0"],
        "invalid value '0' for '--target-latency <MS>': not a number of milliseconds; accepted are 1 to 10000",
    );
    misuse(
        &["-l", "10001"],
        "invalid value '10001' for '--max-latency <MS>': not a number of milliseconds; accepted are 1 to 10000",
    );
    misuse(
        &["-t", "300", "-l", "200"],
        "the maximum latency (-l 200) is less than the target (-t 300); it has to be at least as much",
    );
}

#[test]
fn addresses_that_are_none_are_refused() {
    const GROUPS: &str = "accepted are 224.0.0.0 to 239.255.255.255, ff00:: and above, multicast, multicast6";
    misuse(&["-g", "x"], &format!("invalid value 'x' for '--group <GROUP>': not an address; {GROUPS}"));
    misuse(
        &["-g", "10.0.0.5"],
        &format!("invalid value '10.0.0.5' for '--group <GROUP>': not the address of a group; {GROUPS}"),
    );
    misuse(
        &["--source", "x:4010"],
        "invalid value 'x:4010' for '--source <ADDRESS>': not an address; accepted are 192.0.2.7, 192.0.2.7:4011, \
         2001:db8::7, [2001:db8::7]:4011",
    );
}

#[test]
fn what_contradicts_itself_is_refused() {
    for (arguments, expected) in [
        (&["-u", "-g", "multicast"][..], "'--unicast' cannot be used with '--group <GROUP>'"),
        (&["-m", "a", "-u"], "'--shared-memory <FILE>' cannot be used with '--unicast'"),
        (&["-m", "a", "-g", "multicast"], "'--shared-memory <FILE>' cannot be used with '--group <GROUP>'"),
        (&["-m", "a", "-P"], "'--shared-memory <FILE>' cannot be used with '--sniff'"),
        (&["--mix", "--bit-exact"], "'--mix' cannot be used with '--bit-exact'"),
        (&["--mix", "--source", "10.0.0.5"], "'--mix' cannot be used with '--source <ADDRESS>'"),
    ] {
        misuse(arguments, &format!("the argument {expected}"));
    }
    misuse(
        &["--json", "-o", "raw"],
        "--json and -o raw both want standard output; use -o wav:FILE, or leave out --json",
    );
}

#[test]
fn outputs_that_there_are_not_are_refused_with_those_that_there_are() {
    misuse(
        &["-o", "mp3"],
        "invalid value 'mp3' for '--output <OUTPUT>': there is no output `mp3`; there are pulse, pipewire, alsa, jack, \
         sndio, wasapi, raw, wav:FILE",
    );
    let ended = run(&["-o", "wasapi", "-i", "lo"]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.starts_with("error: this build has no output `wasapi`; it has "),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.stderr.lines().count(), 1);
    failure(
        &["-i", "lo", "-o", "wav:/no/such/folder/a.wav"],
        "/no/such/folder/a.wav cannot be written: there is no such folder",
    );
    failure(&["-i", "lo", "-o", "wav:/dev/full"], "/dev/full cannot be written: the disk is full");
}

#[test]
fn interfaces_that_there_are_not_are_refused_with_those_that_there_are() {
    for arguments in [
        &["-i", "nowhere", "-o", "raw"][..],
        &["-u", "-i", "nowhere", "-o", "raw"],
        &["-u", "-i", "192.0.2.99", "-o", "raw"],
        &["-P", "-i", "nowhere", "-o", "raw"],
    ] {
        let ended = run(arguments);
        let name = arguments[arguments.len() - 3];
        let begin = format!("error: there is no interface {name}; there are lo (127.0.0.1");
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.starts_with(&begin), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1);
    }
}

#[test]
fn shared_memory_that_cannot_be_read_is_named_with_what_to_do() {
    failure(
        &["-m", "/no/such/region", "-o", "raw"],
        "/no/such/region is not there; start the virtual machine first, or name its region with -m",
    );
    failure(
        &["-m", "/dev", "-o", "raw"],
        "/dev is not a file; the region of IVSHMEM is one, mostly in /dev/shm",
    );
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("region");
    for size in [0, 23] {
        std::fs::write(&path, vec![0; size]).expect("it is written");
        let path = path.display().to_string();
        failure(
            &["-m", &path, "-o", "raw"],
            &format!("{path} has {size} bytes and is too small; a region of IVSHMEM has 1 MiB or more"),
        );
    }
}

/// Runs the program without any rights beyond those of its user.
fn without_rights(arguments: &[&str]) -> Ended {
    let mut command = Command::new("unshare");
    command.arg("--user").arg(env!("CARGO_BIN_EXE_scream")).args(arguments);
    Scream::spawn(command).ended()
}

#[test]
fn without_permission_it_is_said_how_to_get_it() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    file.as_file().set_len(1 << 20).expect("room for it");
    std::fs::set_permissions(file.path(), PermissionsExt::from_mode(0o000)).expect("it is ours");
    let path = file.path().display();
    let ended = without_rights(&["-m", &path.to_string(), "-o", "raw"]);
    assert_eq!(ended.code, Some(1));
    let begin = format!("error: no permission to read {path}, which belongs to ");
    assert!(ended.stderr.starts_with(&begin), "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("sudo chmod o+r {path}")), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1);

    let ended = without_rights(&["-P", "-i", "lo", "-o", "raw"]);
    let program = env!("CARGO_BIN_EXE_scream");
    assert_eq!(
        (ended.code, ended.stderr),
        (
            Some(1),
            format!(
                "error: no permission to sniff (-P); grant it with: sudo setcap cap_net_raw,cap_net_admin=eip {program}\n"
            )
        )
    );
}

#[test]
fn help_completions_and_the_manual_know_every_option() {
    let text = |arguments: &[&str]| String::from_utf8(run(arguments).done()).expect("text");
    let help = text(&["--help"]);
    let manual = text(&["--man"]).replace("\\-", "-");
    let completions = text(&["--completions", "bash"]);
    for option in [
        "unicast",
        "port",
        "interface",
        "group",
        "shared-memory",
        "sniff",
        "output",
        "device",
        "sink",
        "name",
        "target-latency",
        "max-latency",
        "no-connect",
        "verbose",
        "stats",
        "json",
        "bit-exact",
        "mix",
        "source",
    ] {
        for text in [&help, &manual, &completions] {
            assert!(text.contains(&format!("--{option}")), "--{option} is missing in {text}");
        }
    }
    for option in "upigmPodsntlcvh".chars() {
        assert!(help.contains(&format!("  -{option}")), "-{option} is missing in {help}");
    }
}
