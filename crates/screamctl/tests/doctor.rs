//! `screamctl doctor`: every verdict of every check, and what becomes of those that depend on it.

mod fake;
mod network;

use fake::{FakeComputer, FakeConsole, FakePackage, SPEAKERS, dword, text, texts};
use network::computer;
use screamctl::computer::{CodeIntegrity, EndpointState, FirewallProfile};

const WELL: &str = r#"ok       device      ROOT\MEDIA\0000, version 0.1.0.0 (oem7.inf)
ok       driver      loaded, \SystemRoot\System32\DriverStore\FileRepository\scream.inf_amd64_0100\scream.sys
ok       signatures  test signing is off, Secure Boot is off, memory integrity is off
ok       restart     none is pending
ok       playback    Speakers (Scream), the default device
ok       options     all that are set are used: Interface
ok       memory      no shared memory is used
ok       target      239.255.77.77:4010 by Ethernet (12), from 192.168.1.10
ok       firewall    outgoing packets are allowed
ok       old driver  the older Scream driver is not installed

Nothing is wrong.
"#;

/// A computer on which all is well.
fn well() -> FakeComputer {
    let mut computer = computer();
    computer.elevated = false;
    computer.state.options = vec![text("Interface", "192.168.1.10")];
    let profile = |name, enabled, blocks_outbound| FirewallProfile { name, enabled, blocks_outbound };
    computer.firewall = vec![profile("Private", true, false), profile("Public", false, true)];
    computer
}

/// Runs `screamctl doctor`, which changes nothing. Returns the exit code and what it prints.
fn run(computer: &mut FakeComputer) -> (i32, String) {
    let state = computer.state.clone();
    let mut console = FakeConsole::new();
    let code = computer.screamctl(&mut console, &["doctor"]);
    assert_eq!((&computer.calls, &computer.state, &console.err[..]), (&Vec::new(), &state, ""));
    (code, console.out)
}

/// The lines of a check, without its name.
fn lines<'a>(out: &'a str, check: &str) -> Vec<&'a str> {
    let of_check = |line: &&str| line.get(9..20).is_some_and(|name| name.trim_end() == check);
    out.lines().filter(of_check).collect()
}

/// Looks at the lines that differ from those of a computer on which all is well, and at the sum.
fn assert_differs(computer: &mut FakeComputer, differences: &[&str], end: &str) {
    let (code, out) = run(computer);
    let (found, sum) = out.split_once("\n\n").expect("an empty line before the sum");
    let found: Vec<&str> = found.lines().filter(|line| !WELL.lines().any(|well| well == *line)).collect();
    assert_eq!((found, sum), (differences.to_vec(), end));
    assert_eq!(code, i32::from(end != NOTHING));
}

const NOTHING: &str = "Nothing is wrong.\n";
const ONE: &str = "1 thing is wrong.\n";

#[test]
fn all_is_well_and_no_rights_are_needed() {
    assert_eq!(run(&mut well()), (0, WELL.to_owned()));
}

#[test]
fn without_a_device_what_depends_on_it_is_skipped_and_the_rest_is_examined() {
    let mut computer = well();
    computer.state.nodes.clear();
    let differences = [
        "wrong    device      Scream is not installed: screamctl install",
        "skipped  driver      no device was found",
        "note     signatures  test signing is off, Secure Boot is off, memory integrity is off",
        "skipped  playback    the driver does not run",
    ];
    assert_differs(&mut computer, &differences, ONE);
}

#[test]
fn a_device_without_a_driver_is_not_asked_for_its_problem() {
    let mut computer = well();
    computer.state.nodes.clear();
    computer.add_node(r"ROOT\Scream");
    let differences = [
        r"wrong    device      ROOT\MEDIA\0000 has no driver: screamctl install",
        "skipped  driver      the device has no driver",
        "note     signatures  test signing is off, Secure Boot is off, memory integrity is off",
        "skipped  playback    the driver does not run",
    ];
    assert_differs(&mut computer, &differences, ONE);
}

#[test]
fn of_several_devices_the_one_that_runs_is_examined() {
    let mut computer = well();
    computer.state.nodes[0].instance_id = r"ROOT\MEDIA\0001".to_owned();
    computer.add_node(r"ROOT\Scream");
    let differences = [
        r"ok       device      ROOT\MEDIA\0001, version 0.1.0.0 (oem7.inf)",
        "note     device      there are 2 of them: screamctl install removes the others",
    ];
    assert_differs(&mut computer, &differences, NOTHING);
}

#[test]
fn a_problem_of_the_device_is_named() {
    let cases = [
        (10, "the device cannot start (code 10): restart Windows"),
        (
            22,
            "the device is disabled (code 22): enable it in Device Manager, below Sound, video and game controllers",
        ),
    ];
    for (problem, line) in cases {
        let mut computer = well();
        computer.state.nodes[0].problem = problem;
        computer.state.nodes[0].started = false;
        let driver = format!("wrong    driver      {line}");
        let differences = [
            &driver[..],
            "note     signatures  test signing is off, Secure Boot is off, memory integrity is off",
            "skipped  playback    the driver does not run",
        ];
        assert_differs(&mut computer, &differences, ONE);
    }
}

/// What makes a computer differ.
type Change = fn(&mut FakeComputer);

#[test]
fn a_driver_that_is_not_loaded_is_wrong() {
    let cases: [(Change, &str); 3] = [
        (|computer| computer.state.nodes[0].started = false, "the device is not started: restart Windows"),
        (|computer| computer.state.services.clear(), "it has no service: screamctl install"),
        (
            |computer| computer.state.services.values_mut().for_each(|service| service.running = false),
            "its service does not run: restart Windows",
        ),
    ];
    for (change, line) in cases {
        let mut computer = well();
        change(&mut computer);
        let (code, out) = run(&mut computer);
        assert_eq!((code, lines(&out, "driver")), (1, vec![&format!("wrong    driver      {line}")[..]]));
    }
}

#[test]
fn a_refused_signature_is_traced_to_what_windows_demands() {
    let microsoft = "use a package that Microsoft signed";
    let certificate = "install the package's test certificate with screamctl install, or use a package \
        that Microsoft signed";
    let cases = [
        (
            false,
            Some(true),
            format!(
                "test signing is off, Secure Boot is on, memory integrity is on: {microsoft}; or turn \
                    Secure Boot off, then \"bcdedit /set testsigning on\", and restart"
            ),
        ),
        (
            false,
            Some(false),
            format!(
                "test signing is off, Secure Boot is off, memory integrity is on: {microsoft}; or \
                    \"bcdedit /set testsigning on\", and restart"
            ),
        ),
        (
            false,
            None,
            format!(
                "test signing is off, there is no Secure Boot, memory integrity is on: {microsoft}; or \
                    \"bcdedit /set testsigning on\", and restart"
            ),
        ),
        (
            true,
            Some(false),
            format!("test signing is on, Secure Boot is off, memory integrity is on: {certificate}"),
        ),
    ];
    for (test_signing, secure_boot, line) in cases {
        let mut computer = well();
        computer.state.nodes[0].problem = 52;
        computer.state.nodes[0].started = false;
        computer.code_integrity = CodeIntegrity { enforced: true, test_signing, memory_integrity: true };
        computer.secure_boot = secure_boot;
        let (code, out) = run(&mut computer);
        assert_eq!((code, lines(&out, "signatures")), (1, vec![&format!("wrong    signatures  {line}")[..]]));
        let driver = "wrong    driver      Windows does not accept the driver's signature (code 52): ";
        assert!(lines(&out, "driver")[0].starts_with(driver), "{out}");
        assert!(out.ends_with("\n\n2 things are wrong. Begin with the first.\n"), "{out}");
    }
}

#[test]
fn what_weakens_the_demands_is_told() {
    let mut computer = well();
    computer.code_integrity = CodeIntegrity { enforced: false, test_signing: true, memory_integrity: false };
    computer.upgraded_system = 1;
    let line = "ok       signatures  signatures are not enforced, test signing is on, Secure Boot is off, \
        memory integrity is off, UpgradedSystem is 1";
    assert_differs(&mut computer, &[line], NOTHING);
}

#[test]
fn a_pending_restart_is_wrong() {
    let mut computer = well();
    computer.pending_files = vec!["Scream.sys".to_owned()];
    assert_differs(
        &mut computer,
        &["wrong    restart     a change of the driver is not complete: restart Windows"],
        ONE,
    );
}

#[test]
fn a_playback_device_is_there_enabled_and_chosen() {
    let other = "note     playback    Speakers (Scream) is not the default device: \
        choose it in the Sound settings or in the program";
    let audio = "restart the service \"Windows Audio\", or Windows";
    let mut computer = well();
    computer.state.endpoints[0].is_default = false;
    assert_differs(&mut computer, &[other], NOTHING);
    let cases = [
        (EndpointState::Disabled, "is disabled: enable it in the Sound settings of Windows".to_owned()),
        (EndpointState::NotPresent, "has no driver that runs: restart Windows".to_owned()),
        (EndpointState::Unplugged, format!("is taken for unplugged: {audio}")),
    ];
    for (state, line) in cases {
        let mut computer = well();
        computer.state.endpoints[0].state = state;
        assert_differs(&mut computer, &[&format!("wrong    playback    {SPEAKERS} {line}")], ONE);
    }
    let mut computer = well();
    computer.state.endpoints.clear();
    let line = format!("wrong    playback    Windows has no playback device of the driver: {audio}");
    assert_differs(&mut computer, &[&line], ONE);
}

#[test]
fn every_value_that_is_ignored_is_told() {
    let mut computer = well();
    computer.state.options.extend([
        dword("TTL", 300),
        texts("Targets", &["10.0.0.5", "receiver"]),
        text("UnicastIPv4", "10.0.0.6"),
        text("UnicastSrcPort", "any"),
        dword("TTLL", 8),
    ]);
    let targets = "REG_MULTI_SZ, 1 to 8 of ADDRESS, ADDRESS:PORT or [IPV6]:PORT, ADDRESS may be \
        multicast or multicast6";
    let targets = format!(
        "wrong    options     Targets receiver is ignored: not an address: set what is accepted, which \
            is {targets}, or unset it"
    );
    let differences = [
        &targets[..],
        "note     options     UnicastIPv4 10.0.0.6 is not looked at while Targets is set",
        "wrong    options     UnicastSrcPort any is ignored: a REG_SZ: \
         set what is accepted, which is REG_DWORD, from 1 to 65535, or 0 for any, or unset it",
        "wrong    options     TTL 300 is ignored: out of range: \
         set what is accepted, which is REG_DWORD, from 1 to 255, or unset it",
        "note     options     TTLL: not an option of this driver: did you mean TTL?",
        "ok       target      10.0.0.5:4010 by Ethernet (12), from 192.168.1.10, through 192.168.1.1",
    ];
    assert_differs(&mut computer, &differences, "3 things are wrong. Begin with the first.\n");
    let mut computer = well();
    computer.state.options = vec![text("SilenceThreshold", "100"), dword("ContinuousStream", 1)];
    let line = "wrong    options     SilenceThreshold 100 is ignored: a REG_SZ: \
        set what is accepted, which is REG_DWORD, samples of each channel, or 0 for never, or unset it";
    assert_eq!(lines(&run(&mut computer).1, "options"), [line]);
    let mut computer = well();
    computer.state.options.clear();
    let (code, out) = run(&mut computer);
    assert_eq!((code, lines(&out, "options")), (0, vec!["ok       options     none is set"]));
}

#[test]
fn shared_memory_takes_the_place_of_the_network() {
    let used = "ok       options     all that are set are used: Interface, UseIVSHMEM";
    let mut computer = well();
    computer.state.options.push(dword("UseIVSHMEM", 2));
    // Without a network nothing is asked of it.
    computer.refuse("interfaces", 8);
    let differences = [
        used,
        "note     memory      audio goes to the IVSHMEM device of 2 MiB and to no network",
        "skipped  target      nothing goes to the network",
    ];
    assert_differs(&mut computer, &differences, NOTHING);
    let mut computer = well();
    computer.state.options.extend([dword("UseIVSHMEM", 2), dword("IVSHMEMFallback", 1)]);
    let used = format!("{used}, IVSHMEMFallback");
    let differences = [
        &used[..],
        "note     memory      audio goes to the IVSHMEM device of 2 MiB, and to the network while there is none",
    ];
    assert_differs(&mut computer, &differences, NOTHING);
}

#[test]
fn the_way_to_every_target_is_examined() {
    let mut computer = well();
    computer.state.options = vec![texts("Targets", &["multicast", "10.0.0.9", "192.168.2.20"])];
    let differences = [
        "ok       options     all that are set are used: Targets",
        "ok       target      239.255.77.77:4010 by WSL (20), from 172.20.0.1",
        "wrong    target      10.0.0.9:4010: Windows knows no way to it: look at the cable, the \
            address, and Interface",
        "wrong    target      192.168.2.20:4010: Wi-Fi (21) is not connected: connect it, or set \
            Interface to an address of another one",
        "note     target      2 interfaces are up (Ethernet, WSL) and Interface is not set: Windows \
            chose one for multicast, \
         and \"screamctl options set Interface\" chooses another",
    ];
    assert_differs(&mut computer, &differences, "2 things are wrong. Begin with the first.\n");
}

#[test]
fn a_firewall_that_blocks_is_told_by_its_profile() {
    let mut computer = well();
    computer.firewall[0].blocks_outbound = true;
    let line = "note     firewall    outgoing packets are blocked (Private) unless a rule allows them: \
        allow UDP for the program System";
    assert_differs(&mut computer, &[line], NOTHING);
    computer.firewall[1].enabled = true;
    let line = "note     firewall    outgoing packets are blocked (Private, Public) unless a rule \
        allows them: allow UDP for the program System";
    assert_differs(&mut computer, &[line], NOTHING);
    // With a firewall of somebody else Windows does not answer: that is not wrong.
    computer.refuse("firewall", 0x8000_4001);
    let line =
        "note     firewall    this cannot be examined: INetFwPolicy2::CurrentProfileTypes: error 0x80004001";
    assert_differs(&mut computer, &[line], NOTHING);
}

#[test]
fn the_older_driver_is_wrong_and_its_package_alone_is_not() {
    let mut computer = well();
    computer.state.packages.insert("oem3.inf".to_owned(), FakePackage::old_scream());
    let line = "note     old driver  the older Scream driver is still stored as oem3.inf, unused";
    assert_differs(&mut computer, &[line], NOTHING);
    computer.add_node("*Scream");
    let line = "wrong    old driver  the older Scream driver is installed as ROOT\\MEDIA\\0001, with the same service: \
        screamctl install --replace-old";
    assert_differs(&mut computer, &[line], ONE);
}

#[test]
fn a_call_that_fails_is_the_verdict_of_its_check_and_the_others_go_on() {
    let cases = [
        ("nodes", "SetupDiGetClassDevsW", &["device", "old driver"][..]),
        ("service", "OpenServiceW", &["driver"]),
        ("code_integrity", "NtQuerySystemInformation", &["signatures"]),
        ("secure_boot", "RegGetValueW", &["signatures"]),
        ("upgraded_system", "RegGetValueW", &["signatures"]),
        ("restart_is_pending_for", "RegGetValueW", &["restart"]),
        ("endpoints", "IMMDeviceEnumerator::EnumAudioEndpoints", &["playback"]),
        ("option_values", "RegEnumValueW", &["options"]),
        ("interfaces", "GetAdaptersAddresses", &["target"]),
        ("packages", "FindFirstFileW", &["old driver"]),
    ];
    for (method, call, checks) in cases {
        let (mut failing, mut denying) = (well(), well());
        failing.refuse(method, 8);
        denying.refuse(method, 5);
        let (failed, denied) = (run(&mut failing), run(&mut denying));
        for check in checks {
            let failure =
                format!("Windows has no memory left ({call}: error 8): close some programs and try again");
            let line = format!("wrong    {check:<11} this cannot be examined: {failure}");
            assert_eq!((failed.0, lines(&failed.1, check)), (1, vec![&line[..]]));
            let line = format!("skipped  {check:<11} this needs an administrator's rights ({call}: error 5)");
            assert_eq!(lines(&denied.1, check), [line]);
        }
        // Every check is there, whatever becomes of one of them.
        for check in WELL.lines().filter_map(|line| line.get(9..20)) {
            assert_ne!(lines(&failed.1, check.trim_end()), [""; 0], "{check} after {method}");
        }
    }
}

#[test]
fn a_route_that_cannot_be_looked_up_is_wrong_for_its_target() {
    let mut computer = well();
    computer.refuse("route", 8);
    let line = "wrong    target      239.255.77.77:4010: Windows has no memory left (GetBestRoute2: \
        error 8): close some programs and try again";
    assert_differs(&mut computer, &[line], ONE);
}

#[test]
fn without_the_options_what_depends_on_them_is_skipped() {
    let mut computer = well();
    computer.refuse("option_values", 8);
    let differences = [
        "wrong    options     this cannot be examined: Windows has no memory left (RegEnumValueW: error \
            8): close some programs and try again",
        "skipped  memory      the options cannot be read",
        "skipped  target      the options cannot be read",
    ];
    assert_differs(&mut computer, &differences, ONE);
}
