//! House rules that neither the compiler nor clippy knows.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{output, root};

/// A file longer than this is asking to be two, unless it says why not in a line that begins with
/// [`LONG_BECAUSE`].
const MOST_LINES: usize = 600;

/// Begins the line in which a long file says why it is one.
const LONG_BECAUSE: &str = "//! Long because ";

/// The kinds of files that are checked for what no text file should have.
const TEXTS: &[&str] = &["rs", "toml", "h", "def", "md", "yml", "yaml", "json"];

/// Checks every file that is in the repository or could be added to it.
///
/// # Errors
/// A file breaks a rule; every breach is printed with its place.
pub fn check() -> Result<()> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let files = output(Command::new("git").args(list).current_dir(root()))?;
    let mut count = 0;
    for file in files.split_terminator('\0') {
        let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
        let path = root().join(file);
        // A file that has been deleted stays in the list until that is committed.
        if !TEXTS.contains(&extension) || !path.exists() {
            continue;
        }
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {file}"))?;
        for (line, breach) in breaches(&text, extension == "rs") {
            println!("{file}:{line}: {breach}");
            count += 1;
        }
    }
    match count {
        0 => Ok(()),
        1 => bail!("a rule is broken"),
        count => bail!("rules are broken in {count} places"),
    }
}

/// The rules that a text breaks, with the line numbers.
fn breaches(text: &str, is_rust: bool) -> Vec<(usize, &'static str)> {
    let mut breaches = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.contains('\t') {
            breaches.push((index + 1, "a tab"));
        }
        if line.ends_with(char::is_whitespace) {
            breaches.push((index + 1, "a space at the end of the line"));
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        breaches.push((text.lines().count(), "no line break at the end of the file"));
    }
    if is_rust {
        rust_breaches(text, &mut breaches);
    }
    breaches
}

fn rust_breaches(text: &str, breaches: &mut Vec<(usize, &'static str)>) {
    if !text.starts_with("//!") {
        breaches.push((1, "does not begin with `//!`: what is this file for?"));
    }
    if text.lines().count() > MOST_LINES && !text.lines().any(|line| line.starts_with(LONG_BECAUSE)) {
        breaches.push((MOST_LINES + 1, "too long: make it two, or add a line `//! Long because ...`"));
    }
    let lines: Vec<_> = text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        let Some(attribute) = attribute(line) else { continue };
        if attribute.starts_with("ignore") {
            breaches.push((index + 1, "an ignored test: make it run, or remove it"));
        } else if attribute.starts_with("should_panic") {
            breaches.push((index + 1, "a test that should panic: assert on an error instead"));
        } else if attribute.starts_with("allow(") && !has_reason(&lines[index..]) {
            breaches.push((index + 1, "`allow` without a reason: say `expect(..., reason = \"...\")`"));
        } else if attribute.starts_with("expect(") && !has_reason(&lines[index..]) {
            breaches.push((index + 1, "`expect` without a reason"));
        }
    }
}

/// What is inside the brackets of the attribute that begins in this line.
fn attribute(line: &str) -> Option<&str> {
    let line = line.trim_start();
    line.strip_prefix("#[").or_else(|| line.strip_prefix("#!["))
}

/// True if the attribute that begins in the first of these lines gives a reason.
fn has_reason(lines: &[&str]) -> bool {
    let end = lines.iter().position(|line| line.contains(")]")).unwrap_or(0);
    lines[..=end].iter().any(|line| line.contains("reason ="))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<(usize, &'static str)> {
        breaches(text, true)
    }

    fn one(text: &str, line: usize, part: &str) {
        let told = told(text);
        assert!(matches!(told[..], [(at, what)] if at == line && what.contains(part)), "{told:?}");
    }

    #[test]
    fn a_tidy_file_passes() {
        let text = "//! Purpose.\n\n#[expect(dead_code, reason = \"tests only\")]\nfn f() {}\n";
        assert_eq!(told(text), []);
        let wrapped = "//! Purpose.\n#![expect(\n    unsafe_code,\n    reason = \"calls Windows\"\n)]\n";
        assert_eq!(told(wrapped), []);
    }

    #[test]
    fn each_rule_is_told_with_its_line() {
        one("fn f() {}\n", 1, "//!");
        one("//! P.\n\tfn f() {}\n", 2, "tab");
        one("//! P.\nfn f() {} \n", 2, "space at the end");
        one("//! P.\nfn f() {}", 2, "line break");
        one("//! P.\n#[ignore = \"slow\"]\nfn f() {}\n", 2, "ignored");
        one("//! P.\n    #[should_panic]\nfn f() {}\n", 2, "should panic");
        one("//! P.\n#![allow(dead_code)]\n", 2, "`allow` without");
        one("//! P.\n#[expect(dead_code)]\nfn f() {} // reason = none\n", 2, "`expect` without");
    }

    #[test]
    fn a_long_file_has_to_say_why() {
        let long = format!("//! P.\n{}", "fn f() {}\n".repeat(MOST_LINES));
        one(&long, MOST_LINES + 1, "too long");
        let excused = long.replacen("//! P.\n", "//! P.\n//! Long because it is a table.\n", 1);
        assert_eq!(told(&excused), []);
    }

    #[test]
    fn other_texts_need_no_purpose() {
        assert_eq!(breaches("key = 1\n", false), []);
        assert_eq!(breaches("a\tb\n", false), [(1, "a tab")]);
    }
}
