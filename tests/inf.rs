//! The INF: it keeps to the rules, and says what the driver says.
#![cfg(target_os = "linux")]

mod common;

use common::{SERVICE, prompt_network, with_device};
use driver_package::inf::rules::{Finding, findings};
use driver_package::inf::{Entry, Inf, version};
use driver_package::layout::{Architecture, CATALOG, DRIVER_FILE};
use testbed::client::Format;
use testbed::nt::Guid;
use testbed::portcls::abi::guid;

/// The INF of this project.
const INF: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/inf/scream.inf");
/// SDDL_DEVOBJ_SYS_ALL_ADM_RWX_WORLD_RWX_RES_RWX of `wdmsec.h`, as the samples of Microsoft have it.
const SECURITY: &str = "D:P(A;;GA;;;SY)(A;;GRGWGX;;;BA)(A;;GRGWGX;;;WD)(A;;GRGWGX;;;RC)";
/// FILE_DEVICE_SOUND of `wdm.h`.
const SOUND: &str = "0x0000001D";
/// CLSID_Proxy of `ks.h`, the proxy of a filter for programs.
const PROXY: &str = "{17CCA71B-ECD7-11D0-B908-00A0C9223196}";
/// PKEY_AudioEndpoint_Association, PKEY_AudioEndpoint_Supports_EventDriven_Mode and PKEY_AudioEngine_OEMFormat of
/// `mmdeviceapi.h`.
const ENDPOINT: [&str; 3] = [
    "{1DA5D803-D492-4EDD-8C23-E0C0FFEE7F0E},2",
    "{1DA5D803-D492-4EDD-8C23-E0C0FFEE7F0E},7",
    "{E4870E26-3CC5-4CD2-BA46-CA0A9A70ED04},3",
];

/// What the loaded driver says of itself.
struct Known {
    /// The names of its filters.
    subdevices: Vec<String>,
    /// Whether it takes the format that the INF makes the first default.
    takes_default_format: bool,
}

fn known() -> Known {
    with_device(prompt_network(), |device| Known {
        subdevices: device.subdevices(),
        takes_default_format: device.propose(0, &default_format()).is_ok(),
    })
    .expect_clean()
}

fn default_format() -> Format {
    Format::pcm(48_000, 16, 2)
}

fn read() -> String {
    std::fs::read_to_string(INF).expect("the INF can be read")
}

/// The endings of the sections of a processor, and the folder of its files.
const PROCESSORS: [(&str, Architecture); 2] = [("amd64", Architecture::X64), ("arm64", Architecture::Arm64)];

/// The lines of a section, with `%names%` replaced; none if there is no such section.
fn lines(inf: &Inf, section: &str) -> Vec<Vec<String>> {
    let line = |entry: &Entry| {
        let texts = entry.key.iter().chain(&entry.values);
        texts.map(|text| inf.expand(text)).collect()
    };
    inf.section(section).map_or_else(Vec::new, |section| section.entries.iter().map(line).collect())
}

fn textual(guid: Guid) -> String {
    let tail: String = guid.data4.iter().map(|byte| format!("{byte:02X}")).collect();
    let (clock, node) = tail.split_at(4);
    format!("{{{:08X}-{:04X}-{:04X}-{clock}-{node}}}", guid.data1, guid.data2, guid.data3)
}

/// What the INF has to say of this driver: a name for each fact, and whether it holds.
fn facts(inf: &Inf, known: &Known) -> Vec<(&'static str, bool)> {
    let each = |holds: &dyn Fn(&str, Architecture) -> bool| {
        PROCESSORS.iter().all(|(name, architecture)| holds(name, *architecture))
    };
    let driver_ver = inf.driver_ver().map(|driver_ver| driver_ver.version);
    vec![
        ("the version is that of Cargo.toml", driver_ver == version(env!("CARGO_PKG_VERSION")).ok()),
        ("the catalog has its name", lines(inf, "Version").contains(&row(&["CatalogFile", CATALOG]))),
        (
            "the device is ROOT\\Scream",
            each(&|name, _| {
                lines(inf, &format!("Models.NT{name}.10.0...19041"))
                    == [row(&["Scream", "Scream", r"ROOT\Scream"])]
            }),
        ),
        (
            "the driver's file comes from the folder of its processor",
            each(&|name, architecture| {
                let own = lines(inf, &format!("SourceDisksFiles.{name}"));
                let files = if own.is_empty() { lines(inf, "SourceDisksFiles") } else { own };
                files == [row(&[DRIVER_FILE, "1", architecture.folder()])]
            }),
        ),
        (
            "the service is the one whose options the driver reads",
            each(&|name, architecture| {
                let section = format!("Scream.Service.{}", architecture.folder());
                lines(inf, &format!("Scream.NT{name}.Services"))
                    == [row(&["AddService", SERVICE, "0x00000002", &section])]
            }),
        ),
        (
            "the service runs the driver's file",
            each(&|_, architecture| {
                let binary = format!(r"%13%\{}\{DRIVER_FILE}", architecture.folder());
                lines(inf, &format!("Scream.Service.{}", architecture.folder()))
                    .contains(&row(&["ServiceBinary", &binary]))
            }),
        ),
        (
            "the interfaces are those of a playback device, under the names of the driver's filters",
            each(&|name, _| lines(inf, &format!("Scream.NT{name}.Interfaces")) == interfaces(known)),
        ),
        ("kernel streaming is registered", each(&|name, architecture| installs(inf, name, architecture))),
        ("programs reach the device through wdmaud", lines(inf, "Scream.AddReg") == multimedia()),
        ("the device is a sound device with its security", lines(inf, "Scream.Device.AddReg") == device()),
        ("the wave filter has its values", lines(inf, "Scream.Wave.AddReg") == filter()),
        ("the topology filter has its values", lines(inf, "Scream.Topology.AddReg") == endpoint()),
        ("the driver takes the first default format", known.takes_default_format),
    ]
}

fn row(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn interfaces(known: &Known) -> Vec<Vec<String>> {
    let [topology, wave] = known.subdevices.as_slice() else { return Vec::new() };
    let line = |category, name: &str, section| row(&["AddInterface", &textual(category), name, section]);
    vec![
        line(guid::KSCATEGORY_AUDIO, wave, "Scream.Wave"),
        line(guid::KSCATEGORY_RENDER, wave, "Scream.Wave"),
        line(guid::KSCATEGORY_REALTIME, wave, "Scream.Wave"),
        line(guid::KSCATEGORY_AUDIO, topology, "Scream.Topology"),
        line(guid::KSCATEGORY_TOPOLOGY, topology, "Scream.Topology"),
    ]
}

/// Whether the install section of a processor has the parts of ks.inf and wdmaudio.inf, and copies and adds what it
/// should.
fn installs(inf: &Inf, name: &str, architecture: Architecture) -> bool {
    let files = format!("Scream.Files.{}", architecture.folder());
    lines(inf, &format!("Scream.NT{name}"))
        == [
            row(&["Include", "ks.inf", "wdmaudio.inf"]),
            row(&["Needs", "KS.Registration", "WDMAUDIO.Registration"]),
            row(&["CopyFiles", &files]),
            row(&["AddReg", "Scream.AddReg"]),
        ]
}

fn multimedia() -> Vec<Vec<String>> {
    vec![
        row(&["HKR", "", "AssociatedFilters", "", "wdmaud,swmidi,redbook"]),
        row(&["HKR", "", "Driver", "", DRIVER_FILE]),
        row(&["HKR", "Drivers", "SubClasses", "", "wave,mixer"]),
        row(&["HKR", r"Drivers\wave\wdmaud.drv", "Driver", "", "wdmaud.drv"]),
        row(&["HKR", r"Drivers\mixer\wdmaud.drv", "Driver", "", "wdmaud.drv"]),
        row(&["HKR", r"Drivers\wave\wdmaud.drv", "Description", "", "Scream"]),
        row(&["HKR", r"Drivers\mixer\wdmaud.drv", "Description", "", "Scream"]),
    ]
}

fn device() -> Vec<Vec<String>> {
    vec![row(&["HKR", "", "DeviceType", "0x00010001", SOUND]), row(&["HKR", "", "Security", "", SECURITY])]
}

fn filter() -> Vec<Vec<String>> {
    vec![row(&["HKR", "", "CLSID", "", PROXY]), row(&["HKR", "", "FriendlyName", "", "Scream"])]
}

/// The topology filter's values: those of any filter, and those of the endpoint.
fn endpoint() -> Vec<Vec<String>> {
    // VT_BLOB and the blob's length, then what follows the 64 bytes of KSDATAFORMAT in a format of kernel streaming.
    let format = &default_format().to_bytes()[64..];
    let blob = [&65_u32.to_le_bytes()[..], &(format.len() as u32).to_le_bytes(), format].concat();
    let mut default = row(&["HKR", r"EP\0", ENDPOINT[2], "0x00000001"]);
    default.extend(blob.iter().map(|byte| format!("{byte:02X}")));
    let mut lines = filter();
    lines.push(row(&["HKR", r"EP\0", ENDPOINT[0], "", &textual(Guid::from_u128(0))]));
    lines.push(row(&["HKR", r"EP\0", ENDPOINT[1], "0x00010001", "1"]));
    lines.push(default);
    lines
}

/// Everything that is wrong with a text: the names of rules and of facts.
fn wrong(text: &str, known: &Known) -> Vec<String> {
    let rule = |finding: &Finding| format!("{:?}", finding.rule);
    let mut wrong: Vec<String> = findings(text.as_bytes()).iter().map(rule).collect();
    let facts = facts(&Inf::parse(text.as_bytes()), known);
    wrong.extend(facts.into_iter().filter(|(_, holds)| !holds).map(|(name, _)| name.to_owned()));
    wrong
}

#[test]
fn the_inf_keeps_to_every_rule() {
    let findings = findings(read().as_bytes());
    let texts: Vec<String> = findings.iter().map(Finding::to_string).collect();
    assert_eq!(texts, [""; 0]);
}

#[test]
fn the_inf_says_what_the_driver_says() {
    let known = known();
    assert_eq!(known.subdevices, ["Topology", "Wave"]);
    for (name, holds) in facts(&Inf::parse(read().as_bytes()), &known) {
        assert!(holds, "it does not hold that {name}");
    }
}

#[test]
fn the_options_are_documented_under_the_service_of_the_inf() {
    let documented = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/options.md"));
    let key = format!(r"Services\{SERVICE}\Options");
    assert!(documented.expect("the documentation can be read").contains(&key), "{key}");
}

#[test]
fn the_inf_leaves_the_options_to_the_user() {
    let inf = Inf::parse(read().as_bytes());
    let entries = inf.sections().iter().flat_map(|section| &section.entries);
    let texts = entries.flat_map(|entry| &entry.values);
    assert_eq!(texts.filter(|text| text.to_lowercase().contains("options")).count(), 0);
}

#[test]
fn both_processors_get_the_same() {
    let text = read();
    let part = |from: &str, to: &str| {
        let after = text.split_once(&format!(
            "; ---------------------------------------------------------------- {from}\n"
        ));
        let (_, after) = after.expect("the part begins");
        let (part, _) = after
            .split_once(&format!("; ---------------------------------------------------------------- {to}\n"))
            .expect("it ends");
        part.to_owned()
    };
    let x64 = part("x64", "arm64").replace("NTamd64", "NTarm64").replace("x64", "arm64");
    assert_eq!(x64, part("arm64", "both"));
}

/// One change of the INF each: what is replaced, by what, and the rule or the fact that finds it.
const MUTATIONS: &[(&str, &str, &str)] = &[
    ("; Scream,", "; \u{e4} Scream,", "Characters"),
    ("[Scream.Wave.AddReg]", "[Scream.Waves.AddReg]", "MissingSection"),
    ("[Manufacturer]", "[Manufacturers]", "MissingSection"),
    ("[DestinationDirs]", "[DestinationDir]", "MissingSection"),
    ("[Version]", "[Versions]", "Version"),
    ("%Device% = Scream, ROOT\\Scream\n", "", "Target"),
    ("[Scream.Service.x64]", "AddService = Other, 2, Scream.Service.x64\n[Scream.Service.x64]", "Service"),
    ("[Scream.Wave]\n", "[Scream.Wave]\nCopyFiles = Scream.Files.x64\n", "Directive"),
    ("[Scream.Wave.AddReg]", "[Scream.Waves.AddReg]", "UnusedSection"),
    ("[Scream.NTarm64.Services]", "[Scream.NTarm64.Service]", "MissingSection"),
    ("[Scream.NTamd64.HW]", "[Scream.NT.HW]", "MissingSection"),
    ("[Scream.NTamd64.Interfaces]", "[Scream.NTx86.Interfaces]", "UnusedSection"),
    ("[Models.NTarm64.10.0...19041]", "[Models.NTarm64]", "MissingSection"),
    ("DisplayName   = %Service%", "DisplayName   = %Services%", "UndefinedString"),
    ("DisplayName   = %Service%", "DisplayName   = %Services%", "UnusedString"),
    ("FriendlyName,, %Device%", "FriendlyName,, %SystemRoot%", "UndefinedString"),
    ("CLSID,, %Proxy.CLSID%", "CLSID,, %Proxy.CLSID", "UndefinedString"),
    ("{6994AD04-93EF-11D0-A3CC-00A0C9223196}", "{6994AD04-93EF-11D0-A3CC-00A0C922319}", "Guid"),
    ("%KSCATEGORY_RENDER%,", "KSCATEGORY_RENDER,", "Guid"),
    (
        "{6994AD04-",
        "{6994AD05-",
        "the interfaces are those of a playback device, under the names of the driver's filters",
    ),
    (
        "{65E8773E-",
        "{65E8773D-",
        "the interfaces are those of a playback device, under the names of the driver's filters",
    ),
    ("{17CCA71B-", "{17CCA71C-", "the wave filter has its values"),
    (
        "\"Wave\"",
        "\"Waves\"",
        "the interfaces are those of a playback device, under the names of the driver's filters",
    ),
    ("Signature   = \"$Windows NT$\"", "Signature   = \"$Chicago$\"", "Version"),
    ("Class       = MEDIA", "Class       = System", "Version"),
    ("ClassGuid   = {4d36e96c-", "ClassGuid   = {4d36e97d-", "Version"),
    ("Provider     = \"Scream in Rust\"", "Provider     = \"Microsoft\"", "Version"),
    ("CatalogFile = scream.cat\n", "", "Version"),
    ("CatalogFile = scream.cat", "CatalogFile = other.cat", "the catalog has its name"),
    ("PnpLockdown = 1", "PnpLockdown = 0", "Version"),
    ("DriverVer   = 11/", "DriverVer   = 13/", "Version"),
    (",0.1.0.0", ",0.1.0", "Version"),
    (",0.1.0.0", ",0.1.0.1", "the version is that of Cargo.toml"),
    ("Models, NTamd64.10.0...19041,", "Models, NTamd64,", "Target"),
    ("Models, NTamd64.10.0...19041, NTarm64.10.0...19041", "Models", "Target"),
    ("= Scream, ROOT\\Scream", "= Scream", "Target"),
    ("= Scream, ROOT\\Scream", "= Scream, *Scream", "the device is ROOT\\Scream"),
    (
        "CopyFiles = Scream.Files.x64",
        "CopyFiles = Scream.Files.x64\nLogConfig = Scream.Files.x64",
        "Directive",
    ),
    ("[Strings]", "[Scream.NTamd64.CoInstallers]\nAddReg = Scream.AddReg\n[Strings]", "UnusedSection"),
    ("HKR,, Driver,, scream.sys", "HKR,, CoInstallers32, 0x00010000, co.dll", "Directive"),
    ("Include   = ks.inf, wdmaudio.inf\n", "", "Include"),
    ("wdmaudio.inf", "wdma_usb.inf", "kernel streaming is registered"),
    ("Scream.Files.x64   = 13, x64", "Scream.Files.x64   = 12", "Directory"),
    ("Scream.Files.x64   = 13, x64\n", "", "Directory"),
    ("ServiceBinary = %13%\\x64", "ServiceBinary = %12%\\x64", "Directory"),
    ("Scream.Files.arm64 = 13, arm64", "Scream.Files.arm64 = 13", "Folder"),
    ("scream.sys = 1, x64", "scream.sys = 1", "Folder"),
    ("scream.sys = 1, x64", "screen.sys = 1, x64", "Folder"),
    ("scream.sys = 1, x64", "scream.sys = 2, x64", "Folder"),
    ("[SourceDisksFiles.arm64]", "[SourceDisksFiles.arm]", "Folder"),
    (
        "scream.sys = 1, arm64",
        "scream.sys = 1, x64",
        "the driver's file comes from the folder of its processor",
    ),
    ("[Scream.Files.arm64]\nscream.sys", "[Scream.Files.arm64]\nscream.sys, arm.sys", "Folder"),
    ("HKR,, Driver,,", "HKLM, SOFTWARE\\Scream, Driver,,", "RegistryRoot"),
    ("0x0000001D", "sound", "RegistryValue"),
    ("FE,FF,02", "FE,FFF,02", "RegistryValue"),
    ("HKR,, Driver,, scream.sys", "HKR,, Driver, 0x00010008, scream.sys", "RegistryValue"),
    ("wave,mixer\"", "wave\", mixer", "RegistryValue"),
    ("AddService = Scream, 0x00000002", "AddService = Scream, 0x00000000", "Service"),
    ("ServiceType   = 1", "ServiceType   = 2", "Service"),
    ("StartType     = 3", "StartType     = 0", "Service"),
    ("ErrorControl  = 1\n", "", "Service"),
    ("%13%\\x64\\scream.sys", "%13%\\scream.sys", "Service"),
    ("AddService = Scream,", "AddService = Screen,", "the service is the one whose options the driver reads"),
    ("(A;;GRGWGX;;;WD)", "(A;;GA;;;WD)", "the device is a sound device with its security"),
    ("0x0000001D", "0x0000001C", "the device is a sound device with its security"),
    (
        "wdmaud.drv,  Driver,, wdmaud.drv",
        "wdmaud.drv,  Driver,, wdmaud.sys",
        "programs reach the device through wdmaud",
    ),
    ("80,BB,00,00,00,EE,02", "44,AC,00,00,10,B1,02", "the topology filter has its values"),
    ("{E4870E26-", "{E4870E27-", "the topology filter has its values"),
];

#[test]
fn every_change_of_the_inf_is_found_by_the_rule_or_the_fact_that_it_breaks() {
    let (text, known) = (read(), known());
    assert_eq!(wrong(&text, &known), [""; 0]);
    for (from, to, expected) in MUTATIONS {
        assert!(text.contains(from), "{from:?} is not in the INF");
        let wrong = wrong(&text.replace(from, to), &known);
        assert!(wrong.iter().any(|name| name == expected), "{from:?} to {to:?}: {wrong:?}");
    }
}
