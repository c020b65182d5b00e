//! What the documents say of screamctl is what it accepts and says.
#![cfg(target_os = "linux")]

use std::ffi::OsString;

use screamctl::arguments::{self, Parsed};
use screamctl::failure::problem;

const INSTALL: &str = include_str!("../docs/install.md");
const OPTIONS: &str = include_str!("../docs/options.md");
const README: &str = include_str!("../README.md");
const TEXT: &str = include_str!("../scripts/README.txt");

/// What the examples of docs/options.md with `reg` begin with.
const ADD: &str = r#"reg add "HKLM\SYSTEM\CurrentControlSet\Services\Scream\Options" /v "#;

/// What a line of a command prompt gives to screamctl, if it starts it.
fn given(line: &str) -> Option<Vec<OsString>> {
    let mut words = line.split_whitespace();
    let program = words.next()?;
    let command: &[&str] = match program {
        "screamctl" | r"x64\screamctl" => &[],
        "install.bat" => &["install", "--elevate"],
        "uninstall.bat" => &["uninstall", "--elevate"],
        _ => return None,
    };
    Some(["screamctl"].iter().chain(command).copied().chain(words).map(OsString::from).collect())
}

/// The lines of the code blocks of a document, and what is in backquotes in its text.
fn code(document: &'static str) -> Vec<&'static str> {
    let (mut code, mut in_block) = (Vec::new(), false);
    for line in document.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
        } else if in_block {
            code.push(line);
        } else {
            code.extend(line.split('`').skip(1).step_by(2));
        }
    }
    code
}

/// The commands of a document for screamctl, without its mere name.
fn commands(document: &'static str) -> Vec<&'static str> {
    let lines = if document == TEXT { TEXT.lines().map(str::trim).collect() } else { code(document) };
    lines.into_iter().filter(|line| line.contains(' ') && given(line).is_some()).collect()
}

#[test]
fn every_command_that_a_document_shows_is_one() {
    for (document, least) in [(INSTALL, 10), (OPTIONS, 16), (README, 1), (TEXT, 10)] {
        let commands = commands(document);
        assert!(commands.len() >= least, "{commands:?}");
        for command in commands {
            let parsed = arguments::parse(given(command).unwrap_or_default());
            assert!(matches!(parsed, Parsed::Arguments(_)), "{command}");
        }
    }
}

#[test]
fn a_command_that_is_none_is_found() {
    for wrong in ["screamctl instal", "install.bat --quiet", "screamctl options set TTL", "uninstall.bat now"]
    {
        let parsed = arguments::parse(given(wrong).unwrap_or_default());
        assert!(matches!(parsed, Parsed::Misuse(_)), "{wrong}");
    }
}

/// An option and the values that a line stores, if it is an example with `reg`.
fn of_reg(line: &str) -> Option<(&str, Vec<&str>)> {
    let [name, "/t", _, "/d", data, "/f"] = line.strip_prefix(ADD)?.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{line}")
    };
    Some((name, data.trim_matches('"').split(r"\0").collect()))
}

/// An option and the values that a line stores, if it is an example with screamctl.
fn of_screamctl(line: &str) -> Option<(&str, Vec<&str>)> {
    if let Some(targets) = line.strip_prefix("screamctl targets set ") {
        return Some(("Targets", targets.split(' ').collect()));
    }
    let (name, values) = line.strip_prefix("screamctl options set ")?.split_once(' ')?;
    Some((name, values.split(' ').collect()))
}

#[test]
fn every_example_with_reg_has_its_like_with_screamctl_in_the_same_block() {
    let blocks: Vec<&str> = OPTIONS.split("```").skip(1).step_by(2).collect();
    let mut count = 0;
    for block in blocks {
        let of_reg: Vec<_> = block.lines().filter_map(of_reg).collect();
        assert_eq!(block.lines().filter_map(of_screamctl).collect::<Vec<_>>(), of_reg);
        count += of_reg.len();
    }
    assert_eq!(count, 13);
}

/// The cells of the rows of docs/install.md that begin with this.
fn rows(start: &str) -> Vec<Vec<&'static str>> {
    let rows = INSTALL.lines().filter(|line| line.starts_with(start));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

#[test]
fn the_codes_of_device_manager_are_explained_as_screamctl_does() {
    let rows: Vec<_> = rows("| code ").into_iter().filter(|row| !row[0].contains("after")).collect();
    assert!(rows.len() >= 8, "{rows:?}");
    for row in rows {
        let code = row[0].trim_start_matches("code ").parse().expect("a number");
        let expected = problem(code);
        assert_eq!(format!("{} (code {code})", row[1]), expected.what);
        assert_eq!(Some(row[2]), expected.advice.as_deref(), "code {code}");
    }
}

#[test]
fn the_exit_codes_are_those_of_screamctl() {
    let (_, table) = INSTALL.split_once("| exit code | meaning |\n").expect("the table");
    let rows = table.lines().skip(1).take_while(|line| line.starts_with('|'));
    let codes: Vec<i32> = rows
        .map(|row| {
            row.trim_matches('|').split('|').next().unwrap_or_default().trim().parse().expect("a number")
        })
        .collect();
    let those = [screamctl::DONE, screamctl::FAILED, screamctl::MISUSED, screamctl::RESTART_NEEDED];
    assert_eq!(codes, those);
    for code in those {
        let named = TEXT.split(|c: char| !c.is_ascii_digit()).any(|number| number == code.to_string());
        assert!(named, "README.txt does not name {code}");
    }
}

#[test]
fn the_text_in_the_package_can_be_read_in_any_editor() {
    for line in TEXT.lines() {
        assert!(line.is_ascii() && line.len() <= 84 && !line.contains('\t'), "{line}");
    }
}
