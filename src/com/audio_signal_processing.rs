//! `IMiniportAudioSignalProcessing`: which signal-processing modes a pin has.

use core::ffi::c_void;
use core::marker::PhantomData;

use wdk_sys::{NTSTATUS, STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_PARAMETER, STATUS_SUCCESS};

use super::{Class, Unknown, class};
use crate::abi::GUID;
use crate::abi::portcls::IMiniportAudioSignalProcessingVtbl;
use crate::kernel::Result;

/// The method.
pub trait AudioSignalProcessing: Class {
    /// The modes of a pin, at least one. PASSIVE_LEVEL.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` when there is no such pin, `STATUS_NOT_SUPPORTED` when it has no modes; see
    /// [GetModes](https://learn.microsoft.com/windows-hardware/drivers/ddi/portcls/nf-portcls-iminiportaudiosignalprocessing-getmodes).
    fn modes(&self, pin: u32) -> Result<&'static [GUID]>;
}

/// The table for slot `SLOT` of a class.
pub struct AudioSignalProcessingTable<C, const SLOT: usize>(PhantomData<C>);

impl<C: AudioSignalProcessing, const SLOT: usize> AudioSignalProcessingTable<C, SLOT> {
    /// The table.
    pub const TABLE: IMiniportAudioSignalProcessingVtbl =
        IMiniportAudioSignalProcessingVtbl { base: Unknown::<C, SLOT>::TABLE, GetModes: Self::get_modes };

    /// Without an array, or with one that is too small, only the number of modes is returned.
    unsafe extern "system" fn get_modes(
        this: *mut c_void,
        pin: u32,
        array: *mut GUID,
        count: *mut u32,
    ) -> NTSTATUS {
        // SAFETY: PortCls passes a place for the number.
        let Some(count) = (unsafe { count.as_mut() }) else { return STATUS_INVALID_PARAMETER };
        // SAFETY: thunks are called with their own interface.
        let modes = match unsafe { class::<C, SLOT>(this) }.modes(pin) {
            Ok(modes) => modes,
            Err(status) => return status.code(),
        };
        let room = core::mem::replace(count, modes.len() as u32);
        if array.is_null() {
            return STATUS_SUCCESS;
        }
        if room < *count {
            return STATUS_BUFFER_TOO_SMALL;
        }
        // SAFETY: the array has as many elements as PortCls says, which is enough, and is not part of the image.
        unsafe { core::ptr::copy_nonoverlapping(modes.as_ptr(), array, modes.len()) };
        STATUS_SUCCESS
    }
}
