//! What a scan did not read, and why: a report with such rows is never called clean.

use serde::Serialize;

/// Rows of one reason that are kept with their places; the others are counted.
const NAMED: usize = 100;

/// A place, or places, that were not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Where: a path, an object, a file descriptor.
    pub place: String,
    /// Why not, and what would let it be read.
    pub reason: String,
}

/// All gaps of a scan.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Coverage {
    /// Files, objects, variables and messages that were read to the end.
    pub units: u64,
    /// Bytes of those, decompressed.
    pub bytes: u64,
    /// What was not read.
    pub gaps: Vec<Gap>,
    /// Gaps beyond those that are listed.
    pub more_gaps: u64,
}

impl Coverage {
    /// Something was read to the end.
    pub fn read(&mut self, bytes: usize) {
        self.units += 1;
        self.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
    }

    /// Something was not.
    pub fn missed(&mut self, place: impl Into<String>, reason: impl Into<String>) {
        let gap = Gap {
            place: place.into(),
            reason: reason.into(),
        };
        if self.gaps.contains(&gap) {
            return;
        }
        if self.gaps.len() < NAMED {
            self.gaps.push(gap);
        } else {
            self.more_gaps += 1;
        }
    }

    /// Whether everything was read.
    pub fn is_complete(&self) -> bool {
        self.gaps.is_empty() && self.more_gaps == 0
    }

    /// Adds what another part of the scan covered.
    pub fn join(&mut self, other: Self) {
        self.units += other.units;
        self.bytes += other.bytes;
        self.more_gaps += other.more_gaps;
        for gap in other.gaps {
            self.missed(gap.place, gap.reason);
        }
    }
}
