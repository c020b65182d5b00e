//! Inputs: any bytes are a sequence of requests.
//!
//! The first byte is the seed of the interleaving; if it is odd, all buffers change while the driver reads them. Then come
//! requests, each a byte for its kind and the bytes of its fields; where the input ends, fields are zero. Values are built
//! from what a driver expects, with some fields changed and a length that may be wrong (`value`), so that small changes of
//! an input reach deep into a check. Half of the requests for properties are for those that the driver's tables have.

use arbitrary::Unstructured;

use super::request::{PropertyRequest, Request, SLOTS, Target};
use crate::device::Filter;
use crate::nt::Guid;
use crate::portcls::abi::{KsState, guid, verb};
use crate::portcls::{Property, pin_property};
use crate::watch;

/// Requests of one input; what follows is ignored.
pub(super) const MOST_REQUESTS: usize = 48;
/// What an input means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) seed: u64,
    pub(super) requests: Vec<Request>,
}

const SETS: [Guid; 9] = [
    guid::KSPROPSETID_PIN,
    guid::KSPROPSETID_JACK,
    guid::KSPROPSETID_AUDIO,
    guid::KSPROPSETID_AUDIO_SIGNAL_PROCESSING,
    guid::KSPROPSETID_RTAUDIO,
    guid::KSPROPSETID_GENERAL,
    guid::KSPROPSETID_TOPOLOGY,
    guid::KSPROPSETID_CONNECTION,
    // The one property of the testbed's own driver.
    Guid::from_u128(0x5c4ea401_1234_4321_0102_030405060708),
];
const STATES: [KsState; 4] = [KsState::Stop, KsState::Acquire, KsState::Pause, KsState::Run];

impl Script {
    /// Reads an input for a driver whose filters have these properties. Never fails.
    pub(super) fn decode(input: &[u8], known: &[(Filter, Property)]) -> Self {
        let mut source = Source(Unstructured::new(input), known);
        let seed = u64::from(source.byte());
        let mut requests = Vec::new();
        while !source.0.is_empty() && requests.len() < MOST_REQUESTS {
            requests.push(source.request());
        }
        Self { seed, requests }
    }
}

/// Reads one request for a property: of a filter, a node or a pin.
pub(super) fn property(input: &[u8], known: &[(Filter, Property)]) -> PropertyRequest {
    let mut source = Source(Unstructured::new(input), known);
    match source.below(8) {
        0..4 => source.property(),
        4 | 5 => source.proposal(),
        6 => source.intersection_property(),
        _ => source.pin_property(),
    }
}

/// An input as it is read; with it come the properties that the driver's filters have.
pub(super) struct Source<'a>(pub(super) Unstructured<'a>, &'a [(Filter, Property)]);

impl Source<'_> {
    /// The next byte; zero at the end.
    pub(super) fn byte(&mut self) -> u8 {
        self.0.arbitrary().unwrap_or(0)
    }

    pub(super) fn bit(&mut self) -> bool {
        self.byte() & 1 != 0
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    pub(super) fn of<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }

    fn slot(&mut self) -> usize {
        usize::from(self.byte() & 0x0F == 1) % SLOTS
    }

    fn filter(&mut self) -> Filter {
        if self.bit() { Filter::Topology } else { Filter::Wave }
    }

    fn request(&mut self) -> Request {
        match self.byte() % 32 {
            0 | 1 => Request::Property(self.property()),
            2 | 3 => Request::Property(self.proposal()),
            4 => Request::Property(self.intersection_property()),
            5 | 6 => self.intersection(),
            7..=9 => Request::NewStream {
                slot: self.slot(),
                pin: self.pin(),
                capture: self.byte() == 0xFF,
                format: self.format(),
            },
            10 => Request::SetFormat { slot: self.slot(), format: self.format() },
            11 => self.option(),
            12 | 13 => {
                let slot = self.slot();
                let notifications = if self.bit() { 0 } else { self.number().max(1) };
                Request::Allocate { slot, notifications, bytes: self.number() }
            }
            14 => Request::FreeBuffer { slot: self.slot() },
            15..=17 => Request::SetState { slot: self.slot(), state: self.of(&STATES) },
            18 => Request::CallSetState { slot: self.slot(), state: self.of(&STATES) },
            19 => Request::RegisterEvent { slot: self.slot(), again: self.bit() },
            20 => Request::UnregisterEvent { slot: self.slot(), keep: self.bit() },
            21 => Request::Position { slot: self.slot(), at_dispatch_level: self.bit() },
            22 => self.question(),
            23 => Request::SetWritePacket {
                slot: self.slot(),
                number: self.number(),
                flags: self.number(),
                end: self.number(),
            },
            24 => Request::Write {
                slot: self.slot(),
                offset: self.number(),
                bytes: self.number(),
                byte: self.of(&watch::BYTES),
            },
            25 => Request::Scribble,
            26..=28 => Request::Sleep { nanoseconds: (u64::from(self.byte()) + 1) * 100_000 },
            29 => Request::Power { on: self.bit() },
            30 => Request::Close { slot: self.slot(), buffer_first: self.bit() },
            _ => Request::Property(self.pin_property()),
        }
    }

    fn question(&mut self) -> Request {
        let slot = self.slot();
        match self.below(4) {
            0 => Request::Latency { slot },
            1 => Request::Registers { slot },
            2 => Request::PacketCount { slot },
            _ => Request::PresentationPosition { slot },
        }
    }

    /// A pin: mostly one that there is.
    pub(super) fn pin(&mut self) -> u32 {
        match self.byte() {
            0..0xC0 => 0,
            0xC0..0xD0 => 1,
            _ => self.number(),
        }
    }

    fn verb(&mut self) -> u32 {
        const VERBS: [u32; 7] = [
            verb::GET,
            verb::SET,
            verb::BASIC_SUPPORT,
            verb::GET | verb::SET,
            verb::SET | verb::BASIC_SUPPORT,
            verb::GET | verb::TOPOLOGY,
            verb::SET_SUPPORT,
        ];
        match self.below(8) {
            7 => self.number(),
            index => VERBS[index],
        }
    }

    fn property(&mut self) -> PropertyRequest {
        if self.bit() && !self.1.is_empty() {
            let (filter, known) = self.of(self.1);
            // Mostly what the driver's table allows.
            let verbs: Vec<u32> = [verb::GET, verb::SET, verb::BASIC_SUPPORT]
                .into_iter()
                .filter(|verb| known.verb & verb != 0)
                .collect();
            let verb = if verbs.is_empty() || self.byte() % 4 == 3 { self.verb() } else { self.of(&verbs) };
            let property = Property { verb, ..known };
            let (instance, value) = (self.instance(), self.value());
            return PropertyRequest { target: Target::Filter(filter), property, instance, value };
        }
        let filter = self.filter();
        let target =
            if self.byte() % 8 == 7 { Target::Node(filter, self.number()) } else { Target::Filter(filter) };
        self.property_of(target)
    }

    fn pin_property(&mut self) -> PropertyRequest {
        let target = Target::Pin(self.slot());
        self.property_of(target)
    }

    fn property_of(&mut self, target: Target) -> PropertyRequest {
        let set = match self.byte() {
            0xF0.. => self.guid(),
            index => SETS[usize::from(index) % SETS.len()],
        };
        let property = Property { set, id: self.number(), verb: self.verb() };
        PropertyRequest { target, property, instance: self.instance(), value: self.value() }
    }

    /// KSPROPERTY_PIN_PROPOSEDATAFORMAT.
    fn proposal(&mut self) -> PropertyRequest {
        let ids = [
            pin_property::PROPOSEDATAFORMAT,
            pin_property::PROPOSEDATAFORMAT,
            pin_property::PROPOSEDATAFORMAT,
            pin_property::PROPOSEDATAFORMAT2,
        ];
        let property = Property::set(guid::KSPROPSETID_PIN, self.of(&ids));
        let instance = self.instance();
        PropertyRequest { target: Target::Filter(Filter::Wave), property, instance, value: self.format() }
    }

    /// KSPROPERTY_PIN_DATAINTERSECTION.
    fn intersection_property(&mut self) -> PropertyRequest {
        let property = Property::get(guid::KSPROPSETID_PIN, pin_property::DATAINTERSECTION);
        let mut instance: Vec<u8> = [self.pin(), 0].iter().flat_map(|field| field.to_le_bytes()).collect();
        instance.extend(self.multiple_item());
        let value = vec![0; self.length()];
        PropertyRequest { target: Target::Filter(self.filter()), property, instance, value }
    }

    fn intersection(&mut self) -> Request {
        let (pin, own) = (self.pin(), self.below(16));
        let client = self.range();
        Request::Intersection { pin, own, client, capacity: self.length() as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Format;

    #[test]
    fn no_bytes_are_no_requests_and_any_bytes_are_some() {
        assert_eq!(Script::decode(&[], &[]), Script { seed: 0, requests: Vec::new() });
        assert_eq!(Script::decode(&[7], &[]), Script { seed: 7, requests: Vec::new() });
        let script = Script::decode(&[1; 10_000], &[]);
        assert_eq!((script.seed, script.requests.len()), (1, MOST_REQUESTS));
    }

    #[test]
    fn every_input_has_a_meaning_and_the_same_each_time() {
        let mut random = crate::schedule::SplitMix(1);
        for _ in 0..5000 {
            let input: Vec<u8> = (0..random.below(300)).map(|_| random.next() as u8).collect();
            let script = Script::decode(&input, &[]);
            assert!(script.requests.len() < input.len().max(1), "a request takes a byte, the seed another");
            assert_eq!(script, Script::decode(&input, &[]));
        }
    }

    #[test]
    fn missing_fields_are_zero() {
        let requests = Script::decode(&[0, 15], &[]).requests;
        assert_eq!(requests, [Request::SetState { slot: 0, state: KsState::Stop }]);
        let requests = Script::decode(&[0, 12], &[]).requests;
        assert_eq!(requests, [Request::Allocate { slot: 0, notifications: 1, bytes: 0 }]);
    }

    #[test]
    fn a_format_of_zeros_is_a_good_one() {
        let requests = Script::decode(&[0, 7], &[]).requests;
        let format = Format::pcm(44_100, 16, 2).to_bytes();
        assert_eq!(requests, [Request::NewStream { slot: 0, pin: 0, capture: false, format }]);
    }

    #[test]
    fn fields_can_be_changed_and_the_end_cut_off() {
        // Five: one change, of four bytes at 0, to 0x80; six: no more than 70 bytes.
        let input = [0, 10, 0, 0, 0, 0, 0, 5, 0, 2, 0x81, 6, 70];
        let mut format = Format::pcm(44_100, 16, 2).to_bytes();
        format[..4].copy_from_slice(&[0x80, 0, 0, 0]);
        format.truncate(70);
        assert_eq!(Script::decode(&input, &[]).requests, [Request::SetFormat { slot: 0, format }]);
    }
}
