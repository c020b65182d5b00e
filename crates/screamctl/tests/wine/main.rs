//! The real `screamctl.exe` on wine: a registry, a service control manager, a SetupAPI, a certificate store and an audio
//! engine that are not the project's own.
//!
//! `cargo xtask test` builds the programs and the package, and names them in the environment:
//!
//! - `SCREAMCTL_EXE`: the program, as users get it;
//! - `SCREAMCTL_ON_WINE_EXE`: the same for a wine whose SetupAPI falls short of Windows (`examples/on_wine.rs` says where);
//! - `SCREAM_PACKAGE`: the folder of the unpacked package, signed with a test certificate.

#![cfg(target_os = "linux")]

mod batch;
mod commands;
mod install;
mod options;
mod playback;
mod prefix;
mod text;
