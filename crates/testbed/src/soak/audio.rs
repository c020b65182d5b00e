//! What was played and what was heard, and whether the two fit.

use protocol::{HEADER_LEN, MAX_PAYLOAD, StreamFormat};

use crate::client::Format;
use crate::network::Datagram;

/// How much of what was played must be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// Every frame, once, in order.
    Everything,
    /// Some of it, in order; each packet is a piece of what was played. At most so many bytes may be missing.
    Pieces {
        /// `None`: there is no limit.
        missing: Option<usize>,
    },
    /// Packets of whole frames with the right header; what is in them is not known.
    Frames,
}

/// Compares the datagrams of one stream with what passed the position while it ran; what is wrong, if anything.
pub(super) fn compare(
    heard: &[Datagram],
    played: &[u8],
    format: &Format,
    demand: Demand,
) -> Result<(), String> {
    for (number, datagram) in heard.iter().enumerate() {
        check_packet(datagram, format).map_err(|text| format!("packet {number}: {text}"))?;
    }
    match demand {
        Demand::Everything => compare_all(heard, played),
        Demand::Pieces { missing } => {
            let left_out = match_pieces(heard, played, format.frame_bytes())?;
            match missing {
                Some(most) if left_out > most => {
                    Err(format!("{left_out} bytes are missing; the faults explain {most}"))
                }
                _ => Ok(()),
            }
        }
        Demand::Frames => Ok(()),
    }
}

fn check_packet(datagram: &Datagram, format: &Format) -> Result<(), String> {
    let (header, audio) =
        datagram.payload.split_first_chunk::<HEADER_LEN>().ok_or("shorter than a header")?;
    let mask = format.mask.map_or_else(|| protocol::default_mask(format.channels), |mask| mask as u16);
    let expected = StreamFormat::new(format.rate, format.bits, format.channels, mask)
        .map_err(|error| format!("a format that the wire format does not have was played: {error}"))?;
    if *header != expected.header() {
        return Err(format!("header {header:02x?} instead of {:02x?}", expected.header()));
    }
    let frame = format.frame_bytes();
    if audio.is_empty() || audio.len() > MAX_PAYLOAD || !audio.len().is_multiple_of(frame) {
        return Err(format!("{} bytes of audio in frames of {frame}", audio.len()));
    }
    Ok(())
}

fn compare_all(heard: &[Datagram], played: &[u8]) -> Result<(), String> {
    let audio: Vec<u8> = heard.iter().flat_map(|datagram| &datagram.payload[HEADER_LEN..]).copied().collect();
    if audio == played {
        return Ok(());
    }
    let first = audio.iter().zip(played).position(|(heard, played)| heard != played);
    let (heard, played) = (audio.len(), played.len());
    Err(format!("{heard} bytes were heard of {played} that were played; first difference: {first:?}"))
}

/// Finds every packet in what was played, behind the one before; the bytes that are in none.
///
/// The earliest place is always as good as any later one, so no second try is needed.
fn match_pieces(heard: &[Datagram], played: &[u8], frame: usize) -> Result<usize, String> {
    let mut at = 0;
    let mut found = 0;
    for (number, datagram) in heard.iter().enumerate() {
        let piece = &datagram.payload[HEADER_LEN..];
        let place = (at..=played.len().saturating_sub(piece.len()))
            .step_by(frame)
            .find(|start| played.get(*start..start + piece.len()) == Some(piece));
        let place = place.ok_or_else(|| {
            format!(
                "packet {number} ({} bytes) is nowhere in what was played after byte {at} of {}",
                piece.len(),
                played.len()
            )
        })?;
        at = place + piece.len();
        found += piece.len();
    }
    Ok(played.len() - found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::SocketOptions;

    fn packet(audio: &[u8]) -> Datagram {
        let header = StreamFormat::new(48_000, 16, 2, 3).expect("a format").header();
        let destination = "192.0.2.1:4010".parse().expect("an address");
        let payload = [&header[..], audio].concat();
        let (source, options) = (destination, SocketOptions::default());
        Datagram { time: 0, counter: 0, interface: 2, source, destination, options, payload }
    }

    fn check(heard: &[&[u8]], demand: Demand) -> Result<(), String> {
        let played: Vec<u8> = (0..24).collect();
        let heard: Vec<Datagram> = heard.iter().map(|audio| packet(audio)).collect();
        compare(&heard, &played, &Format::pcm(48_000, 16, 2), demand)
    }

    const FIRST: &[u8] = &[0, 1, 2, 3, 4, 5, 6, 7];
    const SECOND: &[u8] = &[8, 9, 10, 11, 12, 13, 14, 15];
    const THIRD: &[u8] = &[16, 17, 18, 19, 20, 21, 22, 23];

    #[test]
    fn everything_is_everything_in_order() {
        assert_eq!(check(&[FIRST, SECOND, THIRD], Demand::Everything), Ok(()));
        for heard in [&[FIRST, SECOND][..], &[FIRST, THIRD, SECOND], &[FIRST, FIRST, SECOND, THIRD], &[]] {
            assert!(check(heard, Demand::Everything).is_err(), "{heard:?}");
        }
    }

    #[test]
    fn pieces_may_be_missing_but_not_moved_or_repeated() {
        let any = Demand::Pieces { missing: None };
        for heard in [&[FIRST, THIRD][..], &[SECOND], &[], &[FIRST, &SECOND[4..], THIRD]] {
            assert_eq!(check(heard, any), Ok(()), "{heard:?}");
        }
        for heard in
            [&[THIRD, FIRST][..], &[SECOND, SECOND], &[&[1, 2, 3, 4]], &[&[4, 5, 6, 7, 12, 13, 14, 15]]]
        {
            assert!(check(heard, any).is_err(), "{heard:?}");
        }
    }

    #[test]
    fn faults_explain_so_much_and_no_more() {
        assert_eq!(check(&[FIRST, THIRD], Demand::Pieces { missing: Some(8) }), Ok(()));
        assert!(check(&[FIRST, THIRD], Demand::Pieces { missing: Some(7) }).is_err());
    }

    #[test]
    fn whole_frames_with_the_right_header_are_always_asked_for() {
        assert_eq!(check(&[&[9; 4]], Demand::Frames), Ok(()));
        assert!(check(&[&[9; 6]], Demand::Frames).is_err());
        assert!(check(&[&[]], Demand::Frames).is_err());
        let heard = [packet(&[9; 4])];
        for format in [Format::pcm(44_100, 16, 2), Format::pcm(48_000, 24, 2), Format::pcm(48_000, 16, 1)] {
            assert!(compare(&heard, &[], &format, Demand::Frames).is_err(), "{format:?}");
        }
    }
}
