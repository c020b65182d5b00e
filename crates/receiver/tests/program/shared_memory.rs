//! A stream in a file that stands for the IVSHMEM region of a virtual machine.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use protocol::{RingError, RingWriter, SharedRegion, StreamFormat};
use tempfile::NamedTempFile;

use crate::running::{Scream, audio, format};

const SIZE: usize = 1 << 20;

/// The region as the virtual machine writes to it. What is written to a file is at once in every mapping of it.
struct FileRegion(File);

impl FileRegion {
    fn open(path: &Path) -> Self {
        Self(File::options().read(true).write(true).open(path).expect("the region"))
    }

    fn get<const LENGTH: usize>(&self, offset: usize) -> Result<[u8; LENGTH], RingError> {
        let mut bytes = [0; LENGTH];
        self.read(offset, &mut bytes).map(|()| bytes)
    }
}

impl SharedRegion for FileRegion {
    fn len(&self) -> usize {
        SIZE
    }

    fn read(&self, offset: usize, into: &mut [u8]) -> Result<(), RingError> {
        let outside = RingError::OutsideRegion { end: offset + into.len(), size: SIZE };
        self.0.read_exact_at(into, offset as u64).map_err(|_| outside)
    }

    fn write(&self, offset: usize, from: &[u8]) -> Result<(), RingError> {
        let outside = RingError::OutsideRegion { end: offset + from.len(), size: SIZE };
        self.0.write_all_at(from, offset as u64).map_err(|_| outside)
    }

    fn load_u16(&self, offset: usize) -> Result<u16, RingError> {
        self.get(offset).map(u16::from_le_bytes)
    }

    fn store_u16(&self, offset: usize, value: u16) -> Result<(), RingError> {
        self.write(offset, &value.to_le_bytes())
    }

    fn load_u32(&self, offset: usize) -> Result<u32, RingError> {
        self.get(offset).map(u32::from_le_bytes)
    }

    fn store_u32(&self, offset: usize, value: u32) -> Result<(), RingError> {
        self.write(offset, &value.to_le_bytes())
    }
}

fn region() -> NamedTempFile {
    let file = NamedTempFile::new().expect("a file");
    file.as_file().set_len(SIZE as u64).expect("room for it");
    file
}

fn listen(path: &Path, more: &[&str]) -> Scream {
    let path = path.display().to_string();
    Scream::start(&[&["-m", &path, "-o", "raw"], more].concat())
}

/// A stream of which each chunk is another.
struct Machine {
    writer: RingWriter<FileRegion>,
    format: StreamFormat,
    written: u8,
}

impl Machine {
    fn begin(path: &Path, format: StreamFormat, previous_index: u16) -> Self {
        let writer =
            RingWriter::begin(FileRegion::open(path), format, previous_index).expect("the region is large");
        Self { writer, format, written: 0 }
    }

    fn chunk(&self, number: u8) -> Vec<u8> {
        let mut chunk = audio(self.format, 960, number.wrapping_mul(41));
        // None is silence, and each says which it is.
        chunk[0] = number;
        chunk
    }

    fn write(&mut self) {
        self.written = self.written.wrapping_add(1);
        let chunk = self.chunk(self.written);
        assert_eq!(self.writer.append(&chunk), Ok(chunk.len()));
    }

    /// Plays until something is heard after what was heard before; from then on nothing is missed. Gives the number of the
    /// first chunk that was heard.
    fn play_until_heard(&mut self, scream: &Scream, before: usize) -> u8 {
        while scream.bytes().len() == before {
            self.write();
            // As long as a chunk plays.
            std::thread::sleep(Duration::from_millis(20));
        }
        scream.bytes()[before]
    }

    /// What those chunks are.
    fn chunks(&self, numbers: impl IntoIterator<Item = u8>) -> Vec<u8> {
        numbers.into_iter().flat_map(|number| self.chunk(number)).collect()
    }
}

#[test]
fn chunks_come_out_as_they_were_written() {
    let region = region();
    let scream = listen(region.path(), &[]);
    let mut machine = Machine::begin(region.path(), format(24, 6), 0);
    let first = machine.play_until_heard(&scream, 0);
    for _ in 0..20 {
        machine.write();
        let length = usize::from(machine.written - first + 1) * machine.chunk(0).len();
        scream.wait_for_bytes(length);
    }
    assert!(scream.end().done() == machine.chunks(first..=machine.written), "it is not what was written");
}

#[test]
fn the_next_stream_is_heard_after_one_has_ended() {
    let region = region();
    let scream = listen(region.path(), &["-v"]);
    let mut machine = Machine::begin(region.path(), format(16, 2), 0);
    let first = machine.play_until_heard(&scream, 0);
    let mut expected = machine.chunks(first..=machine.written);
    scream.wait_for_bytes(expected.len());
    let index = machine.writer.index();
    drop(machine);
    let mut machine = Machine::begin(region.path(), format(32, 8), index);
    let first = machine.play_until_heard(&scream, expected.len());
    expected.extend(machine.chunks(first..=machine.written));
    scream.wait_for_bytes(expected.len());
    let ended = scream.end();
    assert!(ended.stderr.contains("hears the virtual machine\n"), "{}", ended.stderr);
    assert!(ended.stderr.contains("the stream has 48000 Hz, 32 bits, 8 channels\n"), "{}", ended.stderr);
    assert!(ended.done() == expected, "it is not what was written");
}

/// Writes chunks while the program stands still; gives how many it has missed when it goes on with the newest one.
fn missed(chunks: usize) -> u64 {
    let region = region();
    let scream = listen(region.path(), &["--stats"]);
    let mut machine = Machine::begin(region.path(), format(16, 2), 0);
    let first = machine.play_until_heard(&scream, 0);
    let mut expected = machine.chunks(first..=machine.written);
    scream.wait_for_bytes(expected.len());
    scream.stand_still();
    for _ in 0..chunks {
        machine.write();
    }
    scream.signal("CONT");
    expected.extend(machine.chunk(machine.written));
    scream.wait_for_bytes(expected.len());
    let ended = scream.end();
    let missed = ended.total("missed in shared memory");
    assert!(ended.done() == expected, "it is not what was written");
    missed
}

#[test]
fn what_would_be_heard_too_late_is_left_out_and_counted() {
    assert_eq!(missed(30), 29);
}

#[test]
fn after_the_machine_has_overtaken_the_newest_chunk_is_heard() {
    // The ring has 273 chunks, and what was written before the last lap cannot be known of.
    assert_eq!(missed(273 + 30), 29);
}

#[test]
fn another_file_at_the_same_path_is_heard() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("region");
    let make = || File::create(&path).expect("a file").set_len(SIZE as u64).expect("room for it");
    make();
    let scream = listen(&path, &[]);
    std::fs::remove_file(&path).expect("it is there");
    make();
    let mut machine = Machine::begin(&path, format(16, 2), 0);
    let first = machine.play_until_heard(&scream, 0);
    let expected = machine.chunks(first..=machine.written);
    scream.wait_for_bytes(expected.len());
    assert!(scream.end().done() == expected, "it is not what was written");
}

#[test]
fn a_region_that_is_cut_off_ends_the_stream_and_not_the_program() {
    let region = region();
    let scream = listen(region.path(), &[]);
    let mut machine = Machine::begin(region.path(), format(16, 2), 0);
    let first = machine.play_until_heard(&scream, 0);
    let mut expected = machine.chunks(first..=machine.written);
    scream.wait_for_bytes(expected.len());
    let index = machine.writer.index();
    region.as_file().set_len(0).expect("it is cut off");
    drop(machine);
    // Longer than the program ever waits before it looks again.
    std::thread::sleep(Duration::from_millis(100));
    region.as_file().set_len(SIZE as u64).expect("room for it");
    let mut machine = Machine::begin(region.path(), format(16, 2), index);
    let first = machine.play_until_heard(&scream, expected.len());
    expected.extend(machine.chunks(first..=machine.written));
    scream.wait_for_bytes(expected.len());
    assert!(scream.end().done() == expected, "it is not what was written");
}
