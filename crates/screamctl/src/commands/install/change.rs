//! The changes to the computer, in an order in which each can be taken back.

use std::time::Duration;

use driver_package::check::Package;

use super::super::inventory::{Inventory, ServiceOwner, list_name, test_certificates};
use super::super::status::endpoint_text;
use super::super::{HARDWARE_ID, Result};
use super::signature;
use super::transaction::{Transaction, Undo, cannot};
use crate::Outcome;
use crate::computer::{ApiResult, CertificateStore, Computer, EndpointState, Node, Restart};
use crate::console::Console;
use crate::failure::{Failure, explain, problem};

/// `CM_PROB_NEED_RESTART`.
pub const NEED_RESTART: u32 = 14;
/// Problems of a node that a restart ends: the one above, and `CM_PROB_WILL_BE_REMOVED`.
pub const WAITS_FOR_RESTART: [u32; 2] = [NEED_RESTART, 21];
/// Problems that memory integrity may be the reason for: `CM_PROB_DRIVER_FAILED_LOAD`, `CM_PROB_DRIVER_BLOCKED`.
const OF_MEMORY_INTEGRITY: [u32; 2] = [39, 48];

/// What a new device is called until it has a driver.
pub const DESCRIPTION: &str = "Scream";
/// What a device of the older driver is called until it has it.
pub const OLD_DESCRIPTION: &str = "Scream (WDM)";

/// How often, and after which time each, the playback device is looked for.
const LOOKS: u32 = 15;
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// What is to be done.
pub struct Plan<'a> {
    /// What to install.
    pub package: &'a Package,
    /// The test certificate that is to be trusted.
    pub trust: Option<&'a [u8]>,
    /// What there is.
    pub inventory: &'a Inventory,
}

/// How far the changes went.
enum Progress {
    /// The driver is on this node.
    Installed(Node, Restart),
    /// The older driver is there until the next start of Windows.
    OlderStays,
}

/// Changes the computer; if that fails, changes it back.
///
/// # Errors
/// A step failed.
pub fn run(plan: &Plan, computer: &mut dyn Computer, console: &mut dyn Console) -> Result {
    let mut transaction = Transaction::default();
    match change(plan, computer, console, &mut transaction) {
        Ok(Progress::Installed(_, Restart::Needed)) => {
            console.step("restart", "restart Windows: the device works with this driver only then");
            Ok(Outcome::RestartNeeded)
        }
        Ok(Progress::Installed(node, Restart::NotNeeded)) => {
            clean_up(plan, &node, computer, console);
            say_what_is_next(&node, computer, console);
            Ok(Outcome::Done)
        }
        Ok(Progress::OlderStays) => {
            console.step("restart", "restart Windows to remove the older driver, and install again");
            Ok(Outcome::RestartNeeded)
        }
        Err(failure) => {
            transaction.roll_back(computer, console);
            Err(failure)
        }
    }
}

fn change(
    plan: &Plan,
    computer: &mut dyn Computer,
    console: &mut dyn Console,
    transaction: &mut Transaction,
) -> Result<Progress> {
    trust(plan, computer, console, transaction)?;
    add_package(plan, computer, console, transaction)?;
    if remove_old_nodes(plan, computer, console, transaction)? == Restart::Needed {
        return Ok(Progress::OlderStays);
    }
    let instance_id = provide_node(plan, computer, console, transaction)?;
    let restart = give_driver(plan, &instance_id, computer, console, transaction)?;
    let node = inspect(plan, &instance_id, computer, console)?;
    let waits = WAITS_FOR_RESTART.contains(&node.problem);
    Ok(Progress::Installed(node, if waits { Restart::Needed } else { restart }))
}

/// Trusts the test certificate. The list that lets Windows install without a question comes last.
fn trust(
    plan: &Plan,
    computer: &mut dyn Computer,
    console: &mut dyn Console,
    transaction: &mut Transaction,
) -> Result<()> {
    let Some(certificate) = plan.trust else { return Ok(()) };
    for store in [CertificateStore::Root, CertificateStore::TrustedPublisher] {
        let added = computer
            .add_certificate(store, certificate)
            .map_err(|error| explain(error).of("the certificate cannot be trusted"))?;
        if added {
            transaction.push(Undo::Distrust(store, certificate.to_vec()));
        }
        console.step("certificate", &format!("is among {}", list_name(store)));
    }
    Ok(())
}

fn add_package(
    plan: &Plan,
    computer: &mut dyn Computer,
    console: &mut dyn Console,
    transaction: &mut Transaction,
) -> Result<()> {
    let (published, is_new) = computer
        .add_package(&plan.package.inf)
        .map_err(|error| explain(error).of("the package cannot be added to the driver store"))?;
    if is_new {
        console.step("driver store", &format!("{published} added"));
        transaction.push(Undo::RemovePackage(published));
    } else {
        console.step("driver store", &format!("{published} is there"));
    }
    Ok(())
}

/// Removes the older driver's devices, so that Windows unloads it: both have a service of the same name.
fn remove_old_nodes(
    plan: &Plan,
    computer: &mut dyn Computer,
    console: &mut dyn Console,
    transaction: &mut Transaction,
) -> Result<Restart> {
    for node in &plan.inventory.old_nodes {
        let restart = computer
            .remove_node(&node.instance_id)
            .map_err(|error| explain(error).of("the older driver's device cannot be removed"))?;
        if restart == Restart::Needed {
            return Ok(restart);
        }
        let package = plan.inventory.package_of(node);
        transaction.push(Undo::RemakeOldNode(package.map(|package| package.path.clone())));
        console.step("older driver", &format!("device {} removed", node.instance_id));
    }
    Ok(Restart::NotNeeded)
}

/// Returns the node that the driver is for; makes one if there is none.
fn provide_node(
    plan: &Plan,
    computer: &mut dyn Computer,
    console: &mut dyn Console,
    transaction: &mut Transaction,
) -> Result<String> {
    if plan.inventory.service == ServiceOwner::Nobody {
        transaction.push(Undo::DeleteService(computer.option_values()?));
    }
    if let Some(node) = plan.inventory.nodes.first() {
        console.step("device", &format!("{} is there", node.instance_id));
        return Ok(node.instance_id.clone());
    }
    let instance_id = computer
        .create_node(HARDWARE_ID, DESCRIPTION)
        .map_err(|error| explain(error).of("the device cannot be made"))?;
    console.step("device", &format!("{instance_id} made"));
    transaction.push(Undo::RemoveNode(instance_id.clone()));
    Ok(instance_id)
}

/// Gives the driver to the node. What is undone is noted before: Windows may fail half way.
fn give_driver(
    plan: &Plan,
    instance_id: &str,
    computer: &mut dyn Computer,
    console: &mut dyn Console,
    transaction: &mut Transaction,
) -> Result<Restart> {
    let Plan { package, inventory, .. } = plan;
    let earlier = inventory.nodes.first();
    if let Some(node) = earlier {
        transaction.push(match inventory.package_of(node) {
            Some(package) => Undo::GiveBackDriver(package.path.clone()),
            None => Undo::RemakeNode(node.instance_id.clone()),
        });
    }
    let restart = computer
        .update_driver(HARDWARE_ID, &package.inf)
        .map_err(|error| explain(error).of("the driver cannot be installed"))?;
    let replaced = earlier.and_then(|node| node.version.as_deref());
    let version = &package.version;
    let how = match replaced.map(|earlier| (super::compare(version, earlier), earlier)) {
        None => String::new(),
        Some((std::cmp::Ordering::Less, earlier)) => format!(" in place of {earlier}, which is newer"),
        Some((std::cmp::Ordering::Equal, _)) => " once more".to_owned(),
        Some((std::cmp::Ordering::Greater, earlier)) => format!(" in place of {earlier}"),
    };
    console.step("driver", &format!("{version} installed on {instance_id}{how}"));
    Ok(restart)
}

/// Looks whether the driver runs the node.
fn inspect(
    plan: &Plan,
    instance_id: &str,
    computer: &dyn Computer,
    console: &mut dyn Console,
) -> Result<Node> {
    let node = computer.nodes(HARDWARE_ID)?.into_iter().find(|node| node.instance_id == instance_id);
    let node =
        node.ok_or_else(|| Failure::new("the device has vanished", "restart Windows and try again"))?;
    if node.problem == 0 && node.inf.is_none() {
        return Err(Failure::new(
            "Windows has given the device no driver",
            "look at the end of C:\\Windows\\INF\\setupapi.dev.log for the reason",
        ));
    }
    if node.problem == 0 || WAITS_FOR_RESTART.contains(&node.problem) {
        if node.problem == 0 && !node.started {
            console.step("note", "the device has not started yet: \"screamctl status\" shows when it has");
        }
        return Ok(node);
    }
    let mut failure = problem(node.problem);
    let memory_integrity = || computer.code_integrity().is_ok_and(|integrity| integrity.memory_integrity);
    if OF_MEMORY_INTEGRITY.contains(&node.problem) && memory_integrity() {
        failure.what.push_str(", and memory integrity is on");
    }
    failure.what.push_str(&format!("; signed by {}", signature::name(plan.package)));
    Err(failure)
}

/// Removes what the driver has replaced. The new one runs: what cannot be removed is told, and does no harm.
fn clean_up(plan: &Plan, used: &Node, computer: &mut dyn Computer, console: &mut dyn Console) {
    let Plan { package, inventory, .. } = plan;
    for node in inventory.nodes.iter().filter(|node| node.instance_id != used.instance_id) {
        let result = computer.remove_node(&node.instance_id).map(drop);
        tell(&format!("remove the superfluous device {}", node.instance_id), result, console);
    }
    let in_use = |published: &str| used.inf.as_deref().is_some_and(|inf| inf.eq_ignore_ascii_case(published));
    let earlier = inventory.packages.iter().chain(&inventory.old_packages);
    for stored in earlier.filter(|stored| !in_use(&stored.published)) {
        // A package of the older driver that no device had is not this installation's business.
        if inventory.old_packages.contains(stored) && !inventory.has_older() {
            continue;
        }
        let result = computer.remove_package(&stored.published);
        let what = format!("remove {} ({}) from the driver store", stored.published, stored.version);
        tell(&what, result, console);
    }
    let Ok(certificates) = test_certificates(computer) else { return };
    for (store, certificate) in certificates {
        if package.test_certificate.as_ref() != Some(&certificate) {
            let result = computer.remove_certificate(store, &certificate).map(drop);
            tell(&format!("remove an earlier test certificate from {}", list_name(store)), result, console);
        }
    }
}

/// Says what was cleaned up, or why not.
fn tell(what: &str, result: ApiResult<()>, console: &mut dyn Console) {
    match result {
        Ok(()) => console.step("clean-up", what),
        Err(error) => console.step("note", &cannot(what, error)),
    }
}

/// Names the playback device, which Windows makes in a moment, and says what to do with it.
fn say_what_is_next(node: &Node, computer: &dyn Computer, console: &mut dyn Console) {
    let mut found = Vec::new();
    for _ in 0..if node.started { LOOKS } else { 0 } {
        // That Windows does not tell is no reason to fail: the driver is installed.
        let Ok(endpoints) = computer.endpoints(HARDWARE_ID) else { break };
        if let Some(endpoint) = endpoints.iter().find(|endpoint| endpoint.state == EndpointState::Active) {
            let choose = if endpoint.is_default {
                "programs play on it already"
            } else {
                "choose it as playback device"
            };
            console.step("playback", &endpoint.name);
            console.step("next", &format!("{choose}; try it with \"screamctl test-tone\""));
            return;
        }
        // Those of an earlier installation come back, too.
        found = endpoints;
        computer.pause(BETWEEN_LOOKS);
    }
    match found.first() {
        Some(endpoint) => console.step("playback", &endpoint_text(endpoint)),
        None => {
            console.step("playback", "the device is not there yet: \"screamctl status\" shows when it is");
        }
    }
}
