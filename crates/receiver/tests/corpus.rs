//! The fuzz targets over the corpus, and over what random changes make of it.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;

#[path = "../fuzz/targets.rs"]
mod targets;

/// Changes of each file of the corpus.
const CHANGES: usize = 20;

/// Numbers as they happen: xorshift64*, of Vigna (2016).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as usize % bound.max(1)
    }
}

fn run(name: &str, target: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files: Vec<_> =
        fs::read_dir(&directory).expect("a corpus").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "the corpus of {name} is empty");
    let mut random = Random(1);
    for file in files {
        let bytes = fs::read(file).expect("a file of the corpus");
        target(&bytes);
        for _ in 0..CHANGES {
            let mut changed = bytes.clone();
            for _ in 0..=random.below(4) {
                let at = random.below(changed.len());
                if let Some(byte) = changed.get_mut(at) {
                    *byte = random.below(256) as u8;
                }
            }
            target(&changed);
        }
    }
}

#[test]
fn datagrams_of_any_kind_are_counted_and_what_is_heard_is_sound() {
    run("datagrams", targets::datagrams);
}

#[test]
fn a_region_that_changes_at_any_time_gives_packets_and_sound() {
    run("shared_memory", targets::shared_memory);
}
