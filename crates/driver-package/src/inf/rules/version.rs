//! Rules of the section `Version`.

use super::{Review, Rule};
use crate::inf::{Entry, Section};
use crate::layout::CATALOG;

/// The class of sound devices.
const CLASS: (&str, &str) = ("MEDIA", "{4d36e96c-e325-11ce-bfc1-08002be10318}");

impl Review<'_> {
    pub(super) fn version(&mut self) {
        let Some(section) = self.known("Version") else {
            return self.find(Rule::Version, 0, "there is no section [Version]");
        };
        let keys = ["Signature", "Class", "ClassGuid", "Provider", "CatalogFile", "DriverVer", "PnpLockdown"];
        self.only(section, &keys);
        self.says(section, "Signature", |value| value.eq_ignore_ascii_case("$Windows NT$"));
        self.says(section, "Class", |value| value.eq_ignore_ascii_case(CLASS.0));
        self.says(section, "ClassGuid", |value| value.eq_ignore_ascii_case(CLASS.1));
        self.says(section, "Provider", |value| !value.is_empty() && !value.eq_ignore_ascii_case("Microsoft"));
        self.says(section, "CatalogFile", |value| value.eq_ignore_ascii_case(CATALOG));
        self.says(section, "DriverVer", is_date);
        self.says(section, "PnpLockdown", |value| value == "1");
        if let Some(entry) = section.entry("DriverVer").filter(|entry| !is_version(entry)) {
            let text = format!("{} is not a version of four numbers below 65536", entry.value(1));
            self.find(Rule::Version, entry.line, text);
        }
    }

    /// A line of `Version` is there, and its first value is a good one.
    fn says(&mut self, section: &Section, key: &str, good: impl Fn(&str) -> bool) {
        match section.entry(key) {
            None => self.find(Rule::Version, section.line, format!("there is no {key}")),
            Some(entry) if !good(&self.inf.expand(entry.value(0))) => {
                self.find(Rule::Version, entry.line, format!("{key} cannot be {}", entry.value(0)));
            }
            Some(_) => {}
        }
    }
}

/// Whether a text is a day, as month, day and year.
fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('/').collect();
    let numbers: Vec<u16> = parts.iter().filter_map(|part| part.parse().ok()).collect();
    let &[month, day, year] = numbers.as_slice() else { return false };
    parts.iter().map(|part| part.len()).eq([2, 2, 4])
        && u8::try_from(month).is_ok_and(|month| {
            u8::try_from(day).is_ok_and(|day| der::DateTime::new(year, month, day, 0, 0, 0).is_ok())
        })
}

fn is_version(driver_ver: &Entry) -> bool {
    let numbers: Vec<&str> = driver_ver.value(1).split('.').collect();
    numbers.len() == 4 && numbers.iter().all(|number| number.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::is_date;

    #[test]
    fn a_date_is_a_day_of_the_calendar() {
        assert!(is_date("02/29/2028"));
        for other in
            ["02/29/2027", "13/01/2026", "00/10/2026", "1/1/2026", "2026/01/01", "01/01/26", "01/01", ""]
        {
            assert!(!is_date(other), "{other}");
        }
    }
}
