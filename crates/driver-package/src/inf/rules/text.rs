//! Rules of the text: characters, strings, GUIDs.

use std::collections::BTreeSet;

use super::{Review, Rule};
use crate::inf::Entry;

impl Review<'_> {
    pub(super) fn characters(&mut self, bytes: &[u8]) {
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            if let Some(byte) = line.iter().find(|byte| !matches!(byte, b'\t' | b' '..=b'~')) {
                self.find(Rule::Characters, index + 1, format!("the byte 0x{byte:02X} is not plain ASCII"));
            }
        }
    }

    /// Every `%name%` is defined, and every string is used.
    pub(super) fn strings(&mut self) {
        let mut used = BTreeSet::new();
        let strings = self.known("Strings");
        let sections = self.inf.sections().iter();
        for entry in
            sections.filter(|section| !section.name.eq_ignore_ascii_case("Strings")).flat_map(|s| &s.entries)
        {
            for text in texts(entry) {
                self.tokens(entry, text, &mut used);
            }
        }
        for entry in strings.iter().flat_map(|section| &section.entries) {
            let key = entry.key.as_deref().unwrap_or_default();
            if !used.contains(&key.to_lowercase()) {
                self.find(Rule::UnusedString, entry.line, format!("nothing uses the string {key}"));
            }
        }
    }

    fn tokens(&mut self, entry: &Entry, text: &str, used: &mut BTreeSet<String>) {
        let parts: Vec<&str> = text.split('%').collect();
        if parts.len().is_multiple_of(2) {
            self.find(
                Rule::UndefinedString,
                entry.line,
                format!("{text} has a percent sign that ends nothing"),
            );
        }
        for name in parts.iter().skip(1).step_by(2).filter(|name| !name.is_empty()) {
            let is_directory = name.bytes().all(|byte| byte.is_ascii_digit());
            if is_directory && *name != "13" {
                self.find(
                    Rule::Directory,
                    entry.line,
                    format!("%{name}% is not the directory of the package, %13%"),
                );
            } else if !is_directory && !self.inf.strings.contains_key(&name.to_lowercase()) {
                self.find(Rule::UndefinedString, entry.line, format!("the string {name} is not defined"));
            }
            used.insert(name.to_lowercase());
        }
    }

    pub(super) fn guids(&mut self) {
        for entry in self.inf.sections().iter().flat_map(|section| &section.entries) {
            for text in texts(entry).filter(|text| text.contains(['{', '}'])) {
                let guid = text.split_inclusive('}').next().unwrap_or(text);
                if !is_guid(guid) {
                    self.find(Rule::Guid, entry.line, format!("{guid} is not a GUID"));
                }
            }
        }
    }
}

fn texts(entry: &Entry) -> impl Iterator<Item = &str> {
    entry.key.iter().chain(&entry.values).map(String::as_str)
}

/// Whether a text is a GUID in braces.
fn is_guid(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) else { return false };
    let groups: Vec<&str> = inner.split('-').collect();
    let is_hex = |group: &&str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) && groups.iter().all(is_hex)
}

#[cfg(test)]
mod tests {
    use super::is_guid;

    #[test]
    fn a_guid_has_five_groups_of_hexadecimal_digits_in_braces() {
        assert!(is_guid("{4d36e96c-e325-11ce-BFC1-08002be10318}"));
        for other in
            ["", "{}", "4d36e96c-e325-11ce-bfc1-08002be10318", "{4d36e96c-e325-11ce-bfc1-08002be1031}"]
        {
            assert!(!is_guid(other), "{other}");
        }
        assert!(!is_guid("{4d36e96g-e325-11ce-bfc1-08002be10318}"));
    }
}
