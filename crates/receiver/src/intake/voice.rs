//! [`Voice`]: the packets of one sender, of which one with another format may be a stray.

use std::time::Duration;

use protocol::StreamFormat;

use crate::{Delivery, Moment};

/// After so much silence a stream may be any other.
const RESTART: Duration = Duration::from_secs(1);

/// The stream of a sender.
#[derive(Debug, Default)]
pub struct Voice {
    /// The format of the stream, and when its last packet came.
    current: Option<(StreamFormat, Moment)>,
    held: Option<Delivery>,
}

/// What a packet turned out to be.
#[derive(Debug)]
pub enum Heard {
    /// One like those before it.
    Usual(Delivery),
    /// The first one.
    First(Delivery),
    /// The second one of a new format: it was meant, and here is the first one, too.
    Changed(Box<Delivery>, Delivery),
    /// One of another format, kept until the next one comes.
    Held,
    /// One like those before; what is held was a stray and is gone.
    AfterStray(Delivery),
    /// One of a third format, kept instead of the one that was held, which was a stray.
    InsteadOfStray,
}

impl Voice {
    /// Forgets the stream: another one begins. Gives what was held.
    pub fn begin_anew(&mut self) -> Option<Delivery> {
        self.current = None;
        self.held.take()
    }

    /// Gives what is held.
    pub fn take_held(&mut self) -> Option<Delivery> {
        self.held.take()
    }

    /// Takes the next packet.
    pub fn hear(&mut self, delivery: Delivery) -> Heard {
        let (format, arrived) = (delivery.format(), delivery.arrived());
        let Some((current, last)) = &mut self.current else {
            self.current = Some((format, arrived));
            return Heard::First(delivery);
        };
        let pause = arrived.since(*last);
        *last = arrived;
        if *current == format {
            return if self.held.take().is_some() {
                Heard::AfterStray(delivery)
            } else {
                Heard::Usual(delivery)
            };
        }
        match self.held.take() {
            Some(held) if held.format() == format => {
                *current = format;
                Heard::Changed(Box::new(held), delivery)
            }
            None if pause >= RESTART => {
                *current = format;
                Heard::First(delivery)
            }
            held => {
                self.held = Some(delivery);
                if held.is_some() { Heard::InsteadOfStray } else { Heard::Held }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hears packets: when each comes, in milliseconds, and its number of channels.
    #[track_caller]
    fn check(packets: &[(u64, u16)], expected: &[&str]) {
        let mut voice = Voice::default();
        let heard = packets.iter().map(|&(milliseconds, channels)| {
            let format = StreamFormat::new(48_000, 16, channels, 0).expect("a format");
            let pcm = vec![0; usize::from(format.bytes_per_frame().get())];
            let arrived = Moment::default() + Duration::from_millis(milliseconds);
            match voice.hear(Delivery::new(0, arrived, format, &pcm).expect("a frame")) {
                Heard::Usual(_) => "usual",
                Heard::First(_) => "first",
                Heard::Changed(held, delivery) => {
                    assert_eq!(held.format(), delivery.format());
                    assert!(held.arrived() < delivery.arrived());
                    "changed"
                }
                Heard::Held => "held",
                Heard::AfterStray(_) => "after stray",
                Heard::InsteadOfStray => "instead of stray",
            }
        });
        assert_eq!(heard.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_new_format_is_believed_when_it_comes_twice() {
        check(&[(0, 2), (6, 2), (12, 6), (18, 6), (24, 6)], &["first", "usual", "held", "changed", "usual"]);
    }

    #[test]
    fn a_single_packet_of_another_format_is_a_stray() {
        check(&[(0, 2), (6, 6), (12, 2), (18, 2)], &["first", "held", "after stray", "usual"]);
        check(&[(0, 2), (6, 6), (12, 8), (18, 8)], &["first", "held", "instead of stray", "changed"]);
    }

    #[test]
    fn after_a_second_of_silence_a_new_format_is_believed_at_once() {
        check(&[(0, 2), (999, 6)], &["first", "held"]);
        check(&[(0, 2), (1_000, 6), (1_006, 6)], &["first", "first", "usual"]);
    }

    #[test]
    fn what_is_held_is_given_once() {
        let mut voice = Voice::default();
        for channels in [1, 2] {
            let format = StreamFormat::new(48_000, 16, channels, 0).expect("a format");
            voice.hear(Delivery::new(0, Moment::default(), format, &[0; 4]).expect("whole frames"));
        }
        assert!(voice.take_held().is_some());
        assert!(voice.take_held().is_none());
    }
}
