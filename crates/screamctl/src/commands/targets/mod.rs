//! `screamctl targets`: where packets go, and the way they take.

mod edit;
mod way;

use std::net::SocketAddr;

use protocol::options::{DEFAULT_PORT, MULTICAST, TARGETS, UNICAST_IPV4, UNICAST_PORT};

pub use way::{Chosen, Way, find, is_link_local};

use super::options::{Reading, Settings, entries, quoted, why, without_network};
use super::{Result, rights, table};
use crate::Outcome;
use crate::arguments::Targets;
use crate::computer::{Computer, Interface};
use crate::console::Console;

/// Shows or changes targets. Changes need an administrator's rights, and those are looked for first.
pub fn run(command: Option<&Targets>, computer: &mut dyn Computer, console: &mut dyn Console) -> Result {
    let command = command.unwrap_or(&Targets::List);
    if !matches!(command, Targets::List) {
        rights::require(computer)?;
    }
    match command {
        Targets::List => list(computer, console),
        Targets::Add { targets } => edit::add(targets, computer, console),
        Targets::Remove { targets } => edit::remove(targets, computer, console),
        Targets::Set { targets } => edit::set(targets, computer, console),
    }
}

/// Shows the targets, the way to each, and what is wrong with it.
fn list(computer: &dyn Computer, console: &mut dyn Console) -> Result {
    let settings = Settings::read(computer)?;
    let reading = settings.reading();
    let interfaces = computer.interfaces()?;
    let mut table = table::with_headings(["TARGET", "FROM", "LEAVES BY", "SOURCE ADDRESS", "NEXT HOP"]);
    let mut wrong = Vec::new();
    for target in reading.options.targets.as_slice() {
        let mut row = [
            target.to_string(),
            origin(&reading, &settings).name().to_owned(),
            String::new(),
            String::new(),
            String::new(),
        ];
        match find(*target, &reading.options, &interfaces, computer) {
            Ok(Way { interface, route }) => {
                let next_hop =
                    route.next_hop.map_or_else(|| "itself".to_owned(), |router| router.to_string());
                let [.., leaves_by, source, next] = &mut row;
                (*leaves_by, *source, *next) = (interface, route.source.to_string(), next_hop);
            }
            Err(failure) => wrong.push(format!("wrong: {target}: {failure}\n")),
        }
        table.add_row(row);
    }
    console.print(&table::text(&table));
    let notes = notes(&settings, &reading, &interfaces);
    notes.iter().for_each(|note| console.print(&format!("note: {note}\n")));
    wrong.iter().for_each(|line| console.print(line));
    Ok(if wrong.is_empty() { Outcome::Done } else { Outcome::Wrong })
}

/// What the user should know of targets that are not wrong.
pub fn notes(settings: &Settings, reading: &Reading, interfaces: &[Interface]) -> Vec<String> {
    let mut notes: Vec<String> = without_network(reading).into_iter().collect();
    if let Some(value) = settings.value(&TARGETS) {
        let entries = entries(value);
        for ignored in reading.ignored_of(&TARGETS) {
            let entry =
                usize::try_from(ignored.entry).ok().and_then(|entry| entries.get(entry.checked_sub(1)?));
            let name = entry.map_or_else(|| "Targets".to_owned(), |entry| quoted(entry));
            notes.push(format!("{name} is {}", why(ignored, value)));
        }
    }
    notes.extend(choice(reading, interfaces));
    notes
}

/// That Windows chose among several interfaces: for groups no route says which one is right.
pub fn choice(reading: &Reading, interfaces: &[Interface]) -> Option<String> {
    let unchosen = |target: &SocketAddr| {
        let chosen = Chosen::new(*target, &reading.options);
        target.ip().is_multicast() && chosen.interface.is_none() && chosen.source.is_none()
    };
    let usable: Vec<&str> = way::usable(interfaces).map(|interface| &interface.name[..]).collect();
    let is_unchosen = reading.options.targets.as_slice().iter().any(unchosen);
    (is_unchosen && usable.len() > 1).then(|| {
        let (count, names) = (usable.len(), usable.join(", "));
        format!(
            "{count} interfaces are up ({names}) and Interface is not set: Windows chose one for multicast, \
             and \"screamctl options set Interface\" chooses another"
        )
    })
}

/// What targets come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The option `Targets`.
    Targets,
    /// The option `UnicastIPv4`, with or without `UnicastPort`.
    UnicastIpv4,
    /// The option `UnicastPort`, and the default address.
    UnicastPort,
    /// Nothing is set.
    Default,
}

impl Origin {
    const fn name(self) -> &'static str {
        match self {
            Self::Targets => "Targets",
            Self::UnicastIpv4 => "UnicastIPv4",
            Self::UnicastPort => "UnicastPort",
            Self::Default => "default",
        }
    }
}

/// What the targets come from.
pub fn origin(reading: &Reading, settings: &Settings) -> Origin {
    if !reading.looks_at(&UNICAST_IPV4) {
        return Origin::Targets;
    }
    let is_used = |option| settings.value(option).is_some() && reading.ignored_of(option).next().is_none();
    match (is_used(&UNICAST_IPV4), is_used(&UNICAST_PORT)) {
        (true, _) => Origin::UnicastIpv4,
        (false, true) => Origin::UnicastPort,
        (false, false) => Origin::Default,
    }
}

/// What the options name that this computer does not have.
pub fn missing_interface(options: &protocol::Options, computer: &dyn Computer) -> Option<String> {
    let interfaces = computer.interfaces().ok()?;
    let v4 = Chosen::new(SocketAddr::from((MULTICAST, DEFAULT_PORT)), options);
    let source = options.source_v6.map(Into::into).or(v4.source);
    way::missing(v4.interface, source, &interfaces)
}
