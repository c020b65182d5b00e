//! Stand-in for Microsoft's `wdk-build` on hosts that are not Windows.
//!
//! The build scripts of `wdk-sys`, `wdk`, `wdk-alloc` and `wdk-panic` call `wdk-build`, which stops on any
//! host but Windows. `cross/Cargo.toml` puts this crate in its place. It offers what those scripts and the
//! driver's own `build.rs` use, under the same names, for one driver model (WDM) and the two 64-bit
//! architectures, and nothing else.
//!
//! | module | provides |
//! | --- | --- |
//! | [`Config`] | the questions the build scripts ask: headers, include paths, definitions |
//! | `architecture` | the processor that the driver is built for |
//! | `headers` | where the NT headers come from: the distribution's package, or a copy of the genuine ones |
//! | `bindings` | [`BuilderExt::wdk_default`]: bindgen with the options of the genuine crate |
//! | `link` | linker arguments, and import libraries made from the lists in `imports/` |

mod architecture;
mod bindings;
mod config;
mod error;
mod headers;
mod link;

pub use bindings::BuilderExt;
pub use config::{ApiSubset, Config, DriverConfig, KmdfConfig, UmdfConfig};
pub use error::{ConfigError, IoError};

/// Configures the build of a library that uses the WDK: sets the `driver_model__driver_type` cfg.
///
/// # Errors
/// None today; the signature is that of the genuine crate.
pub fn configure_wdk_library_build() -> Result<(), ConfigError> {
    Config::from_env_auto()?.configure_library_build()
}

/// Configures the build of a library that uses the WDK, then runs `generate` with the configuration.
///
/// # Errors
/// Whatever `generate` returns.
pub fn configure_wdk_library_build_and_then<F, E>(mut generate: F) -> Result<(), E>
where
    F: FnMut(Config) -> Result<(), E>,
    E: From<ConfigError>,
{
    let config = Config::from_env_auto()?;
    config.configure_library_build()?;
    generate(config)
}

/// Configures the build of the driver itself: linker arguments and import libraries.
///
/// # Errors
/// An import list cannot be read, or its library cannot be written to `OUT_DIR`.
pub fn configure_wdk_binary_build() -> Result<(), ConfigError> {
    Config::from_env_auto()?.configure_binary_build()
}
