//! What the audio engine has written in WaveRT packet mode.
//!
//! Each half of a buffer of two packets holds the packet that was announced for it last. When its turn comes and
//! another one should be there, the audio engine was late: what the half still holds was heard before and must not be
//! heard again. See
//! [SetWritePacket](https://learn.microsoft.com/windows-hardware/drivers/ddi/portcls/nf-portcls-iminiportwavertoutputstream-setwritepacket).

use core::num::NonZeroU64;

use crate::cyclic::CyclicBuffer;
use crate::packet_mode::{PacketsPerBuffer, WritePacketError, judge_write_packet, packet_count};

/// The packets of one buffer with notifications.
///
/// A client that announces nothing plays whatever is in the buffer. So does a buffer of one packet: the audio engine
/// writes the next packet over the one that plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrittenPackets {
    packets: PacketsPerBuffer,
    frames_per_packet: NonZeroU64,
    /// The number of the packet in each half; none before the first is announced.
    held: Option<[Option<u64>; 2]>,
    /// The frame after the last of the stream.
    end: Option<u64>,
}

/// What there is to hear from a frame on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// What is in the buffer.
    Audio,
    /// Nothing: the packet was not written in time.
    Missing,
    /// Nothing any more: the stream has ended.
    Ended,
}

impl WrittenPackets {
    /// Nothing is announced; none if the buffer does not divide into equal packets.
    pub fn new(buffer: CyclicBuffer, packets: PacketsPerBuffer) -> Option<Self> {
        let frames_per_packet = packets.frames_per_packet(buffer)?;
        Some(Self { packets, frames_per_packet, held: None, end: None })
    }

    /// Frames of a packet.
    pub const fn frames_per_packet(&self) -> NonZeroU64 {
        self.frames_per_packet
    }

    /// STOP: as new.
    pub fn reset(&mut self) {
        (self.held, self.end) = (None, None);
    }

    /// The frame after the last of the stream, once the last packet was announced.
    pub const fn end(&self) -> Option<u64> {
        self.end
    }

    /// Takes note of packet `number`, announced at a position in frames. `last` is the length in frames of the packet
    /// that ends the stream, at most a packet's.
    ///
    /// # Errors
    ///
    /// [`WritePacketError`]. What remains of a packet that is late but still plays is heard.
    pub fn write(
        &mut self,
        number: u32,
        position: u64,
        running: bool,
        last: Option<u64>,
    ) -> Result<(), WritePacketError> {
        if self.end.is_some() {
            return Err(WritePacketError::Ended);
        }
        let playing = position / self.frames_per_packet;
        let count = packet_count(position, self.frames_per_packet);
        let verdict = judge_write_packet(number, count, running, self.packets);
        let ahead = number.wrapping_sub(count);
        if verdict.is_ok() || ahead == 0 {
            let packet = playing.saturating_add(u64::from(ahead));
            self.hold(packet);
            self.end = last.map(|frames| {
                let start = packet.saturating_mul(self.frames_per_packet.get());
                start.saturating_add(frames.min(self.frames_per_packet.get()))
            });
        }
        verdict
    }

    fn hold(&mut self, packet: u64) {
        // Before the first announcement everything was taken as written.
        let held = self.held.get_or_insert_with(|| match packet.checked_sub(1) {
            Some(before) if before % 2 == 0 => [Some(before), None],
            Some(before) => [None, Some(before)],
            None => [None; 2],
        });
        let [even, odd] = held;
        *if packet.is_multiple_of(2) { even } else { odd } = Some(packet);
    }

    /// What there is to hear from `frame` on, and the frame until which that is so.
    pub fn content(&self, frame: u64) -> (Content, u64) {
        let end = self.end.unwrap_or(u64::MAX);
        if frame >= end {
            return (Content::Ended, u64::MAX);
        }
        let (Some([even, odd]), PacketsPerBuffer::Two) = (self.held, self.packets) else {
            return (Content::Audio, end);
        };
        let packet = frame / self.frames_per_packet;
        let until = packet.saturating_add(1).saturating_mul(self.frames_per_packet.get());
        let held = if packet.is_multiple_of(2) { even } else { odd };
        let content = if held == Some(packet) { Content::Audio } else { Content::Missing };
        (content, until.min(end))
    }
}

#[cfg(test)]
mod tests {
    use super::PacketsPerBuffer::{One, Two};
    use super::*;
    use core::num::NonZeroU16;

    const PACKET: u64 = 480;

    fn packets(packets: PacketsPerBuffer) -> WrittenPackets {
        let size = PACKET as usize * packets.count() as usize * 4;
        let buffer = CyclicBuffer::new(size, NonZeroU16::new(4).unwrap()).unwrap();
        WrittenPackets::new(buffer, packets).unwrap()
    }

    #[test]
    fn a_client_that_announces_nothing_plays_what_is_there() {
        assert_eq!(packets(Two).content(12_345), (Content::Audio, u64::MAX));
        assert_eq!(packets(One).content(0), (Content::Audio, u64::MAX));
    }

    #[test]
    fn a_packet_that_was_not_announced_is_missing_and_the_next_is_not() {
        let mut written = packets(Two);
        written.write(0, 0, false, None).unwrap();
        assert_eq!(written.content(0), (Content::Audio, PACKET));
        assert_eq!(written.content(PACKET), (Content::Missing, 2 * PACKET));
        written.write(2, PACKET + 5, true, None).unwrap();
        assert_eq!(written.content(PACKET + 5), (Content::Missing, 2 * PACKET));
        assert_eq!(written.content(2 * PACKET), (Content::Audio, 3 * PACKET));
    }

    #[test]
    fn what_a_half_held_before_is_not_heard_again() {
        let mut written = packets(Two);
        written.write(0, 0, false, None).unwrap();
        written.write(1, 0, false, None).unwrap();
        assert_eq!(written.content(2 * PACKET).0, Content::Missing);
        assert_eq!(written.content(4 * PACKET).0, Content::Missing);
    }

    #[test]
    fn the_rest_of_a_late_packet_is_heard() {
        let mut written = packets(Two);
        written.write(0, 0, false, None).unwrap();
        assert_eq!(
            written.write(1, PACKET + 5, true, None),
            Err(WritePacketError::Late { number: 1, first: 2 })
        );
        assert_eq!(written.content(PACKET + 5), (Content::Audio, 2 * PACKET));
    }

    #[test]
    fn a_packet_that_is_over_changes_nothing() {
        let mut written = packets(Two);
        written.write(0, 0, false, None).unwrap();
        let before = written;
        assert!(written.write(0, 5 * PACKET, true, Some(0)).is_err());
        assert!(written.write(7, 5 * PACKET, true, Some(0)).is_err());
        assert_eq!(written, before);
    }

    #[test]
    fn who_begins_to_announce_while_running_interrupts_nothing() {
        let mut written = packets(Two);
        written.write(6, 5 * PACKET + 7, true, None).unwrap();
        assert_eq!(written.content(5 * PACKET + 7), (Content::Audio, 6 * PACKET));
        assert_eq!(written.content(6 * PACKET), (Content::Audio, 7 * PACKET));
        assert_eq!(written.content(7 * PACKET).0, Content::Missing);
    }

    #[test]
    fn the_stream_ends_inside_its_last_packet() {
        let mut written = packets(Two);
        written.write(0, 0, false, None).unwrap();
        written.write(1, 0, false, Some(100)).unwrap();
        assert_eq!(written.end(), Some(PACKET + 100));
        assert_eq!(written.content(PACKET), (Content::Audio, PACKET + 100));
        assert_eq!(written.content(PACKET + 100), (Content::Ended, u64::MAX));
        assert_eq!(written.write(2, PACKET, true, None), Err(WritePacketError::Ended));
        written.reset();
        assert_eq!(written.content(0), (Content::Audio, u64::MAX));
        assert_eq!(written.write(0, 0, false, Some(0)), Ok(()));
        assert_eq!(written.content(0), (Content::Ended, u64::MAX));
    }

    #[test]
    fn a_buffer_of_one_packet_is_heard_until_its_end() {
        let mut written = packets(One);
        written.write(1, 10, true, None).unwrap();
        assert_eq!(written.content(10), (Content::Audio, u64::MAX));
        written.write(1, 20, true, Some(7)).unwrap();
        assert_eq!(written.content(20), (Content::Audio, PACKET + 7));
    }

    #[test]
    fn numbers_are_the_low_32_bits_of_the_count() {
        let mut written = packets(Two);
        let position = ((1 << 32) - 1) * PACKET;
        written.write(0, position, true, None).unwrap();
        assert_eq!(written.content(position + PACKET).0, Content::Audio);
        assert_eq!(written.content(position + 2 * PACKET).0, Content::Missing);
    }
}
