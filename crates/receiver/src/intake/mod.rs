//! What of all that comes is a stream, and whose: [`Intake`] makes [`Delivery`]s of datagrams.
//!
//! Nothing that comes is trusted. What is no packet is counted by what is wrong with it and left out; a sender that is not
//! to be heard is counted and left out; and a packet of another format than the one before is only believed when the next
//! one says the same.
//!
//! Nothing here looks at a clock: datagrams say when they came.

pub mod counters;
pub mod senders;
mod voice;

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use protocol::{FormatError, PacketError, StreamFormat};

use crate::delivery::MAX_VOICES;
use crate::sources::{Datagram, Sender};
use crate::{Delivery, Moment};
use counters::Counters;
use senders::{Admission, Senders};
use voice::{Heard, Voice};

/// The highest rate that is played, in Hz.
pub const MAX_RATE: u32 = 768_000;

/// As many notices as come from a few datagrams; nobody waits for memory then.
const NOTICES: usize = 64;

/// Whom to hear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hearing {
    /// The first that sends, as long as it sends.
    First,
    /// This one only.
    Only {
        /// Its address.
        address: IpAddr,
        /// Its port, if it has to be that one.
        port: Option<u16>,
    },
    /// Everyone at once.
    Mix,
}

/// What people should know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// This sender is heard now.
    Heard(Sender),
    /// This sender is not heard, because the first one is.
    Second(Sender),
    /// This sender is not heard, because another one is wanted.
    Unwanted(Sender),
    /// This sender is not heard, because so many others are.
    TooMany(Sender),
    /// The stream has another format now.
    Format(StreamFormat),
}

impl fmt::Display for Notice {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Heard(sender) => write!(to, "hears {sender}"),
            Self::Second(sender) => {
                write!(to, "ignored: {sender} sends, too; --mix plays all, --source picks one")
            }
            Self::Unwanted(sender) => write!(to, "ignored: {sender} sends, too; --source asks for another"),
            Self::TooMany(sender) => {
                write!(to, "ignored: {sender} sends, too; no more than {MAX_VOICES} are mixed")
            }
            Self::Format(format) => write!(to, "the stream has {}", Shown(*format)),
        }
    }
}

/// A format as people read it: `48000 Hz, 16 bits, 2 channels`.
#[derive(Clone, Copy, Debug)]
pub struct Shown(pub StreamFormat);

impl fmt::Display for Shown {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = self.0;
        let channels = match format.channels() {
            1 => "1 channel".to_owned(),
            count => format!("{count} channels"),
        };
        write!(to, "{} Hz, {} bits, {channels}", format.rate(), format.bits())
    }
}

/// Where deliveries go.
pub trait Destination {
    /// Takes a delivery. False if there is no room for it, because nobody plays what is there.
    ///
    /// # Errors
    /// It takes no more.
    fn deliver(&mut self, delivery: Delivery) -> io::Result<bool>;
}

/// Makes deliveries of datagrams.
pub struct Intake {
    senders: Senders,
    voices: [Voice; MAX_VOICES as usize],
    counters: Arc<Counters>,
    notices: Vec<Notice>,
}

impl Intake {
    /// One that has heard nobody yet.
    pub fn new(hearing: Hearing, counters: Arc<Counters>) -> Self {
        Self {
            senders: Senders::new(hearing),
            voices: Default::default(),
            counters,
            notices: Vec::with_capacity(NOTICES),
        }
    }

    /// Takes a datagram; gives what it is good for to the destination.
    ///
    /// # Errors
    /// The destination takes no more.
    pub fn take(&mut self, datagram: &Datagram<'_>, into: &mut dyn Destination) -> io::Result<()> {
        self.counters.received.fetch_add(1, Ordering::Relaxed);
        self.counters.received_bytes.fetch_add(datagram.bytes.len() as u64, Ordering::Relaxed);
        let (format, pcm) = match parse(datagram.bytes) {
            Ok(packet) => packet,
            Err(error) => {
                self.counters.refuse(&error);
                return Ok(());
            }
        };
        let Some(number) = self.admit(datagram.sender, datagram.arrived) else { return Ok(()) };
        let Some(delivery) = Delivery::new(number, datagram.arrived, format, pcm) else { return Ok(()) };
        let Some(voice) = self.voices.get_mut(usize::from(number)) else { return Ok(()) };
        match voice.hear(delivery) {
            Heard::Usual(delivery) => self.deliver(delivery, into),
            Heard::First(delivery) => {
                self.notices.push(Notice::Format(delivery.format()));
                self.deliver(delivery, into)
            }
            Heard::Changed(before, delivery) => {
                self.notices.push(Notice::Format(delivery.format()));
                self.deliver(*before, into)?;
                self.deliver(delivery, into)
            }
            Heard::Held => Ok(()),
            Heard::AfterStray(delivery) => {
                self.counters.stray.fetch_add(1, Ordering::Relaxed);
                self.deliver(delivery, into)
            }
            Heard::InsteadOfStray => {
                self.counters.stray.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    /// Gives what is still held to the destination: nothing will say now that it was not meant.
    ///
    /// # Errors
    /// The destination takes no more.
    pub fn finish(&mut self, into: &mut dyn Destination) -> io::Result<()> {
        for number in 0..self.voices.len() {
            if let Some(delivery) = self.voices[number].take_held() {
                self.deliver(delivery, into)?;
            }
        }
        Ok(())
    }

    /// What people should know of since the last time.
    pub fn notices(&mut self) -> impl Iterator<Item = Notice> + '_ {
        self.notices.drain(..)
    }

    /// The voice of a sender, if it is heard.
    fn admit(&mut self, sender: Sender, now: Moment) -> Option<u8> {
        match self.senders.admit(sender, now) {
            Admission::Heard(voice) => Some(voice),
            Admission::New(voice) => {
                self.notices.push(Notice::Heard(sender));
                if let Some(voice) = self.voices.get_mut(usize::from(voice))
                    && voice.begin_anew().is_some()
                {
                    self.counters.stray.fetch_add(1, Ordering::Relaxed);
                }
                Some(voice)
            }
            Admission::Ignored(notice) => {
                self.counters.ignored.fetch_add(1, Ordering::Relaxed);
                self.notices.extend(notice);
                None
            }
        }
    }

    fn deliver(&mut self, delivery: Delivery, into: &mut dyn Destination) -> io::Result<()> {
        self.counters.levels.show(delivery.format(), delivery.pcm());
        let count = if into.deliver(delivery)? { &self.counters.delivered } else { &self.counters.dropped };
        count.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Reads a packet; rates that cannot be played are no rates.
fn parse(datagram: &[u8]) -> Result<(StreamFormat, &[u8]), PacketError> {
    let (format, pcm) = protocol::packet::parse(datagram)?;
    let rate = format.rate().get();
    if rate > MAX_RATE { Err(PacketError::Header(FormatError::Rate(rate))) } else { Ok((format, pcm)) }
}

#[cfg(test)]
mod tests;
