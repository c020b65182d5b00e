//! Arguments in one line, which the C run-time library, and Rust's, take apart into the same arguments.

const SPACE: u16 = b' ' as u16;
const QUOTE: u16 = b'"' as u16;
const BACKSLASH: u16 = b'\\' as u16;

/// The line of arguments in UTF-16.
pub fn command_line(arguments: impl IntoIterator<Item = impl IntoIterator<Item = u16>>) -> Vec<u16> {
    let mut line = Vec::new();
    for argument in arguments {
        if !line.is_empty() {
            line.push(SPACE);
        }
        append_quoted(&mut line, argument);
    }
    line
}

/// Appends an argument in quotes. Backslashes stand for themselves but before a quote, where each is written twice:
/// <https://learn.microsoft.com/cpp/c-language/parsing-c-command-line-arguments>.
fn append_quoted(line: &mut Vec<u16>, argument: impl IntoIterator<Item = u16>) {
    line.push(QUOTE);
    let mut backslashes = 0;
    for unit in argument {
        if unit == QUOTE {
            line.extend(std::iter::repeat_n(BACKSLASH, backslashes + 1));
        }
        backslashes = if unit == BACKSLASH { backslashes + 1 } else { 0 };
        line.push(unit);
    }
    line.extend(std::iter::repeat_n(BACKSLASH, backslashes));
    line.push(QUOTE);
}
