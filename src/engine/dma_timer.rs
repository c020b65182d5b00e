//! The thread of an engine: it wakes when there is something to copy, and looks after the socket.

use core::sync::atomic::Ordering;

use super::Core;
use crate::kernel::event::{Woken, wait_for_any};
use crate::kernel::thread::Body;
use crate::kernel::{Shared, Timer, clock};
use crate::transport::wsk::Socket;

/// The thread's body.
pub(super) struct DmaTimer {
    pub(super) core: Shared<Core>,
    pub(super) timer: Timer,
    pub(super) socket: Socket,
}

impl Body for DmaTimer {
    fn run(mut self) {
        let mut running = false;
        while !self.core.ending.load(Ordering::Acquire) {
            let delay = self.core.service();
            match delay {
                Some(delay) => self.timer.set(delay),
                None => self.timer.cancel(),
            }
            self.look_after_socket(delay.is_some() && !running);
            running = delay.is_some();
            if wait_for_any(&self.core.changed, &self.timer, self.socket.step_event()) == Woken::Second {
                self.socket_step_done();
            }
        }
        self.core.state.lock().sender.use_socket(None);
        self.socket.close();
    }
}

impl DmaTimer {
    /// Opens the socket if it is closed and it is time to try, or playing has just begun; closes it if it is broken.
    fn look_after_socket(&mut self, playing_begins: bool) {
        let mut state = self.core.state.lock();
        let broken = state.sender.socket_is_broken();
        if broken {
            state.sender.use_socket(None);
        }
        // Sockets are opened and closed at PASSIVE_LEVEL, so not under the lock.
        drop(state);
        if broken {
            self.socket.reopen();
        }
        self.socket.advance(clock::now(), playing_begins);
    }

    fn socket_step_done(&mut self) {
        if let Some(socket) = self.socket.step_done(clock::now()) {
            self.core.state.lock().sender.use_socket(Some(socket));
        }
    }
}
