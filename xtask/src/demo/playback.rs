//! Plays a song through the driver, in the testbed, on the real clock and the real network.

use std::cell::RefCell;
use std::net::SocketAddrV4;
use std::rc::Rc;

use anyhow::{Result, anyhow, bail};
use protocol::{CounterFrequency, HEADER_LEN, PositionClock, StreamFormat};
use testbed::client::{Buffer, Format};
use testbed::image::Image;
use testbed::kernel::driver::service_key;
use testbed::kernel::registry::{self, Value};
use testbed::network::{self, RealSetup, Setup};
use testbed::{Clock, Config, Device, Driver, Machine};

/// Ticks per second of the simulated performance counter, as Windows has it.
const COUNTER_FREQUENCY: u64 = 10_000_000;
/// The service key that the driver is installed under.
const SERVICE: &str = "Scream";

/// What came of it.
pub struct Played {
    /// Datagrams that the driver handed to the network.
    pub packets: u64,
    /// How late they were.
    pub lateness: Lateness,
    /// The rules that the driver broke.
    pub violations: Vec<String>,
}

/// How long after its last frame was played each packet left, in milliseconds.
pub struct Lateness {
    /// Half of them were better.
    pub median: f64,
    /// The worst.
    pub worst: f64,
}

/// A datagram: when it left, in ticks, and how many bytes of audio it had.
type Departure = (u64, usize);

/// Plays from beginning to end.
///
/// # Errors
/// The driver cannot be loaded or started, or refuses to play.
pub fn play(image: Image, format: StreamFormat, pcm: Vec<u8>, to: SocketAddrV4) -> Result<Played> {
    let setup = RealSetup::default();
    let config = Config {
        clock: Clock::Real,
        counter_frequency: COUNTER_FREQUENCY,
        network: Setup::Real(setup),
        ..Config::default()
    };
    let outcome = Machine::run(config, move || life(&image, format, pcm, to));
    let violations = outcome.violations.iter().map(ToString::to_string).collect();
    match outcome.value {
        Some(Ok((started, departures))) => {
            let lateness = lateness(format, started, &departures);
            Ok(Played { packets: departures.len() as u64, lateness, violations })
        }
        Some(Err(error)) => Err(error),
        None => bail!("the simulated machine stopped: {}", violations.join("; ")),
    }
}

/// Install, start, play, remove. Returns the counter when the stream began to run, and the datagrams.
fn life(
    image: &Image,
    format: StreamFormat,
    pcm: Vec<u8>,
    to: SocketAddrV4,
) -> Result<(u64, Vec<Departure>)> {
    let options = format!(r"{}\Options", service_key(SERVICE));
    registry::set(&options, "UnicastIPv4", Value::Sz(to.ip().to_string()));
    registry::set(&options, "UnicastPort", Value::Dword(to.port().into()));
    let departures = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&departures);
    network::set_sink(move |datagram| {
        log.borrow_mut().push((datagram.counter, datagram.payload.len().saturating_sub(HEADER_LEN)));
    });
    let driver = Driver::load(image, SERVICE).map_err(|error| anyhow!("{error}"))?;
    let device = Device::add(&driver).map_err(|status| anyhow!("AddDevice failed: {status}"))?;
    device.start().map_err(|status| anyhow!("the device does not start: {status}"))?;
    let started = stream(&device, format, pcm)?;
    device.remove().map_err(|status| anyhow!("the device cannot be removed: {status}"))?;
    driver.unload();
    Ok((started, departures.take()))
}

fn stream(device: &Device, format: StreamFormat, pcm: Vec<u8>) -> Result<u64> {
    let wanted = Format::pcm(format.rate().get(), format.bits(), format.channels());
    // Two packets of 10 ms, as the audio engine of Windows has it.
    let bytes = format.bytes_per_second() / 100 * 2;
    let mut stream = device
        .open(&wanted, Buffer::Notified { bytes, count: 2 })
        .map_err(|status| anyhow!("the driver does not play this format: {status}"))?;
    let mut position = 0;
    let mut player = stream.player(move |buffer: &mut [u8]| {
        let rest = &pcm[position..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        position += count;
        count
    });
    let refused = |status| anyhow!("the stream failed: {status}");
    player.start().map_err(refused)?;
    let started = player.started();
    let played = player.finish().map_err(refused)?;
    stream.close();
    if played.glitches > 0 {
        bail!("this machine was too busy to play in real time ({} gaps); try again", played.glitches);
    }
    Ok(started)
}

fn lateness(format: StreamFormat, started: u64, departures: &[Departure]) -> Lateness {
    let frequency = CounterFrequency::new(COUNTER_FREQUENCY).expect("10 MHz is a frequency");
    let clock = PositionClock::new(format.rate(), frequency);
    let frame = usize::from(format.bytes_per_frame().get());
    let mut frames = 0;
    let mut late: Vec<u64> = departures
        .iter()
        .map(|(counter, bytes)| {
            frames += (bytes / frame) as u64;
            counter.saturating_sub(started.saturating_add(clock.ticks_for(frames)))
        })
        .collect();
    late.sort_unstable();
    let ms = |ticks: Option<&u64>| ticks.copied().unwrap_or(0) as f64 * 1e3 / COUNTER_FREQUENCY as f64;
    Lateness { median: ms(late.get(late.len() / 2)), worst: ms(late.last()) }
}
