//! Whole lives of the driver, each chosen by a seed: see `testbed::soak`.
//!
//! `SOAK_SEEDS` says how many (1000), `SOAK_FROM` the first (0).
#![cfg(target_os = "linux")]

mod common;

use common::{driver_file, driver_path};
use testbed::soak::{self, Life};
use testbed::trace::Kept;

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}: no number")))
}

fn failure(life: &Life) -> String {
    format!("seed {}:\n{}\n\n{}", life.seed, life.problems.join("\n"), life.trace)
}

#[test]
fn no_seed_finds_a_life_in_which_anything_goes_wrong() {
    let first = from_environment("SOAK_FROM", 0);
    let count = from_environment("SOAK_SEEDS", 1000);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let begun = std::time::Instant::now();
    let summary =
        soak::run(&driver_path(), first..first + count, threads, |_| ()).expect("the driver file is read");
    let figures = summary.figures;
    println!(
        "{} lives in {:.1?}, digest {:016x}: {figures:?}",
        summary.lives,
        begun.elapsed(),
        summary.digest
    );
    let seeds: Vec<u64> = summary.failed.iter().map(|life| life.seed).collect();
    if let Some(life) = summary.failed.first() {
        println!("{}", failure(life));
    }
    assert_eq!(seeds, [0; 0], "seeds that fail, the first of them with its trace above");
    assert_eq!(summary.lives, count);
}

#[test]
fn two_runs_of_a_seed_have_the_same_trace() {
    let image = driver_file();
    for seed in 0..20 {
        let [first, second] = [0; 2].map(|_| soak::live(&image, seed, Kept::All));
        assert_eq!(first.trace.digest(), second.trace.digest(), "seed {seed}");
        assert_eq!(first.trace.to_string(), second.trace.to_string(), "seed {seed}");
        assert_eq!(first.problems, second.problems);
        assert!(first.trace.count() > 50, "seed {seed}: {} entries", first.trace.count());
    }
}

#[test]
fn a_trace_says_the_same_however_much_of_it_is_kept() {
    let image = driver_file();
    let all = soak::live(&image, 7, Kept::All).trace;
    let some = soak::live(&image, 7, Kept::Last(50)).trace;
    assert_eq!((all.digest(), all.count()), (some.digest(), some.count()));
    let text = all.to_string();
    let tail: Vec<&str> = text.lines().rev().take(50).collect();
    assert_eq!(some.to_string().lines().rev().take(50).collect::<Vec<_>>(), tail);
}

#[test]
fn different_seeds_are_different_lives() {
    let image = driver_file();
    let mut digests: Vec<u64> =
        (0..20).map(|seed| soak::live(&image, seed, Kept::Last(0)).trace.digest()).collect();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), 20);
}
