//! A network that comes late, goes, comes back or stalls: playback does not notice, what is lost is counted, and sound is
//! back within a second of the network. `network_faults` lets its requests fail.
#![cfg(target_os = "linux")]

mod common;
#[path = "common/network.rs"]
mod net;

use common::{prompt_network, sent, source, tick_of, with_options};
use net::{
    MS, SECOND, interface, lost, milliseconds, open, packets_of, pass, play, prefixes, recording,
    recording_with, silent_for, targets, text, told,
};
use testbed::device::PowerState;
use testbed::kernel::pool;
use testbed::kernel::registry::Value;
use testbed::network::{self, Datagram, Interface};
use testbed::portcls::abi::KsState;
use testbed::wsk::{self, Call};
use testbed::{Config, Outcome, schedule};

type Options = [(&'static str, Value)];

/// Plays five seconds; `change` happens to the network while they play. Returns what left, and when the network was back.
fn while_playing(
    config: Config,
    options: &Options,
    change: impl FnOnce(&mut dyn FnMut(u64)) -> u64 + 'static,
) -> Outcome<(Vec<Datagram>, u64)> {
    with_options(config, options, |device| {
        let mut stream = open(device);
        let mut player = stream.player(source(milliseconds(5000)));
        player.start().expect("it starts");
        let back = change(&mut |milliseconds| pass(&mut player, milliseconds));
        let played = player.finish().expect("it plays");
        assert_eq!((played.frames, played.glitches), (240_000, 0));
        stream.close();
        (sent(), back)
    })
}

/// What is true after every trouble. Returns for how many milliseconds nothing was heard after the network was back, and
/// how many packets were lost.
#[track_caller]
fn recovered(outcome: Outcome<(Vec<Datagram>, u64)>) -> (u64, u64) {
    let (datagrams, back) = outcome.value.clone().expect("it ran to its end");
    let missing = lost(&outcome, &datagrams, 834);
    outcome.expect_clean();
    let packets = packets_of(&datagrams, &milliseconds(5000));
    assert_eq!(packets.len() as u64 + missing, 834);
    let silence = silent_for(&datagrams, back);
    assert!(silence <= 1000, "{silence} ms of silence after the network was back");
    // From then on nothing is lost.
    let first = datagrams.partition_point(|datagram| datagram.time < back);
    assert_eq!(packets.last().copied(), Some(833));
    assert_eq!(packets[first..].len(), 834 - packets[first], "losses after the network was back");
    (silence, missing)
}

#[test]
fn a_network_that_is_not_there_at_boot_is_heard_within_a_second_of_its_coming() {
    for milliseconds in [100, 900, 2600, 4000] {
        let wsk = wsk::Setup { provider_ready_after: milliseconds * MS, ..prompt_network().wsk };
        let outcome =
            while_playing(Config { wsk, ..recording() }, &[], move |_| schedule::now() + milliseconds * MS);
        let (silence, _) = recovered(outcome);
        assert!(silence <= 500, "{silence} ms after {milliseconds} ms");
    }
}

#[test]
fn a_network_that_comes_up_a_minute_late_does_not_hold_up_the_driver() {
    let wsk = wsk::Setup { provider_ready_after: 60 * SECOND, ..prompt_network().wsk };
    let outcome = with_options(Config { wsk, ..recording() }, &[], |device| {
        let begin = schedule::now();
        play(device, milliseconds(1000));
        (schedule::now() - begin, sent())
    });
    let (took, datagrams) = outcome.value.clone().expect("it ran to its end");
    assert_eq!((took, lost(&outcome, &datagrams, 167)), (SECOND, 167));
    outcome.expect_clean();
}

#[test]
fn a_route_that_comes_later_is_used_with_the_next_packet() {
    let without_gateway = || Interface { default_route: false, ..Interface::default() };
    let outcome = while_playing(
        recording_with(vec![
            without_gateway(),
            Interface { up: false, ..interface(3, 5, &["198.51.100.20/24"]) },
        ]),
        &[text("UnicastIPv4", "203.0.113.1")],
        |pass| {
            pass(2500);
            network::set_interface_up(3, true);
            schedule::now()
        },
    );
    assert!(outcome.events.iter().any(|event| event.to_string().contains("STATUS_NETWORK_UNREACHABLE")));
    assert_eq!(recovered(outcome), (2, 416));
}

const BOUND: (&str, &str) = ("UnicastSrcIPv4", "192.0.2.10");

/// What may tie a stream to an interface, for a target of each kind: nothing, its address, its index.
fn ties() -> Vec<(&'static str, Vec<(&'static str, Value)>)> {
    let all = ["203.0.113.1:4010", "239.255.77.77:4010", "[2001:db8:9::1]:4010", "[ff15::efff:4d4d]:4010"];
    let mut ties = Vec::new();
    for target in all {
        let own =
            if target.starts_with('[') { text("Interface", "2001:db8::10") } else { text(BOUND.0, BOUND.1) };
        for tie in [vec![], vec![own], vec![("Interface", Value::Dword(2))]] {
            ties.push((target, [vec![targets(&[target])], tie].concat()));
        }
    }
    ties
}

#[test]
fn a_cable_that_is_out_for_a_while_is_back_within_a_second_however_the_stream_is_tied_to_it() {
    for (target, options) in ties() {
        // What was tied to the interface has to be tied to it again: its socket is another one.
        let tied = options.len() > 1;
        for out in [10, 100, 400, 600, 1500, 2600] {
            let outcome = while_playing(recording(), &options, move |pass| {
                pass(1001);
                network::set_interface_up(2, false);
                pass(out);
                network::set_interface_up(2, true);
                schedule::now()
            });
            let what = format!("{target} {options:?}: {out} ms");
            let connected = told(&outcome.events, &["Connected"]).len();
            let (silence, missing) = recovered(outcome);
            if !tied {
                assert!(silence <= 6, "{what}: {silence} ms");
                assert_eq!(missing, (1001 + out) / 6 - 166, "{what}");
            } else {
                assert!(connected >= 2, "{what}: {connected} sockets");
                assert!(silence <= 520, "{what}: {silence} ms");
            }
        }
    }
}

#[test]
fn an_address_that_goes_and_comes_back_gets_a_new_socket() {
    for gone in [10, 300, 700, 2500] {
        let outcome = while_playing(recording(), &[text(BOUND.0, BOUND.1)], move |pass| {
            pass(1001);
            network::set_addresses(2, &prefixes(&["192.0.2.99/24"]));
            pass(gone);
            network::set_addresses(2, &prefixes(&["192.0.2.99/24", "192.0.2.10/24"]));
            schedule::now()
        });
        assert_eq!(told(&outcome.events, &["Disconnected"]).len(), 1);
        let datagrams = outcome.value.clone().expect("it ran to its end").0;
        assert!(datagrams.iter().all(|datagram| datagram.source.ip().to_string() == "192.0.2.10"));
        recovered(outcome);
    }
}

#[test]
fn an_address_that_changes_is_no_matter_to_a_stream_that_did_not_ask_for_it() {
    let outcome = while_playing(recording(), &[text("UnicastIPv4", "203.0.113.1")], |pass| {
        pass(2501);
        network::set_addresses(2, &prefixes(&["192.0.2.99/24"]));
        schedule::now()
    });
    let datagrams = outcome.value.clone().expect("it ran to its end").0;
    let sources: Vec<String> = datagrams.iter().map(|datagram| datagram.source.ip().to_string()).collect();
    assert_eq!((sources[0].as_str(), sources[833].as_str()), ("192.0.2.10", "192.0.2.99"));
    assert_eq!(recovered(outcome), (1, 0));
}

/// Another adapter takes the place, and the address, of the first.
fn replace_adapter() {
    network::set_interface_up(2, false);
    network::set_addresses(2, &[]);
    network::set_addresses(3, &prefixes(&["192.0.2.10/24"]));
    network::set_interface_up(3, true);
}

fn with_a_spare_adapter() -> Config {
    recording_with(vec![
        interface(2, 25, &["192.0.2.10/24"]),
        Interface { up: false, ..interface(3, 30, &[]) },
    ])
}

#[test]
fn an_adapter_is_replaced_by_another_with_its_address() {
    for (options, longest) in [(vec![], 6), (vec![text(BOUND.0, BOUND.1)], 520)] {
        let outcome = while_playing(with_a_spare_adapter(), &options, |pass| {
            pass(2501);
            replace_adapter();
            schedule::now()
        });
        let datagrams = outcome.value.clone().expect("it ran to its end").0;
        let interfaces: Vec<u32> = datagrams.iter().map(|datagram| datagram.interface).collect();
        assert_eq!((interfaces[0], interfaces.last().copied()), (2, Some(3)));
        let (silence, _) = recovered(outcome);
        assert!(silence <= longest, "{options:?}: {silence} ms");
    }
}

#[test]
fn an_adapter_that_was_asked_for_by_its_index_is_not_replaced_by_another() {
    let outcome = while_playing(with_a_spare_adapter(), &[("Interface", Value::Dword(2))], |pass| {
        pass(2501);
        replace_adapter();
        schedule::now()
    });
    let (datagrams, back) = outcome.value.clone().expect("it ran to its end");
    assert!(datagrams.iter().all(|datagram| datagram.interface == 2 && datagram.time < back));
    assert_eq!(lost(&outcome, &datagrams, 834), 834 - 416);
    let failures = told(&outcome.events, &["ConnectingFailed"]);
    // The socket that there was is the first attempt.
    let first = "Step=\"choose the interface\" Attempt=2 Status=STATUS_INVALID_ADDRESS_COMPONENT";
    assert_eq!((failures.len(), failures[0].contains(first)), (8, true), "{failures:?}");
    outcome.expect_clean();
}

#[test]
fn a_sleep_in_which_the_network_went_is_over_within_a_second_of_it() {
    // How long the network is away after the computer woke, in milliseconds.
    for late in [0, 3, 200, 1500] {
        for options in [vec![], vec![text(BOUND.0, BOUND.1)], vec![("Interface", Value::Dword(2))]] {
            let what = format!("{options:?}, {late} ms late");
            let outcome = with_options(recording(), &options, move |device| {
                let mut stream = open(device);
                let mut player = stream.player(source(milliseconds(5000)));
                player.start().expect("it starts");
                pass(&mut player, 1000);
                device.set_power(PowerState::D3).expect("it sleeps");
                network::set_interface_up(2, false);
                schedule::stand_still(8 * 3600 * SECOND);
                device.set_power(PowerState::D0).expect("it wakes");
                player.resynchronize().expect("it has a position");
                pass(&mut player, late);
                let back = schedule::now();
                network::set_interface_up(2, true);
                player.finish().expect("it plays");
                stream.close();
                (sent(), back)
            });
            let (datagrams, back) = outcome.value.clone().expect("it ran to its end");
            let silence = silent_for(&datagrams, back);
            assert!(silence <= 520, "{what}: {silence} ms");
            let (sent, dropped, failed) = net::totals(&outcome.events);
            // The sleep has ended one packet early, as a pause does: 4 ms after the 166th.
            assert_eq!((sent, sent + dropped + failed), (datagrams.len() as u64, 834), "{what}");
            outcome.expect_clean();
        }
    }
}

#[test]
fn a_network_that_stalls_costs_neither_time_nor_memory() {
    let outcome = with_options(recording(), &[], |device| {
        let mut stream = open(device);
        let event = stream.position_reader();
        let mut player = stream.player(source(milliseconds(5000)));
        player.start().expect("it starts");
        let base = player.base();
        pass(&mut player, 1000);
        let (allocations, bytes, sends) = (pool::allocations(), pool::bytes(), wsk::calls(Call::WskSendTo));
        network::set_stalled(true);
        for milliseconds in 0..700 {
            pass(&mut player, 1);
            // Of the counter's 10 MHz, 10,000 ticks are 48 frames.
            let position = event.position(milliseconds % 2 == 0).expect("a position").play_offset;
            if milliseconds % 2 == 1 {
                assert_eq!(position, (1001 + milliseconds) * 192 % 3840, "{milliseconds} ms into the stall");
            }
        }
        // 47 packets can be under way; the socket is given up half a second after the first loss.
        let under_way = wsk::calls(Call::WskSendTo) - sends;
        pass(&mut player, 1300);
        assert_eq!((pool::allocations(), pool::bytes()), (allocations, bytes));
        let back = schedule::now();
        network::set_stalled(false);
        let log = player.finish().expect("it plays");
        stream.close();
        (sent(), back, under_way, log.notifications, base)
    });
    let (datagrams, back, under_way, notifications, base) = outcome.value.clone().expect("it ran to its end");
    assert_eq!(under_way, 47);
    let expected: Vec<u64> =
        (1..=notifications.len() as u64).map(|n| tick_of(base, n * 480, 48_000, 10_000_000)).collect();
    assert_eq!((notifications.len() >= 498, notifications), (true, expected));
    let packets = packets_of(&datagrams, &milliseconds(5000));
    assert_eq!(packets.last().copied(), Some(833));
    assert_eq!(silent_for(&datagrams, back), 0, "what was under way leaves at once");
    let missing = lost(&outcome, &datagrams, 834);
    assert_eq!(missing, 834 - packets.len() as u64);
    // The second time was too soon after the first to be told.
    assert_eq!(told(&outcome.events, &["Disconnected"]).len(), 1);
    outcome.expect_clean();
}

#[test]
fn a_stalled_network_holds_up_no_change_of_state_and_no_close() {
    let outcome =
        with_options(recording(), &[targets(&["multicast", "[2001:db8::1]", "192.0.2.1"])], |device| {
            network::set_stalled(true);
            let mut stream = open(device);
            let mut player = stream.player(source(milliseconds(5000)));
            player.start().expect("it starts");
            pass(&mut player, 1000);
            let before = schedule::now();
            for _ in 0..3 {
                for state in [KsState::Pause, KsState::Acquire, KsState::Stop, KsState::Run] {
                    stream.set_state(state).expect("it changes");
                }
            }
            stream.set_state(KsState::Stop).expect("it stops");
            stream.close();
            (schedule::now() - before, sent())
        });
    assert_eq!(outcome.expect_clean(), (0, Vec::new()));
}

#[test]
fn a_stall_of_any_length_is_over_with_its_end() {
    for length in [1, 50, 281, 283, 500, 790, 900, 2000] {
        let outcome = while_playing(recording(), &[], move |pass| {
            pass(1001);
            network::set_stalled(true);
            pass(length);
            network::set_stalled(false);
            schedule::now()
        });
        let (datagrams, back) = outcome.value.clone().expect("it ran to its end");
        let packets = packets_of(&datagrams, &milliseconds(5000));
        let missing = lost(&outcome, &datagrams, 834);
        outcome.expect_clean();
        // At 790 ms the socket has just been given up, and another one is to come 1/64 s later.
        assert_eq!(silent_for(&datagrams, back), if length == 790 { 9 } else { 0 }, "{length} ms");
        // What 47 places cover costs nothing.
        assert_eq!(missing == 0, length <= 281, "{length} ms: {missing}");
        assert_eq!(packets.last().copied(), Some(833), "{length} ms");
    }
}
