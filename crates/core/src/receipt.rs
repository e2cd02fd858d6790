//! What a receipt of a revocation says: what was revoked, when that was durable, and which enforcement points had applied it. Signing and
//! reading one is `bailiwick_crypto::token::receipt`'s job.

use serde::{Deserialize, Serialize};

use crate::Timestamp;
use crate::fence::Subject;
use crate::id::RevocationId;

/// What a receipt says. The set is closed: a claim that is not here makes the receipt unreadable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// Who says so: the issuer's URL.
    pub iss: String,
    /// The revocation.
    pub jti: RevocationId,
    /// When the receipt was made, seconds since the epoch.
    pub iat: i64,
    /// Epoch of the store that holds the fences.
    pub epoch: u64,
    /// Feed sequence of the last fence: what was born at or before it is dead.
    pub seq: u64,
    /// What died, with everything below it.
    pub subjects: Vec<Subject>,
    /// When the fences were durable.
    pub committed_at: Timestamp,
    /// The enforcement points that there were.
    pub points: Vec<Point>,
    /// Leases below the subjects.
    pub leases: Leases,
    /// The event of the first fence in the audit log.
    pub audit: Place,
}

/// An enforcement point that allows nothing under the subjects any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// Which.
    pub id: String,
    /// How that is known.
    pub how: How,
    /// From `committed_at` until no new call passed, milliseconds; 0 where the fence held before it was durable.
    pub applied_ms: u64,
    /// From `committed_at` until every running call and stream was cut, milliseconds.
    pub swept_ms: u64,
}

/// How it is known that a point is closed to the subjects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It said so.
    Acked,
    /// Its lease ran out: without newer news it denies everything.
    Lapsed,
}

/// Leases below the subjects, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leases {
    /// All that were live; none of them is used by any point any more.
    pub fenced: u64,
    /// Those whose credential is verified dead where it was issued.
    pub dead: u64,
    /// Those whose credential may still live there.
    pub pending: u64,
}

/// Where an event stands in the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The log.
    pub origin: String,
    /// The leaf.
    pub index: u64,
}
