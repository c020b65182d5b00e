//! `NTSTATUS` as a Rust error, and the way back.

use wdk_sys::{NT_SUCCESS, NTSTATUS};

/// A status that is not a success.
///
/// # Invariants
/// `NT_SUCCESS(self.0)` is false.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Status(NTSTATUS);

/// What a fallible operation of the driver returns.
pub type Result<T = ()> = core::result::Result<T, Status>;

impl Status {
    /// The data does not fit into the buffer; the size that is needed has been returned.
    pub const BUFFER_OVERFLOW: Self = Self(wdk_sys::STATUS_BUFFER_OVERFLOW);
    /// The buffer is too small for what was asked.
    pub const BUFFER_TOO_SMALL: Self = Self(wdk_sys::STATUS_BUFFER_TOO_SMALL);
    /// The data comes too late.
    pub const DATA_LATE: Self = Self(wdk_sys::STATUS_DATA_LATE_ERROR);
    /// The data comes too early: there is no place for it.
    pub const DATA_OVERRUN: Self = Self(wdk_sys::STATUS_DATA_OVERRUN);
    /// The device has gone.
    pub const DEVICE_NOT_READY: Self = Self(wdk_sys::STATUS_DEVICE_NOT_READY);
    /// Memory, or the only instance of something, is used up.
    pub const INSUFFICIENT_RESOURCES: Self = Self(wdk_sys::STATUS_INSUFFICIENT_RESOURCES);
    /// The verb is not one that this property has.
    pub const INVALID_DEVICE_REQUEST: Self = Self(wdk_sys::STATUS_INVALID_DEVICE_REQUEST);
    /// It took too long.
    pub const IO_TIMEOUT: Self = Self(wdk_sys::STATUS_IO_TIMEOUT);
    /// The operation is not possible now.
    pub const INVALID_DEVICE_STATE: Self = Self(wdk_sys::STATUS_INVALID_DEVICE_STATE);
    /// An argument makes no sense.
    pub const INVALID_PARAMETER: Self = Self(wdk_sys::STATUS_INVALID_PARAMETER);
    /// What was named is not there.
    pub const NOT_FOUND: Self = Self(wdk_sys::STATUS_NOT_FOUND);
    /// PortCls shall do it in its own way.
    pub const NOT_IMPLEMENTED: Self = Self(wdk_sys::STATUS_NOT_IMPLEMENTED);
    /// Not a thing this device does.
    pub const NOT_SUPPORTED: Self = Self(wdk_sys::STATUS_NOT_SUPPORTED);
    /// There is nothing of that name.
    pub const OBJECT_NAME_NOT_FOUND: Self = Self(wdk_sys::STATUS_OBJECT_NAME_NOT_FOUND);
    /// The format is not one of ours.
    pub const NO_MATCH: Self = Self(wdk_sys::STATUS_NO_MATCH);
    /// It did not work, for a reason that has no name.
    pub const UNSUCCESSFUL: Self = Self(wdk_sys::STATUS_UNSUCCESSFUL);

    /// The status as Windows knows it.
    pub const fn code(self) -> NTSTATUS {
        self.0
    }
}

/// Turns what a kernel function returned into a `Result`.
pub fn check(status: NTSTATUS) -> Result {
    if NT_SUCCESS(status) { Ok(()) } else { Err(Status(status)) }
}

/// Turns a `Result` into what a callback returns.
pub fn ntstatus(result: Result) -> NTSTATUS {
    match result {
        Ok(()) => wdk_sys::STATUS_SUCCESS,
        Err(status) => status.code(),
    }
}
