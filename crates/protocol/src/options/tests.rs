//! Every rule of the options, with exact values.

use core::net::Ipv4Addr;
use std::borrow::ToOwned;
use std::string::String;
use std::vec::Vec;
use std::{format, vec};

use super::*;

const SZ: u32 = 1;
const EXPAND_SZ: u32 = 2;
const BINARY: u32 = 3;
const DWORD: u32 = 4;
const MULTI_SZ: u32 = 7;
const QWORD: u32 = 11;

/// What a registry has under a name.
enum Kept {
    Unreadable,
    TooLong,
    Value(u32, Vec<u8>),
}

/// A registry, and the names that it was asked for.
#[derive(Default)]
struct Values {
    values: Vec<(&'static Description, Kept)>,
    asked: Vec<&'static CStr>,
}

impl Registry for Values {
    fn read(&mut self, option: &'static Description) -> Stored<'_> {
        self.asked.push(option.name);
        match self.values.iter().find(|(name, _)| *name == option) {
            None => Stored::Missing,
            Some((_, Kept::Unreadable)) => Stored::Unreadable,
            Some((_, Kept::TooLong)) => Stored::TooLong,
            Some((_, Kept::Value(kind, data))) => Stored::Value { kind: *kind, data },
        }
    }
}

fn read(values: Vec<(&'static Description, Kept)>) -> (Options, Vec<Refusal>) {
    let mut refusals = Vec::new();
    let mut values = Values { values, ..Values::default() };
    (Options::read(&mut values, &mut |refusal| refusals.push(refusal)), refusals)
}

/// These values, all of which must be taken.
#[track_caller]
fn taken(values: Vec<(&'static Description, Kept)>) -> Options {
    let (options, refusals) = read(values);
    assert_eq!(refusals, []);
    options
}

/// This value is refused as a whole, and nothing changes.
#[track_caller]
fn refused(option: &'static Description, value: Kept, reason: &'static CStr) {
    let (options, refusals) = read(vec![(option, value)]);
    assert_eq!(options, Options::default());
    assert_eq!(refusals, [Refusal { option, entry: 0, reason }]);
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn sz(text: &str) -> Kept {
    Kept::Value(SZ, utf16(&format!("{text}\0")))
}

fn dword(number: u32) -> Kept {
    Kept::Value(DWORD, number.to_le_bytes().to_vec())
}

fn multi_sz(texts: &[&str]) -> Kept {
    let texts: String = texts.iter().map(|text| format!("{text}\0")).collect();
    Kept::Value(MULTI_SZ, utf16(&format!("{texts}\0")))
}

/// Where a single entry of `Targets` leads.
#[track_caller]
fn target(text: &str, expected: &str) {
    let options = taken(vec![(&TARGETS, multi_sz(&[text]))]);
    assert_eq!(options.targets.as_slice(), [expected.parse().expect("an address")], "{text:?}");
}

/// A single entry of `Targets` that is refused.
#[track_caller]
fn no_target(text: &str, reason: &'static CStr) {
    let (options, refusals) = read(vec![(&TARGETS, multi_sz(&[text]))]);
    assert_eq!(options, Options::default());
    assert_eq!(refusals, [Refusal { option: &TARGETS, entry: 1, reason }], "{text:?}");
}

/// Several entries: where they lead, and which are refused.
#[track_caller]
fn targets(entries: Kept, expected: &[&str], expected_refusals: &[(u32, &'static CStr)]) {
    let (options, refusals) = read(vec![(&TARGETS, entries)]);
    let targets: Vec<String> = options.targets.as_slice().iter().map(|target| format!("{target}")).collect();
    assert_eq!(targets, expected);
    let refusals: Vec<_> = refusals.iter().map(|refusal| (refusal.entry, refusal.reason)).collect();
    assert_eq!(refusals, expected_refusals);
}

#[test]
fn without_values_the_defaults_hold() {
    let options = taken(vec![]);
    assert_eq!(options, Options::default());
    assert_eq!(options.targets.as_slice(), ["239.255.77.77:4010".parse().expect("an address")]);
    assert_eq!((options.source_v4, options.source_v6, options.interface), (None, None, None));
    assert_eq!((options.source_port, options.ttl, options.silence_threshold), (0, None, 0));
    assert_eq!((options.continuous, options.ivshmem, options.ivshmem_fallback), (false, None, false));
}

#[test]
fn each_option_is_asked_for_once_in_the_order_of_the_descriptions() {
    let mut values = Values::default();
    Options::read(&mut values, &mut |refusal| panic!("{refusal:?}"));
    assert_eq!(values.asked, DESCRIPTIONS.map(|option| option.name));
}

#[test]
fn names_are_plain_and_differ_even_if_case_does_not_count() {
    let mut names = DESCRIPTIONS.map(|option| option.name.to_str().expect("text").to_ascii_lowercase());
    names.sort();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    assert!(names.iter().all(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric())));
}

#[test]
fn what_the_registry_cannot_give_is_refused_by_name() {
    for option in DESCRIPTIONS {
        refused(option, Kept::Unreadable, c"cannot be read");
        refused(option, Kept::TooLong, c"too long");
    }
}

#[test]
fn other_types_and_numbers_of_other_sizes_are_refused() {
    let number = 1_u32.to_le_bytes();
    for option in DESCRIPTIONS {
        for kind in [0, EXPAND_SZ, BINARY, 5, 6, 8, 9, 10, QWORD, 12, u32::MAX] {
            refused(option, Kept::Value(kind, number.to_vec()), c"of another type");
        }
    }
    let numbers =
        [&UNICAST_PORT, &UNICAST_SRC_PORT, &TTL, &CONTINUOUS_STREAM, &SILENCE_THRESHOLD, &USE_IVSHMEM];
    for option in numbers.into_iter().chain([&IVSHMEM_FALLBACK, &INTERFACE]) {
        for length in [0, 1, 2, 3, 5, 8] {
            refused(option, Kept::Value(DWORD, vec![1; length]), c"of another type");
        }
        refused(option, multi_sz(&["1"]), c"of another type");
    }
    for option in [&TARGETS, &UNICAST_IPV4, &UNICAST_SRC_IPV4] {
        refused(option, dword(1), c"of another type");
    }
    for option in [&UNICAST_IPV4, &UNICAST_SRC_IPV4, &INTERFACE] {
        refused(option, multi_sz(&["192.0.2.1"]), c"of another type");
    }
}

#[test]
fn a_text_ends_at_its_first_nul_or_with_the_data_and_half_a_unit_is_nothing() {
    for text in ["192.0.2.7", "192.0.2.7\0", "192.0.2.7\0\0", "192.0.2.7\0x", "192.0.2.7\x00192.0.2.8\0"] {
        for half in [&[][..], b"1", b"\0"] {
            let value = Kept::Value(SZ, [&utf16(text), half].concat());
            let options = taken(vec![(&UNICAST_IPV4, value)]);
            assert_eq!(options.targets.as_slice(), ["192.0.2.7:4010".parse().expect("an address")]);
        }
    }
}

#[test]
fn blanks_around_a_text_are_nothing() {
    for text in [" 192.0.2.7", "192.0.2.7 ", "\t\r\n 192.0.2.7 \n", "  192.0.2.7\0 x"] {
        let options = taken(vec![(&UNICAST_SRC_IPV4, sz(text))]);
        assert_eq!(options.source_v4, Some(Ipv4Addr::new(192, 0, 2, 7)), "{text:?}");
    }
    let blanks = " ".repeat(200);
    let options = taken(vec![(&UNICAST_SRC_IPV4, sz(&format!("{blanks}192.0.2.7{blanks}")))]);
    assert_eq!(options.source_v4, Some(Ipv4Addr::new(192, 0, 2, 7)));
}

#[test]
fn a_text_that_is_no_ipv4_address_is_refused() {
    let texts =
        ["", " ", "192.0.2", "192.0.2.256", "192.0.2.07", "192.0.2.7.1", "192.0. 2.7", "192.0.2.7:1", "::1"];
    let others =
        ["somewhere.example", "１92.0.2.7", "192\u{12e}0.2.7", "\u{a0}192.0.2.7", "+1.2.3.4", "0x1.2.3.4"];
    for option in [&UNICAST_IPV4, &UNICAST_SRC_IPV4] {
        for text in texts.into_iter().chain(others) {
            refused(option, sz(text), c"not an address");
        }
        refused(option, sz(&"1".repeat(500)), c"not an address");
        refused(option, Kept::Value(SZ, vec![]), c"not an address");
        refused(option, Kept::Value(SZ, vec![b'1']), c"not an address");
        refused(option, Kept::Value(SZ, vec![0xFF; 1024]), c"not an address");
    }
}

#[test]
fn the_only_target_may_be_a_group_but_not_everybody_nor_nobody() {
    let target = |text| taken(vec![(&UNICAST_IPV4, sz(text))]).targets;
    for text in ["192.0.2.7", "224.0.0.1", "239.255.255.255", "127.0.0.1", "1.0.0.0", "255.255.255.254"] {
        assert_eq!(target(text).as_slice(), [format!("{text}:4010").parse().expect("an address")]);
    }
    for text in ["0.0.0.0", "0.0.0.1", "0.255.255.255", "255.255.255.255"] {
        refused(&UNICAST_IPV4, sz(text), c"no address that can be sent to");
    }
}

#[test]
fn address_and_port_of_the_only_target_hold_one_without_the_other() {
    let only = |values| format!("{:?}", taken(values).targets);
    assert_eq!(only(vec![(&UNICAST_PORT, dword(1))]), "[239.255.77.77:1]");
    assert_eq!(only(vec![(&UNICAST_PORT, dword(65_535))]), "[239.255.77.77:65535]");
    let both = vec![(&UNICAST_IPV4, sz("192.0.2.7")), (&UNICAST_PORT, dword(5000))];
    assert_eq!(only(both), "[192.0.2.7:5000]");
    let (options, refusals) = read(vec![(&UNICAST_IPV4, sz("192.0.2")), (&UNICAST_PORT, dword(5000))]);
    assert_eq!(format!("{:?}", options.targets), "[239.255.77.77:5000]");
    assert_eq!(refusals.len(), 1);
    for port in [0, 65_536, u32::MAX] {
        refused(&UNICAST_PORT, dword(port), c"out of range");
    }
}

#[test]
fn every_form_of_a_target_is_taken() {
    target("192.0.2.7", "192.0.2.7:4010");
    target("192.0.2.7:1", "192.0.2.7:1");
    target("192.0.2.7:65535", "192.0.2.7:65535");
    target(" 192.0.2.7:05000\t", "192.0.2.7:5000");
    target("239.1.2.3", "239.1.2.3:4010");
    target("2001:db8::7", "[2001:db8::7]:4010");
    target("[2001:db8::7]", "[2001:db8::7]:4010");
    target("[2001:DB8::7]:5000", "[2001:db8::7]:5000");
    target("::1", "[::1]:4010");
    target("fe80::7%12", "[fe80::7%12]:4010");
    target("[fe80::7%12]", "[fe80::7%12]:4010");
    target("[fe80::7%16777215]:5000", "[fe80::7%16777215]:5000");
    target("64:ff9b::192.0.2.7", "[64:ff9b::c000:207]:4010");
    target("multicast", "239.255.77.77:4010");
    target("Multicast:5000", "239.255.77.77:5000");
    target("multicast6", "[ff15::efff:4d4d]:4010");
    target("MULTICAST6:5000", "[ff15::efff:4d4d]:5000");
}

#[test]
fn the_longest_target_is_taken_eight_times() {
    let longest: Vec<String> = (100..108)
        .map(|last| format!("[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.{last}%16777215]:65535"))
        .collect();
    let entries: Vec<&str> = longest.iter().map(String::as_str).collect();
    let value = multi_sz(&entries);
    assert!(matches!(&value, Kept::Value(_, data) if data.len() == 1010));
    let options = taken(vec![(&TARGETS, value)]);
    assert_eq!(options.targets.as_slice().len(), 8);
    let last = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff6b%16777215]:65535";
    assert_eq!(options.targets.as_slice()[7], last.parse().expect("an address"));
}

#[test]
fn a_target_without_an_address_is_refused() {
    for text in
        ["192.0.2", "192.0.2.7%5", "somewhere", "multicast7", "multicast6%5", "[multicast6]", "[192.0.2.7]:1"]
    {
        no_target(text, c"not an address");
    }
    for text in
        [":4010", "[]", "[]:1", "[::1", "[::1]5000", "[::1]]", "::1]", "[[::1]]", "192.0.2.7,192.0.2.8"]
    {
        no_target(text, c"not an address");
    }
    for text in [" ", "1:2:3", ":::", "1::2::3", "12345::", "g::", "1.2.3.4::", "[ ::1]", "[::1]x"] {
        no_target(text, c"not an address");
    }
}

#[test]
fn a_target_with_a_wrong_port_is_refused() {
    for port in ["", "0", "65536", "4294967296", "99999999999", "-1", "+1", " 1", "0x1", "port"] {
        for address in ["192.0.2.7", "multicast", "multicast6", "[::1]"] {
            no_target(&format!("{address}:{port}"), c"no port from 1 to 65535");
        }
    }
    no_target("[::1]:1:", c"no port from 1 to 65535");
}

#[test]
fn a_target_of_a_wrong_interface_is_refused() {
    for interface in ["", "0", "16777216", "4294967301", "eth0", "+5", "-5", " 5", "5%5"] {
        no_target(&format!("fe80::1%{interface}"), c"no interface index from 1 to 16777215");
        no_target(&format!("[fe80::1%{interface}]:1"), c"no interface index from 1 to 16777215");
    }
}

#[test]
fn a_target_that_cannot_be_sent_to_is_refused() {
    for text in ["0.0.0.0", "0.1.2.3:5000", "255.255.255.255", "255.255.255.255:1"] {
        no_target(text, c"no address that can be sent to");
    }
    for text in ["::", "[::]:1", "::%5", "::ffff:192.0.2.7", "[::ffff:192.0.2.7]:1"] {
        no_target(text, c"no address that can be sent to");
    }
}

#[test]
fn a_wrong_entry_costs_only_itself() {
    targets(
        multi_sz(&["x", "192.0.2.1", "192.0.2.2:0", "192.0.2.2", "::"]),
        &["192.0.2.1:4010", "192.0.2.2:4010"],
        &[(1, c"not an address"), (3, c"no port from 1 to 65535"), (5, c"no address that can be sent to")],
    );
}

#[test]
fn without_a_usable_entry_the_only_target_holds() {
    let (options, refusals) = read(vec![
        (&TARGETS, multi_sz(&["x", "y"])),
        (&UNICAST_IPV4, sz("192.0.2.7")),
        (&UNICAST_PORT, dword(1)),
    ]);
    assert_eq!(format!("{:?}", options.targets), "[192.0.2.7:1]");
    assert_eq!(refusals.iter().map(|refusal| refusal.entry).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn with_a_usable_entry_the_only_target_is_not_looked_at() {
    let values = vec![
        (&TARGETS, multi_sz(&["192.0.2.1"])),
        (&UNICAST_IPV4, Kept::Unreadable),
        (&UNICAST_PORT, dword(0)),
    ];
    assert_eq!(format!("{:?}", taken(values).targets), "[192.0.2.1:4010]");
}

#[test]
fn the_same_target_twice_is_refused_however_it_is_written() {
    targets(
        multi_sz(&["239.255.77.77", "multicast:4010", "[::1]:4010", "0:0::1", "192.0.2.1:1", "192.0.2.1:2"]),
        &["239.255.77.77:4010", "[::1]:4010", "192.0.2.1:1", "192.0.2.1:2"],
        &[(2, c"a duplicate"), (4, c"a duplicate")],
    );
}

#[test]
fn of_more_than_eight_targets_the_first_eight_hold_and_one_refusal_says_so() {
    let good: Vec<String> = (1..=20).map(|last| format!("192.0.2.{last}")).collect();
    let mut entries: Vec<&str> = good.iter().map(String::as_str).collect();
    entries.insert(2, "x");
    let expected: Vec<String> = (1..=8).map(|last| format!("192.0.2.{last}:4010")).collect();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    let too_many = c"more than 8, this one and those after it are not used";
    targets(multi_sz(&entries), &expected, &[(3, c"not an address"), (10, too_many)]);
    targets(multi_sz(&entries[..9]), &expected, &[(3, c"not an address")]);
}

#[test]
fn a_list_ends_with_its_first_empty_text_or_with_the_data() {
    let list = |text: &str, half: &[u8]| Kept::Value(MULTI_SZ, [&utf16(text), half].concat());
    for text in [
        "192.0.2.1\x00192.0.2.2",
        "192.0.2.1\x00192.0.2.2\0",
        "192.0.2.1\x00192.0.2.2\0\0",
        "192.0.2.1\x00192.0.2.2\0\0::1\0",
    ] {
        for half in [&[][..], b"1", b"\0"] {
            targets(list(text, half), &["192.0.2.1:4010", "192.0.2.2:4010"], &[]);
        }
    }
}

#[test]
fn a_list_without_texts_is_refused_as_empty() {
    for data in [vec![], vec![0], vec![0, 0], vec![0; 4], vec![b'1'], utf16("\x00192.0.2.1\0\0")] {
        for kind in [SZ, MULTI_SZ] {
            refused(&TARGETS, Kept::Value(kind, data.clone()), c"empty");
        }
    }
}

#[test]
fn a_single_text_is_a_list_of_one() {
    targets(sz("192.0.2.1:5000"), &["192.0.2.1:5000"], &[]);
    targets(Kept::Value(SZ, utf16("192.0.2.1\x00192.0.2.2\0\0")), &["192.0.2.1:4010"], &[]);
    targets(sz("192.0.2.1 192.0.2.2"), &["239.255.77.77:4010"], &[(1, c"not an address")]);
}

#[test]
fn an_interface_is_an_index_or_an_address() {
    let of = |value| {
        let options = taken(vec![(&INTERFACE, value)]);
        (options.source_v4, options.source_v6, options.interface.map(NonZeroU32::get))
    };
    let v6 = |text: &str| Some(text.parse().expect("an address"));
    assert_eq!(of(dword(1)), (None, None, Some(1)));
    assert_eq!(of(dword(0x00FF_FFFF)), (None, None, Some(0x00FF_FFFF)));
    assert_eq!(of(sz("192.0.2.7")), (Some(Ipv4Addr::new(192, 0, 2, 7)), None, None));
    assert_eq!(of(sz("2001:db8::7")), (None, v6("2001:db8::7"), None));
    assert_eq!(of(sz(" fe80::7%12 ")), (None, v6("fe80::7"), Some(12)));
}

#[test]
fn an_interface_that_cannot_be_is_refused() {
    for index in [0, 0x0100_0000, u32::MAX] {
        refused(&INTERFACE, dword(index), c"no interface index from 1 to 16777215");
    }
    for text in ["", "7", "Ethernet", "192.0.2.7:1", "192.0.2.7%5", "[fe80::7]", "multicast"] {
        refused(&INTERFACE, sz(text), c"not an address");
    }
    for text in ["fe80::7%", "fe80::7%0", "fe80::7%16777216", "fe80::7%Ethernet"] {
        refused(&INTERFACE, sz(text), c"no interface index from 1 to 16777215");
    }
    for text in ["0.0.0.0", "0.0.0.5", "255.255.255.255", "224.0.0.1", "239.255.77.77"] {
        refused(&INTERFACE, sz(text), c"no address that can be sent from");
        refused(&UNICAST_SRC_IPV4, sz(text), c"no address that can be sent from");
    }
    for text in ["::", "ff02::1", "ff15::efff:4d4d%5", "::ffff:192.0.2.7"] {
        refused(&INTERFACE, sz(text), c"no address that can be sent from");
    }
}

#[test]
fn an_interface_that_is_an_ipv4_address_goes_before_the_source_address() {
    let source = |interface| {
        let options = taken(vec![(&INTERFACE, interface), (&UNICAST_SRC_IPV4, sz("192.0.2.7"))]);
        options.source_v4.map(|address| address.octets())
    };
    assert_eq!(source(sz("192.0.2.8")), Some([192, 0, 2, 8]));
    assert_eq!(source(dword(5)), Some([192, 0, 2, 7]));
    assert_eq!(source(sz("::1")), Some([192, 0, 2, 7]));
    let values = vec![(&INTERFACE, sz("192.0.2.8")), (&UNICAST_SRC_IPV4, Kept::Unreadable)];
    assert_eq!(taken(values).source_v4.map(|address| address.octets()), Some([192, 0, 2, 8]));
    let (options, refusals) = read(vec![(&INTERFACE, sz("x")), (&UNICAST_SRC_IPV4, sz("192.0.2.7"))]);
    assert_eq!(options.source_v4.map(|address| address.octets()), Some([192, 0, 2, 7]));
    assert_eq!(refusals.len(), 1);
}

#[test]
fn numbers_are_taken_within_their_ranges() {
    let of = |option, number| taken(vec![(option, dword(number))]);
    for port in [0, 1, 4010, 65_535] {
        assert_eq!(u32::from(of(&UNICAST_SRC_PORT, port).source_port), port);
    }
    for ttl in [1, 64, 255] {
        assert_eq!(of(&TTL, ttl).ttl.map(|ttl| u32::from(ttl.get())), Some(ttl));
    }
    for threshold in [0, 1, 10_000, u32::MAX] {
        assert_eq!(of(&SILENCE_THRESHOLD, threshold).silence_threshold, threshold);
    }
    for mib in [1, 16, 1_048_576] {
        assert_eq!(of(&USE_IVSHMEM, mib).ivshmem.map(NonZeroU32::get), Some(mib));
    }
    assert_eq!(of(&USE_IVSHMEM, 0).ivshmem, None);
    assert!(of(&CONTINUOUS_STREAM, 1).continuous && !of(&CONTINUOUS_STREAM, 0).continuous);
    assert!(of(&IVSHMEM_FALLBACK, 1).ivshmem_fallback && !of(&IVSHMEM_FALLBACK, 0).ivshmem_fallback);
}

#[test]
fn numbers_outside_their_ranges_are_refused() {
    let cases = [
        (&UNICAST_SRC_PORT, [65_536, u32::MAX]),
        (&TTL, [0, 256]),
        (&CONTINUOUS_STREAM, [2, u32::MAX]),
        (&IVSHMEM_FALLBACK, [2, u32::MAX]),
        (&USE_IVSHMEM, [1_048_577, u32::MAX]),
    ];
    for (option, numbers) in cases {
        for number in numbers {
            refused(option, dword(number), c"out of range");
        }
    }
}

#[test]
fn a_continuous_stream_has_no_threshold_of_silence() {
    let values = |continuous, threshold| {
        read(vec![(&CONTINUOUS_STREAM, dword(continuous)), (&SILENCE_THRESHOLD, dword(threshold))])
    };
    let (options, refusals) = values(1, 10_000);
    assert_eq!((options.continuous, options.silence_threshold), (true, 0));
    let reason = c"not used while ContinuousStream is 1";
    assert_eq!(refusals, [Refusal { option: &SILENCE_THRESHOLD, entry: 0, reason }]);
    assert_eq!(values(1, 0).1, []);
    let (options, refusals) = values(0, 10_000);
    assert_eq!((options.continuous, options.silence_threshold), (false, 10_000));
    assert_eq!(refusals, []);
}

#[test]
fn refusals_come_in_the_order_of_the_descriptions() {
    let all = DESCRIPTIONS.map(|option| (option, Kept::TooLong));
    let (options, refusals) = read(all.into_iter().collect());
    assert_eq!(options, Options::default());
    let names: Vec<&CStr> = refusals.iter().map(|refusal| refusal.option.name).collect();
    assert_eq!(names, DESCRIPTIONS.map(|option| option.name));
}

#[test]
fn targets_are_compared_and_shown_by_what_they_are() {
    let both = |texts: &[&str]| taken(vec![(&TARGETS, multi_sz(texts))]).targets;
    assert_eq!(both(&["192.0.2.1", "::1"]), both(&["192.0.2.1:4010", "[::1]:4010"]));
    assert_ne!(both(&["192.0.2.1", "::1"]), both(&["::1", "192.0.2.1"]));
    assert_ne!(both(&["192.0.2.1"]), both(&["192.0.2.1", "192.0.2.2"]));
    assert_eq!(format!("{:?}", both(&["192.0.2.1", "::1"])), "[192.0.2.1:4010, [::1]:4010]".to_owned());
}
