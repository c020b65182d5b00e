//! `testbed fuzz`: requests of every kind to a driver, most of them wrong.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use indicatif::{ProgressBar, ProgressStyle};
use testbed::fuzz::{self, Failure, Setup, Summary};

use super::driver;

/// What the command takes.
#[derive(Args)]
pub struct Arguments {
    /// The driver file: of a WaveRT driver.
    #[arg(long, value_name = "FILE")]
    driver: PathBuf,
    /// The name of the driver's service key [default: the name of the file].
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// How many inputs are made, after those of the corpus.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    runs: u64,
    /// The seed of all that is random.
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// A directory of inputs to begin with; those that reach something new are added to it.
    #[arg(long, value_name = "DIR")]
    corpus: Option<PathBuf>,
    /// Delete the inputs of the corpus without which it reaches the same, and do nothing else.
    #[arg(long, requires = "corpus", conflicts_with = "input")]
    minimise: bool,
    /// Carry out this input alone, and print its requests and its trace.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Where inputs that fail are written.
    #[arg(long, value_name = "DIR", default_value = "target/testbed-fuzz")]
    failures: PathBuf,
    /// Do not watch which instructions run: some ten times as fast, and new inputs are kept for their answers alone.
    #[arg(long)]
    unguided: bool,
    /// Inputs that are carried out at the same time [default: as many as there are processors].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

/// Fuzzes, and says what was reached and what went wrong.
///
/// # Errors
/// One line: the file is no driver, the corpus or the input cannot be read, or an input fails.
pub fn run(arguments: &Arguments) -> Result<()> {
    let image = driver::open(&arguments.driver)?;
    let stem = || arguments.driver.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let service = arguments.service.clone().or_else(stem).unwrap_or_else(|| "Driver".to_owned());
    if let Some(file) = &arguments.input {
        let input = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        return replay(&fuzz::replay(&image, &service, &input));
    }
    let threads = arguments.threads.or_else(|| std::thread::available_parallelism().ok().map(usize::from));
    let setup = Setup {
        driver: &arguments.driver,
        service: &service,
        guided: !arguments.unguided,
        threads: threads.unwrap_or(1),
    };
    let corpus = arguments.corpus.as_deref().map(read_corpus).transpose()?.unwrap_or_default();
    if let Some(directory) = arguments.corpus.as_deref().filter(|_| arguments.minimise) {
        return minimise(&setup, corpus, directory);
    }
    search(arguments, &setup, &corpus)
}

fn bar(length: u64, unit: &str) -> ProgressBar {
    let style = format!("{{bar:40}} {{pos}}/{{len}} {unit}  {{elapsed}} of {{duration}}");
    let style = ProgressStyle::with_template(&style).expect("the template is well-formed");
    ProgressBar::new(length).with_style(style)
}

fn search(arguments: &Arguments, setup: &Setup<'_>, corpus: &[Vec<u8>]) -> Result<()> {
    let bar = bar(arguments.runs + corpus.len() as u64, "inputs");
    let begun = Instant::now();
    let summary = fuzz::fuzz(setup, arguments.seed, arguments.runs, corpus, |runs| bar.set_position(runs))?;
    bar.finish_and_clear();
    if let Some(directory) = &arguments.corpus {
        fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        for input in &summary.found {
            write_input(directory, input)?;
        }
    }
    report(&summary, setup.guided, begun.elapsed().as_secs_f64());
    for failure in &summary.failures {
        show(failure, arguments, setup.service)?;
    }
    match summary.failed {
        0 => Ok(()),
        1 => bail!("1 of {} inputs fails", summary.runs),
        failed => bail!("{failed} of {} inputs fail, in {} ways", summary.runs, summary.failures.len()),
    }
}

fn report(summary: &Summary, guided: bool, seconds: f64) {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["request", "answer", "times"]);
    for (kind, status, count) in summary.answers() {
        table.add_row([kind, &status, &count.to_string()]);
    }
    println!("{table}");
    let Summary { runs, requests, digest, disturbed, .. } = summary;
    println!(
        "{runs} inputs with {requests} requests in {seconds:.1} s ({:.0} requests a second), digest {digest:016x}",
        *requests as f64 / seconds
    );
    println!("{disturbed} reads of audio that changed behind each of them");
    let (reached, functions) = summary.functions;
    let found = summary.found.len();
    if guided {
        let instructions = summary.instructions;
        println!("{instructions} instructions in {reached} of {functions} functions; {found} new inputs");
    } else {
        println!("{found} new inputs");
    }
}

fn show(failure: &Failure, arguments: &Arguments, service: &str) -> Result<()> {
    let directory = &arguments.failures;
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let file = write_input(directory, &failure.input)?;
    println!("input {} fails:", failure.run);
    failure.problems.iter().for_each(|problem| println!("    {problem}"));
    println!(
        "    again: cargo run -p testbed -- fuzz --driver {} --service {service} --input {}",
        arguments.driver.display(),
        file.display()
    );
    Ok(())
}

fn replay(replay: &fuzz::Replay) -> Result<()> {
    print!("{}", replay.trace);
    for (number, request) in replay.requests.iter().enumerate() {
        println!("request {number}: {request}");
    }
    replay.problems.iter().for_each(|problem| println!("problem: {problem}"));
    if replay.problems.is_empty() { Ok(()) } else { bail!("the input fails") }
}

fn minimise(setup: &Setup<'_>, corpus: Vec<Vec<u8>>, directory: &Path) -> Result<()> {
    let before = corpus.len();
    let bar = bar(before as u64, "inputs");
    let kept = fuzz::minimise(setup, corpus, |done| bar.set_position(done))?;
    bar.finish_and_clear();
    let written = kept.iter().map(|input| write_input(directory, input)).collect::<Result<Vec<PathBuf>>>()?;
    for (file, _) in inputs_in(directory)? {
        if !written.contains(&file) {
            fs::remove_file(&file).with_context(|| format!("cannot delete {}", file.display()))?;
        }
    }
    println!("{} of {before} inputs are left", kept.len());
    Ok(())
}

/// Writes an input to a file whose name is the hash of its contents.
fn write_input(directory: &Path, input: &[u8]) -> Result<PathBuf> {
    // FNV-1a.
    let hash = input.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    let file = directory.join(format!("{hash:016x}"));
    fs::write(&file, input).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

fn read_corpus(directory: &Path) -> Result<Vec<Vec<u8>>> {
    if !directory.exists() {
        return Ok(Vec::new());
    }
    Ok(inputs_in(directory)?.into_iter().map(|(_, input)| input).collect())
}

/// The files of a directory and what is in them, by name.
fn inputs_in(directory: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let unreadable = || format!("cannot read {}", directory.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).with_context(unreadable)? {
        let path = entry.with_context(unreadable)?.path();
        if path.is_file() {
            let input = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
            files.push((path, input));
        }
    }
    files.sort();
    Ok(files)
}
