//! The buffer of a stream: allocated by the miniport, checked, and mapped for user mode.

use std::ptr;

use super::abi::DataRange;
use super::connect;
use super::port_stream::PortStream;
use super::wavert_pin::WaveRtPin;
use crate::kernel::mdl;
use crate::memory;
use crate::nt::{Mdl, NtStatus, PAGE_SIZE};
use crate::verifier::{Rule, record};

/// The buffer of a stream.
pub(crate) struct PinBuffer {
    mdl: *mut Mdl,
    /// The modulus of positions, in bytes.
    pub(crate) bytes: u32,
    /// Notifications in each cycle.
    pub(crate) notifications: u32,
    /// Where user mode sees it.
    pub(crate) user: *mut u8,
    user_mapping: *mut u8,
}

impl WaveRtPin {
    /// Allocates the buffer: with `notifications` by the notification interface, without by the plain method.
    pub(crate) fn allocate(&self, requested: u32, notifications: u32) -> Result<(), NtStatus> {
        let (mut buffer, mut actual, mut offset, mut cache) = (ptr::null_mut(), 0u32, 0u32, u32::MAX);
        let status = self.locked(|| match notifications {
            // SAFETY: the outputs live as long as the call.
            0 => self.with_stream("IMiniportWaveRTStream::AllocateAudioBuffer", |this, table| unsafe {
                (table.allocate_audio_buffer)(
                    this,
                    requested,
                    &raw mut buffer,
                    &raw mut actual,
                    &raw mut offset,
                    &raw mut cache,
                )
            }),
            count => {
                let notification = self.notification.borrow();
                let notification = notification.as_ref().ok_or(NtStatus::INVALID_DEVICE_REQUEST)?;
                // SAFETY: as above.
                Ok(notification.call(
                    "IMiniportWaveRTStreamNotification::AllocateBufferWithNotification",
                    |this, table| unsafe {
                        (table.allocate_buffer_with_notification)(
                            this,
                            count,
                            requested,
                            &raw mut buffer,
                            &raw mut actual,
                            &raw mut offset,
                            &raw mut cache,
                        )
                    },
                ))
            }
        })?;
        status.ok()?;
        self.check_buffer(buffer, actual, offset, cache, notifications)?;
        let user_mapping = mdl::map(buffer, true);
        if self.owns(buffer) {
            check_silent(user_mapping, buffer);
        }
        // SAFETY: the MDL describes at least `offset + actual` bytes.
        let user = unsafe { user_mapping.add(offset as usize) };
        *self.buffer.borrow_mut() =
            Some(PinBuffer { mdl: buffer, bytes: actual, notifications, user, user_mapping });
        self.set_playable(true);
        Ok(())
    }

    fn check_buffer(
        &self,
        buffer: *mut Mdl,
        actual: u32,
        offset: u32,
        cache: u32,
        notifications: u32,
    ) -> Result<(), NtStatus> {
        let name = "AllocateAudioBuffer";
        if buffer.is_null() || memory::block_at(buffer.addr()).is_none() {
            record(
                Rule::Argument,
                format!("{name} succeeded with an MDL that is {}", memory::describe(buffer.addr())),
            );
            return Err(NtStatus::UNSUCCESSFUL);
        }
        if !self.owns(buffer) {
            record(Rule::Mdl, format!("{name}: the MDL is not one of IPortWaveRTStream"));
        }
        // SAFETY: a live MDL, as was just found.
        let described = unsafe { (*buffer).byte_count };
        if actual == 0 || u64::from(offset) + u64::from(actual) > u64::from(described) {
            record(
                Rule::Argument,
                format!("{name}: {actual} bytes from {offset} on, in an MDL of {described} bytes"),
            );
            return Err(NtStatus::UNSUCCESSFUL);
        }
        if cache > 2 {
            record(Rule::Argument, format!("{name}: cache type {cache}"));
        }
        if notifications > 0 && !actual.is_multiple_of(notifications) {
            record(Rule::Argument, format!("{name}: {actual} bytes are not {notifications} equal packets"));
        }
        Ok(())
    }

    /// Whether a list is one that the stream has of IPortWaveRTStream.
    fn owns(&self, buffer: *mut Mdl) -> bool {
        let stream = self.port_stream.served().content::<PortStream>();
        stream.is_none_or(|stream| stream.owns(buffer))
    }

    /// What the buffer is, if there is one.
    pub(crate) fn with_buffer<R>(&self, look: impl FnOnce(&PinBuffer) -> R) -> Option<R> {
        self.buffer.borrow().as_ref().map(look)
    }

    /// Frees the buffer, if there is one.
    pub(crate) fn free_buffer(&self) {
        let Some(buffer) = self.buffer.take() else { return };
        self.set_playable(false);
        self.restart_progress();
        mdl::unmap(buffer.mdl, buffer.user_mapping);
        self.locked(|| {
            if buffer.notifications == 0 {
                // SAFETY: what the miniport's stream allocated, given back once.
                let _ = self.with_stream("IMiniportWaveRTStream::FreeAudioBuffer", |this, table| unsafe {
                    (table.free_audio_buffer)(this, buffer.mdl, buffer.bytes);
                });
            } else if let Some(notification) = self.notification.borrow().as_ref() {
                // SAFETY: as above.
                notification.call(
                    "IMiniportWaveRTStreamNotification::FreeBufferWithNotification",
                    |this, table| unsafe {
                        (table.free_buffer_with_notification)(this, buffer.mdl, buffer.bytes);
                    },
                );
            }
        });
    }
}

/// Checks that nothing is in a new buffer, up to the end of its last page: user mode has whole pages, and what was in them
/// before is the kernel's.
fn check_silent(mapping: *mut u8, buffer: *mut Mdl) {
    // SAFETY: a live MDL, as it was just mapped.
    let bytes = unsafe { (*buffer).byte_count as usize }.next_multiple_of(PAGE_SIZE);
    // SAFETY: the mapping has whole pages, and nobody writes to them before the pin has its buffer.
    let pages = unsafe { std::slice::from_raw_parts(mapping, bytes) };
    if let Some(first) = pages.iter().position(|byte| *byte != 0) {
        record(
            Rule::Argument,
            format!(
                "AllocateAudioBuffer: byte {first} of the {bytes} that user mode gets is {:#x}, not 0",
                pages[first]
            ),
        );
    }
}

impl WaveRtPin {
    /// KSPROPERTY_CONNECTION_DATAFORMAT: another format for an open pin.
    pub(crate) fn set_format(&self, format: &[u8]) -> Result<(), NtStatus> {
        connect::check(format)?;
        let bytes = format;
        let format = AlignedFormat::new(bytes);
        let status = self.locked(|| {
            // SAFETY: the format lives as long as the call.
            self.with_stream("IMiniportWaveRTStream::SetFormat", |this, table| unsafe {
                (table.set_format)(this, format.pointer())
            })
        })?;
        status.ok()?;
        self.note_format(bytes);
        Ok(())
    }
}

/// A format in memory that ends where its bytes end, so that a driver that reads on faults.
pub(super) struct AlignedFormat {
    address: *mut u8,
}

impl AlignedFormat {
    pub(super) fn new(bytes: &[u8]) -> Self {
        let address = memory::allocate_for_request(bytes.len(), "a data format of the audio engine");
        // SAFETY: just allocated, with as many bytes.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), address, bytes.len()) };
        Self { address }
    }

    pub(super) fn pointer(&self) -> *const DataRange {
        self.address.cast::<DataRange>().cast_const()
    }
}

impl Drop for AlignedFormat {
    fn drop(&mut self) {
        if crate::machine::try_machine().is_some() {
            memory::free(self.address);
        }
    }
}
