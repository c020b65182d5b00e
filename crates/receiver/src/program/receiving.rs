//! [`Receiving`]: the thread that takes what comes, unless the thread that plays does.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::inlet::Inlet;
use crate::Moment;
use crate::intake::counters::Counters;
use crate::player::thread::Playing;
use crate::report::News;
use crate::sources::Group;

/// How long it takes at most until it notices that it should end.
const WAIT: Duration = Duration::from_millis(100);
/// How often it looks whether the thread that plays still takes what comes.
const REST: Duration = Duration::from_millis(50);

/// Receives.
pub struct Receiving {
    /// What takes what comes.
    pub inlet: Arc<Inlet>,
    /// The group that is to be kept.
    pub group: Option<Group>,
    /// Who plays it, if it is not recorded.
    pub player: Option<Playing>,
    /// What has come.
    pub counters: Arc<Counters>,
    /// Who is told what happens.
    pub news: SyncSender<News>,
    /// True when it should end.
    pub stop: Arc<AtomicBool>,
}

impl Receiving {
    /// Goes on until it should end, or cannot go on. A reader that wants no more is an end like any other.
    pub fn run(mut self) -> Result<()> {
        let result = self.receive().and_then(|()| self.inlet.finish());
        // Whatever has happened, what was taken is completed: faded out, or recorded.
        if let Some(player) = self.player {
            player.stop();
        }
        match result.and(self.inlet.complete()) {
            Err(error) if is_broken_pipe(&error) => Ok(()),
            result => result,
        }
    }

    fn receive(&mut self) -> Result<()> {
        while !self.stop.load(Ordering::Relaxed) {
            if self.inlet.is_drawn_from() {
                thread::sleep(REST);
            } else if self.inlet.wait(WAIT)?
                && let Some(player) = &self.player
            {
                player.wake();
            }
            self.keep_group();
        }
        Ok(())
    }

    fn keep_group(&mut self) {
        let Some(group) = &mut self.group else { return };
        for text in group.keep(Moment::now(), self.counters.received()) {
            // If nobody listens, it is not told.
            let _ = self.news.try_send(News::Source(text));
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
