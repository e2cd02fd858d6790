//! Instants and the clock that hands them out. Nothing in the workspace reads the system time except through [`Clock`].

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::text::text_form;

/// A wall-clock instant: microseconds since the Unix epoch, UTC. Range: years −9999 to 9999; text form RFC 3339.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From whole seconds since the Unix epoch, saturating.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the Unix epoch, rounded down.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// Whole seconds since the Unix epoch, rounded down (JWT `NumericDate`).
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// This instant plus `duration`, saturating.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)),
        )
    }

    /// This instant minus `duration`, saturating.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)),
        )
    }

    /// Time from `earlier` to this instant; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(instant) => write!(f, "{instant:.6}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not an RFC 3339 instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an RFC 3339 instant such as 2026-11-23T09:00:00Z")]
pub struct BadTimestamp(String);

impl FromStr for Timestamp {
    type Err = BadTimestamp;

    fn from_str(text: &str) -> Result<Self, BadTimestamp> {
        let instant: jiff::Timestamp = text
            .parse()
            .map_err(|_| BadTimestamp(text.chars().take(64).collect()))?;
        Ok(Self(instant.as_microsecond()))
    }
}

text_form! { Timestamp; }

/// Where time comes from. The system clock is `bailiwick_crypto::system::SystemClock`; tests move their own.
pub trait Clock: Send + Sync {
    /// Wall time. May jump; never used to order events or to extend authority.
    fn wall(&self) -> Timestamp;

    /// Time since boot, suspend included (`CLOCK_BOOTTIME`). Never falls.
    fn monotonic(&self) -> Duration;

    /// Which boot [`Clock::monotonic`] counts from, if that is known: readings of two processes compare only within one.
    fn boot(&self) -> Option<String> {
        None
    }
}
