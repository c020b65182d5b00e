//! Names for the object manager.

use core::ptr::null_mut;

use wdk_sys::{HANDLE, NTSTATUS, OBJ_CASE_INSENSITIVE, OBJ_KERNEL_HANDLE, OBJECT_ATTRIBUTES, UNICODE_STRING};

use super::handle::Handle;
use super::status::{Result, Status, check};

/// A counted string that borrows `name`, in UTF-16: it must not outlive it, nor be written through.
///
/// # Errors
/// `STATUS_INVALID_PARAMETER` for a name that is too long to be counted in bytes.
pub fn unicode_string(name: &[u16]) -> Result<UNICODE_STRING> {
    let bytes = u16::try_from(size_of_val(name)).map_err(|_| Status::INVALID_PARAMETER)?;
    Ok(UNICODE_STRING { Length: bytes, MaximumLength: bytes, Buffer: name.as_ptr().cast_mut() })
}

/// Opens what has this name, in UTF-16, below `root`, or by its absolute path if there is no root.
///
/// # Safety
/// `call` opens what the attributes name and stores the handle if it succeeds.
///
/// # Errors
/// As [`unicode_string`], and what `call` returns.
pub unsafe fn open(
    root: Option<&Handle>,
    name: &[u16],
    call: impl FnOnce(*mut HANDLE, *mut OBJECT_ATTRIBUTES) -> NTSTATUS,
) -> Result<Handle> {
    let mut name = unicode_string(name)?;
    let mut attributes = OBJECT_ATTRIBUTES {
        Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
        RootDirectory: root.map_or(null_mut(), Handle::as_raw),
        ObjectName: &raw mut name,
        Attributes: OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE,
        ..OBJECT_ATTRIBUTES::default()
    };
    let mut handle = null_mut();
    check(call(&raw mut handle, &raw mut attributes))?;
    // SAFETY: just opened by `call`, as a kernel handle.
    Ok(unsafe { Handle::new(handle) })
}

/// ASCII as UTF-16; `N` is its length.
pub const fn utf16<const N: usize>(ascii: &[u8; N]) -> [u16; N] {
    let mut units = [0; N];
    let mut index = 0;
    while index < N {
        units[index] = ascii[index] as u16;
        index += 1;
    }
    units
}
