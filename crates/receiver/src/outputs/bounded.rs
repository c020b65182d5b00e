//! [`Bounded`]: calls into libraries that wait without an end for a server that hangs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use super::OutputError;
use super::pace::PATIENCE;

/// Has such calls done in threads that can be left behind, one at the most.
pub struct Bounded {
    server: &'static str,
    /// A thread is still waiting for a server that hangs.
    waiting: Arc<AtomicBool>,
}

impl Bounded {
    /// For calls to this server.
    pub fn new(server: &'static str) -> Self {
        Self { server, waiting: Arc::default() }
    }

    /// Does something that may hang with the server. If it comes back too late, what it gives is dropped, there.
    ///
    /// # Errors
    /// The server does not answer, or the last such call still waits for it.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, OutputError> {
        self.start(work)?.recv_timeout(PATIENCE).map_err(|_| self.silent())
    }

    /// Does something that may hang with the server, without waiting for it.
    ///
    /// # Errors
    /// The last such call still waits for the server.
    pub fn start<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Receiver<T>, OutputError> {
        if self.waiting.swap(true, Ordering::Acquire) {
            return Err(self.silent());
        }
        let (to, from) = mpsc::channel();
        let waiting = Arc::clone(&self.waiting);
        thread::spawn(move || {
            let done = work();
            waiting.store(false, Ordering::Release);
            // Nobody may be waiting for it any more.
            let _ = to.send(done);
        });
        Ok(from)
    }

    /// Closes what may hang with the server. Waits for that unless the server is known to have gone.
    #[cfg(any(feature = "jack", feature = "sndio"))]
    pub fn close<T: Send + 'static>(
        &self,
        open: T,
        result: Result<(), OutputError>,
    ) -> Result<(), OutputError> {
        match result {
            Ok(()) => self.run(move || drop(open)),
            Err(why) => self.start(move || drop(open)).and(Err(why)),
        }
    }

    fn silent(&self) -> OutputError {
        OutputError::Gone(format!("{} does not answer: restart it", self.server))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_call_that_hangs_is_left_behind_and_no_other_is_made_until_it_is_back() {
        let bounded = Bounded::new("the server");
        assert_eq!(bounded.run(|| 1), Ok(1));
        let (release, released) = mpsc::channel::<()>();
        let hangs = bounded.run(move || released.recv().unwrap_or(()));
        let silent = OutputError::Gone("the server does not answer: restart it".into());
        assert_eq!(hangs, Err(silent.clone()));
        assert_eq!(bounded.run(|| 2), Err(silent));
        drop(release);
        while bounded.run(|| 3).is_err() {
            thread::yield_now();
        }
    }
}
