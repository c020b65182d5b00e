//! One datagram: the 5-byte header and at most 1152 bytes of PCM, whole frames only.
//!
//! The sender keeps [`Packet`]s in preallocated memory: `reset`, then `append` until `is_full`, then send
//! `as_bytes`. The receiver uses [`parse`].

use core::fmt;
use core::num::{NonZeroU32, NonZeroUsize};

pub use crate::format::HEADER_LEN;
use crate::format::{FormatError, StreamFormat};

/// Most bytes of PCM in a packet.
pub const MAX_PAYLOAD: usize = 1152;

/// Most bytes of a packet: header and payload.
pub const MAX_PACKET: usize = HEADER_LEN + MAX_PAYLOAD;

const _: () = assert!(MAX_PACKET == 1157);

/// A packet being filled.
///
/// `#[repr(C)]` with the bytes first: the address of the packet is the address of what is sent, and it
/// does not change while the packet is reused.
///
/// # Invariants
///
/// The payload is a whole number of frames and at most [`Packet::capacity`]; the header is that of the format.
#[repr(C)]
#[derive(Debug)]
pub struct Packet {
    bytes: [u8; MAX_PACKET],
    format: StreamFormat,
    payload_len: usize,
}

impl Packet {
    /// An empty packet of a format.
    pub const fn new(format: StreamFormat) -> Self {
        let mut bytes = [0; MAX_PACKET];
        if let Some(header) = bytes.first_chunk_mut::<HEADER_LEN>() {
            *header = format.header();
        }
        Self { bytes, format, payload_len: 0 }
    }

    /// Empties the packet and gives it a format.
    pub const fn reset(&mut self, format: StreamFormat) {
        if let Some(header) = self.bytes.first_chunk_mut::<HEADER_LEN>() {
            *header = format.header();
        }
        self.format = format;
        self.payload_len = 0;
    }

    /// The format the packet was last given.
    pub const fn format(&self) -> StreamFormat {
        self.format
    }

    /// Most bytes of payload: the largest whole number of frames within [`MAX_PAYLOAD`].
    pub fn capacity(&self) -> usize {
        whole_frames(MAX_PAYLOAD, self.format)
    }

    /// Bytes of payload that still fit, a whole number of frames.
    pub fn room(&self) -> usize {
        self.capacity().saturating_sub(self.payload_len)
    }

    /// Whether there is no payload: such a packet is not worth sending.
    pub const fn is_empty(&self) -> bool {
        self.payload_len == 0
    }

    /// Whether not one more frame fits.
    pub fn is_full(&self) -> bool {
        self.room() == 0
    }

    /// Frames in the payload.
    pub fn frames(&self) -> u32 {
        // Lossless: at most 576.
        (self.payload_len / NonZeroUsize::from(self.format.bytes_per_frame())) as u32
    }

    /// Header and payload: what is sent.
    pub fn as_bytes(&self) -> &[u8] {
        let end = HEADER_LEN.saturating_add(self.payload_len);
        self.bytes.get(..end).unwrap_or_default()
    }

    /// The PCM bytes.
    pub fn payload(&self) -> &[u8] {
        self.as_bytes().get(HEADER_LEN..).unwrap_or_default()
    }

    /// All the memory a packet can ever occupy: for describing it once (an MDL) and sending
    /// the first `as_bytes().len()` bytes of it.
    pub const fn storage(&self) -> &[u8; MAX_PACKET] {
        &self.bytes
    }

    /// Appends as many whole frames as fit and are available, and returns the bytes taken.
    ///
    /// `fill` is called at most once, with exactly the destination of these bytes, and must write all of
    /// it. So a source that another process may write to is read once. If nothing is taken, `fill` is not
    /// called.
    #[must_use = "the source has advanced by the bytes taken"]
    pub fn append(&mut self, available_bytes: usize, fill: impl FnOnce(&mut [u8])) -> usize {
        let taken = whole_frames(available_bytes.min(self.room()), self.format);
        let start = HEADER_LEN.saturating_add(self.payload_len);
        let end = start.saturating_add(taken);
        match self.bytes.get_mut(start..end) {
            Some(destination) if taken > 0 => {
                fill(destination);
                self.payload_len = self.payload_len.saturating_add(taken);
                taken
            }
            _ => 0,
        }
    }

    /// Becomes a copy of another packet.
    pub fn copy_from(&mut self, other: &Self) {
        let bytes = other.as_bytes();
        if let Some(own) = self.bytes.get_mut(..bytes.len()) {
            own.copy_from_slice(bytes);
        }
        self.format = other.format;
        self.payload_len = other.payload_len;
    }
}

/// Frames of a full packet, 36..=576.
pub const fn packet_frames(format: StreamFormat) -> NonZeroU32 {
    match NonZeroU32::new(MAX_PAYLOAD as u32 / format.bytes_per_frame().get() as u32) {
        Some(frames) => frames,
        None => NonZeroU32::MIN, // not reached: a frame has at most 32 bytes
    }
}

/// Splits a received datagram into its format and its PCM bytes.
///
/// # Errors
///
/// A header that is too short or has unknown values; a payload that is empty, over [`MAX_PAYLOAD`], or
/// not a whole number of frames.
pub fn parse(datagram: &[u8]) -> Result<(StreamFormat, &[u8]), PacketError> {
    let format = StreamFormat::parse(datagram).map_err(PacketError::Header)?;
    let payload = datagram.get(HEADER_LEN..).unwrap_or_default();
    let len = payload.len();
    if len == 0 {
        Err(PacketError::Empty)
    } else if len > MAX_PAYLOAD {
        Err(PacketError::TooLong(len))
    } else if whole_frames(len, format) != len {
        Err(PacketError::PartialFrame { len, bytes_per_frame: format.bytes_per_frame().get() })
    } else {
        Ok((format, payload))
    }
}

/// Why a datagram was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PacketError {
    /// The header is too short or has an unknown value.
    Header(FormatError),
    /// There is no payload.
    Empty,
    /// The payload has this many bytes, more than [`MAX_PAYLOAD`].
    TooLong(usize),
    /// The payload ends inside a frame.
    PartialFrame {
        /// Payload, in bytes.
        len: usize,
        /// Frame size of the header's format, in bytes.
        bytes_per_frame: u16,
    },
}

impl fmt::Display for PacketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Header(error) => write!(f, "packet header: {error}"),
            Self::Empty => write!(f, "packet has no payload; at least one frame is needed"),
            Self::TooLong(len) => {
                write!(f, "packet payload of {len} bytes is over the limit of {MAX_PAYLOAD}")
            }
            Self::PartialFrame { len, bytes_per_frame } => {
                write!(f, "packet payload of {len} bytes is no whole number of {bytes_per_frame}-byte frames")
            }
        }
    }
}

impl core::error::Error for PacketError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Header(error) => Some(error),
            _ => None,
        }
    }
}

/// `bytes` rounded down to whole frames.
fn whole_frames(bytes: usize, format: StreamFormat) -> usize {
    bytes.saturating_sub(bytes % NonZeroUsize::from(format.bytes_per_frame()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(bits: u16, channels: u16) -> StreamFormat {
        StreamFormat::new(48_000, bits, channels, 3).unwrap()
    }

    #[test]
    fn a_full_stereo_packet_is_1157_bytes_and_288_frames() {
        let mut packet = Packet::new(format(16, 2));
        assert_eq!(packet.append(5_000, |bytes| bytes.fill(7)), 1152);
        assert!(packet.is_full());
        assert_eq!(packet.frames(), 288);
        assert_eq!(packet.as_bytes().len(), MAX_PACKET);
        assert_eq!(packet.as_bytes()[..5], [1, 16, 2, 3, 0]);
        assert!(packet.payload().iter().all(|&byte| byte == 7));
    }

    #[test]
    fn frames_that_do_not_divide_the_payload_leave_a_rest() {
        // 10-byte frames: 115 of them; 21-byte frames: 54; 32-byte frames: 36.
        assert_eq!(Packet::new(format(16, 5)).capacity(), 1150);
        assert_eq!(Packet::new(format(24, 7)).capacity(), 1134);
        assert_eq!(packet_frames(format(16, 5)).get(), 115);
        assert_eq!(packet_frames(format(32, 8)).get(), 36);
        assert_eq!(packet_frames(format(16, 1)).get(), 576);
    }

    #[test]
    fn a_part_of_a_frame_is_not_taken_and_not_asked_for() {
        let mut packet = Packet::new(format(24, 2));
        assert_eq!(packet.append(5, |_| panic!("nothing to fill")), 0);
        assert!(packet.is_empty());
        assert_eq!(packet.append(13, |bytes| assert_eq!(bytes.len(), 12)), 12);
        assert_eq!(packet.room(), 1140);
    }

    #[test]
    fn a_full_packet_takes_nothing() {
        let mut packet = Packet::new(format(16, 5));
        assert_eq!(packet.append(usize::MAX, |bytes| bytes.fill(1)), 1150);
        assert_eq!(packet.append(10, |_| panic!("no room to fill")), 0);
    }

    #[test]
    fn a_reset_packet_is_empty_and_has_the_new_header() {
        let mut packet = Packet::new(format(16, 2));
        assert_eq!(packet.append(8, |bytes| bytes.fill(9)), 8);
        packet.reset(format(32, 4));
        assert!(packet.is_empty());
        assert_eq!(packet.format(), format(32, 4));
        assert_eq!(packet.as_bytes(), [1, 32, 4, 3, 0]);
    }

    #[test]
    fn a_copy_is_the_same_packet_whatever_was_there_before() {
        let mut packet = Packet::new(format(16, 2));
        assert_eq!(packet.append(8, |bytes| bytes.fill(9)), 8);
        let mut copy = Packet::new(format(32, 4));
        assert_eq!(copy.append(64, |bytes| bytes.fill(7)), 64);
        copy.copy_from(&packet);
        assert_eq!(copy.as_bytes(), packet.as_bytes());
        assert_eq!((copy.format(), copy.room()), (packet.format(), packet.room()));
    }

    #[test]
    fn the_bytes_sent_begin_where_the_packet_begins() {
        let packet = Packet::new(format(16, 2));
        assert_eq!(core::mem::offset_of!(Packet, bytes), 0);
        assert_eq!(packet.storage().as_ptr(), packet.as_bytes().as_ptr());
    }

    #[test]
    fn wrong_datagrams_are_refused_by_name() {
        let mut datagram = [0; MAX_PACKET + 4];
        datagram[..5].copy_from_slice(&[1, 16, 2, 3, 0]);
        assert_eq!(parse(&datagram[..3]), Err(PacketError::Header(FormatError::TooShort(3))));
        assert_eq!(parse(&datagram[..5]), Err(PacketError::Empty));
        assert_eq!(parse(&datagram[..11]), Err(PacketError::PartialFrame { len: 6, bytes_per_frame: 4 }));
        assert_eq!(parse(&datagram), Err(PacketError::TooLong(1156)));
        assert_eq!(parse(&datagram[..9]), Ok((format(16, 2), &[0; 4][..])));
    }
}
