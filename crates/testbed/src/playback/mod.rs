//! A song through a driver file: what demos, `testbed play` and benchmarks share.
//!
//! * [`Song`]: a WAV file in memory, or a short piece that is composed here.
//! * [`play`]: one life of the driver with one stream, from load to unload, as a [`Plan`] says; what was seen of it is a
//!   [`Performance`].
//! * [`mod@idle`]: how often the driver wakes while nothing plays.
//! * [`Listener`]: receives the packets on a socket of its own, as a receiver program would.
//! * [`compare`]: whether what came is what was played.
//! * [`progress`]: a bar and a level meter while it plays.
//! * [`chart`]: drawings of what was measured.

pub mod chart;
mod comparison;
mod idle;
mod listener;
mod memory;
mod performance;
pub mod progress;
pub mod song;

pub use comparison::{Comparison, compare};
pub use idle::{Idle, idle};
pub use listener::{Listener, Progress, Received};
pub use memory::Memory;
pub use performance::{
    COUNTER_FREQUENCY, Departure, Performance, Plan, Streamed, Watch, bytes, lateness, milliseconds, play,
    quantile, sending_to,
};
pub use song::Song;
