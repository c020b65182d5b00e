//! [`Apartment`]: COM on this thread.

use std::marker::PhantomData;

use windows::Win32::Foundation::RPC_E_CHANGED_MODE;
use windows::Win32::System::Com::{
    COINIT, COINIT_APARTMENTTHREADED, COINIT_DISABLE_OLE1DDE, COINIT_MULTITHREADED, CoInitializeEx,
    CoUninitialize,
};

use super::call::call;
use crate::computer::ApiResult;

/// COM on this thread, until dropped. Interfaces have to be dropped before.
#[derive(Debug)]
pub struct Apartment {
    entered: bool,
    /// It is left by the thread that entered it.
    thread: PhantomData<*mut ()>,
}

impl Apartment {
    /// For objects that any thread may call.
    pub fn enter() -> ApiResult<Self> {
        Self::enter_as(COINIT_MULTITHREADED)
    }

    /// For what shows windows.
    pub fn enter_single_threaded() -> ApiResult<Self> {
        Self::enter_as(COINIT_APARTMENTTHREADED | COINIT_DISABLE_OLE1DDE)
    }

    fn enter_as(model: COINIT) -> ApiResult<Self> {
        // SAFETY: each success is matched by one call of CoUninitialize, in `drop`.
        let result = unsafe { CoInitializeEx(None, model) };
        // A thread that has COM in another way has it.
        let entered = result != RPC_E_CHANGED_MODE;
        if entered {
            call("CoInitializeEx", result.ok())?;
        }
        Ok(Self { entered, thread: PhantomData })
    }
}

impl Drop for Apartment {
    fn drop(&mut self) {
        if self.entered {
            // SAFETY: this matches the success of CoInitializeEx on this thread, which the type cannot leave.
            unsafe { CoUninitialize() };
        }
    }
}
