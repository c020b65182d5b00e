//! `screamctl options`: what is shown, what is stored, and what else is said.

mod fake;

use fake::{FakeComputer, FakeConsole, dword, text, texts};
use protocol::options::{Description, Options, Registry, Stored};
use screamctl::computer::{Interface, StoredValue};

/// What every change ends with.
const APPLIES: &str = "This applies from the next playback: stop what plays and start it again.\n";
/// Every option, with what holds if it is not set.
const DEFAULTS: [(&str, &str); 11] = [
    ("Targets", "239.255.77.77:4010"),
    ("UnicastIPv4", "239.255.77.77"),
    ("UnicastPort", "4010"),
    ("Interface", "the system's choice"),
    ("UnicastSrcIPv4", "any"),
    ("UnicastSrcPort", "any"),
    ("TTL", "the system's"),
    ("ContinuousStream", "0"),
    ("SilenceThreshold", "0"),
    ("UseIVSHMEM", "0"),
    ("IVSHMEMFallback", "0"),
];

fn with(options: &[StoredValue]) -> FakeComputer {
    let mut computer = FakeComputer::with_scream();
    computer.state.options = options.to_vec();
    computer
}

/// Runs `screamctl options` with these arguments; nothing may go wrong. Returns what it prints.
fn done(computer: &mut FakeComputer, arguments: &[&str]) -> String {
    let mut console = FakeConsole::new();
    let code = computer.screamctl(&mut console, &[&["options"], arguments].concat());
    assert_eq!((code, &console.err[..]), (0, ""), "{arguments:?}");
    console.out
}

#[test]
fn with_nothing_set_the_list_shows_every_option_and_its_default() {
    let expected = "\
OPTION             STORED   WHAT HOLDS            ACCEPTED
----------------------------------------------------------------------------------------------------
Targets                     239.255.77.77:4010    REG_MULTI_SZ, 1 to 8 of ADDRESS, ADDRESS:PORT or
                                                  [IPV6]:PORT, ADDRESS may be multicast or
                                                  multicast6
UnicastIPv4                 239.255.77.77         REG_SZ, an IPv4 address such as 192.168.1.20
UnicastPort                 4010                  REG_DWORD, from 1 to 65535
Interface                   the system's choice   REG_DWORD, an index from 1 to 16777215, or
                                                  REG_SZ, an address of the interface
UnicastSrcIPv4              any                   REG_SZ, an IPv4 address of this computer
UnicastSrcPort              any                   REG_DWORD, from 1 to 65535, or 0 for any
TTL                         the system's          REG_DWORD, from 1 to 255
ContinuousStream            0                     REG_DWORD, 0 or 1
SilenceThreshold            0                     REG_DWORD, samples of each channel, or 0 for
                                                  never
UseIVSHMEM                  0                     REG_DWORD, size in MiB from 1 to 1048576, or 0
                                                  for the network
IVSHMEMFallback             0                     REG_DWORD, 0 or 1
";
    assert_eq!(done(&mut with(&[]), &["list"]), expected);
}

#[test]
fn the_list_says_why_a_value_is_ignored_and_which_is_no_option() {
    let mut computer = with(&[
        texts("targets", &["192.168.1.20", "receiver", "multicast6:4011"]),
        text("UnicastIPv4", "192.168.1.9"),
        dword("UnicastPort", 4012),
        dword("Interface", 12),
        text("UnicastSrcIPv4", "224.0.0.1"),
        StoredValue { name: "UnicastSrcPort".to_owned(), kind: 4, data: vec![1, 2, 3] },
        dword("TTL", 300),
        dword("ContinuousStream", 1),
        dword("SilenceThreshold", 100),
        text("UseIVSHMEM", "2"),
        StoredValue { name: "IVSHMEMFallback".to_owned(), kind: 11, data: vec![1; 8] },
        dword("TTLL", 8),
        text("", "\u{7f}"),
    ]);
    let expected = "\
OPTION             STORED                       WHAT HOLDS               ACCEPTED
----------------------------------------------------------------------------------------------------
Targets            192.168.1.20                 192.168.1.20:4010        REG_MULTI_SZ, 1 to 8 of
                   receiver (ignored: not an    [ff15::efff:4d4d]:4011   ADDRESS, ADDRESS:PORT or
                   address)                                              [IPV6]:PORT, ADDRESS may
                   multicast6:4011                                       be multicast or
                                                                         multicast6
UnicastIPv4        192.168.1.9                                           REG_SZ, an IPv4 address
                   (not looked at while                                  such as 192.168.1.20
                   Targets is set)
UnicastPort        4012                                                  REG_DWORD, from 1 to
                   (not looked at while                                  65535
                   Targets is set)
Interface          12                           12                       REG_DWORD, an index from
                                                                         1 to 16777215, or REG_SZ,
                                                                         an address of the
                                                                         interface
UnicastSrcIPv4     224.0.0.1                    any                      REG_SZ, an IPv4 address
                   (ignored: no address that                             of this computer
                   can be sent from)
UnicastSrcPort     REG_DWORD of 3 bytes         any                      REG_DWORD, from 1 to
                   (ignored: not of 4 bytes)                             65535, or 0 for any
TTL                300                          the system's             REG_DWORD, from 1 to 255
                   (ignored: out of range)
ContinuousStream   1                            1                        REG_DWORD, 0 or 1
SilenceThreshold   100                          0                        REG_DWORD, samples of
                   (not used while                                       each channel, or 0 for
                   ContinuousStream is 1)                                never
UseIVSHMEM         2                            0                        REG_DWORD, size in MiB
                   (ignored: a REG_SZ)                                   from 1 to 1048576, or 0
                                                                         for the network
IVSHMEMFallback    REG_QWORD of 8 bytes         0                        REG_DWORD, 0 or 1
                   (ignored: a REG_QWORD)
note: TTLL: not an option of this driver: did you mean TTL?
note: (Default): not an option of this driver
";
    assert_eq!(done(&mut computer, &["list"]), expected);
}

#[test]
fn long_and_strange_values_are_shown_so_that_a_line_can_be_read() {
    let mut computer = with(&[
        text("UnicastIPv4", &"x".repeat(30_000)),
        text("UnicastSrcIPv4", "caf\u{e9}\n1"),
        texts("Targets", &[]),
    ]);
    let expected = "\
OPTION             STORED                        WHAT HOLDS            ACCEPTED
----------------------------------------------------------------------------------------------------
Targets            \"\"                            239.255.77.77:4010    REG_MULTI_SZ, 1 to 8 of
                   (ignored: empty)                                    ADDRESS, ADDRESS:PORT or
                                                                       [IPV6]:PORT, ADDRESS may be
                                                                       multicast or multicast6
UnicastIPv4        xxxxxxxxxxxxxxxxxxxxxxxxxxx   239.255.77.77         REG_SZ, an IPv4 address
                   xxxxxxxxxxxxxxxxxxxxxxxxxxx                         such as 192.168.1.20
                   xxxxxxxxxx...
                   (ignored: too long)
UnicastPort                                      4010                  REG_DWORD, from 1 to 65535
Interface                                        the system's choice   REG_DWORD, an index from 1
                                                                       to 16777215, or REG_SZ, an
                                                                       address of the interface
UnicastSrcIPv4     \"caf\\u{e9}\\n1\"                any                   REG_SZ, an IPv4 address of
                   (ignored: not an address)                           this computer
UnicastSrcPort                                   any                   REG_DWORD, from 1 to 65535,
                                                                       or 0 for any
TTL                                              the system's          REG_DWORD, from 1 to 255
ContinuousStream                                 0                     REG_DWORD, 0 or 1
SilenceThreshold                                 0                     REG_DWORD, samples of each
                                                                       channel, or 0 for never
UseIVSHMEM                                       0                     REG_DWORD, size in MiB from
                                                                       1 to 1048576, or 0 for the
                                                                       network
IVSHMEMFallback                                  0                     REG_DWORD, 0 or 1
";
    assert_eq!(done(&mut computer, &["list"]), expected);
}

#[test]
fn a_value_is_read_up_to_1024_bytes() {
    for (characters, reason) in [(511, "(ignored: not an address)"), (512, "(ignored: too long)")] {
        let out = done(&mut with(&[text("UnicastIPv4", &"x".repeat(characters))]), &["list"]);
        assert_eq!(out.matches("(ignored: ").count(), 1);
        assert!(out.contains(reason), "{out}");
    }
}

#[test]
fn get_prints_what_holds_and_nothing_else() {
    for (name, holds) in DEFAULTS {
        assert_eq!(done(&mut with(&[]), &["get", name]), format!("{holds}\n"));
        assert_eq!(done(&mut with(&[]), &["get", &name.to_ascii_lowercase()]), format!("{holds}\n"));
    }
    let cases = [
        (texts("Targets", &["192.168.1.20", "multicast6"]), "192.168.1.20:4010\n[ff15::efff:4d4d]:4010\n"),
        (text("UnicastIPv4", " 192.168.1.20 "), "192.168.1.20\n"),
        (dword("UnicastPort", 4011), "4011\n"),
        (dword("Interface", 12), "12\n"),
        (text("Interface", "192.168.1.10"), "192.168.1.10\n"),
        (text("Interface", "fe80::10%12"), "fe80::10%12\n"),
        (text("Interface", "2001:db8::10"), "2001:db8::10\n"),
        (text("UnicastSrcIPv4", "192.168.1.10"), "192.168.1.10\n"),
        (dword("UnicastSrcPort", 4010), "4010\n"),
        (dword("TTL", 8), "8\n"),
        (dword("TTL", 300), "the system's\n"),
        (dword("ContinuousStream", 1), "1\n"),
        (dword("SilenceThreshold", 10_000), "10000\n"),
        (dword("UseIVSHMEM", 2), "2\n"),
        (dword("IVSHMEMFallback", 1), "1\n"),
    ];
    for (value, holds) in cases {
        assert_eq!(done(&mut with(std::slice::from_ref(&value)), &["get", &value.name]), holds, "{value:?}");
    }
}

#[test]
fn get_of_an_option_that_another_makes_meaningless_prints_only_why() {
    let cases = [
        (texts("Targets", &["10.0.0.1"]), "UnicastIPv4", "not looked at while Targets is set"),
        (texts("Targets", &["10.0.0.1"]), "UnicastPort", "not looked at while Targets is set"),
        (text("Interface", "10.0.0.2"), "UnicastSrcIPv4", "not looked at while Interface is an IPv4 address"),
    ];
    for (value, name, why) in cases {
        let mut console = FakeConsole::new();
        assert_eq!(with(&[value]).screamctl(&mut console, &["options", "get", name]), 0);
        assert_eq!((console.out, console.err), (String::new(), format!("note: {name} is {why}\n")));
    }
}

/// A value as it is typed, as it is stored, and as it is shown.
fn accepted() -> Vec<(&'static str, &'static [&'static str], StoredValue, &'static str)> {
    vec![
        ("UnicastIPv4", &[" 192.168.1.20 "], text("UnicastIPv4", "192.168.1.20"), "192.168.1.20"),
        ("unicastport", &["4011"], dword("UnicastPort", 4011), "4011"),
        ("INTERFACE", &["12"], dword("Interface", 12), "12"),
        ("Interface", &["0X0c"], dword("Interface", 12), "12"),
        ("Interface", &["fe80::10%12"], text("Interface", "fe80::10%12"), "fe80::10%12"),
        ("UnicastSrcIPv4", &["192.168.1.10"], text("UnicastSrcIPv4", "192.168.1.10"), "192.168.1.10"),
        ("UnicastSrcPort", &["0"], dword("UnicastSrcPort", 0), "0"),
        ("UnicastSrcPort", &["65535"], dword("UnicastSrcPort", 65_535), "65535"),
        ("TTL", &[" 0xff"], dword("TTL", 255), "255"),
        ("TTL", &["008"], dword("TTL", 8), "8"),
        ("ContinuousStream", &["1"], dword("ContinuousStream", 1), "1"),
        ("SilenceThreshold", &["4294967295"], dword("SilenceThreshold", u32::MAX), "4294967295"),
        ("UseIVSHMEM", &["1048576"], dword("UseIVSHMEM", 1 << 20), "1048576"),
        ("IVSHMEMFallback", &["1"], dword("IVSHMEMFallback", 1), "1"),
        ("Targets", &["192.168.1.20"], texts("Targets", &["192.168.1.20"]), "192.168.1.20"),
        (
            "targets",
            &["multicast", " [fe80::1%12]:4011 ", "10.0.0.1:1"],
            texts("Targets", &["multicast", "[fe80::1%12]:4011", "10.0.0.1:1"]),
            "multicast, [fe80::1%12]:4011, 10.0.0.1:1",
        ),
    ]
}

/// A computer with an interface of this index and these addresses, so that nothing is to be said of them.
fn with_interface() -> FakeComputer {
    let mut computer = with(&[]);
    let addresses = ["192.168.1.10", "fe80::10"].map(|address| address.parse().expect("an address"));
    let name = "Ethernet".to_owned();
    computer.interfaces = vec![Interface { index: 12, name, up: true, addresses: addresses.to_vec() }];
    computer
}

#[test]
fn set_stores_what_the_driver_takes_in_the_type_that_it_takes() {
    for (name, typed, stored, shown) in accepted() {
        let mut computer = with_interface();
        let out = done(&mut computer, &[&["set", name], typed].concat());
        let mut expected = format!("{} is {shown} now. {APPLIES}", stored.name);
        if name == "UseIVSHMEM" {
            expected +=
                "note: nothing goes to the network while UseIVSHMEM is 1048576 and IVSHMEMFallback is 0.\n";
        }
        assert_eq!(out, expected);
        assert_eq!(computer.state.options, [stored]);
    }
}

/// The registry as the driver reads it.
struct Values<'a>(&'a [StoredValue]);

impl Registry for Values<'_> {
    fn read(&mut self, option: &'static Description) -> Stored<'_> {
        let value = self.0.iter().find(|value| value.name.as_bytes() == option.name.to_bytes());
        value.map_or(Stored::Missing, |value| Stored::Value { kind: value.kind, data: &value.data })
    }
}

#[test]
fn what_was_set_is_what_the_driver_reads() {
    let mut computer = with_interface();
    let settings: [&[&str]; 9] = [
        &["Targets", "192.168.1.20:4011", "multicast6"],
        &["Interface", "fe80::10%12"],
        &["UnicastSrcIPv4", "192.168.1.10"],
        &["UnicastSrcPort", "0x2000"],
        &["TTL", "8"],
        &["ContinuousStream", "0"],
        &["SilenceThreshold", "10000"],
        &["UseIVSHMEM", "2"],
        &["IVSHMEMFallback", "1"],
    ];
    for setting in settings {
        done(&mut computer, &[&["set"], setting].concat());
    }
    let options = Options::read(&mut Values(&computer.state.options), &mut |refusal| panic!("{refusal:?}"));
    let targets =
        ["192.168.1.20:4011", "[ff15::efff:4d4d]:4010"].map(|target| target.parse().expect("a target"));
    assert_eq!(options.targets.as_slice(), targets);
    let rest = Options {
        source_v4: Some("192.168.1.10".parse().expect("an address")),
        source_v6: Some("fe80::10".parse().expect("an address")),
        interface: 12.try_into().ok(),
        source_port: 8192,
        ttl: 8.try_into().ok(),
        silence_threshold: 10_000,
        ivshmem: 2.try_into().ok(),
        ivshmem_fallback: true,
        targets: options.targets,
        ..Options::default()
    };
    assert_eq!(options, rest);
}

#[test]
fn setting_what_is_there_changes_nothing_and_says_so() {
    for (name, typed, stored, shown) in accepted() {
        let mut computer = with_interface();
        computer.state.options = vec![stored.clone()];
        let out = done(&mut computer, &[&["set", name], typed].concat());
        let (first, _) = out.split_once('\n').expect("a line");
        assert_eq!(first, format!("{} is {shown} already: nothing was changed.", stored.name));
        assert_eq!((computer.calls, computer.state.options), (Vec::new(), vec![stored]));
    }
}

#[test]
fn a_value_of_another_type_or_number_is_replaced() {
    let mut computer = with(&[text("ttl", "8")]);
    assert_eq!(done(&mut computer, &["set", "TTL", "8"]), format!("TTL is 8 now. {APPLIES}"));
    assert_eq!(done(&mut computer, &["set", "TTL", "9"]), format!("TTL is 9 now. {APPLIES}"));
    assert_eq!(computer.state.options, [dword("TTL", 9)]);
}

#[test]
fn what_makes_a_value_vain_is_said_whichever_is_set_first() {
    let silence = "note: SilenceThreshold is not used while ContinuousStream is 1.\n";
    let targets = "note: UnicastIPv4 is not looked at while Targets is set.\n";
    let source = "note: UnicastSrcIPv4 is not looked at while Interface is an IPv4 address.\n";
    let cases = [
        (dword("ContinuousStream", 1), ["SilenceThreshold", "100"], silence),
        (dword("SilenceThreshold", 100), ["ContinuousStream", "1"], silence),
        (texts("Targets", &["10.0.0.1"]), ["UnicastIPv4", "10.0.0.2"], targets),
        (text("UnicastIPv4", "10.0.0.2"), ["Targets", "10.0.0.1"], targets),
        (text("Interface", "192.168.1.10"), ["UnicastSrcIPv4", "192.168.1.10"], source),
        (text("UnicastSrcIPv4", "192.168.1.10"), ["Interface", "192.168.1.10"], source),
        // These two leave each other alone.
        (dword("Interface", 12), ["UnicastSrcIPv4", "192.168.1.10"], ""),
        (dword("ContinuousStream", 0), ["SilenceThreshold", "100"], ""),
    ];
    for (first, [name, value], note) in cases {
        let mut computer = with_interface();
        computer.state.options = vec![first];
        let out = done(&mut computer, &["set", name, value]);
        assert_eq!(out, format!("{name} is {value} now. {APPLIES}{note}"));
    }
}

#[test]
fn an_interface_that_this_computer_does_not_have_is_said() {
    let cases = [
        (["Interface", "13"], "note: no interface of this computer has the index 13 now.\n"),
        (["Interface", "10.0.0.1"], "note: no interface of this computer has the address 10.0.0.1 now.\n"),
        (["Interface", "fe80::11%12"], "note: no interface of this computer has the address fe80::11 now.\n"),
        (
            ["UnicastSrcIPv4", "10.0.0.1"],
            "note: no interface of this computer has the address 10.0.0.1 now.\n",
        ),
        (["Interface", "192.168.1.10"], ""),
    ];
    for ([name, value], note) in cases {
        let out = done(&mut with_interface(), &["set", name, value]);
        assert_eq!(out, format!("{name} is {value} now. {APPLIES}{note}"));
    }
    // What cannot be known is not said, and keeps nothing from being set.
    let mut computer = with_interface();
    computer.refuse("interfaces", 87);
    assert_eq!(done(&mut computer, &["set", "Interface", "13"]), format!("Interface is 13 now. {APPLIES}"));
}

#[test]
fn options_of_the_network_are_vain_while_nothing_goes_there() {
    let note = "note: nothing goes to the network while UseIVSHMEM is 2 and IVSHMEMFallback is 0.\n";
    let mut computer = with(&[dword("UseIVSHMEM", 2)]);
    assert_eq!(done(&mut computer, &["set", "TTL", "8"]), format!("TTL is 8 now. {APPLIES}{note}"));
    let out = done(&mut computer, &["set", "SilenceThreshold", "8"]);
    assert_eq!(out, format!("SilenceThreshold is 8 now. {APPLIES}"));
    let out = done(&mut computer, &["set", "IVSHMEMFallback", "1"]);
    assert_eq!(out, format!("IVSHMEMFallback is 1 now. {APPLIES}"));
    assert_eq!(done(&mut computer, &["set", "TTL", "9"]), format!("TTL is 9 now. {APPLIES}"));
}

#[test]
fn unset_deletes_one_option_and_says_what_holds_then() {
    for (name, holds) in DEFAULTS {
        let mut computer = with(&[text(&name.to_ascii_uppercase(), "anything"), dword("Volume", 1)]);
        let out = done(&mut computer, &["unset", &name.to_ascii_lowercase()]);
        assert_eq!(out, format!("{name} is not set any more. What holds now: {holds}. {APPLIES}"));
        assert_eq!(computer.state.options, [dword("Volume", 1)]);
        let again = done(&mut computer, &["unset", name]);
        assert_eq!(again, format!("{name} is not set: nothing was changed.\n"));
        assert_eq!(computer.calls.len(), 1);
    }
}

#[test]
fn what_was_vain_holds_again_when_its_reason_is_gone() {
    let mut computer =
        with(&[texts("Targets", &["10.0.0.1"]), text("UnicastIPv4", "10.0.0.2"), dword("UnicastPort", 0)]);
    let expected = format!(
        "Targets is not set any more. What holds now: 10.0.0.2:4010. {APPLIES}\
         note: UnicastPort is out of range.\n\
         note: UnicastIPv4 holds again: 10.0.0.2.\n"
    );
    assert_eq!(done(&mut computer, &["unset", "Targets"]), expected);
}

#[test]
fn a_value_that_is_no_option_can_be_deleted_too() {
    let mut computer = with(&[dword("TTLL", 8), dword("TTL", 8)]);
    let out = done(&mut computer, &["unset", "ttll"]);
    assert_eq!(out, "ttll is deleted: it was not an option of this driver.\n");
    assert_eq!(computer.state.options, [dword("TTL", 8)]);
}

#[test]
fn reset_deletes_all_options_and_leaves_what_is_none() {
    let mut computer = with(&[dword("TTL", 8), dword("Volume", 1), text("targets", "10.0.0.1")]);
    let left = "note: Volume is left: it is not an option of this driver.\n";
    let out = done(&mut computer, &["reset"]);
    assert_eq!(out, format!("2 options are deleted: all defaults hold. {APPLIES}{left}"));
    assert_eq!(computer.state.options, [dword("Volume", 1)]);
    assert_eq!(done(&mut computer, &["reset"]), format!("No option is set: nothing was changed.\n{left}"));
    assert_eq!(computer.calls, ["delete_option targets", "delete_option TTL"]);
    let out = done(&mut with(&[dword("TTL", 300)]), &["reset"]);
    assert_eq!(out, format!("1 option is deleted: all defaults hold. {APPLIES}"));
}
