//! What a driver file imports, and what it may import.
//!
//! The lists are those from which the import libraries are made, so a driver linked on Linux cannot import
//! anything else. A driver linked on Windows, with Microsoft's libraries, could.

use std::fmt;

/// One imported name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    /// The module that exports it, such as `ntoskrnl.exe`.
    pub module: String,
    /// Its name; an import by number is written `#` and the number, and is in no list.
    pub name: String,
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}!{}", self.module, self.name)
    }
}

const LISTS: &[(&str, &str)] = &[
    ("ntoskrnl.exe", include_str!("../../../../wdk-build/imports/ntoskrnl.exe.def")),
    ("hal.dll", include_str!("../../../../wdk-build/imports/hal.dll.def")),
    ("portcls.sys", include_str!("../../../../wdk-build/imports/portcls.sys.def")),
    ("netio.sys", include_str!("../../../../wdk-build/imports/netio.sys.def")),
];

/// True if the project's lists have this import.
pub fn is_listed(import: &Import) -> bool {
    let list = LISTS.iter().find(|(module, _)| module.eq_ignore_ascii_case(&import.module));
    list.is_some_and(|(_, text)| names(text).any(|name| name == import.name))
}

/// The names in a module definition: one per line after `EXPORTS`, and `;` begins a comment.
fn names(definition: &str) -> impl Iterator<Item = &str> {
    definition
        .lines()
        .map(|line| line.split(';').next().unwrap_or_default().trim())
        .skip_while(|line| *line != "EXPORTS")
        .skip(1)
        .filter_map(|line| line.split_whitespace().next())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_list_names_its_module_and_is_sorted() {
        for (module, text) in LISTS {
            assert!(text.contains(&format!("\nLIBRARY {module}\n")), "{module}");
            let names: Vec<_> = names(text).collect();
            assert!(!names.is_empty(), "{module}");
            assert!(names.is_sorted_by(|a, b| a < b), "{module}: {names:?}");
        }
    }

    #[test]
    fn a_name_is_listed_for_its_module_only() {
        let import = |module: &str, name: &str| Import { module: module.to_owned(), name: name.to_owned() };
        assert!(is_listed(&import("ntoskrnl.exe", "KeSetEvent")));
        assert!(is_listed(&import("NTOSKRNL.EXE", "KeSetEvent")));
        assert!(!is_listed(&import("hal.dll", "KeSetEvent")));
        assert!(!is_listed(&import("ntoskrnl.exe", "EXPORTS")));
        assert!(!is_listed(&import("ntoskrnl.exe", "keSetEvent")));
    }
}
