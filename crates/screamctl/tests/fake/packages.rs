//! Packages that lie in a folder and are found undamaged, ready to be installed.

use driver_package::catalog::Signer;
use driver_package::check::Package;
use screamctl::arguments::{Arguments, Command, Parsed};
use screamctl::commands::install::install;

use super::{FakeComputer, FakeConsole, FakePackage};

/// The test certificate of the offered packages; a certificate of the tests is its common name, as bytes.
pub const CERTIFICATE: &str = "Scream in Rust test certificate 1";
/// That of an earlier package.
pub const EARLIER_CERTIFICATE: &str = "Scream in Rust test certificate 0";
/// Who signs the packages that Windows trusts.
pub const MICROSOFT: &str = "Microsoft Windows Hardware Compatibility Publisher";
/// The INF of the offered packages.
pub const INF: &str = "/package/driver/scream.inf";

impl FakeComputer {
    /// Puts a package into a folder that Windows trusts.
    pub fn offer(&mut self, version: &str) -> Package {
        self.folders.push(FakePackage::scream(INF, version));
        offered(version, MICROSOFT)
    }

    /// Puts a package into a folder that is signed for tests, and turns test signing on.
    pub fn offer_for_tests(&mut self, version: &str) -> Package {
        self.code_integrity.test_signing = true;
        let signed_with = Some(CERTIFICATE.as_bytes().to_vec());
        self.folders.push(FakePackage { signed_with, ..FakePackage::scream(INF, version) });
        let test_certificate = Some(CERTIFICATE.as_bytes().to_vec());
        Package { test_certificate, ..offered(version, CERTIFICATE) }
    }

    /// Trusts a test certificate.
    pub fn trust(&mut self, certificate: &str) {
        let entry = (certificate.to_owned(), certificate.as_bytes().to_vec());
        self.state.root.push(entry.clone());
        self.state.trusted_publisher.push(entry);
    }

    /// Runs `screamctl install` on a package that was found undamaged, with these arguments.
    pub fn install_package(
        &mut self,
        console: &mut FakeConsole,
        package: &Package,
        arguments: &[&str],
    ) -> Result<screamctl::Outcome, String> {
        let line = ["screamctl", "install"].iter().chain(arguments).map(Into::into).collect();
        let Parsed::Arguments(Arguments { command: Command::Install(arguments) }) =
            screamctl::arguments::parse(line)
        else {
            panic!("{arguments:?} are no arguments of install");
        };
        install(package, &arguments, self, console).map_err(|failure| failure.to_string())
    }
}

fn offered(version: &str, signed_by: &str) -> Package {
    Package {
        inf: INF.into(),
        version: version.to_owned(),
        signer: Some(Signer {
            certificate: signed_by.as_bytes().to_vec(),
            common_name: signed_by.to_owned(),
            self_signed: signed_by == CERTIFICATE,
        }),
        test_certificate: None,
        size: 200_000,
    }
}
