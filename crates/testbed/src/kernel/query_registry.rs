//! RtlQueryRegistryValues: many values of the registry with one call, described by a table.

use std::ptr;

use crate::crossing::call_driver;
use crate::kernel::imports::Export;
use crate::kernel::pool;
use crate::kernel::registry;
use crate::memory;
use crate::nt::{NtStatus, Pvoid, UnicodeString};
use crate::schedule::PASSIVE_LEVEL;
use crate::verifier::{self, Rule};
use crate::{exports, import, layout};

/// The tag of strings that the call allocates: "qryV".
const TAG: u32 = u32::from_le_bytes(*b"qryV");
/// More entries than a table has: it does not end.
const MOST_ENTRIES: usize = 1000;

/// Flags of an entry.
mod flag {
    pub const SUBKEY: u32 = 0x1;
    pub const TOPKEY: u32 = 0x2;
    pub const REQUIRED: u32 = 0x4;
    pub const NOVALUE: u32 = 0x8;
    pub const NOEXPAND: u32 = 0x10;
    pub const DIRECT: u32 = 0x20;
    pub const DELETE: u32 = 0x40;
    pub const TYPECHECK: u32 = 0x100;
}

/// Types of values.
const SZ: u32 = 1;
const EXPAND_SZ: u32 = 2;
const MULTI_SZ: u32 = 7;

type QueryRoutine = unsafe extern "efiapi" fn(*const u16, u32, Pvoid, u32, Pvoid, Pvoid) -> NtStatus;

/// RTL_QUERY_REGISTRY_TABLE.
#[repr(C)]
#[derive(Clone, Copy)]
struct Entry {
    routine: Option<QueryRoutine>,
    flags: u32,
    name: *const u16,
    context: Pvoid,
    default_type: u32,
    default_data: *const u8,
    default_length: u32,
}
layout!(Entry, 56, flags: 8, name: 16, context: 24, default_type: 32, default_data: 40, default_length: 48);

/// A string with a NUL.
///
/// # Safety
/// `text` is null or a string.
unsafe fn wide(text: *const u16) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the caller vouches for it; a string without an end faults and is reported.
    let units = (0..).map(|index| unsafe { text.add(index).read_unaligned() }).take_while(|unit| *unit != 0);
    String::from_utf16_lossy(&units.collect::<Vec<_>>())
}

/// The key that a call begins at.
fn top(relative: u32, path: &str) -> Option<String> {
    const SYSTEM: &str = r"\Registry\Machine\System\CurrentControlSet";
    let base = match relative & 0x3FFF_FFFF {
        0 => return Some(path.to_owned()),
        1 => format!(r"{SYSTEM}\Services"),
        2 => format!(r"{SYSTEM}\Control"),
        3 => r"\Registry\Machine\Software\Microsoft\Windows NT\CurrentVersion".to_owned(),
        4 => r"\Registry\Machine\Hardware\DeviceMap".to_owned(),
        5 => r"\Registry\User\.Default".to_owned(),
        _ => return None,
    };
    Some(if path.is_empty() { base } else { format!(r"{base}\{path}") })
}

/// Whether users may write to the hive of a key.
fn is_untrusted(key: &str) -> bool {
    const USERS: &str = r"\Registry\User";
    key.get(..USERS.len()).is_some_and(|start| start.eq_ignore_ascii_case(USERS))
}

/// A value that was found, or the entry's default.
struct Found {
    kind: u32,
    bytes: Vec<u8>,
}

impl Entry {
    fn is(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// # Safety
    /// The entry is the driver's, with a default as it says.
    unsafe fn default(&self) -> Option<Found> {
        let kind = self.default_type & 0xFF;
        if kind == 0 {
            return None;
        }
        if self.default_data.is_null() {
            return Some(Found { kind, bytes: vec![0; if is_string(kind) { 2 } else { 0 }] });
        }
        let length = match self.default_length {
            // SAFETY: a string, when it has no length.
            0 if is_string(kind) => unsafe { wide(self.default_data.cast()) }.encode_utf16().count() * 2 + 2,
            length => length as usize,
        };
        // SAFETY: the driver says that so many bytes are there.
        let bytes = (0..length).map(|index| unsafe { self.default_data.add(index).read() }).collect();
        Some(Found { kind, bytes })
    }

    /// # Safety
    /// As [`default`](Self::default); the entry's routine and context are what its flags say.
    unsafe fn deliver(&self, name: &str, found: &Found, context: Pvoid) -> NtStatus {
        if self.is(flag::DIRECT) {
            let expected = self.default_type >> 24;
            if self.is(flag::TYPECHECK) && expected != found.kind {
                return NtStatus::OBJECT_TYPE_MISMATCH;
            }
            let default = self.default_type & 0xFF;
            if default != 0 && is_string(default) != is_string(found.kind) {
                // Windows stores it all the same, over what follows a target of the other kind.
                let kind = found.kind;
                let text =
                    format!("{name} is of type {kind}, and the driver expects type {default} unchecked");
                verifier::record(Rule::Argument, format!("RtlQueryRegistryValues: {text}"));
                return NtStatus::OBJECT_TYPE_MISMATCH;
            }
            // SAFETY: the caller vouches for the context.
            return unsafe { store(self.context, found) };
        }
        let Some(routine) = self.routine else { return NtStatus::SUCCESS };
        let parts: Vec<Found> = if found.kind == MULTI_SZ && !self.is(flag::NOEXPAND) {
            strings(&found.bytes).into_iter().map(|bytes| Found { kind: SZ, bytes }).collect()
        } else {
            vec![Found { kind: found.kind, bytes: found.bytes.clone() }]
        };
        for part in parts {
            let name_block =
                block(&name.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect::<Vec<_>>());
            let data = block(&part.bytes);
            // SAFETY: the driver's own routine; both blocks live as long as the call.
            let status = call_driver("a query routine", || unsafe {
                routine(
                    name_block.cast(),
                    part.kind,
                    data.cast(),
                    part.bytes.len() as u32,
                    context,
                    self.context,
                )
            });
            memory::free(name_block);
            memory::free(data);
            if !status.is_success() {
                return status;
            }
        }
        NtStatus::SUCCESS
    }
}

fn is_string(kind: u32) -> bool {
    matches!(kind, SZ | EXPAND_SZ | MULTI_SZ)
}

/// The strings of a REG_MULTI_SZ, each with its NUL.
fn strings(bytes: &[u8]) -> Vec<Vec<u8>> {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
    let parts = units.split(|unit| *unit == 0).take_while(|part| !part.is_empty());
    parts.map(|part| part.iter().copied().chain([0]).flat_map(u16::to_le_bytes).collect()).collect()
}

fn block(bytes: &[u8]) -> *mut u8 {
    let block = memory::allocate(bytes.len(), "an argument of a query routine");
    // SAFETY: just allocated, with as many bytes.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), block, bytes.len()) };
    block
}

/// Stores a value where RTL_QUERY_REGISTRY_DIRECT says.
///
/// # Safety
/// `target` is a counted string for strings, and what the documentation asks for otherwise.
unsafe fn store(target: Pvoid, found: &Found) -> NtStatus {
    let bytes = &found.bytes;
    if is_string(found.kind) {
        // SAFETY: the caller vouches for it.
        let string = unsafe { &mut *target.cast::<UnicodeString>() };
        if string.buffer.is_null() {
            string.buffer = pool::allocate(bytes.len().max(2), TAG, true).cast();
            string.maximum_length = bytes.len() as u16;
            if string.buffer.is_null() {
                return NtStatus::NO_MEMORY;
            }
        } else if usize::from(string.maximum_length) < bytes.len() {
            return NtStatus::BUFFER_TOO_SMALL;
        }
        // SAFETY: room was just made, or the driver says that it is there.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), string.buffer.cast(), bytes.len()) };
        string.length = bytes.len().saturating_sub(2) as u16;
        return NtStatus::SUCCESS;
    }
    if bytes.len() <= 4 {
        // SAFETY: as many bytes as the value has; the driver vouches for them.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), target.cast(), bytes.len()) };
        return NtStatus::SUCCESS;
    }
    // A negative first word is the room there is; a positive one the room with a length and a type before the bytes.
    // SAFETY: the driver's buffer begins with it.
    let room = unsafe { target.cast::<i32>().read_unaligned() };
    let (header, room) = if room < 0 { (0, room.unsigned_abs() as usize) } else { (8, room as usize) };
    if room < bytes.len() + header {
        return NtStatus::BUFFER_TOO_SMALL;
    }
    if header > 0 {
        // SAFETY: the room includes them.
        unsafe { target.cast::<[u32; 2]>().write_unaligned([bytes.len() as u32, found.kind]) };
    }
    // SAFETY: as above.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), target.cast::<u8>().add(header), bytes.len()) };
    NtStatus::SUCCESS
}

/// # Safety
/// `table` is a table as the documentation describes it.
unsafe fn query(top: &str, table: *const Entry, context: Pvoid) -> NtStatus {
    let mut key = top.to_owned();
    for index in 0..MOST_ENTRIES {
        // SAFETY: the driver ends its table with an entry of zeros.
        let entry = unsafe { table.add(index).read() };
        if entry.routine.is_none() && !entry.is(flag::SUBKEY | flag::DIRECT) {
            return NtStatus::SUCCESS;
        }
        // SAFETY: the driver's name.
        let name = unsafe { wide(entry.name) };
        if entry.is(flag::DIRECT)
            && (entry.name.is_null() || entry.is(flag::SUBKEY) || entry.routine.is_some())
        {
            verifier::record(
                Rule::Argument,
                "RtlQueryRegistryValues: RTL_QUERY_REGISTRY_DIRECT with a routine or without a name",
            );
            return NtStatus::INVALID_PARAMETER;
        }
        if entry.is(flag::DIRECT) && !entry.is(flag::TYPECHECK) && is_untrusted(top) {
            let text = "RTL_QUERY_REGISTRY_DIRECT without RTL_QUERY_REGISTRY_TYPECHECK in a user's hive: \
                        KERNEL_SECURITY_CHECK_FAILURE";
            verifier::fatal(Rule::BugCheck, format!("RtlQueryRegistryValues: {text}"));
        }
        if entry.is(flag::SUBKEY | flag::TOPKEY) {
            key = top.to_owned();
        }
        // SAFETY: the driver's entry.
        let status = unsafe { one(&mut key, &entry, &name, context) };
        if !status.is_success() {
            return status;
        }
    }
    verifier::record(Rule::Argument, "RtlQueryRegistryValues: the table has no end");
    NtStatus::INVALID_PARAMETER
}

/// # Safety
/// `entry` is an entry of the driver's table.
unsafe fn one(key: &mut String, entry: &Entry, name: &str, context: Pvoid) -> NtStatus {
    if entry.is(flag::SUBKEY) {
        *key = format!(r"{key}\{name}");
        let missing = entry.is(flag::REQUIRED) && !registry::has_key(key);
        return if missing { NtStatus::OBJECT_NAME_NOT_FOUND } else { NtStatus::SUCCESS };
    }
    if entry.is(flag::NOVALUE) {
        // SAFETY: the driver's entry.
        return unsafe { entry.deliver(name, &Found { kind: 0, bytes: Vec::new() }, context) };
    }
    let names = if entry.name.is_null() { registry::names(key) } else { vec![name.to_owned()] };
    if names.is_empty() && entry.is(flag::REQUIRED) {
        return NtStatus::OBJECT_NAME_NOT_FOUND;
    }
    for name in names {
        let found = registry::get(key, &name).map(|value| {
            let (kind, bytes) = value.to_parts();
            Found { kind, bytes }
        });
        let there = found.is_some();
        // SAFETY: the driver's entry.
        let Some(found) = found.or_else(|| unsafe { entry.default() }) else {
            if entry.is(flag::REQUIRED) {
                return NtStatus::OBJECT_NAME_NOT_FOUND;
            }
            continue;
        };
        if !there && entry.is(flag::REQUIRED) {
            return NtStatus::OBJECT_NAME_NOT_FOUND;
        }
        // SAFETY: the driver's entry.
        let status = unsafe { entry.deliver(&name, &found, context) };
        if !status.is_success() {
            return status;
        }
        if there && entry.is(flag::DELETE) {
            registry::delete(key, &name);
        }
    }
    NtStatus::SUCCESS
}

import! {
    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-rtlqueryregistryvalues>. Keys by handle are
    /// not simulated.
    pub fn RtlQueryRegistryValues(relative: u32, path: *const u16, table: *mut u8, context: Pvoid, environment: Pvoid)
        -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = environment;
        const OPTIONAL: u32 = 0x8000_0000;
        // SAFETY: the driver passes a string.
        let path = unsafe { wide(path) };
        let Some(top) = top(relative, &path) else { return NtStatus::INVALID_PARAMETER };
        if !registry::has_key(&top) && relative & OPTIONAL == 0 {
            return NtStatus::OBJECT_NAME_NOT_FOUND;
        }
        // SAFETY: the driver passes its table.
        unsafe { query(&top, table.cast::<Entry>(), context) }
    }
}

/// What this file provides to drivers.
pub(crate) const EXPORTS: &[Export] = exports!["ntoskrnl.exe": RtlQueryRegistryValues];
