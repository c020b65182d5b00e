//! The driver's life with one stream of noise, in which it breaks no rule.

use std::net::SocketAddrV4;
use std::sync::Arc;

use anyhow::{Result, bail};
use protocol::StreamFormat;
use testbed::image::Image;
use testbed::kernel::registry::Value;
use testbed::playback::{self, Departure, Plan, Streamed, Watch};
use testbed::{Clock, DriverUse};

/// The service key that the driver is installed under.
pub const SERVICE: &str = "Scream";

/// What was seen.
pub struct Life {
    /// The format that was played.
    pub format: StreamFormat,
    /// What was played.
    pub pcm: Arc<[u8]>,
    /// Every packet.
    pub departures: Vec<Departure>,
    /// The stream.
    pub stream: Streamed,
    /// When the driver's threads woke, in ticks of the performance counter since the stream began to run; only with
    /// [`Watch::Wakes`].
    pub wakes: Vec<u64>,
    /// What the driver used from its load to its unload.
    pub total: DriverUse,
}

impl Life {
    /// How long after its last frame was played each packet left, in ticks of the performance counter.
    pub fn lateness(&self) -> Vec<i64> {
        playback::lateness(self.format, self.stream.started, &self.departures)
    }
}

/// Where the driver sends to.
#[derive(Clone, Copy)]
pub enum To {
    /// So many targets of the virtual network, under the virtual clock.
    Targets(u8),
    /// An address of this computer, under the real clock.
    Address(SocketAddrV4),
}

impl To {
    /// The options that say so.
    fn options(self) -> Vec<(String, String, Value)> {
        match self {
            Self::Targets(1) => Vec::new(),
            Self::Targets(count) => {
                let targets = (1..=count).map(|target| format!("192.0.2.{}", 100 + target)).collect();
                vec![("Options".to_owned(), "Targets".to_owned(), Value::MultiSz(targets))]
            }
            Self::Address(address) => playback::sending_to(address).to_vec(),
        }
    }
}

/// Plays for so many milliseconds.
///
/// # Errors
/// The driver cannot be loaded or started, does not play, or breaks a rule of the verifier.
pub fn live(image: &Image, format: StreamFormat, milliseconds: u64, watch: Watch, to: To) -> Result<Life> {
    let pcm = noise(playback::bytes(format, milliseconds));
    let plan = Plan {
        service: SERVICE.to_owned(),
        options: to.options(),
        format,
        pcm: Arc::clone(&pcm),
        clock: if matches!(to, To::Address(_)) { Clock::Real } else { Clock::Virtual },
        clock_tick: None,
        watch,
        stub_missing: false,
    };
    let performance = playback::play(image, &plan);
    if let Some(violation) = performance.violations.first() {
        bail!("the driver broke {} rule(s) of the verifier: {violation}", performance.violations.len());
    }
    let (departures, total, stream) = (performance.departures, performance.driver, performance.streamed?);
    let wakes = performance.wakes.iter().filter_map(|wake| wake.checked_sub(stream.started)).collect();
    Ok(Life { format, pcm, departures, stream, wakes, total })
}

/// So many bytes that are no silence.
fn noise(bytes: usize) -> Arc<[u8]> {
    (1_u8..=251).cycle().take(bytes).collect()
}
