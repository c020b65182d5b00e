//! The real `scream.exe` on wine: sockets, files and an audio engine that are not Linux's own.
//!
//! `cargo xtask test` builds the program for `x86_64-pc-windows-gnu`, as `cargo xtask receiver --windows` does, and names it
//! in the environment as `SCREAM_EXE`.
//!
//! Debian 12's wine (8.0) would not start it: Rust's standard library takes the seeds of its hash maps from `ProcessPrng` of
//! `bcryptprimitives.dll`, which every Windows since 8 has and wine only since 9. (`screamctl.exe` has no hash maps, and its
//! linker drops what is not called.) So a library of that name is put beside the program, in these tests only. It has no
//! code: its one export is forwarded to `SystemFunction036` of `advapi32.dll`, which takes the same buffer and fills it, too.

#![cfg(target_os = "linux")]

mod command_line;
mod network;
mod playback;
#[expect(dead_code, reason = "the tests of the program on Linux use all of it")]
#[path = "../program/running.rs"]
mod running;
mod windows;
