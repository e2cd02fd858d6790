//! Time zones by their names in the IANA database. The database is compiled in, so that every node of one version tells the same
//! hour, whatever its machine has installed.

use std::fmt;
use std::str::FromStr;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::Timestamp;
use crate::text::text_form;

/// A time zone, such as `Europe/Berlin`; by default UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// Where an instant falls in the week of a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalHour {
    /// Hour of the day, 0 to 23.
    pub hour: i64,
    /// Day of the week, 0 (Monday) to 6.
    pub weekday: i64,
}

impl Zone {
    /// Hour and day of the week at this instant. What lies beyond the calendar (years −9999 to 9999) is told in UTC.
    pub fn local(&self, at: Timestamp) -> LocalHour {
        let instant = jiff::Timestamp::from_microsecond(at.as_micros());
        let offset = instant.map_or(0, |instant| self.0.to_offset(instant).seconds());
        let seconds = at.as_secs().saturating_add(i64::from(offset));
        LocalHour {
            hour: seconds.rem_euclid(86_400) / 3_600,
            // 1970-01-01 was a Thursday.
            weekday: (seconds.div_euclid(86_400) + 3).rem_euclid(7),
        }
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

/// Text that names no time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no time zone of the IANA database, such as Europe/Berlin")]
pub struct BadZone(String);

impl FromStr for Zone {
    type Err = BadZone;

    fn from_str(text: &str) -> Result<Self, BadZone> {
        TimeZoneDatabase::bundled()
            .get(text)
            .map(Self)
            .map_err(|_| BadZone(text.chars().take(64).collect()))
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

text_form! { Zone; }

#[cfg(test)]
mod tests;
