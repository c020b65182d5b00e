//! The run-time library: memory and string functions, and the version.

use crate::kernel::imports::Export;
use crate::machine::machine;
use crate::nt::{NtStatus, OsVersionInfo, UnicodeString};
use crate::schedule::{DISPATCH_LEVEL, Irql, PASSIVE_LEVEL};
use crate::verifier::{self, Rule};
use crate::{exports, import};

/// IRQL limit of what may be called at any level.
const HIGH_LEVEL: Irql = 15;
/// Windows 10 version 2004, the oldest one that has ExAllocatePool2.
const VERSION: (u32, u32, u32) = (10, 0, 19041);

/// The units of a counted string.
///
/// # Safety
/// `string` points to a counted string.
unsafe fn units(string: *const UnicodeString) -> Vec<u16> {
    // SAFETY: the caller vouches for the pointer; a wrong one faults and is reported.
    let string = unsafe { &*string };
    // SAFETY: as above, for what it counts.
    (0..usize::from(string.length / 2))
        .map(|index| unsafe { string.buffer.add(index).read_unaligned() })
        .collect()
}

fn upper(unit: u16) -> u16 {
    let upper = char::from_u32(u32::from(unit)).and_then(|it| it.to_uppercase().next());
    upper.and_then(|it| u16::try_from(u32::from(it)).ok()).unwrap_or(unit)
}

fn folded(units: Vec<u16>, ignore_case: bool) -> Vec<u16> {
    if ignore_case { units.into_iter().map(upper).collect() } else { units }
}

import! {
    /// Copies between areas that do not overlap.
    pub fn memcpy(target: *mut u8, source: *const u8, bytes: usize) -> *mut u8, irql <= HIGH_LEVEL; {
        if bytes > 0 && target.addr().abs_diff(source.addr()) < bytes {
            verifier::record(Rule::Argument, "memcpy between areas that overlap");
        }
        machine().meter.copied(bytes);
        // SAFETY: the driver passes its areas; wrong ones fault and are reported.
        unsafe { libc::memmove(target.cast(), source.cast(), bytes) }.cast()
    }

    /// Copies.
    pub fn memmove(target: *mut u8, source: *const u8, bytes: usize) -> *mut u8, irql <= HIGH_LEVEL; {
        machine().meter.copied(bytes);
        // SAFETY: the driver passes its areas; wrong ones fault and are reported.
        unsafe { libc::memmove(target.cast(), source.cast(), bytes) }.cast()
    }

    /// Fills.
    pub fn memset(target: *mut u8, value: i32, bytes: usize) -> *mut u8, irql <= HIGH_LEVEL; {
        machine().meter.copied(bytes);
        // SAFETY: the driver passes its area; a wrong one faults and is reported.
        unsafe { libc::memset(target.cast(), value, bytes) }.cast()
    }

    /// Compares.
    pub fn memcmp(first: *const u8, second: *const u8, bytes: usize) -> i32, irql <= HIGH_LEVEL; {
        // SAFETY: the driver passes its areas; wrong ones fault and are reported.
        unsafe { libc::memcmp(first.cast(), second.cast(), bytes) }
    }

    /// Fills: the value comes last.
    pub fn RtlFillMemory(target: *mut u8, bytes: usize, value: u8), irql <= HIGH_LEVEL; {
        machine().meter.copied(bytes);
        // SAFETY: the driver passes its area; a wrong one faults and is reported.
        unsafe { libc::memset(target.cast(), i32::from(value), bytes) };
    }

    /// Fills with zeros.
    pub fn RtlZeroMemory(target: *mut u8, bytes: usize), irql <= HIGH_LEVEL; {
        machine().meter.copied(bytes);
        // SAFETY: the driver passes its area; a wrong one faults and is reported.
        unsafe { libc::memset(target.cast(), 0, bytes) };
    }

    /// Bytes before the NUL.
    pub fn strlen(text: *const u8) -> usize, irql <= HIGH_LEVEL; {
        // SAFETY: the driver passes a string; one without an end faults and is reported.
        unsafe { libc::strlen(text.cast()) }
    }

    /// Units before the NUL.
    pub fn wcslen(text: *const u16) -> usize, irql <= HIGH_LEVEL; {
        // SAFETY: the driver passes a string; one without an end faults and is reported.
        (0..).take_while(|index| unsafe { text.add(*index).read() } != 0).count()
    }

    /// How many bytes are equal before the first difference.
    pub fn RtlCompareMemory(first: *const u8, second: *const u8, bytes: usize) -> usize, irql <= HIGH_LEVEL; {
        // SAFETY: the driver passes its areas; wrong ones fault and are reported.
        (0..bytes).take_while(|index| unsafe { first.add(*index).read() == second.add(*index).read() }).count()
    }

    /// Makes a counted string of a string with a NUL, without copying it; null makes an empty one.
    pub fn RtlInitUnicodeString(string: *mut UnicodeString, text: *mut u16), irql <= DISPATCH_LEVEL; {
        // SAFETY: the driver passes null or a string; one without an end faults and is reported.
        let count = if text.is_null() { 0 } else { (0..).take_while(|index| unsafe { text.add(*index).read() } != 0).count() };
        let length = (count * 2).min(usize::from(u16::MAX - 3)) as u16;
        let maximum_length = if text.is_null() { 0 } else { length + 2 };
        // SAFETY: the driver passes its variable.
        unsafe { string.write(UnicodeString { length, maximum_length, buffer: text }) };
    }

    /// Copies as much as fits.
    pub fn RtlCopyUnicodeString(target: *mut UnicodeString, source: *const UnicodeString), irql <= DISPATCH_LEVEL; {
        // SAFETY: the driver passes its variable.
        let target = unsafe { &mut *target };
        if source.is_null() {
            target.length = 0;
            return;
        }
        // SAFETY: the driver passes a counted string.
        let mut units = unsafe { units(source) };
        units.truncate(usize::from(target.maximum_length / 2));
        for (index, unit) in units.iter().enumerate() {
            // SAFETY: below the maximum length, which the driver vouches for.
            unsafe { target.buffer.add(index).write_unaligned(*unit) };
        }
        target.length = units.len() as u16 * 2;
        if target.length + 2 <= target.maximum_length {
            // SAFETY: as above.
            unsafe { target.buffer.add(units.len()).write_unaligned(0) };
        }
    }

    /// Whether two counted strings are the same.
    pub fn RtlEqualUnicodeString(first: *const UnicodeString, second: *const UnicodeString, ignore_case: u8) -> u8,
        irql <= PASSIVE_LEVEL; {
        // SAFETY: the driver passes counted strings.
        let (first, second) = unsafe { (units(first), units(second)) };
        u8::from(folded(first, ignore_case != 0) == folded(second, ignore_case != 0))
    }

    /// Below, at or above zero.
    pub fn RtlCompareUnicodeString(first: *const UnicodeString, second: *const UnicodeString, ignore_case: u8) -> i32,
        irql <= PASSIVE_LEVEL; {
        // SAFETY: the driver passes counted strings.
        let (first, second) = unsafe { (units(first), units(second)) };
        folded(first, ignore_case != 0).cmp(&folded(second, ignore_case != 0)) as i32
    }

    /// The version of Windows that the machine plays.
    pub fn RtlGetVersion(version: *mut OsVersionInfo) -> NtStatus, irql <= PASSIVE_LEVEL; {
        // SAFETY: the driver passes its variable with its size in it.
        let size = unsafe { (&raw const (*version).size).read() } as usize;
        if size < 276 {
            verifier::record(Rule::Argument, format!("RtlGetVersion with a structure of {size} bytes"));
            return NtStatus::INVALID_PARAMETER;
        }
        for (index, value) in [VERSION.0, VERSION.1, VERSION.2, 2].into_iter().enumerate() {
            // SAFETY: inside the structure's first fields.
            unsafe { version.cast::<u32>().add(index + 1).write(value) };
        }
        NtStatus::SUCCESS
    }
}

/// What this file provides to drivers.
pub(crate) const EXPORTS: &[Export] = exports!["ntoskrnl.exe":
    memcpy, memmove, memset, memcmp, strlen, wcslen, RtlCompareMemory, RtlInitUnicodeString, RtlCopyUnicodeString,
    RtlEqualUnicodeString, RtlCompareUnicodeString, RtlGetVersion, RtlFillMemory, RtlZeroMemory];
/// The same functions under the names of the run-time library.
pub(crate) const ALIASES: &[Export] = &[
    Export { module: "ntoskrnl.exe", name: "RtlMoveMemory", address: memmove as *const () },
    Export { module: "ntoskrnl.exe", name: "RtlCopyMemory", address: memcpy as *const () },
];
