//! [`Target`]: the processor that a driver is for, and how its testbed is built and run on this computer.

use std::process::Command;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::prerequisites::{
    ARM64_C_COMPILER, ARM64_C_LIBRARY, CLANG_HEADERS, EMULATOR, LIBCLANG, LINUX_ARM64_TARGET, NT_HEADERS,
    Need, WINDOWS_ARM64_TARGET, WINDOWS_X64_TARGET,
};

/// The processor that a driver is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Target {
    /// 64-bit x86.
    X64,
    /// 64-bit ARM.
    Arm64,
}

/// Where Debian puts the C library of [`ARM64_C_LIBRARY`].
const ARM64_ROOT: &str = "/usr/aarch64-linux-gnu";

impl Target {
    /// The processor of this computer.
    pub const HOST: Self = if cfg!(target_arch = "aarch64") { Self::Arm64 } else { Self::X64 };

    /// The target of the driver, as Rust calls it.
    pub fn windows_triple(self) -> &'static str {
        match self {
            Self::X64 => "x86_64-pc-windows-msvc",
            Self::Arm64 => "aarch64-pc-windows-msvc",
        }
    }

    /// What the build of the driver needs besides Rust.
    pub const fn needs(self) -> &'static [Need] {
        match self {
            Self::X64 => &[LIBCLANG, CLANG_HEADERS, NT_HEADERS, WINDOWS_X64_TARGET],
            Self::Arm64 => &[LIBCLANG, CLANG_HEADERS, NT_HEADERS, WINDOWS_ARM64_TARGET],
        }
    }

    /// What it takes to build and run the testbed for this processor here.
    pub const fn testbed_needs(self) -> &'static [Need] {
        match (self, Self::HOST) {
            (Self::Arm64, Self::X64) => &[LINUX_ARM64_TARGET, ARM64_C_COMPILER, ARM64_C_LIBRARY, EMULATOR],
            _ => &[],
        }
    }

    /// Lets a command of cargo build Linux programs for this processor, and run them in an emulator.
    ///
    /// # Errors
    /// This computer cannot do it.
    pub fn emulated(self, command: &mut Command) -> Result<&mut Command> {
        match (self, Self::HOST) {
            (Self::X64, Self::X64) | (Self::Arm64, Self::Arm64) => Ok(command),
            (Self::X64, Self::Arm64) => bail!("x64 drivers run on x64 computers only"),
            (Self::Arm64, Self::X64) => Ok(command
                .args(["--target", "aarch64-unknown-linux-gnu"])
                .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc")
                .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", "qemu-aarch64")
                .env("QEMU_LD_PREFIX", ARM64_ROOT)),
        }
    }

    /// Lets a command of cargo run its Linux program on another model of this computer's own processor.
    pub fn on_another_model(command: &mut Command) -> &mut Command {
        match Self::HOST {
            Self::X64 => {
                command.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", "qemu-x86_64 -cpu Nehalem")
            }
            Self::Arm64 => {
                command.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", "qemu-aarch64 -cpu cortex-a53")
            }
        }
    }
}
