//! [`Architecture`]: the processor that a driver is built for, and what tools call it.

use std::env;

use implib::MachineType;

use crate::ConfigError;

/// The processor that the driver is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Architecture {
    /// `x86_64`.
    X64,
    /// `aarch64`.
    Arm64,
}

impl Architecture {
    /// The one that cargo builds for. Only build scripts are told.
    pub(crate) fn from_env() -> Result<Self, ConfigError> {
        Self::named(&env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default())
    }

    fn named(name: &str) -> Result<Self, ConfigError> {
        match name {
            "x86_64" => Ok(Self::X64),
            "aarch64" => Ok(Self::Arm64),
            other => Err(ConfigError::Architecture { name: other.to_owned() }),
        }
    }

    /// What the compiler driver defines for it: the definitions of the genuine crate.
    pub(crate) fn definitions(self) -> &'static [(&'static str, Option<&'static str>)] {
        match self {
            Self::X64 => &[("_WIN64", None), ("_AMD64_", None), ("AMD64", None)],
            Self::Arm64 => &[
                ("_ARM64_", None),
                ("ARM64", None),
                ("_USE_DECLSPECS_FOR_SAL", Some("1")),
                ("STD_CALL", None),
            ],
        }
    }

    /// The target, as clang calls it.
    pub(crate) fn clang_target(self) -> &'static str {
        match self {
            Self::X64 => "x86_64-pc-windows-msvc",
            Self::Arm64 => "aarch64-pc-windows-msvc",
        }
    }

    /// The machine of its import libraries.
    pub(crate) fn machine(self) -> MachineType {
        match self {
            Self::X64 => MachineType::AMD64,
            Self::Arm64 => MachineType::ARM64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_64_bit_processors_are_known_and_no_other() {
        assert!(matches!(Architecture::named("x86_64"), Ok(Architecture::X64)));
        assert!(matches!(Architecture::named("aarch64"), Ok(Architecture::Arm64)));
        for name in ["", "x86", "arm", "arm64ec"] {
            let error = Architecture::named(name).expect_err(name).to_string();
            assert!(error.contains("x86_64 and aarch64"), "{error}");
        }
    }
}
