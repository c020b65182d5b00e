//! The outputs, on real sound servers: each test starts its own, without sound hardware, plays a signal through the
//! output in a process of its own, records what the server plays, and looks for the signal in that.
//!
//! | module | provides |
//! | --- | --- |
//! | [`server`] | what is common to the servers: to start one, to record what it plays, to crash it |
//! | [`signal`] | the signals: a tone for each speaker, or random samples |
//! | [`analysis`] | finds the signals in a recording |
//! | [`child`] | plays a signal in a process of its own |
//! | others | one server each, and its tests |

#![cfg(target_os = "linux")]

mod alsa;
mod analysis;
mod child;
mod jack;
mod pipewire;
mod pulse;
mod server;
mod signal;
mod sndio;
