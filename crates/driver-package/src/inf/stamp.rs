//! The version of the INF.

use std::fmt;
use std::time::Duration;

use der::DateTime;

/// Why an INF cannot be stamped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotStamped {
    /// It has no line `DriverVer` in its section `Version`.
    NoDriverVer,
    /// What is no version of up to four numbers below 65536.
    Version(String),
    /// The date is after 9999.
    Date,
}

impl fmt::Display for NotStamped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDriverVer => f.write_str("the INF has no line DriverVer in its section Version"),
            Self::Version(version) => {
                write!(
                    f,
                    "{version} cannot be a driver's version: accepted are up to four numbers below 65536"
                )
            }
            Self::Date => f.write_str("the date of the INF is too far in the future"),
        }
    }
}

impl std::error::Error for NotStamped {}

/// The version as Windows has it, of a version as Cargo has it: `0.1.0.0` of `0.1.0`. What follows a hyphen or a plus
/// sign is left out.
///
/// # Errors
/// It is not made of up to four numbers below 65536.
pub fn version(cargo: &str) -> Result<String, NotStamped> {
    let numbers = cargo.split(['-', '+']).next().unwrap_or(cargo);
    let parsed: Result<Vec<u16>, _> = numbers.split('.').map(str::parse::<u16>).collect();
    let mut parsed = parsed.ok().filter(|parsed| parsed.len() <= 4 && !numbers.contains('+'));
    let Some(parsed) = parsed.as_mut() else { return Err(NotStamped::Version(cargo.to_owned())) };
    parsed.resize(4, 0);
    let numbers: Vec<String> = parsed.iter().map(u16::to_string).collect();
    Ok(numbers.join("."))
}

/// Sets `DriverVer` of an INF to a version of Cargo's and a date in seconds since 1970, in UTC. All else stays as it
/// is.
///
/// # Errors
/// There is no such line, or the version or the date cannot be written.
pub fn stamp(text: &str, cargo_version: &str, date: u64) -> Result<String, NotStamped> {
    let version = version(cargo_version)?;
    let date = DateTime::from_unix_duration(Duration::from_secs(date)).map_err(|_| NotStamped::Date)?;
    let value = format!("{:02}/{:02}/{:04},{version}", date.month(), date.day(), date.year());

    let mut stamped = String::with_capacity(text.len());
    let mut in_version = false;
    let mut found = false;
    for line in text.split_inclusive('\n') {
        let statement = line.trim();
        if statement.starts_with('[') {
            in_version = statement.eq_ignore_ascii_case("[Version]");
        }
        match line.split_once('=') {
            Some((key, rest)) if in_version && key.trim().eq_ignore_ascii_case("DriverVer") => {
                let end = &line[line.trim_end_matches(['\r', '\n']).len()..];
                let blank = if rest.starts_with(' ') { " " } else { "" };
                stamped.extend([key, "=", blank, &value, end]);
                found = true;
            }
            _ => stamped.push_str(line),
        }
    }
    if found { Ok(stamped) } else { Err(NotStamped::NoDriverVer) }
}
