//! [`Handle`]: an open device of sndio, safe to use.

#![expect(unsafe_code, reason = "calls a C library")]

use std::ffi::{CStr, c_int, c_void};
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::ffi::{
    SIO_PLAY, sio_close, sio_eof, sio_getpar, sio_hdl, sio_initpar, sio_nfds, sio_onmove, sio_open, sio_par,
    sio_pollfd, sio_revents, sio_setpar, sio_start, sio_write,
};
use crate::Moment;

/// Where the device is; told in callbacks.
#[derive(Default)]
struct Position {
    frames: AtomicI64,
    /// When it was there; as in [`Moment`].
    at: AtomicU64,
}

/// An open device.
///
/// # Invariants
/// The device is open, and nobody else has it. `position` is where its callback writes.
pub struct Handle {
    device: NonNull<sio_hdl>,
    position: Box<Position>,
    descriptors: Vec<libc::pollfd>,
}

// SAFETY: The library has no state of threads: a device may be used by one thread after the other, and no method here
// can be called by two at a time, because those that call the library take the handle mutably.
unsafe impl Send for Handle {}

impl Handle {
    /// Opens a device for playing, so that writing does not wait. `None` if that is not possible.
    pub fn open(name: &CStr) -> Option<Self> {
        // SAFETY: The name ends with a NUL, and is not kept.
        let device = NonNull::new(unsafe { sio_open(name.as_ptr(), SIO_PLAY, 1) })?;
        let position = Box::<Position>::default();
        let to = (&raw const *position).cast_mut().cast::<c_void>();
        // SAFETY: The device is open and not started. The position is on the heap, so that it stays where it is, and goes
        // only after the device has been closed. It is only reached through shared references.
        unsafe { sio_onmove(device.as_ptr(), Some(moved), to) };
        // SAFETY: The device is open.
        let most = unsafe { sio_nfds(device.as_ptr()) };
        let none = libc::pollfd { fd: -1, events: 0, revents: 0 };
        Some(Self { device, position, descriptors: vec![none; usize::try_from(most).unwrap_or(0)] })
    }

    /// Asks for parameters, and tells those that the device has. `None` if it has gone.
    pub fn configure(&mut self, ask: impl FnOnce(&mut sio_par)) -> Option<sio_par> {
        let mut parameters = MaybeUninit::<sio_par>::uninit();
        // SAFETY: This writes to all of the structure.
        unsafe { sio_initpar(parameters.as_mut_ptr()) };
        // SAFETY: It has just been written; and any bytes would be one.
        let mut parameters = unsafe { parameters.assume_init() };
        ask(&mut parameters);
        // SAFETY: The device is open, and the structure lives.
        let set = unsafe { sio_setpar(self.device.as_ptr(), &raw mut parameters) };
        // SAFETY: As above.
        let got = unsafe { sio_getpar(self.device.as_ptr(), &raw mut parameters) };
        (set != 0 && got != 0).then_some(parameters)
    }

    /// Begins to take sound. False if the device has gone.
    pub fn start(&mut self) -> bool {
        // SAFETY: The device is open.
        unsafe { sio_start(self.device.as_ptr()) != 0 }
    }

    /// Writes what there is room for; how many bytes that was.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        // SAFETY: The device is open, and reads no more than these bytes.
        unsafe { sio_write(self.device.as_ptr(), bytes.as_ptr().cast(), bytes.len()) }
    }

    /// Waits until something happens, for `time` at most: room for sound, or a position. True if there is room.
    pub fn wait(&mut self, time: Duration) -> bool {
        let (device, descriptors) = (self.device.as_ptr(), self.descriptors.as_mut_ptr());
        // SAFETY: The device is open, and there are as many descriptors as it wants.
        let count = unsafe { sio_pollfd(device, descriptors, c_int::from(libc::POLLOUT)) };
        let timeout = c_int::try_from(time.as_millis()).unwrap_or(c_int::MAX);
        // SAFETY: So many descriptors have been filled.
        unsafe { libc::poll(descriptors, libc::nfds_t::try_from(count).unwrap_or(0), timeout) };
        // SAFETY: The device is open, and these are its descriptors.
        let events = unsafe { sio_revents(device, descriptors) };
        events & c_int::from(libc::POLLOUT) != 0
    }

    /// True if the device has gone.
    pub fn has_gone(&mut self) -> bool {
        // SAFETY: The device is open.
        unsafe { sio_eof(self.device.as_ptr()) != 0 }
    }

    /// How many frames have been played, and when that was. `None` if it does not play yet.
    pub fn position(&self) -> Option<(i64, Moment)> {
        let at = Moment(self.position.at.load(Ordering::Relaxed));
        (at != Moment(0)).then(|| (self.position.frames.load(Ordering::Relaxed), at))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: The device is open, and not used after this.
        unsafe { sio_close(self.device.as_ptr()) };
    }
}

/// The device has moved by so many frames.
unsafe extern "C" fn moved(position: *mut c_void, frames: c_int) {
    // SAFETY: It is the position of the handle, which lives as long as the device.
    let position = unsafe { &*position.cast::<Position>() };
    position.frames.fetch_add(i64::from(frames), Ordering::Relaxed);
    position.at.store(Moment::now().0, Ordering::Relaxed);
}
