//! Registration: a driver registers once, captures the provider when it needs it, releases it, and deregisters.
//!
//! Pages: [WskRegister], [WskCaptureProviderNPI], [WskReleaseProviderNPI], [WskDeregister]; the comments of `wsk.h`.
//!
//! [WskRegister]: https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nf-wsk-wskregister
//! [WskCaptureProviderNPI]: https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nf-wsk-wskcaptureprovidernpi
//! [WskReleaseProviderNPI]: https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nf-wsk-wskreleaseprovidernpi
//! [WskDeregister]: https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nf-wsk-wskderegister

use std::cell::Cell;
use std::rc::Rc;

use super::abi::{
    ClientDispatch, ClientNpi, INFINITE_WAIT, NO_WAIT, ProviderCharacteristics, ProviderNpi, Registration,
    VERSION_1_0, VERSION_1_1,
};
use super::{Call, Fault, count, provider, state};
use crate::import;
use crate::kernel::driver as drivers;
use crate::machine::machine;
use crate::nt::{NtStatus, Pvoid};
use crate::schedule::{self, BOOT_TIME, DISPATCH_LEVEL, PASSIVE_LEVEL};
use crate::verifier::{Rule, record};

/// One registration of a driver.
pub(super) struct Registered {
    /// The number behind the client pointer that capture returns.
    pub(super) id: usize,
    version: u16,
    pub(super) captures: Cell<u32>,
    pub(super) open_sockets: Cell<u32>,
    deregistering: Cell<bool>,
}

fn find(registration: *mut Registration, function: &str) -> Option<Rc<Registered>> {
    let found = state().registrations.borrow().get(&registration.addr()).cloned();
    if found.is_none() {
        record(
            Rule::Argument,
            format!("{function} was called with a registration that WskRegister did not fill"),
        );
    }
    found
}

/// The registration whose client pointer this is.
pub(super) fn by_client(client: Pvoid) -> Option<Rc<Registered>> {
    state().registrations.borrow().values().find(|registered| registered.id == client.addr()).cloned()
}

fn provider_is_ready() -> bool {
    schedule::now() >= BOOT_TIME + machine().config.wsk.provider_ready_after
}

import! {
    /// Registers a driver.
    pub(crate) fn WskRegister(npi: *const ClientNpi, registration: *mut Registration) -> NtStatus, irql <= PASSIVE_LEVEL; {
        register(npi, registration)
    }
}

fn register(npi: *const ClientNpi, registration: *mut Registration) -> NtStatus {
    if let Some(Fault::Status(status)) = count(Call::WskRegister) {
        return status;
    }
    if npi.is_null() || registration.is_null() {
        record(Rule::Argument, "WskRegister was called with a null pointer");
        return NtStatus::INVALID_PARAMETER;
    }
    // SAFETY: the driver passes a structure that it has filled; a wrong pointer faults and is reported as such.
    let dispatch = unsafe { (*npi).dispatch };
    if dispatch.is_null() {
        record(Rule::Argument, "WskRegister was called without a client dispatch table");
        return NtStatus::INVALID_PARAMETER;
    }
    // SAFETY: as above.
    let ClientDispatch { version, reserved, .. } = unsafe { *dispatch };
    if reserved != 0 {
        record(Rule::Argument, "WSK_CLIENT_DISPATCH.Reserved must be zero");
    }
    let state = state();
    if state.registrations.borrow().contains_key(&registration.addr()) {
        record(Rule::Argument, "WskRegister was called twice with one registration block");
        return NtStatus::INVALID_PARAMETER;
    }
    drivers::at_unload("wsk", super::check_unload);
    let id = 0x5753_4B00_0000 + state.registrations.borrow().len() * 0x100 + 0x10;
    // SAFETY: the driver's block, which the call fills.
    unsafe { registration.write(Registration { state: id as u64, context: std::ptr::null_mut(), lock: 0 }) };
    let registered = Registered {
        id,
        version,
        captures: Cell::new(0),
        open_sockets: Cell::new(0),
        deregistering: Cell::new(false),
    };
    state.registrations.borrow_mut().insert(registration.addr(), Rc::new(registered));
    NtStatus::SUCCESS
}

import! {
    /// Gives the driver the provider's functions, as soon as there is a provider or the time-out has passed.
    pub(crate) fn WskCaptureProviderNPI(registration: *mut Registration, timeout: u32, npi: *mut ProviderNpi) -> NtStatus,
        irql <= DISPATCH_LEVEL; {
        capture(registration, timeout, npi)
    }
}

fn capture(registration: *mut Registration, timeout: u32, npi: *mut ProviderNpi) -> NtStatus {
    let irql = schedule::current().irql.get();
    if timeout != NO_WAIT && irql > PASSIVE_LEVEL {
        record(Rule::Irql, format!("WskCaptureProviderNPI waits, which IRQL {irql} does not allow"));
        return NtStatus::INVALID_DEVICE_STATE;
    }
    if let Some(Fault::Status(status)) = count(Call::WskCaptureProviderNPI) {
        return status;
    }
    // After WskDeregister a capture is allowed and says that nothing is ready.
    let Some(registered) = state().registrations.borrow().get(&registration.addr()).cloned() else {
        return NtStatus::DEVICE_NOT_READY;
    };
    let deadline = (timeout != INFINITE_WAIT).then(|| schedule::now() + u64::from(timeout) * 1_000_000);
    let ready_at = BOOT_TIME + machine().config.wsk.provider_ready_after;
    if !provider_is_ready() && timeout != NO_WAIT {
        // An appointment, so that virtual time has somewhere to jump to.
        let appointment = schedule::at(ready_at, || ());
        let waiting = Rc::clone(&registered);
        schedule::wait("the provider of Winsock Kernel", deadline, move || {
            (provider_is_ready() || waiting.deregistering.get()).then_some(())
        });
        schedule::cancel(appointment);
    }
    if !provider_is_ready() || registered.deregistering.get() {
        return NtStatus::DEVICE_NOT_READY;
    }
    if registered.version != VERSION_1_0 && registered.version != VERSION_1_1 {
        return NtStatus::NOINTERFACE;
    }
    registered.captures.set(registered.captures.get() + 1);
    let client = std::ptr::without_provenance_mut(registered.id);
    // SAFETY: the driver's structure, which the call fills.
    unsafe { npi.write(ProviderNpi { client, dispatch: &raw const provider::DISPATCH }) };
    NtStatus::SUCCESS
}

import! {
    /// Gives a captured provider back.
    pub(crate) fn WskReleaseProviderNPI(registration: *mut Registration), irql <= DISPATCH_LEVEL; {
        if let Some(registered) = find(registration, "WskReleaseProviderNPI") {
            match registered.captures.get().checked_sub(1) {
                Some(captures) => registered.captures.set(captures),
                None => record(Rule::Argument, "WskReleaseProviderNPI was called more often than WskCaptureProviderNPI succeeded"),
            }
        }
    }
}

import! {
    /// Says which versions the provider has.
    pub(crate) fn WskQueryProviderCharacteristics(registration: *mut Registration, characteristics: *mut ProviderCharacteristics)
        -> NtStatus, irql <= DISPATCH_LEVEL; {
        if find(registration, "WskQueryProviderCharacteristics").is_none() {
            NtStatus::INVALID_PARAMETER
        } else if provider_is_ready() {
            // SAFETY: the driver's structure, which the call fills.
            unsafe { characteristics.write(ProviderCharacteristics { highest: VERSION_1_1, lowest: VERSION_1_0 }) };
            NtStatus::SUCCESS
        } else {
            NtStatus::DEVICE_NOT_READY
        }
    }
}

import! {
    /// Ends a registration; waits until the provider is released and every socket is closed.
    pub(crate) fn WskDeregister(registration: *mut Registration), irql <= PASSIVE_LEVEL; {
        if let Some(registered) = find(registration, "WskDeregister") {
            registered.deregistering.set(true);
            let waiting = Rc::clone(&registered);
            schedule::wait("WskDeregister: every capture released and every socket closed", None, move || {
                (waiting.captures.get() == 0 && waiting.open_sockets.get() == 0).then_some(())
            });
            state().registrations.borrow_mut().remove(&registration.addr());
        }
    }
}

pub(super) fn check_unload() {
    let state = state();
    let mut registrations = state.registrations.borrow_mut();
    for registered in registrations.values() {
        let captures = registered.captures.get();
        record(
            Rule::Unload,
            format!("the driver was unloaded while registered with Winsock Kernel ({captures} captures)"),
        );
    }
    registrations.clear();
}
