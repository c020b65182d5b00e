//! The life of the driver: load, add, start, play, stop, sleep, remove, unload, in every order that Windows has.
#![cfg(target_os = "linux")]

mod common;

use common::{
    SERVICE, assert_same_audio, audio_of, driver_file, noise, prompt_network, sent, source, with_device,
};
use testbed::client::{Buffer, Format};
use testbed::device::PowerState;
use testbed::nt::NtStatus;
use testbed::portcls::PnpState;
use testbed::portcls::abi::KsState;
use testbed::schedule;
use testbed::{Config, Device, Driver, Machine};

const CD: Buffer = Buffer::Notified { bytes: 3840, count: 2 };

fn format() -> Format {
    Format::pcm(48_000, 16, 2)
}

#[test]
fn the_driver_loads_and_unloads_without_a_device() {
    let image = driver_file();
    Machine::run(Config::default(), move || Driver::load(&image, SERVICE).expect("it loads").unload())
        .expect_clean();
}

#[test]
fn a_device_that_was_never_started_can_be_removed() {
    let image = driver_file();
    let outcome = Machine::run(Config::default(), move || {
        let driver = Driver::load(&image, SERVICE).expect("it loads");
        let device = Device::add(&driver).expect("the device is added");
        let state = device.state();
        device.remove().expect("it goes");
        driver.unload();
        state
    });
    assert_eq!(outcome.expect_clean(), Some(PnpState::Added));
}

#[test]
fn two_filters_and_their_connection_are_registered() {
    let outcome = with_device(Config::default(), |device| (device.subdevices(), device.connections()));
    assert_eq!(outcome.expect_clean(), (vec!["Topology".to_owned(), "Wave".to_owned()], 1));
}

#[test]
fn one_second_is_played_bit_exactly() {
    let audio = noise(1, 48_000 * 4);
    let played = audio.clone();
    let datagrams = with_device(Config::default(), move |device| {
        device.open(&format(), CD).expect("a stream").play(source(audio)).expect("it plays");
        sent()
    });
    assert_same_audio(&audio_of(&datagrams.expect_clean()), &played);
}

#[test]
fn a_hundred_lives_leave_nothing_behind() {
    let image = driver_file();
    let outcome = Machine::run(prompt_network(), move || {
        for life in 0..100 {
            let driver = Driver::load(&image, SERVICE).expect("it loads");
            let device = Device::add(&driver).expect("the device is added");
            device.start().expect("it starts");
            let audio = noise(life, 4800 * 4);
            let mut stream = device.open(&format(), CD).expect("a stream");
            stream.play(source(audio.clone())).expect("it plays");
            stream.close();
            assert_same_audio(&audio_of(&sent()), &audio);
            device.remove().expect("it goes");
            driver.unload();
        }
    });
    outcome.expect_clean();
}

#[test]
fn a_device_that_was_stopped_starts_again() {
    let outcome = with_device(prompt_network(), |device| {
        for round in 0..3 {
            device.query_stop().expect("nothing is open");
            device.stop().expect("it stops");
            assert_eq!(device.subdevices(), Vec::<String>::new());
            assert_eq!(device.open(&format(), CD).err(), Some(NtStatus::DEVICE_NOT_READY));
            device.start().expect("it starts again");
            let audio = noise(round, 4800 * 4);
            device.open(&format(), CD).expect("a stream").play(source(audio.clone())).expect("it plays");
            assert_same_audio(&audio_of(&sent()), &audio);
        }
    });
    outcome.expect_clean();
}

#[test]
fn a_device_in_use_is_not_stopped() {
    let outcome = with_device(Config::default(), |device| {
        let stream = device.open(&format(), CD).expect("a stream");
        let while_open = (device.query_stop(), device.query_remove());
        device.cancel_stop().expect("it goes on");
        stream.close();
        (while_open, device.query_stop())
    });
    assert_eq!(outcome.expect_clean(), ((Err(NtStatus::DEVICE_BUSY), Err(NtStatus::DEVICE_BUSY)), Ok(())));
}

#[test]
fn a_surprise_removal_while_running_leaves_nothing() {
    let outcome = with_device(Config::default(), |device| {
        let mut stream = device.open(&format(), CD).expect("a stream");
        let mut player = stream.player(source(noise(3, 480_000)));
        player.start().expect("it starts");
        player.run_for(55_000_000).expect("it plays");
        device.surprise_remove().expect("the hardware is gone");
        schedule::sleep_until(schedule::now() + 20_000_000);
        assert_eq!(device.open(&format(), CD).err(), Some(NtStatus::DEVICE_NOT_READY));
        stream.set_state(KsState::Pause).expect("a stream that is open can be paused");
        assert_eq!(stream.set_state(KsState::Run), Err(NtStatus::DEVICE_REMOVED));
        stream.close();
        device.state()
    });
    assert_eq!(outcome.expect_clean(), Some(PnpState::SurpriseRemoved));
}

#[test]
fn sleep_in_the_middle_of_a_stream_loses_and_repeats_nothing() {
    let audio = noise(4, 48_000 * 4);
    let played = audio.clone();
    let outcome = with_device(prompt_network(), move |device| {
        let mut stream = device.open(&format(), CD).expect("a stream");
        let mut player = stream.player(source(audio));
        player.start().expect("it starts");
        for milliseconds in [105, 333, 1] {
            player.run_for(milliseconds * 1_000_000).expect("it plays");
            device.query_power(PowerState::D3).expect("it may sleep");
            device.set_power(PowerState::D3).expect("it sleeps");
            assert_eq!(player.stream().state(), KsState::Pause);
            let before = sent();
            schedule::sleep_until(schedule::now() + 3_000_000_000);
            let asleep = sent();
            assert_eq!(asleep.len(), 0, "a sleeping device sends nothing");
            device.set_power(PowerState::D0).expect("it wakes");
            assert_eq!(player.stream().state(), KsState::Run);
            player.resynchronize().expect("it has a position");
            keep(before);
        }
        player.finish().expect("it plays to the end");
        stream.close();
        let mut all = kept();
        all.extend(sent());
        all
    });
    assert_same_audio(&audio_of(&outcome.expect_clean()), &played);
}

thread_local! {
    static KEPT: std::cell::RefCell<Vec<testbed::network::Datagram>> = const { std::cell::RefCell::new(Vec::new()) };
}

fn keep(datagrams: Vec<testbed::network::Datagram>) {
    KEPT.with_borrow_mut(|kept| kept.extend(datagrams));
}

fn kept() -> Vec<testbed::network::Datagram> {
    KEPT.take()
}

#[test]
fn removal_closes_nothing_that_a_client_has_not_closed() {
    // Windows sends the removal only after the last handle is closed; the driver sees every stream end before.
    let outcome = with_device(Config::default(), |device| {
        let stream = device.open(&format(), CD).expect("a stream");
        device.surprise_remove().expect("the hardware is gone");
        stream.close();
    });
    outcome.expect_clean();
}

#[test]
fn no_order_of_threads_breaks_a_rule_when_a_running_device_goes() {
    for seed in 0..100 {
        let config = Config { seed: Some(seed), ..Config::default() };
        let outcome = with_device(config, move |device| {
            let mut stream = device.open(&format(), CD).expect("a stream");
            let mut player = stream.player(source(noise(seed, 96_000)));
            player.start().expect("it starts");
            player.run_for(seed * 777_777).expect("it plays");
            player.pause().expect("it pauses");
            player.resume().expect("it goes on");
            player.run_for(3_333_333).expect("it plays");
            device.surprise_remove().expect("the hardware is gone");
            stream.close();
        });
        assert_eq!(
            outcome.violations.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [""; 0],
            "seed {seed}"
        );
        outcome.expect_clean();
    }
}
