//! bindgen with the options of the genuine crate, so that the generated names are the same on both hosts.

use std::borrow::Borrow;
use std::fmt;

use bindgen::{Builder, EnumVariation, Formatter, RustEdition, RustTarget};

use crate::{Config, ConfigError};

/// The Rust release that the genuine crate generates for (its `rust-version`).
const GENERATED_FOR_RUST: (u64, u64) = (91, 0);

/// Items that must not be generated. The genuine crate leaves out deprecated pool functions, and structures
/// whose layout bindgen cannot express. Regular expressions over the whole name.
const LEFT_OUT: &[&str] = &[
    "ExAllocatePool",
    "ExAllocatePoolWithTag",
    "ExAllocatePoolWithQuotaTag",
    "ExAllocatePoolWithTagPriority",
    ".*MCG_CAP(?:__bindgen.*)?",
    ".*WHEA_XPF_MCA_SECTION",
    ".*WHEA_ARM_BUS_ERROR(?:__bindgen.*)?",
    ".*WHEA_ARM_PROCESSOR_ERROR",
    ".*WHEA_ARM_CACHE_ERROR",
];

/// Makes a bindgen builder for NT headers.
pub trait BuilderExt {
    /// A builder that finds the headers and generates what the genuine crate would.
    ///
    /// # Errors
    /// The header directories cannot be prepared.
    fn wdk_default(config: impl Borrow<Config> + fmt::Debug) -> Result<Builder, ConfigError>;
}

impl BuilderExt for Builder {
    fn wdk_default(config: impl Borrow<Config> + fmt::Debug) -> Result<Builder, ConfigError> {
        let config = config.borrow();
        let mut builder = Builder::default()
            .use_core()
            .derive_default(true)
            .generate_cstr(true)
            .detect_include_paths(false)
            .default_enum_style(EnumVariation::ModuleConsts)
            .must_use_type("NTSTATUS")
            .must_use_type("HRESULT")
            // Declared in the headers, defined nowhere.
            .opaque_type("_KGDTENTRY64")
            .opaque_type("_KIDTENTRY64")
            .formatter(Formatter::Prettyplease)
            .rust_target(rust_target())
            .rust_edition(RustEdition::Edition2024)
            .parse_callbacks(Box::new(bindgen::CargoCallbacks::new()))
            .clang_args(compiler_arguments(config)?);
        for pattern in LEFT_OUT {
            builder = builder.blocklist_item(pattern);
        }
        Ok(builder)
    }
}

/// The Rust release to generate for.
fn rust_target() -> RustTarget {
    let (minor, patch) = GENERATED_FOR_RUST;
    RustTarget::stable(minor, patch).unwrap_or_default()
}

/// Makes clang read NT headers as Microsoft's compiler would.
fn compiler_arguments(config: &Config) -> Result<Vec<String>, ConfigError> {
    let fixed = [
        "-fms-compatibility",
        "-fms-extensions",
        "-fdelayed-template-parsing",
        // Otherwise clang's own idea of memcpy and its like gives them u64 where the headers say size_t.
        "-fno-builtin",
        // The headers are not ours to correct.
        "-w",
    ];
    let mut arguments: Vec<String> = fixed.map(str::to_owned).to_vec();
    arguments.push(format!("--target={}", config.declared_architecture().clang_target()));
    for (name, value) in config.preprocessor_definitions() {
        arguments.push(match value {
            Some(value) => format!("-D{name}={value}"),
            None => format!("-D{name}"),
        });
    }
    arguments.extend(config.compiler_arguments()?);
    for path in config.include_paths()? {
        arguments.push(format!("-I{}", path.display()));
    }
    Ok(arguments)
}
