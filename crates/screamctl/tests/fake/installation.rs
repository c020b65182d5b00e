//! How tests install a package that was found undamaged.

use driver_package::check::Package;
use screamctl::Outcome;

use super::{FakeComputer, FakeConsole};

/// What an installation comes to.
pub type Installed = Result<Outcome, String>;

/// It is done.
pub const DONE: Installed = Ok(Outcome::Done);
/// It is done once Windows has been started anew.
pub const RESTART_NEEDED: Installed = Ok(Outcome::RestartNeeded);

/// Installs a package with nobody to ask, and returns what came of it and what was printed.
pub fn install(computer: &mut FakeComputer, package: &Package, arguments: &[&str]) -> (Installed, String) {
    let mut console = FakeConsole::new();
    let result = computer.install_package(&mut console, package, arguments);
    (result, console.out)
}

/// Installs a package and expects a refusal, in this line, before any change.
pub fn refused(computer: &mut FakeComputer, package: &Package, arguments: &[&str], line: &str) {
    let (result, _) = install(computer, package, arguments);
    assert_eq!(result, Err(line.to_owned()));
    assert_eq!(computer.calls, [""; 0], "nothing was touched");
}

/// The same of a package that Windows trusts.
pub fn refused_to_trusted(computer: &mut FakeComputer, arguments: &[&str], line: &str) {
    let package = computer.offer("0.1.0.0");
    refused(computer, &package, arguments, line);
}
