//! [`Server`]: a sound server of the test's own, and [`Recording`]: what it plays.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use receiver::player::supply::SampleType;
use receiver::speakers::{OF_BITS, Speaker};

use crate::analysis::Recorded;

/// How long a server may take to do what it is asked on a machine that is busy.
pub const SOON: Duration = Duration::from_secs(20);

/// What the loudspeakers of a server take.
#[derive(Clone, Copy, Debug)]
pub struct Sink {
    /// Frames per second.
    pub rate: u32,
    /// How it takes samples, where servers can be told.
    pub samples: SampleType,
    /// Its speakers, as a mask of Windows.
    pub mask: u16,
}

impl Sink {
    /// One for floating point.
    pub fn new(rate: u32, mask: u16) -> Self {
        Self { rate, samples: SampleType::F32, mask }
    }

    /// Its speakers, from the lowest bit on.
    pub fn speakers(&self) -> Vec<Speaker> {
        OF_BITS
            .into_iter()
            .enumerate()
            .filter(|(bit, _)| self.mask & 1 << bit != 0)
            .map(|(_, of)| of)
            .collect()
    }

    /// The names that a server has for its speakers.
    pub fn names(&self, names: [&'static str; 16]) -> Vec<&'static str> {
        names
            .into_iter()
            .enumerate()
            .filter(|(bit, _)| self.mask & 1 << bit != 0)
            .map(|(_, name)| name)
            .collect()
    }
}

/// A sound server, without hardware, that belongs to one test. It ends when it is dropped.
pub trait Server: Sized {
    /// The output that plays on it.
    const OUTPUT: &'static str;

    /// Starts one with these loudspeakers.
    fn start(sink: Sink) -> Self;

    /// With this a program finds it.
    fn environment(&self) -> Vec<(&'static str, OsString)>;

    /// Begins to record what its loudspeakers play, for so long.
    fn record(&self, time: Duration) -> Recording;
}

/// A server that is a process.
pub trait ServerProcess: Server {
    /// It.
    fn process(&mut self) -> &mut Process;

    /// Ends it at once, as if it had crashed.
    fn kill(&mut self) {
        self.process().kill();
    }

    /// Stops it in the middle of what it does; it is still there, but does not answer.
    fn hang(&mut self) {
        self.process().signal("STOP");
    }

    /// Lets it go on after that.
    fn resume(&mut self) {
        self.process().signal("CONT");
    }
}

/// Does the same with several things at once: servers mostly wait.
pub fn at_once<T: Send>(things: impl IntoIterator<Item = T>, test: impl Fn(T) + Sync) {
    thread::scope(|scope| {
        for thing in things {
            scope.spawn(|| test(thing));
        }
    });
}

/// A recording under way.
pub struct Recording(Box<dyn FnOnce() -> Recorded>);

impl Recording {
    /// One whose end is this.
    pub fn new(end: impl FnOnce() -> Recorded + 'static) -> Self {
        Self(Box::new(end))
    }

    /// Reads samples as a program writes them to its standard output, until there are as many as there are in `time`.
    pub fn of_output(mut process: Process, sink: Sink, time: Duration) -> Self {
        let speakers = sink.speakers();
        let frames = (time.as_secs_f64() * f64::from(sink.rate)) as usize;
        let mut output = process.child.stdout.take().expect("its output is a pipe");
        let bytes = frames * speakers.len() * sink.samples.bytes();
        let reader: JoinHandle<Vec<u8>> = thread::spawn(move || {
            let mut read = Vec::new();
            let _ = output.by_ref().take(bytes as u64).read_to_end(&mut read);
            read
        });
        Self::new(move || {
            let read = reader.join().expect("it only reads");
            drop(process);
            let samples = read.chunks_exact(sink.samples.bytes()).map(|bytes| value(bytes, sink.samples));
            Recorded::new(sink.rate, &speakers, samples)
        })
    }

    /// Waits for its end.
    pub fn finish(self) -> Recorded {
        (self.0)()
    }
}

/// A sample; full scale is 1.
pub fn value(bytes: &[u8], samples: SampleType) -> f64 {
    let mut word = [0; 4];
    match samples {
        SampleType::I16 => word[2..].copy_from_slice(bytes),
        SampleType::I24 => word[1..].copy_from_slice(bytes),
        SampleType::I24In32 => word[1..].copy_from_slice(&bytes[..3]),
        SampleType::I32 | SampleType::F32 => word.copy_from_slice(bytes),
    }
    match samples {
        SampleType::F32 => f64::from(f32::from_le_bytes(word)),
        _ => f64::from(i32::from_le_bytes(word)) / 2_f64.powi(31),
    }
}

/// A process that ends when it is dropped.
pub struct Process {
    /// The process.
    pub child: Child,
    name: String,
    log: std::path::PathBuf,
}

impl Process {
    /// Starts one that writes what it says, but not its output, to a file in `folder`.
    pub fn start(command: &mut Command, folder: &Path) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log).expect("a log file");
        let child = command.stdin(Stdio::null()).stderr(file).spawn();
        let child =
            child.unwrap_or_else(|why| panic!("`{name}` cannot be started ({why}): is it installed?"));
        Self { child, name, log }
    }

    /// Starts one whose output goes to the same file.
    pub fn start_quietly(command: &mut Command, folder: &Path) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let output = File::create(folder.join(format!("{name}.out"))).expect("a log file");
        Self::start(command.stdout(output), folder)
    }

    /// Waits until `ready` says so.
    pub fn wait(&mut self, mut ready: impl FnMut() -> bool) {
        let end = Instant::now() + SOON;
        while !ready() {
            let ended = self.child.try_wait().expect("a child can be waited for");
            assert!(ended.is_none(), "`{}` has ended: {}", self.name, self.said());
            assert!(Instant::now() < end, "`{}` does not get ready: {}", self.name, self.said());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Has it end as if the user had pressed Ctrl-C, and waits for that.
    pub fn interrupt(&mut self) {
        self.signal("INT");
        self.end();
    }

    /// Has it end in order, if it does that soon; it may have been stopped, or have ended.
    pub fn terminate(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.signal("TERM");
            self.signal("CONT");
        }
        let end = Instant::now() + Duration::from_secs(3);
        while Instant::now() < end && self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            thread::sleep(Duration::from_millis(10));
        }
        self.kill();
    }

    /// Waits until it has ended.
    pub fn end(&mut self) {
        let end = Instant::now() + SOON;
        while self.child.try_wait().expect("a child can be waited for").is_none() {
            assert!(Instant::now() < end, "`{}` does not end: {}", self.name, self.said());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: &str) {
        let kill = Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status();
        assert!(kill.is_ok_and(|status| status.success()), "`kill` does not work");
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn said(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
