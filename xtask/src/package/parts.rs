//! What a package is made of, as it was built.

use std::path::PathBuf;

use anyhow::Result;
use driver_package::layout::Architecture;
use indicatif::ProgressBar;

use super::step;
use crate::driver::{self, Profile};
use crate::target::Target;
use crate::windows_program;

/// The program that installs the driver and sets it up.
const PROGRAM: &str = "screamctl";

/// What is built for one processor.
pub struct Part {
    /// The processor.
    pub architecture: Architecture,
    /// The driver.
    pub driver: PathBuf,
    /// Its symbols.
    pub symbols: PathBuf,
    /// The program.
    pub program: PathBuf,
}

/// What is built for all processors.
pub struct Parts(pub Vec<Part>);

impl Parts {
    /// Builds everything.
    ///
    /// # Errors
    /// Something does not build, or a driver breaks a rule.
    pub fn build(progress: &ProgressBar) -> Result<Self> {
        let targets = Architecture::ALL.map(target);
        step(progress, &format!("building {PROGRAM}.exe"));
        let programs = progress.suspend(|| windows_program::build(PROGRAM, &targets))?;
        let mut parts = Vec::new();
        for (architecture, program) in Architecture::ALL.into_iter().zip(programs) {
            step(progress, &format!("building scream.sys for {}", architecture.folder()));
            let driver = progress.suspend(|| driver::build_for(target(architecture), Profile::Release))?;
            parts.push(Part { architecture, symbols: driver.with_extension("pdb"), driver, program });
        }
        Ok(Self(parts))
    }
}

/// A processor, as the drivers' build calls it.
pub fn target(architecture: Architecture) -> Target {
    match architecture {
        Architecture::X64 => Target::X64,
        Architecture::Arm64 => Target::Arm64,
    }
}
