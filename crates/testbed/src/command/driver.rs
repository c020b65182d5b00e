//! The driver that a command is about: its file, its service key, its options.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};
use clap::Args;
use testbed::image::Image;
use testbed::kernel::registry::Value;
use testbed::playback::{self, Song};

use super::options::Setting;

/// Where Scream sends unless it is told otherwise.
const DEFAULT_TARGET: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(239, 255, 77, 77), 4010);

/// How a driver is installed.
#[derive(Args)]
pub struct Installation {
    /// A value in the registry before the driver is loaded: NAME=TEXT, NAME=NUMBER (decimal, or hexadecimal with 0x), or
    /// with its type NAME:sz=, NAME:expand_sz=, NAME:dword=, NAME:qword=, NAME:binary= (hexadecimal digits),
    /// NAME:multi_sz= (strings between semicolons). NAME is in the key Options of the service; KEY\NAME is in another.
    #[arg(long = "option", value_name = "NAME=VALUE")]
    pub options: Vec<Setting>,
    /// The name of the driver's service key [default: the name of the file].
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// Let functions that the testbed does not have return STATUS_NOT_IMPLEMENTED, instead of refusing the driver.
    #[arg(long)]
    pub stub_missing: bool,
}

impl Installation {
    /// The name of the service key.
    pub fn service(&self, file: &Path) -> String {
        let stem = || file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        self.service.clone().or_else(stem).unwrap_or_else(|| "Driver".to_owned())
    }

    /// What goes into the registry, with the options by which Scream is told where to send.
    pub fn values(&self, to: Option<SocketAddrV4>) -> Vec<(String, String, Value)> {
        let told = to.into_iter().flat_map(playback::sending_to);
        let given = self
            .options
            .iter()
            .map(|setting| (setting.key.clone(), setting.name.clone(), setting.value.clone()));
        told.chain(given).collect()
    }

    /// Where the driver will send, as far as its options say.
    pub fn target(&self, to: Option<SocketAddrV4>) -> SocketAddrV4 {
        let mut target = to.unwrap_or(DEFAULT_TARGET);
        for Setting { name, value, .. } in &self.options {
            match value {
                Value::Sz(text) if name.eq_ignore_ascii_case("UnicastIPv4") => {
                    target.set_ip(text.parse().unwrap_or(*target.ip()));
                }
                Value::Dword(port) if name.eq_ignore_ascii_case("UnicastPort") => {
                    target.set_port(u16::try_from(*port).unwrap_or(target.port()));
                }
                _ => {}
            }
        }
        target
    }
}

/// Opens a driver file.
///
/// # Errors
/// One line: it cannot be read, or is no driver for this processor.
pub fn open(file: &Path) -> Result<Image> {
    Image::open(file).map_err(|error| {
        let text = error.to_string();
        let name = file.display().to_string();
        if text.starts_with(&name) { anyhow!("{text}") } else { anyhow!("{name}: {text}") }
    })
}

/// The song of a command: a file, or the short piece.
///
/// # Errors
/// One line: the file cannot be read or played.
pub fn song(file: Option<&PathBuf>) -> Result<Song> {
    match file {
        Some(path) => Song::read(path),
        None => Song::compose(),
    }
}
