//! The part of libsndio that is used, declared here: no crate fits.
//!
//! `sndio` 0.1.1 declares `struct pollfd` with members of the wrong size, so that waiting for a device writes beyond it,
//! and has no `sio_onmove`, without which nobody knows when a frame is heard. `sndio-sys` 0.0.1 does not build.
//!
//! The source of all this is `sndio.h` of sndio 1.9 and `sio_open(3)`.

#![expect(unsafe_code, reason = "calls a C library")]

use std::ffi::{c_char, c_int, c_uint, c_void};

/// An open device.
#[repr(C)]
pub struct sio_hdl {
    _opaque: [u8; 0],
}

/// How a device takes sound.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct sio_par {
    /// Bits of a sample.
    pub bits: c_uint,
    /// Bytes of a sample.
    pub bps: c_uint,
    /// 1 if signed.
    pub sig: c_uint,
    /// 1 if little endian.
    pub le: c_uint,
    /// 1 if the most significant bits of a larger container are used.
    pub msb: c_uint,
    /// Channels for recording.
    pub rchan: c_uint,
    /// Channels for playing.
    pub pchan: c_uint,
    /// Frames per second.
    pub rate: c_uint,
    /// Frames from end to end; told, not asked for.
    pub bufsz: c_uint,
    /// What is done in an underrun.
    pub xrun: c_uint,
    /// Frames of a block.
    pub round: c_uint,
    /// Frames that the program wants to have in the buffer at least.
    pub appbufsz: c_uint,
    pad: [c_int; 3],
    magic: c_uint,
}

// Printed by a C program that includes <sndio.h>.
const _: () = assert!(size_of::<sio_par>() == 64);
const _: () = assert!(std::mem::offset_of!(sio_par, rate) == 28);
const _: () = assert!(std::mem::offset_of!(sio_par, appbufsz) == 44);
const _: () = assert!(std::mem::offset_of!(sio_par, magic) == 60);

/// Opens for playing.
pub const SIO_PLAY: c_uint = 1;
/// In an underrun the stream pauses: nothing is lost.
pub const SIO_IGNORE: c_uint = 0;

/// Tells by how many frames the position has moved.
pub type Move = unsafe extern "C" fn(*mut c_void, c_int);

#[link(name = "sndio")]
unsafe extern "C" {
    /// Sets all of the parameters to "whatever the device likes".
    pub fn sio_initpar(par: *mut sio_par);
    /// Opens a device; null if that is not possible. `nbio` other than 0: writing does not wait.
    pub fn sio_open(name: *const c_char, mode: c_uint, nbio: c_int) -> *mut sio_hdl;
    /// Closes a device, and frees it.
    pub fn sio_close(hdl: *mut sio_hdl);
    /// Asks for parameters; 0 if the device has gone.
    pub fn sio_setpar(hdl: *mut sio_hdl, par: *mut sio_par) -> c_int;
    /// Tells the parameters that the device has; 0 if it has gone.
    pub fn sio_getpar(hdl: *mut sio_hdl, par: *mut sio_par) -> c_int;
    /// Sets what is called, within the other calls, when the position moves. Before `sio_start` only.
    pub fn sio_onmove(hdl: *mut sio_hdl, call: Option<Move>, arg: *mut c_void);
    /// Begins to take sound; playing begins when the buffer is full. 0 if the device has gone.
    pub fn sio_start(hdl: *mut sio_hdl) -> c_int;
    /// Writes what there is room for, and tells how many bytes.
    pub fn sio_write(hdl: *mut sio_hdl, bytes: *const c_void, length: usize) -> usize;
    /// How many descriptors `sio_pollfd` fills at the most.
    pub fn sio_nfds(hdl: *mut sio_hdl) -> c_int;
    /// Fills descriptors for `poll`, and tells how many.
    pub fn sio_pollfd(hdl: *mut sio_hdl, fds: *mut libc::pollfd, events: c_int) -> c_int;
    /// Does what `poll` has woken for, and tells the events.
    pub fn sio_revents(hdl: *mut sio_hdl, fds: *mut libc::pollfd) -> c_int;
    /// Other than 0 if the device has gone.
    pub fn sio_eof(hdl: *mut sio_hdl) -> c_int;
}
