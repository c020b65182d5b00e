//! What a driver's INF has to keep to: [`findings()`] says where one does not.
//!
//! Microsoft's tool for this, InfVerif, runs on Windows only. The rules are those of its `/w` and `/h` modes that an
//! INF like this project's can break, with the numbers of its errors
//! ([list](https://learn.microsoft.com/windows-hardware/drivers/devtest/inf-validation-errors-and-warnings), [driver
//! package isolation](https://learn.microsoft.com/windows-hardware/drivers/develop/driver-isolation)), and stricter
//! where only one way is of use here: what is not known is refused.

mod files;
mod registry;
mod sections;
mod text;
mod version;

use std::collections::BTreeSet;
use std::fmt;

use super::{Entry, Inf, Section};

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// ASCII without a byte-order mark: everything reads that in the same way, whatever its code page.
    Characters,
    /// Every section that is referred to is there (1203).
    MissingSection,
    /// Every section is referred to (2083): Windows would not look at it, and something was meant.
    UnusedSection,
    /// Every `%name%` is defined (1235): otherwise it is taken as it is written.
    UndefinedString,
    /// Every string is used.
    UnusedString,
    /// GUIDs have the form of GUIDs.
    Guid,
    /// `Version` says all that a signature needs (1204, 1217, 1233), and this class.
    Version,
    /// Windows 10 1709 or newer on a named processor: directory 13 is not older.
    Target,
    /// Only directives that install without running code or touching what is not the driver's (1300 to 1303).
    Directive,
    /// `Needs` only with `Include` in the same section (1313).
    Include,
    /// Directory 13 and no other: the driver runs from where Windows keeps its package (1322).
    Directory,
    /// A file is copied to the name and folder that it has in the package (1100, 1230).
    Folder,
    /// Values are written relative to what the section belongs to: HKR (1221, 1304).
    RegistryRoot,
    /// A value is of a known type, and has a value of that type (1305).
    RegistryValue,
    /// The device has a function driver, whose file is one that is copied (1296, 1333).
    Service,
}

/// Where an INF does not keep to a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule.
    pub rule: Rule,
    /// The line, from 1; 0 if something is missing from the whole file.
    pub line: usize,
    /// What is wrong.
    pub text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {} ({:?})", self.line, self.text, self.rule)
    }
}

/// Where an INF does not keep to the rules, in the order of its lines. Nothing, if all is well.
#[must_use]
pub fn findings(bytes: &[u8]) -> Vec<Finding> {
    let inf = Inf::parse(bytes);
    let mut review = Review { inf: &inf, findings: Vec::new(), used: BTreeSet::new() };
    review.characters(bytes);
    review.strings();
    review.guids();
    review.version();
    review.targets();
    review.unused_sections();
    let mut findings = review.findings;
    // Sections that both processors share are looked at once for each.
    findings.sort_by(|a, b| (a.line, a.rule, &a.text).cmp(&(b.line, b.rule, &b.text)));
    findings.dedup();
    findings
}

/// An INF that is being looked at.
struct Review<'a> {
    inf: &'a Inf,
    findings: Vec<Finding>,
    /// The sections that were referred to, in lower case.
    used: BTreeSet<String>,
}

impl<'a> Review<'a> {
    fn find(&mut self, rule: Rule, line: usize, text: impl Into<String>) {
        self.findings.push(Finding { rule, line, text: text.into() });
    }

    /// A section that a line refers to.
    fn follow(&mut self, from: &Entry, name: &str) -> Option<&'a Section> {
        self.used.insert(name.to_lowercase());
        let section = self.inf.section(name);
        if section.is_none() {
            self.find(Rule::MissingSection, from.line, format!("there is no section [{name}]"));
        }
        section
    }

    /// A section that is known by its name.
    fn known(&mut self, name: &str) -> Option<&'a Section> {
        self.used.insert(name.to_lowercase());
        self.inf.section(name)
    }

    /// Refuses all directives of a section but these.
    fn only(&mut self, section: &Section, directives: &[&str]) {
        for entry in &section.entries {
            if !directives.iter().any(|directive| entry.is(directive)) {
                let directive = entry.key.as_deref().unwrap_or(entry.value(0));
                let text = format!("{directive} is not expected in [{}]", section.name);
                self.find(Rule::Directive, entry.line, text);
            }
        }
    }

    fn unused_sections(&mut self) {
        for section in self.inf.sections() {
            if !self.used.contains(&section.name.to_lowercase()) {
                let text = format!("nothing refers to the section [{}]", section.name);
                self.find(Rule::UnusedSection, section.line, text);
            }
        }
    }
}
