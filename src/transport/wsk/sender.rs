//! Packets in preallocated memory, sent without waiting.
//!
//! There is a fixed number of [`Slot`]s. One is being filled, some are full and about to be sent, some are on their way
//! and come back through a completion routine, the rest are free. With none free, the oldest thing that can be given up
//! is the packet that just became full: it is dropped and counted.

use alloc::boxed::Box;
use core::cell::UnsafeCell;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

use protocol::{MAX_PACKET, MAX_SLOTS, Packet, Slots, StreamFormat, packet_frames};
use wdk_sys::{NT_SUCCESS, NTSTATUS, STATUS_FILE_FORCED_CLOSED};

use super::socket::OpenSocket;
use crate::abi::wsk::WSK_BUF;
use crate::events::{self, Pace};
use crate::kernel::irp::{Completion, Irp, Mdl};
use crate::kernel::{Event, Result, Shared, SockAddr, try_box};
use crate::transport::Totals;

/// Packets that can be under way at once, at least: 0.31 s of CD audio.
const FEWEST_SLOTS: u32 = 48;
/// And so many milliseconds of the denser formats, as far as there are places: 12 ms of the densest.
const COVERED_MS: u32 = 40;
/// Places for slots. They keep a stream below 128 KiB.
const MOST_SLOTS: usize = MAX_SLOTS as usize;

/// Packets that wait for a socket that is not open yet: enough for the time that takes when all is well, and not so many
/// that they would be heard late.
const WAITING: usize = 8;

/// What completions share with the sender.
struct Traffic {
    /// The users are the sender and each packet under way.
    slots: Slots,
    drained: Event,
    /// The network has closed the socket: it is of no use any more.
    socket_is_broken: AtomicBool,
    /// Packets that the network took.
    sent: AtomicU64,
    /// Packets that were never given to the network.
    dropped: AtomicU64,
    /// Packets that the network did not take.
    failed: AtomicU64,
    /// The status of the last of these.
    last_status: AtomicI32,
}

impl Traffic {
    /// The packet in a slot is dropped; the slot is free.
    fn give_up(&self, index: u32) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
        self.slots.give_back(index);
    }

    fn totals(&self) -> Totals {
        let failed = self.failed.load(Ordering::Acquire);
        Totals {
            sent: self.sent.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            failed,
            last_status: self.last_status.load(Ordering::Relaxed),
        }
    }

    /// Gives up being a user; nothing of `self` is touched afterwards but by the last one.
    fn leave(&self) {
        if self.slots.leave() {
            self.drained.set();
        }
    }
}

/// A packet's memory and what sending it takes.
struct Slot {
    index: u32,
    traffic: Shared<Traffic>,
    irp: Irp,
    /// Describes `packet`; declared before it, so dropped before it.
    _mdl: Mdl,
    /// WSK may read it until the send completes.
    buffer: UnsafeCell<WSK_BUF>,
    /// The network reads it until the send completes.
    packet: Box<UnsafeCell<Packet>>,
}

// SAFETY: a slot's memory is used by the sender while it is not under way, and by the network while it is; [`Slots`]
// hands it over.
unsafe impl Sync for Slot {}
// SAFETY: as above.
unsafe impl Send for Slot {}

impl Completion for Slot {
    fn completed(&self, status: NTSTATUS) {
        // The slot may be used again as soon as it is marked free, and freed as soon as this user has left.
        let traffic = &*self.traffic;
        if NT_SUCCESS(status) {
            traffic.sent.fetch_add(1, Ordering::Relaxed);
        } else {
            traffic.last_status.store(status, Ordering::Relaxed);
            // Whoever sees the count sees the status.
            traffic.failed.fetch_add(1, Ordering::Release);
        }
        if status == STATUS_FILE_FORCED_CLOSED {
            traffic.socket_is_broken.store(true, Ordering::Release);
        }
        traffic.slots.give_back(self.index);
        traffic.leave();
    }
}

impl Slot {
    fn try_new(index: u32, format: StreamFormat, traffic: Shared<Traffic>) -> Result<Box<Self>> {
        let packet = try_box(UnsafeCell::new(Packet::new(format)))?;
        // SAFETY: a packet begins with its bytes, and the slot drops the description before the packet.
        let mdl = unsafe { Mdl::describe(packet.get().cast(), MAX_PACKET as u32) }?;
        let buffer = UnsafeCell::new(WSK_BUF { Mdl: mdl.as_ptr(), Offset: 0, Length: 0 });
        try_box(Self { index, traffic, irp: Irp::try_new()?, _mdl: mdl, buffer, packet })
    }
}

/// Sends the packets of one stream to one target.
pub struct Sender {
    /// The number of the stream, for events.
    stream: u32,
    /// What events have told so far.
    told: Totals,
    pace: Pace,
    format: StreamFormat,
    /// Those that there are come first.
    slots: [Option<Box<Slot>>; MOST_SLOTS],
    traffic: Shared<Traffic>,
    socket: Option<OpenSocket>,
    /// Where packets go. WSK may read it until a send completes.
    remote: Box<SockAddr>,
    /// What had become of the packets when a packet last got through, or none was lost since; and when that was seen.
    healthy: (Totals, u64),
    /// The time in which a packet has to get through, in ticks of the performance counter.
    patience: u64,
    /// The slot that is being filled.
    filling: usize,
    /// Slots whose packets are to be sent, oldest first.
    full: Queue,
}

impl Sender {
    /// A sender without a socket, of a stream with a number. `second` is in ticks of the performance counter. In a block
    /// of its own, as there may be several. PASSIVE_LEVEL.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn try_new(stream: u32, format: StreamFormat, target: SocketAddr, second: u64) -> Result<Box<Self>> {
        let count = slots_for(format);
        let slots = Slots::new(count);
        // The first is filled first.
        let filling = slots.claim().unwrap_or(0) as usize;
        let traffic = Shared::try_new(Traffic {
            slots,
            drained: Event::try_new()?,
            socket_is_broken: AtomicBool::new(false),
            sent: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            last_status: AtomicI32::new(0),
        })?;
        let mut slots = [const { None }; MOST_SLOTS];
        for (index, slot) in (0..count).zip(&mut slots) {
            *slot = Some(Slot::try_new(index, format, traffic.clone())?);
        }
        try_box(Self {
            stream,
            told: Totals::default(),
            pace: Pace::new(second),
            format,
            slots,
            traffic,
            socket: None,
            remote: try_box(target.into())?,
            healthy: (Totals::default(), 0),
            patience: second / 2,
            filling,
            full: Queue::new(),
        })
    }

    /// Packets go out through `socket` from now on, the last few that waited for it first; without one they wait, and
    /// all but the last few are lost.
    ///
    /// A socket that is taken away is not used by any function afterwards, though packets may be under way.
    pub fn use_socket(&mut self, socket: Option<OpenSocket>, now: u64) {
        self.socket = socket;
        self.begin(now);
        self.traffic.socket_is_broken.store(false, Ordering::Release);
        self.send();
    }

    /// Tells of the packets that were lost since this was last told, if it is time to.
    pub fn tell_losses(&mut self, now: u64) {
        let totals = self.traffic.totals();
        let dropped = totals.dropped.wrapping_sub(self.told.dropped);
        let failed = totals.failed.wrapping_sub(self.told.failed);
        if (dropped, failed) != (0, 0) && self.pace.allows(now) {
            events::packets_lost(self.stream, &self.remote, dropped, failed, totals.last_status);
            self.told = totals;
        }
    }

    /// Whether the socket is of no use: the network has closed it, or for a while packets were lost and none got through.
    pub fn socket_is_broken(&mut self, now: u64) -> bool {
        if self.socket.is_none() {
            return false;
        }
        let totals = self.traffic.totals();
        let (seen, since) = self.healthy;
        let got_through = totals.sent != seen.sent;
        if got_through || (totals.dropped, totals.failed) == (seen.dropped, seen.failed) {
            self.healthy = (totals, now);
        }
        let closed = self.traffic.socket_is_broken.load(Ordering::Acquire);
        closed || self.healthy.0 == seen && now.saturating_sub(since) >= self.patience
    }

    /// What was lost before does not count against the socket: the stream begins to run.
    pub fn begin(&mut self, now: u64) {
        self.healthy = (self.traffic.totals(), now);
    }

    /// Goes on to the next slot; the packet that was filled is to be sent, or lost when there is no other slot.
    pub fn next_packet(&mut self) {
        let next = self.traffic.slots.claim().or_else(|| {
            self.send();
            self.traffic.slots.claim()
        });
        match next {
            Some(next) => {
                self.full.push(self.filling);
                self.filling = next as usize;
            }
            None => {
                self.traffic.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
        let format = self.format;
        if let Some(packet) = self.packet() {
            packet.reset(format);
        }
    }

    /// The packet that is being filled.
    pub fn packet(&mut self) -> Option<&mut Packet> {
        let slot = self.slots.get_mut(self.filling)?.as_mut()?;
        // SAFETY: the slot that is being filled is not under way, and `self` is borrowed mutably.
        Some(unsafe { &mut *slot.packet.get() })
    }

    /// Sends the packets that are full.
    pub fn send(&mut self) {
        let keep = if self.socket.is_some() { 0 } else { WAITING };
        while self.full.length > keep {
            let Some(Some(slot)) = self.full.pop().and_then(|index| self.slots.get(index)) else { return };
            match self.socket {
                Some(socket) => self.send_slot(slot, socket),
                None => self.traffic.give_up(slot.index),
            }
        }
    }

    /// What became of the packets so far.
    pub fn totals(&self) -> Totals {
        let totals = self.traffic.totals();
        // What still waits for a socket is lost too, if there is never one.
        Totals { dropped: totals.dropped.saturating_add(self.full.length as u64), ..totals }
    }

    /// Sends one packet; its slot comes back when that is done, also when it fails.
    fn send_slot(&self, slot: &Slot, socket: OpenSocket) {
        // SAFETY: the slot is ours: it is not free, and not under way.
        let length = unsafe { (*slot.packet.get()).as_bytes().len() };
        // SAFETY: as above.
        unsafe { (*slot.buffer.get()).Length = length as u64 };
        self.traffic.slots.enter();
        // SAFETY: the packet is not in use, and the slot stays until the completion was told (see `Drop`).
        let irp = unsafe { slot.irp.prepare(slot) };
        let send_to = socket.dispatch().WskSendTo;
        // SAFETY: the socket is open and bound; buffer, destination and packet stay until the completion.
        let _ = unsafe {
            send_to(
                socket.as_ptr(),
                slot.buffer.get(),
                0,
                self.remote.as_ptr().cast_mut(),
                0,
                core::ptr::null_mut(),
                irp,
            )
        };
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        // The socket has been closed, so nothing new is sent and what was under way ends.
        self.traffic.leave();
        self.traffic.drained.wait();
    }
}

/// How many packets of a format can be under way.
fn slots_for(format: StreamFormat) -> u32 {
    let frames = format.rate().get() / 1000 * COVERED_MS;
    frames.div_ceil(packet_frames(format).get()).clamp(FEWEST_SLOTS, MAX_SLOTS)
}

/// Slots in the order in which they became full.
struct Queue {
    slots: [u8; MOST_SLOTS],
    first: usize,
    length: usize,
}

impl Queue {
    const fn new() -> Self {
        Self { slots: [0; MOST_SLOTS], first: 0, length: 0 }
    }

    /// Cannot overflow: there are no more slots than places.
    fn push(&mut self, slot: usize) {
        let place = (self.first + self.length) % MOST_SLOTS;
        if let Some(place) = self.slots.get_mut(place) {
            *place = slot as u8;
            self.length += 1;
        }
    }

    fn pop(&mut self) -> Option<usize> {
        if self.length == 0 {
            return None;
        }
        let slot = self.slots.get(self.first).copied()?;
        self.first = (self.first + 1) % MOST_SLOTS;
        self.length -= 1;
        Some(slot.into())
    }
}
