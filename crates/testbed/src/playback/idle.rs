//! What a driver does while nothing plays: nothing, if it is a good one.

use anyhow::{Result, anyhow, bail};
use protocol::StreamFormat;

use super::performance::{buffer_bytes, is_wait};
use crate::client::{Buffer, Format};
use crate::device::PowerState;
use crate::image::Image;
use crate::nt::NtStatus;
use crate::portcls::abi::KsState;
use crate::schedule::{self, Time};
use crate::{Config, Device, Driver, DriverUse, Machine};

/// How long each situation is looked at, in nanoseconds.
const LOOK: Time = 10_000_000_000;
/// How long a stream runs, and what a change sets off may take.
const WHILE: Time = 100_000_000;

/// A situation in which nothing plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idle {
    /// The situation in a few words.
    pub what: &'static str,
    /// How long it was looked at, in seconds.
    pub seconds: u64,
    /// How often a wait of driver code ended.
    pub wakes: u64,
    /// Calls across the border, in both directions.
    pub calls: u64,
}

/// Looks, under the virtual clock, at a WaveRT driver without a stream, with one that does not run, and in D3.
///
/// # Errors
/// The driver cannot be loaded or started, does not take the format, or breaks a rule of the verifier.
pub fn idle(image: &Image, service: &str, format: StreamFormat) -> Result<Vec<Idle>> {
    let config = Config { measure: true, ..Config::default() };
    let (image, service) = (image.clone(), service.to_owned());
    let outcome = Machine::run(config, move || live(&image, &service, format));
    if let Some(violation) = outcome.violations.first() {
        bail!("the driver broke {} rule(s) of the verifier: {violation}", outcome.violations.len());
    }
    outcome.value.unwrap_or_else(|| bail!("the simulated machine stopped"))
}

fn live(image: &Image, service: &str, format: StreamFormat) -> Result<Vec<Idle>> {
    let driver = Driver::load(image, service).map_err(|error| anyhow!("{error}"))?;
    let device = Device::add(&driver).map_err(|status| anyhow!("AddDevice failed: {status}"))?;
    device.start().map_err(|status| anyhow!("the device does not start: {status}"))?;
    let seen = look_at_all(&device, format).map_err(|status| anyhow!("the stream failed: {status}"))?;
    device.remove().map_err(|status| anyhow!("the device cannot be removed: {status}"))?;
    driver.unload();
    Ok(seen)
}

fn look_at_all(device: &Device, format: StreamFormat) -> Result<Vec<Idle>, NtStatus> {
    let mut seen = vec![look("no stream")];
    let wanted = Format::pcm(format.rate().get(), format.bits(), format.channels());
    let mut stream = device.open(&wanted, Buffer::Notified { bytes: buffer_bytes(format), count: 2 })?;
    pass(WHILE);
    seen.push(look("stream open"));
    for (what, state) in [("paused", KsState::Pause), ("stopped", KsState::Stop)] {
        stream.set_state(KsState::Run)?;
        pass(WHILE);
        stream.set_state(state)?;
        pass(WHILE);
        seen.push(look(what));
    }
    stream.set_state(KsState::Run)?;
    pass(WHILE);
    device.query_power(PowerState::D3)?;
    device.set_power(PowerState::D3)?;
    pass(WHILE);
    seen.push(look("asleep in RUN"));
    device.set_power(PowerState::D0)?;
    stream.set_state(KsState::Stop)?;
    stream.close();
    seen.push(look("stream closed"));
    Ok(seen)
}

fn pass(time: Time) {
    schedule::sleep_until(schedule::now() + time);
}

fn look(what: &'static str) -> Idle {
    let counts = || {
        let used = DriverUse::so_far();
        (used.calls(is_wait), used.calls(|_| true))
    };
    let before = counts();
    pass(LOOK);
    let after = counts();
    Idle { what, seconds: LOOK / 1_000_000_000, wakes: after.0 - before.0, calls: after.1 - before.1 }
}
