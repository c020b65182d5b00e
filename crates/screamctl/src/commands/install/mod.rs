//! `screamctl install`: all that can be known is looked at first; then the computer is changed step by step, and changed
//! back if a step fails.

mod change;
mod signature;
mod transaction;

use std::cmp::Ordering;
use std::path::PathBuf;

use driver_package::check::{self, Package};
use driver_package::layout::Architecture;

use super::inventory::{Inventory, ServiceOwner};
use super::{Result, rights};
use crate::Outcome;
use crate::arguments::Install;
use crate::computer::{Computer, Node};
use crate::console::Console;
use crate::failure::Failure;

/// Windows 10 2004, the first that the INF has a driver for.
const FIRST_BUILD: u32 = 19_041;
/// Bytes that Windows needs for what it notes about a package and its files.
const OVERHEAD: u64 = 16 << 20;
const MIB: u64 = 1 << 20;

/// The processor that this program, and the driver that it installs, is for.
const ARCHITECTURE: Architecture =
    if cfg!(target_arch = "aarch64") { Architecture::Arm64 } else { Architecture::X64 };

/// Installs the package that this program lies in, or the one that the user names.
///
/// # Errors
/// It cannot be installed; the computer is as it was before, or what is left is said.
pub fn run(arguments: &Install, computer: &mut dyn Computer, console: &mut dyn Console) -> Result {
    rights::require(computer)?;
    rights::require_native(computer)?;
    require_build(computer)?;
    let folder = folder(arguments, computer)?;
    let package = check::check(&folder, ARCHITECTURE).map_err(|damage| Failure::plain(damage.0))?;
    install(&package, arguments, computer, console)
}

/// Installs a package that is undamaged.
///
/// # Errors
/// As [`run`].
pub fn install(
    package: &Package,
    arguments: &Install,
    computer: &mut dyn Computer,
    console: &mut dyn Console,
) -> Result {
    console.step("package", &format!("Scream {} for {}", package.version, ARCHITECTURE.folder()));
    let inventory = Inventory::take(computer)?;
    if let ServiceOwner::Stranger(file) = &inventory.service {
        return Err(Failure::new(
            format!("another driver has a service named Scream already, of the file {file}"),
            "remove that driver first",
        ));
    }
    if let Some(outcome) = already_installed(package, &inventory, console) {
        return Ok(outcome);
    }
    require_no_restart(&inventory, computer)?;
    require_space(package, computer)?;
    let trust = signature::require(package, arguments, computer, console)?;
    if inventory.has_older() {
        require_replacement(arguments, console)?;
    }
    change::run(&change::Plan { package, trust, inventory: &inventory }, computer, console)
}

fn require_build(computer: &dyn Computer) -> Result<()> {
    let build = computer.build()?;
    if build >= FIRST_BUILD {
        return Ok(());
    }
    Err(Failure::new(
        format!("this Windows is too old (build {build})"),
        format!("Windows 10 2004 (build {FIRST_BUILD}) or later is needed"),
    ))
}

/// The folder of the package: this program lies in a folder of it.
fn folder(arguments: &Install, computer: &dyn Computer) -> Result<PathBuf> {
    if let Some(folder) = &arguments.package {
        return Ok(folder.clone());
    }
    let program = computer.program()?;
    program.parent().and_then(|folder| folder.parent()).map(PathBuf::from).ok_or_else(|| {
        Failure::new(
            format!("{} does not lie in a folder of a package", program.display()),
            "name the folder with --package",
        )
    })
}

/// Whether there is nothing to do because this version is installed.
fn already_installed(package: &Package, inventory: &Inventory, console: &mut dyn Console) -> Option<Outcome> {
    let node = inventory.nodes.first()?;
    let is_this = node.version.as_ref() == Some(&package.version) && inventory.package_of(node).is_some();
    if !is_this || inventory.has_older() {
        return None;
    }
    match node {
        Node { started: true, problem: 0, .. } => {
            console.step("driver", &format!("{} is already installed and runs", package.version));
            Some(Outcome::Done)
        }
        Node { problem: change::NEED_RESTART, .. } => {
            console.step("driver", &format!("{} is already installed", package.version));
            console.step("restart", "restart Windows: the device works only then");
            Some(Outcome::RestartNeeded)
        }
        _ => None,
    }
}

/// Fails while Windows has yet to complete an earlier change.
fn require_no_restart(inventory: &Inventory, computer: &dyn Computer) -> Result<()> {
    let mut nodes = inventory.nodes.iter().chain(&inventory.old_nodes);
    let waits = nodes.any(|node| change::WAITS_FOR_RESTART.contains(&node.problem));
    if !waits && !computer.restart_is_pending_for(driver_package::layout::DRIVER_FILE)? {
        return Ok(());
    }
    Err(Failure::new(
        "Windows has to be restarted to complete an earlier change of Scream",
        "restart Windows and try again",
    ))
}

fn require_space(package: &Package, computer: &dyn Computer) -> Result<()> {
    // The package is copied to a temporary folder first.
    let needed = package.size.saturating_mul(2).saturating_add(OVERHEAD);
    let free = computer.free_space()?;
    if free >= needed {
        return Ok(());
    }
    Err(Failure::new(
        format!(
            "the disk of Windows has {} MiB free, and {} MiB are needed",
            free / MIB,
            needed.div_ceil(MIB)
        ),
        "free some space and try again",
    ))
}

/// Asks whether the older driver may go, if the command line does not say it.
fn require_replacement(arguments: &Install, console: &mut dyn Console) -> Result<()> {
    if arguments.replace_old {
        return Ok(());
    }
    let unanswered = || {
        Failure::new(
            "the older Scream driver is installed, and both cannot be",
            "add --replace-old to remove it",
        )
    };
    if arguments.rights.unattended {
        return Err(unanswered());
    }
    let question = "The older Scream driver is installed, and both cannot be. Remove it?";
    match console.ask(question) {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::new("the older Scream driver is to stay", "nothing was changed")),
        None => Err(unanswered()),
    }
}

/// Compares versions number by number.
fn compare(version: &str, other: &str) -> Ordering {
    let numbers = |version: &str| -> Vec<u32> {
        version.split('.').map(|number| number.trim().parse().unwrap_or(0)).collect()
    };
    numbers(version).cmp(&numbers(other))
}
