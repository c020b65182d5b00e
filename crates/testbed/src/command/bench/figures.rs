//! What is compared.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, anyhow};
use protocol::{CounterFrequency, PositionClock};
use testbed::DriverUse;
use testbed::playback::{self, COUNTER_FREQUENCY, Performance, Plan, milliseconds, quantile};

/// The figures of one driver file.
pub struct Figures {
    /// The file.
    pub name: PathBuf,
    /// How late packets were, in milliseconds, in order.
    pub lateness: Vec<f64>,
    /// Instructions of driver code for each second of audio, where they can be counted.
    pub instructions: Option<f64>,
    /// How many rules of the verifier it broke.
    pub violations: usize,
    packets: usize,
    bytes: usize,
    seconds: f64,
    cpu: Duration,
    wakes: f64,
    pool: usize,
    /// Milliseconds from RUN to the first packet, and from the last frame to the last packet.
    first: Option<f64>,
    last: Option<f64>,
    lost: i64,
    gaps: u64,
}

impl Figures {
    /// Those of a first run.
    ///
    /// # Errors
    /// The stream failed.
    pub fn new(name: &Path, plan: &Plan, performance: Performance) -> Result<Self> {
        let cpu = streaming(&performance)?;
        let (packets, bytes) = (performance.departures.len(), performance.bytes());
        let streamed = performance.streamed?;
        let format = plan.format;
        let frame = usize::from(format.bytes_per_frame().get());
        let frames = (plan.pcm.len() / frame) as u64;
        let frequency = CounterFrequency::new(COUNTER_FREQUENCY).map_err(|_| anyhow!("no frequency"))?;
        let end = streamed.started + PositionClock::new(format.rate(), frequency).ticks_for(frames);
        let seconds = frames as f64 / f64::from(format.rate().get());
        let since = |counter: u64, base: u64| milliseconds(counter as i64 - base as i64);
        let mut lateness: Vec<f64> = playback::lateness(format, streamed.started, &performance.departures)
            .into_iter()
            .map(milliseconds)
            .collect();
        lateness.sort_unstable_by(f64::total_cmp);
        let wakes = wakes(&performance.driver).saturating_sub(wakes(&streamed.start_up));
        Ok(Self {
            name: name.to_owned(),
            lateness,
            instructions: None,
            violations: performance.violations.len(),
            packets,
            bytes,
            seconds,
            cpu,
            wakes: wakes as f64 / seconds,
            pool: streamed.memory.blocks,
            first: performance.departures.first().map(|first| since(first.counter, streamed.started)),
            last: performance.departures.last().map(|last| since(last.counter, end)),
            lost: frames as i64 - (bytes / frame) as i64,
            gaps: streamed.gaps,
        })
    }

    /// Another run: the least processor time counts.
    ///
    /// # Errors
    /// The stream failed.
    pub fn again(&mut self, performance: &Performance) -> Result<()> {
        self.cpu = self.cpu.min(streaming(performance)?);
        Ok(())
    }

    /// The rows of the table.
    pub fn rows(&self) -> Vec<(&'static str, String)> {
        let late = |part| format!("{:.3}", quantile(&self.lateness, part));
        let time = |value: Option<f64>| value.map_or_else(|| "no packet".to_owned(), |ms| format!("{ms:.3}"));
        let instructions =
            self.instructions.map_or_else(|| "not counted".to_owned(), |count| format!("{count:.0}"));
        vec![
            ("packets", self.packets.to_string()),
            ("bytes of audio", self.bytes.to_string()),
            ("lateness min, ms", late(0.0)),
            ("lateness median, ms", late(0.5)),
            ("lateness p99, ms", late(0.99)),
            ("lateness max, ms", late(1.0)),
            ("CPU per second of audio, µs", format!("{:.0}", self.cpu.as_secs_f64() * 1e6 / self.seconds)),
            ("instructions per second of audio", instructions),
            ("non-paged pool at peak, KiB", format!("{:.1}", self.pool as f64 / 1024.0)),
            ("wake-ups per second", format!("{:.1}", self.wakes)),
            ("RUN to first packet, ms", time(self.first)),
            ("last frame to last packet, ms", time(self.last)),
            ("frames lost at stop", self.lost.max(0).to_string()),
            ("gaps", self.gaps.to_string()),
            ("violations", self.violations.to_string()),
        ]
    }
}

/// The processor time from RUN on.
fn streaming(performance: &Performance) -> Result<Duration> {
    let streamed = performance.streamed.as_ref().map_err(|error| anyhow!("{error:#}"))?;
    Ok(performance.driver.cpu.saturating_sub(streamed.start_up.cpu))
}

/// How often the driver's code was woken.
fn wakes(used: &DriverUse) -> u64 {
    let is_one = |name: &str| {
        name.starts_with("KeWaitFor")
            || matches!(name, "deferred procedure" | "work item routine" | "ExTimerCallback")
    };
    used.calls(is_one)
}
