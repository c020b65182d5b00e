//! States of a stream in every order, and what happens to its device meanwhile: nothing is lost, repeated or torn.
#![cfg(target_os = "linux")]

mod common;

use common::{SERVICE, assert_same_audio, audio_of, driver_file, prompt_network, sent, tick_of, with_device};
use testbed::client::{Buffer, Format, Stream};
use testbed::device::PowerState;
use testbed::network::Datagram;
use testbed::nt::NtStatus;
use testbed::portcls::abi::KsState;
use testbed::schedule;
use testbed::{Device, Driver, Machine};

const STATES: [KsState; 4] = [KsState::Stop, KsState::Acquire, KsState::Pause, KsState::Run];
const MS: u64 = 1_000_000;
/// Five channels of 24 bits: 15 bytes, so that a packet of 1152 bytes is no whole number of them.
const FRAME: usize = 15;
/// Frames in a second.
const RATE: usize = 48_000;
const HEADER: [u8; 5] = [1, 24, 5, 0x37, 0x00];

fn odd() -> Format {
    Format::pcm(RATE as u32, 24, 5).with_mask(0x37)
}

/// Frames that say which they are, in every byte that could be torn off.
fn numbered(frames: usize) -> Vec<u8> {
    let sample = |frame: usize, channel: usize| [(frame >> 8) as u8, frame as u8, (channel * 16) as u8];
    (0..frames).flat_map(|frame| (0..5).flat_map(move |channel| sample(frame, channel))).collect()
}

/// A stream through a buffer of 200 ms that holds `numbered` audio.
fn open(device: &Device) -> (Stream, Vec<u8>) {
    let audio = numbered(RATE / 5);
    let buffer = Buffer::Polled { bytes: audio.len() as u32 };
    let mut stream = device.open(&odd(), buffer).expect("a stream");
    assert_eq!(stream.buffer_bytes() as usize, audio.len());
    stream.write(0, &audio);
    (stream, audio)
}

/// Every packet is whole frames behind the header of the format.
fn assert_whole(datagrams: &[Datagram]) {
    for datagram in datagrams {
        assert_eq!(datagram.payload[..5], HEADER);
        assert_eq!((datagram.payload.len() - 5) % FRAME, 0);
        assert!(datagram.payload.len() > 5);
        // Each begins with the first channel of a frame.
        assert_eq!(datagram.payload[7], 0);
    }
}

fn pass(milliseconds: u64) {
    schedule::sleep_until(schedule::now() + milliseconds * MS);
}

#[test]
fn every_order_of_four_calls_of_set_state_plays_what_it_says() {
    let outcome = with_device(prompt_network(), |device| {
        for order in 0..4_usize.pow(4) {
            let states: Vec<KsState> = (0..4).map(|call| STATES[order / 4_usize.pow(call) % 4]).collect();
            let (mut stream, audio) = open(device);
            let (mut position, mut expected) = (0, Vec::new());
            for state in &states {
                stream.call_set_state(*state).expect("every order is accepted");
                if *state == KsState::Stop {
                    position = 0;
                }
                pass(7);
                if *state == KsState::Run {
                    expected.extend_from_slice(&audio[position..position + 7 * 48 * FRAME]);
                    position += 7 * 48 * FRAME;
                }
                assert_eq!(stream.position().expect("a position").play_offset, position as u64);
            }
            stream.close();
            let datagrams = sent();
            assert_whole(&datagrams);
            assert!(audio_of(&datagrams) == expected, "{states:?}");
        }
    });
    outcome.expect_clean();
}

#[test]
fn however_few_frames_were_played_a_stop_sends_them() {
    let outcome = with_device(prompt_network(), |device| {
        let (mut stream, audio) = open(device);
        for frames in 0..200_u64 {
            let leave = [KsState::Stop, KsState::Pause][frames as usize % 2];
            stream.set_state(KsState::Run).expect("it runs");
            // The first tick at which they are played, in nanoseconds.
            schedule::sleep_until(tick_of(schedule::counter(), frames, RATE as u32, 10_000_000) * 100);
            stream.set_state(leave).expect("it halts");
            assert!(audio_of(&sent()) == audio[..frames as usize * FRAME], "{frames} frames, then {leave:?}");
            stream.set_state(KsState::Stop).expect("it stops");
            assert_eq!(sent().len(), 0, "nothing is left to send");
        }
    });
    outcome.expect_clean();
}

#[test]
fn a_stream_closed_in_any_state_sends_what_it_played() {
    let outcome = with_device(prompt_network(), |device| {
        for state in STATES {
            let (mut stream, audio) = open(device);
            stream.set_state(KsState::Run).expect("it runs");
            pass(11);
            stream.set_state(state).expect("a state");
            stream.close();
            assert_same_audio(&audio_of(&sent()), &audio[..11 * 48 * FRAME]);
        }
    });
    outcome.expect_clean();
}

#[test]
fn run_without_a_buffer_is_refused_and_changes_nothing() {
    let outcome = with_device(prompt_network(), |device| {
        let mut stream = device.open_pin(0, &odd()).expect("a stream");
        let refused = stream.call_set_state(KsState::Run);
        let audio = numbered(RATE / 5);
        stream.allocate(Buffer::Polled { bytes: audio.len() as u32 }).expect("a buffer");
        stream.write(0, &audio);
        pass(20);
        assert_eq!(stream.position().expect("a position").play_offset, 0);
        stream.call_set_state(KsState::Run).expect("now it runs");
        pass(5);
        stream.close();
        assert_same_audio(&audio_of(&sent()), &audio[..5 * 48 * FRAME]);
        refused
    });
    assert_eq!(outcome.expect_clean(), Err(NtStatus::INVALID_DEVICE_STATE));
}

/// Plays 33 ms, lets something happen to the device, and 33 ms more in the same stream: as if nothing had happened.
fn interrupted(happens: impl Fn(&Device) + 'static) {
    let outcome = with_device(prompt_network(), move |device| {
        let (mut stream, audio) = open(device);
        stream.set_state(KsState::Run).expect("it runs");
        for _ in 0..3 {
            pass(11);
            happens(device);
            pass(11);
        }
        stream.set_state(KsState::Stop).expect("it stops");
        stream.close();
        let datagrams = sent();
        assert_whole(&datagrams);
        assert_same_audio(&audio_of(&datagrams), &audio[..66 * 48 * FRAME]);
    });
    outcome.expect_clean();
}

fn sleep(device: &Device, meanwhile: impl FnOnce()) {
    device.query_power(PowerState::D3).expect("it may sleep");
    device.set_power(PowerState::D3).expect("it sleeps");
    let before = sent_so_far();
    meanwhile();
    assert_eq!(sent_so_far(), before, "a sleeping device sends nothing");
    device.set_power(PowerState::D0).expect("it wakes");
}

/// How many datagrams there are, without taking them.
fn sent_so_far() -> usize {
    testbed::network::datagrams()
}

#[test]
fn a_device_that_sleeps_goes_on_where_it_was() {
    interrupted(|device| sleep(device, || pass(5_000)));
}

#[test]
fn a_computer_that_sleeps_goes_on_where_it_was_though_the_counter_has_jumped() {
    // Eight hours in which no thread runs.
    interrupted(|device| sleep(device, || schedule::stand_still(8 * 3_600_000 * MS)));
}

#[test]
fn a_sleep_that_is_refused_by_another_driver_changes_nothing() {
    interrupted(|device| device.query_power(PowerState::D3).expect("it may sleep, but does not"));
}

#[test]
fn a_stop_that_is_cancelled_changes_nothing() {
    interrupted(|device| {
        assert_eq!(device.query_stop(), Err(NtStatus::DEVICE_BUSY));
        device.cancel_stop().expect("it goes on");
    });
}

/// What is heard of a new stream on a device, from its first frame on.
fn plays(device: &Device) {
    _ = sent();
    let (mut stream, audio) = open(device);
    stream.set_state(KsState::Run).expect("it runs");
    pass(11);
    stream.close();
    let datagrams = sent();
    assert_whole(&datagrams);
    assert_same_audio(&audio_of(&datagrams), &audio[..11 * 48 * FRAME]);
}

#[test]
fn a_stream_may_be_open_while_its_device_stops_and_starts() {
    let outcome = with_device(prompt_network(), |device| {
        let (mut stream, audio) = open(device);
        stream.set_state(KsState::Run).expect("it runs");
        pass(11);
        device.stop().expect("it stops, though nobody asked");
        pass(11);
        device.start().expect("it starts");
        stream.close();
        let datagrams = sent();
        assert_whole(&datagrams);
        let heard = audio_of(&datagrams);
        assert!(audio.starts_with(&heard) && heard.len() >= 11 * 48 * FRAME, "{} bytes", heard.len());
        plays(device);
    });
    outcome.expect_clean();
}

#[test]
fn after_a_surprise_removal_in_run_the_device_can_come_back() {
    let image = driver_file();
    let outcome = Machine::run(prompt_network(), move || {
        let driver = Driver::load(&image, SERVICE).expect("it loads");
        for _ in 0..3 {
            let device = Device::add(&driver).expect("the device is added");
            device.start().expect("it starts");
            let (mut stream, audio) = open(&device);
            stream.set_state(KsState::Run).expect("it runs");
            pass(11);
            device.surprise_remove().expect("it is gone");
            stream.close();
            let datagrams = sent();
            assert_whole(&datagrams);
            assert!(audio.starts_with(&audio_of(&datagrams)));
            device.remove().expect("it is removed");
            let again = Device::add(&driver).expect("the device is added");
            again.start().expect("it starts");
            plays(&again);
            again.remove().expect("it is removed");
        }
        driver.unload();
    });
    outcome.expect_clean();
}

#[test]
fn a_device_that_is_disabled_and_enabled_plays_as_before() {
    let image = driver_file();
    let outcome = Machine::run(prompt_network(), move || {
        let driver = Driver::load(&image, SERVICE).expect("it loads");
        for _ in 0..5 {
            let device = Device::add(&driver).expect("the device is added");
            device.start().expect("it starts");
            plays(&device);
            device.query_remove().expect("nothing is open");
            device.remove().expect("it is disabled");
        }
        driver.unload();
    });
    outcome.expect_clean();
}

#[test]
fn a_driver_is_updated_between_two_streams() {
    let image = driver_file();
    let outcome = Machine::run(prompt_network(), move || {
        for _ in 0..5 {
            let driver = Driver::load(&image, SERVICE).expect("it loads");
            let device = Device::add(&driver).expect("the device is added");
            device.start().expect("it starts");
            plays(&device);
            device.remove().expect("it is removed");
            driver.unload();
        }
    });
    outcome.expect_clean();
}
