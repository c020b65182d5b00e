//! The registration with WSK, from load to unload, and the provider while a socket needs it.

use alloc::boxed::Box;
use core::cell::UnsafeCell;
use core::mem::zeroed;

use crate::abi::wsk::{
    MAKE_WSK_VERSION, WSK_CLIENT_DISPATCH, WSK_CLIENT_NPI, WSK_NO_WAIT, WSK_PROVIDER_NPI, WSK_REGISTRATION,
    WskCaptureProviderNPI, WskDeregister, WskRegister, WskReleaseProviderNPI,
};
use crate::kernel::status::check;
use crate::kernel::{Result, try_box};

/// Version 1.0 has all that is used.
static DISPATCH: WSK_CLIENT_DISPATCH =
    WSK_CLIENT_DISPATCH { Version: MAKE_WSK_VERSION(1, 0), Reserved: 0, WskClientEvent: None };

/// A registration. Dropping it waits until every provider is released. PASSIVE_LEVEL.
pub struct Client {
    /// WSK keeps a pointer to it.
    registration: Box<UnsafeCell<WSK_REGISTRATION>>,
}

// SAFETY: WSK guards the registration's state.
unsafe impl Send for Client {}
// SAFETY: as above.
unsafe impl Sync for Client {}

impl Client {
    /// Registers the driver. Needs no network yet. PASSIVE_LEVEL.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`, or what WSK says.
    pub fn register() -> Result<Self> {
        // SAFETY: all-zero bytes are a valid registration that is not in use.
        let registration = try_box(UnsafeCell::new(unsafe { zeroed::<WSK_REGISTRATION>() }))?;
        let mut npi = WSK_CLIENT_NPI { ClientContext: core::ptr::null_mut(), Dispatch: &raw const DISPATCH };
        // SAFETY: the registration stays where it is until deregistered, the table is static.
        check(unsafe { WskRegister(&raw mut npi, registration.get()) })?;
        Ok(Self { registration })
    }

    /// Takes hold of the network stack, if it is there. IRQL <= DISPATCH_LEVEL.
    ///
    /// # Errors
    /// What WSK says: typically that the network stack has not started yet.
    pub fn capture(&self) -> Result<Provider<'_>> {
        // SAFETY: all-zero bytes are a valid value to be overwritten.
        let mut npi = unsafe { zeroed::<WSK_PROVIDER_NPI>() };
        // SAFETY: the registration is live; the call does not wait.
        check(unsafe { WskCaptureProviderNPI(self.registration.get(), WSK_NO_WAIT, &raw mut npi) })?;
        Ok(Provider { client: self, npi })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // SAFETY: the registration is live, and no provider is captured (each borrows the client).
        unsafe { WskDeregister(self.registration.get()) };
    }
}

/// The network stack, held until dropped.
pub struct Provider<'a> {
    client: &'a Client,
    npi: WSK_PROVIDER_NPI,
}

// SAFETY: the provider's functions may be called in any thread.
unsafe impl Send for Provider<'_> {}

impl Provider<'_> {
    /// The provider's handle and functions.
    pub fn npi(&self) -> &WSK_PROVIDER_NPI {
        &self.npi
    }
}

impl Drop for Provider<'_> {
    fn drop(&mut self) {
        // SAFETY: undoes the capture that made this value.
        unsafe { WskReleaseProviderNPI(self.client.registration.get()) };
    }
}
