//! The driver store: the packages that Windows installs devices from.

use std::fs;
use std::io::Error;
use std::path::{Path, PathBuf};

use driver_package::inf::Inf;
use windows::Win32::Devices::DeviceAndDriverInstallation::{
    SP_COPY_NOOVERWRITE, SPOST_PATH, SUOI_FORCEDELETE, SetupCopyOEMInfW, SetupGetInfDriverStoreLocationW,
    SetupUninstallOEMInfW,
};
use windows::Win32::Foundation::ERROR_FILE_EXISTS;
use windows::core::{HSTRING, PCWSTR};

use super::call::{call, is, last_error};
use super::{ThisComputer, signature, system, wide};
use crate::computer::{ApiError, ApiResult, DriverStore, StoredPackage};

impl DriverStore for ThisComputer {
    fn packages(&self, hardware_ids: &[&str]) -> ApiResult<Vec<StoredPackage>> {
        let folder = system::windows_folder()?.join("INF");
        let mut packages = Vec::new();
        for entry in fs::read_dir(&folder).map_err(file_error("FindFirstFileW"))? {
            let entry = entry.map_err(file_error("FindNextFileW"))?;
            let published = entry.file_name().to_string_lossy().to_lowercase();
            if is_published_name(&published)
                && let Some(package) = read(published, &entry.path())
                && package
                    .hardware_ids
                    .iter()
                    .any(|id| hardware_ids.iter().any(|of| id.eq_ignore_ascii_case(of)))
            {
                packages.push(package);
            }
        }
        packages.sort_by(|a, b| a.published.cmp(&b.published));
        Ok(packages)
    }

    fn verify_signature(&self, inf: &Path) -> ApiResult<()> {
        signature::verify(inf)
    }

    fn add_package(&mut self, inf: &Path) -> ApiResult<(String, bool)> {
        let path = system::plain_path(inf)?;
        let folder = inf.parent().map(system::plain_path).transpose()?.unwrap_or_default();
        let mut destination = [0u16; 261];
        // SAFETY: the strings have a NUL, and the buffer has its length with it.
        let result = unsafe {
            SetupCopyOEMInfW(
                &path,
                &folder,
                SPOST_PATH,
                SP_COPY_NOOVERWRITE,
                Some(&mut destination),
                None,
                None,
            )
        };
        let is_new = match call("SetupCopyOEMInfW", result) {
            Ok(()) => true,
            // The same INF is there already, and the buffer says under what name.
            Err(error) if is(error, ERROR_FILE_EXISTS) => false,
            Err(error) => return Err(error),
        };
        let published = wide::text(&destination);
        let name = published.rsplit('\\').next().unwrap_or(&published);
        Ok((name.to_lowercase(), is_new))
    }

    fn remove_package(&mut self, published: &str) -> ApiResult<()> {
        // SAFETY: the name has a NUL.
        let deleted = unsafe { SetupUninstallOEMInfW(&HSTRING::from(published), SUOI_FORCEDELETE, None) };
        if deleted.as_bool() { Ok(()) } else { Err(last_error("SetupUninstallOEMInfW")) }
    }
}

/// Whether this is what Windows calls the INF of a package in the store: `oem12.inf`.
fn is_published_name(name: &str) -> bool {
    name.strip_prefix("oem")
        .and_then(|rest| rest.strip_suffix(".inf"))
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A package of the store. `None` if its INF cannot be read or understood: then it is none of the driver's.
fn read(published: String, path: &Path) -> Option<StoredPackage> {
    let inf = Inf::parse(&fs::read(path).ok()?);
    Some(StoredPackage {
        path: original(path).unwrap_or_else(|| path.to_owned()),
        published,
        provider: inf.provider().unwrap_or_default(),
        version: inf.driver_ver().map(|driver| driver.version).unwrap_or_default(),
        hardware_ids: inf.hardware_ids(),
    })
}

/// Where the store keeps the INF that Windows has copied to its folder of INFs, with the files that it came with: from there
/// it can be installed once more, which the documentation asks not to do from the folder of INFs. `None`: Windows does not say.
fn original(copy: &Path) -> Option<PathBuf> {
    let copy = system::plain_path(copy).ok()?;
    let mut location = [0u16; 261];
    // SAFETY: the path has a NUL, and the buffer has its length with it.
    let found = unsafe { SetupGetInfDriverStoreLocationW(&copy, None, PCWSTR::null(), &mut location, None) };
    found.ok().map(|()| PathBuf::from(wide::text(&location)))
}

/// The error of a call that Rust's library has made.
fn file_error(call: &'static str) -> impl Fn(Error) -> ApiError {
    move |error| ApiError { call, code: error.raw_os_error().unwrap_or(0).cast_unsigned() }
}
