//! `screamctl doctor`: goes through all that has to be right for sound to arrive, from the device to the network.
//!
//! Every check prints its own lines. What depends on something that is wrong is skipped, and says so; a call of Windows
//! that fails is the verdict of its check, and the others go on. No check needs an administrator's rights.

mod driver;
mod network;
mod playback;
mod report;
mod settings;

use super::Result;
use super::options::Settings;
use crate::computer::Computer;
use crate::console::Console;
pub use playback::unusable;
use report::Report;

/// Examines everything.
pub fn run(computer: &mut dyn Computer, console: &mut dyn Console) -> Result {
    let computer: &dyn Computer = computer;
    let mut report = Report::new(console);
    let node = driver::device(computer, &mut report);
    let loaded = driver::driver(node.as_ref(), computer, &mut report);
    driver::signatures(loaded, computer, &mut report);
    driver::restart(computer, &mut report);
    playback::devices(loaded, computer, &mut report);
    match Settings::read(computer) {
        Ok(settings) => {
            settings::options(&settings, &mut report);
            settings::shared_memory(&settings, &mut report);
            network::targets(&settings, computer, &mut report);
        }
        Err(error) => {
            report.error("options", error);
            report.skipped("memory", "the options cannot be read");
            report.skipped("target", "the options cannot be read");
        }
    }
    network::firewall(computer, &mut report);
    driver::older(computer, &mut report);
    Ok(report.end())
}
