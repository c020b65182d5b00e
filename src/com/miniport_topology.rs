//! `IMiniportTopology`.

use core::ffi::c_void;
use core::marker::PhantomData;

use wdk_sys::{NTSTATUS, STATUS_SUCCESS};

use super::miniport::{Miniport, MiniportTable};
use crate::abi::portcls::{IMiniportTopologyVtbl, IPortTopology, IResourceList, PUNKNOWN};

/// The table for slot `SLOT` of a class.
pub struct MiniportTopologyTable<C, const SLOT: usize>(PhantomData<C>);

impl<C: Miniport, const SLOT: usize> MiniportTopologyTable<C, SLOT> {
    /// The table.
    pub const TABLE: IMiniportTopologyVtbl =
        IMiniportTopologyVtbl { base: MiniportTable::<C, SLOT>::TABLE, Init: init };
}

/// There is nothing to prepare: the filter is all tables. The port is not kept (it owns the miniport).
unsafe extern "system" fn init(
    _this: *mut c_void,
    _adapter: PUNKNOWN,
    _resources: *mut IResourceList,
    _port: *mut IPortTopology,
) -> NTSTATUS {
    STATUS_SUCCESS
}
