//! [`Settings`]: the values below the driver's registry key, and what the driver makes of them.
//!
//! The driver's own rules judge: [`Options::read`] reads an in-memory [`Registry`] as it reads the real one. What it
//! does not ask for is what another option makes meaningless.

use std::ffi::CStr;

use protocol::options::{
    CONTINUOUS_STREAM, DESCRIPTIONS, Description, MAX_VALUE, Registry, SILENCE_THRESHOLD, Stored,
    UNICAST_SRC_IPV4,
};
use protocol::{Options, Refusal};

use super::names;
use crate::computer::{ApiResult, Computer, StoredValue};

/// The values below the driver's registry key.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    values: Vec<StoredValue>,
}

/// What the driver makes of the values.
#[derive(Debug)]
pub struct Reading {
    /// What the driver does.
    pub options: Options,
    /// What is stored in vain.
    pub ignored: Vec<Ignored>,
    /// What the driver asked for.
    looked_at: Vec<&'static Description>,
}

/// A value, or an entry of one, that is stored in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ignored {
    /// The option.
    pub option: &'static Description,
    /// The entry of a list, from 1; 0 for the whole value.
    pub entry: u32,
    /// Why.
    pub reason: &'static str,
    /// Whether the value can never be used; otherwise another option makes it meaningless.
    pub wrong: bool,
}

impl Settings {
    /// What the registry holds now.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub fn read(computer: &dyn Computer) -> ApiResult<Self> {
        Ok(Self { values: computer.option_values()? })
    }

    /// The value of this name, in any case.
    pub fn find(&self, name: &str) -> Option<&StoredValue> {
        self.values.iter().find(|value| value.name.eq_ignore_ascii_case(name))
    }

    /// The value of an option.
    pub fn value(&self, option: &Description) -> Option<&StoredValue> {
        self.find(text(option.name))
    }

    /// The values that are options, and are there, in the order in which they are documented.
    pub fn of_options(&self) -> impl Iterator<Item = (&'static Description, &StoredValue)> {
        DESCRIPTIONS.iter().filter_map(|option| Some((*option, self.value(option)?)))
    }

    /// The values that are no options of this driver.
    pub fn strangers(&self) -> impl Iterator<Item = &StoredValue> {
        self.values.iter().filter(|value| names::option(&value.name).is_none())
    }

    /// The same, after a value was stored.
    pub fn with(&self, value: &StoredValue) -> Self {
        let mut changed = self.without(&value.name);
        changed.values.push(value.clone());
        changed
    }

    /// The same, after a value was deleted.
    pub fn without(&self, name: &str) -> Self {
        let kept = self.values.iter().filter(|value| !value.name.eq_ignore_ascii_case(name));
        Self { values: kept.cloned().collect() }
    }

    /// What the driver makes of the values.
    pub fn reading(&self) -> Reading {
        let mut registry = Recorder { settings: self, asked_for: Vec::new() };
        let mut refusals = Vec::new();
        let options = Options::read(&mut registry, &mut |refusal| refusals.push(refusal));
        let looked_at = registry.asked_for;
        let idle = self.of_options().map(|(option, _)| option).filter(|option| !looked_at.contains(option));
        let mut ignored: Vec<Ignored> =
            refusals.iter().map(Ignored::refused).chain(idle.map(Ignored::idle)).collect();
        ignored.sort_by_key(|ignored| names::position(ignored.option));
        Reading { options, ignored, looked_at }
    }
}

/// Why the driver would never use a value; `None` if it would, be it only without another option.
pub fn refusal(value: &StoredValue) -> Option<Ignored> {
    let alone = Settings::default().with(value).reading();
    alone.ignored.into_iter().find(|ignored| ignored.wrong)
}

impl Reading {
    /// Whether the driver asks for this option, as no other makes it meaningless.
    pub fn looks_at(&self, option: &'static Description) -> bool {
        self.looked_at.contains(&option)
    }

    /// What is stored in vain under the name of an option.
    pub fn ignored_of(&self, option: &'static Description) -> impl Iterator<Item = &Ignored> {
        self.ignored.iter().filter(move |ignored| ignored.option == option)
    }
}

impl Ignored {
    fn refused(refusal: &Refusal) -> Self {
        let Refusal { option, entry, reason } = *refusal;
        // This is the one reason that lies in another option.
        let wrong = !(*option == SILENCE_THRESHOLD && text(reason).contains(text(CONTINUOUS_STREAM.name)));
        Self { option, entry, reason: text(reason), wrong }
    }

    fn idle(option: &'static Description) -> Self {
        Self { option, entry: 0, reason: meaningless(option), wrong: false }
    }
}

/// Why the driver does not look at an option when it does not.
pub fn meaningless(option: &Description) -> &'static str {
    if *option == UNICAST_SRC_IPV4 {
        "not looked at while Interface is an IPv4 address"
    } else {
        "not looked at while Targets is set"
    }
}

/// The text of a constant of the rules, all of which are ASCII.
pub fn text(constant: &'static CStr) -> &'static str {
    constant.to_str().unwrap_or_default()
}

/// The registry that the driver's rules read.
struct Recorder<'a> {
    settings: &'a Settings,
    asked_for: Vec<&'static Description>,
}

impl Registry for Recorder<'_> {
    fn read(&mut self, option: &'static Description) -> Stored<'_> {
        self.asked_for.push(option);
        match self.settings.value(option) {
            None => Stored::Missing,
            Some(value) if value.data.len() > MAX_VALUE => Stored::TooLong,
            Some(value) => Stored::Value { kind: value.kind, data: &value.data },
        }
    }
}
