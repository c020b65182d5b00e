//! One line in the debugger's log when something is wrong, or when a stream begins and ends. Never per packet.

use core::ffi::CStr;

use wdk_sys::NTSTATUS;
use wdk_sys::ntddk::DbgPrint;

/// Writes "Scream: MESSAGE". Any IRQL up to DIRQL.
pub fn message(message: &CStr) {
    // SAFETY: the format takes one string, and both are NUL-terminated.
    unsafe { DbgPrint(c"Scream: %s\n".as_ptr(), message.as_ptr()) };
}

/// Writes "Scream: MESSAGE (status 0x...)".
pub fn status(message: &CStr, status: NTSTATUS) {
    // SAFETY: the format takes one string and one 32-bit number.
    unsafe { DbgPrint(c"Scream: %s (status 0x%08X)\n".as_ptr(), message.as_ptr(), status) };
}

/// Writes "Scream: MESSAGE: NUMBER".
pub fn number(message: &CStr, number: u32) {
    // SAFETY: the format takes one string and one 32-bit number.
    unsafe { DbgPrint(c"Scream: %s: %u\n".as_ptr(), message.as_ptr(), number) };
}

/// Writes "Scream: option NAME ignored: REASON".
pub fn option(name: &CStr, reason: &CStr) {
    // SAFETY: the format takes two strings, and all are NUL-terminated.
    unsafe { DbgPrint(c"Scream: option %s ignored: %s\n".as_ptr(), name.as_ptr(), reason.as_ptr()) };
}
