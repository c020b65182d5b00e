//! What Windows makes an endpoint of: pins, the jack, signal-processing modes, and how properties answer.
#![cfg(target_os = "linux")]

mod common;

use common::{assert_same_audio, audio_of, noise, prompt_network, sent, source, with_device};
use testbed::client::{Buffer, Format};
use testbed::device::{Device, Filter};
use testbed::nt::{Guid, NtStatus};
use testbed::portcls::abi::{guid, verb};
use testbed::portcls::{Property, pin_property};

const SUCCESS: NtStatus = NtStatus::SUCCESS;
const INVALID_REQUEST: NtStatus = NtStatus::INVALID_DEVICE_REQUEST;
const INVALID_PARAMETER: NtStatus = NtStatus::INVALID_PARAMETER;
const NOT_SUPPORTED: NtStatus = NtStatus::NOT_SUPPORTED;

/// KSPROPERTY_JACK_DESCRIPTION and KSPROPERTY_JACK_DESCRIPTION2.
const JACK: [u32; 2] = [1, 2];
/// KSPROPERTY_AUDIOSIGNALPROCESSING_MODES.
const MODES: u32 = 0;

/// What follows KSPROPERTY in a KSP_PIN.
fn pin(number: u32) -> [u8; 8] {
    u64::from(number).to_le_bytes()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Reads a property of a pin that has this many bytes.
fn read(device: &Device, filter: Filter, set: Guid, id: u32, number: u32, bytes: usize) -> Vec<u8> {
    let mut value = vec![0; bytes];
    let (status, size) = device.property(filter, Property::get(set, id), &pin(number), &mut value);
    assert_eq!((status, size as usize), (SUCCESS, bytes), "property {id} of {set:?}, pin {number}");
    value
}

#[test]
fn the_filters_have_the_pins_that_make_an_endpoint_of_speakers() {
    let outcome = with_device(prompt_network(), |device| {
        let ask = |filter, id, number, bytes| read(device, filter, guid::KSPROPSETID_PIN, id, number, bytes);
        let pins = [Filter::Wave, Filter::Topology].map(|filter| {
            assert_eq!(ask(filter, pin_property::CTYPES, 0, 4), words(&[2]));
            [0, 1].map(|number| {
                let direction = ask(filter, pin_property::DATAFLOW, number, 4)[0];
                let communication = ask(filter, pin_property::COMMUNICATION, number, 4)[0];
                let most = ask(filter, pin_property::CINSTANCES, number, 8);
                assert_eq!(most, ask(filter, pin_property::GLOBALCINSTANCES, number, 8));
                assert_eq!(ask(filter, pin_property::NECESSARYINSTANCES, number, 4), [0; 4]);
                (direction, communication, most[0], ask(filter, pin_property::CATEGORY, number, 16))
            })
        });
        (pins, device.connections())
    });
    let (pins, connections) = outcome.expect_clean();
    // {6994AD04-93EF-11D0-A3CC-00A0C9223196} and {DFF21CE1-F70F-11D0-B917-00A0C9223196}.
    let audio =
        [4, 0xAD, 0x94, 0x69, 0xEF, 0x93, 0xD0, 0x11, 0xA3, 0xCC, 0, 0xA0, 0xC9, 0x22, 0x31, 0x96].to_vec();
    let speaker =
        [0xE1, 0x1C, 0xF2, 0xDF, 0x0F, 0xF7, 0xD0, 0x11, 0xB9, 0x17, 0, 0xA0, 0xC9, 0x22, 0x31, 0x96]
            .to_vec();
    // In (1) or out (2); a sink for clients (1) or nobody (0); how many at once.
    assert_eq!(pins[0], [(1, 1, 1, audio.clone()), (2, 0, 0, audio.clone())], "the wave filter");
    assert_eq!(pins[1], [(1, 0, 0, audio), (2, 0, 0, speaker)], "the topology filter");
    assert_eq!(connections, 1);
}

#[test]
fn the_speaker_pin_has_one_connected_jack_that_nobody_can_see() {
    let outcome = with_device(prompt_network(), |device| {
        let ask = |id, bytes| read(device, Filter::Topology, guid::KSPROPSETID_JACK, id, 1, bytes);
        (ask(JACK[0], 36), ask(JACK[1], 16))
    });
    let (description, capabilities) = outcome.expect_clean();
    // No channel mapping, black, other digital, no geometric location, other location, unknown port, connected.
    assert_eq!(description, words(&[36, 1, 0, 0, 6, 14, 3, 3, 1]));
    assert_eq!(capabilities, words(&[16, 1, 0, 0]));
}

/// A property of the driver's tables.
struct Known {
    filter: Filter,
    set: Guid,
    id: u32,
    /// The verb that it has, and the one that it does not have.
    verbs: [u32; 2],
    /// The pin that has it, and what the other pin says.
    pin: u32,
    other_pin: NtStatus,
    /// The value of a get request; a good value for a set request.
    value: Vec<u8>,
}

fn known() -> [Known; 3] {
    let jack = |id, bytes| Known {
        filter: Filter::Topology,
        set: guid::KSPROPSETID_JACK,
        id,
        verbs: [verb::GET, verb::SET],
        pin: 1,
        other_pin: INVALID_REQUEST,
        value: vec![0; bytes],
    };
    let proposal = Known {
        filter: Filter::Wave,
        set: guid::KSPROPSETID_PIN,
        id: pin_property::PROPOSEDATAFORMAT,
        verbs: [verb::SET, verb::GET],
        pin: 0,
        other_pin: NOT_SUPPORTED,
        value: Format::pcm(48_000, 16, 2).to_bytes(),
    };
    [jack(JACK[0], 36), jack(JACK[1], 16), proposal]
}

impl Known {
    fn ask(&self, device: &Device, verb: u32, instance: &[u8], value: &mut [u8]) -> (NtStatus, u32) {
        device.property(self.filter, Property { set: self.set, id: self.id, verb }, instance, value)
    }
}

#[test]
fn every_property_says_what_can_be_done_with_it() {
    let outcome = with_device(prompt_network(), |device| {
        for property in known() {
            let flags = property.verbs[0] | verb::BASIC_SUPPORT;
            for instance in [&pin(property.pin)[..], &[]] {
                for bytes in [0, 3] {
                    let answer = property.ask(device, verb::BASIC_SUPPORT, instance, &mut vec![0; bytes]);
                    assert_eq!(answer, (NtStatus::BUFFER_TOO_SMALL, 0), "{bytes} bytes");
                }
                for (bytes, size) in [(4, 4), (39, 4), (40, 40), (64, 40)] {
                    let mut value = vec![0xEE; bytes];
                    let answer = property.ask(device, verb::BASIC_SUPPORT, instance, &mut value);
                    assert_eq!(answer, (SUCCESS, size), "{bytes} bytes");
                    let mut expected = words(&[flags]);
                    if size == 40 {
                        // DescriptionSize; no type, no members.
                        expected.extend_from_slice(&words(&[40, 0, 0, 0, 0, 0, 0, 0, 0]));
                    }
                    expected.resize(bytes, 0xEE);
                    assert_eq!(value, expected);
                }
            }
        }
    });
    outcome.expect_clean();
}

#[test]
fn every_property_that_can_be_read_tells_its_size_and_takes_more_room_than_it_needs() {
    let outcome = with_device(prompt_network(), |device| {
        for property in known().iter().filter(|property| property.verbs[0] == verb::GET) {
            let needed = property.value.len();
            let ask = |value: &mut [u8]| property.ask(device, verb::GET, &pin(property.pin), value);
            assert_eq!(ask(&mut []), (NtStatus::BUFFER_OVERFLOW, needed as u32));
            for bytes in [1, needed - 1] {
                let mut value = vec![0xEE; bytes];
                assert_eq!(ask(&mut value).0, NtStatus::BUFFER_TOO_SMALL);
                assert_eq!(value, vec![0xEE; bytes], "nothing is written");
            }
            let mut value = vec![0xEE; needed + 9];
            assert_eq!(ask(&mut value), (SUCCESS, needed as u32));
            assert_eq!(value[needed..], [0xEE; 9]);
        }
    });
    outcome.expect_clean();
}

#[test]
fn properties_refuse_wrong_verbs_short_instances_and_pins_without_them() {
    let outcome = with_device(prompt_network(), |device| {
        known().map(|property| {
            let ask =
                |verb, instance: &[u8]| property.ask(device, verb, instance, &mut property.value.clone()).0;
            let [good, wrong] = property.verbs;
            let pins = [property.pin, 1 - property.pin, 2, u32::MAX];
            (
                pins.map(|number| ask(good, &pin(number))),
                pins.map(|number| ask(verb::BASIC_SUPPORT, &pin(number))),
                ask(wrong, &pin(property.pin)),
                [0, 4, 7].map(|bytes| ask(good, &vec![0; bytes])),
                // What is longer than KSP_PIN is not looked at.
                ask(good, &[&pin(property.pin)[..], &[0xEE; 9]].concat()),
                property.other_pin,
            )
        })
    });
    for (got, support, wrong_verb, short, long, other_pin) in outcome.expect_clean() {
        let expected = [SUCCESS, other_pin, INVALID_PARAMETER, INVALID_PARAMETER];
        assert_eq!((got, support), (expected, expected));
        assert_eq!((wrong_verb, short, long), (INVALID_REQUEST, [INVALID_PARAMETER; 3], SUCCESS));
    }
}

#[test]
fn what_is_left_out_on_purpose_is_not_there() {
    let outcome = with_device(prompt_network(), |device| {
        let instance = [&pin(0)[..], &attributes(&[mode(&DEFAULT)])].concat();
        let ask =
            |filter, set, id| device.property(filter, Property::get(set, id), &instance, &mut [0; 256]).0;
        // Windows would always use the one format that it gives, whatever the user chooses.
        let preferred = ask(Filter::Wave, guid::KSPROPSETID_PIN, pin_property::PROPOSEDATAFORMAT2);
        // KSPROPERTY_AUDIO_VOLUMELEVEL and KSPROPERTY_AUDIO_MUTE: with neither, Windows has its own.
        let volume = [Filter::Wave, Filter::Topology].map(|filter| {
            let node = Property::get(guid::KSPROPSETID_AUDIO, 4);
            (
                [4, 13].map(|id| ask(filter, guid::KSPROPSETID_AUDIO, id)),
                device.node_property(filter, 0, node, &pin(0), &mut [0; 64]).0,
            )
        });
        let elsewhere = ask(Filter::Wave, guid::KSPROPSETID_JACK, JACK[0]);
        (preferred, volume, elsewhere, ask(Filter::Topology, guid::KSPROPSETID_JACK, 99))
    });
    let not_found = NtStatus::NOT_FOUND;
    let no_volume = ([not_found; 2], INVALID_PARAMETER);
    assert_eq!(outcome.expect_clean(), (not_found, [no_volume; 2], not_found, not_found));
}

/// {C18E2F7E-933D-4965-B7D1-1EEF228D2AF3}, AUDIO_SIGNALPROCESSINGMODE_DEFAULT.
const DEFAULT: [u8; 16] =
    [0x7E, 0x2F, 0x8E, 0xC1, 0x3D, 0x93, 0x65, 0x49, 0xB7, 0xD1, 0x1E, 0xEF, 0x22, 0x8D, 0x2A, 0xF3];
/// {9E90EA20-B493-4FD1-A1A8-7E1361A956CF}, AUDIO_SIGNALPROCESSINGMODE_RAW.
const RAW: [u8; 16] =
    [0x20, 0xEA, 0x90, 0x9E, 0x93, 0xB4, 0xD1, 0x4F, 0xA1, 0xA8, 0x7E, 0x13, 0x61, 0xA9, 0x56, 0xCF];
/// {4780004E-7133-41D8-8C74-660DADD2C0EE}, AUDIO_SIGNALPROCESSINGMODE_MEDIA.
const MEDIA: [u8; 16] =
    [0x4E, 0x00, 0x80, 0x47, 0x33, 0x71, 0xD8, 0x41, 0x8C, 0x74, 0x66, 0x0D, 0xAD, 0xD2, 0xC0, 0xEE];
/// {E1F89EB5-5F46-419B-967B-FF6770B98401}, KSATTRIBUTEID_AUDIOSIGNALPROCESSING_MODE.
const MODE: [u8; 16] =
    [0xB5, 0x9E, 0xF8, 0xE1, 0x46, 0x5F, 0x9B, 0x41, 0x96, 0x7B, 0xFF, 0x67, 0x70, 0xB9, 0x84, 0x01];

#[test]
fn the_render_pin_has_the_default_and_the_raw_mode() {
    let set = guid::KSPROPSETID_AUDIO_SIGNAL_PROCESSING;
    let outcome = with_device(prompt_network(), move |device| {
        let modes = read(device, Filter::Wave, set, MODES, 0, 40);
        let ask =
            |number| device.property(Filter::Wave, Property::get(set, MODES), &pin(number), &mut [0; 64]).0;
        (modes, [1, 2, u32::MAX].map(ask))
    });
    let (modes, others) = outcome.expect_clean();
    assert_eq!(modes, [&words(&[40, 2])[..], &DEFAULT, &RAW].concat());
    assert_eq!(others, [NOT_SUPPORTED, INVALID_PARAMETER, INVALID_PARAMETER]);
}

#[test]
fn the_modes_are_written_only_where_there_is_room_for_all_of_them() {
    let outcome = with_device(prompt_network(), |device| {
        [None, Some(0), Some(1), Some(2), Some(3)].map(|room| device.signal_processing_modes(0, room))
    });
    let [count, no_room, too_little, enough, more] = outcome.expect_clean();
    assert_eq!(count, Some((SUCCESS, 2, vec![])));
    assert_eq!(no_room, Some((NtStatus::BUFFER_TOO_SMALL, 2, vec![])));
    assert_eq!(too_little, Some((NtStatus::BUFFER_TOO_SMALL, 2, vec![0; 16])));
    let modes = [DEFAULT, RAW].concat();
    assert_eq!(enough, Some((SUCCESS, 2, modes.clone())));
    assert_eq!(more, Some((SUCCESS, 2, [modes, vec![0; 16]].concat())));
}

/// A KSATTRIBUTE_AUDIOSIGNALPROCESSING_MODE.
fn mode(mode: &[u8; 16]) -> Vec<u8> {
    attribute(40, &MODE, mode)
}

/// An attribute that says it has so many bytes.
fn attribute(bytes: u32, id: &[u8], content: &[u8]) -> Vec<u8> {
    [&words(&[bytes, 0])[..], id, content].concat()
}

/// A KSMULTIPLE_ITEM of attributes.
fn attributes(items: &[Vec<u8>]) -> Vec<u8> {
    let items_bytes: u32 = items.iter().map(|item| item.len() as u32).sum();
    [words(&[8 + items_bytes, items.len() as u32]), items.concat()].concat()
}

/// The format with KSDATAFORMAT_ATTRIBUTES, and a list behind it, aligned to 8 bytes.
fn with_list(format: &Format, list: &[u8]) -> Vec<u8> {
    let mut bytes = format.to_bytes();
    bytes[4] |= 2;
    bytes.resize(bytes.len().next_multiple_of(8), 0xEE);
    bytes.extend_from_slice(list);
    bytes
}

/// Opens a stream with a format and a list, and proposes it; both must say the same.
fn verdict(device: &Device, format: &Format, list: &[u8]) -> NtStatus {
    let mut bytes = with_list(format, list);
    let opened = device.new_stream(0, false, format, &bytes).map_or_else(|status| status, |_| SUCCESS);
    let property = Property::set(guid::KSPROPSETID_PIN, pin_property::PROPOSEDATAFORMAT);
    let proposed = device.property(Filter::Wave, property, &pin(0), &mut bytes).0;
    assert_eq!(proposed, opened, "the proposal and NewStream differ");
    opened
}

#[test]
fn a_format_may_name_the_mode_and_nothing_else() {
    let lists = || {
        [
            (SUCCESS, attributes(&[mode(&DEFAULT)])),
            (SUCCESS, attributes(&[mode(&RAW)])),
            (SUCCESS, attributes(&[mode(&DEFAULT), mode(&DEFAULT)])),
            (SUCCESS, attributes(&[])),
            // A longer attribute of the same kind, and padding behind it.
            (SUCCESS, attributes(&[[attribute(44, &MODE, &DEFAULT), vec![0xEE; 8]].concat(), mode(&RAW)])),
            (NOT_SUPPORTED, attributes(&[mode(&MEDIA)])),
            (NOT_SUPPORTED, attributes(&[mode(&RAW), mode(&MEDIA)])),
            (NOT_SUPPORTED, attributes(&[attribute(40, &MEDIA, &DEFAULT)])),
            (NOT_SUPPORTED, attributes(&[attribute(24, &MEDIA, &[])])),
        ]
    };
    let outcome = with_device(prompt_network(), move |device| {
        let format = Format::pcm(48_000, 24, 6);
        lists().map(|(expected, list)| {
            (expected, verdict(device, &format, &list), verdict(device, &format.clone().plain(), &list))
        })
    });
    for (number, (expected, extensible, plain)) in outcome.expect_clean().into_iter().enumerate() {
        assert_eq!((extensible, plain), (expected, expected), "list {number}");
    }
}

#[test]
fn attributes_whose_sizes_do_not_fit_together_are_refused() {
    let good = || attributes(&[mode(&DEFAULT)]);
    /// The list with a number in place of that at `at`.
    fn changed(mut list: Vec<u8>, at: usize, number: u32) -> Vec<u8> {
        list[at..at + 4].copy_from_slice(&number.to_le_bytes());
        list
    }
    let outcome = with_device(prompt_network(), move |device| {
        let sizes = [0, 7, 8, 15, 31, 47].map(|size| changed(good(), 0, size));
        let counts = [2, 3, u32::MAX].map(|count| changed(good(), 4, count));
        let items = [0, 4, 23, 24, 39, 41, 48, u32::MAX].map(|size| changed(good(), 8, size));
        let lists = sizes.into_iter().chain(counts).chain(items);
        let format = Format::pcm(44_100, 16, 2);
        lists.map(|list| verdict(device, &format, &list)).collect::<Vec<_>>()
    });
    assert_eq!(outcome.expect_clean(), [INVALID_PARAMETER; 17]);
}

#[test]
fn a_proposal_that_ends_before_its_attributes_is_refused() {
    let outcome = with_device(prompt_network(), |device| {
        let whole = with_list(&Format::pcm(44_100, 16, 2), &attributes(&[mode(&DEFAULT)]));
        let property = Property::set(guid::KSPROPSETID_PIN, pin_property::PROPOSEDATAFORMAT);
        (104..=whole.len())
            .map(|bytes| device.property(Filter::Wave, property, &pin(0), &mut whole[..bytes].to_vec()).0)
            .collect::<Vec<_>>()
    });
    let expected = [vec![INVALID_PARAMETER; 48], vec![SUCCESS]].concat();
    assert_eq!(outcome.expect_clean(), expected);
}

#[test]
fn a_mode_does_not_make_a_format_ours() {
    let outcome = with_device(prompt_network(), |device| {
        let format = Format::pcm(48_000, 8, 2);
        [DEFAULT, MEDIA].map(|id| verdict(device, &format, &attributes(&[mode(&id)])))
    });
    assert_eq!(outcome.expect_clean(), [NtStatus::NO_MATCH; 2]);
}

#[test]
fn audio_is_the_same_in_every_mode() {
    let modes =
        [None, Some(guid::AUDIO_SIGNALPROCESSINGMODE_DEFAULT), Some(guid::AUDIO_SIGNALPROCESSINGMODE_RAW)];
    for mode in modes {
        let format = Format { mode, ..Format::pcm(48_000, 16, 2) };
        let audio = noise(3, 4 * 4_800);
        let played = audio.clone();
        let outcome = with_device(prompt_network(), move |device| {
            device.propose(0, &format).expect("the format is one of ours");
            let mut stream =
                device.open(&format, Buffer::Notified { bytes: 3840, count: 2 }).expect("a stream");
            stream.play(source(audio)).expect("it plays");
            stream.close();
            sent()
        });
        assert_same_audio(&audio_of(&outcome.expect_clean()), &played);
    }
}
