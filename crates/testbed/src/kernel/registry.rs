//! The registry: a tree of keys with typed values, and what drivers read and write it with.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ptr;

use crate::kernel::imports::Export;
use crate::kernel::object::{self, ObjectType};
use crate::kernel::time;
use crate::machine::machine;
use crate::nt::{
    Handle, KeyValueFullInformation, KeyValuePartialInformation, NtStatus, ObjectAttributes, UnicodeString,
};
use crate::schedule::PASSIVE_LEVEL;
use crate::{exports, import};

const FULL_INFORMATION: u32 = 1;
const PARTIAL_INFORMATION: u32 = 2;
const CREATED_NEW_KEY: u32 = 1;
const OPENED_EXISTING_KEY: u32 = 2;

/// A value of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// REG_SZ.
    Sz(String),
    /// REG_EXPAND_SZ.
    ExpandSz(String),
    /// REG_BINARY.
    Binary(Vec<u8>),
    /// REG_DWORD.
    Dword(u32),
    /// REG_MULTI_SZ.
    MultiSz(Vec<String>),
    /// REG_QWORD.
    Qword(u64),
    /// Any type with any bytes: strings without their NUL, numbers of a wrong size.
    Raw(u32, Vec<u8>),
}

impl Value {
    /// The type and the bytes, as the registry keeps them.
    pub fn to_parts(&self) -> (u32, Vec<u8>) {
        let text =
            |text: &str| text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        match self {
            Self::Sz(value) => (1, text(value)),
            Self::ExpandSz(value) => (2, text(value)),
            Self::Binary(bytes) => (3, bytes.clone()),
            Self::Dword(value) => (4, value.to_le_bytes().to_vec()),
            Self::MultiSz(values) => (7, values.iter().flat_map(|value| text(value)).chain([0, 0]).collect()),
            Self::Qword(value) => (11, value.to_le_bytes().to_vec()),
            Self::Raw(kind, bytes) => (*kind, bytes.clone()),
        }
    }
}

/// A key: its values under their lower-case names, with the names as they were given.
#[derive(Default)]
struct Key {
    values: BTreeMap<String, (String, Value)>,
}

/// A call that is to fail.
struct Injected {
    function: &'static str,
    after: u64,
    status: NtStatus,
}

/// The registry of a machine: keys under their full, lower-case paths.
#[derive(Default)]
struct Registry {
    keys: RefCell<BTreeMap<String, Key>>,
    /// The paths behind key objects.
    open: RefCell<BTreeMap<usize, String>>,
    injected: RefCell<Vec<Injected>>,
}

fn registry() -> std::rc::Rc<Registry> {
    machine().part::<Registry>()
}

fn normal(path: &str) -> String {
    let path = path.trim_end_matches('\\').to_lowercase();
    path.replace(r"\system\controlset001\", r"\system\currentcontrolset\")
}

/// Makes a key, and those above it.
pub fn create_key(path: &str) {
    let path = normal(path);
    let registry = registry();
    let mut keys = registry.keys.borrow_mut();
    for (end, _) in path.match_indices('\\').skip(1) {
        keys.entry(path[..end].to_owned()).or_default();
    }
    keys.entry(path).or_default();
}

/// Takes a key away, with everything under it.
pub fn delete_key(path: &str) {
    let path = normal(path);
    let below = format!("{path}\\");
    registry().keys.borrow_mut().retain(|key, _| *key != path && !key.starts_with(&below));
}

/// Whether a key exists.
pub fn has_key(path: &str) -> bool {
    registry().keys.borrow().contains_key(&normal(path))
}

/// Sets a value, and makes the key if need be.
pub fn set(path: &str, name: &str, value: Value) {
    create_key(path);
    let registry = registry();
    let mut keys = registry.keys.borrow_mut();
    let key = keys.entry(normal(path)).or_default();
    key.values.insert(name.to_lowercase(), (name.to_owned(), value));
}

/// Reads a value.
pub fn get(path: &str, name: &str) -> Option<Value> {
    let registry = registry();
    let keys = registry.keys.borrow();
    keys.get(&normal(path))?.values.get(&name.to_lowercase()).map(|(_, value)| value.clone())
}

/// The names of a key's values, as they were given.
pub fn names(path: &str) -> Vec<String> {
    let registry = registry();
    let keys = registry.keys.borrow();
    keys.get(&normal(path))
        .map_or_else(Vec::new, |key| key.values.values().map(|(name, _)| name.clone()).collect())
}

/// Takes a value away.
pub fn delete(path: &str, name: &str) {
    if let Some(key) = registry().keys.borrow_mut().get_mut(&normal(path)) {
        key.values.remove(&name.to_lowercase());
    }
}

/// Lets the call of `function` that comes after `after` others return `status`, once.
pub fn inject(function: &'static str, after: u64, status: NtStatus) {
    registry().injected.borrow_mut().push(Injected { function, after, status });
}

fn injected(function: &'static str) -> Option<NtStatus> {
    let registry = registry();
    let mut injected = registry.injected.borrow_mut();
    let mut result = None;
    injected.retain_mut(|injection| {
        if injection.function != function || result.is_some() {
            return true;
        }
        let due = injection.after == 0;
        if due {
            result = Some(injection.status);
        } else {
            injection.after -= 1;
        }
        !due
    });
    result
}

/// How many keys drivers have open.
pub fn open_keys() -> usize {
    registry()
        .open
        .borrow()
        .keys()
        .filter(|object| object::is_live(std::ptr::with_exposed_provenance_mut(**object)))
        .count()
}

/// Opens a key for a driver.
///
/// # Errors
/// STATUS_OBJECT_NAME_NOT_FOUND.
pub fn open(path: &str) -> Result<Handle, NtStatus> {
    let path = normal(path);
    if !has_key(&path) {
        return Err(NtStatus::OBJECT_NAME_NOT_FOUND);
    }
    // The object has no contents here; its address stands for it.
    let object = object::create(ObjectType::Key, 16, || {});
    registry().open.borrow_mut().insert(object.addr(), path.clone());
    let handle = object::open(object, format!("the key {path}"));
    object::dereference(object);
    Ok(handle)
}

fn path_of(handle: Handle) -> Result<String, NtStatus> {
    let object = object::by_handle(handle, ObjectType::Key)?;
    let path = registry().open.borrow().get(&object.addr()).cloned().ok_or(NtStatus::INVALID_HANDLE)?;
    if has_key(&path) { Ok(path) } else { Err(NtStatus::KEY_DELETED) }
}

/// The full path that object attributes name.
///
/// # Safety
/// `attributes` is null or points to object attributes.
unsafe fn path_from(attributes: *const ObjectAttributes, function: &str) -> Result<String, NtStatus> {
    // SAFETY: the caller vouches for the pointer.
    let attributes = unsafe { object::attributes(attributes, function) }?;
    // SAFETY: as above.
    let name = unsafe { attributes.object_name.as_ref() };
    let name = name.map(|name| {
        // SAFETY: as above.
        unsafe { name.to_text() }
    });
    let name = name.unwrap_or_default();
    if attributes.root_directory == 0 {
        return if name.starts_with('\\') { Ok(name) } else { Err(NtStatus::OBJECT_PATH_SYNTAX_BAD) };
    }
    let root = path_of(attributes.root_directory)?;
    match name.as_str() {
        "" => Ok(root),
        absolute if absolute.starts_with('\\') => Err(NtStatus::OBJECT_PATH_SYNTAX_BAD),
        relative => Ok(format!("{root}\\{relative}")),
    }
}

fn report<T>(result: Result<T, NtStatus>, use_value: impl FnOnce(T)) -> NtStatus {
    match result {
        Ok(value) => {
            use_value(value);
            NtStatus::SUCCESS
        }
        Err(status) => status,
    }
}

/// Copies as much of an answer as fits. A buffer below `fixed` bytes gets nothing.
///
/// # Safety
/// `target` points to `length` bytes that may be written; `needed` is null or a variable.
unsafe fn answer(bytes: &[u8], fixed: usize, target: *mut u8, length: u32, needed: *mut u32) -> NtStatus {
    // SAFETY: the caller vouches for the pointer.
    unsafe { time::put(needed, bytes.len() as u32) };
    let length = length as usize;
    if length < fixed {
        return NtStatus::BUFFER_TOO_SMALL;
    }
    let count = bytes.len().min(length);
    // SAFETY: the caller vouches for `length` bytes; a wrong buffer faults and is reported.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), target, count) };
    if count < bytes.len() { NtStatus::BUFFER_OVERFLOW } else { NtStatus::SUCCESS }
}

/// KEY_VALUE_FULL_INFORMATION or KEY_VALUE_PARTIAL_INFORMATION of a value, and the size of its fixed part.
fn describe(class: u32, name: &str, value: &Value) -> Option<(Vec<u8>, usize)> {
    let (kind, data) = value.to_parts();
    let length = data.len() as u32;
    match class {
        PARTIAL_INFORMATION => {
            let fixed = [0, kind, length].map(u32::to_le_bytes).concat();
            Some(([fixed, data].concat(), size_of::<KeyValuePartialInformation>()))
        }
        FULL_INFORMATION => {
            let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let fixed = size_of::<KeyValueFullInformation>();
            let offset = (fixed + name.len()).next_multiple_of(8);
            let mut bytes =
                [0, kind, offset as u32, length, name.len() as u32].map(u32::to_le_bytes).concat();
            bytes.extend(name);
            bytes.resize(offset, 0);
            bytes.extend(data);
            Some((bytes, fixed))
        }
        _ => None,
    }
}

import! {
    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-zwopenkey>
    pub fn ZwOpenKey(handle: *mut Handle, access: u32, attributes: *const ObjectAttributes) -> NtStatus,
        irql <= PASSIVE_LEVEL; {
        let _ = access;
        if let Some(status) = injected("ZwOpenKey") {
            return status;
        }
        // SAFETY: the driver passes object attributes.
        let path = unsafe { path_from(attributes, "ZwOpenKey") };
        // SAFETY: the driver passes its variable.
        report(path.and_then(|path| open(&path)), |opened| unsafe { handle.write(opened) })
    }

    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-zwcreatekey>
    pub fn ZwCreateKey(handle: *mut Handle, access: u32, attributes: *const ObjectAttributes, title_index: u32,
        class: *const UnicodeString, options: u32, disposition: *mut u32) -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = (access, title_index, class, options);
        if let Some(status) = injected("ZwCreateKey") {
            return status;
        }
        // SAFETY: the driver passes object attributes.
        let path = match unsafe { path_from(attributes, "ZwCreateKey") } {
            Ok(path) => path,
            Err(status) => return status,
        };
        let known = has_key(&path);
        let parent = path.rsplit_once('\\').map_or("", |(parent, _)| parent);
        if !known && !has_key(parent) {
            return NtStatus::OBJECT_NAME_NOT_FOUND;
        }
        create_key(&path);
        // SAFETY: the driver passes null or its variable.
        unsafe { time::put(disposition, if known { OPENED_EXISTING_KEY } else { CREATED_NEW_KEY }) };
        // SAFETY: the driver passes its variable.
        report(open(&path), |opened| unsafe { handle.write(opened) })
    }

    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-zwqueryvaluekey>
    pub fn ZwQueryValueKey(key: Handle, name: *const UnicodeString, class: u32, target: *mut u8, length: u32,
        needed: *mut u32) -> NtStatus, irql <= PASSIVE_LEVEL; {
        if let Some(status) = injected("ZwQueryValueKey") {
            return status;
        }
        let path = match path_of(key) {
            Ok(path) => path,
            Err(status) => return status,
        };
        // SAFETY: the driver passes a counted string; a wrong pointer faults and is reported.
        let name = unsafe { (*name).to_text() };
        let Some(value) = get(&path, &name) else { return NtStatus::OBJECT_NAME_NOT_FOUND };
        let Some((bytes, fixed)) = describe(class, &name, &value) else { return NtStatus::INVALID_PARAMETER };
        // SAFETY: the driver passes its buffer and its variable.
        unsafe { answer(&bytes, fixed, target, length, needed) }
    }

    /// The `index`th value of a key.
    pub fn ZwEnumerateValueKey(key: Handle, index: u32, class: u32, target: *mut u8, length: u32, needed: *mut u32)
        -> NtStatus, irql <= PASSIVE_LEVEL; {
        let path = match path_of(key) {
            Ok(path) => path,
            Err(status) => return status,
        };
        let found = registry().keys.borrow().get(&path).and_then(|key| key.values.values().nth(index as usize).cloned());
        let Some((name, value)) = found else { return NtStatus::NO_MORE_ENTRIES };
        let Some((bytes, fixed)) = describe(class, &name, &value) else { return NtStatus::INVALID_PARAMETER };
        // SAFETY: the driver passes its buffer and its variable.
        unsafe { answer(&bytes, fixed, target, length, needed) }
    }

    /// <https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-zwsetvaluekey>
    pub fn ZwSetValueKey(key: Handle, name: *const UnicodeString, title_index: u32, kind: u32, data: *const u8, bytes: u32)
        -> NtStatus, irql <= PASSIVE_LEVEL; {
        let _ = title_index;
        if let Some(status) = injected("ZwSetValueKey") {
            return status;
        }
        let path = match path_of(key) {
            Ok(path) => path,
            Err(status) => return status,
        };
        // SAFETY: the driver passes a counted string; a wrong pointer faults and is reported.
        let name = unsafe { (*name).to_text() };
        // SAFETY: the driver passes its data; wrong ones fault and are reported.
        let data = (0..bytes as usize).map(|index| unsafe { data.add(index).read() }).collect();
        set(&path, &name, Value::Raw(kind, data));
        NtStatus::SUCCESS
    }

    /// Takes a value away.
    pub fn ZwDeleteValueKey(key: Handle, name: *const UnicodeString) -> NtStatus, irql <= PASSIVE_LEVEL; {
        let path = match path_of(key) {
            Ok(path) => path,
            Err(status) => return status,
        };
        // SAFETY: the driver passes a counted string; a wrong pointer faults and is reported.
        let name = unsafe { (*name).to_text() };
        if get(&path, &name).is_none() {
            return NtStatus::OBJECT_NAME_NOT_FOUND;
        }
        delete(&path, &name);
        NtStatus::SUCCESS
    }

    /// Takes a key away that has none below it.
    pub fn ZwDeleteKey(key: Handle) -> NtStatus, irql <= PASSIVE_LEVEL; {
        let path = match path_of(key) {
            Ok(path) => path,
            Err(status) => return status,
        };
        let below = format!("{path}\\");
        if registry().keys.borrow().keys().any(|key| key.starts_with(&below)) {
            return NtStatus::ACCESS_DENIED;
        }
        delete_key(&path);
        NtStatus::SUCCESS
    }
}

/// What this file provides to drivers.
pub(crate) const EXPORTS: &[Export] = exports!["ntoskrnl.exe":
    ZwOpenKey, ZwCreateKey, ZwQueryValueKey, ZwEnumerateValueKey, ZwSetValueKey, ZwDeleteValueKey, ZwDeleteKey];
