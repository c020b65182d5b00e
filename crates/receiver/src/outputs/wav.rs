//! [`WavFiles`]: audio in WAV files, the next one when the format changes or a file is full.
//!
//! The header is brought up to date about each second, so a file can be played even if the program is killed. It is written
//! here because `hound` has no channel mask: to it the third speaker is always the front centre, whatever it is.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use protocol::{SampleWidth, StreamFormat, default_mask};

use super::Recorder;
use super::recorder::Say;

/// `WAVE_FORMAT_PCM`.
const PCM: u16 = 1;
/// `WAVE_FORMAT_EXTENSIBLE`.
const EXTENSIBLE: u16 = 0xFFFE;
/// `KSDATAFORMAT_SUBTYPE_PCM` after its first two bytes, which are the format.
const SUBTYPE: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71];
/// Bytes of RIFF's own header, which its size does not count.
const RIFF_HEADER: u64 = 8;
/// The most bytes that a file counts: its sizes are numbers of 32 bits, and a whole number of pairs.
const MOST_BYTES: u64 = 0xFFFF_FFFE;

/// The most files: a sender whose format never stays the same must not fill the disk with them.
const MOST_FILES: u32 = 1_000;

/// WAV files that are being written.
pub struct WavFiles {
    path: PathBuf,
    most_bytes: u64,
    say: Say,
    /// How many files there have been.
    count: u32,
    file: Wav,
}

/// One of them.
struct Wav {
    file: BufWriter<File>,
    format: StreamFormat,
    /// The bytes of audio.
    length: u64,
    /// Those that the header knows of.
    known: u64,
    is_new: bool,
}

impl WavFiles {
    /// Begins the first file; one that is there is overwritten.
    ///
    /// # Errors
    /// It cannot be written; says which.
    pub fn create(path: &Path, say: Say) -> io::Result<Self> {
        Self::with_most_bytes(path, say, MOST_BYTES)
    }

    /// [`WavFiles::create`] for files of no more than so many bytes.
    fn with_most_bytes(path: &Path, say: Say, most_bytes: u64) -> io::Result<Self> {
        // Nothing is known of the format yet, but the file should be one of WAV even if nothing ever comes.
        let format = StreamFormat::new(48_000, 16, 2, default_mask(2)).map_err(io::Error::other)?;
        let file = Wav::create(path, format)?;
        Ok(Self { path: path.to_owned(), most_bytes, say, count: 1, file })
    }

    /// Ends the file and begins the next one.
    fn go_on(&mut self, format: StreamFormat, why: &str) -> io::Result<()> {
        self.file.finish().map_err(|error| naming(&self.current(), error))?;
        if self.count == MOST_FILES {
            let text =
                format!("{why}: there are {MOST_FILES} files already, which is as many as there may be");
            return Err(io::Error::other(text));
        }
        self.count += 1;
        let path = self.current();
        (self.say)(format!("{why}: goes on in {}", path.display()));
        self.file = Wav::create(&path, format)?;
        Ok(())
    }

    /// The path of the file that is being written: `FILE.wav`, then `FILE-2.wav`.
    fn current(&self) -> PathBuf {
        if self.count == 1 {
            return self.path.clone();
        }
        let mut name = self.path.file_stem().unwrap_or_default().to_owned();
        name.push(format!("-{}", self.count));
        if let Some(extension) = self.path.extension() {
            name.push(".");
            name.push(extension);
        }
        self.path.with_file_name(name)
    }
}

impl Recorder for WavFiles {
    fn write(&mut self, format: StreamFormat, pcm: &[u8]) -> io::Result<()> {
        if self.file.format != format {
            if self.file.is_new {
                self.file = Wav::create(&self.current(), format)?;
            } else {
                self.go_on(format, "the format has changed")?;
            }
        } else if self.file.size() + pcm.len() as u64 > self.most_bytes {
            self.go_on(format, "the file is as long as WAV files can be")?;
        }
        let current = self.current();
        self.file.write(pcm).map_err(|error| naming(&current, error))
    }

    fn finish(&mut self) -> io::Result<()> {
        self.file.finish().map_err(|error| naming(&self.current(), error))
    }

    fn name(&self) -> String {
        format!("writes to {}", self.path.display())
    }
}

impl Wav {
    fn create(path: &Path, format: StreamFormat) -> io::Result<Self> {
        let file = File::create(path).map_err(|error| naming(path, error))?;
        let mut wav = Self { file: BufWriter::new(file), format, length: 0, known: 0, is_new: true };
        wav.finish().map_err(|error| naming(path, error))?;
        Ok(wav)
    }

    /// How many bytes the file has, with its padding.
    fn size(&self) -> u64 {
        header(self.format, 0).len() as u64 + self.length + self.length % 2
    }

    fn write(&mut self, pcm: &[u8]) -> io::Result<()> {
        self.file.write_all(pcm)?;
        self.is_new = false;
        self.length += pcm.len() as u64;
        if self.length - self.known >= u64::from(self.format.bytes_per_second()) {
            self.finish()?;
        }
        Ok(())
    }

    /// Brings the header up to date.
    fn finish(&mut self) -> io::Result<()> {
        let header = header(self.format, self.length);
        let end = SeekFrom::Start(header.len() as u64 + self.length);
        // A chunk is padded to a whole number of pairs; if more follows, it takes the place of the padding.
        if !self.length.is_multiple_of(2) {
            self.file.write_all(&[0])?;
        }
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&header)?;
        self.file.seek(end)?;
        self.known = self.length;
        Ok(())
    }
}

/// The header of a file with so many bytes of audio.
///
/// Formats that the plain header says all of have that one; more programs know it.
fn header(format: StreamFormat, length: u64) -> Vec<u8> {
    let is_plain = format.width() == SampleWidth::Bits16
        && format.channels() <= 2
        && [0, default_mask(format.channels())].contains(&format.mask());
    let mut fields = Vec::with_capacity(40);
    fields.extend(if is_plain { PCM } else { EXTENSIBLE }.to_le_bytes());
    fields.extend(format.channels().to_le_bytes());
    fields.extend(format.rate().get().to_le_bytes());
    fields.extend(format.bytes_per_second().to_le_bytes());
    fields.extend(format.bytes_per_frame().get().to_le_bytes());
    fields.extend(format.bits().to_le_bytes());
    if !is_plain {
        // What follows has 22 bytes; all bits of a sample are valid; the mask; PCM.
        fields.extend(22_u16.to_le_bytes());
        fields.extend(format.bits().to_le_bytes());
        fields.extend(u32::from(format.mask()).to_le_bytes());
        fields.extend(PCM.to_le_bytes());
        fields.extend(SUBTYPE);
    }
    // "WAVE", and the names and sizes of both chunks.
    let size = 4 + 8 + fields.len() as u64 + 8 + length + length % 2;
    let mut header = Vec::with_capacity(RIFF_HEADER as usize + 20 + fields.len());
    header.extend(b"RIFF");
    header.extend(in_32_bits(size));
    header.extend(b"WAVEfmt ");
    header.extend(in_32_bits(fields.len() as u64));
    header.extend(fields);
    header.extend(b"data");
    header.extend(in_32_bits(length));
    header
}

/// A size as the header has it; no file grows beyond what fits.
fn in_32_bits(size: u64) -> [u8; 4] {
    u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes()
}

/// An error with the path of the file, and what to do.
fn naming(path: &Path, error: io::Error) -> io::Error {
    let path = path.display();
    let text = match error.kind() {
        ErrorKind::NotFound => format!("{path} cannot be written: there is no such folder"),
        ErrorKind::PermissionDenied => {
            format!("{path} cannot be written: no permission; choose another place")
        }
        ErrorKind::StorageFull => format!("{path} cannot be written: the disk is full"),
        // A pipe, or a device.
        ErrorKind::NotSeekable => {
            format!("{path} cannot be a WAV file: its header changes; use -o raw for pipes")
        }
        _ => format!("{path} cannot be written: {error}"),
    };
    // Only standard output ends the program quietly, so this is no broken pipe.
    let kind = if error.kind() == ErrorKind::BrokenPipe { ErrorKind::Other } else { error.kind() };
    io::Error::new(kind, text)
}

#[cfg(test)]
mod tests;
