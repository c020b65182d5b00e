//! Reading values of the driver's registry key, bounded.

use core::mem::offset_of;

use wdk_sys::ntddk::{ZwOpenKey, ZwQueryValueKey};
use wdk_sys::{
    _KEY_VALUE_INFORMATION_CLASS, KEY_QUERY_VALUE, KEY_VALUE_PARTIAL_INFORMATION,
    STATUS_OBJECT_NAME_NOT_FOUND,
};

use super::handle::Handle;
use super::object_name::{self, unicode_string};
use super::status::Result;

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
        open(None, path)
    }

    /// Opens a key below this one.
    ///
    /// # Errors
    /// As [`Key::open`].
    pub fn open_subkey(&self, name: &[u16]) -> Result<Self> {
        open(Some(&self.handle), name)
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
        let mut name = unicode_string(name).map_err(|_| QueryError::Unreadable)?;
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

/// Opens a key below `root`, or by its absolute path.
fn open(root: Option<&Handle>, name: &[u16]) -> Result<Key> {
    // SAFETY: the attributes point to a live name and, if any, to an open key.
    let open = |handle, attributes| unsafe { ZwOpenKey(handle, KEY_QUERY_VALUE, attributes) };
    // SAFETY: ZwOpenKey opens what the attributes name.
    Ok(Key { handle: unsafe { object_name::open(root, name, open) }? })
}
