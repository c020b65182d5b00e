//! Laws of the way from the cyclic buffer through packets to the receiver.

use crate::generators::formats;
use proptest::prelude::*;
use protocol::{CyclicBuffer, MAX_PACKET, MAX_PAYLOAD, Packet, StreamFormat, packet, packet_frames};

/// Byte number `index` of the stream that is played.
fn played(index: u64) -> u8 {
    (index.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

/// Plays into a cyclic buffer as an application would and sends it as the driver does.
struct Sender {
    format: StreamFormat,
    buffer: CyclicBuffer,
    memory: Vec<u8>,
    written: u64,
    consumed: u64,
    packet: Packet,
    sent: Vec<Vec<u8>>,
}

impl Sender {
    fn new(format: StreamFormat, buffer_frames: usize) -> Self {
        let frame = format.bytes_per_frame();
        let size = buffer_frames * usize::from(frame.get());
        Self {
            format,
            buffer: CyclicBuffer::new(size, frame).unwrap(),
            memory: vec![0; size],
            written: 0,
            consumed: 0,
            packet: Packet::new(format),
            sent: Vec::new(),
        }
    }

    fn play(&mut self, frames: u64) {
        let frame = u64::from(self.format.bytes_per_frame().get());
        for byte in self.written * frame..(self.written + frames) * frame {
            let size = self.memory.len() as u64;
            self.memory[(byte % size) as usize] = played(byte);
        }
        self.written += frames;
    }

    /// Consumes up to what was played, and returns the frames that were skipped.
    fn consume(&mut self) -> u64 {
        let backlog = self.buffer.backlog(self.consumed, self.written);
        for span in backlog.spans() {
            let copied = self.memory[span.offset..span.offset + span.len].to_vec();
            let mut bytes = &copied[..];
            while !bytes.is_empty() {
                let taken = self.packet.append(bytes.len(), |to| to.copy_from_slice(&bytes[..to.len()]));
                assert!(taken > 0, "whole frames always fit in a packet that is not full");
                bytes = &bytes[taken..];
                if self.packet.is_full() {
                    self.flush();
                }
            }
        }
        self.consumed = backlog.start + backlog.frames;
        assert_eq!(self.consumed, self.written);
        backlog.skipped
    }

    fn flush(&mut self) {
        if !self.packet.is_empty() {
            self.sent.push(self.packet.as_bytes().to_vec());
        }
        self.packet.reset(self.format);
    }

    /// The payloads of everything sent, after checking each packet as a receiver would.
    fn received(&self) -> Vec<u8> {
        let mut pcm = Vec::new();
        for datagram in &self.sent {
            assert!(datagram.len() <= MAX_PACKET);
            let (format, payload) = packet::parse(datagram).unwrap();
            assert_eq!(format, self.format);
            pcm.extend_from_slice(payload);
        }
        pcm
    }
}

/// Playing and consuming a fraction of the buffer (in 256ths), and sending short or not.
fn steps(most: u64) -> impl Strategy<Value = Vec<(u64, bool)>> {
    prop::collection::vec((0..=most, prop::bool::weighted(0.1)), 1..40)
}

proptest! {
    #[test]
    fn what_is_played_is_received_whatever_the_buffer_and_the_chunks(
        format in formats(),
        buffer_frames in 1_usize..2_000,
        steps in steps(256),
    ) {
        let mut sender = Sender::new(format, buffer_frames);
        for (part, flush) in steps {
            sender.play(buffer_frames as u64 * part / 256);
            prop_assert_eq!(sender.consume(), 0);
            if flush {
                sender.flush();
            }
        }
        sender.flush();
        let total = sender.written * u64::from(format.bytes_per_frame().get());
        let expected: Vec<u8> = (0..total).map(played).collect();
        prop_assert_eq!(sender.received(), expected);
    }

    #[test]
    fn after_a_glitch_the_latest_buffer_is_received_and_the_skipped_frames_are_counted(
        format in formats(),
        buffer_frames in 1_usize..500,
        steps in steps(2_000),
    ) {
        let mut sender = Sender::new(format, buffer_frames);
        let frame = u64::from(format.bytes_per_frame().get());
        let mut expected = Vec::new();
        for (part, _) in steps {
            let frames = buffer_frames as u64 * part / 256;
            sender.play(frames);
            let skipped = sender.consume();
            prop_assert_eq!(skipped, frames.saturating_sub(buffer_frames as u64));
            let first = sender.written - (frames - skipped);
            expected.extend((first * frame..sender.written * frame).map(played));
        }
        sender.flush();
        prop_assert_eq!(sender.received(), expected);
    }

    #[test]
    fn an_unflushed_stream_is_full_packets_only(format in formats(), frames in 0_u64..5_000) {
        let mut sender = Sender::new(format, 5_000);
        sender.play(frames);
        prop_assert_eq!(sender.consume(), 0);
        let per_packet = u64::from(packet_frames(format).get());
        prop_assert_eq!(sender.sent.len() as u64, frames / per_packet);
        prop_assert_eq!(u64::from(sender.packet.frames()), frames % per_packet);
        let frame = usize::from(format.bytes_per_frame().get());
        for datagram in &sender.sent {
            // One more frame would not have fitted.
            prop_assert!(datagram.len() - 5 <= MAX_PAYLOAD);
            prop_assert!(datagram.len() - 5 + frame > MAX_PAYLOAD);
        }
    }

    #[test]
    fn a_datagram_is_accepted_exactly_if_it_is_a_header_and_whole_frames(
        format in formats(),
        len in 0_usize..1_300,
    ) {
        let datagram = [&format.header()[..], &vec![1; len]].concat();
        let whole = len % usize::from(format.bytes_per_frame().get()) == 0;
        match packet::parse(&datagram) {
            Ok((parsed, payload)) => {
                prop_assert!(whole && (1..=1152).contains(&len));
                prop_assert_eq!(parsed, format);
                prop_assert_eq!(payload, &datagram[5..]);
            }
            Err(_) => prop_assert!(!whole || len == 0 || len > 1152),
        }
    }

    #[test]
    fn backlog_spans_stay_in_the_buffer_at_any_position(
        frames in 1_usize..5_000,
        format in formats(),
        consumed: u64,
        target: u64,
    ) {
        let frame = format.bytes_per_frame();
        let bytes_per_frame = usize::from(frame.get());
        let buffer = CyclicBuffer::new(frames * bytes_per_frame, frame).unwrap();
        let backlog = buffer.backlog(consumed, target);
        let mut position = backlog.start;
        for span in backlog.spans() {
            prop_assert_eq!(span.offset, buffer.offset_of(position));
            prop_assert!(span.len > 0 && span.offset + span.len <= buffer.size());
            prop_assert_eq!(span.len % bytes_per_frame, 0);
            position += (span.len / bytes_per_frame) as u64;
        }
        prop_assert_eq!(position, consumed.max(target));
        prop_assert_eq!(backlog.skipped + backlog.frames, target.saturating_sub(consumed));
    }
}
