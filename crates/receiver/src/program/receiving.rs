//! [`Receiving`]: the thread that takes what comes and hands it on.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use anyhow::Result;
use rtrb::Producer;

use crate::Delivery;
use crate::intake::counters::Counters;
use crate::intake::{Destination, Intake};
use crate::outputs::Recorder;
use crate::player::thread::Playing;
use crate::report::News;
use crate::sources::Source;

/// How long it takes at most until it notices that it should end.
const WAIT: Duration = Duration::from_millis(100);

/// Receives.
pub struct Receiving {
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
    /// True when it should end.
    pub stop: Arc<AtomicBool>,
}

/// Where deliveries go.
pub enum Sink {
    /// To be played.
    Player(Producer<Delivery>, Playing),
    /// To be recorded as they are.
    Recorder(Box<dyn Recorder>),
}

impl Receiving {
    /// Goes on until it should end, or cannot go on. A reader that wants no more is an end like any other.
    pub fn run(mut self) -> Result<()> {
        let result = self.receive();
        let result = result.and_then(|()| Ok(self.intake.finish(&mut self.sink)?));
        self.tell();
        // Whatever has happened, what was taken is completed.
        let end = self.sink.end();
        match result.and(end.map_err(Into::into)) {
            Err(error) if is_broken_pipe(&error) => Ok(()),
            result => result,
        }
    }

    fn receive(&mut self) -> Result<()> {
        while !self.stop.load(Ordering::Relaxed) {
            if let Some(datagram) = self.source.next(WAIT)? {
                self.intake.take(&datagram, &mut self.sink)?;
            }
            self.tell();
        }
        Ok(())
    }

    /// Tells what has happened, if anybody listens.
    fn tell(&mut self) {
        self.counters.set_missed(self.source.missed());
        let source = self.source.news().into_iter().map(News::Source);
        for news in source.chain(self.intake.notices().map(News::Intake)) {
            let _ = self.news.try_send(news);
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

impl Destination for Sink {
    fn deliver(&mut self, delivery: Delivery) -> io::Result<bool> {
        match self {
            Self::Player(queue, playing) => {
                let has_room = queue.push(delivery).is_ok();
                playing.wake();
                Ok(has_room)
            }
            Self::Recorder(recorder) => recorder.write(delivery.format(), delivery.pcm()).map(|()| true),
        }
    }
}

impl Sink {
    /// Fades out, or completes what was recorded.
    fn end(self) -> io::Result<()> {
        match self {
            Self::Player(_, playing) => {
                playing.stop();
                Ok(())
            }
            Self::Recorder(mut recorder) => recorder.finish(),
        }
    }
}
