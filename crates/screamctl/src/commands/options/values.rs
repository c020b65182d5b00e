//! Values as the user writes and reads them, and as the registry holds them.

use protocol::options::{
    Description, INTERFACE, REG_DWORD, REG_MULTI_SZ, REG_SZ, TARGETS, UNICAST_IPV4, UNICAST_SRC_IPV4,
};

use super::settings::text;
use crate::computer::StoredValue;

/// Characters of a text that are shown.
const SHOWN: usize = 64;

/// Why a value cannot be written to the registry at all.
#[derive(Debug, PartialEq, Eq)]
pub struct Unfit {
    /// What of it.
    pub value: String,
    /// Why.
    pub reason: &'static str,
}

/// What a user says of an option, as the registry would hold it. Whether the driver takes it is not asked here.
///
/// # Errors
/// A number is none, or has more than 32 bits; a text would not be the same in the registry.
pub fn encode(option: &'static Description, values: &[String]) -> Result<StoredValue, Unfit> {
    let name = text(option.name).to_owned();
    if *option == TARGETS {
        return list(name, values);
    }
    let value = values.first().map(|value| value.trim()).unwrap_or_default();
    let is_text = [&UNICAST_IPV4, &UNICAST_SRC_IPV4].contains(&option);
    if is_text || (*option == INTERFACE && !looks_like_a_number(value)) {
        let data = utf16(check(value)?).chain([0, 0]).collect();
        return Ok(StoredValue { name, kind: REG_SZ, data });
    }
    let number = number(value).map_err(|reason| Unfit { value: value.to_owned(), reason })?;
    Ok(StoredValue { name, kind: REG_DWORD, data: number.to_le_bytes().to_vec() })
}

/// A list of texts, as the registry would hold it.
///
/// # Errors
/// A text is empty, or has a NUL: it would end the list there.
fn list(name: String, values: &[String]) -> Result<StoredValue, Unfit> {
    let mut data = Vec::new();
    for value in values {
        let value = check(value.trim())?;
        if value.is_empty() {
            return Err(Unfit { value: String::new(), reason: "not an address" });
        }
        data.extend(utf16(value).chain([0, 0]));
    }
    data.extend([0, 0]);
    Ok(StoredValue { name, kind: REG_MULTI_SZ, data })
}

fn check(value: &str) -> Result<&str, Unfit> {
    if value.contains('\0') {
        return Err(Unfit { value: value.to_owned(), reason: "not an address" });
    }
    Ok(value)
}

fn utf16(value: &str) -> impl Iterator<Item = u8> {
    value.encode_utf16().flat_map(u16::to_le_bytes)
}

/// Whether this can only be meant as an index, not as an address.
fn looks_like_a_number(value: &str) -> bool {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    digits || value.starts_with("0x") || value.starts_with("0X")
}

/// A number, decimal, or hexadecimal after `0x`.
fn number(value: &str) -> Result<u32, &'static str> {
    let lower = value.to_ascii_lowercase();
    let (negative, digits) = match lower.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, lower.as_str()),
    };
    let (digits, radix) = digits.strip_prefix("0x").map_or((digits, 10), |digits| (digits, 16));
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err("not a whole number");
    }
    match u32::from_str_radix(digits, radix) {
        Ok(number) if !negative || number == 0 => Ok(number),
        _ => Err("out of range"),
    }
}

/// The texts in a value as the driver reads them: up to the first empty one.
pub fn entries(value: &StoredValue) -> Vec<String> {
    let most = if value.kind == REG_MULTI_SZ { usize::MAX } else { 1 };
    let units: Vec<u16> =
        value.data.as_chunks::<2>().0.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    let texts = units.split(|unit| *unit == 0).take_while(|text| !text.is_empty()).take(most);
    texts.map(String::from_utf16_lossy).collect()
}

/// A value for people, one line for each entry.
pub fn shown(value: &StoredValue) -> Vec<String> {
    match (value.kind, <[u8; 4]>::try_from(&value.data[..])) {
        (REG_DWORD, Ok(bytes)) => vec![u32::from_le_bytes(bytes).to_string()],
        (REG_SZ | REG_MULTI_SZ, _) => match entries(value) {
            none if none.is_empty() => vec!["\"\"".to_owned()],
            entries => entries.iter().map(|entry| quoted(entry)).collect(),
        },
        (kind, _) => vec![format!("{} of {} bytes", type_name(kind), value.data.len())],
    }
}

/// A text as it can be printed: in quotes if it is not obvious where it ends.
pub fn quoted(value: &str) -> String {
    let mut text: String = value.chars().take(SHOWN).flat_map(char::escape_default).collect();
    if value.chars().nth(SHOWN).is_some() {
        text.push_str("...");
    }
    if text.is_empty() || text.contains([' ', '\\']) { format!("\"{text}\"") } else { text }
}

/// What a type of the registry is called.
pub fn type_name(kind: u32) -> String {
    let names = [
        "REG_NONE",
        "REG_SZ",
        "REG_EXPAND_SZ",
        "REG_BINARY",
        "REG_DWORD",
        "REG_DWORD_BIG_ENDIAN",
        "REG_LINK",
        "REG_MULTI_SZ",
        "REG_RESOURCE_LIST",
        "REG_FULL_RESOURCE_DESCRIPTOR",
        "REG_RESOURCE_REQUIREMENTS_LIST",
        "REG_QWORD",
    ];
    let name = usize::try_from(kind).ok().and_then(|kind| names.get(kind));
    name.map_or_else(|| format!("type {kind}"), |name| (*name).to_owned())
}
