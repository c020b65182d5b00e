//! The date of a version, so that what is made of the same sources has the same dates.

use std::env;
use std::process::Command;

use anyhow::{Context, Result};
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::process::{output, root};

/// What to say about the variable.
const ACCEPTED: &str = "SOURCE_DATE_EPOCH has to be seconds since 1970, from 315532800 (1980) on";

/// The first second that an archive can tell: 1980-01-01.
const FIRST: i64 = 315_532_800;
/// The last second that a catalog can tell: 2049-12-31 23:59:59.
const LAST: i64 = 2_524_607_999;

/// A date between 1980 and 2049, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Date(OffsetDateTime);

impl Date {
    /// That of the last commit, unless SOURCE_DATE_EPOCH says another one.
    ///
    /// # Errors
    /// SOURCE_DATE_EPOCH is no date, or is not set and this is no checkout.
    pub fn of_this_version() -> Result<Self> {
        if let Ok(seconds) = env::var("SOURCE_DATE_EPOCH") {
            return Self::parse(&seconds).context(ACCEPTED);
        }
        let mut git = Command::new("git");
        git.args(["log", "-1", "--format=%ct"]).current_dir(root());
        let committed = output(&mut git).ok().and_then(|seconds| Self::parse(seconds.trim()));
        committed
            .context("this is no checkout of git, so SOURCE_DATE_EPOCH has to say the date of this version")
    }

    /// Of seconds since 1970 in decimal digits.
    pub fn parse(seconds: &str) -> Option<Self> {
        let seconds = seconds.parse().ok().filter(|seconds| (FIRST..=LAST).contains(seconds))?;
        OffsetDateTime::from_unix_timestamp(seconds).ok().map(Self)
    }

    /// Seconds since 1970.
    pub fn seconds(self) -> u64 {
        self.0.unix_timestamp().unsigned_abs()
    }

    /// As a cabinet has it.
    pub fn in_cabinet(self) -> PrimitiveDateTime {
        PrimitiveDateTime::new(self.0.date(), self.0.time())
    }

    /// As an archive has it.
    ///
    /// # Errors
    /// None: the range is narrower than that of an archive.
    pub fn in_archive(self) -> Result<zip::DateTime> {
        let (date, time) = (self.0.date(), self.0.time());
        let year = u16::try_from(date.year())?;
        Ok(zip::DateTime::from_date_and_time(
            year,
            date.month().into(),
            date.day(),
            time.hour(),
            time.minute(),
            time.second(),
        )?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_the_same_in_the_archive_and_in_the_cabinet() {
        let date = Date::parse("1795418374").unwrap();
        assert_eq!(date.seconds(), 1_795_418_374);
        assert_eq!(date.in_cabinet().to_string(), "2026-11-23 7:19:34.0");
        let archived = date.in_archive().unwrap();
        let fields =
            [archived.month(), archived.day(), archived.hour(), archived.minute(), archived.second()];
        assert_eq!((archived.year(), fields), (2026, [11, 23, 7, 19, 34]));
    }

    #[test]
    fn only_dates_that_every_file_can_tell_are_accepted() {
        for accepted in ["315532800", "2524607999"] {
            assert!(Date::parse(accepted).is_some_and(|date| date.in_archive().is_ok()), "{accepted}");
        }
        for refused in ["", "0", "-1", "315532799", "2524608000", "1e9", "99999999999999999999"] {
            assert_eq!(Date::parse(refused), None, "{refused}");
        }
    }
}
