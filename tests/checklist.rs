//! What a WaveRT miniport has to do and no other scenario asks for: order of the calls, claims, sizes, latency, long runs.
#![cfg(target_os = "linux")]

mod common;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use common::{SERVICE, assert_same_audio, audio_of, driver_file, noise, prompt_network, sent, tick_of};
use common::{source, with_device};
use testbed::client::{Buffer, Format, Stream};
use testbed::device::{CAPABILITIES, Filter};
use testbed::kernel::pool;
use testbed::kernel::registry::{self, Value};
use testbed::nt::NtStatus;
use testbed::portcls::abi::{KsState, guid};
use testbed::portcls::{Property, pin_property};
use testbed::schedule::{self, PASSIVE_LEVEL};
use testbed::trace::{self, Kept};
use testbed::{Config, Device, Driver, Machine, Outcome, crossing};

const RATES: [u32; 6] = [44_100, 48_000, 88_200, 96_000, 176_400, 192_000];
/// Bits of a sample in memory, and how many of them are used.
const SAMPLES: [(u16, u16); 4] = [(16, 16), (24, 24), (32, 24), (32, 32)];
const FREQUENCY: u64 = 10_000_000;
const MS: u64 = 1_000_000;
/// {6DBA3190-67BD-11CF-A0F7-0020AFD156E4}, KSDATAFORMAT_SUBTYPE_ANALOG.
const ANALOG: [u8; 16] =
    [0x90, 0x31, 0xBA, 0x6D, 0xBD, 0x67, 0xCF, 0x11, 0xA0, 0xF7, 0x00, 0x20, 0xAF, 0xD1, 0x56, 0xE4];
/// {0F6417D6-C318-11D0-A43F-00A0C9223196}, KSDATAFORMAT_SPECIFIER_NONE.
const NO_SPECIFIER: [u8; 16] =
    [0xD6, 0x17, 0x64, 0x0F, 0x18, 0xC3, 0xD0, 0x11, 0xA4, 0x3F, 0x00, 0xA0, 0xC9, 0x22, 0x31, 0x96];

fn cd() -> Format {
    Format::pcm(48_000, 16, 2)
}

fn traced() -> Config {
    Config { trace: Kept::All, ..prompt_network() }
}

/// After each note of the scenario, the calls of the driver whose names these are, in order.
fn calls_after_notes<T>(outcome: &Outcome<T>, names: &[&str]) -> Vec<String> {
    let trace = outcome.trace.to_string();
    let steps = trace.lines().filter_map(|line| line.split_once(" IRQL ").map(|(_, step)| &step[1..]));
    steps
        .map(str::trim)
        .filter(|step| step.starts_with("-- ") || names.contains(step))
        .map(|step| step.trim_start_matches("-- ").to_owned())
        .collect()
}

const CONNECTION: &str = "IUnregisterPhysicalConnection_UnregisterPhysicalConnection";
const SUBDEVICE: &str = "IUnregisterSubdevice_UnregisterSubdevice";
const POWER: &str = "PcUnregisterAdapterPowerManagement";
const PORTCLS: &str = "PcDispatchIrp";
const TEARDOWN: [&str; 5] = [CONNECTION, SUBDEVICE, SUBDEVICE, POWER, PORTCLS];

#[test]
fn a_device_is_taken_apart_once_before_portcls_hears_that_it_goes() {
    let image = driver_file();
    let outcome = Machine::run(traced(), move || {
        let driver = Driver::load(&image, SERVICE).expect("it loads");
        let device = Device::add(&driver).expect("the device is added");
        device.start().expect("it starts");
        let step = |name: &'static str, happens: &dyn Fn() -> Result<(), NtStatus>| {
            trace::note(|| name.to_owned());
            happens().expect(name);
        };
        step("query stop", &|| device.query_stop());
        step("cancel stop", &|| device.cancel_stop());
        step("stop", &|| device.stop());
        step("start", &|| device.start());
        step("query remove", &|| device.query_remove());
        step("surprise", &|| device.surprise_remove());
        step("remove", &|| device.remove());
        driver.unload();
    });
    let calls = calls_after_notes(&outcome, &[CONNECTION, SUBDEVICE, POWER, PORTCLS]);
    let mut expected = vec!["query stop", PORTCLS, "cancel stop", PORTCLS, "stop"];
    expected.extend(TEARDOWN);
    // The second is the question for capabilities.
    expected.extend(["start", PORTCLS, PORTCLS, "query remove", PORTCLS, "surprise"]);
    expected.extend(TEARDOWN);
    expected.extend(["remove", PORTCLS]);
    // The first start comes before the first note.
    assert_eq!(calls[2..], expected);
    outcome.expect_clean();
}

#[test]
fn the_capabilities_of_the_device_stay_as_portcls_gives_them() {
    let outcome = with_device(traced(), |device| device.capabilities());
    let answer = "< IAdapterPowerManagement::QueryDeviceCapabilities: STATUS_SUCCESS";
    assert_eq!(outcome.trace.to_string().matches(answer).count(), 1);
    assert_eq!(outcome.expect_clean(), Some(CAPABILITIES));
}

#[test]
fn the_wave_filter_goes_before_the_topology_filter() {
    let outcome = with_device(prompt_network(), |device| {
        // What is not unregistered stays, so that it shows which it was.
        crossing::inject(SUBDEVICE, 1, NtStatus::UNSUCCESSFUL);
        device.surprise_remove().expect("it goes");
        device.subdevices()
    });
    assert_eq!(outcome.expect_clean(), ["Wave"]);
}

#[test]
fn unloading_calls_portcls_first_then_leaves_the_network_and_the_events() {
    let image = driver_file();
    let outcome = Machine::run(traced(), move || {
        let driver = Driver::load(&image, SERVICE).expect("it loads");
        trace::note(|| "unload".to_owned());
        driver.unload();
    });
    let calls = calls_after_notes(&outcome, &["PcDriverUnload", "WskDeregister", "EtwUnregister"]);
    assert_eq!(calls, ["unload", "PcDriverUnload", "WskDeregister", "EtwUnregister"]);
    outcome.expect_clean();
}

#[test]
fn a_service_key_is_read_up_to_its_length_and_refused_when_it_is_too_long() {
    // The path of a key is not ended by a NUL. With \Registry\Machine\System\CurrentControlSet\Services\ before it, a
    // name of 204 characters makes a path of 256.
    for (characters, loads) in [(1, true), (204, true), (205, false), (255, false)] {
        let image = driver_file();
        let outcome = Machine::run(prompt_network(), move || {
            let service = "S".repeat(characters);
            let key = testbed::kernel::driver::service_key(&service);
            registry::set(&format!(r"{key}\Options"), "UnicastPort", Value::Dword(5000));
            let Ok(driver) = Driver::load(&image, &service) else { return None };
            let device = Device::add(&driver).expect("the device is added");
            device.start().expect("it starts");
            let mut stream = device.open(&cd(), Buffer::Polled { bytes: 3840 }).expect("a stream");
            stream.play(source(noise(1, 3840))).expect("it plays");
            stream.close();
            device.remove().expect("it goes");
            driver.unload();
            Some(sent()[0].destination.port())
        });
        assert_eq!(outcome.expect_clean(), loads.then_some(5000), "{characters} characters");
    }
}

#[test]
fn a_stream_that_cannot_be_made_gives_the_pin_back() {
    let outcome = with_device(prompt_network(), |device| {
        let before = pool::allocations();
        device.open_pin(0, &cd()).expect("a stream").close();
        let allocations = pool::allocations() - before;
        for allocation in 0..allocations {
            pool::fail_after(allocation);
            let refused = device.open_pin(0, &cd()).err();
            assert_eq!(refused, Some(NtStatus::INSUFFICIENT_RESOURCES), "allocation {allocation}");
            device.open_pin(0, &cd()).expect("the pin is free again").close();
        }
        for status in [NtStatus::UNSUCCESSFUL, NtStatus::ACCESS_DENIED] {
            crossing::inject("PsCreateSystemThread", 1, status);
            assert_eq!(device.open_pin(0, &cd()).err(), Some(status));
            device.open_pin(0, &cd()).expect("the pin is free again").close();
        }
        allocations
    });
    assert!(outcome.expect_clean() > 10);
}

#[test]
fn of_two_that_open_the_pin_at_once_one_gets_it() {
    for seed in 0..50 {
        let image = driver_file();
        let config = Config { seed: Some(seed), ..prompt_network() };
        let outcome = Machine::run(config, move || {
            let driver = Driver::load(&image, SERVICE).expect("it loads");
            let device = Rc::new(Device::add(&driver).expect("the device is added"));
            device.start().expect("it starts");
            let opened: Rc<RefCell<Vec<Result<Stream, NtStatus>>>> = Rc::default();
            for _ in 0..3 {
                let (device, opened) = (Rc::clone(&device), Rc::clone(&opened));
                schedule::spawn("client", PASSIVE_LEVEL, move || {
                    let stream = device.new_stream(0, false, &cd(), &cd().to_bytes());
                    opened.borrow_mut().push(stream);
                });
            }
            schedule::sleep_until(schedule::now() + 100 * MS);
            let opened = opened.take();
            let mut results: Vec<_> = opened.iter().map(|stream| stream.as_ref().err().copied()).collect();
            results.sort_by_key(Option::is_some);
            drop(opened);
            device.remove().expect("it goes");
            driver.unload();
            results
        });
        let refused = Some(NtStatus::INSUFFICIENT_RESOURCES);
        assert_eq!(outcome.expect_clean(), [None, refused, refused], "seed {seed}");
    }
}

#[test]
fn formats_of_bridge_pins_are_left_to_portcls() {
    let outcome = with_device(traced(), |device| {
        // The bridge pin's own range: audio, analogue, without a specifier.
        let mut range = cd().to_bytes()[..64].to_vec();
        range[..4].copy_from_slice(&64_u32.to_le_bytes());
        range[32..48].copy_from_slice(&ANALOG);
        range[48..64].copy_from_slice(&NO_SPECIFIER);
        let property = Property::get(guid::KSPROPSETID_PIN, pin_property::DATAINTERSECTION);
        for (filter, pin) in [(Filter::Topology, 0_u32), (Filter::Topology, 1), (Filter::Wave, 1)] {
            let head = [pin, 0, 8 + 64, 1].map(u32::to_le_bytes).concat();
            let instance = [head, range.clone()].concat();
            device.property(filter, property, &instance, &mut [0; 64]);
        }
    });
    let trace = outcome.trace.to_string();
    let answers = trace.lines().filter_map(|line| line.split_once("< IMiniport::DataRangeIntersection: "));
    let answers: Vec<&str> = answers.map(|(_, status)| status).collect();
    assert_eq!(answers, ["STATUS_NOT_IMPLEMENTED (0xc0000002)"; 3]);
    outcome.expect_clean();
}

#[test]
fn the_format_of_a_stream_never_changes() {
    let audio = noise(2, 9600 * 4);
    let played = audio.clone();
    let outcome = with_device(prompt_network(), move |device| {
        let mut stream = device.open(&cd(), Buffer::Notified { bytes: 3840, count: 2 }).expect("a stream");
        let mut player = stream.player(source(audio));
        player.start().expect("it starts");
        player.run_for(55 * MS).expect("it plays");
        let formats = [cd(), Format::pcm(44_100, 24, 6), Format::pcm(44_100, 8, 2)];
        let refused = formats.map(|format| player.stream().set_format(&format.to_bytes()));
        player.finish().expect("it plays on");
        stream.close();
        (refused, sent())
    });
    let (refused, datagrams) = outcome.expect_clean();
    assert_eq!(refused, [Err(NtStatus::NOT_SUPPORTED); 3]);
    assert_same_audio(&audio_of(&datagrams), &played);
}

/// A buffer of about so many bytes, with so many notifications.
fn buffer(bytes: u32, count: u32) -> Buffer {
    match count {
        0 => Buffer::Polled { bytes },
        count => Buffer::Notified { bytes, count },
    }
}

/// Asks for buffers of so many bytes without notifications, with one and with two, and compares their sizes.
fn assert_buffer_sizes(device: &Device, format: &Format, asked: &[u32]) {
    let frame = format.frame_bytes() as u32;
    let most = 4 * format.rate * frame;
    let mut stream = device.open_pin(0, format).expect("a stream");
    for asked in asked {
        for count in 0..=2 {
            stream.allocate(buffer(*asked, count)).expect("a buffer");
            let asked = *asked.min(&most);
            let expected = asked - asked % (frame * count.max(1));
            assert_eq!(stream.buffer_bytes(), expected, "{format:?}, {asked} bytes, {count} notifications");
            stream.free_buffer();
        }
    }
}

#[test]
fn a_buffer_of_two_seconds_can_be_had_in_every_format() {
    let outcome = with_device(prompt_network(), |device| {
        for rate in RATES {
            for (bits, valid) in SAMPLES {
                for channels in 1..=8 {
                    let format = Format::pcm(rate, bits, channels).with_valid_bits(valid);
                    assert_buffer_sizes(device, &format, &[2 * rate * format.frame_bytes() as u32]);
                }
            }
        }
    });
    outcome.expect_clean();
}

#[test]
fn a_buffer_is_as_long_as_was_asked_for_or_less_than_a_frame_for_each_packet_shorter() {
    let outcome = with_device(prompt_network(), |device| {
        for format in [cd(), Format::pcm(44_100, 24, 5), Format::pcm(48_000, 32, 7)] {
            let frame = format.frame_bytes() as u32;
            let most = 4 * format.rate * frame;
            let near: Vec<u32> = (2 * frame..6 * frame).collect();
            assert_buffer_sizes(device, &format, &near);
            assert_buffer_sizes(device, &format, &[4095, 4096, 4097, most - 1, most, most + 1, u32::MAX]);
        }
    });
    outcome.expect_clean();
}

#[test]
fn a_new_buffer_is_silent_whatever_the_one_before_held() {
    for (bits, channels) in [(16, 2), (24, 3), (32, 8)] {
        let outcome = with_device(prompt_network(), move |device| {
            let format = Format::pcm(48_000, bits, channels);
            let frame = format.frame_bytes();
            let mut stream = device.open_pin(0, &format).expect("a stream");
            for _ in 0..2 {
                stream.allocate(Buffer::Polled { bytes: 960 * frame as u32 }).expect("a buffer");
                stream.set_state(KsState::Run).expect("it runs");
                schedule::sleep_until(schedule::now() + 20 * MS);
                stream.set_state(KsState::Stop).expect("it stops");
                assert_same_audio(&audio_of(&sent()), &vec![0; 960 * frame]);
                stream.write(0, &noise(3, 960 * frame));
                stream.free_buffer();
            }
        });
        outcome.expect_clean();
    }
}

#[test]
fn a_stream_with_a_buffer_takes_no_other_in_any_state_and_plays_on() {
    let outcome = with_device(prompt_network(), |device| {
        let audio = noise(4, 38_400);
        let mut stream = device.open(&cd(), Buffer::Polled { bytes: 38_400 }).expect("a stream");
        stream.write(0, &audio);
        let refused = [KsState::Stop, KsState::Acquire, KsState::Pause, KsState::Run].map(|state| {
            stream.set_state(state).expect("a state");
            [Buffer::Polled { bytes: 3840 }, Buffer::Notified { bytes: 3840, count: 2 }]
                .map(|buffer| stream.allocate(buffer))
        });
        schedule::sleep_until(schedule::now() + 50 * MS);
        stream.close();
        assert_same_audio(&audio_of(&sent()), &audio[..2400 * 4]);
        refused
    });
    assert_eq!(outcome.expect_clean(), [[Err(NtStatus::INVALID_DEVICE_STATE); 2]; 4]);
}

#[test]
fn four_events_can_be_registered_and_all_of_them_are_set() {
    let outcome = with_device(prompt_network(), |device| {
        let mut stream = device.open(&cd(), Buffer::Notified { bytes: 3840, count: 2 }).expect("a stream");
        // One is there already.
        let events = [(); 3].map(|()| stream.register_event().expect("there is room"));
        let full = stream.register_event().err();
        stream.set_state(KsState::Run).expect("it runs");
        let base = schedule::now();
        let set = || {
            let wait = |event| testbed::kernel::event::wait(event, Some(base + 15 * MS));
            (stream.wait(Some(base + 15 * MS)), events.map(wait), schedule::now() - base)
        };
        let set = set();
        stream.unregister_event(events[1]).expect("it was registered");
        stream.register_event().expect("there is room again");
        (full, set)
    });
    let (full, set) = outcome.expect_clean();
    assert_eq!(full, Some(NtStatus::INSUFFICIENT_RESOURCES));
    assert_eq!(set, (true, [true; 3], 10 * MS));
}

/// The longest time in ticks from the moment at which a frame was played to that at which its packet was sent, in 200 ms.
fn longest_delay(device: &Device, format: &Format, buffer: Buffer) -> u64 {
    let mut stream = device.open(format, buffer).expect("a stream");
    _ = sent();
    stream.set_state(KsState::Run).expect("it runs");
    let base = schedule::counter();
    schedule::sleep_until(schedule::now() + 200 * MS);
    let (mut frames, mut longest) = (0, 0);
    for datagram in sent() {
        let played = tick_of(base, frames, format.rate, FREQUENCY);
        longest = longest.max(datagram.counter - played);
        frames += ((datagram.payload.len() - 5) / format.frame_bytes()) as u64;
    }
    assert!(frames > u64::from(format.rate) * 19 / 100, "{frames} frames were sent");
    longest
}

#[test]
fn no_frame_leaves_later_than_the_latency_that_is_told() {
    let outcome = with_device(prompt_network(), |device| {
        for rate in RATES {
            for bits in [16, 24, 32] {
                for channels in 1..=8 {
                    let format = Format::pcm(rate, bits, channels);
                    let frame = format.frame_bytes() as u32;
                    let (short, long) = (rate * 3 / 1000 * frame, rate / 10 * frame);
                    for buffer in [
                        Buffer::Polled { bytes: long },
                        Buffer::Notified { bytes: long, count: 2 },
                        Buffer::Notified { bytes: short * 2, count: 2 },
                        Buffer::Notified { bytes: short, count: 1 },
                    ] {
                        let stream = device.open(&format, buffer).expect("a stream");
                        let latency = stream.latency().expect("a latency");
                        stream.close();
                        assert_eq!((latency.fifo_size, latency.codec_delay), (0, 0));
                        let told = u64::from(latency.chipset_delay);
                        let longest = longest_delay(device, &format, buffer);
                        assert!(longest <= told, "{format:?}, {buffer:?}: {longest}, and {told} are told");
                        // Nor is it exaggerated by more than a notification and a packet may have to wait.
                        assert!(told - longest <= 20_000, "{format:?}, {buffer:?}: {longest}, not {told}");
                    }
                }
            }
        }
    });
    outcome.expect_clean();
}

#[test]
fn a_buffer_that_is_polled_plays_whatever_its_length() {
    let outcome = with_device(prompt_network(), |device| {
        // From one frame to four seconds; a millisecond is 48 frames, and wake-ups are no closer.
        for frames in [1, 2, 3, 47, 48, 49, 95, 96, 97, 191, 192, 480, 1001, 9600, 192_000] {
            let mut stream =
                device.open(&cd(), Buffer::Polled { bytes: frames as u32 * 4 }).expect("a stream");
            assert_eq!(stream.buffer_bytes() as usize, frames * 4);
            let audio = noise(6, frames * 4);
            stream.write(0, &audio);
            stream.set_state(KsState::Run).expect("it runs");
            schedule::sleep_until(schedule::now() + 100 * MS);
            stream.close();
            let heard = audio_of(&sent());
            if frames >= 48 {
                let cycle = audio.iter().cycle().take(4800 * 4).copied().collect::<Vec<_>>();
                assert_same_audio(&heard, &cycle);
            } else {
                // The buffer goes around between two wake-ups, so some is skipped, and what is heard is from it.
                let known: BTreeSet<&[u8]> = audio.chunks(4).collect();
                assert!(heard.len() <= 4800 * 4);
                assert!(heard.chunks(4).all(|frame| known.contains(frame)), "{frames} frames");
            }
        }
    });
    outcome.expect_clean();
}

#[test]
fn positions_and_counts_are_exact_after_five_months_at_192_khz() {
    const PACKET: u64 = 576;
    let outcome = with_device(prompt_network(), |device| {
        let format = Format::pcm(192_000, 32, 8);
        let buffer = Buffer::Notified { bytes: 2 * PACKET as u32 * 32, count: 2 };
        let mut stream = device.open(&format, buffer).expect("a stream");
        stream.set_state(KsState::Run).expect("it runs");
        let base = schedule::counter();
        // 2^32 bytes, milliseconds, frames and packets are passed on the way.
        for hours in [1, 6, 24, 1200, 1200, 1200] {
            schedule::stand_still(hours * 3_600_000 * MS);
            schedule::sleep_until(schedule::now() + 7 * MS);
            let frames = u128::from(schedule::counter() - base) * 192_000 / u128::from(FREQUENCY);
            let frames = u64::try_from(frames).expect("it fits");
            let position = stream.presentation_position().expect("a position");
            assert_eq!((position.blocks, position.counter), (frames, schedule::counter()));
            assert_eq!(stream.packet_count(), Ok((frames / PACKET) as u32));
            assert_eq!(stream.position().expect("a position").play_offset, frames % (2 * PACKET) * 32);
            let next = (frames / PACKET) as u32;
            assert_eq!(stream.set_write_packet(next, 0, 0), Err(NtStatus::DATA_LATE_ERROR));
            assert_eq!(stream.set_write_packet(next.wrapping_add(2), 0, 0), Err(NtStatus::DATA_OVERRUN));
            stream.set_write_packet(next.wrapping_add(1), 0, 0).expect("the packet after the one that plays");
        }
        stream.packet_count().expect("a count");
        let frames = stream.presentation_position().expect("a position").blocks;
        (frames / PACKET) > u64::from(u32::MAX)
    });
    assert!(outcome.expect_clean(), "the count of packets has passed 2^32");
}
