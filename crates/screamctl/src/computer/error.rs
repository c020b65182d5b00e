//! [`ApiError`]: a call of Windows that failed.

use std::fmt;

/// What a call of Windows returns.
pub type ApiResult<T> = Result<T, ApiError>;

/// A call of Windows that failed. What the code means to people is for `failure.rs` to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiError {
    /// The function.
    pub call: &'static str,
    /// Its error: a Win32 code, one of SetupAPI (`0xE000....`), or an HRESULT (`0x8.......`).
    pub code: u32,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, code } = self;
        if *code > 0xFFFF {
            write!(f, "{call}: error 0x{code:08X}")
        } else {
            write!(f, "{call}: error {code}")
        }
    }
}

impl std::error::Error for ApiError {}
