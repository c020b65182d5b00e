//! Laws of a voice.

use std::time::Duration;

use protocol::StreamFormat;

use super::*;
use crate::delivery::duration_of;

const MS: u64 = 1_000_000;
const RATE: u32 = 48_000;
/// Frames of a packet, and of what the device asks for.
const PACKET: usize = 288;
const PERIOD: usize = 240;

fn settings(bit_exact: bool) -> Settings {
    Settings { target: Duration::from_millis(50), most: Duration::from_millis(200), bit_exact, mix: false }
}

/// Mono packets of 16 bits whose samples are these.
fn packet(arrived: u64, samples: impl Iterator<Item = i16>) -> Delivery {
    let format = StreamFormat::new(RATE, 16, 1, 4).expect("a format");
    let pcm: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
    Delivery::new(0, Moment(arrived), format, &pcm).expect("a packet")
}

/// The packet number `number` of a stream that counts its frames, come in time.
fn counting(number: usize) -> Delivery {
    let first = number * PACKET;
    packet((1000 + 6 * (number as u64 + 1)) * MS, (first..first + PACKET).map(|frame| frame as i16))
}

/// Plays `periods` periods from `start` milliseconds on; packets are accepted when they have come. `render` gives what is
/// heard of a period.
fn play_by<T>(
    voice: &mut Voice,
    packets: &[Delivery],
    (start, periods): (u64, usize),
    mut render: impl FnMut(&mut Voice, Moment) -> Vec<T>,
) -> Vec<T> {
    let mut packets = packets.iter().peekable();
    let period = |number: usize| {
        let now = Moment(start * MS) + duration_of((number * PERIOD) as u64, RATE);
        while let Some(packet) = packets.next_if(|packet| packet.arrived() <= now) {
            voice.accept(packet);
        }
        voice.has_all(now);
        render(voice, now)
    };
    (0..periods).flat_map(period).collect()
}

/// What is heard bit-exactly.
fn play(voice: &mut Voice, packets: &[Delivery], start: u64, periods: usize) -> Vec<i32> {
    play_by(voice, packets, (start, periods), |voice, now| {
        let mut frames = vec![0; PERIOD];
        voice.render_exact(&mut frames, now, now + Duration::from_millis(10));
        frames
    })
}

/// What is heard through the resampler.
fn play_smooth(voice: &mut Voice, packets: &[Delivery], start: u64, periods: usize) -> Vec<f32> {
    play_by(voice, packets, (start, periods), |voice, now| {
        let mut frames = vec![0.0; PERIOD];
        voice.render(&mut frames, now, now + Duration::from_millis(10), RATE);
        frames
    })
}

fn exact(first: &Delivery) -> Voice {
    Voice::new(first, RATE, settings(true)).expect("a voice")
}

#[test]
fn bit_exactly_every_sample_is_heard_at_its_time_and_nothing_else() {
    let packets: Vec<_> = (0..50).map(counting).collect();
    let mut voice = exact(&packets[0]);
    let heard = play(&mut voice, &packets, 1000, 100);
    // Frame 0 was played by the sender at 1000 ms, and is heard 50 ms later; the device takes 10 ms.
    let silence = 40 * 48;
    assert!(heard[..silence].iter().all(|sample| *sample == 0));
    let expected: Vec<i32> = (0..50 * PACKET).map(|frame| i32::from(frame as i16) << 16).collect();
    assert_eq!(heard[silence..silence + expected.len()], expected);
    assert!(heard[silence + expected.len()..].iter().all(|sample| *sample == 0));
    assert_eq!(voice.counts(), Counts::default());
}

#[test]
fn a_device_that_opens_late_begins_with_the_first_sample_if_the_delay_allows_it() {
    let packets: Vec<_> = (0..50).map(counting).collect();
    let mut voice = exact(&packets[0]);
    // 120 ms after the sender: the delay is 130 ms then, and may be 200 ms.
    let heard = play(&mut voice, &packets, 1120, 80);
    assert_eq!(heard[..PACKET], (0..PACKET as i32).map(|frame| frame << 16).collect::<Vec<_>>());
    assert_eq!(voice.counts().late, 0);
}

#[test]
fn what_would_make_the_delay_greater_than_it_may_be_is_left_out() {
    let packets: Vec<_> = (0..50).map(counting).collect();
    let mut voice = exact(&packets[0]);
    // 250 ms after the sender: 60 ms too late.
    let heard = play(&mut voice, &packets, 1250, 20);
    let first = 60 * 48;
    assert_eq!(heard[..PACKET], (first..first + PACKET as i32).map(|frame| frame << 16).collect::<Vec<_>>());
    assert_eq!(voice.counts().late, 10);
}

#[test]
fn a_flood_never_makes_the_delay_greater_than_it_may_be() {
    let packets: Vec<_> = (0..4000)
        .map(|n| packet((1000 + n / 4) * MS, (0..PACKET).map(|frame| (n as usize * PACKET + frame) as i16)))
        .collect();
    let mut voice = exact(&packets[0]);
    play(&mut voice, &packets, 1000, 150);
    let (first, end) = voice.pieces.range().expect("audio");
    assert!(voice.counts().cuts > 0);
    // 0.7 s are what there is room for, and 1152 frames come in each millisecond.
    assert!(end - first <= i64::from(RATE) * 2, "{}", end - first);
}

/// Packets of a constant level, which only fades can change.
fn level(numbers: std::ops::Range<u64>, after: u64) -> Vec<Delivery> {
    // Not quite constant, or packets would repeat themselves.
    let value = |number: u64, frame: usize| 16_000 + ((number as usize * 7 + frame) % 2) as i16;
    numbers
        .map(|n| packet((1000 + 6 * (n + 1) + after) * MS, (0..PACKET).map(move |frame| value(n, frame))))
        .collect()
}

#[test]
fn a_stream_fades_in_and_out_and_is_as_loud_as_it_was_in_between() {
    let packets = level(0..50, 0);
    let mut voice = Voice::new(&packets[0], RATE, settings(false)).expect("a voice");
    let heard = play_smooth(&mut voice, &packets, 1000, 100);
    let (start, length) = (40 * 48, 50 * PACKET);
    let loud = 16_000.0 / 32_768.0;
    assert!(heard[..start - 64].iter().all(|sample| sample.abs() < 1e-6));
    let middle = &heard[start + 144 + 64..start + length - 144 - 64];
    assert!(middle.iter().all(|sample| (sample - loud).abs() < 1e-3), "{middle:?}");
    assert!(heard[start + length + 64..].iter().all(|sample| sample.abs() < 1e-6));
    let steepest = heard.windows(2).map(|pair| (pair[0] - pair[1]).abs()).fold(0.0, f32::max);
    assert!(steepest < 0.006, "{steepest}");
    assert!(voice.is_silent());
}

#[test]
fn in_silence_a_delay_that_is_too_great_is_made_up_at_once() {
    // The device opens 80 ms late. After a second of sound there is half a second of silence.
    let mut packets = level(0..166, 0);
    packets.extend((166..250).map(|n| packet((1000 + 6 * (n + 1)) * MS, std::iter::repeat_n(0, PACKET))));
    packets.extend(level(250..400, 0));
    let mut voice = Voice::new(&packets[0], RATE, settings(false)).expect("a voice");
    play_smooth(&mut voice, &packets, 1090, 150);
    assert!(voice.delay() > Duration::from_millis(85), "{:?}", voice.delay());
    let rest: Vec<_> = packets.iter().filter(|p| p.arrived().0 > 1835 * MS).cloned().collect();
    play_smooth(&mut voice, &rest, 1840, 300);
    assert!(voice.delay() < Duration::from_millis(55), "{:?}", voice.delay());
    assert_eq!((voice.counts().late, voice.counts().underruns), (0, 0));
}

#[test]
fn another_rate_of_the_device_is_the_same_sound() {
    let tone =
        |frame: usize| ((frame as f64 * 440.0 / 44_100.0 * std::f64::consts::TAU).sin() * 16_000.0) as i16;
    let format = StreamFormat::new(44_100, 16, 1, 4).expect("a format");
    let packets: Vec<_> = (0..100_usize)
        .map(|n| {
            let pcm: Vec<u8> = (n * 441..(n + 1) * 441).flat_map(|frame| tone(frame).to_le_bytes()).collect();
            Delivery::new(0, Moment((1010 + 10 * n as u64) * MS), format, &pcm).expect("a packet")
        })
        .collect();
    let mut voice = Voice::new(&packets[0], RATE, settings(false)).expect("a voice");
    let heard = play_smooth(&mut voice, &packets, 1000, 150);
    let crossings = heard[10_000..34_000].windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
    assert!((219..=221).contains(&crossings), "{crossings}");
}
