//! The certificate that signs: the one that the user gives, which is looked at before anything is built, or a test certificate.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use driver_package::layout::TEST_CERTIFICATE_NAME;
use tempfile::TempDir;

use super::Arguments;
use crate::process::answer;

/// A certificate with its private key. The folder has what is private, and goes with this value.
pub struct Identity {
    folder: TempDir,
    /// The certificate and its issuers, in PEM, the certificate first.
    pub certificates: PathBuf,
    /// The certificate, in DER.
    pub certificate: Vec<u8>,
    /// Its common name.
    pub name: String,
    /// True if it vouches for itself.
    pub self_signed: bool,
    /// What has the private key.
    pub key: Key,
    /// A file with the password, and nothing else in it; none if there is no password.
    pub password: Option<PathBuf>,
}

/// What has a private key.
pub enum Key {
    /// A file in PEM.
    Pem(PathBuf),
    /// A container with the certificates.
    Pkcs12(PathBuf),
}

/// Where Debian has the roots that everybody trusts.
const ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// The identity that the user gives, if any.
///
/// # Errors
/// A file is missing, is not what it should be, does not go with the other one, or the password is wrong.
pub fn given(arguments: &Arguments) -> Result<Option<Identity>> {
    let Some(file) = &arguments.certificate else { return Ok(None) };
    let shown = file.display();
    let bytes = fs::read(file).with_context(|| format!("cannot read the certificate {shown}"))?;
    let folder = folder()?;
    let password =
        arguments.password_file.as_deref().map(|from| password(from, folder.path())).transpose()?;
    let certificates = folder.path().join("certificates.pem");
    let key = if is_pem(&bytes) {
        let Some(key) = &arguments.key else {
            bail!("{shown} has no private key that is used: give its file with --key");
        };
        write(&certificates, &bytes)?;
        Key::Pem(key.clone())
    } else {
        let extracted = extract(file, password.as_deref())?;
        if arguments.key.is_some() {
            bail!("{shown} has a private key itself: leave out --key");
        }
        write(&certificates, extracted.as_bytes())?;
        Key::Pkcs12(file.clone())
    };
    let Ok(identity) = Identity::new(folder, certificates, key, password) else {
        bail!("{shown} is not a certificate in PEM or PKCS #12");
    };
    identity.judge(file)?;
    Ok(Some(identity))
}

/// A certificate for this package only: whoever trusts it trusts nothing else, since its key is deleted after signing.
///
/// # Errors
/// openssl fails.
pub fn test() -> Result<Identity> {
    let folder = folder()?;
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name));
    let number = answer(Command::new("openssl").args(["rand", "-hex", "4"]))?;
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "rsa:3072", "-nodes", "-sha256", "-days", "730"]);
    openssl.args(["-subj", &format!("/CN={TEST_CERTIFICATE_NAME} {}", number.trim())]);
    for extension in [
        "basicConstraints=critical,CA:FALSE",
        "keyUsage=critical,digitalSignature",
        "extendedKeyUsage=codeSigning",
    ] {
        openssl.args(["-addext", extension]);
    }
    openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
    answer(&mut openssl).context("cannot make the test certificate")?;
    let place = folder.path().display().to_string();
    // openssl takes no notice of what it cannot write.
    let Ok(identity) = Identity::new(folder, certificate, Key::Pem(key), None) else {
        bail!("cannot make the test certificate: openssl has not written it; is there space for {place}?");
    };
    Ok(identity)
}

impl Identity {
    /// A certificate of this project's tests, which users are asked to trust.
    pub fn is_test(&self) -> bool {
        self.self_signed && self.name.starts_with(TEST_CERTIFICATE_NAME)
    }

    fn new(folder: TempDir, certificates: PathBuf, key: Key, password: Option<PathBuf>) -> Result<Self> {
        let ask = |what: &[&str]| {
            let mut openssl = Command::new("openssl");
            openssl.args(["x509", "-noout", "-nameopt", "multiline,utf8,-esc_msb"]).args(what);
            answer(openssl.arg("-in").arg(&certificates))
        };
        let subject = ask(&["-subject"])?;
        let mut common_name = subject.lines().filter_map(|line| line.trim().strip_prefix("commonName"));
        let name = common_name.next_back().map(|rest| rest.trim_start_matches([' ', '=']).to_owned());
        let issuer = ask(&["-issuer"])?;
        let lines = |text: &str| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>();
        let der = folder.path().join("certificate.der");
        let mut convert = Command::new("openssl");
        convert.args(["x509", "-outform", "DER", "-in"]).arg(&certificates).arg("-out").arg(&der);
        answer(&mut convert)?;
        Ok(Self {
            self_signed: lines(&subject) == lines(&issuer),
            name: name.context("the certificate has no common name")?,
            certificate: fs::read(&der).with_context(|| format!("cannot read {}", der.display()))?,
            folder,
            certificates,
            key,
            password,
        })
    }

    /// Whether it can sign.
    fn judge(&self, file: &Path) -> Result<()> {
        let shown = file.display();
        let x509 = |what: &[&str]| {
            let mut openssl = Command::new("openssl");
            answer(openssl.arg("x509").args(what).arg("-in").arg(&self.certificates))
        };
        if let Key::Pem(key) = &self.key {
            let mut openssl = Command::new("openssl");
            openssl.args(["pkey", "-pubout", "-in"]).arg(key).arg("-passin").arg(self.password_argument());
            let Ok(of_key) = answer(&mut openssl) else {
                bail!(
                    "{} is not a private key in PEM, or --password-file is wrong or missing",
                    key.display()
                );
            };
            if x509(&["-noout", "-pubkey"])? != of_key {
                bail!("the private key {} does not belong to the certificate {shown}", key.display());
            }
        }
        if x509(&["-noout", "-checkend", "0"]).is_err() {
            bail!("the certificate {shown} has expired");
        }
        if !x509(&["-noout", "-ext", "extendedKeyUsage"])?.contains("Code Signing") {
            bail!("the certificate {shown} is not for code signing");
        }
        let mut verify = Command::new("openssl");
        verify.arg("verify").arg("-CAfile").arg(self.roots()?).arg("-untrusted").arg(&self.certificates);
        if answer(verify.arg(&self.certificates)).is_err() {
            bail!(
                "the issuer of the certificate {shown} is not known: put the certificates up to the root into that file"
            );
        }
        Ok(())
    }

    /// A file with what signatures may be traced back to: the certificate's own issuers, and what everybody trusts.
    pub fn roots(&self) -> Result<PathBuf> {
        let mut roots = fs::read(&self.certificates)?;
        if !self.self_signed {
            roots.push(b'\n');
            roots.extend(fs::read(ROOTS).unwrap_or_default());
        }
        let path = self.folder.path().join("roots.pem");
        write(&path, &roots)?;
        Ok(path)
    }

    /// The password as openssl takes it.
    fn password_argument(&self) -> std::ffi::OsString {
        password_argument(self.password.as_deref())
    }
}

fn password_argument(password: Option<&Path>) -> std::ffi::OsString {
    match password {
        Some(file) => {
            let mut argument = std::ffi::OsString::from("file:");
            argument.push(file);
            argument
        }
        None => "pass:".into(),
    }
}

/// A folder for the user's eyes only.
fn folder() -> Result<TempDir> {
    tempfile::Builder::new().prefix("scream-signing-").tempdir().context("cannot make a temporary folder")
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// The password in the first line of a file, in a file without an end of line: openssl takes one, osslsigncode does not.
fn password(from: &Path, folder: &Path) -> Result<PathBuf> {
    let text = fs::read_to_string(from);
    let text = text.with_context(|| format!("cannot read the password file {}", from.display()))?;
    let path = folder.join("password");
    write(&path, text.lines().next().unwrap_or_default().as_bytes())?;
    Ok(path)
}

fn is_pem(bytes: &[u8]) -> bool {
    let beginning = b"-----BEGIN ";
    bytes.windows(beginning.len()).any(|window| window == beginning)
}

/// The certificates of a PKCS #12 container, in PEM, the one that has the private key first.
fn extract(file: &Path, password: Option<&Path>) -> Result<String> {
    let part = |which: &str, legacy: bool| {
        let mut openssl = Command::new("openssl");
        openssl.args(["pkcs12", "-nokeys", which, "-in"]).arg(file);
        openssl.arg("-passin").arg(password_argument(password));
        // How Windows up to 10 and older versions of openssl encrypt.
        openssl.args(legacy.then_some("-legacy"));
        answer(&mut openssl)
    };
    let both = |legacy| Ok::<_, anyhow::Error>(part("-clcerts", legacy)? + &part("-cacerts", legacy)?);
    match both(false).or_else(|error| both(true).map_err(|_| error)) {
        Ok(certificates) => Ok(certificates),
        Err(error) if format!("{error:#}").contains("invalid password") => {
            bail!("the password of {} is wrong or missing: give it with --password-file", file.display())
        }
        Err(_) => bail!("{} is not a certificate in PEM or PKCS #12", file.display()),
    }
}
