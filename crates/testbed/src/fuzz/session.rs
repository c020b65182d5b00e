//! One input, carried out: a machine boots, the driver's device starts, the requests come one after the other, and
//! everything is taken away again.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::input::Script;
use super::request::{Request, SLOTS};
use crate::client::{Buffer, Format, Stream};
use crate::device::{Filter, PowerState};
use crate::image::Image;
use crate::ivshmem;
use crate::kernel::driver::service_key;
use crate::kernel::registry;
use crate::machine::machine;
use crate::nt::{KEvent, NtStatus};
use crate::portcls::abi::KsState;
use crate::portcls::{CloseOrder, Property};
use crate::schedule;
use crate::trace::{self, Kept, Trace};
use crate::{Config, Device, Driver, Machine, network, watch};

/// How one input is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mode {
    /// Notes which instructions of the image run, which takes a microsecond or two for each.
    pub(super) guided: bool,
    /// Request memory ends at an unmapped page to the byte, and undefined memory has its usual contents; otherwise it is
    /// aligned as Windows aligns it, and undefined memory has other contents. A driver that keeps to its own memory does
    /// the same in both.
    pub(super) exact: bool,
    pub(super) kept: Kept,
}

/// What came of one input.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// What went wrong: which request was under way (`None`: after the last), and what it was.
    pub(super) problems: Vec<(Option<usize>, String)>,
    /// How often each kind of request was answered with a status.
    pub(super) answers: BTreeMap<(&'static str, i32), u64>,
    /// The digest of the trace after each request.
    pub(super) digests: Vec<u64>,
    /// Instructions that ran: see [`Counter::take_reached`](crate::instructions::Counter::take_reached).
    pub(super) reached: Vec<u64>,
    /// Reads of audio that changed behind each of them.
    pub(super) disturbed: u64,
    pub(super) trace: Trace,
}

/// What the machine's thread and its outside share.
#[derive(Default)]
struct Notes {
    /// The request that is under way.
    at: Cell<Option<usize>>,
    /// Every buffer is one that changes while it is read.
    scribbles: Cell<bool>,
    /// The violations before each request.
    violations: RefCell<Vec<usize>>,
    problems: RefCell<Vec<(Option<usize>, String)>>,
    answers: RefCell<BTreeMap<(&'static str, i32), u64>>,
    digests: RefCell<Vec<u64>>,
    reached: RefCell<Vec<u64>>,
    disturbed: Cell<u64>,
}

impl Notes {
    fn problem(&self, text: impl Into<String>) {
        let text = text.into();
        trace::note(|| format!("PROBLEM: {text}"));
        self.problems.borrow_mut().push((self.at.get(), text));
    }

    /// The request in which the violation of a number was recorded.
    fn request_of(&self, violation: usize) -> Option<usize> {
        let violations = self.violations.borrow();
        let later = violations.iter().position(|before| *before > violation);
        match later {
            Some(0) => None,
            Some(index) => Some(index - 1),
            // No request came after it: the one that never ended, if any.
            None => self.at.get(),
        }
    }
}

/// The properties that a driver's filters have.
pub(super) fn known_properties(image: &Image, service: &str) -> Vec<(Filter, Property)> {
    let (image, service) = (image.clone(), service.to_owned());
    let outcome = Machine::run(Config::default(), move || {
        let driver = Driver::load(&image, &service).ok()?;
        let device = Device::add(&driver).ok()?;
        device.start().ok()?;
        let known = properties_of(&device);
        let _ = device.remove();
        driver.unload();
        Some(known)
    });
    outcome.value.flatten().unwrap_or_default()
}

/// The properties that a device's filters have.
pub(super) fn properties_of(device: &Device) -> Vec<(Filter, Property)> {
    let of = |filter| device.known_properties(filter).into_iter().map(move |property| (filter, property));
    of(Filter::Wave).chain(of(Filter::Topology)).collect()
}

/// Carries an input out.
pub(super) fn carry_out(image: &Image, service: &str, script: &Script, mode: Mode) -> Outcome {
    let notes = Rc::new(Notes::default());
    let usual = Config::default();
    let config = Config {
        seed: Some(script.seed),
        trace: mode.kept,
        count_instructions: mode.guided,
        exact_requests: mode.exact,
        undefined: if mode.exact { usual.undefined } else { !usual.undefined },
        ..usual
    };
    let (image, service, requests) = (image.clone(), service.to_owned(), script.requests.clone());
    let inside = Rc::clone(&notes);
    inside.scribbles.set(script.seed % 2 == 1);
    let outcome = Machine::run(config, move || live(&inside, &image, &service, &requests));
    let mut problems: Vec<(Option<usize>, String)> = outcome
        .violations
        .iter()
        .enumerate()
        .map(|(number, violation)| (notes.request_of(number), violation.to_string()))
        .collect();
    problems.extend(notes.problems.take());
    if outcome.value.is_none() && problems.is_empty() {
        problems.push((notes.at.get(), "the machine stopped before its end".to_owned()));
    }
    Outcome {
        problems,
        answers: notes.answers.take(),
        digests: notes.digests.take(),
        reached: notes.reached.take(),
        disturbed: notes.disturbed.get(),
        trace: outcome.trace,
    }
}

fn live(notes: &Rc<Notes>, image: &Image, service: &str, requests: &[Request]) {
    machine().counter.pause(true);
    // What the option UseIVSHMEM finds.
    let _memory = ivshmem::Device::plug(1 << 20, ivshmem::Generation::WithConfiguration);
    let driver = match Driver::load(image, service) {
        Ok(driver) => driver,
        Err(error) => return notes.problem(format!("the driver does not load: {error}")),
    };
    let device = match Device::add(&driver) {
        Ok(device) => device,
        Err(status) => return notes.problem(format!("AddDevice returned {status}")),
    };
    match device.start() {
        Ok(()) => ask_all(notes, service, &device, requests),
        Err(status) => notes.problem(format!("StartDevice returned {status}")),
    }
    for (what, result) in [("a query for the removal", device.query_remove()), ("a removal", device.remove())]
    {
        if let Err(status) = result {
            notes.problem(format!("{what} returned {status}"));
        }
    }
    driver.unload();
    if registry::open_keys() > 0 {
        notes.problem(format!("{} registry keys are open at the end", registry::open_keys()));
    }
}

/// Every request, then what is left of the streams.
fn ask_all(notes: &Rc<Notes>, service: &str, device: &Device, requests: &[Request]) {
    let mut session = Session {
        notes,
        options: format!(r"{}\Options", service_key(service)),
        device,
        slots: Default::default(),
        asleep: false,
    };
    let counter = &machine().counter;
    counter.pause(false);
    for (index, request) in requests.iter().enumerate() {
        notes.violations.borrow_mut().push(machine().verifier.count());
        notes.at.set(Some(index));
        let kind = request.kind();
        let (status, size) = session.ask(request);
        if notes.scribbles.get() {
            watch::watch_buffers();
        }
        trace::note(|| format!("request {index}, {kind}: {status}, {size}"));
        *notes.answers.borrow_mut().entry((kind, status.0)).or_default() += 1;
        session.listen();
        notes.digests.borrow_mut().push(machine().recorder.digest());
    }
    notes.violations.borrow_mut().push(machine().verifier.count());
    notes.at.set(None);
    session.slots = Default::default();
    session.listen();
    counter.pause(true);
    if session.asleep
        && let Err(status) = device.set_power(PowerState::D0)
    {
        notes.problem(format!("D0 returned {status}"));
    }
    notes.disturbed.set(watch::accesses());
    *notes.reached.borrow_mut() = counter.take_reached();
}

/// A stream that is open.
struct Slot {
    stream: Stream,
    events: Vec<*mut KEvent>,
}

struct Session<'a> {
    notes: &'a Notes,
    options: String,
    device: &'a Device,
    slots: [Option<Slot>; SLOTS],
    asleep: bool,
}

/// A status and the size of what was answered.
type Answer = (NtStatus, u32);

fn status_of<T>(result: Result<T, NtStatus>) -> Answer {
    (result.err().unwrap_or(NtStatus::SUCCESS), 0)
}

/// What stands for a request that Windows does not pass on: no status of its own, but one of a customer.
pub(super) const REFUSED_STATUS: NtStatus = NtStatus(0xE000_0001_u32 as i32);
const REFUSED: Answer = (REFUSED_STATUS, 0);

impl Session<'_> {
    fn ask(&mut self, request: &Request) -> Answer {
        match request {
            Request::Property(request) => {
                let stream = |slot: usize| self.slots[slot].as_ref().map(|slot| &slot.stream);
                request.ask(self.device, stream).unwrap_or(REFUSED)
            }
            Request::Intersection { pin, own, client, capacity } => {
                self.intersect(*pin, *own, client, *capacity)
            }
            Request::NewStream { slot, pin, capture, format } => self.open(*slot, *pin, *capture, format),
            Request::Option { name, value } => {
                match value {
                    Some(value) => registry::set(&self.options, name, value.clone()),
                    None => registry::delete(&self.options, name),
                }
                (NtStatus::SUCCESS, 0)
            }
            Request::Scribble => (NtStatus::SUCCESS, watch::watch_buffers() as u32),
            Request::Sleep { nanoseconds } => {
                schedule::sleep_until(schedule::now() + nanoseconds);
                (NtStatus::SUCCESS, 0)
            }
            Request::Power { on } => {
                if self.asleep != *on {
                    return REFUSED;
                }
                self.asleep = !on;
                let state = if *on { PowerState::D0 } else { PowerState::D3 };
                status_of(self.device.set_power(state))
            }
            Request::Close { slot, buffer_first } => {
                let Some(Slot { stream, .. }) = self.slots[*slot].take() else { return REFUSED };
                let order = if *buffer_first { CloseOrder::BufferFirst } else { CloseOrder::EventsFirst };
                stream.close_in_order(order);
                (NtStatus::SUCCESS, 0)
            }
            of_a_stream => self.ask_stream(of_a_stream),
        }
    }

    fn intersect(&self, pin: u32, own: usize, client: &[u8], capacity: u32) -> Answer {
        let (status, length) = self.device.intersect(pin, client, own, capacity);
        if status.is_success() && (length == 0 || length > capacity) {
            let text = format!("DataRangeIntersection returned {length} bytes in a buffer of {capacity}");
            self.notes.problem(text);
        }
        (status, length)
    }

    fn open(&mut self, slot: usize, pin: u32, capture: bool, format: &[u8]) -> Answer {
        if self.slots[slot].is_some() {
            return REFUSED;
        }
        match self.device.new_stream(pin, capture, &Format::pcm(48_000, 16, 2), format) {
            Ok(stream) => {
                self.slots[slot] = Some(Slot { stream, events: Vec::new() });
                (NtStatus::SUCCESS, 0)
            }
            Err(status) => (status, 0),
        }
    }

    fn ask_stream(&mut self, request: &Request) -> Answer {
        let slot = match request {
            Request::SetFormat { slot, .. }
            | Request::Allocate { slot, .. }
            | Request::FreeBuffer { slot }
            | Request::SetState { slot, .. }
            | Request::CallSetState { slot, .. }
            | Request::RegisterEvent { slot, .. }
            | Request::UnregisterEvent { slot, .. }
            | Request::Position { slot, .. }
            | Request::Latency { slot }
            | Request::Registers { slot }
            | Request::PacketCount { slot }
            | Request::PresentationPosition { slot }
            | Request::SetWritePacket { slot, .. }
            | Request::Write { slot, .. } => *slot,
            _ => return REFUSED,
        };
        let asleep = self.asleep;
        self.slots[slot].as_mut().map_or(REFUSED, |slot| slot.ask(request, asleep))
    }

    /// Takes what was sent: packets of whole frames, of audio that was in the buffer.
    fn listen(&self) {
        for datagram in network::take_datagrams() {
            let Ok((format, audio)) = protocol::packet::parse(&datagram.payload) else {
                self.notes.problem(format!("sent {:02x?}", datagram.payload));
                continue;
            };
            // How often a copy reads depends on the processor.
            let audio_known = watch::accesses() == 0;
            trace::note(|| {
                let known = if audio_known { audio } else { &[] };
                format!("a packet of {} bytes, {format:?}: {known:02x?}", audio.len())
            });
            if let Some(byte) = audio.iter().find(|byte| !watch::BYTES.contains(byte)) {
                self.notes.problem(format!("sent a byte {byte:#04x}, which was never in the buffer"));
            }
        }
    }
}

impl Slot {
    fn ask(&mut self, request: &Request, asleep: bool) -> Answer {
        let stream = &mut self.stream;
        match request {
            Request::SetFormat { format, .. } => status_of(stream.set_format(format)),
            // A pin has one buffer in its life, but for tests.
            Request::Allocate { bytes, notifications, .. } if stream.buffer_bytes() == 0 => {
                let (bytes, count) = (*bytes, *notifications);
                let buffer =
                    if count == 0 { Buffer::Polled { bytes } } else { Buffer::Notified { bytes, count } };
                let answer = status_of(stream.allocate(buffer));
                (answer.0, stream.buffer_bytes())
            }
            Request::FreeBuffer { .. } if stream.state() == KsState::Stop => {
                stream.free_buffer();
                (NtStatus::SUCCESS, 0)
            }
            Request::SetState { state, .. } => status_of(stream.set_state(*state)),
            // PortCls itself asks for no state while the device sleeps.
            Request::CallSetState { state, .. } if !asleep => status_of(stream.call_set_state(*state)),
            Request::RegisterEvent { again: true, .. } if !self.events.is_empty() => {
                status_of(stream.register_again(self.events[0]))
            }
            Request::RegisterEvent { .. } => {
                let event = stream.register_event();
                self.events.extend(event.ok());
                status_of(event)
            }
            Request::UnregisterEvent { keep, .. } => {
                let Some(event) = self.events.last().copied() else { return REFUSED };
                if !keep {
                    self.events.pop();
                }
                status_of(stream.unregister_event(event))
            }
            Request::Position { at_dispatch_level, .. } => {
                let position =
                    if *at_dispatch_level { stream.position_at_dispatch_level() } else { stream.position() };
                let offset = position.map_or(0, |position| position.play_offset as u32);
                (status_of(position).0, offset)
            }
            Request::Latency { .. } => status_of(stream.latency()),
            Request::Registers { .. } => {
                status_of(stream.registers().and_then(|(position, _)| position.ok()))
            }
            Request::PacketCount { .. } => status_of(stream.packet_count()),
            Request::PresentationPosition { .. } => status_of(stream.presentation_position()),
            Request::SetWritePacket { number, flags, end, .. } => {
                status_of(stream.set_write_packet(*number, *flags, *end))
            }
            Request::Write { offset, bytes, byte, .. } if stream.buffer_bytes() > 0 => {
                let bytes = (*bytes).min(stream.buffer_bytes());
                stream.write(*offset as usize, &vec![*byte; bytes as usize]);
                (NtStatus::SUCCESS, bytes)
            }
            _ => REFUSED,
        }
    }
}
