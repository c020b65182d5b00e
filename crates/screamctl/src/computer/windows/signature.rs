//! Whether Windows accepts the signature of a driver package.

use std::path::Path;

use windows::Win32::Devices::DeviceAndDriverInstallation::{SP_ALTPLATFORM_INFO_V2, SP_INF_SIGNER_INFO_V2_W};
use windows::Win32::Foundation::ERROR_AUTHENTICODE_TRUSTED_PUBLISHER;
use windows::Win32::System::LibraryLoader::{GetProcAddress, LOAD_LIBRARY_SEARCH_SYSTEM32, LoadLibraryExW};
use windows::core::{BOOL, PCWSTR, s, w};

use super::call::{call, is, last_error};
use super::system;
use crate::computer::ApiResult;

/// `SetupVerifyInfFileW`.
type SetupVerifyInfFile =
    unsafe extern "system" fn(PCWSTR, *const SP_ALTPLATFORM_INFO_V2, *mut SP_INF_SIGNER_INFO_V2_W) -> BOOL;

/// Whether Windows accepts the signature of the catalog of an INF. The error says why it does not.
pub fn verify(inf: &Path) -> ApiResult<()> {
    let path = system::plain_path(inf)?;
    let verify = function()?;
    let mut signer = SP_INF_SIGNER_INFO_V2_W {
        cbSize: size_of::<SP_INF_SIGNER_INFO_V2_W>() as u32,
        ..SP_INF_SIGNER_INFO_V2_W::default()
    };
    // SAFETY: this is the function that the type declares; the path has a NUL, and the structure says its size.
    if unsafe { verify(PCWSTR(path.as_ptr()), std::ptr::null(), &mut signer) }.as_bool() {
        return Ok(());
    }
    let error = last_error("SetupVerifyInfFileW");
    // A signature other than Microsoft's is always told by an error, of which this one means that all is well:
    // <https://learn.microsoft.com/windows-hardware/drivers/install/using-setupapi-to-verify-driver-authenticode-signatures>.
    if is(error, ERROR_AUTHENTICODE_TRUSTED_PUBLISHER) { Ok(()) } else { Err(error) }
}

/// The function, asked for by name: a SetupAPI without it, as wine's, would otherwise keep this program from starting.
fn function() -> ApiResult<SetupVerifyInfFile> {
    // SAFETY: the name has a NUL, and the library is one of Windows' own that this program has loaded anyway.
    let library = unsafe { LoadLibraryExW(w!("setupapi.dll"), None, LOAD_LIBRARY_SEARCH_SYSTEM32) };
    let library = call("LoadLibraryExW", library)?;
    // SAFETY: the library stays loaded; the name has a NUL.
    let address = unsafe { GetProcAddress(library, s!("SetupVerifyInfFileW")) };
    let address = address.ok_or_else(|| last_error("SetupVerifyInfFileW"))?;
    // SAFETY: the function has this signature in every SetupAPI that has it.
    Ok(unsafe { std::mem::transmute::<unsafe extern "system" fn() -> isize, SetupVerifyInfFile>(address) })
}
