//! What the driver tells through Event Tracing for Windows, and that glitches are what it says they are.
#![cfg(target_os = "linux")]

mod common;

use std::cell::RefCell;
use std::rc::Rc;

use common::{
    SERVICE, assert_same_audio, audio_of, driver_file, noise, prompt_network, sent, source, with_device,
    with_options,
};
use testbed::client::{Buffer, Format};
use testbed::kernel::etw::{self, Event, Session};
use testbed::kernel::registry::Value;
use testbed::nt::NtStatus;
use testbed::portcls::abi::KsState;
use testbed::wsk::{self, Call, Fault};
use testbed::{Config, Device, Driver, Machine, Outcome, crossing, network, schedule};

const MS: u64 = 1_000_000;
const CD: Buffer = Buffer::Notified { bytes: 3840, count: 2 };

/// What is told of a device and of the one stream that it played, in which nothing went wrong.
const WELL: [&str; 9] = [
    "Scream information: DeviceStarted",
    "Scream information: StreamOpened Stream=1 Rate=48000 Bits=16 Channels=2 Mask=0x3 Targets=1 SharedMemory=0",
    "Scream information: Target Stream=1 Target=239.255.77.77:4010",
    "Scream information: BufferAttached Stream=1 Frames=960 Notifications=2",
    "Scream information: StreamStarted Stream=1 Position=0",
    "Scream information: Connected Stream=1 Target=239.255.77.77:4010 Attempt=1",
    "Scream information: StreamStopped Stream=1 Position=48000",
    "Scream information: StreamClosed Stream=1 Frames=48000 Glitches=0 Skipped=0 Missing=0 Suppressed=0 \
     Silence=0 Wakes=234 Sent=167 Dropped=0 Failed=0 LastStatus=STATUS_SUCCESS",
    "Scream information: DeviceStopped Removed=1",
];

/// A machine that records everything from boot on.
fn recording() -> Config {
    Config { events: Some(Session::everything()), ..prompt_network() }
}

/// Plays through a buffer of 20 ms.
fn play(device: &Device, audio: Vec<u8>) {
    let mut stream = device.open(&Format::pcm(48_000, 16, 2), CD).expect("a stream");
    stream.play(source(audio)).expect("it plays");
    stream.close();
}

fn second() -> Vec<u8> {
    noise(1, 48_000 * 4)
}

/// What was told, without the times: the events of these names, or all when no name is given.
#[track_caller]
fn told<T>(outcome: Outcome<T>, names: &[&str]) -> Vec<String> {
    let wanted = |event: &&Event| names.is_empty() || names.contains(&event.name.as_str());
    let told = outcome.events.iter().filter(wanted).map(ToString::to_string).collect();
    outcome.expect_clean();
    told
}

/// Milliseconds from the first of these events to each of them.
fn times(events: &[Event], name: &str) -> Vec<u64> {
    let times: Vec<u64> =
        events.iter().filter(|event| event.name == name).map(|event| event.time / MS).collect();
    times.iter().map(|time| time - times[0]).collect()
}

#[test]
fn a_life_in_which_all_is_well_is_told_in_a_few_events() {
    assert_eq!(told(with_device(recording(), |device| play(device, second())), &[]), WELL);
}

#[test]
fn a_session_records_the_levels_and_keywords_that_it_wants() {
    let life = |session| {
        let config = Config { events: Some(session), ..prompt_network() };
        let options = [("UnicastPort", Value::Dword(0))];
        told(with_options(config, &options, |device| play(device, second())), &[])
    };
    let warnings = life(Session { level: Event::WARNING, ..Session::everything() });
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let network = life(Session { any_keyword: 4, ..Session::everything() });
    assert_eq!(network, [WELL[2], WELL[5]]);
}

#[test]
fn a_session_that_begins_in_the_middle_records_what_comes_and_none_records_nothing() {
    let outcome = with_device(prompt_network(), |device| {
        let mut stream = device.open(&Format::pcm(48_000, 16, 2), CD).expect("a stream");
        etw::record(Some(Session::everything()));
        stream.play(source(second())).expect("it plays");
        etw::record(None);
        stream.close();
    });
    assert_eq!(told(outcome, &[]), [WELL[4], WELL[6]]);
}

#[test]
fn while_nobody_records_nothing_is_written() {
    let config = Config { measure: true, ..prompt_network() };
    let options = [("UnicastPort", Value::Dword(0))];
    let outcome = with_options(config, &options, |device| {
        wsk::inject(Call::WskSendTo, 3, Fault::Status(NtStatus::NETWORK_UNREACHABLE));
        play(device, second());
    });
    let mut calls = outcome.driver.crossings.clone();
    calls.retain(|(name, _)| name.starts_with("Etw"));
    calls.sort_unstable();
    assert_eq!(calls, [("EtwRegister", 1), ("EtwSetInformation", 1), ("EtwUnregister", 1)]);
    assert_eq!(told(outcome, &[]), [""; 0]);
}

#[test]
fn every_kind_of_wrong_option_is_told_with_what_is_accepted_and_what_holds() {
    let address = |reason: &str| {
        format!(
            "Scream warning: OptionIgnored Name=\"UnicastIPv4\" Entry=0 Reason=\"{reason}\" \
             Accepted=\"REG_SZ, an IPv4 address such as 192.168.1.20\" Default=\"239.255.77.77\""
        )
    };
    let port = |reason: &str| {
        format!(
            "Scream warning: OptionIgnored Name=\"UnicastPort\" Entry=0 Reason=\"{reason}\" \
             Accepted=\"REG_DWORD, from 1 to 65535\" Default=\"4010\""
        )
    };
    let cases = [
        ("UnicastIPv4", Value::Dword(1), address("of another type")),
        ("UnicastIPv4", Value::Sz("somewhere.example".to_owned()), address("not an address")),
        ("UnicastIPv4", Value::Sz("0.0.0.0".to_owned()), address("no address that can be sent to")),
        ("UnicastIPv4", Value::Sz("192.0.2.77".repeat(400)), address("too long")),
        ("UnicastPort", Value::Sz("4011".to_owned()), port("of another type")),
        ("UnicastPort", Value::Dword(0), port("out of range")),
        ("UnicastPort", Value::Dword(65_536), port("out of range")),
    ];
    for (name, value, expected) in cases {
        let outcome = with_options(recording(), &[(name, value)], |device| play(device, second()));
        assert_eq!(told(outcome, &["OptionIgnored", "OptionsUnreadable"]), [expected]);
    }
}

#[test]
fn options_that_cannot_be_read_are_told() {
    let options = [("UnicastPort", Value::Dword(5000))];
    let life = |function: &'static str| {
        let outcome = with_options(recording(), &options, move |device| {
            crossing::inject(function, 1, NtStatus::ACCESS_DENIED);
            play(device, second());
        });
        told(outcome, &["OptionIgnored", "OptionsUnreadable"])
    };
    assert_eq!(life("ZwOpenKey"), ["Scream warning: OptionsUnreadable Status=STATUS_ACCESS_DENIED"]);
    assert_eq!(life("ZwQueryValueKey").len(), 1);
}

#[test]
fn failing_packets_are_told_at_once_and_then_once_a_second() {
    let outcome = with_device(recording(), |device| {
        for nth in 3..=600 {
            wsk::inject(Call::WskSendTo, nth, Fault::Status(NtStatus::NETWORK_UNREACHABLE));
        }
        play(device, noise(1, 5 * 48_000 * 4));
    });
    assert_eq!(times(&outcome.events, "PacketsLost"), [0, 1002, 2002, 3002, 4002]);
    let lost = |count: u32| {
        format!(
            "Scream warning: PacketsLost Stream=1 Target=239.255.77.77:4010 Dropped=0 Failed={count} LastStatus=STATUS_NETWORK_UNREACHABLE"
        )
    };
    let closed = "Scream information: StreamClosed Stream=1 Frames=240000 Glitches=0 Skipped=0 Missing=0 Suppressed=0 Silence=0 Wakes=1180 \
                  Sent=236 Dropped=0 Failed=598 LastStatus=STATUS_NETWORK_UNREACHABLE";
    assert_eq!(
        told(outcome, &["PacketsLost", "StreamClosed"]),
        [lost(1), lost(167), lost(166), lost(167), lost(97), closed.to_owned()]
    );
}

#[test]
fn a_network_that_comes_late_is_told_at_every_attempt_and_attempts_become_rare() {
    let wsk = wsk::Setup { provider_ready_after: 3_500 * MS, ..prompt_network().wsk };
    let outcome = with_device(Config { wsk, ..recording() }, |device| play(device, noise(1, 5 * 48_000 * 4)));
    // From 1/64 s on the waits double, up to half a second, each to the next wake-up.
    assert_eq!(
        times(&outcome.events, "ConnectingFailed"),
        [0, 18, 50, 114, 240, 490, 990, 1490, 1990, 2490, 2990, 3490]
    );
    let told = told(outcome, &["ConnectingFailed", "Connected", "PacketsLost", "StreamClosed"]);
    let failed = |attempt: u32| {
        format!(
            "Scream warning: ConnectingFailed Stream=1 Target=239.255.77.77:4010 Step=\"capture the network\" Attempt={attempt} \
             Status=STATUS_DEVICE_NOT_READY"
        )
    };
    let dropped = |count: u32| {
        format!(
            "Scream warning: PacketsLost Stream=1 Target=239.255.77.77:4010 Dropped={count} Failed=0 LastStatus=STATUS_SUCCESS"
        )
    };
    let connected = "Scream information: Connected Stream=1 Target=239.255.77.77:4010 Attempt=13".to_owned();
    let closed = "Scream information: StreamClosed Stream=1 Frames=240000 Glitches=0 Skipped=0 Missing=0 Suppressed=0 Silence=0 Wakes=1169 \
                  Sent=177 Dropped=657 Failed=0 LastStatus=STATUS_SUCCESS";
    // Eight packets wait for a socket, so the ninth is the first that is dropped.
    let expected: Vec<String> = [
        vec![failed(1), failed(2), failed(3), dropped(1), failed(4), failed(5), failed(6), failed(7)],
        vec![dropped(167), failed(8), failed(9), dropped(167), failed(10), failed(11), dropped(167)],
        vec![failed(12), connected, dropped(155)],
        vec![closed.to_owned()],
    ]
    .concat();
    assert_eq!(told, expected);
}

#[test]
fn a_socket_that_cannot_be_made_or_bound_or_that_goes_is_told() {
    let life = |call, nth, status| {
        let outcome = with_device(recording(), move |device| {
            wsk::inject(call, nth, Fault::Status(status));
            play(device, second());
        });
        told(outcome, &["ConnectingFailed", "Connected", "Disconnected", "PacketsLost"])
    };
    let failed = |step: &str, status: NtStatus| {
        let status = status.name();
        format!(
            "Scream warning: ConnectingFailed Stream=1 Target=239.255.77.77:4010 Step=\"{step}\" Attempt=1 Status={status}"
        )
    };
    let connected = |attempt: u32| {
        format!("Scream information: Connected Stream=1 Target=239.255.77.77:4010 Attempt={attempt}")
    };
    let status = NtStatus::INSUFFICIENT_RESOURCES;
    assert_eq!(life(Call::WskSocket, 1, status), [failed("make a socket", status), connected(2)]);
    let status = NtStatus::ADDRESS_ALREADY_EXISTS;
    assert_eq!(life(Call::WskBind, 1, status), [failed("bind the socket", status), connected(2)]);
    let lost = "Scream warning: PacketsLost Stream=1 Target=239.255.77.77:4010 Dropped=0 Failed=1 LastStatus=STATUS_FILE_FORCED_CLOSED";
    let gone = "Scream warning: Disconnected Stream=1 Target=239.255.77.77:4010";
    assert_eq!(
        life(Call::WskSendTo, 5, NtStatus::FILE_FORCED_CLOSED),
        [connected(1), lost.to_owned(), gone.to_owned(), connected(2)]
    );
}

#[test]
fn the_end_of_a_device_is_told_as_what_it_is() {
    let outcome = with_device(recording(), |device| {
        device.query_stop().expect("it may be stopped");
        device.stop().expect("it is stopped");
        device.start().expect("it starts again");
        device.surprise_remove().expect("it goes");
    });
    assert_eq!(
        told(outcome, &[]),
        [
            "Scream information: DeviceStarted",
            "Scream information: DeviceStopped Removed=0",
            "Scream information: DeviceStarted",
            "Scream warning: DeviceVanished",
        ]
    );
}

#[test]
fn a_device_that_does_not_start_is_told() {
    let image = driver_file();
    let outcome = Machine::run(recording(), move || {
        let driver = Driver::load(&image, SERVICE).expect("it loads");
        let device = Device::add(&driver).expect("the device is added");
        crossing::inject("PcNewPort", 2, NtStatus::INSUFFICIENT_RESOURCES);
        assert_eq!(device.start(), Err(NtStatus::INSUFFICIENT_RESOURCES));
        device.remove().expect("it goes");
        driver.unload();
    });
    assert_eq!(told(outcome, &[]), ["Scream error: DeviceFailed Status=STATUS_INSUFFICIENT_RESOURCES"]);
}

#[test]
fn a_driver_that_cannot_be_loaded_says_why_and_is_gone() {
    let image = driver_file();
    let outcome = Machine::run(recording(), move || {
        wsk::inject(Call::WskRegister, 1, Fault::Status(NtStatus::NOT_SUPPORTED));
        assert!(Driver::load(&image, SERVICE).is_err());
    });
    assert_eq!(told(outcome, &[]), ["Scream error: DriverFailed Status=STATUS_NOT_SUPPORTED"]);
}

#[test]
fn a_driver_that_cannot_tell_anything_plays() {
    for function in ["EtwRegister", "EtwSetInformation"] {
        let image = driver_file();
        let outcome = Machine::run(recording(), move || {
            crossing::inject(function, 1, NtStatus::NO_MEMORY);
            let driver = Driver::load(&image, SERVICE).expect("it loads");
            let device = Device::add(&driver).expect("the device is added");
            device.start().expect("it starts");
            play(&device, second());
            device.remove().expect("it goes");
            driver.unload();
            sent()
        });
        assert_eq!(outcome.events, [], "{function}");
        assert_same_audio(&audio_of(&outcome.expect_clean()), &second());
    }
}

#[test]
fn events_that_cannot_be_written_change_nothing() {
    let outcome = with_device(recording(), |device| {
        for _ in 0..5 {
            crossing::inject("EtwWrite", 1, NtStatus::NO_MEMORY);
        }
        play(device, second());
        sent()
    });
    let told: Vec<String> = outcome.events.iter().map(ToString::to_string).collect();
    assert_eq!(told, [WELL[0], WELL[6], WELL[7], WELL[8]]);
    assert_same_audio(&audio_of(&outcome.expect_clean()), &second());
}

#[test]
fn a_step_of_taking_a_device_apart_that_fails_is_told() {
    for (function, step) in [
        ("IUnregisterPhysicalConnection_UnregisterPhysicalConnection", "disconnect the filters"),
        ("IUnregisterSubdevice_UnregisterSubdevice", "unregister a filter"),
        ("PcUnregisterAdapterPowerManagement", "unregister power management"),
    ] {
        let outcome = with_device(recording(), move |_| {
            crossing::inject(function, 1, NtStatus::UNSUCCESSFUL);
        });
        let expected = format!("Scream warning: TeardownFailed Step=\"{step}\" Status=STATUS_UNSUCCESSFUL");
        assert_eq!(told(outcome, &["TeardownFailed"]), [expected]);
    }
}

#[test]
fn the_identifier_is_the_hash_of_the_name() {
    let outcome = with_device(recording(), |_| ());
    let id = outcome.events.first().expect("the device has started").provider_id;
    let known = tracelogging::Guid::from_name("Scream");
    assert_eq!(format!("{id:?}"), format!("{{{known:?}}}"));
    outcome.expect_clean();
}

/// Plays a second of frames that are numbers from 1 on, while the sends of these packets (the first is 1) take so long.
/// The numbers that were heard, in order.
fn heard_with_slow_sends(slow: std::ops::RangeInclusive<usize>, takes: u64) -> Outcome<Vec<u32>> {
    heard(slow, takes, |device| play(device, (1..=48_000_u32).flat_map(u32::to_le_bytes).collect()))
}

/// Plays frames that are numbers from 1 on through two packets of 10 ms, like the audio engine of Windows: at every
/// notification it writes the packet that does not play, whatever became of the others.
fn play_packet_by_packet(device: &Device) {
    const PACKET: usize = 480 * 4;
    let mut stream = device.open(&Format::pcm(48_000, 16, 2), CD).expect("a stream");
    let mut packets = (0..).map(|packet: u32| {
        (packet * 480..(packet + 1) * 480).flat_map(|frame| (frame + 1).to_le_bytes()).collect::<Vec<u8>>()
    });
    for half in 0..2 {
        stream.write(half * PACKET, &packets.next().expect("no end"));
    }
    stream.set_state(KsState::Run).expect("it runs");
    for packet in packets.take(100) {
        assert!(stream.wait(Some(schedule::now() + 1000 * MS)), "there is a notification");
        let playing = stream.position().expect("a position").play_offset as usize / PACKET;
        stream.write((1 - playing) * PACKET, &packet);
    }
    stream.close();
}

/// What is heard of frames that are numbers while the sends of these packets (the first is 1) take so long.
fn heard(
    slow: std::ops::RangeInclusive<usize>,
    takes: u64,
    play: impl FnOnce(&Device) + 'static,
) -> Outcome<Vec<u32>> {
    with_device(recording(), move |device| {
        let heard = Rc::new(RefCell::new((0, Vec::new())));
        let in_sink = Rc::clone(&heard);
        network::set_sink(move |datagram| {
            let (packet, frames) = {
                let mut heard = in_sink.borrow_mut();
                heard.0 += 1;
                let audio = datagram.payload[5..].as_chunks::<4>().0;
                heard.1.extend(audio.iter().map(|bytes| u32::from_le_bytes(*bytes)));
                (heard.0, heard.1.len())
            };
            assert!(frames > 0, "a packet has audio");
            if slow.contains(&packet) {
                schedule::sleep_until(schedule::now() + takes);
            }
        });
        play(device);
        heard.take().1
    })
}

#[test]
fn a_thread_that_is_held_up_longer_than_the_buffer_skips_counts_and_tells() {
    let outcome = heard_with_slow_sends(10..=10, 73 * MS);
    let told = told_and_heard(outcome).0;
    // Packet 10 left after 60 ms, which are 2880 frames; 133 ms are 6384. The next packet of the buffer begins at 6720.
    assert_eq!(told[0], "Scream warning: Glitch Stream=1 Times=1 Skipped=3504 Position=6384");
    assert_eq!(
        told[1],
        "Scream information: StreamClosed Stream=1 Frames=51024 Glitches=1 Skipped=3840 Missing=0 Suppressed=0 Silence=0 Wakes=233 Sent=164 \
         Dropped=0 Failed=0 LastStatus=STATUS_SUCCESS"
    );
}

fn told_and_heard(outcome: Outcome<Vec<u32>>) -> (Vec<String>, Vec<u32>) {
    let wanted = |event: &&Event| ["Glitch", "StreamClosed"].contains(&event.name.as_str());
    let told = outcome.events.iter().filter(wanted).map(ToString::to_string).collect();
    (told, outcome.expect_clean())
}

#[track_caller]
fn assert_only_newer(audio: &[u32], told: &[String], packet: usize, takes: u64) {
    let again = audio.windows(2).find(|pair| pair[0] >= pair[1]);
    assert_eq!(again, None, "packet {packet} took {takes} ms: an old frame after a newer one");
    assert_eq!(told.len(), 2, "packet {packet} took {takes} ms: {told:?}");
}

/// Wherever in the buffer the thread is held up, and however long.
#[test]
fn nothing_old_is_ever_sent_a_second_time() {
    for packet in 8..=14 {
        for takes in [21, 25, 33, 47, 73, 200] {
            let (told, heard) = told_and_heard(heard_with_slow_sends(packet..=packet, takes * MS));
            let audio: Vec<u32> = heard.into_iter().filter(|frame| *frame != 0).collect();
            assert_eq!(audio.last(), Some(&48_000));
            assert_only_newer(&audio, &told, packet, takes);
            let (told, audio) =
                told_and_heard(self::heard(packet..=packet, takes * MS, play_packet_by_packet));
            assert!(audio.len() > 30_000, "{} frames were heard", audio.len());
            assert_only_newer(&audio, &told, packet, takes);
        }
    }
}

#[test]
fn a_thread_that_is_always_late_does_not_flood() {
    let outcome = heard_with_slow_sends(10..=60, 50 * MS);
    assert_eq!(times(&outcome.events, "Glitch"), [0, 1050, 2100]);
    let glitch = |times: u32, skipped: u32, position: u32| {
        format!("Scream warning: Glitch Stream=1 Times={times} Skipped={skipped} Position={position}")
    };
    let closed = "Scream information: StreamClosed Stream=1 Frames=109440 Glitches=32 Skipped=97632 Missing=0 Suppressed=0 \
                  Silence=0 Wakes=110 Sent=41 Dropped=0 Failed=0 LastStatus=STATUS_SUCCESS";
    let told = told_and_heard(outcome).0;
    let expected = [glitch(1, 2400, 5280), glitch(15, 46_080, 55_680), glitch(15, 46_080, 106_080)];
    assert_eq!((&told[..3], told[3..].concat()), (&expected[..], closed.to_owned()));
}
