//! WAV files, read back by `hound` and, for what it does not read, by their chunks.

use std::fs;
use std::sync::mpsc;

use super::*;

fn format(rate: u32, bits: u16, channels: u16, mask: u16) -> StreamFormat {
    StreamFormat::new(rate, bits, channels, mask).expect("a format")
}

fn silent() -> Say {
    Box::new(|_| ())
}

/// Bytes of which each frame is another.
fn audio(format: StreamFormat, frames: usize) -> Vec<u8> {
    (0..frames * usize::from(format.bytes_per_frame().get())).map(|index| (index * 7 + 1) as u8).collect()
}

/// The chunks of a file, by their names.
fn chunks(file: &[u8]) -> Vec<(String, Vec<u8>)> {
    let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("four bytes")) as usize;
    assert_eq!((&file[..4], &file[8..12]), (&b"RIFF"[..], &b"WAVE"[..]));
    assert_eq!(number(4) + 8, file.len());
    let mut chunks = Vec::new();
    let mut at = 12;
    while at < file.len() {
        let (name, size) = (String::from_utf8_lossy(&file[at..at + 4]).into_owned(), number(at + 4));
        chunks.push((name, file[at + 8..at + 8 + size].to_vec()));
        at += 8 + size + size % 2;
    }
    assert_eq!(at, file.len());
    chunks
}

/// Writes a file, and reads its format and audio with `hound`.
#[track_caller]
fn check(format: StreamFormat, mask: Option<u32>) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.wav");
    let pcm = audio(format, 11);
    let mut files = WavFiles::create(&path, silent()).expect("it is written");
    files.write(format, &pcm).expect("it is written");
    files.finish().expect("it is written");
    let file = fs::read(&path).expect("it is there");
    let chunks = chunks(&file);
    assert_eq!(chunks.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["fmt ", "data"]);
    assert_eq!(chunks[1].1, pcm);
    let fields = &chunks[0].1;
    let mask_of = |fields: &[u8]| u32::from_le_bytes(fields[20..24].try_into().expect("four bytes"));
    assert_eq!((fields.len() == 40).then(|| mask_of(fields)), mask);
    let mut reader = hound::WavReader::open(&path).expect("hound reads it");
    let spec = reader.spec();
    assert_eq!(
        (spec.sample_rate, spec.bits_per_sample, spec.channels, spec.sample_format),
        (format.rate().get(), format.bits(), format.channels(), hound::SampleFormat::Int)
    );
    let bytes = usize::from(format.width().bytes());
    let samples =
        reader.samples::<i32>().map(|sample| sample.expect("a sample").to_le_bytes()[..bytes].to_vec());
    assert_eq!(samples.collect::<Vec<_>>().concat(), pcm);
}

#[test]
fn every_format_is_read_back_with_its_samples() {
    for bits in [16, 24, 32] {
        for channels in 1..=8 {
            let mask = default_mask(channels);
            let is_plain = bits == 16 && channels <= 2;
            check(format(44_100, bits, channels, mask), (!is_plain).then_some(mask.into()));
        }
    }
    check(format(768_000, 32, 8, 0xFFFF), Some(0xFFFF));
}

#[test]
fn unusual_speakers_are_in_the_header() {
    check(format(48_000, 16, 2, 0x600), Some(0x600));
    check(format(48_000, 16, 1, 0x1), Some(0x1));
    check(format(48_000, 16, 6, 0x60F), Some(0x60F));
    check(format(48_000, 16, 2, 0), None);
    check(format(48_000, 16, 4, 0), Some(0));
}

#[test]
fn another_format_goes_on_in_another_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (said, says) = mpsc::channel();
    let say = Box::new(move |text| said.send(text).expect("it is heard"));
    let mut files = WavFiles::create(&folder.path().join("a.b.wav"), say).expect("it is written");
    for channels in [6, 1, 6] {
        let format = format(48_000, 16, channels, 0);
        files.write(format, &audio(format, 5)).expect("it is written");
        files.write(format, &audio(format, 2)).expect("it is written");
    }
    files.finish().expect("it is written");
    for (name, channels) in [("a.b.wav", 6), ("a.b-2.wav", 1), ("a.b-3.wav", 6)] {
        let reader = hound::WavReader::open(folder.path().join(name)).expect("hound reads it");
        assert_eq!((reader.spec().channels, reader.duration()), (channels, 7));
    }
    let said: Vec<_> = says.try_iter().collect();
    let second = folder.path().join("a.b-2.wav");
    assert_eq!(said.len(), 2);
    assert_eq!(said[0], format!("the format has changed: goes on in {}", second.display()));
}

#[test]
fn a_file_that_is_full_goes_on_in_another_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a");
    let format = format(48_000, 24, 1, default_mask(1));
    // The header has 68 bytes, and 3 bytes of audio have one of padding.
    let mut files = WavFiles::with_most_bytes(&path, silent(), 68 + 10).expect("it is written");
    for _ in 0..4 {
        files.write(format, &[1, 2, 3]).expect("it is written");
    }
    files.finish().expect("it is written");
    assert_eq!(chunks(&fs::read(&path).expect("it is there"))[1].1, [1, 2, 3, 1, 2, 3, 1, 2, 3]);
    let second = fs::read(folder.path().join("a-2")).expect("it is there");
    assert_eq!(chunks(&second)[1].1, [1, 2, 3]);
}

#[test]
fn a_format_that_never_stays_the_same_does_not_fill_the_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut files = WavFiles::create(&folder.path().join("a.wav"), silent()).expect("it is written");
    let mut write = |channels| files.write(format(48_000, 16, channels, 0), &[1; 4]);
    for _ in 0..500 {
        write(1).expect("it is written");
        write(2).expect("it is written");
    }
    let error = write(1).expect_err("there are many files");
    assert_eq!(
        error.to_string(),
        "the format has changed: there are 1000 files already, which is as many as there may be"
    );
    assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 1_000);
}

#[test]
fn a_file_can_be_read_at_any_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.wav");
    let format = format(48_000, 24, 1, 0x4);
    let mut files = WavFiles::create(&path, silent()).expect("it is written");
    assert_eq!(hound::WavReader::open(&path).expect("hound reads it").duration(), 0);
    for second in 1..=3 {
        // An odd number of bytes, and then what makes it a second.
        files.write(format, &audio(format, 1)).expect("it is written");
        files.write(format, &audio(format, 47_999)).expect("it is written");
        let mut reader = hound::WavReader::open(&path).expect("hound reads it");
        assert_eq!(reader.duration(), second * 48_000);
        assert!(reader.samples::<i32>().all(|sample| sample.is_ok()));
    }
}

#[test]
fn finishing_in_the_middle_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.wav");
    let format = format(48_000, 24, 1, 0x4);
    let mut files = WavFiles::create(&path, silent()).expect("it is written");
    for byte in 1..=3 {
        files.write(format, &[byte; 3]).expect("it is written");
        files.finish().expect("it is written");
    }
    assert_eq!(chunks(&fs::read(&path).expect("it is there"))[1].1, [1, 1, 1, 2, 2, 2, 3, 3, 3]);
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let Err(error) = WavFiles::create(Path::new("/no/such/folder/a.wav"), silent()) else {
        panic!("there is no such folder")
    };
    assert_eq!(error.to_string(), "/no/such/folder/a.wav cannot be written: there is no such folder");
}
