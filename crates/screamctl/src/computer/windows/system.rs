//! The computer, its Windows, and this process.

use std::ffi::{OsStr, OsString};
use std::os::windows::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use windows::Wdk::System::SystemServices::RtlGetVersion;
use windows::Win32::Storage::FileSystem::GetDiskFreeSpaceExW;
use windows::Win32::System::Registry::KEY_QUERY_VALUE;
use windows::Win32::System::SystemInformation::{
    GetSystemWindowsDirectoryW, IMAGE_FILE_MACHINE, IMAGE_FILE_MACHINE_AMD64, IMAGE_FILE_MACHINE_ARM64,
    OSVERSIONINFOW,
};
use windows::Win32::System::Threading::{GetCurrentProcess, IsWow64Process2};
use windows::core::HSTRING;

use super::call::{call, last_error};
use super::registry::Key;
use super::{ThisComputer, code_integrity, elevation, wide};
use crate::computer::{ApiError, ApiResult, CodeIntegrity, Machine, System};

/// What the firmware said of Secure Boot.
const SECURE_BOOT: &str = r"SYSTEM\CurrentControlSet\Control\SecureBoot\State";
/// What code integrity was told at the installation of Windows.
const CODE_INTEGRITY_POLICY: &str = r"SYSTEM\CurrentControlSet\Control\CI\Policy";
/// Where files wait for the next start.
const SESSION_MANAGER: &str = r"SYSTEM\CurrentControlSet\Control\Session Manager";

impl System for ThisComputer {
    fn is_elevated(&self) -> ApiResult<bool> {
        elevation::is_elevated()
    }

    fn run_elevated(&self, arguments: &[OsString]) -> ApiResult<i32> {
        elevation::run_elevated(&self.program()?, arguments)
    }

    fn machine(&self) -> ApiResult<Machine> {
        // SAFETY: the call has no arguments; what it returns need not be closed.
        let process = unsafe { GetCurrentProcess() };
        let (mut own, mut native) = (IMAGE_FILE_MACHINE::default(), IMAGE_FILE_MACHINE::default());
        // SAFETY: the results are variables of this function.
        let result = unsafe { IsWow64Process2(process, &mut own, Some(&mut native)) };
        call("IsWow64Process2", result)?;
        Ok(match native {
            IMAGE_FILE_MACHINE_AMD64 => Machine::X64,
            IMAGE_FILE_MACHINE_ARM64 => Machine::Arm64,
            other => Machine::Other(other.0),
        })
    }

    fn build(&self) -> ApiResult<u32> {
        let mut version = OSVERSIONINFOW {
            dwOSVersionInfoSize: size_of::<OSVERSIONINFOW>() as u32,
            ..OSVERSIONINFOW::default()
        };
        // SAFETY: the structure is a variable of this function and says its size.
        let result = unsafe { RtlGetVersion(&mut version) };
        call("RtlGetVersion", result.ok())?;
        Ok(version.dwBuildNumber)
    }

    fn code_integrity(&self) -> ApiResult<CodeIntegrity> {
        code_integrity::code_integrity()
    }

    fn secure_boot(&self) -> ApiResult<Option<bool>> {
        let Some(key) = Key::open(SECURE_BOOT, KEY_QUERY_VALUE)? else { return Ok(None) };
        Ok(key.number("UEFISecureBootEnabled")?.map(|value| value != 0))
    }

    fn upgraded_system(&self) -> ApiResult<u32> {
        let Some(key) = Key::open(CODE_INTEGRITY_POLICY, KEY_QUERY_VALUE)? else { return Ok(0) };
        Ok(key.number("UpgradedSystem")?.unwrap_or(0))
    }

    fn restart_is_pending_for(&self, file_name: &str) -> ApiResult<bool> {
        let Some(key) = Key::open(SESSION_MANAGER, KEY_QUERY_VALUE)? else { return Ok(false) };
        for name in ["PendingFileRenameOperations", "PendingFileRenameOperations2"] {
            let Some(value) = key.value(name)? else { continue };
            // Sources and destinations alternate; for a deletion the destination is empty.
            let files = wide::list(&wide::units(&value.data));
            if files.iter().any(|file| is_named(file, file_name)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn free_space(&self) -> ApiResult<u64> {
        let windows = windows_folder()?;
        let mut free = 0;
        // SAFETY: the path is a string with a NUL, and the result is a variable of this function.
        let result =
            unsafe { GetDiskFreeSpaceExW(&HSTRING::from(windows.as_os_str()), Some(&mut free), None, None) };
        call("GetDiskFreeSpaceExW", result).map(|()| free)
    }

    fn program(&self) -> ApiResult<PathBuf> {
        std::env::current_exe().map_err(|error| ApiError {
            call: "GetModuleFileNameW",
            code: error.raw_os_error().unwrap_or(0).cast_unsigned(),
        })
    }
}

/// Whether a path ends in this name.
fn is_named(path: &str, file_name: &str) -> bool {
    path.rsplit('\\').next().is_some_and(|last| last.eq_ignore_ascii_case(file_name))
}

/// The folder of Windows.
pub fn windows_folder() -> ApiResult<PathBuf> {
    let mut buffer = [0u16; 261];
    // SAFETY: the buffer has its length with it.
    let length = unsafe { GetSystemWindowsDirectoryW(Some(&mut buffer)) };
    // Nought is a failure; more than the buffer holds cannot be, as the path has at most 260 units.
    match buffer.get(..length as usize) {
        Some(path) if !path.is_empty() => Ok(PathBuf::from(String::from_utf16_lossy(path))),
        _ => Err(last_error("GetSystemWindowsDirectoryW")),
    }
}

/// A path as SetupAPI takes it: from the root, and without the prefix that lets paths be longer than SetupAPI's can be.
pub fn plain_path(path: &Path) -> ApiResult<HSTRING> {
    let path = std::path::absolute(path).map_err(|error| ApiError {
        call: "GetFullPathNameW",
        code: error.raw_os_error().unwrap_or(0).cast_unsigned(),
    })?;
    Ok(HSTRING::from(without_prefix(path.as_os_str()).as_os_str()))
}

/// `\\?\C:\x` is `C:\x`, and `\\?\UNC\server\x` is `\\server\x`.
fn without_prefix(path: &OsStr) -> OsString {
    use std::os::windows::ffi::OsStringExt;

    let units: Vec<u16> = path.encode_wide().collect();
    let start = |prefix: &str| {
        let prefix: Vec<u16> = prefix.encode_utf16().collect();
        units.strip_prefix(prefix.as_slice())
    };
    if let Some(share) = start(r"\\?\UNC\") {
        let share: Vec<u16> = r"\\".encode_utf16().chain(share.iter().copied()).collect();
        return OsString::from_wide(&share);
    }
    start(r"\\?\").map_or_else(|| path.to_owned(), OsString::from_wide)
}
