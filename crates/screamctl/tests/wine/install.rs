//! Installing and removing, as far as wine goes.
//!
//! What wine 8 cannot do: it takes no signature of a test certificate for its kernel, has no `SetupVerifyInfFileW`, loads no
//! driver that needs PortCls, does not tell a device's state, and removes neither a driver's files nor its key in the class.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::prefix::{Ended, Prefix, on_wine, package, windows_path};

const ENUM: &str = r"System\CurrentControlSet\Enum\Root\Media\0000";
const CLASS: &str = r"System\CurrentControlSet\Control\Class\{4d36e96c-e325-11ce-bfc1-08002be10318}";
const SERVICE: &str = r"System\CurrentControlSet\Services\Scream";
const INTERFACES: &str = r"System\CurrentControlSet\Control\DeviceClasses";
const CERTIFICATES: &str = r"Software\Microsoft\SystemCertificates";

/// Runs `on_wine.exe install` on the package.
fn install(prefix: &Prefix) -> Ended {
    let package = windows_path(&package());
    prefix.run(on_wine(), &["install", "--package", &package, "--unattended", "--trust-certificate"])
}

#[test]
fn a_package_for_tests_is_refused_where_test_signing_is_off_and_nothing_has_changed() {
    let prefix = Prefix::new();
    prefix.settle();
    let before = (prefix.registry(), prefix.files());
    let program = package().join("x64/screamctl.exe");
    let install = prefix.run(program, &["install", "--unattended", "--trust-certificate"]);
    assert_eq!(install.code, 1);
    assert_eq!(
        install.err,
        "error: the package is signed for tests, and test signing is off: run \"bcdedit /set testsigning on\" as an \
         administrator, restart Windows, and install again\n"
    );
    let after = prefix.registry();
    assert!(after.keys_beyond(&before.0).is_empty(), "{:?}", after.keys_beyond(&before.0));
    assert_eq!(prefix.files(), before.1);
}

/// Signs the catalog of a package anew, with the certificate of somebody whom nobody knows.
fn sign_by_somebody_else(package: &Path) {
    let run = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).current_dir(package).args(arguments).output();
        let output = output.expect("`cargo xtask test` sees to it that the program is installed");
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    };
    let subject = ["-subj", "/CN=Somebody else", "-addext", "extendedKeyUsage=codeSigning", "-days", "2"];
    let request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "cert.pem"];
    run("openssl", &[&request[..], &subject].concat());
    let files = ["-in", "driver/scream.cat", "-out", "driver/signed.cat"];
    run(
        "osslsigncode",
        &[&["sign", "-certs", "cert.pem", "-key", "key.pem", "-h", "sha256"][..], &files].concat(),
    );
    fs::rename(package.join("driver/signed.cat"), package.join("driver/scream.cat")).expect("it is ours");
}

#[test]
fn a_signature_that_windows_does_not_accept_is_named_and_nothing_has_changed() {
    let prefix = Prefix::new();
    prefix.settle();
    let before = (prefix.registry(), prefix.files());
    let folder = prefix.path().join("by somebody else");
    let copied = Command::new("cp").arg("-r").arg(package()).arg(&folder).status();
    assert!(copied.is_ok_and(|status| status.success()));
    sign_by_somebody_else(&folder);
    let install = prefix.run(folder.join("x64/screamctl.exe"), &["install", "--unattended"]);
    assert_eq!(install.code, 1, "{install:?}");
    // ERROR_PROC_NOT_FOUND: this SetupAPI cannot say.
    assert_eq!(
        install.err,
        "error: Windows does not accept the signature of Somebody else: SetupVerifyInfFileW: error 127\n"
    );
    let after = prefix.registry();
    assert!(after.keys_beyond(&before.0).is_empty(), "{:?}", after.keys_beyond(&before.0));
    assert_eq!(prefix.files(), before.1);
}

#[test]
fn an_installation_puts_everything_where_the_inf_says_and_keeps_the_options_that_were_set_before() {
    let prefix = Prefix::new();
    assert_eq!(prefix.screamctl("options set TTL 8").code, 0);
    let ended = install(&prefix);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{ended:?}");
    assert!(ended.out.contains(r"device        ROOT\MEDIA\0000 made"), "{}", ended.out);

    let registry = prefix.registry();
    assert_eq!(registry.value(ENUM, "HardwareID"), Some(r#"str(7):"ROOT\\Scream\0""#));
    assert_eq!(registry.value(ENUM, "Service"), Some("\"Scream\""));
    assert_eq!(registry.value(ENUM, "DeviceDesc"), Some("\"Scream\""));
    let parameters = format!(r"{ENUM}\Device Parameters");
    assert_eq!(
        registry.values(&parameters),
        [
            ("DeviceType", "dword:0000001d"),
            ("Security", "\"D:P(A;;GA;;;SY)(A;;GRGWGX;;;BA)(A;;GRGWGX;;;WD)(A;;GRGWGX;;;RC)\""),
        ]
    );

    let driver = format!(r"{CLASS}\0000");
    assert_eq!(registry.value(&driver, "Driver"), Some("\"scream.sys\""));
    assert_eq!(registry.value(&driver, "InfPath"), Some("\"oem0.inf\""));
    assert_eq!(registry.value(&format!(r"{driver}\Drivers"), "SubClasses"), Some("\"wave,mixer\""));
    for kind in ["wave", "mixer"] {
        let key = format!(r"{driver}\Drivers\{kind}\wdmaud.drv");
        assert_eq!(registry.values(&key), [("Description", "\"Scream\""), ("Driver", "\"wdmaud.drv\"")]);
    }

    assert_eq!(registry.value(SERVICE, "Type"), Some("dword:00000001"));
    assert_eq!(registry.value(SERVICE, "Start"), Some("dword:00000003"));
    assert_eq!(registry.value(SERVICE, "ErrorControl"), Some("dword:00000001"));
    assert_eq!(registry.value(SERVICE, "DisplayName"), Some("\"Scream virtual sound card\""));
    let file = r"C:\\windows\\system32\\DriverStore\\FileRepository\\scream.inf_amd64_wine\\x64\\scream.sys";
    assert_eq!(registry.value(SERVICE, "ImagePath"), Some(format!("\"{file}\"").as_str()));
    let installed = prefix
        .drive_c()
        .join("windows/system32/DriverStore/FileRepository/scream.inf_amd64_wine/x64/scream.sys");
    let of_package = fs::read(package().join("driver/x64/scream.sys")).expect("the package has the driver");
    assert!(fs::read(installed).is_ok_and(|installed| installed == of_package));
    assert_eq!(registry.values(&format!(r"{SERVICE}\Options")), [("TTL", "dword:00000008")]);
}

#[test]
fn an_installation_makes_the_interfaces_of_both_filters() {
    let prefix = Prefix::new();
    assert_eq!(install(&prefix).code, 0);
    let registry = prefix.registry();
    for (category, filters) in [
        ("{6994ad04-93ef-11d0-a3cc-00a0c9223196}", &["Wave", "Topology"][..]),
        ("{65e8773e-8f56-11d0-a3b9-00a0c9223196}", &["Wave"]),
        ("{eb115ffc-10c8-4964-831d-6dcb02e6f23f}", &["Wave"]),
        ("{dda54a40-1e4c-11d1-a050-405705c10000}", &["Topology"]),
    ] {
        let device = format!(r"{INTERFACES}\{category}\##?#root#media#0000#{category}");
        for filter in ["Wave", "Topology"] {
            let is_made = registry.has(&format!(r"{device}\#{filter}"));
            assert_eq!(is_made, filters.contains(&filter), "{category} {filter}");
        }
        for filter in filters {
            let parameters = format!(r"{device}\#{filter}\Device Parameters");
            assert_eq!(
                registry.values(&parameters),
                [("CLSID", "\"{17CCA71B-ECD7-11D0-B908-00A0C9223196}\""), ("FriendlyName", "\"Scream\"")]
            );
        }
        if filters.contains(&"Topology") {
            let endpoint = format!(r"{device}\#Topology\Device Parameters\EP\0");
            let event_driven = registry.value(&endpoint, "{1DA5D803-D492-4EDD-8C23-E0C0FFEE7F0E},7");
            assert_eq!(event_driven, Some("dword:00000001"));
            let association = registry.value(&endpoint, "{1DA5D803-D492-4EDD-8C23-E0C0FFEE7F0E},2");
            assert_eq!(association, Some("\"{00000000-0000-0000-0000-000000000000}\""));
            let format = registry.value(&endpoint, "{E4870E26-3CC5-4CD2-BA46-CA0A9A70ED04},3");
            assert!(format.is_some_and(|format| format.starts_with("hex:41,00,00,00,28,00,00,00,fe,ff,02,00,80,bb")));
        }
    }
}

#[test]
fn a_second_installation_makes_no_second_device_and_status_tells_what_there_is() {
    let prefix = Prefix::new();
    assert_eq!(install(&prefix).code, 0);
    let first = prefix.registry();
    let again = install(&prefix);
    assert_eq!((again.code, again.err.as_str()), (0, ""), "{again:?}");
    assert!(again.out.contains("driver store  oem0.inf is there"), "{}", again.out);
    assert!(again.out.contains(r"device        ROOT\MEDIA\0000 is there"), "{}", again.out);
    let second = prefix.registry();
    assert!(second.keys_beyond(&first).is_empty(), "{:?}", second.keys_beyond(&first));
    assert!(first.keys_beyond(&second).is_empty(), "{:?}", first.keys_beyond(&second));

    let status = prefix.run(on_wine(), &["status"]);
    let version = env!("CARGO_PKG_VERSION");
    assert!(status.out.contains(&format!("package       {version}.0 (oem0.inf)")), "{}", status.out);
    assert!(status.out.contains(&format!(r"device        ROOT\MEDIA\0000, {version}.0: does not run")));
    assert!(status.out.contains("service       not loaded"), "{}", status.out);
    assert!(status.out.contains("certificate   the test certificate is trusted"), "{}", status.out);
}

#[test]
fn a_removal_leaves_only_what_wine_never_removes() {
    let prefix = Prefix::new();
    prefix.settle();
    let before = (prefix.registry(), prefix.files());
    assert_eq!(install(&prefix).code, 0);
    assert_eq!(prefix.screamctl("options set TTL 8").code, 0);
    let removed = prefix.run(on_wine(), &["uninstall", "--unattended"]);
    assert_eq!((removed.code, removed.err.as_str()), (0, ""), "{removed:?}");
    assert!(removed.out.ends_with("driver        Scream is removed\n"), "{}", removed.out);

    let after = prefix.registry();
    let driver = format!(r"{CLASS}\0000").to_lowercase();
    // The categories that Windows always has, and wine from the first interface on.
    let categories = format!(r"{INTERFACES}\").to_lowercase();
    let is_category = |key: &str| key.strip_prefix(&categories).is_some_and(|rest| !rest.contains('\\'));
    let left = after.keys_beyond(&before.0).into_iter();
    let left: Vec<_> = left.filter(|key| !key.starts_with(&driver) && !is_category(key)).collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(!after.has(ENUM));
    assert!(!after.has(SERVICE));
    let left: Vec<_> = prefix.files().into_iter().filter(|file| !before.1.contains(file)).collect();
    // The index that SetupAPI makes of an INF, and what Windows deletes with the package. What lies in the
    // folder for temporary files is the test's own.
    let left = left.iter().map(|file| file.display().to_string()).filter(|file| !file.contains("on-wine"));
    assert_eq!(
        left.collect::<Vec<_>>(),
        [
            "windows/inf/oem0.pnf",
            "windows/system32/DriverStore/FileRepository/scream.inf_amd64_wine/x64/scream.sys",
            "windows/system32/catroot/{f750e6c3-38ee-11d1-85e5-00c04fc295ee}/scream.cat",
        ]
    );

    let again = prefix.run(on_wine(), &["uninstall", "--unattended"]);
    assert_eq!((again.code, again.out.as_str()), (0, "driver        Scream is not installed\n"));
}

#[test]
fn the_certificate_is_trusted_while_scream_is_installed_and_not_after() {
    let prefix = Prefix::new();
    let count = || {
        let registry = prefix.registry();
        ["Root", "TrustedPublisher"].map(|store| {
            let keys = registry.below(&format!(r"{CERTIFICATES}\{store}\Certificates"));
            keys.len()
        })
    };
    prefix.settle();
    let [roots, publishers] = count();
    assert_eq!(install(&prefix).code, 0);
    assert_eq!(count(), [roots + 1, publishers + 1]);
    assert_eq!(prefix.run(on_wine(), &["uninstall", "--unattended"]).code, 0);
    assert_eq!(count(), [roots, publishers]);
}

#[test]
fn a_package_that_cannot_be_stored_is_named_and_the_certificate_is_taken_back() {
    let prefix = Prefix::new();
    prefix.settle();
    let before = prefix.registry();
    // Where the package is copied to there is a file.
    let users = fs::read_dir(prefix.drive_c().join("users")).expect("the prefix can be read");
    let temporary = users.flatten().map(|user| user.path().join("Temp")).find(|folder| folder.is_dir());
    let temporary = temporary.expect("the user has a folder for temporary files");
    fs::write(temporary.join("on-wine"), "").expect("the prefix can be written");
    let ended = install(&prefix);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(
        ended.err.starts_with("error: the package cannot be added to the driver store: "),
        "{}",
        ended.err
    );
    assert!(ended.err.contains("CopyFileW: error "), "{}", ended.err);
    assert!(ended.out.contains("certificate   is among the trusted publishers"), "{}", ended.out);
    let after = prefix.registry();
    assert!(after.keys_beyond(&before).is_empty(), "{:?}", after.keys_beyond(&before));
    assert!(before.keys_beyond(&after).is_empty(), "{:?}", before.keys_beyond(&after));
}
