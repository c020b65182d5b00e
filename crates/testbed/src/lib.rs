//! The testbed: loads an unmodified Windows driver file into a Linux process and plays Windows around it.
//!
//! * [`Machine`] is one simulated Windows: [`Machine::run`] gives a closure that plays the user, and returns an
//!   [`Outcome`] with every rule that the driver broke.
//! * `schedule`: simulated threads (coroutines on one Linux thread) and the two clocks.
//! * `crossing`: every step from Windows into the driver and back, where IRQL, stack and time are checked.
//! * `image`: the file checks and the loader. `kernel`, `portcls`, `wsk`: what the driver imports.
//! * `process`: whose user-mode addresses a thread sees. `ivshmem`: memory that a virtual machine shares with its host.

#![expect(
    clippy::not_unsafe_ptr_arg_deref,
    reason = "pointers of the simulated kernel are checked against what it handed out, and wrong ones fault and are reported"
)]

pub mod client;
pub mod crossing;
pub mod device;
#[cfg(target_arch = "x86_64")]
mod emulate;
mod fault;
mod forgiven;
pub mod fuzz;
pub mod image;
mod instructions;
pub mod ivshmem;
pub mod kernel;
mod machine;
pub(crate) mod memory;
pub mod network;
pub mod nt;
pub mod playback;
pub mod portcls;
pub mod process;
pub mod schedule;
pub mod soak;
pub mod trace;
pub mod verifier;
mod watch;
pub mod wsk;

pub use device::Device;
pub use kernel::driver::Driver;
pub use machine::{Config, DriverUse, Machine, Outcome};
pub use schedule::{Clock, Time};
pub use verifier::{Rule, Violation};
