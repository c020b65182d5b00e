//! [`Prefix`]: a Windows of wine's on which `screamctl.exe` runs.

use std::ops::Deref;
use std::path::PathBuf;

use wine::from_environment;
pub use wine::{Ended, windows_path};

/// A Windows of wine's.
pub struct Prefix(wine::Prefix);

impl Prefix {
    /// A new one.
    pub fn new() -> Self {
        Self(wine::Prefix::new_in(env!("CARGO_TARGET_TMPDIR")))
    }

    /// Runs `screamctl.exe` with arguments that are separated by spaces.
    pub fn screamctl(&self, arguments: &str) -> Ended {
        self.run(screamctl(), &arguments.split(' ').collect::<Vec<_>>())
    }

    /// Has wine make what it makes when it is first asked: its lists of certificates and of sound devices.
    pub fn settle(&self) {
        let ended = self.screamctl("status");
        assert_eq!(ended.code, 1, "{ended:?}");
    }
}

impl Deref for Prefix {
    type Target = wine::Prefix;

    fn deref(&self) -> &wine::Prefix {
        &self.0
    }
}

/// `screamctl.exe`.
pub fn screamctl() -> PathBuf {
    from_environment("SCREAMCTL_EXE", "screamctl.exe")
}

/// `on_wine.exe`.
pub fn on_wine() -> PathBuf {
    from_environment("SCREAMCTL_ON_WINE_EXE", "the example on_wine of screamctl")
}

/// The folder of the package.
pub fn package() -> PathBuf {
    from_environment("SCREAM_PACKAGE", "an unpacked package")
}
