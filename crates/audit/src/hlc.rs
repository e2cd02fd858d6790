//! The hybrid logical clock: wall-clock milliseconds (48 bits) and a counter (16 bits) that never falls, whatever the wall clock does.
//! It orders events across logs; within a log the leaf index does, and concurrent producers may get their indexes in another order than
//! their readings.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use bailiwick_core::{Clock, Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A reading. Written as 16 hex digits, which sort as the readings do and survive JSON parsers that know only doubles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hlc(pub u64);

impl Hlc {
    /// The wall-clock part.
    pub fn wall(self) -> Timestamp {
        Timestamp::from_micros(
            i64::try_from(self.0 >> 16)
                .unwrap_or(0)
                .saturating_mul(1_000),
        )
    }
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for Hlc {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hlc {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        match u64::from_str_radix(&text, 16) {
            Ok(value) if text.len() == 16 => Ok(Self(value)),
            _ => Err(serde::de::Error::custom("a logical time is 16 hex digits")),
        }
    }
}

/// Hands out readings, each higher than the one before.
#[derive(Debug, Default)]
pub struct HlcClock(AtomicU64);

impl HlcClock {
    /// Continues above `last`.
    pub fn after(last: Hlc) -> Self {
        Self(AtomicU64::new(last.0))
    }

    /// The next reading: the wall clock's millisecond if that is ahead, else the counter moves.
    pub fn tick(&self, clock: &dyn Clock) -> Hlc {
        let wall = u64::try_from(clock.wall().as_millis()).unwrap_or(0) << 16;
        let next = |last: u64| last.saturating_add(1).max(wall);
        let last = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| {
                Some(next(last))
            });
        Hlc(next(last.unwrap_or_else(|last| last)))
    }
}
