//! `IMiniportWaveRT`: makes streams.

use core::ffi::c_void;
use core::marker::PhantomData;
use core::ptr::null_mut;

use wdk_sys::{NTSTATUS, STATUS_INVALID_PARAMETER, STATUS_NO_MATCH, STATUS_SUCCESS};

use super::miniport::{Miniport, MiniportTable, sized_bytes};
use super::port::PortStream;
use super::{ObjectRef, class};
use crate::abi::ks::{KSDATAFORMAT, KSDATAFORMAT_ATTRIBUTES, KSMULTIPLE_ITEM};
use crate::abi::portcls::{
    DEVICE_DESCRIPTION, IMiniportWaveRTVtbl, IPortWaveRT, IPortWaveRTStream, IResourceList, PUNKNOWN,
};
use crate::com::wavert_stream::WaveRtStream;
use crate::kernel::Result;

/// The methods.
pub trait MiniportWaveRt: Miniport {
    /// What `new_stream` makes; its slot 0 is an `IMiniportWaveRTStreamNotification`.
    type Stream: WaveRtStream;

    /// Makes a stream. PASSIVE_LEVEL.
    ///
    /// `format` is the data format in the size it says it has, and behind it its attributes if it says so, all of it
    /// not yet looked at.
    ///
    /// # Errors
    /// `STATUS_NOT_SUPPORTED` for capture, another pin or an unknown attribute or mode, `STATUS_NO_MATCH` for another
    /// format, `STATUS_INVALID_PARAMETER` for attributes that make no sense, `STATUS_INSUFFICIENT_RESOURCES` when the
    /// pin is in use or memory is short.
    fn new_stream(
        &self,
        port: PortStream,
        pin: u32,
        capture: bool,
        format: &[u8],
    ) -> Result<ObjectRef<Self::Stream>>;

    /// How the device does DMA. PASSIVE_LEVEL.
    fn device_description(&self) -> DEVICE_DESCRIPTION;
}

/// The table for slot `SLOT` of a class.
pub struct MiniportWaveRtTable<C, const SLOT: usize>(PhantomData<C>);

impl<C: MiniportWaveRt, const SLOT: usize> MiniportWaveRtTable<C, SLOT> {
    /// The table.
    pub const TABLE: IMiniportWaveRTVtbl = IMiniportWaveRTVtbl {
        base: MiniportTable::<C, SLOT>::TABLE,
        Init: init,
        NewStream: Self::new_stream,
        GetDeviceDescription: Self::get_device_description,
    };

    unsafe extern "system" fn new_stream(
        this: *mut c_void,
        out: *mut *mut c_void,
        port_stream: *mut IPortWaveRTStream,
        pin: u32,
        capture: u8,
        format: *mut KSDATAFORMAT,
    ) -> NTSTATUS {
        // SAFETY: PortCls passes a place for a pointer.
        let Some(out) = (unsafe { out.as_mut() }) else { return STATUS_INVALID_PARAMETER };
        *out = null_mut();
        // SAFETY: PortCls passes its side of the stream, which outlives the stream.
        let port_stream = unsafe { PortStream::from_raw(port_stream) };
        // SAFETY: PortCls passes a format whose memory is as long as it and its attributes say.
        let format = unsafe { format_bytes(format) };
        let Some(port_stream) = port_stream else { return STATUS_INVALID_PARAMETER };
        let Some(format) = format else { return STATUS_NO_MATCH };
        // SAFETY: thunks are called with their own interface.
        let miniport = unsafe { class::<C, SLOT>(this) };
        match miniport.new_stream(port_stream, pin, capture != 0, format) {
            Ok(stream) => {
                *out = stream.into_raw();
                STATUS_SUCCESS
            }
            Err(status) => status.code(),
        }
    }

    unsafe extern "system" fn get_device_description(
        this: *mut c_void,
        out: *mut DEVICE_DESCRIPTION,
    ) -> NTSTATUS {
        if out.is_null() {
            return STATUS_INVALID_PARAMETER;
        }
        // SAFETY: thunks are called with their own interface.
        let description = unsafe { class::<C, SLOT>(this) }.device_description();
        // SAFETY: PortCls passes a place for a description.
        unsafe { out.write(description) };
        STATUS_SUCCESS
    }
}

/// There is nothing to prepare: no hardware, no resources. The port is not kept (it owns the miniport).
unsafe extern "system" fn init(
    _this: *mut c_void,
    _adapter: PUNKNOWN,
    _resources: *mut IResourceList,
    _port: *mut IPortWaveRT,
) -> NTSTATUS {
    STATUS_SUCCESS
}

/// The bytes of a format, as many as its first field says, and of the attributes behind it if its flags say so.
///
/// # Safety
/// `format` is null, or as many bytes can be read there while the result is used.
unsafe fn format_bytes<'a>(format: *const KSDATAFORMAT) -> Option<&'a [u8]> {
    // SAFETY: by contract.
    let bytes = unsafe { sized_bytes(format) }?;
    // SAFETY: the result says that all fields can be read.
    if unsafe { (*format).Flags } & KSDATAFORMAT_ATTRIBUTES == 0 {
        return Some(bytes);
    }
    let list = bytes.len().checked_next_multiple_of(align_of::<KSDATAFORMAT>())?;
    // SAFETY: by contract, the list begins at the next multiple of 8 bytes.
    let head = unsafe { format.byte_add(list) }.cast::<KSMULTIPLE_ITEM>();
    // SAFETY: by contract, its head is there, whatever it says.
    let size = unsafe { (*head).Size } as usize;
    let size = list.checked_add(size.max(size_of::<KSMULTIPLE_ITEM>()))?;
    // SAFETY: by contract.
    Some(unsafe { core::slice::from_raw_parts(format.cast(), size) })
}
