//! The service, and the options that lie below its key in the registry.

use super::SERVICE;
use crate::computer::{ApiResult, Computer, StoredValue};

/// Deletes the service, and writes options back that were there before: `DeleteService` deletes the service's key with all
/// that is below it. False if there was none.
///
/// Source: <https://learn.microsoft.com/windows/win32/api/winsvc/nf-winsvc-deleteservice>
///
/// # Errors
/// Windows refuses. If it refuses to write an option, it is gone.
pub fn delete_but_keep(options: &[StoredValue], computer: &mut dyn Computer) -> ApiResult<bool> {
    let deleted = computer.delete_service(SERVICE)?;
    if deleted {
        // The first that is written makes the key anew; all are tried, so that as many as possible survive.
        let written: Vec<_> = options.iter().map(|option| computer.store_option(option)).collect();
        written.into_iter().collect::<ApiResult<()>>()?;
    }
    Ok(deleted)
}
