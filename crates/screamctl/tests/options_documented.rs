//! The commands that docs/options.md shows do what its lines with `reg add` do, which are for those who have only that.

mod fake;

use fake::{FakeComputer, FakeConsole, dword, text, texts};
use screamctl::computer::StoredValue;

const PAGE: &str = include_str!("../../../docs/options.md");
const ADD: &str = r#"reg add "HKLM\SYSTEM\CurrentControlSet\Services\Scream\Options" /v "#;

/// What a command of the page stores.
fn stored_by(command: &str) -> StoredValue {
    let mut computer = FakeComputer::with_scream();
    let mut console = FakeConsole::new();
    let code = computer.screamctl(&mut console, &command.split(' ').collect::<Vec<_>>());
    assert_eq!((code, &console.err[..]), (0, ""), "{command}");
    let [value] = &computer.state.options[..] else {
        panic!("{command} stores {:?}", computer.state.options)
    };
    value.clone()
}

/// What a line with `reg add` stores.
fn added_by(line: &str) -> StoredValue {
    let [name, "/t", kind, "/d", data, "/f"] = line.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{line}")
    };
    match kind {
        "REG_DWORD" => dword(name, data.parse().expect("a number")),
        "REG_SZ" => text(name, data),
        "REG_MULTI_SZ" => texts(name, &data.trim_matches('"').split(r"\0").collect::<Vec<_>>()),
        other => panic!("{other}"),
    }
}

#[test]
fn every_command_stores_what_its_line_with_reg_add_does() {
    let commands = PAGE.lines().filter_map(|line| line.strip_prefix("screamctl "));
    let setting = commands.filter(|command| command.contains(" set "));
    let stored: Vec<StoredValue> = setting.map(stored_by).collect();
    let added: Vec<StoredValue> =
        PAGE.lines().filter_map(|line| line.strip_prefix(ADD)).map(added_by).collect();
    assert_eq!(stored, added);
    assert_eq!(stored.len(), 13);
}

#[test]
fn every_other_command_works_too() {
    let commands = PAGE.lines().filter_map(|line| line.strip_prefix("screamctl "));
    let mut count = 0;
    for command in commands.filter(|command| !command.contains(" set ")) {
        let mut console = FakeConsole::new();
        let code =
            FakeComputer::with_scream().screamctl(&mut console, &command.split(' ').collect::<Vec<_>>());
        assert_eq!((code, &console.err[..]), (0, ""), "{command}");
        count += 1;
    }
    assert_eq!(count, 4);
}
