//! The playback device that programs see.

use super::driver::Loaded;
use super::report::Report;
use crate::commands::HARDWARE_ID;
use crate::computer::{Computer, Endpoint, EndpointState};
use crate::failure::Failure;

const CHECK: &str = "playback";

/// Whether programs can play on the driver, and do so if they choose nothing.
pub fn devices(loaded: Loaded, computer: &dyn Computer, report: &mut Report) {
    if loaded != Loaded::Yes {
        report.skipped(CHECK, "the driver does not run");
        return;
    }
    let endpoints = match computer.endpoints(HARDWARE_ID) {
        Ok(endpoints) => endpoints,
        Err(error) => return report.error(CHECK, error),
    };
    if endpoints.is_empty() {
        let what = "Windows has no playback device of the driver";
        report.wrong(CHECK, &Failure::new(what, "restart the service \"Windows Audio\", or Windows"));
    }
    for endpoint in &endpoints {
        if let Some(failure) = unusable(endpoint) {
            report.wrong(CHECK, &failure);
        } else if endpoint.is_default {
            report.ok(CHECK, &format!("{}, the default device", endpoint.name));
        } else {
            let name = &endpoint.name;
            report.note(
                CHECK,
                &format!(
                    "{name} is not the default device: choose it in the Sound settings or in the program"
                ),
            );
        }
    }
}

/// Why an endpoint cannot be played on, if it cannot.
pub fn unusable(endpoint: &Endpoint) -> Option<Failure> {
    let name = &endpoint.name;
    match endpoint.state {
        EndpointState::Active => None,
        EndpointState::Disabled => {
            Some(Failure::new(format!("{name} is disabled"), "enable it in the Sound settings of Windows"))
        }
        EndpointState::NotPresent => {
            Some(Failure::new(format!("{name} has no driver that runs"), "restart Windows"))
        }
        EndpointState::Unplugged => Some(Failure::new(
            format!("{name} is taken for unplugged"),
            "restart the service \"Windows Audio\", or Windows",
        )),
    }
}
