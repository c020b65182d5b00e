//! From the errors of Windows to [`ApiError`].

use windows::Win32::Foundation::WIN32_ERROR;
use windows::core::{Error, HRESULT, Result};

use crate::computer::{ApiError, ApiResult};

/// A Win32 code in an HRESULT: its upper half.
const FACILITY_WIN32: u32 = 0x8007_0000;

/// The result of a call, with the function's name in the error.
pub fn call<T>(name: &'static str, result: Result<T>) -> ApiResult<T> {
    result.map_err(|error| error_of(name, &error))
}

/// The result of a call that returns a Win32 code.
pub fn status(name: &'static str, code: WIN32_ERROR) -> ApiResult<()> {
    if code.0 == 0 { Ok(()) } else { Err(ApiError { call: name, code: code.0 }) }
}

/// The error of a call that says only that it failed.
pub fn last_error(name: &'static str) -> ApiError {
    error_of(name, &Error::from_thread())
}

/// The error of a call, with the function's name.
pub fn error_of(name: &'static str, error: &Error) -> ApiError {
    ApiError { call: name, code: code_of(error.code()) }
}

/// The code that the documentation of a function knows: Win32 codes come wrapped in an HRESULT.
fn code_of(result: HRESULT) -> u32 {
    let code = result.0.cast_unsigned();
    if code & 0xFFFF_0000 == FACILITY_WIN32 { code & 0xFFFF } else { code }
}

/// Whether a call failed with this Win32 code.
pub fn is(error: ApiError, code: WIN32_ERROR) -> bool {
    error.code == code.0
}
