//! Devices of other drivers: opened by name as files, and asked by I/O control requests.

use core::ffi::c_void;
use core::mem::zeroed;
use core::ptr::{NonNull, null_mut};

use wdk_sys::ntddk::{
    ObReferenceObjectByHandle, ObfDereferenceObject, ZwClose, ZwDeviceIoControlFile, ZwOpenFile,
};
use wdk_sys::{
    _MODE, FILE_READ_DATA, FILE_SHARE_READ, FILE_SHARE_WRITE, FILE_SYNCHRONOUS_IO_NONALERT, FILE_WRITE_DATA,
    HANDLE, IO_STATUS_BLOCK, KPROCESSOR_MODE, OBJ_CASE_INSENSITIVE, OBJ_KERNEL_HANDLE, OBJECT_ATTRIBUTES,
    SYNCHRONIZE, UNICODE_STRING,
};

use super::status::{Result, Status, check};

/// An open file; closed when dropped. PASSIVE_LEVEL.
///
/// The handle is a kernel handle, which is valid in every process.
pub struct File {
    handle: HANDLE,
}

// SAFETY: a kernel handle belongs to no thread and no process.
unsafe impl Send for File {}
// SAFETY: as above; the I/O manager lets one request after the other through, since the file is opened so.
unsafe impl Sync for File {}

/// A reference to the object of an open file. PASSIVE_LEVEL.
pub struct FileObject {
    raw: NonNull<c_void>,
}

impl File {
    /// Opens a device by its name, in UTF-16, to be read and written, and shared with others.
    ///
    /// # Errors
    /// What the object manager or the device's driver says; `STATUS_INVALID_PARAMETER` for a name that is too long.
    pub fn open(name: &[u16]) -> Result<Self> {
        let bytes = u16::try_from(size_of_val(name)).map_err(|_| Status::INVALID_PARAMETER)?;
        let mut name =
            UNICODE_STRING { Length: bytes, MaximumLength: bytes, Buffer: name.as_ptr().cast_mut() };
        let mut attributes = OBJECT_ATTRIBUTES {
            Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
            ObjectName: &raw mut name,
            Attributes: OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE,
            ..OBJECT_ATTRIBUTES::default()
        };
        let mut handle: HANDLE = null_mut();
        let mut outcome = no_outcome();
        // SAFETY: all pointers are to live locals, and the name is only read.
        check(unsafe {
            ZwOpenFile(
                &raw mut handle,
                FILE_READ_DATA | FILE_WRITE_DATA | SYNCHRONIZE,
                &raw mut attributes,
                &raw mut outcome,
                FILE_SHARE_READ | FILE_SHARE_WRITE,
                FILE_SYNCHRONOUS_IO_NONALERT,
            )
        })?;
        Ok(Self { handle })
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
                self.handle,
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
    pub fn object(&self) -> Result<FileObject> {
        let mut raw = null_mut();
        // SAFETY: the handle is open, and that of a file; the object goes to a local. In kernel mode neither an access nor
        // a type has to be named.
        check(unsafe {
            ObReferenceObjectByHandle(
                self.handle,
                0,
                null_mut(),
                _MODE::KernelMode as KPROCESSOR_MODE,
                &raw mut raw,
                null_mut(),
            )
        })?;
        Ok(FileObject { raw: NonNull::new(raw).ok_or(Status::UNSUCCESSFUL)? })
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: the handle is open and not used again.
        let _ = unsafe { ZwClose(self.handle) };
    }
}

impl FileObject {
    /// The object, borrowed.
    pub fn as_ptr(&self) -> *mut c_void {
        self.raw.as_ptr()
    }
}

impl Drop for FileObject {
    fn drop(&mut self) {
        // SAFETY: the reference is ours and not used again.
        unsafe { ObfDereferenceObject(self.raw.as_ptr()) };
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
