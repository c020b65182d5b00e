//! `screamctl targets`: where packets go, the way they take, and what changes it.

mod fake;
mod network;

use fake::{FakeComputer, FakeConsole, dword, text, texts};
use network::computer;
use screamctl::computer::StoredValue;

/// What every change ends with.
const APPLIES: &str = "This applies from the next playback: stop what plays and start it again.\n";
const ACCEPTED: &str =
    "REG_MULTI_SZ, 1 to 8 of ADDRESS, ADDRESS:PORT or [IPV6]:PORT, ADDRESS may be multicast or multicast6";
const CHOICE: &str = "note: 2 interfaces are up (Ethernet, WSL) and Interface is not set: \
    Windows chose one for multicast, and \"screamctl options set Interface\" chooses another\n";

fn with(options: &[StoredValue]) -> FakeComputer {
    let mut computer = computer();
    computer.state.options = options.to_vec();
    computer
}

/// Runs `screamctl targets` with these arguments. Returns the exit code and what it prints.
fn run(computer: &mut FakeComputer, arguments: &[&str]) -> (i32, String) {
    let mut console = FakeConsole::new();
    let code = computer.screamctl(&mut console, &[&["targets"], arguments].concat());
    (code, console.out + &console.err)
}

/// The same for what succeeds.
fn done(computer: &mut FakeComputer, arguments: &[&str]) -> String {
    let (code, out) = run(computer, arguments);
    assert_eq!(code, 0, "{out}");
    out
}

/// The same for what is refused: nothing was stored or deleted.
fn refused(options: &[StoredValue], arguments: &[&str]) -> String {
    let mut computer = with(options);
    let (code, out) = run(&mut computer, arguments);
    assert_eq!((code, &computer.calls, &computer.state.options[..]), (1, &Vec::new(), options), "{out}");
    out
}

fn stored(computer: &FakeComputer, name: &str) -> Option<StoredValue> {
    computer.state.options.iter().find(|value| value.name == name).cloned()
}

#[test]
fn without_options_the_group_is_shown_and_who_chose_its_interface() {
    let expected = format!(
        "\
TARGET               FROM      LEAVES BY   SOURCE ADDRESS   NEXT HOP
----------------------------------------------------------------------
239.255.77.77:4010   default   WSL (20)    172.20.0.1       itself
{CHOICE}"
    );
    assert_eq!(done(&mut with(&[]), &[]), expected);
    assert_eq!(done(&mut with(&[]), &["list"]), expected);
}

#[test]
fn every_target_is_shown_with_the_way_that_packets_take() {
    let list =
        ["192.168.1.20", "10.0.0.5:4011", "[2001:db8:1::5]:4012", "fe80::5%12", "multicast6", "127.0.0.1"];
    let expected = format!(
        "\
TARGET                   FROM      LEAVES BY       SOURCE ADDRESS   NEXT HOP
---------------------------------------------------------------------------------
192.168.1.20:4010        Targets   Ethernet (12)   192.168.1.10     itself
10.0.0.5:4011            Targets   Ethernet (12)   192.168.1.10     192.168.1.1
[2001:db8:1::5]:4012     Targets   Ethernet (12)   2001:db8::10     fe80::1
[fe80::5%12]:4010        Targets   Ethernet (12)   fe80::10         itself
[ff15::efff:4d4d]:4010   Targets   Ethernet (12)   fe80::10         itself
127.0.0.1:4010           Targets   Loopback (1)    127.0.0.1        itself
{CHOICE}"
    );
    assert_eq!(done(&mut with(&[texts("Targets", &list)]), &["list"]), expected);
}

#[test]
fn a_chosen_interface_or_source_address_is_the_way() {
    for option in
        [dword("Interface", 12), text("Interface", "192.168.1.10"), text("UnicastSrcIPv4", "192.168.1.10")]
    {
        let expected = "\
TARGET               FROM      LEAVES BY       SOURCE ADDRESS   NEXT HOP
--------------------------------------------------------------------------
239.255.77.77:4010   default   Ethernet (12)   192.168.1.10     itself
";
        assert_eq!(done(&mut with(&[option]), &[]), expected);
    }
}

#[test]
fn an_index_goes_before_the_interface_of_the_source_address() {
    let out = done(&mut with(&[dword("Interface", 12), text("UnicastSrcIPv4", "172.20.0.1")]), &[]);
    let row = "239.255.77.77:4010   default   Ethernet (12)   172.20.0.1       itself";
    assert_eq!(out.lines().nth(2), Some(row));
    // To a single receiver packets take the way that the routes say, whatever their source is.
    let out = done(&mut with(&[texts("Targets", &["10.0.0.5"]), text("UnicastSrcIPv4", "172.20.0.1")]), &[]);
    let row = "10.0.0.5:4010   Targets   Ethernet (12)   172.20.0.1       192.168.1.1";
    assert_eq!(out.lines().nth(2), Some(row));
}

#[test]
fn the_option_that_a_target_comes_from_is_named() {
    let cases = [
        (vec![text("UnicastIPv4", "192.168.1.20")], "192.168.1.20:4010 UnicastIPv4"),
        (
            vec![text("UnicastIPv4", "192.168.1.20"), dword("UnicastPort", 4011)],
            "192.168.1.20:4011 UnicastIPv4",
        ),
        (vec![dword("UnicastPort", 4011)], "239.255.77.77:4011 UnicastPort"),
        (vec![dword("UnicastPort", 0)], "239.255.77.77:4010 default"),
        (vec![text("UnicastIPv4", "receiver")], "239.255.77.77:4010 default"),
        (vec![text("UnicastIPv4", "receiver"), dword("UnicastPort", 4011)], "239.255.77.77:4011 UnicastPort"),
        (vec![texts("Targets", &["10.0.0.256"])], "239.255.77.77:4010 default"),
        (vec![text("Targets", "192.168.1.20")], "192.168.1.20:4010 Targets"),
    ];
    for (options, row) in cases {
        let out = done(&mut with(&options), &[]);
        let cells = out.lines().nth(2).map(|line| line.split_whitespace().take(2).collect::<Vec<_>>());
        assert_eq!(cells, Some(row.split(' ').collect()));
    }
}

#[test]
fn the_index_after_a_percent_sign_goes_before_the_interface_of_all() {
    let options =
        [text("Interface", "fe80::10%21"), texts("Targets", &["fe80::5%12", "[2001:db8:1::5%12]:4011"])];
    let expected = "\
TARGET                    FROM      LEAVES BY       SOURCE ADDRESS   NEXT HOP
-------------------------------------------------------------------------------
[fe80::5%12]:4010         Targets   Ethernet (12)   fe80::10         itself
[2001:db8:1::5%12]:4011   Targets   Ethernet (12)   fe80::10         fe80::1
";
    assert_eq!(done(&mut with(&options), &[]), expected);
    let (code, out) = run(&mut with(&[options[0].clone(), texts("Targets", &["fe80::5"])]), &[]);
    let line = "wrong: [fe80::5]:4010: Wi-Fi (21) is not connected: \
        connect it, or set Interface to an address of another one";
    assert_eq!((code, out.lines().last()), (1, Some(line)));
}

#[test]
fn an_address_of_the_interface_holds_for_targets_of_its_kind() {
    let options = [
        text("Interface", "2001:db8::10"),
        texts("Targets", &["[2001:db8:1::5]:4011", "10.0.0.5", "multicast"]),
    ];
    let out = done(&mut with(&options), &[]);
    let sources: Vec<_> =
        out.lines().skip(2).take(3).filter_map(|line| line.split_whitespace().nth(4)).collect();
    assert_eq!(sources, ["2001:db8::10", "192.168.1.10", "172.20.0.1"]);
    // For IPv4 Windows still chooses.
    assert!(out.ends_with(CHOICE), "{out}");
}

#[test]
fn what_is_wrong_with_a_way_is_said_for_each_target() {
    let unplugged = "Wi-Fi (21) is not connected: connect it, or set Interface to an address of another one";
    let other = "set Interface to an address of this computer, or unset it";
    let cases = [
        (
            vec![texts("Targets", &["10.0.0.9"])],
            "10.0.0.9:4010: Windows knows no way to it: look at the \
            cable, the address, and Interface"
                .to_owned(),
        ),
        (
            vec![texts("Targets", &["fe80::5"])],
            "[fe80::5]:4010: an address that begins with fe80 needs \
            the index of an interface: write [fe80::5%INDEX]:4010"
                .to_owned(),
        ),
        (
            vec![texts("Targets", &["fe80::5%13"])],
            format!(
                "[fe80::5%13]:4010: no interface of this \
            computer has the index 13: {other}"
            ),
        ),
        (vec![texts("Targets", &["192.168.2.20"])], format!("192.168.2.20:4010: {unplugged}")),
        (vec![dword("Interface", 21)], format!("239.255.77.77:4010: {unplugged}")),
        (
            vec![dword("Interface", 13)],
            format!(
                "239.255.77.77:4010: no interface of this computer has \
            the index 13: {other}"
            ),
        ),
        (vec![text("Interface", "192.168.2.10")], format!("239.255.77.77:4010: {unplugged}")),
        (
            vec![text("UnicastSrcIPv4", "10.0.0.1")],
            format!(
                "239.255.77.77:4010: no interface of this \
            computer has the address 10.0.0.1: {other}"
            ),
        ),
    ];
    for (options, wrong) in cases {
        let (code, out) = run(&mut with(&options), &["list"]);
        assert_eq!((code, out.lines().last()), (1, Some(&format!("wrong: {wrong}")[..])));
    }
    let (code, out) = run(&mut with(&[texts("Targets", &["10.0.0.9", "10.0.0.5", "10.0.0.8"])]), &[]);
    assert_eq!(
        (code, out.matches("wrong: ").count(), out.matches("Ethernet (12)").count()),
        (1, 2, 1),
        "{out}"
    );
}

#[test]
fn what_is_ignored_and_what_is_vain_is_said() {
    let mut computer =
        with(&[texts("Targets", &["192.168.1.20", "receiver", "192.168.1.20:4010"]), dword("UseIVSHMEM", 2)]);
    let expected = "\
TARGET              FROM      LEAVES BY       SOURCE ADDRESS   NEXT HOP
-------------------------------------------------------------------------
192.168.1.20:4010   Targets   Ethernet (12)   192.168.1.10     itself
note: nothing goes to the network while UseIVSHMEM is 2 and IVSHMEMFallback is 0
note: receiver is ignored: not an address
note: 192.168.1.20:4010 is ignored: a duplicate
";
    assert_eq!(done(&mut computer, &[]), expected);
    let out = done(&mut with(&[dword("Targets", 1)]), &[]);
    assert!(out.ends_with(&format!("note: Targets is ignored: a REG_DWORD\n{CHOICE}")), "{out}");
}

#[test]
fn windows_that_does_not_answer_is_one_line() {
    for (method, call) in [("option_values", "RegEnumValueW"), ("interfaces", "GetAdaptersAddresses")] {
        let mut computer = with(&[]);
        computer.refuse(method, 8);
        let line = format!(
            "error: Windows has no memory left ({call}: error 8): close some programs and try again\n"
        );
        assert_eq!(run(&mut computer, &[]), (1, line));
    }
    let mut computer = with(&[]);
    computer.refuse("route", 8);
    let (code, out) = run(&mut computer, &[]);
    let line = "wrong: 239.255.77.77:4010: Windows has no memory left (GetBestRoute2: error 8): close \
        some programs and try again";
    assert_eq!((code, out.lines().last()), (1, Some(line)));
}

#[test]
fn add_begins_a_list_and_then_goes_on_with_it() {
    let mut computer = with(&[]);
    let expected = format!(
        "Targets is 192.168.1.20 now. {APPLIES}note: 239.255.77.77:4010 was only the default: it is no \
            target any more.\n"
    );
    assert_eq!(done(&mut computer, &["add", "192.168.1.20"]), expected);
    let out = done(&mut computer, &["add", "multicast", " 10.0.0.5:4011"]);
    assert_eq!(out, format!("Targets is 192.168.1.20, multicast, 10.0.0.5:4011 now. {APPLIES}"));
    assert_eq!(computer.state.options, [texts("Targets", &["192.168.1.20", "multicast", "10.0.0.5:4011"])]);
}

#[test]
fn add_of_the_default_keeps_it() {
    let out = done(&mut with(&[]), &["add", "192.168.1.20", "multicast"]);
    assert_eq!(out, format!("Targets is 192.168.1.20, multicast now. {APPLIES}"));
}

#[test]
fn add_keeps_a_target_that_was_set_as_unicastipv4() {
    let mut computer = with(&[text("UnicastIPv4", "192.168.1.20"), dword("UnicastPort", 4011)]);
    let expected = format!(
        "Targets is 192.168.1.20:4011, 10.0.0.5 now. {APPLIES}\
         note: UnicastIPv4 is not looked at while Targets is set.\n\
         note: UnicastPort is not looked at while Targets is set.\n\
         note: 192.168.1.20:4011 is kept: it was set as UnicastIPv4.\n"
    );
    assert_eq!(done(&mut computer, &["add", "10.0.0.5"]), expected);
    assert_eq!(stored(&computer, "Targets"), Some(texts("Targets", &["192.168.1.20:4011", "10.0.0.5"])));
}

#[test]
fn add_of_what_is_there_changes_nothing() {
    let mut computer = with(&[texts("Targets", &["192.168.1.20", "multicast"])]);
    let expected = "Targets is 192.168.1.20, multicast already: nothing was changed.\n\
        note: 192.168.1.20:4010 is a target already.\nnote: 239.255.77.77:4010 is a target already.\n";
    assert_eq!(done(&mut computer, &["add", "192.168.1.20:4010", "239.255.77.77"]), expected);
    assert_eq!(computer.calls, [""; 0]);
}

#[test]
fn what_the_driver_ignores_is_left_out_when_the_list_is_written() {
    let nine: Vec<String> = (1..=10).map(|host| format!("10.0.0.{host}")).collect();
    let nine: Vec<&str> = nine.iter().map(String::as_str).collect();
    let mut computer = with(&[texts("Targets", &nine)]);
    let expected = format!(
        "Targets is 10.0.0.1, 10.0.0.2, 10.0.0.3, 10.0.0.4, 10.0.0.5, 10.0.0.6, 10.0.0.7 now. {APPLIES}\
         note: 10.0.0.9 is left out: it was ignored: more than 8, this one and those after it are not used.\n\
         note: 10.0.0.10 is left out: it was ignored: more than 8, this one and those after it are not used.\n"
    );
    assert_eq!(done(&mut computer, &["remove", "10.0.0.8"]), expected);
    let mut computer = with(&[texts("Targets", &["receiver", "10.0.0.1", "10.0.0.1:4010"])]);
    let expected = format!(
        "Targets is 10.0.0.1, 10.0.0.2 now. {APPLIES}note: receiver is left out: it was ignored: not an address.\n\
         note: 10.0.0.1:4010 is left out: it was ignored: a duplicate.\n"
    );
    assert_eq!(done(&mut computer, &["add", "10.0.0.2"]), expected);
    let mut computer = with(&[dword("Targets", 1)]);
    let expected = format!(
        "Targets is 10.0.0.2 now. {APPLIES}note: Targets is left out: it was ignored: a REG_DWORD.\n\
         note: 239.255.77.77:4010 was only the default: it is no target any more.\n"
    );
    assert_eq!(done(&mut computer, &["add", "10.0.0.2"]), expected);
}

#[test]
fn what_is_behind_a_nul_was_never_there() {
    let mut computer = with(&[text("Targets", "10.0.0.5\0receiver")]);
    assert_eq!(
        done(&mut computer, &["add", "10.0.0.7"]),
        format!("Targets is 10.0.0.5, 10.0.0.7 now. {APPLIES}")
    );
}

#[test]
fn remove_takes_targets_out_by_their_address() {
    let mut computer = with(&[texts("Targets", &["multicast", "10.0.0.5", "[fe80::5%12]:4011"])]);
    let out = done(&mut computer, &["remove", "239.255.77.77:4010", "10.0.0.6"]);
    assert_eq!(
        out,
        format!("Targets is 10.0.0.5, [fe80::5%12]:4011 now. {APPLIES}note: 10.0.0.6:4010 is no target.\n")
    );
    assert_eq!(computer.state.options, [texts("Targets", &["10.0.0.5", "[fe80::5%12]:4011"])]);
    assert_eq!(
        done(&mut computer, &["remove", "10.0.0.6"]),
        "10.0.0.6:4010 is no target: nothing was changed.\n"
    );
    assert_eq!(computer.calls.len(), 1);
}

#[test]
fn remove_of_the_last_target_deletes_the_option() {
    let mut computer = with(&[texts("Targets", &["10.0.0.5", "10.0.0.6"]), dword("TTL", 8)]);
    let out = done(&mut computer, &["remove", "10.0.0.5", "10.0.0.6"]);
    assert_eq!(out, format!("Targets is not set any more. What holds now: 239.255.77.77:4010. {APPLIES}"));
    assert_eq!((&computer.state.options[..], computer.calls.len()), (&[dword("TTL", 8)][..], 1));
    let mut computer = with(&[texts("Targets", &["10.0.0.5"]), text("UnicastIPv4", "10.0.0.6")]);
    let expected = format!(
        "Targets is not set any more. What holds now: 10.0.0.6:4010. {APPLIES}note: UnicastIPv4 holds \
            again: 10.0.0.6.\n"
    );
    assert_eq!(done(&mut computer, &["remove", "10.0.0.5"]), expected);
}

#[test]
fn remove_takes_out_what_the_driver_ignores() {
    let mut computer = with(&[texts("Targets", &["receiver", "10.0.0.5"])]);
    let expected = format!("Targets is 10.0.0.5 now. {APPLIES}");
    assert_eq!(done(&mut computer, &["remove", "receiver"]), expected);
    let mut computer = with(&[texts("Targets", &["receiver"])]);
    let expected = format!("Targets is not set any more. What holds now: 239.255.77.77:4010. {APPLIES}");
    assert_eq!(done(&mut computer, &["remove", "receiver"]), expected);
    assert_eq!(computer.state.options, []);
}

#[test]
fn remove_of_a_target_that_is_not_in_the_list_says_where_it_comes_from() {
    let line = refused(&[text("UnicastIPv4", "10.0.0.5")], &["remove", "10.0.0.5"]);
    assert_eq!(
        line,
        "error: 10.0.0.5:4010 is a target because of UnicastIPv4: screamctl options unset UnicastIPv4\n"
    );
    let line = refused(&[], &["remove", "multicast"]);
    assert_eq!(
        line,
        "error: 239.255.77.77:4010 is the default while there is no other target: screamctl targets set ADDRESS\n"
    );
}

#[test]
fn set_replaces_the_list() {
    let mut computer = with(&[texts("Targets", &["10.0.0.5", "receiver"]), text("UnicastIPv4", "10.0.0.6")]);
    let out = done(&mut computer, &["set", "10.0.0.7", "multicast6"]);
    assert_eq!(out, format!("Targets is 10.0.0.7, multicast6 now. {APPLIES}"));
    assert_eq!(stored(&computer, "Targets"), Some(texts("Targets", &["10.0.0.7", "multicast6"])));
    let out = done(&mut computer, &["set", "10.0.0.7", "multicast6"]);
    assert_eq!(out, "Targets is 10.0.0.7, multicast6 already: nothing was changed.\n");
    assert_eq!(computer.calls.len(), 1);
}

#[test]
fn wrong_targets_are_refused_and_nothing_is_written() {
    let seven: Vec<String> = (1..=7).map(|host| format!("10.0.0.{host}")).collect();
    let seven: Vec<&str> = seven.iter().map(String::as_str).collect();
    let options = [texts("Targets", &seven)];
    let cases: [(&[&str], &str, &str); 8] = [
        (&["add", "10.0.0.8", "receiver"], "receiver", "not an address"),
        (&["add", "10.0.0.8:0"], "10.0.0.8:0", "no port from 1 to 65535"),
        (&["add", "10.0.0.8", "10.0.0.8:4010"], "10.0.0.8:4010", "a duplicate"),
        (&["add", "10.0.0.8", "10.0.0.9"], "10.0.0.9", "more than 8"),
        (&["set", "0.0.0.0"], "0.0.0.0", "no address that can be sent to"),
        (&["set", "10.0.0.8", ""], "\"\"", "not an address"),
        (&["set", "fe80::1%0"], "fe80::1%0", "no interface index from 1 to 16777215"),
        (&["remove", "10.0.0.1", "receiver"], "receiver", "not an address"),
    ];
    for (arguments, entry, reason) in cases {
        let line = format!("error: Targets cannot have {entry}: {reason}; accepted: {ACCEPTED}\n");
        assert_eq!(refused(&options, arguments), line);
    }
}

#[test]
fn without_an_administrators_rights_targets_are_shown_and_not_changed() {
    let options = [texts("Targets", &["10.0.0.5"])];
    let line = "error: this needs an administrator's rights: \
        start it from a command prompt that was opened with \"Run as administrator\"\n";
    for arguments in [["add", "10.0.0.6"], ["add", "receiver"], ["remove", "10.0.0.5"], ["set", "10.0.0.6"]] {
        let mut computer = with(&options);
        computer.elevated = false;
        assert_eq!(run(&mut computer, &arguments), (1, line.to_owned()));
        assert_eq!((&computer.calls, &computer.state.options[..]), (&Vec::new(), &options[..]));
        assert_eq!(run(&mut computer, &[]).0, 0);
    }
}

#[test]
fn a_registry_that_refuses_leaves_the_list_as_it_is() {
    let options = [texts("Targets", &["10.0.0.5"])];
    let cases = [
        (["add", "10.0.0.6"], "RegSetValueExW"),
        (["set", "10.0.0.6"], "RegSetValueExW"),
        (["remove", "10.0.0.5"], "RegDeleteValueW"),
    ];
    for (arguments, call) in cases {
        let mut computer = with(&options);
        computer.refuse_change(0, 8);
        let line = format!(
            "error: Windows has no memory left ({call}: error 8): close some programs and try again\n"
        );
        assert_eq!(run(&mut computer, &arguments), (1, line));
        assert_eq!(computer.state.options, options);
    }
}
