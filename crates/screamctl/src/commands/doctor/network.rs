//! The way to each target, and the firewall of this computer.

use super::report::Report;
use crate::commands::options::Settings;
use crate::commands::targets;
use crate::computer::Computer;
use crate::failure;

/// The way to each target.
pub fn targets(settings: &Settings, computer: &dyn Computer, report: &mut Report) {
    let check = "target";
    let reading = settings.reading();
    if !reading.options.uses_network() {
        report.skipped(check, "nothing goes to the network");
        return;
    }
    let interfaces = match computer.interfaces() {
        Ok(interfaces) => interfaces,
        Err(error) => return report.error(check, error),
    };
    for target in reading.options.targets.as_slice() {
        match targets::find(*target, &reading.options, &interfaces, computer) {
            Ok(way) => report.ok(check, &format!("{target} {way}")),
            Err(failure) => report.wrong(check, &failure.of(&target.to_string())),
        }
    }
    if let Some(note) = targets::choice(&reading, &interfaces) {
        report.note(check, &note);
    }
}

/// Whether the firewall lets packets out. It cannot be seen from here whether one of its rules allows them.
pub fn firewall(computer: &dyn Computer, report: &mut Report) {
    let check = "firewall";
    let profiles = match computer.firewall() {
        Ok(profiles) => profiles,
        // Where another program is the firewall, Windows does not answer, and nothing has to be wrong.
        Err(error) => {
            let failure = failure::explain(error).of("this cannot be examined");
            return report.note(check, &failure.to_string());
        }
    };
    let blocking = profiles.iter().filter(|profile| profile.enabled && profile.blocks_outbound);
    let blocking: Vec<&str> = blocking.map(|profile| profile.name).collect();
    if blocking.is_empty() {
        report.ok(check, "outgoing packets are allowed");
    } else {
        let names = blocking.join(", ");
        report.note(
            check,
            &format!(
                "outgoing packets are blocked ({names}) unless a rule allows them: allow UDP for \
                the program System"
            ),
        );
    }
}
