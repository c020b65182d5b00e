//! The thread that plays: it waits for a stream, has the output play it, and waits for an output that is gone.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use protocol::StreamFormat;
use rtrb::Consumer;

use super::feed::{Feed, Fetch};
use super::status::Status;
use super::supply::{Device, Next, Supply};
use crate::outputs::{Output, OutputError};
use crate::{Delivery, Moment};

/// How long an output that is gone is left alone, and how often a stream is looked for even if nobody says that there is one.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long an output has to end.
const ANSWER: Duration = Duration::from_millis(1500);

/// How to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// From when the sender played a frame, if packets took no time, to the loudspeaker.
    pub target: Duration,
    /// The delay never grows beyond this.
    pub most: Duration,
    /// Samples reach the output as they were sent: no resampling, no fades.
    pub bit_exact: bool,
    /// All senders are heard, each a voice of its own.
    pub mix: bool,
}

/// What people should know of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A stream of this format begins to play.
    Playing(StreamFormat),
    /// The stream has ended, or pauses for long, and the output is closed.
    Ended,
    /// The output is gone, in one line; it is tried again every second.
    Gone(String),
    /// The output is there again.
    Back,
    /// The output cannot do what is asked, in one line. The stream is not played; another format may be.
    Impossible(String),
}

/// The thread that plays.
pub struct Playing {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Playing {
    /// Starts it. Deliveries come through a queue, into which it fetches them itself while it plays.
    pub fn start(
        output: Box<dyn Output>,
        settings: Settings,
        (deliveries, fetch): (Consumer<Delivery>, Fetch),
        status: Arc<Status>,
        events: Sender<Event>,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let feed = Feed::new(deliveries, fetch, settings, status, Arc::clone(&stop));
        let player = Player {
            output,
            feed: Arc::new(Mutex::new(feed)),
            stop: Arc::clone(&stop),
            events,
            is_gone: false,
        };
        let thread = thread::Builder::new().name("player".to_owned()).spawn(move || player.run());
        Self { stop, thread: thread.ok() }
    }

    /// Says that there are deliveries. Cheap: to be called after each.
    pub fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// Fades out and ends; waits for it, but not for an output that does not answer.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.wake();
        let deadline = Instant::now() + ANSWER;
        while let Some(thread) = &self.thread
            && !thread.is_finished()
            && Instant::now() < deadline
        {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// The supply that an output has while it plays. Nobody else has the lock then, so it is always free.
struct Lent(Arc<Mutex<Feed>>);

impl Lent {
    fn feed(&self) -> MutexGuard<'_, Feed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Supply for Lent {
    fn format(&self) -> StreamFormat {
        self.feed().format()
    }

    fn is_bit_exact(&self) -> bool {
        self.feed().is_bit_exact()
    }

    fn attach(&mut self, device: &Device) -> Result<(), String> {
        self.feed().attach(device)
    }

    fn render(&mut self, frames: &mut [u8], now: Moment, delay: Duration) -> Next {
        self.feed().render(frames, now, delay)
    }
}

/// What the thread has.
struct Player {
    output: Box<dyn Output>,
    feed: Arc<Mutex<Feed>>,
    stop: Arc<AtomicBool>,
    events: Sender<Event>,
    is_gone: bool,
}

impl Player {
    fn run(mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            let next = self.lent().feed().next_format();
            match next {
                None => thread::park_timeout(PATIENCE),
                Some(format) => self.play(format),
            }
        }
    }

    fn lent(&self) -> Lent {
        Lent(Arc::clone(&self.feed))
    }

    /// Plays a stream, or what is left of it.
    fn play(&mut self, format: StreamFormat) {
        if !self.is_gone {
            self.tell(Event::Playing(format));
        }
        let (_, result) = self.output.play(Box::new(Told {
            lent: self.lent(),
            events: self.events.clone(),
            back: self.is_gone,
        }));
        self.lent().feed().detach();
        match result {
            Ok(()) => {
                self.is_gone = false;
                if self.lent().feed().next_format().is_none() {
                    self.tell(Event::Ended);
                }
            }
            Err(OutputError::Gone(why)) => {
                if !std::mem::replace(&mut self.is_gone, true) {
                    self.tell(Event::Gone(why));
                }
                self.wait(PATIENCE);
            }
            Err(OutputError::Impossible(why)) => {
                self.tell(Event::Impossible(why));
                self.leave_out_while(format);
            }
        }
    }

    /// Waits, and leaves out what is too old by then.
    fn wait(&self, time: Duration) {
        let until = Instant::now() + time;
        while Instant::now() < until && !self.stop.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(10));
            self.lent().feed().leave_out_old(Moment::now());
        }
    }

    /// Plays nothing until another format comes, or the stream has ended.
    fn leave_out_while(&self, format: StreamFormat) {
        let mut last = Instant::now();
        while last.elapsed() < PATIENCE && !self.stop.load(Ordering::Relaxed) {
            match self.lent().feed().next_format() {
                Some(next) if next == format => last = Instant::now(),
                Some(_) => return,
                None => {}
            }
            self.wait(Duration::from_millis(50));
        }
    }

    fn tell(&self, event: Event) {
        // Who does not listen any more need not be told.
        let _ = self.events.send(event);
    }
}

/// A supply that tells when an output that was gone is there again.
struct Told {
    lent: Lent,
    events: Sender<Event>,
    back: bool,
}

impl Supply for Told {
    fn format(&self) -> StreamFormat {
        self.lent.format()
    }

    fn is_bit_exact(&self) -> bool {
        self.lent.is_bit_exact()
    }

    fn attach(&mut self, device: &Device) -> Result<(), String> {
        self.lent.attach(device)?;
        if std::mem::take(&mut self.back) {
            let _ = self.events.send(Event::Back);
        }
        Ok(())
    }

    fn render(&mut self, frames: &mut [u8], now: Moment, delay: Duration) -> Next {
        self.lent.render(frames, now, delay)
    }
}
