//! What streaming costs: the difference between a long run and one of half its length, so that start and end do not
//! count.

use std::time::Duration;

use anyhow::Result;
use protocol::{StreamFormat, default_mask, packet_frames};
use testbed::DriverUse;
use testbed::image::Image;
use testbed::playback::{Memory, Watch};

use super::life::{Life, To, live};
use super::wakes::{self, Wakes};

/// What is measured: frames per second, bits, channels.
const FORMATS: [(u32, u16, u16); 6] =
    [(48_000, 16, 2), (44_100, 16, 2), (96_000, 24, 2), (48_000, 24, 8), (192_000, 32, 2), (192_000, 32, 8)];
/// Length of the shorter run in which time is measured, in milliseconds of audio: after it packets, notifications and
/// sends are where they began, in every format.
const TIME_MS: u64 = 4800;
/// How often time is measured; the best counts, because other programs only ever add to it.
const REPEATS: u64 = 10;
/// Targets that are held against one.
pub const TARGETS: u8 = 8;
/// How many lives the driver has for the table, and for the targets.
pub const LIVES: u64 = FORMATS.len() as u64 * (REPEATS * 2 + 3) + REPEATS * 2 + 2;

/// Length of the shorter run in which instructions are counted, in milliseconds of audio: as long as it takes until
/// packets and notifications are where they began. Each instruction takes microseconds here, but one run is enough.
fn instruction_ms(format: StreamFormat) -> u64 {
    match format.rate().get() {
        44_100 => 320,
        192_000 => 60,
        _ => 180,
    }
}

/// What playing a format costs.
pub struct Row {
    /// The format.
    pub format: StreamFormat,
    /// Packets that left in the longer of the runs.
    pub packets: u64,
    /// Processor time of driver code for each packet, in microseconds.
    pub cpu: f64,
    /// What crossing into the testbed took beside, for each packet, in microseconds.
    pub border: f64,
    /// Instructions of driver code for each packet; `None` where the testbed cannot count them.
    pub instructions: Option<f64>,
    /// Calls of memcpy, memmove and memset for each packet, and the bytes that they wrote.
    pub copies: (f64, f64),
    /// How often the driver's threads woke in a second of audio.
    pub wakes: f64,
    /// When they did.
    pub wake_times: Wakes,
    /// Calls that allocate or print, in the longer of the runs what it has more.
    pub costly_calls: i64,
    /// Its non-paged pool.
    pub memory: Memory,
    /// How late packets left, in ticks of the performance counter, in order.
    pub lateness: Vec<i64>,
}

/// What a second of audio costs when it goes to [`TARGETS`] targets, as a multiple of what it costs with one.
pub struct Fanout {
    /// Processor time of driver code.
    pub cpu: f64,
    /// Instructions of driver code; `None` where the testbed cannot count them.
    pub instructions: Option<f64>,
    /// Its non-paged pool, in bytes.
    pub memory: usize,
}

/// What happens once: from the driver's load to the first RUN.
pub struct StartUp {
    /// Processor time of driver code.
    pub cpu: Duration,
    /// Instructions of driver code.
    pub instructions: Option<u64>,
}

/// A run and one of twice its length.
struct Pair {
    short: Life,
    long: Life,
}

impl Row {
    /// How far apart full packets are, in microseconds.
    pub fn packet_us(&self) -> f64 {
        f64::from(packet_frames(self.format).get()) * 1e6 / f64::from(self.format.rate().get())
    }
}

impl Pair {
    fn packets(&self) -> f64 {
        self.long.departures.len().saturating_sub(self.short.departures.len()).max(1) as f64
    }

    /// How much more of something the longer run took.
    fn more(&self, of: impl Fn(&DriverUse) -> u64) -> f64 {
        of(&self.long.total) as f64 - of(&self.short.total) as f64
    }
}

/// Whether a function of this name takes memory, or formats or prints text.
fn allocates_or_prints(name: &str) -> bool {
    ["Allocate", "Print", "printf", "Format"].iter().any(|part| name.contains(part))
}

/// Measures every format. `lived` is called after each life.
///
/// # Errors
/// The driver does not play, or breaks a rule.
pub fn measure(image: &Image, lived: &dyn Fn()) -> Result<(Vec<Row>, StartUp)> {
    let mut rows = Vec::new();
    let mut start_up = None;
    for (rate, bits, channels) in FORMATS {
        let format = StreamFormat::new(rate, bits, channels, default_mask(channels))?;
        let (row, once) = measure_format(image, format, lived)?;
        rows.push(row);
        start_up.get_or_insert(once);
    }
    Ok((rows, start_up.expect("there are formats")))
}

/// A run and one of twice its length.
fn pair(
    image: &Image,
    format: StreamFormat,
    milliseconds: u64,
    watch: Watch,
    to: To,
    lived: &dyn Fn(),
) -> Result<Pair> {
    let run = |milliseconds| {
        let life = live(image, format, milliseconds, watch, to)?;
        lived();
        anyhow::Ok(life)
    };
    Ok(Pair { short: run(milliseconds)?, long: run(2 * milliseconds)? })
}

/// The pair in which time was measured best, and what happened once at best.
fn timed(image: &Image, format: StreamFormat, to: To, lived: &dyn Fn()) -> Result<(Pair, Duration)> {
    let mut best = pair(image, format, TIME_MS, Watch::Time, to, lived)?;
    let mut once = best.short.stream.start_up.cpu;
    for _ in 1..REPEATS {
        let again = pair(image, format, TIME_MS, Watch::Time, to, lived)?;
        once = once.min(again.short.stream.start_up.cpu).min(again.long.stream.start_up.cpu);
        if again.short.total.cpu < best.short.total.cpu {
            best.short = again.short;
        }
        if again.long.total.cpu < best.long.total.cpu {
            best.long = again.long;
        }
    }
    Ok((best, once))
}

/// Measures many targets, for the format of a row. `lived` is called after each life.
///
/// # Errors
/// The driver does not play, or breaks a rule.
pub fn fanout(image: &Image, one: &Row, lived: &dyn Fn()) -> Result<Fanout> {
    let to = To::Targets(TARGETS);
    let milliseconds = instruction_ms(one.format);
    let counted = pair(image, one.format, milliseconds, Watch::Instructions, to, lived)?;
    let (timed, _) = timed(image, one.format, to, lived)?;
    // Each unit of audio is a packet for each target, and the row tells of one.
    let per_unit = |more: f64, pair: &Pair| more / pair.packets() * f64::from(TARGETS);
    let cpu = per_unit(timed.more(|used| used.cpu.as_nanos() as u64) / 1e3, &timed);
    let instructions = one
        .instructions
        .map(|one| per_unit(counted.more(|used| used.instructions.unwrap_or(0)), &counted) / one);
    Ok(Fanout { cpu: cpu / one.cpu, instructions, memory: timed.long.stream.memory.total() })
}

fn measure_format(image: &Image, format: StreamFormat, lived: &dyn Fn()) -> Result<(Row, StartUp)> {
    let one = To::Targets(1);
    let counted = pair(image, format, instruction_ms(format), Watch::Instructions, one, lived)?;
    let (timed, once) = timed(image, format, one, lived)?;
    let wake_times = wakes::measure(image, format)?;
    lived();
    let packets = timed.packets();
    let instructions = counted.long.total.instructions.is_some();
    let mut lateness = timed.long.lateness();
    lateness.sort_unstable();
    let row = Row {
        format,
        packets: timed.long.departures.len() as u64,
        cpu: timed.more(|used| used.cpu.as_nanos() as u64) / 1e3 / packets,
        border: timed.more(|used| used.border.as_nanos() as u64) / 1e3 / packets,
        instructions: instructions
            .then(|| counted.more(|used| used.instructions.unwrap_or(0)) / counted.packets()),
        copies: (
            timed.more(|used| used.calls(|name| ["memcpy", "memmove", "memset"].contains(&name))) / packets,
            timed.more(|used| used.copied) / packets,
        ),
        wakes: timed.more(|used| used.calls(|name| name.starts_with("KeWaitFor"))) * 1e3 / TIME_MS as f64,
        wake_times,
        costly_calls: timed.more(|used| used.calls(allocates_or_prints)) as i64,
        memory: timed.long.stream.memory,
        lateness,
    };
    Ok((row, StartUp { cpu: once, instructions: counted.short.stream.start_up.instructions }))
}
