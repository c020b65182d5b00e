//! Fuzzing of the loaded driver with everything that user mode can ask: see `testbed::fuzz`.
//!
//! `FUZZ_RUNS` says how many inputs are made from the corpus (2000). `cargo run -p testbed -- fuzz --driver FILE --corpus
//! crates/testbed/corpus` looks for more.
#![cfg(target_os = "linux")]

mod common;

use std::path::{Path, PathBuf};

use common::{SERVICE, driver_file, driver_path};
use testbed::fuzz::{self, Setup, Summary};

/// The inputs that are kept in the repository, in the order of their names.
fn corpus() -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates/testbed/corpus");
    let entries = std::fs::read_dir(&directory).expect("the corpus");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).expect("a file of the corpus")).collect()
}

fn setup<'a>(driver: &'a Path, service: &'a str, threads: usize) -> Setup<'a> {
    Setup { driver, service, guided: false, threads }
}

#[test]
fn no_input_of_the_corpus_and_no_change_of_one_makes_the_driver_break_a_rule() {
    let runs = std::env::var("FUZZ_RUNS")
        .map_or(2000, |text| text.parse().unwrap_or_else(|_| panic!("FUZZ_RUNS={text}: no number")));
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let corpus = corpus();
    let begun = std::time::Instant::now();
    let driver = driver_path();
    let summary = fuzz::fuzz(&setup(&driver, SERVICE, threads), 1, runs, &corpus, |_| ())
        .expect("the driver file is read");
    println!(
        "{} inputs with {} requests in {:.1?}, digest {:016x}",
        summary.runs,
        summary.requests,
        begun.elapsed(),
        summary.digest
    );
    assert_eq!(summary.failures, [], "inputs that fail");
    assert_eq!(summary.failed, 0);
    assert_eq!(summary.runs, runs + corpus.len() as u64);
}

/// What the corpus must reach, so that a change of the format of inputs cannot make it worthless unseen.
#[test]
fn the_corpus_reaches_every_answer_that_matters() {
    const ANSWERS: [(&str, &str); 16] = [
        ("property of the wave filter", "STATUS_SUCCESS"),
        ("property of the wave filter", "STATUS_NO_MATCH"),
        ("property of the wave filter", "STATUS_NOT_SUPPORTED"),
        ("property of the wave filter", "STATUS_INVALID_PARAMETER"),
        ("property of the topology filter", "STATUS_SUCCESS"),
        ("property of the topology filter", "STATUS_BUFFER_TOO_SMALL"),
        ("property of the topology filter", "STATUS_BUFFER_OVERFLOW"),
        ("DataRangeIntersection", "STATUS_SUCCESS"),
        ("DataRangeIntersection", "STATUS_NO_MATCH"),
        ("DataRangeIntersection", "STATUS_BUFFER_TOO_SMALL"),
        ("DataRangeIntersection", "STATUS_BUFFER_OVERFLOW"),
        ("NewStream", "STATUS_SUCCESS"),
        ("NewStream", "STATUS_NO_MATCH"),
        ("NewStream", "STATUS_INSUFFICIENT_RESOURCES"),
        ("AllocateAudioBuffer", "STATUS_SUCCESS"),
        ("AllocateBufferWithNotification", "STATUS_SUCCESS"),
    ];
    let driver = driver_path();
    let summary = fuzz::fuzz(&setup(&driver, SERVICE, 1), 0, 0, &corpus(), |_| ()).expect("the file is read");
    let answers: Vec<(&str, String)> = summary.answers().map(|(kind, status, _)| (kind, status)).collect();
    let missing: Vec<_> = ANSWERS
        .iter()
        .filter(|(kind, name)| {
            !answers.iter().any(|(known, status)| known == kind && status.starts_with(name))
        })
        .collect();
    assert_eq!(missing, Vec::<&(&str, &str)>::new());
    // Reads are watched by single-stepping, which only x64 has.
    let watched = summary.disturbed > 100;
    assert_eq!(watched, cfg!(target_arch = "x86_64"), "{} reads of audio that changes", summary.disturbed);
}

#[test]
fn a_seed_gives_the_same_run_in_any_number_of_threads() {
    let driver = driver_path();
    let corpus = corpus();
    let run = |seed, threads| {
        fuzz::fuzz(&setup(&driver, SERVICE, threads), seed, 130, &corpus, |_| ()).expect("the file is read")
    };
    let (first, second, other) = (run(5, 1), run(5, 3), run(6, 2));
    assert_eq!((first.digest, first.requests, &first.found), (second.digest, second.requests, &second.found));
    assert_eq!(first.answers, second.answers);
    assert_ne!(first.digest, other.digest);
}

#[test]
fn which_instructions_run_is_seen_and_changes_nothing() {
    let driver = driver_path();
    let corpus: Vec<Vec<u8>> = corpus().into_iter().take(10).collect();
    let run = |guided| {
        let setup = Setup { guided, ..setup(&driver, SERVICE, 2) };
        fuzz::fuzz(&setup, 0, 0, &corpus, |_| ()).expect("the file is read")
    };
    let (plain, guided) = (run(false), run(true));
    assert_eq!((plain.digest, &plain.answers), (guided.digest, &guided.answers));
    assert_eq!((plain.instructions, plain.functions.0), (0, 0));
    if cfg!(target_arch = "x86_64") {
        assert!(guided.instructions > 100, "{} instructions", guided.instructions);
        assert!(guided.functions.0 > 5 && guided.functions.0 < guided.functions.1, "{:?}", guided.functions);
    }
}

#[test]
fn an_input_can_be_replayed() {
    let replay = fuzz::replay(&driver_file(), SERVICE, &[0, 7]);
    let [request] = replay.requests.as_slice() else { panic!("{:?}", replay.requests) };
    assert!(
        request.starts_with("NewStream 0 of pin 0, capture false, format 104 bytes: 68000000"),
        "{request}"
    );
    assert_eq!(replay.problems, Vec::<String>::new());
    assert!(replay.trace.to_string().contains("IMiniportWaveRT::NewStream"));
}

/// The image with drivers that trust user mode: `RULES_SYS`, or where the build puts it.
fn hostile_driver() -> PathBuf {
    let default =
        concat!(env!("CARGO_MANIFEST_DIR"), "/cross/target/x86_64-pc-windows-msvc/release/rules.sys");
    let path = std::env::var_os("RULES_SYS").map_or_else(|| PathBuf::from(default), PathBuf::from);
    assert!(path.is_file(), "there is no driver with the rules at {}", path.display());
    path
}

/// Fuzzes a driver of `crates/testbed/drivers/src/hostile.rs`, from no corpus at all.
fn fuzz_hostile(case: &str) -> Summary {
    let driver = hostile_driver();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    fuzz::fuzz(&setup(&driver, case, threads), 1, 1500, &[], |_| ()).expect("the file is read")
}

/// The mistake is found, and named with the request that shows it; the twin without it has nothing.
#[track_caller]
fn is_found(case: &str, problem: &str, request: &str) {
    let summary = fuzz_hostile(case);
    let [failure] = summary.failures.as_slice() else { panic!("{:?}", summary.failures) };
    println!(
        "{case}: {} of {} inputs, the first is {}: {failure:?}",
        summary.failed, summary.runs, failure.run
    );
    let text = &failure.problems[0];
    assert!(text.contains(problem), "{text}");
    assert!(text.contains(request), "{text}");
    assert!(failure.input.len() <= 40, "{:?}", failure.input);
    let again =
        fuzz::replay(&testbed::image::Image::open(hostile_driver()).expect("the file"), case, &failure.input);
    assert_eq!(&again.problems, &failure.problems);
    assert_eq!(fuzz_hostile(&format!("{case}.twin")).failures, []);
}

#[test]
fn a_handler_that_believes_a_size_is_found() {
    is_found(
        "hostile_length",
        "0 bytes after the end of the value of a property request",
        "property 1 of {5c4ea401-1234-4321-0102-030405060708}, verb 0x2",
    );
}

#[test]
fn a_miniport_that_reads_beyond_a_format_is_found() {
    is_found("hostile_format", "after the end of a data format of the audio engine", "NewStream 0 of pin 0");
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_stream_that_reads_the_buffer_twice_is_found() {
    is_found("hostile_double_fetch", "after the end of pool block 'Rule'", "SetState { slot: ");
}

#[test]
fn a_handler_that_gives_away_what_was_in_memory_is_found() {
    is_found(
        "hostile_leak",
        "or was never written",
        "property 2 of {5c4ea401-1234-4321-0102-030405060708}, verb 0x1",
    );
}
