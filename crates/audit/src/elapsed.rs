//! How much time has passed, whatever the wall clock says. Retention and the life of keys count by it, so that a clock set ahead destroys
//! nothing early; that the two disagree is on record (`docs/reference/audit-log.md`, The clock).
//!
//! While a node runs, and over a restart within one boot, the clock since boot says how much has passed. Over a reboot only the wall clock
//! can, and it is believed for [`STOPPED`] at most.

use std::time::Duration;

use bailiwick_core::{Clock, Timestamp};
use serde::{Deserialize, Serialize};

use crate::hlc::Hlc;

/// The wall clock may differ by this much from the time that passed.
pub const BOUND: Duration = Duration::from_mins(1);
/// How much of a stop that ended in another boot is believed.
pub const STOPPED: Duration = Duration::from_hours(24);
/// A wall clock that has kept pace for so long since it was last off is believed.
pub const CALM: Duration = Duration::from_hours(7 * 24);
/// A clock that is off further and further is on record again after this time, or at once where the change is more than half of what was
/// said.
const AGAIN: Duration = Duration::from_hours(1);
/// How often this is kept.
const KEEP_EVERY: Duration = Duration::from_hours(1);

/// What is kept of it over a stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The time by what passed.
    now: Timestamp,
    /// The wall clock at that moment.
    wall: Timestamp,
    /// Microseconds since boot at that moment.
    since_boot: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    boot: Option<String>,
    /// What is on record of the difference, in microseconds.
    said: i64,
    /// Microseconds that the wall clock has kept pace since.
    calm: u64,
}

/// The clocks at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) wall: Timestamp,
    pub(crate) since_boot: Duration,
}

impl Reading {
    pub(crate) fn of(clock: &dyn Clock) -> Self {
        Self {
            wall: clock.wall(),
            since_boot: clock.monotonic(),
        }
    }
}

/// Something about the clock that belongs on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Anomaly {
    /// The time by what passed.
    pub(crate) expected: Timestamp,
    /// Wall clock less that, in microseconds.
    off: i64,
    believed: bool,
}

impl Anomaly {
    /// As the record says it.
    pub(crate) fn words(&self) -> String {
        let seconds = (self.off.unsigned_abs() + 500_000) / 1_000_000;
        let is_off = self.off.unsigned_abs() > micros(BOUND);
        match self.off {
            _ if !is_off => "the wall clock agrees again with the time that passed".into(),
            _ if self.believed => format!(
                "the wall clock has kept pace for {} days since it was off by {seconds} s, and is believed",
                CALM.as_secs() / 86_400
            ),
            1.. => format!("the wall clock is {seconds} s ahead of the time that passed"),
            _ => format!("the wall clock is {seconds} s behind the time that passed"),
        }
    }
}

/// The time that passed since a log was made.
#[derive(Debug)]
pub(crate) struct Elapsed {
    /// The time at `at`.
    now: Timestamp,
    at: Reading,
    boot: Option<String>,
    said: i64,
    said_at: Duration,
    /// Time that the wall clock had kept pace before `said_at`.
    calm: Duration,
    kept_at: Option<Duration>,
}

impl Elapsed {
    /// Goes on from what was kept, and from the newest event's time where that is newer.
    pub(crate) fn resume(kept: Option<&Kept>, hlc: Hlc, clock: &dyn Clock) -> Self {
        let (at, boot) = (Reading::of(clock), clock.boot());
        let last = hlc.wall();
        let (now, said, calm) = match kept {
            None if hlc == Hlc::default() => (at.wall, 0, 0),
            None => (last.plus(at.wall.since(last).min(STOPPED)), 0, 0),
            Some(kept) => {
                let same = kept.boot.is_some() && kept.boot == boot;
                let passed = micros(at.since_boot).checked_sub(kept.since_boot);
                let now = if let Some(passed) = passed.filter(|_| same) {
                    kept.now.plus(Duration::from_micros(passed))
                } else {
                    // Events came after this was kept; logical time that ran ahead once says nothing.
                    let later = last.since(kept.wall);
                    let later = if later <= KEEP_EVERY {
                        later
                    } else {
                        Duration::ZERO
                    };
                    let stopped = at.wall.since(kept.wall.plus(later)).min(STOPPED);
                    kept.now.plus(later).plus(stopped)
                };
                (now, kept.said, kept.calm)
            }
        };
        Self {
            now,
            said_at: at.since_boot,
            at,
            boot,
            said,
            calm: Duration::from_micros(calm),
            kept_at: None,
        }
    }

    /// The time by what passed.
    pub(crate) fn now(&self, read: Reading) -> Timestamp {
        self.now
            .plus(read.since_boot.saturating_sub(self.at.since_boot))
    }

    /// The time to destroy by: never later than what passed or than the wall clock says.
    pub(crate) fn earliest(&self, read: Reading) -> Timestamp {
        self.now(read).min(read.wall)
    }

    /// Whether the wall clock is off.
    pub(crate) fn is_off(&self, read: Reading) -> bool {
        self.off(read).unsigned_abs() > micros(BOUND)
    }

    /// What should be on record and is not.
    pub(crate) fn look(&self, read: Reading) -> Option<Anomaly> {
        let off = self.off(read);
        let anomaly = |believed| Anomaly {
            expected: self.now(read),
            off,
            believed,
        };
        let change = off.saturating_sub(self.said).unsigned_abs();
        if change <= micros(BOUND) {
            let believed = self.is_off(read) && self.calm(read) >= CALM;
            return believed.then(|| anomaly(true));
        }
        let again = read.since_boot.saturating_sub(self.said_at) >= AGAIN;
        (again || change > self.said.unsigned_abs() / 2).then(|| anomaly(false))
    }

    /// It is on record.
    pub(crate) fn said(&mut self, anomaly: Anomaly, read: Reading) {
        self.said = anomaly.off;
        self.said_at = read.since_boot;
        self.calm = Duration::ZERO;
        self.kept_at = None;
        if anomaly.believed {
            self.now = read.wall;
            self.at = read;
            self.said = 0;
        }
    }

    /// What to keep, if it is time for that.
    pub(crate) fn keep(&mut self, read: Reading, at_once: bool) -> Option<Kept> {
        let due = self
            .kept_at
            .is_none_or(|at| read.since_boot.saturating_sub(at) >= KEEP_EVERY);
        (due || at_once).then(|| {
            self.kept_at = Some(read.since_boot);
            Kept {
                now: self.now(read),
                wall: read.wall,
                since_boot: micros(read.since_boot),
                boot: self.boot.clone(),
                said: self.said,
                calm: micros(self.calm(read)),
            }
        })
    }

    fn off(&self, read: Reading) -> i64 {
        read.wall
            .as_micros()
            .saturating_sub(self.now(read).as_micros())
    }

    fn calm(&self, read: Reading) -> Duration {
        self.calm + read.since_boot.saturating_sub(self.said_at)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
