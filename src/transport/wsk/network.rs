//! All targets of a stream: the same packets go to each.
//!
//! Every target has a socket and packets of its own, so that one that fails or hangs takes nothing from the others. The
//! audio is copied out of the cyclic buffer once, into a packet of the first target; the others copy that.

use alloc::boxed::Box;

use protocol::{MAX_TARGETS, Options, StreamFormat, packet_frames};

use super::client::Client;
use super::sender::Sender;
use super::setup::SocketSetup;
use super::socket::{OpenSocket, Socket};
use crate::kernel::{Event, Result, Shared};
use crate::transport::{Totals, Transport};

/// The senders of a stream, in the engine's state. Those that there are come first.
pub struct Network {
    format: StreamFormat,
    senders: [Option<Box<Sender>>; MAX_TARGETS],
}

/// The sockets of a stream, which belong to the DMA-timer thread: as many as senders, in the same order.
pub struct Sockets {
    sockets: [Option<Box<Socket>>; MAX_TARGETS],
}

/// Targets whose sockets have to be opened anew: bit n is that of target n.
pub type Broken = u8;

const _: () = assert!(MAX_TARGETS <= Broken::BITS as usize);

impl Network {
    /// Senders for all targets, without sockets, of a stream with a number. `second` is in ticks of the performance
    /// counter. PASSIVE_LEVEL.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn try_new(stream: u32, format: StreamFormat, options: &Options, second: u64) -> Result<Self> {
        let mut senders = [const { None }; MAX_TARGETS];
        for (target, sender) in options.targets.as_slice().iter().zip(&mut senders) {
            *sender = Some(Sender::try_new(stream, format, *target, second)?);
        }
        Ok(Self { format, senders })
    }

    fn senders(&mut self) -> impl Iterator<Item = &mut Sender> {
        self.senders.iter_mut().flatten().map(|sender| &mut **sender)
    }

    /// Packets to a target go out through `socket` from now on; `None` takes its socket away.
    pub fn use_socket(&mut self, target: usize, socket: Option<OpenSocket>, now: u64) {
        if let Some(sender) = self.senders().nth(target) {
            sender.use_socket(socket, now);
        }
    }

    /// Takes the sockets away that are of no use, and says which.
    pub fn take_broken(&mut self, now: u64) -> Broken {
        let mut broken = 0;
        for (target, sender) in self.senders().enumerate() {
            if sender.socket_is_broken(now) {
                sender.use_socket(None, now);
                broken |= 1 << target;
            }
        }
        broken
    }

    /// Takes all sockets away: the stream ends.
    pub fn take_all(&mut self, now: u64) {
        self.senders().for_each(|sender| sender.use_socket(None, now));
    }

    /// The packet that was filled for the first target is to be sent to all.
    fn pass_on(&mut self) {
        let [Some(first), others @ ..] = &mut self.senders else { return };
        if let Some(packet) = first.packet() {
            for other in others.iter_mut().flatten() {
                if let Some(copy) = other.packet() {
                    copy.copy_from(packet);
                    other.next_packet();
                }
            }
        }
        first.next_packet();
    }
}

impl Transport for Network {
    fn unit(&self) -> core::num::NonZeroU32 {
        packet_frames(self.format)
    }

    fn append(&mut self, available: usize, fill: &mut dyn FnMut(&mut [u8])) -> usize {
        let Some(packet) = self.senders().next().and_then(Sender::packet) else { return 0 };
        let taken = packet.append(available, fill);
        if packet.is_full() {
            self.pass_on();
        }
        taken
    }

    fn flush(&mut self) {
        if self.senders().next().and_then(Sender::packet).is_some_and(|packet| !packet.is_empty()) {
            self.pass_on();
        }
    }

    fn send(&mut self) {
        self.senders().for_each(Sender::send);
    }

    fn begin(&mut self, now: u64) {
        self.senders().for_each(|sender| sender.begin(now));
    }

    fn tell_losses(&mut self, now: u64) {
        self.senders().for_each(|sender| sender.tell_losses(now));
    }

    fn totals(&self) -> Totals {
        let senders = self.senders.iter().flatten();
        senders.fold(Totals::default(), |totals, sender| totals.and(sender.totals()))
    }
}

impl Sockets {
    /// Sockets for all targets, not open yet. `second` is in ticks of the performance counter; `wake` is set when a step
    /// of one of them has ended. PASSIVE_LEVEL.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn try_new(
        stream: u32,
        options: &Options,
        client: &'static Client,
        second: u64,
        wake: &Shared<Event>,
    ) -> Result<Self> {
        let mut sockets = [const { None }; MAX_TARGETS];
        for (target, socket) in options.targets.as_slice().iter().zip(&mut sockets) {
            let setup = SocketSetup::new(*target, options);
            *socket = Some(Socket::try_new(stream, setup, client, second, wake.clone())?);
        }
        Ok(Self { sockets })
    }

    /// Closes the sockets that are of no use, opens those that are closed if it is time to or playing begins, and tells
    /// `ready` of each that can be used now. No lock is held. PASSIVE_LEVEL.
    pub fn look_after(
        &mut self,
        now: u64,
        broken: Broken,
        playing_begins: bool,
        mut ready: impl FnMut(usize, OpenSocket),
    ) {
        for (target, socket) in self.sockets.iter_mut().flatten().enumerate() {
            if broken & (1 << target) != 0 {
                socket.reopen(now);
            }
            if let Some(open) = socket.go_on(now, playing_begins) {
                ready(target, open);
            }
        }
    }

    /// Closes all sockets and waits until that is done. PASSIVE_LEVEL.
    pub fn close(&mut self) {
        // All begin before the first is awaited, so that a slow network is waited for once.
        self.sockets.iter_mut().flatten().for_each(|socket| socket.begin_close());
        self.sockets.iter_mut().flatten().for_each(|socket| socket.close());
    }
}
