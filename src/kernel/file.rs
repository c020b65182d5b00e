//! Devices of other drivers: opened by name as files, and asked by I/O control requests.

use core::ffi::c_void;
use core::mem::zeroed;
use core::ptr::null_mut;

use wdk_sys::ntddk::{ZwDeviceIoControlFile, ZwOpenFile};
use wdk_sys::{
    FILE_READ_DATA, FILE_SHARE_READ, FILE_SHARE_WRITE, FILE_SYNCHRONOUS_IO_NONALERT, FILE_WRITE_DATA,
    IO_STATUS_BLOCK, SYNCHRONIZE,
};

use super::handle::{Handle, Object};
use super::object_name;
use super::status::{Result, check};

/// An open file; closed when dropped. PASSIVE_LEVEL.
pub struct File {
    handle: Handle,
}

impl File {
    /// Opens a device by its name, in UTF-16, to be read and written, and shared with others.
    ///
    /// # Errors
    /// What the object manager or the device's driver says; `STATUS_INVALID_PARAMETER` for a name that is too long.
    pub fn open(name: &[u16]) -> Result<Self> {
        let mut outcome = no_outcome();
        // SAFETY: all pointers are to live locals, and the name is only read.
        let open = |handle, attributes| unsafe {
            ZwOpenFile(
                handle,
                FILE_READ_DATA | FILE_WRITE_DATA | SYNCHRONIZE,
                attributes,
                &raw mut outcome,
                FILE_SHARE_READ | FILE_SHARE_WRITE,
                FILE_SYNCHRONOUS_IO_NONALERT,
            )
        };
        // SAFETY: ZwOpenFile opens what the attributes name.
        Ok(Self { handle: unsafe { object_name::open(None, name, open) }? })
    }

    /// Sends an I/O control request whose code says `METHOD_BUFFERED`, and waits for its end. How many bytes of `output`
    /// the driver has filled.
    ///
    /// # Errors
    /// What the device's driver says.
    pub fn control(&self, code: u32, input: &[u8], output: &mut [u8]) -> Result<usize> {
        let mut outcome = no_outcome();
        // SAFETY: the handle is open, and all pointers are to live memory of the lengths that are given until the call
        // returns, which is when the request has ended: the file is opened for synchronous I/O. The input is only read.
        check(unsafe {
            ZwDeviceIoControlFile(
                self.handle.as_raw(),
                null_mut(),
                None,
                null_mut(),
                &raw mut outcome,
                code,
                pointer(input).cast_mut(),
                u32::try_from(input.len()).unwrap_or(0),
                pointer(output).cast_mut(),
                u32::try_from(output.len()).unwrap_or(0),
            )
        })?;
        Ok(usize::try_from(outcome.Information).unwrap_or(usize::MAX))
    }

    /// The file's object.
    ///
    /// # Errors
    /// What the object manager says.
    pub fn object(&self) -> Result<Object> {
        self.handle.object()
    }
}

/// Null for no bytes.
fn pointer(bytes: &[u8]) -> *const c_void {
    if bytes.is_empty() { core::ptr::null() } else { bytes.as_ptr().cast() }
}

fn no_outcome() -> IO_STATUS_BLOCK {
    // SAFETY: all-zero bytes are a valid status block.
    unsafe { zeroed() }
}
