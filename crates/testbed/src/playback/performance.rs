//! One life of a driver with one stream: install, start, play, remove, unload; and what was seen of it.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddrV4;
use std::rc::Rc;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use protocol::{CounterFrequency, HEADER_LEN, PositionClock, StreamFormat};

use super::Memory;
use crate::client::{Buffer, CyclicStream, Format};
use crate::image::{Image, stubs};
use crate::kernel::driver::service_key;
use crate::kernel::etw;
use crate::kernel::registry::{self, Value};
use crate::network;
use crate::nt::NtStatus;
use crate::portcls::AudioInterface;
use crate::trace::Kept;
use crate::{Clock, Config, Device, Driver, DriverUse, Machine, Time, Violation, wsk};

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
    /// Nothing more than packets and events.
    Packets,
    /// The processor time of driver code, and how often it calls what.
    Time,
    /// The instructions of driver code.
    Instructions,
    /// When driver code is woken.
    Wakes,
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
    /// What it had allocated at the most.
    pub memory: Memory,
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
    /// The events that it wrote; only with [`Watch::Packets`].
    pub events: Vec<etw::Event>,
    /// The performance counter whenever a wait of driver code ended; only with [`Watch::Wakes`].
    pub wakes: Vec<u64>,
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

/// Lets Linux end this thread's sleeps when their time has come, and not up to 50 µs later, which would look like lateness
/// of the driver.
fn sleep_exactly() {
    // SAFETY: sets a number of this thread's; nothing depends on it but when its sleeps end. Where it fails, they end later.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
}

/// Lets a driver live once.
pub fn play(image: &Image, plan: &Plan) -> Performance {
    if plan.clock == Clock::Real {
        sleep_exactly();
    }
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
        events: (plan.watch == Watch::Packets).then(etw::Session::everything),
        trace: if plan.watch == Watch::Wakes { Kept::All } else { Kept::Nothing },
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
        events: outcome.events,
        wakes: outcome.trace.returns(is_wait).into_iter().map(counter_at).collect(),
        stubs: stub_calls.take(),
    }
}

/// Whether the function waits.
pub(super) fn is_wait(name: &str) -> bool {
    name.starts_with("KeWaitFor")
}

/// The performance counter at a time in nanoseconds.
fn counter_at(time: Time) -> u64 {
    (u128::from(time) * u128::from(COUNTER_FREQUENCY) / 1_000_000_000) as u64
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
    let wanted = Format::pcm(format.rate().get(), format.bits(), format.channels())
        .with_mask(u32::from(format.mask()));
    let refused = |status: NtStatus| anyhow!("the driver does not play this format: {status}");
    let failed = |status: NtStatus| anyhow!("the stream failed: {status}");
    let bytes = buffer_bytes(format);
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
            // One list is that of the WaveRT buffer.
            let memory = Memory::now(1);
            let gaps = player.finish().map_err(failed)?.glitches;
            let memory = memory.at_end();
            stream.close();
            Ok(Streamed { started, gaps, start_up, memory })
        }
        Some(AudioInterface::WaveCyclic) => {
            let mut stream = CyclicStream::open(device, &wanted).map_err(refused)?;
            let started = stream.start(source).map_err(failed)?;
            let (start_up, memory) = (DriverUse::so_far(), Memory::now(0));
            let gaps = stream.finish().map_err(failed)?;
            let memory = memory.at_end();
            stream.close();
            Ok(Streamed { started, gaps, start_up, memory })
        }
        None => bail!("the driver registered no wave filter that the testbed can play through"),
    }
}

/// The size of a buffer of two packets of 10 ms, as the audio engine of Windows has it.
pub(super) fn buffer_bytes(format: StreamFormat) -> u32 {
    format.bytes_per_second() / 100 * 2
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

/// The values in the registry that make Scream send to an address.
pub fn sending_to(to: SocketAddrV4) -> [(String, String, Value); 2] {
    let option = |name: &str, value| ("Options".to_owned(), name.to_owned(), value);
    [
        option("UnicastIPv4", Value::Sz(to.ip().to_string())),
        option("UnicastPort", Value::Dword(to.port().into())),
    ]
}

/// Bytes of so many milliseconds of audio: whole frames.
pub fn bytes(format: StreamFormat, milliseconds: u64) -> usize {
    let frames = u64::from(format.rate().get()) * milliseconds / 1000;
    (frames * u64::from(format.bytes_per_frame().get())) as usize
}

/// Ticks of the performance counter in milliseconds.
pub fn milliseconds(ticks: i64) -> f64 {
    ticks as f64 * 1e3 / COUNTER_FREQUENCY as f64
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
