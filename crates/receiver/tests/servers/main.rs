//! The outputs, on real sound servers: each test starts its own, without sound hardware, plays a signal through the
//! output in a process of its own, records what the server plays, and looks for the signal in that.
//!
//! | module | provides |
//! | --- | --- |
//! | [`server`] | what is common to the servers: to start one, to record what it plays, to crash it |
//! | [`every`] | what is asked of every server |
//! | [`signal`] | the signals: a tone for each speaker, or random samples |
//! | [`analysis`] | finds the signals in a recording |
//! | [`child`] | plays a signal in a process of its own |
//! | [`running`] | the whole program |
//! | [`driver`] | the tests in which the driver plays, and the whole program receives |
//! | others | one server each, and its tests |

#![cfg(target_os = "linux")]

mod alsa;
mod analysis;
mod child;
mod driver;
mod every;
mod jack;
mod pipewire;
mod pulse;
#[path = "../program/running.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod running;
mod server;
mod signal;
mod sndio;
