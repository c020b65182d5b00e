//! `IAdapterPowerManagement`: PortCls tells the adapter about power states.

use core::ffi::c_void;
use core::marker::PhantomData;

use wdk_sys::{DEVICE_CAPABILITIES, NTSTATUS, POWER_STATE, STATUS_SUCCESS};

use super::{Class, Unknown};
use crate::abi::portcls::IAdapterPowerManagementVtbl;

/// The table for slot `SLOT` of a class. Every power state is accepted and the capabilities stay as they are: a device
/// without hardware loses nothing, and PortCls pauses the streams before it leaves D0 and resumes them after it is back.
pub struct AdapterPowerTable<C, const SLOT: usize>(PhantomData<C>);

impl<C: Class, const SLOT: usize> AdapterPowerTable<C, SLOT> {
    /// The table.
    pub const TABLE: IAdapterPowerManagementVtbl = IAdapterPowerManagementVtbl {
        base: Unknown::<C, SLOT>::TABLE,
        PowerChangeState: power_change_state,
        QueryPowerChangeState: query_power_change_state,
        QueryDeviceCapabilities: query_device_capabilities,
    };
}

unsafe extern "system" fn power_change_state(_this: *mut c_void, _state: POWER_STATE) {}

unsafe extern "system" fn query_power_change_state(_this: *mut c_void, _state: POWER_STATE) -> NTSTATUS {
    STATUS_SUCCESS
}

unsafe extern "system" fn query_device_capabilities(
    _this: *mut c_void,
    _capabilities: *mut DEVICE_CAPABILITIES,
) -> NTSTATUS {
    STATUS_SUCCESS
}
