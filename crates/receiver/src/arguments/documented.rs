//! The tables of `docs/receiver.md` list what there is.

use std::ffi::OsString;

use clap::{ArgAction, CommandFactory};

use super::{Arguments, Parsed, parse};
use crate::outputs::OutputKind;

const DOCUMENT: &str = include_str!("../../../../docs/receiver.md");

/// The first cells of the rows of the table with this header.
fn rows(header: &str) -> Vec<&'static str> {
    let (_, table) = DOCUMENT.split_once(header).unwrap_or_else(|| panic!("no table {header}"));
    let rows = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.filter_map(|row| row.split('|').nth(1)).map(str::trim).collect()
}

/// An option, as the document writes it.
fn written(option: &clap::Arg) -> String {
    let short = option.get_short().map(|short| format!("`-{short}`, ")).unwrap_or_default();
    let long = option.get_long().expect("each has a long name");
    let takes_value = matches!(option.get_action(), ArgAction::Set);
    let value = option.get_value_names().filter(|_| takes_value).into_iter().flatten();
    let value: String = value.map(|name| format!(" {name}")).collect();
    format!("{short}`--{long}{value}`")
}

#[test]
fn the_options_are_those_of_the_program_in_their_order() {
    let mut command = Arguments::command();
    command.build();
    let options: Vec<_> = command.get_arguments().map(written).collect();
    assert_eq!(rows("| option | meaning | default |"), options);
}

#[test]
fn the_outputs_are_those_of_the_program() {
    let outputs = rows("| output | plays on | channels |");
    for output in &outputs {
        assert!(output.trim_matches('`').parse::<OutputKind>().is_ok(), "{output}");
    }
    let refusal = "none".parse::<OutputKind>().unwrap_err();
    let (_, those) = refusal.split_once("there are ").expect("it lists them");
    assert_eq!(outputs.iter().map(|output| output.trim_matches('`')).collect::<Vec<_>>().join(", "), those);
}

#[test]
fn every_command_line_that_it_shows_is_accepted() {
    let shown = DOCUMENT.split('`').map(|part| part.strip_prefix("SCREAM_OPTIONS=").unwrap_or(part));
    let is_placeholder = |word: &str| word.chars().all(|c| c.is_ascii_uppercase());
    let lines: Vec<_> = shown
        .filter(|part| part.starts_with('-') && part.contains(' ') && !part.contains('\n'))
        .filter(|part| !part.split(' ').any(is_placeholder))
        .collect();
    assert_eq!(lines, ["-t 100", "-i eth0", "-o pulse -t 100"]);
    for line in lines {
        let words = std::iter::once("scream").chain(line.split(' ')).map(OsString::from);
        assert!(matches!(parse(words.collect()), Parsed::Orders(_)), "{line}");
    }
}
