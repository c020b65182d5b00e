//! Playing on the real clock, to a receiver on this computer.

use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::Result;
use protocol::{StreamFormat, default_mask};
use testbed::image::Image;
use testbed::playback::{Comparison, Listener, Watch, compare, milliseconds};

use super::life::{To, live};

/// How long each format plays, in seconds.
pub const SECONDS: u64 = 10;

/// The format whose lateness is judged: frames per second, bits, channels.
pub const USUAL: (u32, u16, u16) = (48_000, 16, 2);
/// The format with the most to send: 49 Mbit/s.
pub const DENSEST: (u32, u16, u16) = (192_000, 32, 8);

/// What was seen on the real clock.
pub struct Real {
    /// The format that was played.
    pub format: StreamFormat,
    /// Packets that the driver sent.
    pub sent: u64,
    /// Packets that arrived.
    pub received: u64,
    /// Whether what arrived is what was played.
    pub comparison: Comparison,
    /// For each packet in the order of sending: when it left, in seconds since the stream began, and how late it was, in
    /// milliseconds.
    pub packets: Vec<(f64, f64)>,
    /// The latenesses in order.
    pub lateness: Vec<f64>,
    /// How often the player came too late.
    pub gaps: u64,
}

impl Real {
    /// Packets that left and did not arrive: the socket that receives was full.
    pub fn lost(&self) -> u64 {
        self.sent.saturating_sub(self.received)
    }

    /// Whether every frame arrived as it was played, in time.
    pub fn is_whole(&self) -> bool {
        self.lost() == 0 && self.gaps == 0 && self.comparison.is_bit_exact()
    }
}

/// Plays a format in real time.
///
/// # Errors
/// There is no port to receive on, the driver does not play, or it breaks a rule.
pub fn measure(image: &Image, (rate, bits, channels): (u32, u16, u16)) -> Result<Real> {
    let format = StreamFormat::new(rate, bits, channels, default_mask(channels))?;
    let listener = Listener::open(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    // Of what can be watched, reading the processor's clock delays packets the least.
    let life = live(image, format, SECONDS * 1000, Watch::Time, To::Address(listener.address()));
    let received = listener.finish();
    let (life, received) = (life?, received?);
    let late: Vec<f64> = life.lateness().into_iter().map(milliseconds).collect();
    let started = life.stream.started;
    let times =
        life.departures.iter().map(|packet| milliseconds(packet.counter as i64 - started as i64) / 1e3);
    let packets = times.zip(late.iter().copied()).collect();
    let mut lateness = late;
    lateness.sort_unstable_by(f64::total_cmp);
    Ok(Real {
        format,
        sent: life.departures.len() as u64,
        received: received.packets,
        comparison: compare(format, &life.pcm, received.format, &received.pcm),
        packets,
        lateness,
        gaps: life.stream.gaps,
    })
}
