//! `options list` and `options get`: what is stored, and what holds.

use protocol::options::{DESCRIPTIONS, Description, REG_DWORD};

use super::settings::{Ignored, Reading, Settings, meaningless, text};
use super::{names, values};
use crate::Outcome;
use crate::commands::{Result, table};
use crate::computer::{Computer, StoredValue};
use crate::console::Console;

/// Shows all options, and what else is among them.
pub fn list(computer: &dyn Computer, console: &mut dyn Console) -> Result {
    let settings = Settings::read(computer)?;
    let reading = settings.reading();
    let mut table = table::with_headings(["OPTION", "STORED", "WHAT HOLDS", "ACCEPTED"]);
    for option in DESCRIPTIONS {
        let stored = settings.value(option).map(|value| stored(value, option, &reading)).unwrap_or_default();
        let holds = reading.holds(option).join("\n");
        table.add_row([text(option.name), &stored, &holds, text(option.accepted)]);
    }
    console.print(&table::text(&table));
    for stranger in settings.strangers() {
        console.print(&format!("note: {}\n", not_an_option(stranger)));
    }
    Ok(Outcome::Done)
}

/// Prints what holds for an option, and nothing else.
pub fn get(name: &str, computer: &dyn Computer, console: &mut dyn Console) -> Result {
    let option = names::find(name)?;
    let reading = Settings::read(computer)?.reading();
    let holds = reading.holds(option);
    if holds.is_empty() {
        console.print_error(&format!("note: {} is {}\n", text(option.name), meaningless(option)));
    }
    holds.iter().for_each(|line| console.print(&format!("{line}\n")));
    Ok(Outcome::Done)
}

/// What is stored, each entry with the reason why it is ignored, if it is.
fn stored(value: &StoredValue, option: &'static Description, reading: &Reading) -> String {
    let mut lines: Vec<(u32, String)> = (1..).zip(values::shown(value)).collect();
    if let Some(whole) = reading.ignored_of(option).find(|ignored| ignored.entry == 0) {
        lines.push((0, format!("({})", why(whole, value))));
    }
    for ignored in reading.ignored_of(option).filter(|ignored| ignored.entry > 0) {
        if let Some((_, line)) = lines.iter_mut().find(|(entry, _)| *entry == ignored.entry) {
            line.push_str(&format!(" ({})", why(ignored, value)));
        }
    }
    lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>().join("\n")
}

/// Why a value is ignored, with its type if that is the reason.
pub fn why(ignored: &Ignored, value: &StoredValue) -> String {
    match ignored.reason {
        "of another type" if value.kind == REG_DWORD && value.data.len() != 4 => {
            "ignored: not of 4 bytes".to_owned()
        }
        "of another type" => format!("ignored: a {}", values::type_name(value.kind)),
        reason if ignored.wrong => format!("ignored: {reason}"),
        reason => reason.to_owned(),
    }
}

/// That a value is no option.
pub fn not_an_option(value: &StoredValue) -> String {
    let name = match &value.name[..] {
        // So it is called in regedit.
        "" => "(Default)".to_owned(),
        name => values::quoted(name),
    };
    match names::suggestion(&value.name) {
        Some(option) => format!("{name}: not an option of this driver: did you mean {option}?"),
        None => format!("{name}: not an option of this driver"),
    }
}
