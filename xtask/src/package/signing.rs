//! Signs files for Windows with osslsigncode, and verifies what is signed. The options are those of osslsigncode 2.5 (Debian 12).

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::certificate::{self, Identity, Key};
use crate::process::answer;

/// What signatures say that the files are.
const DESCRIPTION: &str = "Scream, a virtual sound card";

/// Somebody who signs.
pub struct Signer {
    identity: Identity,
    /// The server that says when.
    timestamp: Option<String>,
}

impl Signer {
    /// The signer with an identity, or else with a test certificate that is made for this.
    ///
    /// # Errors
    /// The test certificate cannot be made.
    pub fn new(identity: Option<Identity>, timestamp: Option<String>) -> Result<Self> {
        Ok(Self { identity: identity.map_or_else(certificate::test, Ok)?, timestamp })
    }

    /// The common name of the certificate.
    pub fn name(&self) -> &str {
        &self.identity.name
    }

    /// The certificate in DER, if it is a test certificate, which users have to get and trust.
    pub fn test_certificate(&self) -> Option<&[u8]> {
        self.identity.is_test().then_some(&self.identity.certificate)
    }

    /// The file of the private key, if it is one in PEM.
    #[cfg(test)]
    pub fn private_key(&self) -> Option<&Path> {
        match &self.identity.key {
            Key::Pem(key) => Some(key),
            Key::Pkcs12(_) => None,
        }
    }

    /// Signs a driver, a program, a catalog or a cabinet.
    ///
    /// # Errors
    /// It cannot be signed, or the server for time stamps does not answer.
    pub fn sign(&self, file: &Path) -> Result<()> {
        let signed = file.with_extension("signed");
        let identity = &self.identity;
        let mut command = Command::new("osslsigncode");
        command.arg("sign");
        match &identity.key {
            Key::Pem(key) => command.arg("-certs").arg(&identity.certificates).arg("-key").arg(key),
            Key::Pkcs12(container) => command.arg("-pkcs12").arg(container),
        };
        match &identity.password {
            Some(password) => command.arg("-readpass").arg(password),
            None => command.args(["-pass", ""]),
        };
        command.args(["-h", "sha256", "-n", DESCRIPTION]);
        if let Some(server) = &self.timestamp {
            command.args(["-ts", server]);
        }
        answer(command.arg("-in").arg(file).arg("-out").arg(&signed))
            .with_context(|| format!("cannot sign {}", file.display()))?;
        fs::rename(&signed, file).with_context(|| format!("cannot write {}", file.display()))
    }

    /// Verifies that a file has this signer's signature, and is what was signed.
    ///
    /// # Errors
    /// It is not.
    pub fn verify(&self, file: &Path) -> Result<()> {
        answer(self.verification()?.arg("-in").arg(file))
            .map(drop)
            .with_context(|| format!("the signature of {} is not good", file.display()))
    }

    /// Verifies that a catalog vouches for a file, with this signer's signature.
    ///
    /// # Errors
    /// It does not.
    pub fn verify_member(&self, file: &Path, catalog: &Path) -> Result<()> {
        answer(self.verification()?.arg("-catalog").arg(catalog).arg("-in").arg(file))
            .map(drop)
            .with_context(|| format!("{} does not vouch for {}", catalog.display(), file.display()))
    }

    fn verification(&self) -> Result<Command> {
        let mut command = Command::new("osslsigncode");
        // What a time stamp is worth depends on the roots of others, which may not be here.
        command.args(["verify", "-ignore-timestamp", "-CAfile"]).arg(self.identity.roots()?);
        Ok(command)
    }
}
