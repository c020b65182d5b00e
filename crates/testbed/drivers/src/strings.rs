//! Counted strings, tables of RtlQueryRegistryValues, and mistakes with which Windows goes on.

use core::ptr::{null, null_mut};

use crate::Case;
use crate::nt::*;

/// The cases of this file.
pub const CASES: &[Case] = &[
    ("string_appended_nowhere", appended_nowhere),
    ("query_routine_and_direct", routine_and_direct),
    ("query_endless", endless),
    ("query_other_type", other_type),
    ("query_unchecked_user_key", unchecked_user_key),
    ("forgiven_read_behind_path", read_behind_path),
];

// SAFETY of every case: what its name says is done on purpose, and only when `well` is false; the machine reports it.

#[link(name = "ntoskrnl.exe", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "system" {
    fn RtlAppendUnicodeToString(target: *mut UnicodeString, text: *const u16) -> NtStatus;
    fn RtlQueryRegistryValues(
        relative: u32,
        path: *const u16,
        table: *const Query,
        context: Pvoid,
        environment: Pvoid,
    ) -> NtStatus;
}

type Routine = unsafe extern "system" fn(
    name: *const u16,
    kind: u32,
    data: Pvoid,
    bytes: u32,
    context: Pvoid,
    entry: Pvoid,
) -> NtStatus;

/// RTL_QUERY_REGISTRY_TABLE.
#[repr(C)]
#[derive(Clone, Copy)]
struct Query {
    routine: Option<Routine>,
    flags: u32,
    name: *const u16,
    context: Pvoid,
    default_type: u32,
    default_data: *const u32,
    default_bytes: u32,
}

const _: () = assert!(size_of::<Query>() == 56);

/// RTL_REGISTRY_SERVICES, RTL_REGISTRY_USER.
const SERVICES: u32 = 1;
const USER: u32 = 5;
/// RTL_REGISTRY_OPTIONAL.
const OPTIONAL: u32 = 0x8000_0000;
/// RTL_QUERY_REGISTRY_DIRECT, RTL_QUERY_REGISTRY_TYPECHECK.
const DIRECT: u32 = 0x20;
const TYPECHECK: u32 = 0x100;
/// REG_DWORD.
const DWORD: u32 = 4;

const END: Query = Query {
    routine: None,
    flags: 0,
    name: null(),
    context: null_mut(),
    default_type: 0,
    default_data: null(),
    default_bytes: 0,
};

/// The name of a value that the tests' registry has as a string: "Text".
static TEXT: [u16; 5] = [b'T' as u16, b'e' as u16, b'x' as u16, b't' as u16, 0];

unsafe extern "system" fn ignore(
    _name: *const u16,
    _kind: u32,
    _data: Pvoid,
    _bytes: u32,
    _context: Pvoid,
    _entry: Pvoid,
) -> NtStatus {
    SUCCESS
}

/// A query for the value "Text" that stores it in `target`.
fn direct(target: *mut u32, flags: u32) -> Query {
    let flags = DIRECT | flags;
    Query { flags, name: TEXT.as_ptr(), context: target.cast(), default_type: DWORD << 24 | DWORD, ..END }
}

unsafe fn query(relative: u32, table: &[Query]) {
    RtlQueryRegistryValues(relative | OPTIONAL, null(), table.as_ptr(), null_mut(), null_mut());
}

unsafe fn appended_nowhere(well: bool) -> NtStatus {
    let buffer = if well { slot(0) } else { null_mut() };
    let mut string = UnicodeString { length: 0, maximum: 16, buffer };
    RtlAppendUnicodeToString(&mut string, TEXT.as_ptr());
    SUCCESS
}

unsafe fn routine_and_direct(well: bool) -> NtStatus {
    let mut value = 0;
    let direct = direct(&mut value, TYPECHECK);
    query(SERVICES, &[Query { routine: if well { None } else { Some(ignore) }, ..direct }, END]);
    SUCCESS
}

unsafe fn endless(well: bool) -> NtStatus {
    // More than a table can have, and the end after them.
    static TABLE: Table = Table([Query { routine: Some(ignore), name: TEXT.as_ptr(), ..END }; 1001]);
    let ended = [TABLE.0[0], END];
    query(SERVICES, if well { &ended } else { &TABLE.0 });
    SUCCESS
}

struct Table([Query; 1001]);

// SAFETY: constants.
unsafe impl Sync for Table {}

unsafe fn other_type(well: bool) -> NtStatus {
    let mut value = 0;
    let mut path = [0_u16; 64];
    let own = (*crate::path()).units();
    let start = own.iter().rposition(|unit| *unit == u16::from(b'\\')).map_or(0, |index| index + 1);
    path[..own.len() - start].copy_from_slice(&own[start..]);
    let table = [direct(&mut value, if well { TYPECHECK } else { 0 }), END];
    RtlQueryRegistryValues(SERVICES, path.as_ptr(), table.as_ptr(), null_mut(), null_mut());
    SUCCESS
}

unsafe fn unchecked_user_key(well: bool) -> NtStatus {
    let mut value = 0;
    query(USER, &[direct(&mut value, if well { TYPECHECK } else { 0 }), END]);
    SUCCESS
}

unsafe fn read_behind_path(well: bool) -> NtStatus {
    let path = &*crate::path();
    let units = usize::from(path.length) / 2;
    path.buffer.add(if well { units - 1 } else { units }).read_volatile();
    SUCCESS
}
