//! Whom the computer trusts: the lists of certificates of the local machine.

use windows::Win32::Foundation::CRYPT_E_EXISTS;
use windows::Win32::Security::Cryptography::{
    CERT_CONTEXT, CERT_CONTROL_STORE_FLAGS, CERT_NAME_ATTR_TYPE, CERT_OPEN_STORE_FLAGS, CERT_STORE_ADD_NEW,
    CERT_STORE_CTRL_COMMIT, CERT_STORE_PROV_SYSTEM_W, CERT_STORE_READONLY_FLAG,
    CERT_SYSTEM_STORE_LOCAL_MACHINE, CertAddEncodedCertificateToStore, CertCloseStore, CertControlStore,
    CertDeleteCertificateFromStore, CertDuplicateCertificateContext, CertEnumCertificatesInStore,
    CertFreeCertificateContext, CertGetNameStringW, CertOpenStore, HCERTSTORE, X509_ASN_ENCODING,
    szOID_COMMON_NAME,
};
use windows::core::{PCWSTR, w};

use super::call::call;
use super::{ThisComputer, wide};
use crate::computer::{ApiResult, CertificateStore, Certificates};

impl Certificates for ThisComputer {
    fn certificates(&self, store: CertificateStore, common_name: &str) -> ApiResult<Vec<Vec<u8>>> {
        let mut list = List::open(store, CERT_STORE_READONLY_FLAG)?;
        let mut found = Vec::new();
        while let Some(certificate) = list.next() {
            if certificate.common_name().starts_with(common_name) {
                found.push(certificate.encoded().to_vec());
            }
        }
        Ok(found)
    }

    fn add_certificate(&mut self, store: CertificateStore, certificate: &[u8]) -> ApiResult<bool> {
        let list = List::open(store, CERT_OPEN_STORE_FLAGS::default())?;
        // SAFETY: the store is open, and the certificate has its length with it.
        let result = unsafe {
            CertAddEncodedCertificateToStore(
                Some(list.store),
                X509_ASN_ENCODING,
                certificate,
                CERT_STORE_ADD_NEW,
                None,
            )
        };
        match call("CertAddEncodedCertificateToStore", result) {
            Ok(()) => list.commit().map(|()| true),
            Err(error) if error.code == CRYPT_E_EXISTS.0.cast_unsigned() => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn remove_certificate(&mut self, store: CertificateStore, certificate: &[u8]) -> ApiResult<bool> {
        let mut list = List::open(store, CERT_OPEN_STORE_FLAGS::default())?;
        while let Some(found) = list.next() {
            if found.encoded() == certificate {
                found.delete()?;
                return list.commit().map(|()| true);
            }
        }
        Ok(false)
    }
}

/// A store of certificates, and where a walk through it is.
///
/// # Invariants
/// The store is open. `current` is null, or a certificate of it. Both are this value's own.
#[derive(Debug)]
struct List {
    store: HCERTSTORE,
    current: *mut CERT_CONTEXT,
}

impl List {
    /// Opens a store of the local machine.
    fn open(store: CertificateStore, flags: CERT_OPEN_STORE_FLAGS) -> ApiResult<Self> {
        let name: PCWSTR = match store {
            CertificateStore::Root => w!("Root"),
            CertificateStore::TrustedPublisher => w!("TrustedPublisher"),
        };
        let flags = CERT_OPEN_STORE_FLAGS(CERT_SYSTEM_STORE_LOCAL_MACHINE) | flags;
        // SAFETY: this provider takes a name with a NUL.
        let store = unsafe {
            CertOpenStore(
                CERT_STORE_PROV_SYSTEM_W,
                Default::default(),
                None,
                flags,
                Some(name.as_ptr().cast()),
            )
        };
        Ok(Self { store: call("CertOpenStore", store)?, current: std::ptr::null_mut() })
    }

    /// Has the changes stored now: closing the store cannot tell that it failed.
    fn commit(&self) -> ApiResult<()> {
        let flags = CERT_CONTROL_STORE_FLAGS::default();
        // SAFETY: the store is open, and this control takes nothing else.
        let result = unsafe { CertControlStore(self.store, flags, CERT_STORE_CTRL_COMMIT, None) };
        call("CertControlStore", result)
    }

    /// The next certificate.
    fn next(&mut self) -> Option<Certificate> {
        let previous = std::mem::replace(&mut self.current, std::ptr::null_mut());
        let previous = (!previous.is_null()).then_some(previous.cast_const());
        // SAFETY: the store is open, and the previous certificate is of it. The call frees it, and nothing else does.
        self.current = unsafe { CertEnumCertificatesInStore(self.store, previous) };
        if self.current.is_null() {
            return None;
        }
        // SAFETY: the certificate is valid; the call adds a reference, which the new value gives back.
        let certificate = unsafe { CertDuplicateCertificateContext(Some(self.current)) };
        (!certificate.is_null()).then_some(Certificate(certificate))
    }
}

impl Drop for List {
    fn drop(&mut self) {
        if !self.current.is_null() {
            // SAFETY: by the invariant the certificate is this value's own, and it is not used after this.
            let _ = unsafe { CertFreeCertificateContext(Some(self.current)) };
        }
        // SAFETY: by the invariant the store is open, and it is not used after this.
        let _ = unsafe { CertCloseStore(Some(self.store), 0) };
    }
}

/// A certificate of a store.
///
/// # Invariants
/// The context is valid, and the reference to it this value's own.
#[derive(Debug)]
struct Certificate(*mut CERT_CONTEXT);

impl Certificate {
    /// The certificate in DER.
    fn encoded(&self) -> &[u8] {
        // SAFETY: by the invariant the context is valid, and nothing changes it.
        let context = unsafe { &*self.0 };
        if context.pbCertEncoded.is_null() {
            return &[];
        }
        // SAFETY: the bytes are as many as the context says, and live as long as it.
        unsafe { std::slice::from_raw_parts(context.pbCertEncoded, context.cbCertEncoded as usize) }
    }

    /// The common name of its owner. Empty if it has none.
    fn common_name(&self) -> String {
        let mut name = [0u16; 512];
        let attribute = Some(szOID_COMMON_NAME.as_ptr().cast());
        // SAFETY: by the invariant the context is valid; this type of name takes an OID with a NUL; the buffer has its
        // length with it.
        unsafe { CertGetNameStringW(self.0, CERT_NAME_ATTR_TYPE, 0, attribute, Some(&mut name)) };
        wide::text(&name)
    }

    /// Takes it out of its store.
    fn delete(self) -> ApiResult<()> {
        let context = self.0;
        std::mem::forget(self);
        // SAFETY: the context is valid. The call gives the reference back, whether it succeeds or not, and nothing else does.
        call("CertDeleteCertificateFromStore", unsafe { CertDeleteCertificateFromStore(context) })
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        // SAFETY: by the invariant the reference is this value's own, and it is not used after this.
        let _ = unsafe { CertFreeCertificateContext(Some(self.0)) };
    }
}
