//! The driver's life with one stream, from load to unload, in the testbed, and what was seen of it.

use std::cell::RefCell;
use std::net::SocketAddrV4;
use std::rc::Rc;

use anyhow::{Result, anyhow, bail};
use protocol::{CounterFrequency, HEADER_LEN, PositionClock, StreamFormat};
use testbed::client::{Buffer, Format};
use testbed::image::Image;
use testbed::kernel::driver::service_key;
use testbed::kernel::registry::{self, Value};
use testbed::kernel::{irp, mdl, pool};
use testbed::network::{self, RealSetup, Setup};
use testbed::nt::{IoStackLocation, Irp, Mdl};
use testbed::{Clock, Config, Device, Driver, DriverUse, Machine, wsk};

/// Ticks per second of the simulated performance counter, as Windows has it.
pub const COUNTER_FREQUENCY: u64 = 10_000_000;
/// The service key that the driver is installed under.
const SERVICE: &str = "Scream";

/// What to play, and what to look at.
#[derive(Clone, Copy)]
pub struct Plan {
    /// The format of the stream.
    pub format: StreamFormat,
    /// How long it plays, in milliseconds.
    pub milliseconds: u64,
    /// What to look at.
    pub watch: Watch,
}

/// What to look at in a run. Each disturbs the others.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// The processor time, under the virtual clock.
    Time,
    /// The instructions, under the virtual clock.
    Instructions,
    /// When packets leave, under the real clock; they go to this address of this computer.
    RealClock(SocketAddrV4),
}

/// What was seen.
pub struct Life {
    /// The performance counter when the stream began to run.
    pub started: u64,
    /// Every packet: the counter when it left, and the frames in it.
    pub departures: Vec<(u64, u64)>,
    /// What the driver used from its load to the first RUN.
    pub start_up: DriverUse,
    /// What it used from its load to its unload.
    pub total: DriverUse,
    /// What it had allocated at the most.
    pub memory: Memory,
    /// How often the player was too late to fill the buffer.
    pub gaps: u64,
}

/// Non-paged pool, in bytes; the pages of the WaveRT buffer and their list are not in it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Pool blocks at the peak.
    pub blocks: usize,
    /// Request packets and memory descriptor lists while the stream runs, which the kernel takes from the pool for the
    /// driver.
    pub requests: usize,
}

impl Memory {
    /// All of it.
    pub fn total(self) -> usize {
        self.blocks + self.requests
    }

    fn now() -> Self {
        // Packets are shorter than a page, so they lie in two at most. A request of the driver has one stack location.
        let list = size_of::<Mdl>() + 2 * size_of::<usize>();
        let request = size_of::<Irp>() + size_of::<IoStackLocation>();
        // One list is that of the WaveRT buffer.
        let requests = irp::live() * request + mdl::live().saturating_sub(1) * list;
        Self { blocks: pool::peak_bytes(), requests }
    }
}

impl Life {
    /// How long after its last frame was played each packet left, in ticks of the performance counter.
    pub fn lateness(&self, format: StreamFormat) -> Vec<u64> {
        let frequency = CounterFrequency::new(COUNTER_FREQUENCY).expect("10 MHz is a frequency");
        let clock = PositionClock::new(format.rate(), frequency);
        let mut played = 0;
        let late = self.departures.iter().map(|(counter, frames)| {
            played += frames;
            counter.saturating_sub(self.started.saturating_add(clock.ticks_for(played)))
        });
        late.collect()
    }
}

/// Lets the driver live once.
///
/// # Errors
/// The driver cannot be loaded or started, does not play, or breaks a rule of the verifier.
pub fn live(image: &Image, plan: Plan) -> Result<Life> {
    let (clock, network) = match plan.watch {
        Watch::RealClock(_) => (Clock::Real, Setup::Real(RealSetup::default())),
        _ => (Clock::Virtual, Setup::default()),
    };
    let config = Config {
        clock,
        counter_frequency: COUNTER_FREQUENCY,
        measure: plan.watch == Watch::Time,
        count_instructions: plan.watch == Watch::Instructions,
        network,
        // The socket is there before the first packet, so every packet leaves; sends complete as they may.
        wsk: wsk::Setup { controls: wsk::Completion::Inline, ..wsk::Setup::default() },
        ..Config::default()
    };
    let image = image.clone();
    let outcome = Machine::run(config, move || install_and_play(&image, plan));
    if let Some(violation) = outcome.violations.first() {
        bail!("the driver broke {} rule(s) of the verifier: {violation}", outcome.violations.len());
    }
    let mut life = outcome.value.unwrap_or_else(|| Err(anyhow!("the simulated machine stopped")))?;
    life.total = outcome.driver;
    Ok(life)
}

fn install_and_play(image: &Image, plan: Plan) -> Result<Life> {
    if let Watch::RealClock(to) = plan.watch {
        let options = format!(r"{}\Options", service_key(SERVICE));
        registry::set(&options, "UnicastIPv4", Value::Sz(to.ip().to_string()));
        registry::set(&options, "UnicastPort", Value::Dword(to.port().into()));
    }
    let frame = u64::from(plan.format.bytes_per_frame().get());
    let departures = Rc::new(RefCell::new(Vec::new()));
    let log = Rc::clone(&departures);
    network::set_sink(move |datagram| {
        let bytes = datagram.payload.len().saturating_sub(HEADER_LEN) as u64;
        log.borrow_mut().push((datagram.counter, bytes / frame));
    });
    let driver = Driver::load(image, SERVICE).map_err(|error| anyhow!("{error}"))?;
    let device = Device::add(&driver).map_err(|status| anyhow!("AddDevice failed: {status}"))?;
    device.start().map_err(|status| anyhow!("the device does not start: {status}"))?;
    let mut life = play(&device, plan)?;
    device.remove().map_err(|status| anyhow!("the device cannot be removed: {status}"))?;
    driver.unload();
    life.departures = departures.take();
    Ok(life)
}

fn play(device: &Device, plan: Plan) -> Result<Life> {
    let format = plan.format;
    let wanted = Format::pcm(format.rate().get(), format.bits(), format.channels());
    // Two packets of 10 ms, as the audio engine of Windows has it.
    let bytes = format.bytes_per_second() / 100 * 2;
    let mut stream = device
        .open(&wanted, Buffer::Notified { bytes, count: 2 })
        .map_err(|status| anyhow!("the driver does not play this format: {status}"))?;
    let frames = u64::from(format.rate().get()) * plan.milliseconds / 1000;
    let total = frames * u64::from(format.bytes_per_frame().get());
    let mut player = stream.player(tone(total));
    let refused = |status| anyhow!("the stream failed: {status}");
    player.start().map_err(refused)?;
    let (started, start_up, memory) = (player.started(), DriverUse::so_far(), Memory::now());
    let played = player.finish().map_err(refused)?;
    let memory = Memory { blocks: pool::peak_bytes(), ..memory };
    stream.close();
    Ok(Life {
        started,
        departures: Vec::new(),
        start_up,
        total: DriverUse::default(),
        memory,
        gaps: played.glitches,
    })
}

/// So many bytes that are no silence.
fn tone(bytes: u64) -> impl FnMut(&mut [u8]) -> usize {
    let mut left = bytes;
    move |target| {
        let count = target.len().min(left.try_into().unwrap_or(usize::MAX));
        for (byte, value) in target[..count].iter_mut().zip((1_u8..=251).cycle()) {
            *byte = value;
        }
        left -= count as u64;
        count
    }
}
