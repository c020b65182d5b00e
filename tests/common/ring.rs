//! Streams that go to shared memory, and the host's side of it: a reader that sees the file, as another program does.
#![allow(dead_code, reason = "every scenario uses its own part of this")]

use std::rc::Rc;

use protocol::{RingError, RingRead, RingReader, SharedRegion, StreamFormat};
use testbed::client::{Buffer, Format, Player, Stream};
use testbed::ivshmem::{Generation, Region};
use testbed::kernel::etw::Session;
use testbed::kernel::registry::Value;
use testbed::{Config, Device, Outcome, schedule};

use crate::common::{prompt_network, with_options};

pub const MIB: u64 = 1 << 20;
pub const MS: u64 = 1_000_000;
/// Frames and bytes of a chunk at 48 kHz with two channels of 16 bits.
pub const CHUNK: usize = 960;
pub const CHUNK_BYTES: usize = CHUNK * 4;
/// The ring of a region of 1 MiB at that format: 273 chunks after the header.
pub const ATTACHED: &str =
    "Scream information: IvshmemAttached Stream=1 Size=1048576 Chunks=273 ChunkBytes=3840";
/// The events of shared memory.
pub const EVENTS: [&str; 5] =
    ["IvshmemAttached", "IvshmemAmbiguous", "IvshmemUnavailable", "IvshmemLost", "IvshmemChunksLost"];
/// Every generation of the driver that the memory belongs to.
pub const GENERATIONS: [Generation; 3] =
    [Generation::WithoutConfiguration, Generation::WithConfiguration, Generation::WithKernelMap];

/// Runs a scenario in which the driver is to use a region of 1 MiB, and everything that it tells is recorded.
pub fn with_ring<T: 'static>(scenario: impl FnOnce(&Device) -> T + 'static) -> Outcome<T> {
    with_ring_in(Config::default(), &[], scenario)
}

/// The same in another machine, with more options.
pub fn with_ring_in<T: 'static>(
    config: Config,
    more: &[(&str, Value)],
    scenario: impl FnOnce(&Device) -> T + 'static,
) -> Outcome<T> {
    let config = Config { events: Some(Session::everything()), wsk: prompt_network().wsk, ..config };
    let options = [&[("UseIVSHMEM", Value::Dword(1))], more].concat();
    with_options(config, &options, scenario)
}

/// Opens a stream of 48 kHz with two channels of 16 bits, through a buffer of 40 ms, and lets its thread look for memory.
pub fn open(device: &Device) -> Stream {
    open_format(device, &Format::pcm(48_000, 16, 2))
}

/// The same with another format.
pub fn open_format(device: &Device, format: &Format) -> Stream {
    let bytes = format.rate / 25 * format.frame_bytes() as u32;
    let stream = device.open(format, Buffer::Notified { bytes, count: 2 }).expect("a stream");
    pass(MS);
    stream
}

/// Lets time pass, in nanoseconds.
pub fn pass(time: u64) {
    schedule::sleep_until(schedule::now() + time);
}

/// The events of these names; nothing went wrong.
#[track_caller]
pub fn told<T>(outcome: Outcome<T>, names: &[&str]) -> Vec<String> {
    let wanted = outcome.events.iter().filter(|event| names.contains(&event.name.as_str()));
    let told = wanted.map(ToString::to_string).collect();
    outcome.expect_clean();
    told
}

/// What is told when there is no memory.
pub fn unavailable(reason: &str, status: &str, found: u64) -> String {
    format!(
        "Scream warning: IvshmemUnavailable Stream=1 Reason=\"{reason}\" Status={status} Wanted=1 Found={found} \
         Needed=0"
    )
}

/// What is told when the memory goes.
pub fn lost(reason: &str) -> String {
    format!("Scream warning: IvshmemLost Stream=1 Reason=\"{reason}\"")
}

/// A region, read and written through its file. A scenario runs in one thread, so every access is a barrier.
pub struct FileRegion(Rc<Region>);

impl FileRegion {
    fn check(&self, offset: usize, length: usize) -> Result<u64, RingError> {
        let end = offset.saturating_add(length);
        if end > self.len() {
            return Err(RingError::OutsideRegion { end, size: self.len() });
        }
        Ok(offset as u64)
    }

    fn load<const N: usize>(&self, offset: usize) -> Result<[u8; N], RingError> {
        let mut bytes = [0; N];
        self.read(offset, &mut bytes)?;
        Ok(bytes)
    }
}

impl SharedRegion for FileRegion {
    fn len(&self) -> usize {
        self.0.bytes() as usize
    }

    fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), RingError> {
        into.copy_from_slice(&self.0.read(self.check(offset, into.len())?, into.len()));
        Ok(())
    }

    fn write(&self, offset: usize, from: &[u8]) -> Result<(), RingError> {
        self.0.write(self.check(offset, from.len())?, from);
        Ok(())
    }

    fn load_u16(&self, offset: usize) -> Result<u16, RingError> {
        self.load(offset).map(u16::from_le_bytes)
    }

    fn store_u16(&self, offset: usize, value: u16) -> Result<(), RingError> {
        self.write(offset, &value.to_le_bytes())
    }

    fn load_u32(&self, offset: usize) -> Result<u32, RingError> {
        self.load(offset).map(u32::from_le_bytes)
    }

    fn store_u32(&self, offset: usize, value: u32) -> Result<(), RingError> {
        self.write(offset, &value.to_le_bytes())
    }
}

/// A reader that attaches to whatever stream there is, and keeps what it hears.
pub struct Reader {
    region: Rc<Region>,
    attached: Option<RingReader<FileRegion>>,
    /// The audio of all streams, one after the other.
    pub pcm: Vec<u8>,
    /// The formats of the streams that it attached to.
    pub formats: Vec<StreamFormat>,
    /// Chunks that it missed.
    pub missed: u32,
}

impl Reader {
    /// A reader of a region in which there need not be a stream yet.
    pub fn new(region: &Rc<Region>) -> Self {
        Self { region: Rc::clone(region), attached: None, pcm: Vec::new(), formats: Vec::new(), missed: 0 }
    }

    /// Whether there is a stream, which it is attached to from now on.
    pub fn attach(&mut self) -> Result<(), RingError> {
        if self.attached.is_none() {
            let reader = RingReader::attach(FileRegion(Rc::clone(&self.region)))?;
            self.formats.push(reader.layout().format());
            self.attached = Some(reader);
        }
        Ok(())
    }

    /// Reads all chunks that are there; how many. Attaches first, if need be.
    ///
    /// # Panics
    /// When the ring is not one that a driver could have written.
    #[track_caller]
    pub fn read(&mut self) -> usize {
        match self.attach() {
            Ok(()) => {}
            Err(RingError::NoStream(0)) => return 0,
            Err(error) => panic!("no ring that a driver writes: {error}"),
        }
        let mut count = 0;
        while let Some(reader) = &mut self.attached {
            let mut chunk = vec![0; reader.layout().chunk_size()];
            match reader.read(&mut chunk) {
                Ok(RingRead::Chunk(_)) => {
                    self.pcm.extend_from_slice(&chunk);
                    count += 1;
                }
                Ok(RingRead::Empty) => break,
                Ok(RingRead::Lapped(chunks)) => self.missed += u32::from(chunks),
                // Another one may have begun.
                Err(RingError::NoStream(0) | RingError::Changed) => self.attached = None,
                Err(error) => panic!("no ring that a driver writes: {error}"),
            }
        }
        count
    }

    /// Plays on for a time, in nanoseconds, and reads every 7 ms.
    pub fn read_for<S: FnMut(&mut [u8]) -> usize>(&mut self, player: &mut Player<'_, S>, duration: u64) {
        let end = schedule::now() + duration;
        while schedule::now() < end {
            let next = end.min(schedule::now() + 7 * MS);
            player.run_until(next).expect("it plays");
            self.read();
        }
    }
}
