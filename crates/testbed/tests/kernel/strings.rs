//! Strings of bytes, numbers and addresses.

use testbed::kernel::pool;
use testbed::kernel::strings::{
    RtlAnsiStringToUnicodeString, RtlAppendUnicodeToString, RtlFreeAnsiString, RtlFreeUnicodeString,
    RtlInitAnsiString, RtlIntegerToUnicodeString, RtlIpv4StringToAddressA, RtlUnicodeStringToAnsiString,
    RtlUnicodeStringToInteger, RtlxUnicodeStringToAnsiSize,
};
use testbed::nt::{AnsiString, NtStatus, UnicodeString};

use crate::clean;

/// A counted string of units that live as long as the process.
fn wide(text: &str) -> UnicodeString {
    let units: Vec<u16> = text.encode_utf16().collect();
    let length = units.len() as u16 * 2;
    UnicodeString { length, maximum_length: length, buffer: units.leak().as_mut_ptr() }
}

const EMPTY: AnsiString = AnsiString { length: 0, maximum_length: 0, buffer: std::ptr::null_mut() };

#[test]
fn a_string_converts_to_bytes_and_back_in_pool_that_is_freed() {
    clean(|| {
        let (source, mut narrow) = (wide("Zürich"), EMPTY);
        let mut again = UnicodeString { length: 0, maximum_length: 0, buffer: std::ptr::null_mut() };
        // SAFETY: strings of this test.
        unsafe {
            assert_eq!(RtlxUnicodeStringToAnsiSize(&raw const source), 7);
            assert_eq!(
                RtlUnicodeStringToAnsiString(&raw mut narrow, &raw const source, 1),
                NtStatus::SUCCESS
            );
            assert_eq!((narrow.length, narrow.maximum_length), (6, 7));
            assert_eq!(std::slice::from_raw_parts(narrow.buffer, 7), b"Z\xFCrich\0");
            assert_eq!(RtlAnsiStringToUnicodeString(&raw mut again, &raw const narrow, 1), NtStatus::SUCCESS);
            assert_eq!(again.to_text(), "Zürich");
            RtlFreeAnsiString(&raw mut narrow);
            RtlFreeUnicodeString(&raw mut again);
        }
        assert_eq!((pool::bytes(), narrow.buffer), (0, std::ptr::null_mut()));
    });
}

#[test]
fn a_buffer_that_is_too_small_gets_what_fits() {
    clean(|| {
        let source = wide("Scream");
        let mut bytes = [0xAA_u8; 5];
        let mut narrow = AnsiString { length: 0, maximum_length: 4, buffer: bytes.as_mut_ptr() };
        // SAFETY: strings of this test.
        let status = unsafe { RtlUnicodeStringToAnsiString(&raw mut narrow, &raw const source, 0) };
        assert_eq!((status, narrow.length), (NtStatus::BUFFER_OVERFLOW, 3));
        assert_eq!(&bytes, b"Scr\0\xAA");
    });
}

#[test]
fn appending_stops_at_the_maximum_length() {
    clean(|| {
        // SAFETY: pool of this test, with room for four units.
        let buffer = unsafe { pool::ExAllocatePoolWithTag(512, 8, 1) };
        let mut string = UnicodeString { length: 0, maximum_length: 8, buffer: buffer.cast() };
        let text: Vec<u16> = "abc\0".encode_utf16().collect();
        // SAFETY: a string of this test.
        let append = |string: &mut UnicodeString| unsafe { RtlAppendUnicodeToString(string, text.as_ptr()) };
        assert_eq!(append(&mut string), NtStatus::SUCCESS);
        assert_eq!(append(&mut string), NtStatus::BUFFER_TOO_SMALL);
        // SAFETY: as above.
        assert_eq!(unsafe { string.to_text() }, "abc");
        // SAFETY: allocated above.
        unsafe { pool::ExFreePoolWithTag(buffer, 1) };
    });
}

#[test]
fn numbers_convert_in_both_directions() {
    clean(|| {
        let (text, mut value) = (wide("0xFAA"), 0);
        // SAFETY: variables of this test.
        let status = unsafe { RtlUnicodeStringToInteger(&raw const text, 0, &raw mut value) };
        assert_eq!((status, value), (NtStatus::SUCCESS, 4010));
        let mut units = [0_u16; 8];
        let mut string = UnicodeString { length: 0, maximum_length: 16, buffer: units.as_mut_ptr() };
        // SAFETY: as above.
        unsafe { RtlIntegerToUnicodeString(4010, 16, &raw mut string) };
        // SAFETY: as above.
        assert_eq!(unsafe { string.to_text() }, "FAA");
    });
}

#[test]
fn an_address_ends_where_the_terminator_says() {
    clean(|| {
        let text = c"239.255.77.77 rest";
        let (mut end, mut address) = (std::ptr::null(), [0; 4]);
        // SAFETY: variables of this test.
        let status =
            unsafe { RtlIpv4StringToAddressA(text.as_ptr().cast(), 1, &raw mut end, &raw mut address) };
        assert_eq!((status, address), (NtStatus::SUCCESS, [239, 255, 77, 77]));
        assert_eq!(end.addr() - text.as_ptr().addr(), 13);
        let mut counted = EMPTY;
        // SAFETY: as above.
        unsafe { RtlInitAnsiString(&raw mut counted, text.as_ptr().cast_mut().cast()) };
        assert_eq!((counted.length, counted.maximum_length), (18, 19));
    });
}
