//! WaveRT packet mode: the buffer is one or two packets, and the audio engine announces each it has written.
//!
//! Packet numbers are 32 bits and wrap; they are compared by their wrapping difference. See
//! [IMiniportWaveRTOutputStream](https://learn.microsoft.com/windows-hardware/drivers/ddi/portcls/nn-portcls-iminiportwavertoutputstream).

use core::fmt;
use core::num::NonZeroU64;

use crate::cyclic::CyclicBuffer;

/// How many packets, and so notifications, a WaveRT buffer with notifications has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketsPerBuffer {
    /// One: notified at the end of the buffer.
    One,
    /// Two: notified in the middle and at the end.
    Two,
}

impl PacketsPerBuffer {
    /// From the `NotificationCount` of an allocation; none if it is not 1 or 2.
    pub const fn from_count(count: u32) -> Option<Self> {
        match count {
            1 => Some(Self::One),
            2 => Some(Self::Two),
            _ => None,
        }
    }

    /// 1 or 2.
    pub const fn count(self) -> u32 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }

    /// Frames per packet of a buffer; none if the buffer does not divide into equal packets.
    pub fn frames_per_packet(self, buffer: CyclicBuffer) -> Option<NonZeroU64> {
        let frames = buffer.frames().get();
        match self {
            Self::One => Some(buffer.frames()),
            Self::Two if frames.is_multiple_of(2) => NonZeroU64::new(frames / 2),
            Self::Two => None,
        }
    }
}

/// Packets completely played at a position in frames: the low 32 bits of their count.
pub fn packet_count(position: u64, frames_per_packet: NonZeroU64) -> u32 {
    (position / frames_per_packet) as u32
}

/// The first and last packet number that may be written when `count` packets have been played.
///
/// While running, packet `count` is being played, so the first to write is the one after it.
pub const fn write_window(count: u32, running: bool, packets: PacketsPerBuffer) -> (u32, u32) {
    let ahead = packets.count() - 1;
    let first = running as u32;
    let last = if first > ahead { first } else { ahead };
    (count.wrapping_add(first), count.wrapping_add(last))
}

/// Whether packet `number` may be written now; see [`write_window`].
///
/// # Errors
///
/// [`WritePacketError::Late`] below the window, [`WritePacketError::Overrun`] above it.
pub const fn judge_write_packet(
    number: u32,
    count: u32,
    running: bool,
    packets: PacketsPerBuffer,
) -> Result<(), WritePacketError> {
    let (first, last) = write_window(count, running, packets);
    if (number.wrapping_sub(first) as i32) < 0 {
        Err(WritePacketError::Late { number, first })
    } else if (number.wrapping_sub(last) as i32) > 0 {
        Err(WritePacketError::Overrun { number, last })
    } else {
        Ok(())
    }
}

/// Why a packet may not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WritePacketError {
    /// It is played already or being played.
    Late {
        /// The packet's number.
        number: u32,
        /// The first one that may be written.
        first: u32,
    },
    /// It would overwrite one that has not been played.
    Overrun {
        /// The packet's number.
        number: u32,
        /// The last one that may be written.
        last: u32,
    },
    /// The stream's last packet was written before.
    Ended,
}

impl fmt::Display for WritePacketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Late { number, first } => {
                write!(f, "packet {number} is late; the first that may be written is {first}")
            }
            Self::Overrun { number, last } => {
                write!(f, "packet {number} is too far ahead; the last that may be written is {last}")
            }
            Self::Ended => f.write_str("the last packet of the stream was written before"),
        }
    }
}

impl core::error::Error for WritePacketError {}

#[cfg(test)]
mod tests {
    use super::PacketsPerBuffer::{One, Two};
    use super::*;
    use core::num::NonZeroU16;

    fn late(number: u32, first: u32) -> Result<(), WritePacketError> {
        Err(WritePacketError::Late { number, first })
    }

    fn overrun(number: u32, last: u32) -> Result<(), WritePacketError> {
        Err(WritePacketError::Overrun { number, last })
    }

    #[test]
    fn while_packet_5_plays_only_packet_6_may_be_written() {
        assert_eq!(judge_write_packet(5, 5, true, Two), late(5, 6));
        assert_eq!(judge_write_packet(6, 5, true, Two), Ok(()));
        assert_eq!(judge_write_packet(7, 5, true, Two), overrun(7, 6));
        assert_eq!(write_window(5, true, One), (6, 6));
    }

    #[test]
    fn before_running_both_packets_may_be_written() {
        assert_eq!(write_window(0, false, Two), (0, 1));
        assert_eq!(judge_write_packet(0, 0, false, Two), Ok(()));
        assert_eq!(judge_write_packet(1, 0, false, Two), Ok(()));
        assert_eq!(judge_write_packet(2, 0, false, Two), overrun(2, 1));
        assert_eq!(write_window(0, false, One), (0, 0));
        assert_eq!(judge_write_packet(1, 0, false, One), overrun(1, 0));
    }

    #[test]
    fn numbers_wrap() {
        assert_eq!(judge_write_packet(u32::MAX, u32::MAX, false, Two), Ok(()));
        assert_eq!(judge_write_packet(0, u32::MAX, true, Two), Ok(()));
        assert_eq!(judge_write_packet(u32::MAX, u32::MAX, true, Two), late(u32::MAX, 0));
        assert_eq!(judge_write_packet(u32::MAX, 0, false, Two), late(u32::MAX, 0));
        assert_eq!(judge_write_packet(1, u32::MAX, false, Two), overrun(1, 0));
    }

    #[test]
    fn the_packet_count_keeps_its_low_32_bits() {
        let frames = NonZeroU64::new(480).unwrap();
        assert_eq!(packet_count(479, frames), 0);
        assert_eq!(packet_count(480, frames), 1);
        assert_eq!(packet_count(480 * ((1 << 32) + 3), frames), 3);
    }

    #[test]
    fn only_one_or_two_notifications_exist() {
        assert_eq!(PacketsPerBuffer::from_count(0), None);
        assert_eq!(PacketsPerBuffer::from_count(1), Some(One));
        assert_eq!(PacketsPerBuffer::from_count(2), Some(Two));
        assert_eq!(PacketsPerBuffer::from_count(3), None);
    }

    #[test]
    fn an_odd_buffer_is_one_packet_but_not_two() {
        let buffer = CyclicBuffer::new(28, NonZeroU16::new(4).unwrap()).unwrap();
        assert_eq!(One.frames_per_packet(buffer), NonZeroU64::new(7));
        assert_eq!(Two.frames_per_packet(buffer), None);
    }
}
