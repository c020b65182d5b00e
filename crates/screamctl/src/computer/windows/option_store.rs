//! The options of the driver, in the registry.

use windows::Win32::Storage::FileSystem::DELETE;
use windows::Win32::System::Registry::{
    KEY_ENUMERATE_SUB_KEYS, KEY_QUERY_VALUE, KEY_SET_VALUE, REG_SAM_FLAGS,
};

use super::ThisComputer;
use super::registry::{Key, delete_key};
use crate::computer::{ApiResult, OptionStore, StoredValue};

/// The key of the driver's service.
const SERVICE: &str = r"SYSTEM\CurrentControlSet\Services\Scream";
/// The key of the options, in the service's.
const OPTIONS: &str = "Options";

impl OptionStore for ThisComputer {
    fn option_values(&self) -> ApiResult<Vec<StoredValue>> {
        Key::open(&path(), KEY_QUERY_VALUE)?.map_or_else(|| Ok(Vec::new()), |key| key.values())
    }

    // Options may be set before the driver is installed: the service control manager takes a key without `Type` for no
    // service, and fills it in when the service is created.
    fn store_option(&mut self, value: &StoredValue) -> ApiResult<()> {
        Key::create(&path(), KEY_SET_VALUE)?.store(value)
    }

    fn delete_option(&mut self, name: &str) -> ApiResult<bool> {
        Key::open(&path(), KEY_SET_VALUE)?.map_or(Ok(false), |key| key.delete_value(name))
    }

    fn delete_options(&mut self) -> ApiResult<bool> {
        let rights = REG_SAM_FLAGS(DELETE.0) | KEY_ENUMERATE_SUB_KEYS | KEY_QUERY_VALUE | KEY_SET_VALUE;
        let Some(service) = Key::open(SERVICE, rights)? else { return Ok(false) };
        let deleted = service.delete_tree(OPTIONS)?;
        // A key that only held the options is nobody's service.
        if deleted && service.is_empty()? {
            drop(service);
            delete_key(SERVICE)?;
        }
        Ok(deleted)
    }
}

/// The key of the options.
fn path() -> String {
    format!(r"{SERVICE}\{OPTIONS}")
}
