//! The functions that a driver can import, by module and name.
//!
//! To add one: an [`import!`](crate::import) function, and its name in the `EXPORTS` of its file.

use super::{
    debug, device, device_control, device_interface, dispatcher, etw, event, ex_timer, file, io_space, irp,
    library, lookup, mdl, mutex, object, pnp_notification, pool, query_registry, registry, spin_lock,
    strings, thread, time, timer, work,
};

/// A function that a module of Windows exports.
#[derive(Clone, Copy)]
pub struct Export {
    /// The file name of the module, in lower case.
    pub module: &'static str,
    /// The name.
    pub name: &'static str,
    /// The function.
    pub address: *const (),
}

/// Every list of exports. Parts outside of `kernel` add theirs here.
fn lists() -> Vec<&'static [Export]> {
    vec![
        debug::EXPORTS,
        device::EXPORTS,
        device_control::EXPORTS,
        device_interface::EXPORTS,
        dispatcher::EXPORTS,
        dispatcher::ALIASES,
        etw::EXPORTS,
        event::EXPORTS,
        ex_timer::EXPORTS,
        file::EXPORTS,
        io_space::EXPORTS,
        irp::EXPORTS,
        library::EXPORTS,
        library::ALIASES,
        lookup::EXPORTS,
        mdl::EXPORTS,
        mutex::EXPORTS,
        object::EXPORTS,
        object::VARIABLES,
        pnp_notification::EXPORTS,
        pool::EXPORTS,
        query_registry::EXPORTS,
        registry::EXPORTS,
        spin_lock::EXPORTS,
        spin_lock::MACRO_EXPORTS,
        strings::EXPORTS,
        thread::EXPORTS,
        thread::ALIASES,
        time::EXPORTS,
        time::HAL_EXPORTS,
        timer::EXPORTS,
        work::EXPORTS,
        crate::portcls::EXPORTS,
        crate::wsk::EXPORTS,
    ]
}

/// The address of an exported function.
pub fn find(module: &str, name: &str) -> Option<usize> {
    let module = module.to_ascii_lowercase();
    let matches = |export: &&Export| export.name == name && export.module == module;
    lists().into_iter().flatten().find(matches).map(|export| export.address as usize)
}

/// Whether any module exports the name: to tell a wrong module from a missing function.
pub fn modules_with(name: &str) -> Vec<&'static str> {
    lists().into_iter().flatten().filter(|export| export.name == name).map(|export| export.module).collect()
}
