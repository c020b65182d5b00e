//! [`Failure`]: why a command cannot do its work, in one line that says what is wrong and what to do.
//!
//! [`explain`] says what a failed call of Windows means to people, [`problem`] what is wrong with a device.

mod codes;
mod problems;

use std::fmt;

use crate::computer::ApiError;

pub use problems::problem;

/// Why a command cannot do its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What is wrong, as a clause: no capital, no full stop.
    pub what: String,
    /// What the user can do about it, as a clause; none if `what` says it.
    pub advice: Option<String>,
}

impl Failure {
    /// A failure, and what to do about it.
    pub fn new(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what: what.into(), advice: Some(advice.into()) }
    }

    /// A failure that says itself what to do.
    pub fn plain(what: impl Into<String>) -> Self {
        Self { what: what.into(), advice: None }
    }

    /// The same failure, said of something: `the device cannot be made: ...`.
    #[must_use]
    pub fn of(self, what: &str) -> Self {
        Self { what: format!("{what}: {}", self.what), ..self }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.advice {
            Some(advice) => write!(f, "{}: {advice}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        explain(error)
    }
}

/// What a code means to people.
struct Meaning {
    code: u32,
    /// What is wrong, as a clause.
    what: &'static str,
    /// What to do, as a clause.
    advice: &'static str,
}

/// Looks a code up in a table.
fn meaning(table: &'static [Meaning], code: u32) -> Option<&'static Meaning> {
    table.iter().find(|meaning| meaning.code == code)
}

/// What a failed call of Windows means to people.
pub fn explain(error: ApiError) -> Failure {
    match meaning(codes::TABLE, error.code) {
        Some(meaning) => {
            let ApiError { call, code } = error;
            Failure::new(format!("{} ({call}: {})", meaning.what, codes::shown(code)), meaning.advice)
        }
        None => Failure::plain(error.to_string()),
    }
}
