//! [`Transaction`]: what was changed, and how each change is taken back.

use std::path::PathBuf;

use super::super::inventory::list_name;
use super::super::service::delete_but_keep;
use super::super::{HARDWARE_ID, OLD_HARDWARE_ID};
use super::change::{DESCRIPTION, OLD_DESCRIPTION};
use crate::computer::{ApiError, ApiResult, CertificateStore, Computer, Restart, StoredValue};
use crate::console::Console;
use crate::failure::explain;

/// How a change is taken back.
#[derive(Debug)]
pub enum Undo {
    /// A certificate was added to a list.
    Distrust(CertificateStore, Vec<u8>),
    /// A package was added to the store.
    RemovePackage(String),
    /// A device node was made.
    RemoveNode(String),
    /// A node without a driver was given one.
    RemakeNode(String),
    /// Nodes were given a driver in place of the one of this stored package.
    GiveBackDriver(PathBuf),
    /// A node of the older driver was removed, which had its driver from this stored package.
    RemakeOldNode(Option<PathBuf>),
    /// The service came with the driver, to options that were there before.
    DeleteService(Vec<StoredValue>),
}

impl Undo {
    /// Takes the change back. `None`: it had not come to the change.
    fn apply(&self, computer: &mut dyn Computer) -> ApiResult<Option<Restart>> {
        let done = Some(Restart::NotNeeded);
        let if_found = |found: bool| found.then_some(Restart::NotNeeded);
        match self {
            Self::Distrust(store, certificate) => {
                computer.remove_certificate(*store, certificate).map(if_found)
            }
            Self::RemovePackage(published) => computer.remove_package(published).map(|()| done),
            Self::RemoveNode(node) => computer.remove_node(node).map(Some),
            Self::RemakeNode(node) => {
                let restart = computer.remove_node(node)?;
                computer.create_node(HARDWARE_ID, DESCRIPTION)?;
                Ok(Some(restart))
            }
            Self::GiveBackDriver(inf) => computer.update_driver(HARDWARE_ID, inf).map(Some),
            Self::RemakeOldNode(inf) => {
                computer.create_node(OLD_HARDWARE_ID, OLD_DESCRIPTION)?;
                inf.as_ref().map_or(Ok(done), |inf| computer.update_driver(OLD_HARDWARE_ID, inf).map(Some))
            }
            Self::DeleteService(options) => delete_but_keep(options, computer).map(if_found),
        }
    }

    /// What the change back is.
    fn text(&self) -> String {
        match self {
            Self::Distrust(store, _) => format!("remove the certificate from {}", list_name(*store)),
            Self::RemovePackage(published) => format!("remove {published} from the driver store"),
            Self::RemoveNode(node) => format!("remove the device {node}"),
            Self::RemakeNode(node) => format!("take the driver from the device {node}"),
            Self::GiveBackDriver(_) => "give the device its earlier driver".to_owned(),
            Self::RemakeOldNode(_) => "bring back the device of the older driver".to_owned(),
            Self::DeleteService(_) => "delete the service".to_owned(),
        }
    }
}

/// What was changed.
#[derive(Debug, Default)]
pub struct Transaction {
    undo: Vec<Undo>,
}

impl Transaction {
    /// Notes how a change is taken back that was just made, or that may be half made by a call that fails.
    pub fn push(&mut self, undo: Undo) {
        self.undo.push(undo);
    }

    /// Takes all changes back, the last one first, and says what came of it.
    pub fn roll_back(self, computer: &mut dyn Computer, console: &mut dyn Console) {
        if self.undo.is_empty() {
            console.step("state", "nothing was changed");
            return;
        }
        let (mut failed, mut restart) = (false, false);
        for undo in self.undo.iter().rev() {
            match undo.apply(computer) {
                Ok(None) => {}
                Ok(Some(needed)) => {
                    restart |= needed == Restart::Needed;
                    console.step("undo", &undo.text());
                }
                Err(error) => {
                    failed = true;
                    console.step("undo failed", &cannot(&undo.text(), error));
                }
            }
        }
        console.step(
            "state",
            match (failed, restart) {
                (true, _) => "not all of it could be undone: \"screamctl uninstall\" removes what is left",
                (false, true) => "it will be as it was before once Windows has been restarted",
                (false, false) => "it is as it was before",
            },
        );
    }
}

/// That something cannot be done, in a line.
pub fn cannot(what: &str, error: ApiError) -> String {
    format!("cannot {what}: {}", explain(error))
}
