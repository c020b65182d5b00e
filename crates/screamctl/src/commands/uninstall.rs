//! `screamctl uninstall`: removes every part of the driver; what refuses is told, and the rest goes all the same.

use super::inventory::{Inventory, ServiceOwner, list_name, test_certificates};
use super::service::delete_but_keep;
use super::{Result, rights};
use crate::Outcome;
use crate::arguments::Uninstall;
use crate::computer::{ApiError, ApiResult, CertificateStore, Computer, Restart, StoredValue};
use crate::console::Console;
use crate::failure::{Failure, explain};

/// `ERROR_SERVICE_MARKED_FOR_DELETE`.
const MARKED_FOR_DELETE: u32 = 1072;

/// Removes the driver.
///
/// # Errors
/// A part of it is left.
pub fn run(arguments: &Uninstall, computer: &mut dyn Computer, console: &mut dyn Console) -> Result {
    rights::require(computer)?;
    rights::require_native(computer)?;
    let found = Found::look(computer)?;
    if found.is_nothing(arguments.keep_options) {
        console.step("driver", "Scream is not installed");
        say_older(&found.inventory, console);
        return Ok(Outcome::Done);
    }
    let mut removal = Removal { computer, console, left: 0, restart: false };
    removal.nodes(&found.inventory);
    removal.packages(&found.inventory);
    removal.service(&found, arguments.keep_options);
    removal.options(&found, arguments.keep_options);
    removal.certificates(&found.certificates);
    let Removal { left, restart, .. } = removal;
    say_older(&found.inventory, console);
    if left > 0 {
        let parts = if left == 1 { "1 part is".to_owned() } else { format!("{left} parts are") };
        return Err(Failure::new(
            format!("Scream could not be removed in full, {parts} left"),
            "restart Windows and start \"screamctl uninstall\" again",
        ));
    }
    if restart {
        console.step("restart", "restart Windows to complete it");
        return Ok(Outcome::RestartNeeded);
    }
    console.step("driver", "Scream is removed");
    Ok(Outcome::Done)
}

/// What there is to remove.
struct Found {
    inventory: Inventory,
    options: Vec<StoredValue>,
    certificates: Vec<(CertificateStore, Vec<u8>)>,
}

impl Found {
    fn look(computer: &dyn Computer) -> Result<Self> {
        Ok(Self {
            inventory: Inventory::take(computer)?,
            options: computer.option_values()?,
            certificates: test_certificates(computer)?,
        })
    }

    /// Whether the options are this driver's alone. The older driver reads the same ones.
    fn owns_options(&self) -> bool {
        matches!(self.inventory.service, ServiceOwner::This | ServiceOwner::Nobody)
            && !self.inventory.has_older()
    }

    fn is_nothing(&self, keep_options: bool) -> bool {
        let Inventory { nodes, packages, service, .. } = &self.inventory;
        let no_options = keep_options || self.options.is_empty() || !self.owns_options();
        let no_driver = nodes.is_empty() && packages.is_empty() && *service != ServiceOwner::This;
        no_driver && no_options && self.certificates.is_empty()
    }
}

fn say_older(inventory: &Inventory, console: &mut dyn Console) {
    if inventory.has_older() {
        console.step("older driver", "it is installed, and left alone");
    }
}

/// The removal under way.
struct Removal<'a> {
    computer: &'a mut dyn Computer,
    console: &'a mut dyn Console,
    /// How many parts could not be removed.
    left: usize,
    /// Whether a part goes at the next start of Windows.
    restart: bool,
}

impl Removal<'_> {
    /// Says what came of a part.
    fn tell<T>(&mut self, about: &str, result: ApiResult<T>, removed: &str, what: &str) {
        match result {
            Ok(_) => self.console.step(about, removed),
            Err(error) => self.leave(what, error),
        }
    }

    fn leave(&mut self, what: &str, error: ApiError) {
        self.left += 1;
        self.console.step("left", &format!("{what}: {}", explain(error)));
    }

    fn nodes(&mut self, inventory: &Inventory) {
        for node in &inventory.nodes {
            let id = &node.instance_id;
            let result = self.computer.remove_node(id);
            let restart = result == Ok(Restart::Needed);
            self.restart |= restart;
            let when = if restart { "goes when Windows is restarted" } else { "removed" };
            self.tell("device", result, &format!("{id} {when}"), &format!("the device {id}"));
        }
    }

    fn packages(&mut self, inventory: &Inventory) {
        for package in &inventory.packages {
            let name = format!("{} ({})", package.published, package.version);
            let result = self.computer.remove_package(&package.published);
            let what = format!("the package {name} in the driver store");
            self.tell("driver store", result, &format!("{name} removed"), &what);
        }
    }

    /// Deletes the service. While its driver is loaded Windows only notes that for its next start, when the options would
    /// go, too: then a service whose options are to stay stays as well, and does nothing.
    fn service(&mut self, found: &Found, keep_options: bool) {
        if found.inventory.service != ServiceOwner::This {
            return;
        }
        let kept: &[StoredValue] = if keep_options { &found.options } else { &[] };
        if self.restart && !kept.is_empty() {
            self.console.step("service", "stays for the options");
            return;
        }
        match delete_but_keep(kept, self.computer) {
            Err(error) if error.code == MARKED_FOR_DELETE => {
                self.restart = true;
                self.console.step("service", "goes when Windows is restarted");
            }
            result => self.tell("service", result, "deleted", "the service, or its options"),
        }
    }

    fn options(&mut self, found: &Found, keep_options: bool) {
        let count = found.options.len();
        if count == 0 {
            return;
        }
        if keep_options || !found.owns_options() {
            self.console.step("options", &format!("{count} kept"));
            return;
        }
        // They went with the service, unless it waits for the restart or was not there.
        let result = self.computer.delete_options();
        self.tell("options", result, &format!("{count} deleted"), "the options");
    }

    fn certificates(&mut self, certificates: &[(CertificateStore, Vec<u8>)]) {
        for (store, certificate) in certificates {
            let list = list_name(*store);
            let result = self.computer.remove_certificate(*store, certificate);
            let what = format!("the test certificate among {list}");
            self.tell("certificate", result, &format!("removed from {list}"), &what);
        }
    }
}
