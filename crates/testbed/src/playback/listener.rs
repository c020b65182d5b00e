//! Receives the packets on a socket of its own, as a receiver program would.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use protocol::{StreamFormat, packet};
use socket2::{Domain, Socket, Type};

/// Asked of the system for packets that wait: a tenth of a second of the densest format and more.
const RECEIVE_BUFFER: usize = 4 << 20;
/// How long nothing must come before the stream counts as ended.
const QUIET: Duration = Duration::from_millis(250);

/// A thread that receives.
pub struct Listener {
    address: SocketAddrV4,
    thread: JoinHandle<Result<Received>>,
    ending: Arc<AtomicBool>,
    progress: Arc<Progress>,
}

/// What can be watched while packets come.
#[derive(Default)]
pub struct Progress {
    /// Frames received so far.
    pub frames: AtomicU64,
    /// Packets received so far.
    pub packets: AtomicU64,
    /// The loudest sample since it was last taken, scaled to 32 bits.
    peak: AtomicU64,
}

impl Progress {
    /// The loudest sample since the last call, in dB below full scale (0 is as loud as can be).
    pub fn take_level(&self) -> f64 {
        let peak = self.peak.swap(0, Ordering::Relaxed);
        20.0 * (peak.max(1) as f64 / 2_147_483_648.0).log10()
    }
}

/// What came.
pub struct Received {
    /// The format of the packets, if any came.
    pub format: Option<StreamFormat>,
    /// Their audio, one after the other.
    pub pcm: Vec<u8>,
    /// Their number.
    pub packets: u64,
}

impl Listener {
    /// Opens a socket for packets to `target`: a multicast group, received on loopback, or an address of this machine, any
    /// free port of it where it says port 0.
    ///
    /// # Errors
    /// One line: the port is in use, the address is not of this machine, or multicast does not work.
    pub fn open(target: SocketAddrV4) -> Result<Self> {
        let socket = bind(target)?;
        let port = socket.local_addr().context("the socket has no address")?.port();
        let (ending, progress) = (Arc::new(AtomicBool::new(false)), Arc::new(Progress::default()));
        let thread = std::thread::spawn({
            let (ending, progress) = (Arc::clone(&ending), Arc::clone(&progress));
            move || receive(&socket, &ending, &progress)
        });
        Ok(Self { address: SocketAddrV4::new(*target.ip(), port), thread, ending, progress })
    }

    /// Where packets are to be sent.
    pub fn address(&self) -> SocketAddrV4 {
        self.address
    }

    /// What can be watched.
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Waits until nothing comes any more, and returns what came.
    ///
    /// # Errors
    /// A packet made no sense, or the socket failed.
    pub fn finish(self) -> Result<Received> {
        self.ending.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the receiving thread panicked"))?
    }
}

fn bind(target: SocketAddrV4) -> Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).context("cannot open a UDP socket")?;
    // Without it packets may be lost; the count at the end tells.
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    socket.bind(&SocketAddr::from(target).into()).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => anyhow!("port {} is in use: another receiver is running; stop it, or choose another port with --to", target.port()),
        ErrorKind::AddrNotAvailable => anyhow!("{} is not an address of this machine; --to takes one that is, such as 127.0.0.1:4010, or a multicast group", target.ip()),
        _ => anyhow!("cannot listen on {target}: {error}"),
    })?;
    let socket = UdpSocket::from(socket);
    if target.ip().is_multicast() {
        socket.join_multicast_v4(target.ip(), &Ipv4Addr::LOCALHOST).map_err(|error| {
            anyhow!("cannot join {} on the loopback interface: {error}; try --to 127.0.0.1:4010", target.ip())
        })?;
    }
    socket.set_read_timeout(Some(QUIET)).context("cannot set a time-out")?;
    Ok(socket)
}

fn receive(socket: &UdpSocket, ending: &AtomicBool, progress: &Progress) -> Result<Received> {
    let mut received = Received { format: None, pcm: Vec::new(), packets: 0 };
    let mut datagram = [0; 2048];
    loop {
        // Looked at before: what was sent by then comes first.
        let ended = ending.load(Ordering::Relaxed);
        let length = match socket.recv_from(&mut datagram) {
            Ok((length, _)) => length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                if ended {
                    return Ok(received);
                }
                continue;
            }
            Err(error) => bail!("receiving failed: {error}"),
        };
        let (format, payload) = packet::parse(&datagram[..length])?;
        if received.format.is_some_and(|first| first != format) {
            bail!(
                "the format of the packets changed in the middle: is somebody else sending to the same port?"
            );
        }
        received.format = Some(format);
        received.pcm.extend_from_slice(payload);
        received.packets += 1;
        let frames = payload.len() / usize::from(format.bytes_per_frame().get());
        progress.frames.fetch_add(frames as u64, Ordering::Relaxed);
        progress.packets.fetch_add(1, Ordering::Relaxed);
        progress.peak.fetch_max(peak(format, payload), Ordering::Relaxed);
    }
}

/// The magnitude of the loudest sample, scaled to 32 bits.
fn peak(format: StreamFormat, payload: &[u8]) -> u64 {
    let width = usize::from(format.width().bytes());
    let samples = payload.chunks_exact(width).map(|sample| {
        let mut bytes = [0; 4];
        bytes[4 - width..].copy_from_slice(sample);
        u64::from(i32::from_le_bytes(bytes).unsigned_abs())
    });
    samples.max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_of_full_scale_is_zero_decibels_at_every_width() {
        for (bits, loudest) in [(16, vec![0, 0x80]), (24, vec![0, 0, 0x80]), (32, vec![0, 0, 0, 0x80])] {
            let format = StreamFormat::new(48_000, bits, 1, 4).unwrap();
            let progress = Progress::default();
            progress.peak.fetch_max(peak(format, &loudest), Ordering::Relaxed);
            assert_eq!(progress.take_level(), 0.0);
        }
    }

    #[test]
    fn what_is_sent_to_a_free_port_comes() {
        let listener = Listener::open(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).unwrap();
        let format = StreamFormat::new(48_000, 16, 2, 3).unwrap();
        let datagram = [&format.header()[..], &[1, 2, 3, 4]].concat();
        let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        sender.send_to(&datagram, listener.address()).unwrap();
        let received = listener.finish().unwrap();
        assert_eq!((received.format, received.pcm, received.packets), (Some(format), vec![1, 2, 3, 4], 1));
    }

    #[test]
    fn a_port_that_is_in_use_is_named() {
        let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = Listener::open(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).err().unwrap().to_string();
        assert!(error.starts_with(&format!("port {port} is in use")), "{error}");
    }
}
