//! bindgen with the options of the genuine crate, so that the generated names are the same on both hosts.

use std::borrow::Borrow;
use std::fmt;

use bindgen::callbacks::{ItemInfo, ItemKind, ParseCallbacks};
use bindgen::{Builder, EnumVariation, Formatter, RustEdition, RustTarget};

use crate::{Config, ConfigError};

/// The Rust release that the genuine crate generates for (its `rust-version`).
const GENERATED_FOR_RUST: (u64, u64) = (91, 0);

/// Items that must not be generated. The genuine crate leaves out deprecated pool functions, and structures whose
/// layout bindgen cannot express. Regular expressions over the whole name.
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
            .parse_callbacks(Box::new(ExportedNames))
            .clang_args(compiler_arguments(config)?);
        for pattern in LEFT_OUT {
            builder = builder.blocklist_item(pattern);
        }
        Ok(builder)
    }
}
