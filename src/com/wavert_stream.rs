//! `IMiniportWaveRTStreamNotification`, whose table serves `IMiniportWaveRTStream` too.

use core::ffi::c_void;
use core::marker::PhantomData;
use core::ptr::null_mut;

use wdk_sys::{
    _MEMORY_CACHING_TYPE, KEVENT, MDL, MEMORY_CACHING_TYPE, NTSTATUS, STATUS_INVALID_PARAMETER,
    STATUS_NOT_IMPLEMENTED, STATUS_NOT_SUPPORTED, STATUS_SUCCESS,
};

use super::{Class, Unknown, class};
use crate::abi::ks::{
    KSAUDIO_POSITION, KSDATAFORMAT, KSRTAUDIO_HWLATENCY, KSRTAUDIO_HWREGISTER, KSSTATE, KSSTATE_ACQUIRE,
    KSSTATE_PAUSE, KSSTATE_RUN, KSSTATE_STOP,
};
use crate::abi::portcls::{IMiniportWaveRTStreamNotificationVtbl, IMiniportWaveRTStreamVtbl};
use crate::kernel::Result;
use crate::kernel::event::ForeignEvent;
use crate::kernel::status::ntstatus;

/// The states of a pin, in the order in which they are gone through upwards.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Nothing is held, the position is zero.
    Stop,
    /// About to play, or about to stop.
    Acquire,
    /// Ready; the position is frozen.
    Pause,
    /// Playing.
    Run,
}

impl State {
    fn from_raw(state: KSSTATE) -> Option<Self> {
        match state {
            KSSTATE_STOP => Some(Self::Stop),
            KSSTATE_ACQUIRE => Some(Self::Acquire),
            KSSTATE_PAUSE => Some(Self::Pause),
            KSSTATE_RUN => Some(Self::Run),
            _ => None,
        }
    }
}

/// A cyclic buffer as PortCls maps it for the audio engine.
pub struct AllocatedBuffer {
    /// Its pages.
    pub mdl: *mut MDL,
    /// Its size in bytes.
    pub size: u32,
}

/// The methods. PASSIVE_LEVEL, but where noted.
pub trait WaveRtStream: Class {
    /// Changes the state.
    ///
    /// # Errors
    /// `STATUS_INVALID_DEVICE_STATE` for RUN without a buffer.
    fn set_state(&self, state: State) -> Result;

    /// The byte of the cyclic buffer that is played now; 0 without a buffer. IRQL <= DISPATCH_LEVEL.
    fn play_offset(&self) -> u64;

    /// Allocates the cyclic buffer, of `requested` bytes or a little less, with events at the end of each of
    /// `notifications` packets, or without any.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER`, `STATUS_INVALID_DEVICE_STATE` (there is one already, or the stream runs),
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    fn allocate_buffer(&self, requested: u32, notifications: Option<u32>) -> Result<AllocatedBuffer>;

    /// Frees the cyclic buffer; nothing touches it afterwards.
    fn free_buffer(&self);

    /// Adds an event to set at the end of each packet.
    ///
    /// # Errors
    /// `STATUS_UNSUCCESSFUL` when it is there, `STATUS_INSUFFICIENT_RESOURCES` when no more can be.
    fn register_event(&self, event: ForeignEvent) -> Result;

    /// Takes an event off; it is not touched afterwards.
    ///
    /// # Errors
    /// `STATUS_NOT_FOUND`.
    fn unregister_event(&self, event: ForeignEvent) -> Result;

    /// How long after it was played a frame leaves.
    fn hardware_latency(&self) -> KSRTAUDIO_HWLATENCY;
}

/// The table for slot `SLOT` of a class.
pub struct WaveRtStreamTable<C, const SLOT: usize>(PhantomData<C>);

impl<C: WaveRtStream, const SLOT: usize> WaveRtStreamTable<C, SLOT> {
    /// The table.
    pub const TABLE: IMiniportWaveRTStreamNotificationVtbl = IMiniportWaveRTStreamNotificationVtbl {
        base: IMiniportWaveRTStreamVtbl {
            base: Unknown::<C, SLOT>::TABLE,
            SetFormat: set_format,
            SetState: Self::set_state,
            GetPosition: Self::get_position,
            AllocateAudioBuffer: Self::allocate_audio_buffer,
            FreeAudioBuffer: Self::free_buffer,
            GetHWLatency: Self::get_hw_latency,
            GetPositionRegister: get_register,
            GetClockRegister: get_register,
        },
        AllocateBufferWithNotification: Self::allocate_buffer_with_notification,
        FreeBufferWithNotification: Self::free_buffer,
        RegisterNotificationEvent: Self::register_notification_event,
        UnregisterNotificationEvent: Self::unregister_notification_event,
    };

    unsafe extern "system" fn set_state(this: *mut c_void, state: KSSTATE) -> NTSTATUS {
        let Some(state) = State::from_raw(state) else { return STATUS_INVALID_PARAMETER };
        // SAFETY: thunks are called with their own interface.
        ntstatus(unsafe { class::<C, SLOT>(this) }.set_state(state))
    }

    unsafe extern "system" fn get_position(this: *mut c_void, out: *mut KSAUDIO_POSITION) -> NTSTATUS {
        // SAFETY: PortCls passes a place for a position.
        let Some(out) = (unsafe { out.as_mut() }) else { return STATUS_INVALID_PARAMETER };
        // SAFETY: thunks are called with their own interface.
        let offset = unsafe { class::<C, SLOT>(this) }.play_offset();
        *out = KSAUDIO_POSITION { PlayOffset: offset, WriteOffset: offset };
        STATUS_SUCCESS
    }

    unsafe extern "system" fn allocate_audio_buffer(
        this: *mut c_void,
        requested: u32,
        mdl: *mut *mut MDL,
        size: *mut u32,
        offset: *mut u32,
        cache: *mut MEMORY_CACHING_TYPE,
    ) -> NTSTATUS {
        // SAFETY: thunks are called with their own interface, and PortCls passes places for the results.
        unsafe { Self::allocate(this, requested, None, BufferResults { mdl, size, offset, cache }) }
    }

    unsafe extern "system" fn allocate_buffer_with_notification(
        this: *mut c_void,
        notifications: u32,
        requested: u32,
        mdl: *mut *mut MDL,
        size: *mut u32,
        offset: *mut u32,
        cache: *mut MEMORY_CACHING_TYPE,
    ) -> NTSTATUS {
        let results = BufferResults { mdl, size, offset, cache };
        // SAFETY: thunks are called with their own interface, and PortCls passes places for the results.
        unsafe { Self::allocate(this, requested, Some(notifications), results) }
    }

    /// # Safety
    /// `this` is the interface of this table; the results are null or places to write to.
    unsafe fn allocate(
        this: *mut c_void,
        requested: u32,
        notifications: Option<u32>,
        results: BufferResults,
    ) -> NTSTATUS {
        // SAFETY: by contract.
        let Some(results) = (unsafe { results.places() }) else { return STATUS_INVALID_PARAMETER };
        (*results.mdl, *results.size, *results.offset) = (null_mut(), 0, 0);
        *results.cache = _MEMORY_CACHING_TYPE::MmCached;
        // SAFETY: by contract.
        match unsafe { class::<C, SLOT>(this) }.allocate_buffer(requested, notifications) {
            Ok(buffer) => {
                (*results.mdl, *results.size) = (buffer.mdl, buffer.size);
                STATUS_SUCCESS
            }
            Err(status) => status.code(),
        }
    }

    /// The arguments repeat what was allocated; the stream knows it better.
    unsafe extern "system" fn free_buffer(this: *mut c_void, _mdl: *mut MDL, _size: u32) {
        // SAFETY: thunks are called with their own interface.
        unsafe { class::<C, SLOT>(this) }.free_buffer();
    }

    unsafe extern "system" fn get_hw_latency(this: *mut c_void, out: *mut KSRTAUDIO_HWLATENCY) {
        // SAFETY: PortCls passes a place for a latency.
        if let Some(out) = unsafe { out.as_mut() } {
            // SAFETY: thunks are called with their own interface.
            *out = unsafe { class::<C, SLOT>(this) }.hardware_latency();
        }
    }

    unsafe extern "system" fn register_notification_event(this: *mut c_void, event: *mut KEVENT) -> NTSTATUS {
        // SAFETY: PortCls keeps the event valid until it is unregistered.
        let Some(event) = (unsafe { ForeignEvent::new(event) }) else { return STATUS_INVALID_PARAMETER };
        // SAFETY: thunks are called with their own interface.
        ntstatus(unsafe { class::<C, SLOT>(this) }.register_event(event))
    }

    unsafe extern "system" fn unregister_notification_event(
        this: *mut c_void,
        event: *mut KEVENT,
    ) -> NTSTATUS {
        // SAFETY: the event is only compared.
        let Some(event) = (unsafe { ForeignEvent::new(event) }) else { return STATUS_INVALID_PARAMETER };
        // SAFETY: thunks are called with their own interface.
        ntstatus(unsafe { class::<C, SLOT>(this) }.unregister_event(event))
    }
}

/// The format of a stream never changes: the audio engine makes a new stream.
unsafe extern "system" fn set_format(_this: *mut c_void, _format: *mut KSDATAFORMAT) -> NTSTATUS {
    STATUS_NOT_SUPPORTED
}

/// There are no registers: PortCls uses `GetPosition`.
unsafe extern "system" fn get_register(_this: *mut c_void, _register: *mut KSRTAUDIO_HWREGISTER) -> NTSTATUS {
    STATUS_NOT_IMPLEMENTED
}

/// Where the results of an allocation go.
struct BufferResults {
    mdl: *mut *mut MDL,
    size: *mut u32,
    offset: *mut u32,
    cache: *mut MEMORY_CACHING_TYPE,
}

struct BufferPlaces<'a> {
    mdl: &'a mut *mut MDL,
    size: &'a mut u32,
    offset: &'a mut u32,
    cache: &'a mut MEMORY_CACHING_TYPE,
}

impl BufferResults {
    /// # Safety
    /// Each pointer is null or a place that nobody else uses meanwhile.
    unsafe fn places<'a>(self) -> Option<BufferPlaces<'a>> {
        Some(BufferPlaces {
            // SAFETY: by contract.
            mdl: unsafe { self.mdl.as_mut() }?,
            // SAFETY: by contract.
            size: unsafe { self.size.as_mut() }?,
            // SAFETY: by contract.
            offset: unsafe { self.offset.as_mut() }?,
            // SAFETY: by contract.
            cache: unsafe { self.cache.as_mut() }?,
        })
    }
}
