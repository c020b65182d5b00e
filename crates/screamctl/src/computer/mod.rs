//! [`Computer`]: all that the commands ask of Windows, so that they can be tried on any computer.
//!
//! On Windows `windows/` answers; in tests a computer of plain data does, which can refuse any call. Nothing here knows
//! what a command is for: a method is one thing that Windows can do.

mod error;

#[cfg(windows)]
pub mod windows;

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use error::{ApiError, ApiResult};

/// All that the commands ask of Windows.
pub trait Computer:
    System + OptionStore + Devices + DriverStore + Services + Certificates + Audio + Network
{
}

impl<T> Computer for T where
    T: System + OptionStore + Devices + DriverStore + Services + Certificates + Audio + Network
{
}

/// A processor that Windows runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Machine {
    /// 64-bit x86.
    X64,
    /// 64-bit ARM.
    Arm64,
    /// Another, as an IMAGE_FILE_MACHINE number.
    Other(u16),
}

/// What Windows demands of the code in its kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeIntegrity {
    /// Drivers have to be signed at all.
    pub enforced: bool,
    /// Signatures of test certificates are taken.
    pub test_signing: bool,
    /// Memory integrity (HVCI) is on.
    pub memory_integrity: bool,
}

/// The computer, its Windows, and this process.
pub trait System {
    /// Whether this process has an administrator's rights in full.
    fn is_elevated(&self) -> ApiResult<bool>;

    /// Runs this program once more, after Windows has asked the user for an administrator's rights, waits for its end and
    /// returns its exit code. `ERROR_CANCELLED` (1223): the user said no.
    fn run_elevated(&self, arguments: &[OsString]) -> ApiResult<i32>;

    /// The processor of the computer, whatever this program was built for.
    fn machine(&self) -> ApiResult<Machine>;

    /// The build of Windows: 19041 is Windows 10 2004, 22000 the first Windows 11.
    fn build(&self) -> ApiResult<u32>;

    /// What the kernel demands of drivers, as it is now.
    fn code_integrity(&self) -> ApiResult<CodeIntegrity>;

    /// Whether Secure Boot is on; `None` where the firmware does not have it.
    fn secure_boot(&self) -> ApiResult<Option<bool>>;

    /// The `UpgradedSystem` value of the code integrity policy, which lets old cross-signatures pass; 0 if it is not there.
    fn upgraded_system(&self) -> ApiResult<u32>;

    /// Whether a file of this name waits for the next start of Windows to be replaced or deleted.
    fn restart_is_pending_for(&self, file_name: &str) -> ApiResult<bool>;

    /// Bytes that are free on the volume of Windows.
    fn free_space(&self) -> ApiResult<u64>;

    /// The file of this program.
    fn program(&self) -> ApiResult<PathBuf>;

    /// Waits for what Windows does by itself.
    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// A value of the registry, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredValue {
    /// The name.
    pub name: String,
    /// `REG_SZ` (1), `REG_DWORD` (4), `REG_MULTI_SZ` (7) or another.
    pub kind: u32,
    /// The bytes.
    pub data: Vec<u8>,
}

/// `HKLM\SYSTEM\CurrentControlSet\Services\Scream\Options`.
pub trait OptionStore {
    /// All values. None if there is no such key.
    fn option_values(&self) -> ApiResult<Vec<StoredValue>>;

    /// Stores a value; makes the key if it is not there.
    fn store_option(&mut self, value: &StoredValue) -> ApiResult<()>;

    /// Deletes a value. False if there was none.
    fn delete_option(&mut self, name: &str) -> ApiResult<bool>;

    /// Deletes the key with all its values. False if there was none.
    fn delete_options(&mut self) -> ApiResult<bool>;
}

/// A device node that Windows keeps for hardware that nobody plugs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name for Windows: `ROOT\MEDIA\0000`.
    pub instance_id: String,
    /// What it calls itself to find its driver: `ROOT\Scream`.
    pub hardware_ids: Vec<String>,
    /// The INF that its driver came with: `oem12.inf`. `None`: it has no driver.
    pub inf: Option<String>,
    /// The version of that INF: `0.1.0.0`.
    pub version: Option<String>,
    /// The service of its driver.
    pub service: Option<String>,
    /// Whether the driver runs it.
    pub started: bool,
    /// The problem that Device Manager shows: 52 for a signature that is not accepted. 0: none.
    pub problem: u32,
}

/// Whether Windows has to be started anew before a change is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Restart {
    /// It holds.
    NotNeeded,
    /// From the next start on.
    Needed,
}

/// Device nodes, and the drivers that they have.
pub trait Devices {
    /// The nodes, present or not, that have this hardware id, in the order of their names.
    fn nodes(&self, hardware_id: &str) -> ApiResult<Vec<Node>>;

    /// Makes a node of the class MEDIA and returns its instance id.
    fn create_node(&mut self, hardware_id: &str, description: &str) -> ApiResult<String>;

    /// Removes a node.
    fn remove_node(&mut self, instance_id: &str) -> ApiResult<Restart>;

    /// Installs the driver of an INF on every node that has this hardware id, even if Windows holds another for better.
    fn update_driver(&mut self, hardware_id: &str, inf: &Path) -> ApiResult<Restart>;
}

/// A driver package that Windows keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredPackage {
    /// What Windows calls its INF: `oem12.inf`.
    pub published: String,
    /// Where it can be installed from.
    pub path: PathBuf,
    /// Who says that it is theirs.
    pub provider: String,
    /// `DriverVer`'s version: `0.1.0.0`.
    pub version: String,
    /// The devices that it is for.
    pub hardware_ids: Vec<String>,
}

/// The driver store: the packages that Windows installs devices from.
pub trait DriverStore {
    /// The packages for any of these devices.
    fn packages(&self, hardware_ids: &[&str]) -> ApiResult<Vec<StoredPackage>>;

    /// Whether Windows accepts the signature of an INF's catalog. The error says why it does not.
    fn verify_signature(&self, inf: &Path) -> ApiResult<()>;

    /// Copies a package into the store. Returns what Windows calls its INF (`oem12.inf`), and whether it is new there.
    fn add_package(&mut self, inf: &Path) -> ApiResult<(String, bool)>;

    /// Deletes a package from the store.
    fn remove_package(&mut self, published: &str) -> ApiResult<()>;
}

/// A service of a driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its file as the registry has it: `\SystemRoot\System32\DriverStore\...\scream.sys`.
    pub image_path: String,
    /// Whether it is loaded.
    pub running: bool,
}

/// The services of drivers.
pub trait Services {
    /// The service of this name, if there is one.
    fn service(&self, name: &str) -> ApiResult<Option<Service>>;

    /// Deletes a service. False if there was none.
    fn delete_service(&mut self, name: &str) -> ApiResult<bool>;
}

/// A list of certificates of the computer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertificateStore {
    /// Trusted root certification authorities.
    Root,
    /// Publishers whose drivers are installed without a question.
    TrustedPublisher,
}

/// Whom the computer trusts.
pub trait Certificates {
    /// The certificates in a list, each in DER, whose common name begins so.
    fn certificates(&self, store: CertificateStore, common_name: &str) -> ApiResult<Vec<Vec<u8>>>;

    /// Adds a certificate in DER. False if it was there.
    fn add_certificate(&mut self, store: CertificateStore, certificate: &[u8]) -> ApiResult<bool>;

    /// Removes a certificate in DER. False if it was not there.
    fn remove_certificate(&mut self, store: CertificateStore, certificate: &[u8]) -> ApiResult<bool>;
}

/// What Windows says of a playback device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointState {
    /// It can be played on.
    Active,
    /// The user has disabled it.
    Disabled,
    /// Its driver is not there.
    NotPresent,
    /// Nothing is plugged in.
    Unplugged,
}

/// A playback device of the driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Its name for Windows.
    pub id: String,
    /// Its name for people: `Speakers (Scream)`.
    pub name: String,
    /// Whether it can be played on.
    pub state: EndpointState,
    /// Whether programs play on it that choose none.
    pub is_default: bool,
}

/// How samples are to be made for an endpoint: interleaved, 32-bit floating point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    /// Frames a second.
    pub rate: u32,
    /// Samples of a frame.
    pub channels: u16,
    /// The speaker of each channel, as `dwChannelMask`.
    pub mask: u32,
}

/// Playback devices.
pub trait Audio {
    /// The playback devices of the nodes with this hardware id, whatever their state.
    fn endpoints(&self, hardware_id: &str) -> ApiResult<Vec<Endpoint>>;

    /// Plays on an endpoint until `fill` returns false. `fill` gets room for whole frames, and fills all of it.
    fn play(&mut self, endpoint: &Endpoint, fill: &mut dyn FnMut(Mix, &mut [f32]) -> bool) -> ApiResult<()>;
}

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// Its index.
    pub index: u32,
    /// Its name for people: `Ethernet`.
    pub name: String,
    /// Whether it is connected.
    pub up: bool,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// The way that packets take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The index of the interface that they leave by.
    pub interface: u32,
    /// The address that they come from.
    pub source: IpAddr,
    /// The router that they are handed to; `None`: the target itself.
    pub next_hop: Option<IpAddr>,
}

/// A profile of the Windows firewall that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirewallProfile {
    /// `Domain`, `Private` or `Public`.
    pub name: &'static str,
    /// Whether the firewall is on.
    pub enabled: bool,
    /// Whether it blocks outgoing packets that no rule allows.
    pub blocks_outbound: bool,
}

/// The network.
pub trait Network {
    /// All interfaces.
    fn interfaces(&self) -> ApiResult<Vec<Interface>>;

    /// The way to a target: by the interface of this index if one is given, from this address if one is given.
    fn route(&self, target: SocketAddr, interface: Option<u32>, source: Option<IpAddr>) -> ApiResult<Route>;

    /// The profiles of the firewall that are in force now.
    fn firewall(&self) -> ApiResult<Vec<FirewallProfile>>;
}
