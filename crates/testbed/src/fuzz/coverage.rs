//! What inputs have reached: instructions of the image, and answers.

use std::collections::{BTreeMap, BTreeSet};

use object::LittleEndian as LE;
use object::pe::IMAGE_DIRECTORY_ENTRY_EXCEPTION;
use object::read::pe::PeFile64;

use super::session::Outcome;
use crate::image::Image;

/// What was reached so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Coverage {
    /// One bit for each byte of the image, as [`Outcome::reached`] has them.
    instructions: Vec<u64>,
    answers: BTreeSet<(&'static str, i32)>,
}

impl Coverage {
    /// Adds what an input has reached; whether some of it is new.
    pub(super) fn add(&mut self, reached: &[u64], answers: &BTreeMap<(&'static str, i32), u64>) -> bool {
        let mut is_new = false;
        self.instructions.resize(self.instructions.len().max(reached.len()), 0);
        for (known, reached) in self.instructions.iter_mut().zip(reached) {
            is_new |= reached & !*known != 0;
            *known |= reached;
        }
        for answer in answers.keys() {
            is_new |= self.answers.insert(*answer);
        }
        is_new
    }

    /// As [`add`](Self::add).
    pub(super) fn add_outcome(&mut self, outcome: &Outcome) -> bool {
        self.add(&outcome.reached, &outcome.answers)
    }

    /// Whether all of another is reached here, too.
    pub(super) fn includes(&self, other: &Self) -> bool {
        let word = |index: usize| self.instructions.get(index).copied().unwrap_or(0);
        other.answers.is_subset(&self.answers)
            && other.instructions.iter().enumerate().all(|(index, wanted)| wanted & !word(index) == 0)
    }

    /// Instructions of the image that ran.
    pub(super) fn instructions(&self) -> u32 {
        self.instructions.iter().map(|word| word.count_ones()).sum()
    }

    /// Functions of which an instruction ran, of so many.
    pub(super) fn functions(&self, image: &Image) -> (usize, usize) {
        let functions = functions(image).unwrap_or_default();
        let ran =
            |at: u32| self.instructions.get(at as usize / 64).is_some_and(|word| word >> (at % 64) & 1 != 0);
        let reached = functions.iter().filter(|(begin, end)| (*begin..*end).any(ran)).count();
        (reached, functions.len())
    }
}

/// Where the functions of an image begin and end, of those that have unwind data: all but the smallest leaves.
fn functions(image: &Image) -> Option<Vec<(u32, u32)>> {
    const ENTRY: usize = 12;
    let file = PeFile64::parse(image.bytes()).ok()?;
    let directory = file.data_directory(IMAGE_DIRECTORY_ENTRY_EXCEPTION)?;
    let data = directory.data(image.bytes(), &file.section_table()).ok()?;
    let entries = data.get(..directory.size.get(LE) as usize)?.chunks_exact(ENTRY);
    let word =
        |entry: &[u8], at: usize| entry[at..at + 4].try_into().map(u32::from_le_bytes).unwrap_or_default();
    Some(entries.map(|entry| (word(entry, 0), word(entry, 4))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_reached_again_is_not_new() {
        let mut coverage = Coverage::default();
        let none = BTreeMap::new();
        let some = BTreeMap::from([(("close", 0), 3)]);
        assert!(!coverage.add(&[0, 0], &none));
        assert!(coverage.add(&[0b101, 0], &none));
        assert!(!coverage.add(&[0b100, 0], &none));
        assert!(coverage.add(&[0b100, 1], &none));
        assert!(coverage.add(&[], &some));
        assert!(!coverage.add(&[1], &some));
        let mut less = Coverage::default();
        less.add(&[1], &none);
        assert!(coverage.includes(&less) && !less.includes(&coverage));
        assert_eq!(coverage.instructions(), 3);
    }
}
