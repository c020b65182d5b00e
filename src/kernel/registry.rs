//! Reading values of the driver's registry key, bounded and typed.

use core::ptr::null_mut;

use wdk_sys::ntddk::{ZwClose, ZwOpenKey, ZwQueryValueKey};
use wdk_sys::{
    _KEY_VALUE_INFORMATION_CLASS, HANDLE, KEY_QUERY_VALUE, OBJ_CASE_INSENSITIVE, OBJ_KERNEL_HANDLE,
    OBJECT_ATTRIBUTES, REG_DWORD, REG_SZ, STATUS_OBJECT_NAME_NOT_FOUND, UNICODE_STRING,
};

use super::status::{Result, check};

/// The longest value that is read, in bytes: an option is a number or an address.
const MAX_DATA: usize = 256;

/// An open registry key; closed when dropped. PASSIVE_LEVEL.
pub struct Key {
    handle: HANDLE,
}

/// Why a value cannot be used.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum ValueError {
    /// There is no such value: the default holds, and nothing is wrong.
    Missing,
    /// The value is of another type.
    WrongType,
    /// The data is longer than any sensible value.
    TooLong,
    /// The registry cannot be read.
    Unreadable,
}

/// What `ZwQueryValueKey` fills for the class `KeyValuePartialInformation`.
#[repr(C)]
struct PartialInformation {
    title_index: u32,
    kind: u32,
    data_length: u32,
    data: [u8; MAX_DATA],
}

/// Text of a `REG_SZ` value: UTF-16 units up to the first NUL or the end of the data.
pub struct Text {
    units: [u16; MAX_DATA / 2],
    length: usize,
}

impl Text {
    /// The units, without a terminator.
    pub fn units(&self) -> &[u16] {
        self.units.get(..self.length).unwrap_or_default()
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
        let mut attributes = key_attributes(self.handle, &mut name);
        open(&mut attributes)
    }

    /// Reads a `REG_DWORD`.
    ///
    /// # Errors
    /// Each [`ValueError`].
    pub fn dword(&self, name: &[u16]) -> core::result::Result<u32, ValueError> {
        let value = self.query(name)?;
        if value.kind != REG_DWORD || value.data_length != 4 {
            return Err(ValueError::WrongType);
        }
        let bytes = value.data.first_chunk::<4>().ok_or(ValueError::WrongType)?;
        Ok(u32::from_le_bytes(*bytes))
    }

    /// Reads a `REG_SZ`, terminated or not.
    ///
    /// # Errors
    /// Each [`ValueError`].
    pub fn text(&self, name: &[u16]) -> core::result::Result<Text, ValueError> {
        let value = self.query(name)?;
        if value.kind != REG_SZ {
            return Err(ValueError::WrongType);
        }
        let data = value.data.get(..value.data_length as usize).unwrap_or(&value.data);
        let mut text = Text { units: [0; MAX_DATA / 2], length: 0 };
        for (unit, bytes) in text.units.iter_mut().zip(data.as_chunks::<2>().0) {
            *unit = u16::from_le_bytes(*bytes);
            if *unit == 0 {
                break;
            }
            text.length += 1;
        }
        Ok(text)
    }

    fn query(&self, name: &[u16]) -> core::result::Result<PartialInformation, ValueError> {
        let mut name = unicode_string(name);
        let mut value = PartialInformation { title_index: 0, kind: 0, data_length: 0, data: [0; MAX_DATA] };
        let mut needed = 0;
        // SAFETY: the key is open, and the pointers are to live locals of the sizes that are given.
        let status = unsafe {
            ZwQueryValueKey(
                self.handle,
                &raw mut name,
                _KEY_VALUE_INFORMATION_CLASS::KeyValuePartialInformation,
                (&raw mut value).cast(),
                size_of::<PartialInformation>() as u32,
                &raw mut needed,
            )
        };
        match status {
            wdk_sys::STATUS_SUCCESS => Ok(value),
            STATUS_OBJECT_NAME_NOT_FOUND => Err(ValueError::Missing),
            wdk_sys::STATUS_BUFFER_OVERFLOW | wdk_sys::STATUS_BUFFER_TOO_SMALL => Err(ValueError::TooLong),
            _ => Err(ValueError::Unreadable),
        }
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: the handle is open and not used again.
        let _ = unsafe { ZwClose(self.handle) };
    }
}

fn open(attributes: &mut OBJECT_ATTRIBUTES) -> Result<Key> {
    let mut handle: HANDLE = null_mut();
    // SAFETY: the attributes point to a live name and, if any, to an open key.
    check(unsafe { ZwOpenKey(&raw mut handle, KEY_QUERY_VALUE, attributes) })?;
    Ok(Key { handle })
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
