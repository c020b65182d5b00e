//! `IMiniportWaveRTOutputStream`: packet mode, and the exact position of what is heard.

use core::ffi::c_void;
use core::marker::PhantomData;

use wdk_sys::{NTSTATUS, STATUS_INVALID_PARAMETER, STATUS_SUCCESS};

use super::{Class, Unknown, class};
use crate::abi::ks::{KSAUDIO_PRESENTATION_POSITION, KSSTREAM_HEADER_OPTIONSF_ENDOFSTREAM};
use crate::abi::portcls::IMiniportWaveRTOutputStreamVtbl;
use crate::kernel::Result;
use crate::kernel::status::ntstatus;

/// A frame and the counter at the moment at which it is played.
pub struct PresentationPosition {
    /// Frames since the stream started.
    pub frames: u64,
    /// The performance counter, in ticks.
    pub ticks: u64,
}

/// The methods. PASSIVE_LEVEL. All of them fail with `STATUS_NOT_SUPPORTED` without a buffer with notifications.
pub trait WaveRtOutputStream: Class {
    /// The audio engine has written packet `number`; `last` is its length in bytes if it ends the stream.
    ///
    /// # Errors
    /// `STATUS_DATA_LATE_ERROR`, `STATUS_DATA_OVERRUN`, `STATUS_INVALID_DEVICE_STATE` after the last packet,
    /// `STATUS_INVALID_PARAMETER`.
    fn write_packet(&self, number: u32, last: Option<u32>) -> Result;

    /// What is played now.
    ///
    /// # Errors
    /// See the trait.
    fn presentation_position(&self) -> Result<PresentationPosition>;

    /// The low 32 bits of the number of packets that were played completely.
    ///
    /// # Errors
    /// See the trait.
    fn packet_count(&self) -> Result<u32>;
}

/// The table for slot `SLOT` of a class.
pub struct WaveRtOutputStreamTable<C, const SLOT: usize>(PhantomData<C>);

impl<C: WaveRtOutputStream, const SLOT: usize> WaveRtOutputStreamTable<C, SLOT> {
    /// The table.
    pub const TABLE: IMiniportWaveRTOutputStreamVtbl = IMiniportWaveRTOutputStreamVtbl {
        base: Unknown::<C, SLOT>::TABLE,
        SetWritePacket: Self::set_write_packet,
        GetOutputStreamPresentationPosition: Self::get_presentation_position,
        GetPacketCount: Self::get_packet_count,
    };

    unsafe extern "system" fn set_write_packet(
        this: *mut c_void,
        number: u32,
        flags: u32,
        last_length: u32,
    ) -> NTSTATUS {
        let last = match flags {
            0 => None,
            KSSTREAM_HEADER_OPTIONSF_ENDOFSTREAM => Some(last_length),
            _ => return STATUS_INVALID_PARAMETER,
        };
        // SAFETY: thunks are called with their own interface.
        ntstatus(unsafe { class::<C, SLOT>(this) }.write_packet(number, last))
    }

    unsafe extern "system" fn get_presentation_position(
        this: *mut c_void,
        out: *mut KSAUDIO_PRESENTATION_POSITION,
    ) -> NTSTATUS {
        // SAFETY: PortCls passes a place for a position.
        let Some(out) = (unsafe { out.as_mut() }) else { return STATUS_INVALID_PARAMETER };
        // SAFETY: thunks are called with their own interface.
        match unsafe { class::<C, SLOT>(this) }.presentation_position() {
            Ok(PresentationPosition { frames, ticks }) => {
                *out = KSAUDIO_PRESENTATION_POSITION { u64PositionInBlocks: frames, u64QPCPosition: ticks };
                STATUS_SUCCESS
            }
            Err(status) => status.code(),
        }
    }

    unsafe extern "system" fn get_packet_count(this: *mut c_void, out: *mut u32) -> NTSTATUS {
        // SAFETY: PortCls passes a place for a count.
        let Some(out) = (unsafe { out.as_mut() }) else { return STATUS_INVALID_PARAMETER };
        // SAFETY: thunks are called with their own interface.
        match unsafe { class::<C, SLOT>(this) }.packet_count() {
            Ok(count) => {
                *out = count;
                STATUS_SUCCESS
            }
            Err(status) => status.code(),
        }
    }
}
