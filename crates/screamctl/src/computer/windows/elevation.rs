//! An administrator's rights: whether this process has them, and a process that asks for them.

use std::ffi::OsString;
use std::os::windows::ffi::OsStrExt;
use std::path::Path;

use windows::Win32::Foundation::{ERROR_INVALID_HANDLE, HANDLE, WAIT_OBJECT_0};
use windows::Win32::Security::{GetTokenInformation, TOKEN_ELEVATION, TOKEN_QUERY, TokenElevation};
use windows::Win32::System::Threading::{
    GetCurrentProcess, GetExitCodeProcess, INFINITE, OpenProcessToken, WaitForSingleObject,
};
use windows::Win32::UI::Shell::{
    SEE_MASK_FLAG_NO_UI, SEE_MASK_NOASYNC, SEE_MASK_NOCLOSEPROCESS, SHELLEXECUTEINFOW, ShellExecuteExW,
};
use windows::Win32::UI::WindowsAndMessaging::SW_SHOWNORMAL;
use windows::core::{HSTRING, PCWSTR, w};

use super::apartment::Apartment;
use super::call::{call, last_error};
use super::command_line::command_line;
use super::handle::Handle;
use crate::computer::{ApiError, ApiResult};

/// Whether this process has an administrator's rights in full.
pub fn is_elevated() -> ApiResult<bool> {
    const SIZE: u32 = size_of::<TOKEN_ELEVATION>() as u32;
    let token = own_token()?;
    let mut elevation = TOKEN_ELEVATION::default();
    let mut written = 0;
    // SAFETY: the token is open for queries; the structure is a variable of this function, of the size that is told.
    let result = unsafe {
        GetTokenInformation(
            token.get(),
            TokenElevation,
            Some((&raw mut elevation).cast()),
            SIZE,
            &mut written,
        )
    };
    call("GetTokenInformation", result)?;
    Ok(elevation.TokenIsElevated != 0)
}

/// The token of this process.
fn own_token() -> ApiResult<Handle> {
    // SAFETY: the call has no arguments; what it returns need not be closed.
    let process = unsafe { GetCurrentProcess() };
    let mut token = HANDLE::default();
    // SAFETY: the result is a variable of this function.
    call("OpenProcessToken", unsafe { OpenProcessToken(process, TOKEN_QUERY, &mut token) })?;
    // SAFETY: the call has opened the token for this process alone.
    Ok(unsafe { Handle::owned(token) })
}

/// Runs a program with an administrator's rights, waits for its end and returns its exit code.
pub fn run_elevated(program: &Path, arguments: &[OsString]) -> ApiResult<i32> {
    // ShellExecuteEx may hand the work to extensions of the shell that need COM.
    let _apartment = Apartment::enter_single_threaded()?;
    let file = HSTRING::from(program.as_os_str());
    let parameters = command_line(arguments.iter().map(|argument| argument.encode_wide()));
    let parameters = HSTRING::from_wide(&parameters);
    let mut execution = SHELLEXECUTEINFOW {
        cbSize: size_of::<SHELLEXECUTEINFOW>() as u32,
        fMask: SEE_MASK_NOCLOSEPROCESS | SEE_MASK_NOASYNC | SEE_MASK_FLAG_NO_UI,
        lpVerb: w!("runas"),
        lpFile: PCWSTR(file.as_ptr()),
        lpParameters: PCWSTR(parameters.as_ptr()),
        nShow: SW_SHOWNORMAL.0,
        ..SHELLEXECUTEINFOW::default()
    };
    // SAFETY: the structure says its size, and its strings, which have a NUL, live until the call returns.
    call("ShellExecuteExW", unsafe { ShellExecuteExW(&mut execution) })?;
    if execution.hProcess.is_invalid() {
        return Err(ApiError { call: "ShellExecuteExW", code: ERROR_INVALID_HANDLE.0 });
    }
    // SAFETY: SEE_MASK_NOCLOSEPROCESS leaves the handle, which is valid, to the caller.
    exit_code(&unsafe { Handle::owned(execution.hProcess) })
}

/// Waits for the end of a process.
fn exit_code(process: &Handle) -> ApiResult<i32> {
    // SAFETY: the handle is open.
    if unsafe { WaitForSingleObject(process.get(), INFINITE) } != WAIT_OBJECT_0 {
        return Err(last_error("WaitForSingleObject"));
    }
    let mut code = 0;
    // SAFETY: the handle is open, and the result is a variable of this function.
    call("GetExitCodeProcess", unsafe { GetExitCodeProcess(process.get(), &mut code) })?;
    Ok(code.cast_signed())
}
