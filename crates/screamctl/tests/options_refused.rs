//! `screamctl options`: what is refused, in one line, with nothing half done.

mod fake;

use fake::{FakeComputer, FakeConsole, dword, texts};
use screamctl::computer::{Interface, StoredValue};

const UNELEVATED: &str = "error: this needs an administrator's rights: \
    start it from a command prompt that was opened with \"Run as administrator\"\n";
const ADMINISTRATOR: &str = "start it from a command prompt that was opened with \"Run as administrator\"";

const ADDRESS_V4: &str = "REG_SZ, an IPv4 address such as 192.168.1.20";
const OWN_V4: &str = "REG_SZ, an IPv4 address of this computer";
const PORT: &str = "REG_DWORD, from 1 to 65535";
const OWN_PORT: &str = "REG_DWORD, from 1 to 65535, or 0 for any";
const INTERFACE: &str = "REG_DWORD, an index from 1 to 16777215, or REG_SZ, an address of the interface";
const TTL: &str = "REG_DWORD, from 1 to 255";
const FLAG: &str = "REG_DWORD, 0 or 1";
const SAMPLES: &str = "REG_DWORD, samples of each channel, or 0 for never";
const SIZE: &str = "REG_DWORD, size in MiB from 1 to 1048576, or 0 for the network";
const TARGETS: &str =
    "REG_MULTI_SZ, 1 to 8 of ADDRESS, ADDRESS:PORT or [IPV6]:PORT, ADDRESS may be multicast or multicast6";

fn some_options() -> Vec<StoredValue> {
    vec![texts("Targets", &["10.0.0.1"]), dword("TTL", 8), dword("UseIVSHMEM", 2), dword("Volume", 1)]
}

fn computer() -> FakeComputer {
    let mut computer = FakeComputer::with_scream();
    computer.state.options = some_options();
    computer
}

/// The options that are stored, in the order of their names.
fn stored(computer: &FakeComputer) -> Vec<StoredValue> {
    let mut options = computer.state.options.clone();
    options.sort_by(|a, b| a.name.cmp(&b.name));
    options
}

/// Runs `screamctl options` with these arguments; it must fail. Returns the error.
fn refused(computer: &mut FakeComputer, arguments: &[&str]) -> String {
    let mut console = FakeConsole::new();
    let code = computer.screamctl(&mut console, &[&["options"], arguments].concat());
    assert_eq!((code, &console.out[..]), (1, ""), "{arguments:?}");
    console.err
}

#[test]
fn a_wrong_value_is_refused_for_the_reason_that_the_driver_has() {
    let numbers: [(&str, &str, &[&str], &[&str]); 7] = [
        (
            "UnicastPort",
            PORT,
            &["0", "65536", "4294967296", "-1", "0x10000"],
            &["4010.0", "port", "0x", "", "+1", "4 010"],
        ),
        (
            "UnicastSrcPort",
            OWN_PORT,
            &["65536", "-4010", "99999999999999999999"],
            &["any", "0xg", "-", "1e3"],
        ),
        ("TTL", TTL, &["0", "256", "300", "-8"], &["abc", "8 9", "0x-8", "eight"]),
        ("ContinuousStream", FLAG, &["2", "-1"], &["yes", "true", "on"]),
        ("SilenceThreshold", SAMPLES, &["4294967296", "-100"], &["10 000", "1,000", "never"]),
        ("UseIVSHMEM", SIZE, &["1048577", "2097152"], &["2M", "2 MiB", "0x2h"]),
        ("IVSHMEMFallback", FLAG, &["2", "0xffffffff"], &["no", "\""]),
    ];
    for (name, accepted, out_of_range, no_numbers) in numbers {
        let of = |reason: &'static str| move |value: &&'static str| (*value, reason);
        let cases = out_of_range.iter().map(of("out of range"));
        for (value, reason) in cases.chain(no_numbers.iter().map(of("not a whole number"))) {
            assert_refused(name, value, reason, accepted);
        }
    }
}

#[test]
fn a_wrong_address_is_refused_for_the_reason_that_the_driver_has() {
    let name = "UnicastIPv4";
    for value in [
        "receiver",
        "",
        "192.168.1",
        "192.168.1.20:4010",
        "2001:db8::1",
        "multicast",
        "1.2.3.4\0",
        "1.2.3.4 x",
    ] {
        assert_refused(name, value, "not an address", ADDRESS_V4);
    }
    for value in ["0.0.0.0", "255.255.255.255", "0.1.2.3"] {
        assert_refused(name, value, "no address that can be sent to", ADDRESS_V4);
    }
    let name = "UnicastSrcIPv4";
    for value in ["localhost", "", "192.168.1.10/24", "12", "0xC0A8010A"] {
        assert_refused(name, value, "not an address", OWN_V4);
    }
    for value in ["0.0.0.0", "255.255.255.255", "239.255.77.77"] {
        assert_refused(name, value, "no address that can be sent from", OWN_V4);
    }
    assert_refused(name, &"1".repeat(600), "too long", OWN_V4);
}

#[test]
fn a_wrong_interface_is_refused_for_the_reason_that_the_driver_has() {
    let name = "Interface";
    for value in ["Ethernet", "", "-1", "12.5", "fe80::xyz", "1.2.3.4\x005"] {
        assert_refused(name, value, "not an address", INTERFACE);
    }
    for value in ["0", "16777216", "0x1000000", "fe80::1%0", "fe80::1%eth0", "fe80::1%16777216"] {
        assert_refused(name, value, "no interface index from 1 to 16777215", INTERFACE);
    }
    assert_refused(name, "4294967296", "out of range", INTERFACE);
    assert_refused(name, "0x", "not a whole number", INTERFACE);
    for value in ["0.0.0.0", "224.0.0.1", "::", "ff02::1", "::ffff:1.2.3.4"] {
        assert_refused(name, value, "no address that can be sent from", INTERFACE);
    }
}

/// Tries to set an option alone and beside others, and looks at what is said and at what is stored then.
fn assert_refused(name: &str, value: &str, reason: &str, accepted: &str) {
    let shown = match value {
        "" => "\"\"".to_owned(),
        "\"" => "\"\\\"\"".to_owned(),
        value if value.len() > 64 => format!("{}...", &value[..64]),
        value if value.contains('\0') => format!("\"{}\"", value.replace('\0', "\\u{0}")),
        value if value.contains(' ') => format!("\"{value}\""),
        value => value.to_owned(),
    };
    let mut computer = computer();
    let expected = format!("error: {name} cannot be {shown}: {reason}; accepted: {accepted}\n");
    assert_eq!(refused(&mut computer, &["set", name, value]), expected);
    assert_eq!(
        (&computer.calls, stored(&computer)),
        (&Vec::new(), some_options_in_order()),
        "{name} {value}"
    );
}

fn some_options_in_order() -> Vec<StoredValue> {
    stored(&computer())
}

#[test]
fn a_wrong_target_is_refused_and_named() {
    let nine: Vec<String> = (1..=9).map(|host| format!("10.0.0.{host}")).collect();
    let nine: Vec<&str> = nine.iter().map(String::as_str).collect();
    let cases: [(&[&str], &str, &str); 13] = [
        (&["10.0.0.1", "receiver"], "receiver", "not an address"),
        (&["10.0.0.1,10.0.0.2"], "10.0.0.1,10.0.0.2", "not an address"),
        (&["[2001:db8::1"], "[2001:db8::1", "not an address"),
        (&[""], "\"\"", "not an address"),
        (&["10.0.0.1", " ", "10.0.0.2"], "\"\"", "not an address"),
        (&["10.0.0.1\0"], "\"10.0.0.1\\u{0}\"", "not an address"),
        (&["10.0.0.1:0"], "10.0.0.1:0", "no port from 1 to 65535"),
        (&["multicast:65536"], "multicast:65536", "no port from 1 to 65535"),
        (&["10.0.0.1", "0.0.0.0"], "0.0.0.0", "no address that can be sent to"),
        (&["fe80::1%x"], "fe80::1%x", "no interface index from 1 to 16777215"),
        (&["10.0.0.1", "10.0.0.2", "10.0.0.1:4010"], "10.0.0.1:4010", "a duplicate"),
        (&nine, "10.0.0.9", "more than 8"),
        (&["10.0.0.1", "10.0.0.256", "10.0.0.0:0"], "10.0.0.256", "not an address"),
    ];
    for (targets, entry, reason) in cases {
        let mut computer = computer();
        let line = refused(&mut computer, &[&["set", "Targets"], targets].concat());
        assert_eq!(line, format!("error: Targets cannot have {entry}: {reason}; accepted: {TARGETS}\n"));
        assert_eq!((&computer.calls, stored(&computer)), (&Vec::new(), some_options_in_order()));
    }
}

#[test]
fn the_name_of_an_interface_is_no_value_and_its_index_is_told() {
    let mut computer = computer();
    let interface = |name: &str, index, addresses: &[&str]| Interface {
        index,
        name: name.to_owned(),
        up: true,
        addresses: addresses.iter().map(|address| address.parse().expect("an address")).collect(),
    };
    computer.interfaces =
        vec![interface("Ethernet", 12, &["10.0.0.2", "fe80::2"]), interface("VPN", 13, &[])];
    let refusal =
        |name: &str| format!("error: Interface cannot be {name}: not an address; accepted: {INTERFACE}");
    let line = refused(&mut computer, &["set", "Interface", "Ethernet"]);
    assert_eq!(line, refusal("Ethernet") + "; Ethernet has the index 12 and the address 10.0.0.2, fe80::2\n");
    let line = refused(&mut computer, &["set", "Interface", "VPN"]);
    assert_eq!(line, refusal("VPN") + "; VPN has the index 13 and no address\n");
    computer.refuse("interfaces", 87);
    assert_eq!(refused(&mut computer, &["set", "Interface", "VPN"]), refusal("VPN") + "\n");
}

#[test]
fn several_values_are_for_targets_only() {
    let mut computer = computer();
    assert_eq!(refused(&mut computer, &["set", "TTL", "8", "9"]), "error: TTL takes one value, not 2\n");
    assert_eq!(computer.calls, [""; 0]);
}

#[test]
fn an_unknown_name_is_refused_with_the_one_that_was_probably_meant() {
    let suggestions = [
        ("TLL", "TTL"),
        ("Target", "Targets"),
        ("targests", "Targets"),
        ("UnicastIP", "UnicastIPv4"),
        ("Unicast_IPv4", "UnicastIPv4"),
        ("UnicastSourceIPv4", "UnicastSrcIPv4"),
        ("UnicastScrPort", "UnicastSrcPort"),
        ("Inteface", "Interface"),
        ("Continous", "ContinuousStream"),
        ("SilenceTreshold", "SilenceThreshold"),
        ("IVSHMEM", "IVSHMEMFallback"),
        ("UseIVSHM", "UseIVSHMEM"),
    ];
    for (name, meant) in suggestions {
        let line = format!(
            "error: there is no option \"{name}\": did you mean {meant}? (screamctl options list shows all)\n"
        );
        for command in [&["get", name][..], &["set", name, "1"], &["unset", name]] {
            assert_eq!(refused(&mut computer(), command), line);
        }
    }
    for name in ["xyz", "Q", "", "1234"] {
        let line = format!("error: there is no option \"{name}\": screamctl options list shows all\n");
        assert_eq!(refused(&mut computer(), &["set", name, "1"]), line);
    }
}

#[test]
fn without_an_administrators_rights_nothing_is_changed_and_everything_is_shown() {
    let mut computer = computer();
    computer.elevated = false;
    // Rights come first: whoever has none is not sent to correct a value before.
    for command in [
        &["set", "TTL", "9"][..],
        &["set", "TTL", "900"],
        &["set", "TLL", "9"],
        &["unset", "TTL"],
        &["reset"],
    ] {
        assert_eq!(refused(&mut computer, command), UNELEVATED);
    }
    assert_eq!((&computer.calls, &computer.state.options), (&Vec::new(), &some_options()));
    let mut console = FakeConsole::new();
    assert_eq!(computer.screamctl(&mut console, &["options", "list"]), 0);
    assert_eq!(computer.screamctl(&mut console, &["options", "get", "TTL"]), 0);
    assert!(console.out.ends_with("8\n"));
}

#[test]
fn a_registry_that_refuses_is_one_line_and_changes_nothing() {
    let set = &["set", "TTL", "9"][..];
    let cases = [
        (
            "option_values",
            "RegEnumValueW",
            &[&["list"][..], &["get", "TTL"], set, &["unset", "TTL"], &["reset"]][..],
        ),
        ("is_elevated", "GetTokenInformation", &[set, &["unset", "TTL"], &["reset"]]),
        ("store_option", "RegSetValueExW", &[set]),
        ("delete_option", "RegDeleteValueW", &[&["unset", "TTL"], &["unset", "Volume"]]),
    ];
    for (method, call, commands) in cases {
        for command in commands {
            let mut computer = computer();
            computer.refuse(method, 5);
            let line = format!("error: Windows refuses access ({call}: error 5): {ADMINISTRATOR}\n");
            assert_eq!(refused(&mut computer, command), line);
            assert_eq!(computer.state.options, some_options(), "{command:?}");
        }
    }
}

#[test]
fn a_reset_that_is_refused_at_any_step_puts_back_what_it_deleted() {
    for step in 0..3 {
        let mut computer = computer();
        computer.refuse_change(step, 5);
        let line = format!(
            "error: Windows refuses access (RegDeleteValueW: error 5): {ADMINISTRATOR}; nothing was changed\n"
        );
        assert_eq!(refused(&mut computer, &["reset"]), line);
        assert_eq!(stored(&computer), some_options_in_order(), "step {step}");
    }
}

#[test]
fn a_reset_that_cannot_be_taken_back_says_what_is_gone() {
    let mut computer = computer();
    computer.refuse_changes_from(2, 5);
    let line = format!(
        "error: Windows refuses access (RegDeleteValueW: error 5): {ADMINISTRATOR}; \
         Targets is deleted, it was 10.0.0.1; TTL is deleted, it was 8\n"
    );
    assert_eq!(refused(&mut computer, &["reset"]), line);
    assert_eq!(computer.state.options, [dword("UseIVSHMEM", 2), dword("Volume", 1)]);
}

#[test]
fn a_command_without_its_arguments_is_misuse() {
    let cases = [
        (&["set"][..], "<NAME> <VALUES>..."),
        (&["set", "TTL"], "<VALUES>..."),
        (&["get"], "<NAME>"),
        (&["unset"], "<NAME>"),
    ];
    for (command, missing) in cases {
        let mut console = FakeConsole::new();
        assert_eq!(computer().screamctl(&mut console, &[&["options"], command].concat()), 2);
        let what = format!("the following required arguments were not provided: {missing}");
        let line = format!("error: {what} (screamctl --help shows what is accepted)\n");
        assert_eq!((&console.out[..], console.err), ("", line));
    }
    let mut console = FakeConsole::new();
    let mut computer = computer();
    // A value with a hyphen is a value.
    assert_eq!(computer.screamctl(&mut console, &["options", "set", "TTL", "-1"]), 1);
    assert_eq!(computer.state.options, some_options());
}
