//! The computer itself, the registry, services and certificates.

use std::ffi::OsString;
use std::path::PathBuf;

use driver_package::layout::TEST_CERTIFICATE_NAME;
use screamctl::computer::{
    ApiError, ApiResult, CertificateStore, Certificates, CodeIntegrity, Machine, OptionStore, Service,
    Services, StoredValue, System,
};

use super::FakeComputer;

impl System for FakeComputer {
    fn is_elevated(&self) -> ApiResult<bool> {
        self.look("is_elevated", "GetTokenInformation")?;
        Ok(self.elevated)
    }

    fn run_elevated(&self, arguments: &[OsString]) -> ApiResult<i32> {
        self.elevated_arguments.borrow_mut().push(arguments.to_vec());
        self.look("run_elevated", "ShellExecuteExW")?;
        self.elevated_run.map_err(|code| ApiError { call: "ShellExecuteExW", code })
    }

    fn machine(&self) -> ApiResult<Machine> {
        self.look("machine", "IsWow64Process2")?;
        Ok(self.machine)
    }

    fn build(&self) -> ApiResult<u32> {
        self.look("build", "RtlGetVersion")?;
        Ok(self.build)
    }

    fn code_integrity(&self) -> ApiResult<CodeIntegrity> {
        self.look("code_integrity", "NtQuerySystemInformation")?;
        Ok(self.code_integrity)
    }

    fn secure_boot(&self) -> ApiResult<Option<bool>> {
        self.look("secure_boot", "RegGetValueW")?;
        Ok(self.secure_boot)
    }

    fn upgraded_system(&self) -> ApiResult<u32> {
        self.look("upgraded_system", "RegGetValueW")?;
        Ok(self.upgraded_system)
    }

    fn restart_is_pending_for(&self, file_name: &str) -> ApiResult<bool> {
        self.look("restart_is_pending_for", "RegGetValueW")?;
        Ok(self.pending_files.iter().any(|file| file.eq_ignore_ascii_case(file_name)))
    }

    fn free_space(&self) -> ApiResult<u64> {
        self.look("free_space", "GetDiskFreeSpaceExW")?;
        Ok(self.free_space)
    }

    fn pause(&self, _time: std::time::Duration) {
        self.pauses.set(self.pauses.get() + 1);
    }

    fn program(&self) -> ApiResult<PathBuf> {
        self.look("program", "GetModuleFileNameW")?;
        Ok(self.program.clone())
    }
}

impl OptionStore for FakeComputer {
    fn option_values(&self) -> ApiResult<Vec<StoredValue>> {
        self.look("option_values", "RegEnumValueW")?;
        Ok(self.state.options.clone())
    }

    fn store_option(&mut self, value: &StoredValue) -> ApiResult<()> {
        self.change("store_option", "RegSetValueExW", &value.name)?;
        self.state.options.retain(|stored| !stored.name.eq_ignore_ascii_case(&value.name));
        self.state.options.push(value.clone());
        Ok(())
    }

    fn delete_option(&mut self, name: &str) -> ApiResult<bool> {
        self.change("delete_option", "RegDeleteValueW", name)?;
        let before = self.state.options.len();
        self.state.options.retain(|stored| !stored.name.eq_ignore_ascii_case(name));
        Ok(self.state.options.len() < before)
    }

    fn delete_options(&mut self) -> ApiResult<bool> {
        self.change("delete_options", "RegDeleteTreeW", "")?;
        Ok(!std::mem::take(&mut self.state.options).is_empty())
    }
}

impl Services for FakeComputer {
    fn service(&self, name: &str) -> ApiResult<Option<Service>> {
        self.look("service", "OpenServiceW")?;
        Ok(self.state.services.get(name).cloned())
    }

    fn delete_service(&mut self, name: &str) -> ApiResult<bool> {
        self.change("delete_service", "DeleteService", name)?;
        let found = self.state.services.remove(name).is_some();
        if found {
            // The options lie below the service's key, and go with it.
            self.state.options.clear();
        }
        Ok(found)
    }
}

impl FakeComputer {
    fn store(&mut self, store: CertificateStore) -> &mut Vec<(String, Vec<u8>)> {
        match store {
            CertificateStore::Root => &mut self.state.root,
            CertificateStore::TrustedPublisher => &mut self.state.trusted_publisher,
        }
    }
}

/// The common name of a certificate: of most tests, which is all that there is of it, or of a true one, where it stands
/// as it is among other bytes.
fn common_name(certificate: &[u8]) -> String {
    let text: String = certificate.iter().map(|byte| char::from(*byte)).collect();
    let Some(at) = text.find(TEST_CERTIFICATE_NAME) else { return text };
    text[at..]
        .chars()
        .take_while(|character| character.is_ascii_alphanumeric() || *character == ' ')
        .collect()
}

impl Certificates for FakeComputer {
    fn certificates(&self, store: CertificateStore, name: &str) -> ApiResult<Vec<Vec<u8>>> {
        self.look("certificates", "CertEnumCertificatesInStore")?;
        let certificates = match store {
            CertificateStore::Root => &self.state.root,
            CertificateStore::TrustedPublisher => &self.state.trusted_publisher,
        };
        Ok(certificates.iter().filter(|(of, _)| of.starts_with(name)).map(|(_, der)| der.clone()).collect())
    }

    fn add_certificate(&mut self, store: CertificateStore, certificate: &[u8]) -> ApiResult<bool> {
        self.change("add_certificate", "CertAddEncodedCertificateToStore", &format!("{store:?}"))?;
        let list = self.store(store);
        if list.iter().any(|(_, der)| der == certificate) {
            return Ok(false);
        }
        list.push((common_name(certificate), certificate.to_vec()));
        Ok(true)
    }

    fn remove_certificate(&mut self, store: CertificateStore, certificate: &[u8]) -> ApiResult<bool> {
        self.change("remove_certificate", "CertDeleteCertificateFromStore", &format!("{store:?}"))?;
        let list = self.store(store);
        let before = list.len();
        list.retain(|(_, der)| der != certificate);
        Ok(list.len() < before)
    }
}
