//! What Windows will say of a package's signature, before it is asked to install it.

use driver_package::check::Package;

use super::super::Result;
use crate::arguments::Install;
use crate::computer::{ApiError, CertificateStore, Computer};
use crate::console::Console;
use crate::failure::{Failure, explain};

/// `ERROR_AUTHENTICODE_TRUST_NOT_ESTABLISHED`.
const TRUST_NOT_ESTABLISHED: u32 = 0xE000_0242;

/// Fails unless Windows will accept the package, as far as that can be known before; there are ways to make Windows accept
/// more, so the user may have it tried. Returns the test certificate that is to be trusted before.
///
/// # Errors
/// It is not signed, Windows does not accept who signed, or the user does not.
pub fn require<'a>(
    package: &'a Package,
    arguments: &Install,
    computer: &dyn Computer,
    console: &mut dyn Console,
) -> Result<Option<&'a [u8]>> {
    let Some(signer) = &package.signer else {
        return Err(Failure::new(
            "the package is not signed, and Windows installs no such driver",
            "use a signed package, or sign this one: docs/install.md says how",
        ));
    };
    let name = &name(package);
    let Some(certificate) = &package.test_certificate else {
        if !arguments.try_signature {
            computer.verify_signature(&package.inf).map_err(|error| refused(name, error))?;
        }
        console.step("signature", name);
        return Ok(None);
    };
    console.step("signature", &format!("for tests, by {name}"));
    if !arguments.try_signature {
        require_test_signing(computer, console)?;
    }
    if is_trusted(certificate, &signer.common_name, computer)? {
        console.step("certificate", "is trusted");
        return Ok(None);
    }
    ask(name, arguments, console)?;
    Ok(Some(certificate))
}

/// Who signed the package. A name may hold anything, and is to stay in its line.
pub fn name(package: &Package) -> String {
    let name = package.signer.as_ref().map_or("nobody", |signer| &signer.common_name);
    name.chars().map(|character| if character.is_control() { '?' } else { character }).collect()
}

/// Why Windows does not accept a signature that is not for tests.
fn refused(name: &str, error: ApiError) -> Failure {
    let failure = explain(error).of(&format!("Windows does not accept the signature of {name}"));
    match error.code {
        // Nothing is wrong with the signature; but whoever made it is for the user to know.
        TRUST_NOT_ESTABLISHED => Failure::new(
            failure.what,
            "add their certificate to the trusted publishers of this computer, or use another package",
        ),
        _ => failure,
    }
}

/// Fails unless Windows loads drivers that are signed for tests.
fn require_test_signing(computer: &dyn Computer, console: &mut dyn Console) -> Result<()> {
    let integrity = computer.code_integrity()?;
    if integrity.enforced && !integrity.test_signing {
        let what = "the package is signed for tests, and test signing is off";
        let turn_on =
            "run \"bcdedit /set testsigning on\" as an administrator, restart Windows, and install again";
        return Err(match computer.secure_boot()? {
            Some(true) => Failure::new(
                format!("{what}, which Secure Boot demands"),
                format!("turn off Secure Boot in the settings of the firmware, {turn_on}"),
            ),
            _ => Failure::new(what, turn_on),
        });
    }
    if integrity.memory_integrity {
        // It demands of a driver how its memory is laid out and used, which `cargo xtask check-image` looks at. Who may
        // sign is a matter of test signing with it, too; but where a device then fails, it is the next thing to look at.
        console.step("note", "memory integrity is on, which this driver is made for");
    }
    Ok(())
}

fn is_trusted(certificate: &[u8], name: &str, computer: &dyn Computer) -> Result<bool> {
    for store in [CertificateStore::Root, CertificateStore::TrustedPublisher] {
        if !computer.certificates(store, name)?.iter().any(|trusted| trusted == certificate) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Asks whether the certificate is to be trusted, if the command line does not say it.
fn ask(name: &str, arguments: &Install, console: &mut dyn Console) -> Result<()> {
    if arguments.trust_certificate {
        return Ok(());
    }
    let unanswered = || {
        Failure::new(
            format!("the package is signed by {name}, which this computer does not trust"),
            "add --trust-certificate to trust it",
        )
    };
    if arguments.rights.unattended {
        return Err(unanswered());
    }
    let question = format!(
        "Windows has to trust {name} for this. It will then trust everything that is signed with it, until Scream is \
         uninstalled. Trust it?"
    );
    match console.ask(&question) {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::new("the certificate is not to be trusted", "nothing was changed")),
        None => Err(unanswered()),
    }
}
