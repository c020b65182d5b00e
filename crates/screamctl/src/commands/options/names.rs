//! The names of options: in any case, as the registry takes them, and with a suggestion for those that do not exist.

use protocol::options::{DESCRIPTIONS, Description};

use super::settings::text;
use crate::commands::Result;
use crate::failure::Failure;

/// How alike two names have to be for one to be meant by the other: by Jaro and Winkler, from 0 to 1.
const ALIKE: f64 = 0.75;

/// The option of this name.
pub fn option(name: &str) -> Option<&'static Description> {
    DESCRIPTIONS.iter().copied().find(|option| text(option.name).eq_ignore_ascii_case(name))
}

/// The place of an option in the order in which they are documented.
pub fn position(option: &Description) -> usize {
    DESCRIPTIONS.iter().position(|other| *other == option).unwrap_or(DESCRIPTIONS.len())
}

/// The option that was probably meant.
pub fn suggestion(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let likeness = |option: &str| strsim::jaro_winkler(&name, &option.to_ascii_lowercase());
    let names = DESCRIPTIONS.iter().map(|option| text(option.name));
    let (best, option) =
        names.map(|option| (likeness(option), option)).max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (best >= ALIKE).then_some(option)
}

/// The option of this name.
///
/// # Errors
/// There is none; the option that was probably meant.
pub fn find(name: &str) -> Result<&'static Description> {
    option(name).ok_or_else(|| unknown(name))
}

/// There is no such option.
pub fn unknown(name: &str) -> Failure {
    let what = format!("there is no option \"{}\"", name.escape_default());
    let advice = match suggestion(name) {
        Some(option) => format!("did you mean {option}? (screamctl options list shows all)"),
        None => "screamctl options list shows all".to_owned(),
    };
    Failure::new(what, advice)
}
