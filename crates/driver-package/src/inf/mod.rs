//! The INF: what it says, and its version.
//!
//! [`Inf`] reads any INF, as leniently as Windows does: `screamctl` looks through all that Windows has. [`stamp()`]
//! sets the version of this project's own.

mod parse;
pub mod rules;
mod stamp;

use std::collections::{BTreeMap, BTreeSet};

use crate::layout::Architecture;

pub use stamp::{NotStamped, stamp, version};

/// An INF as it is written: without comments and quotes, but with `%names%` still to be replaced by [`Inf::expand`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Inf {
    sections: Vec<Section>,
    /// Where a section is, by its name in lower case.
    index: BTreeMap<String, usize>,
    /// What `%names%` stand for, by the name in lower case.
    strings: BTreeMap<String, String>,
}

/// A section. One that occurs several times in the file is one section, with all of the lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Its name, as it is written first.
    pub name: String,
    /// The line of its first heading, from 1.
    pub line: usize,
    /// Its lines.
    pub entries: Vec<Entry>,
}

/// A line of a section: `key = value, value` or only `value, value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it begins, from 1.
    pub line: usize,
    /// What is before the equals sign.
    pub key: Option<String>,
    /// What is after it, between commas.
    pub values: Vec<String>,
}

/// `DriverVer`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriverVer {
    /// The date: month, day and year, with slashes between them.
    pub date: String,
    /// The version; empty if there is none.
    pub version: String,
}

impl Entry {
    /// Whether the line's key is this one.
    #[must_use]
    pub fn is(&self, key: &str) -> bool {
        self.key.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(key))
    }

    /// A value, by its place; empty if there are fewer.
    #[must_use]
    pub fn value(&self, place: usize) -> &str {
        self.values.get(place).map_or("", String::as_str)
    }
}

impl Section {
    /// The lines with a key.
    pub fn with_key<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| entry.is(key))
    }

    /// The first line with a key.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.is(key))
    }
}

impl Inf {
    /// Reads an INF: UTF-16 with a byte-order mark, UTF-8, or of one byte a character. Nothing is an error; what cannot
    /// be understood says nothing.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Self {
        parse::inf(&parse::text(bytes))
    }

    /// All sections, in the order of their first headings.
    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// A section, by its name in any case.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.index.get(&name.to_lowercase()).map(|place| &self.sections[*place])
    }

    /// A text with `%names%` replaced by what `[Strings]` says. What is not there stays, as `%13%` does, which is a
    /// folder.
    #[must_use]
    pub fn expand(&self, text: &str) -> String {
        let mut expanded = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('%') {
            expanded.push_str(before);
            match after.split_once('%') {
                Some(("", after)) => {
                    expanded.push('%');
                    rest = after;
                }
                Some((name, after)) if self.strings.contains_key(&name.to_lowercase()) => {
                    expanded.push_str(&self.strings[&name.to_lowercase()]);
                    rest = after;
                }
                Some((name, after)) => {
                    expanded.push('%');
                    expanded.push_str(name);
                    expanded.push('%');
                    rest = after;
                }
                None => {
                    expanded.push('%');
                    rest = after;
                }
            }
        }
        expanded + rest
    }

    /// `DriverVer` of the section `Version`.
    #[must_use]
    pub fn driver_ver(&self) -> Option<DriverVer> {
        let entry = self.section("Version")?.entry("DriverVer")?;
        Some(DriverVer { date: self.expand(entry.value(0)), version: self.expand(entry.value(1)) })
    }

    /// `Provider` of the section `Version`.
    #[must_use]
    pub fn provider(&self) -> Option<String> {
        Some(self.expand(self.section("Version")?.entry("Provider")?.value(0)))
    }

    /// The identifiers of all devices that it has drivers for, on any processor, each once.
    #[must_use]
    pub fn hardware_ids(&self) -> Vec<String> {
        let mut ids = Vec::new();
        let mut known = BTreeSet::new();
        for (_, models) in self.models() {
            for entry in self.section(&models).iter().flat_map(|section| &section.entries) {
                let own = entry.values.iter().skip(1).map(|id| self.expand(id));
                ids.extend(own.filter(|id| !id.is_empty() && known.insert(id.to_lowercase())));
            }
        }
        ids
    }

    /// Whether it has drivers for a processor: a models section of that processor.
    #[must_use]
    pub fn has_drivers_for(&self, architecture: Architecture) -> bool {
        let decoration = match architecture {
            Architecture::X64 => "ntamd64",
            Architecture::Arm64 => "ntarm64",
        };
        self.models().any(|(target, models)| {
            let target = target.to_lowercase();
            target.split('.').next() == Some(decoration) && self.section(&models).is_some()
        })
    }

    /// The models sections that `Manufacturer` names: for which target (`NTamd64.10.0`; empty for all), and the
    /// section's name.
    pub(crate) fn models(&self) -> impl Iterator<Item = (String, String)> {
        let manufacturers = self.section("Manufacturer").map_or(&[][..], |section| &section.entries);
        manufacturers.iter().flat_map(|entry| {
            let base = self.expand(entry.value(0));
            let targets = entry.values.iter().skip(1).map(|target| self.expand(target));
            let undecorated = (String::new(), base.clone());
            let decorated = targets.map(move |target| (target.clone(), format!("{base}.{target}")));
            std::iter::once(undecorated).chain(decorated)
        })
    }
}
