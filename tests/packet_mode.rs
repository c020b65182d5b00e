//! Packet mode (IMiniportWaveRTOutputStream): the audio engine announces each packet that it has written.
#![cfg(target_os = "linux")]

mod common;

use common::{assert_same_audio, audio_of, noise, prompt_network, sent, tick_of, with_device};
use testbed::client::{Buffer, Format, Stream};
use testbed::device::Device;
use testbed::network::Datagram;
use testbed::nt::NtStatus;
use testbed::portcls::abi::KsState;
use testbed::schedule;

const RATE: u32 = 48_000;
const FRAME: usize = 4;
const FREQUENCY: u64 = 10_000_000;
/// KSSTREAM_HEADER_OPTIONSF_ENDOFSTREAM.
const END: u32 = 0x200;
const MS: u64 = 1_000_000;

/// A client that plays packets of `frames` frames through a buffer of two.
struct Client {
    stream: Stream,
    audio: Vec<u8>,
    packet: usize,
}

impl Client {
    fn open(device: &Device, frames: usize, audio: Vec<u8>) -> Self {
        let packet = frames * FRAME;
        let buffer = Buffer::Notified { bytes: 2 * packet as u32, count: 2 };
        let stream = device.open(&Format::pcm(RATE, 16, 2), buffer).expect("a stream");
        assert_eq!(stream.buffer_bytes() as usize, 2 * packet);
        Self { stream, audio, packet }
    }

    /// Writes packet `number` of the audio without a word.
    fn write(&mut self, number: usize) {
        let bytes = &self.audio[number * self.packet..][..self.packet];
        self.stream.write(number % 2 * self.packet, bytes);
    }

    /// Writes packet `number` and announces it.
    fn announce(&mut self, number: usize) -> Result<(), NtStatus> {
        self.write(number);
        self.stream.set_write_packet(number as u32, 0, 0)
    }

    /// Waits for the next notification; the counter at that time.
    fn wait(&self) -> u64 {
        assert!(self.stream.wait(Some(schedule::now() + 1000 * MS)), "there is a notification");
        schedule::counter()
    }

    fn run(&mut self) -> u64 {
        self.stream.set_state(KsState::Run).expect("it runs");
        schedule::counter()
    }
}

fn two(client: &mut Client) {
    client.announce(0).expect("packet 0");
    client.announce(1).expect("packet 1");
}

#[test]
fn packets_of_3_ms_play_without_a_gap_and_are_counted_exactly() {
    const PACKET: usize = 144;
    const PACKETS: usize = 400;
    let outcome = with_device(prompt_network(), |device| {
        let audio = noise(1, PACKETS * PACKET * FRAME);
        let mut client = Client::open(device, PACKET, audio.clone());
        two(&mut client);
        let base = client.run();
        for number in 2..PACKETS {
            let played = number as u64 - 1;
            assert_eq!(client.wait(), tick_of(base, played * PACKET as u64, RATE, FREQUENCY));
            assert_eq!(client.stream.packet_count(), Ok(played as u32));
            let position = client.stream.presentation_position().expect("a position");
            assert_eq!(position.blocks, played * PACKET as u64);
            assert_eq!(position.counter, schedule::counter());
            client.announce(number).expect("the other half is free");
        }
        client.wait();
        client.wait();
        client.stream.set_state(KsState::Stop).expect("it stops");
        let heard = audio_of(&sent());
        assert_same_audio(&heard, &audio);
    });
    outcome.expect_clean();
}

#[test]
fn the_window_is_what_the_buffer_can_take() {
    let outcome = with_device(prompt_network(), |device| {
        let mut client = Client::open(device, 480, noise(2, 4 * 480 * FRAME));
        let early = client.stream.set_write_packet(2, 0, 0);
        two(&mut client);
        // Not running, packet 0 may be written again.
        client.announce(0).expect("packet 0 once more");
        client.run();
        let playing = client.stream.set_write_packet(0, 0, 0);
        let next_but_one = client.stream.set_write_packet(2, 0, 0);
        client.wait();
        let over = client.stream.set_write_packet(0, 0, 0);
        client.announce(2).expect("packet 1 plays, so packet 2 may be written");
        (early, playing, next_but_one, over)
    });
    let (late, overrun) = (Err(NtStatus::DATA_LATE_ERROR), Err(NtStatus::DATA_OVERRUN));
    assert_eq!(outcome.expect_clean(), (overrun, late, overrun, late));
}

#[test]
fn wrong_flags_and_lengths_are_refused() {
    let outcome = with_device(prompt_network(), |device| {
        let mut client = Client::open(device, 480, noise(3, 480 * FRAME));
        [
            client.stream.set_write_packet(0, 1, 0),
            client.stream.set_write_packet(0, END | 1, 0),
            client.stream.set_write_packet(0, END, 480 * FRAME as u32 + 1),
            client.stream.set_write_packet(0, 0, u32::MAX),
        ]
    });
    let invalid = Err(NtStatus::INVALID_PARAMETER);
    // Without the flag the length is ignored.
    assert_eq!(outcome.expect_clean(), [invalid, invalid, invalid, Ok(())]);
}

#[test]
fn without_notifications_there_is_no_packet_mode() {
    let outcome = with_device(prompt_network(), |device| {
        let format = Format::pcm(RATE, 16, 2);
        let mut stream = device.open_pin(0, &format).expect("a stream");
        let mut statuses = Vec::new();
        let mut ask = |stream: &mut Stream| {
            statuses.push(stream.set_write_packet(0, 0, 0));
            statuses.push(stream.packet_count().map(|_| ()));
            statuses.push(stream.presentation_position().map(|_| ()));
        };
        ask(&mut stream);
        stream.allocate(Buffer::Polled { bytes: 3840 }).expect("a buffer");
        ask(&mut stream);
        statuses
    });
    assert_eq!(outcome.expect_clean(), [Err(NtStatus::NOT_SUPPORTED); 6]);
}

/// The time at which the last datagram was sent, in counter ticks, and the audio of all of them.
fn heard() -> (u64, Vec<u8>) {
    let datagrams: Vec<Datagram> = sent();
    (datagrams.last().map_or(0, |datagram| datagram.counter), audio_of(&datagrams))
}

#[test]
fn a_stream_ends_where_its_last_packet_says_and_the_clock_goes_on() {
    const PACKET: usize = 480;
    let outcome = with_device(prompt_network(), |device| {
        let mut client = Client::open(device, PACKET, noise(4, 3 * PACKET * FRAME));
        two(&mut client);
        let base = client.run();
        client.wait();
        // The rest of the half is what was heard before.
        let last = client.audio[2 * PACKET * FRAME..][..100 * FRAME].to_vec();
        client.stream.write(0, &last);
        client.stream.set_write_packet(2, END, 100 * FRAME as u32).expect("the last packet");
        let again = client.stream.set_write_packet(3, 0, 0);
        for number in 2..20 {
            assert_eq!(client.wait(), tick_of(base, number * PACKET as u64, RATE, FREQUENCY));
            assert_eq!(client.stream.packet_count(), Ok(number as u32));
        }
        let frames = (2 * PACKET + 100) as u64;
        let (sent_at, audio) = heard();
        assert_eq!(sent_at, tick_of(base, frames, RATE, FREQUENCY), "the last frames wait for nothing");
        assert_same_audio(&audio, &client.audio[..frames as usize * FRAME]);
        // STOP forgets the end.
        client.stream.set_state(KsState::Stop).expect("it stops");
        two(&mut client);
        client.run();
        client.wait();
        client.stream.set_state(KsState::Stop).expect("it stops");
        assert_same_audio(&audio_of(&sent()), &client.audio[..PACKET * FRAME]);
        again
    });
    assert_eq!(outcome.expect_clean(), Err(NtStatus::INVALID_DEVICE_STATE));
}

#[test]
fn an_empty_last_packet_ends_the_stream_at_once() {
    let outcome = with_device(prompt_network(), |device| {
        let mut client = Client::open(device, 480, noise(5, 2 * 480 * FRAME));
        client.announce(0).expect("packet 0");
        client.stream.set_write_packet(1, END, 0).expect("nothing more");
        client.run();
        (0..5).for_each(|_| _ = client.wait());
        assert_same_audio(&audio_of(&sent()), &client.audio[..480 * FRAME]);
    });
    outcome.expect_clean();
}

#[test]
fn a_packet_that_comes_too_late_is_silence_and_not_the_one_before_the_last() {
    const PACKET: usize = 480;
    let outcome = with_device(prompt_network(), |device| {
        let mut client = Client::open(device, PACKET, noise(6, 6 * PACKET * FRAME));
        two(&mut client);
        client.run();
        client.wait();
        // Packet 2 is forgotten: its half still holds packet 0.
        client.wait();
        client.announce(3).expect("packet 2 plays, so packet 3 may be written");
        client.wait();
        // Packet 4 is a quarter late.
        client.wait();
        schedule::sleep_until(schedule::now() + 2_500_000);
        let late = client.announce(4);
        client.announce(5).expect("the next is in time");
        client.wait();
        client.wait();
        client.stream.set_state(KsState::Stop).expect("it stops");
        let bytes = PACKET * FRAME;
        let mut expected = client.audio.clone();
        expected[2 * bytes..3 * bytes].fill(0);
        expected[4 * bytes..][..bytes / 4].fill(0);
        assert_same_audio(&audio_of(&sent()), &expected);
        late
    });
    assert_eq!(outcome.expect_clean(), Err(NtStatus::DATA_LATE_ERROR));
}

#[test]
fn a_packet_that_is_missing_is_silence_at_every_width() {
    for (bits, valid) in [(16, 16), (24, 24), (32, 24), (32, 32)] {
        let outcome = with_device(prompt_network(), move |device| {
            let format = Format::pcm(48_000, bits, 2).with_valid_bits(valid);
            let packet = 480 * format.frame_bytes();
            let buffer = Buffer::Notified { bytes: 2 * packet as u32, count: 2 };
            let mut stream = device.open(&format, buffer).expect("a stream");
            let audio = noise(8, 2 * packet);
            stream.write(0, &audio);
            stream.set_write_packet(0, 0, 0).expect("packet 0");
            stream.set_write_packet(1, 0, 0).expect("packet 1");
            stream.set_state(KsState::Run).expect("it runs");
            schedule::sleep_until(schedule::now() + 30 * MS);
            stream.set_state(KsState::Stop).expect("it stops");
            assert_same_audio(&audio_of(&sent()), &[audio, vec![0; packet]].concat());
        });
        outcome.expect_clean();
    }
}

#[test]
fn a_client_that_announces_nothing_is_heard_too() {
    let outcome = with_device(prompt_network(), |device| {
        let mut client = Client::open(device, 480, noise(7, 4 * 480 * FRAME));
        client.write(0);
        client.write(1);
        client.run();
        client.wait();
        client.write(2);
        client.wait();
        client.write(3);
        client.wait();
        client.wait();
        client.stream.set_state(KsState::Stop).expect("it stops");
        assert_same_audio(&audio_of(&sent()), &client.audio);
    });
    outcome.expect_clean();
}

#[test]
fn the_presentation_position_is_exact_frozen_in_pause_and_zero_after_a_stop() {
    let outcome = with_device(prompt_network(), |device| {
        let mut client = Client::open(device, 480, noise(8, 2 * 480 * FRAME));
        let frames = |client: &Client| {
            let position = client.stream.presentation_position().expect("a position");
            assert_eq!(position.counter, schedule::counter());
            assert_eq!(u64::from(client.stream.packet_count().expect("a count")), position.blocks / 480);
            let byte = client.stream.position().expect("an offset").play_offset;
            assert_eq!(byte, position.blocks % 960 * FRAME as u64);
            position.blocks
        };
        assert_eq!(frames(&client), 0);
        let base = client.run();
        for step in 1..200_u64 {
            schedule::sleep_until(schedule::now() + step * 7_919);
            let ticks = schedule::counter() - base;
            assert_eq!(frames(&client), ticks * u64::from(RATE) / FREQUENCY);
        }
        client.stream.set_state(KsState::Pause).expect("it pauses");
        let frozen = frames(&client);
        schedule::sleep_until(schedule::now() + 123 * MS);
        assert_eq!(frames(&client), frozen);
        let base = client.run();
        schedule::sleep_until(schedule::now() + 10 * MS);
        assert_eq!(frames(&client), frozen + (schedule::counter() - base) * u64::from(RATE) / FREQUENCY);
        client.stream.set_state(KsState::Stop).expect("it stops");
        assert_eq!(frames(&client), 0);
    });
    outcome.expect_clean();
}

#[test]
fn one_packet_in_the_buffer_is_counted_too() {
    let outcome = with_device(prompt_network(), |device| {
        let buffer = Buffer::Notified { bytes: 480 * 4, count: 1 };
        let mut stream = device.open(&Format::pcm(RATE, 16, 2), buffer).expect("a stream");
        let audio = noise(9, 480 * FRAME);
        stream.write(0, &audio);
        stream.set_write_packet(0, 0, 0).expect("packet 0");
        stream.set_state(KsState::Run).expect("it runs");
        for count in 1..6 {
            assert!(stream.wait(Some(schedule::now() + 100 * MS)));
            assert_eq!(stream.packet_count(), Ok(count));
            stream.set_write_packet(count + 1, 0, 0).expect("the packet after the one that plays");
        }
        stream.set_state(KsState::Stop).expect("it stops");
        assert_same_audio(&audio_of(&sent()), &audio.repeat(5));
    });
    outcome.expect_clean();
}
