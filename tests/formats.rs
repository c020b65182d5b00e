//! Which formats the driver takes, and how it refuses the others.
#![cfg(target_os = "linux")]

mod common;

use common::{prompt_network, with_device};
use testbed::client::{Buffer, Format};
use testbed::device::{Device, Filter};
use testbed::nt::NtStatus;
use testbed::portcls::abi::{guid, verb};
use testbed::portcls::{Property, pin_property};

const NO_MATCH: Result<(), NtStatus> = Err(NtStatus::NO_MATCH);

/// Proposes a format and opens a pin with it; both must say the same.
fn verdict(device: &Device, format: &Format) -> Result<(), NtStatus> {
    let proposed = device.propose(0, format);
    let opened = device.open_pin(0, format).map(|_| ());
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
            Format::pcm(44_100, 16, 6),
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

#[test]
fn the_intersection_of_ranges_is_a_format_that_opens() {
    let outcome = with_device(prompt_network(), |device| {
        let property = Property::get(guid::KSPROPSETID_PIN, pin_property::DATAINTERSECTION);
        let instance = client_range(2, (24, 24), (96_000, 96_000));
        let mut value = [0; 104];
        let sizes = (
            device.property(Filter::Wave, property, &instance, &mut []),
            device.property(Filter::Wave, property, &instance, &mut [0; 103]),
            device.property(Filter::Wave, property, &instance, &mut value),
        );
        let none = device.property(
            Filter::Wave,
            property,
            &client_range(2, (24, 24), (22_050, 22_050)),
            &mut [0; 104],
        );
        (sizes, value.to_vec(), none.0)
    });
    let (sizes, format, none) = outcome.expect_clean();
    assert_eq!(sizes.0, (NtStatus::BUFFER_OVERFLOW, 104));
    assert_eq!(sizes.1.0, NtStatus::BUFFER_TOO_SMALL);
    assert_eq!(sizes.2, (NtStatus::SUCCESS, 104));
    assert_eq!(format[64..], Format::pcm(96_000, 24, 2).to_bytes()[64..]);
    assert_eq!(none, NtStatus::NO_MATCH);
}

#[test]
fn properties_that_do_not_exist_are_not_found() {
    let outcome = with_device(prompt_network(), |device| {
        let mut value = [0; 64];
        [
            device.property(Filter::Wave, Property::get(guid::KSPROPSETID_AUDIO, 4), &[0; 8], &mut value).0,
            device
                .property(Filter::Topology, Property::get(guid::KSPROPSETID_JACK, 99), &[0; 8], &mut value)
                .0,
            device
                .node_property(
                    Filter::Wave,
                    0,
                    Property::get(guid::KSPROPSETID_AUDIO, 4),
                    &[0; 8],
                    &mut value,
                )
                .0,
        ]
    });
    assert_eq!(
        outcome.expect_clean(),
        [NtStatus::NOT_FOUND, NtStatus::NOT_FOUND, NtStatus::INVALID_PARAMETER]
    );
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
