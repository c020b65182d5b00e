//! `targets add`, `remove` and `set`: they edit the option `Targets`.

use std::net::SocketAddr;

use protocol::options::TARGETS;

use super::{Origin, origin};
use crate::Outcome;
use crate::commands::Result;
use crate::commands::options::{self, Reading, Settings, entries, quoted, why};
use crate::computer::Computer;
use crate::console::Console;
use crate::failure::Failure;

/// A target as the user wrote it, and where it leads.
struct Entry {
    text: String,
    address: SocketAddr,
}

/// What is stored under `Targets`.
#[derive(Default)]
struct Stored {
    /// What the driver sends to.
    used: Vec<Entry>,
    /// What it ignores, and why.
    ignored: Vec<(String, String)>,
}

/// Sends to these, too.
pub fn add(texts: &[String], computer: &mut dyn Computer, console: &mut dyn Console) -> Result {
    let new = read(texts)?;
    let settings = Settings::read(computer)?;
    let reading = settings.reading();
    let stored = Stored::new(&settings, &reading);
    let mut notes = stored.left_out();
    let mut targets = stored.used;
    if let Some(only) = reading.options.targets.as_slice().first().filter(|_| targets.is_empty()) {
        match origin(&reading, &settings) {
            Origin::UnicastIpv4 => {
                notes.push(format!("{only} is kept: it was set as UnicastIPv4"));
                targets.push(Entry { text: only.to_string(), address: *only });
            }
            _ if new.iter().any(|entry| entry.address == *only) => {}
            _ => notes.push(format!("{only} was only the default: it is no target any more")),
        }
    }
    for entry in new {
        if targets.iter().any(|target| target.address == entry.address) {
            notes.push(format!("{} is a target already", entry.address));
        } else {
            targets.push(entry);
        }
    }
    write(&targets, &notes, computer, console)
}

/// Sends to these no longer. Without any, `Targets` is deleted.
pub fn remove(texts: &[String], computer: &mut dyn Computer, console: &mut dyn Console) -> Result {
    let settings = Settings::read(computer)?;
    let reading = settings.reading();
    let mut stored = Stored::new(&settings, &reading);
    let before = stored.count();
    let mut missing = Vec::new();
    for text in texts {
        let count = stored.count();
        // What the driver ignores may have no address; it goes by its text.
        stored.ignored.retain(|(entry, _)| entry.trim() != text.trim());
        if stored.count() < count {
            continue;
        }
        let address = address(text)?;
        stored.used.retain(|target| target.address != address);
        if stored.count() == count {
            missing.push(not_there(address, &settings, &reading)?);
        }
    }
    if stored.count() == before {
        missing.iter().for_each(|note| console.print(&format!("{note}: nothing was changed.\n")));
        return Ok(Outcome::Done);
    }
    let notes = [stored.left_out(), missing].concat();
    if !stored.used.is_empty() {
        return write(&stored.used, &notes, computer, console);
    }
    options::delete(&TARGETS, computer, console)?;
    print_notes(&notes, console);
    Ok(Outcome::Done)
}

/// Sends to these only.
pub fn set(texts: &[String], computer: &mut dyn Computer, console: &mut dyn Console) -> Result {
    write(&read(texts)?, &[], computer, console)
}

/// That an address is not in the list.
///
/// # Errors
/// Packets go there, but because of another option.
fn not_there(address: SocketAddr, settings: &Settings, reading: &Reading) -> Result<String> {
    if !reading.options.targets.as_slice().contains(&address) {
        return Ok(format!("{address} is no target"));
    }
    Err(match origin(reading, settings) {
        Origin::UnicastIpv4 => Failure::new(
            format!("{address} is a target because of UnicastIPv4"),
            "screamctl options unset UnicastIPv4",
        ),
        _ => Failure::new(
            format!("{address} is the default while there is no other target"),
            "screamctl targets set ADDRESS",
        ),
    })
}

impl Stored {
    fn new(settings: &Settings, reading: &Reading) -> Self {
        let Some(value) = settings.value(&TARGETS) else { return Self::default() };
        let mut stored = Self::default();
        if let Some(whole) = reading.ignored_of(&TARGETS).find(|ignored| ignored.entry == 0) {
            stored.ignored.push(("Targets".to_owned(), why(whole, value)));
            return stored;
        }
        let mut addresses = reading.options.targets.as_slice().iter().peekable();
        let mut reason = String::new();
        for (number, text) in (1..).zip(entries(value)) {
            let refused = reading.ignored_of(&TARGETS).find(|ignored| ignored.entry == number);
            reason = refused.map_or(reason, |refused| why(refused, value));
            match addresses.next_if(|_| refused.is_none()) {
                Some(address) => stored.used.push(Entry { text, address: *address }),
                // After the last that is used, the reason is that there are too many.
                None => stored.ignored.push((text, reason.clone())),
            }
        }
        stored
    }

    fn count(&self) -> usize {
        self.used.len() + self.ignored.len()
    }

    fn left_out(&self) -> Vec<String> {
        self.ignored
            .iter()
            .map(|(text, reason)| format!("{} is left out: it was {reason}", quoted(text)))
            .collect()
    }
}

/// Targets as the user wrote them.
///
/// # Errors
/// The driver would refuse one of them.
fn read(texts: &[String]) -> Result<Vec<Entry>> {
    let value = options::judge(&TARGETS, texts)?;
    let options = Settings::default().with(&value).reading().options;
    let entries = texts.iter().zip(options.targets.as_slice());
    Ok(entries.map(|(text, address)| Entry { text: text.clone(), address: *address }).collect())
}

/// Where a target leads.
fn address(text: &str) -> Result<SocketAddr> {
    let entries = read(&[text.to_owned()])?;
    entries.first().map(|entry| entry.address).ok_or_else(|| Failure::plain(format!("{text} is no target")))
}

/// Stores targets, if the driver takes all of them together.
fn write(
    targets: &[Entry],
    notes: &[String],
    computer: &mut dyn Computer,
    console: &mut dyn Console,
) -> Result {
    let texts: Vec<String> = targets.iter().map(|target| target.text.clone()).collect();
    let value = options::judge(&TARGETS, &texts)?;
    let outcome = options::store(&TARGETS, &value, computer, console)?;
    print_notes(notes, console);
    Ok(outcome)
}

fn print_notes(notes: &[String], console: &mut dyn Console) {
    notes.iter().for_each(|note| console.print(&format!("note: {note}.\n")));
}
