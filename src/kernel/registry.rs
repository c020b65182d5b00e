//! Reading values of the driver's registry key, bounded.

use core::mem::offset_of;
use core::ptr::null_mut;

use wdk_sys::ntddk::{ZwOpenKey, ZwQueryValueKey};
use wdk_sys::{
    _KEY_VALUE_INFORMATION_CLASS, HANDLE, KEY_QUERY_VALUE, KEY_VALUE_PARTIAL_INFORMATION,
    OBJ_CASE_INSENSITIVE, OBJ_KERNEL_HANDLE, OBJECT_ATTRIBUTES, STATUS_OBJECT_NAME_NOT_FOUND, UNICODE_STRING,
};

use super::handle::Handle;
use super::status::{Result, check};

/// An open registry key; closed when dropped. PASSIVE_LEVEL.
pub struct Key {
    handle: Handle,
}

/// Why there is no value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum QueryError {
    /// There is none of this name.
    Missing,
    /// The data is longer than the room for it.
    TooLong,
    /// The registry cannot be read.
    Unreadable,
}

/// Room for a value of at most `N` bytes: what `ZwQueryValueKey` fills for the class `KeyValuePartialInformation`.
#[repr(C)]
pub struct Room<const N: usize> {
    title_index: u32,
    kind: u32,
    data_length: u32,
    data: [u8; N],
}

const _: () = assert!(
    offset_of!(Room<1>, kind) == offset_of!(KEY_VALUE_PARTIAL_INFORMATION, Type)
        && offset_of!(Room<1>, data_length) == offset_of!(KEY_VALUE_PARTIAL_INFORMATION, DataLength)
        && offset_of!(Room<1>, data) == offset_of!(KEY_VALUE_PARTIAL_INFORMATION, Data)
);

impl<const N: usize> Room<N> {
    /// Room without a value.
    pub const fn empty() -> Self {
        Self { title_index: 0, kind: 0, data_length: 0, data: [0; N] }
    }
}

impl Key {
    /// Opens a key by its absolute path, in UTF-16.
    ///
    /// # Errors
    /// `STATUS_OBJECT_NAME_NOT_FOUND` when there is no such key, among others.
    pub fn open(path: &[u16]) -> Result<Self> {
        let mut path = unicode_string(path);
        let mut attributes = key_attributes(null_mut(), &mut path);
        open(&mut attributes)
    }

    /// Opens a key below this one.
    ///
    /// # Errors
    /// As [`Key::open`].
    pub fn open_subkey(&self, name: &[u16]) -> Result<Self> {
        let mut name = unicode_string(name);
        let mut attributes = key_attributes(self.handle.as_raw(), &mut name);
        open(&mut attributes)
    }

    /// Reads a value: its type and its data.
    ///
    /// # Errors
    /// Each [`QueryError`].
    pub fn query<'a, const N: usize>(
        &self,
        name: &[u16],
        room: &'a mut Room<N>,
    ) -> core::result::Result<(u32, &'a [u8]), QueryError> {
        let mut name = unicode_string(name);
        let mut needed = 0;
        // SAFETY: the key is open, and the pointers are to live values of the sizes that are given.
        let status = unsafe {
            ZwQueryValueKey(
                self.handle.as_raw(),
                &raw mut name,
                _KEY_VALUE_INFORMATION_CLASS::KeyValuePartialInformation,
                core::ptr::from_mut(room).cast(),
                size_of::<Room<N>>() as u32,
                &raw mut needed,
            )
        };
        match status {
            wdk_sys::STATUS_SUCCESS => {}
            STATUS_OBJECT_NAME_NOT_FOUND => return Err(QueryError::Missing),
            wdk_sys::STATUS_BUFFER_OVERFLOW | wdk_sys::STATUS_BUFFER_TOO_SMALL => {
                return Err(QueryError::TooLong);
            }
            _ => return Err(QueryError::Unreadable),
        }
        let data = room.data.get(..room.data_length as usize);
        Ok((room.kind, data.ok_or(QueryError::TooLong)?))
    }
}

fn open(attributes: &mut OBJECT_ATTRIBUTES) -> Result<Key> {
    let mut handle: HANDLE = null_mut();
    // SAFETY: the attributes point to a live name and, if any, to an open key.
    check(unsafe { ZwOpenKey(&raw mut handle, KEY_QUERY_VALUE, attributes) })?;
    // SAFETY: just opened, as a kernel handle (see `key_attributes`).
    Ok(Key { handle: unsafe { Handle::new(handle) } })
}

fn key_attributes(root: HANDLE, name: &mut UNICODE_STRING) -> OBJECT_ATTRIBUTES {
    OBJECT_ATTRIBUTES {
        Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
        RootDirectory: root,
        ObjectName: name,
        Attributes: OBJ_KERNEL_HANDLE | OBJ_CASE_INSENSITIVE,
        ..OBJECT_ATTRIBUTES::default()
    }
}

/// A counted string that borrows `units`: it must not outlive them, nor be written through.
fn unicode_string(units: &[u16]) -> UNICODE_STRING {
    let bytes = u16::try_from(size_of_val(units)).unwrap_or(u16::MAX - 1);
    UNICODE_STRING { Length: bytes, MaximumLength: bytes, Buffer: units.as_ptr().cast_mut() }
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
