//! Silence that is kept back (`SilenceThreshold`), and silence that is sent while nothing plays (`ContinuousStream`).
#![cfg(target_os = "linux")]

mod common;
#[path = "common/ring.rs"]
mod ring;

use common::{assert_same_audio, audio_of, noise, prompt_network, sent, source, tick_of, with_options};
use testbed::client::{Buffer, Format, Stream};
use testbed::device::{Device, PowerState};
use testbed::kernel::registry::Value;
use testbed::network::Datagram;
use testbed::portcls::abi::KsState;
use testbed::{Config, ivshmem, schedule};

const MS: u64 = 1_000_000;
const FREQUENCY: u64 = 10_000_000;

fn threshold(frames: u32) -> [(&'static str, Value); 1] {
    [("SilenceThreshold", Value::Dword(frames))]
}

/// A buffer of about 20 ms with two notifications.
fn buffer(format: &Format) -> Buffer {
    let frames = format.rate / 50;
    Buffer::Notified { bytes: frames * format.frame_bytes() as u32, count: 2 }
}

/// Plays to the end; the datagrams, in order, and the counter at RUN.
fn play(device: &Device, format: &Format, audio: Vec<u8>) -> (Vec<Datagram>, u64) {
    let mut stream = device.open(format, buffer(format)).expect("a stream");
    let mut player = stream.player(source(audio));
    player.start().expect("it starts");
    let base = player.base();
    player.finish().expect("it plays");
    stream.close();
    (sent(), base)
}

/// The value of a little-endian sample at 32 bits.
fn value(sample: &[u8]) -> i64 {
    let mut bytes = [0; 4];
    bytes[4 - sample.len()..].copy_from_slice(sample);
    i64::from(i32::from_le_bytes(bytes))
}

/// What should be heard of `audio`, written down from the option's description alone.
fn without_long_silence(format: &Format, audio: &[u8], threshold: usize) -> Vec<u8> {
    let mut silent_so_far = 0;
    let mut heard = Vec::new();
    for frame in audio.chunks(format.frame_bytes()) {
        let silent = frame.chunks(usize::from(format.bits / 8)).all(|sample| value(sample).abs() < 5 << 16);
        silent_so_far = if silent { silent_so_far + 1 } else { 0 };
        if silent_so_far <= threshold {
            heard.extend_from_slice(frame);
        }
    }
    heard
}

/// A sample of so many steps at 16 bits.
fn sample(bits: u16, steps: i32) -> Vec<u8> {
    let bytes = (steps << 16).to_le_bytes();
    bytes[4 - usize::from(bits / 8)..].to_vec()
}

/// Frames with one channel at `steps` and the others silent.
fn frames(format: &Format, count: usize, steps: i32) -> Vec<u8> {
    let channels = usize::from(format.channels);
    (0..count)
        .flat_map(|frame| {
            (0..channels).flat_map(move |channel| {
                let loud = channel == frame % channels;
                sample(format.bits, if loud { steps } else { 0 })
            })
        })
        .collect()
}

#[test]
fn silence_is_kept_back_in_every_width_and_with_every_number_of_channels() {
    for bits in [16, 24, 32] {
        for channels in 1..=8 {
            let format = Format::pcm(48_000, bits, channels);
            // Loud, then silence of three kinds, each longer than the threshold; the quietest sound that counts as one.
            let audio = [
                frames(&format, 1_111, 1_000),
                frames(&format, 3_000, 0),
                frames(&format, 700, -5),
                frames(&format, 2_500, 4),
                frames(&format, 1, 5),
                frames(&format, 4_000, -4),
                frames(&format, 333, i32::from(i16::MIN)),
            ]
            .concat();
            let played = audio.clone();
            let outcome = with_options(prompt_network(), &threshold(500), {
                let format = format.clone();
                move |device| play(device, &format, audio).0
            });
            let datagrams = outcome.expect_clean();
            let expected = without_long_silence(&format, &played, 500);
            assert_eq!(expected.len(), (1_111 + 500 + 700 + 500 + 1 + 500 + 333) * format.frame_bytes());
            assert_same_audio(&audio_of(&datagrams), &expected);
            let header = [1, bits as u8, channels as u8];
            for datagram in &datagrams {
                assert_eq!(datagram.payload[..3], header);
                assert_eq!((datagram.payload.len() - 5) % format.frame_bytes(), 0);
            }
        }
    }
}

#[test]
fn noise_with_gaps_is_cut_exactly_whatever_the_threshold() {
    let format = Format::pcm(44_100, 24, 3);
    let gap = |frames: usize| vec![0; frames * 9];
    let audio = [
        noise(1, 9 * 777),
        gap(50),
        noise(2, 9 * 20),
        gap(1_234),
        noise(3, 9 * 5),
        gap(333),
        noise(4, 9 * 2_000),
    ]
    .concat();
    for limit in [1, 49, 50, 51, 332, 10_000] {
        let (audio, played, of) = (audio.clone(), audio.clone(), format.clone());
        let outcome =
            with_options(prompt_network(), &threshold(limit), move |device| play(device, &of, audio).0);
        let heard = audio_of(&outcome.expect_clean());
        assert_same_audio(&heard, &without_long_silence(&format, &played, limit as usize));
    }
}

#[test]
fn what_ends_a_silence_begins_a_packet_and_leaves_when_that_is_full() {
    let format = Format::pcm(48_000, 16, 2);
    // The sound returns in the middle of what would have been a packet.
    let audio = [frames(&format, 288, 100), frames(&format, 5_000, 0), frames(&format, 1_000, 100)].concat();
    let of = format.clone();
    let outcome = with_options(prompt_network(), &threshold(100), move |device| play(device, &of, audio));
    let (datagrams, base) = outcome.expect_clean();
    let frames: Vec<usize> = datagrams.iter().map(|datagram| (datagram.payload.len() - 5) / 4).collect();
    assert_eq!(frames, [288, 100, 288, 288, 288, 136]);
    let at = |frames| tick_of(base, frames, 48_000, FREQUENCY);
    let counters: Vec<u64> = datagrams.iter().map(|datagram| datagram.counter).collect();
    // The silence is seen at the notification after 10 ms, and its first frames leave then.
    assert_eq!(counters[..5], [at(288), at(480), at(5_288 + 288), at(5_288 + 576), at(5_288 + 864)]);
}

#[test]
fn without_a_threshold_silence_is_sent_like_everything_else() {
    let format = Format::pcm(48_000, 16, 2);
    let audio = frames(&format, 20_000, 0);
    let (of, played) = (format.clone(), audio.clone());
    let outcome = with_options(prompt_network(), &threshold(0), move |device| play(device, &of, audio).0);
    assert_same_audio(&audio_of(&outcome.expect_clean()), &played);
}

#[test]
fn a_silence_that_a_stop_ends_does_not_count_for_the_next_start() {
    let format = Format::pcm(48_000, 16, 2);
    let outcome = with_options(prompt_network(), &threshold(960), move |device| {
        let mut stream = device.open(&format, Buffer::Polled { bytes: 192_000 }).expect("a stream");
        let mut heard = Vec::new();
        for _ in 0..2 {
            stream.set_state(KsState::Run).expect("it runs");
            schedule::sleep_until(schedule::now() + 100 * MS);
            stream.set_state(KsState::Pause).expect("it pauses");
            heard.push(audio_of(&sent()).len() / 4);
        }
        stream.close();
        heard
    });
    assert_eq!(outcome.expect_clean(), [960, 960]);
}

fn continuous() -> [(&'static str, Value); 1] {
    [("ContinuousStream", Value::Dword(1))]
}

fn pass(milliseconds: u64) {
    schedule::sleep_until(schedule::now() + milliseconds * MS);
}

fn open(device: &Device) -> (Stream, Vec<u8>) {
    let audio = noise(1, 192_000);
    let mut stream =
        device.open(&Format::pcm(48_000, 16, 2), Buffer::Polled { bytes: 192_000 }).expect("a stream");
    stream.write(0, &audio);
    (stream, audio)
}

#[test]
fn a_continuous_stream_is_silent_on_time_before_between_and_after_what_plays() {
    let outcome = with_options(prompt_network(), &continuous(), |device| {
        let opened = schedule::counter();
        let (mut stream, audio) = open(device);
        pass(100);
        stream.set_state(KsState::Run).expect("it runs");
        pass(50);
        stream.set_state(KsState::Pause).expect("it pauses");
        pass(33);
        stream.set_state(KsState::Run).expect("it runs");
        pass(7);
        stream.set_state(KsState::Stop).expect("it stops");
        pass(20);
        stream.close();
        let silence = |milliseconds: usize| vec![0; milliseconds * 192];
        let expected =
            [silence(100), audio[..9_600].to_vec(), silence(33), audio[9_600..10_944].to_vec(), silence(20)];
        (opened, sent(), expected)
    });
    let (opened, datagrams, expected) = outcome.expect_clean();
    assert_same_audio(&audio_of(&datagrams), &expected.concat());
    // Every stretch begins a packet of its own, and each packet leaves when it is full or the stretch ends.
    let mut counters = Vec::new();
    let mut start = 0;
    for milliseconds in [100, 50, 33, 7, 20] {
        let end = start + milliseconds;
        counters.extend((start + 6..=end).step_by(6));
        if milliseconds % 6 != 0 {
            counters.push(end);
        }
        start = end;
    }
    let heard: Vec<u64> = datagrams.iter().map(|datagram| (datagram.counter - opened) / 10_000).collect();
    assert_eq!(heard, counters);
}

#[test]
fn a_continuous_stream_lasts_until_the_pin_closes_and_no_longer() {
    let outcome = with_options(prompt_network(), &continuous(), |device| {
        let (stream, _) = open(device);
        pass(1_000);
        stream.close();
        let while_open = audio_of(&sent()).len();
        pass(1_000);
        (while_open, sent().len())
    });
    assert_eq!(outcome.expect_clean(), (192_000, 0));
}

#[test]
fn a_dense_continuous_stream_loses_no_frame() {
    let outcome = with_options(prompt_network(), &continuous(), |device| {
        let format = Format::pcm(192_000, 32, 8);
        let stream = device.open(&format, buffer(&format)).expect("a stream");
        pass(500);
        stream.close();
        audio_of(&sent()).len() / 32
    });
    assert_eq!(outcome.expect_clean(), 96_000);
}

#[test]
fn a_computer_that_stood_still_does_not_send_the_silence_of_that_time() {
    let outcome = with_options(prompt_network(), &continuous(), |device| {
        let (stream, _) = open(device);
        pass(60);
        device.set_power(PowerState::D3).expect("it sleeps");
        schedule::stand_still(8 * 3_600 * 1_000 * MS);
        device.set_power(PowerState::D0).expect("it wakes");
        pass(60);
        stream.close();
        audio_of(&sent()).len() / 192
    });
    let milliseconds = outcome.expect_clean();
    assert!((100..=120).contains(&milliseconds), "{milliseconds} ms of silence in 120 ms");
}

#[test]
fn a_continuous_stream_is_never_cut_by_a_threshold() {
    let options = [threshold(10), continuous()].concat();
    let outcome = with_options(prompt_network(), &options, |device| {
        let format = Format::pcm(48_000, 16, 2);
        play(device, &format, frames(&format, 20_000, 0)).0
    });
    let frames = audio_of(&outcome.expect_clean()).len() / 4;
    assert!(frames >= 20_000, "{frames} frames");
}

#[test]
fn shared_memory_has_no_silence_either_and_what_ends_it_begins_a_chunk() {
    // 1,000 frames of sound and 500 of silence, whose second chunk is filled up; then 1,920 of sound after a long silence.
    let format = Format::pcm(48_000, 16, 2);
    let sound = [frames(&format, 1_000, 100), frames(&format, 1_920, 200)];
    let audio = [sound[0].clone(), frames(&format, 30_000, 0), sound[1].clone()].concat();
    let outcome = ring::with_ring_in(Config::default(), &threshold(500), move |device| {
        let memory = ivshmem::Device::plug(ring::MIB, ivshmem::Generation::WithKernelMap);
        let mut reader = ring::Reader::new(memory.region());
        let mut stream = ring::open(device);
        reader.attach().expect("a stream");
        stream.play(source(audio)).expect("it plays");
        reader.read();
        stream.close();
        reader.pcm
    });
    let expected = [sound[0].clone(), vec![0; 920 * 4], sound[1].clone()].concat();
    assert_same_audio(&outcome.expect_clean(), &expected);
}

#[test]
fn a_continuous_stream_fills_a_chunk_of_shared_memory_every_20_milliseconds() {
    let outcome = ring::with_ring_in(Config::default(), &continuous(), |device| {
        let memory = ivshmem::Device::plug(ring::MIB, ivshmem::Generation::WithConfiguration);
        let mut reader = ring::Reader::new(memory.region());
        let stream = ring::open(device);
        let counts: Vec<usize> = (0..50)
            .map(|_| {
                pass(20);
                reader.read()
            })
            .collect();
        stream.close();
        (counts, reader.pcm)
    });
    let (counts, pcm) = outcome.expect_clean();
    assert_eq!((counts[0], &counts[1..]), (0, &[1; 49][..]), "the reader attaches at the first");
    assert!(pcm.iter().all(|byte| *byte == 0));
}
