//! The services of drivers.

use windows::Win32::Foundation::{ERROR_INSUFFICIENT_BUFFER, ERROR_SERVICE_DOES_NOT_EXIST};
use windows::Win32::Storage::FileSystem::DELETE;
use windows::Win32::System::Services::{
    CloseServiceHandle, DeleteService, OpenSCManagerW, OpenServiceW, QUERY_SERVICE_CONFIGW,
    QueryServiceConfigW, QueryServiceStatus, SC_HANDLE, SC_MANAGER_CONNECT, SERVICE_QUERY_CONFIG,
    SERVICE_QUERY_STATUS, SERVICE_STATUS, SERVICE_STOPPED,
};
use windows::core::HSTRING;

use super::ThisComputer;
use super::call::{call, is};
use crate::computer::{ApiError, ApiResult, Service, Services};

impl Services for ThisComputer {
    fn service(&self, name: &str) -> ApiResult<Option<Service>> {
        let Some(service) = open(name, SERVICE_QUERY_CONFIG | SERVICE_QUERY_STATUS)? else { return Ok(None) };
        Ok(Some(Service { image_path: image_path(&service)?, running: is_running(&service)? }))
    }

    fn delete_service(&mut self, name: &str) -> ApiResult<bool> {
        let Some(service) = open(name, DELETE.0)? else { return Ok(false) };
        // SAFETY: the service is open for this.
        call("DeleteService", unsafe { DeleteService(service.0) }).map(|()| true)
    }
}

/// A service, or the manager of services.
///
/// # Invariants
/// The handle is open and this value's own.
#[derive(Debug)]
struct ServiceHandle(SC_HANDLE);

impl Drop for ServiceHandle {
    fn drop(&mut self) {
        // SAFETY: by the invariant the handle is open, and it is not used after this.
        let _ = unsafe { CloseServiceHandle(self.0) };
    }
}

/// Opens a service. `None`: there is none of this name.
fn open(name: &str, rights: u32) -> ApiResult<Option<ServiceHandle>> {
    // SAFETY: no names: this computer, and its services of today.
    let manager = unsafe { OpenSCManagerW(None, None, SC_MANAGER_CONNECT) };
    let manager = ServiceHandle(call("OpenSCManagerW", manager)?);
    // SAFETY: the manager is open; the name has a NUL.
    let service = unsafe { OpenServiceW(manager.0, &HSTRING::from(name), rights) };
    match call("OpenServiceW", service) {
        Ok(service) => Ok(Some(ServiceHandle(service))),
        Err(error) if is(error, ERROR_SERVICE_DOES_NOT_EXIST) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The file of a service. Empty if the registry has none: Windows then takes the one of the service's name.
fn image_path(service: &ServiceHandle) -> ApiResult<String> {
    const INITIAL: usize = 1024;
    // Of u64, so that the structure at its beginning is aligned.
    let mut buffer = vec![0u64; INITIAL / 8];
    for _ in 0..4 {
        let size = u32::try_from(size_of_val(buffer.as_slice())).unwrap_or(u32::MAX);
        let mut needed = 0;
        let config: *mut QUERY_SERVICE_CONFIGW = buffer.as_mut_ptr().cast();
        // SAFETY: the service is open for this; the buffer is aligned for the structure and as long as its size says.
        match call("QueryServiceConfigW", unsafe {
            QueryServiceConfigW(service.0, Some(config), size, &mut needed)
        }) {
            Ok(()) => {
                // SAFETY: the call has succeeded, so the structure is filled in.
                let path = unsafe { (*config).lpBinaryPathName };
                if path.is_null() {
                    return Ok(String::new());
                }
                // SAFETY: the string is in the buffer, which still lives, and has a NUL.
                return Ok(String::from_utf16_lossy(unsafe { path.as_wide() }));
            }
            Err(error) if is(error, ERROR_INSUFFICIENT_BUFFER) => {
                buffer.resize((needed as usize).div_ceil(8).max(buffer.len()), 0);
            }
            Err(error) => return Err(error),
        }
    }
    Err(ApiError { call: "QueryServiceConfigW", code: ERROR_INSUFFICIENT_BUFFER.0 })
}

/// Whether the driver of a service is loaded.
fn is_running(service: &ServiceHandle) -> ApiResult<bool> {
    let mut status = SERVICE_STATUS::default();
    // SAFETY: the service is open for this; the result is a variable of this function.
    call("QueryServiceStatus", unsafe { QueryServiceStatus(service.0, &mut status) })?;
    Ok(status.dwCurrentState != SERVICE_STOPPED)
}
