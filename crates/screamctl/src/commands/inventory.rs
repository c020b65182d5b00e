//! [`Inventory`]: what there is of this driver and of the older one on the computer.

use super::{HARDWARE_ID, OLD_HARDWARE_ID, Result, SERVICE};
use crate::computer::{CertificateStore, Computer, Node, StoredPackage};
use driver_package::layout::TEST_CERTIFICATE_NAME;

/// Whose driver the service `Scream` loads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceOwner {
    /// There is no such service.
    Nobody,
    /// This driver.
    This,
    /// The older driver, which is written in C++.
    Older,
    /// Neither: this file.
    Stranger(String),
}

/// What there is of this driver and of the older one.
#[derive(Debug)]
pub struct Inventory {
    /// The device nodes of this driver.
    pub nodes: Vec<Node>,
    /// Its packages in the driver store.
    pub packages: Vec<StoredPackage>,
    /// Whose driver the service loads.
    pub service: ServiceOwner,
    /// Whether that driver is loaded.
    pub is_loaded: bool,
    /// The device nodes of the older driver.
    pub old_nodes: Vec<Node>,
    /// Its packages in the driver store.
    pub old_packages: Vec<StoredPackage>,
}

impl Inventory {
    /// Looks at the computer.
    ///
    /// # Errors
    /// Windows does not tell.
    pub fn take(computer: &dyn Computer) -> Result<Self> {
        let old_nodes = computer.nodes(OLD_HARDWARE_ID)?;
        let nodes = computer.nodes(HARDWARE_ID)?;
        let service = computer.service(SERVICE)?;
        let is_loaded = service.as_ref().is_some_and(|service| service.running);
        let image_path = service.map(|service| service.image_path).unwrap_or_default();
        Ok(Self {
            is_loaded,
            service: owner(&image_path, &nodes, &old_nodes),
            nodes,
            packages: computer.packages(&[HARDWARE_ID])?,
            old_nodes,
            old_packages: computer.packages(&[OLD_HARDWARE_ID])?,
        })
    }

    /// Whether the older driver is installed. A package of it in the store alone does nothing.
    pub fn has_older(&self) -> bool {
        !self.old_nodes.is_empty() || self.service == ServiceOwner::Older
    }

    /// The stored package that a node has its driver from.
    pub fn package_of<'a>(&'a self, node: &Node) -> Option<&'a StoredPackage> {
        let inf = node.inf.as_deref()?;
        let mut packages = self.packages.iter().chain(&self.old_packages);
        packages.find(|package| package.published.eq_ignore_ascii_case(inf))
    }
}

/// Tells whose file a service has. A device that has its driver from one of the two packages tells it best; without one
/// the file does: this driver's lies in the driver store, the older one's among the drivers of Windows.
fn owner(image_path: &str, nodes: &[Node], old_nodes: &[Node]) -> ServiceOwner {
    let path = image_path.trim().trim_matches('"').replace('/', "\\").to_ascii_lowercase();
    let has_driver = |nodes: &[Node]| nodes.iter().any(|node| node.inf.is_some());
    if path.is_empty() {
        // The key is there for the options only.
        return ServiceOwner::Nobody;
    }
    if path.ends_with(r"system32\drivers\scream.sys") {
        return ServiceOwner::Older;
    }
    match (has_driver(nodes), has_driver(old_nodes)) {
        (true, _) => ServiceOwner::This,
        // Somebody has packed it anew, so that it lies in the store, too.
        (false, true) => ServiceOwner::Older,
        (false, false) if path.contains(r"\driverstore\filerepository\scream.inf_") => ServiceOwner::This,
        (false, false) => ServiceOwner::Stranger(image_path.to_owned()),
    }
}

/// The test certificates of this project that the computer trusts, each with the list that it is on.
///
/// # Errors
/// Windows does not tell.
pub fn test_certificates(computer: &dyn Computer) -> Result<Vec<(CertificateStore, Vec<u8>)>> {
    let mut found = Vec::new();
    for store in [CertificateStore::Root, CertificateStore::TrustedPublisher] {
        let certificates = computer.certificates(store, TEST_CERTIFICATE_NAME)?;
        found.extend(certificates.into_iter().map(|certificate| (store, certificate)));
    }
    Ok(found)
}

/// What a list of certificates is called.
pub const fn list_name(store: CertificateStore) -> &'static str {
    match store {
        CertificateStore::Root => "the trusted root authorities",
        CertificateStore::TrustedPublisher => "the trusted publishers",
    }
}
