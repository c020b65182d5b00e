//! What is played: a WAV file, or a short piece of music made here.

use std::f64::consts::TAU;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use protocol::format::MAX_CHANNELS;
use protocol::{StreamFormat, default_mask};

/// What the driver plays, as one line for people.
pub const ACCEPTED: &str =
    "accepted: PCM of 16, 24 or 32 bits, 1 to 8 channels, at 44.1, 48, 88.2, 96, 176.4 or 192 kHz";
const RATES: [u32; 6] = [44_100, 48_000, 88_200, 96_000, 176_400, 192_000];

/// Audio in memory.
pub struct Song {
    /// How the bytes are to be understood.
    pub format: StreamFormat,
    /// Interleaved little-endian samples, whole frames.
    pub pcm: Vec<u8>,
}

impl Song {
    /// Reads a WAV file.
    ///
    /// # Errors
    /// One line that names the file and says what is wrong and what is accepted.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.display();
        let mut reader = WavReader::open(path).map_err(|error| match error {
            hound::Error::IoError(error) if error.kind() != std::io::ErrorKind::UnexpectedEof => {
                anyhow!("cannot read {name}: {error}")
            }
            error => anyhow!("{name} is no WAV file that can be read ({error}); {ACCEPTED}"),
        })?;
        let spec = reader.spec();
        let format = format_of(spec).with_context(|| format!("{name}: {}; {ACCEPTED}", described(spec)))?;
        let mut pcm = Vec::with_capacity(reader.len() as usize * usize::from(format.width().bytes()));
        for sample in reader.samples::<i32>() {
            let sample = sample.map_err(|error| anyhow!("{name} breaks off: {error}"))?;
            pcm.extend_from_slice(&sample.to_le_bytes()[..usize::from(format.width().bytes())]);
        }
        pcm.truncate(pcm.len() - pcm.len() % usize::from(format.bytes_per_frame().get()));
        if pcm.is_empty() {
            bail!("{name} has no audio in it");
        }
        Ok(Self { format, pcm })
    }

    /// A short piece: four chords, plucked one string after the other, from the left to the right.
    pub fn compose() -> Result<Self> {
        let (rate, seconds_per_note) = (48_000_u32, 0.16);
        let format = StreamFormat::new(rate, 16, 2, default_mask(2))?;
        let chords: [[f64; 5]; 4] = [
            [110.00, 220.00, 261.63, 329.63, 440.00],
            [87.31, 174.61, 261.63, 349.23, 440.00],
            [130.81, 196.00, 261.63, 329.63, 523.25],
            [98.00, 196.00, 246.94, 293.66, 392.00],
        ];
        let notes: Vec<f64> =
            chords.iter().flat_map(|chord| [0, 1, 2, 3, 4, 3, 2, 1].map(|n| chord[n])).collect();
        let frames = (f64::from(rate) * (seconds_per_note * notes.len() as f64 + 1.5)) as usize;
        let mut mix = vec![[0.0_f64; 2]; frames];
        for (index, pitch) in notes.iter().enumerate() {
            let start = (f64::from(rate) * seconds_per_note * index as f64) as usize;
            let pan = 0.2 + 0.6 * (index % 8) as f64 / 7.0;
            for (n, frame) in mix.iter_mut().skip(start).enumerate() {
                let time = n as f64 / f64::from(rate);
                let level = 0.16 * (-2.6 * time).exp() * (time * 400.0).min(1.0);
                let wave: f64 =
                    (1..=5).map(|k| (TAU * pitch * f64::from(k) * time).sin() / f64::from(k * k)).sum();
                frame[0] += level * wave * (1.0 - pan);
                frame[1] += level * wave * pan;
            }
        }
        // The end fades out, so that nothing clicks.
        let fade = (rate / 2) as usize;
        for (n, frame) in mix.iter_mut().rev().take(fade).enumerate() {
            *frame = frame.map(|sample| sample * n as f64 / fade as f64);
        }
        let sample = |value: f64| (value.clamp(-1.0, 1.0) * f64::from(i16::MAX)) as i16;
        let pcm = mix.iter().flatten().flat_map(|value| sample(*value).to_le_bytes()).collect();
        Ok(Self { format, pcm })
    }

    /// Frames in it.
    pub fn frames(&self) -> usize {
        self.pcm.len() / usize::from(self.format.bytes_per_frame().get())
    }
}

/// Finds out before anything is played whether [`write_wav`] will be able to write.
///
/// # Errors
/// The file cannot be written.
pub fn check_writable(path: &Path) -> Result<()> {
    let file = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(path);
    file.map(drop).map_err(|error| anyhow!("cannot write {}: {error}", path.display()))
}

/// Writes audio as a WAV file.
///
/// # Errors
/// The file cannot be written.
pub fn write_wav(path: &Path, format: StreamFormat, pcm: &[u8]) -> Result<()> {
    let spec = WavSpec {
        channels: format.channels(),
        sample_rate: format.rate().get(),
        bits_per_sample: format.bits(),
        sample_format: SampleFormat::Int,
    };
    let write = || -> Result<(), hound::Error> {
        let mut writer = WavWriter::create(path, spec)?;
        let unused = 32 - u32::from(format.bits());
        for sample in pcm.chunks_exact(usize::from(format.width().bytes())) {
            let mut bytes = [0; 4];
            bytes[..sample.len()].copy_from_slice(sample);
            writer.write_sample(i32::from_le_bytes(bytes) << unused >> unused)?;
        }
        writer.finalize()
    };
    write().map_err(|error| anyhow!("cannot write {}: {error}", path.display()))
}

fn format_of(spec: WavSpec) -> Option<StreamFormat> {
    let accepted = spec.sample_format == SampleFormat::Int
        && RATES.contains(&spec.sample_rate)
        && (1..=MAX_CHANNELS).contains(&spec.channels);
    let mask = default_mask(spec.channels);
    accepted.then(|| StreamFormat::new(spec.sample_rate, spec.bits_per_sample, spec.channels, mask).ok())?
}

fn described(spec: WavSpec) -> String {
    let kind = match spec.sample_format {
        SampleFormat::Int => "PCM",
        SampleFormat::Float => "floating point",
    };
    format!("{kind} of {} bits, {} channels, {} Hz", spec.bits_per_sample, spec.channels, spec.sample_rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wav_file_that_is_written_reads_back_the_same() {
        let directory = tempfile::tempdir().unwrap();
        for (bits, channels) in [(16, 2), (24, 2), (32, 2), (24, 1), (24, 7), (32, 8)] {
            let format = StreamFormat::new(88_200, bits, channels, default_mask(channels)).unwrap();
            let frame = usize::from(format.bytes_per_frame().get());
            let pcm: Vec<u8> = (0..frame * 100).map(|n| (n * 37 + n / 7) as u8).collect();
            let path = directory.path().join("song.wav");
            write_wav(&path, format, &pcm).unwrap();
            let song = Song::read(&path).unwrap();
            assert_eq!((song.format, song.pcm), (format, pcm));
        }
    }

    fn error_for(spec: WavSpec) -> String {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("song.wav");
        let mut writer = WavWriter::create(&path, spec).unwrap();
        for _ in 0..spec.channels {
            match spec.sample_format {
                SampleFormat::Int => writer.write_sample(0_i8).unwrap(),
                SampleFormat::Float => writer.write_sample(0.0_f32).unwrap(),
            }
        }
        writer.finalize().unwrap();
        let message = format!("{:#}", Song::read(&path).err().unwrap());
        message.replace(&path.display().to_string(), "song.wav")
    }

    #[test]
    fn a_file_that_cannot_be_played_gives_one_line_that_says_what_can() {
        let spec = WavSpec {
            channels: 1,
            sample_rate: 22_050,
            bits_per_sample: 16,
            sample_format: SampleFormat::Int,
        };
        assert_eq!(error_for(spec), format!("song.wav: PCM of 16 bits, 1 channels, 22050 Hz; {ACCEPTED}"));
        let spec = WavSpec { bits_per_sample: 8, sample_rate: 48_000, ..spec };
        assert_eq!(error_for(spec), format!("song.wav: PCM of 8 bits, 1 channels, 48000 Hz; {ACCEPTED}"));
        let spec = WavSpec { bits_per_sample: 32, sample_format: SampleFormat::Float, ..spec };
        assert_eq!(
            error_for(spec),
            format!("song.wav: floating point of 32 bits, 1 channels, 48000 Hz; {ACCEPTED}")
        );
    }

    #[test]
    fn the_piece_is_audible_and_does_not_clip() {
        let song = Song::compose().unwrap();
        let samples = song.pcm.chunks_exact(2).map(|s| i16::from_le_bytes([s[0], s[1]]).unsigned_abs());
        let peak = samples.max().unwrap();
        assert!((8_000..32_000).contains(&peak), "peak {peak}");
    }
}
