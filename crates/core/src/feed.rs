//! What a node and the enforcement points in other processes say to each other (02 §10, ADR 24): a point asks with a fresh nonce, and
//! the answer is a head over that nonce and over everything that comes with it.
//!
//! The head is read **after** the question arrived, so a point that counts its lease from the moment it asked never decides on a state
//! that was older than the lease, whatever was held up on the way; and as each nonce is good for one answer, nothing late or repeated
//! prolongs a lease.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::name::{NodeName, PointName};
use crate::{Digest, Timestamp};

/// How long a point decides on what it has heard, counted from when it asked.
pub const LEASE: Duration = Duration::from_secs(2);
/// A node holds a question this long before it answers that nothing is new.
pub const HOLD: Duration = Duration::from_millis(250);
/// From a durable fence until a point that has said nothing has closed itself: the lease, 1 % of drift, 0.2 s to cut what runs.
pub const CLOSED_AFTER: Duration = Duration::from_millis(2_250);
/// Most changes of one answer; a point that is further behind asks again at once.
pub const MAX_CHANGES: usize = 4_096;
/// Longest question, bytes.
pub const MAX_ASK: usize = 1_024;
/// Longest answer, bytes: a snapshot of everything.
pub const MAX_ANSWER: usize = 512 << 20;
/// Most keys that a head names.
pub const MAX_HEAD_KEYS: usize = 8;

/// What a point asks; also its word on how far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// 128 random bits, base64url, of this process of the point.
    pub session: String,
    /// 128 random bits, base64url, for this question alone.
    pub nonce: String,
    /// The newest state that it has applied, with everything cut that it ends; none before its first snapshot, and when it is closed.
    pub applied: Option<Applied>,
}

/// A place in the feed of one epoch of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Applied {
    /// Of the store; grows when an older copy of it is taken into use.
    pub epoch: u64,
    /// Of the change.
    pub seq: u64,
}

/// What the node says: signed, with what follows it in the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Epoch of the store.
    pub epoch: u64,
    /// The newest change there was after the question arrived.
    pub seq: u64,
    /// What follows.
    pub content: Content,
    /// SHA-256 of what follows.
    pub digest: Digest,
    /// When it was signed; tells people, decides nothing.
    pub issued_at: Timestamp,
    /// The node.
    pub node: NodeName,
    /// Who asked.
    pub point: PointName,
    /// What it asked with.
    pub nonce: String,
    /// Keys that sign heads from now on, each as the base64url of an Ed25519 public key.
    pub keys: Vec<String>,
}

/// What follows a head, one JSON document a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// [`crate::change::Change`]: each the next one.
    Changes,
    /// [`crate::change::ChangeBody`]: everything as of change `upto`.
    Snapshot {
        /// Newest change in it.
        upto: u64,
    },
}
