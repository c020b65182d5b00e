//! A stream: what PortCls asks of it, turned into calls of the engine.

use protocol::{CyclicBuffer, PacketsPerBuffer, StreamFormat};

use crate::abi::GUID;
use crate::abi::ks::KSRTAUDIO_HWLATENCY;
use crate::abi::portcls::{
    IID_IMiniportWaveRTOutputStream, IID_IMiniportWaveRTStream, IID_IMiniportWaveRTStreamNotification,
    IMiniportWaveRTOutputStreamVtbl, IMiniportWaveRTStreamNotificationVtbl,
};
use crate::com::port::PortStream;
use crate::com::wavert_output_stream::{PresentationPosition, WaveRtOutputStream, WaveRtOutputStreamTable};
use crate::com::wavert_stream::{AllocatedBuffer, State, WaveRtStream, WaveRtStreamTable};
use crate::com::{Class, ComObject, ObjectRef, Table};
use crate::engine::Engine;
use crate::kernel::event::ForeignEvent;
use crate::kernel::{Result, Status};
use crate::wave::miniport::PinClaim;

/// The longest cyclic buffer, in seconds: more than the two that Windows may ask for.
const MAX_BUFFER_SECONDS: u32 = 4;
/// A millisecond in units of 100 ns: what a packet waits where the thread would wake more often than that, and waits once
/// more when a notification comes between.
const MILLISECOND: u64 = 10_000;
/// From this length on, in units of 100 ns, packets never wait for the thread: with the shortest buffer of Windows, 3 ms,
/// of which each half is copied on its own, there is at most one wake-up in a millisecond then.
const UNHURRIED_PACKET: u64 = 3 * MILLISECOND;

/// A stream.
pub struct WaveStream {
    port: PortStream,
    format: StreamFormat,
    /// Dropped before the claim, so that the next stream finds everything free.
    engine: Engine,
    _claim: PinClaim,
}

static STREAM_TABLE: IMiniportWaveRTStreamNotificationVtbl = WaveRtStreamTable::<WaveStream, 0>::TABLE;
static OUTPUT_TABLE: IMiniportWaveRTOutputStreamVtbl = WaveRtOutputStreamTable::<WaveStream, 1>::TABLE;

#[expect(unsafe_code, reason = "says which tables an object has")]
// SAFETY: the first table serves two interfaces, and the thunks of each table are those of its slot.
unsafe impl Class for WaveStream {
    type Tables = [Table; 2];
    const TABLES: Self::Tables = [Table::new(&STREAM_TABLE), Table::new(&OUTPUT_TABLE)];
    const INTERFACES: &'static [(GUID, usize)] = &[
        (IID_IMiniportWaveRTStream, 0),
        (IID_IMiniportWaveRTStreamNotification, 0),
        (IID_IMiniportWaveRTOutputStream, 1),
    ];
}

impl WaveStream {
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn try_new(
        port: PortStream,
        format: StreamFormat,
        engine: Engine,
        claim: PinClaim,
    ) -> Result<ObjectRef<Self>> {
        ComObject::try_new(Self { port, format, engine, _claim: claim })
    }

    /// Bytes of a buffer of `packets` equal packets that is as long as asked for, or a little shorter.
    fn buffer_size(&self, requested: u32, packets: u32) -> Result<u32> {
        let frame = u32::from(self.format.bytes_per_frame().get());
        let most = self.format.bytes_per_second().saturating_mul(MAX_BUFFER_SECONDS);
        let whole = packets.checked_mul(frame).ok_or(Status::INVALID_PARAMETER)?;
        let requested = requested.min(most);
        let size = requested.saturating_sub(requested.checked_rem(whole).ok_or(Status::INVALID_PARAMETER)?);
        if size == 0 { Err(Status::INVALID_PARAMETER) } else { Ok(size) }
    }
}

impl WaveRtStream for WaveStream {
    fn set_state(&self, state: State) -> Result {
        match state {
            State::Run => self.engine.run()?,
            State::Pause | State::Acquire => self.engine.pause(),
            State::Stop => self.engine.stop(),
        }
        Ok(())
    }

    fn play_offset(&self) -> u64 {
        self.engine.play_offset()
    }

    fn allocate_buffer(&self, requested: u32, notifications: Option<u32>) -> Result<AllocatedBuffer> {
        let packets = match notifications {
            None => None,
            Some(count) => Some(PacketsPerBuffer::from_count(count).ok_or(Status::INVALID_PARAMETER)?),
        };
        // A running stream has a buffer.
        if !self.engine.takes_buffer() {
            return Err(Status::INVALID_DEVICE_STATE);
        }
        let size = self.buffer_size(requested, packets.map_or(1, PacketsPerBuffer::count))?;
        let cyclic = CyclicBuffer::new(size as usize, self.format.bytes_per_frame())
            .map_err(|_| Status::INVALID_PARAMETER)?;
        let pages = self.port.allocate(size)?;
        let mdl = pages.mdl();
        self.engine.attach_buffer(pages, cyclic, packets)?;
        Ok(AllocatedBuffer { mdl, size })
    }

    fn free_buffer(&self) {
        self.engine.detach_buffer();
    }

    fn register_event(&self, event: ForeignEvent) -> Result {
        self.engine.register_event(event)
    }

    fn unregister_event(&self, event: ForeignEvent) -> Result {
        self.engine.unregister_event(event)
    }

    /// A frame leaves when its packet or chunk is full: at most one of these later than it was played, and two milliseconds
    /// more when they are so short that they may have to wait for the thread.
    fn hardware_latency(&self) -> KSRTAUDIO_HWLATENCY {
        let frames = u64::from(self.engine.longest_unit().get());
        let packet = frames.saturating_mul(10_000_000).div_ceil(u64::from(self.format.rate().get()));
        let wait = if packet < UNHURRIED_PACKET { 2 * MILLISECOND } else { 0 };
        let delay = u32::try_from(packet.saturating_add(wait)).unwrap_or(u32::MAX);
        KSRTAUDIO_HWLATENCY { FifoSize: 0, ChipsetDelay: delay, CodecDelay: 0 }
    }
}

impl WaveRtOutputStream for WaveStream {
    fn write_packet(&self, number: u32, last: Option<u32>) -> Result {
        self.engine.write_packet(number, last)
    }

    fn presentation_position(&self) -> Result<PresentationPosition> {
        let snapshot = self.engine.presentation_position()?;
        Ok(PresentationPosition { frames: snapshot.frames, ticks: snapshot.ticks })
    }

    fn packet_count(&self) -> Result<u32> {
        self.engine.packet_count()
    }
}
