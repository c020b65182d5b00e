//! Buffers and their notifications: 0, 1 or 2 in each cycle, at exact ticks.
#![cfg(target_os = "linux")]

mod common;

use common::{assert_same_audio, audio_of, noise, prompt_network, sent, source, tick_of, with_device};
use testbed::client::{Buffer, Format};
use testbed::device::Device;
use testbed::kernel::event;
use testbed::nt::NtStatus;
use testbed::portcls::CloseOrder;
use testbed::portcls::abi::KsState;
use testbed::schedule;

fn format() -> Format {
    Format::pcm(48_000, 16, 2)
}

/// Plays `frames` frames and gives the ticks of the notifications since the start.
fn ticks(device: &Device, buffer: Buffer, rate: u32, frames: usize) -> Vec<u64> {
    let format = Format::pcm(rate, 16, 2);
    let audio = noise(20, frames * 4);
    let mut stream = device.open(&format, buffer).expect("a stream");
    let mut player = stream.player(source(audio.clone()));
    player.start().expect("it starts");
    let base = player.base();
    let played = player.finish().expect("it plays");
    stream.close();
    assert_same_audio(&audio_of(&sent()), &audio);
    played.notifications.iter().map(|tick| tick - base).collect()
}

/// The first `count` multiples of a period, in ticks of 100 ns.
fn periods(frames: u64, rate: u32, count: u64) -> Vec<u64> {
    (1..=count).map(|number| tick_of(0, number * frames, rate, 10_000_000)).collect()
}

#[test]
fn two_notifications_come_in_the_middle_and_at_the_end() {
    // A packet of the network is 288 frames, so no two wakes are closer than a millisecond.
    let outcome = with_device(prompt_network(), |device| {
        ticks(device, Buffer::Notified { bytes: 4608, count: 2 }, 44_100, 5800)
    });
    assert_eq!(outcome.expect_clean(), periods(576, 44_100, 10));
}

#[test]
fn one_notification_comes_at_the_end() {
    let outcome = with_device(prompt_network(), |device| {
        ticks(device, Buffer::Notified { bytes: 4608, count: 1 }, 48_000, 11_600)
    });
    assert_eq!(outcome.expect_clean(), periods(1152, 48_000, 10));
}

#[test]
fn periods_of_3_ms_are_notified_at_their_ticks_at_every_rate() {
    for rate in [44_100, 48_000, 88_200, 96_000, 176_400, 192_000] {
        for count in [1, 2] {
            let frames = rate * 3 / 1000;
            let outcome = with_device(prompt_network(), move |device| {
                let buffer = Buffer::Notified { bytes: frames * 4 * count, count };
                ticks(device, buffer, rate, 201 * frames as usize)
            });
            let expected = periods(frames.into(), rate, 200);
            assert_eq!(outcome.expect_clean()[..200], expected, "{count} notifications at {rate} Hz");
        }
    }
}

#[test]
fn without_notifications_the_audio_is_the_same() {
    let outcome = with_device(prompt_network(), |device| {
        // From 20 ms to 2 s.
        for bytes in [3840, 38_400, 384_000] {
            assert_eq!(ticks(device, Buffer::Polled { bytes }, 48_000, 20_000), []);
        }
    });
    outcome.expect_clean();
}

#[test]
fn three_notifications_are_refused() {
    let outcome = with_device(prompt_network(), |device| {
        let mut stream = device.open_pin(0, &format()).expect("a stream");
        stream.allocate(Buffer::Notified { bytes: 3840, count: 3 })
    });
    assert_eq!(outcome.expect_clean(), Err(NtStatus::INVALID_PARAMETER));
}

#[test]
fn a_buffer_too_small_for_a_frame_in_each_packet_is_refused() {
    let outcome = with_device(prompt_network(), |device| {
        let mut stream = device.open_pin(0, &format()).expect("a stream");
        let refused = [
            stream.allocate(Buffer::Polled { bytes: 0 }),
            stream.allocate(Buffer::Polled { bytes: 3 }),
            stream.allocate(Buffer::Notified { bytes: 7, count: 2 }),
        ];
        stream.allocate(Buffer::Notified { bytes: 8, count: 2 }).expect("two frames are two packets");
        refused
    });
    let invalid = Err(NtStatus::INVALID_PARAMETER);
    assert_eq!(outcome.expect_clean(), [invalid, invalid, invalid]);
}

#[test]
fn a_buffer_is_whole_packets_of_whole_frames() {
    let outcome = with_device(prompt_network(), |device| {
        let mut sizes = Vec::new();
        for (bits, buffer) in [
            (16, Buffer::Notified { bytes: 3847, count: 2 }),
            (24, Buffer::Notified { bytes: 5769, count: 2 }),
            (24, Buffer::Polled { bytes: 4097 }),
        ] {
            let mut stream = device.open_pin(0, &Format::pcm(48_000, bits, 2)).expect("a stream");
            stream.allocate(buffer).expect("a buffer");
            sizes.push(stream.buffer_bytes());
        }
        sizes
    });
    assert_eq!(outcome.expect_clean(), [3840, 5760, 4092]);
}

#[test]
fn a_second_buffer_needs_the_first_to_be_freed() {
    let outcome = with_device(prompt_network(), |device| {
        let mut stream = device.open_pin(0, &format()).expect("a stream");
        stream.allocate(Buffer::Polled { bytes: 3840 }).expect("a buffer");
        let second = stream.allocate(Buffer::Polled { bytes: 3840 });
        stream.free_buffer();
        stream.allocate(Buffer::Notified { bytes: 7680, count: 2 }).expect("another buffer");
        (second, stream.buffer_bytes())
    });
    assert_eq!(outcome.expect_clean(), (Err(NtStatus::INVALID_DEVICE_STATE), 7680));
}

#[test]
fn events_are_registered_once_and_found_when_they_go() {
    let outcome = with_device(prompt_network(), |device| {
        let mut stream =
            device.open(&format(), Buffer::Notified { bytes: 3840, count: 2 }).expect("a stream");
        let event = stream.register_event().expect("a second event");
        let again = stream.register_again(event);
        stream.unregister_event(event).expect("it was registered");
        let absent = stream.unregister_event(event);
        (again, absent)
    });
    assert_eq!(outcome.expect_clean(), (Err(NtStatus::UNSUCCESSFUL), Err(NtStatus::NOT_FOUND)));
}

#[test]
fn an_event_that_was_unregistered_is_not_set_again() {
    let outcome = with_device(prompt_network(), |device| {
        let mut stream =
            device.open(&format(), Buffer::Notified { bytes: 3840, count: 2 }).expect("a stream");
        let event = stream.register_event().expect("a second event");
        stream.set_state(KsState::Run).expect("it runs");
        let set = event::wait(event, Some(schedule::now() + 11_000_000));
        stream.unregister_event(event).expect("it was registered");
        // The event is gone: it would be a violation.
        schedule::sleep_until(schedule::now() + 100_000_000);
        set
    });
    assert!(outcome.expect_clean());
}

#[test]
fn a_stream_closes_in_either_order_of_buffer_and_events() {
    let outcome = with_device(prompt_network(), |device| {
        for order in [CloseOrder::EventsFirst, CloseOrder::BufferFirst] {
            let mut stream =
                device.open(&format(), Buffer::Notified { bytes: 3840, count: 2 }).expect("a stream");
            stream.set_state(KsState::Run).expect("it runs");
            schedule::sleep_until(schedule::now() + 33_000_000);
            stream.close_in_order(order);
        }
    });
    outcome.expect_clean();
}

#[test]
fn the_position_is_a_function_of_the_counter() {
    let outcome = with_device(prompt_network(), |device| {
        let mut stream = device.open(&format(), Buffer::Polled { bytes: 38_400 }).expect("a stream");
        stream.set_state(KsState::Run).expect("it runs");
        let start = schedule::now();
        let mut positions = Vec::new();
        for milliseconds in [0, 1, 10, 99, 100, 199, 200, 250] {
            schedule::sleep_until(start + milliseconds * 1_000_000);
            let passive = stream.position().expect("a position");
            let dispatch = stream.position_at_dispatch_level().expect("a position");
            assert_eq!((passive, passive.write_offset), (dispatch, passive.play_offset));
            positions.push(passive.play_offset);
        }
        positions
    });
    let frames = [0, 48, 480, 4752, 4800, 9552, 9600, 12_000];
    let expected: Vec<u64> = frames.iter().map(|frame| frame * 4 % 38_400).collect();
    assert_eq!(outcome.expect_clean(), expected);
}

#[test]
fn at_dispatch_level_the_position_is_where_the_thread_has_come_to() {
    let outcome = with_device(prompt_network(), |device| {
        let mut stream = device.open(&format(), Buffer::Polled { bytes: 38_400 }).expect("a stream");
        stream.set_state(KsState::Run).expect("it runs");
        let start = schedule::now();
        // Packets are full after 6, 12, 18 ms: nothing can be copied at DISPATCH_LEVEL in between.
        [5, 6, 11, 12, 17].map(|milliseconds| {
            schedule::sleep_until(start + milliseconds * 1_000_000 + 1);
            stream.position_at_dispatch_level().expect("a position").play_offset / 4
        })
    });
    assert_eq!(outcome.expect_clean(), [0, 288, 288, 576, 576]);
}

/// Plays with a client that writes over every byte as soon as the position has passed it.
fn heard_from_a_greedy_client(at_dispatch_level: bool) -> (Vec<u8>, Vec<u8>) {
    const RING: usize = 19_200;
    let audio = noise(21, 48_000 * 4);
    let played = audio.clone();
    let outcome = with_device(prompt_network(), move |device| {
        let mut stream = device.open(&format(), Buffer::Polled { bytes: RING as u32 }).expect("a stream");
        stream.write(0, &audio[..RING]);
        stream.set_state(KsState::Run).expect("it runs");
        let (mut passed, mut poll) = (0, schedule::now());
        while passed + RING < audio.len() {
            poll += 1_700_000;
            schedule::sleep_until(poll);
            let position = if at_dispatch_level {
                stream.position_at_dispatch_level().expect("a position")
            } else {
                stream.position().expect("a position")
            };
            let free = (position.play_offset as usize + RING - passed % RING) % RING;
            let free = free.min(audio.len() - passed - RING);
            stream.write(passed % RING, &audio[passed + RING..passed + RING + free]);
            passed += free;
        }
        stream.set_state(KsState::Stop).expect("it stops");
        stream.close();
        audio_of(&sent())
    });
    (outcome.expect_clean(), played)
}

#[test]
fn a_client_may_overwrite_everything_that_the_position_has_passed() {
    for at_dispatch_level in [false, true] {
        let (heard, played) = heard_from_a_greedy_client(at_dispatch_level);
        assert!(heard.len() > 160_000, "only {} bytes were heard", heard.len());
        assert_same_audio(&heard, &played[..heard.len()]);
    }
}

#[test]
fn running_again_and_again_does_not_put_off_the_next_packet() {
    let outcome = with_device(prompt_network(), |device| {
        let mut stream = device.open(&format(), Buffer::Polled { bytes: 38_400 }).expect("a stream");
        stream.set_state(KsState::Run).expect("it runs");
        let start = schedule::now();
        // In the first 3 ms, and then the thread has to wake on its own.
        for step in 1..=1000 {
            schedule::sleep_until(start + step * 3_000);
            stream.call_set_state(KsState::Run).expect("it runs on");
        }
        schedule::sleep_until(start + 20_000_000);
        let ticks: Vec<u64> = sent().iter().map(|datagram| datagram.counter).collect();
        (schedule::counter_at(start), ticks)
    });
    let (start, ticks) = outcome.expect_clean();
    assert_eq!(ticks, [start + 60_000, start + 120_000, start + 180_000]);
}

#[test]
fn without_a_buffer_the_stream_has_no_position_and_does_not_run() {
    let outcome = with_device(prompt_network(), |device| {
        let mut stream = device.open_pin(0, &format()).expect("a stream");
        let position = stream.position().expect("a position");
        (position.play_offset, position.write_offset, stream.set_state(KsState::Run))
    });
    assert_eq!(outcome.expect_clean(), (0, 0, Err(NtStatus::INVALID_DEVICE_STATE)));
}

#[test]
fn there_is_a_latency_and_there_are_no_registers() {
    let outcome = with_device(prompt_network(), |device| {
        let stream = device.open(&format(), Buffer::Polled { bytes: 3840 }).expect("a stream");
        (stream.latency().expect("a latency"), stream.registers().expect("an answer"))
    });
    let (latency, registers) = outcome.expect_clean();
    // One packet of the network: 288 frames are 6 ms.
    assert_eq!((latency.fifo_size, latency.chipset_delay, latency.codec_delay), (0, 60_000, 0));
    assert_eq!(registers, (NtStatus::NOT_IMPLEMENTED, NtStatus::NOT_IMPLEMENTED));
}
