//! `screamctl status`: what is installed, in a few lines that need no rights.

use super::inventory::{Inventory, ServiceOwner, test_certificates};
use super::{HARDWARE_ID, Result};
use crate::Outcome;
use crate::computer::{CertificateStore, Computer, Endpoint, EndpointState, Node};
use crate::console::Console;
use crate::failure::problem;

/// Shows what is installed. What Windows does not tell is one line's matter.
///
/// # Errors
/// Windows does not tell what is installed at all.
pub fn run(computer: &mut dyn Computer, console: &mut dyn Console) -> Result {
    let inventory = Inventory::take(computer)?;
    for package in &inventory.packages {
        console.step("package", &format!("{} ({})", package.version, package.published));
    }
    if inventory.packages.is_empty() {
        console.step("package", "none");
    }
    for node in &inventory.nodes {
        console.step("device", &node_line(node));
    }
    if inventory.nodes.is_empty() {
        console.step("device", "none: install Scream with \"screamctl install\"");
    }
    console.step("service", &service_line(&inventory));
    for (about, line) in [
        ("playback", playback_line(computer)),
        ("options", options_line(computer)),
        ("certificate", certificate_line(computer)),
        ("test signing", test_signing_line(computer)),
    ] {
        console.step(about, &line.unwrap_or_else(|failure| format!("unknown: {failure}")));
    }
    if inventory.has_older() {
        console.step("older driver", "installed: \"screamctl install\" can replace it");
    }
    let runs = inventory.nodes.iter().any(|node| node.started && node.problem == 0);
    Ok(if runs { Outcome::Done } else { Outcome::Wrong })
}

fn node_line(node: &Node) -> String {
    let Node { instance_id, version, started, problem: code, .. } = node;
    let version = version.as_deref().unwrap_or("no driver");
    let state = match (code, started) {
        (0, true) => "runs".to_owned(),
        (0, false) => "does not run".to_owned(),
        (code, _) => problem(*code).to_string(),
    };
    format!("{instance_id}, {version}: {state}")
}

fn service_line(inventory: &Inventory) -> String {
    let state = if inventory.is_loaded { "loaded" } else { "not loaded" };
    match &inventory.service {
        ServiceOwner::Nobody => "none".to_owned(),
        ServiceOwner::This => state.to_owned(),
        ServiceOwner::Older => format!("of the older driver, {state}"),
        ServiceOwner::Stranger(file) => format!("of another driver, {state}: {file}"),
    }
}

fn playback_line(computer: &dyn Computer) -> Result<String> {
    let endpoints = computer.endpoints(HARDWARE_ID)?;
    if endpoints.is_empty() {
        return Ok("none".to_owned());
    }
    Ok(endpoints.iter().map(endpoint_text).collect::<Vec<_>>().join(", "))
}

/// A playback device and its state.
pub fn endpoint_text(endpoint: &Endpoint) -> String {
    let state = match endpoint.state {
        EndpointState::Active => "ready",
        EndpointState::Disabled => "disabled in the sound settings",
        EndpointState::NotPresent => "its driver is not there",
        EndpointState::Unplugged => "not plugged in",
    };
    let default = if endpoint.is_default { ", the default" } else { "" };
    format!("{}: {state}{default}", endpoint.name)
}

fn options_line(computer: &dyn Computer) -> Result<String> {
    Ok(match computer.option_values()?.len() {
        0 => "none set".to_owned(),
        count => format!("{count} set: \"screamctl options list\" shows them"),
    })
}

fn certificate_line(computer: &dyn Computer) -> Result<String> {
    let certificates = test_certificates(computer)?;
    let on = |list: CertificateStore| certificates.iter().filter(|(store, _)| *store == list).count();
    Ok(match (on(CertificateStore::Root), on(CertificateStore::TrustedPublisher)) {
        (0, 0) => "no test certificate is trusted".to_owned(),
        (roots, publishers) if roots == publishers => "the test certificate is trusted".to_owned(),
        _ => "the test certificate is trusted in part: install once more".to_owned(),
    })
}

fn test_signing_line(computer: &dyn Computer) -> Result<String> {
    let integrity = computer.code_integrity()?;
    Ok(if integrity.test_signing { "on" } else { "off" }.to_owned())
}
