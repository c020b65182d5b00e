//! The kernel: what drivers import from `ntoskrnl.exe` and `hal.dll`, and the objects behind it.
//!
//! Every file has the state of its part of the machine, functions for other parts of the testbed, and the functions
//! that drivers import, made with `import!` and listed in its `EXPORTS`; `imports` puts the lists together.

pub mod debug;
pub mod device;
pub mod device_control;
pub mod device_interface;
pub mod dispatcher;
pub mod driver;
pub mod etw;
pub mod event;
pub mod ex_timer;
pub mod file;
pub mod imports;
pub mod io_space;
pub mod irp;
pub mod library;
pub mod lookup;
pub mod mdl;
pub mod mutex;
pub mod object;
pub mod pnp_notification;
pub mod pool;
pub mod query_registry;
pub mod registry;
pub mod spin_lock;
pub mod strings;
pub mod thread;
pub mod time;
pub mod timer;
pub mod work;

use crate::schedule::{self, Irql, Time};

/// Runs `action` in a simulated thread of its own, at an IRQL, when the time has come: for completions and callbacks.
pub fn dispatch_at(
    time: Time,
    irql: Irql,
    name: &'static str,
    action: impl FnOnce() + 'static,
) -> schedule::Appointment {
    schedule::at(time, move || {
        schedule::spawn(name, irql, action);
    })
}
