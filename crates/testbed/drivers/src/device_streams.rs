//! Interfaces that a device need not have: packets of a stream, and the signal-processing modes of the miniport. The
//! device has them in the cases that are about them.

use core::ptr::{null, null_mut};
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use crate::Case;
use crate::device::{Guid, bent, devices, of_group};
use crate::device_objects::{self as objects, Kind, Method, Object, UNKNOWN, table};
use crate::nt::*;

/// The cases of this file.
pub const CASES: &[Case] = devices!["com_other_identity" "com_release_counts_low"
    "event_set_when_unregistered" "mode_count_changes" "mode_ignores_room" "mode_neither" "mode_none"
    "mode_writes_more" "output_count_goes_back" "output_counter_goes_back" "output_counter_in_future"
    "output_position_beyond_packet" "output_position_goes_back" "packet_unequal"];

/// IID_IMiniportWaveRTStreamNotification.
pub const NOTIFICATION: Guid =
    Guid(0x2375_9128, 0x96F1, 0x423B, [0xAB, 0x4D, 0x81, 0x63, 0x5B, 0xCF, 0x8C, 0xA1]);
/// IID_IMiniportAudioSignalProcessing.
const SIGNAL_PROCESSING: Guid =
    Guid(0xB532_678C, 0xBE50, 0x472D, [0x99, 0x73, 0x8A, 0x6F, 0x16, 0x59, 0x49, 0x89]);
/// IID_IMiniportWaveRTOutputStream.
const OUTPUT: Guid = Guid(0x831F_C7BC, 0x6347, 0x44BC, [0xB4, 0x7B, 0xC0, 0xC6, 0x57, 0xB5, 0xBF, 0x73]);
/// AUDIO_SIGNALPROCESSINGMODE_DEFAULT.
const DEFAULT_MODE: Guid =
    Guid(0xC18E_2F7E, 0x933D, 0x4965, [0xB7, 0xD1, 0x1E, 0xEF, 0x22, 0x8D, 0x2A, 0xF3]);

/// AUDIO_SIGNALPROCESSINGMODE_MEDIA.
const MEDIA_MODE: Guid = Guid(0x4780_004E, 0x7133, 0x41D8, [0x8C, 0x74, 0x66, 0x0D, 0xAD, 0xD2, 0xC0, 0xEE]);

const TOO_SMALL: NtStatus = 0xC000_0023_u32 as i32;

/// Whether the stream has IMiniportWaveRTStreamNotification.
pub fn has_packets() -> bool {
    ["packet_", "event_", "output_", "com_release_counts_low"].into_iter().any(of_group)
}

fn has_modes() -> bool {
    of_group("mode_") || of_group("com_other_identity")
}

/// A second interface of an object, with a table of its own.
#[repr(C)]
pub struct Face {
    table: *const Method,
    owner: *mut Object,
}

static MODES_TABLE: [Method; 4] = table![query add_ref release modes];
static OUTPUT_TABLE: [Method; 6] =
    table![query add_ref release write_packet presentation_position packet_count];

impl Face {
    /// The face of an object: the miniport's signal processing, the stream's output.
    pub fn new(kind: Kind, owner: *mut Object) -> Self {
        let table = match kind {
            Kind::Wave if has_modes() => MODES_TABLE.as_ptr(),
            Kind::Stream if of_group("output_") => OUTPUT_TABLE.as_ptr(),
            _ => null(),
        };
        Self { table, owner }
    }

    /// Whether it is the interface.
    pub fn answers(&self, iid: &Guid) -> bool {
        !self.table.is_null()
            && *iid == if self.table == OUTPUT_TABLE.as_ptr() { OUTPUT } else { SIGNAL_PROCESSING }
    }
}

unsafe extern "system" fn query(this: *mut Face, iid: *const Guid, out: *mut *mut Object) -> NtStatus {
    if *iid == UNKNOWN && bent("com_other_identity") {
        objects::add_ref((*this).owner);
        out.write(this.cast());
        return SUCCESS;
    }
    objects::query((*this).owner, iid, out)
}

unsafe extern "system" fn add_ref(this: *mut Face) -> u32 {
    objects::add_ref((*this).owner)
}

unsafe extern "system" fn release(this: *mut Face) -> u32 {
    objects::release((*this).owner)
}

/// One mode.
unsafe extern "system" fn modes(_this: *mut Face, _pin: u32, modes: *mut Guid, count: *mut u32) -> NtStatus {
    let room = count.read();
    count.write(if bent("mode_none") { 0 } else { 1 });
    if modes.is_null() {
        return SUCCESS;
    }
    if room < 1 {
        return if bent("mode_ignores_room") { SUCCESS } else { TOO_SMALL };
    }
    modes.write_unaligned(if bent("mode_neither") { MEDIA_MODE } else { DEFAULT_MODE });
    if bent("mode_writes_more") {
        modes.add(1).cast::<u8>().write_volatile(0);
    }
    if bent("mode_count_changes") {
        count.write(0);
    }
    SUCCESS
}

unsafe extern "system" fn write_packet(_this: *mut Face, _number: u32, _flags: u32, _end: u32) -> NtStatus {
    SUCCESS
}

/// KSAUDIO_PRESENTATION_POSITION, and the count of packets below, of a stream that begins its first packet: what goes
/// wrong does so in the second answer.
unsafe extern "system" fn presentation_position(_this: *mut Face, out: *mut [u64; 2]) -> NtStatus {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    /// More than the 512 frames of a packet.
    const BEYOND: u64 = 513;
    let again = ASKED.fetch_add(1, Ordering::Relaxed) > 0;
    let now = KeQueryPerformanceCounter(null_mut()) as u64;
    let (mut frame, mut counter) = (10 + 10 * u64::from(again), now);
    if again && bent("output_counter_in_future") {
        counter += 1;
    } else if again && bent("output_counter_goes_back") {
        counter -= 1;
    } else if again && bent("output_position_goes_back") {
        frame = 9;
    } else if again && bent("output_position_beyond_packet") {
        frame = BEYOND;
    }
    out.write([frame, counter]);
    SUCCESS
}

unsafe extern "system" fn packet_count(_this: *mut Face, out: *mut u32) -> NtStatus {
    static ASKED: AtomicU32 = AtomicU32::new(0);
    let first = ASKED.fetch_add(1, Ordering::Relaxed) == 0;
    out.write(u32::from(first && bent("output_count_goes_back")));
    SUCCESS
}

/// The event that is registered.
static EVENT: AtomicPtr<u8> = AtomicPtr::new(null_mut());

/// RegisterNotificationEvent.
///
/// # Safety
/// For the port.
pub unsafe extern "system" fn register_event(_this: *mut Object, event: *mut u8) -> NtStatus {
    EVENT.store(event, Ordering::Relaxed);
    SUCCESS
}

/// UnregisterNotificationEvent.
///
/// # Safety
/// For the port.
pub unsafe extern "system" fn unregister_event(_this: *mut Object, _event: *mut u8) -> NtStatus {
    if !bent("event_set_when_unregistered") {
        set_event();
    }
    SUCCESS
}

/// The buffer goes: for one driver an occasion to set the event.
///
/// # Safety
/// A stream with packets.
pub unsafe fn buffer_goes() {
    if bent("event_set_when_unregistered") {
        set_event();
    }
}

unsafe fn set_event() {
    let event = EVENT.swap(null_mut(), Ordering::Relaxed);
    if !event.is_null() {
        KeSetEvent(event.cast(), 0, 0);
    }
}
