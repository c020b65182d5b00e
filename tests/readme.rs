//! What README.md says of formats, options and events is what the loaded driver does.
#![cfg(target_os = "linux")]

mod common;

use std::collections::BTreeSet;

use common::{driver_file, prompt_network, sent, with_device, with_options};
use protocol::options::DESCRIPTIONS;
use testbed::client::{Buffer, Format, Stream};
use testbed::device::{Device, Filter};
use testbed::kernel::etw::Session;
use testbed::kernel::registry::Value;
use testbed::nt::{Guid, NtStatus};
use testbed::portcls::abi::{KsState, guid};
use testbed::portcls::{Property, pin_property};
use testbed::{Config, Driver, Machine, schedule};

const README: &str = include_str!("../README.md");
const OPTIONS: &str = include_str!("../docs/options.md");
/// Where events, the steps of connecting and the reasons of shared memory are named.
const TOLD: [&str; 4] = [
    include_str!("../src/events.rs"),
    include_str!("../src/transport/wsk/socket.rs"),
    include_str!("../src/transport/wsk/setup.rs"),
    include_str!("../src/transport/ivshmem/search.rs"),
];

/// AUDIO_SIGNALPROCESSINGMODE_MEDIA and the other modes that Windows knows.
const OTHER_MODES: [u128; 5] = [
    0x4780_004E_7133_41D8_8C74_660D_ADD2_C0EE,
    0xB26F_EB0D_EC94_477C_9494_D1AB_8E75_3F6E,
    0x9876_43FD_0A5D_4CB0_9DD0_8A2A_7F62_6CFE,
    0xFC1C_FC9B_B9D6_4CFA_B5E0_4BB2_1668_78B2,
    0x9CF2_A70B_F377_403B_BD6B_3608_63E0_355C,
];

/// The section of README under a heading.
fn section(heading: &str) -> &'static str {
    let start = format!("\n## {heading}\n");
    let (_, rest) = README.split_once(&start).unwrap_or_else(|| panic!("README has no {start}"));
    rest.split("\n## ").next().unwrap_or_default()
}

/// The rows of the table in a section, without its header, cell by cell.
fn rows(section: &str) -> Vec<Vec<&str>> {
    let lines = section.lines().filter(|line| line.starts_with('|')).skip(2);
    lines.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

fn list(items: impl IntoIterator<Item = impl ToString>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}

/// The first and the last of numbers without a gap.
#[track_caller]
fn span(numbers: &[u32]) -> (u32, u32) {
    let (first, last) = (*numbers.first().expect("a number"), *numbers.last().expect("a number"));
    assert_eq!(numbers.to_vec(), (first..=last).collect::<Vec<_>>(), "there are gaps");
    (first, last)
}

/// The rates in Hz, the widths and the most channels of the data ranges, which is every combination of them.
fn data_ranges(device: &Device) -> (BTreeSet<u32>, BTreeSet<u32>, u32) {
    let property = Property::get(guid::KSPROPSETID_PIN, pin_property::DATARANGES);
    let (status, size) = device.property(Filter::Wave, property, &[0; 8], &mut []);
    assert_eq!(status, NtStatus::BUFFER_OVERFLOW);
    let mut value = vec![0; size as usize];
    assert_eq!(device.property(Filter::Wave, property, &[0; 8], &mut value).0, NtStatus::SUCCESS);
    let number = |at: usize| u32::from_le_bytes(value[at..at + 4].try_into().expect("four bytes"));
    let (mut all, mut at) = (BTreeSet::new(), 8);
    let mut channels = BTreeSet::new();
    while at < value.len() {
        assert_eq!((number(at + 68), number(at + 76)), (number(at + 72), number(at + 80)));
        channels.insert(number(at + 64));
        all.insert((number(at + 76), number(at + 68)));
        let (range, has_attributes) = (number(at) as usize, number(at + 4) & 2 != 0);
        at += range.next_multiple_of(8);
        at += if has_attributes { (number(at) as usize).next_multiple_of(8) } else { 0 };
    }
    let (rates, widths): (BTreeSet<u32>, BTreeSet<u32>) = all.iter().copied().unzip();
    assert_eq!(all.len(), rates.len() * widths.len(), "not every rate has every width");
    assert_eq!(channels.len(), 1, "not every range has as many channels");
    (rates, widths, channels.into_iter().next().unwrap_or(0))
}

fn takes(device: &Device, format: &Format) -> bool {
    device.propose(0, format).is_ok()
}

/// How a format can be described, and what it can be.
fn coding(device: &Device) -> String {
    let format = Format::pcm(48_000, 32, 2);
    let float = Format { sub_format: guid::KSDATAFORMAT_SUBTYPE_FLOAT, ..format.clone() };
    assert!(!takes(device, &float));
    let forms = [(format.clone().plain(), "`WAVEFORMATEX`"), (format, "`WAVEFORMATEXTENSIBLE`")];
    let forms: Vec<_> =
        forms.iter().filter(|(format, _)| takes(device, format)).map(|(_, name)| *name).collect();
    format!("PCM, as {}", forms.join(" or "))
}

/// Bits of samples, and how samples are sent that do not use all of theirs.
fn samples(device: &Device, widths: &BTreeSet<u32>) -> String {
    let mut told: Vec<String> = Vec::new();
    for bits in (8..=64).step_by(4) {
        for valid in 1..=bits {
            let format = Format::pcm(48_000, bits, 2).with_valid_bits(valid);
            if !takes(device, &format) {
                continue;
            }
            assert!(widths.contains(&u32::from(bits)));
            let mut stream = device.open(&format, Buffer::Polled { bytes: 8000 }).expect("a stream");
            stream.set_state(KsState::Run).expect("it runs");
            schedule::sleep_until(schedule::now() + 10_000_000);
            stream.close();
            let header = sent().first().expect("a packet").payload[1];
            told.push(if valid == bits && header == bits as u8 {
                bits.to_string()
            } else {
                format!("{valid} in {bits} (sent as {header})")
            });
        }
    }
    list(told)
}

fn channels(device: &Device, most: u32) -> String {
    let taken: Vec<u32> =
        (0..=64).filter(|channels| takes(device, &Format::pcm(48_000, 16, *channels as u16))).collect();
    assert_eq!(span(&taken).1, most, "ranges and proposals differ");
    format!("{} to {most}", span(&taken).0)
}

fn masks(device: &Device) -> String {
    let near = (0..=0x2000).chain((13..32).map(|bit| 1 << bit)).chain([u32::MAX]);
    let taken: Vec<u32> =
        near.filter(|mask| takes(device, &Format::pcm(48_000, 16, 2).with_mask(*mask))).collect();
    let (first, last) = span(&taken);
    format!("0x{first:X} to 0x{last:X}")
}

fn modes(device: &Device) -> String {
    let count = device.signal_processing_modes(0, None).expect("the interface").1;
    let known = [
        ("default", guid::AUDIO_SIGNALPROCESSINGMODE_DEFAULT),
        ("raw", guid::AUDIO_SIGNALPROCESSINGMODE_RAW),
    ];
    let takes = |mode: Guid| takes(device, &Format::pcm(48_000, 16, 2).with_mode(mode));
    assert!(!OTHER_MODES.iter().any(|mode| takes(Guid::from_u128(*mode))));
    let taken: Vec<&str> = known.iter().filter(|(_, mode)| takes(*mode)).map(|(name, _)| *name).collect();
    assert_eq!(taken.len(), count as usize, "the list of modes and the formats differ");
    list(taken)
}

/// The longest buffer in seconds, and the numbers of notifications that it may have.
fn buffers(device: &Device) -> String {
    let seconds = [Format::pcm(44_100, 16, 1), Format::pcm(192_000, 32, 8)].map(|format| {
        let mut stream = device.open_pin(0, &format).expect("a stream");
        stream.allocate(Buffer::Polled { bytes: 10 * format.bytes_per_second }).expect("a buffer");
        assert_eq!(stream.buffer_bytes() % format.bytes_per_second, 0);
        stream.buffer_bytes() / format.bytes_per_second
    });
    assert_eq!(seconds[0], seconds[1]);
    let counts: Vec<u32> = (0..8).filter(|count| with_notifications(device, *count).is_some()).collect();
    format!("up to {} s, with {} to {} notifications", seconds[0], span(&counts).0, span(&counts).1)
}

/// A stream with a buffer of 20 ms and so many notifications in it, if it can have them.
fn with_notifications(device: &Device, count: u32) -> Option<Stream> {
    let bytes = 3840;
    let buffer = if count == 0 { Buffer::Polled { bytes } } else { Buffer::Notified { bytes, count } };
    device.open(&Format::pcm(48_000, 16, 2), buffer).ok()
}

fn packet_mode(device: &Device) -> String {
    let counts = (0..8).filter(|count| {
        let stream = with_notifications(device, *count);
        stream.is_some_and(|mut stream| {
            stream.set_write_packet(0, 0, 0).is_ok()
                && stream.packet_count() == Ok(0)
                && stream.presentation_position().is_ok()
        })
    });
    let counts = span(&counts.collect::<Vec<_>>());
    format!("with {} or {} notifications", counts.0, counts.1)
}

/// How many events a stream can signal.
fn events(device: &Device) -> String {
    let mut stream = with_notifications(device, 2).expect("a stream with an event");
    let more = std::iter::repeat_with(|| stream.register_event().ok()).take(64).map_while(|event| event);
    let more: Vec<_> = more.collect();
    more.iter().for_each(|event| stream.unregister_event(*event).expect("it was registered"));
    format!("up to {}", 1 + more.len())
}

#[test]
fn the_table_of_formats_is_what_the_driver_offers() {
    let outcome = with_device(prompt_network(), |device| {
        let (rates, widths, most_channels) = data_ranges(device);
        let proposed = (0..=800_000).step_by(50).filter(|rate| takes(device, &Format::pcm(*rate, 16, 2)));
        assert_eq!(proposed.collect::<BTreeSet<u32>>(), rates, "proposals and ranges differ");
        let khz = rates.iter().map(|rate| f64::from(*rate) / 1000.0);
        [
            ("coding", coding(device)),
            ("sampling rates", format!("{} kHz", list(khz))),
            ("bits of a sample", samples(device, &widths)),
            ("channels", channels(device, most_channels)),
            ("channel masks", masks(device)),
            ("signal-processing modes", modes(device)),
            ("buffer", buffers(device)),
            ("packet mode", packet_mode(device)),
            ("notification events", events(device)),
        ]
    });
    let offered = outcome.expect_clean();
    let offered: Vec<Vec<&str>> = offered.iter().map(|(what, cell)| vec![*what, cell.as_str()]).collect();
    assert_eq!(rows(section("Formats")), offered);
}

/// Where the driver sends to with these options.
fn destination(options: &[(&str, Value)]) -> (String, u16) {
    let outcome = with_options(prompt_network(), options, |device| {
        let mut stream = with_notifications(device, 2).expect("a stream");
        stream.set_state(KsState::Run).expect("it runs");
        schedule::sleep_until(schedule::now() + 10_000_000);
        stream.close();
        sent().first().expect("a packet").destination
    });
    let destination = outcome.expect_clean();
    (destination.ip().to_string(), destination.port())
}

fn text(text: &'static std::ffi::CStr) -> &'static str {
    text.to_str().expect("ASCII")
}

#[test]
fn the_table_of_options_is_what_the_driver_says_and_obeys() {
    let rows = rows(section("Options"));
    let told: Vec<[String; 2]> =
        rows.iter().map(|row| [row[0].trim_matches('`').to_owned(), row[3].to_owned()]).collect();
    let known: Vec<[String; 2]> =
        DESCRIPTIONS.map(|option| [text(option.name), text(option.default)].map(str::to_owned)).to_vec();
    assert_eq!(told, known, "names and defaults");
    for (row, option) in rows.iter().zip(DESCRIPTIONS) {
        let types: Vec<&str> = row[1].split(" or ").map(|kind| kind.trim_matches('`')).collect();
        let accepted: BTreeSet<&str> =
            text(option.accepted).split([',', ' ']).filter(|word| word.starts_with("REG_")).collect();
        assert_eq!(types.into_iter().collect::<BTreeSet<_>>(), accepted, "{}", row[0]);
    }
    assert_eq!(destination(&[]), ("239.255.77.77".to_owned(), 4010));
    let of_address = |text: &str| destination(&[("UnicastIPv4", Value::Sz(text.to_owned()))]);
    assert_eq!(of_address("192.0.2.1"), ("192.0.2.1".to_owned(), 4010), "unicast");
    assert_eq!(of_address("239.1.2.3"), ("239.1.2.3".to_owned(), 4010), "multicast");
    let of_port = |number: u32| destination(&[("UnicastPort", Value::Dword(number))]).1;
    assert_eq!([1, 65_535, 0, 65_536].map(of_port), [1, 65_535, 4010, 4010]);
}

#[test]
fn the_loaded_driver_tells_of_each_option_what_the_documents_say() {
    for option in DESCRIPTIONS {
        let config = Config { events: Some(Session::everything()), ..prompt_network() };
        let outcome = with_options(config, &[(text(option.name), Value::Binary(vec![1]))], |device| {
            with_notifications(device, 2).expect("a stream").close();
        });
        let told: Vec<String> = (outcome.events.iter())
            .filter(|event| event.name == "OptionIgnored")
            .map(ToString::to_string)
            .collect();
        let [name, accepted, default] = [option.name, option.accepted, option.default].map(text);
        let expected = format!(
            "Scream warning: OptionIgnored Name={name:?} Entry=0 Reason=\"of another type\" Accepted={accepted:?} \
             Default={default:?}"
        );
        assert_eq!(told, [expected]);
        outcome.expect_clean();
    }
}

/// What is in backquotes after a word in the first cells of the tables of docs/options.md.
fn named_after(word: &str) -> BTreeSet<&'static str> {
    let cells = OPTIONS.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let after = cells.flat_map(|cell| cell.split(word).skip(1));
    after.filter_map(|rest| rest.trim_start().strip_prefix('`')?.split('`').next()).collect()
}

#[test]
fn the_signs_of_wrong_options_are_events_that_the_driver_has() {
    for (word, least) in [("event", 6), ("Step", 2), ("Reason", 4)] {
        let named = named_after(word);
        assert!(named.len() >= least, "{word}: {named:?}");
        for name in named {
            assert!(TOLD.iter().any(|source| source.contains(&format!("\"{name}\""))), "{word} {name}");
        }
    }
}

#[test]
fn the_provider_of_events_has_the_name_and_the_identifier_that_readme_records() {
    let image = driver_file();
    let config = Config { events: Some(Session::everything()), ..prompt_network() };
    let outcome = Machine::run(config, move || {
        let driver = Driver::load(&image, common::SERVICE).expect("it loads");
        let device = Device::add(&driver).expect("the device is added");
        device.start().expect("it starts");
        device.remove().expect("it is removed");
        driver.unload();
    });
    assert!(outcome.violations.is_empty(), "{:?}", outcome.violations);
    let text = section("Events");
    let named = text.split('`').nth(1).expect("a name");
    for event in &outcome.events {
        assert_eq!(event.provider, named);
        assert_eq!(
            text.matches(&format!("{:?}", event.provider_id)).count(),
            4,
            "README names {:?} where it names the provider",
            event.provider_id
        );
    }
    assert_eq!(outcome.events.len(), 2, "the start and the end of a device");
}
