//! `--option NAME=VALUE`: a value of the registry from the command line.

use std::str::FromStr;

use testbed::kernel::registry::Value;

/// What forms there are, for people who used another.
const FORMS: &str = "an option is NAME=TEXT, NAME=NUMBER or NAME:TYPE=VALUE with one of the types sz, expand_sz, \
                     multi_sz, dword, qword and binary";

/// A value, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key under the service's.
    pub key: String,
    /// The name of the value.
    pub name: String,
    /// The value.
    pub value: Value,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (left, value) = text.split_once('=').ok_or_else(|| format!("there is no = in it; {FORMS}"))?;
        let (path, kind) = match left.split_once(':') {
            Some((path, kind)) => (path, Some(kind)),
            None => (left, None),
        };
        let (key, name) = path.rsplit_once('\\').unwrap_or(("Options", path));
        if name.is_empty() || key.is_empty() {
            return Err(format!("it has no name; {FORMS}"));
        }
        let value = match kind {
            None => number(value).map_or_else(|| guess(value), dword)?,
            Some(kind) => typed(kind, value)?,
        };
        Ok(Self { key: key.to_owned(), name: name.to_owned(), value })
    }
}

/// Text, unless it was meant to be a number.
fn guess(value: &str) -> Result<Value, String> {
    let digits = value.strip_prefix("0x").or_else(|| value.strip_prefix("0X"));
    if digits.is_some() || (!value.is_empty() && value.bytes().all(|letter| letter.is_ascii_digit())) {
        return Err(format!("{value} is no number of 64 bits; for text write NAME:sz={value}"));
    }
    Ok(Value::Sz(value.to_owned()))
}

fn typed(kind: &str, value: &str) -> Result<Value, String> {
    let wanted =
        || number(value).ok_or_else(|| format!("{value} is no number: decimal, or hexadecimal after 0x"));
    match kind.to_ascii_lowercase().as_str() {
        "sz" => Ok(Value::Sz(value.to_owned())),
        "expand_sz" => Ok(Value::ExpandSz(value.to_owned())),
        "multi_sz" => {
            Ok(Value::MultiSz(value.split(';').filter(|part| !part.is_empty()).map(str::to_owned).collect()))
        }
        "dword" => dword(wanted()?),
        "qword" => wanted().map(Value::Qword),
        "binary" => bytes(value).map(Value::Binary),
        other => Err(format!("there is no type {other}; {FORMS}")),
    }
}

fn dword(number: u64) -> Result<Value, String> {
    let value = u32::try_from(number);
    value.map(Value::Dword).map_err(|_| format!("{number} does not fit into 32 bits; there is NAME:qword="))
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) if !digits.starts_with('+') => u64::from_str_radix(digits, 16).ok(),
        None if text.bytes().all(|letter| letter.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    }
}

fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let wrong = || format!("{text} is not an even number of hexadecimal digits");
    if !text.len().is_multiple_of(2) || !text.bytes().all(|letter| letter.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    let pairs = (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16));
    pairs.collect::<Result<_, _>>().map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, key: &str, name: &str, value: Value) {
        let expected = Setting { key: key.to_owned(), name: name.to_owned(), value };
        assert_eq!(text.parse(), Ok(expected));
    }

    #[track_caller]
    fn refused(text: &str, why: &str) {
        let error = text.parse::<Setting>().unwrap_err();
        assert!(error.starts_with(why) && !error.contains('\n'), "{error}");
    }

    #[test]
    fn numbers_are_dwords_and_the_rest_is_text() {
        check("UnicastIPv4=127.0.0.1", "Options", "UnicastIPv4", Value::Sz("127.0.0.1".to_owned()));
        check("UnicastPort=4010", "Options", "UnicastPort", Value::Dword(4010));
        check("UnicastPort=0xFAA", "Options", "UnicastPort", Value::Dword(4010));
        check("Name=", "Options", "Name", Value::Sz(String::new()));
        check(r"Parameters\Deep\Name=1", r"Parameters\Deep", "Name", Value::Dword(1));
    }

    #[test]
    fn a_type_can_be_said() {
        check("Port:sz=4010", "Options", "Port", Value::Sz("4010".to_owned()));
        check("Port:DWORD=0x10", "Options", "Port", Value::Dword(16));
        check("Big:qword=0x100000000", "Options", "Big", Value::Qword(1 << 32));
        check("Raw:binary=00fF", "Options", "Raw", Value::Binary(vec![0, 255]));
        check("List:multi_sz=a;b", "Options", "List", Value::MultiSz(vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn what_is_wrong_gives_one_line() {
        refused("UnicastPort", "there is no = in it");
        refused("=5", "it has no name");
        refused("Port=0x1FFFFFFFF", "8589934591 does not fit into 32 bits");
        refused("Port=0xZZ", "0xZZ is no number of 64 bits");
        refused("Port:dword=many", "many is no number");
        refused("Port:word=1", "there is no type word");
        refused("Raw:binary=0", "0 is not an even number");
    }
}
