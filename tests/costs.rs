//! What a stream costs, to the call and to the tick: when the driver's thread wakes, and what the driver calls then.
//!
//! That it allocates and prints nothing while it plays is asserted here and is no rule of the verifier: Windows allows
//! both in RUN, and this driver allocates then too, when a network comes late and a socket has to be opened. Here the
//! network is well, so the lists of calls are complete, and whatever a change adds to one of them fails.
#![cfg(target_os = "linux")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::{noise, prompt_network, sent, tick_of, with_device};
use testbed::client::{Buffer, Format, Stream};
use testbed::device::{Device, PowerState};
use testbed::portcls::abi::KsState;
use testbed::trace::Kept;
use testbed::{Config, DriverUse, network, schedule};

/// Ticks of the performance counter in a second.
const FREQUENCY: u64 = 10_000_000;
const SECOND: u64 = 1_000_000_000;
const MS: u64 = 1_000_000;
/// How long every stream plays, in seconds: calls are counted after the first.
const SECONDS: u64 = 3;
/// Nanoseconds after a full second at which counts are read: in no format does anything happen then.
const ASIDE: u64 = 23_500;

/// How often each function crossed the border.
type Calls = BTreeMap<&'static str, u64>;

/// The calls since the start, without those that a compiler may put in place of code or leave out.
fn calls_so_far() -> Calls {
    let calls = DriverUse::so_far().crossings.into_iter();
    calls.filter(|(name, _)| !["memcpy", "memmove", "memset"].contains(name)).collect()
}

fn calls_since(before: &Calls) -> Calls {
    let more = calls_so_far().into_iter().map(|(name, count)| (name, count - before.get(name).unwrap_or(&0)));
    more.filter(|(_, count)| *count > 0).collect()
}

/// What was seen of a stream.
struct Seen {
    /// Calls from one second after RUN until the end, without the STOP.
    calls: Calls,
    /// Packets that left in that time.
    packets: u64,
    /// Calls of the STOP.
    stop: Calls,
    /// When the driver's thread woke, from RUN to the end, in ticks since RUN.
    wakes: Vec<u64>,
}

impl Seen {
    /// How often the thread woke while calls were counted.
    fn counted_wakes(&self) -> u64 {
        self.wakes.iter().filter(|tick| **tick > FREQUENCY + ASIDE / 100).count() as u64
    }
}

/// Plays noise from RUN to STOP, in a machine whose calls are counted.
fn observe(format: Format, buffer: Buffer) -> Seen {
    let config = Config { measure: true, trace: Kept::All, ..prompt_network() };
    let mut outcome = with_device(config, move |device| {
        let mut stream = device.open(&format, buffer).expect("a stream");
        stream.set_state(KsState::Pause).expect("it pauses");
        schedule::sleep_until(schedule::now() + SECOND);
        let audio = noise(1, format.frame_bytes() * 4096);
        let mut player = stream.player(move |target: &mut [u8]| {
            target.iter_mut().zip(audio.iter().cycle()).for_each(|(to, from)| *to = *from);
            target.len()
        });
        player.start().expect("it starts");
        let base = player.base();
        player.run_for(SECOND + ASIDE).expect("it plays");
        let (before, sent) = (calls_so_far(), network::datagrams());
        player.run_for((SECONDS - 1) * SECOND).expect("it plays");
        let (calls, packets) = (calls_since(&before), network::datagrams() - sent);
        let before = calls_so_far();
        stream.set_state(KsState::Stop).expect("it stops");
        (base, calls, packets as u64, calls_since(&before))
    });
    let trace = std::mem::take(&mut outcome.trace);
    let (base, calls, packets, stop) = outcome.expect_clean();
    let end = SECONDS * FREQUENCY + ASIDE / 100;
    let wakes = trace.returns(|name| name.starts_with("KeWaitFor")).into_iter();
    let wakes = wakes.filter_map(|time| (time / 100).checked_sub(base)).filter(|tick| *tick < end).collect();
    Seen { calls, packets, stop, wakes }
}

/// The most wake-ups in any second.
fn busiest_second(wakes: &[u64]) -> usize {
    let from = |first: usize| wakes[first..].partition_point(|tick| *tick < wakes[first] + FREQUENCY);
    (0..wakes.len()).map(from).max().unwrap_or(0)
}

/// RUN, and then every tick at which a whole number of one of these lengths, in frames, has been played.
fn boundaries(rate: u32, lengths: &[u64]) -> Vec<u64> {
    let end = SECONDS * FREQUENCY + ASIDE / 100;
    let of = |length: u64| {
        (0..).map(move |n| tick_of(0, n * length, rate, FREQUENCY)).take_while(move |tick| *tick < end)
    };
    lengths.iter().flat_map(|length| of(*length)).collect::<BTreeSet<u64>>().into_iter().collect()
}

/// A stream whose packets and notifications are at least a millisecond apart, or at the same tick.
struct Case {
    format: Format,
    buffer: Buffer,
    /// Frames of a packet of the network.
    packet: u64,
    /// Frames between notifications.
    period: Option<u64>,
    /// Frames after which the buffer has to be read at the latest: a quarter of it, or half with notifications.
    stride: u64,
}

fn cases() -> Vec<Case> {
    let case = |format: Format, (frames, count): (u32, u32), packet| {
        let bytes = frames * format.frame_bytes() as u32;
        let buffer = if count == 0 { Buffer::Polled { bytes } } else { Buffer::Notified { bytes, count } };
        let frames = u64::from(frames);
        let period = (count > 0).then(|| frames / u64::from(count.max(1)));
        Case { format, buffer, packet, period, stride: if count == 0 { frames / 4 } else { frames / 2 } }
    };
    vec![
        // 10 ms, as the audio engine has it; at both bases of rates, and 1000 packets a second.
        case(Format::pcm(48_000, 16, 2), (960, 2), 288),
        case(Format::pcm(44_100, 16, 2), (882, 2), 288),
        case(Format::pcm(48_000, 24, 8), (960, 2), 48),
        // 3 ms, half a packet.
        case(Format::pcm(48_000, 16, 2), (288, 2), 288),
        // One notification in each 20 ms.
        case(Format::pcm(88_200, 24, 3), (1764, 1), 128),
        // For clients that ask for the position: a second, and 20 ms.
        case(Format::pcm(96_000, 24, 2), (96_000, 0), 192),
        case(Format::pcm(48_000, 16, 1), (960, 0), 576),
    ]
}

#[test]
fn the_thread_wakes_once_for_each_packet_and_notification_at_its_tick() {
    for case in cases() {
        let seen = observe(case.format.clone(), case.buffer);
        let lengths: Vec<u64> = [case.packet, case.stride].into_iter().chain(case.period).collect();
        let expected = boundaries(case.format.rate, &lengths);
        let differs = seen.wakes.iter().zip(&expected).position(|(seen, expected)| seen != expected);
        assert_eq!(
            (differs, seen.wakes.len()),
            (None, expected.len()),
            "{:?}, {:?}: (first wake-up at another tick, wake-ups)",
            case.format,
            case.buffer
        );
        assert!(busiest_second(&seen.wakes) <= 1000, "{:?}", case.format);
    }
}

#[test]
fn packets_closer_than_a_millisecond_share_wake_ups_a_millisecond_apart() {
    // 5333, 1334 and 4594 packets a second.
    for (rate, channels) in [(192_000, 8), (192_000, 2), (176_400, 7)] {
        let format = Format::pcm(rate, 32, channels);
        let bytes = rate / 50 * format.frame_bytes() as u32;
        for buffer in [Buffer::Notified { bytes, count: 2 }, Buffer::Polled { bytes }] {
            let seen = observe(format.clone(), buffer);
            let expected: Vec<u64> = (0..=SECONDS * 1000).map(|ms| ms * FREQUENCY / 1000).collect();
            assert!(seen.wakes == expected, "{format:?}: {:?} ...", &seen.wakes[..8]);
            assert_eq!(busiest_second(&seen.wakes), 1000);
        }
    }
}

/// What is called for so many wake-ups, packets, notifications and questions for the position: nothing else, so nothing
/// that allocates, formats or prints.
fn expected_calls(wakes: u64, packets: u64, notifications: u64, positions: u64) -> Calls {
    let all = [
        ("KeWaitForMultipleObjects", wakes),
        ("ExSetTimer", wakes),
        ("ExAcquireFastMutex", wakes + positions),
        ("ExReleaseFastMutex", wakes + positions),
        ("KeQueryPerformanceCounter", wakes + positions),
        ("KeAcquireSpinLockRaiseToDpc", 2 * wakes + 3 * positions),
        ("KeReleaseSpinLock", 2 * wakes + 3 * positions),
        ("IoReuseIrp", packets),
        ("WskSendTo", packets),
        ("completion routine", packets),
        ("KeSetEvent", notifications),
        ("IMiniportWaveRTStream::GetPosition", positions),
        ("KeGetCurrentIrql", positions),
    ];
    all.into_iter().filter(|(_, count)| *count > 0).collect()
}

#[test]
fn while_it_plays_the_driver_calls_what_it_must_and_nothing_else() {
    let dense = Case {
        format: Format::pcm(192_000, 32, 8),
        buffer: Buffer::Notified { bytes: 122_880, count: 2 },
        packet: 36,
        period: Some(1920),
        stride: 1920,
    };
    for case in cases().into_iter().chain([dense]) {
        let seen = observe(case.format.clone(), case.buffer);
        let frames = |length: u64| {
            let ends = [1, SECONDS].map(|second| u64::from(case.format.rate) * second / length);
            ends[1] - ends[0]
        };
        let notifications = case.period.map_or(0, frames);
        let positions = seen.calls.get("IMiniportWaveRTStream::GetPosition").copied().unwrap_or(0);
        let expected = expected_calls(seen.counted_wakes(), seen.packets, notifications, positions);
        assert_eq!(seen.calls, expected, "{:?}, {:?}", case.format, case.buffer);
        // The dense one sends some when the next millisecond has come.
        assert!(
            seen.packets.abs_diff(frames(case.packet)) <= 6,
            "{:?}: {} packets",
            case.format,
            seen.packets
        );
        for name in seen.stop.keys() {
            let known = seen.calls.contains_key(name)
                || ["IMiniportWaveRTStream::SetState", "KeSetEvent"].contains(name);
            assert!(known, "{:?}: STOP calls {name}", case.format);
        }
    }
}

#[test]
fn a_client_that_announces_packets_costs_no_allocation_either() {
    let config = Config { measure: true, ..prompt_network() };
    let outcome = with_device(config, |device| {
        let buffer = Buffer::Notified { bytes: 3840, count: 2 };
        let mut stream = device.open(&Format::pcm(48_000, 16, 2), buffer).expect("a stream");
        for packet in 0..2 {
            stream.set_write_packet(packet, 0, 0).expect("a packet");
        }
        stream.set_state(KsState::Run).expect("it runs");
        let mut before = Calls::new();
        for packet in 2..300 {
            if packet == 100 {
                before = calls_so_far();
            }
            assert!(stream.wait(Some(schedule::now() + SECOND)));
            assert_eq!(stream.packet_count(), Ok(packet - 1));
            stream.presentation_position().expect("a position");
            stream.set_write_packet(packet, 0, 0).expect("the other half is free");
        }
        calls_since(&before)
    });
    let calls = outcome.expect_clean();
    let asked = [
        "IMiniportWaveRTOutputStream::GetOutputStreamPresentationPosition",
        "IMiniportWaveRTOutputStream::GetPacketCount",
        "IMiniportWaveRTOutputStream::SetWritePacket",
    ];
    for name in asked {
        assert_eq!(calls.get(name), Some(&200), "{name} in {calls:?}");
    }
    let known = expected_calls(1, 1, 1, 1);
    let others: Vec<_> =
        calls.keys().filter(|name| !known.contains_key(*name) && !asked.contains(name)).collect();
    assert_eq!(others, Vec::<&&str>::new());
}

/// Lets ten seconds pass, in which not one call crosses the border.
#[track_caller]
fn assert_asleep(what: &str) {
    let before = calls_so_far();
    schedule::sleep_until(schedule::now() + 10 * SECOND);
    assert_eq!(calls_since(&before), Calls::new(), "{what}");
}

/// Waits until what a change of state sets off is over.
fn settle() {
    schedule::sleep_until(schedule::now() + MS);
}

fn open(device: &Device, buffer: Buffer) -> Stream {
    let stream = device.open(&Format::pcm(48_000, 24, 6), buffer).expect("a stream");
    settle();
    stream
}

#[test]
fn while_no_stream_runs_nothing_wakes() {
    for buffer in [Buffer::Notified { bytes: 17_280, count: 2 }, Buffer::Polled { bytes: 17_280 }] {
        let config = Config { measure: true, ..prompt_network() };
        let outcome = with_device(config, move |device| {
            assert_asleep("no stream");
            let mut stream = open(device, buffer);
            assert_asleep("a new stream");
            for state in [KsState::Acquire, KsState::Pause] {
                stream.set_state(state).expect("a state");
                settle();
                assert_asleep("a stream that never ran");
            }
            for state in [KsState::Pause, KsState::Acquire, KsState::Stop] {
                stream.set_state(KsState::Run).expect("it runs");
                schedule::sleep_until(schedule::now() + 55 * MS);
                stream.set_state(state).expect("it halts");
                settle();
                assert_asleep("a stream that ran");
            }
            stream.free_buffer();
            settle();
            assert_asleep("a stream without a buffer");
            stream.close();
            assert_asleep("no stream any more");
            assert!(!sent().is_empty());
        });
        outcome.expect_clean();
    }
}

#[test]
fn while_the_device_sleeps_nothing_wakes_though_a_stream_is_in_run() {
    let config = Config { measure: true, ..prompt_network() };
    let outcome = with_device(config, |device| {
        let mut stream = open(device, Buffer::Polled { bytes: 172_800 });
        stream.set_state(KsState::Run).expect("it runs");
        schedule::sleep_until(schedule::now() + 55 * MS);
        device.query_power(PowerState::D3).expect("it may sleep");
        device.set_power(PowerState::D3).expect("it sleeps");
        settle();
        assert_asleep("a device in D3");
        device.set_power(PowerState::D0).expect("it wakes");
        let before = network::datagrams();
        schedule::sleep_until(schedule::now() + 65 * MS);
        // Packets of 64 frames are 4/3 ms.
        assert_eq!(network::datagrams() - before, 48);
    });
    outcome.expect_clean();
}

#[test]
fn without_a_network_a_stream_that_does_not_run_does_not_wake_either() {
    let config = Config { measure: true, ..prompt_network() };
    let outcome = with_device(config, |device| {
        network::set_down(true);
        let mut stream = open(device, Buffer::Polled { bytes: 172_800 });
        stream.set_state(KsState::Run).expect("it runs");
        schedule::sleep_until(schedule::now() + 555 * MS);
        stream.set_state(KsState::Pause).expect("it pauses");
        settle();
        assert_asleep("a paused stream");
    });
    outcome.expect_clean();
}
