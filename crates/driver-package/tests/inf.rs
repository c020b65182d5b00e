//! Reading and stamping an INF.

mod fixture;

use driver_package::inf::{DriverVer, Entry, Inf, NotStamped, stamp, version};
use driver_package::layout::Architecture;
use proptest::prelude::*;

/// The lines of the section `[S]`: where each is, its key, and its values.
fn lines(text: &str) -> Vec<(usize, Option<String>, Vec<String>)> {
    let inf = Inf::parse(format!("[S]\n{text}").as_bytes());
    let section = inf.section("s").expect("the section is there");
    section.entries.iter().map(|entry| (entry.line, entry.key.clone(), entry.values.clone())).collect()
}

/// Reads one line, which is a key and values, or only values.
#[track_caller]
fn check(line: &str, key: Option<&str>, values: &[&str]) {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    assert_eq!(lines(line), [(2, key.map(str::to_owned), values)], "{line}");
}

#[test]
fn a_line_is_values_or_a_key_with_values() {
    check("a = b", Some("a"), &["b"]);
    check("  a=b , c ,d  ", Some("a"), &["b", "c", "d"]);
    check("a =", Some("a"), &[]);
    check("a", None, &["a"]);
    check("a, b", None, &["a", "b"]);
    check("a,, b,", None, &["a", "", "b", ""]);
    check("HKR,, Name,, x=y", None, &["HKR", "", "Name", "", "x=y"]);
    check("a = b = c", Some("a"), &["b = c"]);
}

#[test]
fn quotes_keep_blanks_commas_and_semicolons() {
    check(r#"a = " b, c; = ""#, Some("a"), &[" b, c; = "]);
    check(r#"a = "b ""c"" d""#, Some("a"), &[r#"b "c" d"#]);
    check(r#"a = b" c "d"#, Some("a"), &["b c d"]);
    check(r#""a b" = c"#, Some("a b"), &["c"]);
    check(r#"a = """#, Some("a"), &[]);
    check(r#"a = "b"#, Some("a"), &["b"]);
    check(r#"a = "" , b"#, Some("a"), &["", "b"]);
}

#[test]
fn a_comment_says_nothing() {
    check("a = b ; c", Some("a"), &["b"]);
    check("a = b;c = d", Some("a"), &["b"]);
    assert_eq!(lines("; a = b\n   ;\n\n \t"), []);
}

#[test]
fn a_backslash_at_the_end_goes_on_with_the_next_line() {
    check("a = b,\\\n  c, \\ ; comment\r\n d", Some("a"), &["b", "c", "d"]);
    check("a = b\\c, d\\", Some("a"), &["b\\c", "d"]);
    check("a = \"b\\\"", Some("a"), &["b\\"]);
    let two = lines("a = b, \\\n c\nd = e");
    assert_eq!(two.iter().map(|(line, ..)| *line).collect::<Vec<_>>(), [2, 4]);
}

#[test]
fn a_section_that_occurs_twice_is_one() {
    let inf = Inf::parse(b"lost = 1\n[A]\na = 1\n[b]\nb = 2\n [a] ; again\nc = 3\n");
    let names: Vec<(&str, usize)> =
        inf.sections().iter().map(|section| (section.name.as_str(), section.line)).collect();
    assert_eq!(names, [("A", 2), ("b", 4)]);
    let section = inf.section("a").expect("it is there");
    assert_eq!(section.entries.len(), 2);
    assert_eq!(section.entry("C").map(|entry| entry.value(0)), Some("3"));
    assert_eq!(section.entry("b"), None);
    assert_eq!(inf.section("c"), None);
}

#[test]
fn a_value_that_is_not_there_is_empty() {
    let entry = Entry { line: 1, key: None, values: vec!["a".to_owned()] };
    assert_eq!((entry.value(0), entry.value(1)), ("a", ""));
}

#[test]
fn names_between_percent_signs_stand_for_strings() {
    let inf = Inf::parse(b"[Strings]\nName = \"A  B\"\nEmpty =\nOther = %Name%\n");
    let check = |text, expected: &str| assert_eq!(inf.expand(text), expected, "{text}");
    check("%name%", "A  B");
    check("<%NAME%>%empty%.", "<A  B>.");
    check("%13%\\x64", "%13%\\x64");
    check("100%%", "100%");
    check("%%name%%", "%name%");
    check("50% or 60", "50% or 60");
    check("%unknown% %name%", "%unknown% A  B");
    // What a string stands for is not looked at again.
    check("%other%", "%Name%");
}

/// An INF in several encodings.
fn encodings(text: &str) -> [Vec<u8>; 3] {
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    [
        text.as_bytes().to_vec(),
        [b"\xEF\xBB\xBF", text.as_bytes()].concat(),
        [b"\xFF\xFE", &utf16[..]].concat(),
    ]
}

#[test]
fn utf_8_and_utf_16_and_code_pages_are_read() {
    for bytes in encodings("[Version]\r\nProvider = \"M\u{fc}ller\"\r\nDriverVer = 01/02/2026 , 1.2.3.4\r\n")
    {
        let inf = Inf::parse(&bytes);
        assert_eq!(inf.provider().as_deref(), Some("M\u{fc}ller"));
        let driver_ver = DriverVer { date: "01/02/2026".to_owned(), version: "1.2.3.4".to_owned() };
        assert_eq!(inf.driver_ver(), Some(driver_ver));
    }
    let latin = Inf::parse(b"[Version]\nProvider = M\xFCller\n");
    assert_eq!(latin.provider().as_deref(), Some("M\u{fc}ller"));
}

#[test]
fn what_is_not_there_is_none() {
    let empty = Inf::parse(b"");
    assert_eq!((empty.provider(), empty.driver_ver(), empty.hardware_ids()), (None, None, Vec::new()));
    let dated = Inf::parse(b"[version]\nDriverVer = 01/02/2026\n");
    assert_eq!(dated.driver_ver().map(|driver_ver| driver_ver.version).as_deref(), Some(""));
}

const MODELS: &str = r#"[Manufacturer]
%A% = Ones, NTx86, NTamd64.10.0...19041
%B% = Twos
[Ones.NTx86]
"One" = Install, PCI\VEN_1, , ROOT\One
[Ones.NTamd64.10.0...19041]
"One" = Install, pci\ven_1, %Id%
[Twos]
"Two" = Install, *Two
[Ones.NTarm64]
"Not named" = Install, ROOT\Three
[Strings]
Id = ROOT\Four
"#;

#[test]
fn hardware_identifiers_are_those_of_all_models_that_are_named() {
    let inf = Inf::parse(MODELS.as_bytes());
    assert_eq!(inf.hardware_ids(), [r"PCI\VEN_1", r"ROOT\One", r"ROOT\Four", "*Two"]);
}

#[test]
fn an_inf_has_drivers_for_the_processors_whose_models_it_names() {
    let inf = Inf::parse(MODELS.as_bytes());
    assert!(inf.has_drivers_for(Architecture::X64));
    assert!(!inf.has_drivers_for(Architecture::Arm64));
    let missing = Inf::parse(b"[Manufacturer]\nA = Ones, NTarm64\n[Ones.NTamd64]\n");
    assert!(!missing.has_drivers_for(Architecture::Arm64));
}

#[test]
fn the_inf_of_this_project_is_found_by_its_provider_and_its_device() {
    let inf = Inf::parse(&fixture::inf());
    assert_eq!(inf.provider().as_deref(), Some("Scream in Rust"));
    assert_eq!(inf.hardware_ids(), [r"ROOT\Scream"]);
    assert!(Architecture::ALL.iter().all(|architecture| inf.has_drivers_for(*architecture)));
}

#[test]
fn a_version_has_four_numbers() {
    assert_eq!(version("0.1.0").as_deref(), Ok("0.1.0.0"));
    assert_eq!(version("1.2.3-beta.4").as_deref(), Ok("1.2.3.0"));
    assert_eq!(version("65535.0.7.9").as_deref(), Ok("65535.0.7.9"));
    for wrong in ["", "1.x", "1.2.3.4.5", "65536.0.0", "1..2", "-1"] {
        assert_eq!(version(wrong), Err(NotStamped::Version(wrong.to_owned())), "{wrong}");
    }
    assert_eq!(
        version("1.x").unwrap_err().to_string(),
        "1.x cannot be a driver's version: accepted are up to four numbers below 65536"
    );
}

/// 12 February 2026, 23:59:59.
const DATE: u64 = 1_770_940_799;

#[test]
fn a_stamp_changes_nothing_but_the_date_and_the_version() {
    let around = |line: &str| {
        format!("; DriverVer = 1\r\n[Version]\r\nClass = MEDIA\r\n{line}\r\n[A]\r\nDriverVer = 2\r\n")
    };
    let text = around(" driverver   = 11/22/2020,0.0.0.1 ; old");
    assert_eq!(stamp(&text, "2.3", DATE), Ok(around(" driverver   = 02/12/2026,2.3.0.0")));
    assert_eq!(
        stamp("[Version]\nDriverVer=", "2.3", DATE).as_deref(),
        Ok("[Version]\nDriverVer=02/12/2026,2.3.0.0")
    );
}

#[test]
fn a_stamp_needs_a_place_and_a_version() {
    assert_eq!(stamp("[A]\nDriverVer = 1\n[Version]\n", "1.0", DATE), Err(NotStamped::NoDriverVer));
    assert_eq!(stamp("[Version]\nDriverVer = 1\n", "one", DATE), Err(NotStamped::Version("one".to_owned())));
    assert_eq!(stamp("[Version]\nDriverVer = 1\n", "1.0", u64::MAX), Err(NotStamped::Date));
}

#[test]
fn the_inf_of_this_project_can_be_stamped_and_still_keeps_to_the_rules() {
    let text = String::from_utf8(fixture::inf()).expect("it is text");
    let stamped = stamp(&text, "7.8.9", DATE).expect("it is stamped");
    let driver_ver = DriverVer { date: "02/12/2026".to_owned(), version: "7.8.9.0".to_owned() };
    assert_eq!(Inf::parse(stamped.as_bytes()).driver_ver(), Some(driver_ver));
    assert_eq!(driver_package::inf::rules::findings(stamped.as_bytes()), []);
    // With the line ends of Windows, as it is packed.
    let packed = stamped.replace('\n', "\r\n");
    assert_eq!(driver_package::inf::rules::findings(packed.as_bytes()), []);
    assert_eq!(Inf::parse(packed.as_bytes()), Inf::parse(stamped.as_bytes()));
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_or_the_rules_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let inf = Inf::parse(&bytes);
        let _ = (inf.provider(), inf.driver_ver(), inf.hardware_ids());
        let findings = driver_package::inf::rules::findings(&bytes);
        prop_assert!(!findings.is_empty(), "noise is no INF");
    }

    #[test]
    fn text_of_the_characters_that_mean_something_is_read_in_whole_lines(text in "[a-b%\"\\\\,;=\\[\\] \r\n]{0,80}") {
        let inf = Inf::parse(text.as_bytes());
        let lines = text.lines().count();
        for section in inf.sections() {
            prop_assert!((1..=lines).contains(&section.line));
            for entry in &section.entries {
                prop_assert!((section.line..=lines).contains(&entry.line));
                prop_assert!(entry.key.is_some() || !entry.values.is_empty());
                for value in &entry.values {
                    prop_assert!(inf.expand(value).len() <= 80 * 80);
                }
            }
        }
    }

    #[test]
    fn a_changed_inf_is_read_and_judged(at in 0..fixture::inf().len(), byte in any::<u8>()) {
        let mut bytes = fixture::inf();
        bytes[at] = byte;
        let findings = driver_package::inf::rules::findings(&bytes);
        let lines = bytes.split(|byte| *byte == b'\n').count();
        prop_assert!(findings.iter().all(|finding| finding.line <= lines));
    }
}
