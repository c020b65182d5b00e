//! Rules of the registry.

use super::{Review, Rule};
use crate::inf::{Entry, Section};

impl<'a> Review<'a> {
    /// All that the `AddReg` directives of a section lead to.
    pub(super) fn registry_of(&mut self, section: &'a Section) {
        for directive in section.entries.iter().filter(|entry| entry.is("AddReg")) {
            for name in &directive.values {
                for entry in self.follow(directive, name).iter().flat_map(|section| &section.entries) {
                    self.value(entry);
                }
            }
        }
    }

    fn value(&mut self, entry: &Entry) {
        if entry.key.is_some() || !entry.value(0).eq_ignore_ascii_case("HKR") {
            let root = entry.key.as_deref().unwrap_or(entry.value(0));
            return self.find(Rule::RegistryRoot, entry.line, format!("{root} is not HKR"));
        }
        if entry.value(2).eq_ignore_ascii_case("CoInstallers32") {
            self.find(Rule::Directive, entry.line, "a co-installer is not expected");
        }
        let data = entry.values.get(4..).unwrap_or_default();
        let good = match entry.value(3) {
            // REG_SZ.
            "" => data.len() == 1,
            flags => match number(flags) {
                Some(0) => data.len() == 1,
                // REG_BINARY.
                Some(0x0000_0001) => !data.is_empty() && data.iter().all(|byte| is_byte(byte)),
                // REG_DWORD.
                Some(0x0001_0001) => data.len() == 1 && number(&data[0]).is_some(),
                _ => false,
            },
        };
        if !good {
            let text = format!("{} is not a value of the type {}", data.join(","), entry.value(3));
            self.find(Rule::RegistryValue, entry.line, text);
        }
    }
}

/// A number as an INF has it: decimal, or hexadecimal after `0x`.
pub(super) fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn is_byte(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
