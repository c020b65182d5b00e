//! Which transport the frames of a stream take, and which frames are sent at all.

use alloc::boxed::Box;
use core::num::{NonZeroU32, NonZeroUsize};

use protocol::{GateRun, MAX_PAYLOAD, Options, SilenceGate, StreamFormat};

use super::ivshmem::Ring;
use super::wsk::Network;
use super::{Totals, Transport};
use crate::kernel::{Result, try_box};

/// The way out of one stream.
pub struct Output {
    route: Route,
    gate: Gate,
}

/// The transports of a stream.
enum Route {
    Network(Network),
    /// The shared memory, and the network for as long as there is none, if the options want that.
    Ring {
        ring: Box<Ring>,
        fallback: Option<Network>,
    },
}

impl Route {
    fn active(&mut self) -> &mut dyn Transport {
        match self {
            Self::Network(network) => network,
            Self::Ring { ring, fallback: Some(network) } if !ring.is_attached() => network,
            Self::Ring { ring, .. } => &mut **ring,
        }
    }
}

/// Keeps silence back.
struct Gate {
    gate: SilenceGate,
    /// Nothing has been sent since silence was recognised.
    closed: bool,
    /// Frames that were kept back.
    suppressed: u64,
    bytes_per_frame: NonZeroUsize,
    /// Private memory, as what decides must be what is sent.
    frames: Box<[u8; MAX_PAYLOAD]>,
}

impl Output {
    /// The way out that the options ask for, of a stream with a number. `second` is in ticks of the performance counter.
    /// PASSIVE_LEVEL.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn try_new(stream: u32, format: StreamFormat, options: &Options, second: u64) -> Result<Self> {
        let network = || Network::try_new(stream, format, options, second);
        let route = match options.ivshmem {
            None => Route::Network(network()?),
            Some(_) => Route::Ring {
                ring: try_box(Ring::try_new(stream, format, second)?)?,
                fallback: if options.uses_network() { Some(network()?) } else { None },
            },
        };
        let gate = Gate {
            gate: SilenceGate::new(format, options.silence_threshold),
            closed: false,
            suppressed: 0,
            bytes_per_frame: format.bytes_per_frame().into(),
            frames: try_box([0; MAX_PAYLOAD])?,
        };
        Ok(Self { route, gate })
    }

    /// Frames of a full unit of the transport that is in use now.
    pub fn unit(&mut self) -> NonZeroU32 {
        self.route.active().unit()
    }

    /// Frames of the longest unit that may be in use.
    pub fn longest_unit(&self) -> NonZeroU32 {
        match &self.route {
            Route::Network(network) => network.unit(),
            // A chunk is longer than a packet.
            Route::Ring { ring, .. } => ring.unit(),
        }
    }

    /// Takes `length` bytes, whole frames: `fill` is told how many came before. After a silence that was kept back, where
    /// the first unit begins: how many frames are before it.
    pub fn append(&mut self, length: usize, mut fill: impl FnMut(usize, &mut [u8])) -> Option<u64> {
        let transport = self.route.active();
        if self.gate.gate.is_on() {
            return self.gate.append(transport, length, fill);
        }
        append(transport, length, &mut fill);
        None
    }

    /// As [`Output::append`], with silence that is never kept back.
    pub fn append_silence(&mut self, length: usize) {
        append(self.route.active(), length, &mut |_, bytes| bytes.fill(0));
    }

    /// Ends the unit that is being filled.
    pub fn flush(&mut self) {
        self.route.active().flush();
    }

    /// Sends what is full or was flushed.
    pub fn send(&mut self) {
        self.route.active().send();
    }

    /// The stream begins to run at `now`, a reading of the performance counter.
    pub fn begin(&mut self, now: u64) {
        self.gate.gate.reset();
        self.gate.closed = false;
        self.route.active().begin(now);
    }

    /// Tells of units that were lost since this was last told, if it is time to.
    pub fn tell_losses(&mut self, now: u64) {
        self.route.active().tell_losses(now);
    }

    /// What became of the units so far, and how many frames of silence were kept back.
    pub fn totals(&self) -> (Totals, u64) {
        let totals = match &self.route {
            Route::Network(network) | Route::Ring { fallback: Some(network), .. } => network.totals(),
            Route::Ring { .. } => Totals::default(),
        };
        let ring = self.ring().map(Transport::totals).unwrap_or_default();
        (totals.and(ring), self.gate.suppressed)
    }

    /// The network, if the stream may be sent to it.
    pub fn network(&mut self) -> Option<&mut Network> {
        match &mut self.route {
            Route::Network(network) => Some(network),
            Route::Ring { fallback, .. } => fallback.as_mut(),
        }
    }

    /// The ring, if the stream is to be written to one.
    pub fn ring_mut(&mut self) -> Option<&mut Ring> {
        match &mut self.route {
            Route::Network(_) => None,
            Route::Ring { ring, .. } => Some(ring),
        }
    }

    const fn ring(&self) -> Option<&Ring> {
        match &self.route {
            Route::Network(_) => None,
            Route::Ring { ring, .. } => Some(ring),
        }
    }
}

impl Gate {
    fn append(
        &mut self,
        transport: &mut dyn Transport,
        length: usize,
        mut fill: impl FnMut(usize, &mut [u8]),
    ) -> Option<u64> {
        let frame = self.bytes_per_frame;
        let whole = MAX_PAYLOAD.saturating_sub(MAX_PAYLOAD % frame);
        let (mut done, mut reopened) = (0, None);
        while done < length {
            let part = length.saturating_sub(done).min(whole);
            let Some(mut pcm) = self.frames.get_mut(..part).filter(|pcm| pcm.len() >= frame.get()) else {
                break;
            };
            fill(done, pcm);
            while let Some(run) = self.gate.scan(pcm) {
                let bytes = run.frames().saturating_mul(frame.get());
                let (taken, rest) = pcm.split_at_mut_checked(bytes).unwrap_or_default();
                match run {
                    GateRun::Send(_) => {
                        if self.closed {
                            self.closed = false;
                            reopened = Some((done / frame) as u64);
                        }
                        append(transport, taken.len(), &mut |at, to| {
                            let from = taken.iter().skip(at);
                            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
                        });
                    }
                    GateRun::Suppress(frames) => {
                        if !self.closed {
                            self.closed = true;
                            transport.flush();
                        }
                        self.suppressed = self.suppressed.saturating_add(frames as u64);
                    }
                }
                done = done.saturating_add(bytes);
                pcm = rest;
            }
        }
        reopened
    }
}

/// Appends `length` bytes, whole frames: `fill` is told how many came before.
fn append(transport: &mut dyn Transport, length: usize, fill: &mut dyn FnMut(usize, &mut [u8])) {
    let mut done = 0;
    while done < length {
        let taken = transport.append(length.saturating_sub(done), &mut |bytes| fill(done, bytes));
        if taken == 0 {
            break;
        }
        done = done.saturating_add(taken);
    }
}
