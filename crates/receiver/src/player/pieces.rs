//! [`Pieces`]: the audio that is to be played, each packet's at its slots.
//!
//! Pieces are in the order of their slots and do not overlap. Where one does not begin at the slot at which the one before it
//! ends, audio is missing: silence is played, and the audio on both sides fades.

use std::collections::VecDeque;

use crate::Delivery;

/// A packet's audio, from a slot on.
#[derive(Clone, Debug)]
struct Piece {
    slot: i64,
    /// Frames at its beginning that are not played.
    skipped: u32,
    /// What was played before it is not what came before it.
    torn: bool,
    /// No sample of it can be heard.
    silent: bool,
    delivery: Delivery,
}

impl Piece {
    fn first(&self) -> i64 {
        self.slot + i64::from(self.skipped)
    }

    fn end(&self) -> i64 {
        self.slot + i64::from(self.delivery.frames())
    }
}

/// What is at a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// So many frames of audio at least, of the first piece.
    Audio(u32),
    /// Nothing until this slot, where there is audio.
    Gap(i64),
    /// Nothing at all.
    Empty,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushed {
    /// What was before it goes on with it.
    InTime,
    /// What was before it has ended, or has begun to: at least a part of it is played.
    AfterTheEnd,
    /// It is too late, or there is no room.
    NotAtAll,
}

/// What is to be played of one stream.
#[derive(Debug)]
pub struct Pieces {
    pieces: VecDeque<Piece>,
    /// The last slot that a fade-out has been begun for, because nothing followed it then.
    torn_at: Option<i64>,
}

/// Samples of this magnitude or less cannot be heard: -80 dB of full scale.
const INAUDIBLE: u32 = 214_748;

impl Pieces {
    /// With room for so many pieces.
    pub fn with_capacity(pieces: usize) -> Self {
        Self { pieces: VecDeque::with_capacity(pieces.max(1)), torn_at: None }
    }

    /// Whether no more fits.
    pub fn is_full(&self) -> bool {
        self.pieces.len() == self.pieces.capacity()
    }

    /// Whether there is nothing to play.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Adds a packet whose first frame belongs at `slot`; what of it is before `from` or taken already is left out.
    pub fn push(&mut self, slot: i64, from: i64, delivery: &Delivery) -> Pushed {
        let taken = self.pieces.back().map_or(from, |last| last.end().max(from));
        let skipped = (taken - slot).clamp(0, i64::from(delivery.frames())) as u32;
        if skipped == delivery.frames() || self.is_full() {
            return Pushed::NotAtAll;
        }
        let torn = skipped > 0 || self.torn_at == Some(slot);
        let silent = loudest(delivery) <= INAUDIBLE;
        self.pieces.push_back(Piece { slot, skipped, torn, silent, delivery: delivery.clone() });
        if torn { Pushed::AfterTheEnd } else { Pushed::InTime }
    }

    /// Moves what is at `from` and later, and has not been begun, by so many slots, and returns how many pieces that are.
    pub fn shift(&mut self, from: i64, by: i64) -> usize {
        let mut moved = 0;
        for piece in self.pieces.iter_mut().filter(|piece| piece.slot >= from) {
            piece.slot += by;
            moved += 1;
        }
        moved
    }

    /// Leaves out what is before a slot; returns how many pieces went without a frame of them having been played.
    pub fn skip_to(&mut self, slot: i64) -> u64 {
        let mut late = 0;
        while let Some(first) = self.pieces.front_mut() {
            if first.end() > slot {
                if first.first() < slot {
                    first.torn = true;
                    first.skipped = (slot - first.slot) as u32;
                }
                break;
            }
            late += u64::from(first.skipped == 0);
            self.pieces.pop_front();
        }
        late
    }

    /// What is at a slot; nothing before it is left, after [`skip_to`](Self::skip_to).
    pub fn at(&self, slot: i64) -> Run {
        match self.pieces.front() {
            None => Run::Empty,
            Some(first) if first.first() > slot => Run::Gap(first.first()),
            Some(first) => Run::Audio((first.end() - slot).max(0) as u32),
        }
    }

    /// Whether audio that begins at this slot does not go on from what was played before.
    pub fn is_torn_at(&self, slot: i64) -> bool {
        self.pieces.front().is_some_and(|first| first.first() == slot && first.torn)
    }

    /// Takes the next `frames` frames, which [`at`](Self::at) has found in the first piece: their samples.
    pub fn take(&mut self, frames: u32, sink: impl FnOnce(&Delivery, &[u8])) {
        let Some(first) = self.pieces.front_mut() else { return };
        let frame = usize::from(first.delivery.format().bytes_per_frame().get());
        let start = first.skipped as usize * frame;
        first.skipped = (first.skipped + frames).min(first.delivery.frames());
        first.torn = false;
        let end = first.skipped as usize * frame;
        sink(&first.delivery, &first.delivery.pcm()[start..end]);
        if first.skipped == first.delivery.frames() {
            self.pieces.pop_front();
        }
    }

    /// The slot at which audio that goes on from `slot` without a gap ends, if that is within `frames` from there. From then
    /// on it does end there, whatever comes.
    pub fn end_within(&mut self, slot: i64, frames: i64) -> Option<i64> {
        let mut end = slot;
        for (index, piece) in self.pieces.iter().enumerate() {
            if piece.first() > end || (index > 0 && piece.torn) {
                return Some(end);
            }
            end = piece.end();
            if end - slot > frames {
                return None;
            }
        }
        self.torn_at = Some(end);
        Some(end)
    }

    /// The slot up to which, from `slot` on, nothing can be heard; `slot` if that is not so.
    pub fn silent_until(&self, slot: i64) -> i64 {
        let mut end = slot;
        for piece in self.pieces.iter().take_while(|piece| piece.silent) {
            end = piece.end().max(end);
        }
        end
    }

    /// The first slot that has audio, and the one after the last.
    pub fn range(&self) -> Option<(i64, i64)> {
        Some((self.pieces.front()?.first(), self.pieces.back()?.end()))
    }
}

/// The greatest magnitude of a packet's samples, as if they had 32 bits.
fn loudest(delivery: &Delivery) -> u32 {
    super::samples::integers(delivery.format().width(), delivery.pcm())
        .map(i32::unsigned_abs)
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use protocol::StreamFormat;

    use super::*;
    use crate::Moment;

    /// A packet of so many frames of mono, all of one value.
    fn packet(frames: usize, value: u8) -> Delivery {
        let format = StreamFormat::new(48_000, 16, 1, 4).expect("a format");
        Delivery::new(0, Moment(0), format, &vec![value; frames * 2]).expect("a packet")
    }

    fn pieces(of: &[(i64, usize)]) -> Pieces {
        let mut pieces = Pieces::with_capacity(8);
        for (slot, frames) in of {
            assert_eq!(pieces.push(*slot, 0, &packet(*frames, 1)), Pushed::InTime);
        }
        pieces
    }

    /// The bytes that are taken.
    fn taken(pieces: &mut Pieces, frames: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        pieces.take(frames, |_, pcm| bytes.extend_from_slice(pcm));
        bytes
    }

    #[test]
    fn frames_are_found_at_their_slots_and_taken_once() {
        let mut pieces = pieces(&[(10, 5), (15, 5), (25, 5)]);
        assert_eq!(pieces.at(0), Run::Gap(10));
        assert_eq!(pieces.at(10), Run::Audio(5));
        assert_eq!(taken(&mut pieces, 3), [1; 6]);
        assert_eq!(pieces.at(13), Run::Audio(2));
        taken(&mut pieces, 2);
        assert_eq!(pieces.at(15), Run::Audio(5));
        taken(&mut pieces, 5);
        assert_eq!(pieces.at(20), Run::Gap(25));
        taken(&mut pieces, 5);
        assert_eq!(pieces.at(30), Run::Empty);
    }

    #[test]
    fn what_is_late_or_has_no_room_is_left_out() {
        let mut pieces = Pieces::with_capacity(2);
        assert_eq!(pieces.push(0, 5, &packet(5, 1)), Pushed::NotAtAll);
        assert_eq!(pieces.push(0, 5, &packet(8, 1)), Pushed::AfterTheEnd);
        assert_eq!(pieces.at(5), Run::Audio(3));
        assert!(pieces.is_torn_at(5));
        assert_eq!(pieces.push(6, 5, &packet(4, 1)), Pushed::AfterTheEnd);
        assert!(pieces.is_full());
        assert_eq!(pieces.push(10, 5, &packet(4, 1)), Pushed::NotAtAll);
        assert_eq!(pieces.range(), Some((5, 10)));
    }

    #[test]
    fn what_is_skipped_and_was_never_played_is_counted() {
        let mut pieces = pieces(&[(0, 5), (5, 5), (10, 5)]);
        taken(&mut pieces, 1);
        assert_eq!(pieces.skip_to(12), 1);
        assert_eq!(pieces.at(12), Run::Audio(3));
        assert!(pieces.is_torn_at(12));
    }

    #[test]
    fn shifted_pieces_leave_a_gap() {
        let mut pieces = pieces(&[(0, 5), (5, 5), (10, 5)]);
        assert_eq!(pieces.shift(5, 7), 2);
        pieces.take(5, |_, _| {});
        assert_eq!(pieces.at(5), Run::Gap(12));
        assert_eq!(pieces.range(), Some((12, 22)));
    }

    #[test]
    fn the_end_of_what_goes_on_without_a_gap_is_seen_ahead() {
        let mut pieces = pieces(&[(0, 5), (5, 5), (12, 5)]);
        assert_eq!(pieces.end_within(0, 9), None);
        assert_eq!(pieces.end_within(1, 9), Some(10));
        pieces.skip_to(12);
        assert_eq!(pieces.end_within(12, 4), None);
        assert_eq!(pieces.end_within(13, 4), Some(17));
        // The fade-out has begun: what follows now has to fade in.
        assert_eq!(pieces.push(17, 0, &packet(5, 1)), Pushed::AfterTheEnd);
        assert_eq!(pieces.end_within(13, 4), Some(17));
        pieces.skip_to(17);
        assert!(pieces.is_torn_at(17));
        pieces.take(1, |_, _| {});
        assert!(!pieces.is_torn_at(18));
    }

    #[test]
    fn silence_is_known_ahead() {
        let mut pieces = Pieces::with_capacity(8);
        pieces.push(0, 0, &packet(5, 0));
        pieces.push(5, 0, &packet(5, 0));
        pieces.push(10, 0, &packet(5, 9));
        assert_eq!((pieces.silent_until(0), pieces.silent_until(3)), (10, 10));
        pieces.skip_to(10);
        assert_eq!(pieces.silent_until(10), 10);
    }
}
