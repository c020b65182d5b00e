//! [`Config`]: what a build script asks about the driver and the headers.

use std::fmt;
use std::path::PathBuf;

use crate::ConfigError;
use crate::architecture::Architecture;
use crate::headers::Headers;

/// The configuration of a WDM driver.
#[derive(Debug, Clone)]
pub struct Config {
    /// The driver model. Always [`DriverConfig::Wdm`] here.
    pub driver_config: DriverConfig,
    architecture: Architecture,
    headers: Headers,
}

/// The driver model. Build scripts match on all three; only the first one occurs here.
#[derive(Debug, Clone)]
pub enum DriverConfig {
    /// Windows Driver Model.
    Wdm,
    /// Kernel-Mode Driver Framework.
    Kmdf(KmdfConfig),
    /// User-Mode Driver Framework.
    Umdf(UmdfConfig),
}

/// Version of the kernel-mode framework.
#[derive(Debug, Clone, Copy)]
pub struct KmdfConfig {
    /// Major version.
    pub kmdf_version_major: u8,
    /// Minor version the driver is written for.
    pub target_kmdf_version_minor: u8,
}

/// Version of the user-mode framework.
#[derive(Debug, Clone, Copy)]
pub struct UmdfConfig {
    /// Major version.
    pub umdf_version_major: u8,
    /// Minor version the driver is written for.
    pub target_umdf_version_minor: u8,
}

/// A part of the Windows driver interface that has headers of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiSubset {
    /// The kernel interface that every driver uses.
    Base,
    /// The driver frameworks.
    Wdf,
    /// General-purpose input and output pins.
    Gpio,
    /// Human interface devices.
    Hid,
    /// Parallel ports.
    ParallelPorts,
    /// Simple peripheral buses.
    Spb,
    /// Storage.
    Storage,
    /// USB.
    Usb,
}

impl Config {
    /// The configuration of this project's driver, with the headers that the environment names.
    ///
    /// # Errors
    /// No usable headers: neither `WDKContentRoot` nor the distribution's package has them. Or cargo builds for a
    /// processor that Windows drivers are not built for.
    pub fn from_env_auto() -> Result<Self, ConfigError> {
        let architecture = Architecture::from_env()?;
        Ok(Self { driver_config: DriverConfig::Wdm, architecture, headers: Headers::find()? })
    }

    /// True if the headers are a copy of the genuine WDK's (`WDKContentRoot` is set), so that declarations
    /// can be proved against them. Not in the genuine crate, where it goes without saying.
    pub fn has_genuine_headers(&self) -> bool {
        self.headers.are_genuine()
    }

    /// The headers of `api_subset`, in the order in which they have to be included.
    ///
    /// # Errors
    /// None today; the signature is that of the genuine crate.
    pub fn headers(&self, api_subset: ApiSubset) -> Result<impl Iterator<Item = String>, ConfigError> {
        let names = match api_subset {
            ApiSubset::Base => self.headers.base(),
            // The driver uses no other subset: PortCls and WSK are declared in src/abi.
            _ => &[],
        };
        Ok(names.iter().map(|name| (*name).to_owned()))
    }

    /// A C source that includes the headers of `api_subsets`.
    ///
    /// # Errors
    /// None today; the signature is that of the genuine crate.
    pub fn bindgen_header_contents(
        &self,
        api_subsets: impl IntoIterator<Item = ApiSubset> + fmt::Debug,
    ) -> Result<String, ConfigError> {
        let mut contents = String::new();
        for api_subset in api_subsets {
            for header in self.headers(api_subset)? {
                contents.push_str(&format!("#include \"{header}\"\n"));
            }
        }
        Ok(contents)
    }

    /// `#[link]` attributes for the generated bindings: none, because the import libraries are made when the
    /// driver itself is linked.
    pub fn bindgen_library_link_raw_lines(&self, _api_subset: ApiSubset) -> Option<String> {
        None
    }

    /// The symbol of the framework's function table. A WDM driver has none.
    pub fn compute_wdffunctions_symbol_name(&self) -> Option<String> {
        None
    }

    /// What the compiler driver defines when it builds a kernel-mode driver.
    pub fn preprocessor_definitions(&self) -> impl Iterator<Item = (String, Option<String>)> {
        let architecture = self.declared_architecture().definitions();
        let kernel_mode = [("_KERNEL_MODE", None)];
        let version = self.headers.version_definitions();
        let all = architecture.iter().chain(&kernel_mode).chain(version).copied();
        let owned: Vec<_> = all.map(|(name, value)| (name.to_owned(), value.map(str::to_owned))).collect();
        owned.into_iter()
    }

    /// The processor whose declarations are read.
    pub(crate) fn declared_architecture(&self) -> Architecture {
        self.headers.declared_for(self.architecture)
    }

    /// The directories to search for headers, in order.
    ///
    /// # Errors
    /// A directory cannot be read, or the directory of links to the genuine headers cannot be written to
    /// `OUT_DIR`.
    pub fn include_paths(&self) -> Result<impl Iterator<Item = PathBuf>, ConfigError> {
        Ok(self.headers.include_paths()?.into_iter())
    }

    /// What the compiler needs to be told to accept the headers, besides definitions and directories.
    pub(crate) fn compiler_arguments(&self) -> Result<Vec<String>, ConfigError> {
        self.headers.compiler_arguments()
    }

    /// Sets the cfg that says which driver model is being built.
    ///
    /// # Errors
    /// None today; the signature is that of the genuine crate.
    pub fn configure_library_build(&self) -> Result<(), ConfigError> {
        println!(r#"cargo::rustc-check-cfg=cfg(driver_model__driver_type, values("WDM", "KMDF", "UMDF"))"#);
        println!(r#"cargo::rustc-cfg=driver_model__driver_type="WDM""#);
        Ok(())
    }

    /// Passes the linker arguments of a kernel-mode driver, and makes the libraries to link.
    ///
    /// # Errors
    /// An import list cannot be read, or its library cannot be written to `OUT_DIR`.
    pub fn configure_binary_build(&self) -> Result<(), ConfigError> {
        crate::link::emit_arguments();
        crate::link::emit_import_libraries(self.architecture.machine())?;
        self.configure_library_build()
    }
}
