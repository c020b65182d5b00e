//! The life of one stream.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use super::audio::{Demand, compare};
use super::bystander;
use super::outputs::Outputs;
use super::player::Client;
use super::world::World;
use crate::Device;
use crate::client::{Buffer, Format, Stream};
use crate::device::PowerState;
use crate::kernel::event;
use crate::machine::machine;
use crate::network::{self, Datagram};
use crate::nt::NtStatus;
use crate::portcls::CloseOrder;
use crate::portcls::abi::KsState;
use crate::schedule::{self, BOOT_TIME, DISPATCH_LEVEL, PASSIVE_LEVEL, Time};
use crate::trace;
use crate::wsk::{self, Call, Completion, Fault};

/// A buffer below this is emptied faster than a thread can be expected to look at it.
const SENSIBLE_RING: Time = 20_000_000;
/// How long the network may take for one request and still be called prompt.
const PROMPT: Time = 10_000_000;
/// The driver's longest time between two attempts to open a socket, and some more.
const SOCKET_RETRY: Time = 1_200_000_000;
/// The steps in which a socket is opened, at the most, and the end of the one before.
const STEPS: u64 = 6;
/// Most bytes of audio in a packet.
const PACKET: usize = protocol::MAX_PAYLOAD;
/// Sends that may hang without the driver running out of packets.
const HANGING: usize = 8;

const STATES: [KsState; 4] = [KsState::Stop, KsState::Acquire, KsState::Pause, KsState::Run];
/// What a device that was removed, or whose start failed, may answer to anything.
pub(super) const GONE: [NtStatus; 3] =
    [NtStatus::DEVICE_REMOVED, NtStatus::DEVICE_NOT_READY, NtStatus::NO_SUCH_DEVICE];

/// What may go missing, as far as is known.
#[derive(Default)]
struct Losses {
    /// Sends that were made to fail.
    sends: usize,
    /// Sends that hang.
    hanging: usize,
    /// Any number of packets.
    unlimited: bool,
    /// What was played is not known either: the device slept at times of its own choice.
    unknown: bool,
}

struct Session<'a> {
    world: &'a World,
    device: &'a Rc<Device>,
    client: Client,
    opened: Time,
    outputs: Outputs,
    losses: Losses,
    /// Nothing goes wrong in this one.
    calm: bool,
}

/// Opens a stream, does everything with it, closes it, and compares what was heard with what was played.
pub(super) fn play(world: &World, device: &Rc<Device>) {
    let format = world.choice.format();
    let outputs = Outputs::now();
    let faulty_registry = world.choice.once_in(10);
    if faulty_registry {
        let status = world.choice.of(&[
            NtStatus::ACCESS_DENIED,
            NtStatus::INSUFFICIENT_RESOURCES,
            NtStatus::OBJECT_NAME_NOT_FOUND,
        ]);
        let function = world.choice.of(&["ZwOpenKey", "ZwQueryValueKey"]);
        crate::crossing::inject(function, 1 + world.choice.below(3), status);
        world.count(|figures| figures.faults += 1);
    }
    let stream = open(world, device, &format);
    crate::crossing::inject_no_more();
    if outputs.use_memory() {
        (0..world.choice.below(3)).for_each(|_| world.memory.change(&world.choice));
    }
    let uncertain = faulty_registry || stream.as_ref().is_some_and(|(_, failed)| *failed);
    let outputs = if uncertain { outputs.uncertain() } else { outputs };
    let Some((stream, _)) = stream else { return };
    world.count(|figures| figures.streams += 1);
    let client = Client::new(stream, format, world.choice.clone());
    let losses = Losses { unlimited: outputs.leave_out(), ..Losses::default() };
    let calm = !world.choice.once_in(3);
    Session { world, device, client, opened: schedule::now(), outputs, losses, calm }.run();
}

/// Opens a stream; with it comes whether an allocation failed on the way.
fn open(world: &World, device: &Rc<Device>, format: &Format) -> Option<(Stream, bool)> {
    let proposed = device.propose(0, format);
    let faults = world.figures.get().faults;
    let mut refusals = vec![NtStatus::NO_MATCH, NtStatus::NOT_SUPPORTED];
    if world.removed.get() {
        refusals.extend(GONE);
    }
    let what =
        format!("opening a stream of {} Hz, {} bits, {} channels", format.rate, format.bits, format.channels);
    let opened = world.attempt(&what, 260, &refusals, || device.open_pin(0, format));
    if !world.removed.get() && proposed.is_ok() != opened.is_some() {
        world.problem(format!("a proposed format got {proposed:?}, and opening it {}", opened.is_some()));
    }
    opened.map(|stream| (stream, world.figures.get().faults > faults))
}

impl Session<'_> {
    fn run(mut self) {
        let others = bystander::accompany(self.world, self.device, self.client.stream.position_reader());
        self.losses.unknown = others.restless;
        self.client.exact = !others.restless;
        self.allocate();
        for _ in 0..3 + self.world.choice.below(50) {
            self.step();
        }
        others.finish();
        self.close();
    }

    fn step(&mut self) {
        let choice = self.world.choice.clone();
        match choice.below(25) {
            0..=5 => self.listen(choice.pause()),
            6 | 7 => self.ask_position(),
            8..=10 => self.set_state(choice.of(&STATES)),
            11 => self.call_set_state(choice.of(&STATES)),
            12 => self.change_events(),
            13 => self.ask(),
            14 => self.reallocate(),
            15 => self.sleep(),
            16 => self.break_network(),
            17 => self.run_for_long(),
            18 => self.write(),
            19 => self.announce(),
            20 => self.ask_packets(),
            21..=23 if self.outputs.use_memory() => self.world.memory.change(&choice),
            _ => self.set_state(KsState::Run),
        }
    }

    fn problem(&self, what: &str, result: Result<(), String>) {
        if let Err(text) = result {
            self.world.problem(format!("{what}: {text}"));
        }
    }

    fn write(&mut self) {
        let result = self.client.write();
        self.problem("writing", result);
    }

    fn announce(&mut self) {
        let result = self.client.announce();
        self.problem("announcing a packet", result);
    }

    fn ask_packets(&mut self) {
        let result = self.client.check_packets();
        self.problem("asking for packets", result);
    }

    /// Lets time pass, and writes.
    fn listen(&mut self, time: Time) {
        let until = schedule::now() + time;
        if self.client.events.is_empty() || self.world.choice.once_in(2) {
            schedule::sleep_until(until);
        } else {
            let event = self.world.choice.of(&self.client.events);
            event::wait(event, Some(until));
        }
        self.write();
    }

    /// Plays for a while, the way the audio engine does.
    fn run_for_long(&mut self) {
        self.write();
        self.set_state(KsState::Run);
        for _ in 0..self.world.choice.below(12) {
            self.client.stream.wait(Some(schedule::now() + 10_000_000));
            self.write();
        }
    }

    fn ask_position(&mut self) {
        let result = self.client.check_position(self.world.choice.once_in(2));
        self.problem("asking for the position", result);
    }

    fn allocate(&mut self) {
        let world = self.world;
        let buffer = world.choice.buffer(&self.client.format, self.calm);
        let what = format!("allocating {buffer:?}");
        let client = &mut self.client;
        let done = world.attempt(&what, 4, &[NtStatus::INVALID_PARAMETER], || client.allocate(buffer));
        if done.is_none() {
            // What every sound card must take.
            let frame = client.format.frame_bytes() as u32;
            let bytes = client.format.rate / 50 * frame;
            world.attempt("allocating 20 ms", 4, &[], || {
                client.allocate(Buffer::Notified { bytes, count: 2 })
            });
        }
        if client.has_buffer() && client.ring_time() < SENSIBLE_RING {
            self.losses.unlimited = true;
        }
    }

    fn reallocate(&mut self) {
        if self.client.has_buffer() && self.world.choice.once_in(2) {
            let again = self.client.stream.allocate(Buffer::Polled { bytes: 4096 });
            if again != Err(NtStatus::INVALID_DEVICE_STATE) {
                self.world.problem(format!("a second buffer: {again:?}"));
            }
        }
        // A client whose device sleeps or wakes meanwhile does not know its state.
        if self.client.stream.state() != KsState::Run && !self.losses.unknown {
            self.client.free();
            if !self.world.choice.once_in(4) {
                self.allocate();
            }
        }
    }

    fn set_state(&mut self, state: KsState) {
        let result = self.with_state(state, |client| client.stream.set_state(state));
        self.expect_state(state, result);
    }

    /// A call that PortCls's ladder does not have.
    fn call_set_state(&mut self, state: KsState) {
        if self.losses.unknown {
            return;
        }
        let result = self.with_state(state, |client| client.stream.call_set_state(state));
        if state == KsState::Stop {
            self.client.forget_packets();
        }
        self.expect_state(state, result);
    }

    fn with_state(
        &mut self,
        state: KsState,
        change: impl FnOnce(&mut Client) -> Result<(), NtStatus>,
    ) -> Result<(), NtStatus> {
        trace::note(|| format!("the client wants {state:?}"));
        if state == KsState::Run && !self.client.is_running() && self.client.has_buffer() {
            self.judge_network();
        }
        self.client.catch_up();
        let result = change(&mut self.client);
        self.client.note_state();
        result
    }

    fn expect_state(&mut self, state: KsState, result: Result<(), NtStatus>) {
        let mut allowed = Vec::new();
        if state == KsState::Run && !self.client.has_buffer() {
            allowed.push(NtStatus::INVALID_DEVICE_STATE);
        }
        if self.world.removed.get() {
            allowed.extend(GONE);
        }
        self.world.expect("SetState", result, &allowed);
    }

    /// Whether the network can be expected to take everything from now on.
    fn judge_network(&mut self) {
        let setup = &machine().config.wsk;
        let step = match setup.controls {
            Completion::Inline => 0,
            Completion::Mixed => PROMPT,
            Completion::After(time, _) => time,
        };
        let sends_late = matches!(setup.sends, Completion::After(time, _) if time > PROMPT);
        let ready = self.opened.max(BOOT_TIME + setup.provider_ready_after + SOCKET_RETRY);
        let late = setup.provider_ready_after > 0 && schedule::now() < ready;
        if late || sends_late || schedule::now() < self.opened + STEPS * step {
            self.losses.unlimited = true;
        }
    }

    fn change_events(&mut self) {
        let choice = &self.world.choice;
        let client = &mut self.client;
        if client.events.is_empty() || choice.once_in(2) {
            match client.stream.register_event() {
                Ok(event) => client.events.push(event),
                Err(NtStatus::INSUFFICIENT_RESOURCES) => {}
                Err(status) => self.world.problem(format!("RegisterNotificationEvent returned {status}")),
            }
            return;
        }
        let event = choice.of(&client.events);
        if choice.once_in(4) {
            // It may be gone with an earlier buffer, and then it is registered anew.
            let refusals = [NtStatus::UNSUCCESSFUL, NtStatus::INSUFFICIENT_RESOURCES];
            let again = client.stream.register_again(event);
            self.world.expect("registering an event again", again, &refusals);
            return;
        }
        let result = client.stream.unregister_event(event);
        self.world.expect("UnregisterNotificationEvent", result, &[NtStatus::NOT_FOUND]);
        client.events.retain(|known| *known != event);
    }

    fn ask(&mut self) {
        let world = self.world;
        match world.choice.below(4) {
            0 => {
                let latency = self.client.stream.latency();
                world.expect("GetHWLatency", latency.map(drop), &[]);
            }
            1 => {
                let registers = self.client.stream.registers();
                world.expect("the registers", registers.map(drop), &[]);
            }
            _ => world.ask(self.device, Some(&self.client.stream)),
        }
    }

    /// The device sleeps for a while; running streams are paused meanwhile.
    fn sleep(&mut self) {
        if self.losses.unknown || self.world.removed.get() || !self.world.choice.once_in(2) {
            return;
        }
        trace::note(|| "the device sleeps".to_owned());
        self.client.catch_up();
        self.world.expect("a query for D3", self.device.query_power(PowerState::D3), &[]);
        self.world.expect("D3", self.device.set_power(PowerState::D3), &[]);
        self.client.note_state();
        for _ in 0..self.world.choice.below(4) {
            schedule::sleep_until(schedule::now() + self.world.choice.pause());
            match self.world.choice.below(3) {
                0 => self.ask_position(),
                1 => self.set_state(self.world.choice.of(&STATES)),
                _ => self.write(),
            }
        }
        trace::note(|| "the device wakes".to_owned());
        self.world.expect("D0", self.device.set_power(PowerState::D0), &[]);
        self.client.note_state();
    }

    fn break_network(&mut self) {
        let world = self.world;
        let choice = &world.choice;
        if self.calm {
            return;
        }
        world.count(|figures| figures.faults += 1);
        let nth = 1 + choice.below(6);
        let status = choice.of(&[
            NtStatus::INSUFFICIENT_RESOURCES,
            NtStatus::NETWORK_UNREACHABLE,
            NtStatus::HOST_UNREACHABLE,
            NtStatus::CANCELLED,
            NtStatus::DEVICE_NOT_READY,
        ]);
        let irql = choice.of(&[PASSIVE_LEVEL, DISPATCH_LEVEL]);
        let late = Fault::Completes(Completion::After(choice.below(200_000_000), irql));
        match choice.below(8) {
            0..=2 => {
                self.losses.sends += 1;
                wsk::inject(Call::WskSendTo, nth, Fault::Status(status));
            }
            3 if self.losses.hanging < HANGING => {
                self.losses.hanging += 1;
                wsk::inject(Call::WskSendTo, nth, if choice.once_in(2) { Fault::Hangs } else { late });
            }
            4 => {
                self.losses.unlimited = true;
                wsk::inject(Call::WskSendTo, nth, Fault::Status(NtStatus::FILE_FORCED_CLOSED));
            }
            5 => {
                self.losses.unlimited = true;
                let call = choice.of(&[Call::WskSocket, Call::WskBind, Call::WskCaptureProviderNPI]);
                wsk::inject(call, 1 + choice.below(2), Fault::Status(status));
                wsk::inject(Call::WskSendTo, nth, Fault::Status(NtStatus::FILE_FORCED_CLOSED));
            }
            6 => {
                self.losses.unlimited = true;
                let call = choice.of(&[Call::WskSocket, Call::WskBind, Call::WskCloseSocket]);
                wsk::inject(call, 1, late);
                wsk::inject(Call::WskSendTo, nth, Fault::Status(NtStatus::FILE_FORCED_CLOSED));
            }
            _ => {
                self.losses.unlimited = true;
                network::set_down(true);
                schedule::sleep_until(schedule::now() + choice.pause());
                network::set_down(false);
                self.write();
            }
        }
    }

    fn close(mut self) {
        self.client.catch_up();
        trace::note(|| "the client closes the stream".to_owned());
        let Client { stream, format, played, .. } = self.client;
        stream.close_in_order(self.world.choice.of(&[CloseOrder::EventsFirst, CloseOrder::BufferFirst]));
        wsk::inject_no_more();
        let Losses { sends, unlimited, unknown, .. } = self.losses;
        let demand = match (unknown || self.outputs.are_unbroken(), unlimited, sends) {
            (true, ..) => Demand::Frames,
            (_, true, _) => Demand::Pieces { missing: None },
            (.., 0) => Demand::Everything,
            (.., sends) => Demand::Pieces { missing: Some(sends * PACKET) },
        };
        let heard = network::take_datagrams();
        self.world.count(|figures| {
            figures.packets += heard.len() as u64;
            figures.played += played.len() as u64;
            figures.exact += u64::from(demand == Demand::Everything && !played.is_empty());
        });
        let mut heard_by: BTreeMap<SocketAddr, Vec<Datagram>> =
            self.outputs.targets().iter().map(|target| (*target, Vec::new())).collect();
        for datagram in heard {
            heard_by.entry(datagram.destination).or_default().push(datagram);
        }
        for (target, heard) in heard_by {
            if !self.outputs.may_go_to(target) {
                self.world.problem(format!("sent to {target}, and the options do not say so"));
            }
            if let Err(text) = compare(&heard, &played, &format, demand) {
                self.world.problem(format!("what {target} heard ({demand:?}): {text}"));
            }
        }
    }
}
