//! What commands need besides Rust, and how to get it.
//!
//! A command lists [`Need`]s. [`ensure`] installs those that are missing, and says what and why. To add a
//! package: one constant in [`needs`], or in [`sound`] if the receiver needs it, and its name in the list of each
//! command that needs it.

mod needs;
pub mod sound;

use std::path::Path;
use std::process::Command;
use std::{env, fs, io};

use anyhow::{Result, bail};

use crate::process::{cargo, output, root, run};
pub use needs::*;

/// Something that has to be there before a command can run.
#[derive(Clone, Copy)]
pub enum Need {
    /// A package of the distribution.
    Package {
        /// Its name in Debian and Ubuntu.
        name: &'static str,
        /// What it is for.
        why: &'static str,
        /// True if what it provides is there, wherever it came from.
        present: fn() -> bool,
    },
    /// A program that cargo installs.
    CargoCommand {
        /// Its name, which is also that of its package.
        name: &'static str,
        /// The version that is installed when there is none.
        version: &'static str,
        /// What it is for.
        why: &'static str,
    },
    /// A component of the nightly toolchain.
    NightlyComponent {
        /// Its name.
        name: &'static str,
        /// What it is for.
        why: &'static str,
    },
    /// The standard library of a target.
    RustTarget {
        /// The target.
        triple: &'static str,
        /// What it is for.
        why: &'static str,
    },
    /// Packages of Python, in a place of their own.
    PythonPackages {
        /// Their names.
        name: &'static str,
        /// What they are for.
        why: &'static str,
        /// True if they are there.
        present: fn() -> bool,
        /// Gets them.
        install: fn() -> Result<()>,
    },
}

/// What to do about something that is missing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Install it.
    Install,
    /// Name it, and fail.
    Report,
}

/// Makes sure that all of `needs` is there.
///
/// # Errors
/// Something is missing and may not or cannot be installed. The message names it.
pub fn ensure(needs: &[Need], policy: Policy) -> Result<()> {
    let mut missing: Vec<&Need> = Vec::new();
    // A list that is made of others may name a thing twice.
    for need in needs.iter().filter(|need| !need.is_present()) {
        if !missing.iter().any(|other| other.described() == need.described()) {
            missing.push(need);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    if policy == Policy::Report {
        let list: Vec<_> = missing.iter().map(|need| need.described()).collect();
        bail!("missing: {}", list.join(", "));
    }
    for need in &missing {
        eprintln!("installing {}", need.described());
    }
    let packages: Vec<_> = missing.iter().filter_map(|need| need.package()).collect();
    if !packages.is_empty() {
        install_packages(&packages)?;
    }
    let targets: Vec<_> = missing.iter().filter_map(|need| need.target()).collect();
    if !targets.is_empty() {
        install_targets(&targets)?;
    }
    for component in missing.iter().filter_map(|need| need.nightly_component()) {
        install_nightly_component(component)?;
    }
    for need in &missing {
        if let Need::CargoCommand { name, version, .. } = need {
            run(&mut cargo(".", &["install", "--locked", "--version", version, name]))?;
        }
    }
    for need in &missing {
        if let Need::PythonPackages { install, .. } = need {
            install()?;
        }
    }
    match missing.iter().find(|need| !need.is_present()) {
        None => Ok(()),
        Some(need) => bail!("still missing after it was installed: {}", need.described()),
    }
}

impl Need {
    /// True if it is there.
    pub fn is_present(&self) -> bool {
        match self {
            Self::Package { present, .. } | Self::PythonPackages { present, .. } => present(),
            Self::RustTarget { triple, .. } => has_target(triple),
            Self::NightlyComponent { name, .. } => has_nightly_component(name),
            Self::CargoCommand { name, .. } => has_program(name),
        }
    }

    fn described(&self) -> String {
        match self {
            Self::Package { name, why, .. } => format!("{name} ({why})"),
            Self::RustTarget { triple, why } => format!("Rust target {triple} ({why})"),
            Self::NightlyComponent { name, why } => format!("{name} of the nightly toolchain ({why})"),
            Self::CargoCommand { name, why, .. } => format!("{name} ({why})"),
            Self::PythonPackages { name, why, .. } => format!("Python's {name} ({why})"),
        }
    }

    fn package(&self) -> Option<&'static str> {
        match self {
            Self::Package { name, .. } => Some(name),
            _ => None,
        }
    }

    fn target(&self) -> Option<&'static str> {
        match self {
            Self::RustTarget { triple, .. } => Some(triple),
            _ => None,
        }
    }

    fn nightly_component(&self) -> Option<&'static str> {
        match self {
            Self::NightlyComponent { name, .. } => Some(name),
            _ => None,
        }
    }
}

/// True if `directory` has a file whose name begins like this.
fn has_file_like(directory: &Path, beginning: &str) -> bool {
    let Ok(entries) = fs::read_dir(directory) else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(beginning))
}

/// True if the pinned toolchain can compile for `triple`.
fn has_target(triple: &str) -> bool {
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]).current_dir(root()));
    sysroot.is_ok_and(|sysroot| {
        let library = Path::new(sysroot.trim()).join("lib/rustlib").join(triple).join("lib");
        has_file_like(&library, "libcore")
    })
}

/// True if the nightly toolchain has a component.
fn has_nightly_component(name: &str) -> bool {
    let installed =
        output(Command::new("rustup").args(["component", "list", "--toolchain", "nightly", "--installed"]));
    installed.is_ok_and(|list| list.lines().any(|line| line.starts_with(name)))
}

fn install_nightly_component(name: &str) -> Result<()> {
    if !has_program("rustup") {
        bail!(
            "no rustup here: install it (Debian: rustup, or https://rustup.rs), and the nightly toolchain with {name}"
        );
    }
    run(Command::new("rustup")
        .args(["component", "add", name, "--toolchain", "nightly"])
        .stdout(io::stderr()))
}

/// Installs packages with apt. Its lists are fetched only if it cannot do without: that takes longer than the
/// rest.
fn install_packages(packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if !has_program("apt-get") {
        bail!("no apt-get here: install what Debian calls {list}");
    }
    let Some(administrator) = administrator() else {
        bail!("neither root nor sudo: let an administrator run `apt-get install {list}`");
    };
    let apt = |arguments: &[&str]| {
        let mut command = Command::new(administrator[0]);
        command.args(&administrator[1..]).args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]);
        command.args(arguments).stdout(io::stderr()).stdin(std::process::Stdio::null());
        run(&mut command)
    };
    let install = [&["install", "-y", "--no-install-recommends"], packages].concat();
    if apt(&install).is_ok() {
        return Ok(());
    }
    eprintln!("fetching the lists of packages, and trying again");
    apt(&["update"])?;
    apt(&install)
}

/// What to put before a command to run it as root; it ends with `env`, so that variables can follow.
fn administrator() -> Option<&'static [&'static str]> {
    let user = output(Command::new("id").arg("-u"));
    if user.is_ok_and(|user| user.trim() == "0") {
        Some(&["env"])
    } else if has_program("sudo") {
        Some(&["sudo", "env"])
    } else {
        None
    }
}

fn install_targets(targets: &[&str]) -> Result<()> {
    if !has_program("rustup") {
        bail!(
            "no rustup here: install it (Debian: rustup, or https://rustup.rs), or the Rust target {}",
            targets.join(", ")
        );
    }
    // In the repository, so that the pinned toolchain gets them.
    run(Command::new("rustup").args(["target", "add"]).args(targets).current_dir(root()).stdout(io::stderr()))
}

/// True if a program of this name is in the search path.
fn has_program(name: &str) -> bool {
    let Some(path) = env::var_os("PATH") else { return false };
    env::split_paths(&path).any(|directory| directory.join(name).is_file())
}
