//! An open stream, as its client sees it.

use std::rc::Rc;

use super::Format;
use super::player::{Played, Player};
use crate::kernel::event;
use crate::nt::{KEvent, NtStatus};
use crate::portcls::abi::{AudioPosition, HardwareLatency, KsState, PresentationPosition};
use crate::portcls::{CloseOrder, Property, WaveRtPin};
use crate::schedule::Time;

/// The buffer that a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffer {
    /// For a client that asks for the position now and then.
    Polled {
        /// Requested size; the driver may give another.
        bytes: u32,
    },
    /// For a client that waits for notifications.
    Notified {
        /// Requested size; the driver may give another.
        bytes: u32,
        /// Notifications in each cycle: 1 or 2.
        count: u32,
    },
}

/// Reads the position of a stream from another thread. It must not be used any more when the stream is closed.
pub struct PositionReader(Rc<WaveRtPin>);

impl PositionReader {
    /// The position.
    ///
    /// # Errors
    /// What GetPosition returned.
    pub fn position(&self, at_dispatch_level: bool) -> Result<AudioPosition, NtStatus> {
        self.0.position(at_dispatch_level)
    }
}

/// An open pin.
pub struct Stream {
    pin: Rc<WaveRtPin>,
    format: Format,
    event: Option<*mut KEvent>,
}

impl Stream {
    pub(crate) fn new(pin: Rc<WaveRtPin>, format: Format) -> Self {
        Self { pin, format, event: None }
    }

    /// The format it was opened with.
    pub fn format(&self) -> &Format {
        &self.format
    }

    /// Allocates the buffer, and for [`Buffer::Notified`] registers an event.
    ///
    /// # Errors
    /// What the driver returned; STATUS_INVALID_DEVICE_REQUEST when it has no notification interface.
    pub fn allocate(&mut self, buffer: Buffer) -> Result<(), NtStatus> {
        match buffer {
            Buffer::Polled { bytes } => self.pin.allocate(bytes, 0),
            Buffer::Notified { bytes, count } => {
                self.pin.allocate(bytes, count)?;
                if self.event.is_none() {
                    self.event = Some(self.pin.register_event()?);
                }
                Ok(())
            }
        }
    }

    /// Frees the buffer; it can be allocated again.
    pub fn free_buffer(&mut self) {
        self.pin.free_buffer();
    }

    /// Bytes of the buffer, 0 without one.
    pub fn buffer_bytes(&self) -> u32 {
        self.pin.with_buffer(|buffer| buffer.bytes).unwrap_or(0)
    }

    /// Notifications in each cycle of the buffer.
    pub fn notifications(&self) -> u32 {
        self.pin.with_buffer(|buffer| buffer.notifications).unwrap_or(0)
    }

    /// Writes into the buffer, as user mode does: from `offset` on, around its end.
    pub fn write(&mut self, offset: usize, bytes: &[u8]) {
        self.pin.with_buffer(|buffer| {
            let size = buffer.bytes as usize;
            let mut at = offset % size;
            let mut left = bytes;
            while !left.is_empty() {
                let (now, later) = left.split_at(left.len().min(size - at));
                // SAFETY: the mapping has `size` bytes from here on, and lives until the buffer is freed.
                unsafe { std::ptr::copy_nonoverlapping(now.as_ptr(), buffer.user.add(at), now.len()) };
                at = (at + now.len()) % size;
                left = later;
            }
        });
    }

    /// The state of the pin.
    pub fn state(&self) -> KsState {
        self.pin.state()
    }

    /// Goes to a state through the ones between.
    ///
    /// # Errors
    /// What SetState returned.
    pub fn set_state(&mut self, state: KsState) -> Result<(), NtStatus> {
        self.pin.set_state(state)
    }

    /// Asks for another format, in any bytes.
    ///
    /// # Errors
    /// What SetFormat returned.
    pub fn set_format(&mut self, format: &[u8]) -> Result<(), NtStatus> {
        self.pin.set_format(format)
    }

    /// Calls SetState with this state whatever the current one is: a repeat, or a step that the ladder does not have.
    ///
    /// # Errors
    /// What SetState returned.
    pub fn call_set_state(&mut self, state: KsState) -> Result<(), NtStatus> {
        self.pin.call_set_state(state)
    }

    /// The position, in bytes of the buffer.
    ///
    /// # Errors
    /// What GetPosition returned.
    pub fn position(&self) -> Result<AudioPosition, NtStatus> {
        self.pin.position(false)
    }

    /// The position, asked for at DISPATCH_LEVEL.
    ///
    /// # Errors
    /// What GetPosition returned.
    pub fn position_at_dispatch_level(&self) -> Result<AudioPosition, NtStatus> {
        self.pin.position(true)
    }

    /// Reads the position from other threads.
    pub fn position_reader(&self) -> PositionReader {
        PositionReader(Rc::clone(&self.pin))
    }

    /// The latency that the driver declares.
    ///
    /// # Errors
    /// STATUS_DEVICE_REMOVED: the stream is closed.
    pub fn latency(&self) -> Result<HardwareLatency, NtStatus> {
        self.pin.latency()
    }

    /// The statuses of GetPositionRegister and GetClockRegister.
    ///
    /// # Errors
    /// STATUS_DEVICE_REMOVED: the stream is closed.
    pub fn registers(&self) -> Result<(NtStatus, NtStatus), NtStatus> {
        self.pin.registers()
    }

    /// Packets that were transferred completely.
    ///
    /// # Errors
    /// What GetPacketCount returned; STATUS_INVALID_DEVICE_REQUEST without the interface.
    pub fn packet_count(&self) -> Result<u32, NtStatus> {
        self.pin.packet_count()
    }

    /// Frames played since the start, and when that was so.
    ///
    /// # Errors
    /// As [`packet_count`](Self::packet_count).
    pub fn presentation_position(&self) -> Result<PresentationPosition, NtStatus> {
        self.pin.presentation_position()
    }

    /// Tells the driver which packet has been written.
    ///
    /// # Errors
    /// As [`packet_count`](Self::packet_count).
    pub fn set_write_packet(&mut self, number: u32, flags: u32, end_of_stream: u32) -> Result<(), NtStatus> {
        self.pin.set_write_packet(number, flags, end_of_stream)
    }

    /// A property of the pin. Returns the status and the size of the value.
    pub fn property(&self, property: Property, instance: &[u8], value: &mut [u8]) -> (NtStatus, u32) {
        self.pin.property(property, instance, value)
    }

    /// Registers one more notification event; it lives until it is unregistered, or the stream is closed.
    ///
    /// # Errors
    /// What RegisterNotificationEvent returned.
    pub fn register_event(&mut self) -> Result<*mut KEvent, NtStatus> {
        self.pin.register_event()
    }

    /// Registers an event again that is registered already.
    ///
    /// # Errors
    /// What RegisterNotificationEvent returned: STATUS_UNSUCCESSFUL, if all is right.
    pub fn register_again(&mut self, event: *mut KEvent) -> Result<(), NtStatus> {
        self.pin.register_again(event)
    }

    /// Unregisters a notification event, which is gone then. What is not registered any more can be unregistered again.
    ///
    /// # Errors
    /// What UnregisterNotificationEvent returned.
    pub fn unregister_event(&mut self, event: *mut KEvent) -> Result<(), NtStatus> {
        self.pin.unregister_event(event)
    }

    /// Waits for the next notification; false when the time has come first, or there is no event.
    pub fn wait(&self, deadline: Option<Time>) -> bool {
        match self.event {
            Some(event) => event::wait(event, deadline),
            None => {
                if let Some(deadline) = deadline {
                    crate::schedule::sleep_until(deadline);
                }
                false
            }
        }
    }

    /// Prepares to play a source: `source` fills what it is given with whole frames, and is at its end when it fills
    /// less.
    ///
    /// # Panics
    /// Without a buffer.
    pub fn player<S: FnMut(&mut [u8]) -> usize>(&mut self, source: S) -> Player<'_, S> {
        Player::new(self, source)
    }

    /// Plays a source to its end; the stream is stopped then.
    ///
    /// # Errors
    /// What SetState or GetPosition returned.
    ///
    /// # Panics
    /// Without a buffer.
    pub fn play(&mut self, source: impl FnMut(&mut [u8]) -> usize) -> Result<Played, NtStatus> {
        let mut player = self.player(source);
        player.start()?;
        player.finish()
    }

    /// Closes the stream.
    pub fn close(self) {
        drop(self);
    }

    /// Closes the stream and frees what it has in a given order.
    pub fn close_in_order(self, order: CloseOrder) {
        self.pin.close(order);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if crate::portcls::drivers_may_run() {
            self.pin.close(CloseOrder::default());
        }
    }
}
