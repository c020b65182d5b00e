//! Tells Windows, in the program's manifest, which Windows it was made for, and that it asks for no rights by itself.

use embed_manifest::manifest::{ExecutionLevel, MaxVersionTested, Setting, SupportedOS};
use embed_manifest::{embed_manifest, empty_manifest};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var_os("CARGO_CFG_WINDOWS").is_none() {
        return;
    }
    let number = |part| std::env::var(format!("CARGO_PKG_VERSION_{part}")).ok()?.parse().ok();
    let version = |part| number(part).unwrap_or(0);
    let manifest = empty_manifest()
        .name("Scream.screamctl")
        .version(version("MAJOR"), version("MINOR"), version("PATCH"), 0)
        .supported_os(SupportedOS::Windows10..=SupportedOS::Windows10)
        .max_version_tested(MaxVersionTested::Windows10Version2004)
        .long_path_aware(Setting::Enabled)
        .requested_execution_level(ExecutionLevel::AsInvoker);
    if let Err(error) = embed_manifest(manifest) {
        println!("cargo::error=the manifest cannot be embedded: {error}");
    }
}
