//! Options in a real registry.

use super::prefix::Prefix;

const KEY: &str = r"System\CurrentControlSet\Services\Scream\Options";

#[test]
fn what_options_set_stores_is_in_the_registry_with_the_type_of_each_option() {
    let prefix = Prefix::new();
    for set in [
        "options set ttl 8",
        "options set UnicastIPv4 192.0.2.1",
        "options set UnicastPort 0x1000",
        "options set Interface 4",
        "options set Targets 192.0.2.1 [2001:db8::1]:4011 multicast",
    ] {
        let ended = prefix.screamctl(set);
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{set}: {ended:?}");
    }
    let registry = prefix.registry();
    assert_eq!(
        registry.values(KEY),
        [
            ("Interface", "dword:00000004"),
            ("TTL", "dword:00000008"),
            ("Targets", r#"str(7):"192.0.2.1\0[2001:db8::1]:4011\0multicast\0""#),
            ("UnicastIPv4", "\"192.0.2.1\""),
            ("UnicastPort", "dword:00001000"),
        ]
    );

    assert_eq!(prefix.screamctl("options set Interface 192.0.2.2").code, 0);
    assert_eq!(prefix.screamctl("options get interface").out, "192.0.2.2\n");
    assert_eq!(prefix.screamctl("options get TTL").out, "8\n");
    assert_eq!(prefix.registry().value(KEY, "Interface"), Some("\"192.0.2.2\""));
}

#[test]
fn reg_exe_sees_what_is_stored_and_screamctl_what_reg_exe_stores() {
    let prefix = Prefix::new();
    assert_eq!(prefix.screamctl("options set UnicastIPv4 192.0.2.9").code, 0);
    let key = format!(r"HKLM\{KEY}");
    let query = prefix.run("reg", &["query", &key, "/v", "UnicastIPv4"]);
    let found = query.out.lines().any(|line| line.trim() == "UnicastIPv4    REG_SZ    192.0.2.9");
    assert!(found, "{query:?}");

    for (name, kind, data, holds) in [
        ("TTL", "REG_DWORD", "7", "7"),
        ("UnicastSrcIPv4", "REG_SZ", "192.0.2.10", "192.0.2.10"),
        ("Targets", "REG_MULTI_SZ", r"192.0.2.11\0192.0.2.12:4011", "192.0.2.11:4010\n192.0.2.12:4011"),
    ] {
        let added = prefix.run("reg", &["add", &key, "/v", name, "/t", kind, "/d", data, "/f"]);
        assert_eq!(added.code, 0, "{added:?}");
        assert_eq!(prefix.screamctl(&format!("options get {name}")).out, format!("{holds}\n"));
    }
}

#[test]
fn values_of_the_wrong_type_and_of_any_size_are_listed_and_do_no_harm() {
    let prefix = Prefix::new();
    let large = vec!["5a"; 65_536].join(",");
    prefix.import(&format!(
        "[HKEY_LOCAL_MACHINE\\{KEY}]\n\"Large\"=hex:{large}\n\"Targets\"=hex:01,02,03\n\"UnicastPort\"=\"4011\"\n\
         \"Interface\"=hex(7):61,00,00,00,00,00\n\"SilenceThreshold\"=hex(4):01,02\n\"TTL\"=dword:0000012c\n\
         \"Empty\"=hex(2):\n\"TTLL\"=hex(b):01,00,00,00,00,00,00,00\n"
    ));
    let list = prefix.screamctl("options list");
    assert_eq!((list.code, list.err.as_str()), (0, ""));
    for expected in [
        "REG_BINARY of 3 bytes",
        "(ignored: a REG_BINARY)",
        "(ignored: a REG_SZ)",
        "(ignored: a REG_MULTI_SZ)",
        "(ignored: not of 4 bytes)",
        "(ignored: out of range)",
        "note: TTLL: not an option of this driver: did you mean TTL?",
        "note: Large: not an option of this driver",
        "note: Empty: not an option of this driver",
    ] {
        assert!(list.out.contains(expected), "{expected} is not in\n{}", list.out);
    }
    assert_eq!(prefix.screamctl("options get UnicastPort").out, "4010\n");

    let before = prefix.registry();
    let refused = prefix.screamctl("options set TTL 300");
    assert_eq!(refused.code, 1);
    assert_eq!(refused.err, "error: TTL cannot be 300: out of range; accepted: REG_DWORD, from 1 to 255\n");
    let unknown = prefix.screamctl("options set TLL 3");
    assert_eq!(unknown.code, 1);
    assert_eq!(
        unknown.err,
        "error: there is no option \"TLL\": did you mean TTL? (screamctl options list shows all)\n"
    );
    assert_eq!(prefix.registry().values(KEY), before.values(KEY));
}

#[test]
fn options_that_were_all_there_was_of_the_service_key_leave_nothing_when_scream_is_removed() {
    let prefix = Prefix::new();
    let before = prefix.registry();
    assert_eq!(prefix.screamctl("options set TTL 8").code, 0);
    assert!(prefix.registry().has(KEY));
    let removed = prefix.screamctl("uninstall --unattended");
    assert_eq!((removed.code, removed.err.as_str()), (0, ""), "{removed:?}");
    assert!(!prefix.registry().has(r"System\CurrentControlSet\Services\Scream"));
    assert!(!before.has(r"System\CurrentControlSet\Services\Scream"));
}
