//! The thread of an engine: it wakes when there is something to copy, and looks after sockets and shared memory.

use core::sync::atomic::Ordering;

use super::{Core, Next};
use crate::kernel::event::wait_for_either;
use crate::kernel::thread::Body;
use crate::kernel::{Shared, Timer, clock};
use crate::transport::ivshmem::Search;
use crate::transport::wsk::Sockets;

/// The thread's body. The fields are dropped in this order.
pub(super) struct DmaTimer {
    pub(super) core: Shared<Core>,
    pub(super) timer: Timer,
    /// None for a stream that goes to shared memory only.
    pub(super) sockets: Option<Sockets>,
    /// None for a stream that goes to the network only.
    pub(super) search: Option<Search<Core>>,
}

impl Body for DmaTimer {
    fn run(mut self) {
        let mut running = false;
        while !self.core.ending.load(Ordering::Acquire) {
            let next = self.core.service();
            match next.delay {
                Some(delay) => self.timer.set(delay),
                None => self.timer.cancel(),
            }
            // No lock is held: sockets are opened and closed, and memory is mapped, at PASSIVE_LEVEL.
            self.look_after_outputs(&next, next.delay.is_some() && !running);
            running = next.delay.is_some();
            wait_for_either(&self.core.changed, &self.timer);
        }
        self.end();
    }
}

impl DmaTimer {
    fn look_after_outputs(&mut self, next: &Next, playing_begins: bool) {
        let core = &*self.core;
        if let Some(sockets) = &mut self.sockets {
            sockets.look_after(next.now, next.broken, playing_begins, |target, socket| {
                if let Some(network) = core.state.lock().output.network() {
                    network.use_socket(target, Some(socket), next.now);
                }
            });
        }
        if let Some(search) = &mut self.search {
            search.look(next.now, playing_begins);
        }
    }

    /// Lets go of everything, after what was sent last.
    fn end(&mut self) {
        let mut state = self.core.state.lock();
        if let Some(network) = state.output.network() {
            network.take_all(clock::now());
        }
        drop(state);
        self.search = None;
        if let Some(sockets) = &mut self.sockets {
            sockets.close();
        }
    }
}
