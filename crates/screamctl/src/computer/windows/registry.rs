//! [`Key`]: a key of the registry, in the view of 64-bit programs.

use windows::Win32::Foundation::{ERROR_FILE_NOT_FOUND, ERROR_MORE_DATA, ERROR_NO_MORE_ITEMS};
use windows::Win32::System::Registry::{
    HKEY, HKEY_LOCAL_MACHINE, KEY_WOW64_64KEY, REG_DWORD, REG_OPTION_NON_VOLATILE, REG_SAM_FLAGS, REG_SZ,
    REG_VALUE_TYPE, RegCloseKey, RegCreateKeyExW, RegDeleteKeyExW, RegDeleteTreeW, RegDeleteValueW,
    RegEnumValueW, RegOpenKeyExW, RegQueryInfoKeyW, RegQueryValueExW, RegSetValueExW,
};
use windows::core::{HSTRING, PWSTR};

use super::call::{is, status};
use super::wide;
use crate::computer::{ApiError, ApiResult, StoredValue};

/// The longest name of a value, in units of UTF-16, and its NUL.
const LONGEST_NAME: usize = 16_384;

/// How often a value may grow while it is being read.
const ATTEMPTS: usize = 8;

/// An open key.
///
/// # Invariants
/// The handle is open and this value's own.
#[derive(Debug)]
pub struct Key(HKEY);

impl Key {
    /// Opens a key below HKEY_LOCAL_MACHINE. `None`: it is not there.
    pub fn open(path: &str, rights: REG_SAM_FLAGS) -> ApiResult<Option<Self>> {
        let mut key = HKEY::default();
        let path = HSTRING::from(path);
        // SAFETY: the path is a string with a NUL, and the result is a variable of this function.
        let code =
            unsafe { RegOpenKeyExW(HKEY_LOCAL_MACHINE, &path, None, rights | KEY_WOW64_64KEY, &mut key) };
        match status("RegOpenKeyExW", code) {
            Ok(()) => Ok(Some(Self(key))),
            Err(error) if is(error, ERROR_FILE_NOT_FOUND) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens a key below HKEY_LOCAL_MACHINE, and makes it, and all above it, if it is not there.
    pub fn create(path: &str, rights: REG_SAM_FLAGS) -> ApiResult<Self> {
        let mut key = HKEY::default();
        let path = HSTRING::from(path);
        let rights = rights | KEY_WOW64_64KEY;
        // SAFETY: the path is a string with a NUL, and the result is a variable of this function.
        let code = unsafe {
            RegCreateKeyExW(
                HKEY_LOCAL_MACHINE,
                &path,
                None,
                None,
                REG_OPTION_NON_VOLATILE,
                rights,
                None,
                &mut key,
                None,
            )
        };
        status("RegCreateKeyExW", code).map(|()| Self(key))
    }

    /// All values, in the order of the registry.
    pub fn values(&self) -> ApiResult<Vec<StoredValue>> {
        let mut values = Vec::new();
        for index in 0.. {
            match self.value_at(index)? {
                Some(value) => values.push(value),
                None => break,
            }
        }
        Ok(values)
    }

    /// The value of this index. `None`: there are not so many.
    fn value_at(&self, index: u32) -> ApiResult<Option<StoredValue>> {
        let mut name = vec![0u16; LONGEST_NAME];
        let mut data = vec![0u8; 256];
        for _ in 0..ATTEMPTS {
            let mut name_length = count(name.len());
            let mut length = count(data.len());
            let mut kind = 0;
            // SAFETY: by the invariant the key is open; both buffers are as long as their lengths say.
            let code = unsafe {
                RegEnumValueW(
                    self.0,
                    index,
                    Some(PWSTR(name.as_mut_ptr())),
                    &mut name_length,
                    None,
                    Some(&mut kind),
                    Some(data.as_mut_ptr()),
                    Some(&mut length),
                )
            };
            match status("RegEnumValueW", code) {
                Ok(()) => {
                    data.truncate(length as usize);
                    name.truncate(name_length as usize);
                    return Ok(Some(StoredValue { name: String::from_utf16_lossy(&name), kind, data }));
                }
                Err(error) if is(error, ERROR_NO_MORE_ITEMS) => return Ok(None),
                Err(error) if is(error, ERROR_MORE_DATA) => data.resize(length as usize, 0),
                Err(error) => return Err(error),
            }
        }
        Err(ApiError { call: "RegEnumValueW", code: ERROR_MORE_DATA.0 })
    }

    /// A value. `None`: there is none of this name.
    pub fn value(&self, name: &str) -> ApiResult<Option<StoredValue>> {
        let wide_name = HSTRING::from(name);
        let mut data = vec![0u8; 256];
        for _ in 0..ATTEMPTS {
            let mut length = count(data.len());
            let mut kind = REG_VALUE_TYPE::default();
            // SAFETY: by the invariant the key is open; the buffer is as long as its length says.
            let code = unsafe {
                RegQueryValueExW(
                    self.0,
                    &wide_name,
                    None,
                    Some(&mut kind),
                    Some(data.as_mut_ptr()),
                    Some(&mut length),
                )
            };
            match status("RegQueryValueExW", code) {
                Ok(()) => {
                    data.truncate(length as usize);
                    return Ok(Some(StoredValue { name: name.to_owned(), kind: kind.0, data }));
                }
                Err(error) if is(error, ERROR_FILE_NOT_FOUND) => return Ok(None),
                Err(error) if is(error, ERROR_MORE_DATA) => data.resize(length as usize, 0),
                Err(error) => return Err(error),
            }
        }
        Err(ApiError { call: "RegQueryValueExW", code: ERROR_MORE_DATA.0 })
    }

    /// A number. `None`: there is none of this name, or it is something else.
    pub fn number(&self, name: &str) -> ApiResult<Option<u32>> {
        let value = self.value(name)?.filter(|value| value.kind == REG_DWORD.0);
        Ok(value.and_then(|value| Some(u32::from_le_bytes(value.data.try_into().ok()?))))
    }

    /// A text. `None`: there is none of this name, or it is something else.
    pub fn text(&self, name: &str) -> ApiResult<Option<String>> {
        let value = self.value(name)?.filter(|value| value.kind == REG_SZ.0);
        Ok(value.map(|value| wide::text(&wide::units(&value.data))))
    }

    /// Stores a value.
    pub fn store(&self, value: &StoredValue) -> ApiResult<()> {
        let name = HSTRING::from(value.name.as_str());
        // SAFETY: by the invariant the key is open; the name has a NUL, and the data its length with it.
        let code =
            unsafe { RegSetValueExW(self.0, &name, None, REG_VALUE_TYPE(value.kind), Some(&value.data)) };
        status("RegSetValueExW", code)
    }

    /// Deletes a value. False if there was none.
    pub fn delete_value(&self, name: &str) -> ApiResult<bool> {
        // SAFETY: by the invariant the key is open; the name has a NUL.
        let code = unsafe { RegDeleteValueW(self.0, &HSTRING::from(name)) };
        found(status("RegDeleteValueW", code))
    }

    /// Deletes a key below this one with all that is in it. False if there was none.
    pub fn delete_tree(&self, name: &str) -> ApiResult<bool> {
        // SAFETY: by the invariant the key is open; the name has a NUL.
        let code = unsafe { RegDeleteTreeW(self.0, &HSTRING::from(name)) };
        found(status("RegDeleteTreeW", code))
    }

    /// Whether nothing is in this key.
    pub fn is_empty(&self) -> ApiResult<bool> {
        let (mut keys, mut values) = (0, 0);
        // SAFETY: by the invariant the key is open; the results are variables of this function.
        let code = unsafe {
            RegQueryInfoKeyW(
                self.0,
                None,
                None,
                None,
                Some(&mut keys),
                None,
                None,
                Some(&mut values),
                None,
                None,
                None,
                None,
            )
        };
        status("RegQueryInfoKeyW", code).map(|()| keys == 0 && values == 0)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: by the invariant the key is open, and it is not used after this.
        let _ = unsafe { RegCloseKey(self.0) };
    }
}

/// Deletes a key below HKEY_LOCAL_MACHINE in which there is no other. False if there was none.
pub fn delete_key(path: &str) -> ApiResult<bool> {
    // SAFETY: the path is a string with a NUL.
    let code = unsafe { RegDeleteKeyExW(HKEY_LOCAL_MACHINE, &HSTRING::from(path), KEY_WOW64_64KEY.0, None) };
    found(status("RegDeleteKeyExW", code))
}

/// Whether something was there to be deleted.
fn found(result: ApiResult<()>) -> ApiResult<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if is(error, ERROR_FILE_NOT_FOUND) => Ok(false),
        Err(error) => Err(error),
    }
}

/// A length, for Windows. Buffers are far shorter than what a `u32` can say.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
