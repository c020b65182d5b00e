//! No rule without a pair: neither a variant of `Rule`, nor a case of the image, nor a place in the testbed that records
//! a violation.

use std::collections::BTreeSet;
use std::path::Path;

use crate::untripped::UNTRIPPED;
use crate::{TABLES, run};

fn sources() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))
}

#[test]
fn every_variant_of_rule_has_a_pair() {
    let text = std::fs::read_to_string(sources().join("verifier.rs")).expect("the source of the rules");
    let body =
        text.split("pub enum Rule {").nth(1).and_then(|rest| rest.split('}').next()).expect("the rules");
    let variants = body.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    let tripped: BTreeSet<String> =
        TABLES.iter().copied().flatten().map(|expected| format!("{:?},", expected.rule)).collect();
    let missing: Vec<&str> = variants.filter(|variant| !tripped.contains(*variant)).collect();
    assert_eq!(missing, Vec::<&str>::new(), "rules without a case in crates/testbed/drivers");
}

#[test]
fn the_image_and_the_tables_have_the_same_cases() {
    let outcome = run("list".to_owned());
    let in_image: BTreeSet<String> = outcome.debug_output.iter().map(|(_, line)| line.clone()).collect();
    let in_tables: BTreeSet<String> =
        TABLES.iter().copied().flatten().map(|expected| expected.name.to_owned()).collect();
    let in_one_only: Vec<&String> = in_image.symmetric_difference(&in_tables).collect();
    assert_eq!(in_one_only, Vec::<&String>::new(), "cases that only the image or only the tables have");
    outcome.expect_clean();
}

/// Whether a line records a violation. A function that records for its callers stands for none, and each call of it does.
fn records(lines: &[&str], index: usize) -> bool {
    let line = lines[index].trim_start();
    if line.starts_with("//") || line.starts_with("fn ") {
        return false;
    }
    if lines[index.saturating_sub(2)..index].iter().any(|before| before.contains("#[track_caller]")) {
        return false;
    }
    let call = ["record(", "fatal("].iter().any(|call| {
        let rest = line.split(call).nth(1);
        rest.is_some_and(|rest| rest.starts_with("Rule::") || rest.is_empty())
    });
    let names_rule = lines[index..(index + 2).min(lines.len())].concat().contains("Rule::");
    line.contains("complain(") || (call && names_rule)
}

/// Every place that records a violation: file, line, and the source around it.
fn places(directory: &Path, found: &mut Vec<(String, u32, String)>) {
    for entry in std::fs::read_dir(directory).expect("the sources") {
        let path = entry.expect("the sources").path();
        if path.is_dir() {
            places(&path, found);
            continue;
        }
        let name = path.strip_prefix(sources()).expect("below it").display().to_string();
        if !name.ends_with(".rs") || name.ends_with("tests.rs") || name == "verifier.rs" {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("a source");
        let lines: Vec<&str> = text.lines().collect();
        for index in 0..lines.len() {
            if records(&lines, index) {
                let around = lines[index.saturating_sub(4)..(index + 5).min(lines.len())].join("\n");
                found.push((name.clone(), index as u32 + 1, around));
            }
        }
    }
}

#[test]
fn every_place_that_records_a_violation_is_reached_by_a_case() {
    let names = TABLES.iter().copied().flatten().map(|expected| expected.name);
    let reached: BTreeSet<(String, u32)> = names
        .flat_map(|name| run(name.to_owned()).violations)
        .map(|violation| (violation.site.file().to_owned(), violation.site.line()))
        .collect();
    let mut all = Vec::new();
    places(sources(), &mut all);
    assert!(all.len() > 150, "{} places: the search is broken", all.len());
    let untripped = |file: &str, around: &str| {
        UNTRIPPED.iter().any(|(_, list)| {
            list.iter().any(|(known, text)| *known == file && (text.is_empty() || around.contains(text)))
        })
    };
    let missing: Vec<String> = all
        .iter()
        .filter(|(file, line, _)| !reached.iter().any(|(site, at)| site.ends_with(file) && at == line))
        .filter(|(file, _, around)| !untripped(file, around))
        .map(|(file, line, _)| format!("{file}:{line}"))
        .collect();
    assert_eq!(
        missing,
        Vec::<String>::new(),
        "no case of crates/testbed/drivers gets there: write one, or say in untripped.rs why there is none"
    );
}
