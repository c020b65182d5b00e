//! [`Ring`]: the stream in an IVSHMEM region, cut into packets as the network would bring them.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use protocol::ring::RING_HEADER_SIZE;
use protocol::{
    HEADER_LEN, MAX_PACKET, RingError, RingLayout, RingRead, RingReader, SharedRegion, StreamFormat,
    packet_frames,
};

use super::region::Region;
use super::{Datagram, Sender, Source, SourceError};
use crate::Moment;
use crate::delivery::duration_of;

/// How often the ring is looked at while a chunk is due. A chunk is 20 ms.
const LOOK: Duration = Duration::from_millis(2);
/// How often it is looked at while there is none.
const IDLE: Duration = Duration::from_millis(20);
/// How often the file is looked at while there is no stream: it may be another one.
const RENEW: Duration = Duration::from_secs(1);

/// The stream in a region.
pub struct Ring {
    path: PathBuf,
    most: Duration,
    state: State,
    /// Before this there is nothing to look for while a stream runs.
    due: Moment,
    renewed: Moment,
    chunk: Chunk,
    packet: [u8; MAX_PACKET],
    missed: u64,
}

enum State {
    /// The file is not there, or not as it was.
    Gone,
    /// There is no stream.
    Idle(Region),
    /// There is one.
    Streaming(RingReader<Region>),
}

/// A chunk of which pieces are still to be given.
#[derive(Default)]
struct Chunk {
    bytes: Vec<u8>,
    taken: usize,
    arrived: Moment,
}

impl Ring {
    /// Maps the file of a region. Chunks are left out to keep the delay below `most`.
    ///
    /// # Errors
    /// It is not there, cannot be read, or is too small.
    pub fn open(path: &Path, most: Duration) -> Result<Self, SourceError> {
        let region = Region::map(path).map_err(|error| not_mapped(path, &error))?;
        if region.len() < RING_HEADER_SIZE {
            return Err(too_small(path, region.len()));
        }
        Ok(Self {
            path: path.to_owned(),
            most,
            state: State::Idle(region),
            due: Moment::now(),
            renewed: Moment::now(),
            chunk: Chunk::default(),
            packet: [0; MAX_PACKET],
            missed: 0,
        })
    }

    /// Looks once; true if there is something to give now.
    fn look(&mut self, now: Moment) -> bool {
        self.state = match std::mem::replace(&mut self.state, State::Gone) {
            State::Streaming(mut reader) => match self.chunk.fill(&mut reader, self.most, now) {
                Ok(missed) => {
                    self.missed += missed;
                    if !self.chunk.is_over() {
                        self.due = now + chunk_time(reader.layout()).saturating_sub(LOOK);
                    }
                    State::Streaming(reader)
                }
                // It has ended or is another one now.
                Err(_) => self.map_again(),
            },
            State::Idle(region) if now.since(self.renewed) >= RENEW => {
                self.renewed = now;
                if region.is_current() { attach(region) } else { self.map_again() }
            }
            State::Idle(region) => attach(region),
            State::Gone => self.map_again(),
        };
        !self.chunk.is_over()
    }

    fn map_again(&mut self) -> State {
        Region::map(&self.path).map_or(State::Gone, attach)
    }

    /// The next piece of the chunk as a packet.
    fn piece(&mut self) -> Option<Datagram<'_>> {
        let State::Streaming(reader) = &self.state else {
            // The end of a stream that has ended meanwhile is not worth the trouble: it is silence.
            self.chunk = Chunk::default();
            return None;
        };
        let format = reader.layout().format();
        let (arrived, pcm) = self.chunk.piece(format)?;
        let length = HEADER_LEN + pcm.len();
        self.packet[..HEADER_LEN].copy_from_slice(&format.header());
        self.packet[HEADER_LEN..length].copy_from_slice(pcm);
        Some(Datagram { sender: Sender::SharedMemory, arrived, bytes: &self.packet[..length] })
    }
}

fn attach(region: Region) -> State {
    // A reader that does not attach would keep the region, so the header is tried first.
    match RingReader::attach(&region) {
        Ok(_) => {}
        Err(_) => return State::Idle(region),
    }
    match RingReader::attach(region) {
        Ok(reader) => State::Streaming(reader),
        Err(_) => State::Gone,
    }
}

/// How long a chunk plays.
fn chunk_time(layout: RingLayout) -> Duration {
    duration_of(layout.chunk_frames().get().into(), layout.format().rate().get())
}

impl Chunk {
    fn is_over(&self) -> bool {
        self.taken >= self.bytes.len()
    }

    /// Takes the next chunk of the ring, if there is one; gives how many were missed before it.
    fn fill(
        &mut self,
        reader: &mut RingReader<Region>,
        most: Duration,
        now: Moment,
    ) -> Result<u64, RingError> {
        let layout = reader.layout();
        let each = chunk_time(layout);
        let mut missed = 0;
        let pending = reader.pending()?;
        if each * u32::from(pending) > most.max(each) {
            missed += u64::from(reader.skip_to_newest(1)?);
        }
        self.bytes.resize(layout.chunk_size(), 0);
        self.taken = layout.chunk_size();
        match reader.read(&mut self.bytes)? {
            RingRead::Chunk(_) => {
                // Those that wait behind it have come since; it is older by as much as they play.
                let behind = reader.pending()?;
                self.arrived = now - each * u32::from(behind);
                self.taken = 0;
            }
            RingRead::Lapped(chunks) => missed += u64::from(chunks),
            RingRead::Empty => {}
        }
        Ok(missed)
    }

    /// The next piece, and when a packet with it would have come: chunks come whole, but were filled little by little.
    fn piece(&mut self, format: StreamFormat) -> Option<(Moment, &[u8])> {
        let frame = usize::from(format.bytes_per_frame().get());
        let length = packet_frames(format).get() as usize * frame;
        let start = self.taken;
        let end = self.bytes.len().min(start.saturating_add(length));
        self.taken = end;
        let behind = (self.bytes.len() - end) / frame;
        let arrived = self.arrived - duration_of(behind as u64, format.rate().get());
        self.bytes.get(start..end).filter(|piece| !piece.is_empty()).map(|piece| (arrived, piece))
    }
}

impl Source for Ring {
    fn name(&self) -> String {
        format!("shared memory {}", self.path.display())
    }

    fn next(&mut self, wait: Duration) -> Result<Option<Datagram<'_>>, SourceError> {
        let end = Moment::now() + wait;
        loop {
            let now = Moment::now();
            if !self.chunk.is_over() || self.look(now) {
                return Ok(self.piece());
            }
            if now >= end {
                return Ok(None);
            }
            let pause = match self.state {
                State::Streaming(_) => LOOK.max(self.due.since(now)),
                _ => IDLE,
            };
            thread::sleep(pause.min(end.since(now)));
        }
    }

    fn missed(&self) -> u64 {
        self.missed
    }

    fn hint(&self) -> String {
        format!(
            "no stream in {} yet; in the virtual machine, UseIVSHMEM has to be the size of this region in MiB",
            self.path.display()
        )
    }
}

fn not_mapped(path: &Path, error: &io::Error) -> SourceError {
    let shown = path.display();
    let metadata = fs::metadata(path).ok();
    SourceError(match (error.kind(), metadata) {
        (ErrorKind::NotFound, _) => {
            format!("{shown} is not there; start the virtual machine first, or name its region with -m")
        }
        (ErrorKind::PermissionDenied, Some(metadata)) => format!(
            "no permission to read {shown}, which belongs to {}; ask for it with: sudo chmod o+r {shown}, or join its group",
            owner(&metadata)
        ),
        (_, Some(metadata)) if !metadata.is_file() => {
            format!("{shown} is not a file; the region of IVSHMEM is one, mostly in /dev/shm")
        }
        (_, Some(metadata)) if metadata.len() < RING_HEADER_SIZE as u64 => {
            return too_small(path, metadata.len() as usize);
        }
        _ => format!("{shown} cannot be read: {error}"),
    })
}

fn too_small(path: &Path, size: usize) -> SourceError {
    SourceError(format!(
        "{} has {size} bytes and is too small; a region of IVSHMEM has 1 MiB or more",
        path.display()
    ))
}

/// The user and the group that a file belongs to.
fn owner(metadata: &Metadata) -> String {
    let user = name_of("/etc/passwd", metadata.uid());
    format!("{user}:{}", name_of("/etc/group", metadata.gid()))
}

/// The name of a number, from a file in which each line is a name, a password, and a number. Whoever is only known to a
/// directory of the network stays a number.
fn name_of(file: &str, number: u32) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let name = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number.to_string()).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pieces_of_a_chunk_have_come_when_their_packets_would_have() {
        let format = StreamFormat::new(48_000, 16, 2, 3).expect("a format");
        let arrived = Moment(1_000_000_000);
        let bytes: Vec<u8> = (0..960 * 4).map(|index| (index / 4) as u8).collect();
        let mut chunk = Chunk { bytes: bytes.clone(), taken: 0, arrived };
        let mut pieces = Vec::new();
        while let Some((arrived, piece)) = chunk.piece(format) {
            pieces.push((arrived, piece.to_vec()));
        }
        let before = |milliseconds| arrived - Duration::from_millis(milliseconds);
        assert_eq!(
            pieces.iter().map(|(arrived, piece)| (*arrived, piece.len() / 4)).collect::<Vec<_>>(),
            [(before(14), 288), (before(8), 288), (before(2), 288), (before(0), 96)]
        );
        assert_eq!(pieces.into_iter().flat_map(|(_, piece)| piece).collect::<Vec<_>>(), bytes);
        assert!(chunk.is_over());
    }

    #[test]
    fn the_owner_of_a_file_is_named_as_the_system_names_it() {
        assert_eq!(name_of("/etc/passwd", 0), "root");
        assert_eq!(name_of("/etc/passwd", 4_000_000_000), "4000000000");
        assert_eq!(name_of("/no/such/file", 0), "0");
    }
}
