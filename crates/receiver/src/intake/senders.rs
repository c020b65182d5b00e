//! [`Senders`]: who is heard, and with which voice.
//!
//! Memory and what is said of senders are bounded, however many addresses packets come from.

use std::time::Duration;

use super::{Hearing, Notice};
use crate::Moment;
use crate::delivery::MAX_VOICES;
use crate::sources::Sender;

/// A sender that is silent for so long loses its place to another.
pub const RELEASE: Duration = Duration::from_secs(1);
/// The same, if the other has the same address: it is likely to be the same one with a new socket.
pub const RELEASE_TO_SAME: Duration = Duration::from_millis(250);
/// How many ignored senders are remembered, so as to name each once.
const REMEMBERED: usize = 32;
/// How many of them are named at once.
const NAMED_AT_ONCE: u32 = 8;
/// After that, one is named this often.
const NAME_AGAIN: Duration = Duration::from_secs(60);

/// Whether a packet is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// With this voice.
    Heard(u8),
    /// With this voice, which was another's before, or nobody's.
    New(u8),
    /// It is not; and what should be said of it, if anything.
    Ignored(Option<Notice>),
}

/// Who is heard.
#[derive(Debug)]
pub struct Senders {
    hearing: Hearing,
    places: [Option<Place>; MAX_VOICES as usize],
    /// A sender that may be about to take the place of another with the same address, and since when it sends.
    successor: Option<Place>,
    named: Named,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    sender: Sender,
    last: Moment,
}

impl Senders {
    /// Nobody yet.
    pub fn new(hearing: Hearing) -> Self {
        let named = Named { senders: Vec::with_capacity(REMEMBERED), ..Named::default() };
        Self { hearing, places: [None; MAX_VOICES as usize], successor: None, named }
    }

    /// Whether a packet of this sender is heard that has come now.
    pub fn admit(&mut self, sender: Sender, now: Moment) -> Admission {
        if !self.is_wanted(sender) {
            return self.ignore(Notice::Unwanted(sender), sender, now);
        }
        let mix = self.hearing == Hearing::Mix;
        let places = if mix { &mut self.places[..] } else { &mut self.places[..1] };
        let held = |place: &Option<Place>, sender| place.is_some_and(|place| place.sender == sender);
        if let Some(voice) = places.iter().position(|place| held(place, sender)) {
            places[voice] = Some(Place { sender, last: now });
            return Admission::Heard(voice as u8);
        }
        let free = |place: &Option<Place>| place.is_none_or(|place| now.since(place.last) >= RELEASE);
        let Some(voice) = places
            .iter()
            .position(|place| is_succeeded(place, sender, now))
            .or_else(|| places.iter().position(free))
        else {
            let notice = if mix { Notice::TooMany(sender) } else { Notice::Second(sender) };
            if self.may_succeed(sender, now) {
                return Admission::Ignored(None);
            }
            return self.ignore(notice, sender, now);
        };
        places[voice] = Some(Place { sender, last: now });
        Admission::New(voice as u8)
    }

    fn is_wanted(&self, sender: Sender) -> bool {
        match (self.hearing, sender) {
            (Hearing::Only { address, port }, Sender::Address(sender)) => {
                sender.ip() == address && port.is_none_or(|port| port == sender.port())
            }
            _ => true,
        }
    }

    /// Whether a sender that is not heard may have a new socket, whose packets come before those of the old one are missed. It
    /// is not worth a word unless both go on.
    fn may_succeed(&mut self, sender: Sender, now: Moment) -> bool {
        if !self.places.iter().flatten().any(|place| place.sender.ip() == sender.ip()) {
            return false;
        }
        let since = match self.successor {
            Some(place) if place.sender == sender => place.last,
            _ => now,
        };
        self.successor = Some(Place { sender, last: since });
        now.since(since) < RELEASE_TO_SAME
    }

    fn ignore(&mut self, notice: Notice, sender: Sender, now: Moment) -> Admission {
        Admission::Ignored(self.named.is_news(sender, now).then_some(notice))
    }
}

/// Whether a sender is likely to be the one that has the place, with a new socket.
fn is_succeeded(place: &Option<Place>, sender: Sender, now: Moment) -> bool {
    place.is_some_and(|place| place.sender.ip() == sender.ip() && now.since(place.last) >= RELEASE_TO_SAME)
}

/// The senders that have been named.
#[derive(Debug, Default)]
struct Named {
    senders: Vec<Sender>,
    /// Where the next one is remembered.
    next: usize,
    /// How many have been named since `since`.
    count: u32,
    since: Moment,
}

impl Named {
    /// Whether a sender should be named: not if it has been, and not if very many are.
    fn is_news(&mut self, sender: Sender, now: Moment) -> bool {
        if self.senders.contains(&sender) {
            return false;
        }
        let again = u32::try_from(now.since(self.since).as_secs() / NAME_AGAIN.as_secs()).unwrap_or(u32::MAX);
        if again > 0 {
            self.count = self.count.saturating_sub(again);
            self.since = now;
        }
        if self.count >= NAMED_AT_ONCE {
            return false;
        }
        self.count += 1;
        if self.senders.len() < REMEMBERED {
            self.senders.push(sender);
        } else {
            self.senders[self.next] = sender;
            self.next = (self.next + 1) % REMEMBERED;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(text: &str) -> Sender {
        Sender::Address(text.parse().expect("an address"))
    }

    fn at(milliseconds: u64) -> Moment {
        Moment(1_000_000_000) + Duration::from_millis(milliseconds)
    }

    const HEARD: &str = "heard";
    const NEW: &str = "new";
    const IGNORED: &str = "ignored";
    const NAMED: &str = "named";

    /// Lets packets come: when, in milliseconds, from whom, and whether it is heard.
    #[track_caller]
    fn check(hearing: Hearing, packets: &[(u64, &str, &str)]) {
        let mut senders = Senders::new(hearing);
        for (milliseconds, from, expected) in packets {
            let admission = match senders.admit(sender(from), at(*milliseconds)) {
                Admission::Heard(_) => HEARD,
                Admission::New(_) => NEW,
                Admission::Ignored(None) => IGNORED,
                Admission::Ignored(Some(_)) => NAMED,
            };
            assert_eq!(admission, *expected, "{from} at {milliseconds} ms");
        }
    }

    #[test]
    fn the_first_sender_is_heard_and_the_second_is_named_once() {
        check(
            Hearing::First,
            &[
                (0, "10.0.0.5:1", NEW),
                (1, "10.0.0.6:1", NAMED),
                (6, "10.0.0.5:1", HEARD),
                (7, "10.0.0.6:1", IGNORED),
            ],
        );
    }

    #[test]
    fn another_sender_is_heard_after_a_second_of_silence() {
        check(
            Hearing::First,
            &[
                (0, "10.0.0.5:1", NEW),
                (999, "10.0.0.6:1", NAMED),
                (1_000, "10.0.0.6:1", NEW),
                (1_001, "10.0.0.5:1", NAMED),
            ],
        );
    }

    #[test]
    fn the_same_computer_with_another_port_is_heard_after_a_quarter_of_a_second_without_a_word() {
        check(
            Hearing::First,
            &[
                (0, "10.0.0.5:1", NEW),
                (249, "10.0.0.5:2", IGNORED),
                (250, "10.0.0.5:2", NEW),
                (251, "10.0.0.5:1", IGNORED),
            ],
        );
    }

    #[test]
    fn two_senders_of_the_same_computer_are_named_once_they_both_go_on() {
        check(
            Hearing::First,
            &[
                (0, "10.0.0.5:1", NEW),
                (10, "10.0.0.5:2", IGNORED),
                (150, "10.0.0.5:1", HEARD),
                (259, "10.0.0.5:2", IGNORED),
                (260, "10.0.0.5:2", NAMED),
                (261, "10.0.0.5:2", IGNORED),
            ],
        );
    }

    #[test]
    fn only_the_sender_that_is_picked_is_heard() {
        let address = [10, 0, 0, 5].into();
        check(
            Hearing::Only { address, port: None },
            &[
                (0, "10.0.0.6:1", NAMED),
                (1, "10.0.0.5:1", NEW),
                (2, "10.0.0.5:2", IGNORED),
                (3, "10.0.0.5:1", HEARD),
            ],
        );
        check(
            Hearing::Only { address, port: Some(2) },
            &[(0, "10.0.0.5:1", NAMED), (1, "10.0.0.5:2", NEW), (2_000, "10.0.0.5:1", IGNORED)],
        );
    }

    #[test]
    fn in_a_mix_each_sender_has_its_voice_until_it_has_been_silent_for_a_second() {
        let mut senders = Senders::new(Hearing::Mix);
        for number in 0..MAX_VOICES {
            let from = sender(&format!("10.0.0.{number}:1"));
            assert_eq!(senders.admit(from, at(number.into())), Admission::New(number));
            assert_eq!(senders.admit(from, at(number.into())), Admission::Heard(number));
        }
        let ninth = sender("10.0.0.9:1");
        assert_eq!(senders.admit(ninth, at(100)), Admission::Ignored(Some(Notice::TooMany(ninth))));
        assert_eq!(senders.admit(ninth, at(1_000)), Admission::New(0));
        // Another socket of a computer that still has a voice takes that one.
        assert_eq!(senders.admit(sender("10.0.0.5:2"), at(1_000)), Admission::New(5));
    }

    #[test]
    fn a_flood_of_senders_takes_no_memory_and_is_named_rarely() {
        let mut senders = Senders::new(Hearing::First);
        senders.admit(sender("10.0.0.5:1"), at(0));
        let mut named = 0;
        // For ten minutes another sender each millisecond.
        for milliseconds in 0..600_000_u64 {
            senders.admit(sender("10.0.0.5:1"), at(milliseconds));
            let [a, b] = ((milliseconds >> 8) as u16).to_be_bytes();
            let from = sender(&format!("10.{a}.{b}.{}:9", milliseconds & 0xFF));
            if senders.admit(from, at(milliseconds)) != Admission::Ignored(None) {
                named += 1;
            }
        }
        assert_eq!(named, 8 + 10);
        assert_eq!(senders.named.senders.len(), 18);
    }

    #[test]
    fn the_table_of_senders_that_were_named_does_not_grow() {
        let mut named = Named::default();
        let count = (0..1_000_u64).filter(|minute| {
            let from = sender(&format!("10.0.{}.{}:9", minute >> 8, minute & 0xFF));
            named.is_news(from, at(minute * 60_000))
        });
        assert_eq!(count.count(), 1_000);
        assert_eq!(named.senders.len(), REMEMBERED);
        assert!(!named.is_news(sender("10.0.3.231:9"), at(60_000_000)));
    }
}
