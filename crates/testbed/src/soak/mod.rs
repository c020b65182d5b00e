//! The soak: whole lives of a driver, each chosen by a seed.
//!
//! A life ([`live`]) is a machine that boots, loads the driver, adds devices, plays streams of random formats in random
//! ways while the network, the memory and the hardware fail, removes everything and unloads. In every life:
//!
//! * no rule of the verifier is broken;
//! * every packet is whole frames with the header of the stream that runs, sent to where the options say;
//! * what is heard is what was played, in order; nothing is missing unless a fault explains it, and without one it is
//!   the same to the last bit;
//! * the position is exact, every status is one that the operation may return, and what failed works at the next try;
//! * nothing is left at unload.
//!
//! The same seed and driver file give the same trace, byte for byte, on every computer.
//!
//! * [`run`]: many seeds in several Linux threads. `life`, `session`, `bystander`: what happens in a life.
//! * `player`, `packets`, `audio`: what was played, and whether that is what was heard. `outputs`: where it goes. `choice`:
//!   what a seed chooses.

mod audio;
mod bystander;
mod choice;
mod life;
mod outputs;
mod packets;
mod player;
mod session;
mod world;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

pub use life::{Life, live};
pub use world::Figures;

use crate::image::{Image, LoadError};
use crate::trace::{Kept, Trace};

/// Entries of the trace that a failing seed is shown with.
pub const SHOWN: usize = 4000;

/// Failing lives that keep their trace, so that a driver that always fails does not fill the memory.
const TRACED: usize = 100;

/// What came of many seeds.
#[derive(Debug, Default)]
pub struct Summary {
    /// Lives that were lived.
    pub lives: u64,
    /// The sum of their figures.
    pub figures: Figures,
    /// The sum of the digests of their traces: equal for equal runs, on every computer.
    pub digest: u64,
    /// Entries of their traces.
    pub entries: u64,
    /// The lives that did not pass, by seed.
    pub failed: Vec<Life>,
}

impl Summary {
    fn add(&mut self, mut life: Life) {
        let (sum, new) = (&mut self.figures, life.figures);
        sum.streams += new.streams;
        sum.packets += new.packets;
        sum.played += new.played;
        sum.exact += new.exact;
        sum.faults += new.faults;
        sum.removals += new.removals;
        self.lives += 1;
        self.digest = self.digest.wrapping_add(life.trace.digest());
        self.entries += life.trace.count();
        if !life.problems.is_empty() {
            if self.failed.len() >= TRACED {
                life.trace = Trace::default();
            }
            self.failed.push(life);
        }
    }
}

/// Lives the lives of `seeds`, in `threads` Linux threads. `done` is told of each life.
///
/// # Errors
/// The driver file cannot be read.
///
/// # Panics
/// Passes on a panic of the testbed.
pub fn run(
    driver: &Path,
    seeds: std::ops::Range<u64>,
    threads: usize,
    done: impl Fn(&Life) + Sync,
) -> Result<Summary, LoadError> {
    Image::open(driver)?;
    let next = AtomicU64::new(seeds.start);
    let summary = Mutex::new(Summary::default());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                let image = Image::open(driver).expect("it was read a moment ago");
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        break;
                    }
                    let life = live(&image, seed, Kept::Last(SHOWN));
                    done(&life);
                    summary.lock().expect("no thread panics with the lock").add(life);
                }
            });
        }
    });
    let mut summary = summary.into_inner().expect("no thread panics with the lock");
    summary.failed.sort_by_key(|life| life.seed);
    Ok(summary)
}
