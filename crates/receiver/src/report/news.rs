//! [`News`]: what happens, in one line each.

use std::fmt;

use crate::intake::{Notice, Shown};
use crate::player::thread::Event;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Of senders and formats.
    Intake(Notice),
    /// Of where audio comes from, in one line.
    Source(String),
    /// Of files, in one line.
    Files(String),
    /// Of the player.
    Player(Event),
    /// Why nothing comes, perhaps.
    Hint(String),
}

impl News {
    /// From which degree of verbosity on people are told.
    pub fn level(&self) -> u8 {
        match self {
            Self::Intake(Notice::Heard(_) | Notice::Format(_)) | Self::Source(_) => 1,
            Self::Player(Event::Ended) => 1,
            _ => 0,
        }
    }
}

impl fmt::Display for News {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Intake(notice) => write!(to, "{notice}"),
            Self::Source(text) | Self::Files(text) => to.write_str(text),
            Self::Hint(text) => write!(to, "hint: {text}"),
            Self::Player(Event::Playing(format)) => write!(to, "plays {}", Shown(*format)),
            Self::Player(Event::Ended) => write!(to, "the stream has ended, or pauses"),
            Self::Player(Event::Gone(text)) => write!(to, "the output is gone: {text}; waiting for it"),
            Self::Player(Event::Back) => write!(to, "the output is back"),
            Self::Player(Event::Impossible(text)) => write!(to, "cannot be played: {text}"),
        }
    }
}
