//! The device, its driver, and what Windows demands of it.

use driver_package::layout::DRIVER_FILE;

use super::report::Report;
use crate::commands::{HARDWARE_ID, OLD_HARDWARE_ID, SERVICE};
use crate::computer::{ApiError, Computer, Node};
use crate::failure::{self, Failure};

/// `CM_PROB_UNSIGNED_DRIVER`: the signature is not accepted.
const UNSIGNED: u32 = 52;

/// What is known of the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loaded {
    /// It runs the device.
    Yes,
    /// It does not.
    No,
    /// Windows does not accept its signature.
    Refused,
}

/// The device that Windows keeps for the driver. If there are several, one that runs.
pub fn device(computer: &dyn Computer, report: &mut Report) -> Option<Node> {
    let check = "device";
    let nodes = match computer.nodes(HARDWARE_ID) {
        Ok(nodes) => nodes,
        Err(error) => {
            report.error(check, error);
            return None;
        }
    };
    let Some(node) = nodes.iter().find(|node| node.started).or(nodes.first()) else {
        report.wrong(check, &Failure::new("Scream is not installed", "screamctl install"));
        return None;
    };
    match (&node.inf, &node.version) {
        (Some(inf), Some(version)) => {
            report.ok(check, &format!("{}, version {version} ({inf})", node.instance_id))
        }
        _ => {
            let what = format!("{} has no driver", node.instance_id);
            report.wrong(check, &Failure::new(what, "screamctl install"));
        }
    }
    if nodes.len() > 1 {
        report
            .note(check, &format!("there are {} of them: screamctl install removes the others", nodes.len()));
    }
    Some(node.clone())
}

/// Whether the driver runs the device.
pub fn driver(node: Option<&Node>, computer: &dyn Computer, report: &mut Report) -> Loaded {
    let check = "driver";
    let Some(node) = node else {
        report.skipped(check, "no device was found");
        return Loaded::No;
    };
    if node.inf.is_none() {
        report.skipped(check, "the device has no driver");
        return Loaded::No;
    }
    if node.problem != 0 {
        report.wrong(check, &failure::problem(node.problem));
        return if node.problem == UNSIGNED { Loaded::Refused } else { Loaded::No };
    }
    if !node.started {
        report.wrong(check, &Failure::new("the device is not started", "restart Windows"));
        return Loaded::No;
    }
    match computer.service(SERVICE) {
        Ok(Some(service)) if service.running => report.ok(check, &format!("loaded, {}", service.image_path)),
        Ok(Some(_)) => report.wrong(check, &Failure::new("its service does not run", "restart Windows")),
        Ok(None) => report.wrong(check, &Failure::new("it has no service", "screamctl install")),
        Err(error) => report.error(check, error),
    }
    Loaded::Yes
}

/// What Windows demands of a driver's signature. It is wrong only if it keeps this driver from running.
pub fn signatures(loaded: Loaded, computer: &dyn Computer, report: &mut Report) {
    let check = "signatures";
    let facts = policy(computer);
    match (facts, loaded) {
        (Ok((_, text)), Loaded::Yes) => report.ok(check, &text),
        (Ok((_, text)), Loaded::No) => report.note(check, &text),
        (Ok((advice, text)), Loaded::Refused) => report.wrong(check, &Failure::new(text, advice)),
        (Err(error), _) => report.error(check, error),
    }
}

/// What to do for a test-signed driver, and what Windows demands.
fn policy(computer: &dyn Computer) -> Result<(&'static str, String), ApiError> {
    let integrity = computer.code_integrity()?;
    let secure_boot = computer.secure_boot()?;
    let upgraded = computer.upgraded_system()?;
    let mut facts = vec![format!("test signing is {}", on(integrity.test_signing))];
    if !integrity.enforced {
        facts.insert(0, "signatures are not enforced".to_owned());
    }
    facts.push(match secure_boot {
        Some(state) => format!("Secure Boot is {}", on(state)),
        None => "there is no Secure Boot".to_owned(),
    });
    facts.push(format!("memory integrity is {}", on(integrity.memory_integrity)));
    if upgraded != 0 {
        facts.push(format!("UpgradedSystem is {upgraded}"));
    }
    let advice = match (integrity.test_signing, secure_boot) {
        (true, _) => {
            "install the package's test certificate with screamctl install, or use a package that Microsoft signed"
        }
        (false, Some(true)) => {
            "use a package that Microsoft signed; or turn Secure Boot off, then \"bcdedit /set \
                testsigning on\", and restart"
        }
        (false, _) => "use a package that Microsoft signed; or \"bcdedit /set testsigning on\", and restart",
    };
    Ok((advice, facts.join(", ")))
}

fn on(state: bool) -> &'static str {
    if state { "on" } else { "off" }
}

/// Whether Windows has to be started anew before a change is complete.
pub fn restart(computer: &dyn Computer, report: &mut Report) {
    let check = "restart";
    match computer.restart_is_pending_for(DRIVER_FILE) {
        Ok(false) => report.ok(check, "none is pending"),
        Ok(true) => {
            report.wrong(check, &Failure::new("a change of the driver is not complete", "restart Windows"))
        }
        Err(error) => report.error(check, error),
    }
}

/// Whether the older driver is there: it has the same service name.
pub fn older(computer: &dyn Computer, report: &mut Report) {
    let check = "old driver";
    let found =
        computer.nodes(OLD_HARDWARE_ID).and_then(|nodes| Ok((nodes, computer.packages(&[OLD_HARDWARE_ID])?)));
    match found {
        Ok((nodes, packages)) => match (nodes.first(), packages.first()) {
            (Some(node), _) => {
                let what = format!(
                    "the older Scream driver is installed as {}, with the same service",
                    node.instance_id
                );
                report.wrong(check, &Failure::new(what, "screamctl install --replace-old"));
            }
            (None, Some(package)) => {
                report.note(
                    check,
                    &format!("the older Scream driver is still stored as {}, unused", package.published),
                );
            }
            (None, None) => report.ok(check, "the older Scream driver is not installed"),
        },
        Err(error) => report.error(check, error),
    }
}
