//! [`Inlet`]: takes what comes and makes deliveries of it, in the thread that receives or in the one that plays.
//!
//! Each packet would wake the thread that receives, only to put it where the thread that plays finds it later. So as long as
//! that one asks for more often enough, it takes what has come by itself, and the other one rests. This needs a source that
//! knows when something came even if nobody waited for it, and a stream that the system can keep until somebody looks.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use anyhow::Result;
use rtrb::Producer;

use crate::intake::counters::Counters;
use crate::intake::{Destination, Intake};
use crate::outputs::Recorder;
use crate::report::News;
use crate::sources::Source;
use crate::{Delivery, Moment};

/// Who plays and has asked within so long is taken to ask again.
const ASKED: Duration = Duration::from_millis(50);
/// Of a stream that can wait so many datagrams come in each [`SPAN`] at most. It is the longest time that nobody looks, and the
/// least that Linux keeps is 92 of them.
const FEW: u32 = 80;
const SPAN: Duration = Duration::from_millis(100);

/// Takes what comes.
pub struct Inlet {
    taker: Mutex<Taker>,
    /// When the thread that plays asked last, as [`Moment`] has it.
    asked: AtomicU64,
    /// Whether what comes can wait until that thread asks again.
    can_wait: AtomicBool,
}

/// What takes something, in one thread at a time.
struct Taker {
    parts: Parts,
    rate: Rate,
    failure: Option<anyhow::Error>,
}

/// What is needed to take something.
pub struct Parts {
    /// Where audio comes from.
    pub source: Box<dyn Source>,
    /// What makes a stream of it.
    pub intake: Intake,
    /// Where that goes.
    pub sink: Sink,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// Who is told what happens.
    pub news: SyncSender<News>,
}

/// Where deliveries go.
pub enum Sink {
    /// To be played.
    Player(Producer<Delivery>),
    /// To be recorded as they are.
    Recorder(Box<dyn Recorder>),
}

/// How many datagrams come.
#[derive(Debug, Default)]
struct Rate {
    /// The number of the [`SPAN`] that passes.
    span: u64,
    /// The datagrams of it, and of the one before.
    counts: [u32; 2],
}

impl Inlet {
    /// One that nobody has asked yet.
    pub fn new(parts: Parts) -> Self {
        let can_wait = AtomicBool::new(parts.source.knows_arrivals());
        let taker = Taker { parts, rate: Rate::default(), failure: None };
        Self { taker: Mutex::new(taker), asked: AtomicU64::new(0), can_wait }
    }

    /// Whether the thread that plays takes what comes.
    pub fn is_drawn_from(&self) -> bool {
        let asked = Moment(self.asked.load(Ordering::Relaxed));
        asked + ASKED > Moment::now() && self.can_wait.load(Ordering::Relaxed)
    }

    /// Takes what has come, for the thread that plays, unless the other one is just doing so. Real-time safe.
    pub fn draw(&self) {
        self.asked.store(Moment::now().0, Ordering::Relaxed);
        let mut taker = match self.taker.try_lock() {
            Ok(taker) => taker,
            Err(TryLockError::Poisoned(taker)) => taker.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        for _ in 0..FEW {
            match taker.take(None) {
                Ok(true) => {}
                Ok(false) => break,
                Err(failure) => {
                    taker.failure = Some(failure);
                    break;
                }
            }
        }
        self.done(&mut taker);
    }

    /// Waits for something that comes, though not much longer than `time`, and takes it. Returns whether there was something.
    ///
    /// # Errors
    /// There will be no more, or what comes cannot be kept.
    pub fn wait(&self, time: Duration) -> Result<bool> {
        let mut taker = self.taker();
        if let Some(failure) = taker.failure.take() {
            return Err(failure);
        }
        let taken = taker.take(Some(time));
        self.done(&mut taker);
        taken
    }

    /// Takes what has been held back, because nothing follows.
    ///
    /// # Errors
    /// It cannot be kept.
    pub fn finish(&self) -> Result<()> {
        let mut taker = self.taker();
        let Parts { intake, sink, .. } = &mut taker.parts;
        let finished = intake.finish(sink);
        self.done(&mut taker);
        Ok(finished?)
    }

    /// Makes what has been recorded complete.
    ///
    /// # Errors
    /// It cannot be.
    pub fn complete(&self) -> Result<()> {
        match &mut self.taker().parts.sink {
            Sink::Player(_) => Ok(()),
            Sink::Recorder(recorder) => Ok(recorder.finish()?),
        }
    }

    fn taker(&self) -> MutexGuard<'_, Taker> {
        self.taker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells what has happened, if anybody listens, and decides who goes on.
    fn done(&self, taker: &mut Taker) {
        let can_wait = taker.parts.source.knows_arrivals() && taker.rate.is_low() && taker.failure.is_none();
        self.can_wait.store(can_wait, Ordering::Relaxed);
        taker.parts.tell();
    }
}

impl Taker {
    /// Takes a datagram, which it waits for or not. Returns whether there was one.
    fn take(&mut self, time: Option<Duration>) -> Result<bool> {
        let Parts { source, intake, sink, .. } = &mut self.parts;
        let datagram = match time {
            Some(time) => source.next(time)?,
            None => source.next_there()?,
        };
        let Some(datagram) = datagram else { return Ok(false) };
        self.rate.count(datagram.arrived);
        intake.take(&datagram, sink)?;
        Ok(true)
    }
}

impl Parts {
    fn tell(&mut self) {
        self.counters.set_missed(self.source.missed());
        for notice in self.intake.notices() {
            let _ = self.news.try_send(News::Intake(notice));
        }
    }
}

impl Destination for Sink {
    fn deliver(&mut self, delivery: Delivery) -> io::Result<bool> {
        match self {
            Self::Player(queue) => Ok(queue.push(delivery).is_ok()),
            Self::Recorder(recorder) => recorder.write(delivery.format(), delivery.pcm()).map(|()| true),
        }
    }
}

impl Rate {
    fn count(&mut self, arrived: Moment) {
        let span = arrived.0 / SPAN.as_nanos() as u64;
        if span != self.span {
            let before = if span == self.span + 1 { self.counts[0] } else { 0 };
            *self = Self { span, counts: [0, before] };
        }
        self.counts[0] += 1;
    }

    fn is_low(&self) -> bool {
        self.counts.iter().all(|count| *count <= FEW)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use protocol::StreamFormat;
    use rtrb::{Consumer, RingBuffer};

    use super::*;
    use crate::intake::Hearing;
    use crate::sources::{Datagram, Sender, SourceError};

    /// Gives packets one after the other, and then fails or has no more.
    struct Packets {
        left: u32,
        fails: bool,
        knows_arrivals: bool,
        bytes: Vec<u8>,
    }

    impl Packets {
        fn new(left: u32) -> Self {
            let format = StreamFormat::new(48_000, 16, 2, 3).expect("a format");
            let bytes = [&format.header()[..], &[1; 8]].concat();
            Self { left, fails: false, knows_arrivals: true, bytes }
        }

        fn inlet(self) -> (Inlet, Consumer<Delivery>) {
            let (queue, deliveries) = RingBuffer::new(1000);
            let counters = Arc::new(Counters::default());
            let intake = Intake::new(Hearing::First, Arc::clone(&counters));
            let (news, _) = mpsc::sync_channel(8);
            let sink = Sink::Player(queue);
            (Inlet::new(Parts { source: Box::new(self), intake, sink, counters, news }), deliveries)
        }
    }

    impl Source for Packets {
        fn name(&self) -> String {
            "packets".into()
        }

        fn next(&mut self, _: Duration) -> Result<Option<Datagram<'_>>, SourceError> {
            if self.left == 0 {
                return if self.fails { Err(SourceError("over".into())) } else { Ok(None) };
            }
            self.left -= 1;
            let bytes = &self.bytes;
            Ok(Some(Datagram { sender: Sender::SharedMemory, arrived: Moment::now(), bytes }))
        }

        fn knows_arrivals(&self) -> bool {
            self.knows_arrivals
        }

        fn next_there(&mut self) -> Result<Option<Datagram<'_>>, SourceError> {
            if self.knows_arrivals { self.next(Duration::ZERO) } else { Ok(None) }
        }

        fn hint(&self) -> String {
            String::new()
        }
    }

    #[test]
    fn as_long_as_the_player_asks_it_takes_what_comes() {
        let (inlet, deliveries) = Packets::new(5).inlet();
        assert!(!inlet.is_drawn_from());
        assert!(inlet.wait(Duration::ZERO).expect("a packet"));
        assert_eq!(deliveries.slots(), 1);
        inlet.draw();
        assert!(inlet.is_drawn_from());
        assert_eq!(deliveries.slots(), 5);
        thread::sleep(ASKED);
        assert!(!inlet.is_drawn_from());
    }

    #[test]
    fn while_the_other_thread_waits_the_player_does_not() {
        let (inlet, deliveries) = Packets::new(5).inlet();
        let waiting = inlet.taker();
        inlet.draw();
        assert_eq!(deliveries.slots(), 0);
        // But the other one knows that it may rest.
        assert!(inlet.is_drawn_from());
        drop(waiting);
        inlet.draw();
        assert_eq!(deliveries.slots(), 5);
    }

    #[test]
    fn a_source_that_does_not_know_when_something_came_is_not_left_to_the_player() {
        let (inlet, deliveries) = Packets { knows_arrivals: false, ..Packets::new(5) }.inlet();
        inlet.draw();
        assert!(!inlet.is_drawn_from());
        assert_eq!(deliveries.slots(), 0);
    }

    #[test]
    fn neither_are_very_many_datagrams() {
        let (inlet, deliveries) = Packets::new(FEW * 3).inlet();
        inlet.draw();
        assert_eq!(deliveries.slots(), FEW as usize);
        inlet.draw();
        assert_eq!(deliveries.slots(), 2 * FEW as usize);
        assert!(!inlet.is_drawn_from());
        let mut rate = Rate::default();
        let at = |span: u64, part: u64| Moment(span * SPAN.as_nanos() as u64 + part);
        (0..u64::from(FEW)).for_each(|n| rate.count(at(7, n)));
        assert!(rate.is_low());
        rate.count(at(7, 500));
        rate.count(at(8, 0));
        assert!(!rate.is_low());
        rate.count(at(9, 0));
        assert!(rate.is_low());
    }

    #[test]
    fn what_fails_while_the_player_takes_is_told_by_the_other_thread() {
        let (inlet, deliveries) = Packets { fails: true, ..Packets::new(2) }.inlet();
        inlet.draw();
        assert_eq!(deliveries.slots(), 2);
        assert!(!inlet.is_drawn_from());
        assert_eq!(inlet.wait(Duration::ZERO).map_err(|error| error.to_string()), Err("over".to_owned()));
    }
}
