//! New inputs from old ones, and the smallest one that still fails.

use crate::schedule::SplitMix;

/// Bytes of an input that is made anew.
const LONGEST: usize = 512;
/// Bytes of a short request.
const REQUEST: usize = 16;

/// An input for a number: random bytes, or a few changes of one or two others.
pub(super) fn generate(random: &mut SplitMix, corpus: &[Vec<u8>]) -> Vec<u8> {
    if corpus.is_empty() || random.below(16) == 0 {
        let length = 1 + random.below(LONGEST / 4);
        return (0..length).map(|_| random.next() as u8).collect();
    }
    let mut input = corpus[random.below(corpus.len())].clone();
    for _ in 0..=random.below(4) {
        change(random, &mut input, corpus);
    }
    input.truncate(LONGEST);
    input
}

/// One change.
fn change(random: &mut SplitMix, input: &mut Vec<u8>, corpus: &[Vec<u8>]) {
    let at = random.below(input.len() + 1);
    match random.below(8) {
        0 => input.truncate(at.max(1)),
        1 => input.insert(at, random.next() as u8),
        2 if at < input.len() => drop(input.remove(at)),
        // The rest of another: requests behind those that there are.
        3 => {
            let other = &corpus[random.below(corpus.len())];
            let from = random.below(other.len() + 1);
            input.truncate(at);
            input.extend_from_slice(&other[from..]);
        }
        // A part once more.
        4 => {
            let end = (at + 1 + random.below(16)).min(input.len());
            let part = input[at.min(end)..end].to_vec();
            input.splice(at..at, part);
        }
        5 => {
            if let Some(byte) = input.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        _ => {
            if let Some(byte) = input.get_mut(at) {
                *byte = random.next() as u8;
            }
        }
    }
}

/// The smallest input that can be found for which `fails` still says yes: parts are left out, then bytes become zero.
/// At most `tries` are made.
pub(super) fn shrink(mut input: Vec<u8>, mut tries: u32, mut fails: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    loop {
        let before = input.clone();
        let mut part = input.len().div_ceil(2);
        while part > 0 {
            let mut at = 0;
            while at < input.len() {
                if tries == 0 {
                    return input;
                }
                tries -= 1;
                let mut shorter = input.clone();
                shorter.drain(at..(at + part).min(input.len()));
                if fails(&shorter) {
                    input = shorter;
                } else {
                    // A request may begin anywhere, and have any length.
                    at += if part <= REQUEST { 1 } else { part };
                }
            }
            part = if part <= REQUEST { part - 1 } else { part / 2 };
        }
        for at in 0..input.len() {
            if input[at] == 0 || tries == 0 {
                continue;
            }
            tries -= 1;
            let mut simpler = input.clone();
            simpler[at] = 0;
            if fails(&simpler) {
                input = simpler;
            }
        }
        if input == before {
            return input;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_shrinks_to_the_bytes_that_matter() {
        let input: Vec<u8> = (0..200).collect();
        let fails = |input: &[u8]| input.contains(&150) && input.contains(&20) && input.len() > 2;
        let small = shrink(input, 10_000, fails);
        assert_eq!(small.len(), 3);
        assert!(fails(&small));
        assert_eq!(
            small.iter().map(|byte| u32::from(*byte)).sum::<u32>(),
            170,
            "the third is zero: {small:?}"
        );
    }

    #[test]
    fn shrinking_ends_after_so_many_tries() {
        let mut tries = 0;
        let small = shrink(vec![1; 100], 7, |_| {
            tries += 1;
            false
        });
        assert_eq!((tries, small), (7, vec![1; 100]));
    }

    #[test]
    fn a_seed_gives_the_same_inputs_and_another_gives_others() {
        let corpus = [vec![1, 2, 3], vec![4; 40]];
        let inputs = |seed| {
            let mut random = SplitMix(seed);
            (0..100).map(|_| generate(&mut random, &corpus)).collect::<Vec<_>>()
        };
        assert_eq!(inputs(1), inputs(1));
        assert_ne!(inputs(1), inputs(2));
        let all = inputs(3);
        assert!(all.iter().all(|input| input.len() <= LONGEST));
        let known = all.iter().filter(|input| corpus.contains(input)).count();
        assert!(known < 20, "{known} of 100 inputs are unchanged");
    }
}
