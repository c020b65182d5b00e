//! What is wrong with a command line is said in one line on Windows, too.

use std::fs;

use crate::windows::Windows;

#[test]
fn help_and_version_are_printed() {
    let windows = Windows::new();
    let version = windows.run(&["--version"]);
    assert_eq!((version.code, version.err.as_str()), (0, ""));
    assert_eq!(version.out, concat!("scream ", env!("CARGO_PKG_VERSION"), "\n"));
    let help = windows.run(&["--help"]);
    assert_eq!((help.code, help.err.as_str()), (0, ""));
    assert!(help.out.contains("Usage: scream"), "{}", help.out);
}

#[test]
fn what_cannot_be_done_is_one_line_and_leaves_no_file() {
    let windows = Windows::new();
    let files = || fs::read_dir(windows.folder()).expect("it is there").count();
    let before = files();
    for (arguments, code, expected) in [
        (
            &["-o", "mp3"][..],
            2,
            "invalid value 'mp3' for '--output <OUTPUT>': there is no output `mp3`; there are pulse, pipewire, alsa, jack, \
             sndio, wasapi, raw, wav:FILE (scream --help shows what is accepted)",
        ),
        (
            &["-t", "0"],
            2,
            "invalid value '0' for '--target-latency <MS>': not a number of milliseconds; accepted are 1 to 10000 \
             (scream --help shows what is accepted)",
        ),
        (&["-u", "-o", "pulse"], 1, "this build has no output `pulse`; it has wasapi, raw, wav:FILE"),
        (
            &["-u", "-o", r"wav:C:\nowhere\a.wav"],
            1,
            r"C:\nowhere\a.wav cannot be written: there is no such folder",
        ),
        (&["-m", "region"], 1, "shared memory (-m) is of virtual machines on Linux hosts; leave out -m"),
        (&["-P"], 1, "this build cannot sniff (-P): it was made without libpcap; leave out -P"),
    ] {
        let ended = windows.run(arguments);
        assert_eq!((ended.code, ended.err), (code, format!("error: {expected}\n")), "{arguments:?}");
        assert_eq!(ended.out, "");
    }
    assert_eq!(files(), before);
}
