//! [`Line`]: what programs are told, a JSON object each.

use protocol::StreamFormat;
use serde::Serialize;

use super::meter::decibels;
use super::{Mean, News, Snapshot, milliseconds};
use crate::intake::Notice;
use crate::intake::counters::Totals;
use crate::player::status::Figures;
use crate::player::thread::Event;

/// A line of JSON. The field `event` says which it is.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Line<'a> {
    /// The first one.
    Start {
        /// What is listened to.
        listening: &'a str,
        /// What becomes of it: `plays on PulseAudio`.
        playing: &'a str,
    },
    /// A sender is heard.
    Heard {
        /// Its address.
        sender: String,
    },
    /// A sender is not heard.
    Ignored {
        /// Its address.
        sender: String,
        /// `second`, `unwanted` or `too_many`.
        why: &'static str,
    },
    /// The stream that comes has this format.
    Format(Format),
    /// A stream of this format begins to play.
    Playing(Format),
    /// It has ended, or pauses.
    Ended,
    /// The output is gone.
    Gone {
        /// Why.
        text: &'a str,
    },
    /// The output is back.
    Back,
    /// The output cannot do what is asked.
    Impossible {
        /// Why.
        text: &'a str,
    },
    /// An interface came or went.
    Source {
        /// What happened.
        text: &'a str,
    },
    /// Another file was begun.
    Files {
        /// What happened.
        text: &'a str,
    },
    /// Why nothing comes, perhaps.
    Hint {
        /// The reason.
        text: &'a str,
    },
    /// How it goes, each second.
    Status {
        /// Since the start.
        seconds: f64,
        /// Packets that came in the last second.
        packets_per_second: u64,
        /// The loudest sample of each channel, in dB of full scale; the least is that of 32 bits.
        levels_db: Vec<f64>,
        /// What has been received until now.
        #[serde(flatten)]
        totals: Totals,
        /// What is being played.
        #[serde(flatten)]
        playing: Option<Playing>,
    },
    /// The last one.
    Totals {
        /// Since the start.
        seconds: f64,
        /// What has been received.
        #[serde(flatten)]
        totals: Totals,
        /// The mean of the delay while something was played, in milliseconds.
        #[serde(skip_serializing_if = "Option::is_none")]
        mean_delay_ms: Option<f64>,
        /// What was played.
        #[serde(flatten)]
        playing: Option<Playing>,
    },
}

/// A format.
#[derive(Debug, Serialize)]
pub struct Format {
    /// Frames per second.
    pub rate: u32,
    /// Bits of a sample.
    pub bits: u16,
    /// Samples of a frame.
    pub channels: u16,
    /// The speakers.
    pub mask: u16,
}

/// Figures of the player.
#[derive(Debug, Serialize)]
pub struct Playing {
    delay_ms: f64,
    target_ms: f64,
    drift_ppm: f64,
    lost: u64,
    doubled: u64,
    late: u64,
    underruns: u64,
    cuts: u64,
}

impl From<StreamFormat> for Format {
    fn from(format: StreamFormat) -> Self {
        Self {
            rate: format.rate().get(),
            bits: format.bits(),
            channels: format.channels(),
            mask: format.mask(),
        }
    }
}

impl From<Figures> for Playing {
    fn from(figures: Figures) -> Self {
        let Figures { lost, doubled, late, underruns, cuts, .. } = figures;
        Self {
            delay_ms: milliseconds(figures.delay),
            target_ms: milliseconds(figures.target),
            drift_ppm: figures.drift_ppm,
            lost,
            doubled,
            late,
            underruns,
            cuts,
        }
    }
}

impl<'a> From<&'a News> for Line<'a> {
    fn from(news: &'a News) -> Self {
        let ignored =
            |sender: &crate::sources::Sender, why| Self::Ignored { sender: sender.to_string(), why };
        match news {
            News::Intake(Notice::Heard(sender)) => Self::Heard { sender: sender.to_string() },
            News::Intake(Notice::Second(sender)) => ignored(sender, "second"),
            News::Intake(Notice::Unwanted(sender)) => ignored(sender, "unwanted"),
            News::Intake(Notice::TooMany(sender)) => ignored(sender, "too_many"),
            News::Intake(Notice::Format(format)) => Self::Format((*format).into()),
            News::Source(text) => Self::Source { text },
            News::Files(text) => Self::Files { text },
            News::Hint(text) => Self::Hint { text },
            News::Player(Event::Playing(format)) => Self::Playing((*format).into()),
            News::Player(Event::Ended) => Self::Ended,
            News::Player(Event::Gone(text)) => Self::Gone { text },
            News::Player(Event::Back) => Self::Back,
            News::Player(Event::Impossible(text)) => Self::Impossible { text },
        }
    }
}

impl Line<'_> {
    /// How it goes.
    pub fn status(snapshot: &Snapshot, levels: Option<&(StreamFormat, Vec<u32>)>) -> Self {
        Self::Status {
            seconds: snapshot.time.as_secs_f64(),
            packets_per_second: snapshot.packets_per_second,
            levels_db: levels
                .map(|(_, peaks)| peaks.iter().copied().map(decibels).collect())
                .unwrap_or_default(),
            totals: snapshot.totals,
            playing: snapshot.figures.map(Playing::from),
        }
    }

    /// How it went.
    pub fn totals(snapshot: &Snapshot, delays: Mean) -> Self {
        Self::Totals {
            seconds: snapshot.time.as_secs_f64(),
            totals: snapshot.totals,
            mean_delay_ms: delays.get().map(milliseconds),
            playing: snapshot.figures.map(Playing::from),
        }
    }
}
