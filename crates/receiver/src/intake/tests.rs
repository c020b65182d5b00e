//! The intake as a whole, at times that the tests choose.

use std::time::Duration;

use protocol::MAX_PACKET;

use super::*;
use crate::intake::counters::Totals;

/// Keeps everything, up to a limit.
#[derive(Default)]
struct Basket {
    deliveries: Vec<Delivery>,
    is_full: bool,
}

impl Destination for Basket {
    fn deliver(&mut self, delivery: Delivery) -> io::Result<bool> {
        if !self.is_full {
            self.deliveries.push(delivery);
        }
        Ok(!self.is_full)
    }
}

struct Fixture {
    intake: Intake,
    basket: Basket,
    counters: Arc<Counters>,
}

impl Fixture {
    fn new(hearing: Hearing) -> Self {
        let counters = Arc::new(Counters::default());
        Self { intake: Intake::new(hearing, Arc::clone(&counters)), basket: Basket::default(), counters }
    }

    fn take(&mut self, milliseconds: u64, from: u16, bytes: &[u8]) {
        let sender = Sender::Address(([10, 0, 0, from as u8], from).into());
        let arrived = Moment(1_000_000_000) + Duration::from_millis(milliseconds);
        let datagram = Datagram { sender, arrived, bytes };
        self.intake.take(&datagram, &mut self.basket).expect("the basket takes everything");
    }

    fn notices(&mut self) -> Vec<String> {
        self.intake.notices().map(|notice| notice.to_string()).collect()
    }

    /// Voice and audio of what was delivered.
    fn delivered(&self) -> Vec<(u8, &[u8])> {
        self.basket.deliveries.iter().map(|delivery| (delivery.voice(), delivery.pcm())).collect()
    }
}

const STEREO: [u8; 9] = [1, 16, 2, 3, 0, 1, 2, 3, 4];
const MONO: [u8; 7] = [1, 16, 1, 4, 0, 5, 6];

#[test]
fn what_is_no_packet_is_counted_by_what_is_wrong_with_it() {
    let mut fixture = Fixture::new(Hearing::First);
    let mut long = vec![0; MAX_PACKET + 4];
    long[..5].copy_from_slice(&STEREO[..5]);
    for bytes in [&[][..], &STEREO[..4], &[0, 16, 2, 3, 0, 1, 2, 3, 4], &[1, 8, 2, 3, 0, 1, 2, 3, 4]] {
        fixture.take(0, 1, bytes);
    }
    fixture.take(0, 1, &STEREO[..5]);
    fixture.take(0, 1, &STEREO[..8]);
    fixture.take(0, 1, &long);
    let expected = Totals {
        received: 7,
        received_bytes: 4 + 9 + 9 + 5 + 8 + 1161,
        runts: 2,
        formats: 2,
        empty: 1,
        partial: 1,
        oversize: 1,
        ..Totals::default()
    };
    assert_eq!(fixture.counters.totals(), expected);
    // Nor does any of it make its sender the one that is heard.
    assert_eq!(fixture.notices(), [""; 0]);
}

#[test]
fn rates_beyond_what_is_played_are_no_formats() {
    let mut fixture = Fixture::new(Hearing::First);
    for multiplier in [16, 17, 0x80 | 17, 0x80 | 18, 0x7F, 0xFF] {
        fixture.take(0, 1, &[multiplier, 16, 1, 4, 0, 0, 0]);
        fixture.take(0, 1, &[multiplier, 16, 1, 4, 0, 0, 0]);
    }
    // 768 000 Hz and 749 700 Hz are played.
    let totals = fixture.counters.totals();
    assert_eq!((totals.delivered, totals.formats), (4, 8));
}

#[test]
fn the_second_sender_is_said_once_and_not_delivered() {
    let mut fixture = Fixture::new(Hearing::First);
    for milliseconds in 0..5 {
        fixture.take(milliseconds, 1, &STEREO);
        fixture.take(milliseconds, 2, &MONO);
    }
    assert_eq!(fixture.delivered(), [(0, &STEREO[5..]); 5]);
    assert_eq!(fixture.counters.totals().ignored, 5);
    assert_eq!(
        fixture.notices(),
        [
            "hears 10.0.0.1:1",
            "the stream has 48000 Hz, 16 bits, 2 channels",
            "ignored: 10.0.0.2:2 sends, too; --mix plays all, --source picks one"
        ]
    );
}

#[test]
fn in_a_mix_each_sender_has_its_own_voice_and_format() {
    let mut fixture = Fixture::new(Hearing::Mix);
    for milliseconds in 0..2 {
        fixture.take(milliseconds, 1, &STEREO);
        fixture.take(milliseconds, 2, &MONO);
    }
    let (first, second) = ((0, &STEREO[5..]), (1, &MONO[5..]));
    assert_eq!(fixture.delivered(), [first, second, first, second]);
}

#[test]
fn a_format_that_comes_twice_is_delivered_from_its_first_packet_on() {
    let mut fixture = Fixture::new(Hearing::First);
    for (milliseconds, bytes) in [(0, &STEREO[..]), (6, &MONO), (12, &MONO), (18, &MONO)] {
        fixture.take(milliseconds, 1, bytes);
    }
    let mono = (0, &MONO[5..]);
    assert_eq!(fixture.delivered(), [(0, &STEREO[5..]), mono, mono, mono]);
    assert_eq!(fixture.counters.totals().stray, 0);
}

#[test]
fn a_stray_packet_of_another_format_is_counted_and_not_delivered() {
    let mut fixture = Fixture::new(Hearing::First);
    for (milliseconds, bytes) in [(0, &STEREO[..]), (6, &MONO), (12, &STEREO)] {
        fixture.take(milliseconds, 1, bytes);
    }
    assert_eq!(fixture.delivered(), [(0, &STEREO[5..]); 2]);
    assert_eq!(fixture.counters.totals().stray, 1);
}

#[test]
fn what_is_held_at_the_end_is_delivered_and_what_another_sender_left_is_not() {
    let mut fixture = Fixture::new(Hearing::First);
    fixture.take(0, 1, &STEREO);
    fixture.take(6, 1, &MONO);
    fixture.take(1_006, 2, &STEREO);
    fixture.take(1_012, 2, &MONO);
    fixture.intake.finish(&mut fixture.basket).expect("the basket takes everything");
    let stereo = (0, &STEREO[5..]);
    assert_eq!(fixture.delivered(), [stereo, stereo, (0, &MONO[5..])]);
    assert_eq!(fixture.counters.totals().stray, 1);
}

#[test]
fn what_nobody_plays_is_counted_as_dropped() {
    let mut fixture = Fixture::new(Hearing::First);
    fixture.take(0, 1, &STEREO);
    fixture.basket.is_full = true;
    fixture.take(6, 1, &STEREO);
    let totals = fixture.counters.totals();
    assert_eq!((totals.delivered, totals.dropped), (1, 1));
}

#[test]
fn no_datagram_of_any_size_and_content_does_harm() {
    let mut fixture = Fixture::new(Hearing::Mix);
    // A generator of numbers that look like chance (xorshift), the same each time.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut chance = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for step in 0..20_000 {
        let mut length = chance() as usize % (MAX_PACKET + 40);
        // Most of them are nearly right: few formats, and whole frames.
        if !chance().is_multiple_of(4) {
            length = length / 4 * 4 + 1;
        }
        let mut bytes: Vec<u8> = (0..length).map(|_| chance() as u8).collect();
        for (byte, likely) in bytes.iter_mut().zip([1, 16, 1 + chance() as u8 % 2, 3, 0]) {
            if !chance().is_multiple_of(16) {
                *byte = likely;
            }
        }
        fixture.take(step, chance() as u16 % 20, &bytes);
    }
    let totals = fixture.counters.totals();
    let refused = totals.runts + totals.formats + totals.empty + totals.oversize + totals.partial;
    // Each is counted once; what is still held is counted when it turns out what it is.
    let held = fixture.intake.voices.iter_mut().filter_map(Voice::take_held).count() as u64;
    assert_eq!(totals.received, 20_000);
    assert_eq!(refused + totals.delivered + totals.ignored + totals.stray + held, 20_000);
    assert!(totals.delivered > 1_000 && totals.stray > 1_000 && totals.ignored > 1_000, "{totals:?}");
}
