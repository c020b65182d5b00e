//! What docs/options.md says of the options is what [`protocol::options`] does.

use std::collections::BTreeSet;

use protocol::options::{DESCRIPTIONS, Description, Options, Refusal, Registry, Stored, TARGETS};

const PAGE: &str = include_str!("../../../docs/options.md");

/// The sources that refuse something.
const SOURCES: [&str; 3] = [
    include_str!("../src/options/mod.rs"),
    include_str!("../src/options/address.rs"),
    include_str!("../src/options/value.rs"),
];

/// What the page's examples begin with.
const ADD: &str = r#"reg add "HKLM\SYSTEM\CurrentControlSet\Services\Scream\Options" /v "#;

/// A registry with one value.
struct OneValue<'a> {
    name: &'a str,
    kind: u32,
    data: Vec<u8>,
}

impl Registry for OneValue<'_> {
    fn read(&mut self, option: &'static Description) -> Stored<'_> {
        if text(option.name) == self.name {
            Stored::Value { kind: self.kind, data: &self.data }
        } else {
            Stored::Missing
        }
    }
}

impl OneValue<'_> {
    fn read(mut self) -> (Options, Vec<Refusal>) {
        let mut refusals = Vec::new();
        (Options::read(&mut self, &mut |refusal| refusals.push(refusal)), refusals)
    }
}

fn text(text: &'static core::ffi::CStr) -> &'static str {
    text.to_str().expect("ASCII")
}

/// The cells of the rows of the table whose first heading is `heading`.
fn table(heading: &str) -> Vec<Vec<&'static str>> {
    let start = format!("\n| {heading} | ");
    let (_, rest) = PAGE.split_once(&start).unwrap_or_else(|| panic!("no table of {heading}"));
    let rows = rest.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// A value as `reg add` stores it, with `\0` between the entries of a list.
fn stored<'a>(name: &'a str, kind: &str, data: &str) -> OneValue<'a> {
    let utf16 = |text: String| text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let (kind, data) = match kind {
        "REG_SZ" => (1, utf16(format!("{data}\0"))),
        "REG_DWORD" => (4, data.parse::<u32>().expect("a number").to_le_bytes().to_vec()),
        "REG_MULTI_SZ" => (7, utf16(data.replace(r"\0", "\0") + "\0\0")),
        other => panic!("{other}"),
    };
    OneValue { name, kind, data }
}

#[test]
fn the_table_of_options_is_that_of_the_rules() {
    let of_page: Vec<Vec<&str>> = table("value").into_iter().map(|row| row[..3].to_vec()).collect();
    let names = DESCRIPTIONS.map(|option| format!("`{}`", text(option.name)));
    let of_rules = DESCRIPTIONS.iter().zip(&names);
    let of_rules: Vec<Vec<&str>> =
        of_rules.map(|(option, name)| vec![&name[..], text(option.accepted), text(option.default)]).collect();
    assert_eq!(of_page, of_rules);
}

#[test]
fn every_option_has_an_example_and_every_example_changes_something() {
    let mut named = BTreeSet::new();
    for line in PAGE.lines().filter_map(|line| line.strip_prefix(ADD)) {
        let [name, "/t", kind, "/d", data, "/f"] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let (options, refusals) = stored(name, kind, data.trim_matches('"')).read();
        assert_eq!(refusals, [], "{line}");
        assert_ne!(options, Options::default(), "{line}");
        named.insert(name);
    }
    assert_eq!(named, DESCRIPTIONS.iter().map(|option| text(option.name)).collect());
}

#[test]
fn every_target_leads_where_the_page_says() {
    let rows = table("entry of `Targets`");
    assert_eq!(rows.len(), 10);
    for row in rows {
        let (options, refusals) = stored(text(TARGETS.name), "REG_MULTI_SZ", row[0].trim_matches('`')).read();
        assert_eq!(refusals, [], "{row:?}");
        assert_eq!(options.targets.as_slice(), [row[1].parse().expect("an address")], "{row:?}");
    }
}

#[test]
fn the_reasons_are_those_of_the_rules() {
    let of_rules: BTreeSet<&str> = SOURCES
        .iter()
        .flat_map(|source| source.split("c\"").skip(1))
        .filter_map(|rest| rest.split('"').next())
        .collect();
    let of_page: Vec<&str> = table("Reason").into_iter().map(|row| row[0]).collect();
    assert_eq!(of_page.iter().copied().collect::<BTreeSet<_>>(), of_rules);
    assert_eq!(of_page.len(), of_rules.len(), "a reason is there twice");
}
