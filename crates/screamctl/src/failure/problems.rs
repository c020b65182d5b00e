//! What the problem codes of Device Manager mean for a device that is software only.
//!
//! Source: `cfg.h`, by way of the constants of the crate `windows-sys`, which a test compares.

use super::{Failure, Meaning, meaning};

const INSTALL: &str = "install it with \"screamctl install\"";
const REINSTALL: &str = "run \"screamctl uninstall\", then \"screamctl install\"";
const RESTART: &str = "restart Windows";
const BLOCKED: &str = "look at Windows Security, Device security, Core isolation";

const fn is(code: u32, what: &'static str, advice: &'static str) -> Meaning {
    Meaning { code, what, advice }
}

#[rustfmt::skip]
const TABLE: &[Meaning] = &[
    is(1, "no driver was chosen for the device", INSTALL),
    is(3, "Windows has no memory left for the driver, or the driver is damaged", RESTART),
    is(9, "Windows does not understand what the device calls itself", REINSTALL),
    is(10, "the device cannot start", RESTART),
    is(14, "the device works only after a restart", RESTART),
    is(18, "the driver has to be installed again", INSTALL),
    is(19, "the device's entries in the registry are damaged", REINSTALL),
    is(21, "Windows is about to remove the device", RESTART),
    is(22, "the device is disabled", "enable it in Device Manager, below Sound, video and game controllers"),
    is(24, "the device is not there", REINSTALL),
    is(28, "the device has no driver", INSTALL),
    is(31, "Windows cannot load a driver that the device needs", REINSTALL),
    is(32, "the driver's service is disabled", REINSTALL),
    is(37, "the driver refuses to begin its work", RESTART),
    is(38, "an earlier copy of the driver is still loaded", RESTART),
    is(39, "Windows cannot load the driver: its file is damaged, missing, or not allowed", BLOCKED),
    is(40, "the entries of the driver's service in the registry are damaged", REINSTALL),
    is(41, "the driver is loaded, but does not find the device", REINSTALL),
    is(42, "there is a device of that name already", RESTART),
    is(43, "the driver has told that the device failed", RESTART),
    is(44, "a program or a service has stopped the device", RESTART),
    is(45, "the device is not connected", REINSTALL),
    is(46, "Windows is shutting down", "wait for the restart"),
    is(47, "the device is about to be ejected", RESTART),
    is(48, "Windows blocks the driver", BLOCKED),
    is(49, "the registry is too large", REINSTALL),
    is(50, "Windows cannot set the properties of the device", RESTART),
    is(51, "the device waits for another one", RESTART),
    is(52, "Windows does not accept the driver's signature", "use a package that is signed for this computer, or turn on test signing for a test-signed one: README.txt says how"),
    is(53, "a kernel debugger uses the device", "end the debugger"),
    is(54, "the device is being reset", RESTART),
    is(56, "Windows still sets up the class of the device", RESTART),
];

/// What is wrong with a device that has a problem, by the code that Device Manager shows.
pub fn problem(code: u32) -> Failure {
    match meaning(TABLE, code) {
        Some(meaning) => Failure::new(format!("{} (code {code})", meaning.what), meaning.advice),
        None => Failure::new(
            format!("the device has a problem (code {code})"),
            "look at the device in Device Manager, below Sound, video and game controllers",
        ),
    }
}
