//! [`FakeComputer`]: a computer of plain data that behaves as Windows does, and can refuse any call.
//!
//! What Windows holds is [`State`]: tests write it, commands change it, and two states can be compared as a whole. What
//! changes it is noted in `calls`. `refusals` says what fails: the n-th change, or every call of a method.
#![allow(dead_code, reason = "every test uses its own part of this")]

mod audio_and_network;
mod console;
mod devices;
pub mod installation;
pub mod packages;
mod system;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;

use screamctl::computer::{
    ApiError, ApiResult, CodeIntegrity, Endpoint, EndpointState, FirewallProfile, Interface, Machine, Mix,
    Node, Restart, Route, Service, StoredPackage, StoredValue,
};

pub use console::FakeConsole;

/// The processor that the tests, and with them the commands, are built for.
pub const THIS_MACHINE: Machine = if cfg!(target_arch = "aarch64") { Machine::Arm64 } else { Machine::X64 };

/// The name of the playback device.
pub const SPEAKERS: &str = "Speakers (Scream)";

/// A package in a folder, or in the driver store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakePackage {
    /// The INF in the folder.
    pub inf: PathBuf,
    /// `Provider` of the INF.
    pub provider: String,
    /// The version of `DriverVer`.
    pub version: String,
    /// The devices that it is for.
    pub hardware_ids: Vec<String>,
    /// The service's file once it is installed.
    pub image_path: String,
    /// The certificate that the catalog was signed with. `None`: one that Windows trusts.
    pub signed_with: Option<Vec<u8>>,
    /// What Windows says of the signature, if it accepts none.
    pub signature: Result<(), u32>,
    /// The problem of a device that is given this driver; 0: it starts.
    pub problem: u32,
}

/// All that Windows holds.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    pub nodes: Vec<Node>,
    /// The packages of the store, by the name that Windows gave them.
    pub packages: BTreeMap<String, FakePackage>,
    pub services: BTreeMap<String, Service>,
    /// The values of the service's key `Options`.
    pub options: Vec<StoredValue>,
    /// The certificates of `Root`, as common name and DER.
    pub root: Vec<(String, Vec<u8>)>,
    /// The certificates of `TrustedPublisher`, as common name and DER.
    pub trusted_publisher: Vec<(String, Vec<u8>)>,
    /// The playback devices of `ROOT\Scream`.
    pub endpoints: Vec<Endpoint>,
}

/// A way of packets: to this address, by that interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeRoute {
    pub target: IpAddr,
    pub route: Route,
}

/// What fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The n-th change, counted from 0.
    Change(usize, u32),
    /// Every change from the n-th on.
    ChangesFrom(usize, u32),
    /// Every call of a method of `Computer`, such as `update_driver`.
    Method(&'static str, u32),
}

/// A computer of plain data.
pub struct FakeComputer {
    pub state: State,
    /// The folders that packages can be added from.
    pub folders: Vec<FakePackage>,
    pub elevated: bool,
    /// How `run_elevated` ends: the exit code, or the code of its error.
    pub elevated_run: Result<i32, u32>,
    /// The arguments of every `run_elevated`.
    pub elevated_arguments: RefCell<Vec<Vec<OsString>>>,
    pub machine: Machine,
    pub build: u32,
    pub code_integrity: CodeIntegrity,
    pub secure_boot: Option<bool>,
    pub upgraded_system: u32,
    /// Files that wait for the next start of Windows.
    pub pending_files: Vec<String>,
    pub free_space: u64,
    pub program: PathBuf,
    /// Whether drivers cannot be exchanged or unloaded before Windows is started anew.
    pub drivers_stay_loaded: bool,
    /// Whether Windows says that it gives devices a driver, and does not.
    pub gives_no_driver: bool,
    /// Whether devices start some time after they were given a driver.
    pub starts_late: bool,
    /// Whether the playback device is there as soon as the driver runs.
    pub endpoint_appears: bool,
    /// How often somebody waited.
    pub pauses: Cell<u32>,
    /// How an endpoint wants its samples.
    pub mix: Mix,
    /// Frames of each buffer that `play` has filled.
    pub buffer_frames: usize,
    /// All samples that were played.
    pub played: Vec<f32>,
    pub interfaces: Vec<Interface>,
    pub routes: Vec<FakeRoute>,
    pub firewall: Vec<FirewallProfile>,
    /// The calls that changed something or tried to, in order.
    pub calls: Vec<String>,
    pub refusals: Vec<Refusal>,
}

impl FakeComputer {
    /// A computer without Scream, on which an administrator's prompt was opened.
    pub fn new() -> Self {
        Self {
            state: State {
                nodes: Vec::new(),
                packages: BTreeMap::new(),
                services: BTreeMap::new(),
                options: Vec::new(),
                root: Vec::new(),
                trusted_publisher: Vec::new(),
                endpoints: Vec::new(),
            },
            folders: Vec::new(),
            elevated: true,
            elevated_run: Ok(0),
            elevated_arguments: RefCell::default(),
            machine: THIS_MACHINE,
            build: 22_631,
            code_integrity: CodeIntegrity { enforced: true, test_signing: false, memory_integrity: false },
            secure_boot: Some(false),
            upgraded_system: 0,
            pending_files: Vec::new(),
            free_space: 1 << 36,
            program: PathBuf::from("/package/x64/screamctl.exe"),
            drivers_stay_loaded: false,
            gives_no_driver: false,
            starts_late: false,
            endpoint_appears: true,
            pauses: Cell::default(),
            mix: Mix { rate: 48_000, channels: 2, mask: 3 },
            buffer_frames: 480,
            played: Vec::new(),
            interfaces: Vec::new(),
            routes: Vec::new(),
            firewall: Vec::new(),
            calls: Vec::new(),
            refusals: Vec::new(),
        }
    }

    /// A computer on which this driver is installed and runs, as `oem7.inf` on `ROOT\MEDIA\0000`.
    pub fn with_scream() -> Self {
        let mut computer = Self::new();
        computer.install(FakePackage::scream("/earlier/driver/scream.inf", "0.1.0.0"), "oem7.inf");
        computer
    }

    /// Puts a package into the store, and gives its driver to a new node.
    pub fn install(&mut self, package: FakePackage, published: &str) {
        let hardware_id = package.hardware_ids[0].clone();
        self.state.packages.insert(published.to_owned(), package);
        self.add_node(&hardware_id);
        self.bind(&hardware_id, published);
    }

    /// Lets the n-th change fail, counted from 0.
    pub fn refuse_change(&mut self, number: usize, code: u32) {
        self.refusals.push(Refusal::Change(number, code));
    }

    /// Lets every change from the n-th on fail.
    pub fn refuse_changes_from(&mut self, number: usize, code: u32) {
        self.refusals.push(Refusal::ChangesFrom(number, code));
    }

    /// Lets every call of a method of `Computer` fail.
    pub fn refuse(&mut self, method: &'static str, code: u32) {
        self.refusals.push(Refusal::Method(method, code));
    }

    /// Runs `screamctl` with these arguments.
    pub fn screamctl(&mut self, console: &mut FakeConsole, arguments: &[&str]) -> i32 {
        let arguments = std::iter::once("screamctl").chain(arguments.iter().copied());
        screamctl::run(arguments.map(Into::into).collect(), self, console)
    }

    /// A call that changes nothing: whether it is refused.
    fn look(&self, method: &str, call: &'static str) -> ApiResult<()> {
        let refused = self.refusals.iter().find_map(|refusal| match refusal {
            Refusal::Method(name, code) if *name == method => Some(*code),
            _ => None,
        });
        refused.map_or(Ok(()), |code| Err(ApiError { call, code }))
    }

    /// A call that changes something: notes it, and whether it is refused.
    fn change(&mut self, method: &str, call: &'static str, arguments: &str) -> ApiResult<()> {
        let number = self.calls.len();
        self.calls.push(format!("{method} {arguments}"));
        self.look(method, call)?;
        let refused = self.refusals.iter().find_map(|refusal| match refusal {
            Refusal::Change(at, code) if *at == number => Some(*code),
            Refusal::ChangesFrom(from, code) if *from <= number => Some(*code),
            _ => None,
        });
        refused.map_or(Ok(()), |code| Err(ApiError { call, code }))
    }
}

impl FakePackage {
    /// A package of this driver with a signature that Windows trusts.
    pub fn scream(inf: &str, version: &str) -> Self {
        let image = r"\SystemRoot\System32\DriverStore\FileRepository\scream.inf_amd64_";
        let digits: String = version.chars().filter(char::is_ascii_digit).collect();
        Self {
            inf: PathBuf::from(inf),
            provider: "Scream in Rust".to_owned(),
            version: version.to_owned(),
            hardware_ids: vec![r"ROOT\Scream".to_owned()],
            image_path: format!(r"{image}{digits}\scream.sys"),
            signed_with: None,
            signature: Ok(()),
            problem: 0,
        }
    }

    /// A package of the older driver.
    pub fn old_scream() -> Self {
        Self {
            inf: PathBuf::from("/old/Scream.inf"),
            provider: "Tom Kistner".to_owned(),
            version: "4.0.0.0".to_owned(),
            hardware_ids: vec!["*Scream".to_owned()],
            image_path: r"\SystemRoot\System32\drivers\Scream.sys".to_owned(),
            signed_with: None,
            signature: Ok(()),
            problem: 0,
        }
    }
}

/// The playback device of a driver that runs.
pub fn speakers() -> Endpoint {
    Endpoint {
        id: "{0.0.0.00000000}.{6b1d0fa4-6f9c-4b5a-9d2e-2d8f0a7f3c11}".to_owned(),
        name: SPEAKERS.to_owned(),
        state: EndpointState::Active,
        is_default: true,
    }
}

/// A value of `REG_DWORD`.
pub fn dword(name: &str, value: u32) -> StoredValue {
    StoredValue { name: name.to_owned(), kind: 4, data: value.to_le_bytes().to_vec() }
}

/// A value of `REG_SZ`.
pub fn text(name: &str, value: &str) -> StoredValue {
    StoredValue { name: name.to_owned(), kind: 1, data: utf16(value) }
}

/// A value of `REG_MULTI_SZ`.
pub fn texts(name: &str, values: &[&str]) -> StoredValue {
    let mut data: Vec<u8> = values.iter().flat_map(|value| utf16(value)).collect();
    data.extend([0, 0]);
    StoredValue { name: name.to_owned(), kind: 7, data }
}

/// UTF-16 with a NUL, as the registry has it.
fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

/// What a change of a driver answers.
fn restart(needed: bool) -> Restart {
    if needed { Restart::Needed } else { Restart::NotNeeded }
}

/// A package of the store, as the commands see it.
fn stored(published: &str, package: &FakePackage) -> StoredPackage {
    StoredPackage {
        published: published.to_owned(),
        path: PathBuf::from("/windows/INF").join(published),
        provider: package.provider.clone(),
        version: package.version.clone(),
        hardware_ids: package.hardware_ids.clone(),
    }
}
