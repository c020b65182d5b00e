//! Where each file of the package is, below the folder that the zip unpacks to.
//!
//! ```text
//! install.bat  uninstall.bat  README.txt  LICENSE.txt  docs/install.md  docs/options.md
//! driver/scream.inf  driver/scream.cat  driver/x64/scream.sys  driver/arm64/scream.sys
//! x64/screamctl.exe  arm64/screamctl.exe
//! certificate/scream-test.cer                     if it is signed with a test certificate
//! symbols/x64/scream.pdb  symbols/arm64/scream.pdb
//! attestation/scream-VERSION.cab
//! ```

/// A processor that the package has a driver for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// 64-bit x86.
    X64,
    /// 64-bit ARM.
    Arm64,
}

impl Architecture {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::X64, Self::Arm64];

    /// The name of its folders.
    pub const fn folder(self) -> &'static str {
        match self {
            Self::X64 => "x64",
            Self::Arm64 => "arm64",
        }
    }
}

/// The folder of what Windows takes into its driver store.
pub const DRIVER: &str = "driver";
/// The INF, in [`DRIVER`].
pub const INF: &str = "scream.inf";
/// The catalog, in [`DRIVER`].
pub const CATALOG: &str = "scream.cat";
/// The driver, in a folder of its architecture, in [`DRIVER`].
pub const DRIVER_FILE: &str = "scream.sys";
/// The program, in a folder of its architecture.
pub const PROGRAM: &str = "screamctl.exe";
/// The test certificate, if there is one.
pub const TEST_CERTIFICATE: &str = "certificate/scream-test.cer";
/// How the common name of every test certificate of this project begins.
pub const TEST_CERTIFICATE_NAME: &str = "Scream in Rust test certificate";
