//! `IMiniport`: what both miniports have.

use core::ffi::c_void;
use core::marker::PhantomData;

use wdk_sys::{NTSTATUS, STATUS_INVALID_PARAMETER, STATUS_SUCCESS};

use super::{Class, Unknown, class};
use crate::abi::ks::KSDATARANGE;
use crate::abi::portcls::{IMiniportVtbl, PCFILTER_DESCRIPTOR};
use crate::kernel::Result;
use crate::kernel::status::ntstatus;

/// The methods.
pub trait Miniport: Class {
    /// The filter, which never changes. PASSIVE_LEVEL.
    fn description(&self) -> &'static PCFILTER_DESCRIPTOR;

    /// The best format that lies in both ranges. PASSIVE_LEVEL.
    ///
    /// `client` and `own` are data ranges in the size they say they have; the result is written to the start of
    /// `output`, and its size is returned in `needed` also when `output` is too small.
    ///
    /// # Errors
    /// `STATUS_NOT_IMPLEMENTED` leaves it to PortCls; `STATUS_NO_MATCH` when nothing lies in both;
    /// `STATUS_BUFFER_OVERFLOW` when `output` is empty and `STATUS_BUFFER_TOO_SMALL` when it is too small.
    fn intersect(&self, pin: u32, client: &[u8], own: &[u8], output: &mut [u8], needed: &mut u32) -> Result;
}

/// The table for slot `SLOT` of a class.
pub struct MiniportTable<C, const SLOT: usize>(PhantomData<C>);

impl<C: Miniport, const SLOT: usize> MiniportTable<C, SLOT> {
    /// The first five slots of a miniport's table.
    pub const TABLE: IMiniportVtbl = IMiniportVtbl {
        base: Unknown::<C, SLOT>::TABLE,
        GetDescription: Self::get_description,
        DataRangeIntersection: Self::data_range_intersection,
    };

    unsafe extern "system" fn get_description(
        this: *mut c_void,
        out: *mut *mut PCFILTER_DESCRIPTOR,
    ) -> NTSTATUS {
        // SAFETY: PortCls passes a place for a pointer.
        let Some(out) = (unsafe { out.as_mut() }) else { return STATUS_INVALID_PARAMETER };
        // SAFETY: thunks are called with their own interface.
        let miniport = unsafe { class::<C, SLOT>(this) };
        *out = core::ptr::from_ref(miniport.description()).cast_mut();
        STATUS_SUCCESS
    }

    unsafe extern "system" fn data_range_intersection(
        this: *mut c_void,
        pin: u32,
        client: *mut KSDATARANGE,
        own: *mut KSDATARANGE,
        output_length: u32,
        output: *mut c_void,
        needed: *mut u32,
    ) -> NTSTATUS {
        // SAFETY: PortCls passes a place for the length.
        let Some(needed) = (unsafe { needed.as_mut() }) else { return STATUS_INVALID_PARAMETER };
        *needed = 0;
        // SAFETY: PortCls passes ranges whose memory is as long as they say.
        let client = unsafe { sized_bytes(client) };
        // SAFETY: as above.
        let own = unsafe { sized_bytes(own) };
        let (Some(client), Some(own)) = (client, own) else { return STATUS_INVALID_PARAMETER };
        let output: &mut [u8] = if output.is_null() || output_length == 0 {
            &mut []
        } else {
            // SAFETY: PortCls passes a buffer of the length it says.
            unsafe { core::slice::from_raw_parts_mut(output.cast(), output_length as usize) }
        };
        // SAFETY: thunks are called with their own interface.
        let miniport = unsafe { class::<C, SLOT>(this) };
        ntstatus(miniport.intersect(pin, client, own, output, needed))
    }
}

/// The bytes of a range, as many as its first field says.
///
/// # Safety
/// `range` is null, or as many bytes as its `FormatSize` can be read there while the result is used.
pub(super) unsafe fn sized_bytes<'a>(range: *const KSDATARANGE) -> Option<&'a [u8]> {
    if range.is_null() {
        return None;
    }
    // SAFETY: the size is the first field.
    let size = unsafe { (*range).FormatSize } as usize;
    if size < size_of::<KSDATARANGE>() {
        return None;
    }
    // SAFETY: by contract.
    Some(unsafe { core::slice::from_raw_parts(range.cast(), size) })
}
