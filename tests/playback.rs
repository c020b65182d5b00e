//! What is played leaves the driver bit-exactly, in the right packets, at the right ticks.
#![cfg(target_os = "linux")]

mod common;

use std::cell::RefCell;
use std::rc::Rc;

use common::{assert_same_audio, audio_of, noise, prompt_network, sent, source, tick_of, with_device};
use testbed::client::{Buffer, Format};
use testbed::{Config, network};

#[test]
fn a_minute_of_24_bit_noise_at_96_khz_arrives_bit_exactly_in_full_packets() {
    // 192 frames of 6 bytes fill a packet; the last has the 100 frames that remain.
    let frames = 60 * 96_000 + 100;
    let audio = noise(7, frames * 6);
    let played = audio.clone();
    let datagrams = with_device(Config::default(), move |device| {
        let mut stream = device
            .open(&Format::pcm(96_000, 24, 2), Buffer::Notified { bytes: 11_520, count: 2 })
            .expect("a stream");
        let played = stream.play(source(audio)).expect("it plays");
        assert_eq!((played.frames, played.glitches), (frames as u64, 0));
        stream.close();
        sent()
    })
    .expect_clean();
    assert_eq!(datagrams.len(), 30_001);
    assert!(datagrams[..30_000].iter().all(|datagram| datagram.payload.len() == 1157));
    assert_eq!(datagrams[30_000].payload.len(), 5 + 600);
    assert!(datagrams.iter().all(|datagram| datagram.payload[..5] == [2, 24, 2, 3, 0]));
    assert_same_audio(&audio_of(&datagrams), &played);
}

/// A stereo frame of 16 bits that is different for every number.
fn frame(number: u64) -> [u8; 4] {
    (number as u32).wrapping_mul(2_654_435_761).to_le_bytes()
}

/// What the sink of the long run has seen.
#[derive(Default)]
struct Heard {
    frames: u64,
    packets: u64,
    wrong_frames: u64,
    greatest_lateness: u64,
    early: u64,
}

/// With the periods of 10 ms that Windows asks for; packets are 6.53 ms.
#[test]
fn in_an_hour_at_44_1_khz_every_packet_leaves_at_its_exact_tick() {
    const FRAMES: u64 = 3600 * 44_100;
    let heard = Rc::new(RefCell::new(Heard::default()));
    let in_sink = Rc::clone(&heard);
    let outcome = with_device(prompt_network(), move |device| {
        let mut stream = device
            .open(&Format::pcm(44_100, 16, 2), Buffer::Notified { bytes: 3528, count: 2 })
            .expect("a stream");
        let mut next = 0;
        let mut player = stream.player(move |target: &mut [u8]| {
            let count = (target.len() / 4).min((FRAMES - next) as usize);
            for (number, bytes) in (next..).zip(target.chunks_exact_mut(4).take(count)) {
                bytes.copy_from_slice(&frame(number));
            }
            next += count as u64;
            count * 4
        });
        player.start().expect("it starts");
        let base = player.base();
        network::set_sink(move |datagram| {
            let mut heard = in_sink.borrow_mut();
            for bytes in datagram.payload[5..].chunks_exact(4) {
                heard.wrong_frames += u64::from(bytes != frame(heard.frames));
                heard.frames += 1;
            }
            heard.packets += 1;
            let due = tick_of(base, heard.frames, 44_100, 10_000_000);
            heard.greatest_lateness = heard.greatest_lateness.max(datagram.counter.saturating_sub(due));
            heard.early += u64::from(datagram.counter < due);
        });
        let played = player.finish().expect("it plays");
        assert_eq!((played.frames, played.glitches, played.notifications.len()), (FRAMES, 0, 359_999));
    });
    outcome.expect_clean();
    let heard = heard.borrow();
    assert_eq!((heard.frames, heard.wrong_frames), (FRAMES, 0));
    // 551 250 packets of 288 frames: an hour has no rest.
    assert_eq!((heard.packets, heard.early, heard.greatest_lateness), (551_250, 0, 0));
}

#[test]
fn packets_shorter_than_a_millisecond_wait_for_it() {
    // 144 frames are 0.75 ms at 192 kHz.
    let audio = noise(12, 192_000 * 8);
    let (base, datagrams) = with_device(prompt_network(), move |device| {
        let mut stream = device
            .open(&Format::pcm(192_000, 32, 2), Buffer::Notified { bytes: 30_720, count: 2 })
            .expect("a stream");
        let mut player = stream.player(source(audio));
        player.start().expect("it starts");
        let base = player.base();
        player.finish().expect("it plays");
        (base, sent())
    })
    .expect_clean();
    let mut frames = 0;
    let mut wakes: Vec<u64> = Vec::new();
    let mut greatest = 0;
    for datagram in datagrams {
        frames += (datagram.payload.len() as u64 - 5) / 8;
        greatest = greatest.max(datagram.counter - tick_of(base, frames, 192_000, 10_000_000));
        if wakes.last() != Some(&datagram.counter) {
            wakes.push(datagram.counter);
        }
    }
    assert_eq!(frames, 192_000);
    assert!(greatest < 10_000, "a packet left {greatest} ticks of 100 ns late");
    assert!((990..=1002).contains(&wakes.len()), "{} wake-ups in a second", wakes.len());
}

#[test]
fn every_supported_format_plays_bit_exactly() {
    for rate in [44_100, 48_000, 96_000, 192_000] {
        for bits in [16, 24, 32] {
            for channels in [1, 2] {
                for extensible in [true, false] {
                    let format = Format::pcm(rate, bits, channels);
                    plays(if extensible { format } else { format.plain() });
                }
            }
        }
    }
}

fn plays(format: Format) {
    // 100 ms and a few frames.
    let frames = format.rate as usize / 10 + 37;
    let audio = noise(u64::from(format.rate), frames * format.frame_bytes());
    let played = audio.clone();
    let rate_byte = match format.rate {
        44_100 => 0x81,
        rate => (rate / 48_000) as u8,
    };
    let mask = if format.channels == 1 { 4 } else { 3 };
    let header = [rate_byte, format.bits as u8, format.channels as u8, mask, 0];
    let wanted = format.clone();
    let outcome = with_device(prompt_network(), move |device| {
        device.propose(0, &wanted).expect("the format is one of ours");
        let bytes = wanted.rate / 50 * wanted.frame_bytes() as u32;
        let mut stream = device.open(&wanted, Buffer::Notified { bytes, count: 2 }).expect("a stream");
        stream.play(source(audio)).expect("it plays");
        stream.close();
        sent()
    });
    let datagrams = outcome.expect_clean();
    assert!(datagrams.iter().all(|datagram| datagram.payload[..5] == header), "{format:?}: wrong header");
    assert_same_audio(&audio_of(&datagrams), &played);
}

#[test]
fn pauses_lose_and_repeat_nothing() {
    let audio = noise(9, 44_100 * 4);
    let played = audio.clone();
    let datagrams = with_device(prompt_network(), move |device| {
        let mut stream = device
            .open(&Format::pcm(44_100, 16, 2), Buffer::Notified { bytes: 7056, count: 2 })
            .expect("a stream");
        let mut player = stream.player(source(audio));
        player.start().expect("it starts");
        for (run, rest) in [
            (123_456_789, 1),
            (6_530_612, 77_000_000),
            (1, 500),
            (200_000_003, 1_000_000_000),
            (20_000_000, 0),
        ] {
            player.run_for(run).expect("it plays");
            player.pause().expect("it pauses");
            let at = player.played_frames();
            testbed::schedule::sleep_until(testbed::schedule::now() + rest);
            assert_eq!(
                player.stream().position().expect("a position").play_offset,
                at * 4 % 7056,
                "a paused stream stays"
            );
            player.resume().expect("it goes on");
        }
        player.finish().expect("it plays to the end");
        stream.close();
        sent()
    })
    .expect_clean();
    assert_same_audio(&audio_of(&datagrams), &played);
    // A pause sends what is there: not the second, after exactly one packet, nor the third, after less than a frame.
    let short: Vec<usize> = datagrams
        .iter()
        .map(|datagram| (datagram.payload.len() - 5) / 4)
        .filter(|frames| *frames < 288)
        .collect();
    assert_eq!(short, [5444 % 288, 8820 % 288, 882 % 288, (44_100 - 5444 - 288 - 8820 - 882) % 288]);
}

#[test]
fn a_stream_that_was_stopped_plays_again_from_the_start() {
    let first = noise(10, 10_000 * 4);
    let second = noise(11, 7_777 * 4);
    let played = [first.clone(), second.clone()].concat();
    let datagrams = with_device(prompt_network(), move |device| {
        let mut stream = device
            .open(&Format::pcm(48_000, 16, 2), Buffer::Notified { bytes: 3840, count: 2 })
            .expect("a stream");
        stream.play(source(first)).expect("it plays");
        assert_eq!(stream.position().expect("a position").play_offset, 0);
        stream.play(source(second)).expect("it plays again");
        stream.close();
        sent()
    })
    .expect_clean();
    assert_same_audio(&audio_of(&datagrams), &played);
}

#[test]
fn seeds_change_the_order_of_threads_and_not_the_audio() {
    for seed in 0..20 {
        let audio = noise(seed, 9_600 * 4);
        let played = audio.clone();
        let config = Config { seed: Some(seed), ..prompt_network() };
        let datagrams = with_device(config, move |device| {
            let mut stream = device
                .open(&Format::pcm(48_000, 16, 2), Buffer::Notified { bytes: 3840, count: 2 })
                .expect("a stream");
            stream.play(source(audio)).expect("it plays");
            stream.close();
            sent()
        });
        assert_same_audio(&audio_of(&datagrams.expect_clean()), &played);
    }
}
