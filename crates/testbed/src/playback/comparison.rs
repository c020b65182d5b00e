//! Whether what came is what was played.

use protocol::StreamFormat;

/// The result of comparing the audio that was played with the audio that came.
#[derive(Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Every sample came. Some silence may follow: the stream goes on until it is stopped.
    BitExact {
        /// Frames of silence after the end.
        silence: usize,
    },
    /// Nothing came.
    Nothing,
    /// The packets say another format.
    Format {
        /// What they say.
        received: StreamFormat,
    },
    /// All that came is right, but the rest is missing.
    Short {
        /// Frames that came.
        frames: usize,
    },
    /// Something else came.
    Difference {
        /// The first frame that differs.
        frame: usize,
        /// Its bytes as they were played; none after the end of the song.
        played: Vec<u8>,
        /// Its bytes as they came.
        received: Vec<u8>,
    },
}

/// Compares.
pub fn compare(
    format: StreamFormat,
    played: &[u8],
    received_format: Option<StreamFormat>,
    received: &[u8],
) -> Comparison {
    match received_format {
        None => return Comparison::Nothing,
        Some(received) if received != format => return Comparison::Format { received },
        Some(_) => {}
    }
    let size = usize::from(format.bytes_per_frame().get());
    let expected = played.chunks_exact(size).map(Some).chain(std::iter::repeat(None));
    for (frame, (came, expected)) in received.chunks_exact(size).zip(expected).enumerate() {
        let same = expected.map_or_else(|| came.iter().all(|byte| *byte == 0), |expected| expected == came);
        if !same {
            let played = expected.unwrap_or_default().to_vec();
            return Comparison::Difference { frame, played, received: came.to_vec() };
        }
    }
    match received.len().checked_sub(played.len()) {
        Some(more) => Comparison::BitExact { silence: more / size },
        None => Comparison::Short { frames: received.len() / size },
    }
}

impl Comparison {
    /// Whether every sample came as it was played.
    pub fn is_bit_exact(&self) -> bool {
        matches!(self, Self::BitExact { .. })
    }

    /// One line for people.
    pub fn verdict(&self) -> String {
        match self {
            Self::BitExact { .. } => "yes".to_owned(),
            Self::Nothing => "no: not one packet came; is the loopback interface up?".to_owned(),
            Self::Format { received } => format!(
                "no: the packets say {} Hz, {} bit, {} channels",
                received.rate(),
                received.bits(),
                received.channels()
            ),
            Self::Short { frames } => format!("no: only the first {frames} frames came"),
            Self::Difference { frame, played, received } if played.is_empty() => {
                format!("no: frame {frame}, after the end, came as {}", hex(received))
            }
            Self::Difference { frame, played, received } => {
                format!("no: frame {frame} was played as {} and came as {}", hex(played), hex(received))
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(played: &[u8], received: &[u8]) -> String {
        let format = StreamFormat::new(48_000, 16, 2, 3).unwrap();
        compare(format, played, Some(format), received).verdict()
    }

    #[test]
    fn the_same_frames_are_bit_exact_with_silence_after_them_or_without() {
        assert_eq!(verdict(&[1, 2, 3, 4], &[1, 2, 3, 4]), "yes");
        assert_eq!(verdict(&[1, 2, 3, 4], &[1, 2, 3, 4, 0, 0, 0, 0]), "yes");
    }

    #[test]
    fn the_first_difference_is_named() {
        assert_eq!(
            verdict(&[1, 2, 3, 4, 5, 6, 7, 8], &[1, 2, 3, 4, 5, 6, 7, 9]),
            "no: frame 1 was played as 05 06 07 08 and came as 05 06 07 09"
        );
        assert_eq!(
            verdict(&[1, 2, 3, 4], &[1, 2, 3, 4, 0, 0, 0, 1]),
            "no: frame 1, after the end, came as 00 00 00 01"
        );
    }

    #[test]
    fn missing_frames_are_counted() {
        assert_eq!(verdict(&[1, 2, 3, 4, 5, 6, 7, 8], &[1, 2, 3, 4]), "no: only the first 1 frames came");
    }

    #[test]
    fn another_format_and_no_packet_at_all_are_told_apart() {
        let (played, other) = (StreamFormat::new(48_000, 16, 2, 3), StreamFormat::new(44_100, 24, 1, 4));
        let (played, other) = (played.unwrap(), other.unwrap());
        assert_eq!(
            compare(played, &[0; 4], None, &[]).verdict(),
            "no: not one packet came; is the loopback interface up?"
        );
        assert_eq!(
            compare(played, &[0; 4], Some(other), &[0; 3]).verdict(),
            "no: the packets say 44100 Hz, 24 bit, 1 channels"
        );
    }
}
