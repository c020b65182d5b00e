//! What the scenarios share: the driver file, a machine with the driver started, and sources of audio.
#![allow(dead_code, reason = "every scenario uses its own part of this")]

use std::path::PathBuf;

use testbed::image::Image;
use testbed::kernel::driver::service_key;
use testbed::kernel::registry::{self, Value};
use testbed::network::{self, Datagram};
use testbed::{Config, Device, Driver, Machine, Outcome, wsk};

/// A machine whose network answers every request of the driver before the call returns.
pub fn prompt_network() -> Config {
    let wsk = wsk::Setup {
        sends: wsk::Completion::Inline,
        controls: wsk::Completion::Inline,
        ..wsk::Setup::default()
    };
    Config { wsk, ..Config::default() }
}

/// The tick at which so many frames have been played since `base`.
pub fn tick_of(base: u64, frames: u64, rate: u32, frequency: u64) -> u64 {
    base + (u128::from(frames) * u128::from(frequency)).div_ceil(u128::from(rate)) as u64
}

/// The service under which the driver is installed.
pub const SERVICE: &str = "Scream";

/// Where the built driver is: `SCREAM_SYS`, or where the build puts it.
pub fn driver_path() -> PathBuf {
    let default =
        concat!(env!("CARGO_MANIFEST_DIR"), "/cross/target/x86_64-pc-windows-msvc/release/scream.sys");
    let path = std::env::var_os("SCREAM_SYS").map_or_else(|| PathBuf::from(default), PathBuf::from);
    assert!(
        path.is_file(),
        "there is no driver at {}: build it with `cargo xtask build --release`, or set SCREAM_SYS",
        path.display()
    );
    path
}

/// The built driver.
pub fn driver_file() -> Image {
    let path = driver_path();
    Image::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Sets an option of the driver.
pub fn set_option(name: &str, value: Value) {
    registry::set(&format!(r"{}\Options", service_key(SERVICE)), name, value);
}

/// Runs a scenario in a machine in which the driver is loaded and its device started, and takes both away after it.
pub fn with_device<T: 'static>(config: Config, scenario: impl FnOnce(&Device) -> T + 'static) -> Outcome<T> {
    with_options(config, &[], scenario)
}

/// The same with options of the driver set before it is loaded.
pub fn with_options<T: 'static>(
    config: Config,
    options: &[(&str, Value)],
    scenario: impl FnOnce(&Device) -> T + 'static,
) -> Outcome<T> {
    let image = driver_file();
    let options: Vec<(String, Value)> =
        options.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    Machine::run(config, move || {
        for (name, value) in options {
            set_option(&name, value);
        }
        let driver = Driver::load(&image, SERVICE).expect("the driver loads");
        let device = Device::add(&driver).expect("the device is added");
        device.start().expect("the device starts");
        let value = scenario(&device);
        device.remove().expect("the device is removed");
        driver.unload();
        value
    })
}

/// The payloads of datagrams in a row, after their headers.
pub fn audio_of(datagrams: &[Datagram]) -> Vec<u8> {
    datagrams.iter().flat_map(|datagram| datagram.payload.iter().skip(5).copied()).collect()
}

/// The datagrams that were sent so far.
pub fn sent() -> Vec<Datagram> {
    network::take_datagrams()
}

/// Noise: every frame is different, and the same seed gives the same bytes.
pub fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut out = Vec::with_capacity(bytes + 8);
    while out.len() < bytes {
        // xorshift64*, of Vigna (2016).
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        out.extend_from_slice(&state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes());
    }
    out.truncate(bytes);
    out
}

/// A source that plays bytes from memory.
pub fn source(audio: Vec<u8>) -> impl FnMut(&mut [u8]) -> usize {
    let mut at = 0;
    move |target| {
        let count = target.len().min(audio.len() - at);
        target[..count].copy_from_slice(&audio[at..at + count]);
        at += count;
        count
    }
}

/// Compares audio byte by byte, and says where it differs first.
#[track_caller]
pub fn assert_same_audio(heard: &[u8], played: &[u8]) {
    let differs = heard.iter().zip(played).position(|(heard, played)| heard != played);
    assert_eq!(
        (differs, heard.len()),
        (None, played.len()),
        "audio differs: (first different byte, length of what was heard) and what they should be"
    );
}
