//! `options set`, `unset` and `reset`: what the driver would not take is not written, and what is there is left alone.

use protocol::options::{Description, INTERFACE, TARGETS, TTL, UNICAST_SRC_IPV4};

use super::settings::{Reading, Settings, refusal, text};
use super::{names, values};
use crate::Outcome;
use crate::commands::{Result, targets};
use crate::computer::{Computer, StoredValue};
use crate::console::Console;
use crate::failure::{self, Failure};

/// When a change is heard.
const APPLIES: &str = "This applies from the next playback: stop what plays and start it again.\n";

/// Sets an option.
pub fn set(name: &str, values: &[String], computer: &mut dyn Computer, console: &mut dyn Console) -> Result {
    let option = names::find(name)?;
    if *option != TARGETS && values.len() > 1 {
        return Err(Failure::plain(format!("{} takes one value, not {}", text(option.name), values.len())));
    }
    let value = judge(option, values).map_err(|failure| with_interface(failure, option, values, computer))?;
    store(option, &value, computer, console)
}

/// What a user says of an option, as the registry is to hold it.
///
/// # Errors
/// The driver would not take it; why, and what it takes.
pub fn judge(option: &'static Description, texts: &[String]) -> Result<StoredValue> {
    let cannot = |value: &str, reason: &str| {
        let (name, accepted) = (text(option.name), text(option.accepted));
        let verb = if *option == TARGETS { "have" } else { "be" };
        Failure::plain(format!(
            "{name} cannot {verb} {}: {reason}; accepted: {accepted}",
            values::quoted(value)
        ))
    };
    let value = values::encode(option, texts).map_err(|unfit| cannot(&unfit.value, unfit.reason))?;
    let Some(refused) = refusal(&value) else { return Ok(value) };
    let entry = usize::try_from(refused.entry).unwrap_or_default().saturating_sub(1);
    let refused_text = texts.get(entry).map(|text| text.trim()).unwrap_or_default();
    // The rules go on to say what becomes of the rest of the list; here nothing becomes of it.
    let reason = refused.reason.split(", this one").next().unwrap_or_default();
    Err(cannot(refused_text, reason))
}

/// Adds what the user probably looked for: the index and the addresses of the interface of this name.
fn with_interface(
    failure: Failure,
    option: &'static Description,
    values: &[String],
    computer: &dyn Computer,
) -> Failure {
    let named = (*option == INTERFACE)
        .then(|| computer.interfaces().ok())
        .flatten()
        .and_then(|interfaces| interfaces.into_iter().find(|interface| values.contains(&interface.name)));
    let Some(interface) = named else { return failure };
    let addresses: Vec<String> = interface.addresses.iter().map(ToString::to_string).collect();
    let what = match &addresses[..] {
        [] => format!("{} has the index {} and no address", interface.name, interface.index),
        _ => format!(
            "{} has the index {} and the address {}",
            interface.name,
            interface.index,
            addresses.join(", ")
        ),
    };
    Failure::plain(format!("{failure}; {what}"))
}

/// Stores a value that the driver takes, unless it is there, and says what that changes.
pub fn store(
    option: &'static Description,
    value: &StoredValue,
    computer: &mut dyn Computer,
    console: &mut dyn Console,
) -> Result {
    let before = Settings::read(computer)?;
    let shown = values::shown(value).join(", ");
    let name = text(option.name);
    let is_there =
        before.find(&value.name).is_some_and(|old| (old.kind, &old.data) == (value.kind, &value.data));
    let after = before.with(value);
    if is_there {
        console.print(&format!("{name} is {shown} already: nothing was changed.\n"));
    } else {
        computer.store_option(value)?;
        console.print(&format!("{name} is {shown} now. {APPLIES}"));
    }
    note_changes(option, &before, &after, computer, console);
    Ok(Outcome::Done)
}

/// Deletes an option, or a value that is none and has no business there.
pub fn unset(name: &str, computer: &mut dyn Computer, console: &mut dyn Console) -> Result {
    let Some(option) = names::option(name) else {
        let settings = Settings::read(computer)?;
        let stranger = settings.find(name).ok_or_else(|| names::unknown(name))?;
        computer.delete_option(&stranger.name)?;
        console
            .print(&format!("{} is deleted: it was not an option of this driver.\n", values::quoted(name)));
        return Ok(Outcome::Done);
    };
    if !delete(option, computer, console)? {
        console.print(&format!("{} is not set: nothing was changed.\n", text(option.name)));
    }
    Ok(Outcome::Done)
}

/// Deletes an option, and says what holds now. False if it was not set: then nothing is said.
pub fn delete(
    option: &'static Description,
    computer: &mut dyn Computer,
    console: &mut dyn Console,
) -> Result<bool> {
    let name = text(option.name);
    let before = Settings::read(computer)?;
    let Some(value) = before.value(option) else { return Ok(false) };
    computer.delete_option(&value.name)?;
    let after = before.without(name);
    let holds = match after.reading().holds(option) {
        nothing if nothing.is_empty() => String::new(),
        holds => format!(" What holds now: {}.", holds.join(", ")),
    };
    console.print(&format!("{name} is not set any more.{holds} {APPLIES}"));
    note_changes(option, &before, &after, computer, console);
    Ok(true)
}

/// Deletes all options. Other values stay: somebody meant something by them.
pub fn reset(computer: &mut dyn Computer, console: &mut dyn Console) -> Result {
    let settings = Settings::read(computer)?;
    let set: Vec<&StoredValue> = settings.of_options().map(|(_, value)| value).collect();
    for (deleted, value) in set.iter().enumerate() {
        if let Err(error) = computer.delete_option(&value.name) {
            return Err(put_back(failure::explain(error), set.get(..deleted).unwrap_or_default(), computer));
        }
    }
    match set.len() {
        0 => console.print("No option is set: nothing was changed.\n"),
        1 => console.print(&format!("1 option is deleted: all defaults hold. {APPLIES}")),
        count => console.print(&format!("{count} options are deleted: all defaults hold. {APPLIES}")),
    }
    for stranger in settings.strangers() {
        let name = values::quoted(&stranger.name);
        console.print(&format!("note: {name} is left: it is not an option of this driver.\n"));
    }
    Ok(Outcome::Done)
}

/// Stores what was deleted before a deletion failed, and says what the end of it is.
fn put_back(failure: Failure, deleted: &[&StoredValue], computer: &mut dyn Computer) -> Failure {
    let mut lost = Vec::new();
    for value in deleted {
        if computer.store_option(value).is_err() {
            lost.push(format!("{} is deleted, it was {}", value.name, values::shown(value).join(", ")));
        }
    }
    let end = if lost.is_empty() { "nothing was changed".to_owned() } else { lost.join("; ") };
    Failure::plain(format!("{failure}; {end}"))
}

/// Says what a change of one option does to others, and what makes it vain.
fn note_changes(
    option: &'static Description,
    before: &Settings,
    after: &Settings,
    computer: &dyn Computer,
    console: &mut dyn Console,
) {
    let (was, is) = (before.reading(), after.reading());
    for ignored in
        is.ignored.iter().filter(|ignored| ignored.option == option || !was.ignored.contains(ignored))
    {
        console.print(&format!("note: {} is {}.\n", text(ignored.option.name), ignored.reason));
    }
    for ignored in was.ignored.iter().filter(|ignored| is.ignored_of(ignored.option).next().is_none()) {
        if let Some(value) = after.value(ignored.option).filter(|_| ignored.option != option) {
            let shown = values::shown(value).join(", ");
            console.print(&format!("note: {} holds again: {shown}.\n", text(ignored.option.name)));
        }
    }
    if let Some(note) = without_network(&is).filter(|_| is_of_network(option) || was.options.uses_network()) {
        console.print(&format!("note: {note}.\n"));
    }
    if [&INTERFACE, &UNICAST_SRC_IPV4].contains(&option)
        && let Some(value) = after.value(option)
        && let Some(missing) =
            targets::missing_interface(&Settings::default().with(value).reading().options, computer)
    {
        console.print(&format!("note: {missing} now.\n"));
    }
}

/// That nothing goes to the network, if nothing does.
pub fn without_network(reading: &Reading) -> Option<String> {
    let size = reading.options.ivshmem.filter(|_| !reading.options.uses_network())?;
    Some(format!("nothing goes to the network while UseIVSHMEM is {size} and IVSHMEMFallback is 0"))
}

/// Whether an option is about the network. Those are the first.
fn is_of_network(option: &Description) -> bool {
    names::position(option) <= names::position(&TTL)
}
