//! The fuzz targets over the corpus, and over what random changes make of it.

use std::fs;
use std::path::Path;

#[path = "../fuzz/targets.rs"]
mod targets;

/// Changes of each file of the corpus.
const CHANGES: usize = 200;

/// The generator of Steele, Lea and Flood (2014).
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }
}

fn change(random: &mut SplitMix, bytes: &mut Vec<u8>) {
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() + 1);
        match random.below(4) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.below(256) as u8),
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = random.below(256) as u8;
                }
            }
        }
    }
}

fn run(name: &str, target: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files: Vec<_> =
        fs::read_dir(&directory).expect("a corpus").map(|entry| entry.expect("a file")).collect();
    files.sort_by_key(|file| file.file_name());
    assert!(!files.is_empty(), "the corpus of {name} is empty");
    let mut random = SplitMix(1);
    for file in files {
        let bytes = fs::read(file.path()).expect("a file of the corpus");
        target(&bytes);
        for _ in 0..CHANGES {
            let mut changed = bytes.clone();
            change(&mut random, &mut changed);
            target(&changed);
        }
    }
}

#[test]
fn datagrams_of_any_kind_are_refused_or_whole() {
    run("packet", targets::packet);
}

#[test]
fn a_region_that_changes_at_any_time_is_never_read_outside() {
    run("ring", targets::ring);
}

#[test]
fn every_frame_of_any_audio_is_judged_once() {
    run("silence", targets::silence);
}

#[test]
fn options_of_any_kind_are_in_their_ranges() {
    run("options", targets::options);
}
