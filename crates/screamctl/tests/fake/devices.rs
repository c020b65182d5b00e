//! Device nodes and the driver store.

use std::path::Path;

use screamctl::computer::{ApiError, ApiResult, Devices, DriverStore, Node, Restart, Service, StoredPackage};

use super::{FakeComputer, FakePackage, restart, speakers, stored};

/// No node has this hardware id.
const NO_SUCH_DEVICE: u32 = 0xE000_020B;
/// The publisher is not trusted.
const NOT_TRUSTED: u32 = 0xE000_0242;
/// There is no such file.
const NOT_FOUND: u32 = 2;

impl FakeComputer {
    /// Makes a node without a driver, with the lowest number that is free.
    pub fn add_node(&mut self, hardware_id: &str) -> String {
        let name = |number| format!(r"ROOT\MEDIA\{number:04}");
        let taken = |id: &String| self.state.nodes.iter().any(|node| node.instance_id == *id);
        let instance_id = (0..).map(name).find(|id| !taken(id)).expect("numbers never end");
        self.state.nodes.push(Node {
            instance_id: instance_id.clone(),
            hardware_ids: vec![hardware_id.to_owned()],
            inf: None,
            version: None,
            service: None,
            started: false,
            problem: 1,
        });
        self.state.nodes.sort_by(|a, b| a.instance_id.cmp(&b.instance_id));
        instance_id
    }

    /// Gives the driver of a stored package to every node that it is for.
    pub fn bind(&mut self, hardware_id: &str, published: &str) {
        let package = self.state.packages[published].clone();
        let stays_loaded = self.drivers_stay_loaded && self.service_runs();
        let problem = if stays_loaded && package.problem == 0 { 14 } else { package.problem };
        for node in self.state.nodes.iter_mut().filter(|node| has(node, hardware_id)) {
            node.inf = Some(published.to_owned());
            node.version = Some(package.version.clone());
            node.service = Some("Scream".to_owned());
            node.started = problem == 0 && !self.starts_late;
            node.problem = problem;
        }
        let running = stays_loaded || self.state.nodes.iter().any(|node| node.started);
        let image_path = package.image_path;
        self.state.services.insert("Scream".to_owned(), Service { image_path, running });
        self.find_endpoints();
    }

    fn service_runs(&self) -> bool {
        self.state.services.get("Scream").is_some_and(|service| service.running)
    }

    /// The playback device is there while a node runs.
    fn find_endpoints(&mut self) {
        let runs = self.state.nodes.iter().any(|node| has(node, r"ROOT\Scream") && node.started);
        if !runs {
            self.state.endpoints.clear();
        } else if self.endpoint_appears && self.state.endpoints.is_empty() {
            self.state.endpoints.push(speakers());
        }
    }

    /// Whether a package's signature is accepted, as things are now.
    fn verify(&self, package: &FakePackage, call: &'static str) -> ApiResult<()> {
        package.signature.map_err(|code| ApiError { call, code })?;
        let Some(certificate) = &package.signed_with else { return Ok(()) };
        let trusts = |list: &[(String, Vec<u8>)]| list.iter().any(|(_, der)| der == certificate);
        if !trusts(&self.state.root) {
            return Err(ApiError { call, code: 0x800B_0109 });
        }
        if !trusts(&self.state.trusted_publisher) {
            return Err(ApiError { call, code: NOT_TRUSTED });
        }
        Ok(())
    }

    /// The package of an INF, in a folder or in the store.
    fn package_of(&self, inf: &Path, call: &'static str) -> ApiResult<FakePackage> {
        let stored = self.state.packages.iter().find(|(name, package)| stored(name, package).path == inf);
        let found = stored.map(|(_, package)| package);
        found
            .or_else(|| self.folders.iter().find(|package| package.inf == inf))
            .cloned()
            .ok_or(ApiError { call, code: NOT_FOUND })
    }

    /// Copies a package into the store, if it is not there.
    fn store_package(&mut self, package: &FakePackage) -> (String, bool) {
        let there = self.state.packages.iter().find(|(_, other)| *other == package);
        if let Some((published, _)) = there {
            return (published.clone(), false);
        }
        let name = |number| format!("oem{number}.inf");
        let published =
            (0..).map(name).find(|name| !self.state.packages.contains_key(name)).expect("numbers never end");
        self.state.packages.insert(published.clone(), package.clone());
        (published, true)
    }
}

/// Whether a node has a hardware id, as Windows compares them.
fn has(node: &Node, hardware_id: &str) -> bool {
    node.hardware_ids.iter().any(|id| id.eq_ignore_ascii_case(hardware_id))
}

impl Devices for FakeComputer {
    fn nodes(&self, hardware_id: &str) -> ApiResult<Vec<Node>> {
        self.look("nodes", "SetupDiGetClassDevsW")?;
        Ok(self.state.nodes.iter().filter(|node| has(node, hardware_id)).cloned().collect())
    }

    fn create_node(&mut self, hardware_id: &str, _description: &str) -> ApiResult<String> {
        self.change("create_node", "SetupDiCallClassInstaller", hardware_id)?;
        Ok(self.add_node(hardware_id))
    }

    fn remove_node(&mut self, instance_id: &str) -> ApiResult<Restart> {
        self.change("remove_node", "DiUninstallDevice", instance_id)?;
        let at = self.state.nodes.iter().position(|node| node.instance_id == instance_id);
        let Some(at) = at else {
            return Err(ApiError { call: "DiUninstallDevice", code: NO_SUCH_DEVICE });
        };
        if self.drivers_stay_loaded && self.state.nodes[at].started {
            return Ok(Restart::Needed);
        }
        self.state.nodes.remove(at);
        let running = self.state.nodes.iter().any(|node| node.started);
        if let Some(service) = self.state.services.get_mut("Scream") {
            service.running = running;
        }
        self.find_endpoints();
        Ok(Restart::NotNeeded)
    }

    fn update_driver(&mut self, hardware_id: &str, inf: &Path) -> ApiResult<Restart> {
        let call = "UpdateDriverForPlugAndPlayDevicesW";
        self.change("update_driver", call, &format!("{hardware_id} {}", inf.display()))?;
        if !self.state.nodes.iter().any(|node| has(node, hardware_id)) {
            return Err(ApiError { call, code: NO_SUCH_DEVICE });
        }
        let package = self.package_of(inf, call)?;
        self.verify(&package, call)?;
        let (published, _) = self.store_package(&package);
        if self.gives_no_driver {
            for node in self.state.nodes.iter_mut().filter(|node| has(node, hardware_id)) {
                node.problem = 0;
            }
            return Ok(Restart::NotNeeded);
        }
        let needed = self.drivers_stay_loaded && self.service_runs();
        self.bind(hardware_id, &published);
        Ok(restart(needed))
    }
}

impl DriverStore for FakeComputer {
    fn packages(&self, hardware_ids: &[&str]) -> ApiResult<Vec<StoredPackage>> {
        self.look("packages", "FindFirstFileW")?;
        let is_for = |package: &FakePackage| {
            let mut ids = package.hardware_ids.iter();
            ids.any(|id| hardware_ids.iter().any(|wanted| wanted.eq_ignore_ascii_case(id)))
        };
        let packages = self.state.packages.iter().filter(|(_, package)| is_for(package));
        Ok(packages.map(|(published, package)| stored(published, package)).collect())
    }

    fn verify_signature(&self, inf: &Path) -> ApiResult<()> {
        let call = "SetupVerifyInfFileW";
        self.look("verify_signature", call)?;
        self.verify(&self.package_of(inf, call)?, call)
    }

    fn add_package(&mut self, inf: &Path) -> ApiResult<(String, bool)> {
        let call = "SetupCopyOEMInfW";
        self.change("add_package", call, &inf.display().to_string())?;
        let package = self.package_of(inf, call)?;
        self.verify(&package, call)?;
        Ok(self.store_package(&package))
    }

    fn remove_package(&mut self, published: &str) -> ApiResult<()> {
        let call = "SetupUninstallOEMInfW";
        self.change("remove_package", call, published)?;
        self.state.packages.remove(published).map(drop).ok_or(ApiError { call, code: NOT_FOUND })
    }
}
