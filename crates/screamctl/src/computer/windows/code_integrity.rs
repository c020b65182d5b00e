//! What the kernel demands of drivers' signatures, as it is now.

use windows::Wdk::System::SystemInformation::{NtQuerySystemInformation, SystemCodeIntegrityInformation};

use super::call::call;
use crate::computer::{ApiResult, CodeIntegrity};

/// `CODEINTEGRITY_OPTION_ENABLED`: code has to be signed.
const ENABLED: u32 = 0x1;
/// `CODEINTEGRITY_OPTION_TESTSIGN`: by a test certificate, too.
const TEST_SIGN: u32 = 0x2;
/// `CODEINTEGRITY_OPTION_HVCI_KMCI_ENABLED`: the hypervisor watches over the kernel's code.
const HVCI: u32 = 0x400;

/// `SYSTEM_CODEINTEGRITY_INFORMATION`, of which the documentation of `NtQuerySystemInformation` tells:
/// <https://learn.microsoft.com/windows/win32/api/winternl/nf-winternl-ntquerysysteminformation>.
#[repr(C)]
struct Information {
    length: u32,
    options: u32,
}

/// What the kernel demands of drivers' signatures.
pub fn code_integrity() -> ApiResult<CodeIntegrity> {
    const SIZE: u32 = size_of::<Information>() as u32;
    let mut information = Information { length: SIZE, options: 0 };
    let mut written = 0;
    // SAFETY: the structure is a variable of this function, of the size that is told.
    let result = unsafe {
        NtQuerySystemInformation(
            SystemCodeIntegrityInformation,
            (&raw mut information).cast(),
            SIZE,
            &mut written,
        )
    };
    call("NtQuerySystemInformation", result.ok())?;
    Ok(CodeIntegrity {
        enforced: information.options & ENABLED != 0,
        test_signing: information.options & TEST_SIGN != 0,
        memory_integrity: information.options & HVCI != 0,
    })
}
