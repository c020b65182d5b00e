//! Every request to the network may fail, once or always, end late, or never: playback does not notice, what is lost is
//! counted, and sound is back within a second of the last fault.
#![cfg(target_os = "linux")]

mod common;
#[path = "common/network.rs"]
mod net;

use common::{assert_same_audio, audio_of, noise, prompt_network, sent, source, with_options};
use net::{MS, PACKET, SECOND, milliseconds, open, packets_of, pass, play, recording, silent_for, targets};
use testbed::device::Device;
use testbed::kernel::registry::Value;
use testbed::network::{self, Datagram};
use testbed::nt::NtStatus;
use testbed::wsk::{self, Call, Completion, Fault};
use testbed::{Config, schedule};

/// Plays a second with faults; what arrived, and what was played.
fn play_with(config: Config, faults: &'static [(Call, u64, Fault)]) -> (Vec<u8>, Vec<u8>) {
    let outcome = with_options(config, &[], move |device| {
        for (call, nth, fault) in faults {
            wsk::inject(*call, *nth, *fault);
        }
        play(device, milliseconds(1000));
        sent()
    });
    (audio_of(&outcome.expect_clean()), milliseconds(1000))
}

#[test]
fn a_send_that_fails_costs_one_packet() {
    for status in [NtStatus::NETWORK_UNREACHABLE, NtStatus::FILE_FORCED_CLOSED] {
        let outcome = with_options(recording(), &[], move |device| {
            wsk::inject(Call::WskSendTo, 5, Fault::Status(status));
            play(device, milliseconds(1000));
            sent()
        });
        let played = milliseconds(1000);
        let heard = audio_of(&outcome.expect_clean());
        assert_same_audio(&heard, &[&played[..4 * PACKET], &played[5 * PACKET..]].concat());
    }
}

#[test]
fn sends_that_hang_until_the_socket_is_closed_cost_their_slots_only() {
    let faults = &[
        (Call::WskSendTo, 1, Fault::Hangs),
        (Call::WskSendTo, 2, Fault::Hangs),
        (Call::WskSendTo, 100, Fault::Hangs),
    ];
    let (heard, played) = play_with(prompt_network(), faults);
    assert_same_audio(&heard, &played);
}

#[test]
fn late_completions_of_sends_change_nothing() {
    for delay in [1, MS, 20 * MS, 270 * MS] {
        for irql in [0, 2] {
            let wsk = wsk::Setup { sends: Completion::After(delay, irql), ..prompt_network().wsk };
            let (heard, played) = play_with(Config { wsk, ..Config::default() }, &[]);
            assert_same_audio(&heard, &played);
        }
    }
}

#[test]
fn a_network_that_answers_late_costs_the_start_only() {
    for (delay, packets) in [(0, 0), (MS, 0), (20 * MS, 0), (25 * MS, 0), (300 * MS, 92)] {
        for irql in [0, 2] {
            let wsk = wsk::Setup { controls: Completion::After(delay, irql), ..prompt_network().wsk };
            let (heard, played) = play_with(Config { wsk, ..Config::default() }, &[]);
            assert_same_audio(&heard, &played[packets * PACKET..]);
        }
    }
}

/// What can happen to a request.
fn faults(call: Call) -> Vec<Fault> {
    let mut faults = Vec::new();
    if call != Call::WskCloseSocket {
        let statuses = [
            NtStatus::INSUFFICIENT_RESOURCES,
            NtStatus::NETWORK_UNREACHABLE,
            NtStatus::CANCELLED,
            NtStatus::FILE_FORCED_CLOSED,
        ];
        faults.extend(statuses.map(Fault::Status));
    }
    faults.push(Fault::Completes(Completion::Inline));
    for delay in [0, MS, 20 * MS, 300 * MS] {
        faults.extend([0, 2].map(|irql| Fault::Completes(Completion::After(delay, irql))));
    }
    if matches!(call, Call::WskSendTo | Call::WskBind | Call::WskControlSocket) {
        faults.push(Fault::Hangs);
    }
    faults
}

/// Plays three seconds to two targets. In the first the sockets break now and then, and every `nth` call of a function goes
/// wrong in one way; then all is well.
fn play_with_every(call: Call, nth: u64, fault: Fault, device: &Device) -> (Vec<Datagram>, u64) {
    wsk::inject_every(call, nth, fault);
    wsk::inject_every(Call::WskSendTo, 41, Fault::Status(NtStatus::FILE_FORCED_CLOSED));
    let begin = schedule::now();
    let mut stream = open(device);
    let mut player = stream.player(source(milliseconds(3000)));
    player.start().expect("it starts");
    pass(&mut player, 1001);
    wsk::inject_no_more();
    let back = schedule::now();
    let played = player.finish().expect("it plays");
    let end = schedule::now();
    assert_eq!((played.frames, played.glitches, end - begin), (144_000, 0, 3 * SECOND));
    stream.close();
    let took = schedule::now() - end;
    assert!(took <= 600 * MS, "closing took {took} ns");
    (sent(), back)
}

#[track_caller]
fn check_every(call: Call) {
    let options = [
        targets(&["192.0.2.1:4010", "[ff15::efff:4d4d]:4010"]),
        ("Interface", Value::Dword(2)),
        ("UnicastSrcPort", Value::Dword(5000)),
        ("TTL", Value::Dword(9)),
    ];
    for fault in faults(call) {
        for nth in [1, 2, 7] {
            let what = format!("every call {nth} of {call:?}: {fault:?}");
            let outcome =
                with_options(recording(), &options, move |device| play_with_every(call, nth, fault, device));
            let broken: Vec<String> = outcome.violations.iter().map(ToString::to_string).collect();
            assert_eq!(broken, [""; 0], "{what}");
            let (datagrams, back) = outcome.value.clone().expect("it ran to its end");
            let (sent, dropped, failed) = net::totals(&outcome.events);
            assert_eq!(sent + dropped + failed, 500 * 2, "{what}");
            for target in ["192.0.2.1:4010", "[ff15::efff:4d4d]:4010"] {
                let heard = net::to(&datagrams, target);
                let packets = packets_of(&heard, &milliseconds(3000));
                let silence = silent_for(&heard, back);
                assert!(silence <= 1000, "{what}: {silence} ms");
                assert_eq!(packets.last().copied(), Some(499), "{what}");
            }
        }
    }
}

#[test]
fn making_sockets_may_go_wrong_at_any_point() {
    check_every(Call::WskSocket);
}

#[test]
fn binding_sockets_may_go_wrong_at_any_point() {
    check_every(Call::WskBind);
}

#[test]
fn setting_options_of_sockets_may_go_wrong_at_any_point() {
    check_every(Call::WskControlSocket);
}

#[test]
fn sending_may_go_wrong_at_any_point() {
    check_every(Call::WskSendTo);
}

#[test]
fn closing_sockets_may_be_late_at_any_point() {
    check_every(Call::WskCloseSocket);
}

#[test]
fn a_stream_may_be_closed_while_its_socket_is_being_opened_or_closed() {
    let calls = [Call::WskSocket, Call::WskControlSocket, Call::WskBind, Call::WskCloseSocket];
    for call in calls {
        for irql in [0, 2] {
            for milliseconds in [0, 1, 40, 299, 300] {
                let outcome = with_options(recording(), &[("TTL", Value::Dword(9))], move |device| {
                    wsk::inject_every(call, 1, Fault::Completes(Completion::After(300 * MS, irql)));
                    wsk::inject(Call::WskSendTo, 2, Fault::Status(NtStatus::FILE_FORCED_CLOSED));
                    let mut stream = open(device);
                    let mut player = stream.player(source(noise(1, 192_000)));
                    player.start().expect("it starts");
                    pass(&mut player, milliseconds);
                    let before = schedule::now();
                    stream.close();
                    (schedule::now() - before) / MS
                });
                let took = outcome.expect_clean();
                assert!(took <= 600, "{call:?} at {milliseconds} ms: closing took {took} ms");
            }
        }
    }
}

#[test]
fn trouble_in_any_order_of_threads_breaks_no_rule_and_loses_no_count() {
    let list = ["192.0.2.1:4010", "[ff15::efff:4d4d]:4010", "239.255.77.77:4010"];
    let options = [targets(&list), ("Interface", Value::Dword(2)), ("UnicastSrcPort", Value::Dword(5000))];
    for seed in 0..20 {
        let config = Config { seed: Some(seed), wsk: wsk::Setup::default(), ..recording() };
        let outcome = with_options(config, &options, move |device| {
            wsk::inject_every(Call::WskBind, 3, Fault::Completes(Completion::After(60 * MS, 2)));
            wsk::inject_every(Call::WskControlSocket, 5, Fault::Hangs);
            wsk::inject_every(Call::WskSendTo, 37, Fault::Status(NtStatus::FILE_FORCED_CLOSED));
            wsk::inject_every(Call::WskSendTo, 11, Fault::Completes(Completion::After(300 * MS, 2)));
            let mut stream = open(device);
            let mut player = stream.player(source(milliseconds(3000)));
            player.start().expect("it starts");
            pass(&mut player, 500);
            network::set_stalled(true);
            pass(&mut player, 200 + seed * 17);
            network::set_stalled(false);
            network::set_interface_up(2, false);
            pass(&mut player, 100 + seed * 5);
            network::set_interface_up(2, true);
            player.pause().expect("it pauses");
            player.resume().expect("it goes on");
            pass(&mut player, 10 + seed * 7);
            stream.close();
            sent()
        });
        let datagrams = outcome.value.clone().expect("it ran to its end");
        let (sent, dropped, failed) = net::totals(&outcome.events);
        let broken: Vec<String> = outcome.violations.iter().map(ToString::to_string).collect();
        assert_eq!(broken, [""; 0], "seed {seed}");
        assert_eq!((sent, (sent + dropped + failed) % 3), (datagrams.len() as u64, 0), "seed {seed}");
        assert!(sent > 0 && failed > 0, "seed {seed}: {sent} sent, {failed} failed");
    }
}

#[test]
fn a_step_that_does_not_end_is_told_and_given_up_after_half_a_second() {
    for (call, step) in [(Call::WskBind, "bind the socket"), (Call::WskControlSocket, "choose the interface")]
    {
        let outcome = with_options(recording(), &[("Interface", Value::Dword(2))], move |device| {
            wsk::inject(call, 1, Fault::Hangs);
            play(device, milliseconds(1000));
            sent()
        });
        let target = "239.255.77.77:4010";
        let told = net::told(&outcome.events, &["ConnectingFailed", "Connected"]);
        let expected = [
            format!(
                "Scream warning: ConnectingFailed Stream=1 Target={target} Step=\"{step}\" Attempt=1 \
                 Status=STATUS_IO_TIMEOUT"
            ),
            format!("Scream information: Connected Stream=1 Target={target} Attempt=2"),
        ];
        assert_eq!(told, expected);
        // Of the 83 packets of that time the last eight have waited.
        assert_same_audio(&audio_of(&outcome.expect_clean()), &milliseconds(1000)[75 * PACKET..]);
    }
}
