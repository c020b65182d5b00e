//! Configures the build of the driver, and proves its declarations against the genuine headers where there
//! are any.
//!
//! The driver is built on Windows with Microsoft's `wdk-build`, elsewhere by `cross/Cargo.toml` with a
//! stand-in of the same name. The package at the root is empty on any other host, and then there is nothing
//! to configure.

fn main() {
    #[cfg(any(windows, feature = "cross"))]
    driver::configure();
}

#[cfg(any(windows, feature = "cross"))]
#[path = "build/abi_proof.rs"]
mod abi_proof;

#[cfg(any(windows, feature = "cross"))]
mod driver {
    use std::process::exit;

    use super::abi_proof;

    /// What the driver imports from, besides what `wdk-build` links to every driver.
    const LIBRARIES: &[&str] = &["portcls", "netio"];

    pub fn configure() {
        if let Err(error) = wdk_build::configure_wdk_binary_build() {
            println!("cargo::error={error}");
            exit(1);
        }
        for library in LIBRARIES {
            println!("cargo::rustc-cdylib-link-arg={library}.lib");
        }
        if let Err(error) = abi_proof::prove() {
            println!("cargo::error={error}");
            exit(1);
        }
    }
}
