//! Fuzzing of a loaded image with everything that user mode can reach.
//!
//! An input is a string of bytes, which `input` and `value` read as a sequence of requests: properties of filters, nodes and pins,
//! formats for NewStream and SetFormat, data ranges, registry values, buffers, states, events, and audio that changes
//! while the driver reads it (`watch`). `session` carries them out on a machine of their own and says what went wrong
//! in which request:
//!
//! * a rule of the verifier is broken. The memory of a request ends at an unmapped page, to the byte, so that what is
//!   read or written beyond a claimed length is an access violation;
//! * the driver does something else when undefined memory has other contents and the memory of requests another
//!   alignment: each input is carried out in both ways, and the traces must be the same. So a read of up to 15 bytes
//!   too many is found also where its memory is aligned as on Windows, and a value that was never written;
//! * a packet is not whole frames, or has a byte that was never in the buffer.
//!
//! [`fuzz`] makes inputs from a corpus by random changes (`mutation`). An input that reaches an instruction of the image,
//! or an answer, that none before it has reached joins the corpus (`coverage`). The result is a function of image,
//! corpus, seed and number of runs, however many Linux threads take part. An input that fails is made as small as
//! possible; [`replay`] shows what any input does.

mod coverage;
mod input;
mod mutation;
mod request;
mod session;
mod value;

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use coverage::Coverage;
use input::Script;
pub(crate) use request::PropertyRequest;
use request::Request;
use session::{Mode, Outcome};

use crate::device::{Device, Filter};
use crate::image::{Image, LoadError};
use crate::nt::NtStatus;
use crate::portcls::Property;
use crate::schedule::SplitMix;
use crate::trace::{Kept, Trace};

/// Inputs that are made from the same corpus before what they have found joins it.
const ROUND: usize = 64;
/// Different failures that are made small and shown.
const MOST_FAILURES: usize = 8;
/// Tries to make a failing input smaller.
const SHRINKING: u32 = 3000;

/// What is fuzzed, and how.
#[derive(Clone, Debug)]
pub struct Setup<'a> {
    /// The driver file.
    pub driver: &'a Path,
    /// The service under which it is installed.
    pub service: &'a str,
    /// Notes which instructions run, so that inputs which reach new ones are kept. Inputs take some ten times as long.
    pub guided: bool,
    /// Linux threads.
    pub threads: usize,
}

/// An input that fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The input, as small as could be found.
    pub input: Vec<u8>,
    /// What went wrong, with the request that was under way.
    pub problems: Vec<String>,
    /// How many runs it took to find.
    pub run: u64,
}

/// What came of many inputs.
#[derive(Debug, Default)]
pub struct Summary {
    /// Inputs that were carried out.
    pub runs: u64,
    /// Requests in them.
    pub requests: u64,
    /// How often each kind of request was answered with a status.
    pub answers: BTreeMap<(&'static str, i32), u64>,
    /// Accesses to audio that changed behind each of them.
    pub disturbed: u64,
    /// The sum of the digests of their traces.
    pub digest: u64,
    /// Instructions of the image that ran while requests were carried out; 0 when not guided.
    pub instructions: u32,
    /// Functions with unwind data of which one ran, and how many there are.
    pub functions: (usize, usize),
    /// Inputs that reached something new, in the order in which they were found.
    pub found: Vec<Vec<u8>>,
    /// Inputs that fail, each in another way.
    pub failures: Vec<Failure>,
    /// How many inputs failed.
    pub failed: u64,
}

impl Summary {
    /// The answers as text: kind of request, status, how often.
    pub fn answers(&self) -> impl Iterator<Item = (&'static str, String, u64)> {
        self.answers.iter().map(|((kind, status), count)| {
            let status = NtStatus(*status);
            let refused = status == session::REFUSED_STATUS;
            (*kind, if refused { "not passed on".to_owned() } else { status.to_string() }, *count)
        })
    }
}

/// What one input does.
#[derive(Debug)]
pub struct Replay {
    /// Its requests, in words.
    pub requests: Vec<String>,
    /// What went wrong, with the request that was under way.
    pub problems: Vec<String>,
    /// The trace.
    pub trace: Trace,
}

/// A request for a property of a device, read from bytes of any kind.
pub(crate) fn property_request(input: &[u8], device: &Device) -> PropertyRequest {
    input::property(input, &session::properties_of(device))
}

/// Carries one input out and keeps the trace.
pub fn replay(image: &Image, service: &str, input: &[u8]) -> Replay {
    let subject = Subject::new(image.clone(), service);
    let script = Script::decode(input, &subject.known);
    let tried = subject.try_out(input, false);
    let mode = Mode { guided: false, exact: true, kept: Kept::All };
    let trace = guard(|| session::carry_out(image, service, &script, mode)).trace;
    let requests = script.requests.iter().map(ToString::to_string).collect();
    Replay { requests, problems: tried.problems, trace }
}

/// What came of one input, both times.
struct Tried {
    outcome: Outcome,
    requests: u64,
    digest: u64,
    problems: Vec<String>,
    /// What went wrong first, without the numbers in it: equal for two inputs that fail in the same way.
    signature: Option<String>,
}

/// What a problem has in common with others of its kind.
fn signature(problem: &str, request: Option<&Request>) -> String {
    // What follows is the thread and the time.
    let text = problem.split('[').next().unwrap_or(problem);
    let words = text.split_whitespace().filter(|word| !word.contains(|letter: char| letter.is_ascii_digit()));
    request.map(Request::kind).into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

/// A panic of the testbed is a failure of the input, too.
fn guard(body: impl FnOnce() -> Outcome) -> Outcome {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic: Box<dyn Any + Send>| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let text = format!("the testbed panicked: {}", text.unwrap_or_default());
        Outcome { problems: vec![(None, text)], ..Outcome::default() }
    })
}

/// A driver, and which properties it has.
struct Subject<'a> {
    image: Image,
    service: &'a str,
    known: Vec<(Filter, Property)>,
}

impl<'a> Subject<'a> {
    fn new(image: Image, service: &'a str) -> Self {
        let known = catch_unwind(AssertUnwindSafe(|| session::known_properties(&image, service)));
        Self { image, service, known: known.unwrap_or_default() }
    }

    /// Carries an input out, both ways.
    fn try_out(&self, input: &[u8], guided: bool) -> Tried {
        let script = Script::decode(input, &self.known);
        let run = |guided, exact| {
            let mode = Mode { guided, exact, kept: Kept::Last(0) };
            guard(|| session::carry_out(&self.image, self.service, &script, mode))
        };
        let mut outcome = run(guided, true);
        if outcome.problems.is_empty() {
            let twin = run(false, false);
            if !twin.problems.is_empty() {
                outcome.problems = twin.problems;
            } else if twin.trace.digest() != outcome.trace.digest() {
                let differs = outcome.digests.iter().zip(&twin.digests).position(|(one, other)| one != other);
                let text =
                    "does something else when memory that is not its own, or was never written, is different";
                outcome.problems.push((differs, text.to_owned()));
            }
        }
        let name = |at: Option<usize>| match at.and_then(|at| Some((at, script.requests.get(at)?))) {
            Some((at, request)) => format!("request {at}, {request}"),
            None => "outside of the requests".to_owned(),
        };
        let problems = outcome.problems.iter().map(|(at, text)| format!("{text}\n    in {}", name(*at)));
        let first = outcome.problems.first();
        let signature = first.map(|(at, text)| signature(text, at.and_then(|at| script.requests.get(at))));
        Tried {
            signature,
            requests: script.requests.len() as u64,
            digest: outcome.trace.digest(),
            problems: problems.collect(),
            outcome,
        }
    }
}

/// Fuzzes: first every input of the corpus, then `runs` others. `done` is told how many inputs there have been.
///
/// # Errors
/// The driver file cannot be read.
///
/// # Panics
/// Never, but for a bug in here: what the testbed panics with is a failure of the input.
pub fn fuzz(
    setup: &Setup<'_>,
    seed: u64,
    runs: u64,
    corpus: &[Vec<u8>],
    done: impl Fn(u64),
) -> Result<Summary, LoadError> {
    let image = Image::open(setup.driver)?;
    let mut random = SplitMix(seed);
    let mut campaign = Campaign { known: corpus.to_vec(), ..Campaign::default() };
    for inputs in corpus.chunks(ROUND) {
        campaign.add(try_all(setup, inputs.to_vec()), false);
        done(campaign.summary.runs);
    }
    let mut left = runs;
    while left > 0 {
        let count = left.min(ROUND as u64);
        left -= count;
        let inputs = (0..count).map(|_| mutation::generate(&mut random, &campaign.known)).collect();
        campaign.add(try_all(setup, inputs), true);
        done(campaign.summary.runs);
    }
    let Campaign { mut summary, coverage, .. } = campaign;
    summary.instructions = coverage.instructions();
    summary.functions = coverage.functions(&image);
    let subject = Subject::new(image, setup.service);
    for failure in &mut summary.failures {
        make_small(&subject, failure);
    }
    Ok(summary)
}

/// The state of [`fuzz`].
#[derive(Default)]
struct Campaign {
    known: Vec<Vec<u8>>,
    coverage: Coverage,
    signatures: Vec<String>,
    summary: Summary,
}

impl Campaign {
    fn add(&mut self, round: Vec<(Vec<u8>, Tried)>, is_new: bool) {
        for (input, tried) in round {
            let summary = &mut self.summary;
            summary.runs += 1;
            summary.requests += tried.requests;
            summary.digest = summary.digest.wrapping_add(tried.digest);
            summary.disturbed += tried.outcome.disturbed;
            for (answer, count) in &tried.outcome.answers {
                *summary.answers.entry(*answer).or_default() += count;
            }
            if let Some(signature) = tried.signature.clone() {
                summary.failed += 1;
                if !self.signatures.contains(&signature) && self.signatures.len() < MOST_FAILURES {
                    self.signatures.push(signature);
                    let run = summary.runs;
                    summary.failures.push(Failure { input, problems: tried.problems, run });
                }
            } else if self.coverage.add_outcome(&tried.outcome) && is_new {
                summary.found.push(input.clone());
                self.known.push(input);
            }
        }
    }
}

/// Tries inputs in several Linux threads; in their order.
fn try_all(setup: &Setup<'_>, inputs: Vec<Vec<u8>>) -> Vec<(Vec<u8>, Tried)> {
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(inputs.len()));
    std::thread::scope(|scope| {
        for _ in 0..setup.threads.clamp(1, inputs.len().max(1)) {
            scope.spawn(|| {
                let image = Image::open(setup.driver).expect("it was read a moment ago");
                let subject = Subject::new(image, setup.service);
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(input) = inputs.get(index) else { break };
                    let tried = subject.try_out(input, setup.guided);
                    results.lock().expect("no thread panics with the lock").push((index, tried));
                }
            });
        }
    });
    let mut results = results.into_inner().expect("no thread panics with the lock");
    results.sort_by_key(|(index, _)| *index);
    inputs.into_iter().zip(results).map(|(input, (_, tried))| (input, tried)).collect()
}

fn make_small(subject: &Subject<'_>, failure: &mut Failure) {
    let wanted = subject.try_out(&failure.input, false).signature;
    if wanted.is_none() {
        return;
    }
    let fails = |input: &[u8]| subject.try_out(input, false).signature == wanted;
    failure.input = mutation::shrink(std::mem::take(&mut failure.input), SHRINKING, fails);
    failure.problems = subject.try_out(&failure.input, false).problems;
}

/// Those inputs of a corpus that together reach what all of them do, and of which none can be left out; long ones go
/// first, and so do inputs that fail. Each is carried out once.
///
/// # Errors
/// The driver file cannot be read.
///
/// # Panics
/// As [`fuzz`].
pub fn minimise(
    setup: &Setup<'_>,
    mut corpus: Vec<Vec<u8>>,
    done: impl Fn(u64),
) -> Result<Vec<Vec<u8>>, LoadError> {
    Image::open(setup.driver)?;
    corpus.sort_by(|one, other| other.len().cmp(&one.len()).then_with(|| one.cmp(other)));
    let mut tried = Vec::with_capacity(corpus.len());
    for inputs in corpus.chunks(ROUND) {
        tried.extend(try_all(setup, inputs.to_vec()));
        done(tried.len() as u64);
    }
    tried.retain(|(_, tried)| tried.problems.is_empty());
    let mut index = 0;
    while index < tried.len() {
        let (mut own, mut others) = (Coverage::default(), Coverage::default());
        own.add_outcome(&tried[index].1.outcome);
        for (number, (_, other)) in tried.iter().enumerate() {
            if number != index {
                others.add_outcome(&other.outcome);
            }
        }
        if others.includes(&own) {
            tried.remove(index);
        } else {
            index += 1;
        }
    }
    Ok(tried.into_iter().map(|(input, _)| input).collect())
}
