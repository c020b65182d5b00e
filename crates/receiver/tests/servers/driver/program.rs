//! The program that receives, on a server.

use std::ffi::OsString;

use serde_json::Value;

use crate::running::{Ended, Scream, scream};

/// Starts the program so that it listens to a port and plays on an output in the environment of a server. Its latency is
/// one for machines that are busy.
pub fn start(environment: &[(&'static str, OsString)], output: &str, port: u16, more: &[&str]) -> Scream {
    let port = port.to_string();
    start_with(environment, output, &[&["-u", "-i", "127.0.0.1", "-p", &port], more].concat())
}

/// The same with all that says what it listens to.
pub fn start_with(environment: &[(&'static str, OsString)], output: &str, more: &[&str]) -> Scream {
    let usual = ["-o", output, "-t", "400", "-l", "1000", "--json"];
    let mut command = scream(&[&usual, more].concat());
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    let scream = Scream::spawn(command);
    scream.wait_for_json(|object| object["event"] == "start");
    scream
}

/// What the program counted, by its last line.
pub fn totals(ended: &Ended) -> Value {
    let last = ended.json().pop().expect("it has said something");
    assert_eq!(last["event"], "totals", "{last}");
    last
}

/// Checks that nothing was lost, late or left out between a computer and an output.
#[track_caller]
pub fn has_lost_nothing(ended: &Ended) {
    has_lost_no_sound(ended);
    let totals = totals(ended);
    assert_eq!(totals["cuts"], 0, "{totals}");
}

/// The same of a sound that silence follows: of that something may be left out if the server is not on time. The sound itself is
/// compared by others.
#[track_caller]
pub fn has_lost_no_sound(ended: &Ended) {
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let totals = totals(ended);
    for count in ["lost", "doubled", "late", "underruns", "dropped"] {
        assert_eq!(totals[count], 0, "{count}: {totals}");
    }
}
