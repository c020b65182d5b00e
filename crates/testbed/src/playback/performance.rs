//! One life of a driver with one stream: install, start, play, remove, unload; and what was seen of it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use protocol::{CounterFrequency, HEADER_LEN, PositionClock, StreamFormat};

use crate::client::{Buffer, CyclicStream, Format};
use crate::image::{Image, stubs};
use crate::kernel::driver::service_key;
use crate::kernel::pool;
use crate::kernel::registry::{self, Value};
use crate::network;
use crate::nt::NtStatus;
use crate::portcls::AudioInterface;
use crate::{Clock, Config, Device, Driver, DriverUse, Machine, Violation, wsk};

/// Ticks per second of the simulated performance counter, as Windows has it.
pub const COUNTER_FREQUENCY: u64 = 10_000_000;

/// What to play, and how to look at it.
#[derive(Clone)]
pub struct Plan {
    /// The name of the driver's service key.
    pub service: String,
    /// Values in the registry: a key under the service's, a name, a value.
    pub options: Vec<(String, String, Value)>,
    /// The format of the stream.
    pub format: StreamFormat,
    /// What is played: whole frames.
    pub pcm: Arc<[u8]>,
    /// Virtual time, or real time; with the real one, packets leave through the loopback interface.
    pub clock: Clock,
    /// Period of the clock interrupt in nanoseconds; `None`: every timer is exact.
    pub clock_tick: Option<u64>,
    /// What to measure. Each disturbs the others.
    pub watch: Watch,
    /// Let imports that the testbed does not have return STATUS_NOT_IMPLEMENTED.
    pub stub_missing: bool,
}

/// What to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watch {
    /// Nothing more than packets.
    Packets,
    /// The processor time of driver code, and how often it calls what.
    Time,
    /// The instructions of driver code.
    Instructions,
}

/// A datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure {
    /// The performance counter when it left.
    pub counter: u64,
    /// Bytes of audio in it, after a header of Scream's.
    pub bytes: usize,
}

/// A stream that was played to its end.
#[derive(Clone, Debug)]
pub struct Streamed {
    /// The performance counter when it began to run.
    pub started: u64,
    /// How often the client was too late to fill the buffer.
    pub gaps: u64,
    /// What the driver had used from its load to RUN.
    pub start_up: DriverUse,
    /// The most non-paged pool it had, in bytes.
    pub peak_pool: usize,
}

/// What was seen of a driver.
#[derive(Debug)]
pub struct Performance {
    /// The datagrams it sent, in order.
    pub departures: Vec<Departure>,
    /// Its stream, unless it failed.
    pub streamed: Result<Streamed>,
    /// The rules it broke.
    pub violations: Vec<Violation>,
    /// What it used of the processor from load to unload.
    pub driver: DriverUse,
    /// What it printed, each line with the time in nanoseconds.
    pub debug_output: Vec<(u64, String)>,
    /// Imports that were stubs, with how often each was called.
    pub stubs: Vec<(String, u64)>,
}

impl Performance {
    /// Bytes of audio that left.
    pub fn bytes(&self) -> usize {
        self.departures.iter().map(|departure| departure.bytes).sum()
    }

    /// The violations, those that say the same told once: the first, and how many there are. Numbers do not count.
    pub fn violations_by_kind(&self) -> Vec<(&Violation, usize)> {
        let mut order: Vec<(&Violation, usize)> = Vec::new();
        let mut known = HashMap::new();
        for violation in &self.violations {
            let text: String = violation.text.chars().filter(|letter| !letter.is_ascii_hexdigit()).collect();
            let index = *known.entry((violation.rule, text, violation.calls.clone())).or_insert_with(|| {
                order.push((violation, 0));
                order.len() - 1
            });
            order[index].1 += 1;
        }
        order
    }
}

/// Lets a driver live once.
pub fn play(image: &Image, plan: &Plan) -> Performance {
    let network = match plan.clock {
        Clock::Real => network::Setup::Real(network::RealSetup::default()),
        Clock::Virtual => network::Setup::default(),
    };
    // Under the virtual clock the network answers at once, so that what is late is the driver's own.
    let controls = match plan.clock {
        Clock::Real => wsk::Completion::Mixed,
        Clock::Virtual => wsk::Completion::Inline,
    };
    let config = Config {
        clock: plan.clock,
        counter_frequency: COUNTER_FREQUENCY,
        measure: plan.watch == Watch::Time,
        count_instructions: plan.watch == Watch::Instructions,
        clock_tick: plan.clock_tick,
        forgiving: true,
        network,
        wsk: wsk::Setup { controls, ..wsk::Setup::default() },
        ..Config::default()
    };
    let (departures, stub_calls) = (Rc::new(RefCell::default()), Rc::new(Cell::default()));
    let (log, stub_log) = (Rc::clone(&departures), Rc::clone(&stub_calls));
    let (image, plan) = (image.clone(), plan.clone());
    let outcome = Machine::run(config, move || {
        let result = live(&image, &plan, log);
        stub_log.set(stubs::stubs());
        result
    });
    let streamed = outcome.value.unwrap_or_else(|| {
        Err(match outcome.violations.last() {
            Some(violation) => anyhow!("the simulated machine stopped: {violation}"),
            None => anyhow!("the simulated machine stopped"),
        })
    });
    Performance {
        departures: departures.take(),
        streamed,
        violations: outcome.violations,
        driver: outcome.driver,
        debug_output: outcome.debug_output,
        stubs: stub_calls.take(),
    }
}

fn live(image: &Image, plan: &Plan, log: Rc<RefCell<Vec<Departure>>>) -> Result<Streamed> {
    let service = service_key(&plan.service);
    for (key, name, value) in &plan.options {
        registry::set(&format!(r"{service}\{key}"), name, value.clone());
    }
    network::set_sink(move |datagram| {
        let bytes = datagram.payload.len().saturating_sub(HEADER_LEN);
        log.borrow_mut().push(Departure { counter: datagram.counter, bytes });
    });
    stubs::stub_missing(plan.stub_missing);
    let driver = Driver::load(image, &plan.service).map_err(|error| anyhow!("{error}"))?;
    let device = Device::add(&driver).map_err(|status| anyhow!("AddDevice failed: {status}"))?;
    device.start().map_err(|status| anyhow!("the device does not start: {status}"))?;
    let streamed = stream(&device, plan)?;
    device.remove().map_err(|status| anyhow!("the device cannot be removed: {status}"))?;
    driver.unload();
    Ok(streamed)
}

fn stream(device: &Device, plan: &Plan) -> Result<Streamed> {
    let format = plan.format;
    let wanted = Format::pcm(format.rate().get(), format.bits(), format.channels());
    let refused = |status: NtStatus| anyhow!("the driver does not play this format: {status}");
    let failed = |status: NtStatus| anyhow!("the stream failed: {status}");
    // Two packets of 10 ms, as the audio engine of Windows has it.
    let bytes = format.bytes_per_second() / 100 * 2;
    let source = source(Arc::clone(&plan.pcm));
    match device.audio_interface() {
        Some(AudioInterface::WaveRt) => {
            let mut stream = match device.open(&wanted, Buffer::Notified { bytes, count: 2 }) {
                // A miniport without notifications is looked at now and then.
                Err(NtStatus::INVALID_DEVICE_REQUEST) => device.open(&wanted, Buffer::Polled { bytes }),
                opened => opened,
            }
            .map_err(refused)?;
            let mut player = stream.player(source);
            player.start().map_err(failed)?;
            let (started, start_up) = (player.started(), DriverUse::so_far());
            let gaps = player.finish().map_err(failed)?.glitches;
            let peak_pool = pool::peak_bytes();
            stream.close();
            Ok(Streamed { started, gaps, start_up, peak_pool })
        }
        Some(AudioInterface::WaveCyclic) => {
            let mut stream = CyclicStream::open(device, &wanted).map_err(refused)?;
            let started = stream.start(source).map_err(failed)?;
            let start_up = DriverUse::so_far();
            let gaps = stream.finish().map_err(failed)?;
            let peak_pool = pool::peak_bytes();
            stream.close();
            Ok(Streamed { started, gaps, start_up, peak_pool })
        }
        None => bail!("the driver registered no wave filter that the testbed can play through"),
    }
}

/// A source that plays bytes from memory.
fn source(pcm: Arc<[u8]>) -> impl FnMut(&mut [u8]) -> usize + 'static {
    let mut position = 0;
    move |buffer| {
        let rest = &pcm[position..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        position += count;
        count
    }
}

/// How long after its last frame was played each packet left, in ticks of the performance counter, in the order of
/// sending. Negative: before it was played.
pub fn lateness(format: StreamFormat, started: u64, departures: &[Departure]) -> Vec<i64> {
    let frequency = CounterFrequency::new(COUNTER_FREQUENCY).expect("10 MHz is a frequency");
    let clock = PositionClock::new(format.rate(), frequency);
    let frame = usize::from(format.bytes_per_frame().get());
    let mut frames = 0;
    let late = departures.iter().map(|departure| {
        frames += (departure.bytes / frame) as u64;
        departure.counter as i64 - (started.saturating_add(clock.ticks_for(frames))) as i64
    });
    late.collect()
}

/// The value below which a part of the values lies, which are in order; 0 of none.
pub fn quantile(values: &[f64], part: f64) -> f64 {
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * part).round() as usize).copied().unwrap_or(0.0)
}
