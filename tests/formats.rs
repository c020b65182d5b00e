//! Which formats the driver takes, and how it refuses the others.
#![cfg(target_os = "linux")]

mod common;

use common::{assert_same_audio, audio_of, noise, prompt_network, sent, source, with_device};
use testbed::client::{Buffer, Format};
use testbed::device::{Device, Filter};
use testbed::nt::NtStatus;
use testbed::portcls::abi::{guid, verb};
use testbed::portcls::{Property, pin_property};

const NO_MATCH: Result<(), NtStatus> = Err(NtStatus::NO_MATCH);

/// Proposes a format and opens a pin with it; both must say the same.
fn verdict(device: &Device, format: &Format) -> Result<(), NtStatus> {
    verdict_of_bytes(device, format, format.to_bytes())
}

/// The same with the bytes of a KSDATAFORMAT, whatever they are.
fn verdict_of_bytes(device: &Device, format: &Format, mut bytes: Vec<u8>) -> Result<(), NtStatus> {
    let opened = device.new_stream(0, false, format, &bytes).map(|_| ());
    let property = Property::set(guid::KSPROPSETID_PIN, pin_property::PROPOSEDATAFORMAT);
    let proposed = device.property(Filter::Wave, property, &[0; 8], &mut bytes).0.ok();
    assert_eq!(proposed, opened, "{format:?}: the proposal and NewStream differ");
    opened
}

fn cd() -> Format {
    Format::pcm(44_100, 16, 2)
}

#[test]
fn formats_that_are_not_offered_are_refused() {
    let outcome = with_device(prompt_network(), |device| {
        let formats = [
            Format::pcm(44_100, 8, 2),
            Format::pcm(44_100, 20, 2),
            Format::pcm(44_100, 64, 2),
            Format::pcm(11_025, 16, 2),
            Format::pcm(44_101, 16, 2),
            Format::pcm(384_000, 16, 2),
            Format::pcm(0, 16, 2),
            Format::pcm(44_100, 16, 0),
            Format::pcm(44_100, 16, 9),
            Format::pcm(44_100, 0, 2),
            Format { sub_format: guid::KSDATAFORMAT_SUBTYPE_FLOAT, ..Format::pcm(48_000, 32, 2) },
            Format { specifier: guid::KSDATAFORMAT_SPECIFIER_DSOUND, ..cd() },
        ];
        formats.map(|format| verdict(device, &format))
    });
    assert_eq!(outcome.expect_clean(), [NO_MATCH; 12]);
}

#[test]
fn formats_that_contradict_themselves_are_refused() {
    let outcome = with_device(prompt_network(), |device| {
        let formats = [
            Format { block_align: 0, ..cd() },
            Format { block_align: 3, ..cd() },
            Format { bytes_per_second: 0, ..cd() },
            Format { bytes_per_second: 176_401, ..cd() },
            Format { valid_bits: 17, ..cd() },
            Format { valid_bits: 0, ..cd() },
            Format { mask: Some(0xFFFF_FFFF), ..cd() },
        ];
        formats.map(|format| verdict(device, &format))
    });
    assert_eq!(outcome.expect_clean(), [NO_MATCH; 7]);
}

#[test]
fn a_format_that_is_cut_off_is_refused_without_reading_on() {
    let outcome = with_device(prompt_network(), |device| {
        let whole = cd().to_bytes();
        let mut refused = Vec::new();
        // FormatSize says what is there; the memory ends with it.
        for length in (64..whole.len()).filter(|length| length % 8 == 0 || *length == 82) {
            let mut cut = whole[..length].to_vec();
            cut[..4].copy_from_slice(&(length as u32).to_le_bytes());
            let instance = [0; 8];
            let property = Property::set(guid::KSPROPSETID_PIN, pin_property::PROPOSEDATAFORMAT);
            let proposed = device.property(Filter::Wave, property, &instance, &mut cut.clone()).0;
            let opened = device.new_stream(0, false, &cd(), &cut).err();
            refused.push((length, proposed, opened));
        }
        refused
    });
    for (length, proposed, opened) in outcome.expect_clean() {
        assert_eq!(
            (proposed, opened),
            (NtStatus::NO_MATCH, Some(NtStatus::NO_MATCH)),
            "a format of {length} bytes"
        );
    }
}

#[test]
fn a_second_stream_is_refused_while_one_is_open() {
    let outcome = with_device(prompt_network(), |device| {
        let first = device.open(&cd(), Buffer::Polled { bytes: 3528 }).expect("a stream");
        let by_portcls = device.open_pin(0, &cd()).err();
        let by_driver = device.new_stream(0, false, &cd(), &cd().to_bytes()).err();
        first.close();
        device.open(&cd(), Buffer::Polled { bytes: 3528 }).expect("the pin is free again");
        (by_portcls, by_driver)
    });
    let refused = Some(NtStatus::INSUFFICIENT_RESOURCES);
    assert_eq!(outcome.expect_clean(), (refused, refused));
}

#[test]
fn a_refused_format_does_not_occupy_the_pin() {
    let outcome = with_device(prompt_network(), |device| {
        let refused = device.open_pin(0, &Format::pcm(44_100, 8, 2)).err();
        device.open_pin(0, &cd()).expect("the pin is free");
        refused
    });
    assert_eq!(outcome.expect_clean(), Some(NtStatus::NO_MATCH));
}

#[test]
fn neither_capture_nor_another_pin_makes_a_stream() {
    let outcome = with_device(prompt_network(), |device| {
        let bytes = cd().to_bytes();
        [(0, true), (1, false), (2, false), (u32::MAX, false)]
            .map(|(pin, capture)| device.new_stream(pin, capture, &cd(), &bytes).err())
    });
    assert_eq!(outcome.expect_clean(), [Some(NtStatus::NOT_SUPPORTED); 4]);
}

const RATES: [u32; 6] = [44_100, 48_000, 88_200, 96_000, 176_400, 192_000];
/// Bits of a sample in memory, and how many of them are used.
const SAMPLES: [(u16, u16); 4] = [(16, 16), (24, 24), (32, 24), (32, 32)];
/// The speakers that receivers know.
const SPEAKERS: u32 = 0x7FF;

/// Whether a format whose other fields follow from these is one of ours.
fn is_ours(format: &Format) -> bool {
    let samples = match format.mask {
        None => [16, 24, 32].contains(&format.bits),
        Some(mask) => SAMPLES.contains(&(format.bits, format.valid_bits)) && mask <= SPEAKERS,
    };
    samples && RATES.contains(&format.rate) && (1..=8).contains(&format.channels)
}

/// How many formats were tried, and how many of them were taken.
#[derive(Debug, PartialEq, Eq, Default)]
struct Tried {
    all: u32,
    taken: u32,
}

impl Tried {
    fn check(&mut self, device: &Device, format: &Format) {
        let expected = if is_ours(format) { Ok(()) } else { NO_MATCH };
        assert_eq!(verdict(device, format), expected, "{format:?}");
        self.all += 1;
        self.taken += u32::from(expected.is_ok());
    }
}

#[test]
fn proposals_and_new_streams_agree_on_every_combination() {
    // Among them the multiples of the two bases that the header could name.
    let near =
        [0, 8_000, 11_025, 32_000, 44_099, 44_101, 48_001, 132_300, 144_000, 352_800, 384_000, u32::MAX];
    let mut all = Tried::default();
    // A machine for each: requests take address space, of which an emulated one has little.
    for rate in RATES.into_iter().chain(near) {
        let outcome = with_device(prompt_network(), move |device| {
            let mut tried = Tried::default();
            // 272 and 258 are 16 and 2 when cut to a byte.
            for bits in [8, 16, 20, 24, 32, 64, 272] {
                for channels in (0..=10).chain([258, u16::MAX]) {
                    let format = Format::pcm(rate, bits, channels);
                    tried.check(device, &format.clone().plain());
                    for valid in [0, 16, 20, 23, 24, 25, 32, 33] {
                        let format = format.clone().with_valid_bits(valid);
                        tried.check(device, &format);
                        for mask in [0, 4, 0x60F, SPEAKERS, 0x800, 0x803, 0x1_0003, 1 << 31, u32::MAX] {
                            tried.check(device, &format.clone().with_mask(mask));
                        }
                    }
                }
            }
            tried
        });
        let tried = outcome.expect_clean();
        (all.all, all.taken) = (all.all + tried.all, all.taken + tried.taken);
    }
    // Each rate, width and channel count: a plain format of each of 3 widths, and 4 kinds of samples with 5 masks.
    assert_eq!(all, Tried { all: 18 * 7 * 13 * (1 + 8 * 10), taken: 6 * 8 * (3 + 4 * 5) });
}

#[test]
fn every_mask_of_the_known_speakers_is_taken_for_every_channel_count() {
    let outcome = with_device(prompt_network(), |device| {
        let mut tried = Tried::default();
        for mask in 0..=SPEAKERS + 1 {
            for channels in 1..=8 {
                let format = Format::pcm(48_000, 16, channels).with_mask(mask);
                assert_eq!(device.propose(0, &format).is_ok(), mask <= SPEAKERS, "{format:?}");
            }
            // Streams take longer: one channel count for each mask, another for the next.
            tried.check(device, &Format::pcm(48_000, 16, 1 + mask as u16 % 8).with_mask(mask));
        }
        tried
    });
    assert_eq!(outcome.expect_clean(), Tried { all: 2049, taken: 2048 });
}

#[test]
fn one_wrong_field_is_enough_to_refuse_any_format() {
    /// Where the field is in a KSDATAFORMAT, and what it is changed by.
    const WRONG: [(usize, u8); 14] = [
        (16, 1), // MajorFormat
        (32, 3), // SubFormat: float
        (48, 1), // Specifier
        (64, 3), // wFormatTag
        (66, 8), // nChannels
        (68, 1), // nSamplesPerSec
        (72, 1), // nAvgBytesPerSec
        (75, 1), // its highest byte
        (76, 1), // nBlockAlign
        (78, 8), // wBitsPerSample
        (80, 2), // cbSize: 20
        (82, 4), // wValidBitsPerSample
        (85, 8), // dwChannelMask
        (88, 2), // SubFormat of the extensible part
    ];
    let outcome = with_device(prompt_network(), |device| {
        let mut tried = 0;
        for rate in RATES {
            for (bits, valid) in SAMPLES {
                for channels in 1..=8 {
                    let format = Format::pcm(rate, bits, channels).with_valid_bits(valid);
                    let plain = [format.clone().plain()].into_iter().filter(|_| bits == valid);
                    for format in plain.chain([format]) {
                        let bytes = format.to_bytes();
                        // A WAVEFORMATEX of PCM ends before cbSize, which is there and not looked at.
                        let fields =
                            WRONG.iter().filter(|(at, _)| *at < if bytes.len() == 82 { 80 } else { 104 });
                        for (at, by) in fields {
                            let mut wrong = bytes.clone();
                            wrong[*at] ^= by;
                            assert_eq!(
                                verdict_of_bytes(device, &format, wrong),
                                NO_MATCH,
                                "{format:?} at {at}"
                            );
                            tried += 1;
                        }
                    }
                }
            }
        }
        tried
    });
    assert_eq!(outcome.expect_clean(), 6 * 8 * (4 * 14 + 3 * 10));
}

/// The instance data and the KSDATARANGE_AUDIO of a client that wants these rates, widths and channels.
fn client_range(channels: u32, bits: (u32, u32), rates: (u32, u32)) -> Vec<u8> {
    let mut range = Vec::new();
    for field in [0, 0, 8 + 88, 1, 88, 0, 0, 0] {
        range.extend_from_slice(&u32::to_le_bytes(field));
    }
    range.extend_from_slice(&cd().to_bytes()[16..64]);
    for field in [channels, bits.0, bits.1, rates.0, rates.1, 0] {
        range.extend_from_slice(&field.to_le_bytes());
    }
    range
}

/// What PortCls finds in common with a client's range.
fn intersection(device: &Device, range: &[u8]) -> Result<[u8; 104], NtStatus> {
    let property = Property::get(guid::KSPROPSETID_PIN, pin_property::DATAINTERSECTION);
    let mut value = [0; 104];
    let (status, size) = device.property(Filter::Wave, property, range, &mut value);
    status.ok().map(|()| assert_eq!(size, 104)).map(|()| value)
}

#[test]
fn the_intersection_of_ranges_tells_its_size() {
    let outcome = with_device(prompt_network(), |device| {
        let property = Property::get(guid::KSPROPSETID_PIN, pin_property::DATAINTERSECTION);
        let range = client_range(2, (24, 24), (96_000, 96_000));
        [&mut [0; 0][..], &mut [0; 103], &mut [0; 105]]
            .map(|value| device.property(Filter::Wave, property, &range, value))
    });
    let [nothing, too_little, enough] = outcome.expect_clean();
    assert_eq!(nothing, (NtStatus::BUFFER_OVERFLOW, 104));
    assert_eq!(too_little.0, NtStatus::BUFFER_TOO_SMALL);
    assert_eq!(enough, (NtStatus::SUCCESS, 104));
}

#[test]
fn every_intersection_is_the_format_of_that_rate_width_and_channel_count_and_opens() {
    let outcome = with_device(prompt_network(), |device| {
        let mut tried = 0;
        for rate in RATES {
            for bits in [16, 24, 32] {
                for channels in 1..=10_u16 {
                    let range = client_range(channels.into(), (bits.into(), bits.into()), (rate, rate));
                    let format = Format::pcm(rate, bits, channels.min(8));
                    let common = intersection(device, &range).expect("a format in common");
                    assert_eq!(common[..], format.to_bytes(), "{format:?}");
                    assert_eq!(verdict(device, &format), Ok(()), "{format:?}");
                    tried += 1;
                }
            }
        }
        tried
    });
    assert_eq!(outcome.expect_clean(), 6 * 3 * 10);
}

#[test]
fn a_client_that_takes_anything_gets_what_windows_has_as_its_default_with_all_channels() {
    let outcome = with_device(prompt_network(), |device| {
        let anything = client_range(u32::MAX, (0, u32::MAX), (0, u32::MAX));
        let mut wildcards = anything.clone();
        // Behind the pin, the reserved field, KSMULTIPLE_ITEM and four fields: the three identifiers.
        wildcards[32..80].fill(0);
        [anything, wildcards].map(|range| intersection(device, &range))
    });
    let expected: [u8; 104] = Format::pcm(48_000, 16, 8).to_bytes().try_into().expect("104 bytes");
    assert_eq!(outcome.expect_clean(), [Ok(expected); 2]);
}

#[test]
fn ranges_without_a_format_of_ours_have_no_intersection() {
    let outcome = with_device(prompt_network(), |device| {
        let rates = (44_100, 192_000);
        let mut ranges = vec![
            client_range(0, (16, 32), rates),
            client_range(2, (8, 15), rates),
            client_range(2, (17, 23), rates),
            client_range(2, (25, 31), rates),
            client_range(2, (33, 64), rates),
            client_range(2, (32, 16), rates),
            client_range(2, (16, 32), (0, 44_099)),
            client_range(2, (16, 32), (48_001, 88_199)),
            client_range(2, (16, 32), (192_001, u32::MAX)),
            client_range(2, (16, 32), (192_000, 44_100)),
        ];
        for identifier in [32, 48, 64] {
            let mut range = client_range(2, (16, 32), rates);
            range[identifier] ^= 1;
            ranges.push(range);
        }
        ranges.iter().map(|range| intersection(device, range)).collect::<Vec<_>>()
    });
    assert_eq!(outcome.expect_clean(), vec![Err(NtStatus::NO_MATCH); 13]);
}

#[test]
fn each_data_range_is_one_rate_and_one_width_and_names_the_mode_as_an_attribute() {
    let outcome = with_device(prompt_network(), |device| {
        let property = Property::get(guid::KSPROPSETID_PIN, pin_property::DATARANGES);
        let mut value = vec![0; 8 + 18 * (88 + 32)];
        let (status, size) = device.property(Filter::Wave, property, &[0; 8], &mut value);
        assert_eq!((status, size as usize), (NtStatus::SUCCESS, value.len()));
        value
    });
    let value = outcome.expect_clean();
    let number = |at: usize| u32::from_le_bytes(value[at..at + 4].try_into().expect("four bytes"));
    assert_eq!((number(0) as usize, number(4)), (value.len(), 18));
    let mut found = Vec::new();
    for start in (8..value.len()).step_by(88 + 32) {
        let fields = |at: usize, count: usize| -> Vec<u32> {
            (0..count).map(|n| number(start + at + 4 * n)).collect()
        };
        assert_eq!(fields(0, 4), [88, 2, 0, 0], "KSDATARANGE_ATTRIBUTES");
        assert_eq!(value[start + 16..start + 64], cd().to_bytes()[16..64], "audio, PCM, WAVEFORMATEX");
        assert_eq!(number(start + 64), 8, "channels");
        let [least_bits, most_bits, least_rate, most_rate] = fields(68, 4).try_into().expect("four fields");
        assert_eq!((least_bits, least_rate), (most_bits, most_rate));
        found.push((most_rate, most_bits));
        assert_eq!(fields(88, 4), [32, 1, 24, 0], "a list of one attribute");
        assert_eq!(value[start + 104..start + 120], MODE_ATTRIBUTE);
    }
    found.sort_unstable();
    let all = RATES.into_iter().flat_map(|rate| [16, 24, 32].map(|bits| (rate, bits)));
    assert_eq!(found, all.collect::<Vec<_>>());
}

/// KSATTRIBUTEID_AUDIOSIGNALPROCESSING_MODE, {E1F89EB5-5F46-419B-967B-FF6770B98401}.
const MODE_ATTRIBUTE: [u8; 16] =
    [0xB5, 0x9E, 0xF8, 0xE1, 0x46, 0x5F, 0x9B, 0x41, 0x96, 0x7B, 0xFF, 0x67, 0x70, 0xB9, 0x84, 0x01];

/// Plays a little more than 50 ms, and compares every byte, every header, and the size of every packet.
fn plays(format: Format, header: [u8; 5]) {
    let frame = format.frame_bytes();
    let frames = format.rate as usize / 20 + 41;
    let mut audio = noise(u64::from(format.rate) + frame as u64, frames * frame);
    if format.valid_bits < format.bits {
        // The valid bits are the upper ones, and Windows leaves the others zero.
        audio.iter_mut().step_by(4).for_each(|lowest| *lowest = 0);
    }
    let played = audio.clone();
    let wanted = format.clone();
    let outcome = with_device(prompt_network(), move |device| {
        let bytes = wanted.rate / 100 * wanted.frame_bytes() as u32;
        let mut stream = device.open(&wanted, Buffer::Notified { bytes, count: 2 }).expect("a stream");
        stream.play(source(audio)).expect("it plays");
        stream.close();
        sent()
    });
    let datagrams = outcome.expect_clean();
    let full = 1152 / frame * frame;
    for (number, datagram) in datagrams.iter().enumerate() {
        assert_eq!(datagram.payload[..5], header, "{format:?}: the header of packet {number}");
        let audio = datagram.payload.len() - 5;
        let last = number + 1 == datagrams.len();
        assert!(audio == full || last && audio % frame == 0, "{format:?}: {audio} bytes in packet {number}");
    }
    assert_same_audio(&audio_of(&datagrams), &played);
}

#[test]
fn every_rate_and_width_plays_bit_exactly_for_every_channel_count() {
    let rates = [(44_100, 0x81), (48_000, 1), (88_200, 0x82), (96_000, 2), (176_400, 0x84), (192_000, 4)];
    let masks = [0x04, 0x03, 0x0B, 0x33, 0x37, 0x3F, 0x13F, 0x63F_u16];
    for (rate, rate_byte) in rates {
        for (bits, valid) in SAMPLES {
            for (channels, mask) in (1..).zip(masks) {
                let format = Format::pcm(rate, bits, channels).with_valid_bits(valid);
                let [low, high] = mask.to_le_bytes();
                plays(format, [rate_byte, bits as u8, channels as u8, low, high]);
            }
        }
    }
}

#[test]
fn a_format_without_a_mask_is_sent_with_that_of_its_channel_count() {
    for (channels, mask) in [(1, [4, 0]), (2, [3, 0]), (5, [0x37, 0]), (7, [0x3F, 1]), (8, [0x3F, 6])] {
        plays(Format::pcm(96_000, 24, channels).plain(), [2, 24, channels as u8, mask[0], mask[1]]);
    }
}

#[test]
fn a_mask_is_sent_as_it_is_whether_or_not_it_has_as_many_bits_as_there_are_channels() {
    for (channels, mask) in [(2, 0), (8, 0), (6, 0x60F), (1, SPEAKERS), (7, 0x400), (3, 0x107)] {
        let [low, high, ..] = mask.to_le_bytes();
        plays(Format::pcm(44_100, 16, channels).with_mask(mask), [0x81, 16, channels as u8, low, high]);
    }
}

#[test]
fn a_proposal_needs_its_pin_and_a_whole_format() {
    let outcome = with_device(prompt_network(), |device| {
        let property = Property::set(guid::KSPROPSETID_PIN, pin_property::PROPOSEDATAFORMAT);
        let format = cd().to_bytes();
        let ask = |instance: &[u8], value: &[u8]| {
            device.property(Filter::Wave, property, instance, &mut value.to_vec()).0
        };
        let get = Property { verb: verb::GET, ..property };
        [
            ask(&[], &format),
            ask(&[0; 4], &format),
            ask(&[0; 8], &format[..103]),
            ask(&[0; 8], &format[..20]),
            ask(&[1, 0, 0, 0, 0, 0, 0, 0], &format),
            ask(&[7, 0, 0, 0, 0, 0, 0, 0], &format),
            device.property(Filter::Wave, get, &[0; 8], &mut format.clone()).0,
        ]
    });
    let invalid = NtStatus::INVALID_PARAMETER;
    let expected = [
        invalid,
        invalid,
        NtStatus::NO_MATCH,
        NtStatus::NO_MATCH,
        NtStatus::NOT_SUPPORTED,
        invalid,
        NtStatus::INVALID_DEVICE_REQUEST,
    ];
    assert_eq!(outcome.expect_clean(), expected);
}
