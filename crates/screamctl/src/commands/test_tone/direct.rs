//! The tone as Scream packets from this program: the network is tried, and no driver.

use std::net::{SocketAddr, UdpSocket};
use std::num::NonZeroU16;
use std::thread;
use std::time::{Duration, Instant};

use protocol::{Packet, StreamFormat};

use super::{Tone, socket, speakers};
use crate::Outcome;
use crate::commands::Result;
use crate::commands::options::{Settings, without_network};
use crate::computer::Computer;
use crate::console::Console;
use crate::failure::Failure;

const RATE: u32 = 48_000;
const CHANNELS: NonZeroU16 = NonZeroU16::new(2).unwrap();
/// Front left, front right.
const MASK: u16 = 3;

/// When this program was kept from sending for so long, what is late is not sent all at once: no receiver has room for
/// it.
const LATE: Duration = Duration::from_millis(50);

/// One of the targets, and what came of it.
struct Sender {
    target: SocketAddr,
    socket: Option<UdpSocket>,
    sent: u32,
    failed: u32,
    first_error: Option<String>,
}

/// Sends to all targets of the options, in the time that the tone takes.
pub fn run(seconds: u32, computer: &dyn Computer, console: &mut dyn Console) -> Result {
    let reading = Settings::read(computer)?.reading();
    let interfaces = computer.interfaces()?;
    if let Some(note) = without_network(&reading) {
        console.print(&format!("note: the driver does not do this: {note}.\n"));
    }
    let targets = reading.options.targets.as_slice();
    let mut senders: Vec<Sender> = targets
        .iter()
        .map(|target| Sender::new(*target, socket::open(*target, &reading.options, &interfaces)))
        .collect();
    let format = StreamFormat::new(RATE, 16, CHANNELS.get(), MASK)
        .map_err(|error| Failure::plain(format!("the format cannot be sent: {error:?}")))?;
    if senders.iter().any(|sender| sender.socket.is_some()) {
        console
            .print(&format!("From this program: {RATE} Hz, 16 bits, {}\n", super::channels(CHANNELS.get())));
        send(Tone::new(RATE, CHANNELS, seconds), format, &mut senders, console);
    }
    senders.iter().for_each(|sender| console.print(&sender.result()));
    let is_complete = senders.iter().all(|sender| sender.first_error.is_none());
    Ok(if is_complete { Outcome::Done } else { Outcome::Wrong })
}

/// Sends each packet when its first frame is due.
fn send(tone: Tone, format: StreamFormat, senders: &mut [Sender], console: &mut dyn Console) {
    let mut packet = Packet::new(format);
    let mut announced = None;
    let mut next = 0;
    let mut start = Instant::now();
    while next < tone.frames() {
        if let Some(channel) = tone.channel(next).filter(|channel| announced != Some(*channel)) {
            announced = Some(channel);
            console.print(&format!("{}\n", speakers::name(channel, u32::from(MASK))));
        }
        fill(&mut packet, tone, next, format);
        let due = start + Duration::from_nanos(next * 1_000_000_000 / u64::from(RATE));
        let now = Instant::now();
        thread::sleep(due.saturating_duration_since(now));
        let late = now.saturating_duration_since(due);
        if late > LATE {
            start += late;
        }
        senders.iter_mut().for_each(|sender| sender.send(packet.as_bytes()));
        next += u64::from(packet.frames().max(1));
    }
}

/// Fills a packet with the frames from one on.
fn fill(packet: &mut Packet, tone: Tone, from: u64, format: StreamFormat) {
    packet.reset(format);
    let left = usize::try_from(tone.frames() - from).unwrap_or(usize::MAX);
    let bytes = left.saturating_mul(usize::from(format.bytes_per_frame().get()));
    let taken = packet.append(bytes, |payload| {
        for (place, sample) in payload.as_chunks_mut().0.iter_mut().zip(tone.samples(from)) {
            *place = ((sample * f64::from(i16::MAX)).round() as i16).to_le_bytes();
        }
    });
    debug_assert_ne!(taken, 0, "there was a frame left, and the packet was empty");
}

impl Sender {
    fn new(target: SocketAddr, socket: std::result::Result<UdpSocket, String>) -> Self {
        let (socket, first_error) = match socket {
            Ok(socket) => (Some(socket), None),
            Err(error) => (None, Some(error)),
        };
        Self { target, socket, sent: 0, failed: 0, first_error }
    }

    fn send(&mut self, packet: &[u8]) {
        let Some(socket) = &self.socket else { return };
        match socket.send_to(packet, self.target) {
            Ok(_) => self.sent += 1,
            Err(error) => {
                self.failed += 1;
                self.first_error.get_or_insert_with(|| format!("send: {}", socket::words(&error)));
            }
        }
    }

    fn result(&self) -> String {
        let Self { target, sent, failed, .. } = self;
        match (&self.first_error, &self.socket) {
            (None, _) => format!("{target}: {sent} packets were sent\n"),
            (Some(error), None) => format!("{target}: nothing was sent: {error}\n"),
            (Some(error), Some(_)) => {
                format!("{target}: {sent} packets were sent, {failed} were not: {error}\n")
            }
        }
    }
}
