//! Safe wrappers of the kernel: every resource is a value that releases itself, every failure a [`Status`].
//!
//! Everything here may be used at PASSIVE_LEVEL; what may be used higher says so. Nothing panics, nothing allocates
//! without the possibility of failure.
#![expect(unsafe_code, reason = "this layer is where the kernel is called; everything above it is safe code")]

pub mod clock;
pub mod device_interface;
pub mod etw;
pub mod event;
pub mod file;
pub mod handle;
pub mod io_space;
pub mod irp;
pub mod irql;
#[cfg(target_pointer_width = "64")]
mod layout;
pub mod lock;
pub mod memory;
pub mod mutex;
pub mod object_name;
pub mod pnp_notification;
pub mod registry;
pub mod sockaddr;
pub mod status;
pub mod thread;
pub mod timer;

pub use event::Event;
pub use lock::{FastMutex, SpinLock};
pub use memory::{Shared, try_box};
pub use sockaddr::SockAddr;
pub use status::{Result, Status};
pub use timer::Timer;
