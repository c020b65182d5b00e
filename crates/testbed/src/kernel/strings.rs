//! Strings of one byte per letter, and what makes numbers and addresses of strings. Letters beyond ASCII are those of
//! code page 1252's Latin-1 part; others become question marks.

use std::net::Ipv4Addr;

use crate::kernel::imports::Export;
use crate::kernel::pool;
use crate::memory;
use crate::nt::{AnsiString, NtStatus, UnicodeString};
use crate::schedule::{DISPATCH_LEVEL, PASSIVE_LEVEL};
use crate::verifier::{self, Rule};
use crate::{exports, import};

/// The tag of strings that the library allocates: "Strg".
const TAG: u32 = u32::from_le_bytes(*b"Strg");

/// The units of a counted string.
///
/// # Safety
/// `string` points to a counted string.
unsafe fn units(string: *const UnicodeString) -> Vec<u16> {
    // SAFETY: the caller vouches for the pointer; a wrong one faults and is reported.
    let UnicodeString { length, buffer, .. } = unsafe { *string };
    // SAFETY: as above, for what it counts.
    (0..usize::from(length / 2)).map(|index| unsafe { buffer.add(index).read_unaligned() }).collect()
}

/// The letters of a counted string.
///
/// # Safety
/// `string` points to a counted string.
unsafe fn letters(string: *const AnsiString) -> Vec<u8> {
    // SAFETY: the caller vouches for the pointer; a wrong one faults and is reported.
    let AnsiString { length, buffer, .. } = unsafe { *string };
    // SAFETY: as above, for what it counts.
    (0..usize::from(length)).map(|index| unsafe { buffer.add(index).read() }).collect()
}

/// Bytes before the NUL.
///
/// # Safety
/// `text` is null or a string.
unsafe fn length_of(text: *const u8) -> usize {
    if text.is_null() {
        return 0;
    }
    // SAFETY: the caller vouches for it; a string without an end faults and is reported.
    (0..).take_while(|index| unsafe { text.add(*index).read() } != 0).count()
}

fn narrow(units: &[u16]) -> Vec<u8> {
    units.iter().map(|unit| u8::try_from(*unit).unwrap_or(b'?')).collect()
}

/// Pool for a string and its NUL; null when a fault is injected.
fn allocate(bytes: usize) -> *mut u8 {
    pool::allocate(bytes, TAG, true)
}

/// Writes bytes with a NUL of `unit` bytes, if there is room for it.
///
/// # Safety
/// `target` has `room` bytes, and `bytes` fit.
unsafe fn fill(target: *mut u8, room: usize, bytes: &[u8], unit: usize) {
    for (index, byte) in bytes.iter().copied().chain(std::iter::repeat_n(0, unit)).take(room).enumerate() {
        // SAFETY: below `room`.
        unsafe { target.add(index).write(byte) };
    }
}

fn wide_bytes(units: &[u16]) -> Vec<u8> {
    units.iter().flat_map(|unit| unit.to_le_bytes()).collect()
}

/// Puts units into a counted string: into its buffer, or into pool.
///
/// # Safety
/// `target` points to a counted string; without `allocated` its buffer has its maximum length.
unsafe fn put_units(target: *mut UnicodeString, units: &[u16], allocated: bool) -> NtStatus {
    let bytes = units.len() * 2;
    if bytes + 2 > usize::from(u16::MAX) {
        return NtStatus::INVALID_PARAMETER;
    }
    // SAFETY: the caller vouches for it.
    let string = unsafe { &mut *target };
    if allocated {
        string.buffer = allocate(bytes + 2).cast();
        string.maximum_length = bytes as u16 + 2;
        if string.buffer.is_null() {
            return NtStatus::NO_MEMORY;
        }
    } else if usize::from(string.maximum_length) < bytes {
        return NtStatus::BUFFER_OVERFLOW;
    }
    string.length = bytes as u16;
    // SAFETY: room was just made, or was there.
    unsafe { fill(string.buffer.cast(), usize::from(string.maximum_length), &wide_bytes(units), 2) };
    NtStatus::SUCCESS
}

/// A number in a base that its beginning may tell, as RtlUnicodeStringToInteger and RtlCharToInteger read it.
fn number(text: &str, base: u32) -> Option<u32> {
    let text = text.trim_start_matches(|letter: char| letter <= ' ');
    let (negative, text) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let told = match (base, text.get(..2)) {
        (0, Some("0x")) => Some(16),
        (0, Some("0o")) => Some(8),
        (0, Some("0b")) => Some(2),
        _ => None,
    };
    let (base, digits) = match (told, base) {
        (Some(told), _) => (told, &text[2..]),
        (None, 0) => (10, text),
        (None, 2 | 8 | 10 | 16) => (base, text),
        _ => return None,
    };
    let value = digits
        .chars()
        .map_while(|digit| digit.to_digit(base))
        .fold(0_u32, |value, digit| value.wrapping_mul(base).wrapping_add(digit));
    Some(if negative { value.wrapping_neg() } else { value })
}

/// A part of an address: decimal, octal after 0, hexadecimal after 0x.
fn address_part(text: &str, strict: bool) -> Option<(u32, usize)> {
    let (base, skip) = match text.get(..2) {
        Some("0x" | "0X") if !strict => (16, 2),
        Some(start) if !strict && start.starts_with('0') && start.as_bytes()[1].is_ascii_digit() => (8, 1),
        _ => (10, 0),
    };
    let digits = text[skip..].chars().take_while(|letter| letter.is_digit(base)).count();
    let value = u32::from_str_radix(&text[skip..skip + digits], base).ok()?;
    Some((value, skip + digits))
}

/// The address at the beginning of a text, and how many letters it has. Strict: four parts; else the last of fewer parts
/// stands for the rest.
fn address(text: &str, strict: bool) -> Option<(Ipv4Addr, usize)> {
    let (mut parts, mut at) = (Vec::new(), 0);
    loop {
        let (part, length) = address_part(&text[at..], strict)?;
        parts.push(part);
        at += length;
        if parts.len() == 4 || !text[at..].starts_with('.') {
            break;
        }
        at += 1;
    }
    if strict && parts.len() != 4 {
        return None;
    }
    let (last, firsts) = parts.split_last()?;
    let rest_bits = 32 - 8 * firsts.len() as u32;
    if firsts.iter().any(|part| *part > 255) || u64::from(*last) >= 1_u64 << rest_bits {
        return None;
    }
    let high = firsts.iter().enumerate().fold(0, |value, (index, part)| value | part << (24 - 8 * index));
    Some((Ipv4Addr::from(high | last), at))
}

import! {
    /// Makes a counted string of a string with a NUL, without copying it; null makes an empty one.
    pub fn RtlInitAnsiString(string: *mut AnsiString, text: *mut u8), irql <= DISPATCH_LEVEL; {
        // SAFETY: the driver passes null or a string.
        let length = unsafe { length_of(text) }.min(usize::from(u16::MAX - 1)) as u16;
        let maximum_length = if text.is_null() { 0 } else { length + 1 };
        // SAFETY: the driver passes its variable.
        unsafe { string.write(AnsiString { length, maximum_length, buffer: text }) };
    }

    /// Bytes of the string and its NUL, converted.
    pub fn RtlxUnicodeStringToAnsiSize(string: *const UnicodeString) -> u32, irql <= PASSIVE_LEVEL; {
        // SAFETY: the driver passes a counted string.
        unsafe { units(string) }.len() as u32 + 1
    }

    /// Units of two bytes of the string and its NUL, converted.
    pub fn RtlxAnsiStringToUnicodeSize(string: *const AnsiString) -> u32, irql <= PASSIVE_LEVEL; {
        // SAFETY: the driver passes a counted string.
        (unsafe { letters(string) }.len() as u32 + 1) * 2
    }

    /// Into a buffer of the driver's, or into pool for RtlFreeAnsiString.
    pub fn RtlUnicodeStringToAnsiString(target: *mut AnsiString, source: *const UnicodeString, allocated: u8) -> NtStatus,
        irql <= PASSIVE_LEVEL; {
        // SAFETY: the driver passes a counted string.
        let mut text = narrow(&unsafe { units(source) });
        // SAFETY: the driver passes its variable.
        let string = unsafe { &mut *target };
        let mut status = NtStatus::SUCCESS;
        if allocated != 0 {
            string.buffer = allocate(text.len() + 1);
            string.maximum_length = text.len() as u16 + 1;
            if string.buffer.is_null() {
                return NtStatus::NO_MEMORY;
            }
        } else if text.len() >= usize::from(string.maximum_length) {
            if string.maximum_length == 0 {
                return NtStatus::BUFFER_OVERFLOW;
            }
            text.truncate(usize::from(string.maximum_length) - 1);
            status = NtStatus::BUFFER_OVERFLOW;
        }
        string.length = text.len() as u16;
        // SAFETY: room was just made, or the driver says that it is there.
        unsafe { fill(string.buffer, usize::from(string.maximum_length), &text, 1) };
        status
    }

    /// Into a buffer of the driver's, or into pool for RtlFreeUnicodeString.
    pub fn RtlAnsiStringToUnicodeString(target: *mut UnicodeString, source: *const AnsiString, allocated: u8) -> NtStatus,
        irql <= PASSIVE_LEVEL; {
        // SAFETY: the driver passes a counted string.
        let text: Vec<u16> = unsafe { letters(source) }.into_iter().map(u16::from).collect();
        // SAFETY: the driver passes its string.
        unsafe { put_units(target, &text, allocated != 0) }
    }

    /// Frees what a conversion allocated.
    pub fn RtlFreeUnicodeString(string: *mut UnicodeString), irql <= PASSIVE_LEVEL; {
        // SAFETY: the driver passes its string.
        let string = unsafe { &mut *string };
        if !string.buffer.is_null() {
            pool::free(string.buffer.cast(), TAG);
        }
        *string = UnicodeString { length: 0, maximum_length: 0, buffer: std::ptr::null_mut() };
    }

    /// Frees what a conversion allocated.
    pub fn RtlFreeAnsiString(string: *mut AnsiString), irql <= PASSIVE_LEVEL; {
        // SAFETY: the driver passes its string.
        let string = unsafe { &mut *string };
        if !string.buffer.is_null() {
            pool::free(string.buffer, TAG);
        }
        *string = AnsiString { length: 0, maximum_length: 0, buffer: std::ptr::null_mut() };
    }

    /// STATUS_BUFFER_TOO_SMALL when it does not fit.
    pub fn RtlAppendUnicodeToString(target: *mut UnicodeString, text: *const u16) -> NtStatus, irql <= PASSIVE_LEVEL; {
        if text.is_null() {
            return NtStatus::SUCCESS;
        }
        // SAFETY: the driver passes a string; one without an end faults and is reported.
        let more = (0..).map(|index| unsafe { text.add(index).read() }).take_while(|unit| *unit != 0);
        let more: Vec<u16> = more.collect();
        // SAFETY: the driver passes its string.
        unsafe { append(target, &more) }
    }

    /// STATUS_BUFFER_TOO_SMALL when it does not fit.
    pub fn RtlAppendUnicodeStringToString(target: *mut UnicodeString, source: *const UnicodeString) -> NtStatus,
        irql <= PASSIVE_LEVEL; {
        // SAFETY: the driver passes counted strings.
        let more = unsafe { units(source) };
        // SAFETY: as above.
        unsafe { append(target, &more) }
    }

    /// Base 0: what the beginning of the string says, or 10.
    pub fn RtlUnicodeStringToInteger(string: *const UnicodeString, base: u32, value: *mut u32) -> NtStatus,
        irql <= PASSIVE_LEVEL; {
        // SAFETY: the driver passes a counted string.
        let text = String::from_utf16_lossy(&unsafe { units(string) });
        let Some(number) = number(&text, base) else { return NtStatus::INVALID_PARAMETER };
        // SAFETY: the driver passes its variable.
        unsafe { value.write(number) };
        NtStatus::SUCCESS
    }

    /// Base 0 is 10.
    pub fn RtlIntegerToUnicodeString(value: u32, base: u32, target: *mut UnicodeString) -> NtStatus,
        irql <= PASSIVE_LEVEL; {
        let text = match base {
            0 | 10 => value.to_string(),
            2 => format!("{value:b}"),
            8 => format!("{value:o}"),
            16 => format!("{value:X}"),
            _ => return NtStatus::INVALID_PARAMETER,
        };
        let units: Vec<u16> = text.encode_utf16().collect();
        // SAFETY: the driver passes its string.
        unsafe { put_units(target, &units, false) }
    }

    /// The address at the beginning of a string; the terminator is where it ends.
    pub fn RtlIpv4StringToAddressA(text: *const u8, strict: u8, terminator: *mut *const u8, target: *mut [u8; 4])
        -> NtStatus, irql <= PASSIVE_LEVEL; {
        // SAFETY: the driver passes a string.
        let length = unsafe { length_of(text) };
        // SAFETY: as above.
        let bytes: Vec<u8> = (0..length).map(|index| unsafe { text.add(index).read() }).collect();
        let found = address(&bytes.iter().map(|byte| char::from(*byte & 0x7F)).collect::<String>(), strict != 0);
        // SAFETY: the driver passes its variable.
        unsafe { terminator.write(text.wrapping_add(found.map_or(0, |(_, end)| end))) };
        let Some((address, _)) = found else { return NtStatus::INVALID_PARAMETER };
        // SAFETY: as above.
        unsafe { target.write_unaligned(address.octets()) };
        NtStatus::SUCCESS
    }
}

/// # Safety
/// `target` points to a counted string whose buffer has its maximum length.
unsafe fn append(target: *mut UnicodeString, more: &[u16]) -> NtStatus {
    // SAFETY: the caller vouches for it.
    let string = unsafe { &mut *target };
    let (old, bytes) = (usize::from(string.length), more.len() * 2);
    let room = usize::from(string.maximum_length).saturating_sub(old);
    if bytes > room {
        return NtStatus::BUFFER_TOO_SMALL;
    }
    if memory::block_at(string.buffer.addr() + old).is_none() && bytes > 0 {
        verifier::record(Rule::Argument, "a string is appended to one whose buffer is not there");
        return NtStatus::INVALID_PARAMETER;
    }
    // SAFETY: the rest of the buffer, which the driver vouches for.
    unsafe { fill(string.buffer.cast::<u8>().add(old), room, &wide_bytes(more), 2) };
    string.length += bytes as u16;
    NtStatus::SUCCESS
}

/// What this file provides to drivers.
pub(crate) const EXPORTS: &[Export] = exports!["ntoskrnl.exe":
    RtlInitAnsiString, RtlxUnicodeStringToAnsiSize, RtlxAnsiStringToUnicodeSize, RtlUnicodeStringToAnsiString,
    RtlAnsiStringToUnicodeString, RtlFreeUnicodeString, RtlFreeAnsiString, RtlAppendUnicodeToString,
    RtlAppendUnicodeStringToString, RtlUnicodeStringToInteger, RtlIntegerToUnicodeString, RtlIpv4StringToAddressA];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_four_parts_or_fewer_when_that_is_allowed() {
        let parse = |text, strict| address(text, strict).map(|(address, end)| (address.to_string(), end));
        assert_eq!(parse("192.168.1.17", true), Some(("192.168.1.17".to_owned(), 12)));
        assert_eq!(parse("192.168.1.17:4010", true), Some(("192.168.1.17".to_owned(), 12)));
        assert_eq!(parse("127.1", true), None);
        assert_eq!(parse("127.1", false), Some(("127.0.0.1".to_owned(), 5)));
        assert_eq!(parse("0x7f.010.0.1", false), Some(("127.8.0.1".to_owned(), 12)));
        assert_eq!(parse("1.2.3.256", true), None);
        assert_eq!(parse("", true), None);
    }

    #[test]
    fn numbers_say_their_base_or_have_ten() {
        assert_eq!(number("4010", 0), Some(4010));
        assert_eq!(number("  0x10 rest", 0), Some(16));
        assert_eq!(number("-1", 10), Some(u32::MAX));
        assert_eq!(number("ff", 16), Some(255));
        assert_eq!(number("7", 3), None);
    }
}
