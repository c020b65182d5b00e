//! `screamctl` for the tests under wine.
//!
//! It is the same program on the same [`ThisComputer`]. Only where the SetupAPI of wine 8 falls short of Windows it is told
//! what it needs in its own terms:
//!
//! - it knows neither the version in a models section's name (`NTamd64.10.0...19041`), nor directory 13: the INF is
//!   rewritten without them, so that files go to a folder as the driver store has them;
//! - it keeps an INF under its own name: the rewritten one is called as Windows would call it, `oem0.inf`;
//! - it does not note which version a driver has: that is read from the INF that it says the driver came with;
//! - it cannot be told to accept test certificates, and loads no driver anyway.

#[cfg(windows)]
mod on_wine {
    use std::ffi::OsString;
    use std::net::{IpAddr, SocketAddr};
    use std::path::{Path, PathBuf};
    use std::{env, fs, io};

    use screamctl::computer::windows::ThisComputer;
    use screamctl::computer::{
        ApiError, ApiResult, Audio, CertificateStore, Certificates, CodeIntegrity, Devices, DriverStore,
        Endpoint, FirewallProfile, Interface, Machine, Mix, Network, Node, OptionStore, Restart, Route,
        Service, Services, StoredPackage, StoredValue, System,
    };

    /// What is written differently for wine.
    const TERMS: [(&str, &str); 3] = [
        (".10.0...19041", ""),
        ("= 13, x64", r"= 11, DriverStore\FileRepository\scream.inf_amd64_wine\x64"),
        (r"%13%\x64", r"%11%\DriverStore\FileRepository\scream.inf_amd64_wine\x64"),
    ];

    /// The name that the INF gets.
    const PUBLISHED: &str = "oem0.inf";

    /// A computer with wine.
    pub struct Wine(ThisComputer);

    impl Wine {
        /// This computer.
        pub fn new() -> Self {
            Self(ThisComputer::new())
        }
    }

    /// Makes a copy of a package that wine understands, and returns its INF.
    fn rewrite(inf: &Path) -> ApiResult<PathBuf> {
        let folder = env::temp_dir().join("on-wine");
        let rewritten = folder.join(PUBLISHED);
        if inf.file_name() != Some(PUBLISHED.as_ref()) {
            let source = inf.parent().unwrap_or(Path::new("."));
            write(inf, source, &folder).map_err(|error| ApiError {
                call: "CopyFileW",
                code: error.raw_os_error().unwrap_or(0).cast_unsigned(),
            })?;
        }
        Ok(rewritten)
    }

    fn write(inf: &Path, source: &Path, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder.join("x64"))?;
        let text = fs::read_to_string(inf)?;
        let text = TERMS.iter().fold(text, |text, (windows, wine)| text.replace(windows, wine));
        fs::write(folder.join(PUBLISHED), text)?;
        for file in ["scream.cat", r"x64\scream.sys"] {
            fs::copy(source.join(file), folder.join(file))?;
        }
        Ok(())
    }

    impl System for Wine {
        fn is_elevated(&self) -> ApiResult<bool> {
            self.0.is_elevated()
        }
        fn run_elevated(&self, arguments: &[OsString]) -> ApiResult<i32> {
            self.0.run_elevated(arguments)
        }
        fn machine(&self) -> ApiResult<Machine> {
            self.0.machine()
        }
        fn build(&self) -> ApiResult<u32> {
            self.0.build()
        }
        fn code_integrity(&self) -> ApiResult<CodeIntegrity> {
            Ok(CodeIntegrity { test_signing: true, ..self.0.code_integrity()? })
        }
        fn secure_boot(&self) -> ApiResult<Option<bool>> {
            self.0.secure_boot()
        }
        fn upgraded_system(&self) -> ApiResult<u32> {
            self.0.upgraded_system()
        }
        fn restart_is_pending_for(&self, file_name: &str) -> ApiResult<bool> {
            self.0.restart_is_pending_for(file_name)
        }
        fn free_space(&self) -> ApiResult<u64> {
            self.0.free_space()
        }
        fn program(&self) -> ApiResult<PathBuf> {
            self.0.program()
        }
    }

    impl OptionStore for Wine {
        fn option_values(&self) -> ApiResult<Vec<StoredValue>> {
            self.0.option_values()
        }
        fn store_option(&mut self, value: &StoredValue) -> ApiResult<()> {
            self.0.store_option(value)
        }
        fn delete_option(&mut self, name: &str) -> ApiResult<bool> {
            self.0.delete_option(name)
        }
        fn delete_options(&mut self) -> ApiResult<bool> {
            self.0.delete_options()
        }
    }

    impl Devices for Wine {
        fn nodes(&self, hardware_id: &str) -> ApiResult<Vec<Node>> {
            let packages = self.0.packages(&[hardware_id])?;
            let mut nodes = self.0.nodes(hardware_id)?;
            for node in &mut nodes {
                let package = packages.iter().find(|package| Some(&package.published) == node.inf.as_ref());
                node.version = package.map(|package| package.version.clone());
            }
            Ok(nodes)
        }
        fn create_node(&mut self, hardware_id: &str, description: &str) -> ApiResult<String> {
            self.0.create_node(hardware_id, description)
        }
        fn remove_node(&mut self, instance_id: &str) -> ApiResult<Restart> {
            self.0.remove_node(instance_id)
        }
        fn update_driver(&mut self, hardware_id: &str, inf: &Path) -> ApiResult<Restart> {
            self.0.update_driver(hardware_id, &rewrite(inf)?)
        }
    }

    impl DriverStore for Wine {
        fn packages(&self, hardware_ids: &[&str]) -> ApiResult<Vec<StoredPackage>> {
            self.0.packages(hardware_ids)
        }
        fn verify_signature(&self, inf: &Path) -> ApiResult<()> {
            self.0.verify_signature(inf)
        }
        fn add_package(&mut self, inf: &Path) -> ApiResult<(String, bool)> {
            self.0.add_package(&rewrite(inf)?)
        }
        fn remove_package(&mut self, published: &str) -> ApiResult<()> {
            self.0.remove_package(published)
        }
    }

    impl Services for Wine {
        fn service(&self, name: &str) -> ApiResult<Option<Service>> {
            self.0.service(name)
        }
        fn delete_service(&mut self, name: &str) -> ApiResult<bool> {
            self.0.delete_service(name)
        }
    }

    impl Certificates for Wine {
        fn certificates(&self, store: CertificateStore, common_name: &str) -> ApiResult<Vec<Vec<u8>>> {
            self.0.certificates(store, common_name)
        }
        fn add_certificate(&mut self, store: CertificateStore, certificate: &[u8]) -> ApiResult<bool> {
            self.0.add_certificate(store, certificate)
        }
        fn remove_certificate(&mut self, store: CertificateStore, certificate: &[u8]) -> ApiResult<bool> {
            self.0.remove_certificate(store, certificate)
        }
    }

    impl Audio for Wine {
        fn endpoints(&self, hardware_id: &str) -> ApiResult<Vec<Endpoint>> {
            self.0.endpoints(hardware_id)
        }
        fn play(
            &mut self,
            endpoint: &Endpoint,
            fill: &mut dyn FnMut(Mix, &mut [f32]) -> bool,
        ) -> ApiResult<()> {
            self.0.play(endpoint, fill)
        }
    }

    impl Network for Wine {
        fn interfaces(&self) -> ApiResult<Vec<Interface>> {
            self.0.interfaces()
        }
        fn route(
            &self,
            target: SocketAddr,
            interface: Option<u32>,
            source: Option<IpAddr>,
        ) -> ApiResult<Route> {
            self.0.route(target, interface, source)
        }
        fn firewall(&self) -> ApiResult<Vec<FirewallProfile>> {
            self.0.firewall()
        }
    }
}

#[cfg(windows)]
fn main() {
    let arguments = std::env::args_os().collect();
    let mut console = screamctl::console::Terminal;
    std::process::exit(screamctl::run(arguments, &mut on_wine::Wine::new(), &mut console));
}

#[cfg(not(windows))]
fn main() {
    eprintln!("error: on_wine is a program for wine");
    std::process::exit(screamctl::FAILED);
}
