//! Text as Windows has it. The code needs no Windows; it is compiled here once more.

#[path = "../../src/computer/windows/command_line.rs"]
mod command_line;
#[path = "../../src/computer/windows/wide.rs"]
mod wide;

fn utf16(text: &str) -> Vec<u16> {
    text.encode_utf16().collect()
}

#[track_caller]
fn check_line(arguments: &[&str], line: &str) {
    let arguments = arguments.iter().map(|argument| argument.encode_utf16());
    assert_eq!(String::from_utf16_lossy(&command_line::command_line(arguments)), line);
}

#[test]
fn arguments_are_quoted_so_that_they_come_apart_as_they_were() {
    check_line(&[], "");
    check_line(&["install", "--elevate"], r#""install" "--elevate""#);
    check_line(&["", "a b"], r#""" "a b""#);
    check_line(&[r"C:\Scream in Rust\"], r#""C:\Scream in Rust\\""#);
    check_line(&[r#"say "yes""#], r#""say \"yes\"""#);
    check_line(&[r#"a\"b\\"#], r#""a\\\"b\\\\""#);
    check_line(&[r"\\server\share"], r#""\\server\share""#);
}

#[test]
fn a_text_ends_at_its_first_nul_or_with_its_buffer() {
    assert_eq!(wide::text(&utf16("Scream\0rest\0")), "Scream");
    assert_eq!(wide::text(&utf16("Scream")), "Scream");
    assert_eq!(wide::text(&[]), "");
    assert_eq!(wide::text(&[0xD800, 0]), "\u{FFFD}");
}

#[test]
fn a_list_has_its_texts_whatever_empty_ones_are_between_them() {
    assert_eq!(wide::list(&utf16("a\0b\0\0")), ["a", "b"]);
    assert_eq!(wide::list(&utf16("a\0\0b")), ["a", "b"]);
    assert!(wide::list(&utf16("\0\0")).is_empty());
    assert!(wide::list(&[]).is_empty());
}

#[test]
fn a_value_of_an_odd_number_of_bytes_loses_the_last() {
    assert_eq!(wide::units(&[0x41, 0, 0x42, 0, 0x43]), utf16("AB"));
    assert!(wide::units(&[0x41]).is_empty());
}

#[test]
fn a_list_of_one_is_ended_twice() {
    assert_eq!(wide::list_of_one("AB"), [0x41, 0, 0x42, 0, 0, 0, 0, 0]);
}
