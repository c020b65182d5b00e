//! Playing on the real clock, to a receiver on this computer.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use protocol::{StreamFormat, default_mask};
use testbed::image::Image;

use super::life::{COUNTER_FREQUENCY, Plan, Watch, live};

/// How long it plays, in seconds.
pub const SECONDS: u64 = 10;
/// How long nothing must come before the stream counts as ended.
const QUIET: Duration = Duration::from_millis(500);

/// What was seen on the real clock.
pub struct Real {
    /// The format that was played.
    pub format: StreamFormat,
    /// Packets that the driver sent.
    pub sent: u64,
    /// Packets that arrived.
    pub received: u64,
    /// For each packet in the order of sending: when it left, in seconds since the stream began, and how late it was, in
    /// milliseconds.
    pub packets: Vec<(f64, f64)>,
    /// The latenesses in order.
    pub lateness: Vec<f64>,
    /// How often the player came too late.
    pub gaps: u64,
}

/// Plays the first format of the table in real time.
///
/// # Errors
/// There is no port to receive on, the driver does not play, or it breaks a rule.
pub fn measure(image: &Image) -> Result<Real> {
    let format = StreamFormat::new(48_000, 16, 2, default_mask(2))?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot open a UDP socket")?;
    socket.set_read_timeout(Some(QUIET)).context("cannot set a time-out")?;
    let SocketAddr::V4(to) = socket.local_addr().context("the socket has no address")? else {
        bail!("a socket for IPv4 has another address")
    };
    let ended = AtomicBool::new(false);
    let (life, received) = std::thread::scope(|scope| {
        let receiver = scope.spawn(|| count(&socket, &ended));
        let life = live(image, Plan { format, milliseconds: SECONDS * 1000, watch: Watch::RealClock(to) });
        ended.store(true, Ordering::Relaxed);
        (life, receiver.join())
    });
    let (life, received) = (life?, received.map_err(|_| anyhow!("the receiving thread panicked"))??);
    let late: Vec<f64> = life.lateness(format).into_iter().map(ms).collect();
    let times = life.departures.iter().map(|(counter, _)| ms(counter.saturating_sub(life.started)) / 1e3);
    let packets = times.zip(late.iter().copied()).collect();
    let mut lateness = late;
    lateness.sort_unstable_by(f64::total_cmp);
    Ok(Real { format, sent: life.departures.len() as u64, received, packets, lateness, gaps: life.gaps })
}

fn ms(ticks: u64) -> f64 {
    ticks as f64 * 1e3 / COUNTER_FREQUENCY as f64
}

/// Counts datagrams until the stream has ended and none comes any more.
fn count(socket: &UdpSocket, ended: &AtomicBool) -> Result<u64> {
    let mut datagram = [0; 2048];
    let mut count = 0;
    loop {
        match socket.recv(&mut datagram) {
            Ok(_) => count += 1,
            Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                bail!("receiving failed: {error}")
            }
            Err(_) if ended.load(Ordering::Relaxed) => return Ok(count),
            Err(_) => {}
        }
    }
}
